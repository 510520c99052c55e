"""Functions to be written from a description, and functions with a hole to be filled.

Place: `code_families.py` lists both families. A description is a pipeline: elements are kept, changed, and at last brought
together. The hidden tests of a function tell it from every pipeline with one part less, and hold the empty list.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sixfold.core import Problem

_VERBS = "process select handle collect gather reduce compute total pick run_all work filter_map digest shape summarise".split()
_NOUNS = "numbers items values list data entries scores readings".split()
_ARGUMENTS = "numbers items values xs data nums".split()
_WRITE = (
    "Write a Python function `{name}({arg})`. `{arg}` is a list of integers.",
    "Define `{name}({arg})` in Python, where `{arg}` is a list of integers.",
    "Your task is a Python function `{name}({arg})` that gets a list of integers `{arg}`.",
    "Program the function `{name}({arg})` in Python; `{arg}` is a list of integers.",
)
_EXPRESSIONS = (
    "a + b;a - b;b - a;a * b;a // b;a % b;2 * a + b;a + 2 * b;a * a - b;a * b + 1;a * b - a;a + b - 1;a * a + b;max(a, "
    "b);min(a, b);"
    "abs(a - b);3 * a - b;a * b - b;a * b + a;3 * b + a"
).split(";")
_HOLE = (
    "Which {what} must stand in the place of ___ so that the examples hold? Give the letter.",
    "The examples are right. Which {what} replaces ___? Give the letter.",
    "Choose the {what} for ___ that agrees with all examples. Give the letter.",
    "One {what} is missing at ___. Which one makes the examples true? Give the letter.",
)


_LARGEST = 10**8
"""Of what a test may want; a product is the only way there."""


class Stage(NamedTuple):
    """One part of a pipeline: its description, the expression of x that it stands for, what it does to an element, and the two
    tests that it joins, if it does."""

    kind: str
    text: str
    code: str
    does: Callable[[int], Any]
    parts: tuple[Stage, ...] = ()


class End(NamedTuple):
    """How a pipeline brings its elements together; `code` has `{}` for the list."""

    text: str
    code: str
    does: Callable[[list[int]], Any]


def _product(values: Sequence[int]) -> int:
    """The product of all; of too much to be asked for where it is 0 only because of its last factors.

    >>> _product([2, 3]), _product([])
    (6, 1)
    """
    result = 1
    for value in values:
        result *= value
        if abs(result) > 10 * _LARGEST:
            return result
    return result


_ENDS: Sequence[End] = (
    End("return the resulting list", "{}", list),
    End("return their sum, which is 0 if none is left", "sum({})", sum),
    End("return how many there are", "len({})", len),
    End("return the largest, or None if none is left", "max({0}) if {0} else None", lambda v: max(v) if v else None),
    End("return the smallest, or None if none is left", "min({0}) if {0} else None", lambda v: min(v) if v else None),
    End("return them sorted from small to large", "sorted({})", sorted),
    End("return them in reverse order", "{}[::-1]", lambda v: v[::-1]),
    End("return how many different values there are", "len(set({}))", lambda v: len(set(v))),
    End("return the last one, or None if none is left", "{0}[-1] if {0} else None", lambda v: v[-1] if v else None),
    End("return the first one, or None if none is left", "{0}[0] if {0} else None", lambda v: v[0] if v else None),
    End("return their product, which is 1 if none is left", "product", _product),
)


def _test(r: random.Random) -> tuple[str, str, Callable[[int], bool]]:
    k, n = r.randrange(-9, 31), r.randrange(2, 10)
    rest = r.randrange(1, n)
    return r.choice(
        (
            ("even", "x % 2 == 0", lambda x: x % 2 == 0),
            ("odd", "x % 2 == 1", lambda x: x % 2 == 1),
            (f"greater than {k}", f"x > {k}", lambda x: x > k),
            (f"less than {k}", f"x < {k}", lambda x: x < k),
            (f"at least {k}", f"x >= {k}", lambda x: x >= k),
            (f"different from {k}", f"x != {k}", lambda x: x != k),
            (f"divisible by {n}", f"x % {n} == 0", lambda x: x % n == 0),
            (f"not divisible by {n}", f"x % {n} != 0", lambda x: x % n != 0),
            (f"{rest} more than a multiple of {n}", f"x % {n} == {rest}", lambda x: x % n == rest),
        )
    )


def _keep(r: random.Random, joined: bool) -> Stage:
    """A filter; of two tests joined, one with "not" comes last, so that it cannot be read as "not (both)"."""
    text, code, does = _test(r)
    if not joined:
        return Stage("keep", f"keep only the elements that are {text}", code, does)
    (text, code, does), (other, other_code, other_does) = sorted((_test(r), _test(r)), key=lambda t: t[0].startswith("not "))
    parts = (Stage("keep", "", code, does), Stage("keep", "", other_code, other_does))
    if r.random() < 0.5:
        joined_text, joined_code = f"keep only the elements that are {text} and {other}", f"{code} and {other_code}"
        return Stage("keep", joined_text, joined_code, lambda x: does(x) and other_does(x), parts)
    joined_text, joined_code = f"keep only the elements that are {text} or {other}", f"{code} or {other_code}"
    return Stage("keep", joined_text, joined_code, lambda x: does(x) or other_does(x), parts)


def _change(r: random.Random) -> Stage:
    k, n = r.randrange(1, 21), r.randrange(2, 10)
    text, code, does = r.choice(
        (
            ("double every element", "x * 2", lambda x: x * 2),
            ("square every element", "x * x", lambda x: x * x),
            ("negate every element", "-x", lambda x: -x),
            (f"add {k} to every element", f"x + {k}", lambda x: x + k),
            (f"subtract {k} from every element", f"x - {k}", lambda x: x - k),
            (f"multiply every element by {n}", f"x * {n}", lambda x: x * n),
            ("replace every element by its absolute value", "abs(x)", abs),
            (f"replace every element by its remainder after division by {n}", f"x % {n}", lambda x: x % n),
        )
    )
    return Stage("change", text, code, does)


def _pipeline(r: random.Random, level: int) -> tuple[list[Stage], End]:
    if level == 1:
        return [_keep(r, False) if r.random() < 0.75 else _change(r)], r.choice(_ENDS[:5])
    if level == 2:
        stages = [_keep(r, False), _change(r)]
        return stages if r.random() < 0.7 else stages[::-1], r.choice(_ENDS)
    stages = [_keep(r, True), _change(r), r.choice((_keep(r, False), _change(r)))]
    r.shuffle(stages)
    return stages, r.choice(_ENDS)


def _piped(stages: Sequence[Stage], end: End, values: Sequence[int]) -> Any:
    kept = list(values)
    for stage in stages:
        kept = [x for x in kept if stage.does(x)] if stage.kind == "keep" else [stage.does(x) for x in kept]
    return end.does(kept)


def _inputs(r: random.Random, stages: Sequence[Stage]) -> list[list[int]]:
    """Inputs of tests: the empty list, one element, elements at the edges of what is kept, and any."""
    numbers = [int(w) for s in stages for w in s.code.split() if w.lstrip("-").isdigit()]
    edges = [n + d for n in numbers or [0] for d in (-1, 0, 1)]
    lists = [[], [r.randrange(-9, 10)], r.sample(edges, 3)]
    for size in (4, 5, 6, 7):
        lists.append([r.choice((r.randrange(-12, 13), r.randrange(-40, 41), r.choice(edges))) for _ in range(size)])
    twice = [r.randrange(-20, 41) for _ in range(3)]
    return [*lists, twice + twice[:2]]


def make_function(r: random.Random, level: int) -> Problem:
    """A function from its description, with hidden tests that every part of the description matters to."""
    while True:
        stages, end = _pipeline(r, level)
        inputs = _inputs(r, stages)
        outputs = [_piped(stages, end, i) for i in inputs]
        weaker = [
            [*stages[:i], *less, *stages[i + 1 :]] for i, s in enumerate(stages) for less in ([], *([p] for p in s.parts))
        ]
        told_apart = all(any(_piped(w, end, i) != o for i, o in zip(inputs, outputs, strict=True)) for w in weaker)
        small = all(abs(o) < _LARGEST for o in outputs if isinstance(o, int))
        if told_apart and small and len({repr(o) for o in outputs}) >= 4:
            break
    name, arg = f"{r.choice(_VERBS)}_{r.choice(_NOUNS)}", r.choice(_ARGUMENTS)
    code = _code(r, name, arg, stages, end)
    question = f"{r.choice(_WRITE).format(name=name, arg=arg)}{_steps(r, [*(s.text for s in stages), end.text])}"
    tests = [f"assert {name}({i}) == {o!r}" for i, o in zip(inputs, outputs, strict=True)]
    lines = [f"Keep x if {s.code}." if s.kind == "keep" else f"Change x to {s.code}." for s in stages]
    lines.append(f"At the end: {end.code.format('result')}.")
    solution = "\n".join([*lines, "```python", code, "```"])
    return Problem("", question, code, "code", "code", {"entry_point": name, "tests": tests, "timeout_s": 5}, solution)


def _steps(r: random.Random, texts: Sequence[str]) -> str:
    style = r.randrange(3)
    if style == 0:
        return " It does this in order:" + "".join(f"\n{i}. {t[0].upper()}{t[1:]}." for i, t in enumerate(texts, 1))
    if style == 1:
        return f" First, {texts[0]}; {''.join(f'then, {t}; ' for t in texts[1:-1])}finally, {texts[-1]}."
    return f" It must {', then '.join(texts[:-1])}, and {texts[-1]}."


def _code(r: random.Random, name: str, arg: str, stages: Sequence[Stage], end: End) -> str:
    """A reference, as a loop or as one list after another."""
    lines = [f"def {name}({arg}):"]
    if r.random() < 0.6:
        lines += ["    result = []", f"    for x in {arg}:"]
        indent = " " * 8
        for stage in stages:
            lines.append(f"{indent}if {stage.code}:" if stage.kind == "keep" else f"{indent}x = {stage.code}")
            indent += "    " if stage.kind == "keep" else ""
        lines.append(f"{indent}result.append(x)")
    else:
        source = arg
        for stage in stages:
            loop = f"x for x in {source} if {stage.code}" if stage.kind == "keep" else f"{stage.code} for x in {source}"
            lines.append(f"    result = [{loop}]")
            source = "result"
    if end.code == "product":
        lines += ["    product = 1", "    for x in result:", "        product *= x"]
    return "\n".join([*lines, f"    return {end.code.format('result')}"])


_LETTERS = "ABCDEFGH"
_VALUES: Mapping[str, Callable[[int, int], int]] = {"max(a, b)": max, "min(a, b)": min, "abs(a - b)": lambda a, b: abs(a - b)}


def _value(expression: str, a: int, b: int) -> int:
    """The value of one of `_EXPRESSIONS`: products of a term's factors, added from left to right."""
    if expression in _VALUES:
        return _VALUES[expression](a, b)
    meant = {"a": a, "b": b}
    if "//" in expression or "%" in expression:
        return a // b if "//" in expression else a % b
    total, sign = 0, 1
    for word in expression.replace(" * ", "*").split():
        if word in "+-":
            sign = 1 if word == "+" else -1
        else:
            total += sign * _product([meant[f] if f in meant else int(f) for f in word.split("*")])
    return total


