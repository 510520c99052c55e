"""Proofs of `math_algebra.py`'s problems: precedence, equations, fractions, percent, sequences.

Place: `math_families.py` hands them on. Equations are compared as linear functions of the unknown, expressions by their
values, sequences by trying every rule there is. Nothing of the generators is used.
"""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable, Sequence
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, Steps, find, must, proof
from sixfold.tasks.proofs_written import NUMBER, paper, take_work, true_equation, value
from sixfold.verify.evaluate import evaluate


def _answer(problem: Problem, right: object) -> None:
    must(problem.answer == str(right), f"the answer is {right}")


def _expression(problem: Problem, steps: Steps) -> None:
    now = find(r"(?:\(|\d)[\d ()+*x/-]*[\d)]", problem.question)[0].replace("x", "*")
    right = value(now)
    while re.search(r"[-+*/]", now):
        line = steps.lines[steps.at]
        m = re.match(r"(\d+) ([-+*/]) (\d+)(?: =|:)", line)
        if m is None:
            raise Fault(f"no operation: {line!r}")
        a, sign, b = int(m[1]), m[2], int(m[3])
        got = take_work(steps, a, sign, b)
        if re.fullmatch(rf"{a} {re.escape(sign)} {b}", now):
            now = str(got)
            break
        after = steps.take(r"Now: (.+)")[1]
        must(after in _replaced(now, f"{a} {sign} {b}", str(got)), f"{after!r} does not follow from {now!r}")
        must(value(after) == right, f"{after!r} has another value")
        now = after
    must(value(now) == right, "another value")
    _answer(problem, right)


def _replaced(text: str, part: str, new: str) -> set[str]:
    """All ways to put `new` for one `part`, without the brackets around it."""
    found = set()
    for m in re.finditer(rf"(?<![\d.]){re.escape(part)}(?!\d)", text):
        start, end = m.span()
        if text[start - 1 : start] + text[end : end + 1] == "()":
            start, end = start - 1, end + 1
        found.add(text[:start] + new + text[end:])
    return found


def _linear(side: str, name: str) -> tuple[Fraction, Fraction]:
    """(a, b) of a side that is a*x + b."""
    try:
        at = [Fraction(evaluate(side, {name: Fraction(x)})) for x in (0, 1, 2)]
    except ValueError as error:
        raise Fault(f"not understood: {side!r}") from error
    must(at[2] - at[1] == at[1] - at[0], f"not linear: {side!r}")
    return at[1] - at[0], at[0]


_MOVES: dict[str, Callable[[Fraction, Fraction], Fraction]] = {
    "Subtract": lambda a, b: a - b, "Add": lambda a, b: a + b, "Divide": lambda a, b: a / b,
}  # fmt: skip


def _sides(equation: str, name: str) -> list[tuple[Fraction, Fraction]]:
    parts = equation.split(" = ")
    must(len(parts) == 2, f"no equation: {equation!r}")
    return [_linear(part, name) for part in parts]


def _equation(problem: Problem, steps: Steps) -> None:
    asked = problem.question.removesuffix(" Give just the number.")
    equation = find(r"(?:\d*\(?[a-z]|\d+)(?: [+-] \d+)?\)?(?: [+-] \d+)? = [\da-z][\da-z ()+-]*?(?=[.?]| for | hold)", asked)[0]
    name = find(r"(?<![a-z])[a-z](?![a-z])", re.sub(r"\d", " ", equation).replace(" x ", " x ", 1).split("=")[0])[0]
    must(re.search(rf"(?:for|Find|What is|which) {name}\b", asked), "another unknown is asked for")
    (a, b), (c, d) = now = _sides(equation, name)
    right = (d - b) / (a - c)
    _answer(problem, right)
    while not (m := steps.maybe(r"Check: (.+)")):
        if m := steps.maybe(rf"(Subtract|Add|Divide)(?: both sides by)? (\d*{name}?|\d+)(?: (?:from|to) both sides)?: (.+)"):
            must(
                (m[1] == "Divide") == ("both sides by" in m[0]) and ("from" in m[0].split(":")[0]) == (m[1] == "Subtract"),
                "unknown move",
            )
            by = _linear(m[2], name)
            after = _sides(m[3], name)
            if m[1] == "Divide":
                must(by[0] == 0 != by[1], "divided by the unknown, or by 0")
                moved = [(p / by[1], q / by[1]) for p, q in now]
            else:
                moved = [(_MOVES[m[1]](p, by[0]), _MOVES[m[1]](q, by[1])) for p, q in now]
            must(after == moved, f"does not follow: {m[0]!r}")
            now = after
        elif m := steps.maybe(r"Expand: (.+)"):
            after = _sides(m[1], name)
            must(after == now and "(" not in m[1], f"not the same equation: {m[0]!r}")
        else:
            line = steps.take(r"\d+ [-+*/] \d+(?: =|:).*")[0]
            paper(line) if ":" in line else true_equation(line)
    must(now == [(Fraction(1), Fraction(0)), (Fraction(0), right)], "the equation is not solved")
    spread = re.sub(rf"(?<=\d){name}", f" * {right}", re.sub(r"(?<=\d)\(", " * (", equation)).replace(name, str(right))
    must(m[1] == spread, f"not the equation with {name} = {right}: {m[1]!r}")
    must(true_equation(m[1]) is not None, "the check fails")


