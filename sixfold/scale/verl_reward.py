"""The reward that verl calls: the same verifiers as everywhere, in the signature of verl 0.9.

Place: named in the overrides of `verl.py`; verl's reward workers import it and call `compute_score` from several threads. It
sets no signal and no alarm: what may run long is computed in worker processes with deadlines, tested programs in the sandbox.
verl knows no masked reward, so a completion that cannot be judged earns 0 and is counted as `unscored`, which verl logs.

Environment: SIXFOLD_REWARD_WORKERS (worker processes of each reward worker, default 2), SIXFOLD_REWARD_DEADLINE_S (default 5).
"""

from __future__ import annotations

import atexit
import os
import threading
from collections import Counter
from collections.abc import Mapping
from typing import Any

from sixfold.data.rows import row_problem
from sixfold.data.traces import has_tags
from sixfold.errors import ConfigError
from sixfold.verify.verifiers import Judge

_lock = threading.Lock()
_judges: dict[int, Judge] = {}
counters: Counter[str] = Counter()
"""Of this process: `judged`, and `unscored` with the reason."""


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Mapping[str, Any] | None = None,
    format_weight: float = 0.0,
    **_: Any,
) -> dict[str, float]:
    """`score` is what is trained on: 1 for a right answer in the form that was asked for, and `format_weight` for well-formed
    thinking. `acc` is the truth (0 or 1), by which verl filters groups; `tags` and `unscored` are 0 or 1. Never raises.

    >>> truth = '{"question": "2 + 2?", "answer": "4", "verifier": "text", "meta": {}}'
    >>> compute_score("s", "<think>2 + 2</think>Answer: 4", truth, format_weight=0.1)
    {'score': 1.1, 'acc': 1.0, 'tags': 1.0, 'unscored': 0.0}
    """
    tags = float(has_tags(solution_str))
    right = _judged(solution_str, ground_truth, extra_info)
    if right is None:
        return {"score": 0.0, "acc": 0.0, "tags": tags, "unscored": 1.0}
    return {"score": right + format_weight * tags, "acc": right, "tags": tags, "unscored": 0.0}


def _judged(text: str, ground_truth: str, extra_info: Mapping[str, Any] | None) -> float | None:
    """1 or 0; `None` where it cannot be said."""
    row = {"reward_model": {"ground_truth": ground_truth}, "extra_info": dict(extra_info or {})}
    try:
        verdict = _judge()(row_problem(row), text)
    except ConfigError:
        _count("unscored: a row without an answer")
        return None
    except Exception as error:  # noqa: BLE001 - a verifier that breaks on one text must not end a run on a cluster
        _count(f"unscored: the verifier broke: {type(error).__name__}")
        return None
    if verdict.strict_score is None:
        _count(f"unscored: {verdict.reason}"[:200])
        return None
    # Partial credit would pay for guesses that contain the answer.
    return float(verdict.strict_score >= 1.0)


def _count(what: str) -> None:
    with _lock:
        counters[what] += 1


def _judge() -> Judge:
    """One for each process, also for one that was forked from another that has one."""
    with _lock:
        counters["judged"] += 1
        if os.getpid() not in _judges:
            workers = int(os.environ.get("SIXFOLD_REWARD_WORKERS") or 2)
            deadline = float(os.environ.get("SIXFOLD_REWARD_DEADLINE_S") or 5)
            _judges[os.getpid()] = made = Judge(workers=workers, deadline_s=deadline)
            atexit.register(made.close)
        return _judges[os.getpid()]
