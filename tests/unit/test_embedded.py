"""The embedded engine without a model: how its child is started, given up, read and ended."""

from __future__ import annotations

import asyncio
import collections
import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from sixfold.engine import llamacpp
from sixfold.engine.llamacpp import LlamaCppEngine, Settings, cores
from sixfold.engine.scripted import ScriptedEngine
from sixfold.errors import EngineError


@dataclass
class FakeProcess:
    pid: int = 0
    returncode: int | None = None

    async def wait(self) -> int | None:
        return self.returncode


class Machine:
    """A clock that only sleeping moves, and an engine whose children are made by nobody. Those in `broken` do not start."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now_s = 1000.0
        self.slept: list[float] = []
        self.spawned = 0
        self.broken = False
        self.starting = asyncio.Event()
        self.starting.set()
        self.engine = LlamaCppEngine(Settings("model.gguf", slots=1))
        monkeypatch.setattr(self.engine, "_spawn", self.spawn)
        monkeypatch.setattr(llamacpp.time, "monotonic", lambda: self.now_s)
        monkeypatch.setattr(llamacpp.asyncio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now_s += seconds

    async def spawn(self) -> llamacpp._Child:
        self.spawned += 1
        await self.starting.wait()
        if self.broken:
            raise EngineError(f"start {self.spawned} failed", kind="died")
        log = collections.deque([f"child {self.spawned}"])
        return llamacpp._Child(FakeProcess(), ScriptedEngine(["a"]), log)  # type: ignore[arg-type]

    async def start_and_die(self) -> None:
        await self.engine.start()
        assert self.engine._child
        self.engine._child.process.returncode = -9  # type: ignore[misc]

    async def refusal(self) -> EngineError:
        with pytest.raises(EngineError) as caught:
            await self.engine.start()
        return caught.value


@pytest.fixture
async def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(monkeypatch)


async def test_a_child_that_runs_is_left_alone(machine: Machine) -> None:
    for _ in range(9):
        await machine.engine.start()
    assert (machine.spawned, machine.engine.restarts, machine.slept) == (1, 0, [])


async def test_a_child_that_keeps_dying_is_given_up_until_the_window_has_passed(machine: Machine) -> None:
    for _ in range(5):
        await machine.start_and_die()
    assert machine.slept == [0.1, 0.2, 0.4, 0.8]
    for _ in range(9):
        error = await machine.refusal()
        assert "died 5 times within a minute; it last said: child 5" in str(error)
        assert (error.kind, error.retryable) == ("died", False)
        assert "doctor" in error.hint
        machine.now_s += 1
    assert (machine.spawned, machine.engine.restarts) == (5, 5)
    machine.now_s += 60
    await machine.start_and_die()
    assert machine.spawned == 6


async def test_deaths_far_apart_are_no_reason_to_give_up(machine: Machine) -> None:
    for _ in range(20):
        await machine.start_and_die()
        machine.now_s += 20
    assert machine.engine.restarts == 19


async def test_a_start_that_fails_is_a_death_too(machine: Machine) -> None:
    machine.broken = True
    said = [str(await machine.refusal()) for _ in range(9)]
    assert said[:5] == [f"start {i} failed" for i in range(1, 6)]
    assert all("died 5 times within a minute; it last said: start 5 failed" in text for text in said[5:])
    assert machine.spawned == 5
    machine.broken = False
    machine.now_s += 60
    await machine.engine.start()
    assert machine.spawned == 6


async def test_who_waits_for_a_start_that_fails_does_not_try_again(machine: Machine) -> None:
    machine.broken = True
    for tries in (1, 2):
        machine.starting.clear()
        waiting = [asyncio.create_task(machine.refusal()) for _ in range(8)]
        while machine.spawned < tries:
            await asyncio.get_running_loop().run_in_executor(None, int)
        machine.starting.set()
        assert {str(error) for error in await asyncio.gather(*waiting)} == {f"start {tries} failed"}
        assert machine.spawned == tries


async def test_a_child_that_cannot_be_made_is_an_engine_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(EngineError, match="cannot be started") as caught:
        await LlamaCppEngine(Settings("model.gguf")).start()
    assert caught.value.kind == "died"
    assert caught.value.hint


@pytest.mark.parametrize(
    ("port", "line", "said"),
    [
        (8080, "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 8080", "cannot listen on port 8080"),
        (8080, "unsupported architecture, see the report", "could not load"),
        (0, "couldn't bind HTTP server socket, hostname: 127.0.0.1, port: 0", "could not load"),
    ],
)
def test_a_port_in_use_is_told_from_a_bad_model(port: int, line: str, said: str) -> None:
    engine = LlamaCppEngine(Settings("/m.gguf", port=port))
    log = [line, "exiting due to HTTP server error", "and", "so", "on"]
    assert said in str(engine._start_failure(log))


def test_the_models_path_holds_in_every_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    settings = LlamaCppEngine(Settings("a.gguf", draft_path="b.gguf", lora_path="c.gguf")).settings
    paths = [settings.model_path, settings.draft_path, settings.lora_path]
    assert paths == [str(tmp_path / f"{name}.gguf") for name in "abc"]
    settings = LlamaCppEngine(Settings("a.gguf")).settings
    assert settings.draft_path == settings.lora_path == ""


@pytest.mark.parametrize(
    ("quota", "count"),
    [
        ("max 100000", 6),
        ("400000 100000", 4),
        ("250000 100000", 2),
        ("50000 100000", 1),
        ("900000 100000", 6),
        (None, 6),
        ("", 6),
    ],
)
def test_cores_are_those_that_may_be_used(
    quota: str | None, count: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if quota is not None:
        (tmp_path / "cpu.max").write_text(quota)
    monkeypatch.setattr(llamacpp, "_CPU_MAX", tmp_path / "cpu.max")
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(6)), raising=False)
    assert cores() == count
    assert LlamaCppEngine(Settings("m")).settings.threads == count
    assert LlamaCppEngine(Settings("m", threads=3)).settings.threads == 3


async def test_a_log_is_read_on_after_a_line_that_is_too_long() -> None:
    stream, log = asyncio.StreamReader(limit=64), collections.deque[str]()
    reading = asyncio.create_task(llamacpp._drain(stream, log))
    for line in (b"before\n", b"x" * 1000, b"y" * 1000 + b"\n", b"after\n"):
        stream.feed_data(line)
        await asyncio.sleep(0)
    stream.feed_eof()
    await asyncio.wait_for(reading, 5)
    assert (log[0], log[-1]) == ("before", "after")


_FAKE_LLAMA_CPP = """
import ctypes
from unittest.mock import MagicMock as CommonParams

