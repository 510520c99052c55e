"""Answers to problems of reasoning-gym, scored by that library in a worker process that can be killed.

Place: the verifier `gym`. Scores of the library are often partial credit; here only 0.99 and more counts, as 1. What raises,
runs out of time or gives no number is unscored: the library's fault is not the model's. Which data sets may be used at all:
`tasks/gym.py`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from sixfold.core import AnswerForm, Problem, Verdict
from sixfold.verify.blocks import read_block, read_line, without_remarks
from sixfold.verify.extract import clean, read_answer
from sixfold.verify.workers import Tools, WorkerFailed, WorkerTimeout

ENOUGH = 0.99
"""The library's score from which an answer counts as right."""
_LONGEST = 10_000


def judge_gym(problem: Problem, text: str, tools: Tools) -> Verdict:
    """`meta`: `dataset` and `entry`, an entry of that data set as reasoning-gym made it. 1, 0, or unscored with the reason."""
    dataset, entry = problem.meta.get("dataset"), problem.meta.get("entry")
    if not isinstance(dataset, str) or not isinstance(entry, Mapping):
        return Verdict(None, "the problem has no data set or no entry to score with")
    written, form = _written(str(problem.answer or entry.get("answer") or ""), text)
    if not written:
        return Verdict(0.0, "no answer")
    best = 0.0
    for answer in written:
        try:
            score = tools.workers.call("gym", dataset, dict(entry), answer)
        except (WorkerTimeout, WorkerFailed, TypeError, ValueError) as error:
            return Verdict(None, f"{dataset} could not score it: {error}"[:200], written[0][:2000], form)
        if isinstance(score, bool) or not isinstance(score, int | float) or not math.isfinite(score):
            return Verdict(None, f"{dataset} gave {score!r:.40} as a score", written[0][:2000], form)
        best = max(best, float(score))
    return Verdict(float(best >= ENOUGH), f"{dataset} scores it {best:.2f}", written[0][:2000], form)


def _written(reference: str, text: str) -> tuple[list[str], AnswerForm]:
    """The answer as it was written and without decoration: a scorer may need the one or the other."""
    found = read_block(text) if "\n" in reference.strip() else read_line(text)
    if found.answer is None:
        found = read_answer(text)
    if found.answer is None or len(found.answer) > _LONGEST:
        return [], found.form
    bare = without_remarks(found.answer) if "\n" in found.answer else clean(found.answer)
    return list(dict.fromkeys(filter(None, (found.answer, bare)))), found.form
