"""Events on disk and back, and what they add up to.

Place: any reader that keeps a solve goes through here. A trace is JSON lines: a header, then one event a line in order,
written as they happen, so that a killed run leaves all but its last line. Several solves may share a file; `solve` tells them
apart. It stores what was asked and written: treat it like the questions themselves.
"""

from __future__ import annotations

import difflib
import fcntl
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO, get_args

from sixfold import __version__
from sixfold.core import Event, EventKind, Problem
from sixfold.errors import ConfigError, NoAnswerError
from sixfold.verify.answers import same_answer
from sixfold.verify.verifiers import NAMES

FORMAT = 1


def append_line(file: BinaryIO, record: Any) -> None:
    """Write a record as one line of JSON to an unbuffered file, whole or with an `OSError`."""
    line = json.dumps(record, ensure_ascii=False, default=str).encode("utf-8", "backslashreplace") + b"\n"
    while line:
        line = line[file.write(line) :]


def open_lines(path: Path, flag: str) -> BinaryIO:
    """A file of JSON lines to append to, held by one run at a time. Raises `ConfigError`."""
    try:
        if path.exists() and not path.is_file():
            raise ConfigError(f"{path} is not a file", hint=f"give another {flag}")
        file = path.open("a+b", buffering=0)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint=f"give another {flag}") from error
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise ConfigError(f"another run is writing {path}", hint=f"wait for it, or give another {flag}") from error
    return file


class TraceWriter:
    """Appends events to a trace; starts it with a header where it is new, and takes away the half of a last line that a
    killed run left. Close it. Raises `ConfigError` where the file is something else."""

    def __init__(self, path: Path) -> None:
        if path.is_file() and path.stat().st_size:
            for _ in read_trace(path):
                break
        self.path, self._file = path, open_lines(path, "--trace")
        if not _cut_half_line(self._file):
            self._line({"sixfold_trace": FORMAT, "version": __version__})

    def write(self, event: Event, solve: str = "") -> None:
        record = {k: v for k, v in asdict(event).items() if v not in (None, "", {})}
        self._line({"solve": solve, **record} if solve else record)

    def _line(self, record: dict[str, Any]) -> None:
        try:
            append_line(self._file, record)
        except OSError as error:
            raise ConfigError(f"the trace {self.path} cannot be written: {error.strerror}", hint="free some disk") from error

    def close(self) -> None:
        self._file.close()


def _cut_half_line(file: BinaryIO) -> int:
    """Take away what stands after the last newline; returns the bytes left."""
    size, tail = file.seek(0, 2), b""
    while b"\n" not in tail and len(tail) < size:
        file.seek(size - min(size, len(tail) + 65_536))
        tail = file.read()
    left = size - len(tail) + tail.rfind(b"\n") + 1
    if left < size:
        file.truncate(left)
    return left


def read_trace(path: Path) -> Iterator[tuple[str, Event]]:
    """(solve, event) pairs of a trace, in order. A last line that was cut off is left out; any other bad line raises."""
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(
            f"the trace {path} cannot be read: {error.strerror}", hint="give a file written with --trace"
        ) from error
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line.decode("utf-8"))
            if number == 1:
                if record["sixfold_trace"] != FORMAT:
                    raise ConfigError(
                        f"{path} has trace format {record['sixfold_trace']}, this version reads {FORMAT}",
                        hint="use the version that wrote it",
                    )
                continue
            fields = {"attempt": None, "text": "", "data": {}, **record}
            solve = str(fields.pop("solve", ""))
            event = Event(**fields)
            if event.kind not in get_args(EventKind) or not isinstance(event.data, dict):
                raise ValueError("no event")
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            if 1 < number == len(lines):
                return
            raise ConfigError(f"{path}, line {number} is not a trace event", hint="give a file written with --trace") from error
        yield solve, event


def summarise(events: Iterable[Event], problem: Problem | None = None) -> dict[str, Any]:
    """What the events of one solve add up to: `answer` (`None` where there is none), `correct` (`None` where the answer is not
    known), how it was chosen, each attempt, and the account. This is the line that a batch file gets for a question."""
    result: dict[str, Any] = {"id": "", "question": "", "answer": None, "correct": None, "error": None, "attempts": []}
    for event in events:
        data = event.data
        if event.kind == "started":
            result |= {k: data[k] for k in ("id", "question", "engine", "model", "planner", "judge") if k in data}
        elif event.kind == "planned":
            result["plan"] = event.text
        elif event.kind == "attempt_done":
            keep = ("status", "mean_logprob", "ttft_s", "elapsed_s", "error", "retries")
            tokens = data.get("usage", {}).get("completion_tokens")
            result["attempts"].append(
                {"index": event.attempt, "answer": event.text or None, "tokens": tokens} | {k: data.get(k) for k in keep}
            )
        elif event.kind == "stopping":
            result["stopped"] = event.text
        elif event.kind == "chosen":
            result |= {"answer": event.text, "attempt": event.attempt}
            result |= {k: data.get(k) for k in ("selector", "reason", "votes", "text", "details")}
        elif event.kind == "failed":
            result |= {"error": event.text, "hint": data.get("hint", ""), "code": data.get("code", 1)}
        elif event.kind == "usage":
            result["usage"] = dict(data)
    result["attempts"].sort(key=lambda a: a["index"])
    if problem is not None and problem.answer is not None:
        result["correct"] = result["answer"] is not None and same_answer(result["answer"], problem.answer)
    return result


