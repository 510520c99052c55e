"""The commands that train: `traces`, `sft`, `rl`, `export`, `runs`. Flags in, work elsewhere.

Place: `app.py` adds them to the command line. As there, heavy modules are imported inside the commands; what they do once their
flags are read is `training.py`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Recipe_ = Annotated[str, typer.Argument(metavar="RECIPE", help="A TOML file, or laptop-135m, one-gpu-3b, k2-think-32b.")]
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
    processes: Annotated[int, typer.Option(min=1, help="For --plan: how many `accelerate launch` begins.")] = 1,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override",
            metavar="GATE",
            help="Go on although this gate fails (audit, contamination, tags, support); it is recorded.",
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result's folder and nothing else.")] = False,
    as_json: Json_ = False,
) -> None:
    """Fine-tune a model on chains of thought, as a recipe says.

    The gates are checked first: the verifiers of the tasks are attacked, and the rows compared with evaluation questions. Those
    at the end ask what was trained whether it keeps to the form and solves some of what RL is to strengthen. What the run is
    told, its metrics and its checkpoints go into the run folder; --resume goes on after a crash, with the same data in the same
    order. Ends with 7 where training cannot begin or was stopped, or where a gate failed; what was trained is kept.
    """
    from sixfold.cli.training import TrainCommand, plan_command, sft_command
    from sixfold.train.presets import load_recipe

    loaded = load_recipe(recipe, preset, overrides or ())
    folder = out or Path("runs") / "-".join(part for part in (loaded.name, preset, "sft") if part)
    if plan:
        plan_command(loaded, folder, rate, as_json, processes=processes)
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
        typer.Option(
            "--override", metavar="GATE", help="Go on although this gate fails (tags, support, forgetting); it is recorded."
        ),
    ] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the result's folder and nothing else.")] = False,
    as_json: Json_ = False,
) -> None:
    """Train a model further with verifiable rewards, as a recipe says.

    Problems of the generated families are drawn by how much they still teach, the model answers each several times, the
    verifiers pay for right answers, and TRL learns from the difference. The gates ask first whether the model keeps to the
    form and solves some of what it is to learn, and at the end also whether a domain was forgotten. Ends with 7 where training
    cannot begin or was stopped, or where a gate failed; what was trained is kept.
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
    scores: Annotated[
        list[Path] | None, typer.Option(metavar="DIR", help="A run folder of `sixfold eval` for the card; repeatable.")
    ] = None,
    push: Annotated[str, typer.Option(metavar="OWNER/REPO", help="Upload the result to the Hugging Face hub.")] = "",
    public: Annotated[bool, typer.Option("--public", help="With --push: for everybody to see.")] = False,
    as_json: Json_ = False,
) -> None:
    """Write what was trained as files for others: a small adapter, GGUF files, merged weights, a model card."""
    from sixfold.cli.exporting import ExportCommand, export_command

    chosen = tuple(kinds or ())
    made = out or trained / "export"
    export_command(ExportCommand(trained, made, base, chosen, merged, check, push, not public, as_json, tuple(scores or ())))


def traces(
    recipe: Recipe_,
    out: Annotated[Path, typer.Option(help="FILE.jsonl: where the rows go.")],
    limit: Annotated[int | None, typer.Option(min=1, help="Only this many rows; with --sample, problems.")] = None,
    sample: Annotated[
        int | None,
        typer.Option("--sample", metavar="N", help="Rejection sampling: an engine answers each problem N times."),
    ] = None,
    engine: Annotated[str | None, typer.Option(help="For --sample: as for solve.")] = None,
    model: Annotated[
        str | None, typer.Option(help="For --sample: a pulled model, a .gguf file, or the name at the endpoint.")
    ] = None,
    preset: Preset_ = "",
    overrides: Set_ = None,
) -> None:
    """Write the training rows of a recipe as JSON lines: what `sixfold sft` would train on, in its order.

    With --sample an engine answers the recipe's problems, and what the verifiers find right is written, the shortest and others
    that differ: rows for traces.files. Killed, the same command goes on; further settings are --set sample.KEY=VALUE.
    """
    import json

    from sixfold.cli.tracing import sample_command, traces_command
    from sixfold.errors import ConfigError
    from sixfold.train.presets import load_recipe

    flags = {"sample.attempts": sample, "sample.engine.spec": engine, "sample.engine.model": model}
    given = [f"{key}={json.dumps(value)}" for key, value in flags.items() if value is not None]
    loaded = load_recipe(recipe, preset, [*(overrides or ()), *given])
    if sample is not None:
        raise typer.Exit(sample_command(loaded, out, limit))
    if given:
        raise ConfigError("--engine and --model are for sampling", hint="add --sample N")
    traces_command(loaded, out, limit)


def runs(
    folder: Annotated[Path, typer.Argument(metavar="[DIR]", help="A run folder, or a folder of them.")] = Path("runs"),
    plot: Annotated[Path | None, typer.Option(help="Draw the curves of the run DIR as this .png or .svg file.")] = None,
    live: Annotated[bool, typer.Option("--live", help="Follow the run DIR on the screen until it ends.")] = False,
    as_json: Json_ = False,
) -> None:
    """List training runs with their state, or draw or follow one."""
    from sixfold.cli.training import runs_command

    runs_command(folder, plot, live, as_json)