def _fractions(problem: Problem, steps: Steps) -> None:
    expression = find(r"\d+/\d+(?: [+-] \d+/\d+)+", problem.question)[0]
    signs = ["+", *re.findall(r" ([+-]) ", expression)]
    terms = [(int(n), int(d)) for n, d in re.findall(r"(\d+)/(\d+)", expression)]
    below = [d for _, d in terms]
    common, largest = math.lcm(*below), max(below)
    m = steps.take(r"Multiples of (\d+): (.+)\.")
    must(int(m[1]) == largest and m[2].split(", ") == [str(i) for i in range(largest, common + 1, largest)], "other multiples")
    m = steps.take(r"(\d+) is a multiple of (.+)\.")
    must(int(m[1]) == common and m[2].split(" and ") == list(map(str, below)), f"not true here: {m[0]!r}")
    tops = []
    for n, d in terms:
        line = steps.take(r"(\d+)/(\d+) = (\d+)/(\d+)")
        must((int(line[1]), int(line[2]), int(line[4])) == (n, d, common), f"other numbers: {line[0]!r}")
        true_equation(line[0])
        tops.append(int(line[3]))
    total = _take_total(steps, signs, tops)
    m = steps.take(r"The sum is (\d+)/(\d+)\.")
    must((int(m[1]), int(m[2])) == (total, common), f"not true here: {m[0]!r}")
    right = value(expression)
    by = math.gcd(total, common)
    if by > 1:
        m = steps.take(r"Divide both by (\d+): (\d+)/(\d+)\.")
        must([int(g) for g in m.groups()] == [by, right.numerator, right.denominator], f"not true here: {m[0]!r}")
    _answer(problem, f"{right.numerator}/{right.denominator}")


def _take_total(steps: Steps, signs: Sequence[str], tops: Sequence[int]) -> int:
    """The sum of the numerators, what is added before what is taken away."""
    total, waiting = tops[0], list(zip(signs, tops, strict=True))[1:]
    for sign, top in [w for w in waiting if w[0] == "+"] + [w for w in waiting if w[0] == "-"]:
        total = int(take_work(steps, total, sign, top))
    return total


def _take_share(steps: Steps, p: int, base: int) -> int:
    m = steps.take(r"5% of (\d+): (\d+) / 20 = (\d+)")
    must((int(m[1]), int(m[2]), 20 * int(m[3])) == (base, base, base), f"not true here: {m[0]!r}")
    times = _take_times(steps, p)
    return int(take_work(steps, int(m[3]), "*", times))


def _take_times(steps: Steps, p: int) -> int:
    m = steps.take(r"(\d+)% is (\d+) times 5%\.")
    must(int(m[1]) == p == 5 * int(m[2]), f"not true here: {m[0]!r}")
    return int(m[2])


