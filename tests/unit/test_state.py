"""States: named fields in any order or a tuple in theirs; every field once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.state import judge_state

ROBOT = Problem("p", "?", meta={"fields": {"x": 2, "y": -3, "facing": "north"}})


def score(answer: str, problem: Problem = ROBOT) -> float | None:
    return judge_state(problem, f"Answer: {answer}").score


@pytest.mark.parametrize("answer", [
    "x=2, y=-3, facing=north", "facing: North, y: -3, x: 2", "x = 2\ny = -3\nfacing = north",
    '{"x": 2, "y": -3, "facing": "north"}', "(2, -3, north)", "2, -3, north", "2 -3 north",
    "x is 2, y is -3 and facing is north", "The final state is x=2, y=-3, facing=north.", "(x=2, y=-3, facing=north)",
    "**x=2, y=-3, facing=north**", "(2, -3, 'north')", "[2, -3, \"north\"]",
    "x=2.0, y=−3, facing=NORTH", "\n- x: 2\n- y: -3\n- facing: north", "{'x': 2, 'y': -3, 'facing': 'north'}",
    "x=2, y=-3, facing=north\nThe robot moved as told.",
])  # fmt: skip
def test_states_that_are_right(answer: str) -> None:
    assert score(answer) == 1.0


@pytest.mark.parametrize("answer", [
    "x=2, y=-3, facing=south", "x=2, y=3, facing=north", "x=2, y=-3", "x=2, x=3, y=-3, facing=north",
    "x=2 or 3, y=-3, facing=north", "(2, -3)", "(-3, 2, north)", "(2, -3, north, 5)", "",
    "x=2, y=-3, facing=north or south", "x=2, y=-3, facing=not north", "x=2/3, y=-3, facing=north",
    '{"x": 2, "y": -3, "facing": "north", "x": 3}', '{"x": 2, "y": -3, "facing": "north", "z": 3}',
    "x=2, y=-3, facing=north; x=0, y=0, facing=south", "not x=2, y=-3, facing=north", "x=[2, 3], y=-3, facing=north",
    "x=2, y=-3, facing=north\nx=1, y=-3, facing=north",
    '{"x": [1, 2], "y": -3, "facing": "north"}',
])  # fmt: skip
def test_states_that_are_wrong(answer: str) -> None:
    assert score(answer) == 0.0


def test_lists_and_single_fields() -> None:
    stack = Problem("p", "?", meta={"fields": {"stack": [1, "b", 3], "queue": []}})
    for right in (
        "stack=[1, b, 3], queue=[]",
        "stack: 1, b, 3; queue: empty",
        '{"stack": [1, "b", 3], "queue": []}',
        "stack=(1, 'b', 3), queue=none",
    ):
        assert score(right, stack) == 1.0, right
    for wrong in ("stack=[1, 3, b], queue=[]", "stack=[1, b], queue=[]", "stack=[1, b, 3], queue=[0]", "stack=[1, b, 3]"):
        assert score(wrong, stack) == 0.0, wrong
    one = Problem("p", "?", meta={"fields": {"total": 7}})
    assert score("7", one) == score("total = 7", one) == 1.0
    assert score("7 or 8", one) == score("7, 8", one) == score("8", one) == 0.0
    only = Problem("p", "?", meta={"fields": {"stack": [4, 5]}})
    assert score("[4, 5]", only) == score("4, 5", only) == score("4 5", only) == score("stack: [4, 5]", only) == 1.0
    assert score("[4, 5], [5, 4]", only) == score("5, 4", only) == 0.0


@pytest.mark.parametrize("meta", [{}, {"fields": {}}, {"fields": [1, 2]}, {"fields": {"x": 1, "X": 2}}], ids=str)
def test_without_fields_unscored(meta: dict[str, Any]) -> None:
    assert judge_state(Problem("p", "?", meta=meta), "Answer: x=1").score is None


VALUES = st.integers(-99, 99) | st.sampled_from(["north", "red", "open"]) | st.lists(st.integers(0, 9), max_size=4)


@given(st.dictionaries(st.sampled_from(["x", "y", "facing", "top item", "step_count"]), VALUES, min_size=1), st.randoms())
def test_reflexive_in_any_order(fields: dict[str, Any], generator: Any) -> None:
    problem = Problem("p", "?", meta={"fields": fields})
    pairs = list(fields.items())
    generator.shuffle(pairs)
    assert score(", ".join(f"{n}={v}" for n, v in pairs), problem) == 1.0
    assert score(json.dumps(dict(pairs)), problem) == 1.0
    name, value = pairs[0]
    other = value + 1 if isinstance(value, int) else "blue" if isinstance(value, str) else [*value, 1]
    assert score(", ".join(f"{n}={v}" for n, v in {**fields, name: other}.items()), problem) == 0.0


@given(st.text())
def test_never_raises(text: str) -> None:
    assert score(text) == score(f"x=2, y=-3, facing=north{text}") * 0 == 0.0


def test_a_second_tuple_is_a_second_answer() -> None:
    assert score("(2, -3, north)\n(0, 0, south)") == score("2 -3 north\n0 0 south") == 0.0
    assert score("(2, -3, north)\nIt went two steps east and then three steps down.") == 1.0


def test_dollars_around_fields_do_not_count() -> None:
    assert score("$x=2$, $y=-3$, facing=north") == 1.0
    assert score("$x=3$, $y=-3$, facing=north") == 0.0
