"""What `traces`, `sft`, `rl` and `runs` do once their flags are read: rows to a file, gates and then training, runs as a list.

Results go to standard output (text, or JSON with `--json`), progress to standard error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sixfold.cli.screen import count_bar, print_rows, safe, say, stderr_console
from sixfold.config import home_dir
from sixfold.errors import ConfigError, TaskError, TrainError
from sixfold.train.curves import duration, follow, plot
from sixfold.train.gates import (
    Gate,
    audit_gate,
    check,
    contamination_gate,
    known,
    load_gates,
    measure_audit,
    measure_contamination,
)
from sixfold.train.recipe import Recipe
from sixfold.train.runs import list_runs, open_run, read_run

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


def need_training() -> None:
    """Raises `TrainError` where the packages that train are missing."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise TrainError(f"training needs {', '.join(missing)}", hint='pip install "sixfold[train]"')


def _begin() -> None:
    """What has to be set before torch and transformers are imported."""
    need_training()
    # Idle threads give the processor back: with as many threads as cores, spinning ones stop whoever shares it.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")


def sft_command(recipe: Recipe, command: TrainCommand) -> None:
    """Gates, then training, in a run folder."""
    _begin()
    from sixfold.train.sft import train_sft

    told = {"loss": "loss", "accuracy": "mean_token_accuracy", "gradient": "grad_norm"}
    counts, let_through = _staged(
        "sft", recipe, command, {}, told, lambda base: _sft_gates(recipe, command),
        lambda base, callbacks: train_sft(recipe, base, command.folder, command.resume, callbacks),
    )  # fmt: skip
    with contextlib.suppress(TrainError):
        plot(command.folder, command.folder / "curves.png")
    left_out = "".join(f"; {count} {what}" for what, count in counts.items() if what.startswith(("left out", "longer")))
    summary = f"{counts.get('rows', 0)} rows, {counts.get('learned tokens', 0)} learned tokens{left_out}"
    _finish(command, counts, let_through, summary)


def rl_command(recipe: Recipe, adapter: Path | None, command: TrainCommand) -> None:
    """Gates on what the policy says before anything is learned, then training, in a run folder of its own."""
    _begin()
    from sixfold.train.rl import train_rl

    start = None if adapter is None else _adapter_in(adapter)
    keys = ("reward", "accuracy", "completions/mean_length", "sampler/kl", "zero_variance_share")
    counts, let_through = _staged(
        "rl", recipe, command, {"adapter": str(start or "")}, {key: key for key in keys},
        lambda base: _rl_gates(recipe, base, start, command),
        lambda base, callbacks: train_rl(recipe, base, start, command.folder, command.resume, callbacks),
    )  # fmt: skip
    _finish(command, counts, let_through, f"{counts.get('groups', 0)} groups")


def _staged(
    stage: str,
    recipe: Recipe,
    command: TrainCommand,
    facts: Mapping[str, Any],
    told: Mapping[str, str],
    gates: Callable[[Path], list[Gate]],
    train: Callable[[Path, list[Any]], dict[str, Any]],
) -> tuple[dict[str, Any], list[str]]:
    """A stage in its run folder: the gates, unless they were passed before what is resumed, then training. `told` names what of
    each logged step is said. Returns what was counted, and the gates that were let through."""
    from sixfold.train.watch import checkpoints, disk_full_told, drop_halves, make_watch
    from sixfold.train.weights import open_base

    known(command.override)
    console, folder = None if command.silent else stderr_console(), command.folder
    if _is_follower():
        with disk_full_told(folder), _without_prints():
            return train(open_base(recipe.base, home_dir()), [make_watch(None)]), []

    def tell(step: int, of: int, values: Mapping[str, Any]) -> None:
        numbers = ", ".join(f"{k} {values[v]:.4g}" for k, v in told.items() if isinstance(values.get(v), (int, float)))
        say(console, f"step {step} of {of}: {numbers}")

    if (folder / "run.json").is_file() and (other := set(read_run(folder)["stages"]) - {stage}):
        raise TrainError(f"{folder} holds stage {other.pop()}, whose checkpoints would be lost", hint="give another --out")
    with open_run(folder, recipe, stage, command.resume, {"base": recipe.base, **facts}) as log, disk_full_told(folder):
        base = open_base(recipe.base, home_dir())
        for half in drop_halves(folder / "checkpoints"):
            say(console, f"{half} was half written and is removed")
        if command.resume and checkpoints(folder / "checkpoints"):
            let_through = [name for record in load_gates(folder)[-1:] for name in record["overridden"]]
        else:
            let_through = check(gates(base), command.override, folder, stage)
        for name in let_through:
            say(console, f"gate {name} failed and is overridden")
        say(console, f"training {recipe.base} in {folder}")
        try:
            with _without_prints():
                found = train(base, [make_watch(log, tell=tell)])
        except KeyboardInterrupt:
            say(console, "interrupted; the same command with --resume goes on from the last checkpoint")
            log.end("stopped", "interrupted")
            raise
        counts = {k: v for k, v in found.items() if k != "log"}
        log.end("done", counts=counts, overridden=let_through)
    return counts, let_through


