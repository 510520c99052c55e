"""Reading answers that are more than a word: blocks of lines, JSON and Python values, named fields.

Place: beside `extract.py`, which knows the marks of a final answer and reads one cleaned line; the readers of puzzles,
states, tables and literals need what stands after the mark as it was written, over several lines. Nothing here judges. Data
is read without `eval`, and bounded before it is parsed: length, depth, and nothing in it but literals.
"""

from __future__ import annotations

import ast
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.verify.extract import (
    _HASHES,
    _HEADED,
    _MARKED,
    _MARKED_ELSEWHERE,
    _MARKED_INSIDE,
    Found,
    _last_tagged,
    last_boxed,
    split_thinking,
)
from sixfold.verify.quantity import read_number

_LONGEST = 20_000
_DEEPEST = 40
_MARKS = (_MARKED, _MARKED_ELSEWHERE, _MARKED_INSIDE, _HEADED, _HASHES)
_GOES_ON = re.compile(r"(?i)\W{0,8}(?:or|and|either|alternatively)\b")
_TAKEN_BACK = re.compile(r"(?i)\b(?:or|not|wrong|false|alternatively|instead|another|unless|if)\b|n['’]t\b")
_SENTENCE = re.compile(r"[*_]{0,3}[A-Z](?![.)])(?=.*\s(?!and\b)[a-z]).*[.!:][*_)]{0,4}", re.DOTALL)
_TOKEN = re.compile(
    r"""\s+|[bBuU]?(?:"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')|None\b|True\b|False\b|set\(\)|[-+]?\s?(?:\d[\d_]*)?\.?\d[\d_]*\.?"""
    r"""(?:[eE][-+]?\d{1,3})?j?(?![\w.])|[\[\](){},:]""",
    re.DOTALL,
)
_NAME = re.compile(r"[A-Za-z_]\w*|=(?!=)")
_STRAY_ESCAPE = re.compile(r"\\(?:([\\'\"abfnrtvxuUN0-7\n])|(?=.))", re.DOTALL)


def read_block(text: str) -> Found:
    r"""Everything after the last mark of a final answer (tag, box, "Answer:" line), as it was written. Flexible: the last
    paragraph.

    >>> read_block("So:\nAnswer:\n1 2\n3 4")
    Found(answer='1 2\n3 4', form='strict')
    >>> read_block("I think\n\nA is a knight")
    Found(answer='A is a knight', form='flexible')
    """
    visible, found, _ = _strict(text)
    if found is not None:
        return Found(found, "strict")
    paragraphs = [p for p in re.split(r"\n[ \t]*\n", visible[-_LONGEST:]) if p.strip()]
    return Found(_unfenced(paragraphs[-1]), "flexible") if paragraphs else Found(None, "none")


def read_line(text: str) -> Found:
    r"""The line after the last mark of a final answer as it was written: not cut at a full stop, not unquoted. Strict or
    nothing.

    A tag or a box counts whole, and so does a next line that goes on with "or": what hedges is not one answer.

    >>> read_line("Answer: C. Paris"), read_line("Answer: A\nor B").answer, read_line("It is C.").form
    (Found(answer='C. Paris', form='strict'), 'A or B', 'none')
    """
    _, found, whole = _strict(text)
    if found is None:
        return Found(None, "none")
    lines = [line.strip() for line in found.splitlines() if line.strip()]
    count = len(lines) if whole else 2 if len(lines) > 1 and _GOES_ON.match(lines[1]) else 1
    return Found(" ".join(lines[:count]), "strict")


def _strict(text: str) -> tuple[str, str | None, bool]:
    """The visible text, what stands after its last mark, and whether a closing mark says where that ends."""
    visible = split_thinking(text).text[-_LONGEST:]
    if held := _last_tagged(visible) or last_boxed(visible, _LONGEST):
        return visible, _unfenced(held), True
    starts = [m.start(1) for p in _MARKS for m in p.finditer(visible)]
    if not starts:
        return visible, None, False
    start = max(starts)
    marked = len(visible[:start].rstrip(" \t*_\n"))
    if (line := visible.find("\n", marked, start)) >= 0:
        start = line + 1  # the mark is on a line before: blanks, stars and underscores may be cells of a grid
    held = _unfenced(visible[start:])
    return visible, held or None, False


def _unfenced(block: str) -> str:
    """Without the lines that open and close code."""
    return "\n".join(line for line in block.splitlines() if not re.match(r"\s{0,8}(?:```|~~~)", line)).strip("\n")


def normalised(text: object) -> str:
    """A name or a cell as it is compared: NFKC, casefolded, blanks as one, without decoration around it.

    >>> normalised(' **The  "Fox"**. ')
    'the "fox"'
    """
    words = " ".join(unicodedata.normalize("NFKC", str(text)).casefold().split())
    bare = words.strip(" *`").removesuffix(".").strip(" *`")
    if len(bare) > 1 and bare[0] + bare[-1] in ("''", '""', "“”", "‘’"):
        bare = bare[1:-1].strip()
    return bare or words


def same_value(one: object, two: object) -> bool:
    """Whether two cells mean the same: numbers by value, everything else as `normalised`.

    >>> same_value(3, "3.0"), same_value("North", " north"), same_value("3", "three")
    (True, True, False)
    """
    left, right = normalised(one), normalised(two)
    if left == right:
        return True
    number = read_number(left)
    return number is not None and number == read_number(right)


def read_json(text: str) -> Any:
    """A JSON value. Raises `ValueError` for anything else, for a key that is there twice with two values, and where too
    deep."""
    if not _shallow(text):
        raise ValueError("too long or too deep")
    try:
        return json.loads(text, object_pairs_hook=_once)
    except RecursionError as error:
        raise ValueError("too deep") from error


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    held: dict[str, Any] = {}
    for key, value in pairs:
        if held.setdefault(key, value) != value:
            raise ValueError(f"{key!r} is there twice")
    return held


