"""Running a program that a model wrote, so that it can harm nothing: bubblewrap, or nothing.

Place: `code_tests.py` runs solutions and their tests through `Sandbox`. Inside there is no network, no home, no file of the
user, no other process; the root is read-only, /tmp is private and small, and memory, processor time, wall clock, processes,
files and output are bounded. Without a working bubblewrap `open_sandbox` gives nothing, unless the caller asks for the unsafe
kind, whose limits a hostile program can get around. What a program's output means is not decided here. Linux; other systems
have no bubblewrap. Third-party packages are not visible inside: programs have the standard library.
"""

from __future__ import annotations

import errno
import importlib.util
import marshal
import os
import platform
import re
import selectors
import shutil
import signal
import struct
import subprocess
import sys
import sysconfig
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import IO, Literal

Status = Literal["ok", "failed", "timeout", "output", "memory", "processes", "files"]
"""`ok`: it ended with exit code 0. `failed`: with another, or by a signal. The others: it was stopped at that limit."""

_TICK_S = 0.05
_ENVIRONMENT = {
    "PATH": "/usr/bin:/bin", "HOME": "/tmp", "LANG": "C.UTF-8",
    "PYTHONUTF8": "1", "PYTHONHASHSEED": "0", "MALLOC_ARENA_MAX": "1",
}  # fmt: skip
"""All a program sees. The fixed hash seed makes the order of sets, and so verdicts, the same every time. With one arena, a
thread takes no address space, which the memory limit counts, but its stack."""
NEXT_STEP = "install bubblewrap (apt-get install bubblewrap, dnf install bubblewrap), or say --allow-unsafe-code"


class SandboxFailed(RuntimeError):
    """The sandbox itself could not start; nothing is known about the program."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one program may use. `processes` counts threads too: new processes are forbidden where the kernel lets us. `files`
    are those in its /tmp, empty ones too: the kernel's own memory for them has no other limit."""

    wall_s: float = 10.0
    cpu_s: int = 10
    memory_mib: int = 512
    output_bytes: int = 65_536
    file_mib: int = 16
    tmp_mib: int = 64
    open_files: int = 64
    files: int = 4096
    processes: int = 64


@dataclass(frozen=True, slots=True)
class Program:
    """`argv` runs in a private empty folder that holds `files`; `stdin` is all it can read."""

    argv: Sequence[str]
    stdin: bytes = b""
    files: Mapping[str, bytes] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Ran:
    """How a program ended. `returncode` is negative where a signal ended it; the outputs are cut at the limit."""

    status: Status
    returncode: int
    stdout: bytes
    stderr: bytes
    elapsed_s: float


@dataclass(slots=True)
class _Process:
    """A program that runs. `told` reads what bubblewrap says of itself, where there is one."""

    popen: subprocess.Popen[bytes]
    stdin: bytes
    told: IO[bytes] | None
    out: dict[str, bytearray]
    started: float
    said: dict[str, int] = field(default_factory=dict)
    status: Status | None = None


def open_sandbox(allow_unsafe: bool = False) -> Sandbox | None:
    """A sandbox where bubblewrap is installed and works here (containers may forbid user namespaces), else `None`; with
    `allow_unsafe` a plain subprocess with limits, whose `kind` says so."""
    bwrap = shutil.which("bwrap")
    if bwrap and _works(bwrap):
        return Sandbox("bubblewrap", bwrap)
    return Sandbox("unsafe") if allow_unsafe else None


@cache
def _works(bwrap: str) -> bool:
    """Whether bubblewrap can start Python here, and a process inside cannot start others without end."""
    if _filter() is None and os.geteuid() == 0:
        return False  # neither the filter nor RLIMIT_NPROC, which spares root, would stop a fork bomb
    sandbox = Sandbox("bubblewrap", bwrap)
    try:
        ran = sandbox.run(Program([*sandbox.python, "-c", "print(6 * 7)"]), Limits(wall_s=20.0))
    except SandboxFailed:
        return False
    return ran.status == "ok" and ran.stdout == b"42\n"


