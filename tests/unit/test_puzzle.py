"""Assignments, orders and grids: read whole, in every usual form, and never two answers at once."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.puzzle import holds, judge_assignment, judge_grid, judge_order

PEOPLE = {"Amelia": "knight", "Penelope": "knave", "Evelyn": "knave"}
KNIGHTS = Problem("p", "Who is a knight?", meta={"values": PEOPLE})


def said(answer: str, problem: Problem = KNIGHTS) -> float | None:
    return judge_assignment(problem, f"Answer: {answer}").score


@pytest.mark.parametrize(
    "answer",
    [
        "(1) Amelia is a knight\n(2) Penelope is a knave\n(3) Evelyn is a knave",
        "Amelia: knight, Penelope: knave, Evelyn: knave",
        "Amelia=knight; Penelope=knave; Evelyn=knave", "Amelia is a knight, Penelope is a knave, and Evelyn is a knave.",
        "Amelia is a knight and Penelope and Evelyn are knaves", "amelia: Knight, penelope: KNAVE, evelyn: knave",
        json.dumps(PEOPLE),
        "{'Evelyn': 'knave', 'Amelia': 'knight', 'Penelope': 'knave'}", "```json\n" + json.dumps(PEOPLE, indent=1) + "\n```",
        "\n- **Amelia**: knight\n- **Penelope**: knave\n- **Evelyn**: knave",
        "\n| Amelia | knight |\n| Penelope | knave |\n| Evelyn | knave |",
        "Amelia -> knight, Penelope -> knave, Evelyn -> knave", "Amelia (knight), Penelope (knave), Evelyn (knave)",
        "So Amelia is the knight, while Penelope is a knave and Evelyn is a knave",
        "Amelia - knight\nPenelope - knave\nEvelyn - knave\n\nAll of this fits.",
    ],
)  # fmt: skip
def test_assignments_that_are_right(answer: str) -> None:
    assert said(answer) == 1.0
    assert judge_assignment(KNIGHTS, f"Text.\n<answer>{answer}</answer>\nmore").form == "strict"


@pytest.mark.parametrize(
    "answer",
    [
        "Amelia: knight, Penelope: knave", "Amelia: knight, Penelope: knave, Evelyn: knight",
        "Amelia: knight or knave, Penelope: knave, Evelyn: knave",
        "Amelia: knight, Amelia: knave, Penelope: knave, Evelyn: knave",
        "Amelia: knight/knave, Penelope: knave, Evelyn: knave",
        "Amelia is not a knave, Penelope is a knave, Evelyn is a knave",
        "Amelia is a knight, Penelope is not a knight, Evelyn is a knave",
        "If Amelia is a knight, Penelope is a knave, Evelyn is a knave",
        "Amelia: knight, Penelope: knave, Evelyn: knave, or all are knights",
        "Amelia: knight, Penelope: knave, Evelyn: knave\nor\nAmelia: knave, Penelope: knave, Evelyn: knave",
        "Either Amelia: knight, Penelope: knave, Evelyn: knave",
        '{"Amelia": "knight", "Penelope": "knave", "Evelyn": "knave", "Evelyn": "knight"}',
        '{"Amelia": "knight", "Penelope": "knave"}', "all are knights",
        '{"Amelia": "knight", "Penelope": "knave", "Evelyn": "knave", "Bob": "knave"}', "knight, knave, knave", "Amelia",
        "knight", "",
        '{"Amelia": ["knight", "knave"], "Penelope": "knave", "Evelyn": "knave"}',
        "Amelia: knight (or knave), Penelope: knave, Evelyn: knave",
        "Amelia: knight, knave\nPenelope: knave\nEvelyn: knave", "Amelia: knight?? knave, Penelope: knave, Evelyn: knave",
        "Аmelia: knight, Penelope: knave, Evelyn: knave",
        "It is false that Amelia is a knight, Penelope is a knave, Evelyn is a knave",
        "Amelia: knight, Penelope: knave, Evelyn: knave\n\nOr Amelia: knave, Penelope: knight",
    ],
)  # fmt: skip
def test_assignments_that_are_wrong(answer: str) -> None:
    assert said(answer) == 0.0


HOUSES = Problem("p", "?", meta={
    "variables": {"red": [1, 2, 3], "blue": [1, 2, 3], "cat": [1, 2, 3]},
    "constraints": [["different", "red", "blue"], ["left_of", "red", "blue"], ["same", "cat", "blue"]],
})  # fmt: skip


def test_constraints_decide_where_the_solution_is_not_unique() -> None:
    for right in (
        "red: 1, blue: 2, cat: 2",
        "red: 2, blue: 3, cat: 3",
        "red is in house 1, blue is in house 3 and cat is in house 3",
    ):
        assert said(right, HOUSES) == 1.0
    for wrong in (
        "red: 2, blue: 1, cat: 1",
        "red: 1, blue: 2, cat: 1",
        "red: 1, blue: 2",
        "red: 0, blue: 1, cat: 1",
        "red: 1, blue: 22, cat: 22",
    ):
        assert said(wrong, HOUSES) == 0.0


@pytest.mark.parametrize(
    ("constraint", "truth"),
    [
        (["is", "a", 1], True), (["not", ["is", "a", 1]], False), (["and", ["is", "a", 1], ["is", "b", 3]], False), (["or",
        ["is", "a", 2], ["is", "b", 2]], True),
        (["iff", ["is", "a", 2], ["is", "b", 3]], True), (["xor", ["is", "a", 1], ["is", "b", 3]], True), (["implies",
        ["is", "a", 2], ["is", "b", 3]], True),
        (["implies", ["is", "a", 1], ["is", "b", 3]], False), (["before", "a", "b"], True), (["adjacent", "a", "b"], True),
        (["at", "c", 4], True),
        (["next_to", "a", "c"], False), (["left_of", "c", "a"], False), (["just_before", "a", "b"], True), (["same", "a",
        "b"], False), (["different", "a", "b", "c"], True),
    ],
)  # fmt: skip
def test_every_relation(constraint: list[Any], truth: bool) -> None:
    assert holds(constraint, {"a": 1, "b": 2, "c": 4}) is truth


def test_zebra_records_in_their_forms() -> None:
    problem = Problem(
        "p",
        "?",
        meta={"values": {"Ann": {"House": "1", "Pet": "cat, old"}, "Bob": {"House": "2", "Pet": "dog"}}, "key": "Name"},
    )
    right = [{"Name": "Bob", "House": 2, "Pet": "dog"}, {"Name": "Ann", "House": "1", "Pet": "Cat, old"}]
    for answer in (
        json.dumps(right), json.dumps(right, indent=2), json.dumps({r["Name"]: r for r in right}),
        "\nAnn: House=1, Pet: cat, old\nBob: House=2, Pet: dog",
        "\n| Name | House | Pet |\n|---|---|---|\n| Ann | 1 | cat, old |\n| Bob | 2 | dog |",
    ):  # fmt: skip
        assert said(answer, problem) == 1.0, answer
    for answer in (
        json.dumps(right[:1]), json.dumps([*right, {**right[0], "House": 1}]),
        "\nAnn: House=2, Pet: cat, old\nBob: House=1, Pet: dog", "Ann, Bob",
        "\nAnn: House=1, House=2, Pet: cat, old\nBob: House=2, Pet: dog", json.dumps([*right, {"Name": "Cid", "House": 3,
        "Pet": "x"}]),
    ):  # fmt: skip
        assert said(answer, problem) == 0.0, answer


ITEMS = Problem("p", "?", meta={"items": ["Ann", "Bob", "The Cat"]})


def order(answer: str, problem: Problem = ITEMS) -> float | None:
    return judge_order(problem, f"Answer: {answer}").score


@pytest.mark.parametrize("answer", [
    "Ann, Bob, The Cat", "Ann > Bob > The Cat", "ann, bob and the cat", "Ann, Bob, and the cat",
    '["Ann", "Bob", "The Cat"]', "[Ann, Bob, The Cat]",
    "1. Ann\n2. Bob\n3. The Cat", "\n- Ann\n- Bob\n- Cat", "Ann -> Bob -> The Cat", "Ann < Bob < The Cat",
    "Ann; Bob; The Cat", "(Ann, Bob, The Cat)", "Ann, Bob, The Cat.",
    "Ann, Bob, The Cat\n\nThat is all.", r"$\text{Ann} > \text{Bob} > \text{The Cat}$", "1. Ann, 2. Bob, 3. The Cat",
])  # fmt: skip
def test_orders_that_are_right(answer: str) -> None:
    assert order(answer) == 1.0


@pytest.mark.parametrize("answer", [
    "Bob, Ann, The Cat", "Ann, Bob", "Ann, Bob, The Cat, Ann", "Ann, Bob, The Cat or Bob, Ann, The Cat",
    "Ann, Ann, The Cat", "Ann", "", "Ann, Bob, Dog",
    "not Ann, Bob, The Cat", "Ann, Bob, The Cat, Dog", "1. Ann\n2. The Cat\n3. Bob", "Ann/Bob, Bob/Ann, The Cat",
])  # fmt: skip
def test_orders_that_are_wrong(answer: str) -> None:
    assert order(answer) == 0.0


def test_direction_and_constraints_of_orders() -> None:
    falling = Problem("p", "?", meta={"items": ["9", "5", "1"], "direction": "descending"})
    assert (
        order("9 > 5 > 1", falling)
        == order("1 < 5 < 9", falling)
        == order("9, 5, 1", falling)
        == order("9 5 1", falling)
        == 1.0
    )
    assert order("9 < 5 < 1", falling) == order("1, 5, 9", falling) == 0.0
    any_order = Problem("p", "?", meta={"items": ["a", "b", "c"], "constraints": [["before", "a", "b"]]})
    assert order("a, b, c", any_order) == order("c, a, b", any_order) == 1.0
    assert order("b, a, c", any_order) == order("a, b", any_order) == 0.0


GRID = Problem("p", "?", meta={"grid": [[0, 1, 2], [3, 4, 5]]})
WORLD = Problem("p", "?", meta={"grid": [["#", "."], [".", "#"], ["*", "."]]})


def grid(answer: str, problem: Problem = GRID) -> float | None:
    return judge_grid(problem, f"Answer: {answer}").score


@pytest.mark.parametrize("answer", [
    "[[0, 1, 2], [3, 4, 5]]", "[[0,1,2],[3,4,5]]", "\n0 1 2\n3 4 5", "\n012\n345", "\n0, 1, 2\n3, 4, 5",
    "\n[0, 1, 2]\n[3, 4, 5]", "```\n0 1 2\n3 4 5\n```",
    "[[0 1 2]\n [3 4 5]]", '[["0", "1", "2"], ["3", "4", "5"]]', "[[0, 1, 2],\n [3, 4, 5]]", "\n| 0 | 1 | 2 |\n| 3 | 4 | 5 |",
    "\n0 1 2\n3 4 5\n\nEvery row was checked.", "[[0, 1, 2], [3, 4, 5]] and again [[0, 1, 2], [3, 4, 5]]",
])  # fmt: skip
def test_grids_that_are_right(answer: str) -> None:
    assert grid(answer) == 1.0


@pytest.mark.parametrize("answer", [
    "[[0, 1, 2], [3, 4, 6]]", "[[0, 1, 2]]", "[[0, 1, 2], [3, 4, 5], [0, 0, 0]]", "[[0, 1], [3, 4]]",
    "\n0 1 2\n3 4 5\nor\n0 1 2\n3 4 6", "[[0, 1, 2], [3, 4, 5]] or [[0, 1, 2], [3, 4, 6]]",
    "\n0 1 2\n3 4 5\n\n0 1 2\n3 4 6", "0 1 2 3 4 5", "", "[[0, 1, 2], [3, 4, 5", "\n0 1 2\n3 4", "\n0 1 2 9\n3 4 5",
    "[0, 1, 2]", "[[0, 1, 2], [3, 4, [5]]]", "[[0, 1, 2], [3, 4, 5.5]]",
    "\n0 1 2\n3 4 5\n6 7 8",
])  # fmt: skip
def test_grids_that_are_wrong(answer: str) -> None:
    assert grid(answer) == 0.0


def test_grids_of_symbols() -> None:
    assert (
        grid("\n#.\n.#\n*.", WORLD)
        == grid("\n# .\n. #\n* .", WORLD)
        == grid('[["#", "."], [".", "#"], ["*", "."]]', WORLD)
        == 1.0
    )
    assert judge_grid(WORLD, "Answer:\n```\n#.\n.#\n*.\n```").score == 1.0
    assert grid("\n#.\n.#\n..", WORLD) == 0.0
    stars = Problem("p", "?", meta={"grid": [["*", "_"], ["_", "*"]]})
    assert grid("\n*_\n_*", stars) == grid("\n* _\n_ *", stars) == 1.0


@pytest.mark.parametrize("meta", [
    {}, {"values": {}}, {"values": "x"}, {"variables": {"a": []}, "constraints": [["is", "a", 1]]},
    {"variables": {"a": [1]}, "constraints": [["odd", "a"]]},
    {"values": {"Ann": {"x": 1}, "Bob": {"y": 1}}}, {"values": {"Ann": 1, "ann": 2}}, {"items": "abc"}, {"items": []},
    {"grid": [1, 2]}, {"grid": []},
    {"items": ["a", "a"], "constraints": [["before", "a", "b"]]}, {"variables": {"a": [1]}, "constraints": [["before", "a",
    "zz"]]}, {"items": ["a"], "constraints": 5},
    {"variables": {"a": [1]}, "constraints": [["not"]]},
], ids=str)  # fmt: skip
def test_a_puzzle_that_cannot_be_judged_is_unscored(meta: dict[str, Any]) -> None:
    for judge in (judge_assignment, judge_order, judge_grid):
        verdict = judge(Problem("p", "?", meta=meta), "Answer: a: 1")
        assert verdict.score in ((None, 0.0) if "items" in meta and "constraints" in meta else (None,))


NAMES = st.lists(st.sampled_from("Ann Bob Cid Dan Eve Flo".split()), min_size=1, unique=True)


@given(NAMES, st.data())
def test_assignments_are_reflexive(names: list[str], data: st.DataObject) -> None:
    values = {n: data.draw(st.sampled_from(["knight", "knave", "spy"])) for n in names}
    problem = Problem("p", "?", meta={"values": values})
    for mark in (": ", " = ", " is a "):
        assert said(", ".join(f"{n}{mark}{v}" for n, v in values.items()), problem) == 1.0
    assert said(json.dumps(values), problem) == 1.0
    name = data.draw(st.sampled_from(names))
    other = {**values, name: "spy" if values[name] != "spy" else "knight"}
    assert said(", ".join(f"{n}: {v}" for n, v in other.items()), problem) == 0.0


@given(
    st.lists(st.text("abcdefgh-&", min_size=1).filter(lambda w: w.strip("-&")), min_size=1, max_size=8, unique=True),
    st.randoms(),
)
def test_orders_are_reflexive(items: list[str], generator: Any) -> None:
    problem = Problem("p", "?", meta={"items": items})
    for joint in (", ", " > ", "\n", " "):
        assert order(joint.join(items), problem) == 1.0
    shuffled = list(items)
    generator.shuffle(shuffled)
    assert order(", ".join(shuffled), problem) == float(shuffled == items)


@given(st.integers(1, 6), st.integers(1, 6), st.data())
def test_grids_are_reflexive(height: int, width: int, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(st.integers(0, 9), min_size=width, max_size=width), min_size=height, max_size=height))
    problem = Problem("p", "?", meta={"grid": rows})
    assert grid(json.dumps(rows), problem) == 1.0
    for joint in (" ", ", ", ""):
        assert grid("\n" + "\n".join(joint.join(map(str, r)) for r in rows), problem) == 1.0
    changed = [list(r) for r in rows]
    changed[-1][0] = (changed[-1][0] + 1) % 10
    assert grid(json.dumps(changed), problem) == grid("\n" + "\n".join("".join(map(str, r)) for r in changed), problem) == 0.0


@given(st.text())
def test_never_raises(text: str) -> None:
    for answer in (text, f"Answer: {text}", f"Answer: Amelia: {text}"):
        assert judge_assignment(KNIGHTS, answer).score == 0.0
        assert judge_assignment(HOUSES, answer).score == 0.0
        assert judge_order(ITEMS, answer).score == 0.0
        assert judge_grid(GRID, answer).score in (0.0, 1.0)


HOSTILE = [
    '{"a":' * 5000, "[1," * 3000 + "]" * 3000, "(" * 9000 + ")" * 9000, "Amelia and " * 1800, "Amelia is " * 1900,
    "9" * 19_000, "," * 19_000, "Ann " * 5000,
    " " * 19_000 + "x", "[]" * 9000, "1 " * 500_000, "|" * 19_000, "\n" * 19_000 + "1", "```\n" * 4000, "[ANSWER]" * 2400,
    "\\boxed{" * 2000, "\x00", "9" * 5000 + ": knight",
]  # fmt: skip


@pytest.mark.parametrize("answer", HOSTILE, ids=lambda a: a[:10])
def test_hostile_answers_are_wrong(answer: str) -> None:
    assert said(answer) == said(answer, HOUSES) == order(answer) == grid(answer) == 0.0


def test_an_explanation_may_follow_but_no_second_answer() -> None:
    right = json.dumps(PEOPLE)
    assert said(f"**{right}**.") == said(f"```json\n{right}\n```\nThis fits every statement.") == 1.0
    turned = json.dumps(dict.fromkeys(PEOPLE, "knave"))
    assert said(f"{right} or the other way round") == said(f"not {right}") == said(f"{right}\n\n{turned}") == 0.0
    order = Problem("p", "?", meta={"items": ["Ann", "Bob", "Cid"]})
    listed = "Answer:\n1. **Ann**\n2. **Bob**\n3. **Cid**\n\n"
    assert judge_order(order, listed + "This satisfies everything.").score == 1.0
    for more in ("Alternatively, swap Ann and Bob.", "or\n\nBob\nAnn\nCid", "Bob, Ann, Cid."):
        assert judge_order(order, listed + more).score == 0.0


def test_grids_as_tables_with_names_of_rows_and_in_long_boxes() -> None:
    grid = Problem("p", "?", meta={"grid": [[0, 1, 2], [3, 4, 5]]})
    for answer in (
        "| 0 | 1 | 2 |\n|---|---|---|\n| 3 | 4 | 5 |", "|   |   |   |\n|---|---|---|\n| 0 | 1 | 2 |\n| 3 | 4 | 5 |",
        "Row 1: 0 1 2\nRow 2: 3 4 5",
    ):  # fmt: skip
        assert judge_grid(grid, f"Answer:\n{answer}").score == 1.0
        assert judge_grid(grid, f"Answer:\n{answer.replace('5', '6')}").score == 0.0
    dashes = Problem("p", "?", meta={"grid": [["-", "-"], ["-", "x"]]})
    assert judge_grid(dashes, "Answer:\n|-|-|\n|-|x|").score == judge_grid(dashes, "Answer:\n--\n-x").score == 1.0
    large = [[7] * 30] * 30
    assert judge_grid(Problem("p", "?", meta={"grid": large}), f"So \\boxed{{{large}}}").score == 1.0
