"""Estimates and their uncertainty: pass@k, majority@k, intervals, paired differences.

Place: `report.py` and `compare.py` call these with what was judged; nothing here knows a file, a task or a model. The unit that
is drawn at random is the question: samples of one question belong together, so every interval resamples questions. A mark is
`True` (right), `False` (wrong) or `None`: not judged, which is left out and never counted as wrong. Seeded, so that the same
run gives the same report.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

Mark = bool | None
Finding = Literal["better", "worse", "noise"]

Z95 = 1.959963984540054
"""The standard normal's 97.5 % point."""
RESAMPLES = 4000
_CHUNK = 2_000_000
_EXACT_STEPS = 60_000_000
"""Additions that an exact sign-flip distribution may cost; beyond that signs are drawn."""


class Interval(NamedTuple):
    """A 95 % interval."""

    low: float
    high: float


class Estimate(NamedTuple):
    """A mean over questions; `value` is `None` where none counts. `left_out` are questions with too few judged samples."""

    value: float | None
    questions: int
    left_out: int


class Paired(NamedTuple):
    """The mean difference over questions that both have, its bootstrap interval and the p value of a sign-flip test."""

    difference: float
    interval: Interval
    p: float
    questions: int


def pass_at_k(n: int, right: int, k: int) -> float:
    """The probability that at least one of k samples, drawn without replacement from n of which `right` are right, is right.

    Chen et al. 2021, "Evaluating Large Language Models Trained on Code" (arXiv 2107.03374), section 2.1: unbiased, unlike
    1 - (1 - right/n)^k. Exact in integers here, where the paper multiplies floats.

    >>> pass_at_k(4, 1, 2), pass_at_k(4, 3, 2), pass_at_k(4, 0, 4)
    (0.5, 1.0, 0.0)
    """
    if not 1 <= k <= n or not 0 <= right <= n:
        raise ValueError(f"pass@{k} needs {k} of {n} samples and at most {n} right ones, not {right}")
    return float(1 - Fraction(math.comb(n - right, k), math.comb(n, k)))


def pass_rates(marks: Sequence[Sequence[Mark]], k: int = 1) -> list[float | None]:
    """For each question its pass@k (k = 1: the mean of its samples); `None` where fewer than k samples were judged.

    >>> pass_rates([[True, False, None], [None, None, True]], 2)
    [1.0, None]
    """
    rates: list[float | None] = []
    for samples in marks:
        judged = [m for m in samples if m is not None]
        rates.append(pass_at_k(len(judged), sum(judged), k) if len(judged) >= k else None)
    return rates


def majority_at_k(keys: Sequence[str | None], marks: Sequence[Mark], k: int) -> float | None:
    """How often the most frequent answer of k samples is right, expected over all subsets of k samples of one question.

    Self-consistency (Wang et al. 2022, arXiv 2203.11171). A key stands for an answer (`None`: no answer, which does not vote);
    among answers with equally many votes each is taken with the same probability, and right means a random sample that gave it.
    No votes at all is wrong. Samples that were not judged are left out; `None` where fewer than k are left. Exact for every k:
    subsets are counted, not drawn. For each number of votes m the others may have at most m, and those with exactly m are tied.

    >>> majority_at_k(["4", "4", "5"], [True, True, False], 3), majority_at_k(["4", "5"], [True, False], 2)
    (1.0, 0.5)
    >>> majority_at_k(["4", "4", "5"], [True, True, False], 2)  # {4,4}, {4,5}, {4,5}
    0.6666666666666666
    """
    judged = [(key, bool(mark)) for key, mark in zip(keys, marks, strict=True) if mark is not None]
    if k < 1 or len(judged) < k:
        return None
    groups: dict[str, list[bool]] = {}
    for key, right in judged:
        if key is not None:
            groups.setdefault(key, []).append(right)
    silent = len(judged) - sum(map(len, groups.values()))
    sizes = [len(g) for g in groups.values()]
    wins = {size: _ways_to_win(size, _without(sizes, size), silent, k) for size in set(sizes)}
    hits = sum((Fraction(sum(g), len(g)) * wins[len(g)] for g in groups.values()), Fraction(0))
    return float(hits / math.comb(len(judged), k))


def _without(sizes: Sequence[int], one: int) -> list[int]:
    rest = list(sizes)
    rest.remove(one)
    return rest


