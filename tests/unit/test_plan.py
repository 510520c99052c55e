"""Whether a plan is worth it, and that it does not give the answer away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.reason.plan import contains_answer, gate, strip_answers


@pytest.mark.parametrize(
    ("question", "worth", "reason"),
    [
        ("What is 2 + 2?", False, "at most two"),
        ("Who?", False, "short"),
        ("A has 3, B has 4, C has 1,000.5. How many?", True, "3 numbers"),
        ("One. Two. Three?", True, "parts"),
        ("一つ。 二つ。 三つ。", True, "parts"),
        ("word " * 60, True, "long"),
        ("1 " * 500_000, True, "long"),
    ],
)
def test_gate(question: str, worth: bool, reason: str) -> None:
    assert gate(question)[0] is worth
    assert reason in gate(question)[1]


@pytest.mark.parametrize(
    ("plan", "kept", "cut"),
    [
        ("Add the two. 3 + 4 = 7. Check the sum.", "Add the two. Check the sum.", True),
        ("Find x, then y.", "Find x, then y.", False),
        ("1. Find the rate.\n2. So 3 * 4 = $12.\n3. Add.", "1. Find the rate.\n3. Add.", True),
        ("First.\n\nThen.", "First.\n\nThen.", False),
        ("The final answer is 5. Check it.", "Check it.", True),
        ("Answer: 5", "", True),
        ("Multiply, so \\boxed{5}. Done.", "Done.", True),
        ("まず足す。3 + 4 = 7。次に確かめる。", "まず足す。次に確かめる。", True),
        ("答えは5です。", "", True),
        ("答案是5。然后检查。", "然后检查。", True),
        ("الجواب هو ٥. ثم تحقق.", "ثم تحقق.", True),
        ("<think>3 + 4 = 7</think>Add.", "Add.", False),
        ("<think>Add first. 3 + 4 = 7.", "", False),
        ("Set speed = 1.5 km/h. Then divide.", "Then divide.", True),
        ("", "", False),
    ],
)
def test_strip_answers(plan: str, kept: str, cut: bool) -> None:
    assert strip_answers(plan) == (kept, cut)


@given(st.lists(st.sampled_from(["Add them. ", "So 1 + 2 = 3. ", "1. ", "\n", "足す。", "The answer is 3.", "- "]), max_size=8))
def test_what_is_kept_claims_nothing_and_stays_so(parts: list[str]) -> None:
    kept, cut = strip_answers("".join(parts))
    assert "answer" not in kept
    assert "=" not in kept
    assert strip_answers(kept) == (kept, False)
    assert cut or sorted("".join(parts).split()) == sorted(kept.split())


@pytest.mark.parametrize(
    ("plan", "answer", "question", "leak"),
    [
        ("Then you get 12 apples.", "12", "How many?", True),
        ("First you get 12, then stop.", "12", "How many?", True),
        ("You get 12.", "12 apples", "How many?", True),
        ("You get 12.", "$12.00", "How many?", True),
        ("Half of 1/2 is left, so 0.25", "\\frac{1}{4}", "How much?", True),
        ("You get 10-12.", "12", "How many?", True),
        ("Use the 12.", "12", "What is 12 * 1?", False),
        ("Use 120 and 1.2.", "12", "How many?", False),
        ("The answer is Paris.", "Paris", "Which city?", True),
        ("Recall that Paris is in France.", "Paris", "Which city?", True),
        ("Make a comparison.", "Paris", "Which city?", False),
        ("Compare Paris and Rome.", "Paris", "Paris or Rome?", False),
        ("Is it yes?", "yes", "Is it?", False),
        ("東京タワーを調べる。", "東京タワー", "何ですか。", True),
        ("Find x.", None, "How many?", False),
        ("", "12", "How many?", False),
        ("12 " * 10_000, "13", "How many?", False),
    ],
)
def test_contains_answer(plan: str, answer: str | None, question: str, leak: bool) -> None:
    assert contains_answer(plan, answer, question) is leak


@given(st.text(max_size=30), st.text(max_size=10), st.text(max_size=20))
def test_measuring_the_leak_never_raises(plan: str, answer: str, question: str) -> None:
    contains_answer(plan, answer, question)
    gate(question)
    strip_answers(plan)
