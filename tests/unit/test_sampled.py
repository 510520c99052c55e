"""Rejection sampling keeps what is right, short and different, and goes on where it was killed."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from sixfold.core import Problem, Request, Verdict
from sixfold.data.rows import read_rows, row_problem
from sixfold.data.sampled import PROBLEMS, ROWS, SampleConfig, as_trace, choose, sample_rows, steps_of
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.errors import ConfigError, EngineError
from sixfold.verify.verifiers import Judge

CONFIG = SampleConfig(attempts=6, keep=2, concurrency=3)
RIGHT, LONGER, OTHER = (
    "<think>\nAdd {a} and {b}.\n{a} + {b} = {c}\n</think>\n\nAnswer: {c}",
    "<think>\nAdd {a} and {b}.\n{a} + {b} = {c}\n\n</think>\n\nSo it is so.\nAnswer: {c}",
    "Count on from {a}.\nThat is {b} steps up, one by one, to {c}.\nAnswer: {c}",
)


def problem(i: int) -> Problem:
    return Problem(f"sum/train/{i}", f"What is {i} + {i + 1}?", str(2 * i + 1), "math", "math", {"level": 1, "family": "sum"})


def say(request: Request, served: int) -> Reply | str:
    """Attempt by attempt: right, right the same way, right another way, wrong, out of tokens, right without steps."""
    a, _, b = request.messages[-1].content.removeprefix("What is ").rstrip("?").partition(" + ")
    values = {"a": a, "b": b, "c": int(a) + int(b)}
    return (
        Reply(RIGHT.format(**values)),
        Reply(LONGER.format(**values)),
        Reply(OTHER.format(**values)),
        Reply("<think>\nHm.\n</think>\n\nAnswer: 1000"),
        Reply(RIGHT.format(**values), finish="length"),
        Reply("Answer: {c}".format(**values)),
    )[served % 6]


async def sample(folder: Path, count: int, script: object = say, config: SampleConfig = CONFIG) -> Counter[str]:
    engine = script if isinstance(script, ScriptedEngine) else ScriptedEngine(script)  # type: ignore[arg-type]
    with Judge() as judge:
        return await sample_rows(map(problem, range(count)), engine, judge, folder, config)


async def test_right_short_and_different_attempts_are_kept(tmp_path: Path) -> None:
    counts = await sample(tmp_path, 1)
    rows = list(read_rows(tmp_path / ROWS))
    said = [row["completion"][0]["content"] for row in rows]
    assert said == [
        "<think>\nAdd 0 and 1.\n0 + 1 = 1\n</think>\n\nAnswer: 1",
        "<think>\nCount on from 0.\nThat is 1 steps up, one by one, to 1.\n</think>\n\nAnswer: 1",
    ]
    assert row_problem(rows[0]).answer == "1"
    assert rows[0]["prompt"][0]["role"] == "system"
    assert {k: rows[0]["extra_info"][k] for k in ("pass_rate", "attempts", "origin", "model", "level")} == {
        "pass_rate": 4 / 6, "attempts": 6, "origin": "sampled", "model": "script", "level": 1
    }  # fmt: skip
    assert {k: counts[k] for k in ("problems", "asked", "right", "kept", "unscored", "never right")} == {
        "problems": 1, "asked": 6, "right": 4, "kept": 2, "unscored": 0, "never right": 0
    }  # fmt: skip


async def test_a_killed_run_goes_on_and_ends_the_same(tmp_path: Path) -> None:
    settings = SampleConfig(attempts=6, keep=2, concurrency=1)
    whole = await sample(tmp_path / "whole", 9, config=settings)

    class Killed(Exception):
        pass

    def stop(counts: Counter[str]) -> None:
        if counts["problems"] == 4:
            raise Killed

    first = ScriptedEngine(say)
    with Judge() as judge, pytest.raises(Killed):
        await sample_rows(map(problem, range(9)), first, judge, tmp_path / "cut", settings, stop)
    # What a kill leaves between two writes: a row without its problem, and half a line.
    with (tmp_path / "cut" / ROWS).open("a") as file:
        file.write('{"prompt": "of a problem that was never finished"}\n{"pro')
    with (tmp_path / "cut" / PROBLEMS).open("a") as file:
        file.write('{"id": "sum/tr')
    engine = ScriptedEngine(say)
    resumed = await sample(tmp_path / "cut", 9, engine)
    assert len(engine.served) == 5 * 6
    assert resumed == whole
    for name in (ROWS, PROBLEMS):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert await sample(tmp_path / "cut", 9, ScriptedEngine([])) == whole


async def test_rows_come_in_the_order_of_the_problems_whatever_was_faster(tmp_path: Path) -> None:
    def slow_first(request: Request, served: int) -> Reply | str:
        slow = "What is 0 + 1" in request.messages[-1].content
        return Reply(f"Adding.\nAnswer: {sum(map(int, _numbers(request)))}", first_s=0.2 if slow else 0.0)

    await sample(tmp_path, 12, slow_first)
    assert [row["extra_info"]["id"] for row in read_rows(tmp_path / ROWS)] == [f"sum/train/{i}" for i in range(12)]


def _numbers(request: Request) -> list[str]:
    return request.messages[-1].content.removeprefix("What is ").rstrip("?").split(" + ")


async def test_the_same_question_is_asked_once(tmp_path: Path) -> None:
    engine = ScriptedEngine(say)
    with Judge() as judge:
        counts = await sample_rows([problem(1), problem(1), problem(2)], engine, judge, tmp_path, CONFIG)
    assert (counts["problems"], counts["asked before"], len(engine.served)) == (2, 1, 12)


async def test_what_the_engine_failed_at_is_asked_again_the_next_time(tmp_path: Path) -> None:
    def failing(request: Request, served: int) -> Reply | str:
        return Reply("no", fails_after=0) if "3 + 4" in request.messages[-1].content else say(request, served)

    counts = await sample(tmp_path, 5, failing)
    assert (counts["problems"], counts["failed problems"]) == (4, 1)
    engine = ScriptedEngine(say)
    assert (await sample(tmp_path, 5, engine))["problems"] == 5
    assert len(engine.served) == 6


async def test_an_engine_that_is_gone_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="the script says so"):
        await sample(tmp_path, 40, ScriptedEngine([Reply("no", fails_after=0)]))
    assert (await sample(tmp_path, 40))["problems"] == 40


async def test_a_verifier_that_breaks_leaves_attempts_unscored(tmp_path: Path) -> None:
    def broken(problem: Problem, text: str) -> Verdict:
        raise ZeroDivisionError

    counts = await sample_rows([problem(1)], ScriptedEngine(say), broken, tmp_path, CONFIG)
    assert (counts["unscored"], counts["right"], counts["kept"]) == (6, 0, 0)
    record = json.loads((tmp_path / PROBLEMS).read_text().splitlines()[1])
    assert record["pass_rate"] is None


async def test_thinking_that_the_engine_separates_becomes_thinking(tmp_path: Path) -> None:
    await sample(tmp_path, 1, ScriptedEngine([Reply("Answer: 1", reasoning="0 + 1 = 1")]))
    assert next(read_rows(tmp_path / ROWS))["completion"][0]["content"] == "<think>\n0 + 1 = 1\n</think>\n\nAnswer: 1"


async def test_a_folder_of_other_settings_or_another_kind_is_refused(tmp_path: Path) -> None:
    await sample(tmp_path / "a", 1)
    with pytest.raises(ConfigError, match="other settings"):
        await sample(tmp_path / "a", 1, config=SampleConfig(attempts=3))
    with Judge() as judge, pytest.raises(ConfigError, match="other settings"):
        await sample_rows([problem(1)], ScriptedEngine(say), judge, tmp_path / "a", CONFIG, weights={"lora_sha256": "a"})
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / PROBLEMS).write_text("[]\n")
    with pytest.raises(ConfigError, match="no file of samples"):
        await sample(tmp_path / "b", 1)
    (tmp_path / "a" / ROWS).write_text("")
    with pytest.raises(ConfigError, match="shorter than it was"):
        await sample(tmp_path / "a", 1)


@pytest.mark.parametrize(
    ("text", "verifier", "trace"),
    [
        ("<think>a</think>", "math", None),
        ("Answer: 4", "math", None),
        ("a\nAnswer: 4", "math", "<think>\na\n</think>\n\nAnswer: 4"),
        ("Try.\n```python\nf = 1\n```\n", "code", "<think>\nTry.\n</think>\n\n```python\nf = 1\n```"),
        ("```python\nf = 1\n```", "code", None),
    ],
)
def test_a_trace_is_thinking_and_an_answer(text: str, verifier: str, trace: str | None) -> None:
    assert as_trace(text, verifier) == trace


def test_steps_are_compared_without_case_and_punctuation_but_with_operators() -> None:
    assert steps_of("<think>We add: 2 + 3.\n2 + 3 = 5</think>5") == {"we add 2 + 3", "2 + 3 = 5"}
    assert choose(["<think>2 + 3 = 5</think>5", "<think>2 * 3 = 5</think>5"], 2, 0.5) != choose(
        ["<think>2 + 3 = 5</think>5"], 2, 0.5
    )
    assert choose([], 2, 0.5) == []
