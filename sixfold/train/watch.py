"""Watches a training run: writes its metrics, and stops it when it is broken, with the last good checkpoint kept.

Place: a callback of TRL's trainers, between them and `runs.py`. What it looks for is in `Detector`, which knows numbers alone:
a loss or gradient that is no finite number, a loss that stays far over its running median, and collapse (accuracy, length or
entropy that fall away, completions that never end). While a number is suspicious no checkpoint is written, so that the rotation
of checkpoints never drops the good ones. It judges what was logged; it does not evaluate a model.
"""

from __future__ import annotations

import errno
import json
import math
import shutil
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from sixfold.errors import TrainError
from sixfold.train.runs import RunLog

ACCURACY = ("accuracy", "mean_token_accuracy", "reward", "tag_rate")
LENGTH = ("completions/mean_length",)
ENDLESS = ("truncated_share",)
ENTROPY = ("entropy",)
_MENDING = {
    "loss": "lower the learning rate, or lengthen the warm-up",
    "accuracy": "lower the learning rate; for RL look at completions for a reward that is gamed",
    "length": "lower the learning rate, and look at the verifier audit: short answers may be rewarded",
    "entropy": "lower the learning rate, raise epsilon_high, or mix in easier cells",
    "endless": "raise the completion's token limit, or train more SFT: the model does not end its turns",
    "number": "lower the learning rate; on fp16 use bf16 or fp32",
}


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run counts as broken. `logs`: as many logged steps in a row; `least`: as many healthy ones must come first."""

    logs: int = 4
    least: int = 5
    window: int = 25
    loss_factor: float = 2.0
    loss_over: float = 0.3
    """Nats that a diverging loss must lie over its median as well: near zero a factor says nothing."""
    accuracy_factor: float = 0.4
    accuracy_least: float = 0.1
    """A median under this has nothing that could collapse."""
    length_factor: float = 0.25
    entropy_under: float = 0.005
    endless_over: float = 0.95


@dataclass(slots=True)
class Detector:
    """Sees one logged step after the other. `suspicious` while the last was unhealthy; `good_step` is the last healthy one."""

    stage: str = "sft"
    limits: Limits = Limits()
    good_step: int = 0
    _past: dict[str, deque[float]] = field(default_factory=dict)
    _streaks: dict[str, int] = field(default_factory=dict)

    @property
    def suspicious(self) -> bool:
        return any(self._streaks.values())

    def see(self, step: int, values: Mapping[str, Any]) -> TrainError | None:
        """What is wrong once it is certain; else `None`.

        >>> detector = Detector(limits=Limits(logs=2, least=1))
        >>> [detector.see(s, {"loss": l}) is None for s, l in enumerate([1.0, 0.9, 5.0, 6.0])], detector.good_step
        ([True, True, True, False], 1)
        """
        for name in ("loss", "grad_norm", "reward"):
            if isinstance(value := values.get(name), (int, float)) and not math.isfinite(value):
                return _error("number", f"{name} is {value} at step {step}")
        bad = dict(self._unhealthy(values))
        for kind in {*self._streaks, *bad}:
            self._streaks[kind] = self._streaks.get(kind, 0) + 1 if kind in bad else 0
            if self._streaks[kind] >= self.limits.logs:
                return _error(kind, f"{bad[kind]} at step {step}, and in all of the last {self.limits.logs} logged steps")
        if not bad:
            self.good_step = step
            for name in ("loss", *ACCURACY, *LENGTH, *ENDLESS, *ENTROPY):
                if isinstance(value := values.get(name), (int, float)):
                    self._past.setdefault(name, deque(maxlen=self.limits.window)).append(float(value))
        return None

    def _unhealthy(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        limits = self.limits
        if self.stage == "sft" and (pair := self._beside("loss", values)):
            value, usual = pair
            if value > limits.loss_factor * usual and value > usual + limits.loss_over:
                yield "loss", f"the loss diverges: {value:.3g}, its median was {usual:.3g}"
        for kind, names, factor in (
            ("accuracy", ACCURACY, limits.accuracy_factor), ("length", LENGTH, limits.length_factor),
        ):  # fmt: skip
            for name in names:
                if (pair := self._beside(name, values)) and limits.accuracy_least < pair[1] and pair[0] < factor * pair[1]:
                    yield kind, f"{name} collapses: {pair[0]:.3g}, its median was {pair[1]:.3g}"
        for name in ENTROPY if self.stage == "rl" else ():
            if (pair := self._beside(name, values)) and pair[0] < limits.entropy_under <= pair[1]:
                yield "entropy", f"{name} collapses: {pair[0]:.2g} nats, its median was {pair[1]:.3g}"
        for name in ENDLESS:
            if (pair := self._beside(name, values)) and pair[0] > limits.endless_over > pair[1]:
                yield "endless", f"{pair[0]:.0%} of the completions do not end, the median was {pair[1]:.0%}"

    def _beside(self, name: str, values: Mapping[str, Any]) -> tuple[float, float] | None:
        """A value and the median of the healthy ones before it, where there are enough of them."""
        value, past = values.get(name), self._past.get(name, ())
        if not isinstance(value, (int, float)) or len(past) < self.limits.least:
            return None
        return float(value), median(past)


def _error(kind: str, what: str) -> TrainError:
    return TrainError(what, hint=_MENDING[kind])


def make_watch(
    log: RunLog | None,
    limits: Limits = Limits(),
    tell: Callable[[int, int, Mapping[str, Any]], None] = lambda step, of, values: None,
) -> Any:
    """A `TrainerCallback` that logs into a run and stops it with a `TrainError` that names the last good checkpoint. `tell` is
    given each logged step, how many there are, and its values. Without a `log` (a process that is not the first of several) it
    only stops what has gradients that are no numbers."""
    import torch
    from transformers import TrainerCallback

    detector = Detector(log.stage if log else "", limits)

    class Watch(TrainerCallback):  # type: ignore[misc]
        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            # Else a loss that is no number is logged as the mean of those before it.
            args.logging_nan_inf_filter = False
            detector.good_step = state.global_step
            if log:
                log.begin(state.global_step, state.max_steps)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, model: Any = None, **kwargs: Any) -> None:
            gradients = [p.grad for p in model.parameters() if p.grad is not None] if model is not None else []
            if gradients:
                norm = torch.nn.utils.get_total_norm(gradients)
                norm = norm.full_tensor() if hasattr(norm, "full_tensor") else norm
                if not bool(torch.isfinite(norm)):
                    # The weights are still as they were, and so is every checkpoint.
                    detector.good_step = state.global_step
                    stop(args, _error("number", f"the gradient of step {state.global_step + 1} is {float(norm)}"))

        def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
            if log is None or not logs or "train_runtime" in logs:
                return
            log.log(state.global_step, logs)
            tell(state.global_step, state.max_steps, logs)
            error = detector.see(state.global_step, logs)
            if error is not None:
                stop(args, error)
            if detector.suspicious:
                control.should_save = False

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if detector.suspicious:
                control.should_save = False

    def stop(args: Any, error: TrainError) -> None:
        folder = Path(args.output_dir)
        if (kept := last_good(folder, detector.good_step)) and log:
            set_aside(folder, detector.good_step)
        where = f"the last good checkpoint is {kept}" if kept else "there is no checkpoint from before that"
        raise TrainError(f"stopped: {error.args[0]}; {where}", hint=error.hint)

    return Watch()


def checkpoints(folder: Path) -> list[tuple[int, Path]]:
    """(step, folder) of the checkpoints that were written whole, in order: the trainer writes its state last."""
    found = []
    for path in folder.glob("checkpoint-*"):
        try:
            step = int(path.name.removeprefix("checkpoint-"))
            if json.loads((path / "trainer_state.json").read_text(encoding="utf-8"))["global_step"] == step:
                found.append((step, path))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    return sorted(found)


def last_good(folder: Path, step: int) -> Path | None:
    """The last whole checkpoint of a step that was still healthy."""
    return next((path for at, path in reversed(checkpoints(folder)) if at <= step), None)


def drop_halves(folder: Path) -> list[Path]:
    """Remove checkpoints that a killed run or a full disk left half written; resuming would pick them. Returns them."""
    whole = {path for _, path in checkpoints(folder)}
    halves = [path for path in sorted(folder.glob("checkpoint-*")) if path.is_dir() and path not in whole]
    for path in halves:
        shutil.rmtree(path, ignore_errors=True)
    return halves


def set_aside(folder: Path, step: int) -> None:
    """Rename the checkpoints of steps after `step`, so that a run that was stopped goes on from one that was still healthy."""
    for at, path in checkpoints(folder):
        if at > step:
            shutil.rmtree(aside := path.with_name(f"suspect-{at}"), ignore_errors=True)
            path.rename(aside)


@contextmanager
def disk_full_told(folder: Path) -> Iterator[None]:
    """A disk that is full while something is written becomes a `TrainError` that names the last whole checkpoint; what was half
    written is removed. Everything else is raised as it is."""
    try:
        yield
    except TrainError:
        raise
    except Exception as error:
        # Each library tells it in its own way, and tokenizers as a bare Exception.
        if not is_disk_full(error, folder):
            raise
        drop_halves(folder / "checkpoints")
        kept = checkpoints(folder / "checkpoints")
        where = f"the last checkpoint is {kept[-1][1]}" if kept else "there is no checkpoint yet"
        raise TrainError(f"the disk of {folder} is full; {where}", hint="free some disk, then go on with --resume") from error


def is_disk_full(error: BaseException, folder: Path) -> bool:
    """Whether an error, or one that it came from, says that the disk is full; torch does not say, so the disk is asked."""
    said = str(error)
    if getattr(error, "errno", None) in (errno.ENOSPC, errno.EDQUOT) or "No space left" in said or "StorageFull" in said:
        return True
    if (origin := error.__cause__ or error.__context__) is not None and is_disk_full(origin, folder):
        return True
    return "PytorchStreamWriter" in said and shutil.disk_usage(folder).free < 64 * 2**20
