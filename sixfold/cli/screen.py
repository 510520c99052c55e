"""What several commands print with: text made safe, progress bars, aligned rows, and the console on standard error."""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Table
from rich.text import Text

_HIDDEN = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\u061c\ufeff\u2028\u2029")


def safe(text: str) -> str:
    """Text that cannot move the cursor, colour the screen or turn the reading direction of what follows.

    >>> safe("a\\x1b[2Jb\\r\\u202ec\\td\\n")
    'a[2Jbc d\\n'
    """
    return "".join(
        " " if c == "\t" else c
        for c in text
        if c in "\n\t" or (c not in _HIDDEN and unicodedata.category(c) not in ("Cc", "Cs", "Co"))
    )


def for_stdout(text: str) -> str:
    """`text` for standard output: as it is where it is piped on, without control characters where it is a screen."""
    return safe(text) if sys.stdout.isatty() else text


def stderr_console() -> Console:
    """Standard error; not a screen where it is piped, where TERM is dumb, or where SIXFOLD_PLAIN is set."""
    console = Console(stderr=True, highlight=False, markup=False, emoji=False)
    if os.environ.get("SIXFOLD_PLAIN"):
        console = Console(stderr=True, highlight=False, markup=False, emoji=False, force_terminal=False)
    return console


def say(console: Console | None, line: str) -> None:
    """One line, wrapped at words on a screen and whole elsewhere; nothing where there is no console."""
    if console is not None:
        console.print(Text(safe(line)), soft_wrap=not console.is_terminal)


@contextmanager
def progress_bars(quiet: bool = False) -> Iterator[Callable[[str, int, int], None]]:
    """A bar for each stage that is reported (stage, bytes done, bytes in all or 0); lines where there is no screen."""
    console = stderr_console()
    columns = (
        TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(),
        TimeRemainingColumn(),
    )  # fmt: skip
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal) as progress:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = progress.add_task(stage, total=total or None)
                if not quiet and not console.is_terminal:
                    say(console, f"{stage} ({total / 2**20:.0f} MiB)" if total else stage)
            progress.update(tasks[stage], completed=done, total=total or None)

        yield report


@contextmanager
def count_bar(what: str, total: int, quiet: bool = False) -> Iterator[Callable[[str], None]]:
    """A bar over `total` steps with the time that is left; each call ends one and names it. Lines where there is no screen."""
    console = stderr_console()
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as progress:
        bar, done = progress.add_task(what, total=total), 0

        def advance(name: str) -> None:
            nonlocal done
            done += 1
            progress.update(bar, advance=1, description=f"{what} {safe(name)}")
            if not quiet and not console.is_terminal:
                say(console, f"{what} {done} of {total}: {name}")

        yield advance


@contextmanager
def waiting(console: Console | None, what: str) -> Iterator[None]:
    """A moving bar while something without a measure goes on; nothing where there is no screen."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=console, transient=True, disable=console is None or not console.is_terminal) as progress:
        progress.add_task(what, total=None)
        yield


def print_rows(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns on standard output, whole where it is not a screen."""
    console = Console(highlight=False, markup=False, emoji=False)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for i, name in enumerate(head):
        table.add_column(name, overflow="fold", no_wrap=i == 0)
    for row in rows:
        table.add_row(*(Text(safe(cell)) for cell in row))
    if not console.is_terminal:
        console.width = max(console.width, sum(max(map(len, column)) + 2 for column in zip(head, *rows, strict=True)) + 2)
    console.print(table)
