"""Reading arithmetic as it is written on paper: every column checked against the digits of the numbers it is about.

Place: the proofs of the math and science families. Nothing of the generators is used: a column is true or it is a `Fault`.
"""

from __future__ import annotations

import re
from fractions import Fraction

from sixfold.tasks.proofs_reading import Fault, Steps, must
from sixfold.verify.evaluate import evaluate

NUMBER = r"-?\d+(?:\.\d+)?"


def value(expression: str) -> Fraction:
    """The exact value of an arithmetic expression; a `Fault` where it is none."""
    try:
        found = evaluate(expression)
    except ValueError as error:
        raise Fault(f"{expression!r} is no expression") from error
    must(isinstance(found, Fraction), f"{expression!r} is not exact")
    return Fraction(found)


def number(text: str) -> Fraction:
    """A plain number written the short way: no zeros that change nothing."""
    must(re.fullmatch(r"-?(?:0|[1-9]\d*)(?:\.\d*[1-9])?", text) and text != "-0", f"{text!r} is not how this number is written")
    return Fraction(text)


def true_equation(line: str) -> Fraction:
    """The common value of all sides of `a = b = ...`."""
    sides = line.split(" = ")
    must(len(sides) > 1, f"no equation: {line!r}")
    values = [value(side) for side in sides]
    must(all(v == values[0] for v in values), f"not true: {line!r}")
    return values[0]


