"""`sixfold data decontaminate`: a training set without the questions that it will be measured on.

Place: before training, once for each training set; `contamination_line` reads the report again wherever results are shown. It
streams: the set may be of any size, only the evaluation questions are held. Killed, it goes on where it was. It writes
`clean.jsonl`, `overlaps.jsonl` (each row that was taken out, with the questions it holds) and `report.json`.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, BinaryIO

from sixfold import __version__
from sixfold.core import Split, Task
from sixfold.data.overlap import Index, Match
from sixfold.errors import ConfigError, TaskError
from sixfold.tasks.catalog import FAMILIES
from sixfold.trace import append_line, open_lines

_EVERY = 2_000
"""Rows between two notes of how far it is."""


def build_index(
    tasks: Sequence[Task],
    report: Callable[[str, int], None] = lambda name, count: None,
    missing: Callable[[str, TaskError], None] | None = None,
) -> Index:
    """All questions of the tasks' test and validation splits (of the one split they have, where it is another); of generated
    families, which have no end, the first of each. `missing` is told of a split whose data is not there; without it that
    raises.
    """
    index = Index()
    for task in tasks:
        splits: list[Split] = [s for s in task.splits if s != "train"]
        questions: dict[str, str] = {}
        for split in splits or task.splits:
            try:
                questions |= {p.id: p.question for p in task.load(split, None)}
            except TaskError as error:
                if missing is None:
                    raise
                missing(f"{task.name} {split}", error)
        index.add(task.name, questions, masked=task.masked)
        if questions:
            report(task.name, len(questions))
    if not len(index):
        raise TaskError("the tasks have no questions to compare with", hint="name other tasks: `sixfold tasks list`")
    return index


def counts_as_overlap(match: Match) -> bool:
    """Whether a row that matches so holds the question. Training and test problems of a generated family share its wording and
    differ in their numbers, so of those only the same question counts."""
    return match.task.partition(":")[0] not in FAMILIES or match.kind in ("exact", "template")


def row_texts(row: Mapping[str, Any]) -> tuple[str, str]:
    """The question of a training row and the rest of its text: `question`, `problem` or `prompt` (text or messages),
    `messages`.

    >>> row_texts({"prompt": [{"role": "user", "content": "What is 2 + 2?"}], "completion": "4"})
    ('What is 2 + 2?', '4')
    """
    for key in ("question", "problem", "prompt", "instruction"):
        if isinstance(value := row.get(key), str):
            return value, _rest(row, key)
        if isinstance(value, list):
            return _said(value, "user"), _rest(row, key)
    if isinstance(messages := row.get("messages") or row.get("conversations"), list):
        return _said(messages, "user"), _said(messages, "assistant")
    raise ConfigError(
        "a row without a question", hint="rows need question, problem, prompt or messages: see docs/evaluation.md"
    )


def _said(messages: Sequence[Any], role: str) -> str:
    names = {"user": ("user", "human"), "assistant": ("assistant", "gpt")}[role]
    turns = [m for m in messages if isinstance(m, dict) and (m.get("role") or m.get("from")) in names]
    return "\n".join(str(m.get("content") or m.get("value") or "") for m in turns)


def _rest(row: Mapping[str, Any], question: str) -> str:
    texts = []
    for key, value in row.items():
        if key != question and key not in ("id", "source", "licence", "meta"):
            if isinstance(value, list) and value and isinstance(value[0], dict):
                texts.append(_said(value, "assistant"))
            elif isinstance(value, str):
                texts.append(value)
    return "\n".join(texts)


def decontaminate(
    file: Path,
    index: Index,
    tasks: Sequence[Task],
    folder: Path,
    progress: Callable[[int, int], None] = lambda read, all_: None,
) -> dict[str, Any]:
    """Divide a JSONL file into clean rows and overlaps, and return the report that is written beside them.

    Raises `ConfigError` with the line where a row is none; what was written until then stays, and the same call goes on there.
    Raises it too where the folder holds what came of another file.
    """
    try:
        size = file.stat().st_size
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{error.filename} cannot be used: {error.strerror}", hint="give a JSONL file and --out") from error
    identity = _identity(file, tasks)
    with _in_words(folder), ExitStack() as stack:
        clean = stack.enter_context(open_lines(folder / "clean.jsonl", "--out"))
        overlaps = stack.enter_context(open_lines(folder / "overlaps.jsonl", "--out"))
        _refuse_other(folder, file)
        state = _resume(folder, identity, clean, overlaps)
        (folder / "report.json").unlink(missing_ok=True)  # of an earlier run: not of what is written now
        digest_kinds, by_task = Counter(state["kinds"]), {t: Counter(k) for t, k in state["tasks"].items()}
        for line_number, row, raw, at in _rows(file, state["read_bytes"], state["rows"]):
            try:
                matches = index.find(*row_texts(row))
            except ConfigError as error:
                raise ConfigError(f"{file}, line {line_number}: {error.args[0]}", hint=error.hint) from error
            state["rows"], state["read_bytes"] = line_number, at
            if matches:
                _note(overlaps, row, line_number, matches, digest_kinds, by_task)
                state["removed"] += 1
            else:
                _write(clean, raw)
            if line_number % _EVERY == 0:
                _save(folder, identity, state, digest_kinds, by_task, clean, overlaps)
                progress(at, size)
        _save(folder, identity, state, digest_kinds, by_task, clean, overlaps)
    with _in_words(folder):
        digests = {"sha256": _sha256(file), "clean_sha256": _sha256(folder / "clean.jsonl")}
    report = {
        "sixfold": __version__, "file": file.name, **digests,
        "rows": state["rows"], "removed": state["removed"], "questions": len(index), "kinds": dict(digest_kinds),
        "tasks": {
            t.name: {
                "version": t.version, "source": t.source, "questions": index.counts[t.name],
                "overlaps": dict(by_task.get(t.name, {})),
            }
            for t in tasks if index.counts[t.name]
        },
        "not_compared": [t.name for t in tasks if not index.counts[t.name]],
    }  # fmt: skip
    with _in_words(folder):
        _replace(folder / "report.json", report)
        (folder / "progress.json").unlink(missing_ok=True)
    return report


@contextmanager
def _in_words(folder: Path) -> Iterator[None]:
    """A disk that is full or a file that cannot be read is no fault of this program."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"{error.filename or folder} cannot be used: {error.strerror}", hint="mend that, then the same command goes on"
        ) from error


