"""Cells, numbers with scales, dates and lists, as the published evaluations count them."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.table_answer import judge_table, same_cell


def score(answer: str, *values: str, **meta: Any) -> float | None:
    return judge_table(Problem("p", "?", meta={"values": list(values), **meta}), f"Answer: {answer}").score


@pytest.mark.parametrize(("value", "answer"), [
    ("12,467", "12467"), ("12,467", "12,467.0"), ("$1,496.5", "1496.5"), ("1496.5", "$1,496.50"), ("(32)", "-32"), ("-32",
    "$(32)"), ("Great Britain (GBR)", "Great Britain"),
    ("Great Britain (GBR)", "great britain (gbr)"), ("#14", "#14"), ("Café", "cafe"), ("5 March 2004", "March 5, 2004"),
    ("2004-03-05", "5th March 2004"), ("7%", "7 %"),
    ("7%", "7 percent"), ("1996–97", "1996-97"), ("Paul Menard *", "Paul Menard"), ("Yes", "yes."), ("$0.8 million",
    "$800,000"), ("$0.8 million", "0.8 million"), ("Cuba", '["Cuba"]'),
    ("St. John's", "St. John’s"), ("0.5", ".5"), ("J. Smith", "J. Smith"), ("Cuba", "**Cuba**"), ("a, b and c",
    "a, b and c"), ("U.S.A.", "U.S.A."),
])  # fmt: skip
def test_the_same_cell(value: str, answer: str) -> None:
    assert score(answer, value) == 1.0


@pytest.mark.parametrize(("value", "answer"), [
    ("12,467", "12,468"), ("12", "12 or 13"), ("12", "12, 13"), ("Cuba", "not Cuba"), ("Cuba", "Cuba, Peru"), ("Cuba",
    "Cuba | Peru"), ("32", "(32)"), ("12.5", "12.5%"), ("0.125", "12.5%"),
    ("12.5%", "12.5"), ("$5", "€5"), ("5 March 2004", "6 March 2004"), ("5 March 2004", "March 2004"), ("$0.8 million",
    "0.8"), ("Mike (1)", "Mike (2)"), ("2010s", "2010"), ("12", "12 million"),
    ("Cuba", ""), ("Cuba", "Сuba"), ("3", "three or four"), ("1", "1 2 3"), ("Cuba", '["Cuba", "Peru"]'), ("12",
    "[12, 13]"), ("1996-97", "1996-98"), ("12", "between 11 and 13"),
])  # fmt: skip
def test_another_cell(value: str, answer: str) -> None:
    assert score(answer, value) == 0.0


@pytest.mark.parametrize("answer", ["Cuba | Peru | Chile", "peru, chile, cuba", "Chile, Cuba and Peru",
"Cuba # Peru # Chile", '["Chile", "Cuba", "Peru"]', "\n- Cuba\n- Peru\n- Chile", "\n1. Chile\n2. Cuba\n3. Peru",
                                    "Cuba; Peru; Chile", "Cuba, Peru, and Chile.", "[Cuba, Peru, Chile]"])  # fmt: skip
def test_lists_are_multisets(answer: str) -> None:
    assert score(answer, "Cuba", "Peru", "Chile") == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "Cuba, Peru",
        "Cuba, Peru, Chile, Spain",
        "Cuba, Cuba, Peru",
        "Cuba, Peru, Spain",
        "Cuba or Peru or Chile",
        "not Cuba, Peru, Chile",
        "Cuba, Peru, Chile or Spain",
        "\n- Cuba\n- Peru\n- Chile\n- Spain",
    ],
)
def test_lists_that_are_wrong(answer: str) -> None:
    assert score(answer, "Cuba", "Peru", "Chile") == 0.0


def test_ordered_lists_and_lists_of_numbers() -> None:
    assert (score("b, a", "a", "b", ordered=True), score("a, b", "a", "b", ordered=True)) == (0.0, 1.0)
    assert (
        score("1,200, 3,400", "1200", "3400")
        == score("3400 | 1200", "1,200", "3,400")
        == score("$3,400 and $1,200", "1200", "3400")
        == 1.0
    )
    assert score("3%, 3%", "3%", "3%") == 1.0
    assert score("3%", "3%", "3%") == 0.0
    assert score("J. Smith, Jr. | Bob", "Bob", "J. Smith, Jr.") == 1.0


def test_scales() -> None:
    for answer in ("439,606", "$439.606 million", "439,606 thousand", "439606000", "439606"):
        assert score(answer, "439,606", scale="thousand") == 1.0, answer
    for answer in ("439,606 million", "439.606", "439606%", "439.606 billion"):
        assert score(answer, "439,606", scale="thousand") == 0.0, answer
    for answer, right in (("12.5%", 1), ("12.5", 1), ("12.5 percent", 1), ("0.125", 0), ("1250", 0), ("12.5 million", 0)):
        assert score(answer, "12.5", scale="percent") == right, answer
    for answer, right in (("0.125", 1), ("12.5%", 1), ("12.5", 0), ("1.25", 0), ("0.125%", 0)):
        assert score(answer, "0.125", scale="ratio") == right, answer
    assert score("12.5", "0.125", scale="ratio", percent=True) == score("12.5", "0.125", percent=True) == 1.0
    assert score("1250", "0.125", percent=True) == 0.0


def test_tolerance_and_the_last_decimal() -> None:
    assert score("14.46%", "0.14464", scale="ratio", tolerance=0.001) == 1.0
    assert score("14.4%", "0.14464", scale="ratio", tolerance=0.001) == 0.0
    assert score("0.717", "0.72", tolerance=0.001) == score("0.7", "0.72", tolerance=0.03) == 1.0
    assert score("2020", "2019", tolerance=0.01) == score("0.717", "0.72") == 0.0


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"values": []},
        {"values": "x"},
        {"values": ["x"], "scale": "dozen"},
        {"values": ["x"], "tolerance": "much"},
        {"values": [" "]},
    ],
    ids=str,
)
def test_what_cannot_be_judged_is_unscored(meta: dict[str, Any]) -> None:
    assert judge_table(Problem("p", "?", meta=meta), "Answer: x").score is None


def test_flexible_answers() -> None:
    verdict = judge_table(Problem("p", "?", meta={"values": ["12"]}), "So there are 12.")
    assert (verdict.score, verdict.form) == (1.0, "flexible")


CELLS = (
    st.from_regex(r"[A-Za-z][A-Za-z ']{0,12}[A-Za-z]", fullmatch=True).filter(lambda c: " and " not in c and " or " not in c)
    | st.integers(-(10**6), 10**6).map(lambda n: f"{n:,}")
    | st.floats(0, 1e6).map(lambda x: f"${x:.2f}")
)


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_reflexive(cells: list[str]) -> None:
    assert score(" | ".join(cells), *cells) == score(" | ".join(reversed(cells)), *cells) == 1.0
    assert score(" | ".join([*cells, "another thing"]), *cells) == 0.0
    if len(cells) > 1:
        assert score(" | ".join(cells[:-1]), *cells) == 0.0


@given(CELLS, CELLS)
def test_symmetric_without_tolerance(one: str, two: str) -> None:
    assert same_cell(one, two) == same_cell(two, one)


@given(st.text())
def test_never_raises(text: str) -> None:
    assert score(text, "a b c", "d") == 0.0
    assert score(text, "a b c") in (0.0, 1.0)
    same_cell(text, text)


def test_usual_ways_of_writing_lists_and_numbers() -> None:
    for answer in ("\n- Peru\n- Cuba\n\nBoth have five medals.", "\\boxed{\\text{Peru}, \\text{Cuba}}"):
        assert score(answer, "Peru", "Cuba") == 1.0
    for answer in ("\n- Peru\n- Cuba\n\n- Chile", "\n- Peru\n- Cuba\n\nor also Chile, as it is told."):
        assert score(answer, "Peru", "Cuba") == 0.0
    assert judge_table(Problem("p", "?", meta={"values": ["Peru", "Cuba"]}), "Peru | Cuba").form == "flexible"
    assert score("The total is 12.", "12") == 1.0
    for answer in ("The total is 12 or 13.", "The total is not 12.", "The total is 13."):
        assert score(answer, "12") == 0.0
