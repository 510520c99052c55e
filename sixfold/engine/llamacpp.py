"""The embedded engine: llama.cpp in a child process that is watched, restarted, and never outlives us.

Place: `open_llamacpp` starts the child and gives an engine that speaks to it through the same adapter as any remote
endpoint. A dead child is restarted at the next request, a few times a minute; what was in flight raises a retryable
`EngineError`, and the caller decides what to do with the text it already has.
"""

from __future__ import annotations

import asyncio
import collections
import json
import os
import re
import secrets
import signal
import sys
import time
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from sixfold.core import Chunk, EngineInfo, Request
from sixfold.engine.dialects import DIALECTS
from sixfold.engine.remote import RemoteEngine
from sixfold.errors import ConfigError, EngineError

SPECULATE = ("off", "ngram-simple", "ngram-mod", "ngram-cache", "draft:MODEL")
_CAN = frozenset({"n", "seed", "json_schema", "logprobs", "prefill", "cancel", "exact_usage", "speculation"})
MAX_SLOTS = 256
"""llama.cpp's LLAMA_MAX_SEQ."""
_DEATHS = 5
_DEATHS_WINDOW_S = 60.0
_START_TIMEOUT_S = 120.0
_HEALTH_TIMEOUT_S = 5.0
_CPU_MAX = Path("/sys/fs/cgroup/cpu.max")
_NO_PORT = re.compile(r"\b(?:bind|listen)\b")


@dataclass(frozen=True, slots=True)
class Settings:
    """What a child is started with. `context_tokens` is per slot; `threads` 0 means every core it may use; `port` 0
    any free one; `speculate` is one of `SPECULATE` with `draft:MODEL` split into `draft` and `draft_path`; `lora_path` is an
    adapter as GGUF, empty for none."""

    model_path: str
    alias: str = "embedded"
    slots: int = 4
    context_tokens: int = 2048
    threads: int = 0
    port: int = 0
    speculate: str = "off"
    draft_path: str = ""
    cache_mib: int = 256
    lora_path: str = ""


