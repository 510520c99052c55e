"""The command line: flags to configuration, errors to exit codes, and nothing that another module could do.

Place: the outermost layer. Heavy modules are imported inside the commands, so that `--help` and completion are quick. Exit
codes: 0 answered, 1 a fault of Sixfold, 2 bad input or configuration, 3 engine, 4 no answer, 5 model, 6 task, 7 training, 130
interrupted, 143 terminated. A file exits with the gravest of its rows: 3 before 4 before 2 (a bad line).
"""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from sixfold import __version__
from sixfold.cli.measure import compare, data_app, evaluate, tasks_app, verify_app
from sixfold.cli.train import export, rl, runs, sft, traces
from sixfold.errors import SixfoldError

app = typer.Typer(
    help="Makes small open models reason like large ones, and shows what every part of that costs and gains.",
    no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None,
    epilog="Exit codes: 0 answered, 1 a fault of Sixfold, 2 bad input, 3 engine, 4 no answer, 5 model, 6 task, 7 training, "
    "130 interrupted, 143 terminated. A file exits with the gravest of its rows: 3, then 4, then 2 for a bad line.",
)  # fmt: skip
trace_app = typer.Typer(help="Read traces written with --trace.", no_args_is_help=True, rich_markup_mode=None)
engine_app = typer.Typer(help="Find out what an engine really does.", no_args_is_help=True, rich_markup_mode=None)
app.add_typer(trace_app, name="trace")
app.add_typer(engine_app, name="engine")
app.add_typer(tasks_app, name="tasks")
app.add_typer(verify_app, name="verify")
app.add_typer(data_app, name="data")


def main() -> None:
    """Run the command line; a known error is printed with its next step, and its code is the exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w"))  # noqa: SIM115 - it stays open as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except SixfoldError as error:
        from sixfold.cli.screen import safe

        print(safe(f"error: {error}"), file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"sixfold {__version__}")
        raise typer.Exit


@app.callback()
def _top(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def _one_of(*values: str) -> Callable[[str], list[str]]:
    """For shell completion."""
    return lambda incomplete: [v for v in values if v.startswith(incomplete)]


_ENGINES = _one_of("embedded", "vllm", "sglang", "llama-server", "cerebras", "openai", "http://127.0.0.1:")


@app.command()
def solve(
    question: Annotated[str, typer.Argument(metavar="QUESTION|-|FILE.jsonl", help="A question, - for stdin, or a file.")],
    n: Annotated[int | None, typer.Option("--n", help="Candidates (1 to 64).")] = None,
    effort: Annotated[
        str | None,
        typer.Option(
            help="low, medium or high: how many candidates, how long.", autocompletion=_one_of("low", "medium", "high")
        ),
    ] = None,
    plan: Annotated[bool | None, typer.Option("--plan/--no-plan", help="Plan first or not; else a gate decides.")] = None,
    select: Annotated[
        str | None,
        typer.Option(
            help="How to choose: auto, verifier, majority, confidence, short, judge.",
            autocompletion=_one_of("auto", "verifier", "majority", "confidence", "short", "judge"),
        ),
    ] = None,
    deadline: Annotated[float | None, typer.Option(help="An answer within this many seconds, or a clear error.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same answer (where the engine can promise it).")] = None,
    engine: Annotated[
        str | None,
        typer.Option(
            help="embedded, scripted:FILE, a URL, vllm, sglang, llama-server, cerebras, openai.", autocompletion=_ENGINES
        ),
    ] = None,
    model: Annotated[str | None, typer.Option(help="A pulled model, a .gguf file, or the name at the endpoint.")] = None,
    planner: Annotated[str | None, typer.Option(help="Another engine to write the plan; reports name it.")] = None,
    judge: Annotated[str | None, typer.Option(help="Another engine to judge; reports name it.")] = None,
    speculate: Annotated[
        str | None,
        typer.Option(
            help="off, ngram-simple, ngram-mod, ngram-cache or draft:MODEL.",
            autocompletion=_one_of("off", "ngram-simple", "ngram-mod", "ngram-cache", "draft:"),
        ),
    ] = None,
    recipe: Annotated[Path | None, typer.Option(help="A TOML file with settings; see docs/configuration.md.")] = None,
    overrides: Annotated[list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Any setting; repeatable.")] = None,
    trace: Annotated[Path | None, typer.Option(help="Append every event to this file (JSON lines).")] = None,
    out: Annotated[Path | None, typer.Option(help="FILE.jsonl: where its results go; a run that was killed goes on.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole result as JSON instead of the answer.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print the answer and nothing else.")] = False,
) -> None:
    """Answer a question, or every question of a file.

    The answer goes to standard output, everything else to standard error. Ctrl-C once asks for the answer with what is there,
    twice quits.
    """
    from sixfold.config import SolveConfig, load_config

    flags: dict[str, Any] = {
        "n": n, "effort": effort, "plan": None if plan is None else "shared" if plan else "off", "select": select,
        "deadline_s": deadline, "seed": seed, "engine.spec": engine, "engine.model": model, "planner.spec": planner,
        "judge.spec": judge, "engine.speculate": speculate,
    }  # fmt: skip
    config = load_config(SolveConfig, recipe, overrides or (), flags).resolved()
    from sixfold.cli.run import Output, solve_command

    code = solve_command(question, config, Output(trace=trace, out=out, as_json=as_json, quiet=quiet))
    raise typer.Exit(code)


app.command("eval")(evaluate)
app.command()(compare)
app.command()(traces)
app.command()(sft)
app.command()(rl)
app.command()(export)
app.command()(runs)


@app.command()
def pull(
    spec: Annotated[str, typer.Argument(help="A name, hf:OWNER/REPO:FILE.gguf[@REVISION], or a path.")] = "",
    gguf_type: Annotated[str, typer.Option("--type", help="Q8_0, Q4_0 or F16.")] = "Q8_0",
    sha256: Annotated[str | None, typer.Option(help="What the GGUF file must have, in hexadecimal digits.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print only the path.")] = False,
) -> None:
    """Fetch a model, check it, and convert it for the embedded engine.

    Without a name: the embedded model, which is its base, fetched too, with an adapter of ours merged into it.
    """
    from sixfold.cli.screen import progress_bars
    from sixfold.config import home_dir
    from sixfold.engine import models

    with progress_bars(quiet) as report:
        model = models.pull(spec or models.DEFAULT, home=home_dir(), gguf_type=gguf_type, sha256=sha256, progress=report)
    typer.echo(model.path if quiet else f"{model.name}: {model.size_bytes / 2**20:.0f} MiB, {model.path}")


@app.command("models")
def models_command(
    remove: Annotated[str | None, typer.Option(metavar="NAME", help="Remove this model.")] = None,
    check: Annotated[bool, typer.Option("--check", help="Read every file again and compare its SHA-256.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the models that are here, with size and origin; or remove one."""
    from dataclasses import asdict

    from sixfold.config import home_dir
    from sixfold.engine import models

    if remove is not None:
        typer.echo(f"removed {remove}, {models.remove(remove, home_dir()) / 2**20:.0f} MiB free")
        return
    found = models.list_models(home_dir())
    if check:
        for model in found:
            models.verify(model)
    if as_json:
        typer.echo(json.dumps([asdict(m) for m in found], default=str))
        return
    if not found:
        typer.echo(f"no models in {home_dir() / 'models'}\n  next: sixfold pull", err=True)
        return
    from sixfold.cli.screen import print_rows

    rows = [(m.name, m.gguf_type, f"{m.size_bytes / 2**20:.0f} MiB", m.licence, m.origin) for m in found]
    print_rows(("name", "type", "size", "licence", "origin"), rows)


