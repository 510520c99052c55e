"""The generated families of math: every problem proved, every proof proved able to fail."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction

import family_trials as trials
import pytest

from sixfold.tasks import proofs_algebra, proofs_calendar, proofs_math, proofs_words, proofs_written, written
from sixfold.tasks.check import check_family
from sixfold.tasks.family import Family
from sixfold.tasks.math_families import FAMILIES
from sixfold.tasks.proofs_reading import Fault, Steps
from sixfold.verify.answers import same_answer
from sixfold.verify.verifiers import Judge

LEVELS = [pytest.param(f, level, id=f"{f.name}:{level}") for f in FAMILIES for level in range(1, f.levels + 1)]
ALL = [pytest.param(f, id=f.name) for f in FAMILIES]


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as judge:
        yield judge


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
        if not same_answer(one.answer or "", two.answer or ""):
            assert judge(one, two.solution or "").score == 0.0, (one.question, two.answer)


@pytest.mark.parametrize(("family", "level"), LEVELS)
def test_questions_are_many_and_no_answer_is_frequent(family: Family, level: int) -> None:
    assert trials.distinct(family, level) >= 2000
    assert trials.best_guess(family, level) <= family.floor


@pytest.mark.parametrize("family", ALL)
def test_no_question_is_in_two_levels(family: Family) -> None:
    assert trials.questions_in_two_levels(family) == set()


def test_other_processes_make_the_same_problems() -> None:
    assert trials.fingerprints_elsewhere("math_families") == {trials.fingerprint("math_families")}


@pytest.mark.parametrize("family", ALL)
def test_first_levels_are_short(family: Family) -> None:
    lengths = [len(p.solution or "") for p in trials.problems(family, 1)]
    assert sum(lengths) / len(lengths) < 250
    assert max(lengths) < 500


def test_the_numbers_of_a_floor_are_of_this_order() -> None:
    """Orders of three in a row can be guessed once in six; the declared floor says so."""
    decimals = next(f for f in FAMILIES if f.name == "compare_decimals")
    made = trials.problems(decimals, 1, 1000)
    as_given = sum(", ".join(re.findall(r"\d+\.\d+", p.question)) == p.answer for p in made) / 1000
    assert 0.13 < as_given <= decimals.floor + 0.03


def test_there_are_twenty_five_stories_and_each_is_drawn() -> None:
    words = next(f for f in FAMILIES if f.name == "word_problem")
    used = {proofs_words.read_story(p.question)[0] for level in range(1, 5) for p in trials.problems(words, level, 300)}
    assert len(used) == len(proofs_words.READINGS) >= 25
    assert words.masked


def test_a_sentence_beside_the_story_changes_nothing_and_is_named() -> None:
    words = next(f for f in FAMILIES if f.name == "word_problem")
    made = [p for p in trials.problems(words, 3, 200) if (p.solution or "").startswith("Not needed")]
    assert 60 < len(made) < 180


def test_proofs_hold_for_problems_as_tasks_deliver_them(judge: Judge) -> None:
    for family in FAMILIES:
        report = check_family(family, judge, 10)
        assert report.ok, report.faults


def test_proofs_know_nothing_of_the_generators() -> None:
    for module in (proofs_algebra, proofs_calendar, proofs_math, proofs_words, proofs_written):
        names = {getattr(v, "__module__", "") for v in vars(module).values()}
        assert not {n for n in names if re.match(r"sixfold\.tasks\.(?:math|science|written)", n or "")}


@pytest.mark.parametrize(
    "line",
    [
        "47 + 85: 7 + 5 = 12, write 2 carry 1; 4 + 8 = 13. So 132.",
        "47 + 85: 7 + 5 = 12, write 2; 4 + 8 + 1 = 13. So 132.",
        "47 + 85: 7 + 5 = 12, write 2 carry 1; 4 + 8 + 1 = 13. So 133.",
        "132 - 85: 12 - 5 = 7 borrow 1; 13 - 8 = 4 borrow 1; 1 - 0 - 1 = 0. So 47.",
        "47 * 6: 7 * 6 = 42, write 2 carry 4; 4 * 6 + 3 = 28. So 282.",
        "853 / 7: 8 = 7 * 1 + 1; 15 = 7 * 1 + 8; 13 = 7 * 1 + 6. So 121 remainder 6.",
        "84 / 4: 84 = 4 * 21 + 0. So 21.",
        "47 + 85",
    ],
)
def test_wrong_paper_work_is_a_fault(line: str) -> None:
    with pytest.raises(Fault):
        proofs_written.paper(line)


def test_work_of_any_size_is_read_back() -> None:
    for a in (0, 7, 10, 19, 100, 305, 9999):
        for b in (1, 9, 12, 40, 500, 777):
            for sign, x, y in (("+", a, b), ("-", max(a, b), min(a, b)), ("*", a, b), ("/", a * b, b)):
                lines = written.work(x, sign, y)
                steps = Steps(lines)
                right = {"+": x + y, "-": x - y, "*": x * y, "/": Fraction(x, y or 1)}[sign]
                assert proofs_written.take_work(steps, x, sign, y) == right
                assert steps.at == len(lines)