def _ways_to_win(size: int, others: Sequence[int], silent: int, k: int) -> Fraction:
    """The subsets of k in which a group of `size` has the most votes; one with t others tied counts as 1 / (1 + t)."""
    ways = Fraction(0)
    for votes in range(1, min(size, k) + 1):
        counts = {(0, 0): 1}  # (samples taken from the others, groups among them that are tied) -> subsets
        for other in others:
            grown: dict[tuple[int, int], int] = {}
            for (taken, tied), subsets in counts.items():
                for more in range(min(other, votes, k - votes - taken) + 1):
                    at = taken + more, tied + (more == votes)
                    grown[at] = grown.get(at, 0) + subsets * math.comb(other, more)
            counts = grown
        for (taken, tied), subsets in counts.items():
            ways += Fraction(math.comb(size, votes) * subsets * math.comb(silent, k - votes - taken), 1 + tied)
    return ways


def mean(values: Sequence[float | None]) -> Estimate:
    """The mean of what is there, which is a macro average over questions.

    >>> mean([1.0, 0.5, None])
    Estimate(value=0.75, questions=2, left_out=1)
    """
    there = [v for v in values if v is not None]
    return Estimate(math.fsum(there) / len(there) if there else None, len(there), len(values) - len(there))


def wilson(right: float, n: int, z: float = Z95) -> Interval:
    """The score interval of a proportion (Wilson 1927), which holds near 0 and 1 and for few questions, where the normal one
    does not. For yes or no per question; (0, 1) where n is 0. With means of several samples in `right` it is too wide, never
    too narrow, for their variance is at most that of one sample.

    >>> tuple(round(x, 4) for x in wilson(8, 10)), tuple(round(x, 4) for x in wilson(0, 10))
    ((0.4902, 0.9433), (0.0, 0.2775))
    """
    if n == 0:
        return Interval(0.0, 1.0)
    p, half = right / n, z * z / n
    centre, spread = p + half / 2, z * math.sqrt(p * (1 - p) / n + half / (4 * n))
    low = 0.0 if right <= 0 else (centre - spread) / (1 + half)
    high = 1.0 if right >= n else (centre + spread) / (1 + half)
    return Interval(low, high)


