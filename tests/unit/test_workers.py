"""Worker processes: what they return, and that none outlives its deadline, its owner or its parent."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sixfold.verify.workers import WorkerFailed, Workers, WorkerTimeout


def _ended(pid: int) -> bool:
    """Gone, or a zombie of somebody else's; waits for it."""
    for _ in range(600):
        try:
            if "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text(encoding="utf-8"):
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.05)
    return False


def _pids(workers: Workers) -> list[int]:
    return [child.process.pid for child in workers._children]


def test_a_job_returns_its_value_and_children_start_when_needed() -> None:
    with Workers() as workers:
        assert _pids(workers) == []
        assert workers.call("echo", 1, "é\n", [2.5, None]) == [1, "é\n", [2.5, None]]
        first = _pids(workers)
        assert workers.call("echo", "x" * 1_000_000) == ["x" * 1_000_000]
        assert _pids(workers) == first
    assert all(_ended(pid) for pid in first)


def test_a_job_past_its_deadline_loses_its_process_and_the_next_gets_another() -> None:
    with Workers() as workers:
        workers.call("echo")
        [pid] = _pids(workers)
        with pytest.raises(WorkerTimeout):
            workers.call("sleep", 600, deadline_s=0.1)
        assert not Path(f"/proc/{pid}").exists()
        assert workers.call("echo", 1) == [1]
        assert workers.counters["timeouts"] == workers.counters["restarts"] == 1


@pytest.mark.parametrize(("job", "argument"), [("exit", 3), ("allocate", 100_000)])
def test_a_process_that_dies_fails_only_its_own_job(job: str, argument: int) -> None:
    with Workers(memory_mib=1024) as workers:
        with pytest.raises(WorkerFailed):
            workers.call(job, argument)
        assert workers.call("echo", 1) == [1]
        assert workers.counters["crashes"] == workers.counters["restarts"] == 1


def test_what_a_job_raises_comes_back_and_its_process_stays() -> None:
    with Workers() as workers:
        workers.call("echo")
        before = _pids(workers)
        with pytest.raises(WorkerFailed, match="TypeError"):
            workers.call("sleep", "no number")
        with pytest.raises(WorkerFailed, match="no job 'unheard'"):
            workers.call("unheard")
        assert _pids(workers) == before
        assert workers.counters["errors"] == 2
        assert workers.counters["crashes"] == 0


def test_many_threads_get_their_own_replies_from_few_children() -> None:
    wrong: list[int] = []
    with Workers(count=2) as workers:

        def ask(n: int) -> None:
            for k in range(20):
                if workers.call("echo", n, k) != [n, k]:
                    wrong.append(n)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []
        assert workers.counters["calls"] == 160
        assert len(_pids(workers)) <= 2


def test_a_child_lives_on_after_the_thread_that_started_it() -> None:
    with Workers() as workers:
        thread = threading.Thread(target=workers.call, args=("echo",))
        thread.start()
        thread.join()
        pids = _pids(workers)
        workers.call("echo")
        assert _pids(workers) == pids


def test_a_job_killed_from_outside_is_replaced_even_between_calls() -> None:
    with Workers() as workers:
        workers.call("echo")
        [pid] = _pids(workers)
        os.kill(pid, 9)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # all of its threads, and not only the first
        assert workers.call("echo", 1) == [1]


def test_closing_ends_a_call_in_progress() -> None:
    workers = Workers()
    workers.call("echo")
    raised: list[BaseException] = []

    def sleep() -> None:
        try:
            workers.call("sleep", 600, deadline_s=600)
        except WorkerFailed as error:
            raised.append(error)

    thread = threading.Thread(target=sleep)
    thread.start()
    while workers.counters["calls"] < 2:
        time.sleep(0.01)
    time.sleep(0.1)
    workers.close()
    thread.join(60)
    assert len(raised) == 1
    with pytest.raises(WorkerFailed):
        workers.call("echo")


@pytest.mark.parametrize("busy", [False, True])
def test_a_child_whose_parent_was_killed_ends_too(busy: bool) -> None:
    code = (
        "import os, threading, time\nfrom sixfold.verify.workers import Workers\n"
        "w = Workers()\nw.call('echo')\n"
        "work = threading.Thread(target=w.call, args=('sleep', 600), kwargs={'deadline_s': 600}, daemon=True)\n"
        f"work.start() if {busy} else None\n"
        "time.sleep(0.3)\nprint([c.process.pid for c in w._children][0], flush=True)\ntime.sleep(600)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    assert _ended(pid)


def test_the_parent_loads_no_sympy() -> None:
    code = (
        "import sys\nfrom sixfold.core import Problem\nfrom sixfold.verify.math_answer import judge_math\n"
        "from sixfold.verify.workers import Tools, Workers\n"
        "w = Workers()\nassert judge_math(Problem('p', '', 'x = y = z'), 'Answer: x = z = w', Tools(w)).score == 0\nw.close()\n"
        "print([m for m in ('sympy', 'math_verify', 'mpmath', 'numpy') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.stdout == "[]\n", ended.stderr
