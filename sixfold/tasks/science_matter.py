"""Problems about units, amounts of substance, decay and acids.

Place: `science_families.py` lists the families. Atomic masses are whole and stand in the question; units, half-lives and powers
of ten are chosen so that answers are short.
"""

from __future__ import annotations

import random
import re
from fractions import Fraction
from typing import NamedTuple

from sixfold.core import Problem
from sixfold.tasks.science_laws import EXACT, ends
from sixfold.tasks.written import decimal, problem, work


class Conversion(NamedTuple):
    """From one unit to another: operations one after the other, why, and which values are asked."""

    source: str
    target: str
    operations: str
    facts: str
    values: tuple[str, str, str]


def _conversion(line: str) -> Conversion:
    source, target, operations, facts, values = line.split(" | ")
    low, high, step = values.split()
    return Conversion(source, target, operations, facts, (low, high, step))


_CONVERSIONS = tuple(
    tuple(_conversion(line) for line in lines.strip().splitlines())
    for lines in (
        """
km | m | * 1000 | 1 km = 1000 m | 0.1 40 0.1
m | km | / 1000 | 1 km = 1000 m | 50 9000 50
m | cm | * 100 | 1 m = 100 cm | 0.05 20 0.05
cm | m | / 100 | 1 m = 100 cm | 5 900 5
cm | mm | * 10 | 1 cm = 10 mm | 0.1 40 0.1
mm | cm | / 10 | 1 cm = 10 mm | 1 600 1
kg | g | * 1000 | 1 kg = 1000 g | 0.1 40 0.1
g | kg | / 1000 | 1 kg = 1000 g | 50 9000 50
g | mg | * 1000 | 1 g = 1000 mg | 0.1 40 0.1
L | mL | * 1000 | 1 L = 1000 mL | 0.1 40 0.1
mL | L | / 1000 | 1 L = 1000 mL | 50 9000 50
h | min | * 60 | 1 h = 60 min | 2 99 1
min | s | * 60 | 1 min = 60 s | 2 99 1
min | h | / 60 | 1 h = 60 min | 30 1800 30
""",
        """
km/h | m/s | * 1000 / 3600 | 1 km = 1000 m, 1 h = 3600 s | 9 720 9
m/s | km/h | * 3600 / 1000 | 1 h = 3600 s, 1 km = 1000 m | 1 200 1
h | s | * 60 * 60 | 1 h = 60 min, 1 min = 60 s | 2 60 1
days | min | * 24 * 60 | 1 day = 24 h, 1 h = 60 min | 2 60 1
weeks | h | * 7 * 24 | 1 week = 7 days, 1 day = 24 h | 2 80 1
km | cm | * 1000 * 100 | 1 km = 1000 m, 1 m = 100 cm | 0.1 30 0.1
kg | mg | * 1000 * 1000 | 1 kg = 1000 g, 1 g = 1000 mg | 0.01 3 0.01
m^2 | cm^2 | * 100 * 100 | 1 m = 100 cm, squared | 0.1 30 0.1
cm^2 | m^2 | / 100 / 100 | 1 m = 100 cm, squared | 50 9000 50
km^2 | ha | * 100 | 1 km^2 = 100 ha | 0.1 30 0.1
m^3 | L | * 1000 | 1 m^3 = 1000 L | 0.1 30 0.1
cm^3 | L | / 1000 | 1 L = 1000 cm^3 | 50 9000 50
""",
        """
g/cm^3 | kg/m^3 | * 1000000 / 1000 | 1 m^3 = 1000000 cm^3, 1 kg = 1000 g | 0.1 20 0.1
kWh | kJ | * 1000 * 3600 / 1000 | 1 kWh = 1000 W times 3600 s, 1 kJ = 1000 J | 0.5 60 0.5
L/min | m^3/h | * 60 / 1000 | 1 h = 60 min, 1 m^3 = 1000 L | 5 900 5
m^3/h | L/s | * 1000 / 3600 | 1 m^3 = 1000 L, 1 h = 3600 s | 9 900 9
mL/s | L/h | * 3600 / 1000 | 1 h = 3600 s, 1 L = 1000 mL | 5 600 5
°C | °F | * 9 / 5 + 32 | F = C * 9 / 5 + 32 | 1 300 1
°F | °C | - 32 * 5 / 9 | C = (F - 32) * 5 / 9 | 41 950 9
m^3 | cm^3 | * 100 * 100 * 100 | 1 m = 100 cm, cubed | 0.01 2 0.01
km/h | cm/s | * 100000 / 3600 | 1 km = 100000 cm, 1 h = 3600 s | 9 360 9
""",
    )
)


