"""Scoring with reasoning-gym, as it runs in a worker's child process.

Place: the job `gym` of `worker_jobs.py`; the verifier `gym` calls it. The library's scorers are lenient in ways that no reward
may be: some take the one right answer out of several, `nan` is as near to everything as can be, and a tower of powers is
computed. All are refused here, before a scorer sees them. Some scorers raise because of what a model wrote: that is a wrong
answer, as long as they can score the reference. What they raise otherwise is passed on: the caller counts it as unscored.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

PLANS = frozenset("group_anagrams jugs palindrome_partitioning shortest_path".split())
"""Data sets in which an answer longer than the reference may be right: one of several ways to a goal."""


def load() -> object:
    """Imports the library, which takes about a second."""
    import reasoning_gym

    return reasoning_gym


def score(dataset: str, entry: Mapping[str, Any], answer: str) -> float:
    """What the library gives for `answer` to `entry` (as JSON gives it back, with lists for tuples), 0..1."""
    reference = str(entry.get("answer") or "")
    if not answer.strip() or no_number(answer) or explodes(answer):
        return 0.0
    if dataset not in PLANS and hedged(reference, answer):
        return 0.0
    scorer = _scorer(dataset)
    try:
        value = float(scorer(answer, dict(entry)))
    except Exception:  # the library's scorers raise whatever an answer makes them stumble over
        if float(scorer(reference, dict(entry))) < 1.0:
            raise
        return 0.0
    return value if math.isfinite(value) else 0.0


def hedged(reference: str, answer: str) -> bool:
    """Whether an answer may be several in one: it has more parts than the reference, or more numbers or words where that is
    made of numbers or words; or it denies something.

    >>> [hedged("12", a) for a in ("11, 12", "1,200", "11 or 12", "12 11", "not 12", "x = 12")]
    [True, False, True, True, True, False]
    >>> hedged("a, b", "b, a"), hedged("$\\frac{1}{2}$", "1/2"), hedged("x**2 + C", "1*x**2 + C"), hedged("abc", "abc xyz")
    (False, False, False, True)
    """
    marks = [r"[,;]\s", r"\n\s*\S", r"(?i)\bor\b", r"(?i)\bnot\b"]
    if not re.search(r"[a-zA-Z]", re.sub(r"\\d?frac", "", reference)):
        marks.append(r"\d[\d,]*(?:\.\d+)?")
    if not re.search(r"[^a-zA-Z\s.,;:!?'\"-]", reference):
        marks.append(r"\S+")
    return any(len(re.findall(mark, answer)) > len(re.findall(mark, reference)) for mark in marks)


def no_number(answer: str) -> bool:
    """Whether an answer has what floating point writes for no number.

    >>> no_number("NaN"), no_number("-inf"), no_number("info"), no_number("nan + 0j")
    (True, True, False, True)
    """
    return bool(re.search(r"(?i)(?<![a-z])[+-]?(?:nan|inf|infinity)j?(?![a-z])", answer))


def explodes(answer: str) -> bool:
    """Whether an answer asks for a number too large to compute: powers of powers, long exponents, factorials.

    >>> explodes("9**9**9"), explodes("2^(10000)"), explodes("99999!"), explodes("3*x**12 - x**2"), explodes("Stop!")
    (True, True, True, False, False)
    """
    return bool(re.search(r"(?:\*\*|\^)[\s(]*\d*[\s)]*(?:\*\*|\^)|(?:\*\*|\^)[\s(+]*\d{4,}|[\d)]\s*!", answer))


@cache
def _scorer(dataset: str) -> Callable[[str, dict[str, Any]], float]:
    import reasoning_gym

    scorer: Callable[[str, dict[str, Any]], float] = reasoning_gym.get_score_answer_fn(dataset)
    return scorer