@dataclass(frozen=True, slots=True)
class Sandbox:
    """Runs programs, from any number of threads at once. Holds nothing that must be closed."""

    kind: Literal["bubblewrap", "unsafe"]
    bwrap: str = ""

    @property
    def python(self) -> list[str]:
        """The command that starts Python inside: the standard library, no site packages, no settings of the user's."""
        return [_interpreter(), "-S", "-s", "-P", "-B"]

    def run(self, program: Program, limits: Limits = Limits()) -> Ran:
        """Run one program to its end or its first limit. Raises `SandboxFailed` where it could not be started."""
        with ExitStack() as stack:
            process = self._start(stack, program, limits, subprocess.PIPE, subprocess.PIPE, ())
            return _attend([process], limits)[0]

    def run_pair(self, asker: Program, answerer: Program, limits: Limits = Limits()) -> tuple[Ran, Ran]:
        """Run two programs that cannot see each other, joined by two pipes: what the first writes to the descriptor that its
        second last argument names is the standard input of the second, whose standard output it reads from that of its last.
        Ends with the first."""
        with ExitStack() as stack:
            ask_read, ask_write = os.pipe()
            reply_read, reply_write = os.pipe()
            try:
                argv = [*asker.argv, str(ask_write), str(reply_read)]
                asker = Program(argv, asker.stdin, asker.files)
                first = self._start(stack, asker, limits, subprocess.PIPE, subprocess.PIPE, (ask_write, reply_read))
                second = self._start(stack, answerer, limits, ask_read, reply_write, ())
            finally:
                for fd in (ask_read, ask_write, reply_read, reply_write):
                    os.close(fd)
            return tuple(_attend([first, second], limits))  # type: ignore[return-value]

    def _start(
        self, stack: ExitStack, program: Program, limits: Limits, stdin: int, stdout: int, inherited: tuple[int, ...]
    ) -> _Process:
        """Start a program; `stack` ends it, with everything it started, and closes what belongs to it."""
        told: IO[bytes] | None = None
        passed = list(inherited)
        closed_here = []
        if self.kind == "bubblewrap":
            read, write = os.pipe()
            told = stack.enter_context(os.fdopen(read, "rb"))
            os.set_blocking(read, False)
            passed.append(write)
            closed_here.append(write)
            argv = [self.bwrap, *_walls(limits, write)]
            if (rules := _filter()) is not None:
                fd = _holding(stack, rules)
                passed.append(fd)
                argv += ["--seccomp", str(fd)]
            for name, content in program.files.items():
                fd = _holding(stack, content)
                passed.append(fd)
                argv += ["--file", str(fd), f"/tmp/{name}"]
            argv += ["--chdir", "/tmp", "--remount-ro", "/", "--"]
            environment, folder = {}, "/"
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="sixfold-", ignore_cleanup_errors=True))
            for name, content in program.files.items():
                Path(folder, name).write_bytes(content)
            argv, environment = [], {**_ENVIRONMENT, "HOME": folder, "TMPDIR": folder}
        argv += ["/bin/sh", "-c", _ulimits(limits), *program.argv]
        try:
            popen = subprocess.Popen(
                argv, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, cwd=folder, env=environment,
                pass_fds=passed, start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise SandboxFailed(f"the sandbox did not start ({error}): {NEXT_STEP}") from error
        finally:
            for fd in closed_here:
                os.close(fd)
        process = _Process(popen, program.stdin, told, {"stdout": bytearray(), "stderr": bytearray()}, time.monotonic())
        stack.callback(_end, process)
        return process


def _holding(stack: ExitStack, content: bytes) -> int:
    """A file descriptor from which `content` can be read."""
    file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 (it is closed with the stack)
    file.write(content)
    file.seek(0)
    return file.fileno()


def _walls(limits: Limits, status_fd: int) -> list[str]:
    """bubblewrap's arguments: what is there, all of it read-only but /tmp.

    The program is the first process inside, not a child of bubblewrap's own: that one would be left for others to reap.
    Where we are root, so is the program to the kernel, only without capabilities: it owns the system's settings in /proc/sys,
    which a read-only mount keeps from it, and the devices in /dev, whose rights `_filter` keeps as they are.
    """
    argv = [
        "--unshare-all",
        "--unshare-user",
        "--as-pid-1",
        "--die-with-parent",
        "--new-session",
        "--uid",
        "65534",
        "--gid",
        "65534",
    ]
    argv += ["--hostname", "sandbox", "--clearenv", "--json-status-fd", str(status_fd)]
    for name, value in _ENVIRONMENT.items():
        argv += ["--setenv", name, value]
    return [*argv, *_places(), "--proc", "/proc", "--remount-ro", "/proc", "--dev", "/dev", "--remount-ro", "/dev",
            "--perms", "0700", "--size", str(limits.tmp_mib * 2**20), "--tmpfs", "/tmp"]  # fmt: skip


@cache
def _places() -> tuple[str, ...]:
    """The system's programs and libraries, and the parts of the interpreter's own folder that Python needs; installed packages
    are covered."""
    argv = ["--ro-bind", "/usr", "/usr"]
    for top in ("/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        if os.path.islink(top):
            argv += ["--symlink", os.readlink(top), top]
        elif os.path.isdir(top):
            argv += ["--ro-bind", top, top]
    argv += ["--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/nix/store", "/nix/store"]
    prefix = os.path.realpath(sys.base_prefix)
    needed = {os.path.dirname(_interpreter()), *(os.path.join(prefix, part) for part in ("lib", "lib64"))}
    for path in sorted(needed):
        if os.path.isdir(path) and not path.startswith(("/usr/", "/bin", "/lib", "/nix/store")):
            argv += ["--ro-bind", path, path]
    base = {"base": prefix, "platbase": prefix}
    for path in sorted({sysconfig.get_path(kind, vars=base) for kind in ("purelib", "platlib")}):
        if os.path.isdir(path):
            argv += ["--tmpfs", path, "--remount-ro", path]
    return tuple(argv)


@cache
def _interpreter() -> str:
    """The interpreter itself, not a virtual environment's link to it."""
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidate = os.path.join(os.path.realpath(sys.base_prefix), "bin", name)
    return os.path.realpath(candidate if os.path.exists(candidate) else sys.executable)


def _ulimits(limits: Limits) -> str:
    """A shell line that lowers the limits and becomes the program. A limit that cannot be set is already lower.

    The option for processes is -p in one shell and -u in another; it does not bind root (`_filter` does)."""
    values = {"c": 0, "t": limits.cpu_s, "v": limits.memory_mib * 1024, "f": limits.file_mib * 2048, "n": limits.open_files}
    lines = [f"ulimit -{option} {value} 2>/dev/null" for option, value in values.items()]
    lines.append(f"ulimit -p {limits.processes} 2>/dev/null || ulimit -u {limits.processes} 2>/dev/null")
    return "; ".join([*lines, 'exec "$0" "$@"'])


_BY_MACHINE: Mapping[str, tuple[int, int, str]] = {
    # The architecture, clone, and what is refused: fork, vfork (where there are such calls), ptrace, process_vm_readv, _writev,
    # unshare, setns, memfd_create, memfd_secret, shmget, msgget, semget, io_uring_setup, bpf, perf_event_open,
    # userfaultfd, add_key, request_key, keyctl, mount, pivot_root, open_tree, move_mount, fsopen, mount_setattr, syslog,
    # and what changes a file's rights: chmod, fchmod, fchmodat, fchmodat2, the calls that set and remove its attributes.
    "x86_64": (
        0xC000003E,
        56,
        "57 58 101 310 311 272 308 319 447 29 68 64 425 321 298 323 248 249 250 165 155 428 429 430 442 103 "
        "90 91 268 452 188 189 190 197 198 199 463 466",
    ),
    "aarch64": (
        0xC00000B7,
        220,
        "117 270 271 97 268 279 447 194 186 190 425 280 241 282 217 218 219 40 41 428 429 430 442 116 "
        "52 53 452 5 6 7 14 15 16 463 466",
    ),
}
_CLONE3 = 435


@cache
def _filter() -> bytes | None:
    """A seccomp filter (classic BPF), where the machine's system calls are known: threads are allowed, processes are not, nor
    memory that no limit counts (shared memory, memory files), nor looking into others.

    One process is what makes the memory and processor limits, which count each process, bounds on the whole."""
    if sys.platform != "linux" or platform.machine() not in _BY_MACHINE:
        return None
    architecture, clone, denied = _BY_MACHINE[platform.machine()]
    load, equal, at_least, any_of, give = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse, missing, kill = 0x7FFF0000, 0x00050000 | errno.EPERM, 0x00050000 | errno.ENOSYS, 0x80000000
    numbers = [int(number) for number in denied.split()]
    rules = [
        (load, 0, 0, 4), (equal, 1, 0, architecture), (give, 0, 0, kill),
        (load, 0, 0, 0), (at_least, 0, 1, 0x40000000), (give, 0, 0, kill),  # the x32 calls
        (equal, 0, 1, _CLONE3), (give, 0, 0, missing),  # its flags cannot be read here: the C library falls back to clone
        (equal, 0, 4, clone), (load, 0, 0, 16), (any_of, 0, 1, 0x00010000), (give, 0, 0, allow), (give, 0, 0, refuse),
    ]  # fmt: skip
    for number in numbers:
        rules += [(equal, 0, 1, number), (give, 0, 0, refuse)]
    return b"".join(struct.pack("=HBBI", *rule) for rule in [*rules, (give, 0, 0, allow)])


def _attend(processes: Sequence[_Process], limits: Limits) -> list[Ran]:
    """Feed and read processes until the first has ended, one has gone over a limit, or time is up; then end them all."""
    first, deadline = processes[0], processes[0].started + limits.wall_s
    looked = first.started
    with selectors.DefaultSelector() as selector:
        for process in processes:
            _register(selector, process)
        while first.status is None:
            if time.monotonic() >= deadline:
                for process in processes:
                    process.status = process.status or "timeout"
                break
            events = selector.select(max(0.0, min(_TICK_S, deadline - time.monotonic())))
            for key, _ in events:
                process, name = key.data
                _feed(selector, key, process) if name == "stdin" else _read(selector, key, process, name, limits)
            over = next((p.status for p in processes if p.status), None)
            if over is not None:
                first.status = first.status or over
            elif _ended(first, wait=not _watched(selector, first)):
                break
            elif time.monotonic() - looked >= _TICK_S:  # by the clock: a program that writes all the time is looked at too
                looked = time.monotonic()
                for process in processes:
                    if (too_many := _too_many(process, limits)) is not None:
                        process.status = first.status = too_many
    return [_end_of(process, limits) for process in processes]


def _register(selector: selectors.BaseSelector, process: _Process) -> None:
    popen = process.popen
    for name, stream in (("stdout", popen.stdout), ("stderr", popen.stderr)):
        if stream is not None:
            os.set_blocking(stream.fileno(), False)
            selector.register(stream, selectors.EVENT_READ, (process, name))
    if popen.stdin is not None:
        os.set_blocking(popen.stdin.fileno(), False)
        selector.register(popen.stdin, selectors.EVENT_WRITE, (process, "stdin"))


def _feed(selector: selectors.BaseSelector, key: selectors.SelectorKey, process: _Process) -> None:
    try:
        process.stdin = process.stdin[os.write(key.fd, process.stdin[:65536]) :] if process.stdin else b""
    except BlockingIOError:
        return
    except OSError:
        process.stdin = b""
    if not process.stdin:
        selector.unregister(key.fileobj)
        key.fileobj.close()  # type: ignore[union-attr]


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey, process: _Process, name: str, limits: Limits) -> None:
    with suppress(BlockingIOError):
        data = os.read(key.fd, 65536)
        if not data:
            selector.unregister(key.fileobj)
        process.out[name] += data
        if len(process.out[name]) > limits.output_bytes:
            process.status = "output"


def _watched(selector: selectors.BaseSelector, process: _Process) -> bool:
    """Whether a stream of the process is still open."""
    return any(key.data[0] is process and key.data[1] != "stdin" for key in selector.get_map().values())


def _ended(process: _Process, wait: bool) -> bool:
    """Whether the process has ended; it is not reaped yet, so that its number stays its own. Waits a little where asked to."""
    end = time.monotonic() + (_TICK_S if wait else 0)
    while os.waitid(os.P_PID, process.popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
        if time.monotonic() >= end:
            return False
        time.sleep(0.001)
    return True


def _too_many(process: _Process, limits: Limits) -> Status | None:
    """What it has more of than allowed: threads, or files in its /tmp. Read now and then: between two looks some thousands can
    come, not millions."""
    if sys.platform != "linux":
        return None
    inner = process.popen.pid if process.told is None else _said(process).get("child-pid")
    with suppress(OSError, ValueError, IndexError):
        if int(Path(f"/proc/{inner}/status").read_text().split("\nThreads:")[1].split()[0]) > limits.processes:
            return "processes"
        inside = f"/proc/{inner}/root/tmp"
        if process.told is not None and os.stat(inside).st_dev != os.stat("/tmp").st_dev:  # else the walls do not stand yet
            room = os.statvfs(inside)
            return "files" if room.f_files - room.f_ffree > limits.files else None
    return None


def _said(process: _Process) -> dict[str, int]:
    """What bubblewrap has said of itself: the number of the program out here, later how the program ended."""
    assert process.told is not None
    for name, number in re.findall(rb'"(child-pid|exit-code)": ?(\d{1,9})\b', process.told.read() or b""):
        process.said.setdefault(name.decode(), int(number))
    return process.said


def _end(process: _Process) -> None:
    """End a process and everything in it, reap it, and close what it was joined with."""
    _kill(process)
    for stream in (process.popen.stdin, process.popen.stdout, process.popen.stderr):
        if stream is not None:
            with suppress(OSError):
                stream.close()


def _kill(process: _Process) -> int:
    """Kill a process with everything in it and reap it; its exit code.

    In bubblewrap the program is killed, which is the first process inside, and the kernel kills all others there with it;
    bubblewrap itself then reaps it and ends. Else, and where that does not help, all of its session is killed.
    """
    popen = process.popen
    if process.told is not None and popen.returncode is None:
        init = _said(process).get("child-pid")
        with suppress(OSError, ValueError, subprocess.TimeoutExpired):
            if init and _parent(str(init)) == popen.pid:
                os.kill(init, signal.SIGKILL)
                popen.wait(1.0)
    if popen.returncode is None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(popen.pid, signal.SIGKILL)
    return popen.wait()


def _parent(number: str) -> int:
    """The parent of a process, from what the kernel says after its name."""
    return int(Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[1])


def _end_of(process: _Process, limits: Limits) -> Ran:
    """What came of a process. Raises `SandboxFailed` where bubblewrap ended before the program began."""
    popen = process.popen
    ended = os.waitid(os.P_PID, popen.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None
    code = _kill(process)
    elapsed_s = time.monotonic() - process.started
    for name, stream in (("stdout", popen.stdout), ("stderr", popen.stderr)):
        if stream is not None and process.status is None:
            with suppress(OSError):
                process.out[name] += os.read(stream.fileno(), limits.output_bytes)
    stdout, stderr = (bytes(process.out[name][: limits.output_bytes]) for name in ("stdout", "stderr"))
    if process.told is not None and ended and process.status is None and "exit-code" not in _said(process) and code > 0:
        raise SandboxFailed(f"the sandbox did not start ({stderr[-200:].decode(errors='replace').strip()}): {NEXT_STEP}")
    if process.told is not None and code > 128:
        code = 128 - code  # bubblewrap gives 128 + n for signal n
    status = process.status or ("ok" if code == 0 else "failed")
    if status == "failed" and ended and -code in (signal.SIGXCPU, signal.SIGKILL):
        status = "timeout"  # the first process inside cannot kill itself: the kernel did, at the limit of processor time
    if status == "failed" and b"MemoryError" in stderr[-2000:]:
        status = "memory"
    return Ran(status, code, stdout, stderr, elapsed_s)


@cache
def compiled(path: str) -> bytes:
    """A module of ours as bytecode for the interpreter inside, which is the one that runs here: it starts in half the time."""
    code = compile(Path(path).read_text(encoding="utf-8"), os.path.basename(path), "exec", dont_inherit=True, optimize=2)
    return importlib.util.MAGIC_NUMBER + bytes(12) + marshal.dumps(code)
