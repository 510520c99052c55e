"""Proofs of problems about units, amounts of substance, decay and acids.

Place: `science_families.py` hands them on. Units are compared by what they are in SI units, formulas are read atom by atom,
decay and dilution are powers. Nothing of the generators is used.
"""

from __future__ import annotations

import re
from collections import Counter
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Steps, find, must, proof
from sixfold.tasks.proofs_written import NUMBER, number, take_work, true_equation

_SI: dict[str, tuple[str, Fraction]] = {
    name: (base, Fraction(factor))
    for base, units in {
        "m": "km:1000 m:1 cm:1/100 mm:1/1000", "kg": "kg:1 g:1/1000 mg:1/1000000",
        "s": "s:1 min:60 h:3600 days:86400 weeks:604800",
        "m3": "L:1/1000 mL:1/1000000 m^3:1 cm^3:1/1000000", "m2": "m^2:1 cm^2:1/10000 km^2:1000000 ha:10000",
        "m/s": "km/h:5/18 m/s:1 cm/s:1/100", "kg/m3": "g/cm^3:1000 kg/m^3:1", "J": "kWh:3600000 kJ:1000",
        "m3/s": "L/min:1/60000 m^3/h:1/3600 L/s:1/1000 mL/s:1/1000000 L/h:1/3600000",
    }.items()
    for name, factor in (unit.split(":") for unit in units.split())
}  # fmt: skip
_FACTS = {
    "km": "1 km = 1000 m", "cm": "1 m = 100 cm", "mm": "1 cm = 10 mm", "kg": "1 kg = 1000 g", "mg": "1 g = 1000 mg",
    "mL": "1 L = 1000 mL",
    "h": "1 h = 60 min", "min": "1 min = 60 s", "day": "1 day = 24 h", "week": "1 week = 7 days", "hs": "1 h = 3600 s",
    "ha": "1 km^2 = 100 ha",
    "m3L": "1 m^3 = 1000 L", "Lcm3": "1 L = 1000 cm^3", "m3": "1 m^3 = 1000000 cm^3", "kmcm": "1 km = 100000 cm",
    "kWh": "1 kWh = 1000 W times 3600 s", "kJ": "1 kJ = 1000 J", "F": "F = C * 9 / 5 + 32", "C": "C = (F - 32) * 5 / 9",
}  # fmt: skip
_WAYS: dict[tuple[str, str], tuple[str, str]] = {
    (source, target): (operations, facts)
    for source, target, operations, facts in (
        line.split(" | ")
        for line in (
            "km | m | * 1000 | km", "m | km | / 1000 | km", "m | cm | * 100 | cm", "cm | m | / 100 | cm", "cm | mm | * 10 | mm",
            "mm | cm | / 10 | mm", "kg | g | * 1000 | kg", "g | kg | / 1000 | kg", "g | mg | * 1000 | mg",
            "L | mL | * 1000 | mL",
            "mL | L | / 1000 | mL", "h | min | * 60 | h", "min | s | * 60 | min", "min | h | / 60 | h",
            "km/h | m/s | * 1000 / 3600 | km hs", "m/s | km/h | * 3600 / 1000 | hs km", "h | s | * 60 * 60 | h min",
            "days | min | * 24 * 60 | day h", "weeks | h | * 7 * 24 | week day", "km | cm | * 1000 * 100 | km cm",
            "kg | mg | * 1000 * 1000 | kg mg", "m^2 | cm^2 | * 100 * 100 | cm squared", "cm^2 | m^2 | / 100 / 100 | cm squared",
            "km^2 | ha | * 100 | ha", "m^3 | L | * 1000 | m3L", "cm^3 | L | / 1000 | Lcm3",
            "g/cm^3 | kg/m^3 | * 1000000 / 1000 | m3 kg", "kWh | kJ | * 1000 * 3600 / 1000 | kWh kJ",
            "L/min | m^3/h | * 60 / 1000 | h m3L",
            "m^3/h | L/s | * 1000 / 3600 | m3L hs", "mL/s | L/h | * 3600 / 1000 | hs mL", "°C | °F | * 9 / 5 + 32 | F",
            "°F | °C | - 32 * 5 / 9 | C", "m^3 | cm^3 | * 100 * 100 * 100 | cm cubed",
            "km/h | cm/s | * 100000 / 3600 | kmcm hs",
        )
    )
}  # fmt: skip


