"""The sandbox itself: limits, outputs, failing to start, and running many at once."""

from __future__ import annotations

import os
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sixfold.verify import sandbox as walls
from sixfold.verify.sandbox import Limits, Program, Sandbox, SandboxFailed, open_sandbox

_OPENED = open_sandbox()
SANDBOXES = [pytest.param(Sandbox("unsafe"), id="unsafe")]
SANDBOXES.append(
    pytest.param(
        _OPENED or Sandbox("bubblewrap", "bwrap"),
        id="bubblewrap",
        marks=pytest.mark.skipif(_OPENED is None, reason="bubblewrap is missing or may not start here"),
    )
)
every = pytest.mark.parametrize("sandbox", SANDBOXES)


def _python(sandbox: Sandbox, code: str, stdin: bytes = b"", **files: bytes) -> Program:
    return Program([*sandbox.python, "-c", code], stdin, files)


@every
def test_a_program_reads_its_input_and_files_and_says_how_it_ended(sandbox: Sandbox) -> None:
    code = "import sys; print(sys.stdin.read()[::-1], open('data').read()); print('e', file=sys.stderr); sys.exit(3)"
    ran = sandbox.run(_python(sandbox, code, b"abc", data=b"xyz"))
    assert (ran.status, ran.returncode, ran.stdout, ran.stderr) == ("failed", 3, b"cba xyz\n", b"e\n")
    assert sandbox.run(_python(sandbox, "pass")).status == "ok"
    assert sandbox.run(_python(sandbox, "import ctypes; ctypes.string_at(0)")).returncode == -11


@every
def test_large_inputs_pass_and_an_input_nobody_reads_does_not_block(sandbox: Sandbox) -> None:
    data = os.urandom(1_000_000)
    ran = sandbox.run(_python(sandbox, "import sys, zlib; print(zlib.crc32(sys.stdin.buffer.read()))", data))
    assert int(ran.stdout) == __import__("zlib").crc32(data)
    assert sandbox.run(_python(sandbox, "pass", data)).status == "ok"


@every
@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("while True: pass", "timeout"),
        ("import time; time.sleep(99)", "timeout"),
        ("import os\nos.close(1); os.close(2)\nwhile True: pass", "timeout"),
        ("while True: print('x' * 1000)", "output"),
        ("import sys\nwhile True: sys.stderr.write('x' * 1000)", "output"),
        ("x = bytearray(10 * 2**30)", "memory"),
        ("import threading, time\nwhile True: threading.Thread(target=time.sleep, args=(99,)).start()", "processes"),
    ],
)
def test_every_limit_has_its_name(sandbox: Sandbox, code: str, status: str) -> None:
    ran = sandbox.run(_python(sandbox, code), Limits(wall_s=1.0, output_bytes=5_000))
    # where the kernel itself refuses more threads, the program sees an error
    assert ran.status == status or (status == "processes" and b"start new thread" in ran.stderr)
    assert len(ran.stdout) <= 5_000
    assert len(ran.stderr) <= 5_000


@every
def test_processor_time_is_bounded_by_itself(sandbox: Sandbox) -> None:
    ran = sandbox.run(_python(sandbox, "while True: pass"), Limits(wall_s=30.0, cpu_s=1))
    assert ran.status == "timeout"
    assert ran.elapsed_s < 30.0


@every
def test_many_run_at_once_and_none_gets_another_ones_output(sandbox: Sandbox) -> None:
    def one(n: int) -> bytes:
        return sandbox.run(_python(sandbox, "import sys; print(sys.stdin.read())", str(n).encode())).stdout

    with ThreadPoolExecutor(8) as pool:
        assert [int(out) for out in pool.map(one, range(40))] == list(range(40))


@every
def test_nothing_stays_open(sandbox: Sandbox) -> None:
    sandbox.run(_python(sandbox, "pass"))
    before = len(os.listdir("/proc/self/fd")), threading.active_count()
    for _ in range(5):
        sandbox.run(_python(sandbox, "print(1)"), Limits(wall_s=5))
        sandbox.run_pair(_python(sandbox, "pass"), _python(sandbox, "import time; time.sleep(9)"))
    assert (len(os.listdir("/proc/self/fd")), threading.active_count()) == before


@every
def test_a_pair_talks_over_two_pipes_and_ends_with_the_first(sandbox: Sandbox) -> None:
    asks = "import os, sys\na, b = map(int, sys.argv[-2:])\nos.write(a, b'ping')\nprint(os.read(b, 9))"
    answers = "import os, time\nos.write(1, os.read(0, 9)[::-1])\ntime.sleep(99)"
    first, second = sandbox.run_pair(_python(sandbox, asks), _python(sandbox, answers))
    assert (first.status, first.stdout) == ("ok", b"b'gnip'\n")
    assert second.returncode == -9


def test_without_bubblewrap_nothing_is_run_unless_asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert open_sandbox() is None
    unsafe = open_sandbox(allow_unsafe=True)
    assert unsafe is not None
    assert unsafe.kind == "unsafe"


@pytest.mark.parametrize("script", ["exit 1", "echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "exit 0"])
def test_a_bubblewrap_that_does_not_work_is_no_sandbox(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, script: str) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/sh\n{script}\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert open_sandbox() is None


def test_a_sandbox_that_cannot_start_fails_and_says_what_to_do(tmp_path: Path) -> None:
    fake = tmp_path / "bwrap"
    fake.write_text("#!/bin/sh\necho 'bwrap: no' >&2\nexit 1\n")
    fake.chmod(0o755)
    for bwrap in (str(fake), str(tmp_path / "missing")):
        with pytest.raises(SandboxFailed, match="apt-get install bubblewrap"):
            Sandbox("bubblewrap", bwrap).run(Program(["true"]))


@pytest.mark.skipif(_OPENED is None, reason="bubblewrap is missing or may not start here")
def test_a_program_cannot_pretend_that_the_sandbox_did_not_start() -> None:
    assert _OPENED is not None
    ran = _OPENED.run(_python(_OPENED, "import sys; sys.stderr.write('bwrap: execvp: no such file'); sys.exit(1)"))
    assert (ran.status, ran.returncode) == ("failed", 1)


def test_without_a_filter_root_has_no_sandbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """RLIMIT_NPROC spares root, so that nothing would stop a fork bomb."""
    walls._works.cache_clear()
    monkeypatch.setattr(walls, "_filter", lambda: None)
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert open_sandbox() is None
    walls._works.cache_clear()
