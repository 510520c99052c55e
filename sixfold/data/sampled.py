"""Rejection sampling: a model tries each problem several times, the verifier keeps what is right, and that is training data.

Place: the second source of rows, beside `traces.py`. Of the right attempts the shortest is kept, and further ones only where
their steps are others (STaR, arXiv 2203.14465, kept one; RFT, arXiv 2308.01825, kept those with other equations). The share
that was right goes into each row as `pass_rate`: how hard the problem is for that model.

A folder holds `rows.jsonl` and `problems.jsonl` (a header, then one line for each problem that is done). Killed, the same call
goes on where it was, and the rows come out in the order of the problems, whatever was faster. A problem that the engine failed
at is left open for the next call. Not here: what else is filtered out of a training set (`filters.py`).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, aclosing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, BinaryIO

from sixfold.core import Engine, Problem, Request, Sampling, Verdict
from sixfold.data.filters import HashSet, hash64
from sixfold.data.overlap import words
from sixfold.data.rows import Row, make_row
from sixfold.errors import ConfigError, EngineError
from sixfold.reason.form import CODE, FORMS, LINE
from sixfold.reason.prompts import solver_messages
from sixfold.trace import append_line, open_lines
from sixfold.verify.extract import split_thinking

ROWS, PROBLEMS = "rows.jsonl", "problems.jsonl"
_FORMAT = 1
_GIVE_UP = 5
"""Problems in a row that the engine fails at, after which it is taken to be gone."""


@dataclass(frozen=True, slots=True)
class SampleConfig:
    """`attempts` of each problem are drawn, at most `keep` of the right ones kept; two share at most `alike` (0..1) of their
    steps. `concurrency` problems are asked at a time."""

    attempts: int = 8
    keep: int = 2
    alike: float = 0.7
    sampling: Sampling = Sampling(max_tokens=1024, temperature=0.8, top_p=1.0)
    seed: int = 0
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class Tried:
    """What came of a problem. `scores` are the verdicts of all attempts that the engine finished; `None`: not judged."""

    scores: tuple[float | None, ...]
    kept: tuple[str, ...]
    failed: int

    @property
    def right(self) -> int:
        return sum(score == 1.0 for score in self.scores)

    @property
    def pass_rate(self) -> float | None:
        """Of the attempts that could be judged."""
        judged = sum(score is not None for score in self.scores)
        return self.right / judged if judged else None


async def sample_rows(
    problems: Iterable[Problem], engine: Engine, judge: Callable[[Problem, str], Verdict], folder: Path,
    config: SampleConfig = SampleConfig(), progress: Callable[[Counter[str]], None] = lambda counts: None,
    weights: Mapping[str, str] | None = None,
) -> Counter[str]:  # fmt: skip
    """Sample every problem that the folder does not have yet, and return the counts of the whole folder: `problems`, `asked`
    (attempts), `right`, `unscored`, `failed`, `kept`, `never right`, `asked before` (the same question again).

    Raises `ConfigError` where the folder is of other settings or other `weights` (hashes of the engine's),
    `EngineError` where the engine is gone; what was done stays.
    """
    with _open(folder, _settings(engine, config) | dict(weights or {})) as log:
        window: deque[asyncio.Task[tuple[Problem, Tried | EngineError]]] = deque()
        slots = asyncio.Semaphore(config.concurrency)
        failures = 0

        async def work(problem: Problem) -> tuple[Problem, Tried | EngineError]:
            async with slots:
                try:
                    return problem, await try_problem(problem, engine, judge, config)
                except EngineError as error:
                    return problem, error

        async def finish() -> None:
            nonlocal failures
            problem, tried = await window.popleft()
            if isinstance(tried, EngineError):
                failures += 1
                log.counts["failed problems"] += 1
                if failures == _GIVE_UP or tried.kind in ("auth", "missing"):
                    raise tried
                return
            failures = 0
            log.write(problem, tried, engine.info.model)
            progress(log.counts)

        try:
            for problem in problems:
                if not log.is_new(problem):
                    continue
                window.append(asyncio.create_task(work(problem)))
                # A slow problem holds up the writing, not the asking, up to this many others.
                if len(window) >= 4 * config.concurrency:
                    await finish()
            while window:
                await finish()
        finally:
            for task in window:
                task.cancel()
            await asyncio.gather(*window, return_exceptions=True)
        return Counter(log.counts)


async def try_problem(
    problem: Problem, engine: Engine, judge: Callable[[Problem, str], Verdict], config: SampleConfig
) -> Tried:
    """Draw the attempts of one problem, judge them and choose. Raises `EngineError` where none came of it."""
    system = FORMS.get(problem.verifier or "", LINE).system
    sampling = replace(config.sampling, seed=_seed(config.seed, problem))
    request = Request(solver_messages(problem.question, "", system), sampling, n=config.attempts)
    texts = [""] * config.attempts
    thoughts = [""] * config.attempts
    ends: dict[int, str] = {}
    why = EngineError(f"{engine.info.name} gave no attempt at {problem.id}", hint="look at its log", retryable=True)
    async with aclosing(engine.stream(request)) as chunks:
        async for chunk in chunks:
            texts[chunk.index] += chunk.text
            thoughts[chunk.index] += chunk.reasoning
            if chunk.finish:
                ends[chunk.index] = chunk.finish
            if chunk.error:
                why = EngineError(chunk.error, hint="look at the engine's log", retryable=chunk.retryable)
    finished = [i for i in range(config.attempts) if ends.get(i, "error") != "error"]
    if not finished:
        raise why
    scores: list[float | None] = []
    traces: list[str] = []
    for i in finished:
        # What ran out of tokens has no end that could be learned, right or not.
        said = f"<think>\n{thoughts[i]}\n</think>\n\n{texts[i]}" if thoughts[i] else texts[i]
        verdict = await asyncio.to_thread(_judged, judge, problem, said if ends[i] == "stop" else "")
        scores.append(verdict.score)
        if verdict.score == 1.0 and (trace := as_trace(said, problem.verifier)):
            # The new form is judged like any other: what is learned must be right in the form in which it is asked for.
            again = await asyncio.to_thread(_judged, judge, problem, trace)
            if again.strict_score == 1.0:
                traces.append(trace)
    return Tried(tuple(scores), tuple(choose(traces, config.keep, config.alike)), config.attempts - len(finished))


def _judged(judge: Callable[[Problem, str], Verdict], problem: Problem, text: str) -> Verdict:
    try:
        return judge(problem, text)
    except Exception as error:  # noqa: BLE001 - a verifier that breaks on one text must not end a run of many hours
        return Verdict(None, f"the verifier broke: {type(error).__name__}: {error}")


def as_trace(text: str, verifier: str | None = None) -> str | None:
    r"""What was said as thinking between tags and an answer after them; `None` where the thinking never ended or nothing
    follows. Without tags, the last line (of programs the last block) is the answer and what stands before it the thinking.

    >>> as_trace("2 + 2 = 4\n\nAnswer: 4\n")
    '<think>\n2 + 2 = 4\n</think>\n\nAnswer: 4'
    >>> as_trace("<thinking>2 + 2 = 4</thinking>Answer: 4")
    '<think>\n2 + 2 = 4\n</think>\n\nAnswer: 4'
    >>> as_trace("<think>2 + 2") is None
    True
    """
    split = split_thinking(text)
    thinking, answer = split.thinking.strip(), split.text.strip()
    if split.state == "open" or not answer:
        return None
    if split.state == "none":
        fenced = FORMS.get(verifier or "") is CODE
        at = answer.rfind("```", 0, answer.rfind("```")) if fenced else answer.rfind("\n") + 1
        if at < 0 or not answer[:at].strip():
            return None
        thinking, answer = answer[:at].strip(), answer[at:].strip()
    return f"<think>\n{thinking}\n</think>\n\n{answer}"


def choose(traces: Sequence[str], most: int, alike: float) -> list[str]:
    """The shortest, then further ones in order of length whose steps are others: of the steps of two that are kept, at most the
    share `alike` is common to both (Jaccard).

    >>> choose(["<think>a b\\nc</think>4", "<think>A b!\\nc</think>4.", "<think>d\\ne\\nf</think>4"], 3, 0.5)
    ['<think>a b\\nc</think>4', '<think>d\\ne\\nf</think>4']
    """
    kept: list[str] = []
    steps: list[frozenset[str]] = []
    for trace in sorted(traces, key=len):
        own = steps_of(trace)
        if len(kept) < most and all(len(own & other) <= alike * len(own | other) for other in steps):
            kept.append(trace)
            steps.append(own)
    return kept


def steps_of(trace: str) -> frozenset[str]:
    """The steps of a trace as words without case and punctuation, operators kept: a line or a sentence is a step."""
    split = split_thinking(trace)
    pieces = re.split(r"\n+|(?<=[.!?;])\s+", split.thinking or split.text)
    normal = (" ".join(re.findall(r"[^\W\d_]+|\d+|[-+*/^=<>%]", piece.casefold())) for piece in pieces)
    return frozenset(step for step in normal if step)


def _seed(seed: int, problem: Problem) -> int:
    digest = hashlib.sha256(f"{seed}\0{problem.id}\0{problem.question}".encode("utf-8", "backslashreplace")).digest()
    return int.from_bytes(digest[:4], "big") >> 2


def _settings(engine: Engine, config: SampleConfig) -> dict[str, Any]:
    settings = asdict(config)
    del settings["concurrency"]
    return json.loads(json.dumps(settings | {"engine": engine.info.name, "model": engine.info.model}))  # type: ignore[no-any-return]


class _Log:
    """The two files of a folder, and what they add up to."""

    def __init__(self, folder: Path, rows: BinaryIO, problems: BinaryIO) -> None:
        self._folder, self._rows, self._problems = folder, rows, problems
        self._end = 0
        self._done, self._asked, self._texts = HashSet(), HashSet(), HashSet()
        self.counts: Counter[str] = Counter()

    def __enter__(self) -> _Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._problems.close()

    def is_new(self, problem: Problem) -> bool:
        """Whether this question is neither done nor was given in this call before."""
        name = hash64(" ".join(words(problem.question)) + f"\0{problem.answer}")
        if not self._asked.add(name):
            self.counts["asked before"] += 1
            return False
        return self._done.add(name)

    def write(self, problem: Problem, tried: Tried, model: str) -> None:
        rows = []
        for text in tried.kept:
            if self._texts.add(hash64(f"{problem.question}\0{text}")):
                rows.append(_row(problem, text, tried, model))
        name = hash64(" ".join(words(problem.question)) + f"\0{problem.answer}")
        try:
            for row in rows:
                append_line(self._rows, row)
            self._end = self._rows.seek(0, 2)
            record = {
                "id": problem.id, "hash": f"{name:016x}", "asked": len(tried.scores) + tried.failed, "right": tried.right,
                "unscored": sum(s is None for s in tried.scores), "failed": tried.failed, "kept": len(rows),
                "pass_rate": tried.pass_rate, "rows_end": self._end,
            }  # fmt: skip
            append_line(self._problems, record)
        except OSError as error:
            raise ConfigError(
                f"{self._folder} cannot be written: {error.strerror}", hint="free some disk, then the same command goes on"
            ) from error
        self._count(record)

    def _count(self, record: dict[str, Any]) -> None:
        self.counts["problems"] += 1
        self.counts["never right"] += not record["right"]
        for key in ("asked", "right", "unscored", "failed", "kept"):
            self.counts[key] += record[key]

    def go_on(self, lines: Iterator[bytes]) -> None:
        """Take over what is done; a row whose problem's line never came is taken away."""
        end = 0
        for line in lines:
            record = json.loads(line)
            self._done.add(int(record["hash"], 16))
            self._count(record)
            end = record["rows_end"]
        if self._rows.seek(0, 2) < end:
            raise ConfigError(f"{self._folder / ROWS} is shorter than it was", hint="put it back, or give another folder")
        self._rows.truncate(end)


def _row(problem: Problem, text: str, tried: Tried, model: str) -> Row:
    system = FORMS.get(problem.verifier or "", LINE).system
    return make_row(
        problem, solver_messages(problem.question, "", system), text, "sampled", kind="solver", model=model, untrained=[],
        pass_rate=tried.pass_rate, attempts=len(tried.scores), licence=str(problem.meta.get("licence") or "Apache-2.0"),
    )  # fmt: skip


def _open(folder: Path, settings: dict[str, Any]) -> _Log:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}", hint="give another folder") from error
    with ExitStack() as files:
        problems = files.enter_context(open_lines(folder / PROBLEMS, "folder"))
        rows = files.enter_context(open_lines(folder / ROWS, "folder"))
        log = _Log(folder, rows, problems)
        whole = _whole_lines(problems)
        head = next(whole, None)
        try:
            header = json.loads(head) if head else None
            if header is None:
                if rows.seek(0, 2):
                    raise ConfigError(f"{folder} holds rows of an unknown run", hint="give another folder")
                append_line(problems, {"sixfold_samples": _FORMAT, "settings": settings})
            elif header["sixfold_samples"] != _FORMAT or header["settings"] != settings:
                raise ConfigError(f"{folder} was made with other settings or another model", hint="give another folder")
            log.go_on(whole)
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{folder / PROBLEMS} is no file of samples", hint="give another folder") from error
        files.pop_all()
    return log


def _whole_lines(file: BinaryIO) -> Iterator[bytes]:
    """The lines of a file one at a time; half a last line, which a killed run left, is taken away."""
    file.seek(0)
    at, rest = 0, b""
    while piece := file.read(1 << 20):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            at += len(line) + 1
            yield line
    if rest:
        file.truncate(at)
