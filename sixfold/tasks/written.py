"""Arithmetic as it is written on paper, one digit at a time, for worked solutions that a small model can follow.

Place: the generators of the math and science families. `proofs_written.py` reads the same lines with code of its own. Facts of
one digit are stated; everything longer goes column by column, with what is written and what is carried.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

from sixfold.core import Problem

_EASY = {0, 1, 10, 100, 1000}
"""Factors that take no arithmetic."""


def problem(question: str, answer: object, lines: Sequence[str], verifier: str = "math", **meta: Any) -> Problem:
    """A problem with its worked solution: `lines` and the answer; the caller fills in the domain."""
    solution = "\n".join([*lines, f"Answer: {answer}"])
    return Problem("", question, str(answer), verifier=verifier, meta=meta, solution=solution)


def decimal(value: Fraction | int) -> str:
    """A number that ends after some decimals, without zeros at its end.

    >>> decimal(Fraction(5, 4)), decimal(12), decimal(Fraction(-3, 1000))
    ('1.25', '12', '-0.003')
    """
    value = Fraction(value)
    places = next(n for n in range(40) if (value * 10**n).denominator == 1)
    digits = str(abs(value.numerator) * 10**places // value.denominator).rjust(places + 1, "0")
    whole = f"{digits[: len(digits) - places]}.{digits[len(digits) - places :]}" if places else digits
    return f"-{whole}" if value < 0 else whole


def _digits(a: int, b: int) -> list[tuple[int, int]]:
    """The digits of both from the right, 0 where one has none."""
    size = max(len(str(a)), len(str(b)))
    return [(int(x), int(y)) for x, y in zip(f"{a:0{size}}"[::-1], f"{b:0{size}}"[::-1], strict=True)]


def _written(total: int) -> str:
    return f", write {total % 10}" + (f" carry {total // 10}" if total > 9 else "")


def add(a: int, b: int) -> str:
    """
    >>> add(47, 85)
    '47 + 85: 7 + 5 = 12, write 2 carry 1; 4 + 8 + 1 = 13. So 132.'
    """
    columns, carry = [], 0
    for x, y in _digits(a, b):
        total = x + y + carry
        columns.append((f"{x} + {y}{' + 1' if carry else ''} = {total}", total))
        carry = total // 10
    shown = [text + _written(total) for text, total in columns[:-1]] + [columns[-1][0]]
    return f"{a} + {b}: {'; '.join(shown)}. So {a + b}."


def subtract(a: int, b: int) -> str:
    """For a >= b.

    >>> subtract(132, 85)
    '132 - 85: 12 - 5 = 7 borrow 1; 13 - 8 - 1 = 4 borrow 1; 1 - 0 - 1 = 0. So 47.'
    """
    columns, borrow = [], 0
    for x, y in _digits(a, b):
        short = x - y - borrow < 0
        top = x + 10 if short else x
        columns.append(f"{top} - {y}{' - 1' if borrow else ''} = {top - y - borrow}{' borrow 1' if short else ''}")
        borrow = int(short)
    return f"{a} - {b}: {'; '.join(columns)}. So {a - b}."


def times_digit(a: int, digit: int) -> str:
    """
    >>> times_digit(47, 6)
    '47 * 6: 7 * 6 = 42, write 2 carry 4; 4 * 6 + 4 = 28. So 282.'
    """
    columns, carry = [], 0
    for x in map(int, reversed(str(a))):
        total = x * digit + carry
        columns.append((f"{x} * {digit}{f' + {carry}' if carry else ''} = {total}", total))
        carry = total // 10
    shown = [text + _written(total) for text, total in columns[:-1]] + [columns[-1][0]]
    return f"{a} * {digit}: {'; '.join(shown)}. So {a * digit}."


def divide(a: int, b: int) -> str:
    """Long division; each column takes down one more digit.

    >>> divide(853, 7)
    '853 / 7: 8 = 7 * 1 + 1; 15 = 7 * 2 + 1; 13 = 7 * 1 + 6. So 121 remainder 6.'
    """
    text = str(a)
    start = next((n for n in range(1, len(text)) if int(text[:n]) >= b), len(text))
    columns, rest = [], 0
    for n in range(start, len(text) + 1):
        now = int(text[:start]) if n == start else rest * 10 + int(text[n - 1])
        rest = now % b
        columns.append(f"{now} = {b} * {now // b} + {rest}")
    return f"{a} / {b}: {'; '.join(columns)}. So {a // b}{f' remainder {rest}' if rest else ''}."


def times(a: int, b: int) -> list[str]:
    """The product of whole numbers in lines: partial products, then their sum.

    >>> times(47, 30)
    ['47 * 30 = 47 * 3 * 10', '47 * 3: 7 * 3 = 21, write 1 carry 2; 4 * 3 + 2 = 14. So 141.', '47 * 30 = 1410']
    """
    if (a < 10 and b < 10) or {a, b} & _EASY:
        return [f"{a} * {b} = {a * b}"]
    if len(str(a)) < len(str(b)):
        return [f"{a} * {b} = {b} * {a}", *times(b, a)]
    if b < 10:
        return [times_digit(a, b)]
    if int(str(b)[0]) * 10 ** (len(str(b)) - 1) == b and str(b)[0] == "1":
        return [f"{a} * {b} = {a * b}"]
    parts = [(int(d), 10**i) for i, d in enumerate(reversed(str(b))) if d != "0"]
    if len(parts) == 1:
        ((digit, place),) = parts
        return [f"{a} * {b} = {a} * {digit} * {place}", times_digit(a, digit), f"{a} * {b} = {a * b}"]
    lines = [f"{a} * {b} = {' + '.join(f'{a} * {d * p}' for d, p in parts)}"]
    total = 0
    for digit, place in parts:
        if digit > 1:
            lines.append(times_digit(a, digit))
        if place > 1 or digit == 1:
            lines.append(f"{a} * {digit * place} = {a * digit * place}")
    for digit, place in parts:
        if total:
            lines.append(add(total, a * digit * place))
        total += a * digit * place
    return lines


def work(a: int | Fraction, sign: str, b: int | Fraction) -> list[str]:
    """One operation in lines, the last of which states its result. Differences must not be negative, quotients must end.

    >>> work(3, "+", 4), work(Fraction(5, 2), "*", 4), work(84, "/", 4)
    (['3 + 4 = 7'], ['2.5 * 4 = 10'], ['84 / 4: 8 = 4 * 2 + 0; 4 = 4 * 1 + 0. So 21.'])
    """
    x, y = Fraction(a), Fraction(b)
    value = {"+": x + y, "-": x - y, "*": x * y, "/": x / (y or 1)}[sign]
    if not x.denominator == y.denominator == value.denominator == 1 or min(x, y) < 0:
        return [f"{decimal(x)} {sign} {decimal(y)} = {decimal(value)}"]
    m, n = int(x), int(y)
    if sign == "+":
        return [f"{m} + {n} = {m + n}" if max(m, n) < 10 else add(m, n)]
    if sign == "-":
        return [f"{m} - {n} = {m - n}" if m < 20 and n < 10 else subtract(m, n)]
    if sign == "*":
        return times(m, n)
    return [f"{m} / {n} = {m // n}" if m // n < 10 or n in _EASY else divide(m, n)]


def result(a: int, sign: str, b: int) -> int:
    """What `work` states, for whole numbers."""
    return {"+": a + b, "-": a - b, "*": a * b, "/": a // (b or 1)}[sign]
