"""Questions with five options, of which the wrong ones come from typical mistakes: a forgotten half, a product for a quotient.

Place: `science_families.py` lists both families. The right letter is drawn evenly, and options are all different numbers.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from sixfold.core import Problem
from sixfold.tasks.science_laws import Kind, ends, filled, kind, reduced, told
from sixfold.tasks.written import decimal, problem

LABELS = "ABCDE"


class Choice(NamedTuple):
    """A kind with the formulas that mistakes lead to, in the names that are given or found."""

    kind: Kind
    mistakes: tuple[str, ...]


def _choice(texts: str, draws: str, laws: str, unit: str, mistakes: str) -> Choice:
    return Choice(kind(texts, draws, laws, unit), tuple(mistakes.split("; ")))


_PHYSICS = (
    (
        _choice("A {who} covers {d} m in {t} s. What is its speed?", "v 3 30; t 3 20; d = v * t", "v = d / t", "m/s",
                "d * t; v + t; v * 2; d - t; v * 10"),
        _choice("A {device} of {R} ohm is connected to {U} V. Which current flows?|Which current flows through {R} ohm at {U} "
                "V?",
                "I 2 12; R 2 40; U = R * I", "I = U / R", "A", "U * R; U - R; I * 2; U + R; I + R"),
        _choice("{m} kg move at {v} m/s. What is the momentum?|What is the momentum of a {who} of {m} kg at {v} m/s?",
                "m 2 60; v 2 20", "p = m * v",
                "kg m/s", "m * v / 2; m + v; m * v * v; m * v * 2; m * v * v / 2"),
        _choice("A force of {F} N acts on {m} kg. What is the acceleration?|A {who} of {m} kg is pulled with {F} N. What is "
                "its acceleration, without friction?",
                "a 2 15; m 2 40; F = a * m", "a = F / m", "m/s^2", "F * m; F - m; a * 10; a * 2; F + m"),
    ),
    (
        _choice("A {who} of {m} kg moves at {v} m/s. What is its kinetic energy?", "m 2 60 2; v 2 20", "E = m * v * v / 2", "J",
                "m * v * v; m * v / 2; m * v; m * m * v / 2; m * v * v * 2"),
        _choice("A {who} starts from rest with {a} m/s^2. How far does it get in {t} s?", "a 2 12 2; t 3 12",
                "s = a * t * t / 2", "m",
                "a * t * t; a * t; a * t / 2; a * a * t / 2; a * t * t * 2"),
        _choice("Resistors of {R1} ohm and {R2} ohm are in series at {U} V. Which current flows?",
                "R1 2 30; R2 2 30; I 2 9; x = R1 + R2; U = x * I",
                "R = R1 + R2; I = U / R", "A", "U * R; I * 2; U / R1; U - R1; I + R2; U / R2"),
        _choice("A wave has the frequency {f} Hz and the wavelength {w} m. What is its speed?", "f 3 90; w 2 20", "v = f * w",
                "m/s",
                "f / w; f + w; f * w / 2; f * w * 2; f - w; f * w * 10"),
    ),
    (
        _choice("Resistors of {R1} ohm and {R2} ohm are parallel. What is the total resistance?",
                "p 1 6; q 1 6; k 1 15; s = p + q; R1 = k * p * s; R2 = k * q * s",
                "x = R1 * R2; y = R1 + R2; R = x / y", "ohm", "R1 + R2; R1 * R2; R * 2; R1 - R2; R2 - R1; R / 2; R1 + R"),
        _choice("A {who} at {v} m/s brakes with {a} m/s^2. How far does it go until it stops?", "v 4 40 2; a 2 8 2",
                "s = v * v / 2 / a", "m",
                "v * v / a; v / a; v * a; v * v / 2; s / 2; v * v * a"),
        _choice("A {who} falls from rest for {t} s. How far does it fall? Use g = {g} m/s^2 and no air.|A stone of {m} kg "
                "falls from rest for {t} s. How far "
                "does it fall? Use g = {g} m/s^2 and no air.", "m 2 60; t 2 30", "s = g * t * t / 2", "m",
                "g * t * t; g * t; t * t / 2; g * t / 2; g * t * t * 2"),
        _choice("A {device} takes {I} A at {U} V for {t} s. How much energy is that?", "I 2 12; U 5 60; t 3 30",
                "E = U * I * t", "J",
                "U * I; U * I / t; U * t; U * I * t / 2; U * I * I * t; I * t"),
        _choice("A gas has {V1} L at {p1} bar. What volume has it at {p2} bar and the same temperature?",
                "V2 2 30; p1 2 12; p2 2 12; x = V2 * p2; V1 = x / p1",
                "x = V1 * p1; V2 = x / p2", "L", "V1 * p2 / p1; V1 * p1; V1 * p2; V1 + p2; V2 * 2; V1 - p2"),
    ),
)  # fmt: skip
_SCIENCE = (
    (
        _choice("An atom has the atomic number {Z} and the mass number {A}. How many neutrons has it?|A nucleus of mass number "
                "{A} has {Z} protons. How many "
                "neutrons are in it?", "Z 6 90; n 1 60; N = Z + n; A = Z + N", "N = A - Z", "neutrons",
                "A + Z; Z + 0; A + 0; N + 1; N - 1; N + Z"),
        _choice("An ion has {Z} protons and a charge of +{q}. How many electrons has it?|An atom with {Z} electrons loses {q} "
                "of them. How many electrons "
                "has the ion?", "Z 11 92; q 1 4", "e = Z - q", "electrons", "Z + q; Z + 0; q + 0; e - q; Z + q + q; e - 1"),
        _choice("A neutral atom has {e} electrons and {N} neutrons. What is its mass number?", "e 5 80; x 0 60; N = e + x",
                "A = e + N", "nucleons",
                "e + 0; N + 0; N - e; A + e; A + 1; A - 1"),
        _choice("A cell divides every {t} minutes. How many minutes do {n} divisions take?", "t 15 60; n 3 12", "T = t * n",
                "minutes",
                "t + n; t * n / 2; t * n * 2; T + t; T - t"),
    ),
    (
        _choice("A solution has {m} g of salt in {M} g of solution. What is the share of salt by mass?",
                "p 1 40; M 100 900 50; m = M * p / 100",
                "x = m * 100; p = x / M", "%", "p * 2; p * 10; p + 10; m + 0; M / m; p / 10"),
        _choice("{V} L of a solution of {c} mol/L hold how much substance?|How much substance is in {V} L of a {c} mol/L "
                "solution?", "c 0.5 8 0.5; V 2 30",
                "n = c * V", "mol", "c / V; V / c; c + V; c * V / 2; c * V * 2; V - c; c * V * 10"),
        _choice("A sample of {m} g of a substance has the molar mass {M} g/mol. What is the amount of substance?",
                "n 2 20; M 12 98; m = n * M", "n = m / M",
                "mol", "m * M; m - M; n * 2; n * 10; m + M; n + 1"),
        _choice("A stack of {n} lenses of {D} dioptres each acts like one lens. What is its power?|{n} thin lenses of {D} "
                "dioptres each touch. What is the power "
                "of all together?", "n 2 12; D 1.5 30 0.5", "P = n * D", "dioptres",
                "D / n; D + n; D * 1; n * D * 2; n * D / 2; n * D * 10"),
    ),
    (
        _choice("Of {N} plants, {p}% carry a gene, and {q}% of those show it. How many show it?|In a herd of {N}, {p}% carry a "
                "virus, and {q}% of those are ill. "
                "How many are ill?", "N 200 4000 200; p 10 90 10; q 10 90 10", "x = N * p / 100; y = x * q / 100",
                "individuals",
                "N * p / 100; N * q / 100; y * 2; x - y; N - x; N - y; y * 10"),
        _choice("{m1} g of a {c1}% solution and {m2} g of a {c2}% solution are mixed. What is the concentration of the "
                "mixture?",
                "m1 50 400 50; c1 2 40 2; m2 50 400 50; c2 2 40 2", "x = m1 * c1 + m2 * c2; m = m1 + m2; c = x / m", "%",
                "c1 + c2; c1 / 2 + c2 / 2; c * 2; c1 + 0; c2 + 0; x / m1; x / m2"),
        _choice("Bacteria double every {t} minutes. How many are {s} of them after three doublings, in {T} minutes?",
                "s 20 900 10; t 10 60; T = t * 3",
                "n = s * 2 * 2 * 2", "bacteria", "s * 3; s * 2 * 3; s * 2; s * 2 * 2; s + T; s * 3 * 3; s * 2 * 2 * 2 * 2"),
        _choice("A microscope has an objective of {a} times and an eyepiece of {b} times. An object is {d} μm wide. How wide "
                "does it look, in mm?",
                "a 4 100 4; b 5 20 5; d 5 200 5", "M = a * b; x = M * d; w = x / 1000", "mm",
                "M + 0; x + 0; x / 100; a * d / 1000; b * d / 1000; w * 2; d / 1000"),
    ),
)  # fmt: skip


def _make(choices: Sequence[Sequence[Choice]], r: random.Random, level: int) -> Problem:
    chosen = r.choice(choices[level - 1])
    while True:
        text, values, lines = told(r, chosen.kind)
        right = values[chosen.kind.laws[-1][0]]
        wrong: list[Fraction] = []
        for mistake in r.sample(chosen.mistakes, len(chosen.mistakes)):
            try:
                first = filled(mistake, values)
                value = Fraction([first, *reduced(first)[0]][-1])
            except (ArithmeticError, KeyError):
                continue
            if value > 0 and ends(value) and value not in (right, *wrong):
                wrong.append(value)
        if len(wrong) >= len(LABELS) - 1:
            break
    place = r.randrange(len(LABELS))
    options = wrong[: len(LABELS) - 1]
    options.insert(place, right)
    choices_shown = [f"{decimal(o)} {chosen.kind.unit}" for o in options]
    question = "\n".join(
        [text, *(f"{label}) {option}" for label, option in zip(LABELS, choices_shown, strict=True)), "Answer with the letter."]
    )
    lines.append(f"{choices_shown[place]} is option {LABELS[place]}.")
    return problem(question, LABELS[place], lines, "choice", choices=choices_shown, labels=list(LABELS))


def make_choice_physics(r: random.Random, level: int) -> Problem:
    """One law; laws with squares and halves, or two; laws in which much can go wrong."""
    return _make(_PHYSICS, r, level)


def make_choice_science(r: random.Random, level: int) -> Problem:
    """Atoms and cells; solutions and lenses; shares of shares, mixtures, growth."""
    return _make(_SCIENCE, r, level)