def make_units(r: random.Random, level: int) -> Problem:
    """One factor; two factors, or squares; rates, densities, temperatures. The answer is a number alone, for with a unit of its
    own the question would be an answer."""
    while True:
        chosen = r.choice(_CONVERSIONS[level - 1])
        low, high, step = map(Fraction, chosen.values)
        value = low + step * r.randint(0, int((high - low) / step))
        ask = r.choice(
            ("How many {2} are {0} {1}?", "Convert {0} {1} to {2}.", "Express {0} {1} in {2}.", "What is {0} {1} in {2}?")
        )
        question = f"{ask.format(decimal(value), chosen.source, chosen.target)} Give just the number."
        lines = [f"{chosen.facts}."]
        operations = chosen.operations.split(" ")
        for sign, by in zip(operations[::2], operations[1::2], strict=True):
            after = {"*": value * int(by), "/": value / int(by), "+": value + int(by), "-": value - int(by)}[sign]
            if not ends(after, 5):
                break
            lines += work(value, sign, int(by))
            value = after
        else:
            return problem(question, decimal(value), lines)


_MASSES = {"H": 1, "C": 12, "N": 14, "O": 16, "Na": 23, "Mg": 24, "Al": 27, "Si": 28, "P": 31, "S": 32, "K": 39, "Ca": 40,
           "Fe": 56,
           "Cu": 64, "Zn": 65}  # fmt: skip
_COMPOUNDS = (
    "H2O CO2 NH3 CH4 O2 N2 SO2 SO3 NO2 N2O CO MgO CaO Fe2O3 Al2O3 NaOH KOH Ca(OH)2 Mg(OH)2 H2SO4 HNO3 H3PO4 CaCO3 Na2CO3 K2SO4 "
    "CuSO4 "
    "ZnO CuO SiO2 P2O5 KNO3 Mg(NO3)2 Ca(NO3)2 Na2SO4 FeS Al(OH)3 (NH4)2SO4 NH4NO3"
).split()
_REACTIONS = (
    "2 H2 + 1 O2 -> 2 H2O", "1 N2 + 3 H2 -> 2 NH3", "1 CH4 + 2 O2 -> 1 CO2 + 2 H2O", "2 Mg + 1 O2 -> 2 MgO",
    "4 Al + 3 O2 -> 2 Al2O3",
    "4 Fe + 3 O2 -> 2 Fe2O3", "1 CaCO3 -> 1 CaO + 1 CO2", "2 C2H6 + 7 O2 -> 4 CO2 + 6 H2O", "1 C3H8 + 5 O2 -> 3 CO2 + 4 H2O",
    "1 S + 1 O2 -> 1 SO2", "2 SO2 + 1 O2 -> 2 SO3", "2 CO + 1 O2 -> 2 CO2", "1 CaO + 1 H2O -> 1 Ca(OH)2",
    "2 Na + 2 H2O -> 2 NaOH + 1 H2",
    "1 C6H12O6 + 6 O2 -> 6 CO2 + 6 H2O", "1 Fe2O3 + 3 CO -> 2 Fe + 3 CO2", "2 Cu + 1 O2 -> 2 CuO",
    "1 C2H6O + 3 O2 -> 2 CO2 + 3 H2O",
)  # fmt: skip


def atoms(formula: str) -> dict[str, int]:
    """Atoms in a molecule, in the order in which they are written.

    >>> atoms("Ca(OH)2")
    {'Ca': 1, 'O': 2, 'H': 2}
    """
    flat = re.sub(
        r"\((\w+)\)(\d+)",
        lambda m: "".join(f"{e}{int(n or 1) * int(m[2])}" for e, n in re.findall(r"([A-Z][a-z]?)(\d*)", m[1])),
        formula,
    )
    found: dict[str, int] = {}
    for element, count in re.findall(r"([A-Z][a-z]?)(\d*)", flat):
        found[element] = found.get(element, 0) + int(count or 1)
    return found


def _molar(formula: str) -> tuple[int, list[str]]:
    counts = atoms(formula)
    products = " + ".join(f"{n} * {_MASSES[e]}" for e, n in counts.items())
    parts = [n * _MASSES[e] for e, n in counts.items()]
    sums = []
    while len(parts) > 1:
        sums.append(" + ".join(map(str, parts)))
        parts = [parts[0] + parts[1], *parts[2:]]
    steps = [s for s in (*sums, str(parts[0])) if s != products]
    return parts[0], [f"M({formula}) = {' = '.join([products, *steps])}"]


