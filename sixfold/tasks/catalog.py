"""Every task by name: generated families, public benchmarks, reasoning-gym.

Place: the evals, the audit, the decontamination and training ask here. `math/gcd` is a family with its levels mixed,
`math/gcd:2` one level; `gsm8k` is a public benchmark; `gym/lcm` comes from reasoning-gym. `generated`, `public`, `gym` and the
names of domains stand for groups.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice

from sixfold.core import Problem, Split, Task
from sixfold.errors import TaskError
from sixfold.tasks import benchmarks, gym
from sixfold.tasks.code_families import FAMILIES as CODE
from sixfold.tasks.family import Family, generate
from sixfold.tasks.logic_families import FAMILIES as LOGIC
from sixfold.tasks.math_families import FAMILIES as MATH
from sixfold.tasks.science_families import FAMILIES as SCIENCE
from sixfold.tasks.simulation_families import FAMILIES as SIMULATION
from sixfold.tasks.tabular_families import FAMILIES as TABULAR

FAMILIES: Mapping[str, Family] = {f.task: f for f in (*MATH, *CODE, *SCIENCE, *LOGIC, *SIMULATION, *TABULAR)}

GROUPS: Mapping[str, tuple[str, ...]] = {
    "generated": tuple(FAMILIES),
    "public": tuple(benchmarks.NAMES),
    "gym": tuple(gym.NAMES),
} | {d: tuple(n for n, f in FAMILIES.items() if f.domain == d) for d in dict.fromkeys(f.domain for f in FAMILIES.values())}

_MIXED_COUNT = 200
"""Problems of a mixed family where no count is given: a family has no end."""


def find_tasks(names: Sequence[str]) -> list[Task]:
    """The tasks of these names and groups, each once, in order. Raises `TaskError` for a name that is none."""
    wanted = dict.fromkeys(name for given in names for name in GROUPS.get(given, (given,)))
    if not wanted:
        raise TaskError("no task was named", hint="`sixfold tasks list` shows them, for example math/gcd or gsm8k")
    return [find_task(name) for name in wanted]


def find_families(names: Sequence[str]) -> list[Family]:
    """The generated families of these names and groups: what has training problems without end, and worked solutions.

    Raises `TaskError` for a name that is none, a single level and a benchmark included.
    """
    if others := [name for given in names for name in GROUPS.get(given, (given,)) if name not in FAMILIES]:
        find_task(others[0])
        raise TaskError(
            f"{others[0]} is no generated family, and only those have training problems",
            hint="name families without a level, domains, or generated: `sixfold tasks list`",
        )
    return [FAMILIES[task.name] for task in find_tasks(names)]


def find_task(name: str) -> Task:
    """One task by its name. Raises `TaskError` with the nearest name, or with one of a group where it names that."""
    family, _, level = name.partition(":")
    if family in FAMILIES and (not level or level.isdecimal()):
        return family_task(FAMILIES[family], int(level) if level else None)
    if name in benchmarks.NAMES:
        return benchmarks.make_task(name)
    if name in gym.NAMES:
        return gym.make_task(name)
    if name in GROUPS:
        raise TaskError(f"{name} is a group of tasks, and one task is wanted", hint=f"name one, such as {GROUPS[name][0]}")
    known = [*FAMILIES, *benchmarks.NAMES, *gym.NAMES, *GROUPS]
    near = difflib.get_close_matches(name, known, 1, 0.5)
    why = gym.LEFT_OUT.get(name.removeprefix("gym/")) if name.startswith("gym/") else None
    what = f"{name} is left out: {why}" if why else f"there is no task {name!r}"
    raise TaskError(what, hint=f"did you mean {near[0]}?" if near else "`sixfold tasks list` shows them")


def family_task(family: Family, level: int | None = None) -> Task:
    """A family as a task: one level, or all of them in turn."""
    if level is not None and not 1 <= level <= family.levels:
        raise TaskError(f"{family.task} has no level {level}", hint=f"use {family.task}:1 to {family.task}:{family.levels}")
    levels = [level] if level is not None else list(range(1, family.levels + 1))
    return Task(
        family.task if level is None else f"{family.task}:{level}", family.domain, partial(_load, family, levels),
        splits=("train", "validation", "test"), floor=family.floor, attack_limit=family.floor, version=family.version,
        licence="Apache-2.0", source="generated", masked=family.masked,
    )  # fmt: skip


def _load(family: Family, levels: Sequence[int], split: Split, count: int | None) -> Iterable[Problem]:
    return islice(_in_turn([generate(family, level, split) for level in levels]), _MIXED_COUNT if count is None else count)


def _in_turn(streams: Sequence[Iterator[Problem]]) -> Iterator[Problem]:
    """One of each stream after the other, until all have ended."""
    left = list(streams)
    while left:
        for stream in list(left):
            problem = next(stream, None)
            if problem is None:
                left.remove(stream)
            else:
                yield problem
