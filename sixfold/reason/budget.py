"""What a solve cost: every token of every phase, what cancelling wasted, and what stopping early saved.

The counts are the engine's own where it gives them with every piece (`exact_usage`); elsewhere a piece counts as a token
until the engine's total arrives. The saving is an estimate and says how it was made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from functools import reduce
from operator import add
from typing import Any

from sixfold.core import Attempt, Phase, Usage

SAVING_METHOD = "memoryless lengths fitted to finished and stopped candidates, at most the budget that was left"


def total(usages: Iterable[Usage]) -> Usage:
    return reduce(add, usages, Usage())


def estimate_saving(finished: Sequence[int], stopped: Sequence[int], budget: int) -> int:
    """Completion tokens not spent, from the lengths of finished and stopped candidates and the longest there can be, in tokens.

    The stopped ones are longer than the finished ones by then, so a mean of the finished says nothing of them. Lengths are
    taken as exponential; with stopped candidates as censored observations the mean's maximum-likelihood estimate is all tokens
    over the number of finished ones, and each stopped candidate would have written that much more.

    >>> estimate_saving([100, 120], [150], 400), estimate_saving([100, 120], [390], 400)
    (185, 10)
    """
    if not finished:
        return 0
    mean = (sum(finished) + sum(stopped)) / len(finished)
    return round(sum(min(mean, max(0, budget - length)) for length in stopped))


def make_account(
    phases: Mapping[Phase, Usage], attempts: Sequence[Attempt], *, saved_tokens: int, wasted_plan_tokens: int, exact: bool,
    ttft_s: float | None, answer_s: float | None, elapsed_s: float, plan_leak: bool | None,
) -> dict[str, Any]:  # fmt: skip
    """The data of the `usage` event. `total` is the sum of the phases; `wasted` is a part of it, `saved` is not.

    `ttft_s`: from the question to the first token of any phase; `answer_s`: to the choice.
    """
    whole = total(phases.values())
    lost = sum(a.wasted_tokens for a in attempts) + wasted_plan_tokens
    return {
        "phases": {name: asdict(usage) for name, usage in phases.items()},
        "total": asdict(whole),
        "attempts": [{"index": a.index, "status": a.status, "usage": asdict(a.usage)} for a in attempts],
        "wasted": {"completion_tokens": lost, "attempts": sum(a.wasted_tokens > 0 for a in attempts)},
        "saved": {"completion_tokens": saved_tokens, "method": SAVING_METHOD},
        "exact": exact,
        "plan_leak": plan_leak,
        "ttft_s": ttft_s,
        "answer_s": answer_s,
        "elapsed_s": elapsed_s,
        "tokens_per_s": whole.completion_tokens / elapsed_s if elapsed_s > 0 else None,
    }
