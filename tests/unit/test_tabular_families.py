"""Generated tabular problems: proven one by one, broken solutions noticed, no answer to be guessed."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace

import pytest

from sixfold.core import Problem
from sixfold.tasks.family import Family, normalised
from sixfold.tasks.tabular_families import FAMILIES
from sixfold.verify.verifiers import PURE

CASES = [pytest.param(f, level, id=f"{f.name}:{level}") for f in FAMILIES for level in range(1, f.levels + 1)]


def drawn(family: Family, level: int, count: int, seed: int = 0) -> list[Problem]:
    generator = random.Random(seed)
    return [family.make(generator, level) for _ in range(count)]


def mutated(generator: random.Random, problem: Problem) -> str:
    """The solution with one digit, name or word changed."""
    text = str(problem.solution)
    words = sorted(set(re.findall(r"\w+", f"{problem.question} {text}")))
    while True:
        at = generator.choice(list(re.finditer(r"\w+", text)))
        old = at[0]
        if old.isdigit():
            digit = generator.randrange(len(old))
            new = old[:digit] + generator.choice([d for d in "0123456789" if d != old[digit]]) + old[digit + 1 :]
        else:
            new = generator.choice([w for w in words if not w.isdigit() and w[0].isupper() == old[0].isupper()])
        if new != old:
            return text[: at.start()] + new + text[at.end() :]


@pytest.mark.parametrize(("family", "level"), CASES)
def test_every_problem_is_proven_and_nearly_every_mutation_is_found(family: Family, level: int) -> None:
    problems = drawn(family, level, 60)
    assert [family.prove(p) for p in problems] == [[]] * 60
    generator = random.Random(1)
    missed = [
        m for p in problems for m in (mutated(generator, p), mutated(generator, p)) if not family.prove(replace(p, solution=m))
    ]
    assert len(missed) <= 6, missed[:3]


@pytest.mark.parametrize(("family", "level"), CASES)
def test_a_wrong_answer_or_an_added_or_missing_line_is_found(family: Family, level: int) -> None:
    for p, other in zip(drawn(family, level, 8), drawn(family, level, 8, seed=7), strict=True):
        lines = str(p.solution).split("\n")
        assert family.prove(replace(p, solution="\n".join([*lines[:-1], "That is clear.", lines[-1]])))
        assert family.prove(replace(p, solution="\n".join(lines[:-1])))
        assert family.prove(replace(p, solution=lines[-1]))
        if other.answer != p.answer:
            assert family.prove(replace(p, answer=other.answer, solution="\n".join([*lines[:-1], f"Answer: {other.answer}"])))
        if other.meta and other.meta != p.meta:
            assert family.prove(replace(p, meta=other.meta))


@pytest.mark.parametrize(("family", "level"), CASES)
def test_the_verifier_takes_the_worked_solution_and_refuses_other_answers(family: Family, level: int) -> None:
    for p, other in zip(drawn(family, level, 20), drawn(family, level, 20, seed=7), strict=True):
        assert p.answer
        assert p.solution
        assert p.domain == "tabular"
        if p.verifier in PURE:
            assert PURE[p.verifier](p, p.solution).strict_score == 1.0, p
            if other.answer != p.answer:
                assert PURE[p.verifier](p, f"Answer: {other.answer}").score == 0.0, p
        else:
            assert p.verifier == "math"


@pytest.mark.parametrize(("family", "level"), CASES)
def test_the_questions_are_many_and_no_fixed_answer_beats_the_declared_floor(family: Family, level: int) -> None:
    problems = drawn(family, level, 3000)
    assert len({normalised(p.question) for p in problems}) >= 2000
    assert Counter(p.answer for p in problems[:1000]).most_common(1)[0][1] / 1000 <= family.floor


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_solutions_are_short(family: Family) -> None:
    lengths = [[len(str(p.solution)) for p in drawn(family, level, 40)] for level in (1, 3)]
    assert sum(lengths[0]) / 40 < 400
    assert sum(lengths[1]) / 40 < 1300


def test_the_same_seed_gives_the_same_problems_whatever_the_hash_seed() -> None:
    code = (
        "import random, hashlib; from sixfold.tasks.tabular_families import FAMILIES as F; "
        "made = [f.make(random.Random(3), n) for f in F for n in range(1, f.levels + 1)]; "
        "print(hashlib.sha256(repr(made).encode()).hexdigest())"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("0", "77")
    }
    assert len(told) == 1


def test_a_table_reads_the_same_in_every_form() -> None:
    from sixfold.tasks.proofs_tabular import _read_table

    markdown = "| name | age |\n| --- | --- |\n| Ann | 3 |\n| Bob | 41 |"
    padded = "| name | age |\n| ---- | --- |\n| Ann  | 3   |\n| Bob  | 41  |"
    rows = [{"name": "Ann", "age": "3"}, {"name": "Bob", "age": "41"}]
    assert _read_table(markdown) == _read_table(padded) == _read_table("name,age\nAnn,3\nBob,41") == rows


@pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
def test_another_cell_in_the_table_is_noticed_where_it_counts(family: Family) -> None:
    generator = random.Random(2)
    for p in drawn(family, 1, 10):
        numbers = [m for m in re.finditer(r"\d+", p.question) if m[0] in str(p.solution)]
        if numbers:
            changed = [
                p.question[: m.start()] + str(int(m[0]) + generator.choice((1, 7))) + p.question[m.end() :] for m in numbers
            ]
            assert any(family.prove(replace(p, question=q)) for q in changed)
