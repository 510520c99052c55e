"""The state after some steps: named fields, compared one by one.

Place: the verifier `state` of simulation tasks. Fields may come in any order ("x=2, y=3"), as JSON, or as a bare tuple in the
order of `meta["fields"]`. Numbers are compared by value, words without case, lists item by item. A field with two values
scores 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from sixfold.core import Problem, Verdict
from sixfold.verify.blocks import cut, normalised, read_block, read_data, read_fields, read_line, same_value

_HEDGED = re.compile(r"(?i)\b(?:or|not|either|maybe|perhaps|possibly)\b|n['’]t\b")
_EMPTY = ("", "empty", "none", "nothing", "[]", "()", "{}", "an empty list")


def judge_state(problem: Problem, text: str) -> Verdict:
    """`meta`: `fields` {name: value} in order; a value may be a list. 1 or 0.

    >>> problem = Problem("p", "Where is it?", meta={"fields": {"x": 2, "y": 3, "facing": "north"}})
    >>> answers = ("facing=North, y=3, x=2", "(2, 3, north)", "x=2, y=4, facing=north")
    >>> [judge_state(problem, f"Answer: {a}").score for a in answers]
    [1.0, 1.0, 0.0]
    """
    fields = problem.meta.get("fields")
    if not isinstance(fields, Mapping) or not 0 < len(fields) <= 100 or len({normalised(f) for f in fields}) < len(fields):
        return Verdict(None, "the problem has no fields")
    found = read_block(text)
    if not found.answer:
        return Verdict(0.0, "no answer")
    reason = _wrong(found.answer, fields)
    line = read_line(text).answer
    if reason and line and not _states_more(found.answer, line, list(map(str, fields))):
        reason = _wrong(line, fields)
    return Verdict(float(not reason), reason or "every field is right", found.answer[:2000], found.form)


def _states_more(block: str, line: str, names: Sequence[str]) -> bool:
    """Whether what follows the answer's first line is another state, and not prose that names no field."""
    first, _, rest = block.strip().partition("\n")
    if not line.startswith(first.strip()) or read_fields(rest, names) != {}:
        return True
    return any(len(row.split()) < 4 or (len(names) > 1 and _read(row, names)) for row in rest.splitlines() if row.strip())


def _wrong(text: str, fields: Mapping[str, Any]) -> str:
    """What is wrong with an answer; "" where nothing is."""
    given = _read(text.strip(), list(map(str, fields)))
    if given is None:
        return "it does not give each field once"
    for name, value in fields.items():
        if str(name) not in given:
            return f"{name} is missing"
        if not same(value, given[str(name)]):
            return f"{name} is {value}, not {given[str(name)]!s:.40}"
    return ""


def _read(text: str, names: Sequence[str]) -> dict[str, Any] | None:
    text = re.sub(r"\\(?:text|mathrm)\s?\{([^{}]*)\}", r"\1", text).replace("$", "").strip("*` \n").removesuffix(".")
    with suppress(ValueError):
        data = read_data(text)
        if isinstance(data, Mapping):
            by_name = {normalised(n): n for n in names}
            known = len({normalised(k) for k in data}) == len(data) and all(normalised(k) in by_name for k in data)
            return {by_name[normalised(k)]: v for k, v in data.items()} if known else None
        if isinstance(data, list | tuple) and len(data) == len(names) > 1:
            return dict(zip(names, data, strict=True))
    named = read_fields(text, names)
    if named is None:
        return None
    if named:
        first = re.split(r"[=:]|\bis\b", text, maxsplit=1)[0]
        opened, shut = (1, -1) if text[:1] + text[-1:] in ("()", "{}", "[]") and "=" in text[:-1] else (0, len(text))
        return None if _HEDGED.search(first) or len(first) > 200 else read_fields(text[opened:shut], names)
    if len(names) == 1:
        return {names[0]: text}
    inner = text[1:-1] if text[:1] + text[-1:] in ("()", "[]", "{}") else text
    lines = [line.strip() for line in inner.splitlines() if line.strip()]
    for parts in (cut(inner, ",;".__contains__), lines, inner.split()):
        if len(parts) == len(names):
            return dict(zip(names, parts, strict=True))
    return None


def same(value: Any, given: Any) -> bool:
    """Whether a field has its value; a list is compared item by item, as it is written or as data.

    >>> same([1, "b"], "[1, b]"), same([], "empty"), same(True, "true"), same(2, "2 or 3"), same({"a": 1}, "{'a': 1}")
    (True, True, True, False, True)
    """
    if isinstance(given, str):
        with suppress(ValueError):
            data = read_data(given)
            given = data if isinstance(data, list | tuple | dict) else given
    if isinstance(value, Mapping):
        return (
            isinstance(given, Mapping)
            and {normalised(k) for k in given} == {normalised(k) for k in value}
            and all(
                same(v, next(g for k, g in given.items() if normalised(k) == normalised(name))) for name, v in value.items()
            )
        )
    if isinstance(value, list | tuple):
        if isinstance(given, str):
            inner = given.strip()[1:-1] if given.strip()[:1] + given.strip()[-1:] in ("[]", "()", "{}") else given
            given = [] if normalised(inner) in _EMPTY else next(
                (p for p in (cut(inner, ",;".__contains__), inner.split()) if len(p) == len(value)), [inner]
            )  # fmt: skip
        return isinstance(given, list | tuple) and len(given) == len(value) and all(map(same, value, given))
    return not isinstance(given, Mapping | list | tuple) and same_value(value, given)
