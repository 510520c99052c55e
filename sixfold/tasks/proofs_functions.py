"""Proofs of the families in which functions are written or completed.

Place: `code_families.py` names them. Descriptions are read from the question and computed here, element by element; the
reference is run in `proofs_interpreter.py`; both must agree with every hidden test.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from sixfold.core import Problem
from sixfold.tasks.proofs_interpreter import call_function
from sixfold.tasks.proofs_reading import find, must
from sixfold.tasks.proofs_recomputed import recomputed

_OPENING = (
    r"(?:Write a Python function `(\w+)\((\w+)\)`\. `\2` is a list of integers\."
    r"|Define `(\w+)\((\w+)\)` in Python, where `\4` is a list of integers\."
    r"|Your task is a Python function `(\w+)\((\w+)\)` that gets a list of integers `\6`\."
    r"|Program the function `(\w+)\((\w+)\)` in Python; `\8` is a list of integers\.) ?([\s\S]+)"
)
_TESTS: Sequence[tuple[str, str, Callable[[int, int, int], bool]]] = (
    (r"even", "x % 2 == 0", lambda x, k, m: not x & 1),
    (r"odd", "x % 2 == 1", lambda x, k, m: bool(x & 1)),
    (r"greater than (-?\d+)", "x > {0}", lambda x, k, m: x - k > 0),
    (r"less than (-?\d+)", "x < {0}", lambda x, k, m: k - x > 0),
    (r"at least (-?\d+)", "x >= {0}", lambda x, k, m: not k - x > 0),
    (r"different from (-?\d+)", "x != {0}", lambda x, k, m: abs(x - k) > 0),
    (r"divisible by (\d+)", "x % {0} == 0", lambda x, k, m: x == k * round(x / k)),
    (r"not divisible by (\d+)", "x % {0} != 0", lambda x, k, m: x != k * round(x / k)),
    (r"(\d+) more than a multiple of (\d+)", "x % {1} == {0}", lambda x, k, m: (x - k) / m == (x - k) // m and k < m),
)
"""What may be said of an element, as code, and whether it holds, given the numbers in the text."""
_CHANGES: Sequence[tuple[str, str, Callable[[int, int], int]]] = (
    (r"double every element", "x * 2", lambda x, k: x + x),
    (r"square every element", "x * x", lambda x, k: x**2),
    (r"negate every element", "-x", lambda x, k: 0 - x),
    (r"add (\d+) to every element", "x + {0}", lambda x, k: x + k),
    (r"subtract (\d+) from every element", "x - {0}", lambda x, k: x - k),
    (r"multiply every element by (\d+)", "x * {0}", lambda x, k: sum([x] * k)),
    (r"replace every element by its absolute value", "abs(x)", lambda x, k: max(x, -x)),
    (r"replace every element by its remainder after division by (\d+)", "x % {0}", lambda x, k: x - k * (x // k)),
)


def _multiplied(values: Sequence[int]) -> int:
    return values[0] * _multiplied(values[1:]) if values else 1


_ENDINGS: Mapping[str, tuple[str, Callable[[Sequence[int]], Any]]] = {
    "return the resulting list": ("result", lambda v: [*v]),
    "return their sum, which is 0 if none is left": ("sum(result)", lambda v: sum(v)),
    "return how many there are": ("len(result)", lambda v: sum(1 for _ in v)),
    "return the largest, or None if none is left": ("max(result) if result else None", lambda v: sorted(v)[-1] if v else None),
    "return the smallest, or None if none is left": ("min(result) if result else None", lambda v: sorted(v)[0] if v else None),
    "return them sorted from small to large": ("sorted(result)", lambda v: sorted(v)),
    "return them in reverse order": ("result[::-1]", lambda v: list(reversed(v))),
    "return how many different values there are": ("len(set(result))", lambda v: len(dict.fromkeys(v))),
    "return the last one, or None if none is left": ("result[-1] if result else None", lambda v: [*v].pop() if v else None),
    "return the first one, or None if none is left": ("result[0] if result else None", lambda v: next(iter(v), None)),
    "return their product, which is 1 if none is left": ("product", _multiplied),
}

Work = Callable[[list[int]], list[int]]


def _parts(text: str) -> list[str]:
    """The descriptions of the parts, from any of the three ways of listing them."""
    if listed := re.fullmatch(r"It does this in order:((?:\n\d+\. .+\.)+)", text):
        lines = listed[1].strip().split("\n")
        must(all(line.startswith(f"{i}. ") for i, line in enumerate(lines, 1)), "the steps are not numbered")
        return [line[3].lower() + line[4:-1] for line in lines]
    if told := re.fullmatch(r"First, (.+); finally, (return .+)\.", text):
        return [*told[1].split("; then, "), told[2]]
    told = re.fullmatch(r"It must (.+?), and (return .+)\.", text)
    must(told, "the steps are not understood")
    assert told is not None
    return [*told[1].split(", then "), told[2]]


def _tested(text: str) -> tuple[str, Callable[[int], bool]]:
    for pattern, code, holds in _TESTS:
        if found := re.fullmatch(pattern, text):
            k, m = ([int(g) for g in found.groups()] + [0, 0])[:2]
            return code.format(*found.groups()), partial(_holds, holds, k, m)
    raise ValueError(f"not a test: {text!r}")


def _holds(holds: Callable[[int, int, int], bool], k: int, m: int, x: int) -> bool:
    return holds(x, k, m)


def _each(gives: Callable[[int, int], int], k: int, values: Sequence[int]) -> list[int]:
    return [gives(x, k) for x in values]


def _part(text: str) -> tuple[str, Work]:
    """The line that a worked solution says of a part, and the part as a function of lists."""
    if kept := re.fullmatch(r"keep only the elements that are (.+?)(?: (and|or) (.+))?", text):
        code, holds = _tested(kept[1])
        if not kept[2]:
            return f"Keep x if {code}.", lambda v: [x for x in v if holds(x)]
        more, also = _tested(kept[3])
        need = 2 if kept[2] == "and" else 1
        return f"Keep x if {code} {kept[2]} {more}.", lambda v: [x for x in v if holds(x) + also(x) >= need]
    for pattern, code, gives in _CHANGES:
        if found := re.fullmatch(pattern, text):
            k = int(found[1]) if found.groups() else 0
            return f"Change x to {code.format(*found.groups())}.", partial(_each, gives, k)
    raise ValueError(f"not a part: {text!r}")


def _through(works: Sequence[Work], ending: Callable[[Sequence[int]], Any], values: list[int]) -> Any:
    for work in works:
        values = work(values)
    return ending(values)


def _function(problem: Problem) -> Iterator[str]:
    told = re.fullmatch(_OPENING, problem.question)
    must(told, "the question has another form")
    assert told is not None
    name = next(g for g in told.groups()[:-1] if g)
    *parts, last = _parts(told[9])
    parsed = [_part(p) for p in parts]
    shown, ending = _ENDINGS[last]
    works = [work for _, work in parsed]
    code = problem.answer or ""
    tests = problem.meta["tests"]
    must(problem.meta["entry_point"] == name and problem.meta["timeout_s"] > 0, "meta has another function")
    must(len(tests) >= 6, "there are less than six tests")
    pairs = [_assertion(test, name) for test in tests]
    must([] in [values for values, _ in pairs], "no test has the empty list")
    for values, wanted in pairs:
        must(repr(_through(works, ending, list(values))) == repr(wanted), f"the description gives something else for {values}")
        got = call_function(code, name, [list(values)])
        must(repr(got) == repr(wanted), f"the reference gives something else for {values}")
    for i in range(len(works)):
        less = works[:i] + works[i + 1 :]
        must(any(_through(less, ending, list(v)) != wanted for v, wanted in pairs), f"no test needs part {i + 1}")
    yield from (line for line, _ in parsed)
    yield f"At the end: {shown}."
    yield "```python"
    yield from code.split("\n")
    yield "```"


def _assertion(test: str, name: str) -> tuple[list[int], Any]:
    """What a test calls the function with, and what it wants."""
    found = re.fullmatch(rf"assert {name}\((\[.*\])\) == (.+)", test)
    must(found, f"not a test: {test}")
    assert found is not None
    return ast.literal_eval(found[1]), ast.literal_eval(found[2])


_HOLE = re.compile(
    r"(def (\w+)\((.+)\):\n[\s\S]+?)\n\nExamples:\n([\s\S]+?)\n\n"
    r"(?:Which \w+ must stand in the place of ___ so that the examples hold\?|The examples are right\. Which \w+ replaces ___\?"
    r"|Choose the \w+ for ___ that agrees with all examples\.|One \w+ is missing at ___\. Which one makes the examples true\?)"
    r" Give the letter\.\n([\s\S]+)"
)


def _hole(problem: Problem) -> Iterator[str]:
    """Fills every option into the code and runs the examples; tells all up to the one that fits."""
    told = _HOLE.fullmatch(problem.question)
    must(told, "the question has another form")
    assert told is not None
    code, name, parameters = told[1], told[2], told[3].split(", ")
    examples = [re.fullmatch(rf"{name}\((.+)\) == (-?\d+)", line) for line in told[4].split("\n")]
    given = [(list(ast.literal_eval(f"[{m[1]}]")), int(m[2])) for m in examples if m]
    options = [find(r"^([A-H])\) (.+)$", line).groups() for line in told[5].split("\n")]
    must(len(given) == len(examples) == 2 and len(options) == 8, "examples or options are missing")
    must(
        [t for _, t in options] == problem.meta["choices"] and [x for x, _ in options] == [*"ABCDEFGH"],
        "meta has other options",
    )
    must(len({t for _, t in options}) == 8, "two options are the same")
    fitting = [
        letter for letter, text in options if all(call_function(code.replace("___", text), name, a) == w for a, w in given)
    ]
    must(len(fitting) == 1, f"{len(fitting)} options fit")
    for letter, text in options:
        said = []
        for args, wanted in given:
            got = call_function(code.replace("___", text), name, args)
            said.append(_said_of(code, text, dict(zip(parameters, args, strict=True)), got))
            if got != wanted:
                said[-1] += f", not {wanted}"
                break
        fits = letter == fitting[0]
        yield f"{letter}: {'; '.join(said)}{': fits' if fits else ''}"
        if fits:
            break
    yield f"Answer: {fitting[0]}"


def _said_of(code: str, option: str, names: Mapping[str, Any], result: int) -> str:
    """What a worked solution says of one option and one example."""
    if "for x in items" in code:
        kept = call_function(f"def kept(items):\n    return [x for x in items if {option}]", "kept", [names["items"]])
        return f"keeps {', '.join(map(str, kept)) or 'none'}: {'count' if '+= 1' in code else 'sum'} {result}"
    a, b = names["a"], names["b"]
    value = call_function(f"def value(a, b):\n    return {option}", "value", [a, b])
    shown = f"{re.sub(r'[ab](?![a-z])(?<![a-z].)', lambda m: str(names[m[0]]), option)} = {value}"
    if "c = ___" not in code:
        return shown
    last = find(r"return c ([+-]) (\w+)$", code)
    other = names.get(last[2], last[2])
    return f"c = {shown}, {value} {last[1]} {other} = {result}"


prove_function = recomputed(_function, answered=False)
prove_hole = recomputed(_hole)
