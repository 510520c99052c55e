"""What every selector promises: an attempt that has an answer, never nothing, and the same whatever the order."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Attempt, AttemptStatus, Problem, Usage, Verdict
from sixfold.errors import NoAnswerError
from sixfold.reason.choose import Order, make_selector

NAMES = ("auto", "verifier", "majority", "confidence", "short", "judge")
STATUSES: tuple[AttemptStatus, ...] = ("done", "forced", "truncated", "cancelled", "failed")
PROBLEM = Problem("p", "What is it?")


def accepts_two(problem: Problem, text: str) -> Verdict:
    return Verdict(float("Answer: 2" in text))


async def prefers_larger(question: str, first: Attempt, second: Attempt) -> Order:
    return "first" if (first.answer or "") > (second.answer or "") else "second"


def made(index: int, answer: str | None, status: AttemptStatus, tokens: int, logprob: float | None) -> Attempt:
    given_answer = answer if status in ("done", "forced") else None
    text = f"so\nAnswer: {answer}"
    return Attempt(index, text, given_answer, status, Usage(0, 0, tokens), logprob, 0.1, float(tokens))


attempts = st.lists(
    st.tuples(
        st.sampled_from(["1", "2", "3", None]), st.sampled_from(STATUSES), st.integers(1, 50),
        st.one_of(st.none(), st.floats(-3, 0)),
    ),
    min_size=1, max_size=6,
).map(lambda rows: [made(i, *row) for i, row in enumerate(rows)])  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@given(found=attempts)
async def test_an_answered_attempt_is_chosen_and_unfinished_ones_never_before_finished(name: str, found: list[Attempt]) -> None:
    selector = make_selector(name, m=2, verifier=accepts_two, compare=prefers_larger)
    try:
        choice = await selector(PROBLEM, found)
    except NoAnswerError:
        assert all(a.answer is None for a in found)
        return
    chosen = found[choice.index]
    assert chosen.answer is not None
    assert choice.reason
    if any(a.status == "done" and a.answer is not None for a in found) and name not in ("auto", "verifier"):
        assert chosen.status == "done"


@pytest.mark.parametrize("name", NAMES)
@given(found=attempts, seed=st.integers(0, 99))
async def test_the_order_in_which_attempts_are_given_does_not_matter(name: str, found: list[Attempt], seed: int) -> None:
    shuffled = list(found)
    random.Random(seed).shuffle(shuffled)
    chosen = []
    for order in (found, shuffled):
        selector = make_selector(name, m=2, verifier=accepts_two, compare=prefers_larger)
        try:
            chosen.append((await selector(PROBLEM, order)).index)
        except NoAnswerError:
            chosen.append(None)
    assert chosen[0] == chosen[1]
