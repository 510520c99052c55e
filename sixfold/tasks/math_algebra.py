"""Problems of elementary algebra: precedence, equations, fractions, percent, sequences.

Place: `math_families.py` lists them. Numbers are drawn from the answer backwards, so that answers are whole, or short
fractions where fractions are the point.
"""

from __future__ import annotations

import itertools
import math
import random
from fractions import Fraction
from typing import NamedTuple

from sixfold.core import Problem
from sixfold.tasks.math_numbers import asked
from sixfold.tasks.written import problem, result, work


class Node(NamedTuple):
    """An operation and its two sides, which are numbers or operations."""

    sign: str
    left: Node | int
    right: Node | int


_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2}


def _value(node: Node | int) -> int:
    return node if isinstance(node, int) else result(_value(node.left), node.sign, _value(node.right))


def _text(node: Node | int, above: int = 0, right: bool = False) -> str:
    """The expression with only the brackets it needs."""
    if isinstance(node, int):
        return str(node)
    own = _STRENGTH[node.sign]
    shown = f"{_text(node.left, own)} {node.sign} {_text(node.right, own, True)}"
    return f"({shown})" if own < above or (own == above and right) else shown


def _draw(r: random.Random, count: int, top: int) -> Node | int:
    """An expression of `count` operations in which nothing is below 0, too large or not whole."""
    if not count:
        return r.randint(2, top)
    while True:
        first = r.randint(0, count - 1)
        node = Node(r.choice("++--**/"), _draw(r, first, top), _draw(r, count - 1 - first, top))
        a, b = _value(node.left), _value(node.right)
        if (node.sign == "-" and a <= b) or (node.sign == "/" and (b < 2 or a % b or a == b)):
            continue
        if node.sign == "*" and (min(a, b) < 2 or min(a, b) > 12 or max(a, b) > 99):
            continue
        if _value(node) < 1000:
            return node


def _step(node: Node) -> tuple[Node | int, Node]:
    """The expression after its innermost operation most to the left, and that operation."""
    if isinstance(node.left, Node):
        after, done = _step(node.left)
        return node._replace(left=after), done
    if isinstance(node.right, Node):
        after, done = _step(node.right)
        return node._replace(right=after), done
    return _value(node), node


def make_expression(r: random.Random, level: int) -> Problem:
    """Two, three, four or six operations, brackets where they are needed, products and sums always mixed."""
    count, top = ((2, 20), (3, 20), (4, 30), (6, 40))[level - 1]
    while True:
        node = _draw(r, count, top)
        shown = _text(node)
        if isinstance(node, Node) and any(s in shown for s in "*/") and any(s in shown for s in "+-"):
            break
    question = asked(r, shown.replace("*", r.choice(("*", "x"))))
    answer, lines = _value(node), []
    while isinstance(node, Node):
        node, done = _step(node)
        lines += work(_value(done.left), done.sign, _value(done.right))
        if isinstance(node, Node):
            lines.append(f"Now: {_text(node)}")
    return problem(question, answer, lines)


def _side(a: int, name: str, b: int) -> str:
    """`ax + b` as one writes it."""
    if not a:
        return str(b)
    head = f"{'' if a == 1 else '-' if a == -1 else a}{name}"
    return head if not b else f"{head} {'+' if b > 0 else '-'} {abs(b)}"


