"""What `traces`, `sft`, `rl` and `runs` do once their flags are read: rows to a file, gates and then training, runs as a list.

Results go to standard output (text, or JSON with `--json`), progress to standard error.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sixfold.cli.screen import count_bar, print_rows, safe, say, stderr_console
from sixfold.config import home_dir
from sixfold.errors import ConfigError, TaskError, TrainError
from sixfold.train.curves import duration, follow, plot
from sixfold.train.gates import Gate, audit_gate, check, contamination_gate, known, measure_audit, measure_contamination
from sixfold.train.recipe import Recipe
from sixfold.train.runs import list_runs, open_run

_NEEDED = ("torch", "transformers", "trl", "peft", "accelerate", "datasets", "pyarrow", "safetensors")


@dataclass(frozen=True, slots=True)
class SftCommand:
    """What a call of `sixfold sft` asks for besides its recipe."""

    folder: Path
    resume: bool = False
    override: tuple[str, ...] = ()
    quiet: bool = False
    as_json: bool = False


def need_training() -> None:
    """Raises `TrainError` where the packages that train are missing."""
    if missing := [name for name in _NEEDED if importlib.util.find_spec(name) is None]:
        raise TrainError(f"training needs {', '.join(missing)}", hint='pip install "sixfold[train]"')


def sft_command(recipe: Recipe, command: SftCommand) -> None:
    """Gates, then training, in a run folder."""
    need_training()
    known(command.override)
    # Idle threads give the processor back: with as many threads as cores, spinning ones stop whoever shares it.
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from sixfold.train.sft import train_sft
    from sixfold.train.watch import disk_full_told, drop_halves, make_watch
    from sixfold.train.weights import open_base

    console = None if command.quiet or command.as_json else stderr_console()
    folder = command.folder
    if int(os.environ.get("RANK") or 0):
        # One of several that `accelerate launch` began: the first has the gates, the folder and the screen.
        with disk_full_told(folder), _without_prints():
            train_sft(recipe, open_base(recipe.base, home_dir()), folder, command.resume, [make_watch(None)])
        return
    with open_run(folder, recipe, "sft", command.resume, {"base": recipe.base}) as log:
        let_through = check(_gates(recipe, command), command.override, folder, "sft")
        for name in let_through:
            say(console, f"gate {name} failed and is overridden")
        for half in drop_halves(folder / "checkpoints"):
            say(console, f"{half} was half written and is removed")
        say(console, f"training {recipe.base} in {folder}")

        def tell(step: int, of: int, values: Mapping[str, Any]) -> None:
            numbers = ", ".join(
                f"{name} {values[key]:.4g}" for name, key in _TOLD.items() if isinstance(values.get(key), (int, float))
            )
            say(console, f"step {step} of {of}: {numbers}")

        with disk_full_told(folder), _without_prints():
            base = open_base(recipe.base, home_dir())
            found = train_sft(recipe, base, folder, resume=command.resume, callbacks=[make_watch(log, tell=tell)])
        counts = {k: v for k, v in found.items() if k != "log"}
        log.end("done", counts=counts, overridden=let_through)
    result = folder / ("adapter" if recipe.sft.method == "lora" else "model")
    with contextlib.suppress(TrainError):
        plot(folder, folder / "curves.png")
    if command.as_json:
        print(json.dumps({"folder": str(folder), "result": str(result), "counts": counts, "overridden": let_through}))
        return
    print(
        result
        if command.quiet
        else safe(f"{result}: {counts.get('rows', 0)} rows, {counts.get('learned tokens', 0)} learned tokens")
    )


_TOLD = {"loss": "loss", "accuracy": "mean_token_accuracy", "gradient": "grad_norm"}


@contextlib.contextmanager
def _without_prints() -> Iterator[None]:
    """The trainer prints what it logs; here `tell` says it, and standard output is for the result."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _gates(recipe: Recipe, command: SftCommand) -> list[Gate]:
    """The gates that the recipe asks for before SFT, measured. One that is overridden is measured too: what was let through is
    known."""
    from sixfold.data.decontaminate import build_index
    from sixfold.data.overlap import Index
    from sixfold.tasks.catalog import FAMILIES, find_tasks
    from sixfold.train.sft import recipe_rows
    from sixfold.verify.verifiers import Judge

    gates: list[Gate] = []
    silent = command.quiet or command.as_json
    if "audit" in recipe.gates.before_sft:
        tasks = find_tasks(recipe.traces.tasks)
        with Judge(workers=2) as judge, count_bar("attacking the verifier of", len(tasks), silent) as advance:
            gates.append(audit_gate(measure_audit(tasks, judge, recipe.gates, advance)))
    if "contamination" in recipe.gates.before_sft:
        against = find_tasks(["public", *FAMILIES] if recipe.traces.files else ["public"])
        try:
            index = build_index(against, missing=lambda what, error: None)
        except TaskError:
            # No benchmark is here to compare with: the report names all of them.
            index = Index()
        gates.append(contamination_gate(measure_contamination(recipe_rows(recipe), index, against), recipe.gates))
    for gate in gates:
        say(None if silent else stderr_console(), f"gate {gate.name}: {gate.reason}")
    return gates


