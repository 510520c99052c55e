"""What every verifier promises: it never raises, whatever a model wrote, stays bounded, and does not call unjudged wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.attacks import ATTACKS
from sixfold.verify.verifiers import CHOOSING, NAMES, PURE, WITH_TOOLS, Judge

CODE = {"entry_point": "f", "tests": ["assert f(1) == 2", "assert f(5) == 6"], "timeout_s": 5}
CONSTRAINTS = [["xor", ["is", "a", "true"], ["is", "b", "true"]]]
EXAMPLES: dict[str, tuple[Problem, str, str]] = {
    "equation": (Problem("p", "?", meta={"equation": "3*x + 4 = 19"}), "Answer: 5", "Answer: 6"),
    "countdown": (Problem("p", "?", meta={"numbers": [4, 6, 1], "target": 24}), "Answer: 4 * 6 * 1", "Answer: 4 * 6 + 1"),
    "math": (Problem("p", "?", "3/4"), r"so \boxed{0.75}", "Answer: 0.76"),
    "quantity": (Problem("p", "?", "72 km/h", meta={"unit": "km/h"}), "Answer: 20 m/s", "Answer: 72 m/s"),
    "choice": (Problem("p", "?", "B", meta={"choices": ["red", "blue"]}), "Answer: (B)", "Answer: A"),
    "text": (Problem("p", "?", "Tuesday"), "Answer: tuesday", "Answer: Thursday"),
    "literal": (Problem("p", "?", "[1, 'a']"), "Answer: [1, 'a']", "Answer: (1, 'a')"),
    "assignment": (
        Problem("p", "?", "Ann: knight, Bob: knave", meta={"values": {"Ann": "knight", "Bob": "knave"}}),
        "Answer: Bob is a knave and Ann is a knight", "Answer: Ann: knave, Bob: knave",
    ),
    "order": (
        Problem("p", "?", "Ann, Bob, Cy", meta={"items": ["Ann", "Bob", "Cy"]}), "Answer: Ann, Bob, Cy", "Answer: Bob, Ann, Cy",
    ),
    "grid": (
        Problem("p", "?", "[[1, 0], [0, 1]]", meta={"grid": [[1, 0], [0, 1]]}),
        "Answer: [[1, 0], [0, 1]]", "Answer: [[1, 0], [0, 0]]",
    ),
    "state": (Problem("p", "?", "x=2, y=3", meta={"fields": {"x": 2, "y": 3}}), "Answer: y=3, x=2", "Answer: x=3, y=2"),
    "table": (Problem("p", "?", "Rome | Oslo", meta={"values": ["Rome", "Oslo"]}), "Answer: Oslo | Rome", "Answer: Rome"),
    "code": (
        Problem("p", "?", meta=CODE), "```python\ndef f(x):\n    return x + 1\n```", "```python\ndef f(x):\n    return 2\n```",
    ),
    "code_input": (
        Problem("p", "?", "1, 2", meta={"code": "def f(a, b):\n    return a + b", "output": "3"}),
        "Answer: 2, 1", "Answer: 2, 2",
    ),
}  # fmt: skip
NEEDS_AN_EXTRA = {"gym"}


def named(name: str, problem: Problem) -> Problem:
    return Problem(problem.id, problem.question, problem.answer, problem.domain, name, problem.meta)


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with Judge() as opened:
        yield opened


@pytest.fixture(params=EXAMPLES, ids=str)
def case(request: pytest.FixtureRequest, judge: Judge) -> tuple[Problem, str, str]:
    if request.param.startswith("code") and judge.sandbox == "none":
        pytest.skip("there is no sandbox here: apt-get install bubblewrap")
    problem, right, wrong = EXAMPLES[request.param]
    return named(request.param, problem), right, wrong


def test_every_verifier_is_here() -> None:
    assert set(EXAMPLES) | NEEDS_AN_EXTRA == NAMES == set(PURE) | set(WITH_TOOLS)
    assert set(CHOOSING) <= set(PURE)


def test_right_is_1_and_wrong_is_0_each_with_a_reason(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, right, wrong = case
    assert judge(problem, right).score == 1.0
    assert judge(problem, wrong).score == 0.0
    assert judge(problem, wrong).reason


def test_a_verdict_says_what_was_judged_and_how_it_was_found(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, right, _ = case
    verdict = judge(problem, right)
    assert verdict.form == "strict"
    assert verdict.answer
    assert verdict.strict_score == 1.0
    assert (judge(problem, "").form, judge(problem, "").answer) == ("none", None)


def test_a_reference_that_is_an_answer_scores_1(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, _, _ = case
    if problem.answer is not None:
        assert judge(problem, f"Answer: {problem.answer}").score == 1.0


def test_what_cannot_be_judged_has_no_score(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, right, _ = case
    verdict = judge(named(problem.verifier or "", Problem("p", "?")), right)
    assert verdict.score is None
    assert verdict.reason


def test_a_problem_without_a_verifier_is_not_judged(judge: Judge) -> None:
    assert judge(Problem("p", "?", "4"), "Answer: 4").score is None
    assert judge(Problem("p", "?", "4", verifier="none"), "Answer: 4").score is None


@pytest.mark.parametrize("attack", ATTACKS)
def test_no_attack_scores_or_raises(case: tuple[Problem, str, str], judge: Judge, attack: str) -> None:
    problem, _, _ = case
    assert judge(problem, ATTACKS[attack](problem)).score in (0.0, None)


@pytest.mark.parametrize(
    "text", ["Answer: " + "(" * 50_000, "Answer: 1/0", "Answer: 1e999", "<answer>" * 1000, "a" * 3_000_000]
)
def test_no_extreme_text_scores_or_raises(case: tuple[Problem, str, str], judge: Judge, text: str) -> None:
    assert judge(case[0], text).score in (0.0, None)


def test_thinking_is_not_judged(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, right, _ = case
    assert judge(problem, f"<think>{right}").score == 0.0


def test_the_last_answer_counts(case: tuple[Problem, str, str], judge: Judge) -> None:
    problem, right, wrong = case
    if "boxed" not in right:
        assert judge(problem, f"{wrong}\n\nNo, wait.\n\n{right}").score == 1.0
        assert judge(problem, f"{right}\n\nNo, wait.\n\n{wrong}").score == 0.0


def test_counters_say_what_was_judged_and_what_was_not() -> None:
    with Judge() as judge:
        judge(Problem("p", "?", "4", verifier="text"), "Answer: 4")
        judge(Problem("p", "?", verifier="text"), "Answer: 4")
        assert (judge.counters["text: judged"], judge.counters["text: unscored"]) == (2, 1)


@given(st.text())
def test_pure_verifiers_never_raise(text: str) -> None:
    for name, verifier in PURE.items():
        verifier(EXAMPLES[name][0], text)
        verifier(EXAMPLES[name][0], f"Answer: {text}")
        verifier(
            Problem("p", text, text, meta={"values": text, "choices": text, "grid": text, "fields": text}), f"Answer: {text}"
        )