def load_problems(path: Path) -> tuple[list[tuple[int, Problem]], list[tuple[int, str]]]:
    """The problems of a JSONL file with their line numbers, and the lines that are none with what is wrong with them.

    A line is an object with `question` (or `problem`), and may have `id`, `answer`, `domain`, `verifier` and `meta`.
    """
    try:
        lines = path.read_bytes().split(b"\n")
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="give a question, - or a .jsonl file") from error
    problems: list[tuple[int, Problem]] = []
    bad: list[tuple[int, str]] = []
    for number, raw in enumerate(lines, 1):
        if not raw.strip():
            continue
        try:
            problems.append((number, make_problem(json.loads(raw.decode("utf-8-sig")), f"line-{number}")))
        except UnicodeDecodeError:
            bad.append((number, "not valid UTF-8"))
        except ConfigError as error:
            bad.append((number, str(error.args[0])))
        except (ValueError, RecursionError) as error:
            bad.append((number, f"not valid JSON: {error}"))
    seen: set[str] = set()
    for number, problem in problems:
        if problem.id in seen:
            bad.append((number, f"the id {problem.id!r} is there twice"))
        seen.add(problem.id)
    twice = {number for number, _ in bad}
    return [(n, p) for n, p in problems if n not in twice], sorted(bad)


def make_problem(record: Any, name: str) -> Problem:
    """A problem from an object as it stands in a JSONL file. Raises `ConfigError` with what is wrong."""
    if not isinstance(record, dict):
        raise ConfigError("not a JSON object", hint='for example {"question": "What is 2 + 2?"}')
    question = record.get("question") or record.get("problem")
    if not isinstance(question, str):
        raise ConfigError('no "question" (or "problem") text', hint='for example {"question": "What is 2 + 2?"}')
    meta, answer = record.get("meta") or {}, record.get("answer")
    verifier, given = record.get("verifier"), record.get("id")
    if verifier and verifier not in NAMES:
        near = difflib.get_close_matches(str(verifier), sorted(NAMES), 1)
        what = f"unknown verifier {verifier!r}" + (f", did you mean {near[0]}?" if near else "")
        raise ConfigError(what, hint=f"use {', '.join(sorted(NAMES))}")
    return Problem(
        name if given in (None, "") else str(given), check_question(question), None if answer is None else str(answer),
        str(record.get("domain") or ""), str(verifier) if verifier else None, meta if isinstance(meta, dict) else {},
        str(record["solution"]) if record.get("solution") else None,
    )  # fmt: skip


def check_question(question: str) -> str:
    """The question, stripped. Raises `ConfigError` where it is blank or not text.

    >>> check_question("  What is 2 + 2? ")
    'What is 2 + 2?'
    """
    try:
        question.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ConfigError("the question is not valid UTF-8", hint="save it as UTF-8 and pass it again") from error
    question = question.replace("\x00", "").strip()
    if not any(c.isalnum() for c in question):
        raise ConfigError("the question is empty", hint='for example: sixfold solve "What is 12 * 34?"')
    return question


def open_results(path: Path, fingerprint: str) -> tuple[BinaryIO, dict[str, dict[str, Any]]]:
    """A results file to append to with `append_line`, and by id the results that it is done with: answered, or tried without an
    answer. What an engine's failure left open is not among them. Raises `ConfigError` where the file is something else, was
    made with other settings, or is being written by another run."""
    file, done = open_lines(path, "--out"), {}
    try:
        file.seek(0)
        *lines, _half = file.read().split(b"\n")
        for number, line in enumerate(lines, 1):
            try:
                record = json.loads(line)
                made, name = record["fingerprint"], str(record["id"])
            except (ValueError, KeyError, TypeError) as error:
                raise ConfigError(f"{path}, line {number} is not a result", hint="give another --out") from error
            if made != fingerprint:
                raise ConfigError(
                    f"{path} was made with other settings or another model", hint="give another --out, or move that file away"
                )
            if record.get("answer") is not None or record.get("code") == NoAnswerError.exit_code:
                done[name] = record
        if not lines and _half and not _half.startswith(b'{"id"'):
            raise ConfigError(f"{path}, line 1 is not a result", hint="give another --out")
        _cut_half_line(file)
    except BaseException:
        file.close()
        raise
    return file, done


def counts(results: Sequence[dict[str, Any]]) -> dict[str, int]:
    """How many results there are of each kind; `plans` are the questions that were planned, `leaks` those whose plan contained
    the answer; `pairs` are the pairs that a judge could compare, `flips` those where the order alone decided.

    >>> found = counts([{"answer": "4", "correct": True}, {"answer": None, "correct": None}])
    >>> found["all"], found["answered"], found["known"], found["right"]
    (2, 1, 1, 1)
    """
    known = [r for r in results if r.get("correct") is not None]
    leaks = [r["usage"].get("plan_leak") for r in results if r.get("usage")]
    details = [r.get("details") or {} for r in results]
    return {
        "all": len(results),
        "answered": sum(r.get("answer") is not None for r in results),
        "known": len(known),
        "right": sum(bool(r["correct"]) for r in known),
        "plans": sum(leak is not None for leak in leaks),
        "leaks": sum(bool(leak) for leak in leaks),
        "pairs": sum(int(d.get("pairs", 0)) - int(d.get("invalid", 0)) for d in details),
        "flips": sum(int(d.get("flips", 0)) for d in details),
    }
