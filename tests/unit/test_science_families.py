"""The generated families of science: every problem proved, every proof proved able to fail."""

from __future__ import annotations

import bisect
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from fractions import Fraction

import family_trials as trials
import pytest

from sixfold.core import Problem
from sixfold.tasks import proofs_choice, proofs_matter, proofs_science
from sixfold.tasks.check import check_family
from sixfold.tasks.family import Family
from sixfold.tasks.proofs_reading import Fault
from sixfold.tasks.science_families import FAMILIES
from sixfold.tasks.science_matter import atoms
from sixfold.verify.verifiers import Judge

LEVELS = [pytest.param(f, level, id=f"{f.name}:{level}") for f in FAMILIES for level in range(1, f.levels + 1)]
ALL = [pytest.param(f, id=f.name) for f in FAMILIES]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


def best_guess(made: list[Problem]) -> float:
    """What the best fixed answer earns; a number alone stands for any unit."""
    if made[0].verifier != "quantity":
        return Counter(p.answer for p in made).most_common(1)[0][1] / len(made)
    values = sorted(float(Fraction(str(p.answer).split(" ")[0])) for p in made)
    return max(bisect.bisect_right(values, v * 1.0001) - bisect.bisect_left(values, v * 0.9999) for v in values) / len(made)


@pytest.mark.parametrize("family", ALL)
def test_every_problem_is_proved(family: Family) -> None:
    assert trials.faults(family) == []


@pytest.mark.parametrize("family", ALL)
def test_what_is_changed_in_a_solution_is_noticed(family: Family) -> None:
    assert trials.found_rate(family) >= 0.99
    assert trials.wrong_answers_pass(family) == []


@pytest.mark.parametrize(("family", "level"), LEVELS)
def test_the_verifier_takes_the_solution_and_no_other_answer(family: Family, level: int, judge: Judge) -> None:
    made = trials.problems(family, level)
    for one, two in itertools.pairwise(made):
        verdict = judge(one, one.solution or "")
        assert (verdict.score, verdict.form) == (1.0, "strict"), verdict
        if one.answer != two.answer and str(one.answer).split(" ")[1:] == str(two.answer).split(" ")[1:]:
            assert judge(one, two.solution or "").score == 0.0, (one.question, two.answer)
        if one.verifier == "quantity":
            number, _, unit = str(one.answer).partition(" ")
            assert judge(one, f"Answer: {float(number) * 1.005} {unit}").score == 0.0


@pytest.mark.parametrize(("family", "level"), LEVELS)
def test_questions_are_many_and_no_answer_is_frequent(family: Family, level: int) -> None:
    assert trials.distinct(family, level) >= 2000
    assert best_guess(trials.problems(family, level, 1000)) <= family.floor


@pytest.mark.parametrize("family", ALL)
def test_no_question_is_in_two_levels(family: Family) -> None:
    assert trials.questions_in_two_levels(family) == set()


def test_other_processes_make_the_same_problems() -> None:
    assert trials.fingerprints_elsewhere("science_families") == {trials.fingerprint("science_families")}


@pytest.mark.parametrize("family", ALL)
def test_first_levels_are_short(family: Family) -> None:
    lengths = [len(p.solution or "") for p in trials.problems(family, 1)]
    assert sum(lengths) / len(lengths) < 250
    assert max(lengths) < 500


def test_a_conversion_is_not_answered_by_its_question(judge: Judge) -> None:
    units = next(f for f in FAMILIES if f.name == "unit_conversion")
    for level in range(1, units.levels + 1):
        for p in trials.problems(units, level):
            for told in re.findall(r"(-?\d[\d.]*) (\S+)", p.question.removesuffix(" Give just the number.").rstrip(".?")):
                assert judge(p, f"Answer: {' '.join(told)}").score == 0.0, p.question


@pytest.mark.parametrize("name", ["choice_physics", "choice_science"])
def test_the_right_letter_is_anywhere(name: str) -> None:
    family = next(f for f in FAMILIES if f.name == name)
    for level in range(1, family.levels + 1):
        letters = Counter(p.answer for p in trials.problems(family, level, 1000))
        assert sorted(letters) == list("ABCDE")
        assert all(160 < n < 240 for n in letters.values()), letters


def test_proofs_hold_for_problems_as_tasks_deliver_them(judge: Judge) -> None:
    for family in FAMILIES:
        report = check_family(family, judge, 10)
        assert report.ok, report.faults


def test_the_right_value_is_neither_always_the_largest_nor_in_the_middle() -> None:
    for family in FAMILIES:
        if family.name.startswith("choice_"):
            ranks = Counter[int]()
            for p in (q for level in range(1, family.levels + 1) for q in trials.problems(family, level, 400)):
                values = [Fraction(c.split(" ")[0]) for c in p.meta["choices"]]
                ranks[sorted(values).index(values["ABCDE".index(str(p.answer))])] += 1
            assert max(ranks.values()) / sum(ranks.values()) < 0.5, (family.name, ranks)


def test_proofs_know_nothing_of_the_generators() -> None:
    for module in (proofs_choice, proofs_matter, proofs_science):
        names = {getattr(v, "__module__", "") for v in vars(module).values()}
        assert not {n for n in names if re.match(r"sixfold\.tasks\.(?:math|science|written)", n or "")}


def test_two_readers_of_formulas_agree() -> None:
    for formula in ("H2O", "Ca(OH)2", "(NH4)2SO4", "C12H22O11", "Al2O3"):
        assert atoms(formula) == proofs_matter._atoms(formula)


def test_a_reaction_that_is_not_balanced_is_a_fault() -> None:
    proofs_matter._must_be_balanced("2 H2 + O2 -> 2 H2O")
    with pytest.raises(Fault, match="not balanced"):
        proofs_matter._must_be_balanced("H2 + O2 -> 2 H2O")
