"""`sixfold eval`: ask every question of some tasks, judge every attempt, and keep all of it in a run folder.

Place: between `reason.solve`, whose events it reads, a judge, and `folder.py`, which writes. Killed at any moment, the same
call goes on where it was, and what is reported in the end is what would have been reported. It computes no statistic:
`report.py` does, from the folder alone.

A sample is one independent run of a question by the whole system; its candidates are its attempts. Only a text that ended, or
answered when its thinking was cut, is judged for an answer; one that ran out of tokens has none. What the engine could not do
is `failed`: neither right nor wrong, and tried again when the run goes on.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import asdict, dataclass, replace
from importlib import metadata
from pathlib import Path
from typing import Any

from sixfold import __version__
from sixfold.config import MAX_CANDIDATES, EngineConfig, EvalConfig, SolveConfig, home_dir
from sixfold.core import Engine, Event, Message, Problem, Request, Sampling, Task, Verdict
from sixfold.data.decontaminate import contamination_line
from sixfold.errors import EngineError, NoAnswerError, SixfoldError, TaskError
from sixfold.evals.folder import Key, RunLog, note_contamination, open_run
from sixfold.reason.solve import Engines, solve

Judging = Callable[[Problem, str], Verdict]
_LIBRARIES = ("xllamacpp", "math-verify", "sympy", "reasoning-gym", "numpy")
_NOT_THE_RUN = ("port", "threads", "key_file", "idle_timeout_s")
"""Settings of an engine that change no answer."""
_FINISH: Mapping[str, str | None] = {"done": "stop", "forced": "length", "failed": "error", "cancelled": None}
_OUT_OF_TOKENS, _NO_ANSWER = "out of tokens without an answer", "it ended without an answer"
_SPARE_TOKENS = 16
"""How near to the end of the context an engine may stop."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is. `right` of `judged` samples are those of the task that is being worked on, earlier calls included."""

    done: int
    total: int
    failed: int
    task: str
    right: int
    judged: int
    elapsed_s: float
    eta_s: float | None


@dataclass(frozen=True, slots=True)
class TaskPlan:
    """A task as this run asks it. `deviations` is what differs from its published evaluation."""

    task: Task
    problems: tuple[Problem, ...]
    samples: int
    solve: SolveConfig
    instruction: str
    deviations: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Item:
    plan: TaskPlan
    index: int
    problem: Problem
    sample: int

    @property
    def key(self) -> Key:
        return Key(self.plan.task.name, self.problem.id, self.sample)


async def run_eval(
    config: EvalConfig, tasks: Sequence[Task], engines: Engines, judge: Judging, folder: Path, stop: asyncio.Event,
    on_progress: Callable[[Progress], None],
) -> None:  # fmt: skip
    """Work off what the folder does not have yet; setting `stop` ends after the samples that are running.

    `config` must be `resolved()`. Raises `ConfigError` where the folder was made with other settings, `TaskError` for a task
    that cannot be asked, and `EngineError` where the engine is gone; what was finished by then is kept.
    """
    plans = [make_plan(task, config, engines.solver) for task in tasks]
    record = run_record(config, plans, engines)
    with open_run(folder, record) as log:
        if config.decontamination is not None:
            note_contamination(folder, record["contamination"])
        items = [item for plan in plans for item in _items(plan)]
        todo = [item for item in items if item.key not in log.done]
        watch = _Watch(log, len(items), len(todo), on_progress)
        queue = iter(todo)

        async def worker() -> None:
            for item in queue:
                if stop.is_set():
                    return
                sample, attempts = await run_sample(item, config.seed, engines, judge)
                log.write(sample, attempts)
                watch.note(sample)
                if sample["error"]:
                    await _refuse_dead(engines.solver)

        watch.show(todo[0].plan.task.name if todo else items[-1].plan.task.name)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(config.concurrency or 1, len(todo))):
                    group.create_task(worker())
        except* (SixfoldError, BrokenPipeError) as errors:
            raise errors.exceptions[0] from None


