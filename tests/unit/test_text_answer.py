"""Words and Python values: the whole answer counts, and nothing in it is run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.blocks import read_literal
from sixfold.verify.text_answer import canonical, judge_literal, judge_text


def text_score(answer: str, reference: str, **meta: object) -> float | None:
    return judge_text(Problem("p", "?", answer=reference, meta=meta), answer).score


def literal_score(answer: str, reference: str) -> float | None:
    return judge_literal(Problem("p", "?", answer=reference), f"Answer: {answer}").score


@pytest.mark.parametrize("answer", ["Answer: New York", "Answer: new  york.", 'Answer: "New York"', "**Answer:** New York",
"\\boxed{\\text{New York}}",
                                    "<answer>New York</answer>", "Answer: `New York`", "Answer: **New York**",
                                    "New York"])  # fmt: skip
def test_the_same_words(answer: str) -> None:
    assert text_score(answer, "New York") == 1.0


@pytest.mark.parametrize("answer", ["Answer: York", "Answer: New York or Rome", "Answer: not New York", "Answer: Nеw York",
"Answer: New York, Rome",
                                    "Is it New York or Rome?", "", "<think>Answer: New York", "Answer: NewYork",
                                    "Answer: New York\nor Rome"])  # fmt: skip
def test_other_words(answer: str) -> None:
    assert text_score(answer, "New York") == 0.0


def test_case_spaces_and_others_by_meta() -> None:
    assert text_score("Answer: abC", "abc", case=True) == 0.0
    assert text_score("Answer: a  b", "a b", spaces=True) == 0.0
    assert text_score("Answer: NYC", "New York", accept=["NYC"]) == 1.0
    assert text_score("Answer: ] }", "] }") == text_score("Answer:\n] }", "] }") == 1.0
    assert text_score("Answer: ] ]", "] }") == 0.0


def test_without_a_reference_unscored() -> None:
    assert judge_text(Problem("p", "?"), "Answer: x").score is None
    assert judge_text(Problem("p", "?", answer="x", meta={"accept": 3}), "Answer: x").score is None
    assert judge_literal(Problem("p", "?"), "Answer: 1").score is None
    assert judge_literal(Problem("p", "?", answer="f(x)"), "Answer: 1").score is None


@given(st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=1), st.text(min_size=1, max_size=20))
def test_reflexive_and_symmetric(one: str, two: str) -> None:
    assert text_score(f"Answer: {one}", one) == 1.0
    word = "".join(c for c in two if c.isascii() and c.isalnum())
    if word:
        assert text_score(f"Answer: {one}", word) == text_score(f"Answer: {word}", one)


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("[1, 2]", "[1,2]"), ("'abc'", '"abc"'), ("'abc'", "f('x') == 'abc'"), ("'abc'", "assert f(x) == 'abc'"),
        ("{'a': 1, 'b': 2}", "{'b': 2, 'a': 1}"),
        ("{1, 2}", "{2, 1}"), ("set()", "set()"), ("(1,)", "(1, )"), ("-1.5", "-1.50"), ("True", "True"), ("None", "None"),
        ("'a == b'", "f('c == d') == 'a == b'"),
        ("''", "''"), ("''", '""'), ("[1]", "`[1]`"), ("[1]", "**[1]**"), ("[1]", "[1]."), ("'a.'", "'a.'"), ("' a '",
        "' a '"), ("'\\n'", "'\\n'"),
        ("b'a'", "b'a'"), ("1e3", "1000.0"), ("{1: None, 2: None}", "{1: None, 2: None}"), ("'*'", "'*'"), ("['`']", "['`']"),
        ("[('a', 1)]", "f(x=[1], y='==') == [('a', 1)]"),
    ],
)  # fmt: skip
def test_the_same_value(reference: str, answer: str) -> None:
    assert literal_score(answer, reference) == 1.0


@pytest.mark.parametrize(
    ("reference", "answer"),
    [
        ("1", "True"), ("1", "1.0"), ("[1, 2]", "(1, 2)"), ("[1, 2]", "[2, 1]"), ("'abc'", "abc"), ("'1'", "1"),
        ("[1, True]", "[1, 1]"), ("{1: 2}", "{True: 2}"),
        ("1", "1 or 2"), ("1", "2 or 1"), ("[1]", "[1], [2]"), ("'a'", "'a' or 'b'"), ("2", "1 + 1"), ("2",
        "f(1) == 1 or f(1) == 2"), ("2", "f(1) == 1 == 2"),
        ("1", "__import__('os')"), ("1", "lambda: 1"), ("[1]", "[1 for _ in [1]]"), ("[]", "None"), ("''", "None"), ("0",
        "False"), ("0", "0.0"),
        ("2", "not f(1) == 2"), ("2", "f(1) != 1 == 2"),
    ],
)  # fmt: skip
def test_another_value(reference: str, answer: str) -> None:
    assert literal_score(answer, reference) == 0.0


@pytest.mark.parametrize(
    "answer",
    ["9" * 100_000, "[" * 100_000, "(" * 1000 + ")" * 1000, "-" * 100_000 + "1", "1" + "+1" * 9000, "{" * 50 + "}" * 50,
    "'" + "a" * 30_000, "1_" * 5000,
     "0x" + "f" * 9000, "9**9**9**9", "[" + "1," * 9000 + "]", "f(" * 5000, "{[]: 1}", "{1, [2]}", "1e999999", "b'é'",
     "'\\N{x}'", "'\\x'", "1or 2", "\x00"],
    ids=lambda a: a[:8],
)  # fmt: skip
def test_hostile_literals_are_wrong(answer: str) -> None:
    assert literal_score(answer, "1") == 0.0


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=12) | st.binary(max_size=5),
    lambda v: st.lists(v, max_size=3) | st.tuples(v, v) | st.dictionaries(st.text("ab'\"\\ ", max_size=3) | st.integers(),
    v, max_size=3),
    max_leaves=6,
)  # fmt: skip


@given(VALUES, VALUES)
def test_literals_are_reflexive_and_symmetric(one: Any, two: Any) -> None:
    assert canonical(read_literal(repr(one))) == canonical(one)
    assert literal_score(repr(one), repr(one)) == 1.0
    assert literal_score(repr(one), repr(two)) == literal_score(repr(two), repr(one)) == float(canonical(one) == canonical(two))


@given(st.text())
def test_never_raises(text: str) -> None:
    for answer in (text, f"Answer: {text}"):
        assert judge_literal(Problem("p", "?", answer="1"), answer).score in (0.0, 1.0)
        assert text_score(answer, "x y") in (0.0, 1.0)


def test_stops_latex_and_a_literal_alone() -> None:
    assert literal_score("46.", "46") == literal_score(r"\boxed{\text{'abc'}}", "'abc'") == 1.0
    assert literal_score(r"\boxed{\{'a': 1\}}", "{'a': 1}") == 1.0
    assert literal_score("46.0", "46") == 0.0
    verdict = judge_literal(Problem("p", "?", answer="('', '', 'not it')"), "('', '', 'not it')")
    assert (verdict.score, verdict.form) == (1.0, "flexible")
    assert text_score("**Answer: } ] }**", "} ] }") == 1.0
