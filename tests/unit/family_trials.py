"""What every generated family of a domain is put through; the tests of the domains call it with their own list."""

from __future__ import annotations

import hashlib
import json
import random
import re
import string
import subprocess
import sys
from collections import Counter
from dataclasses import replace

from sixfold.core import Problem
from sixfold.tasks.family import Family, normalised

PROBLEMS = 60
DRAWS, DISTINCT = 3000, 2000
MUTATIONS = 3


def problems(family: Family, level: int, count: int = PROBLEMS) -> list[Problem]:
    generator = random.Random(f"{family.name} {level}")
    return [family.make(generator, level) for _ in range(count)]


def faults(family: Family) -> list[str]:
    found = []
    for level in range(1, family.levels + 1):
        for problem in problems(family, level):
            found += [f"level {level}: {fault}\n{problem.question}\n{problem.solution}" for fault in family.prove(problem)]
    return found


def mutated(text: str, generator: random.Random) -> str:
    """One digit, letter or word of one line changed into another."""
    lines = text.split("\n")
    at = generator.choice([i for i, line in enumerate(lines) if re.search(r"[A-Za-z0-9]", line)])
    line = lines[at]
    kind = generator.choice([p for p in (r"\d", r"[A-Za-z]", r"[A-Za-z]+") if re.search(p, line)])
    place = generator.choice(list(re.finditer(kind, line)))
    pool = string.digits if kind == r"\d" else string.ascii_letters
    new = generator.choice([c for c in pool if c != place[0]])
    if kind.endswith("+"):
        new = generator.choice([w for w in ("north", "keep", "stack", "Step", "no", "A", "x", "result") if w != place[0]])
    lines[at] = line[: place.start()] + new + line[place.end() :]
    return "\n".join(lines)


def found_rate(family: Family) -> float:
    """The share of mutated solutions that the family's proof notices."""
    noticed = tried = 0
    for level in range(1, family.levels + 1):
        generator = random.Random(level)
        for problem in problems(family, level):
            for _ in range(MUTATIONS):
                tried += 1
                noticed += bool(family.prove(replace(problem, solution=mutated(problem.solution or "", generator))))
    return noticed / tried


def wrong_answers_pass(family: Family) -> list[str]:
    """Problems whose proof holds with another problem's answer, or with the last line taken away."""
    passed = []
    for level in range(1, family.levels + 1):
        for one, two in zip(made := problems(family, level), made[1:], strict=False):
            if one.answer != two.answer and not family.prove(replace(one, answer=two.answer)):
                passed.append(one.question)
            if not family.prove(replace(one, solution=(one.solution or "").rpartition("\n")[0])):
                passed.append(one.question)
    return passed


def distinct(family: Family, level: int) -> int:
    return len({normalised(p.question) for p in problems(family, level, DRAWS)})


def best_guess(family: Family, level: int) -> float:
    """What the most frequent answer of 1,000 problems earns."""
    return Counter(p.answer for p in problems(family, level, 1000)).most_common(1)[0][1] / 1000


def questions_in_two_levels(family: Family) -> set[str]:
    asked = [{normalised(p.question) for p in problems(family, level, 500)} for level in range(1, family.levels + 1)]
    return {q for i, one in enumerate(asked) for two in asked[i + 1 :] for q in one & two}


def fingerprint(module: str) -> str:
    """A hash of the first problems of every family in `module`."""
    families = __import__(f"sixfold.tasks.{module}", fromlist=["FAMILIES"]).FAMILIES
    digest = hashlib.sha256()
    for family in families:
        for level in range(1, family.levels + 1):
            for p in problems(family, level, 15):
                digest.update(json.dumps([p.question, p.answer, p.solution, p.meta]).encode())
    return digest.hexdigest()


def fingerprints_elsewhere(module: str) -> set[str]:
    """The same of two processes with other hash seeds."""
    code = f"import family_trials; print(family_trials.fingerprint({module!r}))"
    return {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True, text=True, check=True, env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
        ).stdout.strip()
        for seed in ("1", "20")
    }  # fmt: skip