def make_plan(task: Task, config: EvalConfig, engine: Engine) -> TaskPlan:
    """What this run asks of a task. Raises `TaskError` where it has no such split, no questions, or one id twice."""
    problems = tuple(task.load(config.split, config.limit))[: config.limit]
    if not problems:
        raise TaskError(f"{task.name} has no questions in its split {config.split}", hint="choose another --split")
    if len({p.id for p in problems}) < len(problems):
        raise TaskError(f"{task.name} has one id for several questions", hint="give each question its own id")
    published, settings, samples, instruction = task.published, config.solve, config.samples, ""
    if config.published and published is None:
        raise TaskError(f"{task.name} has no published evaluation", hint="leave --published away, or leave out this task")
    if config.published and published is not None:
        samples, instruction = published.runs, task.instruction
        settings = settings.model_copy(
            update={
                "temperature": published.temperature, "top_p": published.top_p,
                "think_tokens": max(1, published.max_tokens - settings.answer_tokens),
            }
        )  # fmt: skip
    plan = TaskPlan(task, problems, samples, settings, instruction, ())
    return replace(plan, deviations=tuple(_deviations(plan, config, engine)))


def _deviations(plan: TaskPlan, config: EvalConfig, engine: Engine) -> Iterator[str]:
    published, ours = plan.task.published, plan.solve
    if published is None:
        return
    tokens = (ours.think_tokens or 0) + ours.answer_tokens
    for what, there, here in (
        ("runs a question", published.runs, plan.samples), ("temperature", published.temperature, ours.temperature),
        ("top_p", published.top_p, ours.top_p), ("tokens at most", published.max_tokens, tokens),
    ):  # fmt: skip
        if there != here:
            yield f"{what}: {here} instead of {there}"
    context = engine.info.context_tokens
    if context is not None and context <= tokens:  # the question needs room in it too
        yield f"the engine's context holds {context} tokens"
    if plan.task.instruction and not plan.instruction:
        yield "the published instruction is not given"
    yield "the system prompt is Sixfold's"
    if (ours.n or 1) > 1:
        yield f"each run chooses among {ours.n} candidates"
    if ours.plan != "off":
        yield f"planning: {ours.plan}"
    if config.limit is not None:
        yield f"at most the first {config.limit} questions"
    if config.split != "test":
        yield f"split {config.split}"