def cores() -> int:
    """How many cores this process may use: its affinity, and the quota of its container (cgroup v2) where that is less."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # No such file, or the word "max": no quota.
    with suppress(OSError, ValueError):
        quota_us, period_us = _CPU_MAX.read_text().split()
        count = min(count, max(1, int(quota_us) // int(period_us)))
    return count


def check_speculate(text: str) -> tuple[str, str]:
    """Split a `--speculate` value into a kind and a draft model.

    >>> check_speculate("draft:tiny")
    ('draft', 'tiny')
    """
    kind, _, model = text.partition(":")
    if text in SPECULATE[:-1] or (kind == "draft" and model):
        return kind, model
    raise ConfigError(f"unknown speculation {text!r}", hint=f"use one of {', '.join(SPECULATE)}")


@dataclass(slots=True)
class _Child:
    process: asyncio.subprocess.Process
    remote: RemoteEngine
    log: collections.deque[str]
    readers: list[asyncio.Task[None]] = field(default_factory=list)


class LlamaCppEngine:
    """Use `open_llamacpp`. `pid` and `url` are those of the present child; `restarts` counts the ones that died."""

    def __init__(self, settings: Settings, idle_timeout_s: float = 120.0) -> None:
        # Absolute, since the child runs in another folder.
        paths = {name: getattr(settings, name) for name in ("model_path", "draft_path", "lora_path")}
        paths = {name: str(Path(path).absolute()) if path else "" for name, path in paths.items()}
        self.settings = replace(settings, **paths, threads=settings.threads or cores())
        self.idle_timeout_s = idle_timeout_s
        self.info = EngineInfo("embedded", settings.alias, settings.context_tokens, _CAN, shares_prompt=True)
        self.restarts = 0
        self._key = secrets.token_urlsafe(24)
        self._child: _Child | None = None
        self._lock = asyncio.Lock()
        self._deaths: collections.deque[float] = collections.deque()
        self._last_words = ""
        self._failure: EngineError | None = None
        self._retired: list[RemoteEngine] = []

    @property
    def pid(self) -> int | None:
        return self._child.process.pid if self._child else None

    @property
    def remote(self) -> RemoteEngine:
        """The adapter to the present child, for reading its `/slots` and `/metrics`."""
        if self._child is None:
            raise EngineError("the embedded engine is not running", kind="died", hint="open it first")
        return self._child.remote

    async def start(self) -> None:
        """Start the child, or restart it where it died. Raises `EngineError` where it does not start, and while it has died
        too often of late; a start that fails is a death too."""
        known = self._failure
        async with self._lock:
            if self._child and self._child.process.returncode is None:
                return
            # Somebody tried while this one waited: one try is enough for both.
            if self._failure is not None and self._failure is not known:
                raise self._failure
            if self._child:
                said = _tail(list(self._child.log))
                await self._drop()
                self.restarts += 1
                self._note_death(said)
            await self._pause()
            try:
                self._child = await self._spawn()
            except EngineError as error:
                self._failure = error
                self._note_death(str(error.args[0]))
                raise
            self._failure = None

    def _note_death(self, said: str) -> None:
        self._deaths.append(time.monotonic())
        self._last_words = said

    async def _pause(self) -> None:
        """Wait before a start, longer after each death of late; raises `EngineError` where there were too many."""
        while self._deaths and time.monotonic() - self._deaths[0] >= _DEATHS_WINDOW_S:
            self._deaths.popleft()
        if len(self._deaths) >= _DEATHS:
            raise EngineError(
                f"the embedded engine died {len(self._deaths)} times within a minute; it last said: {self._last_words}",
                kind="died", hint="run `sixfold doctor`; less context or fewer candidates need less memory",
            )  # fmt: skip
        if self._deaths:
            await asyncio.sleep(0.1 * 2 ** (len(self._deaths) - 1))

    async def _spawn(self) -> _Child:
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "sixfold.engine.child",
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
                start_new_session=True, env=_environment(), cwd="/",
            )  # fmt: skip
        except OSError as error:
            raise EngineError(
                f"the embedded engine cannot be started: {error}", kind="died",
                hint="run `sixfold doctor`; the machine may be out of memory or of processes",
            ) from error  # fmt: skip
        assert process.stdin
        assert process.stdout
        assert process.stderr
        log: collections.deque[str] = collections.deque(maxlen=40)
        readers = [asyncio.create_task(_drain(process.stderr, log))]
        try:
            process.stdin.write(json.dumps(asdict(self.settings) | {"key": self._key}).encode() + b"\n")
            with suppress(ConnectionError):
                await process.stdin.drain()
            async with asyncio.timeout(_START_TIMEOUT_S):
                address = (await process.stdout.readline()).decode().strip()
            if not address:
                await asyncio.wait(readers, timeout=1.0)
                raise self._start_failure(list(log))
        except BaseException as error:
            _kill(process)
            await process.wait()
            if isinstance(error, TimeoutError):
                raise EngineError(
                    f"the embedded engine did not start within {_START_TIMEOUT_S:.0f} s: {_tail(list(log))}",
                    kind="died", hint="run `sixfold doctor`",
                ) from error  # fmt: skip
            raise
        readers.append(asyncio.create_task(_drain(process.stdout, log)))
        remote = RemoteEngine(
            DIALECTS["llama-server"], f"{address}/v1", info=self.info, key=self._key, idle_timeout_s=self.idle_timeout_s
        )
        return _Child(process, remote, log, readers)

    def _start_failure(self, log: list[str]) -> EngineError:
        if self.settings.port and any(map(_NO_PORT.search, log)):
            return EngineError(
                f"the embedded engine cannot listen on port {self.settings.port}: it is in use or reserved", kind="died",
                hint="choose another engine.port, or 0 for any free one",
            )  # fmt: skip
        lora = self.settings.lora_path
        files = self.settings.model_path + (f" with {lora}" if lora else "")
        return EngineError(
            f"the embedded engine could not load {files}: {_tail(log)}", kind="died",
            hint="check engine.lora: it must be a GGUF adapter of this model" if lora
            else "pull the model again with `sixfold pull`, or run `sixfold doctor`",
        )  # fmt: skip

    async def stream(self, request: Request) -> AsyncGenerator[Chunk, None]:
        if request.n > self.settings.slots:
            raise EngineError(
                f"{request.n} candidates at once, but the engine has {self.settings.slots} slots", kind="refused",
                hint="start it with more slots",
            )  # fmt: skip
        await self.start()
        child = self._child
        assert child
        try:
            async with aclosing(child.remote.stream(request)) as chunks:
                async for chunk in chunks:
                    yield chunk
        except EngineError as error:
            if error.kind != "unreachable" or await self._answers(child):
                raise
            raise await self._end(child) from error

    async def complete(self, body: Mapping[str, Any], timeout_s: float) -> list[dict[str, Any]]:
        """llama-server's own `/completion`, its request and its replies (one, or as many as `n_cmpl` says), not streamed: token
        ids in and out, with their probabilities. Raises `EngineError`."""
        await self.start()
        child = self._child
        assert child
        url = child.remote.url.removesuffix("/v1") + "/completion"
        try:
            reply = await child.remote.client.post(url, json=dict(body), timeout=timeout_s)
        except httpx.TransportError as error:
            if await self._answers(child):
                raise EngineError(
                    f"the embedded engine did not answer a request within {timeout_s:.0f} s", kind="unreachable",
                    hint="ask for fewer tokens at once",
                ) from error  # fmt: skip
            raise await self._end(child) from error
        if reply.status_code != 200:
            raise EngineError(
                f"the embedded engine refused a request: {reply.text[:200]}", kind="refused", hint="give it more context"
            )
        got = reply.json()
        return got if isinstance(got, list) else [got]

    async def _end(self, child: _Child) -> EngineError:
        """The error of a child that does not answer: a broken connection, or one that runs but is stuck. It is ended so that
        the next one can live."""
        _kill(child.process)
        await child.process.wait()
        return EngineError(
            f"the embedded engine died in the middle of a request: {_last_words(child)}",
            kind="died", retryable=True, hint="it is restarted by itself; try again",
        )  # fmt: skip

    async def _answers(self, child: _Child) -> bool:
        """Whether the child still serves: then one request failed, not the engine."""
        if child.process.returncode is not None:
            return False
        with suppress(httpx.HTTPError):
            reply = await child.remote.client.get(child.remote.url.removesuffix("/v1") + "/health", timeout=_HEALTH_TIMEOUT_S)
            return reply.status_code == 200
        return False

    async def _drop(self) -> None:
        child, self._child = self._child, None
        if child is None:
            return
        _kill(child.process)
        await child.process.wait()
        for task in child.readers:
            task.cancel()
        await asyncio.gather(*child.readers, return_exceptions=True)
        # Another request may be about to use it: it finds a dead peer, not a closed client.
        self._retired.append(child.remote)

    async def aclose(self) -> None:
        await self._drop()
        while self._retired:
            await self._retired.pop().aclose()


async def open_llamacpp(settings: Settings, idle_timeout_s: float = 120.0) -> LlamaCppEngine:
    """Start llama.cpp on a model file. Close the result with `aclose()`."""
    engine = LlamaCppEngine(settings, idle_timeout_s)
    await engine.start()
    return engine


def _environment() -> dict[str, str]:
    """The child's environment: ours without anything that looks like a key, and with this package importable."""
    root = str(Path(__file__).resolve().parents[2])
    kept = {k: v for k, v in os.environ.items() if not any(w in k.upper() for w in ("KEY", "TOKEN", "SECRET"))}
    ours = {"PYTHONPATH": os.pathsep.join(filter(None, (root, os.environ.get("PYTHONPATH", ""))))}
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & set(kept):
        # Threads that wait for each other give up their core sooner: as fast on a free machine, ten times faster on a busy one.
        ours["GOMP_SPINCOUNT"] = "2000"
    return kept | ours


def _kill(process: asyncio.subprocess.Process) -> None:
    """SIGKILL by id. `process.kill()` would poll first, and so could reap the child before asyncio's watcher does."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


async def _drain(stream: asyncio.StreamReader, log: collections.deque[str]) -> None:
    while True:
        try:
            line = await stream.readline()
        except ValueError:
            # Longer than the reader's buffer. Not worth keeping, but a child whose pipe is full stands still.
            continue
        if not line:
            return
        log.append(line.decode("utf-8", "replace").rstrip())


def _last_words(child: _Child) -> str:
    code = child.process.returncode
    return f"signal {-code}" if code is not None and code < 0 and not child.log else _tail(list(child.log))


def _tail(log: list[str]) -> str:
    lines = [line for line in log if line.strip() and not line.startswith((" ", "Traceback"))]
    return " / ".join(lines[-3:]) or "nothing"
