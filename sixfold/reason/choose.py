"""Choosing among attempts, and knowing when the choice can no longer change.

Answers are first put into classes by meaning; everything after works on classes. Candidates that ended by themselves come
before ones whose thinking was closed for them, and an attempt without an answer is never chosen. Sources: majority vote
(self-consistency, arXiv 2203.11171), short-m@k (arXiv 2505.17813), confidence (after DeepConf, arXiv 2508.15260, here
one weight per attempt), pairwise judging (K2-Think, arXiv 2509.07604, here in both orders and only on disagreement).
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from sixfold.core import Attempt, Choice, Problem, Selector, Verdict, Verifier
from sixfold.errors import NoAnswerError
from sixfold.verify.answers import answer_key, answer_keys

Order = Literal["first", "second", "tie", "invalid"]
Compare = Callable[[str, Attempt, Attempt], Awaitable[Order]]
"""One judge call: which of two attempts, shown in this order, is better."""

_CLOSE = 0.1
"""Confidence weights of two answers within this ratio count as even."""


def answered(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that gave an answer, at least one. Raises `NoAnswerError` where none did."""
    found = [a for a in attempts if a.answer is not None and a.status in ("done", "forced")]
    if not found:
        raise NoAnswerError("no attempt gave an answer", hint="raise think_tokens or n, or use a stronger model")
    return found


def usable(attempts: Sequence[Attempt]) -> list[Attempt]:
    """The attempts that may be chosen: with an answer, finished ones if there are any, else those forced to answer."""
    found = answered(attempts)
    return [a for a in found if a.status == "done"] or found


def classes(attempts: Sequence[Attempt]) -> dict[str, list[Attempt]]:
    """Attempts by the meaning of their answer, in order of appearance."""
    groups: dict[str, list[Attempt]] = {}
    for attempt, key in zip(attempts, answer_keys([a.answer or "" for a in attempts]), strict=True):
        groups.setdefault(key, []).append(attempt)
    return groups


def weight(attempt: Attempt) -> float:
    """The confidence of an attempt, the geometric mean of its token probabilities: 0..1, and 0 where unknown."""
    return math.exp(min(0.0, attempt.mean_logprob)) if attempt.mean_logprob is not None else 0.0


def best_of(group: Sequence[Attempt]) -> Attempt:
    """Who speaks for a class: the most confident, then the shortest, then the first."""
    return min(group, key=lambda a: (-weight(a), a.usage.completion_tokens, a.index))


def _votes(groups: Mapping[str, Sequence[Attempt]], value: Callable[[Attempt], float]) -> dict[str, float]:
    return {group[0].answer or "": round(sum(map(value, group)), 4) for group in groups.values()}


def _top(groups: Mapping[str, list[Attempt]], value: Callable[[Attempt], float], close: float = 0.0) -> list[list[Attempt]]:
    """The classes with the most, and those that come within `close` of it."""
    scores = {key: sum(map(value, group)) for key, group in groups.items()}
    best = max(scores.values())
    return [groups[key] for key, score in scores.items() if score >= best * (1 - close) - 1e-12]


