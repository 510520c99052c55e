"""A generated family: problems out of a seed, with worked solutions, and the proof that they are right.

Place: `catalog.py` lists the families of all domains and turns each level into a `Task`. A family is three things: `make`
writes a problem and its worked solution, `prove` reads both again with code of its own, and `floor` says what a fixed guess
earns. Splits are by hash: which one a question belongs to follows from its text alone, so that no seed can move it.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from sixfold.core import Domain, Problem, Split
from sixfold.errors import TaskError

_SHARES: tuple[tuple[Split, int], ...] = (("test", 15), ("validation", 10), ("train", 75))
"""Percent of all questions."""
_TRIES = 400
"""How many draws in a row may bring nothing new before the family counts as exhausted."""


@dataclass(frozen=True, slots=True)
class Family:
    """`make(generator, level)` gives a problem of level 1 to `levels`; `prove(problem)` lists what is wrong with one, reading
    its text alone. `floor` is what the best fixed guess scores at most, 0..1. `masked` families are split by the question with
    its digits masked, so that no wording with other numbers crosses from training to test."""

    name: str
    domain: Domain
    make: Callable[[random.Random, int], Problem]
    prove: Callable[[Problem], list[str]]
    levels: int
    floor: float
    masked: bool = False
    version: str = "1"

    @property
    def task(self) -> str:
        return f"{self.domain}/{self.name}"


def normalised(question: str) -> str:
    """The question as splits and overlaps see it: lower case, blanks as one.

    >>> normalised("What  is\\n2 + 2?")
    'what is 2 + 2?'
    """
    return " ".join(question.casefold().split())


def masked(question: str) -> str:
    """`normalised` with every run of digits as `#`.

    >>> masked("Add 12 and 3.5.")
    'add # and #.#.'
    """
    return re.sub(r"\d+", "#", normalised(question))


def split_of(key: str) -> Split:
    """Which split a question belongs to, from its text alone: 75 % train, 10 % validation, 15 % test.

    >>> split_of("what is 2 + 2?")
    'train'
    """
    at = int.from_bytes(hashlib.sha256(key.encode("utf-8")).digest()[:8], "big") % 100
    for split, share in _SHARES:
        if at < share:
            return split
        at -= share
    raise AssertionError("the shares are 100 %")


def generate(family: Family, level: int, split: Split, seed: int = 0) -> Iterator[Problem]:
    """Distinct problems of one split and level, the same in every process, until the family has no more.

    Raises `TaskError` where the level is none of the family's.
    """
    if not 1 <= level <= family.levels:
        raise TaskError(f"{family.task} has no level {level}", hint=f"use 1 to {family.levels}")
    generator = random.Random(f"{family.task}:{family.version}:{level}:{split}:{seed}")
    seen: set[str] = set()
    barren = 0
    while barren < _TRIES:
        problem = family.make(generator, level)
        text = normalised(problem.question)
        barren += 1
        if split_of(masked(text) if family.masked else text) != split or text in seen:
            continue
        seen.add(text)
        barren = 0
        name = f"{family.task}:{level}/{split}/{hashlib.sha256(text.encode()).hexdigest()[:12]}"
        meta = {**problem.meta, "family": family.task, "level": level}
        yield replace(problem, id=name, domain=family.domain, meta=meta)
