"""Puzzles: who is what, in which order, and what stands in a grid.

Place: the verifiers `assignment`, `order` and `grid`, and the checker of constraints for puzzles with more than one solution.
Every answer is read to its end: a name with two values, a second list or a second grid scores 0, whichever of them is right.

`meta` of `assignment`: `values` {name: value}, or {name: {attribute: value}} as in zebra puzzles, where `key` names the
attribute that holds the name in JSON records ("Name"); `options` may list every value there is (values that are in no right
answer are then seen too). Or `variables` {name: [values]} and `constraints`. Of `order`: `items` in the right order, or
`items` and `constraints`; `direction` "descending" or "ascending" says how ">" and "<" between items are read (left to right
where it is missing). Of `grid`: `grid`, rows.

Constraints are JSON lists, read by `holds`: ["is", name, value], "not", "and", "or", "xor", "iff", "implies"; over positions
(numbers) "same", "different", "before" = "left_of" (anywhere before), "just_before", "adjacent" = "next_to", "at". A zebra
puzzle over them has variables such as "red" with the numbers of the houses as values.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from sixfold.core import Problem, Verdict
from sixfold.verify.blocks import (
    cut,
    normalised,
    read_block,
    read_data,
    read_data_in,
    read_fields,
    read_line,
    same_value,
    without_remarks,
)
from sixfold.verify.extract import Found
from sixfold.verify.quantity import read_number

_OPPOSITE = {"knight": "knave", "knave": "knight", "true": "false", "false": "true", "yes": "no", "no": "yes"}
_MOST = 200
"""Names, items or rows that a puzzle may have."""


def judge_assignment(problem: Problem, text: str) -> Verdict:
    """Who has which value: every name once, no contradiction. See the module for `meta`. 1 or 0.

    >>> problem = Problem("p", "Who is who?", meta={"values": {"Ann": "knight", "Bob": "knave"}})
    >>> answers = ("Ann is a knight, and Bob is a knave", "Ann: knight, Bob: knight")
    >>> [judge_assignment(problem, f"Answer: {a}").score for a in answers]
    [1.0, 0.0]
    """
    values, variables = problem.meta.get("values"), problem.meta.get("variables")
    constraints = problem.meta.get("constraints")
    if not constraints and isinstance(values, Mapping) and values and any(isinstance(v, Mapping) for v in values.values()):
        return _judge_records(problem, values, text)
    names: Any = variables if constraints else values
    if not isinstance(names, Mapping) or not 0 < len(names) <= _MOST or _clash(list(names)):
        return Verdict(None, "the problem has no values, or no variables with constraints")
    if constraints and not all(isinstance(v, list | tuple) and v for v in names.values()):
        return Verdict(None, "a variable of the problem has no values")
    options = [v for vs in names.values() for v in vs] if constraints else list(names.values())
    options += [*(problem.meta.get("options") or []), *(v for vs in (variables or {}).values() for v in vs)]
    options += [_OPPOSITE[str(v).casefold()] for v in options if str(v).casefold() in _OPPOSITE]
    found = read_block(text)
    if not found.answer:
        return Verdict(0.0, "no answer")
    claims = read_assignment(found.answer, list(map(str, names)), options)
    if isinstance(claims, str):
        return _verdict(0.0, claims, found)
    if missing := [n for n in names if str(n) not in claims]:
        return _verdict(0.0, f"nothing is said of {missing[0]}", found)
    if constraints:
        given = {str(n): next((v for v in vs if same_value(v, claims[str(n)])), None) for n, vs in names.items()}
        if (strange := [n for n, v in given.items() if v is None]) != []:
            return _verdict(0.0, f"{claims[strange[0]]!r:.60} is no value of {strange[0]}", found)
        return _checked(constraints, given, found)
    wrong = [n for n, v in names.items() if not same_value(v, claims[str(n)])]
    return _verdict(float(not wrong), f"{wrong[0]} is not {claims[str(wrong[0])]}" if wrong else "every value is right", found)


def _verdict(score: float | None, reason: str, found: Found) -> Verdict:
    return Verdict(score, reason[:200], (found.answer or "")[:2000], found.form)


def _clash(names: Sequence[object]) -> bool:
    return len({normalised(n) for n in names}) < len(names)


def _checked(constraints: Any, values: Mapping[str, Any], found: Found) -> Verdict:
    try:
        broken = [c for c in constraints if not holds(c, values)]
    except (ValueError, TypeError, KeyError, RecursionError, ArithmeticError) as error:
        return Verdict(None, f"a constraint of the problem cannot be read: {error}"[:200])
    return _verdict(float(not broken), f"broken: {broken[0]}" if broken else "every constraint holds", found)


def _position(values: Mapping[str, Any], name: object) -> int:
    return int(values[str(name)])


_RELATIONS: Mapping[str, Callable[[Mapping[str, Any], list[Any]], bool]] = {
    "is": lambda v, a: same_value(v[str(a[0])], a[1]),
    "at": lambda v, a: same_value(v[str(a[0])], a[1]),
    "not": lambda v, a: not holds(a[0], v),
    "and": lambda v, a: all([holds(c, v) for c in a]),
    "or": lambda v, a: any([holds(c, v) for c in a]),
    "iff": lambda v, a: holds(a[0], v) == holds(a[1], v),
    "xor": lambda v, a: holds(a[0], v) != holds(a[1], v),
    "implies": lambda v, a: not holds(a[0], v) or holds(a[1], v),
    "same": lambda v, a: same_value(v[str(a[0])], v[str(a[1])]),
    "different": lambda v, a: len({normalised(v[str(n)]) for n in a}) == len(a),
    "before": lambda v, a: _position(v, a[0]) < _position(v, a[1]),
    "left_of": lambda v, a: _position(v, a[0]) < _position(v, a[1]),
    "just_before": lambda v, a: _position(v, a[0]) + 1 == _position(v, a[1]),
    "adjacent": lambda v, a: abs(_position(v, a[0]) - _position(v, a[1])) == 1,
    "next_to": lambda v, a: abs(_position(v, a[0]) - _position(v, a[1])) == 1,
}
_COUNTS = {"not": 1, "and": None, "or": None, "different": None}


def holds(constraint: Any, values: Mapping[str, Any]) -> bool:
    """Whether a constraint holds for the values of all names. Raises `ValueError`, `KeyError` for what is no constraint.

    >>> holds(["and", ["before", "a", "b"], ["not", ["at", "a", 2]]], {"a": 1, "b": 2})
    True
    """
    if not isinstance(constraint, list | tuple) or not constraint or constraint[0] not in _RELATIONS:
        raise ValueError(f"{constraint!r:.80} is no constraint")
    name, *arguments = constraint
    if (count := _COUNTS.get(name, 2)) is not None and len(arguments) != count:
        raise ValueError(f"{name} takes {count}")
    return _RELATIONS[name](values, arguments)


# Reading "Ann is a knight, Bob: knave".

_FILLERS = frozenset(
    "and so thus hence therefore while but whereas finally then answer the final assignment is are as follows a an both all "
    "also with has have we get that this".split()
)


def read_assignment(text: str, names: Sequence[str], options: Sequence[object]) -> dict[str, Any] | str:
    """What is said of each name, or what is wrong with the text. JSON, lines, or a sentence.

    >>> read_assignment("Ann is a knight", ["Ann"], ["knight", "knave"])
    {'Ann': 'knight'}
    >>> read_assignment("Ann: knight, or knave", ["Ann"], ["knight", "knave"])
    "'or' is more than an assignment"
    """
    with suppress(ValueError):
        return _from_data(read_data_in(text), names)
    text = re.sub(r"[*`\"“”]|\\(?:text|mathrm|textbf)\b|[{}$|]", " ", text)
    name = "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True))
    value = "|".join(re.escape(str(o)) for o in sorted(set(map(str, options)), key=len, reverse=True))
    end = r"(?=\s*(?:[,;.)\]!\n]|$|and\b|while\b|but\b|whereas\b))"
    filler = r"(?:(?:a|an|the|in|at|has|house|position|number|no\.?|#)\s+){0,3}#?"
    to = rf"(?:\s*(?::|=>|=|->|→|[-–—]|\(|\bis\b|\bare\b|\bhas\b|\bin\b|\bmust be\b)\s*|\s+)(?:both |all )?{filler}"
    between = r"\s*(?:,\s*and\s|,|\band\b|&)\s*"
    claim = re.compile(
        rf"(?i)(?<![\w.])((?:{name})(?:{between}(?:{name})){{0,{len(names)}}})(?!\w){to}({value})s?(?!\w|\.\d){end}"
    )
    claims: dict[str, Any] = {}
    by_name, kept = {n.casefold(): n for n in names}, []
    for line in text.splitlines():
        said = list(claim.finditer(line))
        for m in said:
            for n in re.findall(rf"(?i)(?<!\w)(?:{name})(?!\w)", m[1]):
                if not same_value(claims.setdefault(by_name[n.casefold()], m[2]), m[2]):
                    return f"two things are said of {n}"
        kept.append((claim.sub(" ", line), bool(said)))
    for rest, with_claims in kept:
        if fault := _beyond(rest, with_claims, value):
            return fault
    return claims or "no assignment"


def _beyond(rest: str, with_claims: bool, value: str) -> str:
    """What stands in a line besides its claims and is more than filling."""
    if not with_claims:
        hedge = re.match(r"(?i)\W*(or|either|alternatively)\b", rest) or re.search(rf"(?i)(?<!\w)({value})s?(?!\w)", rest)
        return f"{hedge[1]!r} is more than an assignment" if hedge else ""
    words = [w for w in re.findall(r"[^\W\d_][\w'’]*|/", rest) if w.casefold() not in _FILLERS]
    return f"{words[0]!r} is more than an assignment" if words else ""


def _from_data(data: Any, names: Sequence[str]) -> dict[str, Any] | str:
    if isinstance(data, Mapping) and all(isinstance(v, str | int | float) for v in data.values()):
        by_name = {normalised(n): n for n in names}
        if len({normalised(k) for k in data}) == len(data) and all(normalised(k) in by_name for k in data):
            return {by_name[normalised(k)]: v for k, v in data.items()}
        return "it has names that are not in the puzzle, or one twice"
    raise ValueError("no mapping")


# Zebra puzzles: every person with all attributes.


def _judge_records(problem: Problem, values: Mapping[str, Any], text: str) -> Verdict:
    attributes = next(iter(v for v in values.values() if isinstance(v, Mapping)), {})
    if not all(isinstance(v, Mapping) and v and set(v) == set(attributes) for v in values.values()) or _clash(list(values)):
        return Verdict(None, "not every name of the problem has the same attributes")
    found = read_block(text)
    if not found.answer:
        return Verdict(0.0, "no answer")
    records = read_records(found.answer, list(values), list(attributes), str(problem.meta.get("key", "Name")))
    if isinstance(records, str):
        return _verdict(0.0, records, found)
    for name, wanted in values.items():
        given = records.get(name, {})
        wrong = [a for a in attributes if a not in given or not same_value(given[a], wanted[a])]
        if wrong:
            return _verdict(0.0, f"{name}: {wrong[0]} is {given.get(wrong[0], 'missing')}", found)
    return _verdict(1.0, "every value is right", found)


def read_records(text: str, names: Sequence[str], attributes: Sequence[str], key: str) -> dict[str, dict[str, Any]] | str:
    """The attributes of every name, from JSON, a Markdown table, or one line a name; or what is wrong.

    >>> read_records("Ann: House 1, Pet = cat\\nBob: House: 2, Pet: dog", ["Ann", "Bob"], ["Pet"], "Name")
    {'Ann': {'Pet': 'cat'}, 'Bob': {'Pet': 'dog'}}
    """
    by_name = {normalised(n): n for n in names}
    held: dict[str, dict[str, Any]] = {}
    for name, fields in _rows(text, names, attributes, key):
        if (known := by_name.get(normalised(name))) is None:
            return f"{str(name)[:40]!r} is not in the puzzle"
        if fields is None or held.setdefault(known, fields) != fields:
            return f"two things are said of {known}"
    return held or "no assignment"


def _rows(text: str, names: Sequence[str], attributes: Sequence[str], key: str) -> list[tuple[Any, dict[str, Any] | None]]:
    data: Any = None
    with suppress(ValueError):
        data = read_data_in(text)
    if isinstance(data, Mapping) and all(isinstance(v, Mapping) for v in data.values()):
        data = [{**v, key: k} for k, v in data.items()]
    by_attribute = {normalised(a): a for a in attributes}
    if isinstance(data, list):
        records = [{normalised(k): v for k, v in r.items()} for r in data if isinstance(r, Mapping)]
        return [(r.get(normalised(key), ""), {by_attribute[k]: v for k, v in r.items() if k in by_attribute}) for r in records]
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].count("|") >= len(attributes):
        header, *rows = [
            [normalised(c) for c in line.strip().strip("|").split("|")] for line in lines if not re.fullmatch(r"[\s|:-]+", line)
        ]
        at = header.index(normalised(key)) if normalised(key) in header else 0
        return [
            (row[at], {by_attribute[h]: c for h, c in zip(header, row, strict=True) if h in by_attribute})
            for row in rows
            if len(row) == len(header)
        ]
    name = "|".join(re.escape(n) for n in sorted(names, key=len, reverse=True))
    start = rf"(?i)[\s\d.)(*•-]*(?:{re.escape(key)}\s*[:=]\s*)?[*\"']*({name})(?!\w)"
    return [(m[1], read_fields(line[m.end() :], attributes)) for line in lines if (m := re.match(start, line))]


# Orders.


def judge_order(problem: Problem, text: str) -> Verdict:
    """`meta`: `items` in order, `direction`; or `items` and `constraints` over their positions from 1. 1 or 0.

    >>> problem = Problem("p", "Sort.", meta={"items": ["Ann", "Bob", "Cid"]})
    >>> answers = ("Ann, Bob, Cid", "Ann > Bob > Cid", "1. Ann\\n2. Bob\\n3. Cid", "Ann, Cid, Bob")
    >>> [judge_order(problem, f"Answer: {a}").score for a in answers]
    [1.0, 1.0, 1.0, 0.0]
    """
    items, constraints = problem.meta.get("items"), problem.meta.get("constraints")
    if not isinstance(items, list | tuple) or not 0 < len(items) <= 10 * _MOST:
        return Verdict(None, "the problem has no items")
    if constraints and _clash(items):
        return Verdict(None, "two items of the problem have one name")
    found = read_block(text)
    if not found.answer:
        return Verdict(0.0, "no answer")
    direction = str(problem.meta.get("direction", ""))
    ways = (found.answer, without_remarks(found.answer), read_line(text).answer or "")
    given = next((g for way in ways if (g := _ordered(way, items, direction)) is not None), None)
    if given is None:
        return _verdict(0.0, "it is not a list of all the items, each once", found)
    if constraints:
        return _checked(constraints, {str(item): i + 1 for i, item in enumerate(given)}, found)
    wrong = [i for i, (a, b) in enumerate(zip(items, given, strict=True)) if not _same_item(a, b)]
    return _verdict(
        float(not wrong), f"{given[wrong[0]]} is not at place {wrong[0] + 1}" if wrong else "the order is right", found
    )


def _same_item(one: object, two: object) -> bool:
    return normalised(one) == normalised(two)


_ENUMERATOR = re.compile(r"^\s*(?:\(?\d{1,4}[.)]|[-*•]|\d{1,4}(?:st|nd|rd|th)?\s*[:–-])\s+")


def _ordered(text: str, items: Sequence[object], direction: str) -> list[object] | None:
    """The items in the order in which `text` lists them, all and each as often as it is there; `None` for anything else."""
    text = re.sub(r"\\(?:text|mathrm)\s?\{([^{}]*)\}", r"\1", text.strip()).strip("$` ")
    text = re.sub(r"[ \t]+", " ", re.sub(r"\n[ \t\n]*\n", "\n", text))
    text = text.replace("\\rightarrow", "→").replace("\\to", "→")
    names = {normalised(i): i for i in items} | {normalised(i).removeprefix("the "): i for i in items}
    wanted = Counter(normalised(i) for i in items)
    for parts, turned in _splits(text, direction):
        bare = [normalised(_ENUMERATOR.sub("", p)) for p in parts]
        given = [names.get(b, names.get(b.removeprefix("the "))) for b in bare]
        if len(given) == len(items) and None not in given and Counter(map(normalised, given)) == wanted:
            return given[::-1] if turned else given
    return None


def _splits(text: str, direction: str) -> list[tuple[list[str], bool]]:
    """The ways of cutting a list, the most certain first, and whether the list is to be read backwards."""
    ways: list[tuple[list[str], bool]] = []
    with suppress(ValueError):
        if isinstance(data := read_data(text), list | tuple):
            ways.append(([str(d) for d in data], False))
    inner = text[1:-1] if text[:1] + text[-1:] in ("[]", "()", "{}") else text
    ways.append(([line for line in text.splitlines() if line.strip()], False))
    for mark in (">", "<", "→", "->", ";", ","):
        parts = cut(inner, mark.__eq__) if len(mark) == 1 else inner.split(mark)
        turned = (mark, direction) in ((">", "ascending"), ("<", "descending"))
        ways.append((parts, turned))
        if mark == "," and len(parts) > 1:
            ways.append(([*parts[:-1], re.sub(r"(?i)^and\s+", "", parts[-1])], False))
            *most, last = parts
            ways.append(([*most, *re.split(r"(?i)\s+and\s+", last)], False))
    ways += [(re.split(r"(?i)\s+(?:then|and)\s+", inner), False), (inner.split(), False)]
    return ways


# Grids.


def judge_grid(problem: Problem, text: str) -> Verdict:
    """`meta`: `grid`, a list of rows. JSON, or one row a line; every cell has to be right. 1 or 0.

    >>> problem = Problem("p", "Next?", meta={"grid": [[0, 1], [1, 0]]})
    >>> answers = ("[[0, 1], [1, 0]]", "\\n0 1\\n1 0", "\\n01\\n10", "[[0, 1], [1, 1]]")
    >>> [judge_grid(problem, f"Answer: {a}").score for a in answers]
    [1.0, 1.0, 1.0, 0.0]
    """
    grid = problem.meta.get("grid")
    if (
        not isinstance(grid, list | tuple)
        or not 0 < len(grid) <= _MOST
        or not all(isinstance(r, list | tuple) and r for r in grid)
    ):
        return Verdict(None, "the problem has no grid")
    wanted = [[_cell(c) for c in row] for row in grid]
    found = read_block(text)
    if not found.answer:
        return Verdict(0.0, "no answer")
    grids = read_grids(found.answer, wanted)
    if not grids:
        return _verdict(0.0, f"no grid of {len(wanted)} rows", found)
    if any(g != grids[0] for g in grids):
        return _verdict(0.0, "there is more than one grid", found)
    if [len(r) for r in grids[0]] != [len(r) for r in wanted]:
        return _verdict(0.0, "the grid has another size", found)
    wrong = [(i, j) for i, row in enumerate(wanted) for j, c in enumerate(row) if grids[0][i][j] != c]
    reason = (
        f"{len(wrong)} cells are wrong, the first at row {wrong[0][0] + 1}, column {wrong[0][1] + 1}"
        if wrong
        else "every cell is right"
    )
    return _verdict(float(not wrong), reason, found)


def _cell(cell: object) -> str:
    text = str(cell).strip()
    number = read_number(text)
    return str(number) if number is not None and re.fullmatch(r"-?\d+(?:\.0+)?", text) else text


def read_grids(text: str, like: Sequence[Sequence[str]]) -> list[list[list[str]]]:
    """Every grid in `text`, as JSON or as lines of cells; `like` gives the size and the kind of cells that lines must have.

    >>> read_grids("1 2\\n3 4", [["0", "0"], ["0", "0"]])
    [[['1', '2'], ['3', '4']]]
    """
    rows: list[list[str]] = []
    grids: list[list[list[str]]] = []
    spans = _spans(text)
    for span in spans:
        with suppress(ValueError):
            data = read_data(span if "," in span else re.sub(r"(?<=[\w\]'\"])\s+(?=[\w\['\"-])", ", ", span))
            if isinstance(data, list | tuple) and data and all(isinstance(r, list | tuple) for r in data):
                grids.append([[_cell(c) for c in r] for r in data])
            elif isinstance(data, list | tuple) and not any(isinstance(c, list | tuple) for c in data):
                rows.append([_cell(c) for c in data])
    if not spans:
        rows = [row for line in text.splitlines() if (row := _row(line, like)) is not None]
    if rows and len(rows) % len(like) == 0:
        grids += [rows[i : i + len(like)] for i in range(0, len(rows), len(like))]
    elif rows:
        grids.append(rows)
    return grids


def _spans(text: str) -> list[str]:
    """The outermost square brackets of a text."""
    spans, depth, start = [], 0, 0
    for m in re.finditer(r"[\[\]]", text):
        if m[0] == "[":
            start = m.start() if not depth else start
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                spans.append(text[start : m.end()])
    return spans


def _row(line: str, like: Sequence[Sequence[str]]) -> list[str] | None:
    """A line as a row of cells; `None` for prose. A line of single characters is a row where all cells are single ones."""
    width, longest = len(like[0]), max(len(c) for row in like for c in row)
    bare = line.strip().strip("|").strip()
    bare = re.sub(r"(?i)^row \d{1,3}\s?[:.]\s*", "", bare)
    if not bare or re.fullmatch(r"(?=.*[|:])[\s|:+-]*--[\s|:+-]*", bare) or (longest > 1 and re.fullmatch(r"[\s|:+-]+", bare)):
        return None
    for cells in (bare.split("|"), bare.split(","), bare.split()):
        held = [_cell(c) for c in cells]
        if (
            len(held) == width
            and (width > 1 or len(bare.split()) == 1)
            and all(held)
            and max(map(len, held)) <= max(longest, 2)
        ):
            return held
    if longest == 1 and len(bare) == width:
        return list(bare)
    if re.fullmatch(r"[-\s,|]*\d[-\d\s,|]*", bare):  # a row of another width
        return [_cell(c) for c in re.split(r"[\s,|]+", bare)]
    return None
