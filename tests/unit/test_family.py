"""Splits by hash, proofs that notice, and problems that are the same everywhere: on families made for the test."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from itertools import islice
from typing import get_args

import pytest

from sixfold.core import Problem, Split, Verdict
from sixfold.errors import TaskError
from sixfold.tasks.check import check_family, mutate
from sixfold.tasks.family import Family, generate, masked, normalised, split_of
from sixfold.verify.answers import same_answer
from sixfold.verify.extract import extract_answer


def make_sum(generator: random.Random, level: int) -> Problem:
    a, b = generator.randrange(10**level * 100), generator.randrange(100)
    return Problem("", f"What is {a} + {b}?", str(a + b), verifier="math", solution=f"{a} + {b} = {a + b}\nAnswer: {a + b}")


def prove_sum(problem: Problem) -> list[str]:
    a, b = map(int, re.findall(r"\d+", problem.question))
    wanted = f"{a} + {b} = {a + b}\nAnswer: {a + b}"
    return [] if (problem.solution, problem.answer) == (wanted, str(a + b)) else ["wrong"]


SUM = Family("sum", "math", make_sum, prove_sum, levels=2, floor=0.05)


def judge(problem: Problem, text: str) -> Verdict:
    answer = extract_answer(text)
    right = answer is not None and same_answer(answer, problem.answer or "")
    return Verdict(float(right), "", answer, "strict")


def test_a_sound_family_holds() -> None:
    report = check_family(SUM, judge, 20)
    assert report.faults == []
    assert report.problems == 20 * 2 * 3
    assert report.found_rate == 1.0


def test_splits_share_no_question_whatever_the_seed() -> None:
    seen: dict[Split, set[str]] = {s: set() for s in get_args(Split)}
    for split, questions in seen.items():
        for seed in range(3):
            questions |= {normalised(p.question) for p in islice(generate(SUM, 1, split, seed), 100)}
    assert len(set.union(*seen.values())) == sum(map(len, seen.values()))


def test_masked_families_keep_a_wording_in_one_split() -> None:
    names = [f"{a}{b}" for a in "bcdfghklm" for b in "aeiou"]

    def make(generator: random.Random, level: int) -> Problem:
        return replace(make_sum(generator, level), question=f"{generator.choice(names)} asks: {generator.randrange(999)} + 1?")

    family = replace(SUM, make=make, masked=True)
    wordings = [{masked(p.question) for p in islice(generate(family, 1, s), 60)} for s in get_args(Split)]
    assert all(not a & b for i, a in enumerate(wordings) for b in wordings[i + 1 :])


def test_shares_are_as_documented() -> None:
    counts = dict.fromkeys(get_args(Split), 0)
    for i in range(20_000):
        counts[split_of(f"question {i}")] += 1
    assert [round(counts[s] / 200) for s in ("train", "validation", "test")] == pytest.approx([75, 10, 15], abs=1)


def test_a_family_that_has_no_more_ends_and_is_reported() -> None:
    small = replace(SUM, make=lambda generator, level: make_sum(random.Random(generator.randrange(5) + 100 * level), level))
    assert len(list(generate(small, 1, "train"))) <= 5
    assert any("are distinct" in fault for fault in check_family(small, judge, 20).faults)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ({"make": lambda g, n: replace(make_sum(g, n), answer="7")}, "own solution scores 0.0"),
        ({"make": lambda g, n: replace(make_sum(g, n), solution="It is 4.\nAnswer: 4")}, "wrong"),
        ({"make": lambda g, n: replace(make_sum(g, n), solution=None)}, "no worked solution"),
        ({"prove": lambda p: []}, "the proof finds only 0%"),
        ({"make": lambda g, n: make_sum(random.Random(g.randrange(300)), 1)}, "two levels"),
    ],
)  # fmt: skip
def test_an_unsound_family_is_found_out(change: dict[str, object], what: str) -> None:
    report = check_family(replace(SUM, **change), judge, 20)  # type: ignore[arg-type]
    assert any(what in fault for fault in report.faults), report.faults


def test_a_verifier_that_takes_anything_is_found_out() -> None:
    report = check_family(SUM, lambda p, text: Verdict(1.0, "", "x", "strict"), 20)
    assert any("the answer of" in fault for fault in report.faults)


def test_a_family_that_depends_on_more_than_its_seed_differs() -> None:
    counter = iter(range(10**6))
    unstable = replace(SUM, make=lambda g, n: make_sum(random.Random(next(counter)), n))
    ids = [[p.id for p in islice(generate(f, 1, "train"), 10)] for f in (SUM, SUM, unstable, unstable)]
    assert ids[0] == ids[1]
    assert ids[2] != ids[3]


def test_levels_are_checked() -> None:
    with pytest.raises(TaskError, match="no level 3"):
        next(generate(SUM, 3, "train"))


def test_a_mutation_changes_exactly_one_number() -> None:
    for seed in range(50):
        changed = mutate("12 + 30 = 42", random.Random(seed)) or ""
        pairs = zip(re.findall(r"\d+", "12 + 30 = 42"), re.findall(r"\d+", changed), strict=True)
        assert sum(a != b for a, b in pairs) == 1
    assert mutate("same same", random.Random(0)) is None
    assert mutate("", random.Random(0)) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("math/gcd:1", "math/gcd:1 is no generated family"),
        ("gsm8k", "gsm8k is no generated family"),
        ("math/gdc", "did you mean"),
    ],
)
def test_only_families_are_trained_on(name: str, said: str) -> None:
    from sixfold.tasks.catalog import find_families

    assert [family.task for family in find_families(["math/gcd", "tabular"])][:2] == ["math/gcd", "tabular/lookup"]
    with pytest.raises(TaskError, match=said):
        find_families(["math/gcd", name])