def make_equation(r: random.Random, level: int) -> Problem:
    """`x + b = c` or `ax = c`; `ax + b = c`; x on both sides; brackets on both sides. The solution is whole."""
    name = r.choice("xyzntkmw")
    x = r.randint(2, (60, 40, 30, 30)[level - 1])
    b, d = r.randint(2, (60, 50, 30, 12)[level - 1]), r.randint(2, 12)
    a = r.randint(2, 12)
    lines: list[str] = []
    if level == 1:
        kind = r.choice(("plus", "minus", "times"))
        if kind == "times":
            left, sides = _side(a, name, 0), (a, 0, 0, a * x)
        else:
            x += b if kind == "minus" else 0
            left, sides = (
                _side(1, name, b if kind == "plus" else -b),
                (1, b if kind == "plus" else -b, 0, x + b if kind == "plus" else x - b),
            )
        equation = f"{left} = {sides[3]}"
    elif level == 2:
        b = b if a * x <= b or r.random() < 0.5 else -b
        sides = (a, b, 0, a * x + b)
        equation = f"{_side(a, name, b)} = {a * x + b}"
    elif level == 3:
        c = r.randint(1, a - 1)
        b = b if r.random() < 0.5 else -min(b, c * x + 1)
        sides = (a, b, c, (a - c) * x + b)
        equation = f"{_side(a, name, b)} = {_side(c, name, sides[3])}"
    else:
        c = r.randint(1, a - 1)
        e = a * (x + b) - c * (x + d)
        right = f"{name} + {d}" if c == 1 else f"{c}({name} + {d})"
        equation = f"{a}({name} + {b}) = {right} {'+' if e > 0 else '-'} {abs(e)}"
        if not e:
            return make_equation(r, level)
        lines += [f"Expand: {_side(a, name, a * b)} = {_side(c, name, c * d + e)}"]
        sides = (a, a * b, c, c * d + e)
    ask = r.choice(("Solve for {n}: {e}.", "Find {n} if {e}.", "What is {n} when {e}?", "Solve the equation {e} for {n}.",
                    "{e}. What is {n}?",
                    "For which {n} does {e} hold?"))  # fmt: skip
    lines += _solved(name, *sides)
    return problem(ask.format(n=name, e=equation) + " Give just the number.", x, [*lines, *_checked(equation, name, x)])


def _solved(name: str, a: int, b: int, c: int, d: int) -> list[str]:
    """The steps from ax + b = cx + d to x."""
    lines = []
    if c:
        a -= c
        lines.append(f"Subtract {_side(c, name, 0)} from both sides: {_side(a, name, b)} = {d}")
    if b:
        if b > 0:
            lines += [*(work(d, "-", b) if d >= b else ()), f"Subtract {b} from both sides: {_side(a, name, 0)} = {d - b}"]
        else:
            lines += [*(work(d, "+", -b) if d >= 0 else ()), f"Add {-b} to both sides: {_side(a, name, 0)} = {d - b}"]
        d -= b
    if a != 1:
        lines += [*work(d, "/", a), f"Divide both sides by {a}: {name} = {d // a}"]
    return lines


def _checked(equation: str, name: str, x: int) -> list[str]:
    """The equation with its solution put in."""
    shown = ""
    for i, char in enumerate(equation):
        joined = char == name and i and equation[i - 1].isdigit()
        opened = char == "(" and i and equation[i - 1].isdigit()
        shown += f" * {x}" if joined else str(x) if char == name else " * (" if opened else char
    return [f"Check: {shown}"]


def make_fractions(r: random.Random, level: int) -> Problem:
    """A sum of two fractions; sums and differences with larger denominators; three fractions."""
    count, top = ((2, 10), (2, 15), (3, 12))[level - 1]
    while True:
        below = [r.randint(2 if level == 1 else 3, top) for _ in range(count)]
        above = [r.randint(1, d - 1) if level < 3 or r.random() < 0.7 else r.randint(1, 2 * d) for d in below]
        signs = ["+"] + ["-" if level > 1 and r.random() < 0.5 else "+" for _ in range(count - 1)]
        total = sum(Fraction(n, d) * (1 if s == "+" else -1) for n, d, s in zip(above, below, signs, strict=True))
        lowest = all(math.gcd(n, d) == 1 for n, d in zip(above, below, strict=True))
        if (
            total > 0
            and total.denominator > 1
            and lowest
            and max(below) != min(below)
            and (level == 1 or math.lcm(*below) > top)
            and (level != 2 or max(below) > 10)
        ):
            break
    terms = [f"{n}/{d}" for n, d in zip(above, below, strict=True)]
    question = asked(r, "".join([terms[0], *(f" {s} {t}" for s, t in zip(signs[1:], terms[1:], strict=True))]))
    return problem(
        f"{question} Give a fraction in lowest terms.",
        f"{total.numerator}/{total.denominator}",
        _fraction_lines(above, below, signs),
    )


