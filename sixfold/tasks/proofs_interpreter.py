"""A small interpreter of Python: programs that families write are run here to be proved, never by `exec`.

Place: the proofs of the code families use it; no generator may import it. It walks the syntax tree of a small part of Python
(numbers, strings, lists, loops, branches, a few methods) with a limit on steps and sizes; everything else is a `Fault`. With
`trace` it also tells what happens, in the form of worked solutions: one line for each assignment, test, and value of a loop's
variable.
"""

from __future__ import annotations

import ast
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sixfold.tasks.proofs_reading import Fault, must

_STEPS = 20_000
_LARGEST = 10**12
_OPERATORS: Mapping[type[ast.AST], tuple[str, Callable[[Any, Any], Any]]] = {
    ast.Add: ("+", operator.add), ast.Sub: ("-", operator.sub), ast.Mult: ("*", operator.mul),
    ast.FloorDiv: ("//", operator.floordiv), ast.Mod: ("%", operator.mod),
    ast.Lt: ("<", operator.lt), ast.LtE: ("<=", operator.le), ast.Gt: (">", operator.gt), ast.GtE: (">=", operator.ge),
    ast.Eq: ("==", operator.eq), ast.NotEq: ("!=", operator.ne),
    ast.In: ("in", lambda a, b: a in b), ast.NotIn: ("not in", lambda a, b: a not in b),
}  # fmt: skip
_FUNCTIONS: Mapping[str, Callable[..., Any]] = {
    "abs": abs, "len": len, "list": list, "max": max, "min": min, "range": range, "set": set, "sorted": sorted, "sum": sum,
}  # fmt: skip
_METHODS = frozenset(
    {("list", m) for m in ("append", "insert", "pop", "reverse", "sort", "extend")}
    | {("str", m) for m in ("replace", "upper", "lower")}
)


class _Returned(Exception):
    def __init__(self, value: Any) -> None:
        self.value = value


def call_function(source: str, name: str, args: Sequence[Any], trace: list[str] | None = None) -> Any:
    """What the only function of `source` returns; it must be called `name`.

    >>> call_function("def f(a):\\n    return a * 2", "f", [4])
    8
    """
    tree = ast.parse(source).body
    must(len(tree) == 1 and isinstance(tree[0], ast.FunctionDef), "the code is not one function")
    function: Any = tree[0]
    names = [a.arg for a in function.args.args]
    must(function.name == name and len(names) == len(args) and not function.decorator_list, "another function")
    run = Interpreter(dict(zip(names, args, strict=True)), trace)
    try:
        run.block(function.body)
    except _Returned as returned:
        return returned.value
    return None


def run_program(source: str, variables: dict[str, Any], trace: list[str] | None = None) -> dict[str, Any]:
    """The variables after the statements of `source`.

    >>> run_program("x = 2\\nx += 3", {})
    {'x': 5}
    """
    run = Interpreter(variables, trace)
    run.block(ast.parse(source).body)
    return run.names


