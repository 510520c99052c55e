"""Two runs, question by question: what is compared, what is refused, and what is called noise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from evaluating import evaluate, right_answer, sums
from solving import role

from sixfold.cli.evals import compare_command
from sixfold.core import Problem, Request
from sixfold.errors import ConfigError
from sixfold.evals.compare import compare_runs, write_comparison
from sixfold.evals.page import comparison_rows


def right_where(test: Any, words: int = 0) -> Any:
    """Right for questions whose first number passes a test; with so many words before the answer."""

    def script(request: Request, served: int) -> str:
        first = int(request.messages[-1].content.removeprefix("What is ").split(" ")[0])
        return "so " * words + f"\nAnswer: {right_answer(request) if test(first) else 0}"

    return script


async def test_a_difference_is_paired_over_the_questions_that_both_have(tmp_path: Path) -> None:
    await evaluate(tmp_path / "a", [sums(8), sums(3, "only/a", first=20)], script=right_where(lambda x: x < 5))
    await evaluate(tmp_path / "b", [sums(6)], "solve.temperature=0.9", script=right_where(lambda x: x > 2, words=2))
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    (task,) = found["tasks"]
    # Shared: 2 to 7. A is right on 2, 3, 4, B on 3 to 7.
    assert (task["questions"], task["only_a"], task["only_b"], task["unscored"]) == (6, 2, 0, 0)
    assert (task["a"], task["b"]) == pytest.approx((3 / 6, 5 / 6))
    assert task["difference"] == pytest.approx(2 / 6)
    assert (task["gained"], task["lost"]) == (3, 1)
    assert task["p"] == pytest.approx(0.625)
    assert task["finding"] == "noise"
    assert task["tokens_ratio"] == pytest.approx(4 / 2)
    assert found["left_out"] == {"only_a": ["only/a"], "only_b": [], "nothing_shared": []}
    assert ["solve.temperature", 0.5, 0.9] in found["differ"]
    assert not any(key.startswith("tasks.") for key, *_ in found["differ"])


async def test_what_one_of_them_could_not_judge_is_left_out_and_counted(tmp_path: Path) -> None:
    await evaluate(tmp_path / "a", [sums(12)], script=right_where(lambda x: True))
    await evaluate(tmp_path / "b", [sums(12)], script=right_where(lambda x: False))
    (task,) = compare_runs(tmp_path / "a", tmp_path / "b")["tasks"]
    assert (task["questions"], task["unscored"]) == (11, 1)
    assert (task["difference"], task["finding"], task["p"]) == (-1.0, "worse", 2 / 2**11)


async def test_many_tasks_are_adjusted_for_and_the_average_is_macro(tmp_path: Path) -> None:
    tasks = [sums(6, "math/a", first=20), sums(30, "math/b", first=40)]
    await evaluate(tmp_path / "a", tasks, script=right_where(lambda x: False))
    await evaluate(tmp_path / "b", tasks, script=right_where(lambda x: x < 30))
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    assert found["macro"]["difference"] == pytest.approx(0.5)
    small = found["tasks"][0]
    assert (small["p"], small["p_adjusted"], small["finding"]) == (2 / 2**6, 4 / 2**6, "noise")
    assert found["macro"]["finding"] == "better"


async def test_domains_are_compared_too(tmp_path: Path) -> None:
    tasks = [sums(6, "math/a", first=20), sums(6, "math/b", first=40), sums(6, "logic/c", first=60, domain="logic")]
    await evaluate(tmp_path / "a", tasks, script=right_where(lambda x: False))
    await evaluate(tmp_path / "b", tasks, script=right_where(lambda x: x < 30))
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    assert {d: m["difference"] for d, m in found["domains"].items()} == {"math": 0.5, "logic": 0.0}
    p = {d: (m["p"], m["p_adjusted"]) for d, m in found["domains"].items()}
    assert p["math"][1] == min(1.0, 2 * p["math"][0]), "two domains were looked at"
    assert [row[0] for row in comparison_rows(found)][-3:] == ["macro math", "macro logic", "macro"]


async def test_the_same_run_twice_is_noise(tmp_path: Path) -> None:
    for name in "ab":
        await evaluate(tmp_path / name, [sums(6), sums(5, "code/more")], "samples=2")
    found = compare_runs(tmp_path / "a", tmp_path / "b")
    assert {t["difference"] for t in found["tasks"]} == {0.0}
    assert {t["finding"] for t in [*found["tasks"], found["macro"]]} == {"noise"}


async def test_runs_over_other_questions_are_refused(tmp_path: Path) -> None:
    await evaluate(tmp_path / "a", [sums(3)])
    await evaluate(tmp_path / "version", [sums(3, version="2")])
    with pytest.raises(ConfigError, match="has version 1 in A and 2 in B"):
        compare_runs(tmp_path / "a", tmp_path / "version")
    await evaluate(tmp_path / "text", [sums(3, first=3)])
    with pytest.raises(ConfigError, match="3 questions with the same id are not the same, such as math/sums-0"):
        compare_runs(tmp_path / "a", tmp_path / "text")
    answers = sums(3, load=lambda split, count: [Problem("math/sums-0", "What is 2 + 0?", "3", verifier="math")])
    await evaluate(tmp_path / "answer", [answers])
    with pytest.raises(ConfigError, match="1 questions with the same id"):
        compare_runs(tmp_path / "a", tmp_path / "answer")
    await evaluate(tmp_path / "other", [sums(3, "math/other")])
    with pytest.raises(ConfigError, match="share no judged question"):
        compare_runs(tmp_path / "a", tmp_path / "other")
    with pytest.raises(ConfigError, match="no run of"):
        compare_runs(tmp_path / "a", tmp_path / "nothing")


async def test_the_comparison_is_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(request: Request, served: int) -> str:
        return '{"better": "tie"}' if role(request) == "judge" else right_where(lambda x: x % 3 == 0)(request, served)

    tasks = [sums(12), sums(4, "logic/more", first=20, domain="logic")]
    await evaluate(tmp_path / "a", tasks, script=script)
    await evaluate(tmp_path / "b", tasks, "solve.n=2", "concurrency=2")
    assert compare_command(tmp_path / "a", tmp_path / "b", tmp_path / "out", False) == 0
    printed = capsys.readouterr()
    assert "B: b, script (scripted): 2 candidates" in printed.err
    assert "solve.n: 1 / 2" in printed.err
    assert "macro" in printed.out
    assert compare_command(tmp_path / "a", tmp_path / "b", None, True) == 0
    found = json.loads(capsys.readouterr().out)
    assert found == json.loads((tmp_path / "out" / "compare.json").read_text("utf-8"))
    page = (tmp_path / "out" / "compare.md").read_text("utf-8")
    assert "| logic/more | 4 |" in page
    assert "Noise: the interval holds 0" in page
    assert {p.name for p in (tmp_path / "out").iterdir()} == {"compare.json", "compare.md", "difference.png", "difference.svg"}
    svg = (tmp_path / "out" / "difference.svg").read_bytes()
    write_comparison(found, tmp_path / "out")
    assert (tmp_path / "out" / "difference.svg").read_bytes() == svg
