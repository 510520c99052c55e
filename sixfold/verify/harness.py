"""The program inside the sandbox: one copy runs what a model wrote, another holds the tests and the secret.

Place: `sandbox.py` starts it, `code_tests.py` says what to do. `judge` and `answer` are two processes in two sandboxes,
joined by two pipes. `answer` runs the model's code and does what it is asked: call this function with these values. `judge`
runs the tests with stand-ins for the model's functions and compares what comes back: the code under test never sees an
expected value, the secret or the process that has them, and whatever it forges is only a claim of what its function returned.
Values cross as plain built-in types in a format of our own, never as pickles; anything else stays on its side and crosses as
a handle, which equals nothing. What a function does to its arguments is not seen on the other side. Where a test compares two
values that both come from the model's code, or asks a weak question, the model may answer as it likes: that is the test's own
weakness, and not mended here. Imports almost nothing: two of these start for every judgement.
"""

from __future__ import annotations

import builtins
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing costs a third of the start
    from collections.abc import Callable
    from typing import Any

LARGEST = 4 * 1024 * 1024
"""Bytes of one reply. A question may be larger and deeper than any reply, so that no value of the program's makes a test that
passes it on impossible to run, and the program unscored where it is wrong."""
_DEEPEST = 100
_REPLY_DEPTH = 50
"""Where a reply's depth begins to count."""
_STACK = 96 * 1024 * 1024
_DENIED = ("StopIteration", "StopAsyncIteration")
"""Raised in the middle of a test, they would end its loop in silence, as if everything in it had passed."""


class Unsendable(TypeError):
    """A value that is neither plain nor a handle."""


class Raised(Exception):
    """The code under test raised something of its own."""


class Gone(Exception):
    """The other process ended, or what it sent is no message."""


def encode(value: Any, keep: Callable[[Any], int] | None = None, depth: int = 0) -> bytes:
    """A plain value as bytes. `keep` takes what is not plain and gives a number for it.

    >>> decode(encode({"a": [1, (2.5, None)], b"b": {True}}))
    {'a': [1, (2.5, None)], b'b': {True}}
    """
    if depth > _DEEPEST:
        raise Unsendable("nested too deeply")
    if value is None or value is True or value is False:
        return b"N" if value is None else b"T" if value else b"F"
    if isinstance(value, Handle):
        return b"h%d;" % object.__getattribute__(value, "_number")
    if isinstance(value, int):
        return b"i%s;" % hex(int(value)).encode()
    if isinstance(value, float):
        return b"f%s;" % float.__repr__(value).encode()
    if isinstance(value, complex):
        return b"c%s;%s;" % (repr(value.real).encode(), repr(value.imag).encode())
    if isinstance(value, str):
        data = str.encode(value, "utf-8", "surrogatepass")
        return b"s%d;%s" % (len(data), data)
    if isinstance(value, (bytes, bytearray)):
        return b"%s%d;%s" % (b"b" if isinstance(value, bytes) else b"a", len(value), bytes(value))
    kind: Any
    for kind, mark in ((list, b"l"), (tuple, b"t"), (set, b"S"), (frozenset, b"Z")):
        if isinstance(value, kind):
            parts = [encode(item, keep, depth + 1) for item in kind.__iter__(value)]
            return b"%s%d;%s" % (mark, len(parts), b"".join(parts))
    if isinstance(value, dict):
        parts = [encode(part, keep, depth + 1) for pair in dict.items(value) for part in pair]
        return b"d%d;%s" % (len(parts) // 2, b"".join(parts))
    if type(value) is type and getattr(builtins, name := str(value.__name__), None) is value:
        return b"k%d;%s" % (len(name), name.encode())
    if keep is None:
        raise Unsendable(f"a {type(value).__name__} cannot be sent")
    return b"h%d;" % keep(value)


def decode(data: bytes, handle: Callable[[int], Any] | None = None, depth: int = 0) -> Any:
    """The value that `encode` wrote. Raises `ValueError` for anything else, whatever it is."""
    try:
        value, end = _decode(data, 0, handle, depth)
    except (ValueError, TypeError, IndexError, LookupError, OverflowError) as error:
        raise ValueError(f"not a message: {error}") from None
    if end != len(data):
        raise ValueError("not a message: something follows it")
    return value


_CONSTANTS = {b"N": None, b"T": True, b"F": False}
_KINDS: dict[bytes, Any] = {b"l": list, b"t": tuple, b"S": set, b"Z": frozenset}


def _decode(data: bytes, at: int, handle: Callable[[int], Any] | None, depth: int) -> tuple[Any, int]:
    mark = data[at : at + 1]
    if mark in _CONSTANTS:
        return _CONSTANTS[mark], at + 1
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    end = data.index(b";", at)
    text, at = data[at + 1 : end].decode("ascii"), end + 1
    if mark == b"i":
        return int(text, 16), at
    if mark == b"f":
        return float(text), at
    if mark == b"c":
        end = data.index(b";", at)
        return complex(float(text), float(data[at:end])), end + 1
    count = int(text)
    if not 0 <= count <= LARGEST:
        raise ValueError("not a count")
    if mark == b"h" and handle is not None:
        return handle(count), at
    if mark in (b"s", b"b", b"a", b"k"):
        raw = data[at : at + count]
        if len(raw) != count:
            raise ValueError("cut off")
        if mark == b"k":
            return _type(raw.decode("ascii")), at + count
        return raw.decode("utf-8", "surrogatepass") if mark == b"s" else raw if mark == b"b" else bytearray(raw), at + count
    if mark not in _KINDS and mark != b"d":
        raise ValueError("unknown mark")
    items = []
    for _ in range(count * 2 if mark == b"d" else count):
        item, at = _decode(data, at, handle, depth + 1)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if mark == b"d" else _KINDS[mark](items)), at