def Server(params):
    print("loading", flush=True)
    ctypes.PyDLL(None).sleep(600)  # like the real one, without giving up the interpreter's lock
"""


async def start_child(folder: Path) -> asyncio.subprocess.Process:
    (folder / "xllamacpp.py").write_text(_FAKE_LLAMA_CPP)
    path = os.pathsep.join((str(folder), str(Path(llamacpp.__file__).parents[2])))
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "sixfold.engine.child", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": path}, cwd=folder,
    )  # fmt: skip


SETTINGS = {
    "model_path": "m", "alias": "a", "slots": 1, "context_tokens": 256, "threads": 1, "port": 0, "speculate": "off",
    "draft_path": "", "cache_mib": 16, "lora_path": "", "key": "k",
}  # fmt: skip


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the parent's end is seen after loading")
@pytest.mark.parametrize("early", [False, True], ids=["while it loads", "before it loads"])
async def test_a_child_that_loads_ends_with_its_parent(tmp_path: Path, early: bool) -> None:
    child = await start_child(tmp_path)
    assert child.stdin
    assert child.stdout
    try:
        child.stdin.write(json.dumps(SETTINGS).encode() + b"\n")
        await child.stdin.drain()
        if not early:
            assert await child.stdout.readline() == b"loading\n"
        child.stdin.close()
        assert await asyncio.wait_for(child.wait(), 30) in (0, -signal.SIGIO)
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
