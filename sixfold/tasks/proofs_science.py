"""Proofs of the problems that laws of physics solve: every text read with a pattern of its own, every answer one formula.

Place: `science_families.py` hands them on. A reading names the numbers of a text and gives the answer as a formula of them, and
the laws that a solution may state, in their order. Nothing of the generators is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Steps, must, proof
from sixfold.tasks.proofs_written import number, paper, true_equation, value

Reading = tuple[str, str, str, str]
"""A pattern with <names>, the formula of the answer, the laws, the unit."""

_MOTION: tuple[Reading, ...] = (
    ("A <word> covers <d> m in <t> s at constant speed. What is its speed in m/s?", "d / t", "v = d / t", "m/s"),
    ("In <t> s a <word> moves <d> m. How fast is it, in m/s?", "d / t", "v = d / t", "m/s"),
    ("A <word> moves at <v> m/s for <t> s. How many metres does it cover?", "t * v", "d = v * t", "m"),
    ("How far does a <word> get in <t> s at <v> m/s, in metres?", "t * v", "d = v * t", "m"),
    ("A <word> moves at <v> m/s. How many seconds does it need for <d> m?", "d / v", "t = d / v", "s"),
    ("How long does a <word> take for <d> m at <v> m/s, in seconds?", "d / v", "t = d / v", "s"),
    ("A <word> at <v0> m/s speeds up by <a> m/s^2 for <t> s. How fast is it then, in m/s?", "a * t + v0", "v = v0 + a * t",
     "m/s"),
    ("A <word> at <v0> m/s speeds up by <a> m/s^2 for <t> s. How many metres does it cover in that time?",
     "t * (v0 + v0 + a * t) / 2", "d = v0 * t + a * t * t / 2", "m"),
    ("A <word> at <v> m/s brakes with <a> m/s^2 until it stands. How many metres does it need?", "v ** 2 / (2 * a)",
     "d = v * v / 2 / a", "m"),
    ("How long, in metres, is the way of a <word> that brakes from <v> m/s with <a> m/s^2 to a stop?", "v ** 2 / (2 * a)",
     "d = v * v / 2 / a", "m"),
    ("A <word> covers <d1> m in <t1> s and then <d2> m in <t2> s. What is its mean speed in m/s?", "(d1 + d2) / (t1 + t2)",
     "d = d1 + d2; t = t1 + t2; v = d / t", "m/s"),
    ("The speed of a <word> changes from <v0> m/s to <v> m/s in <t> s. What is its acceleration in m/s^2?", "(v - v0) / t",
     "dv = v - v0; a = dv / t", "m/s^2"),
    ("Two walkers <d> m apart go towards each other at <v1> m/s and <v2> m/s. After how many seconds do they meet?",
     "d / (v1 + v2)", "v = v1 + v2; t = d / v", "s"),
    ("A <word> at <v1> m/s follows another one at <v2> m/s that is <d> m ahead. How many metres does it go until it catches "
     "up?",
     "v1 * d / (v1 - v2)", "dv = v1 - v2; t = d / dv; s = v1 * t", "m"),
    ("A <word> at rest speeds up by <a> m/s^2 for <t1> s and then keeps its speed for <t2> s. How many metres does it cover in "
     "all?", "a * t1 ** 2 / 2 + a * t1 * t2", "v = a * t1; d1 = v * t1 / 2; d2 = v * t2; d = d1 + d2", "m"),
    ("The driver of a <word> at <v> m/s reacts after <t> s and then brakes with <a> m/s^2. How many metres does it take to "
     "stop?",
     "v * t + v ** 2 / (2 * a)", "d1 = v * t; d2 = v * v / 2 / a; d = d1 + d2", "m"),
)  # fmt: skip
_CIRCUITS: tuple[Reading, ...] = (
    ("A current of <I> A flows through a <word> of <R> ohm. What is the voltage in volts?", "I * R", "U = R * I", "V"),
    ("What voltage, in volts, drives <I> A through a resistance of <R> ohm?", "I * R", "U = R * I", "V"),
    ("A <word> of <R> ohm is connected to <U> V. What current flows, in amperes?", "U / R", "I = U / R", "A"),
    ("Which current, in amperes, flows through <R> ohm at <U> V?", "U / R", "I = U / R", "A"),
    ("At <U> V a current of <I> A flows through a <word>. What is its resistance in ohms?", "U / I", "R = U / I", "ohm"),
    ("A <word> takes <I> A at <U> V. What is its power in watts?", "I * U", "P = U * I", "W"),
    ("How many watts does a <word> use that runs on <U> V and <I> A?", "I * U", "P = U * I", "W"),
    ("Resistors of <R1> ohm and <R2> ohm are in series at <U> V. What current flows, in amperes?", "U / (R1 + R2)",
     "R = R1 + R2; I = U / R", "A"),
    ("Resistors of <R1> ohm and <R2> ohm are connected in parallel. What is the resistance of both together, in ohms?",
     "1 / (1 / R1 + 1 / R2)", "x = R1 * R2; y = R1 + R2; R = x / y", "ohm"),
    ("What is the total resistance, in ohms, of <R1> ohm parallel to <R2> ohm?", "1 / (1 / R1 + 1 / R2)",
     "x = R1 * R2; y = R1 + R2; R = x / y", "ohm"),
    ("A current of <I> A flows through a <word> of <R> ohm. How many watts does it use?", "R * I ** 2", "P = I * I * R", "W"),
    ("A <word> of <P> W runs for <t> hours. How much energy does it use, in kWh?", "P / 1000 * t", "E = P * t / 1000", "kWh"),
    ("A resistor of <R0> ohm is in series with a pair in parallel, <R1> ohm and <R2> ohm. All are connected to <U> V. What "
     "current flows in all, in amperes?", "U / (R0 + 1 / (1 / R1 + 1 / R2))",
     "x = R1 * R2; y = R1 + R2; Rp = x / y; R = R0 + Rp; I = U / R", "A"),
    ("Resistors of <R1> ohm and <R2> ohm are in series at <U> V. What is the voltage across the first, in volts?",
     "U * R1 / (R1 + R2)", "R = R1 + R2; I = U / R; U1 = I * R1", "V"),
    ("Resistors of <R1> ohm and <R2> ohm are in series at <U> V. What power do they use together, in watts?",
     "U ** 2 / (R1 + R2)", "R = R1 + R2; I = U / R; P = U * I", "W"),
    ("A <word> takes <I> A at <U> V for <t> hours a day. How many kWh is that in <n> days?", "U * I * t * n / 1000",
     "P = U * I; E1 = P * t / 1000; E = E1 * n", "kWh"),
)  # fmt: skip
_DENSITY: tuple[Reading, ...] = (
    ("A piece of <word> has <m> g and <V> cm^3. What is its density in g/cm^3?", "m / V", "r = m / V", "g/cm^3"),
    ("<V> cm^3 of <word> weigh <m> g. What is the density in g/cm^3?", "m / V", "r = m / V", "g/cm^3"),
    ("The density of a <word> is <r> g/cm^3. What is the mass of <V> cm^3 of it, in grams?", "V * r", "m = r * V", "g"),
    ("The density of a <word> is <r> g/cm^3. How many cm^3 are <m> g of it?", "m / r", "V = m / r", "cm^3"),
    ("A block of <word> is <a> cm long, <b> cm wide and <c> cm high. Its density is <r> g/cm^3. What is its mass in grams?",
     "r * a * b * c", "V = a * b * c; m = r * V", "g"),
    ("A block of <word> is <a> cm long, <b> cm wide and <c> cm high, and its mass is <m> g. What is its density in g/cm^3?",
     "m / (a * b * c)", "V = a * b * c; r = m / V", "g/cm^3"),
    ("A piece of <word> of <m> g is put into water, which rises from <V1> mL to <V2> mL. What is its density in g/mL?",
     "m / (V2 - V1)", "V = V2 - V1; r = m / V", "g/mL"),
    ("<V1> mL of a liquid with <r1> g/mL and <V2> mL of one with <r2> g/mL are mixed. What is the density of the mixture in "
     "g/mL, if the volumes add up?", "(V1 * r1 + V2 * r2) / (V1 + V2)",
     "m1 = r1 * V1; m2 = r2 * V2; m = m1 + m2; V = V1 + V2; r = m / V", "g/mL"),
    ("A bottle has <m0> g empty and <m1> g when <V> mL of a liquid are in it. What is the density of the liquid in g/mL?",
     "(m1 - m0) / V", "m = m1 - m0; r = m / V", "g/mL"),
    ("A hollow cube of <word> is <a> cm wide outside and <b> cm inside. The density is <r> g/cm^3. What is its mass in grams?",
     "r * (a ** 3 - b ** 3)", "V1 = a * a * a; V2 = b * b * b; V = V1 - V2; m = r * V", "g"),
)  # fmt: skip
_ENERGY: tuple[Reading, ...] = (
    ("A weight of <m> kg is lifted by <h> m. How many joules does that take? Use g = <g> m/s^2.", "h * m * g", "E = m * g * h",
     "J"),
    ("What is the potential energy, in joules, of <m> kg at a height of <h> m? Use g = <g> m/s^2.", "h * m * g",
     "E = m * g * h",
     "J"),
    ("A <word> of <P> W runs for <t> s. How much energy does it use, in joules?", "t * P", "E = P * t", "J"),
    ("A <word> is pulled with <F> N over <s> m. How much work is done, in joules?", "s * F", "W = F * s", "J"),
    ("A <word> uses <E> J in <t> s. What is its power in watts?", "E / t", "P = E / t", "W"),
    ("A <word> of <m> kg moves at <v> m/s. What is its kinetic energy in joules?", "m / 2 * v ** 2", "E = m * v * v / 2", "J"),
    ("<m> kg of water are heated from <T1> °C to <T2> °C. How much heat is needed, in kJ? Use c = <c> kJ/(kg K).",
     "c * m * (T2 - T1)", "dT = T2 - T1; Q = m * c * dT", "kJ"),
    ("A <word> takes <E> J and gives <n>% of it as useful energy. How many joules are useful?", "n / 100 * E",
     "U = E * n / 100",
     "J"),
    ("How many watts does it take to lift <m> kg by <h> m in <t> s? Use g = <g> m/s^2.", "m * h * g / t",
     "E = m * g * h; P = E / t", "W"),
    ("<m1> kg of water at <T1> °C and <m2> kg of water at <T2> °C are mixed. What temperature, in °C, do they reach, if no "
     "heat "
     "is lost?", "T1 + m2 * (T2 - T1) / (m1 + m2)", "x = m1 * T1 + m2 * T2; m = m1 + m2; T = x / m", "°C"),
    ("How many seconds does a heater of <P> kW need to warm <m> kg of water from <T1> °C to <T2> °C? Use c = <c> kJ/(kg K).",
     "c * m * (T2 - T1) / P", "dT = T2 - T1; Q = m * c * dT; t = Q / P", "s"),
    ("A <word> takes <P> W for <t> s, and <n>% of that lifts <m> kg. How many metres high? Use g = <g> m/s^2.",
     "P * t * n / 100 / (m * g)", "E = P * t; U = E * n / 100; F = m * g; h = U / F", "m"),
    ("A <word> of <m> kg slides down from <h> m and is braked by <F> N on level ground. After how many metres does it stop? "
     "Use g = <g> m/s^2.", "m * g * h / F", "E = m * g * h; s = E / F", "m"),
)  # fmt: skip


def read_numbers(pattern: str, text: str) -> dict[str, Fraction] | None:
    """The numbers of a text by their names, in the order of the text, where all of it fits the pattern.

    >>> read_numbers("A <word> covers <d> m.", "A car covers 2.5 m.")
    {'d': Fraction(5, 2)}
    """
    parts = re.split(r"(<\w+>)", pattern)
    shown = "".join(
        "[a-z]+" if p == "<word>" else rf"(?P<{p[1:-1]}>\d+(?:\.\d+)?)" if p.startswith("<") else re.escape(p) for p in parts
    )
    m = re.fullmatch(shown, text)
    return {name: number(n) for name, n in m.groupdict().items()} if m else None


def put_in(formula: str, known: Mapping[str, Fraction]) -> str:
    """A formula with exact numbers in brackets for its names."""
    return re.sub(r"[A-Za-z]\w*", lambda m: f"({known[m[0]]})", formula)


def take_laws(steps: Steps, laws: str, known: dict[str, Fraction]) -> Fraction:
    """Reads what is given and the lines that apply laws, in their order; gives the last result."""
    given = steps.take(r"Given: (.+)\.")[1]
    named = [part.split(" = ") for part in given.split(", ")]
    must([(n, number(x)) for n, x in named] == list(known.items()), f"other numbers are given: {given!r}")
    last = Fraction(0)
    for law in laws.split("; "):
        name, formula = law.split(" = ")
        line = steps.take(rf"{name} = {re.escape(formula)} = (.+)")[1]
        _must_be_filled(line.split(" = ")[0], formula, known)
        if " = " not in line:
            first = line
            while not (m := steps.maybe(rf"{name} = (.+)")):
                _take_paper(steps)
            line = f"{first} = {m[1]}"
        true_equation(line)
        last = known[name] = number(line.split(" = ")[-1])
        must(value(put_in(formula, known)) == last, f"the law {law!r} does not hold")
    return last


def _must_be_filled(text: str, formula: str, known: Mapping[str, Fraction]) -> None:
    """`text` has to be the formula with its numbers."""
    names, numbers = (re.split(r" [-+*/] ", side) for side in (formula, text))
    must(re.findall(r" ([-+*/]) ", formula) == re.findall(r" ([-+*/]) ", text), f"another formula: {text!r}")
    must(len(names) == len(numbers), f"another formula: {text!r}")
    for name, shown in zip(names, numbers, strict=True):
        must(number(shown) == (known[name] if name in known else Fraction(name)), f"{shown} is not {name}")


def _take_paper(steps: Steps) -> None:
    line = steps.take(r"[\d.]+ [-+*/] [\d.]+(?: =|:) .+")[0]
    if ":" in line:
        paper(line)
    else:
        true_equation(line)


def _lawful(readings: Sequence[Reading]) -> Callable[[Problem, Steps], None]:
    def check(problem: Problem, steps: Steps) -> None:
        found = [(known, r) for r in readings if (known := read_numbers(r[0], problem.question)) is not None]
        must(len(found) == 1, f"{len(found)} readings")
        known, (_, formula, laws, unit) = found[0]
        right = value(put_in(formula, known))
        got = take_laws(steps, laws, dict(known))
        must(got == right, f"the laws give {got}, the formula {right}")
        shown, _, said = (problem.answer or "").partition(" ")
        must(number(shown) == right and said == unit, f"the answer is {right} {unit}")
        must((problem.meta["unit"], problem.meta["tolerance"]) == (unit, 0.0001), "meta differs")

    return check


prove_kinematics = proof(_lawful(_MOTION))
prove_ohm = proof(_lawful(_CIRCUITS))
prove_density = proof(_lawful(_DENSITY))
prove_energy = proof(_lawful(_ENERGY))
