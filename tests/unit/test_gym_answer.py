"""What reasoning-gym's scores become: 1 or 0, and unscored where it could not score. The worker is a fake."""

from __future__ import annotations

from typing import Any, cast

import pytest

from sixfold.core import Problem
from sixfold.verify.gym_answer import judge_gym
from sixfold.verify.workers import Tools, WorkerFailed, WorkerTimeout

PROBLEM = Problem("p", "1 + 1?", answer="2", meta={"dataset": "chain_sum", "entry": {"question": "1 + 1?", "answer": "2"}})


class Scoring:
    """Stands for the workers: gives or raises `result`, and keeps what it was called with."""

    def __init__(self, result: Any) -> None:
        self.result, self.calls = result, []

    def call(self, job: str, *args: Any, deadline_s: float | None = None) -> Any:
        self.calls.append((job, *args))
        if isinstance(self.result, Exception):
            raise self.result
        return self.result(args[-1]) if callable(self.result) else self.result


def judged(result: Any, text: str, problem: Problem = PROBLEM) -> Any:
    return judge_gym(problem, text, Tools(cast(Any, Scoring(result)), None))


@pytest.mark.parametrize(("given", "score"), [(1.0, 1.0), (0.99, 1.0), (0.98, 0.0), (0.01, 0.0), (0, 0.0)])
def test_scores_are_1_or_0(given: float, score: float) -> None:
    verdict = judged(given, "Answer: 2")
    assert (verdict.score, verdict.form, verdict.answer) == (score, "strict", "2")


@pytest.mark.parametrize("fault", [WorkerTimeout("late"), WorkerFailed("it raised"), None, "1.0", float("nan"), True])
def test_what_the_library_cannot_score_is_unscored(fault: Any) -> None:
    verdict = judged(fault, "Answer: 2")
    assert verdict.score is None
    assert verdict.reason


def test_no_answer_is_wrong_and_no_entry_unscored() -> None:
    assert judged(1.0, "<think>Answer: 2").score == 0.0
    assert judged(1.0, "Answer: 2", Problem("p", "?")).score is None


def test_the_scorer_gets_the_answer_as_written_and_bare() -> None:
    assert judged(lambda a: float(a == "2"), "Answer: **2**").score == 1.0
    lines = Problem("p", "?", answer="1 2\n3 4", meta={"dataset": "grid", "entry": {"answer": "1 2\n3 4"}})
    assert judged(lambda a: float(a == "1 2\n3 4"), "Answer:\n1 2\n3 4", lines).score == 1.0


def test_an_explanation_after_a_block_is_left_out() -> None:
    lines = Problem("p", "?", answer="1 2\n3 4", meta={"dataset": "grid", "entry": {"answer": "1 2\n3 4"}})
    assert judged(lambda a: float(a == "1 2\n3 4"), "Answer:\n1 2\n3 4\n\nEvery row was turned.", lines).score == 1.0
