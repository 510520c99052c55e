"""Problems about whole numbers: sums, products, division, divisors, bases, digits, order.

Place: `math_families.py` lists them. Each maker draws a question and writes the way to its answer in short lines; the long
arithmetic comes from `written.py`.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.written import decimal, divide, problem, times, work

_ASKED = ("Compute {}.", "What is {}?", "Calculate {}.", "Find the value of {}.", "Work out {}.", "{} = ?", "How much is {}?",
          "Evaluate {}.")  # fmt: skip


def asked(r: random.Random, expression: str) -> str:
    """One of several ways to ask for the value of an expression."""
    return r.choice(_ASKED).format(expression)


def make_chain(r: random.Random, level: int) -> Problem:
    """Two to six terms of two to five digits, no total below 0."""
    count = (2, 3, 4, 6)[level - 1]
    top = (99, 499, 4999, 49999)[level - 1]
    total = r.randint(top // 10, top)
    terms, lines = [str(total)], []
    for _ in range(count - 1):
        term = r.randint(top // 20 or 1, top)
        sign = "-" if term < total and r.random() < 0.5 else "+"
        terms.append(f"{sign} {term}")
        lines += work(total, sign, term)
        total += term if sign == "+" else -term
    return problem(asked(r, " ".join(terms)), total, lines)


def make_product(r: random.Random, level: int) -> Problem:
    """One digit by two or three, then two by two, three by two and three by three digits."""
    first, second = (((12, 399), (3, 9)), ((12, 99), (12, 99)), ((101, 999), (12, 99)), ((101, 999), (101, 999)))[level - 1]
    a, b = r.randint(*first), r.randint(*second)
    sign = r.choice(("*", "x", "times"))
    shown = (a, b) if r.random() < 0.5 else (b, a)
    text = asked(r, f"{shown[0]} {sign} {shown[1]}")
    if r.random() < 0.2:
        text = f"Multiply {shown[0]} by {shown[1]}."
    return problem(text, a * b, times(*shown))


def make_division(r: random.Random, level: int) -> Problem:
    """Quotient and remainder, by one digit and by two."""
    low, high = ((20, 299), (1000, 9999), (1000, 9999), (10000, 999999))[level - 1]
    a = r.randint(low, high)
    b = r.randint(3, 9) if level < 3 else r.randint(11, 25) if level == 3 else r.randint(26, 99)
    text = r.choice(
        (
            "Divide {} by {} with remainder.", "What are the quotient and the remainder of {} divided by {}?",
            "Find the whole quotient and the remainder of {} / {}.", "{} things are shared by {} people. How many does each "
            "get, "
            "and how many remain?", "Do the division {} : {} with remainder.",
        )
    ).format(a, b)  # fmt: skip
    q, rest = divmod(a, b)
    lines = [f"{b} * {n} = {b * n}" for n in range(2, 10)] if b > 10 else []
    line = f"{divide(a, b)}"
    answer = f"{q} remainder {rest}"
    accept = [f"{q} r {rest}", f"{q} r{rest}", f"{q}, remainder {rest}", f"{q} rem {rest}", f"quotient {q}, remainder {rest}",
              f"{q} and remainder {rest}", f"{q} with remainder {rest}"]  # fmt: skip
    text += " Answer in the form QUOTIENT remainder REMAINDER, also where the remainder is 0."
    return problem(text, answer, [*lines, line], "text", accept=accept)


def make_gcd(r: random.Random, level: int) -> Problem:
    """Divisors spread evenly, so that 1 is as rare as any."""
    divisor = r.randint(2, (20, 40, 150)[level - 1])
    low, high = ((2, 14), (15, 50), (51, 200))[level - 1]
    while True:
        x, y = r.randint(low, high), r.randint(low, high)
        if x > y and math.gcd(x, y) == 1:
            break
    a, b = divisor * x, divisor * y
    text = r.choice(
        (
            "What is the greatest common divisor of {} and {}?", "Find gcd({}, {}).",
            "What is the largest number that divides both "
            "{} and {}?", "Compute the greatest common factor of {} and {}.", "Find the GCD of {} and {}.",
            "Which is the largest whole number that divides {} and {} without remainder?", "Compute gcd({}, {}).",
            "By which largest number can the fraction {}/{} be reduced?",
        )
    ).format(*((a, b) if r.random() < 0.5 else (b, a)))  # fmt: skip
    lines = []
    while b:
        lines.append(f"{a} = {a // b} * {b} + {a % b}")
        a, b = b, a % b
    return problem(text, divisor, [*lines, f"The last divisor is {divisor}."])


_DIGITS = "0123456789ABCDEF"
_BASES = {2: "binary", 8: "octal", 16: "hexadecimal"}


def _in_base(n: int, base: int) -> str:
    text = ""
    while n or not text:
        text = _DIGITS[n % base] + text
        n //= base
    return text


def _base_name(r: random.Random, base: int) -> str:
    return _BASES[base] if base in _BASES and r.random() < 0.5 else f"base {base}"


def make_base(r: random.Random, level: int) -> Problem:
    """From decimal and to decimal; between two other bases at level 3. Sixteen from level 2 on."""
    low, high = ((10, 199), (200, 999), (100, 4095))[level - 1]
    n = r.randint(low, high)
    bases = (2, 3, 4, 5, 6, 7, 8, 9) if level == 1 else (2, 3, 4, 5, 6, 7, 8, 9, 16)
    base = r.choice(bases)
    if level == 3:
        other = r.choice([b for b in bases if b != base])
        text = r.choice(
            (
                "Convert {} from {} to {}.",
                "Rewrite the number {}, which is in {}, in {}.",
                "{} is a number in {}. Write it in {}.",
            )
        )
        question = text.format(_in_base(n, other), _base_name(r, other), _base_name(r, base))
        return problem(question, _in_base(n, base), [*_to_decimal(n, other), *_from_decimal(n, base)], "text")
    if r.random() < 0.5:
        text = r.choice(
            (
                "Write {} in {}.",
                "Convert {} to {}.",
                "What is {} in {}?",
                "How is the decimal number {} written in {}?",
                "Change {} from decimal to {}.",
            )
        )
        return problem(text.format(n, _base_name(r, base)), _in_base(n, base), _from_decimal(n, base), "text")
    text = r.choice(
        (
            "Which decimal number is {} in {}?", "{} is a number in {}. Write it in decimal.", "Convert {} from {} to decimal.",
            "Find the decimal value of {}, a number in {}.", "What is the value in base 10 of the number {} in {}?",
        )
    )  # fmt: skip
    return problem(text.format(_in_base(n, base), _base_name(r, base)), n, _to_decimal(n, base))


def _from_decimal(n: int, base: int) -> list[str]:
    lines, digits = [], []
    while n:
        lines.append(f"{n} = {base} * {n // base} + {n % base}")
        digits.append(_DIGITS[n % base])
        n //= base
    return [*lines, f"Remainders from the last: {' '.join(reversed(digits))}."]


def _to_decimal(n: int, base: int) -> list[str]:
    digits = _in_base(n, base)
    total = _DIGITS.index(digits[0])
    lines = [f"Digits: {' '.join(digits)}.", f"{digits[0]} is {total}."]
    for digit in digits[1:]:
        d = _DIGITS.index(digit)
        lines.append(f"{total} * {base} + {d} = {total * base + d}")
        total = total * base + d
    return lines


def make_counting(r: random.Random, level: int) -> Problem:
    """Sums of digits, ones in binary, multiples in a range, the length of a range."""
    high = (99, 1999, 99999)[level - 1]
    low = (10, 100, 2000)[level - 1]
    kind = r.choice(("digits", "digits", "bits", "multiples", "multiples", "span", "span"))
    if kind == "digits":
        n = r.randint(10 ** (2 * level + 1), 10 ** (2 * level + 2))
        digits, total = [int(d) for d in str(n)], 0
        lines = [f"Digits: {' '.join(map(str, digits))}."]
        for d in digits[1:]:
            first = total or digits[0]
            lines.append(f"{first} + {d} = {first + d}")
            total = first + d
        return problem(
            r.choice(("What is the sum of the digits of {}?", "Add up all digits of {}.", "Find the digit sum of {}.")).format(
                n
            ),
            total,
            lines,
        )
    if kind == "bits":
        n = r.randint(low, high)
        text = r.choice(
            (
                "How many ones are in the binary form of {}?",
                "Write {} in binary. How many digits are 1?",
                "Count the 1 bits of {}.",
            )
        )
        count = _in_base(n, 2).count("1")
        return problem(
            text.format(n), count, [*_from_decimal(n, 2), f"Ones: {', '.join(str(i) for i in range(1, count + 1))}."]
        )
    a = r.randint(1, high // 2)
    b = r.randint(a + low, high + low)
    if kind == "span":
        text = r.choice(("How many whole numbers are there from {} to {}, both included?",
                         "How many pages are there from page {} to page {}, both counted?",
                         "A list holds all whole numbers from {} to {}, with both ends. How long is it?"))  # fmt: skip
        return problem(text.format(a, b), b - a + 1, [*work(b, "-", a), *work(b - a, "+", 1)])
    k = r.randint(3, 9 if level < 3 else 19)
    text = r.choice(("How many multiples of {2} are there from {0} to {1}, both included?",
                     "How many whole numbers from {0} to {1} (both "
                     "included) are divisible by {2}?"))  # fmt: skip
    up, below = b // k, (a - 1) // k
    lines = [
        f"Up to {b}: {b} = {k} * {up} + {b % k}",
        f"Up to {a - 1}: {a - 1} = {k} * {below} + {(a - 1) % k}",
        *work(up, "-", below),
    ]
    return problem(text.format(a, b, k), up - below, lines)


def selected(numbers: Sequence[int], largest: bool) -> list[str]:
    """Sorting by taking the smallest, or largest, of what is left."""
    left, lines = list(numbers), []
    while len(left) > 1:
        best = max(left) if largest else min(left)
        lines.append(f"Of {', '.join(map(str, left))} the {'largest' if largest else 'smallest'} is {best}.")
        left.remove(best)
    return [*lines, f"Left is {left[0]}."]


def make_sorting(r: random.Random, level: int) -> Problem:
    """Four to ten different whole numbers, up or down."""
    count, high = ((4, 99), (6, 999), (8, 999), (10, 9999))[level - 1]
    numbers = r.sample(range(1, high + 1), count)
    down = r.random() < 0.5
    text = r.choice(
        (
            "Sort these numbers from {}: {}.",
            "Order from {}: {}.",
            "Put these numbers in order, from {}: {}.",
            "Arrange from {}: {}.",
        )
    )
    question = text.format("largest to smallest" if down else "smallest to largest", ", ".join(map(str, numbers)))
    items = [str(n) for n in sorted(numbers, reverse=down)]
    return problem(
        f"{question} Separate them by commas.",
        ", ".join(items),
        selected(numbers, down),
        "order",
        items=items,
        direction="descending" if down else "ascending",
    )


def make_decimals(r: random.Random, level: int) -> Problem:
    """Three to five decimals with unlike numbers of places."""
    count, places = ((3, 2), (4, 3), (5, 4))[level - 1]
    whole = r.randint(0, 9) if level > 1 or r.random() < 0.8 else 0
    while True:
        lengths = [r.randint(1, places) for _ in range(count - 1)] + [places]
        r.shuffle(lengths)
        digits = ["".join(r.choice("0123456789") for _ in range(n - 1)) + r.choice("123456789") for n in lengths]
        values = [Fraction(int(d), 10 ** len(d)) + whole for d in digits]
        if len(set(values)) == count and len(set(lengths)) > 1:
            break
    texts = [decimal(v) for v in values]
    down = r.random() < 0.5
    ask = r.choice(
        (
            "Order these decimals from {}: {}.",
            "Sort from {}: {}.",
            "Write these numbers from {}: {}.",
            "Put in order from {}: {}.",
        )
    )
    question = ask.format("largest to smallest" if down else "smallest to largest", "; ".join(texts))
    units = [int(v * 10**places) for v in values]
    lines = [f"With {places} decimals: {'; '.join(f'{u // 10**places}.{u % 10**places:0{places}}' for u in units)}."]
    lines += [f"Without the point: {', '.join(map(str, units))}.", *selected(units, down)]
    items = [decimal(v) for v in sorted(values, reverse=down)]
    return problem(
        f"{question} Separate them by commas.",
        ", ".join(items),
        lines,
        "order",
        items=items,
        direction="descending" if down else "ascending",
    )
