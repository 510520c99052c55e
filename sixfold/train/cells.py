"""Which problems a policy is trained on next: cells of (family, level), drawn by how much they still teach.

Place: `rl.py` draws its prompts here and reports back how each group went. A group teaches only where some of its completions
are right and some wrong, so a cell is drawn in proportion to p(1 - p) of its running success. A fixed share of the draws are
easy items, which keep answers short (https://arxiv.org/abs/2511.01937), and some explore. Success over a window opens a
family's next level. Everything follows from the seed and the number of draws, so the state is a small JSON value.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, TypeVar

from sixfold.core import Problem
from sixfold.errors import TrainError
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate

T = TypeVar("T")

_AGAIN = 1_000_003
"""Added to the seed of a cell whose problems have all been drawn: the same questions come in another order."""


@dataclass(frozen=True, slots=True)
class Draws:
    """How cells are drawn; shares and success are 0..1. `level` is open at first and `top_level` at most. A cell is easy from a
    success of `easy_at`. A level opens when the success over the last `window` completions of the one below is `raise_at`. Each
    group weighs `decay` times as much as the one after it."""

    level: int = 1
    top_level: int = 99
    easy_share: float = 0.1
    easy_at: float = 0.85
    explore: float = 0.1
    raise_at: float = 0.8
    window: int = 64
    decay: float = 0.9


class Cells:
    """The sampler. It is closed by nothing; it is a class because problems come from streams that go on."""

    def __init__(self, families: Sequence[str], draws: Draws = Draws(), seed: int = 0) -> None:
        unknown = [name for name in families if name not in FAMILIES]
        if unknown or not families:
            raise TrainError(
                f"no generated family is called {unknown[0]!r}" if unknown else "no family to train on",
                hint="`sixfold tasks list` shows the generated families; only they have training problems without end",
            )
        self._draws, self._seed, self._count = draws, seed, 0
        self._top = {name: min(draws.level, draws.top_level, FAMILIES[name].levels) for name in families}
        self._success: dict[str, tuple[float, float]] = {}
        self._windows: dict[str, list[list[int]]] = {name: [] for name in families}
        self._taken: dict[str, list[int]] = {}
        self._streams: dict[str, Iterator[Problem]] = {}

    def draw(self) -> tuple[str, Problem]:
        """The next cell ("math/gcd:2") and a problem of its training split."""
        generator = random.Random(f"cells:{self._seed}:{self._count}")
        cell = self._pick(generator)
        self._count += 1
        return cell, self._next(cell)

    def observe(self, cell: str, right: int, total: int) -> bool:
        """Count `right` of `total` judged completions of a cell. Whether that opened the family's next level."""
        had, of = self._success.get(cell, (0.0, 0.0))
        self._success[cell] = had * self._draws.decay + right, of * self._draws.decay + total
        family, level = _parts(cell)
        if level != self._top[family] or not total:
            return False
        window = self._windows[family]
        window.append([right, total])
        while sum(t for _, t in window[1:]) >= self._draws.window:
            window.pop(0)
        judged = sum(t for _, t in window)
        if judged < self._draws.window or sum(r for r, _ in window) < self._draws.raise_at * judged:
            return False
        window.clear()
        if level >= min(FAMILIES[family].levels, self._draws.top_level):
            return False
        self._top[family] += 1
        return True

    def success(self, cell: str) -> float:
        """The estimate of a cell's success, 0..1: one half before anything is known (the mean of a Beta with prior 1, 1)."""
        right, total = self._success.get(cell, (0.0, 0.0))
        return (right + 1) / (total + 2)

    @property
    def active(self) -> list[str]:
        """The cells that are drawn from: every open level of every family."""
        return [f"{family}:{level}" for family, top in self._top.items() for level in range(1, top + 1)]

    @property
    def mean_level(self) -> float:
        """Mean of the highest open level over the families."""
        return sum(self._top.values()) / len(self._top)

    def state(self) -> dict[str, Any]:
        """All that draws depend on, as JSON; `load` takes it back."""
        return {
            "seed": self._seed,
            "count": self._count,
            "top": dict(self._top),
            "success": {cell: list(pair) for cell, pair in self._success.items()},
            "windows": {family: [list(pair) for pair in window] for family, window in self._windows.items()},
            "taken": {cell: list(pair) for cell, pair in self._taken.items()},
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Go on from a state. Raises `TrainError` where it belongs to other families or another seed."""
        if set(state["top"]) != set(self._top) or state["seed"] != self._seed:
            raise TrainError(
                "the checkpoint drew from other families or with another seed",
                hint="resume with the recipe that the run began with, or begin a new run",
            )
        self._count = state["count"]
        self._top = {family: state["top"][family] for family in self._top}
        self._success = {cell: (right, total) for cell, (right, total) in state["success"].items()}
        self._windows = {family: [list(pair) for pair in state["windows"][family]] for family in self._top}
        self._taken = {cell: list(pair) for cell, pair in state["taken"].items()}
        self._streams = {}

    def _pick(self, generator: random.Random) -> str:
        active, share = self.active, self._draws.easy_share
        easy = [cell for cell in active if self.success(cell) >= self._draws.easy_at]
        if easy and int((self._count + 1) * share) > int(self._count * share):
            return _evenly(easy, generator)
        if generator.random() < self._draws.explore:
            return _evenly(active, generator)
        weights = [self.success(cell) * (1 - self.success(cell)) for cell in active]
        return generator.choices(active, weights)[0]

    def _next(self, cell: str) -> Problem:
        family, level = _parts(cell)
        for _ in range(2):
            round_, taken = self._taken.setdefault(cell, [0, 0])
            if cell not in self._streams:
                problems = generate(FAMILIES[family], level, "train", self._seed + round_ * _AGAIN)
                self._streams[cell] = islice(problems, taken, None)
            problem = next(self._streams[cell], None)
            if problem is not None:
                self._taken[cell][1] += 1
                return problem
            self._taken[cell] = [round_ + 1, 0]
            del self._streams[cell]
        raise TrainError(f"{cell} has no training problems", hint="leave the family out of the recipe's rl.tasks")


def fill(
    draw: Callable[[int], Sequence[T]], has_signal: Callable[[T], bool], wanted: int, rounds: int
) -> tuple[list[T], list[T]]:
    """Draw groups until `wanted` of them have a signal, in at most `rounds` more draws of as many as are missing (DAPO's
    dynamic sampling, https://arxiv.org/abs/2503.14476, but bounded). The batch of exactly `wanted`, those with a signal first;
    and all drawn.

    >>> left = iter([0, 1, 0, 2, 3, 0])
    >>> fill(lambda n: [next(left) for _ in range(n)], bool, 3, 1)
    ([1, 2, 3], [0, 1, 0, 2, 3])
    """
    drawn = list(draw(wanted))
    for _ in range(rounds):
        missing = wanted - sum(map(has_signal, drawn))
        if missing <= 0:
            break
        drawn += draw(missing)
    return sorted(drawn, key=lambda group: not has_signal(group))[:wanted], drawn


def _evenly(cells: Sequence[str], generator: random.Random) -> str:
    """One cell, domains alike however many families they have."""
    domains = sorted({FAMILIES[_parts(cell)[0]].domain for cell in cells})
    domain = generator.choice(domains)
    return generator.choice([cell for cell in cells if FAMILIES[_parts(cell)[0]].domain == domain])


def _parts(cell: str) -> tuple[str, int]:
    family, _, level = cell.rpartition(":")
    return family, int(level)
