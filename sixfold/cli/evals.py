"""What `eval` and `compare` do once their flags are read.

Place: opens the engines and the judge, runs `evals.run`, shows how far it is on standard error, and prints the report on
standard output. Ctrl-C once finishes the samples that are running and reports what is there; the same command goes on later.
Ends with 0, 2 (input), 3 (the engine, or samples it failed), 6 (a task), 130.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from sixfold.cli.run import _guarded, open_engines
from sixfold.cli.screen import print_rows, safe, say, stderr_console
from sixfold.config import EvalConfig
from sixfold.core import Task
from sixfold.data.decontaminate import contamination_line
from sixfold.errors import ConfigError, EngineError
from sixfold.evals.compare import compare_runs, write_comparison
from sixfold.evals.folder import CONFIG, note_contamination, read_config
from sixfold.evals.lm_eval import export_lm_eval
from sixfold.evals.page import COMPARISON_HEAD, REPORT_HEAD, comparison_notes, comparison_rows, report_rows, who
from sixfold.evals.report import summarise_run, write_report
from sixfold.evals.run import Progress as Reached
from sixfold.evals.run import run_eval

EXPORTS: Mapping[str, Callable[[Path], list[Path]]] = {"lm-eval": export_lm_eval}
_LINE_EVERY_S = 30.0
"""How often progress is said where there is no screen."""


@dataclass(frozen=True, slots=True)
class EvalOutput:
    """`folder` is the run's; without it a new one below `runs/`. `export` are names in `EXPORTS`."""

    folder: Path | None = None
    export: Sequence[str] = ()
    as_json: bool = False
    quiet: bool = False
    picture: bool = True


def eval_command(config: EvalConfig, output: EvalOutput) -> int:
    """Evaluate, or go on with a folder, or report again on one where no task is named; returns the exit code."""
    for name in output.export:
        if name not in EXPORTS:
            raise ConfigError(f"there is no export {name!r}", hint=f"use {', '.join(EXPORTS)}")
    if not config.tasks and output.folder is not None:
        if not (output.folder / CONFIG).is_file():
            raise ConfigError(
                f"no task was named, and {output.folder} is no run to report on",
                hint="name a task, or give the folder of a run with --out",
            )
        asked = [str(t["name"]) for t in read_config(output.folder)["tasks"]]
        if config.decontamination is not None:
            note_contamination(output.folder, contamination_line(config.decontamination, asked))
        return _report(output.folder, output)
    from sixfold.tasks.catalog import find_tasks

    tasks = find_tasks(config.tasks)
    folder = output.folder or Path("runs") / time.strftime("eval-%Y%m%d-%H%M%S")
    return asyncio.run(_guarded(lambda stop: _evaluate(config, tasks, folder, output, stop)))


async def _evaluate(config: EvalConfig, tasks: Sequence[Task], folder: Path, output: EvalOutput, stop: asyncio.Event) -> int:
    from sixfold.verify.verifiers import Judge

    console = None if output.quiet else stderr_console()
    say(console, f"run folder: {folder}")
    try:
        with Judge(workers=2, allow_unsafe_code=config.allow_unsafe_code) as judge:
            async with open_engines(config.solve, console) as engines:
                with _progress(console) as show:
                    await run_eval(config, tasks, engines, judge, folder, stop, show)
    except EngineError:
        if (folder / CONFIG).is_file():
            write_report(folder, output.picture)
            say(console, f"what was finished is in {folder}")
        raise
    return _report(folder, output, interrupted=stop.is_set())


def _report(folder: Path, output: EvalOutput, interrupted: bool = False) -> int:
    """Write and print the report, and export; the exit code says what is missing. A folder that cannot be written has its
    numbers printed too."""
    report, files, failure = summarise_run(folder), list[Path](), None
    try:
        write_report(folder, output.picture, report)
        files = [file for name in output.export for file in EXPORTS[name](folder)]
    except ConfigError as error:
        failure = error
    console = None if output.quiet else stderr_console()
    if output.as_json:
        print(json.dumps(report, ensure_ascii=False))
    else:
        print(safe(who(report)))
        print_rows(REPORT_HEAD, report_rows(report))
    for note in [*report["notes"], report["contamination"]]:
        say(console, note)
    if failure is not None:
        raise failure
    for file in files:
        say(console, f"exported {file}")
    say(console, f"report: {folder / 'report.md'}")
    if report["failed"]:
        return EngineError.exit_code
    return 130 if interrupted and not report["complete"] else 0


@contextmanager
def _progress(console: Console | None) -> Iterator[Callable[[Reached], None]]:
    """A bar with the accuracy so far and the time that is left; without a screen a line now and then."""
    columns = (
        TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(),
        TextColumn("{task.fields[left]}", markup=False),
    )  # fmt: skip
    live = console is not None and console.is_terminal
    with Progress(*columns, console=console or Console(stderr=True), transient=True, disable=not live) as bars:
        bar, said_at = bars.add_task("", total=None, left=""), time.monotonic()

        def show(reached: Reached) -> None:
            nonlocal said_at
            what = safe(f"{reached.task} {accuracy_so_far(reached)}")
            left = "" if reached.eta_s is None else f"{duration(reached.eta_s)} left"
            failed = f", {reached.failed} failed" if reached.failed else ""
            bars.update(bar, description=what, total=reached.total, completed=reached.done, left=left + failed)
            last = reached.done == reached.total
            if console is not None and not live and (last or time.monotonic() - said_at >= _LINE_EVERY_S):
                said_at = time.monotonic()
                say(console, f"{reached.done} of {reached.total} samples, {what}{', ' if left else ''}{left}{failed}")

        yield show


def accuracy_so_far(reached: Reached) -> str:
    """
    >>> accuracy_so_far(Reached(5, 9, 0, "math/gcd", 1, 4, 2.0, None))
    '1 of 4 right (25 %)'
    """
    if not reached.judged:
        return ""
    return f"{reached.right} of {reached.judged} right ({100 * reached.right / reached.judged:.0f} %)"


def duration(seconds: float) -> str:
    """
    >>> duration(45), duration(125), duration(7380)
    ('45 s', '2 min', '2 h 3 min')
    """
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def compare_command(a: Path, b: Path, out: Path | None, as_json: bool) -> int:
    """Print the paired difference of two run folders, and write it with a picture where `out` is given."""
    comparison: dict[str, Any] = compare_runs(a, b)
    if out is not None:
        write_comparison(comparison, out)
    if as_json:
        print(json.dumps(comparison, ensure_ascii=False))
        return 0
    console = stderr_console()
    for note in comparison_notes(comparison):
        say(console, note)
    print_rows(COMPARISON_HEAD, comparison_rows(comparison))
    if out is not None:
        say(console, f"comparison: {out / 'compare.md'}")
    return 0