def _use(*formulas: str) -> str:
    elements = dict.fromkeys(e for f in formulas for e in atoms(f))
    return f"Use {', '.join(f'{e} = {_MASSES[e]}' for e in elements)}."


def _organic(r: random.Random) -> str:
    carbon = r.randint(1, 20)
    hydrogen, oxygen = 2 * r.randint(1, carbon + 1), r.randint(0, 8)
    return f"C{carbon if carbon > 1 else ''}H{hydrogen}{f'O{oxygen}' if oxygen > 1 else 'O' if oxygen else ''}"


def _long(a: Fraction, b: int) -> list[str]:
    """The lines of a product that takes more than one."""
    lines = work(a, "*", b)
    return lines if any(": " in line for line in lines) else []


def make_stoichiometry(r: random.Random, level: int) -> Problem:
    """Molar masses; masses and amounts; what a reaction gives."""
    formula = r.choice(_COMPOUNDS) if r.random() < 0.3 else _organic(r)
    if level == 1:
        ask = r.choice(("What is the molar mass of {} in g/mol?", "Find the molar mass of {}, in g/mol.",
                        "How many g/mol is the molar mass of {}?",
                        "Compute M({}) in g/mol.", "What does one mole of {} weigh, in g/mol?",
                        "How heavy is a mole of {}, in g/mol?"))  # fmt: skip
        mass, lines = _molar(formula)
        return problem(
            f"{ask.format(formula)} {_use(formula)}", f"{mass} g/mol", lines, "quantity", unit="g/mol", tolerance=EXACT
        )
    mass, lines = _molar(formula)
    amount = Fraction(r.randint(1, 40), r.choice((1, 1, 2, 4, 5, 10)))
    grams = amount * mass
    if level == 2 and r.random() < 0.5:
        ask = r.choice(("How many moles are {} g of {}?", "What amount, in mol, is {} g of {}?")).format(
            decimal(grams), formula
        )
        lines += [f"n = m / M = {decimal(grams)} / {mass} = {decimal(amount)}"]
        return problem(f"{ask} {_use(formula)}", f"{decimal(amount)} mol", lines, "quantity", unit="mol", tolerance=EXACT)
    if level == 2:
        ask = r.choice(("What is the mass, in grams, of {} mol of {}?", "How many grams are {} mol of {}?")).format(
            decimal(amount), formula
        )
        lines += [*_long(amount, mass), f"m = n * M = {decimal(amount)} * {mass} = {decimal(grams)}"]
        return problem(f"{ask} {_use(formula)}", f"{decimal(grams)} g", lines, "quantity", unit="g", tolerance=EXACT)
    return _reaction(r)


def _reaction(r: random.Random) -> Problem:
    reaction = r.choice(_REACTIONS)
    left, right = ([(int(n), f) for n, f in re.findall(r"(\d) (\S+)", side)] for side in reaction.split(" -> "))
    (k, start), (n, end) = r.choice(left), r.choice(right)
    mass, lines = _molar(start)
    other, more = _molar(end)
    base = r.randint(1, 40)
    amount = Fraction(k * base, r.choice((1, 2, 4, 5, 10)))
    gained = amount * n / k
    shown = (
        " + ".join(f"{f'{c} ' if c > 1 else ''}{f}" for c, f in left)
        + " -> "
        + " + ".join(f"{f'{c} ' if c > 1 else ''}{f}" for c, f in right)
    )
    grams, result = amount * mass, gained * other
    if not all(ends(x) for x in (amount, gained, grams, amount * n)) or not ends(result, 2):
        return _reaction(r)
    ask = r.choice(("In the reaction {}, how many grams of {} come from {} g of {}?",
                    "Given {}: what mass of {}, in grams, is made from {} g of {}?",
                    "By {}, how many grams of {} form when {} g of {} react completely?"))  # fmt: skip
    question = f"{ask.format(shown, end, decimal(grams), start)} {_use(start, end)}"
    lines += [
        f"n({start}) = {decimal(grams)} / {mass} = {decimal(amount)}",
        f"n({end}) = {decimal(amount)} * {n} / {k} = {decimal(amount * n)} / {k} = {decimal(gained)}",
        *more,
        *_long(gained, other),
        f"m({end}) = {decimal(gained)} * {other} = {decimal(result)}",
    ]
    return problem(question, f"{decimal(result)} g", lines, "quantity", unit="g", tolerance=EXACT)


_TIMES = ("seconds", "minutes", "hours", "days", "years")
_SAMPLES = ("iodine", "radon", "cobalt", "caesium", "polonium", "a drug", "an isotope", "a tracer")


