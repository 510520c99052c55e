"""Killable worker processes for what cannot be bounded inside our own: sympy, math-verify, reasoning-gym.

Place: verifiers call a job of `worker_jobs.py` by name through `Workers`. A job past its deadline loses its process, with the
whole process group, and the next call starts another: no signal handlers, no threads that cannot be stopped. What a child
loads before its first job is not counted against the caller's deadline. Programs that a model wrote do not run here
(`sandbox.py`).
"""

from __future__ import annotations

import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from sixfold.verify.sandbox import Sandbox

_START_LIMIT_S = 120.0
"""For a child to load a job; sympy takes a second, on a machine that is busy many."""
_LARGEST_MIB = 8
"""Of a request and of a reply."""


class WorkerTimeout(RuntimeError):
    """The job was not done at its deadline; its process is gone."""


class WorkerFailed(RuntimeError):
    """The job raised, or its process died (out of memory, for one)."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What verifiers need besides the problem and the text. Without a sandbox, code cannot be judged."""

    workers: Workers
    sandbox: Sandbox | None = None


class Workers:
    """At most `count` children, started when first needed; calls from any number of threads wait for a free one.

    `counters` has `calls`, `timeouts`, `crashes` (a process that died by itself), `errors` (a job that raised) and `restarts`.
    """

    def __init__(self, count: int = 1, deadline_s: float = 5.0, memory_mib: int = 1024) -> None:
        self.deadline_s = deadline_s
        self.memory_mib = memory_mib
        self.counters: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._closed = False
        self._children: set[_Child] = set()
        self._free: queue.LifoQueue[_Child | None] = queue.LifoQueue()
        for _ in range(max(1, count)):
            self._free.put(None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def call(self, job: str, *args: Any, deadline_s: float | None = None) -> Any:
        """What the job returns for `args` (JSON values). Waiting for a free child and starting one do not count as its time."""
        request = json.dumps([job, args, limit_s := self.deadline_s if deadline_s is None else deadline_s]).encode() + b"\n"
        if len(request) > _LARGEST_MIB << 20:
            raise WorkerFailed(f"a request of more than {_LARGEST_MIB} MiB")
        child = self._free.get()
        try:
            if child is not None and child.process.poll() is not None:
                child = self._discard(child)
            child = child or self._start()
            if job not in child.loaded:
                child.ask(json.dumps([job]).encode() + b"\n", _START_LIMIT_S)
                child.loaded.add(job)
            self._count("calls")
            reply = child.ask(request, limit_s)
        except WorkerTimeout:
            self._count("timeouts")
            child = self._discard(child)
            raise
        except (EOFError, OSError, ValueError) as error:
            self._count("crashes")
            child = self._discard(child)
            raise WorkerFailed(f"the worker died in {job}" if not self._closed else "the workers are closed") from error
        except BaseException:
            child = self._discard(child)  # it may be in the middle of a job whose reply nobody will read
            raise
        finally:
            self._free.put(child)
        if "error" in reply:
            self._count("errors")
            raise WorkerFailed(f"{job}: {reply['error']}")
        return reply.get("value")

    def close(self) -> None:
        """Ends every child, also those at work; calls in progress and later ones raise `WorkerFailed`."""
        with self._lock:
            self._closed = True
            children, self._children = self._children, set()
        for child in children:
            child.kill()

    def _start(self) -> _Child:
        with self._lock:
            if self._closed:
                raise EOFError("closed")
            self.counters["restarts"] += self.counters["starts"] > 0 and len(self._children) < self.counters["starts"]
            self.counters["starts"] += 1
            child = _Child(self.memory_mib)
            self._children.add(child)
            return child

    def _discard(self, child: _Child | None) -> _Child | None:
        """Ends a child; what stands in its place is `None`, for which the next call starts another."""
        if child is not None:
            with self._lock:
                self._children.discard(child)
            child.kill()
        return None

    def _count(self, name: str) -> None:
        with self._lock:
            self.counters[name] += 1


class _Child:
    """One process and its two pipes. It leads a session of its own, so that killing its group takes what it started too."""

    def __init__(self, memory_mib: int) -> None:
        here = str(Path(__file__).parents[2])
        kept = {
            k: v for k, v in os.environ.items() if k in ("PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "LD_LIBRARY_PATH")
        }
        paths = [here, *filter(None, os.environ.get("PYTHONPATH", "").split(os.pathsep))]
        self.loaded: set[str] = set()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sixfold.verify.worker_jobs", str(memory_mib)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            start_new_session=True,
            env=kept | {"PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
        )
        os.set_blocking(self._pipe("stdin").fileno(), False)
        os.set_blocking(self._pipe("stdout").fileno(), False)

    def ask(self, request: bytes, limit_s: float) -> dict[str, Any]:
        """Sends one line and reads one. `EOFError` and `OSError` where the process is gone."""
        ends = time.monotonic() + limit_s
        stdin, stdout = self._pipe("stdin").fileno(), self._pipe("stdout").fileno()
        pending, reply = memoryview(request), bytearray()
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        poll.register(stdin, select.POLLOUT)
        while not reply.endswith(b"\n"):
            left_s = ends - time.monotonic()
            if left_s <= 0 or not (ready := poll.poll(left_s * 1000)):
                raise WorkerTimeout(f"not done within {limit_s:g} s")
            for file, _ in ready:
                if file == stdin and pending:
                    pending = pending[os.write(stdin, pending) :]
                    if not pending:
                        poll.unregister(stdin)
                elif file == stdout:
                    if not (piece := os.read(stdout, 1 << 16)):
                        raise EOFError("the worker ended")
                    reply += piece
            if len(reply) > _LARGEST_MIB << 20:
                raise ValueError("the reply is too long")
        answer: dict[str, Any] = json.loads(reply)
        return answer

    def kill(self) -> None:
        """Ends the whole group and takes its exit status, so that no zombie stays."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self._pipe("stdin").close()
        self._pipe("stdout").close()

    def _pipe(self, name: str) -> IO[bytes]:
        pipe: IO[bytes] = getattr(self.process, name)
        return pipe
