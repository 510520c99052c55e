"""What every verifier promises: it never raises, whatever a model wrote, stays bounded, and does not call unjudged wrong."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem, Verifier
from sixfold.verify.verifiers import CHOOSING as VERIFIERS

EXAMPLES = {
    "equation": (Problem("p", "?", meta={"equation": "3*x + 4 = 19"}), "Answer: 5", "Answer: 6"),
    "countdown": (Problem("p", "?", meta={"numbers": [4, 6, 1], "target": 24}), "Answer: 4 * 6 * 1", "Answer: 4 * 6 + 1"),
}
ATTACKS = [
    "", " ", "Answer:", "Answer: " + "9" * 100_000, "Answer: 9**9**9**9", "Answer: " + "(" * 50_000, "Answer: __import__('os')",
    "Answer: 1/0", "Answer: nan", "Answer: 1e999", "Answer: \x00", "<answer>" * 1000, "\\boxed{" * 1000,
    "Answer: 1, 2, 3, 4, 5, 6, 7, 8, 9", "Answer: any of them", "a" * 1_000_000,
]  # fmt: skip


@pytest.fixture(params=VERIFIERS, ids=str)
def case(request: pytest.FixtureRequest) -> tuple[Verifier, Problem, str, str]:
    return VERIFIERS[request.param], *EXAMPLES[request.param]


def test_right_is_1_and_wrong_is_0_each_with_a_reason(case: tuple[Verifier, Problem, str, str]) -> None:
    verifier, problem, right, wrong = case
    assert verifier(problem, right).score == 1.0
    assert verifier(problem, wrong).score == 0.0
    assert verifier(problem, wrong).reason


def test_what_cannot_be_judged_has_no_score(case: tuple[Verifier, Problem, str, str]) -> None:
    verifier, _, right, _ = case
    assert verifier(Problem("p", "?"), right).score is None


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda a: a[:12])
def test_no_attack_scores_or_raises(case: tuple[Verifier, Problem, str, str], attack: str) -> None:
    verifier, problem, _, _ = case
    assert verifier(problem, attack).score in (0.0, None)


def test_thinking_is_not_judged(case: tuple[Verifier, Problem, str, str]) -> None:
    verifier, problem, right, _ = case
    assert verifier(problem, f"<think>{right}").score == 0.0


@given(st.text())
def test_never_raises(text: str) -> None:
    for name, verifier in VERIFIERS.items():
        verifier(EXAMPLES[name][0], text)
        verifier(EXAMPLES[name][0], f"Answer: {text}")
