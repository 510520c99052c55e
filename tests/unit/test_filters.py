"""Filters leave rows out for a reason that is counted, in a stream, and remember little."""

from __future__ import annotations

import tracemalloc
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Message, Problem, Verdict
from sixfold.data.filters import (
    Filter,
    HashSet,
    ends_in_loop,
    english,
    filtered,
    has_answer,
    has_completion,
    hash64,
    is_english,
    lengths,
    licences,
    no_duplicates,
    no_near_duplicates,
    repeated_share,
    repetition,
    verified,
)  # fmt: skip
from sixfold.data.rows import Row, make_row
from sixfold.verify.verifiers import Judge


def row(completion: str = "Answer: 4", *, answer: str | None = "4", verifier: str | None = "text", **extra: Any) -> Row:
    problem = Problem("p", "What is 2 + 2?", answer, "math", verifier)
    return make_row(problem, [Message("user", "What is 2 + 2?")], completion, "made", **extra)


def reasons(*rows: Row, by: Filter) -> dict[str, int]:
    counts: Counter[str] = Counter()
    kept = len(list(filtered(rows, [by], counts)))
    assert counts.pop("read", 0) == len(rows)
    assert counts.pop("kept", 0) == kept == len(rows) - sum(counts.values())
    return dict(counts)


def test_each_row_is_counted_once_and_the_first_reason_counts() -> None:
    counts: Counter[str] = Counter()
    rows = [row(), row(""), row("Answer: 5"), row("A" * 300)]
    with Judge() as judge:
        kept = list(filtered(rows, [has_completion(), lengths(at_most=200), verified(judge)], counts))
    assert kept == [rows[0]]
    assert counts == {
        "read": 4, "kept": 1, "completion: empty": 1, "length: more than 200 characters": 1, "verified: wrong": 1
    }  # fmt: skip


def test_a_verifier_that_breaks_or_cannot_judge_is_a_counted_skip() -> None:
    def broken(problem: Problem, text: str) -> Verdict:
        if "5" in text:
            raise ZeroDivisionError
        return Verdict(None, "no")

    without = row()
    del without["reward_model"]
    found = reasons(row("Answer: 5"), row("4"), without, row("plan", kind="planner"), by=verified(broken))
    assert found == {
        "verified: the verifier broke": 1, "verified: could not be judged": 1, "verified: no problem in the row": 1
    }  # fmt: skip


def test_rows_without_what_they_are_judged_by_are_skipped() -> None:
    without = row()
    without["reward_model"]["ground_truth"] = "4"
    found = reasons(
        row(), row(answer=None), row(answer="  "), row(verifier=None), row(verifier="magic"), without,
        row(answer=None, verifier="countdown"), by=has_answer(),
    )  # fmt: skip
    assert found == {"answer: no answer": 2, "answer: no verifier": 2, "answer: no problem in the row": 1}


def test_length_is_counted_by_what_is_given() -> None:
    by = lengths(2, 3, lambda text: len(text.split()), "words")
    assert reasons(row("a"), row("a b"), row("a b c"), row("a b c d"), by=by) == {
        "length: fewer than 2 words": 1, "length: more than 3 words": 1
    }  # fmt: skip


@pytest.mark.parametrize(
    ("text", "loops"),
    [
        ("It is 4. " + "Let me check. " * 6, True),
        ("<think>\n" + "7 * 8 = 56\n" * 20, True),
        ("." * 80, True),
        ("\n".join(f"Row {i}: {i} * 3 = {3 * i}" for i in range(40)), False),
        ("no no no no", False),
        ("", False),
    ],
)
def test_an_ending_that_is_said_again_and_again_is_a_loop(text: str, loops: bool) -> None:
    assert ends_in_loop(text) is loops


def test_repetition_sees_loops_in_thinking_and_sentences_said_again() -> None:
    loop = "<think>\n" + "Wait, let me check that. " * 9 + "\n</think>\n\nAnswer: 4"
    again = " ".join(
        f"First {i} we take the two numbers that were given and add them to each other once more." for i in range(9)
    )
    steps = "\n".join(f"{i} + {i + 1} = {2 * i + 1}" for i in range(30))
    assert repeated_share(again) > 0.3
    assert reasons(row(loop), row(again), row(steps), row(), by=repetition()) == {
        "repetition: ends in a loop": 1, "repetition: says the same again": 1
    }  # fmt: skip