def _with(expression: str, a: int, b: int) -> str:
    held = expression.replace("max", "M").replace("abs", "S")
    return held.replace("a", str(a)).replace("b", str(b)).replace("M", "max").replace("S", "abs")


def make_hole(r: random.Random, level: int) -> Problem:
    """A function with a hole, examples of what it returns, and eight things to fill it with, one of which fits."""
    while True:
        found = _hole_in_loop(r) if level == 3 else _hole_in_line(r, level)
        if found is not None:
            break
    what, code, examples, options, tried = found
    right = next(i for i, (_, fits) in enumerate(tried) if fits)
    shown = "\n".join(f"{letter}) {option}" for letter, option in zip(_LETTERS, options, strict=True))
    given = "\n".join(f"{call} == {value}" for call, value in examples)
    question = f"{code}\n\nExamples:\n{given}\n\n{r.choice(_HOLE).format(what=what)}\n{shown}"
    lines = [f"{letter}: {line}" for letter, (line, _) in zip(_LETTERS, tried[: right + 1], strict=False)]
    solution = "\n".join([*lines, f"Answer: {_LETTERS[right]}"])
    return Problem("", question, _LETTERS[right], "code", "choice", {"choices": list(options)}, solution)


_Hole = tuple[str, str, list[tuple[str, int]], list[str], list[tuple[str, bool]]]
"""What is missing, the code, examples (call, value), options, and of each option how it fares with the examples."""