def run_record(config: EvalConfig, plans: Sequence[TaskPlan], engines: Engines) -> dict[str, Any]:
    """What `config.json` holds. `settings` is what makes it this run and no other."""
    models = {
        role: {"engine": engine.info.name, "model": engine.info.model, **weights_of(engine, wanted)}
        for role, engine, wanted in (
            ("solver", engines.solver, config.solve.engine), ("planner", engines.planner, config.solve.planner),
            ("judge", engines.judge, config.solve.judge),
        )
        if engine is not None
    }  # fmt: skip
    settings: dict[str, Any] = config.model_dump(mode="json", exclude={"tasks", "concurrency", "decontamination"})
    for key in ("seed", "concurrency", "efforts", "effort"):
        del settings["solve"][key]
    for role in ("engine", "planner", "judge"):
        for key in _NOT_THE_RUN:
            (settings["solve"][role] or {}).pop(key, None)
    questions = {p.task.name: [question_hash(q) for q in p.problems] for p in plans}
    settings |= {
        "sixfold": __version__, "models": models,
        "tasks": {p.task.name: {"version": p.task.version, "questions": _digest(questions[p.task.name])} for p in plans},
    }  # fmt: skip
    return {
        "settings": settings,
        "models": models,
        "tasks": [_task_record(p, config) for p in plans],
        "concurrency": config.concurrency,
        "contamination": contamination_line(config.decontamination, [p.task.name for p in plans]),
        "versions": {"sixfold": __version__, "python": platform.python_version(), "platform": platform.platform()}
        | {name: version for name in _LIBRARIES if (version := _version(name))},
        "cpus": os.cpu_count(),
        "begun": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _task_record(plan: TaskPlan, config: EvalConfig) -> dict[str, Any]:
    task = plan.task
    named = {k: getattr(task, k) for k in ("name", "domain", "version", "floor", "licence", "source")}
    return named | {
        "split": config.split, "questions": len(plan.problems), "samples": plan.samples,
        "temperature": plan.solve.temperature, "top_p": plan.solve.top_p, "n": plan.solve.n, "plan": plan.solve.plan,
        "think_tokens": plan.solve.think_tokens, "answer_tokens": plan.solve.answer_tokens, "instruction": plan.instruction,
        "published": asdict(task.published) if task.published else None, "deviations": list(plan.deviations),
    }  # fmt: skip


def weights_of(engine: Engine, config: EngineConfig | None) -> dict[str, str]:
    """Which weights the embedded engine has: a model that was trained further keeps its name."""
    if config is None or engine.info.name != "embedded":
        return {}
    from sixfold.engine import models

    found = models.find(config.model or models.DEFAULT, home_dir())
    lora = {"lora_sha256": _file_hash(config.lora.expanduser())} if config.lora else {}
    return {"sha256": found.sha256 or _file_hash(found.path)} | lora


def _file_hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def question_hash(problem: Problem) -> str:
    """Sixteen digits that two problems share where they ask the same and have the same answer."""
    return _digest([problem.question, problem.answer, problem.verifier])


def _digest(value: Any) -> str:
    return hashlib.sha256(repr(value).encode("utf-8", "backslashreplace")).hexdigest()[:16]


def sample_seed(seed: int, key: Key) -> int:
    """The seed of a sample, whatever runs before or beside it. Room for the candidates' own is left above it.

    >>> sample_seed(0, Key("math/gcd", "1", 0)), sample_seed(0, Key("math/gcd", "1", 1))
    (1251012056, 1258002622)
    """
    digest = hashlib.sha256(f"{seed}\0{key.task}\0{key.id}\0{key.sample}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:8], "big") % (2**31 - MAX_CANDIDATES)


def _items(plan: TaskPlan) -> Iterator[_Item]:
    for index, problem in enumerate(plan.problems):
        for sample in range(plan.samples):
            yield _Item(plan, index, problem, sample)


async def run_sample(item: _Item, seed: int, engines: Engines, judge: Judging) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """One run of a question: the line for `samples.jsonl` and those for `attempts.jsonl`."""
    problem, plan = item.problem, item.plan
    asked = replace(problem, question=f"{problem.question}\n\n{plan.instruction}") if plan.instruction else problem
    own = sample_seed(seed, item.key)
    settings = plan.solve.model_copy(update={"seed": own})
    events: list[Event] = []
    async with aclosing(solve(asked, settings, engines)) as stream:
        async for event in stream:
            if event.kind in ("planned", "attempt_done", "chosen", "failed", "usage"):
                events.append(event)
    attempts, verdicts = [], {}
    for event in sorted((e for e in events if e.kind == "attempt_done"), key=lambda e: e.attempt or 0):
        finish = _finish(event.data, settings, engines.solver)
        verdict = await _judge_attempt(judge, problem, event.data, finish)
        verdicts[event.attempt or 0] = verdict
        attempts.append(_attempt_record(event, verdict, finish))
    chosen = next((e for e in events if e.kind == "chosen"), None)
    if chosen is not None:
        verdict = verdicts[chosen.attempt or 0]
    else:
        verdict = await asyncio.to_thread(_judged, judge, problem, "")
    sample = {
        **item.key._asdict(), "index": item.index, "level": problem.meta.get("level"), "question": problem.question,
        "question_hash": question_hash(problem), "reference": problem.answer, "verifier": problem.verifier,
        "seed": own,
        **_outcome(events, attempts, chosen, verdict),
    }  # fmt: skip
    return sample, attempts


def _finish(data: Mapping[str, Any], settings: SolveConfig, engine: Engine) -> str | None:
    """Why a candidate ended, as its status and its tokens tell: one without an answer may have stopped by itself."""
    if data["status"] != "truncated":
        return _FINISH[data["status"]]
    used, context = data["usage"], engine.info.context_tokens
    full = context is not None and used["prompt_tokens"] + used["completion_tokens"] >= context - _SPARE_TOKENS
    return "length" if full or used["completion_tokens"] >= (settings.think_tokens or 0) else "stop"


async def _judge_attempt(judge: Judging, problem: Problem, data: Mapping[str, Any], finish: str | None) -> Verdict:
    status = data["status"]
    if status in ("cancelled", "failed"):
        return Verdict(None, status if status == "cancelled" else f"failed: {data['error']}")
    if status == "truncated":
        verdict = await asyncio.to_thread(_judged, judge, problem, "")
        return (
            verdict if verdict.score is None else replace(verdict, reason=_OUT_OF_TOKENS if finish == "length" else _NO_ANSWER)
        )
    return await asyncio.to_thread(_judged, judge, problem, data["text"])


def _judged(judge: Judging, problem: Problem, text: str) -> Verdict:
    try:
        return judge(problem, text)
    except Exception as error:  # noqa: BLE001 - a verifier that breaks on one text must not end a run of many hours
        return Verdict(None, f"the verifier broke: {type(error).__name__}: {error}")


def _attempt_record(event: Event, verdict: Verdict, finish: str | None) -> dict[str, Any]:
    """`answer` is what the candidate is taken to say, `judged` what the verifier read."""
    data = event.data
    return {
        "candidate": event.attempt, "status": data["status"], "finish": finish, "answer": event.text or None,
        "judged": verdict.answer, "form": verdict.form, "score": verdict.score, "reason": verdict.reason,
        "prompt_tokens": data["usage"]["prompt_tokens"], "cached_tokens": data["usage"]["cached_tokens"],
        "completion_tokens": data["usage"]["completion_tokens"], "ttft_s": data["ttft_s"], "elapsed_s": data["elapsed_s"],
        "error": data["error"], "text": data["text"],
    }  # fmt: skip


def _outcome(
    events: Sequence[Event], attempts: Sequence[Mapping[str, Any]], chosen: Event | None, verdict: Verdict
) -> dict[str, Any]:
    """What came of a sample. `error` is set where the engine, not the model, is why there is no answer."""
    account = next(e for e in events if e.kind == "usage").data
    failure = next((e for e in events if e.kind == "failed"), None)
    statuses = [a["status"] for a in attempts]
    error, code, reason = None, 0, verdict.reason
    if failure is not None:
        code, reason = int(failure.data["code"]), failure.text if verdict.score is not None else verdict.reason
        if code != NoAnswerError.exit_code or "failed" in statuses:
            error = reason = failure.text
    cut = any(a["status"] == "truncated" and a["finish"] == "length" for a in attempts)
    status = next((a["status"] for a in attempts if chosen is not None and a["candidate"] == chosen.attempt), None)
    phases = account["phases"]
    return {
        "answer": chosen.text if chosen else None, "candidate": chosen.attempt if chosen else None,
        "selector": chosen.data["selector"] if chosen else None, "score": None if error else verdict.score,
        "form": "none" if error else verdict.form, "judged": None if error else verdict.answer, "reason": reason,
        "truncated": chosen is None and not error and cut, "forced": status == "forced",
        "plan_failed": any(e.kind == "planned" and bool(e.data["error"]) for e in events),
        "plan_leak": account["plan_leak"],
        "tokens": {
            "prompt": account["total"]["prompt_tokens"], "cached": account["total"]["cached_tokens"],
            "completion": account["total"]["completion_tokens"], "wasted": account["wasted"]["completion_tokens"],
            "phases": {name: usage["completion_tokens"] for name, usage in phases.items()}, "exact": account["exact"],
        },
        "ttft_s": account["ttft_s"], "elapsed_s": account["elapsed_s"], "error": error, "code": code,
    }  # fmt: skip


async def _refuse_dead(engine: Engine) -> None:
    """Raise where the engine does not even say one token: then every sample that is left would fail too. A question that is too
    long fails alone, and the engine answers this."""
    try:
        async with aclosing(engine.stream(Request((Message("user", "Say yes."),), Sampling(max_tokens=1)))) as chunks:
            async for chunk in chunks:
                if chunk.finish == "error":
                    raise EngineError(chunk.error or "the engine failed")
    except EngineError as error:
        hint = f"{error.hint}; " if error.hint else ""
        raise EngineError(
            f"the engine is gone: {error.args[0]}", kind=error.kind, hint=f"{hint}then the same command goes on from here"
        ) from error


class _Watch:
    """Counts what is done, and tells who shows it."""

    def __init__(self, log: RunLog, total: int, todo: int, on_progress: Callable[[Progress], None]) -> None:
        self._total, self._todo, self._tell = total, todo, on_progress
        self._begun, self._finished, self._failed = time.monotonic(), 0, 0
        self._judged: dict[str, list[bool]] = {}
        for sample in log.done.values():
            self._count(sample)

    def _count(self, sample: Mapping[str, Any]) -> None:
        if sample["score"] is not None:
            self._judged.setdefault(sample["task"], []).append(is_right(sample["score"]))

    def note(self, sample: Mapping[str, Any]) -> None:
        self._finished += 1
        self._failed += bool(sample["error"])
        self._count(sample)
        self.show(sample["task"])

    def show(self, task: str) -> None:
        elapsed_s, left = time.monotonic() - self._begun, self._todo - self._finished
        eta_s = elapsed_s / self._finished * left if self._finished else None
        marks = self._judged.get(task, [])
        self._tell(Progress(self._total - left, self._total, self._failed, task, sum(marks), len(marks), elapsed_s, eta_s))


def is_right(score: float) -> bool:
    """Partial credit is not accuracy: right is all of it (0.99, as scores that are binarised elsewhere)."""
    return score >= 0.99