@app.command()
def doctor(
    engine: Annotated[str | None, typer.Option(help="Check this engine instead of the embedded one.")] = None,
    model: Annotated[str, typer.Option(help="The model's name there.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check the machine, the model and the engine, and say how to fix what is wrong."""
    from sixfold.cli.doctor import diagnose, show

    checks = diagnose(engine, model)
    if as_json:
        typer.echo(json.dumps([c._asdict() for c in checks]))
    else:
        show(checks)
    raise typer.Exit(0 if all(c.ok for c in checks) else 3)


@trace_app.command("show")
def trace_show(
    file: Annotated[Path, typer.Argument(help="A file written with --trace.")],
    only: Annotated[str | None, typer.Option("--id", help="Only the question with this id.")] = None,
    speed: Annotated[float | None, typer.Option(min=0.01, help="Play it as it happened, this many times as fast.")] = None,
) -> None:
    """Show what happened in a solve, from its trace."""
    from sixfold.cli.run import replay

    replay(file, only, speed)


@engine_app.command("probe")
def engine_probe(
    spec: Annotated[str, typer.Argument(metavar="URL", help="A URL, or as for `solve --engine`.", autocompletion=_ENGINES)],
    model: Annotated[str, typer.Option(help="The model's name there; without it the server's own.")] = "",
    key_file: Annotated[Path | None, typer.Option(help="A file that holds the key; else the environment has it.")] = None,
    need: Annotated[list[str] | None, typer.Option(help="Fail where this cannot be done; repeatable.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Find out what an endpoint really does, by asking it."""
    from sixfold.cli.run import probe_command

    probe_command(spec, model, key_file, need or (), as_json)


if __name__ == "__main__":
    main()