def _percent(problem: Problem, steps: Steps) -> None:
    question = problem.question
    rates = [int(n) for n in re.findall(r"(\d+)(?:%| percent)", question)]
    others = [int(n) for n in re.findall(r"\b(\d+)\b(?!%| percent)", question)]
    must(len(others) == 1 and 1 <= len(rates) <= 2, "other numbers than were expected")
    base, p = others[0], rates[0]
    if re.search(r"After a discount of .+ did it cost before|less than its old price", question):
        take_work(steps, 100, "-", p)
        m = steps.take(r"(\d+)% of the old price is (\d+)\.")
        must((int(m[1]), int(m[2])) == (100 - p, base), f"not true here: {m[0]!r}")
        part = take_work(steps, base, "/", _take_times(steps, 100 - p))
        _take_times(steps, 100)
        take_work(steps, part, "*", 20)
        before = Fraction(base * 100, 100 - p)
        _answer(problem, before)
        return
    share = _take_share(steps, p, base)
    if len(rates) == 2:
        must(re.search(r"rises by \d+% and then falls by|adds \d+%, and later takes", question), "which changes?")
        higher = take_work(steps, base, "+", share)
        lower = _take_share(steps, rates[1], int(higher))
        take_work(steps, higher, "-", lower)
        _answer(problem, Fraction(base * (100 + p) * (100 - rates[1]), 10000))
    elif told := re.search(r" (rises|rose|falls|fell) by", question):
        sign = "+" if told[1] in ("rises", "rose") else "-"
        take_work(steps, base, sign, share)
        _answer(problem, Fraction(base * (100 + p if sign == "+" else 100 - p), 100))
    else:
        _answer(problem, Fraction(base * p, 100))


def _gaps(terms: Sequence[int]) -> list[int]:
    return [b - a for a, b in itertools.pairwise(terms)]


def _next(rule: str, terms: Sequence[int]) -> int:
    """The next term by a rule, where the terms keep it."""
    gaps = _gaps(terms)
    if "Each step is the same" in rule:
        must(len(set(gaps)) == 1, "the steps differ")
        return terms[-1] + gaps[0]
    if "times the same number" in rule:
        ratios = {Fraction(b, a) for a, b in itertools.pairwise(terms)}
        must(len(ratios) == 1, "the factors differ")
        return int(terms[-1] * ratios.pop())
    if "grow by the same amount" in rule:
        must(len(set(_gaps(gaps))) == 1, "the steps grow unevenly")
        return terms[-1] + 2 * gaps[-1] - gaps[-2]
    if "take turns" in rule:
        must(all(len(set(_gaps(terms[i::2]))) == 1 for i in (0, 1)), "the steps differ")
        return 2 * terms[-2] - terms[-4]
    must("sum of the two before it" in rule, "which rule?")
    must(all(a + b == c for a, b, c in zip(terms, terms[1:], terms[2:], strict=False)), "not the sum of the two before")
    return terms[-1] + terms[-2]


def _sequence(problem: Problem, steps: Steps) -> None:
    terms = [int(n) for n in find(r"\d+(?:, \d+)+", problem.question)[0].split(", ")]
    rule = problem.question
    right = _next(rule, terms)
    _answer(problem, right)
    if "take turns" in rule:
        terms = terms[-2::-2][::-1]
        must(steps.take(r"The next is of (.+)\.")[1] == ", ".join(map(str, terms)), "other terms")
    gaps = _gaps(terms)
    if "sum of the two" in rule:
        _take_known(steps, (terms[0], "+", terms[1], terms[2]))
        take_work(steps, terms[-2], "+", terms[-1])
        return
    if "times the same" in rule:
        for a, b in itertools.pairwise(terms):
            _take_known(steps, (b, "/", a, b // a))
        take_work(steps, terms[-1], "*", terms[1] // terms[0])
        return
    for a, b in itertools.pairwise(terms):
        _take_known(steps, (max(a, b), "-", min(a, b), abs(b - a)))
    step = right - terms[-1]
    if "grow by" in rule:
        for a, b in itertools.pairwise(gaps):
            _take_known(steps, (b, "-", a, b - a))
        take_work(steps, gaps[-1], "+", gaps[1] - gaps[0])
    take_work(steps, terms[-1], "+" if step > 0 else "-", abs(step))


def _take_known(steps: Steps, wanted: tuple[int, str, int, int]) -> None:
    m = steps.take(rf"({NUMBER}) ([-+/]) ({NUMBER}) = ({NUMBER})")
    must((int(m[1]), m[2], int(m[3]), int(m[4])) == wanted, f"not the next step: {m[0]!r}")
    true_equation(m[0])


prove_expression = proof(_expression)
prove_equation = proof(_equation)
prove_fractions = proof(_fractions)
prove_percent = proof(_percent)
prove_sequence = proof(_sequence)
