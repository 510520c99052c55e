"""The value of an arithmetic expression, exact where it can be, bounded whatever stands in it.

Place: `answers.py` makes keys of values, `arithmetic.py` checks equations, the proofs of families check their steps. No `eval`:
the syntax tree is walked, and only numbers, `+ - * / **` and a few functions are known.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from fractions import Fraction

from sixfold.verify.plain import MAX_LENGTH

Number = Fraction | float

_OPERATORS: Mapping[type, Callable[[Number, Number], Number]] = {
    ast.Add: operator.add, ast.Sub: operator.sub, ast.Mult: operator.mul, ast.Div: operator.truediv,
}  # fmt: skip

_FUNCTIONS: Mapping[str, Callable[[float], float]] = {
    "sqrt": math.sqrt, "sin": math.sin, "cos": math.cos, "tan": math.tan, "exp": math.exp, "ln": math.log, "log": math.log,
    "abs": abs,
}  # fmt: skip

CONSTANTS: Mapping[str, float] = {"pi": math.pi, "e": math.e}

_IMPLICIT_PRODUCT = re.compile(
    r"(?<=[\d)])\s*(?!e[-+]?\d)(?=[a-zA-Z(])|(?<=\))\s*(?=\d)|(?<=[a-zA-Z])\s+(?=[a-zA-Z])|(?<![a-zA-Z][a-zA-Z])(?<=[a-zA-Z])\s*(?=\()"
)

_NO_EXPRESSION = re.compile(r"[^a-zA-Z0-9\s.+*/()-]")


def evaluate(expression: str, variables: Mapping[str, Number] | None = None) -> Number:
    """The value of an arithmetic expression, exact where it can be. Raises `ValueError` for anything else.

    >>> evaluate("(1 + 2) * 3 / 4"), evaluate("2x + 1", {"x": Fraction(3)})
    (Fraction(9, 4), Fraction(7, 1))
    """
    text = expression.strip().replace("^", "**").replace("{", "(").replace("}", ")")
    text = _IMPLICIT_PRODUCT.sub("*", text)
    if not text or len(text) > MAX_LENGTH or _NO_EXPRESSION.search(text):
        raise ValueError("no expression")
    try:
        return _value(ast.parse(text, mode="eval").body, variables or {})
    except (SyntaxError, ArithmeticError, RecursionError, MemoryError) as error:
        raise ValueError(f"not an expression: {error}") from error


def _value(node: ast.expr, variables: Mapping[str, Number]) -> Number:
    match node:
        case ast.Constant(value=int() | float() as value) if not isinstance(value, bool):
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError("too large")
            return Fraction(str(value))
        case ast.Name(id=name) if name in variables:
            return variables[name]
        case ast.Name(id=name) if name in CONSTANTS:
            return CONSTANTS[name]
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_value(operand, variables)
        case ast.UnaryOp(op=ast.UAdd(), operand=operand):
            return _value(operand, variables)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left, variables), _value(right, variables))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_value(left, variables), _value(right, variables))
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](float(_value(argument, variables)))
    raise ValueError("not arithmetic")


def _power(base: Number, exponent: Number) -> Number:
    """Bounded: exact for small whole exponents, in floating point for the rest."""
    small = isinstance(exponent, Fraction) and exponent.denominator == 1 and abs(exponent) <= 64
    if small and isinstance(base, Fraction):
        bits = max(base.numerator.bit_length(), base.denominator.bit_length())
        if bits * abs(int(exponent)) <= 4096:
            return base ** int(exponent)
    value: float | complex = float(base) ** float(exponent)
    if isinstance(value, complex):
        raise ValueError("not real")
    return value