def rl_command(recipe: Recipe, adapter: Path | None, command: SftCommand) -> None:
    """Gates on what the policy says before anything is learned, then training, in a run folder of its own."""
    need_training()
    known(command.override)
    os.environ.setdefault("GOMP_SPINCOUNT", "2000")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from sixfold.train.rl import train_rl
    from sixfold.train.watch import disk_full_told, drop_halves, make_watch
    from sixfold.train.weights import open_base

    console = None if command.quiet or command.as_json else stderr_console()
    folder, start = command.folder, None if adapter is None else _adapter_in(adapter)
    facts = {"base": recipe.base, "adapter": str(start or "")}
    with open_run(folder, recipe, "rl", command.resume, facts) as log, disk_full_told(folder):
        base = open_base(recipe.base, home_dir())
        let_through: list[str] = []
        if not command.resume:
            say(console, "sampling from the policy for the gates")
            let_through = check(_rl_gates(recipe, base, start), command.override, folder, "rl")
            for name in let_through:
                say(console, f"gate {name} failed and is overridden")
        for half in drop_halves(folder / "checkpoints"):
            say(console, f"{half} was half written and is removed")
        say(console, f"training {recipe.base} in {folder}")

        def tell(step: int, of: int, values: Mapping[str, Any]) -> None:
            shown = ("reward", "accuracy", "completions/mean_length", "sampler/kl", "zero_variance_share")
            numbers = ", ".join(f"{k} {values[k]:.4g}" for k in shown if isinstance(values.get(k), (int, float)))
            say(console, f"step {step} of {of}: {numbers}")

        with _without_prints():
            found = train_rl(recipe, base, start, folder, resume=command.resume, callbacks=[make_watch(log, tell=tell)])
        counts = {k: v for k, v in found.items() if k != "log"}
        log.end("done", counts=counts, overridden=let_through)
    result = next(p for p in (folder / "adapter", folder / "model") if p.exists())
    if command.as_json:
        print(json.dumps({"folder": str(folder), "result": str(result), "counts": counts, "overridden": let_through}))
        return
    print(result if command.quiet else safe(f"{result}: {counts.get('groups', 0)} groups"))


def _adapter_in(folder: Path) -> Path:
    """An adapter folder, or the one in a run folder."""
    return folder / "adapter" if (folder / "adapter" / "adapter_config.json").is_file() else folder


def _rl_gates(recipe: Recipe, base: Path, adapter: Path | None) -> list[Gate]:
    """Whether the policy keeps to the form, and whether it solves some of what it is to learn."""
    from sixfold.core import Problem
    from sixfold.tasks.catalog import FAMILIES, find_tasks
    from sixfold.train.gates import measure_support, support_gate, tag_gate
    from sixfold.train.rl import make_sampler
    from sixfold.verify.verifiers import Judge

    draw, said = make_sampler(recipe, base, adapter), list[str]()

    def sample(problem: Problem, count: int) -> list[str]:
        texts = draw(problem, count)
        said.extend(texts)
        return texts

    families = [task.name for task in find_tasks(recipe.rl.tasks) if task.name in FAMILIES]
    with Judge(workers=2) as judge:
        cells = measure_support(sample, judge, [(name, recipe.rl.level) for name in families], recipe.gates)
    return [tag_gate(said, recipe.gates), support_gate(cells, recipe.gates)]


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

    skipped, rows = Counter[str](), 0
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("w", encoding="utf-8") as file:
            for row in islice(recipe_rows(recipe, lambda why: skipped.update([why])), limit):
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
