"""What `sft`, `rl` and `runs` do once their flags are read: gates and then training, runs as a list.

Results go to standard output (text, or JSON with `--json`), progress to standard error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sixfold.cli.gating import Policy, asked_gates, sft_gates
from sixfold.cli.screen import print_rows, safe, say, stderr_console
from sixfold.config import home_dir
from sixfold.errors import TrainError
from sixfold.train.curves import duration, follow, plot
from sixfold.train.gates import Gate, check, known, let_through_before
from sixfold.train.recipe import Recipe
from sixfold.train.runs import digest, has_trained, list_runs, open_run, read_run, result_of, weights_fingerprint

_NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "pyarrow", "safetensors")


@dataclass(frozen=True, slots=True)
class TrainCommand:
    """What a call of `sixfold sft` or `sixfold rl` asks for besides its recipe."""

    folder: Path
    resume: bool = False
    override: tuple[str, ...] = ()
    quiet: bool = False
    as_json: bool = False

    @property
    def silent(self) -> bool:
        return self.quiet or self.as_json


@dataclass(frozen=True, slots=True)
class Stage:
    """What `sft` and `rl` do differently. `told` names what of each logged step is said. `gates(start, None)` measures before
    training, `gates(start, result)` after it. `train(base, folder, resume, callbacks)` returns what it counted."""

    name: str
    adapter: Path | None
    told: Mapping[str, str]
    gates: Callable[[Policy, Policy | None], list[Gate]]
    train: Callable[[Path, Path, bool, list[Any]], dict[str, Any]]


def need_training(trackers: Sequence[str] = ()) -> None:
    """Raises `TrainError` where the packages that train, or one of these trackers, are missing."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise TrainError(f"training needs {', '.join(missing)}", hint='pip install "sixfold[train]"')
    if missing := [name for name in trackers if importlib.util.find_spec(name) is None]:
        raise TrainError(f"the recipe's trackers need {', '.join(missing)}", hint=f"pip install {' '.join(missing)}")


def _begin(recipe: Recipe, folder: Path) -> None:
    """What has to be set before torch and transformers are imported."""
    need_training(recipe.trackers)
    # Idle threads give the processor back: with as many threads as cores, spinning ones stop whoever shares it.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    # There is no other way to tell them where to write.
    for name, variable in (("tensorboard", "TENSORBOARD_LOGGING_DIR"), ("trackio", "TRACKIO_DIR")):
        if name in recipe.trackers:
            os.environ.setdefault(variable, str((folder / name).absolute()))


def sft_command(recipe: Recipe, command: TrainCommand) -> None:
    """Gates, training, and gates again, in a run folder."""
    _begin(recipe, command.folder)
    from sixfold.train.sft import train_sft

    def gates(start: Policy, result: Policy | None) -> list[Gate]:
        if result is None:
            return sft_gates(recipe, command.silent)
        return asked_gates(recipe, recipe.gates.after_sft, "after", result, [command.folder], silent=command.silent)

    told = {"loss": "loss", "accuracy": "mean_token_accuracy", "gradient": "grad_norm"}
    stage = Stage("sft", None, told, gates, lambda *args: train_sft(recipe, *args))
    counts, let_through = _staged(stage, recipe, command)
    with contextlib.suppress(TrainError):
        plot(command.folder, command.folder / "curves.png")
    left_out = "".join(f"; {count} {what}" for what, count in counts.items() if what.startswith(("left out", "longer")))
    summary = f"{counts.get('rows', 0)} rows, {counts.get('learned tokens', 0)} learned tokens{left_out}"
    _finish(command, counts, let_through, summary)


def rl_command(recipe: Recipe, adapter: Path | None, command: TrainCommand) -> None:
    """Gates on what the policy says before anything is learned, training, and gates again, in a run folder of its own."""
    _begin(recipe, command.folder)
    from sixfold.train.rl import train_rl

    start = None if adapter is None else _adapter_in(adapter)

    def gates(policy: Policy, result: Policy | None) -> list[Gate]:
        # What the gates after SFT counted is good, if these are the very weights.
        folders, config = [command.folder, *([start.parent] if start else [])], recipe.gates
        if result is None:
            return asked_gates(recipe, config.before_rl, "before", policy, folders, silent=command.silent)
        return asked_gates(recipe, config.after_rl, "after", result, folders, policy, command.silent)

    keys = ("reward", "accuracy", "completions/mean_length", "sampler/kl", "zero_variance_share")
    stage = Stage("rl", start, {key: key for key in keys}, gates, lambda base, *args: train_rl(recipe, base, start, *args))
    counts, let_through = _staged(stage, recipe, command)
    _finish(command, counts, let_through, f"{counts.get('groups', 0)} groups")


