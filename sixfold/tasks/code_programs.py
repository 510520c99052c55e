"""Small Python programs whose run is traced: what does the function return, what is in the variable after the loop.

Place: `code_families.py` lists both families. A program is a tree of tuples that is written as Python and run here from the
tree; the worked solution says each assignment with its numbers, each test, and each value of a loop's variable. The programs
are never executed as Python.
"""

from __future__ import annotations

import operator
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sixfold.core import Problem

FUNCTION_NAMES = (
    "f g h solve compute process transform combine collect reduce_all update mix evaluate scan select build handle convert "
    "measure resolve"
).split()
_VARIABLES = "a b c d n m p q s t u v w x y z total value result step".split()
_APPLIED: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "//": operator.floordiv, "%": operator.mod,
    "<": operator.lt, ">": operator.gt, "==": operator.eq, "!=": operator.ne, "<=": operator.le, ">=": operator.ge,
}  # fmt: skip
_CALLED: Mapping[str, Callable[..., Any]] = {"max": max, "min": min, "range": range}
_ASKED_CALL = (
    "What does this Python program return for {call}?\n\n{code}",
    "Consider this function:\n\n{code}\n\nWhat is {call}?",
    "{code}\n\nWork out the value of {call}.",
    "Here is some Python code.\n\n{code}\n\nWhich value does {call} give?",
)
_ASKED_VARIABLE = (
    "What is the value of {name} after this Python program?\n\n{code}",
    "This program runs to its end:\n\n{code}\n\nWhat is the value of {name} then?",
    "{code}\n\nWhich value does {name} have at the end?",
    "Trace this code.\n\n{code}\n\nWhat is the final value of {name}?",
)
_LONGEST = (330, 650, 1150)
"""Characters of a solution, by level: a draw with a longer one is made again."""

Term = int | str | list[int]
Expression = tuple[Any, ...]
"""("is", term), ("op", sign, term, term), ("call", name, term), ("at", term, term); a term is a variable's name or a value."""
Statement = tuple[Any, ...]
"""("set", name, expression), ("add", name, sign, term), ("for", name, expression or list, body), ("while", test, body),
("if", test, body, orelse), ("append", name, term), ("return", expression)."""


def written(body: Sequence[Statement], indent: str = "") -> list[str]:
    """A program as lines of Python."""
    lines: list[str] = []
    for kind, *parts in body:
        inner = indent + "    "
        if kind == "set":
            lines.append(f"{indent}{parts[0]} = {_expression(parts[1])}")
        elif kind == "add":
            lines.append(f"{indent}{parts[0]} {parts[1]}= {parts[2]!s}")
        elif kind == "append":
            lines.append(f"{indent}{parts[0]}.append({parts[1]!s})")
        elif kind == "return":
            lines.append(f"{indent}return {_expression(parts[0])}")
        elif kind == "for":
            lines += [f"{indent}for {parts[0]} in {_expression(parts[1])}:", *written(parts[2], inner)]
        elif kind == "while":
            lines += [f"{indent}while {_expression(parts[0])}:", *written(parts[1], inner)]
        else:
            lines += [f"{indent}if {_expression(parts[0])}:", *written(parts[1], inner)]
            lines += [f"{indent}else:", *written(parts[2], inner)] if parts[2] else []
    return lines


def _expression(e: Expression) -> str:
    kind, *parts = e
    if kind == "is":
        return str(parts[0])
    if kind == "op":
        return f"{parts[1]!s} {parts[0]} {parts[2]!s}"
    if kind == "rest":
        return f"{parts[0]!s} % {parts[1]} == {parts[2]}"
    return f"{parts[0]}({', '.join(map(str, parts[1:]))})" if kind == "call" else f"{parts[0]}[{parts[1]!s}]"


