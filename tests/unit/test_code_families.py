"""The families of the domain code: proved, hard to fool, many, and the same everywhere."""

from __future__ import annotations

import ast
import re
from typing import Any

import family_trials as trials
import pytest

from sixfold.tasks.code_families import FAMILIES
from sixfold.tasks.family import Family
from sixfold.tasks.proofs_interpreter import run_program
from sixfold.tasks.proofs_reading import Fault
from sixfold.verify.verifiers import Judge

WRITE, OUTPUT = FAMILIES[:2]
each_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda f: f.name)
each_level = pytest.mark.parametrize(
    ("family", "level"), [(f, n) for f in FAMILIES for n in range(1, f.levels + 1)], ids=lambda v: getattr(v, "name", str(v))
)


def test_there_are_at_least_six_with_three_levels() -> None:
    assert len({f.name for f in FAMILIES}) == len(FAMILIES) >= 6
    assert all(f.levels >= 3 and f.domain == "code" for f in FAMILIES)


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
    assert trials.fingerprints_elsewhere("code_families") == {trials.fingerprint("code_families")}


@each_family
def test_the_verifier_takes_the_solution_and_no_other(family: Family) -> None:
    with Judge() as judge:
        if family.name == "write_function" and judge.sandbox == "none":
            pytest.skip("no sandbox to run code in")
        for level in range(1, family.levels + 1):
            for one, two in zip(made := trials.problems(family, level, 8), made[1:], strict=False):
                verdict = judge(one, one.solution or "")
                assert (verdict.score, verdict.form) == (1.0, "strict"), (verdict, one.question)
                if one.answer != two.answer:
                    assert judge(one, two.solution or "").score == 0.0, (one.question, two.answer)


def run(program: str) -> dict[str, Any]:
    """A generated program in Python itself: a third opinion, besides the generator's and the interpreter's."""
    names: dict[str, Any] = {}
    exec(program, names)
    return names


@pytest.mark.parametrize("level", [1, 2, 3])
def test_python_agrees_with_predicted_outputs(level: int) -> None:
    for problem in trials.problems(OUTPUT, level, 200):
        code = re.search(r"def .+(?:\n    .*)+", problem.question)
        call = re.search(r"\b(\w+\((?:\[.*\]|-?\d+), \d+\))(?! ==)", problem.question)
        assert code
        assert call
        assert run(f"{code[0]}\nresult = {call[1]}")["result"] == ast.literal_eval(problem.answer or "")


@pytest.mark.parametrize("level", [1, 2, 3])
def test_python_agrees_with_hidden_tests(level: int) -> None:
    for problem in trials.problems(WRITE, level, 200):
        run("\n".join([problem.answer or "", *problem.meta["tests"]]))


@pytest.mark.parametrize("level", [1, 2, 3])
def test_hidden_tests_refuse_functions_that_ignore_their_argument(level: int) -> None:
    for problem in trials.problems(WRITE, level, 100):
        wanted = {t.rpartition(" == ")[2] for t in problem.meta["tests"]}
        assert len(wanted) >= 4


@pytest.mark.parametrize(
    "source",
    [
        "while 1 > 0:\n    x = 1", "import os", "x = __import__('os')", "x = 'a' * 9999999999", "x = (1).bit_length()", "x = y",
        "x = range(99999999)", "x = open('f')", "x = [].__class__", "x = 9 ** 9", "x = lambda: 1", "x, y = 1, 2",
        "x = 99999999\nx *= x\nx *= x",
    ],
)  # fmt: skip
def test_the_interpreter_refuses_what_it_does_not_know_or_is_too_much(source: str) -> None:
    with pytest.raises((Fault, LookupError)):
        run_program(source, {})


def test_the_interpreter_tells_its_steps() -> None:
    trace: list[str] = []
    run_program("a = 7\nfor i in [1, 2]:\n    if a % 2 == 1:\n        a -= i\n    else:\n        a = a * 2", {}, trace)
    assert trace == ["a = 7", "i = 1", "(7 % 2) == 1: yes", "a = 7 - 1 = 6", "i = 2", "(6 % 2) == 1: no", "a = 6 * 2 = 12"]
