"""What `solve`, `trace show` and `engine probe` do once their flags are read.

Place: opens engines, runs `reason.solve` for one question or a file of them, and hands each event to its readers. It owns the
signals: Ctrl-C once lets the running questions answer with what they have, twice (or SIGTERM) ends everything.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from rich.console import Console

from sixfold.cli.screen import for_stdout, print_rows, safe, say, stderr_console, waiting
from sixfold.cli.view import LiveView, PlainView, View, one_line, results_table
from sixfold.config import EngineConfig, SolveConfig, home_dir
from sixfold.core import Event, Problem
from sixfold.engine.dialects import EngineRole
from sixfold.engine.open import open_engine, probe_engine
from sixfold.errors import ConfigError, SixfoldError
from sixfold.reason.solve import Engines, solve
from sixfold.trace import TraceWriter, append_line, check_question, counts, load_problems, open_results, read_trace, summarise

_TABLE_ROWS = 40


@dataclass(frozen=True, slots=True)
class Output:
    trace: Path | None = None
    out: Path | None = None
    as_json: bool = False
    quiet: bool = False


def solve_command(question: str, config: SolveConfig, output: Output) -> int:
    """Answer a question, standard input or a file; returns the exit code."""
    if question.endswith(".jsonl"):
        places = [path.resolve() for path in (Path(question), output.out, output.trace) if path is not None]
        if len(set(places)) < len(places):
            raise ConfigError("the questions, --out and --trace must be different files", hint="give another --out or --trace")
        return asyncio.run(_guarded(lambda stop: _solve_file(Path(question), config, output, stop)))
    if output.out is not None:
        raise ConfigError("--out is for a .jsonl file of questions", hint="use --json and redirect standard output")
    if question == "-":
        if sys.stdin is None:
            raise ConfigError("standard input is closed", hint="give the question as an argument")
        try:
            question = sys.stdin.buffer.read().decode("utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(
                f"standard input is not valid UTF-8 (byte {error.start})", hint="convert it, for example with iconv"
            ) from error
    problem = Problem("question", check_question(question))
    if config.select == "verifier":
        raise ConfigError(
            "a plain question carries no check", hint="use --select auto, or a .jsonl file whose rows name a verifier"
        )
    return asyncio.run(_guarded(lambda stop: _solve_one(problem, config, output, stop)))


async def _guarded(work: Callable[[asyncio.Event], Any]) -> int:
    """Run `work` with the signals set: its exit code, or 130 and 143 where it was ended."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()
    task = asyncio.ensure_future(work(stop))
    code = 0

    def end(by: int) -> None:
        nonlocal code
        code = by
        task.cancel()

    def interrupt() -> None:
        if stop.is_set():
            end(130)
        else:
            stop.set()
            print("\nfinishing with what is there; Ctrl-C again quits", file=sys.stderr)

    loop.add_signal_handler(signal.SIGINT, interrupt)
    loop.add_signal_handler(signal.SIGTERM, lambda: end(143))
    try:
        return int(await task)
    except asyncio.CancelledError:
        return code or 130
    finally:
        loop.remove_signal_handler(signal.SIGINT)
        loop.remove_signal_handler(signal.SIGTERM)


@asynccontextmanager
async def open_engines(config: SolveConfig, console: Console | None) -> AsyncIterator[Engines]:
    """The engines of a run, closed at the end. Planner and judge with the solver's own settings share it."""
    slots = (config.n or 1) * config.concurrency
    async with AsyncExitStack() as stack:

        async def engine(wanted: EngineConfig | None, role: EngineRole, needs: Sequence[str] = ()) -> Any:
            if wanted is None or (wanted == config.engine and role != "engine"):
                return None
            with _loading(wanted, console):
                opened = await open_engine(wanted, slots=slots, home=home_dir(), needs=needs, role=role)
            stack.push_async_callback(opened.aclose)
            return opened

        needs = ["logprobs"] if config.logprobs or config.select == "confidence" else []
        solver = await engine(config.engine, "engine", needs)
        yield Engines(solver, await engine(config.planner, "planner"), await engine(config.judge, "judge"))


@contextmanager
def _loading(wanted: EngineConfig, console: Console | None) -> Iterator[None]:
    what = f"loading {wanted.model or 'the embedded model'}" if wanted.spec == "embedded" else f"asking {wanted.spec}"
    begun = time.monotonic()
    with waiting(console, what):
        yield
    say(console, f"{what}: ready after {time.monotonic() - begun:.1f} s")


