"""The folder of a training run: what it was told is written first, then what it measures, line by line.

Place: every stage opens its folder here before it trains. `recipe.json` is the resolved recipe, `run.json` has versions, seeds,
the fingerprints of the data and of the weights that a stage begins from, and the state of each stage, `metrics.jsonl` one line
for each logged step, only ever appended to. A folder of another recipe, or whose data files or first weights have changed
since, is refused. Drawing is `curves.py`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import platform
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any, BinaryIO, Literal

from pydantic import ValidationError

from sixfold import __version__
from sixfold.data.public_traces import local_files
from sixfold.errors import ConfigError, TrainError
from sixfold.evals.folder import different, write_json
from sixfold.trace import append_line, open_lines
from sixfold.train.recipe import Recipe

FORMAT = 1
_TRAINED = ("data", "checkpoints", "adapter", "model")
"""What a stage leaves in the folder besides its metrics."""
RECIPE, RUN, METRICS = "recipe.json", "run.json", "metrics.jsonl"
PACKAGES = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "tokenizers", "safetensors", "numpy", "pyarrow")
_STAGES = ("sft", "rl")
_MEANWHILE = ("gates", "trackers", "sample")
"""What may change in a folder: `gates.json` has each threshold beside what was measured, trackers only listen, and what is
sampled is trained on as a file."""
Fingerprint = dict[str, dict[str, Any]]
"""Of each file its `sha256` and its size in `bytes`."""

State = Literal["running", "done", "stopped", "killed"]
"""`stopped`: it ended with an error, which is kept. `killed`: it neither ended nor does a process hold it."""


@dataclass(slots=True)
class RunLog:
    """A run folder that is held open by this process."""

    folder: Path
    stage: str
    _file: BinaryIO
    _record: dict[str, Any]
    _before_s: float = 0.0
    _began: float = field(default_factory=time.monotonic)

    def log(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line: the step, the seconds this stage has trained (earlier sessions included), and its numbers."""
        kept = {k: _number(v) for k, v in values.items()}
        self._append(
            {
                "step": step,
                "stage": self.stage,
                "time_s": self._time_s(),
                "values": {k: v for k, v in kept.items() if v is not None},
            }
        )

    def begin(self, step: int, max_steps: int) -> None:
        """Tell where training (again) begins: what was logged after `step` will be done again and no longer counts."""
        self._record["stages"][self.stage]["max_steps"] = max_steps
        self._write()
        if step or load_metrics(self.folder, self.stage):
            self._append({"stage": self.stage, "from_step": step, "time_s": self._time_s()})

    def weights(self, folders: Mapping[str, Path]) -> dict[str, str]:
        """Note the weights that this stage begins from, by name (`base`, `adapter`), and return the digest of each. Raises
        `TrainError` where they are not those that the stage began with."""
        found = {name: weights_fingerprint(folder) for name, folder in folders.items()}
        before = self._record["stages"][self.stage].get("weights", found)
        for name in sorted({*before, *found}):
            was, now = before.get(name, {}), found.get(name, {})
            for file in sorted({*was, *now}):
                _refuse_changed(self.folder, f"{file} of the {name}", was.get(file), now.get(file))
        self.note(weights=found)
        return {name: digest(files) for name, files in found.items()}

    def note(self, **facts: Any) -> None:
        """Keep facts with the stage. `counts` says that it has trained to its end."""
        self._record["stages"][self.stage] |= {"time_s": self._time_s(), **facts}
        self._write()

    def end(self, state: State, reason: str = "", **facts: Any) -> None:
        """Note how the stage ended. `facts` are kept with it, for example what was counted."""
        self.note(state=state, reason=reason, **facts)

    def _time_s(self) -> float:
        return round(self._before_s + time.monotonic() - self._began, 2)

    def _append(self, record: Mapping[str, Any]) -> None:
        try:
            append_line(self._file, record)
        except OSError as error:
            raise TrainError(
                f"{self.folder / METRICS} cannot be written: {error.strerror}", hint="free some disk, then go on with --resume"
            ) from error

    def _write(self) -> None:
        _replace(self.folder / RUN, self._record)


