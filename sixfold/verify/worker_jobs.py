"""The child's side of `workers.py`: the jobs by name, and the loop that runs one at a time.

Place: started as `python -m sixfold.verify.worker_jobs MEMORY_MIB`, never imported by the parent. Reads one JSON line a
request: `[job]` loads what that job needs, `[job, args, deadline_s]` runs it; writes one JSON line a reply. Keeping time is
the parent's work; the limits set here only make sure that a child whose parent is gone ends too.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import sys
import threading
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple


class Job(NamedTuple):
    """`load` imports what `run` needs, before any deadline begins."""

    load: Callable[[], object]
    run: Callable[..., Any]


def _load_math() -> object:
    import logging

    from sixfold.verify import math_symbolic

    logging.disable(logging.CRITICAL)  # math-verify reports every failed parse there
    return math_symbolic.math_equal("x+1", "1+x"), math_symbolic.math_verify_alone("1", "2")


def _math_equal(gold: str, answer: str) -> Any:
    from sixfold.verify.math_symbolic import math_equal

    return math_equal(gold, answer)


def _math_verify_alone(gold: str, answer: str) -> bool:
    from sixfold.verify.math_symbolic import math_verify_alone

    return math_verify_alone(gold, answer)


def _load_gym() -> object:
    from sixfold.verify import gym_job

    return gym_job.load()


def _gym(dataset: str, entry: Mapping[str, Any], answer: str) -> float:
    from sixfold.verify import gym_job

    return gym_job.score(dataset, entry, answer)


def _echo(*args: Any) -> Any:
    """What tests and benchmarks of the pool itself call."""
    return list(args)


def _sleep(seconds: float) -> float:
    import time

    time.sleep(seconds)
    return seconds


def _allocate(mib: int) -> int:
    return len(bytes(mib << 20))


def _exit(code: int) -> None:
    os._exit(code)


JOBS: Mapping[str, Job] = {
    "math_equal": Job(_load_math, _math_equal),
    "math_verify_alone": Job(_load_math, _math_verify_alone),
    "gym": Job(_load_gym, _gym),
    "echo": Job(lambda: None, _echo),
    "sleep": Job(lambda: None, _sleep),
    "allocate": Job(lambda: None, _allocate),
    "exit": Job(lambda: None, _exit),
}


def _limit(memory_mib: int) -> None:
    try:
        import resource
    except ImportError:  # not on Windows, where the parent's deadline is what there is
        return
    for kind, most in ((resource.RLIMIT_AS, memory_mib << 20), (resource.RLIMIT_CORE, 0)):
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(kind, (most, resource.getrlimit(kind)[1]))


def _limit_cpu(seconds: float) -> None:
    """Ends this process some time after a deadline that nobody enforced, even inside one long operation of the interpreter."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        used = sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
        resource.setrlimit(resource.RLIMIT_CPU, (int(used + seconds) + 10, resource.getrlimit(resource.RLIMIT_CPU)[1]))


def _answer(line: bytes) -> dict[str, Any]:
    name, *rest = json.loads(line)
    if name not in JOBS:
        return {"error": f"no job {name!r}; there are {', '.join(JOBS)}"}
    try:
        if not rest:
            _limit_cpu(300)
            JOBS[name].load()
            return {}
        _limit_cpu(rest[1])
        return {"value": JOBS[name].run(*rest[0])}
    except MemoryError:
        os._exit(9)  # what is left of the heap is not worth another job
    except Exception as error:  # noqa: BLE001 - whatever a library raises is this job's failure, not the pool's
        return {"error": f"{type(error).__name__}: {error}"[:500]}


def _read(lines: queue.SimpleQueue[bytes]) -> None:
    """Hands requests over; at the end of the input the parent is gone, and so is this process then, whatever it does."""
    for line in sys.stdin.buffer:
        lines.put(line)
    os._exit(0)


def main() -> None:
    _limit(int(sys.argv[1]))
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no reply
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(lines,), daemon=True).start()
    sys.setrecursionlimit(2000)
    while True:
        replies.write(json.dumps(_answer(lines.get())).encode() + b"\n")
        replies.flush()


if __name__ == "__main__":
    main()
