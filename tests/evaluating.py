"""Small evaluations on a scripted engine, as several test files run them."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from solving import role

from sixfold.config import EvalConfig, load_config
from sixfold.core import Problem, Published, Request, Split, Task, Verdict
from sixfold.engine.scripted import Reply, ScriptedEngine
from sixfold.errors import TaskError
from sixfold.evals.run import Judging, Progress, run_eval
from sixfold.reason.solve import Engines
from sixfold.verify.answers import same_answer
from sixfold.verify.extract import read_answer

Script = Callable[[Request, int], Reply | str]


def sums(count: int, name: str = "math/sums", first: int = 2, **traits: Any) -> Task:
    """Problems "What is a + b?" with levels 1 and 2 in turn."""
    problems = [
        Problem(f"{name}-{i}", f"What is {first + i} + {i}?", str(first + 2 * i), verifier="math", meta={"level": 1 + i % 2})
        for i in range(count)
    ]

    def load(split: Split, wanted: int | None) -> Iterable[Problem]:
        if split != "test":
            raise TaskError(f"{name} has no split {split}")
        return problems[:wanted]

    return replace(Task(name, "math", load, floor=0.1, source="by hand", licence="none"), **traits)


PUBLISHED = Published("the paper", runs=2, temperature=0.7, top_p=0.9, max_tokens=100)


def judge(problem: Problem, text: str) -> Verdict:
    """Compares the answer; a question about 13 cannot be judged."""
    found = read_answer(text)
    if "13" in problem.question:
        return Verdict(None, "nobody knows", found.answer, found.form)
    if found.answer is None:
        return Verdict(0.0, "no answer")
    right = same_answer(found.answer, problem.answer or "")
    return Verdict(float(right), "right" if right else "wrong", found.answer, found.form)


def right_answer(request: Request) -> int:
    a, b = re.findall(r"What is (\d+) \+ (\d+)", request.messages[-1].content)[0]
    return int(a) + int(b)


def mixed(request: Request, served: int) -> Reply | str:
    """What is said depends on question and seed alone: mostly right, sometimes wrong, rambling, or without an answer."""
    if role(request) == "judge":
        return '{"better": "tie"}'
    at = hashlib.sha256(f"{request.messages[-1].content} {request.sampling.seed}".encode()).digest()[0] % 8
    answer = right_answer(request)
    if request.prefill:
        return " 7"
    said = {5: f"Answer: {answer + 1}", 6: f"That makes {answer}", 7: "one two three four five six seven eight nine ten"}
    return said.get(at, f"Adding up.\nAnswer: {answer}")


def config(*overrides: str) -> EvalConfig:
    return load_config(EvalConfig, overrides=["solve.think_tokens=8", *overrides]).resolved()


async def evaluate(
    folder: Path, tasks: Sequence[Task], *overrides: str, script: Script | ScriptedEngine = mixed, judging: Judging = judge,
    stop: asyncio.Event | None = None, on_progress: Callable[[Progress], None] = lambda reached: None,
) -> ScriptedEngine:  # fmt: skip
    engine = script if isinstance(script, ScriptedEngine) else ScriptedEngine(script)
    await run_eval(config(*overrides), tasks, Engines(engine), judging, folder, stop or asyncio.Event(), on_progress)
    return engine
