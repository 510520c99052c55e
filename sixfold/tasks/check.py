"""`sixfold tasks check`: the proof of every family, on problems that are made anew.

Place: run by users, by tests, and by training before it begins. It takes a family's word for nothing: answers go through the
real verifier, worked solutions through `Family.prove`, which reads the text with code of its own, and the proof itself is
tested with mistakes put into solutions. What it cannot see is a question that both the generator and the proof read wrongly.
"""

from __future__ import annotations

import hashlib
import json
import random
import re
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import get_args

from sixfold.core import Problem, Split, Verdict
from sixfold.tasks.family import Family, generate, masked, normalised

MUTATIONS_FOUND = 0.95
"""The share of mistakes in worked solutions that a proof has to find."""
_SPLITS: tuple[Split, ...] = get_args(Split)


@dataclass(slots=True)
class Report:
    """What was found for one family. `faults` are sentences; `ok` where there is none."""

    task: str
    problems: int = 0
    mutations: int = 0
    mutations_found: int = 0
    solution_chars: list[int] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        return not self.faults

    @property
    def found_rate(self) -> float:
        return self.mutations_found / self.mutations if self.mutations else 1.0


def check_family(family: Family, judge: Callable[[Problem, str], Verdict], count: int = 50) -> Report:
    """Check `count` problems of each level and split of a family."""
    report = Report(family.task)
    by_split: dict[Split, set[str]] = {}
    for split in _SPLITS:
        problems = [p for level in range(1, family.levels + 1) for p in islice(generate(family, level, split), count)]
        if len(problems) < family.levels * count:
            report.faults.append(f"{split}: only {len(problems)} of {family.levels * count} problems are distinct")
        _share_nothing(family, problems, split, by_split, report)
        for i, problem in enumerate(problems):
            other = next((p for p in problems[i + 1 :] + problems[:i] if _differs(p, problem)), None)
            _check_problem(family, problem, other, judge, report)
    if report.found_rate < MUTATIONS_FOUND:
        report.faults.append(f"the proof finds only {report.found_rate:.0%} of the mistakes put into solutions")
    return report


def _share_nothing(
    family: Family, problems: Sequence[Problem], split: Split, by_split: dict[Split, set[str]], report: Report
) -> None:
    """No question twice over all levels of a split, and none in two splits."""
    keys = [masked(p.question) if family.masked else normalised(p.question) for p in problems]
    exact = [normalised(p.question) for p in problems]
    if len(set(exact)) < len(exact):
        report.faults.append(f"{split}: {len(exact) - len(set(exact))} questions are there in two levels")
    for other, seen in by_split.items():
        if shared := seen & set(keys):
            report.faults.append(f"{split} and {other} share {len(shared)} questions, such as {min(shared)[:80]!r}")
    by_split[split] = set(keys)


def _differs(one: Problem, two: Problem) -> bool:
    """Whether the answers are different by more than any tolerance allows."""
    if one.answer == two.answer or one.meta.get("level") != two.meta.get("level"):
        return False
    numbers = [re.match(r"-?\d+(?:\.\d+)?", p.answer or "") for p in (one, two)]
    if not all(numbers):
        return True
    a, b = (float(n[0]) for n in numbers if n)
    return abs(a - b) > 0.05 * max(abs(a), abs(b)) or (one.answer or "").isdigit()


def _prove(family: Family, problem: Problem) -> list[str]:
    """What the family's proof finds in a problem as its generator made it, without what `generate` adds."""
    meta = {name: value for name, value in problem.meta.items() if name not in ("family", "level")}
    return family.prove(replace(problem, meta=meta))


def _check_problem(
    family: Family, problem: Problem, other: Problem | None, judge: Callable[[Problem, str], Verdict], report: Report
) -> None:
    report.problems += 1
    where = problem.id
    if not problem.answer or not problem.solution:
        report.faults.append(f"{where}: it has no answer or no worked solution")
        return
    report.solution_chars.append(len(problem.solution))
    verdict = judge(problem, problem.solution)
    if verdict.score != 1.0 or verdict.form != "strict":
        report.faults.append(f"{where}: its own solution scores {verdict.score} ({verdict.form}): {verdict.reason}")
    if other is not None and other.solution and _prove(family, replace(problem, solution=other.solution, answer=other.answer)):
        wrong = judge(problem, other.solution)
        if wrong.score != 0.0:
            report.faults.append(f"{where}: the answer of {other.id} scores {wrong.score}: {wrong.reason}")
    for fault in _prove(family, problem):
        report.faults.append(f"{where}: {fault}")
    mutated = mutate(problem.solution, random.Random(problem.id))
    if mutated is not None:
        report.mutations += 1
        report.mutations_found += bool(_prove(family, replace(problem, solution=mutated)))


def mutate(solution: str, generator: random.Random) -> str | None:
    """The solution with one number changed somewhere; where it has none, with one word replaced by another of its words; `None`
    where all of its words are the same.

    >>> mutate("3 + 4 = 7", random.Random(1)) != "3 + 4 = 7"
    True
    >>> mutate("Ann lies, Bob lies.", random.Random(1))
    'Ann Ann, Bob lies.'
    """
    numbers = list(re.finditer(r"\d+", solution))
    words = list(re.finditer(r"[a-zA-Z]+", solution))
    at = generator.choice(numbers or words) if numbers or words else None
    if at is None:
        return None
    others = sorted({w[0] for w in words} - {at[0]})
    changed = str(int(at[0]) + generator.choice((1, 2, 5, 10))) if numbers else generator.choice(others) if others else None
    return None if changed is None else solution[: at.start()] + changed + solution[at.end() :]


def fingerprint(families: Sequence[Family], count: int = 20) -> Mapping[str, str]:
    """A hash of the first problems of every family and split: the same in every process, or the generator is at fault."""
    found = {}
    for family in families:
        digest = hashlib.sha256()
        for split in _SPLITS:
            for level in range(1, family.levels + 1):
                for p in islice(generate(family, level, split), count):
                    digest.update(json.dumps([p.id, p.question, p.answer, p.solution, p.meta], sort_keys=True).encode())
        found[family.task] = digest.hexdigest()[:16]
    return found


def fingerprint_elsewhere(names: Sequence[str], hash_seed: int, count: int = 20) -> Mapping[str, str]:
    """`fingerprint` of these families as another process with another hash seed finds it."""
    code = (
        "import json, sys; from sixfold.tasks.catalog import FAMILIES; from sixfold.tasks.check import fingerprint; "
        "names, count = json.loads(sys.argv[1]); print(json.dumps(fingerprint([FAMILIES[n] for n in names], count)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, json.dumps([list(names), count])],
        capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    found: dict[str, str] = json.loads(done.stdout)
    return found