@contextmanager
def open_run(
    folder: Path, recipe: Recipe, stage: str, resume: bool = False, facts: Mapping[str, Any] | None = None
) -> Iterator[RunLog]:
    """A run folder, new or gone on with, held by this process. What the run is told is on the disk before this returns; `facts`
    (the base model's folder, say) are written beside it. A `TrainError` that ends the block is noted as the stage's end.

    Raises `TrainError` where the folder belongs to another recipe, has begun this stage and `resume` was not asked for, is held
    by another process, or where a data file is not what it was.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open_lines(folder / METRICS, "--out")
    except (OSError, ConfigError) as error:
        what = error.args[0] if isinstance(error, ConfigError) else f"{folder} cannot be used: {error.strerror}"
        raise TrainError(what, hint="give another --out") from error
    with file:
        _cut_half_line(file)
        touched = file.seek(0, 2) or any((folder / name).exists() for name in _TRAINED)
        # A run that a gate stopped has left nothing that another recipe could mistake for its own.
        record = _read(folder / RUN) if touched and (folder / RUN).exists() else {}
        if touched and not record:
            raise TrainError(f"{folder} holds a run that nothing is known of", hint="give another --out")
        data = data_fingerprint(recipe)
        if record:
            _refuse_other(folder, record, recipe, stage, data)
            if not resume and stage in record["stages"]:
                raise TrainError(f"{folder} has begun stage {stage} already", hint="go on with --resume, or give another --out")
        record = record or {"sixfold_run": FORMAT, "name": recipe.name, "base": recipe.base, "stages": {}}
        earlier = record["stages"].get(stage, {})
        record |= {"data": {**record.get("data", {}), **data}}
        session = {"began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "versions": versions()}
        record["stages"][stage] = {
            **earlier, "state": "running", "reason": "", "facts": dict(facts or {}),
            "seeds": dict.fromkeys(("data", "order", "weights", "sampling"), recipe.seed),
            "sessions": [*earlier.get("sessions", []), session],
        }  # fmt: skip
        _replace(folder / RECIPE, recipe.model_dump(mode="json"))
        _replace(folder / RUN, record)
        lines = list(_lines(folder / METRICS))
        before = max((float(x.get("time_s", 0.0)) for x in lines if x.get("stage") == stage), default=0.0)
        log = RunLog(folder, stage, file, record, before)
        try:
            yield log
        except TrainError as error:
            log.end("stopped", str(error.args[0]))
            raise


def versions() -> dict[str, str]:
    """What this run is made by: Sixfold, Python, the machine, and each package that is installed."""
    found = {"sixfold": __version__, "python": platform.python_version(), "machine": f"{sys.platform} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def data_fingerprint(recipe: Recipe) -> Fingerprint:
    """Of each data file of a recipe. Raises `ConfigError` where one cannot be read."""
    found = {}
    for path in (*recipe.traces.files, *(file for name in recipe.traces.public for file in local_files(name))):
        try:
            found[str(path)] = _fingerprint(path.expanduser())
        except OSError as error:
            raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="mend traces.files in the recipe") from error
    return found


def weights_fingerprint(folder: Path) -> Fingerprint:
    """Of each file of weights in a model's or an adapter's folder, some 0.3 s for each 100 MB. Raises `TrainError`."""
    files = sorted({*folder.glob("*.safetensors"), *folder.glob("*_model*.bin")})
    try:
        return {file.name: _fingerprint(file) for file in files}
    except OSError as error:
        raise TrainError(f"{error.filename} cannot be read: {error.strerror}", hint="fetch the model anew") from error


def digest(files: Fingerprint) -> str:
    """One SHA-256 for a model's files of weights: that of the file itself where it is one."""
    hashes = [found["sha256"] for _, found in sorted(files.items())]
    return hashes[0] if len(hashes) == 1 else hashlib.sha256(" ".join(hashes).encode()).hexdigest()