def _type(name: str) -> type:
    """A built-in type by its name, and nothing else that is built in."""
    kind = getattr(builtins, name, None)
    if type(kind) is not type or name.startswith("_"):
        raise ValueError("not a type")
    return kind


def send(fd: int, data: bytes) -> None:
    if len(data) > 4 * LARGEST:
        raise Unsendable("too large to be sent")
    data = len(data).to_bytes(4, "big") + data
    try:
        while data:
            data = data[os.write(fd, data) :]
    except OSError:
        raise Gone from None


def receive(fd: int, largest: int) -> bytes:
    def exactly(count: int) -> bytes:
        parts = []
        while count:
            part = os.read(fd, min(count, 65536))
            if not part:
                raise Gone
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    size = int.from_bytes(exactly(4), "big")
    if size > largest:
        raise Gone
    return exactly(size)


class Link:
    """The judge's end: asks the other process, and turns what it says into values and handles."""

    def __init__(self, ask_fd: int, reply_fd: int) -> None:
        self.ask_fd = ask_fd
        self.reply_fd = reply_fd
        self.gone = False

    def __call__(self, verb: str, *args: Any, **names: Any) -> Any:
        try:
            send(self.ask_fd, encode((verb, args, names)))
            reply = decode(receive(self.reply_fd, LARGEST), lambda number: Handle(self, number), _REPLY_DEPTH)
        except (Gone, ValueError):
            self.gone = True
            raise Gone("the program ended before the tests did") from None
        if type(reply) is list and len(reply) == 1:
            return reply[0]
        if type(reply) is tuple and len(reply) == 2 and type(reply[0]) is type(reply[1]) is str:
            raise self._error(*reply)
        raise Gone("the program answered out of turn")

    def _error(self, name: str, message: str) -> Exception:
        kind = getattr(builtins, name, None)
        if name in _DENIED or not isinstance(kind, type) or not issubclass(kind, Exception):
            return Raised(f"{name}: {message}")
        try:
            return kind(message)
        except Exception:  # noqa: BLE001 (some kinds want other arguments)
            return Raised(f"{name}: {message}")


