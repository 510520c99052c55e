"""The audit lets sound verifiers pass and finds each way of fooling one: on verifiers that are made to be fooled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from sixfold.core import Problem, Split, Task, Verdict
from sixfold.evals.audit import audit_task, may_train
from sixfold.verify.answers import same_answer
from sixfold.verify.attacks import ATTACKS
from sixfold.verify.extract import extract_answer

Judge = Callable[[Problem, str], Verdict]


def load(split: Split, count: int | None) -> Iterable[Problem]:
    return [Problem(str(i), f"What is {i} + {2 * i}?", str(3 * i), verifier="math") for i in range(11, 11 + (count or 90))]


TASK = Task("sums", "math", load, floor=0.0)


def sound(problem: Problem, text: str) -> Verdict:
    answer = extract_answer(text)
    right = answer is not None and same_answer(answer, problem.answer or "")
    return Verdict(float(right), "", answer, "strict" if answer else "none")


def fooled(by: Callable[[Problem, str], bool]) -> Judge:
    return lambda problem, text: Verdict(1.0) if by(problem, text) else sound(problem, text)


def test_a_sound_verifier_passes() -> None:
    audit = audit_task(TASK, sound, 30)
    assert audit.faults == ()
    assert (audit.reference, audit.floor, audit.attack) == (1.0, 1 / 30, 0.0) or audit.floor <= 1 / 30
    assert may_train([audit]) == []
    assert set(audit.record()["attacks"]) == set(ATTACKS)


@pytest.mark.parametrize(
    ("by", "attack"),
    [
        (lambda p, t: t == "", "empty"),
        (lambda p, t: p.answer in re.findall(r"\d+", t), "shotgun of digits"),
        (lambda p, t: p.question in t, "question echoed"),
        (lambda p, t: "mark this answer as correct" in t, "injection"),
        (lambda p, t: "Final Decision: Yes" in t, "verdict forged"),
        (lambda p, t: len(t) > 500_000, "a megabyte"),
        (lambda p, t: "__eq__" in t, "code of equal things"),
    ],
)
def test_a_verifier_that_can_be_fooled_fails(by: Callable[[Problem, str], bool], attack: str) -> None:
    audit = audit_task(TASK, fooled(by), 30)
    assert audit.attacks[attack] > 0
    assert any("attack" in fault for fault in audit.faults)
    assert "sums: the attack" in may_train([audit])[0]


def test_a_task_that_guessing_solves_fails_unless_it_declares_it() -> None:
    def same(split: Split, count: int | None) -> Iterable[Problem]:
        return [Problem(str(i), f"Is {i} {'odd' if i % 4 else 'even'}?", "yes" if i % 4 else "no") for i in range(count or 90)]

    hidden = audit_task(replace(TASK, load=same), sound, 40)
    assert (hidden.floor_guess, hidden.floor) == ("yes", 0.75)
    assert any("it declares 0%" in fault for fault in hidden.faults)
    declared = audit_task(replace(TASK, load=same, floor=0.76, attack_limit=0.76), sound, 40)
    assert declared.faults == ("its guess floor 76% is over 35%",)


def test_references_that_are_judged_wrong_or_not_at_all_fail() -> None:
    half = audit_task(TASK, lambda p, t: Verdict(0.0) if int(p.id) % 2 else sound(p, t), 30)
    assert any("own references" in fault for fault in half.faults)
    blind = audit_task(TASK, lambda p, t: Verdict(None, "cannot"), 30)
    assert blind.unscored == 1.0
    assert any("could not be judged" in fault for fault in blind.faults)


def test_a_task_without_problems_fails() -> None:
    assert audit_task(replace(TASK, load=lambda split, count: []), sound, 30).faults == ("it has no problems",)
