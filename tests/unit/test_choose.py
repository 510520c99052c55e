"""Each way of choosing, on attempts made by hand, and that stopping early never changes the choice."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sixfold.core import Attempt, AttemptStatus, Problem, Usage, Verdict
from sixfold.errors import NoAnswerError
from sixfold.reason.choose import (
    Order,
    answered,
    best_of,
    cannot_change,
    classes,
    confidence,
    majority,
    make_auto,
    make_judge,
    make_selector,
    make_short,
    make_verified,
    usable,
    weight,
)  # fmt: skip
from sixfold.verify.answers import same_answer

PROBLEM = Problem("p", "What is it?")
NAMES = ("auto", "verifier", "majority", "confidence", "short", "judge")


def attempt(
    index: int, answer: str | None, status: AttemptStatus = "done", *, p: float | None = None, tokens: int = 10, at: float = 0.0
) -> Attempt:
    """An attempt with confidence `p` that wrote `tokens` tokens and ended at `at` seconds."""
    mean = None if p is None else math.log(p)
    return Attempt(index, f"Answer: {answer}", answer, status, Usage(completion_tokens=tokens), mean, elapsed_s=at)


def attempts(*answers: str | None) -> list[Attempt]:
    return [attempt(i, a, "done" if a is not None else "truncated") for i, a in enumerate(answers)]


def is_five(problem: Problem, text: str) -> Verdict:
    return Verdict(None if "unclear" in text else float(text.endswith(" 5")), "looked at it")


class Judge:
    """A comparison that prefers the greater answer, or always says `always`; it remembers whom it was shown."""

    def __init__(self, always: Order | None = None) -> None:
        self.always = always
        self.asked: list[tuple[int, int]] = []

    async def __call__(self, question: str, first: Attempt, second: Attempt) -> Order:
        assert question == PROBLEM.question
        self.asked.append((first.index, second.index))
        return self.always or ("first" if (first.answer or "") > (second.answer or "") else "second")


async def test_majority_is_by_meaning() -> None:
    choice = await majority(PROBLEM, attempts("0.5", "3", "1/2", "3", "\\frac{1}{2}"))
    assert (choice.index, choice.selector, dict(choice.votes)) == (0, "majority", {"0.5": 3, "3": 2})
    assert choice.reason == "3 of 5 agree"


async def test_a_tie_of_the_majority_goes_to_the_confident_then_the_short_then_the_first() -> None:
    assert (await majority(PROBLEM, [attempt(0, "1", p=0.5), attempt(1, "2", p=0.6)])).index == 1
    assert (await majority(PROBLEM, [attempt(0, "1", tokens=9), attempt(1, "2", tokens=8)])).index == 1
    choice = await majority(PROBLEM, attempts("1", "2"))
    assert (choice.index, choice.reason, choice.details["tied"]) == (0, "2 answers tie at 1 of 2", 2)


async def test_confidence_weighs_votes() -> None:
    choice = await confidence(PROBLEM, [attempt(0, "1", p=0.3), attempt(1, "1", p=0.3), attempt(2, "2", p=0.9)])
    assert (choice.index, dict(choice.votes)) == (2, {"1": 0.6, "2": 0.9})
    assert weight(Attempt(0, "", "1", "done", Usage(), 5.0)) == 1.0


async def test_short_asks_the_first_to_finish() -> None:
    some = [attempt(0, "9", tokens=90, at=3), attempt(1, "2", tokens=20, at=2), attempt(2, "1", tokens=10, at=1)]
    assert (await make_short(1)(PROBLEM, some)).index == 2
    assert (await make_short(2)(PROBLEM, some)).index == 2
    assert (await make_short(3)(PROBLEM, [*some, attempt(3, "9", at=4)])).index == 2
    assert (await make_short(4)(PROBLEM, [*some, attempt(3, "9", at=4)])).index == 3


async def test_the_verifier_takes_the_first_that_passes() -> None:
    some = [attempt(0, "4", at=1), attempt(1, "5", at=3, p=0.9), attempt(2, "5", at=2), attempt(3, "5", "forced", at=1)]
    choice = await make_verified(is_five)(PROBLEM, some)
    assert (choice.index, choice.selector, choice.details["score"]) == (2, "verifier", 1.0)
    assert (await make_verified(is_five)(PROBLEM, [some[0], some[3]])).index == 3


async def test_a_verifier_that_accepts_none_says_so_and_one_that_cannot_judge_leaves_it_to_votes() -> None:
    choice = await make_verified(is_five)(PROBLEM, [attempt(0, "4", "forced", p=0.9), attempt(1, "3"), attempt(2, "unclear")])
    assert (choice.index, choice.details) == (1, {"score": 0.0, "unscored": 1})
    assert "no attempt passed" in choice.reason
    choice = await make_verified(is_five)(PROBLEM, attempts("unclear", "unclear 2", "unclear"))
    assert (choice.index, choice.selector) == (0, "majority")


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
async def test_k2_think_running_winner_was_always_shown_first(n: int) -> None:
    """Here each pair is judged in both orders, the best of any bracket wins, and n answers cost n - 1 pairs."""
    judge = Judge()
    choice = await make_judge(judge)(PROBLEM, attempts(*map(str, range(n)), "0"))
    assert choice.index == n - 1
    assert choice.details["pairs"] == n - 1
    assert {(b, a) for a, b in judge.asked} == set(judge.asked)
    assert len(judge.asked) == 2 * (n - 1)
    assert choice.details["position_flip_rate"] == 0.0


@pytest.mark.parametrize(
    ("always", "flips", "ties", "invalid"), [("first", 1, 1, 0), ("second", 1, 1, 0), ("tie", 0, 1, 0), ("invalid", 0, 0, 1)]
)
async def test_a_judge_that_does_not_decide_leaves_it_to_votes(always: Order, flips: int, ties: int, invalid: int) -> None:
    choice = await make_judge(Judge(always))(PROBLEM, attempts("1", "2", "2"))
    assert choice.index == 1
    assert choice.details == {"pairs": 1, "flips": flips, "ties": ties, "invalid": invalid, "position_flip_rate": float(flips)}
    assert "could not decide" in choice.reason


async def test_only_differing_answers_are_judged() -> None:
    judge = Judge()
    choice = await make_judge(judge)(PROBLEM, attempts("7", "7.0", "14/2"))
    assert (judge.asked, choice.reason) == ([], "all answers agree")
    await make_judge(judge)(PROBLEM, [attempt(0, "7"), attempt(1, "7", p=0.9), attempt(2, "8")])
    assert set(judge.asked) == {(1, 2), (2, 1)}


async def test_auto_uses_the_rules_in_order() -> None:
    judge = Judge()
    auto, checked = make_auto(None, judge, 1), make_auto(is_five, judge, 1)
    assert (await checked(PROBLEM, attempts("4", "4", "5"))).selector == "verifier"
    assert (await checked(PROBLEM, attempts("4", "4", "3"))).selector == "majority"
    assert (await auto(PROBLEM, attempts("4", "4", "5"))).selector == "majority"
    sure = [attempt(0, "1", p=0.9), attempt(1, "2", p=0.5), attempt(2, "2", p=0.3), attempt(3, "1", p=0.8)]
    choice = await auto(PROBLEM, sure)
    assert (choice.selector, choice.index, judge.asked) == ("confidence", 0, [])
    choice = await auto(PROBLEM, [attempt(0, "1", p=0.9), attempt(1, "2", p=0.89), attempt(2, "3", p=0.1)])
    assert (choice.selector, choice.index, set(judge.asked)) == ("judge", 1, {(0, 1), (1, 0)})
    assert (await auto(PROBLEM, attempts("1", "2"))).selector == "judge"
    assert (await make_auto(None, None, 1)(PROBLEM, attempts("1", "2"))).selector == "short"


async def test_k2_think_unfinished_first_sample_stayed_the_winner() -> None:
    """Here what has no answer is never chosen, and what was forced to answer yields to what ended by itself."""
    some = [
        attempt(0, None, "truncated"), attempt(1, "8", "cancelled", p=0.99), attempt(2, "7", "forced", p=0.9),
        attempt(3, "7", "forced", p=0.9), attempt(4, "6", "done", p=0.1), attempt(5, None, "failed"),
    ]  # fmt: skip
    for name in NAMES:
        selector = make_selector(name, m=3, verifier=is_five, compare=Judge())
        assert (await selector(PROBLEM, some)).index == 4, name
        assert (await selector(PROBLEM, some[:4])).index in (2, 3), name


@pytest.mark.parametrize("name", NAMES)
async def test_no_answer_at_all_is_an_error_with_a_next_step(name: str) -> None:
    selector = make_selector(name, m=1, verifier=None, compare=None)
    for some in ([], attempts(None, None), [attempt(0, "5", "cancelled"), attempt(1, "5", "failed")]):
        with pytest.raises(NoAnswerError) as raised:
            await selector(PROBLEM, some)
        assert raised.value.hint


STATUSES = st.sampled_from(["done", "done", "forced", "truncated", "cancelled", "failed"])


@st.composite
def some_attempts(draw: st.DrawFn, *, ended: bool = False) -> list[Attempt]:
    answers = draw(st.lists(st.sampled_from(["5", "5 cm", "5 m", "6", "7", None]), min_size=1, max_size=4 if ended else 6))
    made = []
    for i, answer in enumerate(answers):
        status = draw(st.sampled_from(["done", "done", "done", "forced"]) if ended else STATUSES)
        p, tokens = draw(st.sampled_from([None, 0.2, 0.5, 0.9, 1.0])), draw(st.integers(1, 3))
        made.append(attempt(i, answer, status if answer else "truncated", p=p, tokens=tokens, at=draw(st.integers(0, 3))))
    return made


@given(some_attempts(), st.sampled_from(NAMES), st.integers(1, 4), st.sampled_from(["first", "second", "tie", "invalid"]))
async def test_what_is_chosen_always_has_an_answer(some: list[Attempt], name: str, m: int, said: Order) -> None:
    selector = make_selector(name, m=m, verifier=is_five, compare=Judge(said))
    if not any(a.answer is not None and a.status in ("done", "forced") for a in some):
        with pytest.raises(NoAnswerError):
            await selector(PROBLEM, some)
        return
    choice = await selector(PROBLEM, some)
    assert some[choice.index] in answered(some)
    assert choice.votes
    assert choice.reason
    assert some[choice.index].status == "done" or "done" not in {a.status for a in usable(some)} or name in ("auto", "verifier")
    assert sum(map(len, classes(usable(some)).values())) == len(usable(some))
    assert best_of(usable(some)) in some


def completions(start: int, running: int) -> itertools.product[tuple[Attempt, ...]]:
    """All that `running` candidates may still come to: old answers, new ones, none, by themselves or forced, sure or not."""
    ways = [
        ("5", "done"),
        ("5 m", "done"),
        ("5 cm", "done"),
        ("6", "done"),
        ("8", "done"),
        (None, "truncated"),
        ("6", "forced"),
    ]
    options = [
        [attempt(i, a, s, p=p, tokens=tokens, at=4.0 + i) for a, s in ways for p, tokens in ((1.0, 1), (None, 9))]
        for i in range(start, start + running)
    ]
    return itertools.product(*options)


async def assert_certain(name: str, ended: Sequence[Attempt], running: int, m: int, check: bool) -> bool:
    """That whatever the running candidates come to, the choice means what it means now. False where it is not certain."""
    verifier = is_five if check else None
    if cannot_change(name, PROBLEM, ended, running, m=m, verifier=verifier) is None:
        return False
    selector = make_selector(name, m=m, verifier=verifier, compare=Judge())
    now = ended[(await selector(PROBLEM, ended)).index].answer or ""
    for more in completions(len(ended), running):
        every = [*ended, *more]
        later = every[(await selector(PROBLEM, every)).index].answer or ""
        assert same_answer(now, later), [(a.answer, a.status, a.mean_logprob) for a in every]
    return True


@settings(max_examples=150, deadline=None)
@given(some_attempts(ended=True), st.sampled_from(NAMES), st.integers(1, 2), st.integers(1, 3), st.booleans())
async def test_what_cannot_change_does_not(ended: list[Attempt], name: str, running: int, m: int, check: bool) -> None:
    await assert_certain(name, ended, running, m, check)


@pytest.mark.parametrize("running", [1, 2])
@pytest.mark.parametrize("name", NAMES)
async def test_it_is_certain_as_soon_as_it_can_be(name: str, running: int) -> None:
    """The least lead that is enough, and one less, for each selector."""
    lead = [attempt(i, "6", p=1.0, at=i) for i in range(running + 1)]
    expected = {"majority": True, "auto": True, "confidence": True, "short": True, "judge": False, "verifier": False}
    assert await assert_certain(name, lead, running, 2, check=False) is expected[name]
    assert await assert_certain(name, lead[1:], running, 3, check=False) is False
    assert await assert_certain("verifier", [attempt(0, "5")], running, 2, check=True) is True
    assert await assert_certain("auto", [attempt(0, "5"), attempt(1, "6")], running, 2, check=True) is True


async def test_it_is_not_certain_where_a_unit_may_still_split_the_first_answer() -> None:
    """ "5" counts for "5 cm" only until somebody says "5 m"."""
    ended = attempts("5", "5 cm", "5 cm", "5")
    assert cannot_change("majority", PROBLEM, ended, 2, m=1, verifier=None) is None
    assert await assert_certain("majority", ended, 1, 1, check=False)
    assert cannot_change("majority", PROBLEM, ended, 0, m=1, verifier=None) is None
    assert cannot_change("majority", PROBLEM, [attempt(i, "5", "forced") for i in range(3)], 1, m=1, verifier=None) is None