def _staged(stage: Stage, recipe: Recipe, command: TrainCommand) -> tuple[dict[str, Any], list[str]]:
    """A stage in its run folder: the gates, unless they were passed before what is resumed; training, unless it had come to its
    end; and the gates on what was trained. Returns what was counted, and the gates that were let through."""
    from sixfold.train.watch import checkpoints, disk_full_told, drop_halves, make_watch
    from sixfold.train.weights import open_base

    known(command.override)
    console, folder = None if command.silent else stderr_console(), command.folder
    counts = has_trained(folder, stage.name) if command.resume else None
    if _is_follower():
        if counts is not None:
            return counts, []
        with disk_full_told(folder), _without_prints():
            return stage.train(open_base(recipe.base, home_dir()), folder, command.resume, [make_watch(None)]), []

    def tell(step: int, of: int, values: Mapping[str, Any]) -> None:
        numbers = ", ".join(f"{k} {values[v]:.4g}" for k, v in stage.told.items() if isinstance(values.get(v), (int, float)))
        say(console, f"step {step} of {of}: {numbers}")

    if (folder / "run.json").is_file() and (other := set(read_run(folder)["stages"]) - {stage.name}):
        raise TrainError(f"{folder} holds stage {other.pop()}, whose checkpoints would be lost", hint="give another --out")
    facts = {"base": recipe.base} | ({"adapter": str(stage.adapter.absolute())} if stage.adapter else {})
    with open_run(folder, recipe, stage.name, command.resume, facts) as log, disk_full_told(folder):
        base = open_base(recipe.base, home_dir())
        weights = log.weights({"base": base} | ({"adapter": stage.adapter} if stage.adapter else {}))
        start = Policy(base, stage.adapter, weights["base"], weights.get("adapter", ""))
        for half in drop_halves(folder / "checkpoints"):
            say(console, f"{half} was half written and is removed")
        try:
            if counts is not None or (command.resume and checkpoints(folder / "checkpoints")):
                let_through = let_through_before(folder)
            else:
                let_through = check(stage.gates(start, None), command.override, folder, stage.name)
            _say_overridden(console, let_through)
            if counts is None:
                say(console, f"training {recipe.base} in {folder}")
                with _without_prints():
                    found = stage.train(base, folder, command.resume, [make_watch(log, tell=tell)])
                counts = {k: v for k, v in found.items() if k != "log"}
                log.note(counts=counts)
            result = _result_policy(folder, start)
            after = check(stage.gates(start, result), command.override, folder, stage.name, "after")
            _say_overridden(console, after)
        except KeyboardInterrupt:
            say(console, "interrupted; the same command with --resume goes on from the last checkpoint")
            log.end("stopped", "interrupted")
            raise
        let_through = list(dict.fromkeys([*let_through, *after]))
        log.end("done", overridden=let_through)
    return counts, let_through


def _result_policy(folder: Path, start: Policy) -> Policy:
    """What was trained: all weights, or an adapter on those that training began from."""
    result = result_of(folder)
    sha256 = digest(weights_fingerprint(result))
    if result.name == "model":
        return Policy(result, None, sha256)
    return Policy(start.base, result, start.base_sha256, sha256)


def _say_overridden(console: Any, names: Sequence[str]) -> None:
    for name in names:
        say(console, f"gate {name} failed and is overridden")


def _is_follower() -> bool:
    """Whether this is one of several processes that `accelerate launch` began, but the first: that one has the gates, the
    folder and the screen."""
    return int(os.environ.get("RANK") or 0) > 0


def _finish(command: TrainCommand, counts: Mapping[str, Any], let_through: Sequence[str], summary: str) -> None:
    if _is_follower():
        return
    folder, result = command.folder, result_of(command.folder)
    if command.as_json:
        print(
            json.dumps({"folder": str(folder), "result": str(result), "counts": dict(counts), "overridden": list(let_through)})
        )
    else:
        print(result if command.quiet else safe(f"{result}: {summary}"))


@contextlib.contextmanager
def _without_prints() -> Iterator[None]:
    """The trainer prints what it logs; here `tell` says it, and standard output is for the result."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _adapter_in(folder: Path) -> Path:
    """An adapter folder, or the one in a run folder."""
    return folder / "adapter" if (folder / "adapter" / "adapter_config.json").is_file() else folder


def plan_command(
    recipe: Recipe, folder: Path, rate: float | None, as_json: bool, stage: str = "sft", processes: int = 1
) -> None:
    """Print what a stage would do. Nothing is written, fetched or loaded."""
    from sixfold.train.dry_run import hardware, make_plan, make_rl_plan, rl_shown, shown
    from sixfold.train.weights import folder_here

    accelerator, bf16 = hardware()
    half = recipe.sft.precision == "bf16" or (recipe.sft.precision == "auto" and bf16)
    base = folder_here(recipe.base, home_dir())
    if stage == "rl":
        rl_plan = make_rl_plan(recipe, base, folder, half, accelerator)
        print(json.dumps(asdict(rl_plan)) if as_json else safe(rl_shown(rl_plan)))
        return
    plan = make_plan(recipe, base, folder, half, accelerator, rate, processes)
    print(json.dumps(plan.record()) if as_json else safe(shown(plan)))


def runs_command(folder: Path, picture: Path | None, live: bool, as_json: bool) -> None:
    """List runs; with `picture` draw one, with `live` follow one."""
    if picture is not None:
        plot(_one_run(folder), picture)
        print(picture)
        return
    if live:
        from rich.console import Console

        follow(_one_run(folder), Console(highlight=False, markup=False, emoji=False))
        return
    found = list_runs(folder)
    if as_json:
        print(json.dumps([asdict(s) for s in found], default=str))
    elif not found:
        say(stderr_console(), f"no training runs in {folder}\n  next: sixfold sft laptop-135m")
    else:
        rows = [
            (str(s.folder), s.stage, s.state, f"{s.step} of {s.max_steps}" if s.max_steps else str(s.step), _shown(s.loss),
             _shown(s.accuracy), duration(s.time_s), s.reason)
            for s in found
        ]  # fmt: skip
        print_rows(("run", "stage", "state", "step", "loss", "accuracy", "time", "why it stopped"), rows)


def _one_run(folder: Path) -> Path:
    """A run: this folder, or the only one or the latest below it."""
    if (folder / "run.json").exists():
        return folder
    found = list_runs(folder)
    if not found:
        raise TrainError(f"{folder} is no training run", hint="`sixfold runs` lists them")
    return found[-1].folder


def _shown(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, (int, float)) else ""
