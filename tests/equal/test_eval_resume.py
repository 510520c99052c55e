"""An evaluation that was killed and gone on with reports what an uninterrupted one does, wherever it was killed."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import signal
from pathlib import Path
from typing import Any, BinaryIO

import pytest
from evaluating import evaluate, sums
from solving import role

from sixfold.evals import folder as run_folder
from sixfold.evals.folder import load_run
from sixfold.evals.report import summarise_run
from sixfold.trace import append_line

_TASKS = [sums(3), sums(2, "code/more", first=12)]
_SETTINGS = ("samples=2", "solve.n=2", "solve.early_stop=false")
_WRITES = 10 * (2 + 1)
_TIMES = ("seconds", "begun", "elapsed", "ttft", "try", "concurrency")


def timeless(value: Any) -> Any:
    """A report without what a clock says, and how often something was tried."""
    if isinstance(value, dict):
        return {k: timeless(v) for k, v in value.items() if not k.startswith(_TIMES)}
    return [timeless(v) for v in value] if isinstance(value, (list, tuple)) else value


def _run_until(folder: Path, writes: int, part: float) -> None:
    """In a process of its own: evaluate, and die by SIGKILL in write number `writes`, of which a `part` reaches the disk."""
    done = 0

    def dying(file: BinaryIO, record: Any) -> None:
        nonlocal done
        if done == writes:
            line = json.dumps(record).encode() + b"\n"
            file.write(line[: int(part * len(line))])
            os.kill(os.getpid(), signal.SIGKILL)
        done += 1
        append_line(file, record)

    run_folder.append_line = dying
    asyncio.run(evaluate(folder, _TASKS, *_SETTINGS, "concurrency=3"))


def killed_at(folder: Path, writes: int, part: float) -> None:
    process = multiprocessing.get_context("fork").Process(target=_run_until, args=(folder, writes, part))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    asyncio.run(evaluate(folder, _TASKS, *_SETTINGS))
    assert len((folder / "attempts.jsonl").read_bytes().splitlines()) + 10 == _WRITES
    return folder


@pytest.mark.parametrize("part", [0.0, 0.5, 1.0])
def test_a_kill_in_any_write_changes_nothing_in_the_end(tmp_path: Path, whole: Path, part: float) -> None:
    expected, samples = timeless(summarise_run(whole)), timeless(load_run(whole).samples)
    assert expected["complete"]
    for writes in range(_WRITES):
        folder = tmp_path / str(writes)
        killed_at(folder, writes, part)
        before = {(s["task"], s["id"], s["sample"]) for s in load_run(folder).samples}
        engine = asyncio.run(evaluate(folder, _TASKS, *_SETTINGS, "concurrency=2"))
        assert timeless(summarise_run(folder)) == expected, writes
        assert timeless(load_run(folder).samples) == samples, writes
        asked = [r for r in engine.served if role(r) == "solve" and not r.prefill]
        assert len(asked) == 2 * (10 - len(before)), "what was finished is not asked again, and nothing is left out"


def test_kill_after_kill_comes_to_an_end(tmp_path: Path, whole: Path) -> None:
    """Each try dies in its fifth write; what it had finished by then is kept."""
    for _ in range(40):
        process = multiprocessing.get_context("fork").Process(target=_run_until, args=(tmp_path, 5, 0.3))
        process.start()
        process.join(60)
        if process.exitcode == 0:
            break
    else:
        pytest.fail("it never ends")
    assert timeless(summarise_run(tmp_path)) == timeless(summarise_run(whole))


def test_a_lost_attempt_line_makes_its_sample_unfinished(tmp_path: Path, whole: Path) -> None:
    """Power loss may keep one file and lose the other's end."""
    asyncio.run(evaluate(tmp_path, _TASKS, *_SETTINGS))
    attempts = tmp_path / "attempts.jsonl"
    attempts.write_bytes(b"".join(attempts.read_bytes().splitlines(keepends=True)[:-1]))
    assert not summarise_run(tmp_path)["complete"]
    asyncio.run(evaluate(tmp_path, _TASKS, *_SETTINGS))
    assert timeless(summarise_run(tmp_path)) == timeless(summarise_run(whole))
