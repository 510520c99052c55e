"""What `traces` does once its flags are read: a recipe's rows to a file, or an engine's right answers to its problems.

Place: `train.py` calls it. What rows there are is in `sixfold.train.sft` and `sixfold.data.sampled`; here are the file, which
is whole or not there, the engine, Ctrl-C, and how far it is. Results go to standard output, everything else to standard error.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path

from sixfold.cli.run import _guarded, _loading
from sixfold.cli.screen import say, stderr_console
from sixfold.config import home_dir
from sixfold.core import Problem, Sampling
from sixfold.data.rows import Row, read_rows
from sixfold.errors import ConfigError, EngineError
from sixfold.train.recipe import Recipe

_EVERY_S = 30.0
"""How often it is said how far the sampling is."""
_PREFERRED = ("problems", "asked", "right", "kept", "never right", "unscored", "failed", "failed problems", "asked before")


def traces_command(recipe: Recipe, out: Path, limit: int | None) -> None:
    """Write the rows of a recipe; the file is whole or not there."""
    from sixfold.train.sft import recipe_rows
    from sixfold.verify.verifiers import Judge

    skipped = Counter[str]()
    with _whole(out) as write, Judge() as judge:
        rows = write(islice(recipe_rows(recipe, judge, lambda why: skipped.update([why])), limit))
    _told(skipped)
    print(f"{out}: {rows} rows")


def sample_command(recipe: Recipe, out: Path, limit: int | None) -> int:
    """Let an engine answer the recipe's problems, and write what is right; returns the exit code. What was asked is kept in the
    folder `OUT.sampling`, so that the same command goes on where it was ended."""
    return asyncio.run(_guarded(lambda stop: _sample(recipe, out, limit, stop)))


async def _sample(recipe: Recipe, out: Path, limit: int | None, stop: asyncio.Event) -> int:
    from sixfold.data.filters import english, filtered, repetition
    from sixfold.data.sampled import ROWS, SampleConfig, sample_rows
    from sixfold.data.traces import problems_in_turn
    from sixfold.engine.open import open_engine
    from sixfold.evals.run import weights_of
    from sixfold.train.sft import recipe_cells
    from sixfold.verify.verifiers import Judge

    asked, console = recipe.sample, stderr_console()
    cells = recipe_cells(recipe)
    if not cells:
        raise ConfigError("the recipe has no problems to sample", hint="set traces.tasks and traces.rows")
    wanted = min(sum(cells.values()), limit or sum(cells.values()))
    config = SampleConfig(
        asked.attempts, asked.keep, asked.alike, Sampling(asked.max_tokens, asked.temperature, 1.0), recipe.seed,
        asked.concurrency,
    )  # fmt: skip
    folder = out.with_name(out.name + ".sampling")
    said_at, exhausted = time.monotonic(), Counter[str]()

    def progress(counts: Counter[str]) -> None:
        nonlocal said_at
        if time.monotonic() - said_at >= _EVERY_S:
            said_at = time.monotonic()
            say(console, f"{counts['problems']} of {wanted} problems, {_shown(counts)}")

    def problems() -> Iterator[Problem]:
        for problem in islice(problems_in_turn(cells, recipe.seed, skip=lambda why: exhausted.update([why])), wanted):
            if stop.is_set():
                return
            yield problem

    # The judge first: its workers must not inherit what the engine opens.
    with Judge(workers=2) as judge:
        with _loading(asked.engine, console):
            engine = await open_engine(asked.engine, slots=asked.attempts * asked.concurrency, home=home_dir())
        try:
            counts = await sample_rows(problems(), engine, judge, folder, config, progress, weights_of(engine, asked.engine))
        except EngineError as error:
            if folder.is_dir():
                say(console, f"what was sampled is in {folder}; the same command goes on")
            raise error
        finally:
            await engine.aclose()
    if stop.is_set():
        say(console, f"{counts['problems']} of {wanted} problems are done; the same command goes on")
        return 130
    passed, left_out = Counter[str](), exhausted
    with _whole(out) as write:
        rows = write(filtered(read_rows(folder / ROWS), [english(), repetition()], passed))
    left_out.update({what: count for what, count in passed.items() if ": " in what})
    _told(left_out)
    say(console, _shown(counts))
    print(f"{out}: {rows} rows of {counts['problems']} problems")
    if counts["failed problems"]:
        say(console, f"the engine failed at {counts['failed problems']} problems; the same command asks them again")
        return EngineError.exit_code
    return 0


def _shown(counts: Counter[str]) -> str:
    return ", ".join(f"{counts[what]} {what}" for what in _PREFERRED[1:] if counts[what])


def _told(left_out: Counter[str]) -> None:
    for why, count in left_out.most_common():
        say(stderr_console(), f"left out: {why}" + (f" ({count} times)" if count > 1 else ""))


@contextmanager
def _whole(out: Path) -> Iterator[Callable[[Iterable[Row]], int]]:
    """Gives what writes rows as JSON lines and says how many; the file appears when the block ends well."""
    partial = out.with_name(out.name + ".partial")

    def write(rows: Iterable[Row]) -> int:
        return sum(bool(file.write(json.dumps(row, ensure_ascii=False) + "\n")) for row in rows)

    try:
        with partial.open("w", encoding="utf-8") as file:
            yield write
        partial.replace(out)
    except OSError as error:
        raise ConfigError(f"{out} cannot be written: {error.strerror}", hint="give another --out") from error
    finally:
        partial.unlink(missing_ok=True)