def paper(line: str) -> tuple[int, str, int, int, int]:
    """A line of written arithmetic as (a, sign, b, result, remainder), each of its columns checked."""
    m = re.fullmatch(r"(\d+) ([-+*/]) (\d+): (.+)\. So (\d+)(?: remainder ([1-9]\d*))?\.", line)
    if m is None:
        raise Fault(f"not understood: {line!r}")
    a, sign, b, columns = int(m[1]), m[2], int(m[3]), m[4].split("; ")
    must(m[6] is None or sign == "/", "only a division leaves a remainder")
    {"+": _sum, "-": _difference, "*": _product, "/": _quotient}[sign](a, b, columns)
    got, rest = int(m[5]), int(m[6] or 0)
    right = {"+": a + b, "-": a - b, "*": a * b, "/": (a - rest) // (b or 1)}[sign]
    must(got == right and (sign != "/" or got * b + rest == a), f"the result is wrong: {line!r}")
    must(rest < b or sign != "/", "the remainder is too large")
    return a, sign, b, got, rest


def _place(n: int, i: int) -> int:
    return int(n // 10**i % 10)


def _column(pattern: str, column: str) -> re.Match[str]:
    m = re.fullmatch(pattern, column)
    if m is None:
        raise Fault(f"column not understood: {column!r}")
    return m


def _kept(written: str | None, carried: str | None, total: int, last: bool) -> int:
    """What is carried on; nothing is written down in the last column but the total."""
    must((written is None) == last, "a digit is written in the last column, or none before it")
    must(last or (int(written or 0) == total % 10 and int(carried or 0) == total // 10), "written or carried wrong")
    must(carried is None or int(carried) > 0, "nothing is carried as 0")
    return total // 10


def _sum(a: int, b: int, columns: list[str]) -> None:
    size, carry = max(len(str(a)), len(str(b))), 0
    must(len(columns) == size, "not one column a digit")
    for i, column in enumerate(columns):
        m = _column(r"(\d) \+ (\d)( \+ 1)? = (\d+)(?:, write (\d)(?: carry (\d))?)?", column)
        must((int(m[1]), int(m[2])) == (_place(a, i), _place(b, i)), f"other digits: {column!r}")
        must((m[3] is not None) == (carry == 1), f"the carry is wrong: {column!r}")
        must(int(m[4]) == int(m[1]) + int(m[2]) + carry, f"not true: {column!r}")
        carry = _kept(m[5], m[6], int(m[4]), i == size - 1)


def _difference(a: int, b: int, columns: list[str]) -> None:
    must(len(columns) == len(str(a)) and a >= b, "not one column a digit")
    borrowed = 0
    for i, column in enumerate(columns):
        m = _column(r"(\d+) - (\d)( - 1)? = (\d)( borrow 1)?", column)
        must((m[3] is not None) == (borrowed == 1), f"the borrowed 1 is missing, or was not borrowed: {column!r}")
        must(int(m[2]) == _place(b, i) and int(m[1]) == _place(a, i) + (10 if m[5] else 0), f"other digits: {column!r}")
        must(int(m[4]) == int(m[1]) - int(m[2]) - borrowed, f"not true: {column!r}")
        must((m[5] is not None) == (_place(a, i) < _place(b, i) + borrowed), f"borrowed without need: {column!r}")
        borrowed = int(m[5] is not None)
    must(not borrowed, "borrowed from nothing")


def _product(a: int, b: int, columns: list[str]) -> None:
    size, carry = len(str(a)), 0
    must(len(columns) == size and b < 10, "not one column a digit")
    for i, column in enumerate(columns):
        m = _column(r"(\d) \* (\d)(?: \+ (\d))? = (\d+)(?:, write (\d)(?: carry (\d))?)?", column)
        must((int(m[1]), int(m[2])) == (_place(a, i), b), f"other digits: {column!r}")
        must(int(m[3] or 0) == carry and m[3] != "0", f"the carry is wrong: {column!r}")
        must(int(m[4]) == int(m[1]) * b + carry, f"not true: {column!r}")
        carry = _kept(m[5], m[6], int(m[4]), i == size - 1)


def _quotient(a: int, b: int, columns: list[str]) -> None:
    digits = str(a)
    first = len(digits) - len(columns) + 1
    must(first >= 1 and b > 0, "more columns than digits")
    rest = int(digits[: first - 1] or "0")
    must(rest < b, "the first column takes too many digits")
    for i, column in enumerate(columns):
        m = _column(r"(\d+) = (\d+) \* (\d) \+ (\d+)", column)
        now = rest * 10 + int(digits[first - 1 + i])
        must(int(m[1]) == now and int(m[2]) == b, f"other numbers: {column!r}")
        must(int(m[2]) * int(m[3]) + int(m[4]) == now and int(m[4]) < b, f"not true: {column!r}")
        rest = int(m[4])


def take_work(steps: Steps, a: int | Fraction, sign: str, b: int | Fraction, label: str = "") -> Fraction:
    """Reads the lines that compute `a sign b`, the first of them after `label`, and gives the result."""
    head = re.escape(f"{label}: ") if label else ""
    x, y = Fraction(a), Fraction(b)
    named: tuple[object, ...] = (x, y)
    if sign == "/":
        must(y, "a division by 0")
    right = {"+": x + y, "-": x - y, "*": x * y, "/": x / (y or 1)}[sign]
    if m := steps.maybe(rf"{head}({NUMBER}) {re.escape(sign)} ({NUMBER}) = ({NUMBER})"):
        must([number(g) for g in m.groups()] == [x, y, right], f"not true here: {m[0]!r}")
        return right
    must(x.denominator == y.denominator == 1, f"{x} {sign} {y} was to be computed")
    if sign == "*" and (m := steps.maybe(rf"{head}(\d+) \* (\d+) = (\d+) \* (\d+)")):
        must([int(g) for g in m.groups()] == [x, y, y, x] and x < y, f"not true here: {m[0]!r}")
        return take_work(steps, b, "*", a)
    if sign == "*" and (m := steps.maybe(rf"{head}(\d+) \* (\d+) = (\d+ \* \d+(?: \+ \d+ \* \d+)+)")):
        must((int(m[1]), int(m[2])) == named, f"not true here: {m[0]!r}")
        return _take_parts(steps, int(x), int(y), m[3].split(" + "))
    if sign == "*" and (m := steps.maybe(rf"{head}(\d+) \* (\d+) = (\d+) \* (\d) \* (10+)")):
        a_first, b_first, a_again, digit, place = (int(g) for g in m.groups())
        must((a_first, b_first) == named and a_again == x and digit * place == y, f"not true here: {m[0]!r}")
        return Fraction(_take_part(steps, int(x), int(y)))
    line = steps.take(rf"{head}(\d+ [-+*/] \d+: .+)")[1]
    found: tuple[object, ...] = paper(line)
    must(found == (x, sign, y, right, 0), f"{x} {sign} {y} was to be computed: {line!r}")
    return right


def _take_part(steps: Steps, a: int, b: int) -> int:
    """A product with a number of one digit and zeros: the digit first, then the zeros."""
    digit, place = int(str(b)[0]), 10 ** (len(str(b)) - 1)
    must(b == digit * place, f"{b} is not one digit and zeros")
    if digit > 1:
        line = steps.take(r"\d+ \* \d+: .+")[0]
        must(paper(line)[:3] == (a, "*", digit), f"{a} * {digit} was to be computed: {line!r}")
    if place > 1 or digit == 1:
        m = steps.take(r"(\d+) \* (\d+) = (\d+)")
        must([int(g) for g in m.groups()] == [a, b, a * b], f"not true here: {m[0]!r}")
    return a * b


def _take_parts(steps: Steps, a: int, b: int, terms: list[str]) -> Fraction:
    """Partial products from the smallest, and their sum."""
    factors = [[int(f) for f in term.split(" * ")] for term in terms]
    must(all(f[0] == a for f in factors) and sum(f[1] for f in factors) == b, f"the parts are not those of {a} * {b}")
    parts = [_take_part(steps, a, f[1]) for f in factors]
    total = parts[0]
    for part in parts[1:]:
        total = int(take_work(steps, total, "+", part))
    must(total == a * b, "the parts do not add up")
    return Fraction(total)