def _hole_in_line(r: random.Random, level: int) -> _Hole | None:
    name = f"{r.choice(_VERBS)}_{r.choice(_NOUNS)}"
    options = r.sample(_EXPRESSIONS, 8)
    right = r.choice(options)
    sign, k = r.choice("+-"), r.choice((r.randrange(2, 20), "a", "b"))
    pairs = [(r.randrange(1, 15), r.randrange(1, 10)) for _ in range(2)]

    def result(expression: str, a: int, b: int) -> int:
        value = _value(expression, a, b)
        other = {"a": a, "b": b}[k] if isinstance(k, str) else k
        return value if level == 1 else value + other if sign == "+" else value - other

    def shown(expression: str, a: int, b: int) -> str:
        start, value = _with(expression, a, b), _value(expression, a, b)
        if level == 1:
            return f"{start} = {value}"
        other = {"a": a, "b": b}[k] if isinstance(k, str) else k
        return f"c = {start} = {value}, {value} {sign} {other} = {result(expression, a, b)}"

    wanted = [result(right, *p) for p in pairs]
    tried = []
    for option in options:
        got = [result(option, *p) for p in pairs]
        wrong = next((i for i in range(2) if got[i] != wanted[i]), None)
        said = [shown(option, *p) for p in pairs[: 2 if wrong is None else wrong + 1]]
        tried.append(("; ".join(said) + (": fits" if wrong is None else f", not {wanted[wrong]}"), wrong is None))
    if sum(fits for _, fits in tried) != 1 or pairs[0] == pairs[1]:
        return None
    body = "    return ___" if level == 1 else f"    c = ___\n    return c {sign} {k}"
    examples = [(f"{name}({a}, {b})", w) for (a, b), w in zip(pairs, wanted, strict=True)]
    return "expression", f"def {name}(a, b):\n{body}", examples, options, tried