def _rows(file: Path, start: int, number: int) -> Iterator[tuple[int, dict[str, Any], bytes, int]]:
    """(line number, row, its bytes, where the next one begins) from byte `start` on, which is after line `number`."""
    with file.open("rb") as lines:
        lines.seek(start)
        at = start
        for raw in lines:
            number, at = number + 1, at + len(raw)
            if not raw.strip():
                continue
            try:
                row = json.loads(raw)
            except (ValueError, RecursionError) as error:
                raise ConfigError(f"{file}, line {number} is not JSON: {error}", hint="mend or remove that line") from error
            if not isinstance(row, dict):
                raise ConfigError(f"{file}, line {number} is not an object", hint="mend or remove that line")
            yield number, row, raw if raw.endswith(b"\n") else raw + b"\n", at


def _note(
    overlaps: BinaryIO, row: Mapping[str, Any], line: int, matches: Sequence[Match], kinds: Counter[str],
    by_task: dict[str, Counter[str]],
) -> None:  # fmt: skip
    for match in matches:
        by_task.setdefault(match.task, Counter())[match.kind] += 1
    kinds.update({match.kind for match in matches})
    append_line(overlaps, {"line": line, "row": row, "matches": [asdict(m) for m in matches]})


def _write(file: BinaryIO, raw: bytes) -> None:
    while raw:
        raw = raw[file.write(raw) :]


def _identity(file: Path, tasks: Sequence[Task]) -> dict[str, Any]:
    found = file.stat()
    return {"file": str(file.resolve()), "size": found.st_size, "mtime": found.st_mtime_ns,
            "tasks": [[t.name, t.version] for t in tasks]}  # fmt: skip


def _refuse_other(folder: Path, file: Path) -> None:
    for name, whose in (("report.json", ("file",)), ("progress.json", ("identity", "file"))):
        try:
            found = json.loads((folder / name).read_text("utf-8"))
            for key in whose:
                found = found[key]
            other = Path(found).name
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if other != file.name:
            raise ConfigError(f"{folder} holds what came of {other}", hint="give another --out")


def _resume(folder: Path, identity: Mapping[str, Any], clean: BinaryIO, overlaps: BinaryIO) -> dict[str, Any]:
    """How far an earlier run over the same file and tasks came, with both outputs cut back to that; else a new beginning."""
    new = {"read_bytes": 0, "rows": 0, "removed": 0, "kinds": {}, "tasks": {}, "clean": 0, "overlaps": 0}
    try:
        kept = json.loads((folder / "progress.json").read_text("utf-8"))
        state: dict[str, Any] = kept["state"] if kept["identity"] == identity else new
    except (OSError, ValueError, KeyError, TypeError):
        state = new
    clean.truncate(state["clean"])
    overlaps.truncate(state["overlaps"])
    return state


def _save(
    folder: Path, identity: Mapping[str, Any], state: dict[str, Any], kinds: Counter[str], by_task: Mapping[str, Counter[str]],
    clean: BinaryIO, overlaps: BinaryIO,
) -> None:  # fmt: skip
    state |= {"kinds": dict(kinds), "tasks": {t: dict(c) for t, c in by_task.items()}}
    for name, file in (("clean", clean), ("overlaps", overlaps)):
        os.fsync(file.fileno())
        state[name] = file.seek(0, 2)
    _replace(folder / "progress.json", {"identity": identity, "state": state})


def _replace(path: Path, record: Any) -> None:
    """Write JSON so that the file is the old or the new one, whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(record, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def contamination_line(report: Path | None, tasks: Sequence[str] = ()) -> str:
    """One line on contamination for anything that shows results of these tasks; it names those that the report does not
    cover. Raises `ConfigError` where the report is none.

    >>> contamination_line(None)
    'contamination: not checked (no decontamination report)'
    """
    if report is None:
        return "contamination: not checked (no decontamination report)"
    try:
        found = json.loads(report.read_text("utf-8"))
        overlaps = sum(sum(t["overlaps"].values()) for t in found["tasks"].values())
        text = (
            f"contamination: {found['removed']} of {found['rows']} training rows overlapped and were taken out "
            f"({overlaps} matches with {found['questions']} questions of {len(found['tasks'])} tasks; "
            f"{len(found['not_compared'])} tasks were not compared)"
        )
        left = [name for name in tasks if name not in found["tasks"]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ConfigError(f"{report} is no decontamination report", hint="give the report.json that it wrote") from error
    named = ", ".join(left[:8]) + (f" and {len(left) - 8} more" if len(left) > 8 else "")
    return f"{text}; of the tasks here it does not cover {named}" if left else text
