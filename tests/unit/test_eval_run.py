"""What an evaluation writes, in which order, and what it makes of failures."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pytest
from evaluating import PUBLISHED, config, evaluate, judge, mixed, right_answer, sums
from solving import role
from tiny_gguf import write_tiny

from sixfold.core import Chunk, Problem, Request, Verdict
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.errors import ConfigError, EngineError, TaskError
from sixfold.evals.folder import Key, load_run, read_config
from sixfold.evals.run import Progress, make_plan, run_record, sample_seed
from sixfold.reason.solve import Engines

_CANNOT_FORCE = frozenset({"n", "seed", "logprobs", "exact_usage"})


def lines(folder: Path, name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / f"{name}.jsonl").read_text("utf-8").splitlines()]


def without_times(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    kept = [{k: v for k, v in r.items() if k not in ("elapsed_s", "ttft_s")} for r in records]
    return sorted(kept, key=lambda r: (r["task"], r["id"], r["sample"], r.get("candidate") or 0))


async def test_every_sample_of_every_question_is_asked_once_and_written_with_its_attempts(tmp_path: Path) -> None:
    engine = await evaluate(tmp_path, [sums(4), sums(2, "code/more")], "samples=3", "solve.n=2", "solve.early_stop=false")
    samples, attempts = lines(tmp_path, "samples"), lines(tmp_path, "attempts")
    assert len(samples) == 18
    assert len(attempts) == 36
    assert {(s["task"], s["sample"]) for s in samples} == {(t, i) for t in ("math/sums", "code/more") for i in range(3)}
    assert len([r for r in engine.served if not r.prefill and role(r) == "solve"]) == 36
    attempt = attempts[0]
    assert attempt["text"].startswith("Adding up.\nAnswer: ") or attempt["score"] == 0
    assert {"answer", "form", "reason", "status", "finish", "prompt_tokens", "completion_tokens", "ttft_s"} <= set(attempt)
    sample = samples[0]
    assert sample["tokens"]["completion"] == sum(a["completion_tokens"] for a in attempts[:2])
    assert (sample["level"], sample["question"], sample["reference"]) == (1, "What is 2 + 0?", "2")


async def test_seeds_belong_to_samples_so_that_order_and_concurrency_do_not_matter(tmp_path: Path) -> None:
    await evaluate(tmp_path / "a", [sums(5)], "samples=2", "solve.n=2")
    await evaluate(tmp_path / "b", [sums(5)], "samples=2", "solve.n=2", "concurrency=7")
    for name in ("samples", "attempts"):
        assert without_times(lines(tmp_path / "a", name)) == without_times(lines(tmp_path / "b", name))
    seeds = [s["seed"] for s in lines(tmp_path / "a", "samples")]
    assert len(set(seeds)) == 10
    await evaluate(tmp_path / "c", [sums(5)], "samples=2", "solve.n=2", "seed=1")
    assert not set(seeds) & {s["seed"] for s in lines(tmp_path / "c", "samples")}


def test_a_seed_depends_on_each_part_of_its_key() -> None:
    keys = [Key("t", "1", 0), Key("t", "1", 1), Key("t", "11", 0), Key("t1", "1", 0)]
    assert len({sample_seed(0, k) for k in keys} | {sample_seed(1, keys[0])}) == 5
    assert all(0 <= sample_seed(s, Key("t", str(s), s)) < 2**31 - 64 for s in range(300))


async def test_no_more_samples_run_at_once_than_asked_for_and_judging_blocks_nobody(tmp_path: Path) -> None:
    most, threads = 0, set()

    def script(request: Request, served: int) -> Reply:
        nonlocal most
        most = max(most, engine.running + 1)
        return Reply("Answer: 1", token_s=0.002)

    def judging(problem: Problem, text: str) -> Verdict:
        threads.add(threading.current_thread())
        return judge(problem, text)

    engine = ScriptedEngine(script)
    await evaluate(tmp_path, [sums(9)], "concurrency=3", script=engine, judging=judging)
    assert most == 3
    assert threading.main_thread() not in threads


@pytest.mark.parametrize(
    ("said", "can_force", "expected"),
    [
        ("Answer: 2", True, {"score": 1.0, "form": "strict", "truncated": False, "forced": False, "answer": "2"}),
        ("The sum is 2", True, {"score": 1.0, "form": "flexible", "truncated": False, "forced": False}),
        ("a b c d e f g h i j", False, {"score": 0.0, "form": "none", "truncated": True, "answer": None}),
        ("The sum is 2 and a b c d e f", False, {"score": 0.0, "truncated": True, "answer": None}),
        ("a b c d e f g h i j", True, {"score": 0.0, "form": "strict", "truncated": False, "forced": True, "answer": "7"}),
    ],
)
async def test_what_is_made_of_a_text(tmp_path: Path, said: str, can_force: bool, expected: dict[str, Any]) -> None:
    def script(request: Request, served: int) -> str:
        return " 7" if request.prefill else said

    can = frozenset({*_CANNOT_FORCE, *(["prefill"] if can_force else [])})
    overrides = [] if can_force else ["solve.answer_tokens=1"]
    await evaluate(tmp_path, [sums(1)], *overrides, script=ScriptedEngine(script, can=can))
    sample = lines(tmp_path, "samples")[0]
    assert {k: sample[k] for k in expected} == expected
    assert sample["error"] is None
    if sample["truncated"]:
        assert lines(tmp_path, "attempts")[0]["reason"] == "out of tokens without an answer"


async def test_what_cannot_be_judged_is_unscored_with_its_reason(tmp_path: Path) -> None:
    def breaks(problem: Problem, text: str) -> Verdict:
        if problem.id.endswith("-1"):
            raise ZeroDivisionError("oh")
        return judge(problem, text)

    await evaluate(tmp_path, [sums(2, first=13)], script=lambda r, _: "Answer: 1", judging=breaks)
    scores = {s["id"]: (s["score"], s["reason"]) for s in lines(tmp_path, "samples")}
    assert scores["math/sums-0"] == (None, "nobody knows")
    assert scores["math/sums-1"] == (None, "the verifier broke: ZeroDivisionError: oh")


async def test_a_stop_finishes_what_is_running_and_the_same_call_goes_on(tmp_path: Path) -> None:
    stop, seen = asyncio.Event(), []

    def on_progress(reached: Progress) -> None:
        seen.append(reached)
        if reached.done == 4:
            stop.set()

    await evaluate(tmp_path, [sums(6)], "samples=2", "concurrency=2", stop=stop, on_progress=on_progress)
    first = lines(tmp_path, "samples")
    assert 4 <= len(first) <= 5
    assert (seen[0].done, seen[0].total, seen[0].eta_s) == (0, 12, None)
    assert seen[-1].eta_s is not None
    engine = await evaluate(tmp_path, [sums(6)], "samples=2", on_progress=seen.append)
    assert len(lines(tmp_path, "samples")) == 12
    assert len({r.messages for r in engine.served}) <= 6
    assert (seen[-1].done, seen[-1].total, seen[-1].eta_s) == (12, 12, 0.0)
    again = await evaluate(tmp_path, [sums(6)], "samples=2")
    assert again.served == []


async def test_a_sample_that_the_engine_fails_is_neither_right_nor_wrong_and_tried_again(tmp_path: Path) -> None:
    def fails(request: Request, served: int) -> Reply | str:
        bad = "4 + 2" in request.messages[-1].content
        return (
            Reply("a b", finish="error", error="slot lost")
            if bad
            else f"Answer: {right_answer(request)}"
            if served < 99
            else ""
        )

    def script(request: Request, served: int) -> Reply | str:
        return "yes" if request.messages[-1].content == "Say yes." else fails(request, served)

    await evaluate(tmp_path, [sums(4, first=2)], "solve.retries=0", script=script)
    failed = [s for s in lines(tmp_path, "samples") if s["error"]]
    assert [(s["id"], s["score"], s["error"], s["code"]) for s in failed] == [("math/sums-2", None, "slot lost", 3)]
    assert len(lines(tmp_path, "samples")) == 4
    engine = await evaluate(tmp_path, [sums(4, first=2)], "solve.retries=0")
    assert len({r.messages[-1].content for r in engine.served}) == 1
    run = load_run(tmp_path)
    assert [s["error"] for s in run.samples] == [None] * 4
    assert [s["try"] for s in run.samples] == [0, 0, 1, 0]
    assert [len(s["candidates"]) for s in run.samples] == [1] * 4


async def test_an_engine_that_is_gone_ends_the_run_with_its_error_and_keeps_what_was_done(tmp_path: Path) -> None:
    def script(request: Request, served: int) -> Reply | str:
        return f"Answer: {right_answer(request)}" if served < 3 else Reply("", fails_after=0, error="connection refused")

    with pytest.raises(EngineError, match="the engine is gone: connection refused") as caught:
        await evaluate(tmp_path, [sums(9)], "solve.retries=0", "concurrency=1", script=script)
    assert "same command" in caught.value.hint
    assert [s["error"] for s in load_run(tmp_path).samples] == [None, None, None, "connection refused"]
    await evaluate(tmp_path, [sums(9)], "solve.retries=0")
    assert [s["error"] for s in load_run(tmp_path).samples] == [None] * 9


async def test_a_question_that_is_too_long_fails_alone(tmp_path: Path) -> None:
    task = sums(3)
    problems = [*task.load("test", None), Problem("long", "word " * 200, "1", verifier="math")]
    long = sums(0, load=lambda split, count: problems)
    await evaluate(tmp_path, [long], script=ScriptedEngine(lambda r, _: "Answer: 1", context_tokens=100))
    assert [bool(s["error"]) for s in load_run(tmp_path).samples] == [False, False, False, True]


async def test_other_settings_are_refused_with_their_names(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(2)], "solve.temperature=0.5")
    for overrides, task, named in (
        (["solve.temperature=0.9", "seed=4"], sums(2), r"seed \(0 there, 4 now\), solve.temperature \(0.5 there, 0.9 now\)"),
        (["solve.n=4"], sums(2), r"solve.n \(1 there, 4 now\)"),
        (["limit=1"], sums(2), "limit"),
        ([], sums(2, version="2"), r"tasks.math/sums.version \(1 there, 2 now\)"),
        ([], sums(2, first=5), "tasks.math/sums.questions"),
        ([], sums(2, name="math/other"), "tasks.math/other"),
    ):
        with pytest.raises(ConfigError, match=named):
            await evaluate(tmp_path, [task], *overrides)
    with pytest.raises(ConfigError, match=r"models.solver.engine \(scripted there, other now\)"):
        await evaluate(tmp_path, [sums(2)], script=ScriptedEngine(["Answer: 1"], name="other"))
    engine = await evaluate(tmp_path, [sums(2)], "concurrency=5", "solve.engine.threads=3")
    assert engine.served == []


async def test_what_is_no_run_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        await evaluate(tmp_path / "file", [sums(1)])
    await evaluate(tmp_path / "run", [sums(1)])
    (tmp_path / "run" / "config.json").unlink()
    with pytest.raises(ConfigError, match="unknown run"):
        await evaluate(tmp_path / "run", [sums(1)])
    await evaluate(tmp_path / "bad", [sums(2)])
    text = (tmp_path / "bad" / "samples.jsonl").read_text()
    (tmp_path / "bad" / "samples.jsonl").write_text("nonsense\n" + text)
    with pytest.raises(ConfigError, match=r"samples.jsonl, line 1 is not of a run"):
        await evaluate(tmp_path / "bad", [sums(2)])
    with pytest.raises(ConfigError, match="no run of"):
        load_run(tmp_path)


async def test_two_runs_cannot_write_one_folder(tmp_path: Path) -> None:
    inside = asyncio.Event()

    def script(request: Request, served: int) -> Reply:
        inside.set()
        return Reply("Answer: 1", first_s=0.2)

    first = asyncio.create_task(evaluate(tmp_path, [sums(1)], script=script))
    await inside.wait()
    with pytest.raises(ConfigError, match="another run is writing"):
        await evaluate(tmp_path, [sums(1)])
    await first


async def test_the_published_protocol_is_used_and_what_differs_is_said(tmp_path: Path) -> None:
    task = sums(2, published=PUBLISHED, instruction="Put it into a box.")
    engine = await evaluate(tmp_path / "a", [task], "published=true", "solve.answer_tokens=20")
    assert len(lines(tmp_path / "a", "samples")) == 4
    request = engine.served[0]
    assert request.messages[-1].content == "What is 2 + 0?\n\nPut it into a box."
    assert (request.sampling.temperature, request.sampling.top_p, request.sampling.max_tokens) == (0.7, 0.9, 80)
    (record,) = read_config(tmp_path / "a")["tasks"]
    assert record["deviations"] == ["the system prompt is Sixfold's"]
    await evaluate(tmp_path / "b", [task], "solve.n=3", "limit=1", "solve.temperature=0.2")
    (record,) = read_config(tmp_path / "b")["tasks"]
    assert record["deviations"] == [
        "runs a question: 1 instead of 2", "temperature: 0.2 instead of 0.7", "top_p: 0.95 instead of 0.9",
        "tokens at most: 40 instead of 100", "the published instruction is not given", "the system prompt is Sixfold's",
        "each run chooses among 3 candidates", "at most the first 1 questions",
    ]  # fmt: skip
    with pytest.raises(TaskError, match="no published evaluation"):
        await evaluate(tmp_path / "c", [sums(1)], "published=true")


def test_a_context_that_is_too_small_is_a_deviation() -> None:
    engine = ScriptedEngine(["1"], context_tokens=64)
    plan = make_plan(sums(1, published=PUBLISHED), config("published=true"), engine)
    assert "the engine's context holds 64 tokens" in plan.deviations
    whole = make_plan(sums(1, published=PUBLISHED), config("published=true"), ScriptedEngine(["1"], context_tokens=100))
    assert "the engine's context holds 100 tokens" in whole.deviations, "the question needs room too"


async def test_tasks_that_cannot_be_asked_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TaskError, match="no split train"):
        await evaluate(tmp_path, [sums(1)], "split=train")
    with pytest.raises(TaskError, match="no questions"):
        await evaluate(tmp_path, [sums(0)])
    twice = sums(1, load=lambda split, count: [Problem("1", "What is 1 + 1?"), Problem("1", "What is 1 + 2?")])
    with pytest.raises(TaskError, match="one id for several"):
        await evaluate(tmp_path, [twice])
    assert not any(tmp_path.iterdir())  # noqa: ASYNC240


async def test_a_failing_planner_is_counted_and_all_phases_cost_tokens(tmp_path: Path) -> None:
    def planner(request: Request, served: int) -> Reply | str:
        return Reply("", finish="error", error="no") if served else "Add the numbers first."

    from sixfold.evals.run import run_eval

    engines = Engines(ScriptedEngine(mixed), ScriptedEngine(planner, name="planner"))
    await run_eval(config("solve.plan=shared"), [sums(2)], engines, judge, tmp_path, asyncio.Event(), lambda reached: None)
    samples = load_run(tmp_path).samples
    assert [s["plan_failed"] for s in samples] == [False, True]
    assert samples[0]["tokens"]["phases"]["plan"] == 4
    assert samples[0]["tokens"]["completion"] == 4 + samples[0]["tokens"]["phases"]["attempt"]
    assert read_config(tmp_path)["models"]["planner"]["engine"] == "planner"


async def test_the_configuration_says_what_was_run(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(2)], "limit=1")
    kept = read_config(tmp_path)
    assert kept["models"] == {"solver": {"engine": "scripted", "model": "script"}}
    assert {"sixfold", "python", "platform", "numpy"} <= set(kept["versions"])
    assert kept["tasks"][0] | {"deviations": []} == {
        "name": "math/sums", "domain": "math", "version": "1", "floor": 0.1, "licence": "none", "source": "by hand",
        "split": "test", "questions": 1, "samples": 1, "temperature": 0.5, "top_p": 0.95, "n": 1, "plan": "off",
        "think_tokens": 8, "answer_tokens": 32, "instruction": "", "published": None, "deviations": [],
    }  # fmt: skip
    assert kept["contamination"] == "contamination: not checked (no decontamination report)"


def test_weights_of_the_embedded_engine_are_part_of_what_a_run_is(tmp_path: Path) -> None:
    """A model that was trained further keeps its name."""
    prints = []
    for seed in (0, 1):
        write_tiny(tmp_path / "tiny.gguf", seed=seed)
        engine, settings = ScriptedEngine(["1"], name="embedded"), config(f"solve.engine.model={tmp_path}/tiny.gguf")
        record = run_record(settings, [make_plan(sums(1), settings, engine)], Engines(engine))
        prints.append(record["models"]["solver"]["sha256"])
    assert len(set(prints)) == 2


class _Uncounted(ScriptedEngine):
    async def stream(self, request: Request) -> Any:
        yield Chunk(0, "Answer: 1", finish="stop")


async def test_an_engine_that_counts_nothing_costs_what_its_stream_shows(tmp_path: Path) -> None:
    engine = _Uncounted(["x"], can=frozenset({"n", "seed"}))
    await evaluate(tmp_path, [sums(1)], script=engine)
    (sample,) = load_run(tmp_path).samples
    assert sample["tokens"]["exact"] is False


def test_a_record_is_made_without_a_disk() -> None:
    engine = ScriptedEngine(["1"])
    settings = config()
    plan = make_plan(sums(3), settings, engine)
    record = run_record(settings, [plan], Engines(engine))
    assert record["settings"]["tasks"]["math/sums"]["version"] == "1"
    assert "seed" not in record["settings"]["solve"]


async def test_a_decontamination_report_is_quoted_also_by_a_run_that_goes_on(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(2), sums(2, "math/more", first=20)])
    found = {"rows": 9, "removed": 1, "questions": 2, "tasks": {"math/sums": {"overlaps": {"exact": 1}}}, "not_compared": []}
    (tmp_path / "clean.json").write_text(json.dumps(found))
    await evaluate(tmp_path, [sums(2), sums(2, "math/more", first=20)], f"decontamination={tmp_path / 'clean.json'}")
    line = read_config(tmp_path)["contamination"]
    assert "1 of 9 training rows" in line
    assert line.endswith("of the tasks here it does not cover math/more")
    await evaluate(tmp_path, [sums(2), sums(2, "math/more", first=20)])
    assert read_config(tmp_path)["contamination"] == line


async def test_a_damaged_folder_is_refused_in_words(tmp_path: Path) -> None:
    await evaluate(tmp_path, [sums(2)])
    kept = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**kept, "tasks": []}))
    with pytest.raises(ConfigError, match="samples of math/sums"):
        load_run(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps({k: v for k, v in kept.items() if k != "versions"}))
    with pytest.raises(ConfigError, match="no run of"):
        load_run(tmp_path)