def _fingerprint(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        return {"sha256": hashlib.file_digest(file, "sha256").hexdigest(), "bytes": file.tell()}


def has_trained(folder: Path, stage: str) -> dict[str, Any] | None:
    """What a stage counted whose training came to its end and whose result is here; its gates may be yet to come."""
    if not (folder / RUN).is_file() or not any(result_of(folder).glob("*.safetensors")):
        return None
    counts: dict[str, Any] | None = _read(folder / RUN)["stages"].get(stage, {}).get("counts")
    return counts


def result_of(folder: Path) -> Path:
    """What a stage trained: an adapter, or all weights."""
    return folder / ("model" if (folder / "model").exists() else "adapter")


def _refuse_other(folder: Path, record: Mapping[str, Any], recipe: Recipe, stage: str, data: Mapping[str, Any]) -> None:
    was, now = _settings(_read(folder / RECIPE)), recipe.model_dump(mode="json")
    later = set(_STAGES[_STAGES.index(stage) :]) - set(record["stages"])
    free = (*_MEANWHILE, *later)
    kept = [{k: v for k, v in settings.items() if k not in free} for settings in (was, now)]
    if other := different(*kept):
        shown = ", ".join(f"{key} ({_short(old)} there, {_short(new)} now)" for key, (old, new) in list(other.items())[:6])
        raise TrainError(
            f"{folder} belongs to another recipe: {shown}", hint="give another --out, or the recipe that it began with"
        )
    for name, found in data.items():
        _refuse_changed(folder, name, record.get("data", {}).get(name, found), found)


def _refuse_changed(folder: Path, what: str, before: Mapping[str, Any] | None, found: Mapping[str, Any] | None) -> None:
    if before != found:
        then, now = (f"{f['bytes']} bytes, sha256 {f['sha256'][:12]}" if f else "none" for f in (before, found))
        raise TrainError(
            f"{what} has changed since {folder} began: {then} then, {now} now",
            hint="bring the old file back, or begin anew with another --out",
        )


def _settings(stored: dict[str, Any]) -> dict[str, Any]:
    """A stored recipe with the defaults of settings that are newer than it."""
    try:
        return Recipe.model_validate(stored).model_dump(mode="json")
    except ValidationError:
        return stored


def load_metrics(folder: Path, stage: str | None = None) -> list[dict[str, Any]]:
    """The logged steps of a run in order: `step`, `stage`, `time_s`, `values`. What a run that was killed had logged beyond the
    checkpoint that it went on from is left out, and so is half a last line. Raises `TrainError` where there is no run."""
    if not (folder / METRICS).exists():
        raise TrainError(f"{folder} is no training run: it has no {METRICS}", hint="`sixfold runs` lists them")
    kept: list[dict[str, Any]] = []
    for line in _lines(folder / METRICS):
        if "from_step" in line:
            kept = [k for k in kept if k["stage"] != line["stage"] or k["step"] <= line["from_step"]]
        elif stage in (None, line["stage"]):
            kept.append(line)
    return kept


def read_run(folder: Path) -> dict[str, Any]:
    """`run.json` of a run folder, with its resolved `recipe`. Raises `TrainError` where there is none."""
    return {**_read(folder / RUN), "recipe": _settings(_read(folder / RECIPE))}


@dataclass(frozen=True, slots=True)
class Summary:
    """One stage of one run, as `sixfold runs` lists it. `loss` and `accuracy` are the last logged, where there are any."""

    folder: Path
    name: str
    stage: str
    state: State
    step: int
    max_steps: int
    time_s: float
    loss: float | None
    accuracy: float | None
    reason: str
    began: str


def list_runs(root: Path) -> list[Summary]:
    """The stages of `root` itself, where it is a run, and of the runs below it, oldest first. A folder that cannot be read as a
    run is left out."""
    found = []
    for file in sorted({root / RUN, *root.glob(f"*/{RUN}")}):
        try:
            record = _read(file)
            found += [_summary(file.parent, record, stage) for stage in record["stages"]]
        except (TrainError, KeyError, TypeError, IndexError):
            continue
    return sorted(found, key=lambda s: s.began)


def _summary(folder: Path, record: Mapping[str, Any], stage: str) -> Summary:
    entry, lines = record["stages"][stage], load_metrics(folder, stage)
    last: dict[str, Any] = lines[-1] if lines else {"step": 0, "time_s": 0.0}
    state: State = entry["state"]
    if state == "running" and not is_held(folder):
        state = "killed"
    values = {k: v for line in lines for k, v in line["values"].items()}
    accuracy = next((values[k] for k in ("accuracy", "mean_token_accuracy") if k in values), None)
    return Summary(
        folder, record["name"], stage, state, last["step"], int(entry.get("max_steps", 0)), float(last["time_s"]),
        values.get("loss"), accuracy, entry["reason"], entry["sessions"][0]["began"],
    )  # fmt: skip


def is_held(folder: Path) -> bool:
    """Whether a process trains in this folder now."""
    try:
        with (folder / METRICS).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


def _number(value: Any) -> float | int | str | None:
    """A number as JSON can hold it: what is no finite number is kept as text, so that a line stays valid JSON."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return value if value == value and abs(value) != float("inf") else str(value)


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, raw in enumerate(file, 1):
            if not raw.endswith(b"\n"):
                return
            try:
                line = json.loads(raw)
                line["stage"], line["from_step"] if "from_step" in line else (line["step"], line["values"])
            except (ValueError, KeyError, TypeError) as error:
                raise TrainError(f"{path}, line {number} is not of a run", hint="remove that line") from error
            yield line


def _cut_half_line(file: BinaryIO) -> None:
    file.seek(0)
    text = file.read()
    if text and not text.endswith(b"\n"):
        file.truncate(text.rfind(b"\n") + 1)


def _read(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainError(f"{path} cannot be read: {error}", hint="give another --out") from error
    if not isinstance(found, dict):
        raise TrainError(f"{path} is not of a run", hint="give another --out")
    return found


def _replace(path: Path, record: Any) -> None:
    """Write JSON so that the file is the old or the new one, whole."""
    try:
        write_json(path, record)
    except ConfigError as error:
        raise TrainError(str(error.args[0]), hint="free some disk, or give another --out") from error


def _short(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 40 else text[:39] + "…"