def _is_follower() -> bool:
    """Whether this is one of several processes that `accelerate launch` began, but the first: that one has the gates, the
    folder and the screen."""
    return int(os.environ.get("RANK") or 0) > 0


def _finish(command: TrainCommand, counts: Mapping[str, Any], let_through: Sequence[str], summary: str) -> None:
    if _is_follower():
        return
    folder = command.folder
    result = folder / ("model" if (folder / "model").exists() else "adapter")
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


def _sft_gates(recipe: Recipe, command: TrainCommand) -> list[Gate]:
    """The gates that the recipe asks for before SFT, measured. One that is overridden is measured too: what was let through is
    known."""
    from sixfold.data.decontaminate import build_index
    from sixfold.data.overlap import Index
    from sixfold.tasks.catalog import FAMILIES, find_families, find_tasks
    from sixfold.train.sft import recipe_rows
    from sixfold.verify.verifiers import Judge

    gates: list[Gate] = []
    if "audit" in recipe.gates.before_sft:
        tasks = find_tasks([family.task for family in find_families(recipe.traces.tasks)])
        with Judge(workers=2) as judge, count_bar("attacking the verifier of", len(tasks), command.silent) as advance:
            gates.append(audit_gate(measure_audit(tasks, judge, recipe.gates, advance)))
    if "contamination" in recipe.gates.before_sft:
        against = find_tasks(["public", *FAMILIES] if recipe.traces.files else ["public"])
        try:
            index = build_index(against, missing=lambda what, error: None)
        except TaskError:
            # No benchmark is here to compare with: the report names all of them.
            index = Index()
        gates.append(contamination_gate(measure_contamination(recipe_rows(recipe), index, against), recipe.gates))
    return _said(gates, command)


def _said(gates: list[Gate], command: TrainCommand) -> list[Gate]:
    for gate in gates:
        say(None if command.silent else stderr_console(), f"gate {gate.name}: {gate.reason}")
    return gates


def _adapter_in(folder: Path) -> Path:
    """An adapter folder, or the one in a run folder."""
    return folder / "adapter" if (folder / "adapter" / "adapter_config.json").is_file() else folder


def _rl_gates(recipe: Recipe, base: Path, adapter: Path | None, command: TrainCommand) -> list[Gate]:
    """Whether the policy keeps to the form, and whether it solves some of what it is to learn."""
    from sixfold.core import Problem
    from sixfold.tasks.catalog import find_families
    from sixfold.train.gates import measure_support, support_gate, tag_gate
    from sixfold.train.rl import make_sampler
    from sixfold.verify.verifiers import Judge

    draw, said = make_sampler(recipe, base, adapter), list[str]()

    def sample(problem: Problem, count: int) -> list[str]:
        texts = draw(problem, count)
        said.extend(texts)
        return texts

    families = [family.task for family in find_families(recipe.rl.tasks)]
    say(None if command.silent else stderr_console(), f"sampling from the policy in {len(families)} families for the gates")
    with Judge(workers=2) as judge:
        cells = measure_support(sample, judge, [(name, recipe.rl.level) for name in families], recipe.gates)
    return _said([tag_gate(said, recipe.gates), support_gate(cells, recipe.gates)], command)


def plan_command(recipe: Recipe, folder: Path, rate: float | None, as_json: bool, stage: str = "sft") -> None:
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
    plan = make_plan(recipe, base, folder, half, accelerator, rate)
    print(json.dumps(plan.record()) if as_json else safe(shown(plan)))


def traces_command(recipe: Recipe, out: Path, limit: int | None) -> None:
    """Write the rows of a recipe; the file is whole or not there."""
    from collections import Counter

    from sixfold.train.sft import recipe_rows
    from sixfold.verify.verifiers import Judge

    skipped, rows = Counter[str](), 0
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file, Judge() as judge:
            for row in islice(recipe_rows(recipe, judge, lambda why: skipped.update([why])), limit):
                file.write(json.dumps(row, ensure_ascii=False) + "\n")
                rows += 1
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="give another --out") from error
    finally:
        partial.unlink(missing_ok=True)
    for why, count in skipped.most_common():
        say(stderr_console(), f"left out: {why}" + (f" ({count} times)" if count > 1 else ""))
    print(f"{out}: {rows} rows")


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