GERMAN = "Wir addieren zuerst beide Zahlen, danach ziehen wir noch drei ab, und am Ende steht genau dort, was gefragt war."


@pytest.mark.parametrize(
    ("text", "is_it"),
    [
        (
            "First add the two numbers, then take away what was given in the first line, so that there are five left.",
            True,
        ),
        (GERMAN, False),
        ("我们先把两个数加起来，然后减去三。", False),
        ("x = 3, y = 4, so x + y = 7", True),
        ("Let α be the angle; then sin α = 0.5", True),
        ("```python\nfor i in range(10):\n    print(i)\n```", True),
        ("", True),
    ],
)
def test_english_is_told_by_script_and_common_words(text: str, is_it: bool) -> None:
    assert is_english(text) is is_it


def test_language_and_licence_are_filters() -> None:
    assert reasons(row(GERMAN), row(), by=english()) == {"language: not English": 1}
    found = reasons(row(), row(licence="MIT"), row(licence="cc-by-nc-4.0"), row(licence=""), by=licences(["apache-2.0", "mit"]))
    assert found == {"licence: licence cc-by-nc-4.0": 1, "licence: licence unknown": 1}


def test_duplicates_are_seen_through_case_and_punctuation() -> None:
    assert reasons(row("It is 4."), row("it is 4"), row("It is 5."), by=no_duplicates()) == {"duplicate: there before": 1}
    asked = no_duplicates(lambda r: str(r["extra_info"]["id"]))
    assert reasons(row("a"), row("b"), by=asked) == {"duplicate: there before": 1}


def test_near_duplicates_are_seen_and_others_are_not() -> None:
    words = [f"word{i}" for i in range(400)]
    near = " ".join([*words[:200], "other", *words[201:]])
    far = " ".join(f"word{(7 * i) % 400}" for i in range(400))
    found = reasons(row(" ".join(words)), row(near), row(far), row("short"), row("short"), by=no_near_duplicates())
    assert found == {"near duplicate: nearly there before": 1}


@given(st.lists(st.integers(1, 2**64 - 1), max_size=3000))
def test_a_hash_set_is_a_set(values: list[int]) -> None:
    table, true = HashSet(), set[int]()
    for value in values:
        assert table.add(value) is (value not in true)
        true.add(value)
    assert len(table) == len(true)


def test_a_hash_set_in_a_file_is_the_same_and_leaves_no_file(tmp_path: Path) -> None:
    here, there = HashSet(), HashSet(tmp_path / "seen")
    for i in [*range(5000), *range(2500)]:
        assert here.add(hash64(str(i))) is there.add(hash64(str(i)))
    assert len(here) == len(there) == 5000
    assert here.bytes == there.bytes
    assert list(tmp_path.iterdir()) == []


def test_a_long_stream_needs_no_more_memory_than_its_hashes() -> None:
    def stream(count: int) -> Iterator[Row]:
        for i in range(count):
            yield row(f"<think>\n{i} + {i} = {2 * i}\n{'because of that ' * 20}{i}\n</think>\n\nAnswer: {2 * i}")

    def peak(count: int) -> tuple[int, HashSet]:
        seen = HashSet()
        filters = [
            has_completion(),
            has_answer(),
            lengths(1, 4000),
            english(),
            licences(["Apache-2.0"]),
            no_duplicates(seen=seen),
        ]
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        counts: Counter[str] = Counter()
        assert sum(1 for _ in filtered(stream(count), filters, counts)) == count
        return tracemalloc.get_traced_memory()[1] - before, seen

    tracemalloc.start()
    try:
        peak(100)  # what is compiled and cached at the first use
        small, _ = peak(200)
        large, seen = peak(8_000)
    finally:
        tracemalloc.stop()
    assert 8 < seen.bytes / len(seen) <= 24
    # Growing, there is the old table beside the new one.
    assert large - small <= 1.5 * seen.bytes + 20_000
