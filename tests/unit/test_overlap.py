"""What counts as the same question, and what does not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.data import overlap
from sixfold.data.overlap import Index, Match, template, words

QUESTION = (
    "Janet has a farm with many ducks that lay sixteen eggs on every single day of the week, she eats three of them for "
    "breakfast and sells the others at the market for 2 dollars each. How much does she earn?"
)


def index(*questions: str, masked: bool = True) -> Index:
    found = Index()
    found.add("task", {str(i): q for i, q in enumerate(questions)}, masked=masked)
    return found


def kinds(found: list[Match]) -> list[str]:
    return [m.kind for m in found]


@pytest.mark.parametrize("text", [QUESTION, QUESTION.upper(), QUESTION.replace(",", " -- ").replace("?", " !?")])
def test_the_same_words_are_an_exact_match(text: str) -> None:
    assert kinds(index(QUESTION).find(text)) == ["exact"]


def test_a_question_inside_a_longer_text_is_found_by_its_words() -> None:
    found = index(QUESTION).find("Read this.", f"First, some talk. {QUESTION} And then more of it.")
    assert kinds(found) == ["ngram"]
    assert found[0].share == 1.0


def test_thirteen_words_in_a_row_are_enough_and_twelve_of_a_long_question_are_not() -> None:
    long = (
        QUESTION
        + " "
        + " ".join(f"word{chr(97 + i)}" for i in range(26))
        + " "
        + " ".join(f"more{chr(97 + i)}" for i in range(26))
    )
    tokens = words(long)
    assert kinds(index(long).find("x " + " ".join(tokens[4:17]) + " y")) == ["ngram"]
    assert index(long).find("x " + " ".join(tokens[4:16]) + " y") == []


def test_a_reworded_question_is_found_by_minhash_where_no_run_is_long_enough() -> None:
    long = " ".join(f"{a}{b}{c}" for a in "bdfg" for b in "aeiou" for c in "lmnrst")
    changed = [f"new{t}" if i % 13 == 12 else t for i, t in enumerate(words(long))]
    assert kinds(index(long).find(" ".join(changed))) == ["minhash"]
    changed = [f"new{t}" if i % 8 == 7 else t for i, t in enumerate(words(long))]
    assert index(long).find(" ".join(changed)) == []
    assert index(long, masked=False).find(" ".join(changed)) == []


def test_word_triples_find_what_is_shorter_than_a_run() -> None:
    short = "Solve 3 x plus 4 equals 19"
    assert kinds(index(short).find("solve 3 x plus 4 equals 19 now")) == ["minhash"]
    assert index(short).find("paint 5 y over 6 gives 20 now") == []


def test_other_numbers_in_the_same_sentence_are_a_template_match_unless_the_task_says_no() -> None:
    one, two = "Tom has 3 red apples and buys 14 more of them today", "Tom has 5 red apples and buys 27 more of them today"
    assert kinds(index(one).find(two)) == ["template"]
    assert index(one, masked=False).find(two) == []
    assert kinds(index(one, masked=False).find(one)) == ["exact"]


def test_instructions_that_many_questions_share_are_no_evidence() -> None:
    words_of = [f"{a}{b}" for a in "bcdfghklmnprst" for b in ("ab", "ec", "id", "of", "ug")]
    instruction = "Think step by step and give the final answer as one whole number on the last line please."
    questions = [f"Why does {w} {v} {w}? {instruction}" for w, v in zip(words_of, reversed(words_of), strict=True)]
    assert index(*questions).find(f"Where is the blue house? {instruction}") == []
    assert kinds(index(*questions[:2]).find(f"Where is the blue house? {instruction}")) == ["ngram", "ngram"]


def test_counting_is_no_evidence() -> None:
    counting = " ".join(map(str, range(1, 30)))
    assert index(f"Sort these numbers: {counting}").find(f"Which of them are odd? {counting}") == []


def test_unrelated_questions_share_nothing() -> None:
    assert index(QUESTION).find("What is the derivative of the sine function at zero, and why is it not two?") == []


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_text_with_words_finds_itself_and_nothing_raises(one: str, two: str) -> None:
    found = index(one, two)
    assert bool(found.find(one)) == bool(words(one))
    found.find(two, one)


def test_numbers_without_a_word_have_no_template() -> None:
    assert kinds(index("((-1 + 2 + 9 * 5) - (-2 + -4 + -4 * -7)) =").find("36 + 77 = ?")) == []
    assert kinds(index("36 + 77 = ?").find("36 + 77 = ?")) == ["exact"]


def test_templates_hide_numbers_of_any_form() -> None:
    assert template(words("It costs $1,200.50.")) == template(words("It costs $7."))


def test_signatures_agree_as_often_as_the_sets_are_alike() -> None:
    """MinHash's promise: the share of equal values estimates the Jaccard similarity."""
    one, two = set(range(0, 3_000_000, 1009)), set(range(1_000_000 // 1009 * 1009, 4_000_000, 1009))
    signer = overlap._Signer()
    values = [[band[i : i + 4] for band in signer.bands(s) for i in range(0, 16, 4)] for s in (one, two)]
    agreed = sum(a == b for a, b in zip(*values, strict=True)) / len(values[0])
    assert abs(agreed - len(one & two) / len(one | two)) < 0.15
