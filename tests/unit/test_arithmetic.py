"""Checks of answers against the problem itself: right is 1, wrong is 0, what cannot be judged is None, and nothing raises."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.arithmetic import makes_target, solves_equation
from sixfold.verify.verifiers import CHOOSING as VERIFIERS

GAME: Mapping[str, Any] = {"numbers": [4, 6, 1, 1], "target": 24}
SOME: Mapping[str, Any] = {"numbers": [47, 76, 55, 60], "target": 29, "use_all": False}
LINEAR: Mapping[str, Any] = {"equation": "3*x + 4 = 19"}


def _target(meta: Mapping[str, Any], text: str) -> float | None:
    return makes_target(Problem("p", "?", meta=meta), text).score


def _equation(meta: Mapping[str, Any], text: str) -> float | None:
    return solves_equation(Problem("p", "?", meta=meta), text).score


@pytest.mark.parametrize(
    ("meta", "answer", "score"),
    [
        (GAME, "4 * 6 * 1 * 1", 1.0),
        (GAME, "(4 × 6) ÷ (1 * 1)", 1.0),
        (GAME, "4 \\times 6 \\cdot 1 \\div 1 = 24", 1.0),
        (GAME, "$4 \\cdot 6 \\cdot \\frac{1}{1}$", 1.0),
        (GAME, "[4 * {6}] * 1 * 1", 1.0),
        (GAME, "**4 * 6 * 1 * 1**", 1.0),
        (SOME, "76 - 47", 1.0),
        (GAME, "4 * 6", 0.0),
        (GAME, "4 * 6 * 1 * 1 * 1", 0.0),
        (GAME, "4 * 6 + 0 * 11", 0.0),
        (GAME, "24", 0.0),
        (GAME, "4 + 6 + 1 + 1", 0.0),
        (SOME, "76 - 47 + 47 - 47", 0.0),
        (GAME, "4 * 6 ** 1 ** 1", 0.0),
        (GAME, "4 * 6 ^ 1 ^ 1", 0.0),
        (GAME, "4 * 6 // 1 // 1", 0.0),
        (GAME, "4 * 6 # 1 1", 0.0),
        ({"numbers": [2, 4], "target": 24}, "2_4", 0.0),
        ({"numbers": [2, 4], "target": 24}, "24", 0.0),
        ({"numbers": [12, 5], "target": 24}, "12 / .5", 0.0),
        (GAME, "abs(4) * 6 * 1 * 1", 0.0),
        (GAME, "1e1 + 4 + 6", 0.0),
        (GAME, "__import__('os').system('4 6 1 1')", 0.0),
        (GAME, "4 * 6 / (1 - 1)", 0.0),
        (GAME, "4 * 6 * 1 * ①", 1.0),
        (GAME, "", 0.0),
        (GAME, "(" * 5000 + "4", 0.0),
        (GAME, "4 * 6 * 1 * 1" + " * 1" * 5000, 0.0),
        (GAME, "9" * 5000, 0.0),
        ({}, "4 * 6", None),
        ({"numbers": [4, 6]}, "4 * 6", None),
        ({"numbers": ["four"], "target": 4}, "4", None),
        ({"numbers": 4, "target": 4}, "4", None),
        ({"numbers": [4], "target": "1/0"}, "4", None),
        ({"numbers": ["1/2", 8], "target": "4"}, "8 * 0.5", 1.0),
    ],
)
def test_makes_target(meta: Mapping[str, Any], answer: str, score: float | None) -> None:
    assert _target(meta, f"Answer: {answer}") == score


@pytest.mark.parametrize(
    ("meta", "text", "score"),
    [
        (LINEAR, "Answer: 5", 1.0),
        (LINEAR, "Answer: x = 5", 1.0),
        (LINEAR, "So x = 5.", 1.0),
        (LINEAR, "\\boxed{x = \\frac{10}{2}}", 1.0),
        (LINEAR, "Answer: $x=\\tfrac{15}{3}$", 1.0),
        (LINEAR, "Answer: 5.0000001", 0.0),
        (LINEAR, "Answer: five and a bit", 0.0),
        (LINEAR, "Answer: x", 0.0),
        (LINEAR, "I give up.", 0.0),
        (LINEAR, "<think>Answer: 5", 0.0),
        (LINEAR, "Answer: 9**9**9**9", 0.0),
        (LINEAR, "Answer: __import__('os')", 0.0),
        ({"equation": "x^2 = 2"}, "Answer: \\sqrt{2}", 1.0),
        ({"equation": "2*y = 7", "variable": "y"}, "Answer: y = 3 1/2", 1.0),
        ({"equation": "1/x = 1"}, "Answer: 0", 0.0),
        ({"equation": "x*x = 4"}, "Answer: 1e300", 0.0),
        ({"equation": "x*x*x*x + 0.5 = sqrt(x)"}, "Answer: 1e300", 0.0),
        ({"equation": "x + = 4"}, "Answer: 1", None),
        ({"equation": "no equation"}, "Answer: 1", None),
        ({}, "Answer: 1", None),
    ],
)
def test_solves_equation(meta: Mapping[str, Any], text: str, score: float | None) -> None:
    assert _equation(meta, text) == score


@given(st.sampled_from(sorted(VERIFIERS)), st.text(st.sampled_from("0123456789+-*/()^.=_ex#%,\\{}½² Answer:\n"), max_size=60))
def test_no_text_makes_a_check_raise(name: str, text: str) -> None:
    for meta in (GAME, LINEAR, {"equation": "x^x = 1/x"}):
        assert VERIFIERS[name](Problem("p", "?", meta=meta), f"Answer: {text}").score in (0.0, 1.0, None)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.data())
def test_only_what_uses_every_number_once_passes(numbers: list[int], data: st.DataObject) -> None:
    used = data.draw(st.lists(st.integers(1, 30), min_size=1, max_size=5))
    operators = data.draw(st.lists(st.sampled_from("+-*"), min_size=len(used) - 1, max_size=len(used) - 1))
    expression = str(used[0]) + "".join(f" {o} {n}" for o, n in zip(operators, used[1:], strict=True))
    score = _target({"numbers": numbers, "target": eval(expression)}, f"Answer: {expression}")
    assert score == float(sorted(used) == sorted(numbers))
