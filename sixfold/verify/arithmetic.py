"""Checks that need no known answer: does a value solve the equation, does an expression make the target?

Place: a problem names its check in `Problem.verifier` and carries what it needs in `Problem.meta`. Such a check may choose
among candidates; comparing with a known answer may not (that would be looking the answer up), and is not here.
"""

from __future__ import annotations

import re
from collections import Counter
from contextlib import suppress
from fractions import Fraction

from sixfold.core import Problem, Verdict
from sixfold.verify.evaluate import evaluate
from sixfold.verify.extract import read_answer
from sixfold.verify.plain import plain

_ROUND = str.maketrans("[]{}", "()()")


def solves_equation(problem: Problem, text: str) -> Verdict:
    """`meta`: `equation` such as "3*x + 4 = 19", and `variable` (x where it is missing). Exact; 1 or 0.

    >>> solves_equation(Problem("p", "Solve it.", meta={"equation": "3*x + 4 = 19"}), "Answer: x = 5").score
    1.0
    """
    left, equals, right = str(problem.meta.get("equation", "")).partition("=")
    variable = str(problem.meta.get("variable", "x"))
    if not equals:
        return Verdict(None, "the problem has no equation to check against")
    answer, form = read_answer(text)
    if answer is None:
        return Verdict(0.0, "no answer")
    try:
        value = evaluate(re.sub(r"^\s*[a-zA-Z]\s*=", "", plain(answer)))
    except ValueError:
        return Verdict(0.0, f"{answer[:40]!r} is not a number", answer, form)
    try:
        sides = [evaluate(side, {variable: value}) for side in (left, right)]
        holds = sides[0] == sides[1] or abs(float(sides[0]) - float(sides[1])) <= 1e-9 * max(1.0, abs(float(sides[1])))
    except (ValueError, OverflowError) as error:
        return Verdict(_score_undefined(left, right, variable), f"the equation cannot be computed: {error}", answer, form)
    reason = f"{answer[:40]} {'solves' if holds else 'does not solve'} {left.strip()} = {right.strip()}"
    return Verdict(float(holds), reason, answer, form)


def _score_undefined(left: str, right: str, variable: str) -> float | None:
    """For a value at which an equation has none: 0 where it has one elsewhere, `None` where the equation is at fault."""
    with suppress(ValueError):
        evaluate(left, {variable: Fraction(3, 2)}), evaluate(right, {variable: Fraction(3, 2)})
        return 0.0
    return None


def makes_target(problem: Problem, text: str) -> Verdict:
    """Countdown and the game of 24. `meta`: `numbers`, `target`, `use_all` (true where it is missing). Exact; 1 or 0.

    >>> game = Problem("p", "Make 24.", meta={"numbers": [4, 6, 1], "target": 24})
    >>> makes_target(game, "Answer: 4 * 6 * 1").score, makes_target(game, "Answer: 4 * 6").score
    (1.0, 0.0)
    """
    try:
        given = Counter(Fraction(str(n)) for n in problem.meta["numbers"])
        target = Fraction(str(problem.meta["target"]))
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return Verdict(None, "the problem has no numbers or no target")
    answer, form = read_answer(text)
    if answer is None:
        return Verdict(0.0, "no answer")
    expression = plain(answer).partition("=")[0].translate(_ROUND)
    if re.search(r"[^\d\s.+*/()-]|\*\*|//", expression):
        return Verdict(0.0, "only + - * / and brackets may be used", answer, form)
    try:
        value = evaluate(expression)
    except ValueError:
        return Verdict(0.0, f"{expression[:40]!r} is not an expression", answer, form)
    used = Counter(map(Fraction, re.findall(r"\d+(?:\.\d*)?|\.\d+", expression)))
    if used - given or (problem.meta.get("use_all", True) and given - used):
        return Verdict(0.0, "it does not use the given numbers as asked", answer, form)
    return Verdict(float(value == target), f"{expression.strip()[:60]} = {value}", answer, form)