def _shallow(text: str) -> bool:
    depth = deepest = 0
    for bracket in re.findall(r"[\[({\])}]", text) if len(text) <= _LONGEST else "":
        depth += 1 if bracket in "[({" else -1
        deepest = max(deepest, depth)
    return len(text) <= _LONGEST and deepest <= _DEEPEST


def read_literal(text: str) -> Any:
    r"""A Python literal, read by `ast.literal_eval` after its tokens were looked at. Raises `ValueError` for anything else.

    >>> read_literal("{'a': [1, (2.5, None)]}"), read_literal(r"'\d'")
    ({'a': [1, (2.5, None)]}, '\\d')
    """
    text = text.strip()
    if not text or not _shallow(text) or not _tokens(text):
        raise ValueError("not a literal")
    # A stray escape such as '\d' means itself; doubled, it does so without a warning.
    text = _STRAY_ESCAPE.sub(lambda m: m[0] if m[1] is not None else "\\\\", text)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"not a literal: {type(error).__name__}") from error


def _tokens(text: str, names: bool = False) -> bool:
    """Whether there is nothing in `text` but the tokens of literals (and names, as in the arguments of a call)."""
    at = 0
    while at < len(text):
        token = _TOKEN.match(text, at) or (_NAME.match(text, at) if names else None)
        if token is None or token.end() == at:
            return False
        at = token.end()
    return True


def right_of_call(text: str) -> str | None:
    """The right side of `f(...) == literal`, with or without `assert`; `None` where it is something else.

    >>> right_of_call("assert f('a == b') == 'c'"), right_of_call("f(1) == 1 or f(1) == 2")
    ("'c'", None)
    """
    call = re.match(r"(?:assert\s+)?[A-Za-z_][\w.]*\s?\(", text)
    if call is None or not _shallow(text):
        return None
    for equals in list(re.finditer(r"==", text))[:20]:
        left, right = text[call.end() - 1 : equals.start()].strip(), text[equals.end() :].strip()
        if left.endswith(")") and _tokens(left, names=True) and _closes_last(left) and right and _tokens(right):
            return right
    return None


def _closes_last(text: str) -> bool:
    depth = 0
    bare = re.sub(r""""(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'""", "", text)
    for i, c in enumerate(bare):
        depth += (c in "([{") - (c in ")]}")
        if not depth:
            return i == len(bare) - 1
    return False


def read_data(text: str) -> Any:
    """JSON, or else a Python literal. Raises `ValueError`."""
    try:
        return read_json(text)
    except ValueError:
        return read_literal(text)


def read_data_in(text: str) -> Any:
    """JSON or a Python literal with words around it that do not take it back. Raises `ValueError`.

    >>> read_data_in("It is **[1, 2]**, as all clues hold.")
    [1, 2]
    """
    first, last = re.search(r"[\[{]", text), max(text.rfind("]"), text.rfind("}")) + 1
    if first is None or _TAKEN_BACK.search(text[: first.start()] + text[last:]):
        raise ValueError("no data, or more than that")
    return read_data(text[first.start() : last])


def without_remarks(block: str) -> str:
    """A block up to the first blank line, where only sentences follow: an explanation, and not more of the answer.

    >>> without_remarks("- Peru\\n- Cuba\\n\\nBoth have five medals.")
    '- Peru\\n- Cuba'
    """
    first, *rest = [p.strip() for p in re.split(r"\n[ \t]*\n", block.strip("\n"))]
    sentences = all(len(p.split()) > 2 and _SENTENCE.fullmatch(p) and not _TAKEN_BACK.search(p) for p in rest)
    return first if sentences else block


def read_fields(text: str, names: Sequence[str]) -> dict[str, str] | None:
    """`name = value` pairs in any order, where a value goes on to the next name. `None` for a name with two values.

    >>> read_fields("x = 2, y is [1, 2] and facing: north", ["x", "y", "facing"])
    {'x': '2', 'y': '[1, 2]', 'facing': 'north'}
    """
    alternatives = "|".join(_spelling(n) for n in sorted(names, key=len, reverse=True))
    starts = list(
        re.finditer(rf"(?i)(?<![\w.])[\"'*`]{{0,3}}({alternatives})[\"'*`]{{0,3}}\s{{0,3}}(?:[=:]|\bis\b|→|->)\s*", text)
    )
    by_name = {_flat(n): n for n in names}
    held: dict[str, str] = {}
    for i, start in enumerate(starts):
        end = starts[i + 1].start() if i + 1 < len(starts) else len(text)
        value = re.sub(r"(?i)(?:[,;\s]|\band\b|\n\s*[-*•])+$", "", text[start.end() : end]).strip()
        name = by_name[_flat(start[1])]
        if held.setdefault(name, value) != value:
            return None
    return held


def _spelling(name: str) -> str:
    return r"[\s_]".join(re.escape(part) for part in re.split(r"[\s_]+", name))


def _flat(name: str) -> str:
    return re.sub(r"[\s_]+", " ", name).casefold()


def cut(text: str, separator: Callable[[str], bool]) -> list[str]:
    """`text` cut at the characters that are separators and stand in no bracket and no double quotes.

    >>> cut("1, [2, 3], north", ",".__eq__)
    ['1', '[2, 3]', 'north']
    """
    parts, depth, quoted, start = [], 0, False, 0
    for i, c in enumerate(text):
        quoted ^= c == '"'
        depth += (c in "([{") - (c in ")]}")
        if depth <= 0 and not quoted and separator(c):
            parts.append(text[start:i])
            start = i + 1
    return [p.strip() for p in (*parts, text[start:])]