def bootstrap(values: Sequence[float], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The percentile interval (Efron 1979) of the mean of one value a question. Clustered: a question is drawn with all its
    samples, since its value is their mean. Degenerate where all values are alike: then `wilson` says more."""
    return macro_bootstrap([values], seed, resamples)


def macro_bootstrap(tasks: Sequence[Sequence[float]], seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """The percentile interval of the unweighted mean over tasks of their means over questions. Stratified: each resample draws
    within every task as many questions as it has, because the tasks were chosen and only their questions are a sample."""
    import numpy as np

    if not tasks or not all(tasks):
        return Interval(0.0, 1.0)
    generator = np.random.default_rng(seed)
    means = np.zeros(resamples)
    for values in tasks:
        means += np.concatenate(list(_resampled(np.asarray(values, dtype=float), generator, resamples)))
    low, high = np.quantile(means / len(tasks), [0.025, 0.975])
    return Interval(float(low), float(high))


def macro_interval(tasks: Sequence[Sequence[float]], seed: int = 0) -> Interval:
    """The interval of an unweighted mean over tasks of accuracies (0..1), out of the tasks' own intervals (MOVER, Zou and
    Donner 2008): the distances of their ends from their means add up as squares. A bootstrap within tasks would call a task
    certain of which no question was right.

    >>> low, high = macro_interval([[0.0] * 20] * 25)
    >>> low, round(high, 4), round(wilson(0, 20).high / 5, 4)
    (0.0, 0.0322, 0.0322)
    """
    if not tasks or not all(tasks):
        return Interval(0.0, 1.0)
    means = [math.fsum(values) / len(values) for values in tasks]
    ends = [shown_interval(values, seed) for values in tasks]
    value = math.fsum(means) / len(tasks)
    down = math.hypot(*(mean - end.low for mean, end in zip(means, ends, strict=True))) / len(tasks)
    up = math.hypot(*(end.high - mean for mean, end in zip(means, ends, strict=True))) / len(tasks)
    return Interval(max(0.0, value - down), min(1.0, value + up))


def _resampled(values: NDArray[np.float64], generator: np.random.Generator, resamples: int) -> Iterator[NDArray[np.float64]]:
    """Means of resamples, in pieces that fit into memory."""
    at_once = max(1, min(resamples, _CHUNK // len(values)))
    for start in range(0, resamples, at_once):
        drawn = generator.integers(0, len(values), (min(at_once, resamples - start), len(values)))
        yield values[drawn].mean(axis=1)


def shown_interval(values: Sequence[float], seed: int = 0) -> Interval:
    """The interval to put beside a mean over questions: Wilson where each value is 0 or 1, or where all are alike, so that 0 of
    10 is not shown as certain; else the bootstrap over questions."""
    if len(set(values)) <= 1 or all(v in (0.0, 1.0) for v in values):
        return wilson(math.fsum(values), len(values))
    return bootstrap(values, seed)


def paired(differences: Sequence[float], seed: int = 0) -> Paired:
    """Two runs on the same questions, from one difference a question (B minus A): far narrower than comparing two intervals,
    for most of the spread is how hard the questions are."""
    return macro_paired([differences], seed)


def macro_paired(tasks: Sequence[Sequence[float]], seed: int = 0) -> Paired:
    """The same as an unweighted mean over tasks, resampled within tasks."""
    value = math.fsum(math.fsum(d) / len(d) for d in tasks) / len(tasks)
    weighted = [d / (len(task) * len(tasks)) for task in tasks for d in task]
    p = sign_flip_p(tasks[0], seed) if len(tasks) == 1 else _drawn_signs_p(weighted, seed)
    return Paired(value, macro_bootstrap(tasks, seed), p, len(weighted))


def sign_flip_p(differences: Sequence[float], seed: int = 0) -> float:
    """The two-sided p value of Fisher's sign-flip (paired permutation) test: how often random signs give a sum at least as far
    from 0. Where each difference is -1, 0 or 1 this is McNemar's exact test (McNemar 1947). Exact, by the distribution of the
    sum over a grid of common fractions; seeded draws where that grid would be too fine.

    >>> sign_flip_p([1, 1, 1, 1, 1, 0]), sign_flip_p([1, -1]), sign_flip_p([0, 0])
    (0.0625, 1.0, 1.0)
    """
    import numpy as np

    fractions = [Fraction(d).limit_denominator(1 << 16) for d in differences if d]
    unit = math.lcm(*(f.denominator for f in fractions))
    steps = [int(f * unit) for f in fractions]
    size = sum(map(abs, steps))
    if size * len(steps) > _EXACT_STEPS:
        return _drawn_signs_p(differences, seed)
    chances = np.zeros(size + 1)  # of the sum of those steps whose sign is plus
    chances[0] = 1.0
    for step in map(abs, steps):
        chances[step:] = (chances[step:] + chances[: size + 1 - step]) / 2
        chances[:step] /= 2
    far = np.abs(2 * np.arange(size + 1) - size) >= abs(sum(steps))
    return min(1.0, float(chances[far].sum()))


def _drawn_signs_p(differences: Sequence[float], seed: int, draws: int = 20_000) -> float:
    """The same from random signs; the observed signs count as one draw (Phipson and Smyth 2010), so p is never 0."""
    import numpy as np

    values = np.asarray([d for d in differences if d], dtype=float)
    if not len(values):
        return 1.0
    generator, far = np.random.default_rng(seed), 0
    target = abs(float(values.sum())) - 1e-9 * float(np.abs(values).sum())
    at_once = max(1, _CHUNK // len(values))
    for start in range(0, draws, at_once):
        signs = generator.integers(0, 2, (min(at_once, draws - start), len(values))) * 2.0 - 1.0
        far += int((np.abs(signs @ values) >= target).sum())
    return (1 + far) / (1 + draws)


def holm(ps: Sequence[float]) -> list[float]:
    """p values adjusted for how many there are (Holm 1979): of many comparisons some look real by chance.

    >>> holm([0.01, 0.04, 0.5])
    [0.03, 0.08, 0.5]
    """
    adjusted, largest = [0.0] * len(ps), 0.0
    for rank, at in enumerate(sorted(range(len(ps)), key=lambda i: ps[i])):
        largest = max(largest, min(1.0, (len(ps) - rank) * ps[at]))
        adjusted[at] = largest
    return adjusted


def finding(interval: tuple[float, float], p: float) -> Finding:
    """`noise` where the interval holds 0, and where it does not but signs alone would do it in more than 1 of 20 cases: the
    interval of a handful of questions is too narrow.

    >>> finding(Interval(0.01, 0.05), 0.01), finding(Interval(-0.01, 0.05), 0.2), finding(Interval(1.0, 1.0), 1.0)
    ('better', 'noise', 'noise')
    """
    low, high = interval
    if low <= 0 <= high or p > 0.05:
        return "noise"
    return "better" if low > 0 else "worse"