def _converted(x: Fraction, source: str, target: str) -> Fraction:
    if (source, target) == ("°C", "°F"):
        return (x + 40) * Fraction(9, 5) - 40
    if (source, target) == ("°F", "°C"):
        return (x + 40) * Fraction(5, 9) - 40
    (base, factor), (other, by) = _SI[source], _SI[target]
    must(base == other, f"{source} is no {target}")
    return x * factor / by


def _units(problem: Problem, steps: Steps) -> None:
    text = problem.question.removesuffix(" Give just the number.")
    unit = r"([\w°/^]+)"
    if m := re.fullmatch(rf"How many {unit} are ({NUMBER}) {unit}\?", text):
        target, x, source = m[1], number(m[2]), m[3]
    else:
        m = find(rf"^(?:Convert|Express|What is) ({NUMBER}) {unit} (?:to|in) {unit}[.?]$", text)
        x, source, target = number(m[1]), m[2], m[3]
    right = _converted(x, source, target)
    must(number(problem.answer or "") == right, f"the answer is {right}")
    operations, facts = _WAYS[source, target]
    must(steps.take(r".+")[0] == ", ".join(_FACTS.get(f, f) for f in facts.split(" ")) + ".", "other facts")
    parts = operations.split(" ")
    for sign, by in zip(parts[::2], parts[1::2], strict=True):
        x = take_work(steps, x, sign, int(by))
    must(x == right, "the operations give another value")


def _atoms(formula: str) -> Counter[str]:
    """Atoms of a formula, read by going through it with a stack of brackets."""
    stack: list[Counter[str]] = [Counter()]
    for token in re.finditer(r"([A-Z][a-z]?)(\d*)|(\()|\)(\d*)", formula):
        if token[1]:
            stack[-1][token[1]] += int(token[2] or 1)
        elif token[3]:
            stack.append(Counter())
        else:
            inner = stack.pop()
            for element, count in inner.items():
                stack[-1][element] += count * int(token[4] or 1)
    return stack[0]


_TABLE = dict(H=1, C=12, N=14, O=16, Na=23, Mg=24, Al=27, Si=28, P=31, S=32, K=39, Ca=40, Fe=56, Cu=64, Zn=65)


def _masses(question: str) -> dict[str, int]:
    told = find(r" Use ([A-Z][a-z]? = \d+(?:, [A-Z][a-z]? = \d+)*)\.$", question)[1]
    masses = {part.split(" = ")[0]: int(part.split(" = ")[1]) for part in told.split(", ")}
    must(all(_TABLE[e] == m for e, m in masses.items()), "an atomic mass is wrong")
    return masses


def _take_molar(steps: Steps, formula: str, masses: dict[str, int]) -> int:
    counts = _atoms(formula)
    right = sum(n * masses[e] for e, n in counts.items())
    line = steps.take(rf"M\({re.escape(formula)}\) = (.+)")[1]
    first, *rest = line.split(" = ")
    products = [tuple(map(int, p.split(" * "))) for p in first.split(" + ")]
    must(products == [(n, masses[e]) for e, n in counts.items()], f"other atoms: {first!r}")
    must(rest and true_equation(line) == right and rest[-1] == str(right), f"not the sum: {line!r}")
    for i, step in enumerate(rest):
        must(re.fullmatch(r"\d+(?: \+ \d+)*", step) and step.count("+") == len(rest) - 1 - i, f"not one step: {step!r}")
    return right


def _take_product(steps: Steps, a: Fraction, b: int, name: str, formula: str = "") -> Fraction:
    head = rf"{re.escape(name)} = " + (re.escape(formula) + " = " if formula else "")
    pattern = rf"{head}({NUMBER}) \* ({NUMBER}) = ({NUMBER})"
    m = steps.maybe(pattern)
    if m is None:
        take_work(steps, a, "*", b)
        m = steps.take(pattern)
    must([number(g) for g in m.groups()] == [a, b, a * b], f"not true here: {m[0]!r}")
    return a * b


def _take_amount(steps: Steps, grams: Fraction, mass: int, head: str) -> Fraction:
    m = steps.take(rf"{head} = ({NUMBER}) / (\d+) = ({NUMBER})")
    must([number(g) for g in m.groups()] == [grams, mass, grams / mass], f"not true here: {m[0]!r}")
    return grams / mass