@contextmanager
def _view(console: Console | None) -> Iterator[list[View]]:
    """Who shows one solve: a live screen where there is one, else lines, or nobody where `console` is `None`."""
    if console is not None and console.is_terminal:
        with LiveView(console) as view:
            yield [view]
    else:
        yield [] if console is None else [PlainView(console)]


async def _events(
    problem: Problem, config: SolveConfig, engines: Engines, stop: asyncio.Event, readers: Sequence[View]
) -> dict[str, Any]:
    """Run one solve, show every event to the readers, and return what it adds up to."""
    events: list[Event] = []
    async with aclosing(solve(problem, config, engines, answer_now=stop)) as stream:
        async for event in stream:
            for reader in readers:
                reader(event)
            if event.kind not in ("attempt_text", "plan_text"):
                events.append(event)
    return summarise(events, problem)


async def _solve_one(problem: Problem, config: SolveConfig, output: Output, stop: asyncio.Event) -> int:
    console = None if output.quiet else stderr_console()
    writer = TraceWriter(output.trace) if output.trace else None
    try:
        async with open_engines(config, console) as engines:
            with _view(console) as readers:
                result = await _events(problem, config, engines, stop, [*readers, *([writer.write] if writer else [])])
    finally:
        if writer:
            writer.close()
    _print_result(result, output)
    return _code(result, output.quiet)


def _print_result(result: dict[str, Any], output: Output) -> None:
    if output.as_json:
        _print(json.dumps(result, ensure_ascii=False))
    elif result["answer"] is not None:
        _print(result["answer"])


def _code(result: dict[str, Any], quiet: bool) -> int:
    if result["answer"] is not None:
        return 0
    if quiet:
        print(safe(f"error: {result['error']}\n  next: {result.get('hint', '')}"), file=sys.stderr)
    return int(result.get("code", 4))


async def _solve_file(path: Path, config: SolveConfig, output: Output, stop: asyncio.Event) -> int:
    """Answer every question of a file; results are appended as they come, so that a killed run goes on."""
    console = None if output.quiet else stderr_console()
    problems, bad = load_problems(path)
    for number, why in bad:
        print(safe(f"{path}, line {number}: {why}; left out"), file=sys.stderr)
    if not problems:
        raise ConfigError(f"{path} has no question that can be asked", hint='lines such as {"question": "What is 2 + 2?"}')
    results: list[dict[str, Any]] = []
    with ExitStack() as files:
        writer = files.enter_context(closing(TraceWriter(output.trace))) if output.trace else None
        async with open_engines(config, console) as engines:
            fingerprint, out = _fingerprint(config, engines), None
            done: dict[str, dict[str, Any]] = {}
            if output.out:
                out, done = open_results(output.out, fingerprint)
                files.enter_context(out)
            before = [done[p.id] for _, p in problems if p.id in done and done[p.id].get("question") == p.question]
            known = {record["id"] for record in before}
            remaining = [(line, p) for line, p in problems if p.id not in known]
            if before:
                say(console, f"{len(before)} of {len(problems)} questions are in {output.out} already")

            def keep(result: dict[str, Any]) -> None:
                result["fingerprint"] = fingerprint
                results.append(result)
                _keep(result, output, out)

            await _work_off(remaining, config, stop, engines, writer, keep, console)
    everything = [*before, *results]
    if console:
        if 0 < len(everything) <= _TABLE_ROWS:
            console.print(results_table(everything, console.width))
        say(console, _sums(everything, len(problems), len(bad)))
    if len(everything) < len(problems):
        return 130
    codes = {int(r.get("code", 4)) for r in everything if r["answer"] is None} | ({2} if bad else set())
    return next((code for code in (1, 3, 4, 2) if code in codes), max(codes, default=0))


def _sums(results: Sequence[dict[str, Any]], asked: int, bad: int) -> str:
    """The last line of a file's run."""
    sums = counts(results)
    parts = [f"{sums['answered']} of {sums['all']} answered"]
    for part, whole, what in (("right", "known", "right"), ("leaks", "plans", "plans gave the answer away"),
                              ("flips", "pairs", "judgements flipped with the order")):  # fmt: skip
        if sums[whole]:
            parts.append(f"{sums[part]} of {sums[whole]} {what}")
    if len(results) < asked:
        parts.append(f"{asked - len(results)} not begun")
    if bad:
        parts.append(f"{bad} bad lines")
    return ", ".join(parts)