def _hole_in_loop(r: random.Random) -> _Hole | None:
    name, counting = f"{r.choice(_VERBS)}_{r.choice(_NOUNS)}", r.random() < 0.4
    low, high = sorted(r.sample(range(3, 16), 2))
    pool: list[tuple[str, Callable[[int], bool]]] = [
        (f"x > {low}", lambda x: x > low), (f"x < {low}", lambda x: x < low), (f"x >= {high}", lambda x: x >= high),
        (f"x <= {high}", lambda x: x <= high), (f"x != {low}", lambda x: x != low), (f"x == {high}", lambda x: x == high),
        ("x % 2 == 0", lambda x: x % 2 == 0), ("x % 2 == 1", lambda x: x % 2 == 1), ("x % 3 == 0", lambda x: x % 3 == 0),
        ("x % 3 == 1", lambda x: x % 3 == 1), (f"x > {high}", lambda x: x > high), (f"x < {high}", lambda x: x < high),
    ]  # fmt: skip
    options = r.sample(pool, 8)
    right = r.choice(options)[1]
    lists = [
        [r.choice((low, high, r.randrange(1, 20), r.randrange(1, 20))) for _ in range(r.randrange(4, 6))] for _ in range(2)
    ]

    def result(kept: Sequence[int]) -> int:
        return len(kept) if counting else sum(kept)

    wanted = [result([x for x in items if right(x)]) for items in lists]
    tried = []
    for _, test in options:
        said = []
        for i, items in enumerate(lists):
            kept = [x for x in items if test(x)]
            said.append(f"keeps {', '.join(map(str, kept)) or 'none'}: {'count' if counting else 'sum'} {result(kept)}")
            if result(kept) != wanted[i]:
                said[-1] += f", not {wanted[i]}"
                break
        fits = "not" not in said[-1]
        tried.append(("; ".join(said) + (": fits" if fits else ""), fits))
    if sum(fits for _, fits in tried) != 1:
        return None
    code = (
        f"def {name}(items):\n    result = 0\n    for x in items:\n        if ___:\n            result += "
        f"{'1' if counting else 'x'}"
        "\n    return result"
    )
    examples = [(f"{name}({items})", w) for items, w in zip(lists, wanted, strict=True)]
    return "condition", code, examples, [o for o, _ in options], tried
