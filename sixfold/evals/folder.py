"""The run folder of an evaluation: what is in it, how it is written so that a kill loses nothing, and how it is read.

Place: `run.py` appends through `open_run`; `report.py`, `compare.py` and `lm_eval.py` read through `load_run`. Three files:

- `config.json`: what was asked of whom, written once. Its `fingerprint` says whether another call may go on with the folder.
- `attempts.jsonl`: one line for each candidate of a sample, with its text.
- `samples.jsonl`: one line for each sample (task, question, number of the run). It is written after the sample's attempts and
  makes them count: both carry `try`, and attempts whose sample line never came, or came with another `try`, are not read. The
  last line of a sample is the one that counts, so a failed one can be tried again without changing what was written.

Nothing here judges or counts.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from sixfold.errors import ConfigError
from sixfold.trace import append_line, open_lines

FORMAT = 1
CONFIG, ATTEMPTS, SAMPLES = "config.json", "attempts.jsonl", "samples.jsonl"
_KEYS = {"fingerprint", "settings", "models", "tasks", "concurrency", "contamination", "versions", "begun"}


class Key(NamedTuple):
    """Which sample: the question's id within its task, and the number of the run."""

    task: str
    id: str
    sample: int


def key_of(record: Mapping[str, Any]) -> Key:
    return Key(str(record["task"]), str(record["id"]), int(record["sample"]))


@dataclass(slots=True)
class RunLog:
    """A run folder that is open for writing. `done` are the samples that are finished; `tries` how often one was begun."""

    folder: Path
    done: dict[Key, dict[str, Any]]
    tries: dict[Key, int]
    attempts: BinaryIO
    samples: BinaryIO

    def write(self, sample: Mapping[str, Any], attempts: Sequence[Mapping[str, Any]]) -> None:
        """Append a sample and its attempts; the last of these lines makes all of them count."""
        key = key_of(sample)
        trial = self.tries.get(key, -1) + 1
        self.tries[key] = trial
        try:
            for attempt in attempts:
                append_line(self.attempts, {**key._asdict(), "try": trial, **attempt})
            append_line(self.samples, {**sample, "try": trial, "attempts": len(attempts)})
        except OSError as error:
            raise ConfigError(f"{self.folder} cannot be written: {error.strerror}", hint="free some disk") from error
        if not sample["error"]:
            self.done[key] = dict(sample)


