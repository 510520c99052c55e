"""The reward of a completion: what our verifiers say, and a little for its form.

Place: RL rewards the completions of `rollout.py` with it; `Rewards.reward` is the one function that TRL calls. Right is 1,
wrong 0, as the strict verdict says; what cannot be judged is `None` and is masked, never wrong. A completion that was cut earns
nothing. The true score is kept beside the reward, so that a reward that is earned in another way shows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any, Literal

from sixfold.core import Problem, Verdict
from sixfold.data.rows import Row, row_problem
from sixfold.data.traces import has_tags
from sixfold.errors import ConfigError

_REMEMBERED = 4096
"""Verdicts that are kept: a batch is scored when it is drawn, and again when TRL asks."""


@dataclass(frozen=True, slots=True)
class Scored:
    """`reward` is what is trained on and `score` the truth, 1 or 0; both `None` where it could not be judged. `tags`: its
    thinking is well formed. `truncated`: it ran into the token limit (then `reward` may be `None` while `score` is 0)."""

    reward: float | None
    score: float | None
    tags: bool
    truncated: bool


@dataclass(frozen=True, slots=True)
class Group:
    """One prompt and its completions, all of them scored."""

    cell: str
    row: Row
    prompt_ids: Sequence[int]
    ids: Sequence[Sequence[int]]
    logprobs: Sequence[Sequence[float]]
    finish: Sequence[str]
    texts: Sequence[str]
    scored: Sequence[Scored]

    @property
    def signal(self) -> bool:
        """Whether some completions are right and others wrong; form alone is no signal worth a group."""
        return len({s.score for s in self.scored if s.reward is not None}) > 1


class Rewards:
    """Scores completions with one judge. `counters` says how many could not be judged and why.

    `format_weight` is what well-formed tags add. It is below one half, so that a wrong answer in good form never comes near a
    right one. `truncated` says what a cut completion gets: 0, or `None`, which leaves it out of its group's mean.
    """

    def __init__(
        self,
        judge: Callable[[Problem, str], Verdict],
        format_weight: float = 0.1,
        truncated: Literal["zero", "none"] = "zero",
    ) -> None:
        if not 0 <= format_weight < 0.5:
            raise ConfigError(f"a format weight of {format_weight} could outbid a right answer", hint="use 0 to 0.49")
        self._judge, self._weight, self._cut = judge, format_weight, truncated
        self._verdicts: dict[tuple[str, str], float | None] = {}
        self.counters: Counter[str] = Counter()

    def score(self, row: Mapping[str, Any], text: str, finish: str) -> Scored:
        """Score one completion of a row; `finish` is `stop`, or `length` where it was cut. Never raises because of the row."""
        tags = has_tags(text)
        if finish != "stop":
            return Scored(0.0 if self._cut == "zero" else None, 0.0, tags, True)
        score = self._strict(row, text)
        return Scored(None if score is None else score + self._weight * tags, score, tags, False)

    def reward(
        self, prompts: Sequence[Any], completions: Sequence[Any], completion_ids: Sequence[Sequence[int]], **columns: Any
    ) -> list[float | None]:
        """TRL's signature. The columns are those of a training row, `finish`, and `text` where a completion is not what TRL
        made of it (it parses thinking away for some tokenizers); one entry for each completion."""
        finishes: Iterable[str] = columns.get("finish") or ["stop"] * len(completions)
        names = ("reward_model", "ability", "extra_info")
        rows = [dict(zip(names, parts, strict=True)) for parts in zip(*(columns[name] for name in names), strict=True)]
        texts = columns.get("text") or [_text(completion) for completion in completions]
        return [self.score(row, text, finish).reward for row, text, finish in zip(rows, texts, finishes, strict=True)]

    def _strict(self, row: Mapping[str, Any], text: str) -> float | None:
        truth = row.get("reward_model")
        key = (str(truth.get("ground_truth")) if isinstance(truth, Mapping) else "", text)
        if key not in self._verdicts:
            if len(self._verdicts) >= _REMEMBERED:
                self._verdicts.clear()
            self._verdicts[key] = self._judged(row, text)
        return self._verdicts[key]

    def _judged(self, row: Mapping[str, Any], text: str) -> float | None:
        self.counters["judged"] += 1
        try:
            verdict = self._judge(row_problem(row), text)
        except ConfigError:
            self.counters["rows without an answer"] += 1
            return None
        except Exception as error:  # noqa: BLE001 - a verifier that breaks on one text must not end a run of many hours
            self.counters[f"verifier failed: {type(error).__name__}"] += 1
            return None
        if verdict.strict_score is None:
            self.counters["unscored"] += 1
            return None
        # Partial credit would pay for guesses that contain the answer.
        return float(verdict.strict_score >= 1.0)


def metrics_of(batch: Sequence[Group], drawn: Sequence[Group]) -> dict[str, float]:
    """What the log says beside TRL's own numbers. `accuracy` is of the batch that is trained on, to be read beside `reward`;
    `drawn/...` of all groups of the step, also those that were drawn again. Shares are 0..1, lengths in tokens."""
    values: dict[str, list[float]] = defaultdict(list)
    for prefix, groups in (("", batch), ("drawn/", drawn)):
        for group in groups:
            for scored, ids in zip(group.scored, group.ids, strict=True):
                values[f"{prefix}unscored_share"].append(scored.score is None)
                values[f"{prefix}truncated_share"].append(scored.truncated)
                values[f"{prefix}tag_rate"].append(scored.tags)
                if scored.score is not None:
                    values[f"{prefix}accuracy"].append(scored.score)
                    values[f"{prefix}accuracy/{group.row['ability']}"].append(scored.score)
                    values[f"{prefix}length/{'right' if scored.score else 'wrong'}"].append(len(ids))
            values[f"{prefix}zero_variance_share"].append(not group.signal)
    return {name: fmean(seen) for name, seen in values.items()} | {"drawn/groups": float(len(drawn))}


def unscaled_advantages(group: Group) -> list[float]:
    """Reward less the group's mean, 0 where there is no reward. Where only form differs, dividing by the deviation, as most
    losses do, would make as much of a tag as of a right answer."""
    rewards = [s.reward for s in group.scored if s.reward is not None]
    return [0.0 if s.reward is None else s.reward - fmean(rewards) for s in group.scored]


def _text(completion: Any) -> str:
    """What was said: a string, or the messages that TRL makes of it."""
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
