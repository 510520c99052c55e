"""Proofs of the questions with computed options: the right one is found by a formula of its own, and is the only one that fits.

Place: `science_families.py` hands them on. Nothing of the generators is used; laws are read as in `proofs_science.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Steps, must, proof
from sixfold.tasks.proofs_science import Reading, put_in, read_numbers, take_laws
from sixfold.tasks.proofs_written import number, value

_PHYSICS: tuple[Reading, ...] = (
    ("A <word> covers <d> m in <t> s. What is its speed?", "d / t", "v = d / t", "m/s"),
    ("A <word> of <R> ohm is connected to <U> V. Which current flows?", "U / R", "I = U / R", "A"),
    ("Which current flows through <R> ohm at <U> V?", "U / R", "I = U / R", "A"),
    ("<m> kg move at <v> m/s. What is the momentum?", "v * m", "p = m * v", "kg m/s"),
    ("What is the momentum of a <word> of <m> kg at <v> m/s?", "v * m", "p = m * v", "kg m/s"),
    ("A force of <F> N acts on <m> kg. What is the acceleration?", "F / m", "a = F / m", "m/s^2"),
    ("A <word> of <m> kg is pulled with <F> N. What is its acceleration, without friction?", "F / m", "a = F / m", "m/s^2"),
    ("A <word> of <m> kg moves at <v> m/s. What is its kinetic energy?", "m / 2 * v ** 2", "E = m * v * v / 2", "J"),
    ("A <word> starts from rest with <a> m/s^2. How far does it get in <t> s?", "a / 2 * t ** 2", "s = a * t * t / 2", "m"),
    ("Resistors of <R1> ohm and <R2> ohm are in series at <U> V. Which current flows?", "U / (R1 + R2)",
     "R = R1 + R2; I = U / R",
     "A"),
    ("A wave has the frequency <f> Hz and the wavelength <w> m. What is its speed?", "w * f", "v = f * w", "m/s"),
    ("Resistors of <R1> ohm and <R2> ohm are parallel. What is the total resistance?", "1 / (1 / R1 + 1 / R2)",
     "x = R1 * R2; y = R1 + R2; R = x / y", "ohm"),
    ("A <word> at <v> m/s brakes with <a> m/s^2. How far does it go until it stops?", "v ** 2 / (2 * a)", "s = v * v / 2 / a",
     "m"),
    ("A <word> falls from rest for <t> s. How far does it fall? Use g = <g> m/s^2 and no air.", "t ** 2 * g / 2",
     "s = g * t * t / 2", "m"),
    ("A stone of <m> kg falls from rest for <t> s. How far does it fall? Use g = <g> m/s^2 and no air.", "t ** 2 * g / 2",
     "s = g * t * t / 2", "m"),
    ("A <word> takes <I> A at <U> V for <t> s. How much energy is that?", "I * t * U", "E = U * I * t", "J"),
    ("A gas has <V1> L at <p1> bar. What volume has it at <p2> bar and the same temperature?", "V1 * p1 / p2",
     "x = V1 * p1; V2 = x / p2", "L"),
)  # fmt: skip
_SCIENCE: tuple[Reading, ...] = (
    ("An atom has the atomic number <Z> and the mass number <A>. How many neutrons has it?", "A - Z", "N = A - Z", "neutrons"),
    ("A nucleus of mass number <A> has <Z> protons. How many neutrons are in it?", "A - Z", "N = A - Z", "neutrons"),
    ("An ion has <Z> protons and a charge of +<q>. How many electrons has it?", "Z - q", "e = Z - q", "electrons"),
    ("An atom with <Z> electrons loses <q> of them. How many electrons has the ion?", "Z - q", "e = Z - q", "electrons"),
    ("A neutral atom has <e> electrons and <N> neutrons. What is its mass number?", "N + e", "A = e + N", "nucleons"),
    ("A cell divides every <t> minutes. How many minutes do <n> divisions take?", "n * t", "T = t * n", "minutes"),
    ("A solution has <m> g of salt in <M> g of solution. What is the share of salt by mass?", "m / M * 100",
     "x = m * 100; p = x / M", "%"),
    ("<V> L of a solution of <c> mol/L hold how much substance?", "V * c", "n = c * V", "mol"),
    ("How much substance is in <V> L of a <c> mol/L solution?", "V * c", "n = c * V", "mol"),
    ("A sample of <m> g of a substance has the molar mass <M> g/mol. What is the amount of substance?", "m / M", "n = m / M",
     "mol"),
    ("A stack of <n> lenses of <D> dioptres each acts like one lens. What is its power?", "D * n", "P = n * D", "dioptres"),
    ("<n> thin lenses of <D> dioptres each touch. What is the power of all together?", "D * n", "P = n * D", "dioptres"),
    ("Of <N> plants, <p>% carry a gene, and <q>% of those show it. How many show it?", "N * p * q / 10000",
     "x = N * p / 100; y = x * q / 100", "individuals"),
    ("In a herd of <N>, <p>% carry a virus, and <q>% of those are ill. How many are ill?", "N * p * q / 10000",
     "x = N * p / 100; y = x * q / 100", "individuals"),
    ("<m1> g of a <c1>% solution and <m2> g of a <c2>% solution are mixed. What is the concentration of the mixture?",
     "c1 + (c2 - c1) * m2 / (m1 + m2)", "x = m1 * c1 + m2 * c2; m = m1 + m2; c = x / m", "%"),
    ("Bacteria double every <t> minutes. How many are <s> of them after three doublings, in <T> minutes?", "s * 2 ** (T / t)",
     "n = s * 2 * 2 * 2", "bacteria"),
    ("A microscope has an objective of <a> times and an eyepiece of <b> times. An object is <d> μm wide. How wide does it "
     "look, "
     "in mm?", "a * b * d / 1000", "M = a * b; x = M * d; w = x / 1000", "mm"),
)  # fmt: skip


def _chosen(readings: Sequence[Reading]) -> Callable[[Problem, Steps], None]:
    def check(problem: Problem, steps: Steps) -> None:
        text, *shown, asked = problem.question.split("\n")
        must(asked == "Answer with the letter.", "what is asked?")
        found = [(known, r) for r in readings if (known := read_numbers(r[0], text)) is not None]
        must(len(found) == 1, f"{len(found)} readings of {text!r}")
        known, (_, formula, laws, unit) = found[0]
        right = value(put_in(formula, known))
        options = [re.fullmatch(r"([A-E])\) ([\d.]+) (.+)", line) for line in shown]
        must([m and m[1] for m in options] == list("ABCDE"), "the options are not A to E")
        must(all(m and m[3] == unit for m in options), "an option has another unit")
        values = [number(m[2]) for m in options if m]
        must(len(set(values)) == len(values) == 5 and right in values, "the options are not different, or none is right")
        letter = "ABCDE"[values.index(right)]
        must(take_laws(steps, laws, dict(known)) == right, "the laws give another value")
        m = steps.take(r"([\d.]+) (.+) is option ([A-E])\.")
        must((number(m[1]), m[2], m[3]) == (right, unit, letter), f"not true here: {m[0]!r}")
        must(problem.answer == letter, f"the answer is {letter}")
        must(problem.meta["choices"] == [line[3:] for line in shown], "meta differs")
        must(problem.meta["labels"] == list("ABCDE"), "meta differs")

    return check


prove_choice_physics = proof(_chosen(_PHYSICS))
prove_choice_science = proof(_chosen(_SCIENCE))