@contextmanager
def open_run(folder: Path, config: Mapping[str, Any]) -> Iterator[RunLog]:
    """A run folder, new or gone on with. `config["settings"]` decides whether it is the same run.

    Raises `ConfigError` where the folder is something else, is being written by another run, or was made with other settings,
    which it names.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}", hint="give another --out") from error
    with ExitStack() as files:
        samples = files.enter_context(open_lines(folder / SAMPLES, "--out"))
        attempts = files.enter_context(open_lines(folder / ATTEMPTS, "--out"))
        if (folder / CONFIG).exists():
            _refuse_other(folder, read_config(folder)["settings"], json.loads(json.dumps(config["settings"])))
        elif samples.seek(0, 2) or attempts.seek(0, 2):
            raise ConfigError(f"{folder} holds samples of an unknown run", hint="give another --out")
        else:
            write_json(folder / CONFIG, {"sixfold_eval": FORMAT, "fingerprint": fingerprint(config["settings"]), **config})
        tries: dict[Key, int] = {}
        for file, path in ((attempts, folder / ATTEMPTS), (samples, folder / SAMPLES)):
            end = 0
            for record, after in _lines(path):
                end, key = after, key_of(record)
                tries[key] = max(tries.get(key, -1), int(record["try"]))
            file.truncate(end)
        done = {key: s for key, s in _committed(folder).items() if not s["error"]}
        yield RunLog(folder, done, tries, attempts, samples)


@dataclass(frozen=True, slots=True)
class Run:
    """A run folder as it was read: its configuration, and the last word on each sample, with its attempts under `candidates`
    (without their text). In the order of tasks, questions and samples, however they came."""

    folder: Path
    config: Mapping[str, Any]
    samples: tuple[Mapping[str, Any], ...]

    @property
    def planned(self) -> int:
        return sum(int(t["questions"]) * int(t["samples"]) for t in self.config["tasks"])


def load_run(folder: Path) -> Run:
    """Raises `ConfigError` where the folder is no run."""
    config = read_config(folder)
    samples = _committed(folder)
    for attempt in read_attempts(folder, samples):
        samples[key_of(attempt)].setdefault("candidates", []).append({k: v for k, v in attempt.items() if k != "text"})
    place = {task["name"]: i for i, task in enumerate(config["tasks"])}
    if strange := {s["task"] for s in samples.values()} - place.keys():
        raise ConfigError(f"{folder} has samples of {min(strange)}, which its {CONFIG} does not name", hint="take another run")
    ordered = sorted(samples.values(), key=lambda s: (place[s["task"]], s["index"], s["sample"]))
    return Run(folder, config, tuple({"candidates": [], **s} for s in ordered))


def read_attempts(folder: Path, samples: Mapping[Key, Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """The attempts of these samples with their text, as they were written."""
    for attempt, _ in _lines(folder / ATTEMPTS):
        sample = samples.get(key_of(attempt))
        if sample is not None and sample["try"] == attempt["try"]:
            yield attempt


def read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text("utf-8"))
        if config["sixfold_eval"] != FORMAT:
            raise ConfigError(
                f"{folder} has format {config['sixfold_eval']}, this version reads {FORMAT}",
                hint="use the version that wrote it",
            )
        if missing := _KEYS - config.keys():
            raise KeyError(*missing)
        return dict(config)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"{folder} is no run of `sixfold eval`", hint="give a folder that it wrote with --out") from error


def note_contamination(folder: Path, line: str) -> None:
    """Quote another decontamination report than the folder did, or one where it quoted none. Raises `ConfigError`."""
    config = read_config(folder)
    if config["contamination"] != line:
        write_json(folder / CONFIG, {**config, "contamination": line})


def fingerprint(settings: Mapping[str, Any]) -> str:
    """Twelve digits that two runs share where they would give the same samples."""
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:12]


def write_json(path: Path, record: Any) -> None:
    write_text(path, json.dumps(record, ensure_ascii=False, indent=1) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a file so that it is the old or the new one, whole. Raises `ConfigError`."""
    partial = path.with_name(path.name + ".partial")
    try:
        partial.write_text(text, encoding="utf-8", errors="backslashreplace")
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror}", hint="give another --out") from error


def _committed(folder: Path) -> dict[Key, dict[str, Any]]:
    """The last line of each sample all of whose attempts are there; a machine that lost power may have kept one file only."""
    samples = {key_of(record): record for record, _ in _lines(folder / SAMPLES)}
    missing = {key: int(sample["attempts"]) for key, sample in samples.items()}
    for attempt in read_attempts(folder, samples):
        missing[key_of(attempt)] -= 1
    return {key: sample for key, sample in samples.items() if missing[key] == 0}


def _lines(path: Path) -> Iterator[tuple[dict[str, Any], int]]:
    """The records of a file and the byte after each; the half of a last line is left out."""
    end = 0
    try:
        with path.open("rb") as file:
            for number, raw in enumerate(file, 1):
                if not raw.endswith(b"\n"):
                    return
                end += len(raw)
                try:
                    record = json.loads(raw)
                    key_of(record)
                    int(record["try"])
                except (ValueError, KeyError, TypeError, RecursionError) as error:
                    raise ConfigError(
                        f"{path}, line {number} is not of a run", hint="remove that line, or give another --out"
                    ) from error
                yield record, end
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="give a folder that `sixfold eval` wrote") from error


def _refuse_other(folder: Path, before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    if other := different(before, now):
        shown = ", ".join(f"{key} ({_short(old)} there, {_short(new)} now)" for key, (old, new) in list(other.items())[:8])
        more = f" and {len(other) - 8} more" if len(other) > 8 else ""
        raise ConfigError(f"{folder} was made with other settings: {shown}{more}", hint="give another --out")


def different(a: Mapping[str, Any], b: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The settings in which two runs differ, by their names with dots.

    >>> different({"solve": {"n": 1, "plan": "off"}}, {"solve": {"n": 8, "plan": "off"}})
    {'solve.n': (1, 8)}
    """
    old, new = dict(_flat(a)), dict(_flat(b))
    return {key: (old.get(key), new.get(key)) for key in sorted({*old, *new}) if old.get(key) != new.get(key)}


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """
    >>> list(_flat({"solve": {"n": 1}, "seed": 0}))
    [('solve.n', 1), ('seed', 0)]
    """
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
