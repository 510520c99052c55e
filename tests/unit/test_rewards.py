"""Only a right and finished answer is paid; what cannot be judged is left out."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sixfold.core import Problem, Verdict
from sixfold.data.rows import make_row
from sixfold.errors import ConfigError
from sixfold.reason.prompts import solver_messages
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate
from sixfold.train.rewards import Rewards, Scored
from sixfold.verify.text_answer import judge_text

RIGHT, WRONG = "Answer: blue", "Answer: red"


def tagged(answer: str) -> str:
    return f"<think>\nA thought.\n</think>\n\n{answer}"


def row(verifier: str = "text", answer: str | None = "blue") -> dict[str, Any]:
    problem = Problem("x/train/1", "Which colour?", answer, "logic", verifier)
    return make_row(problem, solver_messages(problem.question), None, "rl")


def judge(problem: Problem, text: str) -> Verdict:
    if problem.verifier == "broken":
        raise RuntimeError("no such thing")
    if problem.verifier == "partial":
        return Verdict(0.5, form="strict")
    if problem.verifier == "nothing":
        return Verdict(None, "the sandbox is not here")
    return judge_text(problem, text)


@pytest.mark.parametrize(
    ("text", "reward", "score"),
    [
        (RIGHT, 1.0, 1.0), (tagged(RIGHT), 1.1, 1.0), (WRONG, 0.0, 0.0), (tagged(WRONG), 0.1, 0.0), ("", 0.0, 0.0),
        ("<think>\nblue", 0.0, 0.0), ("<think>\nblue\n</think>", 0.0, 0.0),
    ],
)  # fmt: skip
def test_right_is_one_and_form_adds_little(text: str, reward: float, score: float) -> None:
    got = Rewards(judge).score(row(), text, "stop")
    assert (got.reward, got.score) == (pytest.approx(reward), score)


def test_only_the_strict_verdict_counts() -> None:
    """The answer in passing is found by looking harder, which is not what was asked for."""
    assert judge_text(Problem("p", "q", "blue", "logic", "text"), "**blue**").score == 1
    assert Rewards(judge).score(row(), "**blue**", "stop").reward == 0
    assert Rewards(judge).score(row("partial"), RIGHT, "stop").score == 0


def test_a_wrong_answer_in_form_never_beats_a_right_one() -> None:
    for weight in (0.0, 0.1, 0.49):
        rewards = Rewards(judge, weight)
        wrong, right = rewards.score(row(), tagged(WRONG), "stop").reward, rewards.score(row(), RIGHT, "stop").reward
        assert wrong is not None
        assert right is not None
        assert wrong < right / 2
    for weight in (0.5, 1.0, -0.1):
        with pytest.raises(ConfigError, match="outbid"):
            Rewards(judge, weight)


def test_what_was_cut_is_never_paid() -> None:
    assert Rewards(judge).score(row(), tagged(RIGHT), "length") == Scored(0.0, 0.0, True, True)
    assert Rewards(judge, truncated="none").score(row(), tagged(RIGHT), "length") == Scored(None, 0.0, True, True)


def test_unscored_is_not_wrong_and_is_counted() -> None:
    rewards = Rewards(judge)
    assert rewards.score(row("nothing"), RIGHT, "stop") == Scored(None, None, False, False)
    assert rewards.score(row("nothing"), tagged(RIGHT), "stop").reward is None, "form alone is not paid either"
    assert rewards.counters == {"judged": 2, "unscored": 2}


def test_a_verifier_that_breaks_costs_one_row() -> None:
    rewards = Rewards(judge)
    broken = {"reward_model": {"ground_truth": "no JSON"}, "ability": "logic", "extra_info": {}}
    rows = [row("broken"), row(), broken]
    columns = {name: [r[name] for r in rows] for name in ("reward_model", "ability", "extra_info")}
    assert rewards.reward([""] * 3, [RIGHT] * 3, [[1]] * 3, **columns) == [None, 1.0, None]
    assert rewards.counters == {"judged": 3, "verifier failed: RuntimeError": 1, "rows without an answer": 1}


def test_trl_s_signature_with_messages_and_with_text() -> None:
    rewards = Rewards(judge)
    texts = [tagged(RIGHT), WRONG, RIGHT, RIGHT]
    columns: dict[str, Any] = {name: [row()[name]] * 4 for name in ("reward_model", "ability", "extra_info")}
    columns |= {"finish": ["stop", "stop", "stop", "length"], "trainer_state": None}
    messages = [[{"role": "assistant", "content": text}] for text in texts]
    expected = [pytest.approx(1.1), 0.0, 1.0, 0.0]
    assert rewards.reward(["p"] * 4, texts, [[1]] * 4, **columns) == expected
    assert rewards.reward([[{}]] * 4, messages, [[1]] * 4, **columns) == expected
    assert rewards.counters["judged"] == 3, "the second call is answered from what is remembered"


def test_each_row_is_judged_by_its_own_problem() -> None:
    rewards = Rewards(judge)
    rows = [row(), row(answer="red")]
    columns = {name: [r[name] for r in rows] for name in ("reward_model", "ability", "extra_info")}
    assert rewards.reward(["", ""], [RIGHT, RIGHT], [[1], [1]], **columns) == [1.0, 0.0]


def test_a_generated_problem_survives_its_row() -> None:
    """What a verifier needs goes through JSON and comes back."""
    from sixfold.verify.verifiers import PURE

    def pure(problem: Problem, text: str) -> Verdict:
        return PURE[problem.verifier or ""](problem, text)

    rewards, judged = Rewards(pure), 0
    for family in FAMILIES.values():
        problem = next(generate(family, 1, "train"))
        if problem.verifier not in PURE:
            continue
        made = json.loads(json.dumps(make_row(problem, solver_messages(problem.question), None, "rl")))
        assert rewards.score(made, tagged((problem.solution or "").rpartition("\n")[2]), "stop").score == 1.0, family.task
        judged += 1
    assert judged > 20
