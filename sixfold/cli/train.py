"""The commands that train: `traces`, `sft`, `rl`, `export`, `runs`. Flags in, work elsewhere.

Place: `app.py` adds them to the command line. As there, heavy modules are imported inside the commands; what they do once their
flags are read is `training.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe_ = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or the name of one in recipes/.")]
Preset_ = Annotated[str, typer.Option("--preset", help="Lay this part of the recipe, [presets.NAME], over the rest.")]
Set_ = Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting of the recipe; repeatable.")]
Json_ = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def sft(
    recipe: Recipe_,
    preset: Preset_ = "",
    overrides: Set_ = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; without it runs/RECIPE-sft, or -PRESET-sft.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole checkpoint of a run that ended early.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say what would be done (tokens, memory, time, settings) and end.")
    ] = False,
    rate: Annotated[
        float | None, typer.Option("--tokens-per-s", min=0.01, help="For --plan: the rate, where no run has measured it.")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override", metavar="GATE", help="Train although this gate fails (audit, contamination); it is recorded."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result's folder and nothing else.")] = False,
    as_json: Json_ = False,
) -> None:
    """Fine-tune a model on chains of thought, as a recipe says.

    The gates are checked first: the verifiers of the tasks are attacked, and the rows compared with evaluation questions. What
    the run is told, its metrics and its checkpoints go into the run folder; --resume goes on after a crash, with the same data
    in the same order. Ends with 7 where training cannot begin or was stopped.
    """
    from sixfold.cli.training import TrainCommand, plan_command, sft_command
    from sixfold.train.presets import load_recipe

    loaded = load_recipe(recipe, preset, overrides or ())
    folder = out or Path("runs") / "-".join(part for part in (loaded.name, preset, "sft") if part)
    if plan:
        plan_command(loaded, folder, rate, as_json)
        return
    sft_command(loaded, TrainCommand(folder, resume, tuple(override or ()), quiet, as_json))


def rl(
    recipe: Recipe_,
    adapter: Annotated[
        Path | None, typer.Option(help="What to begin with: the run folder of `sixfold sft`, or an adapter.")
    ] = None,
    preset: Preset_ = "",
    overrides: Set_ = None,
    out: Annotated[Path | None, typer.Option(help="The run folder; without it runs/RECIPE-rl, or -PRESET-rl.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on from the last whole checkpoint of a run that ended early.")
    ] = False,
    plan: Annotated[bool, typer.Option("--plan", help="Say what would be done (rollouts, memory, settings) and end.")] = False,
    override: Annotated[
        list[str] | None,
        typer.Option("--override", metavar="GATE", help="Train although this gate fails (tags, support); it is recorded."),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result's folder and nothing else.")] = False,
    as_json: Json_ = False,
) -> None:
    """Train a model further with verifiable rewards, as a recipe says.

    Problems of the generated families are drawn by how much they still teach, the model answers each several times, the
    verifiers pay for right answers, and TRL learns from the difference. The gates ask first whether the model keeps to the
    form and solves some of what it is to learn. Ends with 7 where training cannot begin or was stopped.
    """
    from sixfold.cli.training import TrainCommand, plan_command, rl_command
    from sixfold.train.presets import load_recipe

    loaded = load_recipe(recipe, preset, overrides or ())
    folder = out or Path("runs") / "-".join(part for part in (loaded.name, preset, "rl") if part)
    if plan:
        plan_command(loaded, folder, None, as_json, "rl")
        return
    rl_command(loaded, adapter, TrainCommand(folder, resume, tuple(override or ()), quiet, as_json))


def export(
    trained: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, or an adapter or model folder.")],
    out: Annotated[Path | None, typer.Option(help="Where to; without it RUN/export.")] = None,
    base: Annotated[str, typer.Option(help="What it was trained from, where the run does not say.")] = "",
    kinds: Annotated[
        list[str] | None,
        typer.Option(
            "--gguf", metavar="KIND", help="A merged GGUF file: F16, Q8_0 or Q4_0; repeatable. Without it F16 and Q8_0."
        ),
    ] = None,
    merged: Annotated[bool, typer.Option("--merged", help="Also the merged weights as safetensors.")] = False,
    check: Annotated[
        bool, typer.Option("--check/--no-check", help="Compare the GGUF files with torch, token by token.")
    ] = True,
    push: Annotated[str, typer.Option(metavar="OWNER/REPO", help="Upload the result to the Hugging Face hub.")] = "",
    public: Annotated[bool, typer.Option("--public", help="With --push: for everybody to see.")] = False,
    as_json: Json_ = False,
) -> None:
    """Write what was trained as files for others: a small adapter, GGUF files, merged weights, a model card."""
    from sixfold.cli.exporting import ExportCommand, export_command

    chosen = tuple(kinds or ())
    export_command(ExportCommand(trained, out or trained / "export", base, chosen, merged, check, push, not public, as_json))


def traces(
    recipe: Recipe_,
    out: Annotated[Path, typer.Option(help="FILE.jsonl: where the rows go.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many rows.")] = None,
    preset: Preset_ = "",
    overrides: Set_ = None,
) -> None:
    """Write the training rows of a recipe as JSON lines: what `sixfold sft` would train on, in its order."""
    from sixfold.cli.training import traces_command
    from sixfold.train.presets import load_recipe

    traces_command(load_recipe(recipe, preset, overrides or ()), out, limit)


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A run folder, or a folder of them.")] = Path("runs"),
    plot: Annotated[Path | None, typer.Option(help="Draw the curves of the run DIR as this .png or .svg file.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Follow the run DIR on the screen until it ends.")] = False,
    as_json: Json_ = False,
) -> None:
    """List training runs with their state, or draw or follow one."""
    from sixfold.cli.training import runs_command

    runs_command(folder, plot, live, as_json)