def make_half_life(r: random.Random, level: int) -> Problem:
    """What is left; how long it takes; how much there was, or what has decayed."""
    count = r.randint(2, (4, 5, 6)[level - 1])
    life, unit, what = r.randint(2, 40), r.choice(_TIMES), r.choice(_SAMPLES)
    left = r.randint(3, 60)
    start, time = left * 2**count, life * count
    halves = [f"{left * 2**i} / 2 = {left * 2 ** (i - 1)}" for i in range(count, 0, -1)]
    times = [f"{time} / {life} = {count}", f"{count} half-lives."]
    says = f"The half-life of {what} is {life} {unit}."
    if level == 1:
        ask = r.choice(("How many mg of {} mg are left after {} {}?", "Of {} mg, how many mg remain after {} {}?")).format(
            start, time, unit
        )
        return problem(f"{says} {ask}", f"{left} mg", [*times, *halves], "quantity", unit="mg", tolerance=EXACT)
    if level == 2:
        ask = r.choice(
            ("After how many {2} are {1} of {0} mg left?", "How many {2} does it take until {0} mg have become {1} mg?")
        ).format(start, left, unit)
        lines = [*halves, f"{count} half-lives.", *work(life, "*", count)]
        return problem(f"{says} {ask}", f"{time} {unit}", lines, "quantity", unit=unit, tolerance=EXACT)
    if r.random() < 0.5:
        ask = r.choice(
            (
                "After {} {}, {} mg are left. How many mg were there at first?",
                "{} {} ago there was more; now {} mg remain. How many mg were there then?",
            )
        )
        doubles = [f"{left * 2**i} * 2 = {left * 2 ** (i + 1)}" for i in range(count)]
        return problem(
            f"{says} {ask.format(time, unit, left)}", f"{start} mg", [*times, *doubles], "quantity", unit="mg", tolerance=EXACT
        )
    ask = r.choice(("How many mg of {} mg decay in {} {}?", "Of {} mg, how many mg have decayed after {} {}?")).format(
        start, time, unit
    )
    lines = [*times, *halves, *work(start, "-", left)]
    return problem(f"{says} {ask}", f"{start - left} mg", lines, "quantity", unit="mg", tolerance=EXACT)


_ACIDS, _ALKALIS = ("HCl", "HNO3", "HBr", "HI", "HClO4"), ("NaOH", "KOH", "LiOH", "RbOH", "CsOH")
_VESSELS = ("flask", "beaker", "bottle", "glass", "tube")


def make_ph(r: random.Random, level: int) -> Problem:
    """Strong acids and alkalis at powers of ten; diluted by a factor; diluted by volumes."""
    acid = r.random() < 0.5
    total = r.randint(1 if level == 1 else 2, 6)  # drawn first, so that every pH is as frequent
    power = total if level == 1 else r.randint(max(1, total - 3), total - 1)
    what = r.choice(_ACIDS if acid else _ALKALIS)
    thinner = total - power
    strength = decimal(Fraction(1, 10**power))
    volume = 5 * r.randint(2, 100)
    if level == 1:
        ask = r.choice(("A {0} holds {1} mL of {2} M {3}. What is the pH?", "{1} mL of {2} M {3} are in a {0}. Find the pH."))
        question = ask.format(r.choice(_VESSELS), volume, strength, what)
    elif level == 2:
        ask = r.choice(
            (
                "{0} mL of {1} M {2} are diluted {3} times. What is the pH then?",
                "A sample of {0} mL of {1} M {2} is diluted by a factor of {3}. Find the pH.",
            )
        )
        question = ask.format(volume, strength, what, 10**thinner)
    else:
        ask = r.choice(
            (
                "{0} mL of {1} M {2} are filled up with water to {3} mL. What is the pH then?",
                "To {0} mL of {1} M {2} one adds {4} mL of water. Find the pH.",
            )
        )
        question = ask.format(volume, strength, what, volume * 10**thinner, volume * (10**thinner - 1))
    lines = [f"{what} is a strong {'acid' if acid else 'alkali'}.", f"{strength} = 10^-{power}"]
    if level == 3:
        if "adds" in question:
            lines += [*work(volume, "+", volume * (10**thinner - 1))]
        lines.append(f"{volume * 10**thinner} / {volume} = {10**thinner}")
    if thinner:
        lines += [f"{10**thinner} = 10^{thinner}", f"{power} + {thinner} = {total}"]
    lines.append(f"pH = {total}" if acid else f"pH = 14 - {total} = {14 - total}")
    return problem(
        f"{question} Take the {'acid' if acid else 'alkali'} as fully dissociated, at 25 °C.",
        total if acid else 14 - total,
        lines,
    )