async def _work_off(
    remaining: Sequence[tuple[int, Problem]], config: SolveConfig, stop: asyncio.Event, engines: Engines,
    writer: TraceWriter | None, keep: Callable[[dict[str, Any]], None], console: Console | None,
) -> None:  # fmt: skip
    """`config.concurrency` workers take questions in order until none is left or Ctrl-C came."""
    alone = config.concurrency == 1
    queue = iter(remaining)

    async def worker() -> None:
        for line, problem in queue:
            if stop.is_set():
                return
            if console and alone:
                console.rule(one_line(problem.id, 60), align="left", style="dim")
            with _view(console if alone else None) as readers:
                if writer:
                    readers.append(partial(writer.write, solve=problem.id))
                result = await _events(problem, config, engines, stop, readers)
            keep(result | {"line": line})
            if not alone:
                say(console, f"line {line}, {problem.id}: {result['answer'] or 'no answer: ' + str(result['error'])}")

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(config.concurrency):
                group.create_task(worker())
    except* (SixfoldError, BrokenPipeError) as errors:
        raise errors.exceptions[0] from None


def _keep(result: dict[str, Any], output: Output, out: BinaryIO | None) -> None:
    """Append a result to its file, or print it."""
    if out is not None:
        try:
            append_line(out, result)
        except OSError as error:
            raise ConfigError(f"{output.out} cannot be written: {error.strerror}", hint="give another --out") from error
    if output.as_json:
        _print(json.dumps(result, ensure_ascii=False))
    elif out is None:
        _print(f"{result['id']}\t{' '.join((result['answer'] or '').split())}")


def _print(line: str) -> None:
    """One line on standard output. Whoever reads may have left, which is not an error of ours; a full disk is said so."""
    try:
        print(for_stdout(line), flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise ConfigError(f"standard output cannot be written: {error.strerror}", hint="free some disk") from error


def _fingerprint(config: SolveConfig, engines: Engines) -> str:
    """Twelve digits that say whether two runs are the same: settings that change answers, and the models."""
    settings = config.model_dump(mode="json", exclude={"efforts", "effort", "concurrency"})
    for name in ("engine", "planner", "judge"):
        for key in ("port", "threads", "key_file", "idle_timeout_s"):
            (settings[name] or {}).pop(key, None)
    models = [e.info.model for e in (engines.solver, engines.planner, engines.judge) if e]
    return hashlib.sha256(json.dumps([settings, models], sort_keys=True).encode()).hexdigest()[:12]


def replay(path: Path, only: str | None, speed: float | None) -> None:
    """Show a trace: as lines, or as it happened."""
    console = Console(highlight=False, markup=False, emoji=False)
    shown = 0
    last = ""
    with ExitStack() as stack:
        view: View = PlainView(console)
        if speed is not None and console.is_terminal:
            view = stack.enter_context(LiveView(console))
        at_s = 0.0
        for name, event in read_trace(path):
            if only is not None and name != only:
                continue
            if speed is not None:
                time.sleep(max(0.0, event.at_s - at_s) / speed)
            at_s = event.at_s
            if name != last:
                console.rule(one_line(name, 60), align="left")
                last = name
            view(event)
            shown += 1
            if event.kind == "chosen":
                say(console, f"answer: {event.text}")
    if not shown:
        what = f"nothing with the id {only!r}" if only is not None else "no events"
        raise ConfigError(f"{path} has {what}", hint="leave --id away, or give a file written with --trace")


def probe_command(spec: str, model: str, key_file: Path | None, needs: Sequence[str], as_json: bool) -> None:
    """Probe an endpoint and print what it can do, with what was seen; raises where something needed is missing."""
    from sixfold.engine.probe import require, rows_of, to_json

    config = EngineConfig(spec=spec, model=model, key_file=key_file)
    report = asyncio.run(probe_engine(config, home=home_dir()))
    if as_json:
        print(json.dumps(to_json(report), ensure_ascii=False))
    else:
        print_rows(("capability", "", "what was seen"), rows_of(report))
    require(report, needs)
