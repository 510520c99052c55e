"""Problems solved by laws of physics: motion, circuits, density, energy.

Place: `science_families.py` lists the families; `science_choice.py` draws its problems with the same `Kind`. A kind is data: a
text, how its numbers are drawn, and the laws that lead to the answer, applied in order. The worked solution states each law,
the law with its numbers, and one operation after the other.
"""

from __future__ import annotations

import operator
import random
import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

from sixfold.core import Problem
from sixfold.tasks.written import decimal, problem, work

_MOVERS = "car train cyclist bus truck tram boat runner scooter sledge robot drone".split()
_STUFF = "stone metal wood plastic glass clay resin wax alloy rubber".split()
_DEVICES = "lamp heater motor kettle oven fan pump toaster iron dryer".split()
_WORDS = {"who": _MOVERS, "stuff": _STUFF, "device": _DEVICES}
EXACT = 0.0001
"""Relative tolerance of answers: they end after two decimals at most, so nobody has to round, and a slip of one is wrong."""
_OPERATIONS: Mapping[str, Callable[[Fraction, Fraction], Fraction]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


class Kind(NamedTuple):
    """`texts` are alternatives. `draws`: (name, lowest, highest, step) or (name, formula). `laws`: (name, formula); the last
    gives the answer, in `unit`."""

    texts: tuple[str, ...]
    draws: tuple[tuple[str, ...], ...]
    laws: tuple[tuple[str, str], ...]
    unit: str


def kind(texts: str, draws: str, laws: str, unit: str) -> Kind:
    """A kind out of strings: "text|text", "v 3 40; t 2 20 2; d = v * t", "v = d / t; ..."."""
    drawn = []
    for part in draws.split("; "):
        name, *rest = part.split(" ")
        drawn.append((name, " ".join(rest[1:])) if rest[0] == "=" else (name, *rest, *["1"][: 3 - len(rest)]))
    if "{g}" in texts:
        drawn.append(("g", "10", "10", "1"))
    named = [law.split(" = ") for law in laws.split("; ")]
    return Kind(tuple(texts.split("|")), tuple(drawn), tuple((n, f) for n, f in named), unit)


def ends(value: Fraction, places: int = 3) -> bool:
    """Whether a number can be written with so many decimals."""
    return bool(10**places % value.denominator == 0)


def filled(formula: str, values: Mapping[str, Fraction]) -> str:
    """A formula with numbers for its names.

    >>> filled("v0 + a * t", {"v0": Fraction(3), "a": Fraction(1, 2), "t": Fraction(4)})
    '3 + 0.5 * 4'
    """
    return re.sub(r"[A-Za-z]\w*", lambda m: decimal(values[m[0]]), formula)


def reduced(expression: str) -> tuple[list[str], list[str]]:
    """The steps from sums of products to one number, each of which does the first product of every term; and the lines of the
    arithmetic, where any of it has to be written out.

    >>> reduced("5 * 4 + 3")
    (['20 + 3', '23'], ['5 * 4 = 20', '20 + 3: 0 + 3 = 3, write 3; 2 + 0 = 2. So 23.'])
    >>> reduced("3 * 2")
    (['6'], [])
    """
    steps: list[str] = []
    papers: list[str] = []
    hard: list[bool] = []

    def done(a: str, sign: str, b: str) -> str:
        value = _OPERATIONS[sign](Fraction(a), Fraction(b))
        if not ends(value, 4) or value < 0:
            raise ArithmeticError("a number with too many decimals, or below 0")
        lines = work(Fraction(a), sign, Fraction(b))
        papers.extend(lines)
        hard.append(": " in "".join(lines))
        return decimal(value)

    signs = re.findall(r" ([+-]) ", expression)
    terms = [term.split(" ") for term in re.split(r" [+-] ", expression)]
    while True:
        if any(len(t) > 1 for t in terms):
            terms = [[done(t[0], t[1], t[2]), *t[3:]] if len(t) > 1 else t for t in terms]
        elif signs:
            terms = [[done(terms[0][0], signs[0], terms[1][0])], *terms[2:]]
            signs = signs[1:]
        else:
            return steps, papers if any(hard) else []
        shown = " ".join(terms[0])
        for sign, term in zip(signs, terms[1:], strict=True):
            shown += f" {sign} {' '.join(term)}"
        steps.append(shown)


def draw(r: random.Random, chosen: Kind) -> dict[str, Fraction]:
    """Values for all names of a kind. Raises `ArithmeticError` where one cannot be written down."""
    values: dict[str, Fraction] = {}
    for name, *how in chosen.draws:
        if len(how) == 1:
            start = filled(how[0], values)
            values[name] = Fraction([start, *reduced(start)[0]][-1])
        else:
            low, high, step = (Fraction(n) for n in how)
            values[name] = low + step * r.randint(0, int((high - low) / step))
    return values


def applied(laws: Sequence[tuple[str, str]], values: dict[str, Fraction]) -> list[str]:
    """The lines of a solution; `values` gets what they find."""
    lines = []
    for name, formula in laws:
        first = filled(formula, values)
        steps, papers = reduced(first)
        values[name] = Fraction(steps[-1])
        if papers:
            lines += [f"{name} = {formula} = {first}", *papers, " = ".join((name, *steps))]
        else:
            lines.append(" = ".join((name, formula, first, *steps)))
    return lines


def told(r: random.Random, chosen: Kind) -> tuple[str, dict[str, Fraction], list[str]]:
    """A question of a kind, its values with those that were found, and its solution; drawn until all numbers are short."""
    while True:
        try:
            values = draw(r, chosen)
            text = r.choice(chosen.texts)
            given = sorted((n for n, *_ in chosen.draws if f"{{{n}}}" in text), key=lambda n: text.index(f"{{{n}}}"))
            known = {n: values[n] for n in given}
            given_line = f"Given: {', '.join(f'{n} = {decimal(v)}' for n, v in known.items())}."
            lines = [given_line, *applied(chosen.laws, known)]
        except ArithmeticError:
            continue
        if ends(known[chosen.laws[-1][0]], 2) and known[chosen.laws[-1][0]] > 0:
            words = {k: r.choice(v) for k, v in _WORDS.items()}
            return text.format(**words, **{n: decimal(v) for n, v in values.items()}), known, lines


def make_of(kinds: Sequence[Sequence[Kind]], r: random.Random, level: int) -> Problem:
    """A problem of one of the kinds of a level, answered with a number and its unit."""
    chosen = r.choice(kinds[level - 1])
    question, values, lines = told(r, chosen)
    answer = f"{decimal(values[chosen.laws[-1][0]])} {chosen.unit}"
    return problem(question, answer, lines, "quantity", unit=chosen.unit, tolerance=EXACT)


_MOTION = (
    (
        kind("A {who} covers {d} m in {t} s at constant speed. What is its speed in m/s?|In {t} s a {who} moves {d} m. How "
             "fast is it, in m/s?",
             "v 2 40; t 2 30; d = v * t", "v = d / t", "m/s"),
        kind("A {who} moves at {v} m/s for {t} s. How many metres does it cover?|How far does a {who} get in {t} s at {v} m/s, "
             "in metres?",
             "v 2 40; t 2 30", "d = v * t", "m"),
        kind("A {who} moves at {v} m/s. How many seconds does it need for {d} m?|How long does a {who} take for {d} m at {v} "
             "m/s, in seconds?",
             "v 2 40; t 2 30; d = v * t", "t = d / v", "s"),
        kind("A {who} at {v0} m/s speeds up by {a} m/s^2 for {t} s. How fast is it then, in m/s?", "v0 1 20; a 1 6; t 2 12",
             "v = v0 + a * t", "m/s"),
    ),
    (
        kind("A {who} at {v0} m/s speeds up by {a} m/s^2 for {t} s. How many metres does it cover in that time?",
             "v0 2 20; a 1 8; t 2 10",
             "d = v0 * t + a * t * t / 2", "m"),
        kind("A {who} at {v} m/s brakes with {a} m/s^2 until it stands. How many metres does it need?|How long, in metres, is "
             "the way of a {who} "
             "that brakes from {v} m/s with {a} m/s^2 to a stop?", "v 4 40 2; a 1 8", "d = v * v / 2 / a", "m"),
        kind("A {who} covers {d1} m in {t1} s and then {d2} m in {t2} s. What is its mean speed in m/s?",
             "d1 20 300 10; t1 4 30; d2 20 300 10; t2 4 30", "d = d1 + d2; t = t1 + t2; v = d / t", "m/s"),
        kind("The speed of a {who} changes from {v0} m/s to {v} m/s in {t} s. What is its acceleration in m/s^2?",
             "v0 1 20; x 2 9; t 2 12; y = x * t; v = v0 + y", "dv = v - v0; a = dv / t", "m/s^2"),
    ),
    (
        kind("Two walkers {d} m apart go towards each other at {v1} m/s and {v2} m/s. After how many seconds do they meet?",
             "v1 1 9; v2 1 9; t 4 60; x = v1 + v2; d = x * t", "v = v1 + v2; t = d / v", "s"),
        kind("A {who} at {v1} m/s follows another one at {v2} m/s that is {d} m ahead. How many metres does it go until it "
             "catches up?",
             "v2 2 20; x 1 10; v1 = v2 + x; t 3 40; d = x * t", "dv = v1 - v2; t = d / dv; s = v1 * t", "m"),
        kind("A {who} at rest speeds up by {a} m/s^2 for {t1} s and then keeps its speed for {t2} s. How many metres does it "
             "cover in all?",
             "a 1 6; t1 2 12; t2 3 40", "v = a * t1; d1 = v * t1 / 2; d2 = v * t2; d = d1 + d2", "m"),
        kind("The driver of a {who} at {v} m/s reacts after {t} s and then brakes with {a} m/s^2. How many metres does it take "
             "to stop?",
             "v 6 40 2; t 0.5 2 0.1; a 2 8", "d1 = v * t; d2 = v * v / 2 / a; d = d1 + d2", "m"),
    ),
)  # fmt: skip
_CIRCUITS = (
    (
        kind("A current of {I} A flows through a {device} of {R} ohm. What is the voltage in volts?|What voltage, in volts, "
             "drives {I} A through a "
             "resistance of {R} ohm?", "I 2 15; R 2 60", "U = R * I", "V"),
        kind("A {device} of {R} ohm is connected to {U} V. What current flows, in amperes?|Which current, in amperes, flows "
             "through {R} ohm at {U} V?",
             "I 2 15; R 2 60; U = R * I", "I = U / R", "A"),
        kind("At {U} V a current of {I} A flows through a {device}. What is its resistance in ohms?",
             "I 2 15; R 2 60; U = R * I", "R = U / I", "ohm"),
        kind("A {device} takes {I} A at {U} V. What is its power in watts?|How many watts does a {device} use that runs on {U} "
             "V and {I} A?",
             "I 2 15; U 3 60", "P = U * I", "W"),
    ),
    (
        kind("Resistors of {R1} ohm and {R2} ohm are in series at {U} V. What current flows, in amperes?",
             "R1 2 40; R2 2 40; I 2 9; x = R1 + R2; U = x * I", "R = R1 + R2; I = U / R", "A"),
        kind("Resistors of {R1} ohm and {R2} ohm are connected in parallel. What is the resistance of both together, in "
             "ohms?|What is the total "
             "resistance, in ohms, of {R1} ohm parallel to {R2} ohm?", "p 1 6; q 1 6; k 1 20; s = p + q; R1 = k * p * s; R2 = "
             "k * q * s",
             "x = R1 * R2; y = R1 + R2; R = x / y", "ohm"),
        kind("A current of {I} A flows through a {device} of {R} ohm. How many watts does it use?", "I 2 12; R 3 60",
             "P = I * I * R", "W"),
        kind("A {device} of {P} W runs for {t} hours. How much energy does it use, in kWh?", "P 100 2500 50; t 2 12",
             "E = P * t / 1000", "kWh"),
    ),
    (
        kind("A resistor of {R0} ohm is in series with a pair in parallel, {R1} ohm and {R2} ohm. All are connected to {U} V. "
             "What current flows in "
             "all, in amperes?", "p 1 5; q 1 5; k 1 6; s = p + q; R1 = k * p * s; R2 = k * q * s; R0 2 30; z = k * p * q; T = "
             "R0 + z; I 2 9; U = T * I",
             "x = R1 * R2; y = R1 + R2; Rp = x / y; R = R0 + Rp; I = U / R", "A"),
        kind("Resistors of {R1} ohm and {R2} ohm are in series at {U} V. What is the voltage across the first, in volts?",
             "R1 2 40; R2 2 40; I 2 9; x = R1 + R2; U = x * I", "R = R1 + R2; I = U / R; U1 = I * R1", "V"),
        kind("Resistors of {R1} ohm and {R2} ohm are in series at {U} V. What power do they use together, in watts?",
             "R1 2 40; R2 2 40; I 2 9; x = R1 + R2; U = x * I", "R = R1 + R2; I = U / R; P = U * I", "W"),
        kind("A {device} takes {I} A at {U} V for {t} hours a day. How many kWh is that in {n} days?",
             "I 1 10; U 110 230 10; t 2 10; n 5 60 5",
             "P = U * I; E1 = P * t / 1000; E = E1 * n", "kWh"),
    ),
)  # fmt: skip
_DENSITY = (
    (
        kind("A piece of {stuff} has {m} g and {V} cm^3. What is its density in g/cm^3?|{V} cm^3 of {stuff} weigh {m} g. What "
             "is the density in g/cm^3?",
             "r 2 19; V 3 60; m = r * V", "r = m / V", "g/cm^3"),
        kind("The density of a {stuff} is {r} g/cm^3. What is the mass of {V} cm^3 of it, in grams?", "r 2 19; V 3 60",
             "m = r * V", "g"),
        kind("The density of a {stuff} is {r} g/cm^3. How many cm^3 are {m} g of it?", "r 2 19; V 3 60; m = r * V", "V = m / r",
             "cm^3"),
    ),
    (
        kind("A block of {stuff} is {a} cm long, {b} cm wide and {c} cm high. Its density is {r} g/cm^3. What is its mass in "
             "grams?",
             "a 2 15; b 2 12; c 2 9; r 0.5 9 0.5", "V = a * b * c; m = r * V", "g"),
        kind("A block of {stuff} is {a} cm long, {b} cm wide and {c} cm high, and its mass is {m} g. What is its density in "
             "g/cm^3?",
             "a 2 15; b 2 12; c 2 9; r 0.5 9 0.5; m = a * b * c * r", "V = a * b * c; r = m / V", "g/cm^3"),
        kind("A piece of {stuff} of {m} g is put into water, which rises from {V1} mL to {V2} mL. What is its density in g/mL?",
             "V1 20 200 5; V 4 50; V2 = V1 + V; r 1.5 12 0.5; m = r * V", "V = V2 - V1; r = m / V", "g/mL"),
    ),
    (
        kind("{V1} mL of a liquid with {r1} g/mL and {V2} mL of one with {r2} g/mL are mixed. What is the density of the "
             "mixture in g/mL, if the "
             "volumes add up?", "V1 10 200 10; V2 10 200 10; r1 0.7 2 0.1; r2 0.7 2 0.1",
             "m1 = r1 * V1; m2 = r2 * V2; m = m1 + m2; V = V1 + V2; r = m / V", "g/mL"),
        kind("A bottle has {m0} g empty and {m1} g when {V} mL of a liquid are in it. What is the density of the liquid in "
             "g/mL?",
             "m0 40 300 5; V 20 500 10; r 0.7 2 0.1; x = r * V; m1 = m0 + x", "m = m1 - m0; r = m / V", "g/mL"),
        kind("A hollow cube of {stuff} is {a} cm wide outside and {b} cm inside. The density is {r} g/cm^3. What is its mass "
             "in grams?",
             "b 2 9; x 1 6; a = b + x; r 0.5 9 0.5", "V1 = a * a * a; V2 = b * b * b; V = V1 - V2; m = r * V", "g"),
    ),
)  # fmt: skip
_ENERGY = (
    (
        kind("A weight of {m} kg is lifted by {h} m. How many joules does that take? Use g = {g} m/s^2.|What is the potential "
             "energy, in joules, of {m} kg "
             "at a height of {h} m? Use g = {g} m/s^2.", "m 2 60; h 2 40", "E = m * g * h", "J"),
        kind("A {device} of {P} W runs for {t} s. How much energy does it use, in joules?", "P 20 900 10; t 2 30", "E = P * t",
             "J"),
        kind("A {who} is pulled with {F} N over {s} m. How much work is done, in joules?", "F 3 90; s 2 30", "W = F * s", "J"),
        kind("A {device} uses {E} J in {t} s. What is its power in watts?", "P 5 90; t 2 30; E = P * t", "P = E / t", "W"),
    ),
    (
        kind("A {who} of {m} kg moves at {v} m/s. What is its kinetic energy in joules?", "m 2 90 2; v 2 20",
             "E = m * v * v / 2", "J"),
        kind("{m} kg of water are heated from {T1} °C to {T2} °C. How much heat is needed, in kJ? Use c = {c} kJ/(kg K).",
             "m 1 20; T1 5 40; x 5 55 5; T2 = T1 + x; c 4.2 4.2", "dT = T2 - T1; Q = m * c * dT", "kJ"),
        kind("A {device} takes {E} J and gives {n}% of it as useful energy. How many joules are useful?",
             "E 200 9000 100; n 10 95 5", "U = E * n / 100", "J"),
        kind("How many watts does it take to lift {m} kg by {h} m in {t} s? Use g = {g} m/s^2.", "m 10 90 2; h 2 20; t 2 10",
             "E = m * g * h; P = E / t", "W"),
    ),
    (
        kind("{m1} kg of water at {T1} °C and {m2} kg of water at {T2} °C are mixed. What temperature, in °C, do they reach, "
             "if no heat is lost?",
             "m1 1 12; m2 1 12; T1 5 40; T2 41 95", "x = m1 * T1 + m2 * T2; m = m1 + m2; T = x / m", "°C"),
        kind("How many seconds does a heater of {P} kW need to warm {m} kg of water from {T1} °C to {T2} °C? Use c = {c} "
             "kJ/(kg K).",
             "m 1 20; T1 5 40; x 5 55 5; T2 = T1 + x; c 4.2 4.2; P 1 7", "dT = T2 - T1; Q = m * c * dT; t = Q / P", "s"),
        kind("A {device} takes {P} W for {t} s, and {n}% of that lifts {m} kg. How many metres high? Use g = {g} m/s^2.",
             "P 50 900 50; t 2 60 2; n 20 90 10; m 2 50", "E = P * t; U = E * n / 100; F = m * g; h = U / F", "m"),
        kind("A {who} of {m} kg slides down from {h} m and is braked by {F} N on level ground. After how many metres does it "
             "stop? Use g = {g} m/s^2.",
             "m 5 90; h 2 20; F 20 400 10", "E = m * g * h; s = E / F", "m"),
    ),
)  # fmt: skip


def make_kinematics(r: random.Random, level: int) -> Problem:
    """Constant speed; acceleration, braking, mean speed; two movers, and motions in two parts."""
    return make_of(_MOTION, r, level)


def make_ohm(r: random.Random, level: int) -> Problem:
    """One resistor; two in series or parallel; both at once, and what is used in days."""
    return make_of(_CIRCUITS, r, level)


def make_density(r: random.Random, level: int) -> Problem:
    """Mass and volume; volumes that are to be found first; mixtures and hollow things."""
    return make_of(_DENSITY, r, level)


def make_energy(r: random.Random, level: int) -> Problem:
    """Work and power; kinetic energy and heat; chains of both."""
    return make_of(_ENERGY, r, level)