def _fraction_lines(above: list[int], below: list[int], signs: list[str]) -> list[str]:
    common = math.lcm(*below)
    largest = max(below)
    multiples = [str(m) for m in range(largest, common + 1, largest)]
    lines = [f"Multiples of {largest}: {', '.join(multiples)}.", f"{common} is a multiple of {' and '.join(map(str, below))}."]
    tops = []
    for n, d in zip(above, below, strict=True):
        tops.append(n * (common // d))
        lines += [f"{n}/{d} = {tops[-1]}/{common}"]
    total = tops[0]
    waiting = list(zip(signs, tops, strict=True))[1:]
    while waiting:  # what is added first, so that nothing in between is below 0
        sign, top = waiting.pop(next((i for i, w in enumerate(waiting) if w[0] == "+"), 0))
        lines += work(total, sign, top)
        total += top if sign == "+" else -top
    lines.append(f"The sum is {total}/{common}.")
    if (divisor := math.gcd(total, common)) > 1:
        lines.append(f"Divide both by {divisor}: {total // divisor}/{common // divisor}.")
    return lines


_GOODS = ("bicycle", "coat", "lamp", "phone", "sofa", "guitar", "tent", "watch", "camera", "desk", "drone", "kettle")


def make_percent(r: random.Random, level: int) -> Problem:
    """A share of a number; a price that rises or falls; two changes, or the price before one."""
    p = 5 * r.randint(1, 19)
    if level == 1:
        base = 20 * r.randint(1, 60)
        part = base * p // 100
        ask = r.choice(("What is {0}% of {1}?", "Find {0} percent of {1}.", "Compute {0}% of {1}.", "How much is {0}% of {1}?",
                        "A school has {1} students, and {0}% of them cycle. How many students cycle?"))  # fmt: skip
        return problem(ask.format(p, base), part, _part(p, base))
    good = r.choice(_GOODS)
    base = r.randrange(40, 2000, 20)
    part = base * p // 100
    if level == 2:
        up = r.random() < 0.5
        ask = r.choice(("A {g} costs {b} dollars. Its price {v} by {p}%. What is the new price in dollars?",
                        "The price of a {g} was {b} dollars and then {v} by {p}%. How many dollars is it now?"))  # fmt: skip
        verb = ("rises" if up else "falls") if "costs" in ask else ("rose" if up else "fell")
        lines = [*_part(p, base), *work(base, "+" if up else "-", part)]
        return problem(ask.format(g=good, b=base, p=p, v=verb), base + part if up else base - part, lines)
    if r.random() < 0.5:
        now = base - part
        ask = r.choice(("After a discount of {p}%, a {g} costs {n} dollars. What did it cost before, in dollars?",
                        "A {g} is sold for {n} dollars, which is {p}% less than its old price. How many dollars was the old "
                        "price?"))  # fmt: skip
        times = (100 - p) // 5
        lines = [*work(100, "-", p), f"{100 - p}% of the old price is {now}.", f"{100 - p}% is {times} times 5%.",
                 *work(now, "/", times), "100% is 20 times 5%.", *work(now // times, "*", 20)]  # fmt: skip
        return problem(ask.format(g=good, p=p, n=now), base, lines)
    base, q = r.randrange(200, 4000, 200), 10 * r.randint(1, 9)
    p = 10 * r.randint(1, 9)
    first = base + base * p // 100
    last = first - first * q // 100
    if first * q % 100:
        return make_percent(r, level)
    ask = r.choice(("The price of a {g} is {b} dollars. It rises by {p}% and then falls by {q}%. What is it now, in dollars?",
                    "A shop buys a {g} for {b} dollars, adds {p}%, and later takes {q}% off. What is the price then, in "
                    "dollars?"))  # fmt: skip
    lines = [*_part(p, base), *work(base, "+", first - base), *_part(q, first), *work(first, "-", first - last)]
    return problem(ask.format(g=good, b=base, p=p, q=q), last, lines)


def _part(p: int, base: int) -> list[str]:
    """A multiple of 5% of a multiple of 20."""
    return [f"5% of {base}: {base} / 20 = {base // 20}", f"{p}% is {p // 5} times 5%.", *work(base // 20, "*", p // 5)]


def make_sequence(r: random.Random, level: int) -> Problem:
    """Equal steps up or down; factors, or steps that grow; two sequences in turn, or each term from the two before."""
    kind = r.choice((("steps", "steps"), ("factor", "growing", "growing"), ("turns", "before"))[level - 1])
    if kind == "steps":
        step = r.randint(2, 40) * r.choice((1, 1, -1))
        start = r.randint(1, 99) + (0 if step > 0 else -5 * step)
        terms = [start + step * i for i in range(6)]
    elif kind == "factor":
        factor, start = r.randint(2, 5), r.randint(2, 60)
        terms = [start * factor**i for i in range(5)]
    elif kind == "growing":
        start, step, more = r.randint(1, 60), r.randint(1, 20), r.randint(1, 9)
        terms = [start + sum(step + more * j for j in range(i)) for i in range(6)]
    elif kind == "turns":
        starts, steps = r.sample(range(1, 100), 2), r.sample(range(2, 25), 2)
        terms = [starts[i % 2] + steps[i % 2] * (i // 2) for i in range(9 if r.random() < 0.5 else 10)]
    else:
        terms = [r.randint(1, 30), r.randint(31, 60)]
        while len(terms) < 7:
            terms.append(terms[-1] + terms[-2])
    rule = {
        "steps": "Each step is the same.", "factor": "Each term is the term before times the same number.",
        "growing": "The steps grow by the same amount each time.", "turns": "Two sequences with equal steps take turns.",
        "before": "Each term is the sum of the two before it.",
    }[kind]  # fmt: skip
    shown = ", ".join(map(str, terms[:-1]))
    ask = r.choice(("What comes next: {}, ...?", "Find the next number: {}, ...",
                    "Continue the sequence {} with one more number.",
                    "Which number follows in {}, ...?", "Give the next term of {}, ..."))  # fmt: skip
    return problem(f"{ask.format(shown)} {rule}", terms[-1], _sequence_lines(kind, terms))


def _sequence_lines(kind: str, terms: list[int]) -> list[str]:
    *known, _ = terms
    if kind == "factor":
        factor = known[1] // known[0]
        return [*(f"{b} / {a} = {factor}" for a, b in itertools.pairwise(known)), *work(known[-1], "*", factor)]
    if kind == "turns":
        own = known[len(known) % 2 :: 2]
        step = own[1] - own[0]
        return [
            f"The next is of {', '.join(map(str, own))}.",
            *(f"{b} - {a} = {step}" for a, b in itertools.pairwise(own)),
            *work(own[-1], "+", step),
        ]
    if kind == "before":
        return [f"{known[0]} + {known[1]} = {known[2]}", *work(known[-2], "+", known[-1])]
    gaps = [b - a for a, b in itertools.pairwise(known)]
    down = gaps[0] < 0
    lines = [f"{a} - {b} = {a - b}" if down else f"{b} - {a} = {b - a}" for a, b in itertools.pairwise(known)]
    if kind == "growing":
        lines += [f"{b} - {a} = {b - a}" for a, b in itertools.pairwise(gaps)]
        lines += work(gaps[-1], "+", gaps[1] - gaps[0])
        gaps.append(2 * gaps[-1] - gaps[-2])
    return [*lines, *work(known[-1], "-" if down else "+", abs(gaps[-1]))]