class Handle:
    """Something in the other process that is not plain. It can be called, read and passed back. It equals nothing, so that an
    object made to equal everything equals nothing either."""

    __slots__ = ("_link", "_number")

    def __init__(self, link: Link, number: int) -> None:
        object.__setattr__(self, "_link", link)
        object.__setattr__(self, "_number", number)

    def __eq__(self, other: object) -> bool:
        return False

    def __hash__(self) -> int:
        return id(self)

    def __call__(self, *args: Any, **names: Any) -> Any:
        return self._link("call", self, *args, **names)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return self._link("attribute", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._link("set", self, name, value)

    def __getitem__(self, key: Any) -> Any:
        return self._link("item", self, key)

    def __iter__(self) -> Any:
        return iter(self._plain(self._link("list", self), list))

    def __len__(self) -> int:
        return int(self._plain(self._link("length", self), int))

    def __bool__(self) -> bool:
        return bool(self._plain(self._link("true", self), bool))

    def __next__(self) -> Any:
        return self._link("next", self)

    def __str__(self) -> str:
        return str(self._plain(self._link("text", self), str))

    def __repr__(self) -> str:
        return str(self._plain(self._link("shown", self), str))

    @staticmethod
    def _plain(value: Any, kind: type) -> Any:
        if type(value) is not kind:
            raise Gone("the program answered out of turn")
        return value


def judge(ask_fd: int, reply_fd: int, report_fd: int) -> None:
    """Run the tests in the order `(secret, programs, local, after, remote, tests)` that stands on the standard
    input, and report."""
    secret, programs, local, after, remote, tests = decode(_all(0))
    passed, reason, broken, ready = 0, "", False, not programs
    link = Link(ask_fd, reply_fd)
    space: dict[str, Any] = {"__name__": "tests", "__builtins__": builtins}
    try:
        for source in local:
            exec(compile(source, "<set-up>", "exec"), space)
        # Without programs a test holds what a model wrote: if that does not compile, it has failed.
        compiled = [compile(test, f"<test {i}>", "exec") if programs else test for i, test in enumerate(tests, 1)]
    except BaseException as error:  # noqa: BLE001 (whatever it is, the tests cannot be run)
        broken, reason = True, f"the tests cannot be set up: {_told(error)}"
    if not broken:
        try:
            if programs:
                ready = link("ready") == "ready"
                link("program", tuple(programs), tuple(after))
                space.update({name: link("name", name) for name in remote})
            if "random" in sys.modules:
                sys.modules["random"].seed(0)
            for test in compiled:
                exec(test, space)
                passed += 1
        except Unsendable as error:
            broken, reason = True, f"test {passed + 1} cannot be run: {error}"
        except BaseException as error:  # noqa: BLE001 (a test failed, however it did)
            reason = _told(error)
    kind = "broken" if broken else "unready" if not ready else "gone" if link.gone else "done"
    report = (kind, passed, len(tests), reason)
    os.write(report_fd, secret.encode() + encode(report))


def _told(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:200].rstrip(": ")
    except BaseException:  # noqa: BLE001
        return type(error).__name__


def _all(fd: int) -> bytes:
    parts = []
    while part := os.read(fd, 65536):
        parts.append(part)
    return b"".join(parts)


def answer(ask_fd: int, reply_fd: int) -> None:
    """Run the model's code and do what is asked of it until nobody asks. Everything said here is only a claim."""
    kept: list[Any] = []
    space = _module("solution")

    def keep(value: Any) -> int:
        kept.append(value)
        return len(kept) - 1

    def program(sources: tuple[str, ...], after: tuple[str, ...]) -> None:
        code: Any = None
        problem: Exception | None = None
        for source in sources:
            try:
                code = compile(source, "<solution>", "exec", dont_inherit=True)
                break
            except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
                problem = problem or error
        if code is None:
            raise SyntaxError(str(problem))
        exec(code, space)
        for part in after:
            exec(part, space)

    verbs: dict[str, Callable[..., Any]] = {
        "ready": lambda: "ready",
        "program": program,
        "name": lambda name: space[name],
        "call": lambda called, *args, **names: called(*args, **names),
        "attribute": getattr,
        "set": setattr,
        "item": lambda held, key: held[key],
        "list": list,
        "length": len,
        "true": bool,
        "next": next,
        "text": str,
        "shown": repr,
    }
    while True:
        try:
            verb, args, names = decode(receive(ask_fd, 4 * LARGEST), lambda number: kept[number])
        except Gone:
            return
        try:
            reply = encode([verbs[verb](*args, **names)], keep, _REPLY_DEPTH)
            if len(reply) > LARGEST:
                raise Raised("the value is too large")
        except BaseException as error:  # noqa: BLE001 (the model's code may raise anything)
            kinds = (kind.__name__ for kind in type(error).__mro__ if getattr(builtins, kind.__name__, None) is kind)
            kind = "NameError" if verb == "name" else next(kinds)  # of the program's own kinds of errors, what they are at root
            reply = encode((kind, f"{args[0]} is not defined" if verb == "name" else _told(error).partition(": ")[2]))
        send(reply_fd, reply)


def script(path: str) -> None:
    """Run a program that reads the standard input and writes the standard output."""
    with open(path, encoding="utf-8") as file:
        source = file.read()
    sys.argv = [path]
    space = _module("__main__")
    space["__file__"] = path
    exec(compile(source, path, "exec", dont_inherit=True), space)


def _module(name: str) -> dict[str, Any]:
    """The names of a new module, which can be found by its name, as classes and dataclasses expect."""
    module = type(sys)(name)
    sys.modules[name] = module
    return module.__dict__


def _hush() -> list[int]:
    """Move the two pipes away from the standard input and output and point these at nothing: what is printed goes nowhere, and
    nothing printed is taken for a message."""
    moved = [os.dup(0), os.dup(1)]
    nothing = os.open(os.devnull, os.O_RDWR)
    for fd in (0, 1, 2):
        os.dup2(nothing, fd)
    return moved


def _deepen() -> None:
    """Room for deep recursion through C, as of a cached function, in the main thread; stacks of others stay as they are."""
    import resource

    hard = resource.getrlimit(resource.RLIMIT_STACK)[1]
    resource.setrlimit(resource.RLIMIT_STACK, (_STACK if hard == resource.RLIM_INFINITY else min(_STACK, hard), hard))


def _unreadable() -> None:
    """Where both processes share a user and a process table (no bubblewrap), one must not read the other's memory."""
    import ctypes

    set_dumpable = 4
    ctypes.CDLL(None).prctl(set_dumpable, 0, 0, 0, 0)


def main(role: str, *args: str) -> None:
    for name in ("exit", "quit"):
        setattr(builtins, name, sys.exit)
    if role == "judge":
        ask_fd, reply_fd = int(args[-2]), int(args[-1])
        if args[0] == "unsafe":
            _unreadable()
        report_fd = os.dup(1)
        os.dup2(2, 1)
        judge(ask_fd, reply_fd, report_fd)
        os._exit(0)
    _deepen()
    if role == "answer":
        ask_fd, reply_fd = _hush()
        answer(ask_fd, reply_fd)
        os._exit(0)
    script(args[0])


if __name__ == "__main__":
    main(*sys.argv[1:])