def _stoichiometry(problem: Problem, steps: Steps) -> None:
    question, masses = problem.question, _masses(problem.question)
    formula = r"(\(?[A-Z][A-Za-z0-9()]*)"
    text = question.partition(" Use ")[0]
    if m := re.fullmatch(rf"(?:In the reaction|Given|By) (.+ -> .+?)(?:, how many|: what mass) .*?(?:of )?{formula}(?:, in "
                         rf"grams,)? "
                         rf"(?:come from|is made from|form when) ({NUMBER}) g of {formula}(?: react completely)?\?",
                         text):  # fmt: skip
        _must_be_balanced(m[1])
        right = _take_reaction(steps, m[1], m[2], number(m[3]), m[4], masses)
        unit = "g"
    elif m := re.fullmatch(rf"(?:How many moles are|What amount, in mol, is) ({NUMBER}) g of {formula}\?", text):
        mass = _take_molar(steps, m[2], masses)
        right, unit = _take_amount(steps, number(m[1]), mass, "n = m / M"), "mol"
    elif m := re.fullmatch(rf"(?:What is the mass, in grams, of|How many grams are) ({NUMBER}) mol of {formula}\?", text):
        mass = _take_molar(steps, m[2], masses)
        right, unit = _take_product(steps, number(m[1]), mass, "m", "n * M"), "g"
    else:
        name = find(
            r"(?:mass of|M\(|mole of) ?([A-Z](?:[A-Za-z0-9]|\([A-Z][A-Za-z0-9]*\)\d*)*|\([A-Z][A-Za-z0-9]*\)\d[A-Za-z0-9]*)",
            text,
        )[1]
        right, unit = Fraction(_take_molar(steps, name, masses)), "g/mol"
    shown, _, said = (problem.answer or "").partition(" ")
    must(number(shown) == right and said == unit == problem.meta["unit"], f"the answer is {right} {unit}")


def _sides(reaction: str) -> list[dict[str, int]]:
    sides = []
    for side in reaction.split(" -> "):
        parts = [re.fullmatch(r"(?:(\d+) )?(\S+)", part) for part in side.split(" + ")]
        sides.append({p[2]: int(p[1] or 1) for p in parts if p})
    return sides


def _must_be_balanced(reaction: str) -> None:
    totals = []
    for side in _sides(reaction):
        total: Counter[str] = Counter()
        for formula, count in side.items():
            for element, n in _atoms(formula).items():
                total[element] += n * count
        totals.append(total)
    must(len(totals) == 2 and totals[0] == totals[1], f"not balanced: {reaction}")


def _take_reaction(steps: Steps, reaction: str, end: str, grams: Fraction, start: str, masses: dict[str, int]) -> Fraction:
    left, right = _sides(reaction)
    mass = _take_molar(steps, start, masses)
    amount = _take_amount(steps, grams, mass, rf"n\({re.escape(start)}\)")
    m = steps.take(rf"n\({re.escape(end)}\) = ({NUMBER}) \* (\d+) / (\d+) = ({NUMBER}) / (\d+) = ({NUMBER})")
    n, k = right[end], left[start]
    must([number(g) for g in m.groups()] == [amount, n, k, amount * n, k, amount * n / k], f"not true here: {m[0]!r}")
    other = _take_molar(steps, end, masses)
    got = _take_product(steps, amount * n / k, other, f"m({end})")
    must(got == grams * n * other / (k * mass), "another mass")
    return got


def _take_steps(steps: Steps, x: Fraction, sign: str, count: int) -> Fraction:
    """Halving or doubling `count` times."""
    for _ in range(count):
        m = steps.take(rf"({NUMBER}) ([*/]) 2 = ({NUMBER})")
        after = x * 2 if sign == "*" else x / 2
        must((number(m[1]), m[2], number(m[3])) == (x, sign, after), f"not true here: {m[0]!r}")
        x = after
    return x


def _take_count(steps: Steps, time: Fraction, life: Fraction) -> int:
    m = steps.take(r"(\d+) / (\d+) = (\d+)")
    must([Fraction(m[1]), Fraction(m[2])] == [time, life] and int(m[3]) * life == time, f"not true here: {m[0]!r}")
    must(steps.take(r"(\d+) half-lives\.")[1] == m[3], "another number of half-lives")
    return int(m[3])


