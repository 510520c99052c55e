"""The comparing of mathematics that needs sympy's world: many digits by mpmath, and math-verify for what we cannot read.

Place: runs only inside a worker process (`worker_jobs.py`), whose deadline and memory limit are what bounds it; the parent
never imports it. Two trees (`math_reading.py`) are compared by their values at fixed points, so no text becomes a sympy
expression through `eval`. math-verify sees nothing but the two spans that were extracted, both ways round.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping
from typing import Any

from sixfold.verify.math_reading import Tree, names_in, read_tree

_DIGITS, _DIGITS_OF_A_NUMBER = 50, 1200
"""With variables and without: a difference that large whole numbers hide may be far behind the point."""
_POINTS = ("0.7310585786300048792511592418218362743", "1.3773419923051842", "2.1930471199840001172", "3.6180339")
"""Positive and no special values; the variables of one point differ from each other."""


def math_equal(gold: str, answer: str) -> dict[str, Any]:
    """`equal` (None where it could not be told) and what told it: `numeric` or `math-verify`."""
    try:
        return {"equal": _same_values(read_tree(gold), read_tree(answer)), "by": "numeric"}
    except (ValueError, ArithmeticError, KeyError, TypeError):
        pass
    if max(len(gold), len(answer)) > 300 or "!" in gold + answer:
        return {"equal": None, "by": "too long or with factorials"}
    return {"equal": math_verify_alone(gold, answer) and math_verify_alone(answer, gold), "by": "math-verify"}


def math_verify_alone(gold: str, answer: str) -> bool:
    """What math-verify says on its own defaults, with our deadline instead of its signals."""
    from math_verify import parse, verify

    sides = [parse(f"${text}$", parsing_timeout=None) for text in (gold, answer)]
    return bool(verify(*sides, timeout_seconds=None))


def _same_values(left: Tree, right: Tree) -> bool:
    """Whether both have the same value wherever they have one. `ValueError` where no point gives both a value."""
    mpmath = _mpmath()

    names = sorted(names_in(left) | names_in(right))
    compared = 0
    digits = _DIGITS if names else _DIGITS_OF_A_NUMBER
    with mpmath.workdps(digits):
        for place, point in enumerate(_POINTS):
            variables = {name: mpmath.mpf(point) * (7 + i) / (7 + place) for i, name in enumerate(names)}
            try:
                values = [_value(tree, variables) for tree in (left, right)]
            except (ArithmeticError, ValueError):
                continue
            size = max(abs(v) for v in values)
            if not mpmath.isfinite(size) or abs(values[0] - values[1]) > size * mpmath.mpf(10) ** (10 - digits):
                return False
            compared += 1
            if not names:
                break
    if not compared:
        raise ValueError("no point where both have a value")
    return True


def _value(tree: Tree, variables: Mapping[str, Any]) -> Any:
    mpmath = _mpmath()

    operation = str(tree[0])
    if operation == "number":
        number: Any = tree[1]
        return mpmath.mpf(number.numerator) / number.denominator
    if operation == "name":
        return (
            variables[str(tree[1])] if tree[1] in variables else {"pi": mpmath.pi, "e": mpmath.e, "i": mpmath.j}[str(tree[1])]
        )
    return _operations()[operation](*(_value(t, variables) for t in tree[1:] if isinstance(t, tuple)))


def _power(base: Any, exponent: Any) -> Any:
    mpmath = _mpmath()

    if abs(exponent) > 10**12:
        raise ValueError("too large")
    return mpmath.power(base, exponent)


def _root(inner: Any, degree: Any) -> Any:
    mpmath = _mpmath()

    if mpmath.im(inner) == 0 and inner < 0 and degree == int(degree) and int(degree) % 2:
        return -mpmath.root(-inner, int(degree))
    return mpmath.root(inner, int(degree))


@functools.cache
def _mpmath() -> Any:
    return importlib.import_module("mpmath")


@functools.cache
def _operations() -> Mapping[str, Any]:
    mpmath = _mpmath()

    named = "sin cos tan cot sec csc sinh cosh tanh exp floor ceil".split()
    inverse = {f"arc{name}": getattr(mpmath, f"a{name}") for name in "sin cos tan sinh cosh tanh".split()}
    return {name: getattr(mpmath, name) for name in named} | inverse | {
        "+": lambda a, b: a + b, "-": lambda a, b: a - b, "*": lambda a, b: a * b, "/": lambda a, b: a / b,
        "neg": lambda a: -a, "^": _power, "sqrt": mpmath.sqrt, "root": _root, "!": mpmath.factorial, "binom": mpmath.binomial,
        "abs": abs, "ln": mpmath.log, "lg": mpmath.log10,
    }  # fmt: skip