class _Run:
    """Runs a program from its tree and keeps what was told. A class because running changes both."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self.told: list[str] = []
        self.result: Any = None

    def term(self, term: Term) -> Any:
        return self.names[term] if isinstance(term, str) else term

    def evaluate(self, e: Expression) -> tuple[str, Any]:
        """The expression with values in place of names, and its value."""
        kind, *parts = e
        if kind == "is":
            return repr(self.term(parts[0])), self.term(parts[0])
        if kind == "op":
            left, right = self.term(parts[1]), self.term(parts[2])
            return f"{left!r} {parts[0]} {right!r}", _APPLIED[parts[0]](left, right)
        values = [self.term(p) for p in parts[1:]]
        if kind == "rest":
            held = self.term(parts[0])
            return f"({held} % {parts[1]}) == {parts[2]}", held % parts[1] == parts[2]
        if kind == "at":
            return f"{self.term(parts[0])!r}[{values[0]}]", self.term(parts[0])[values[0]]
        return f"{parts[0]}({', '.join(map(repr, values))})", _CALLED[parts[0]](*values)

    def put(self, name: str, e: Expression) -> None:
        shown, value = self.evaluate(e)
        self.names[name] = value
        self.told.append(f"{name} = {value!r}" if shown == repr(value) else f"{name} = {shown} = {value!r}")

    def test(self, e: Expression) -> bool:
        shown, holds = self.evaluate(e)
        self.told.append(f"{shown}: {'yes' if holds else 'no'}")
        return bool(holds)

    def run(self, body: Sequence[Statement]) -> None:
        for kind, *parts in body:
            if len(self.told) > 200:
                return
            if kind == "set":
                self.put(parts[0], parts[1])
            elif kind == "add":
                self.put(parts[0], ("op", parts[1], parts[0], parts[2]))
            elif kind == "append":
                self.names[parts[0]] = [*self.names[parts[0]], self.term(parts[1])]
                self.told.append(f"{parts[0]} = {self.names[parts[0]]}")
            elif kind == "return":
                shown, self.result = self.evaluate(parts[0])
                self.told.append(
                    f"return {self.result!r}" if shown == repr(self.result) else f"return {shown} = {self.result!r}"
                )
            elif kind == "for":
                for value in self.evaluate(parts[1])[1]:
                    self.put(parts[0], ("is", value))
                    self.run(parts[2])
            elif kind == "while":
                while len(self.told) <= 200 and self.test(parts[0]):
                    self.run(parts[1])
            else:
                self.run(parts[1] if self.test(parts[0]) else parts[2])


def make_output(r: random.Random, level: int) -> Problem:
    """A function and a call of it: straight lines, then a branch or a loop, then a loop with a branch inside."""
    while True:
        name = r.choice(FUNCTION_NAMES)
        v = r.sample(_VARIABLES, 5)
        if level == 1:
            parameters, args, body = _straight(r, v)
        elif level == 2:
            parameters, args, body = _branched(r, v) if r.random() < 0.5 else _looped(r, v)
        else:
            parameters, args, body = _collected(r, v) if r.random() < 0.5 else _counted(r, v)
        run = _Run(dict(zip(parameters, args, strict=True)))
        run.run(body)
        told = [", ".join(f"{p} = {a}" for p, a in zip(parameters, args, strict=True)), *run.told, f"Answer: {run.result!r}"]
        if len("\n".join(told)) <= _LONGEST[level - 1] and _interesting(run.result):
            break
    code = "\n".join([f"def {name}({', '.join(parameters)}):", *written(body, "    ")])
    call = f"{name}({', '.join(map(repr, args))})"
    question = r.choice(_ASKED_CALL).format(call=call, code=code)
    return Problem("", question, repr(run.result), "code", "literal", {}, "\n".join(told))


def make_loop(r: random.Random, level: int) -> Problem:
    """Statements with a loop: over a range or a list, then a while loop, then two variables or a loop inside a loop."""
    while True:
        v = r.sample(_VARIABLES, 4)
        body = (_for, _while, _nested)[level - 1](r, v)
        run = _Run({})
        run.run(body)
        if len(run.told) < 200 and len("\n".join(run.told)) <= _LONGEST[level - 1] - 15 and _interesting(run.names[v[0]]):
            break
    question = r.choice(_ASKED_VARIABLE).format(name=v[0], code="\n".join(written(body)))
    answer = repr(run.names[v[0]])
    return Problem("", question, answer, "code", "literal", {}, "\n".join([*run.told, f"Answer: {answer}"]))


def _interesting(value: Any) -> bool:
    """Small enough to be worked out by hand, and none of the values that would be guessed first."""
    return len(value) > 1 if isinstance(value, list) else abs(value) < 2000 and value not in (0, 1)


def _straight(r: random.Random, v: Sequence[str]) -> tuple[list[str], list[Any], list[Statement]]:
    a, b, c, d, _ = v
    body: list[Statement] = [("set", c, ("op", r.choice("+-*"), a, b))]
    if r.random() < 0.4:
        body.append(("add", r.choice((a, b, c)), r.choice("+-"), r.randrange(1, 10)))
    body.append(("set", d, ("op", r.choice(("+", "-", "*", "+", "-")), c, r.choice((a, b, r.randrange(2, 10))))))
    body.append(
        ("return", r.choice((("is", d), ("op", "+", c, d), ("op", "-", d, a), ("call", "max", c, d), ("call", "min", c, d))))
    )
    return [a, b], [r.randrange(1, 20), r.randrange(1, 10)], body


def _branched(r: random.Random, v: Sequence[str]) -> tuple[list[str], list[Any], list[Statement]]:
    a, b, c, d, _ = v
    test = r.choice(
        (("op", r.choice("<>"), a, b), ("rest", a, r.choice((2, 3)), 0), ("op", r.choice("<>"), c, r.randrange(5, 30)))
    )
    one, two = (
        [("set", d, ("op", sign, r.choice((a, b, c)), r.choice((a, b, r.randrange(2, 12)))))] for sign in r.sample("+-*", 2)
    )
    body: list[Statement] = [
        ("set", c, ("op", r.choice("+-*"), a, b)),
        ("if", test, one, two),
        ("add", d, r.choice("+-"), r.choice((c, r.randrange(1, 20)))),
        (
            "return",
            r.choice((("is", d), ("op", "+", c, d), ("op", "%", d, r.randrange(5, 15)), ("op", "//", d, r.randrange(2, 6)))),
        ),
    ]
    return [a, b], [r.randrange(1, 30), r.randrange(1, 30)], body


def _looped(r: random.Random, v: Sequence[str]) -> tuple[list[str], list[Any], list[Statement]]:
    a, b, c, d, e = v
    steps: list[Statement] = [
        ("add", c, r.choice("+-"), r.choice((d, b))),
        r.choice((("set", c, ("op", "*", c, 2)), ("add", b, "+", r.randrange(1, 4)), ("add", c, "+", r.randrange(1, 6)))),
    ]
    body: list[Statement] = [
        ("set", c, ("is", r.randrange(0, 10))),
        ("for", d, ("is", a), steps[: r.randrange(1, 3)]),
        r.choice((("set", e, ("op", "+", c, b)), ("set", e, ("op", "*", c, 2)), ("set", e, ("op", "-", c, b)))),
        ("return", ("is", e)),
    ]
    return [a, b], [[r.randrange(1, 20) for _ in range(r.randrange(3, 5))], r.randrange(1, 10)], body


def _collected(r: random.Random, v: Sequence[str]) -> tuple[list[str], list[Any], list[Statement]]:
    a, b, c, d, e = v
    test = r.choice((("op", r.choice("<>"), d, b), ("rest", d, r.choice((2, 3)), r.choice((0, 1)))))
    orelse: list[Statement] = [] if r.random() < 0.4 else [("append", c, r.choice((d, b)))]
    change = ("set", e, ("op", r.choice("+-*"), d, r.choice((b, r.randrange(2, 6)))))
    body: list[Statement] = [
        ("set", c, ("is", [])),
        ("for", d, ("is", a), [("if", test, [change, ("append", c, e)], orelse)]),
        ("return", ("is", c)),
    ]
    return [a, b], [[r.randrange(1, 30) for _ in range(r.randrange(5, 8))], r.randrange(5, 20)], body


def _counted(r: random.Random, v: Sequence[str]) -> tuple[list[str], list[Any], list[Statement]]:
    a, b, c, d, e = v
    test = r.choice(
        (("op", r.choice("<>"), e, c), ("rest", e, r.choice((2, 3)), r.choice((0, 1))), ("op", r.choice("<>"), e, b))
    )
    body: list[Statement] = [
        ("set", c, ("is", r.randrange(0, 20))),
        ("for", d, ("call", "range", r.randrange(4, 6)), [
            ("set", e, ("at", a, d)),
            ("if", test, [("add", c, r.choice("+-"), e)], [("add", c, r.choice("+-"), r.choice((d, b, r.randrange(1, 9))))]),
        ]),
        ("return", r.choice((("is", c), ("op", "*", c, r.randrange(2, 4)), ("op", "+", c, b)))),
    ]  # fmt: skip
    return [a, b], [[r.randrange(1, 30) for _ in range(r.randrange(5, 8))], r.randrange(2, 20)], body


def _for(r: random.Random, v: Sequence[str]) -> list[Statement]:
    x, i, k, _ = v
    if r.random() < 0.5:
        low = r.randrange(0, 5)
        over: Expression = ("call", "range", low, low + r.randrange(3, 6)) if low else ("call", "range", r.randrange(3, 6))
    else:
        over = ("is", [r.randrange(1, 20) for _ in range(r.randrange(3, 6))])
    body: list[Statement] = [("add", x, r.choice("+-"), r.choice((i, i, k)))]
    start: list[Statement] = [("set", x, ("is", r.randrange(0, 50)))]
    if body[0][3] == k:
        start.append(("set", k, ("is", r.randrange(1, 12))))
        body.append(("add", k, "+", r.randrange(1, 5)))
    return [*start, ("for", i, over, body)]


def _while(r: random.Random, v: Sequence[str]) -> list[Statement]:
    x, n, k, _ = v
    if r.random() < 0.5:
        start, limit = r.randrange(1, 6), r.randrange(20, 100)
        grow = ("add", x, r.choice("+*"), r.randrange(2, 5)) if r.random() < 0.4 else ("add", x, "+", k)
        return [
            ("set", x, ("is", start)), ("set", k, ("is", r.randrange(3, 15))),
            ("while", ("op", "<", x, limit), [grow, ("add", k, "+", r.randrange(1, 5))]),
        ]  # fmt: skip
    down = r.choice((("add", n, "-", r.randrange(2, 9)), ("add", n, "//", r.choice((2, 3)))))
    return [
        ("set", n, ("is", r.randrange(15, 60))), ("set", x, ("is", r.randrange(0, 10))),
        ("while", ("op", ">", n, r.randrange(1, 5)), [("add", x, r.choice("+-"), n), down]),
    ]  # fmt: skip


def _nested(r: random.Random, v: Sequence[str]) -> list[Statement]:
    x, i, j, k = v
    if r.random() < 0.5:
        inner: list[Statement] = [("set", k, ("op", r.choice("+-*"), i, j)), ("add", x, r.choice("+-"), k)]
        over = [("call", "range", r.randrange(2, 4)), ("is", [r.randrange(1, 15) for _ in range(r.randrange(2, 4))])]
        r.shuffle(over)
        return [("set", x, ("is", r.randrange(0, 30))), ("for", i, over[0], [("for", j, over[1], inner)])]
    test = r.choice((("rest", i, 2, r.choice((0, 1))), ("op", r.choice("<>"), i, j), ("rest", x, 2, 0)))
    one, two = r.sample((("add", x, "+", i), ("add", x, "-", j), ("add", x, "+", j), ("set", x, ("op", "*", i, 2))), 2)
    return [
        ("set", x, ("is", r.randrange(0, 30))), ("set", j, ("is", r.randrange(1, 20))),
        ("for", i, ("is", [r.randrange(1, 30) for _ in range(r.randrange(5, 8))]), [
            ("if", test, [one], [two]), ("add", j, "+", r.randrange(1, 6)),
        ]),
    ]  # fmt: skip
