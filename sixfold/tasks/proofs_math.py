"""Proofs of problems about whole numbers and decimals: the question read again, every line of the solution checked.

Place: `math_families.py` hands them on. Nothing of the generators is used; values come from Python's own `gcd`, `int` and
`sorted`, where the generators divide and select.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Steps, find, must, proof
from sixfold.tasks.proofs_written import paper, take_work, true_equation


def _answer(problem: Problem, right: object) -> None:
    must(problem.answer == str(right), f"the answer is {right}")


def _numbers(text: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", text)]


def _chain(problem: Problem, steps: Steps) -> None:
    expression = find(r"\d+(?: [+-] \d+)+", problem.question)[0]
    first, *rest = re.findall(r"[+-]|\d+", expression)
    total = Fraction(first)
    for sign, term in zip(rest[::2], rest[1::2], strict=True):
        total = take_work(steps, total, sign, int(term))
    _answer(problem, total)


def _product(problem: Problem, steps: Steps) -> None:
    m = find(r"(\d+) (?:\*|x|times|by) (\d+)", problem.question)
    a, b = int(m[1]), int(m[2])
    take_work(steps, a, "*", b)
    _answer(problem, a * b)


def _division(problem: Problem, steps: Steps) -> None:
    a, b = _numbers(problem.question.partition(" Answer in the form")[0].replace("remainder is 0", ""))
    if b > 9:
        for n in range(2, 10):
            m = steps.take(r"(\d+) \* (\d+) = (\d+)")
            must([int(g) for g in m.groups()] == [b, n, b * n], f"not true: {m[0]!r}")
    quotient = sum(1 for _ in range(b, a + 1, b))
    rest = a - quotient * b
    must(paper(steps.take(r".+")[0]) == (a, "/", b, quotient, rest), "another division")
    _answer(problem, f"{quotient} remainder {rest}")
    must(all(_numbers(x) == [quotient, rest] for x in problem.meta["accept"]), "meta accepts other answers")


def _gcd(problem: Problem, steps: Steps) -> None:
    a, b = sorted(_numbers(problem.question), reverse=True)
    right = math.gcd(a, b)
    while b:
        m = steps.take(r"(\d+) = (\d+) \* (\d+) \+ (\d+)")
        must((int(m[1]), int(m[3])) == (a, b), f"not the next step: {m[0]!r}")
        must(true_equation(m[0]) == a and int(m[4]) < b, f"not the remainder: {m[0]!r}")
        a, b = b, int(m[4])
    must(int(steps.take(r"The last divisor is (\d+)\.")[1]) == a == right, "not the last divisor")
    _answer(problem, right)


_NAMED = {"binary": 2, "octal": 8, "hexadecimal": 16, "decimal": 10}
_DIGITS = "0123456789ABCDEF"


def _base(name: str) -> int:
    return _NAMED[name] if name in _NAMED else int(name.removeprefix("base "))


_IN = r"(base \d+|binary|octal|hexadecimal)"


def _base_question(question: str) -> tuple[str, int, int]:
    """The digits, the base they are in and the base that is asked for."""
    digits = r"([0-9A-F]+)"
    for pattern in (
        rf"Convert {digits} from {_IN} to {_IN}\.", rf"Rewrite the number {digits}, which is in {_IN}, in {_IN}\.",
        rf"{digits} is a number in {_IN}\. Write it in {_IN}\.",
    ):  # fmt: skip
        if m := re.fullmatch(pattern, question):
            return m[1], _base(m[2]), _base(m[3])
    for pattern in (
        rf"Which decimal number is {digits} in {_IN}\?", rf"{digits} is a number in {_IN}\. Write it in decimal\.",
        rf"Convert {digits} from {_IN} to decimal\.", rf"Find the decimal value of {digits}, a number in {_IN}\.",
        rf"What is the value in base 10 of the number {digits} in {_IN}\?",
    ):  # fmt: skip
        if m := re.fullmatch(pattern, question):
            return m[1], _base(m[2]), 10
    m = find(
        rf"^(?:Write|Convert|What is|How is the decimal number|Change) {digits} (?:written |from decimal )?(?:in|to) "
        rf"{_IN}[.?]$",
        question,
    )
    return m[1], 10, _base(m[2])


def _bases(problem: Problem, steps: Steps) -> None:
    digits, source, target = _base_question(problem.question)
    n = int(digits, source)
    if source != 10:
        _take_value(steps, digits, source)
    shown = str(n) if target == 10 else _take_digits(steps, n, target)
    must(int(shown, target) == n, "the digits mean another number")
    _answer(problem, shown)


def _take_value(steps: Steps, digits: str, base: int) -> None:
    must(steps.take(r"Digits: (.+)\.")[1].split(" ") == list(digits), "other digits")
    m = steps.take(r"(\w) is (\d+)\.")
    must(m[1] == digits[0] and int(m[2]) == int(m[1], 16), f"not true: {m[0]!r}")
    for i in range(2, len(digits) + 1):
        m = steps.take(r"(\d+) \* (\d+) \+ (\d+) = (\d+)")
        wanted = [int(digits[: i - 1], base), base, int(digits[i - 1], base), int(digits[:i], base)]
        must([int(g) for g in m.groups()] == wanted, f"not true here: {m[0]!r}")


def _take_digits(steps: Steps, n: int, base: int) -> str:
    rests = []
    while n:
        m = steps.take(r"(\d+) = (\d+) \* (\d+) \+ (\d+)")
        must((int(m[1]), int(m[2])) == (n, base) and true_equation(m[0]) == n and int(m[4]) < base, f"not true here: {m[0]!r}")
        rests.append(_DIGITS[int(m[4])])
        n = int(m[3])
    shown = steps.take(r"Remainders from the last: ([0-9A-F ]+)\.")[1]
    must(shown.split(" ") == rests[::-1], "other remainders")
    return "".join(rests[::-1])


def _counting(problem: Problem, steps: Steps) -> None:
    question = problem.question
    if re.search(r"sum of the digits|all digits|digit sum", question):
        (n,) = _numbers(question)
        must(steps.take(r"Digits: (.+)\.")[1].split(" ") == list(str(n)), "other digits")
        total = int(str(n)[0])
        for d in str(n)[1:]:
            m = steps.take(r"(\d+) \+ (\d) = (\d+)")
            must([int(g) for g in m.groups()] == [total, int(d), total + int(d)], f"not true here: {m[0]!r}")
            total += int(d)
        _answer(problem, total)
    elif re.search(r"binary|1 bits", question):
        n = next(k for k in _numbers(question) if k > 1)
        _take_digits(steps, n, 2)
        count = n.bit_count()
        must(steps.take(r"Ones: (.+)\.")[1].split(", ") == [str(i + 1) for i in range(count)], "not as many ones")
        _answer(problem, count)
    elif "multiples" in question or "divisible" in question:
        a, b, k = _multiples_question(question)
        counts = []
        for end in (b, a - 1):
            m = steps.take(r"Up to (\d+): (\d+) = (\d+) \* (\d+) \+ (\d+)")
            must([int(g) for g in m.groups()[:3]] == [end, end, k], f"other numbers: {m[0]!r}")
            must(int(m[3]) * int(m[4]) + int(m[5]) == end and int(m[5]) < k, f"not true: {m[0]!r}")
            counts.append(int(m[4]))
        take_work(steps, counts[0], "-", counts[1])
        _answer(problem, sum(1 for i in range(a, b + 1) if i % k == 0))
    else:
        a, b = _numbers(question)
        must(re.search(r"both included|both counted|with both ends", question), "are the ends counted?")
        take_work(steps, take_work(steps, b, "-", a), "+", 1)
        _answer(problem, len(range(a, b + 1)))


def _multiples_question(question: str) -> tuple[int, int, int]:
    if m := re.search(r"multiples of (\d+) are there from (\d+) to (\d+), both", question):
        return int(m[2]), int(m[3]), int(m[1])
    m = find(r"from (\d+) to (\d+) \(both included\) are divisible by (\d+)", question)
    return int(m[1]), int(m[2]), int(m[3])


def _take_selected(steps: Steps, numbers: Sequence[int], down: bool) -> None:
    left = list(numbers)
    for best in sorted(numbers, reverse=down)[:-1]:
        m = steps.take(r"Of (.+) the (largest|smallest) is (\d+)\.")
        must(m[1] == ", ".join(map(str, left)), f"other numbers are left: {m[0]!r}")
        must((m[2] == "largest") == down and int(m[3]) == best, f"not true here: {m[0]!r}")
        left.remove(best)
    must([int(steps.take(r"Left is (\d+)\.")[1])] == left, "another number is left")


def _is_down(question: str) -> bool:
    down, up = "from largest to smallest" in question, "from smallest to largest" in question
    must(down != up, "in which order?")
    return down


def _sorting(problem: Problem, steps: Steps) -> None:
    numbers, down = _numbers(problem.question), _is_down(problem.question)
    _take_selected(steps, numbers, down)
    ordered = [str(n) for n in sorted(numbers, reverse=down)]
    _answer(problem, ", ".join(ordered))
    must(
        problem.meta["items"] == ordered and problem.meta["direction"] == ("descending" if down else "ascending"),
        "meta differs",
    )


def _decimals(problem: Problem, steps: Steps) -> None:
    texts = re.findall(r"\d+\.\d+", problem.question)
    down = _is_down(problem.question)
    m = steps.take(r"With (\d+) decimals: (.+)\.")
    places = max(len(t.partition(".")[2]) for t in texts)
    must(
        int(m[1]) == places and m[2].split("; ") == [t + "0" * (places - len(t.partition(".")[2])) for t in texts],
        "other decimals",
    )
    units = [int(Fraction(t) * 10**places) for t in texts]
    must(steps.take(r"Without the point: (.+)\.")[1] == ", ".join(map(str, units)), "other numbers without the point")
    _take_selected(steps, units, down)
    ordered = sorted(texts, key=Fraction, reverse=down)
    _answer(problem, ", ".join(ordered))
    must(
        problem.meta["items"] == ordered and problem.meta["direction"] == ("descending" if down else "ascending"),
        "meta differs",
    )


prove_chain = proof(_chain)
prove_product = proof(_product)
prove_division = proof(_division)
prove_gcd = proof(_gcd)
prove_base = proof(_bases)
prove_counting = proof(_counting)
prove_sorting = proof(_sorting)
prove_decimals = proof(_decimals)
