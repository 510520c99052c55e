"""Judging a program by hidden tests, and arguments by what a given function returns for them.

Place: verifiers `code` and `code_input`. The code is found in the text by `extract.py`, run by `sandbox.py`, and tested by
`harness.py`, which also says what the code under test can see and forge. This file turns a problem's tests, which are
trusted, into orders for the harness, and reports into verdicts; what a model wrote is never run in our own process. Programs
that read the standard input are compared here, so that what they should print never enters a sandbox.
"""

from __future__ import annotations

import ast
import builtins
import math
import re
import secrets
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING

from sixfold.core import Problem, Verdict
from sixfold.verify import harness
from sixfold.verify.extract import Found, last_boxed, read_code, split_thinking
from sixfold.verify.sandbox import NEXT_STEP, Limits, Program, Ran, Sandbox, SandboxFailed, compiled

if TYPE_CHECKING:
    from sixfold.verify.workers import Tools

_TIMEOUT_S = 10.0
_PATIENCE = 3
"""How much longer than its processor time a program may take by the clock: a busy machine must not make it wrong."""
_LONGEST = 65_536
"""Characters of a program."""
_LONGEST_ARGUMENTS = 8_000
_TOLERANCE = 1e-6
"""Relative and absolute, where both printed words are decimal fractions."""
_NO_SANDBOX = f"code cannot be run here without a sandbox: {NEXT_STEP}"
_WHY: Mapping[str, str] = {
    "timeout": "it ran out of time",
    "output": "it wrote too much",
    "memory": "it ran out of memory",
    "processes": "it started too many processes",
    "files": "it made too many files",
}


@dataclass(frozen=True, slots=True)
class Orders:
    """What the harness is told. `programs` are readings of the model's code, of which the first that compiles counts (none: all
    code is trusted). `local` runs beside the tests; `after` follows the model's code, where it is; `remote` are the names that
    tests take from there."""

    programs: tuple[str, ...]
    local: tuple[str, ...]
    after: tuple[str, ...]
    remote: tuple[str, ...]
    tests: tuple[str, ...]


