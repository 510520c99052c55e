"""`sixfold verify audit`: can the verifier of a task be fooled, and what does guessing earn?

Place: the gate before training: a task that does not pass may be measured but not trained on. Each attack of
`verify/attacks.py` is tried on the task's problems, and every fixed answer among the most frequent ones; references have to
score 1. Rates are over judged answers; what could not be judged is counted beside them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from typing import Any

from sixfold.core import Problem, Task, Verdict
from sixfold.evals.stats import wilson
from sixfold.verify.attacks import ATTACKS, Attack

MAX_TRAIN_FLOOR = 0.35
"""A task on which one fixed guess earns more than this teaches guessing."""
_GUESSES = 12
"""How many of the most frequent answers are tried as a fixed guess."""


@dataclass(frozen=True, slots=True)
class Audit:
    """The result for one task. Rates 0..1. `floor` is what the best fixed guess scored and `floor_low` the lower end of its 95
    % interval: a task fails where even that is over what it declares. `faults` says why it may not be trained on."""

    task: str
    problems: int
    reference: float
    floor: float
    floor_low: float
    floor_guess: str
    declared_floor: float
    attack: float
    attack_name: str
    attack_limit: float
    unscored: float
    attacks: Mapping[str, float] = field(default_factory=dict)
    faults: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        return not self.faults

    def record(self) -> dict[str, Any]:
        return {**asdict(self), "ok": self.ok}


def audit_task(
    task: Task, judge: Callable[[Problem, str], Verdict], count: int = 100, attacks: Mapping[str, Attack] = ATTACKS
) -> Audit:
    """Attack `count` problems of a task's first split, and look for the best fixed guess among the answers of twice as many."""
    problems = list(islice(task.load(task.splits[0], 3 * count), 3 * count))
    shown, attacked = problems[count:] or problems, problems[:count]
    if not attacked:
        return Audit(task.name, 0, 0, 0, 0, "", task.floor, 0, "", task.attack_limit, 0, faults=("it has no problems",))
    unscored = Counter[str]()

    def rate(write: Callable[[Problem], str]) -> float:
        verdicts = [judge(p, write(p)) for p in attacked]
        unscored["all"] += len(verdicts)
        unscored["none"] += sum(v.score is None for v in verdicts)
        scores = [v.score for v in verdicts if v.score is not None]
        return sum(scores) / len(scores) if scores else 0.0

    reference = rate(reference_text)
    guesses = [g for g, _ in Counter(p.answer for p in shown if p.answer).most_common(_GUESSES)]
    by_guess = {g: rate(lambda p, g=g: _as_answer(p, g)) for g in guesses}  # type: ignore[misc]
    guess = max(by_guess, key=lambda g: by_guess[g], default="")
    floor = by_guess.get(guess, 0.0)
    found = {name: rate(attack) for name, attack in attacks.items()}
    worst = max(found, key=lambda n: found[n])
    low = wilson(round(floor * len(attacked)), len(attacked))[0]
    audit = Audit(
        task.name, len(attacked), reference, floor, low, guess, task.floor, found[worst], worst, task.attack_limit,
        unscored["none"] / max(1, unscored["all"]), found,
    )  # fmt: skip
    return Audit(**{**_fields(audit), "faults": tuple(_faults(audit, len(attacked)))})


def _fields(audit: Audit) -> dict[str, Any]:
    return {name: getattr(audit, name) for name in Audit.__slots__}


def _faults(audit: Audit, count: int) -> list[str]:
    faults = []
    if audit.reference < 1.0:
        faults.append(f"only {audit.reference:.0%} of its own references are judged right")
    if audit.floor_low > audit.declared_floor:
        faults.append(f"the guess {audit.floor_guess[:20]!r} scores {audit.floor:.0%}, it declares {audit.declared_floor:.0%}")
    if audit.declared_floor > MAX_TRAIN_FLOOR:
        faults.append(f"its guess floor {audit.declared_floor:.0%} is over {MAX_TRAIN_FLOOR:.0%}")
    if wilson(round(audit.attack * count), count)[0] > audit.attack_limit:
        faults.append(f"the attack {audit.attack_name!r} scores {audit.attack:.0%}, its limit is {audit.attack_limit:.0%}")
    if audit.unscored > 0.02:
        faults.append(f"{audit.unscored:.0%} of the answers could not be judged")
    return faults


def reference_text(problem: Problem) -> str:
    """What a solver that knows the answer would write.

    >>> reference_text(Problem("p", "?", "42"))
    'Answer: 42'
    """
    return problem.solution if problem.meta.get("family") and problem.solution else _as_answer(problem, problem.answer or "")


def _as_answer(problem: Problem, answer: str) -> str:
    if problem.verifier == "code":
        return f"```python\n{answer}\n```"
    return f"<answer>\n{answer}\n</answer>" if "\n" in answer else f"Answer: {answer}"


def may_train(audits: Sequence[Audit]) -> list[str]:
    """Why these tasks may not be trained on; empty where they may."""
    return [f"{a.task}: {fault}" for a in audits for fault in a.faults]