class Interpreter:
    """Variables and the steps that are left. A class because running changes both."""

    def __init__(self, names: dict[str, Any], trace: list[str] | None = None) -> None:
        self.names = names
        self.left = _STEPS
        self.trace = trace

    def block(self, body: Sequence[ast.stmt]) -> None:
        for statement in body:
            self._step()
            self.statement(statement)

    def statement(self, node: ast.stmt) -> None:
        match node:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                self._assign(name, value)
            case ast.AugAssign(target=ast.Name(id=name) as target, op=op, value=value):
                self._assign(name, ast.BinOp(ast.Name(target.id, ast.Load()), op, value))
            case ast.For(target=ast.Name(id=name), iter=iterable, body=body, orelse=[]):
                for value in list(self.value(iterable)):
                    self._step()
                    self.names[name] = value
                    self._tell(f"{name} = {value!r}")
                    self.block(body)
            case ast.While(test=test, body=body, orelse=[]):
                while self._test(test):
                    self._step()
                    self.block(body)
            case ast.If(test=test, body=body, orelse=orelse):
                self.block(body if self._test(test) else orelse)
            case ast.Expr(value=ast.Call(func=ast.Attribute(value=ast.Name(id=name))) as called):
                self.value(called)
                self._tell(f"{name} = {self.names[name]!r}")
            case ast.Return(value=ast.expr() as value):
                result = self.value(value)
                self._tell(f"return {self._shown(value, result)}")
                raise _Returned(result)
            case _:
                raise Fault(f"not run here: {ast.unparse(node)}")

    def value(self, node: ast.expr) -> Any:
        self._step()
        match node:
            case ast.Constant(value=int() | str() | None as value):
                return value
            case ast.Name(id=name):
                must(name in self.names, f"{name} has no value")
                return self.names[name]
            case ast.List(elts=items):
                return [self.value(x) for x in items]
            case ast.BinOp(left=left, op=op, right=right):
                sides = self.value(left), self.value(right)
                must(
                    all(isinstance(s, int) for s in sides) or not isinstance(op, ast.Mult), "a string or a list times a number"
                )
                return self._bounded(_OPERATORS[type(op)][1](*sides))
            case ast.UnaryOp(op=ast.USub(), operand=operand):
                return -self.value(operand)
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                return not self.value(operand)
            case ast.Compare(left=left, ops=[op], comparators=[right]):
                return _OPERATORS[type(op)][1](self.value(left), self.value(right))
            case ast.BoolOp(op=op, values=parts):
                held = [bool(self.value(p)) for p in parts]
                return all(held) if isinstance(op, ast.And) else any(held)
            case ast.IfExp(test=test, body=body, orelse=orelse):
                return self.value(body if self.value(test) else orelse)
            case ast.Subscript(value=held, slice=ast.Slice(lower=lower, upper=upper, step=step)):
                return self.value(held)[slice(*(None if part is None else self.value(part) for part in (lower, upper, step)))]
            case ast.Subscript(value=held, slice=at):
                return self.value(held)[self.value(at)]
            case ast.ListComp(elt=kept, generators=[loop]) | ast.GeneratorExp(elt=kept, generators=[loop]):
                return self._comprehension(kept, loop)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords) if name in _FUNCTIONS:
                return self._bounded(_FUNCTIONS[name](*map(self.value, args), **self._keywords(keywords)))
            case ast.Call(func=ast.Attribute(value=held, attr=method), args=args, keywords=keywords):
                owner = self.value(held)
                must((type(owner).__name__, method) in _METHODS, f"no method {method}")
                return self._bounded(getattr(owner, method)(*map(self.value, args), **self._keywords(keywords)))
        raise Fault(f"not computed here: {ast.unparse(node)}")

    def _keywords(self, keywords: Sequence[ast.keyword]) -> dict[str, Any]:
        """`reverse=True` and `default=...`, which are the only ones in use."""
        found: dict[str, Any] = {}
        for keyword in keywords:
            must(keyword.arg in ("reverse", "default"), f"no argument {keyword.arg}")
            constant = isinstance(keyword.value, ast.Constant)
            found[str(keyword.arg)] = keyword.value.value if constant else self.value(keyword.value)  # type: ignore[attr-defined]
        return found

    def _comprehension(self, kept: ast.expr, loop: ast.comprehension) -> list[Any]:
        must(isinstance(loop.target, ast.Name), "not looped here")
        inner = Interpreter(dict(self.names))
        found = []
        for value in self.value(loop.iter):
            self._step()
            inner.names[loop.target.id] = value  # type: ignore[attr-defined]
            if all(inner.value(test) for test in loop.ifs):
                found.append(inner.value(kept))
        return found

    def _assign(self, name: str, node: ast.expr) -> None:
        value = self.value(node)
        shown = self._shown(node, value)
        self.names[name] = value
        self._tell(f"{name} = {shown}")

    def _test(self, node: ast.expr) -> bool:
        holds = bool(self.value(node))
        if self.trace is not None:
            self._tell(f"{self._filled(node)}: {'yes' if holds else 'no'}")
        return holds

    def _shown(self, node: ast.expr, value: Any) -> str:
        """A value with the operation that gave it: "3 + 4 = 7"; the value alone where there was none."""
        if self.trace is None or isinstance(node, ast.Constant | ast.List) or self._filled(node) == repr(value):
            return repr(value)
        return f"{self._filled(node)} = {value!r}"

    def _filled(self, node: ast.expr) -> str:
        """An expression with values in place of its variables."""
        match node:
            case ast.BinOp(left=left, op=op, right=right) | ast.Compare(left=left, ops=[op], comparators=[right]):
                sides = [f"({self._filled(s)})" if isinstance(s, ast.BinOp) else self._filled(s) for s in (left, right)]
                return f"{sides[0]} {_OPERATORS[type(op)][0]} {sides[1]}"
            case ast.Call(func=ast.Name(id=name), args=args):
                return f"{name}({', '.join(map(self._filled, args))})"
            case ast.Subscript(value=held, slice=ast.Constant() | ast.Name() | ast.UnaryOp() as at):
                return f"{self._filled(held)}[{self._filled(at)}]"
            case _:
                return repr(self.value(node))

    def _tell(self, line: str) -> None:
        if self.trace is not None:
            self.trace.append(line)

    def _step(self) -> None:
        self.left -= 1
        must(self.left > 0, "too many steps")

    def _bounded(self, value: Any) -> Any:
        large = abs(value) > _LARGEST if isinstance(value, int) else len(value) > 2000 if hasattr(value, "__len__") else False
        must(not large, "a value is too large")
        return value