def judge_code(problem: Problem, text: str, tools: Tools) -> Verdict:
    """Score 1 where the program in `text` passes every test of `problem.meta` (`tests`, `test` or `cases`), else 0."""
    found = read_code(text)
    if found.answer is None:
        return Verdict(0.0, "no code")
    if len(found.answer) > _LONGEST:
        return _verdict(0.0, "the program is too long", found)
    if tools.sandbox is None:
        return _verdict(None, _NO_SANDBOX, found)
    try:
        if cases := problem.meta.get("cases"):
            return _judge_cases(problem, cases, found, tools.sandbox)
        orders = make_orders(problem, found.answer)
    except (SyntaxError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        return _verdict(None, f"the problem's tests cannot be used: {error}"[:200], found)
    except SandboxFailed as error:
        return _verdict(None, str(error), found)
    return _judge_orders(orders, problem, found, tools.sandbox)


def judge_code_input(problem: Problem, text: str, tools: Tools) -> Verdict:
    """Score 1 where the arguments in `text`, literals only, make `meta["code"]`'s `f` return `meta["output"]`."""
    code, output = problem.meta.get("code"), problem.meta.get("output")
    if not isinstance(code, str) or not isinstance(output, str) or not _parsed(output):
        return Verdict(None, "the problem has no function or no output")
    names = frozenset(name for name in _defined(_parsed(code)) if name != "f")
    found, call = read_arguments(text, names)
    if found.answer is None:
        return Verdict(0.0, "no arguments")
    if call is None:
        return _verdict(0.0, "the arguments are not all literals", found)
    if tools.sandbox is None:
        return _verdict(None, _NO_SANDBOX, found)
    orders = Orders((), (code,), (), (), (f"assert f({call}) == {output}",))
    return _judge_orders(orders, problem, found, tools.sandbox)


def _verdict(score: float | None, reason: str, found: Found) -> Verdict:
    return Verdict(score, reason, found.answer, found.form)


def _judge_orders(orders: Orders, problem: Problem, found: Found, sandbox: Sandbox) -> Verdict:
    """Let the harness run the tests. Only a report that begins with this run's secret counts."""
    secret = secrets.token_hex(16)
    files = {"harness.pyc": compiled(harness.__file__)}
    payload = (secret, orders.programs, orders.local, orders.after, orders.remote, orders.tests)
    python = [*sandbox.python, "harness.pyc"]
    limits = _limits(problem)
    role = ["judge", sandbox.kind]
    try:
        stdin = harness.encode(payload)
        if orders.programs:
            asker, answerer = Program([*python, *role], stdin, files), Program([*python, "answer"], b"", files)
            ran, other = sandbox.run_pair(asker, answerer, limits)
        else:
            ran = other = sandbox.run(Program([*python, *role, "-1", "-1"], stdin, files), limits)
    except SandboxFailed as error:
        return _verdict(None, str(error), found)
    if ran.status in _WHY or other.status in _WHY:
        return _verdict(0.0, _WHY[other.status if other.status in _WHY else ran.status], found)
    return _read_report(ran, other, secret, found, trusted=not orders.programs)


def _read_report(ran: Ran, other: Ran, secret: str, found: Found, trusted: bool) -> Verdict:
    try:
        if not ran.stdout.startswith(secret.encode()):
            raise ValueError("no report")
        kind, passed, total, reason = harness.decode(ran.stdout[len(secret) :])
    except ValueError:
        if trusted:
            return _verdict(0.0, "the function ended the process", found)
        told = ran.stderr[-120:].decode(errors="replace").strip()
        return _verdict(None, f"the tests ended without a report: {told}", found)
    if kind == "unready":
        told = other.stderr[-120:].decode(errors="replace").strip()
        return _verdict(None, f"the program's sandbox did not start: {told}", found)
    if kind == "broken":
        return _verdict(None, reason, found)
    if kind == "done" and passed == total > 0:
        return _verdict(1.0, f"all {total} tests passed", found)
    return _verdict(0.0, f"test {passed + 1} of {total} failed: {reason}", found)


def _limits(problem: Problem) -> Limits:
    timeout_s = float(problem.meta.get("timeout_s") or _TIMEOUT_S)
    return Limits(wall_s=_PATIENCE * timeout_s, cpu_s=math.ceil(timeout_s))


_FUTURE = re.compile(r"(?m)^from __future__ import [\w, ]+$")
"""What must come first, and does not where a prompt or set-up precedes the code."""


def make_orders(problem: Problem, code: str) -> Orders:
    """The problem's tests as orders for the harness. Raises `ValueError` or `SyntaxError` for tests that cannot be used.

    >>> p = Problem("1", "", "def f(x): return -x", meta={"tests": ["assert f(math.floor(1.5)) == -1"]})
    >>> make_orders(p, "f = abs").remote, make_orders(p, "f = abs").local
    (('f',), ('import math',))
    """
    meta = problem.meta
    prompt, entry = str(meta.get("prompt") or ""), str(meta.get("entry_point") or "")
    setup, after = str(meta.get("setup") or ""), str(meta.get("setup_after") or "")
    tests = [str(test) for test in meta.get("tests") or ()]
    if not tests and meta.get("test"):
        if not entry:
            raise ValueError("there is no entry point")
        tests = [f"{meta['test']}\n\ncheck({entry})\n"]
    if not tests:
        raise ValueError("there are none")
    begun = f"{prompt}\n    pass\n" if prompt.rstrip().endswith(":") else prompt
    reference = "" if prompt else str(problem.answer or "")
    imports, remote = _names(tuple(tests), f"{begun}\n{setup}", f"{reference}\n{after}", entry)
    programs = tuple(f"{setup}\n{program}" if setup else program for program in _programs(code, prompt, entry))
    programs += tuple("\n".join([*_FUTURE.findall(p), _FUTURE.sub("", p)]) for p in programs if _FUTURE.search(p))
    local = (*imports, *(source for source in (begun, setup) if source))
    return Orders(programs, local, (after,) if after else (), remote, tuple(tests))


def _programs(code: str, prompt: str, entry: str) -> Iterable[str]:
    """Ways to read the code as a program: whole, or as a body that continues the prompt, its indentation kept or lost.

    >>> list(_programs("    return x", "def f(x):\\n", "f"))[0]
    'def f(x):\\n    return x'
    """
    if not prompt or re.search(rf"(?m)^(?:(?:async )?def|class) {re.escape(entry)}\b|^{re.escape(entry)} ?=", code):
        yield f"{prompt}\n    pass\n\n{code}" if prompt.rstrip().endswith(":") else f"{prompt}\n\n{code}"
        return
    yield prompt + code
    yield prompt + "    " + code
    yield prompt + "\n".join("    " + line for line in code.split("\n"))


@lru_cache(1024)
def _names(tests: tuple[str, ...], given: str, reference: str, entry: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The imports that tests rely on, and the names that they take from the model's code.

    Which name is whose follows from the tests, what is `given` with them and the `reference` alone: a model that defines `len`,
    `math` or the prompt's helper anew changes nothing for the tests.
    """
    used: list[str] = []
    own: set[str] = set()
    for test in tests:
        tree = ast.parse(test)
        used += [node.id for node in ast.walk(tree) if isinstance(node, ast.Name)]
        own |= _bound(tree)
    imports: dict[str, str] = {}
    for source in (reference, given):
        for node in _parsed(source):
            if isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    single = _single(node, alias)
                    imports[(alias.asname or alias.name).split(".")[0]] = single
    beside = _defined(_parsed(given)) - {entry}
    defined = (_defined(_parsed(reference)) | {entry}) - beside
    needed: dict[str, None] = {}
    remote: dict[str, None] = {}
    for name in [entry, *used] if entry else used:
        if name in defined:
            remote[name] = None
        elif name in own or name in beside:
            continue
        elif name in imports:
            needed[imports[name]] = None
        elif hasattr(builtins, name):
            continue
        elif name in sys.stdlib_module_names:
            needed[f"import {name}"] = None
        else:
            remote[name] = None
    return tuple(needed), tuple(remote)


def _single(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> str:
    """The import statement of one name alone."""
    if isinstance(node, ast.Import):
        return ast.unparse(ast.Import([alias]))
    return ast.unparse(ast.ImportFrom(node.module, [alias], node.level))


def _parsed(source: str) -> Sequence[ast.stmt]:
    """Statements of trusted code; none where it is no whole program, as a reference that is only a body."""
    try:
        return ast.parse(source).body
    except SyntaxError:
        return ()


def _defined(statements: Iterable[ast.stmt]) -> set[str]:
    """Names that functions, classes and assignments at the top level bind."""
    names = set()
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif not isinstance(node, ast.Import | ast.ImportFrom):
            names |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name) and isinstance(part.ctx, ast.Store)}
    return names


def _bound(tree: ast.AST) -> set[str]:
    """Every name that a test binds anywhere in itself."""
    names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.arg):
            names.add(node.arg)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ExceptHandler) and node.name:
            names.add(node.name)
    return names


def _judge_cases(problem: Problem, cases: Sequence[Mapping[str, str]], found: Found, sandbox: Sandbox) -> Verdict:
    """Run the program once for each case, all of them within ten times the limit of one."""
    files = {"harness.pyc": compiled(harness.__file__), "main.py": str(found.answer).encode("utf-8", "replace")}
    argv = [*sandbox.python, "harness.pyc", "script", "main.py"]
    limits = _limits(problem)
    until = time.monotonic() + 10 * limits.wall_s
    for number, case in enumerate(cases, 1):
        stdin, expected = str(case["input"]), str(case["output"])
        left = until - time.monotonic()
        if left <= 0:
            return _verdict(0.0, f"case {number} of {len(cases)}: {_WHY['timeout']} for all cases", found)
        room = max(limits.output_bytes, 2 * len(expected.encode()))
        ran = sandbox.run(
            Program(argv, stdin.encode(), files), replace(limits, wall_s=min(limits.wall_s, left), output_bytes=room)
        )
        if ran.status != "ok":
            last = ran.stderr.decode(errors="replace").strip().rpartition("\n")[2][:120]
            why = _WHY.get(ran.status) or last or f"it ended with exit code {ran.returncode}"
            return _verdict(0.0, f"case {number} of {len(cases)}: {why}", found)
        if not same_output(ran.stdout.decode(errors="replace"), expected):
            return _verdict(0.0, f"case {number} of {len(cases)}: another output", found)
    return _verdict(1.0, f"all {len(cases)} cases passed", found)


def same_output(printed: str, expected: str) -> bool:
    """Whether two outputs have the same words on the same lines: blanks between words and empty lines at the end do not count,
    decimal fractions need to be equal only to 1e-6.

    >>> same_output("1  2 \\n\\n", "1 2"), same_output("1\\n2", "1 2")
    (True, False)
    >>> same_output("0.3333333", "0.33333333"), same_output("3", "3.0")
    (True, False)
    """
    mine, theirs = ([line.split() for line in text.rstrip().splitlines()] for text in (printed, expected))
    return len(mine) == len(theirs) and all(
        len(a) == len(b) and all(map(_same_word, a, b)) for a, b in zip(mine, theirs, strict=True)
    )


_DECIMAL = re.compile(r"[-+]?(?:\d{0,400}\.\d{1,400}|\d{1,400}\.)(?:[eE][-+]?\d{1,4})?|[-+]?\d{1,400}[eE][-+]?\d{1,4}")


def _same_word(left: str, right: str) -> bool:
    if left == right:
        return True
    if not _DECIMAL.fullmatch(left) or not _DECIMAL.fullmatch(right):
        return False
    a, b = float(left), float(right)
    if math.isinf(a) or math.isinf(b):
        return False  # within the tolerance of everything
    return abs(a - b) <= _TOLERANCE * max(1.0, abs(a), abs(b))


_TAGGED = re.compile(r"(?i)<answer>((?:(?!</?answer>).)*)</answer>|\[answer\]((?:(?!\[/?answer\]).)*)\[/answer\]", re.DOTALL)
_FENCED = re.compile(r"(?m)^[ \t]*```[^\n`]*\n(.*?)\n[ \t]*```", re.DOTALL)
_SAID = re.compile(
    r"(?im)^[ \t>*_#-]{0,16}(?:the )?(?:final )?(?:answer|arguments?|input)[*_ \t]{0,4}(?:is|are)?[*_ \t]{0,4}[:=]"
    r"[*_ \t]{0,4}(\S[^\n]*)"
)
_CALL = re.compile(r"\bf\(")
_AFTER = re.compile(r"\s*(?:$|[.`;:*]|==|->|=>|(?:returns|gives|is|evaluates|works)\b)")
"""What may follow the call; another call may not."""


def read_arguments(text: str, known: frozenset[str] = frozenset()) -> tuple[Found, str | None]:
    """The arguments that `text` states, and the same written anew as literals (`None` where they are none).

    They are read as they stand, because in a literal quotes and brackets are no decoration.

    >>> read_arguments("Answer: f('a', [1, 2], k=(3,))")
    (Found(answer="f('a', [1, 2], k=(3,))", form='strict'), "'a', [1, 2], k=(3,)")
    >>> read_arguments("So [ANSWER]assert f(-1) == 2[/ANSWER]")[1], read_arguments("Answer: f(open('x'))")[1]
    ('-1', None)
    """
    visible = split_thinking(text).text[-20_000:]
    tagged = [next(part for part in m.groups() if part is not None) for m in _TAGGED.finditer(visible)]
    stated = tagged[-1:] or [b for b in [last_boxed(visible)] if b] or [m[1] for m in _SAID.finditer(visible)][-1:]
    strict = bool(stated)
    if not stated:
        calls = [m.start() for m in _CALL.finditer(visible)]
        stated = [m[1] for m in _FENCED.finditer(visible)][-1:] or [visible[calls[-1] :].partition("\n")[0]] if calls else []
    if not stated:
        return Found(None, "none"), None
    answer = stated[0].strip()
    found = Found(answer, "strict" if strict else "flexible")
    return found, next((call for reading in _readings(answer) if (call := _literals(reading, known)) is not None), None)


def _readings(answer: str) -> Iterable[str]:
    """Ways to read an answer as what stands between the brackets of a call."""
    if len(answer) > _LONGEST_ARGUMENTS:
        return
    bare = answer.strip().strip("`").strip()
    bare = bare.rstrip(".") if bare.endswith((").", "].", "}.", "'.", '".')) else bare
    bare = bare.removeprefix("assert ").strip()
    if _CALL.match(bare):
        yield bare
        for end in [m.end() for m in re.finditer(r"\)", bare)][-8:]:
            if _AFTER.match(bare, end):
                yield bare[:end]
        return
    yield f"f({bare})"


_CONSTRUCTORS = frozenset("dict set frozenset list tuple range bytes".split())
_METHODS = frozenset(
    "join split upper lower strip title replace copy count index append extend sort reverse keys values".split()
)
_ALLOWED = (
    ast.Constant, ast.List, ast.Tuple, ast.Set, ast.Dict, ast.UnaryOp, ast.USub, ast.UAdd, ast.Not, ast.BinOp, ast.Add, ast.Sub,
    ast.Mult, ast.Mod, ast.Compare, ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE, ast.Load, ast.Name, ast.keyword,
    ast.arguments, ast.arg, ast.Subscript, ast.Slice,
)  # fmt: skip


def _literals(call: str, known: frozenset[str] = frozenset()) -> str | None:
    """The arguments of a call in a normal form, where all are literals or next to it: what CRUXEval's own references need, as
    `dict(a=1)`, `"a" + "b"`, `["A"] * 20`, `"a-b".split("-")`, `lambda x: x < 2` and names that the function's code sets.
    Nothing here can reach an attribute, a module or a function but those listed, so it may run beside the tests, inside."""
    try:
        tree = ast.parse(call, mode="eval").body
        if isinstance(tree, ast.Compare):
            tree = tree.left
        if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name) or tree.func.id != "f":
            return None
        parts = [*tree.args, *(word.value for word in tree.keywords)]
        if not all(_is_plain(part, known) for part in parts) or not all(word.arg for word in tree.keywords):
            return None
        return ast.unparse(tree)[2:-1]
    except (SyntaxError, ValueError, TypeError, MemoryError, RecursionError):
        return None


def _is_plain(node: ast.AST, names: frozenset[str]) -> bool:
    """Whether an expression can do nothing but make a value; `names` are those it may use."""
    if isinstance(node, ast.Lambda):
        given = frozenset(argument.arg for argument in node.args.args)
        return not node.args.defaults and not node.args.kw_defaults and _is_plain(node.body, names | given)
    if isinstance(node, ast.Call):
        if isinstance(node.func, ast.Attribute):
            called = node.func.attr in _METHODS and _is_plain(node.func.value, names)
        else:
            called = isinstance(node.func, ast.Name) and node.func.id in _CONSTRUCTORS
        return called and all(_is_plain(part, names) for part in (*node.args, *node.keywords))
    if isinstance(node, ast.keyword) and node.arg is None:
        return False
    if isinstance(node, ast.Name) and node.id not in names:
        return False
    return isinstance(node, _ALLOWED) and all(_is_plain(child, names) for child in ast.iter_child_nodes(node))