async def majority(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
    """The answer most attempts agree on; a tie goes to the most confident, then the shortest."""
    groups = classes(usable(attempts))
    top = _top(groups, lambda _: 1.0)
    chosen = best_of([best_of(group) for group in top])
    count, of = len(next(g for g in top if chosen in g)), sum(map(len, groups.values()))
    why = f"{count} of {of} agree" if len(top) == 1 else f"{len(top)} answers tie at {count} of {of}"
    if cut := sum(a.answer is not None for a in attempts if a.status == "forced") * any(a.status == "done" for a in attempts):
        why += f" (not counted: {cut} whose thinking was cut)"
    return Choice(chosen.index, "majority", why, _votes(groups, lambda _: 1.0), {"tied": len(top)})


async def confidence(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
    """Each attempt votes with the weight of its confidence."""
    groups = classes(usable(attempts))
    top = _top(groups, weight)
    chosen = best_of([best_of(group) for group in top])
    votes = _votes(groups, weight)
    return Choice(chosen.index, "confidence", f"most confident vote, weight {max(votes.values()):.2f}", votes)


def make_short(m: int) -> Selector:
    """short-m@k: the first m chains to finish vote, which side by side are the m shortest; a tie goes to the shortest."""

    async def short(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
        first = sorted(usable(attempts), key=lambda a: (a.elapsed_s, a.usage.completion_tokens, a.index))[:m]
        groups = classes(first)
        top = _top(groups, lambda _: 1.0)
        chosen = min((a for g in top for a in g), key=lambda a: (a.usage.completion_tokens, a.index))
        why = f"majority of the {len(first)} first to finish, {chosen.usage.completion_tokens} tokens"
        return Choice(chosen.index, "short", why, _votes(groups, lambda _: 1.0))

    return short


def make_verified(verifier: Verifier) -> Selector:
    """The first attempt to finish that the verifier accepts, so that stopping there changes nothing; where none is accepted,
    the best score, said as it is."""

    async def verified(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
        candidates = answered(attempts)
        scored = [(a, verifier(problem, a.text)) for a in candidates]
        judged = [(a, v) for a, v in scored if v.score is not None]
        if not judged:
            fallback = await majority(problem, attempts)
            return Choice(fallback.index, "majority", f"nothing could be verified; {fallback.reason}", fallback.votes)
        attempt, verdict = min(judged, key=_rank)
        groups = classes(candidates)
        why = f"verified: {verdict.reason}" if verdict.score == 1.0 else "no attempt passed the check; the best score"
        details = {"score": verdict.score, "unscored": len(scored) - len(judged)}
        return Choice(attempt.index, "verifier", why, _votes(groups, lambda _: 1.0), details)

    return verified


def _rank(scored: tuple[Attempt, Verdict]) -> tuple[float, ...]:
    """The order of verified attempts: by score, finished before forced, then the earliest, or the most confident where none
    is accepted."""
    attempt, verdict = scored
    score = verdict.score or 0.0
    return (-score, attempt.status != "done", attempt.elapsed_s if score == 1.0 else -weight(attempt), attempt.index)


@dataclass(slots=True)
class _Duels:
    """The comparisons of one judging: how many pairs, how many where the order alone decided."""

    pairs: int = 0
    flips: int = 0
    ties: int = 0
    invalid: int = 0


def make_judge(compare: Compare, only: Sequence[Attempt] | None = None) -> Selector:
    """Knock-out among the representatives of differing answers. Each pair is judged in both orders; a winner must win
    both. Otherwise it is a tie, and votes, then confidence, then length decide it."""

    async def judge(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
        groups = classes(only if only is not None else usable(attempts))
        size = {id(best_of(g)): len(g) for g in groups.values()}
        duels, judged_wins = _Duels(), 0

        def fallback(a: Attempt, b: Attempt) -> Attempt:
            return min(a, b, key=lambda x: (-size[id(x)], -weight(x), x.usage.completion_tokens, x.index))

        field = sorted((best_of(g) for g in groups.values()), key=lambda a: (-size[id(a)], -weight(a), a.index))
        while len(field) > 1:
            survivors = [field[0]] if len(field) % 2 else []
            rest = field[len(survivors) :]
            for left, right in zip(rest[::2], rest[1::2], strict=True):
                outcome = await _duel(compare, problem.question, left, right, duels)
                judged_wins += outcome != "tie"
                winner = left if outcome == "left" else right if outcome == "right" else fallback(left, right)
                survivors.append(winner)
            field = survivors
        details = {"pairs": duels.pairs, "flips": duels.flips, "ties": duels.ties, "invalid": duels.invalid}
        flip_rate = duels.flips / max(1, duels.pairs - duels.invalid)
        why = f"won its comparisons ({duels.pairs} pairs, {duels.flips} flipped with the order)"
        if not duels.pairs:
            why = "all answers agree"
        elif not judged_wins:
            why = f"the judge could not decide ({duels.pairs} pairs); votes and confidence did"
        votes = _votes(classes(usable(attempts)), lambda _: 1.0)
        return Choice(field[0].index, "judge", why, votes, details | {"position_flip_rate": flip_rate})

    return judge


async def _duel(compare: Compare, question: str, left: Attempt, right: Attempt, duels: _Duels) -> str:
    """`left`, `right` or `tie` for one pair, judged in both orders."""
    forward, backward = await compare(question, left, right), await compare(question, right, left)
    duels.pairs += 1
    if "invalid" in (forward, backward):
        duels.invalid += 1
        return "tie"
    if (forward, backward) == ("first", "second"):
        return "left"
    if (forward, backward) == ("second", "first"):
        return "right"
    duels.flips += forward == backward != "tie"
    duels.ties += 1
    return "tie"


def make_auto(verifier: Verifier | None, compare: Compare | None, m: int) -> Selector:
    """Each rule in turn, until one decides: the verifier where the problem has a check, the majority where it is clear,
    the confidence where it is not even, the judge among what is then still even, the shortest at last."""

    async def auto(problem: Problem, attempts: Sequence[Attempt]) -> Choice:
        reasons: list[str] = []
        if verifier is not None:
            choice = await make_verified(verifier)(problem, attempts)
            if choice.details.get("score") == 1.0:
                return choice
            reasons.append("no attempt passed the check" if choice.selector == "verifier" else "nothing could be checked")
        candidates = usable(attempts)
        choice = await majority(problem, attempts)
        if choice.details["tied"] > 1:
            reasons.append(choice.reason)
            choice = await _break_tie(problem, candidates)
        return replace(choice, reason="; ".join([*reasons, choice.reason]), votes=_votes(classes(candidates), lambda _: 1.0))

    async def _break_tie(problem: Problem, candidates: Sequence[Attempt]) -> Choice:
        even = [a for group in _top(classes(candidates), lambda _: 1.0) for a in group]
        if all(a.mean_logprob is not None for a in even):
            close = _top(classes(even), weight, _CLOSE)
            even = [a for group in close for a in group]
            if len(close) == 1:
                return await confidence(problem, even)
        if compare is not None:
            return await make_judge(compare, even)(problem, candidates)
        return await make_short(m)(problem, even)

    return auto


def make_selector(name: str, *, m: int, verifier: Verifier | None, compare: Compare | None) -> Selector:
    """The selector called `name`, one of `SolveConfig.select`."""
    selectors: dict[str, Callable[[], Selector]] = {
        "auto": lambda: make_auto(verifier, compare, m),
        "verifier": lambda: make_verified(verifier or _unverifiable),
        "majority": lambda: majority,
        "confidence": lambda: confidence,
        "short": lambda: make_short(m),
        "judge": lambda: make_judge(compare or _no_judge),
    }
    return selectors[name]()


def _unverifiable(problem: Problem, text: str) -> Verdict:
    return Verdict(None, "the problem has no check")


async def _no_judge(question: str, first: Attempt, second: Attempt) -> Order:
    return "invalid"


def cannot_change(
    name: str, problem: Problem, ended: Sequence[Attempt], running: int, *, m: int, verifier: Verifier | None
) -> str | None:
    """Why the choice is already certain although `running` candidates still think; `None` where it is not.

    Majority: even if all the others agreed on the second answer, they could not reach the first. Confidence: the same
    with each of them voting with weight 1, the most there is. Judge: never, since any new answer could win. Forced answers
    never count here: one candidate that ends by itself would outrank them all. Only votes that are written with the same unit
    count for the first answer, since "5" and "5 cm" part company when somebody says "5 m".
    """
    finished = [a for a in ended if a.status == "done" and a.answer is not None]
    if not finished or not running:
        return None
    if name in ("auto", "verifier") and verifier is not None:
        if any(verifier(problem, a.text).score == 1.0 for a in finished):
            return "an answer passed its check"
        return None
    if name == "short":
        return f"{m} candidates have finished" if len(finished) >= m else None
    if name in ("majority", "auto", "confidence"):
        value: Callable[[Attempt], float] = weight if name == "confidence" else lambda _: 1.0
        first, *others = sorted(classes(finished).values(), key=lambda g: sum(map(value, g)), reverse=True)
        units = {
            key: [a for a in first if answer_key(a.answer or "") == key] for key in (answer_key(a.answer or "") for a in first)
        }
        firm = max(sum(map(value, group)) for group in units.values())
        if firm > (sum(map(value, others[0])) if others else 0.0) + running + 1e-9:
            return f"{len(first)} candidates agree and the other {running} cannot change it"
    return None