def _half_life(problem: Problem, steps: Steps) -> None:
    first = find(r"^The half-life of [a-z ]+ is (\d+) ([a-z]+)\. ", problem.question)
    life, unit, text = Fraction(first[1]), first[2], problem.question[first.end() :]
    if m := re.fullmatch(rf"(?:How many mg of|Of) (\d+) mg,? (?:are left|how many mg remain) after (\d+) {unit}\?", text):
        left = _take_steps(steps, Fraction(m[1]), "/", _take_count(steps, Fraction(m[2]), life))
        answer, asked = left, "mg"
        must(left == Fraction(m[1]) / 2 ** int(int(m[2]) / life), "another rest")
    elif m := re.fullmatch(
        rf"(?:How many mg of|Of) (\d+) mg,? (?:decay in|how many mg have decayed after) (\d+) {unit}\?", text
    ):
        left = _take_steps(steps, Fraction(m[1]), "/", _take_count(steps, Fraction(m[2]), life))
        answer, asked = take_work(steps, Fraction(m[1]), "-", left), "mg"
    elif m := re.fullmatch(rf"(?:After )?(\d+) {unit}(?:, (\d+) mg are left\. How many mg were there at first\?| ago there was "
                           rf"more; now (\d+) mg "
                           r"remain\. How many mg were there then\?)", text):  # fmt: skip
        answer = _take_steps(steps, Fraction(m[2] or m[3]), "*", _take_count(steps, Fraction(m[1]), life))
        asked = "mg"
    else:
        m = find(
            rf"^(?:After how many {unit} are (\d+) of (\d+) mg left\?|How many {unit} does it take until (\d+) mg have become "
            rf"(\d+) mg\?)$",
            text,
        )
        start, left = Fraction(m[2] or m[3]), Fraction(m[1] or m[4])
        count = int(start / left).bit_length() - 1
        must(left * 2**count == start and _take_steps(steps, start, "/", count) == left, "no whole number of half-lives")
        must(steps.take(r"(\d+) half-lives\.")[1] == str(count), "another number of half-lives")
        answer, asked = take_work(steps, life, "*", count), unit
    must(
        answer.denominator == 1 and problem.answer == f"{answer} {asked}" and problem.meta["unit"] == asked,
        f"the answer is {answer} {asked}",
    )


def _ph(problem: Problem, steps: Steps) -> None:
    text = problem.question
    strength, what = find(r"(0\.0*1) M ([A-Za-z0-9]+)\b", text).groups()
    acid = what in ("HCl", "HNO3", "HBr", "HI", "HClO4")
    kind = "acid" if acid else "alkali"
    must(acid or what in ("NaOH", "KOH", "LiOH", "RbOH", "CsOH"), f"{what} is not known")
    must(text.endswith(f" Take the {kind} as fully dissociated, at 25 °C."), "the question calls it something else")
    power = len(strength) - 2
    must(steps.take(r"(\w+) is a strong (acid|alkali)\.").groups() == (what, kind), "another substance")
    must(steps.take(r"(.+) = 10\^-(\d+)").groups() == (strength, str(power)), "another power")
    volume = int(find(r"(\d+) mL of 0\.", text)[1])
    thinner = Fraction(1)
    if m := re.search(r"diluted (?:(\d+) times|by a factor of (\d+))", text):
        thinner = Fraction(m[1] or m[2])
    elif m := re.search(r"filled up with water to (\d+) mL|one adds (\d+) mL of water", text):
        whole = int(m[1]) if m[1] else int(take_work(steps, volume, "+", int(m[2])))
        thinner = Fraction(whole, volume)
        n = steps.take(r"(\d+) / (\d+) = (\d+)")
        must([int(g) for g in n.groups()] == [whole, volume, thinner], f"not true here: {n[0]!r}")
    total = power
    if thinner > 1:
        times = len(str(thinner)) - 1
        must(10**times == thinner, f"{thinner} is no power of ten")
        must(steps.take(r"(\d+) = 10\^(\d+)").groups() == (str(thinner), str(times)), "another power")
        n = steps.take(r"(\d+) \+ (\d+) = (\d+)")
        total += times
        must([int(g) for g in n.groups()] == [power, times, total], f"not true here: {n[0]!r}")
    must(Fraction(strength) / thinner == Fraction(1, 10**total), "another concentration")
    right = total if acid else 14 - total
    shown = steps.take(r"pH = (.+)")[1]
    must(shown == (f"{total}" if acid else f"14 - {total} = {right}"), f"not true here: {shown!r}")
    must(problem.answer == str(right), f"the answer is {right}")


prove_units = proof(_units)
prove_stoichiometry = proof(_stoichiometry)
prove_half_life = proof(_half_life)
prove_ph = proof(_ph)
