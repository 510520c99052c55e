"""The families of the domain simulation: proved, hard to fool, many, and the same everywhere."""

from __future__ import annotations

import family_trials as trials
import pytest

from sixfold.tasks.family import Family
from sixfold.tasks.simulation_families import FAMILIES
from sixfold.verify.verifiers import Judge

each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
each_level = pytest.mark.parametrize(
    ("family", "level"), [(f, n) for f in FAMILIES for n in range(1, f.levels + 1)], ids=lambda v: getattr(v, "name", str(v))
)


def test_there_are_at_least_six_with_three_levels() -> None:
    assert len({f.name for f in FAMILIES}) == len(FAMILIES) >= 6
    assert all(f.levels >= 3 and f.domain == "simulation" for f in FAMILIES)


@each_family
def test_every_problem_is_proved(family: Family) -> None:
    assert trials.faults(family) == []


@each_family
def test_mistakes_in_solutions_are_found(family: Family) -> None:
    assert trials.found_rate(family) >= 0.95
    assert trials.wrong_answers_pass(family) == []


@each_level
def test_questions_are_many_and_no_guess_beats_the_floor(family: Family, level: int) -> None:
    assert trials.distinct(family, level) >= trials.DISTINCT
    assert trials.best_guess(family, level) <= family.floor < 0.2


@each_family
def test_levels_share_no_question(family: Family) -> None:
    assert trials.questions_in_two_levels(family) == set()


@each_level
def test_solutions_are_short_enough_to_be_learned(family: Family, level: int) -> None:
    longest = max(len(p.solution or "") for p in trials.problems(family, level, 300))
    assert longest <= {1: 400, 2: 800, 3: 1300}[level]


def test_every_process_makes_the_same_problems() -> None:
    assert trials.fingerprints_elsewhere("simulation_families") == {trials.fingerprint("simulation_families")}


@each_family
def test_the_verifier_takes_the_solution_and_no_other(family: Family) -> None:
    with Judge() as judge:
        for level in range(1, family.levels + 1):
            for one, two in zip(made := trials.problems(family, level, 12), made[1:], strict=False):
                verdict = judge(one, one.solution or "")
                assert (verdict.score, verdict.form) == (1.0, "strict"), (verdict, one.question)
                if one.answer != two.answer:
                    assert judge(one, two.solution or "").score == 0.0, (one.question, two.answer)
