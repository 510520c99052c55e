"""The commands that judge and measure: `eval`, `compare`, `tasks`, `verify`, `data`. Flags in, work elsewhere.

Place: `app.py` adds them to the command line. As there, heavy modules are imported inside the commands.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

tasks_app = typer.Typer(help="Problems to measure and train on.", no_args_is_help=True, rich_markup_mode=None)
verify_app = typer.Typer(help="Judge answers, and attack the judging.", no_args_is_help=True, rich_markup_mode=None)
data_app = typer.Typer(help="Training data.", no_args_is_help=True, rich_markup_mode=None)

_Names = Annotated[list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks or groups; see `sixfold tasks list`.")]
_Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
_Unsafe = Annotated[
    bool, typer.Option("--allow-unsafe-code", help="Run tested programs without a sandbox where bubblewrap is missing.")
]


def evaluate(
    tasks: Annotated[
        list[str] | None, typer.Argument(metavar="[TASK]...", help="Tasks or groups; none: report on --out.")
    ] = None,
    engine: Annotated[str | None, typer.Option(help="As for solve.")] = None,
    model: Annotated[str | None, typer.Option(help="A pulled model, a .gguf file, or the name at the endpoint.")] = None,
    samples: Annotated[int | None, typer.Option("--samples", "-k", help="Independent runs of each question.")] = None,
    limit: Annotated[int | None, typer.Option(help="Questions of each task; without it all.")] = None,
    n: Annotated[int | None, typer.Option("--n", help="Candidates of each run; 1 measures the bare model.")] = None,
    plan: Annotated[bool | None, typer.Option("--plan/--no-plan", help="Plan before thinking; off by default.")] = None,
    select: Annotated[str | None, typer.Option(help="How to choose among candidates, as for solve.")] = None,
    effort: Annotated[str | None, typer.Option(help="low, medium or high: n, plan and thinking as for solve.")] = None,
    concurrency: Annotated[int | None, typer.Option(help="Runs that are worked on at once.")] = None,
    split: Annotated[str | None, typer.Option(help="train, validation or test; only test is a result.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same samples.")] = None,
    published: Annotated[bool | None, typer.Option("--published", help="Follow each task's published protocol.")] = None,
    decontamination: Annotated[Path | None, typer.Option(help="The report.json for what the model was trained on.")] = None,
    allow_unsafe_code: Annotated[
        bool | None, typer.Option("--allow-unsafe-code", help="Run tested programs without a sandbox where there is none.")
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file with settings; see docs/configuration.md.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; repeatable.")] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run folder; an old one goes on. Without it a new one below runs/.")
    ] = None,
    export: Annotated[list[str] | None, typer.Option(help="lm-eval: also write its samples and results files.")] = None,
    picture: Annotated[bool, typer.Option("--picture/--no-picture", help="Draw the results as PNG and SVG.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the report and nothing else.")] = False,
) -> None:
    """Measure a model, or the whole system, on tasks: accuracy with intervals, what it cost, and what could not be judged.

    Everything goes into a run folder. A run that was killed goes on with the same command.
    """
    from sixfold.cli.evals import EvalOutput, eval_command
    from sixfold.config import EvalConfig, load_config

    flags = {
        "tasks": tasks or None, "samples": samples, "limit": limit, "split": split, "seed": seed, "concurrency": concurrency,
        "published": published, "decontamination": decontamination, "allow_unsafe_code": allow_unsafe_code,
        "solve.engine.spec": engine, "solve.engine.model": model, "solve.n": n, "solve.effort": effort, "solve.select": select,
        "solve.plan": None if plan is None else "shared" if plan else "off",
    }  # fmt: skip
    config = load_config(EvalConfig, recipe, overrides or (), flags).resolved()
    raise typer.Exit(eval_command(config, EvalOutput(out, export or (), as_json, quiet, picture)))


def compare(
    a: Annotated[Path, typer.Argument(metavar="A", help="A run folder.")],
    b: Annotated[Path, typer.Argument(metavar="B", help="Another; the difference is B - A.")],
    out: Annotated[Path | None, typer.Option(help="A folder for the comparison as Markdown, JSON and picture.")] = None,
    as_json: _Json = False,
) -> None:
    """Compare two runs on the questions that they share: the paired difference with its interval, and whether it is noise."""
    from sixfold.cli.evals import compare_command

    raise typer.Exit(compare_command(a, b, out, as_json))


@tasks_app.command("list")
def tasks_list(names: _Names = None, as_json: _Json = False) -> None:
    """List the tasks: generated families, public benchmarks, reasoning-gym."""
    from sixfold.cli.judging import list_tasks

    list_tasks(names or (), as_json)


@tasks_app.command("show")
def tasks_show(
    name: Annotated[str, typer.Argument(metavar="TASK", help="A task, such as math/gcd or math/gcd:2 (level 2).")],
    split: Annotated[str, typer.Option(help="train, validation or test.")] = "train",
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="How many problems.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Lines that `sixfold solve FILE.jsonl` reads.")] = False,
) -> None:
    """Show problems of a task, with answers and worked solutions."""
    from sixfold.cli.judging import one_split, show_task

    show_task(name, one_split(split), count, as_json)


@tasks_app.command("check")
def tasks_check(
    names: _Names = None,
    count: Annotated[int, typer.Option("--count", "-c", min=2, help="Problems of each level and split.")] = 30,
    as_json: _Json = False,
) -> None:
    """Prove the generated families: answers, every step of the solutions, splits, and the same problems in every process."""
    from sixfold.cli.judging import check_tasks

    raise typer.Exit(check_tasks(names or (), count, as_json))


@verify_app.command("audit")
def verify_audit(
    names: _Names = None,
    count: Annotated[int, typer.Option("--count", "-c", min=1, help="Problems of each task that are attacked.")] = 50,
    out: Annotated[Path | None, typer.Option(help="Also write the report as JSON to this file.")] = None,
    as_json: _Json = False,
    allow_unsafe_code: _Unsafe = False,
) -> None:
    """Attack the verifiers of tasks with adversarial answers and fixed guesses. Ends with 6 where a task may not be trained
    on."""
    from sixfold.cli.judging import audit_tasks

    raise typer.Exit(audit_tasks(names or (), count, out, as_json, allow_unsafe_code))


@verify_app.command("score")
def verify_score(
    file: Annotated[Path, typer.Argument(metavar="FILE.jsonl", help="Lines with question, answer, verifier, meta, response.")],
    as_json: _Json = False,
    allow_unsafe_code: _Unsafe = False,
) -> None:
    """Judge answers that are in a file."""
    from sixfold.cli.judging import score_file

    score_file(file, as_json, allow_unsafe_code)


@data_app.command("decontaminate")
def data_decontaminate(
    file: Annotated[Path, typer.Argument(metavar="TRAIN.jsonl", help="A training set, one row a line.")],
    against: Annotated[
        list[str] | None, typer.Option(help="Tasks or groups; without it, all that are here. Repeatable.")
    ] = None,
    out: Annotated[Path, typer.Option(help="A folder for clean.jsonl, overlaps.jsonl and report.json.")] = Path("clean"),
    as_json: _Json = False,
) -> None:
    """Take the questions of the evaluation tasks out of a training set, and report them. A run that was killed goes on."""
    from sixfold.cli.judging import decontaminate_command

    decontaminate_command(file, against or (), out, as_json)
