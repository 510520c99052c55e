r"""Judging a mathematical answer: read once, compared by rule, and only what no rule decides goes to a worker.

Place: the verifier `math`. `compare` decides what it can in our process: equal keys (`answers.py`), numbers, lists part by
part, intervals against inequalities, equations up to a factor. What is left, and is no words, is computed to many digits or
given to math-verify in a worker process under our deadline. All of it is symmetric, and every answer equals itself.

Percent: the sign is a unit that may be left out, so 12 % is 12 and never 0.12; where the problem asks for percent
(`meta["percent"]`), a bare fraction also stands for its hundredfold. Numbers are never rounded for the answer's sake (1/3 is
not 0.333) unless `meta["tolerance"]` allows it; values that are irrational are compared to nine digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

from sixfold.core import Problem, Verdict
from sixfold.verify.answers import _expression_key, _list, _parts, _quantity, _spread, _unnamed, answer_key, same_answer
from sixfold.verify.extract import clean, read_answer
from sixfold.verify.math_reading import Tree, names_in, operations_in, read_tree, value_of
from sixfold.verify.plain import plain
from sixfold.verify.workers import Tools, WorkerFailed, WorkerTimeout

_LONGEST = 400
_WORD = re.compile(r"[^\W\d_]{3,}")
_KNOWN = re.compile(r"\\[a-zA-Z]+|\b(?:sqrt|sin|cos|tan|cot|sec|csc|arc(?:sin|cos|tan)|log|exp|infinity|frac|binom|pmod|mod)\b")
_SAYS = re.compile(r"\b(?:is|are|has|have|was|gives?|equals?)\b")
_TOWER = re.compile(r"\^[({]?[^(){}^+*-]{1,20}\^|\*\*[^*]{1,20}\*\*|\d{60}|\^[({]?\d{5}")

_LARGE = re.compile(r"\d{7}|\^[({]?\d{2}")
_ONLY_AS_WRITTEN = re.compile(
    r"\d\s*_|^\d+(?:\.\d+)?-\d+(?:\.\d+)?$|!!|\d:\d|^det\b|^\d{4}-\d{1,2}-\d{1,2}$|^\d{1,2}/\d{1,2}/\d{4}$"
)
"""Bases, ranges, double factorials, ratios, times and dates: what no reader below would take for what it is."""


class Told(NamedTuple):
    """`equal` is `None` where no rule decides."""

    equal: bool | None
    reason: str


def judge_math(problem: Problem, text: str, tools: Tools) -> Verdict:
    """`answer`: LaTeX or plain. `meta`: `percent` (the problem asks for percent), `tolerance` (relative)."""
    gold = problem.answer and (clean(problem.answer) or problem.answer.strip())
    if not gold:
        return Verdict(None, "the problem has no known answer")
    found = read_answer(text, accept=_is_short if _is_short(gold) else None)
    if found.answer is None:
        return Verdict(0.0, "no answer")
    told = compare(gold, found.answer, percent=bool(problem.meta.get("percent")), tolerance=_tolerance(problem))
    if told.equal is None:
        told = _ask(gold, found.answer, tools)
    return Verdict(None if told.equal is None else float(told.equal), told.reason, found.answer, found.form)


def compare(gold: str, answer: str, *, percent: bool = False, tolerance: float = 0.0) -> Told:
    r"""Whether two answers mean the same, as far as rules decide it.

    >>> compare("x > 5", r"(5, \infty)"), compare("12", "12.5").equal, compare("50%", "0.5").equal
    (Told(equal=True, reason='the same interval'), False, False)
    >>> compare("50%", "0.5", percent=True).equal, compare("2.0", "2.01", tolerance=0.01).equal
    (True, True)
    """
    if max(len(gold), len(answer)) > _LONGEST:
        return Told(answer_key(gold) == answer_key(answer), "compared as text")
    texts = plain(gold), plain(answer)
    if same_answer(gold, answer):
        rough = texts[0] != texts[1] and any(_LARGE.search(t) and not _is_exact(t) for t in texts)
        return Told(None, "nine digits may be too few") if rough else Told(True, "the same")
    if (percent or tolerance) and (told := _numbers(*texts, percent=percent, tolerance=tolerance)):
        return told
    keys = answer_key(gold), answer_key(answer)
    if len({key[0] for key in keys}) > 1:
        keys = _as_expression(texts[0], keys[0]), _as_expression(texts[1], keys[1])
        if keys[0] == keys[1]:
            return Told(True, "the same")
    kinds = {key[0] for key in keys}
    if told := _forms(*texts):
        return told
    if "l" in kinds and (told := _lists(*texts)):
        return told
    if any(_ONLY_AS_WRITTEN.search(t) for t in texts):
        return Told(False, "different")
    if kinds <= {"n", "e", "c"}:
        return _whole_numbers(*texts) if "e" in kinds else Told(False, "another value")
    if all(_is_mathematics(t) for t in (gold, answer)) and not kinds & {"l", "c"}:
        return Told(None, "no rule decides")
    return Told(False, "different")


def _as_expression(text: str, key: str) -> str:
    """The key of a lone letter that is no choice where the other answer is none: e, i, a."""
    return (key[0] == "c" and len(text) == 1 and _expression_key(text)) or key


def _ask(gold: str, answer: str, tools: Tools) -> Told:
    """What a worker says; a question that it cannot answer in time stays open."""
    if _TOWER.search(plain(gold)) or _TOWER.search(plain(answer)):
        return Told(False, "different, as far as numbers of this size are compared")
    try:
        reply = tools.workers.call("math_equal", gold, answer)
    except WorkerTimeout:
        return Told(None, "timeout")
    except WorkerFailed as error:
        return Told(None, f"the worker failed: {error}")
    return Told(bool(reply["equal"]), f"{'the same' if reply['equal'] else 'different'} by {reply['by']}")


def _is_exact(text: str) -> bool:
    try:
        return isinstance(value_of(read_tree(_unnamed(text))), Fraction)
    except (ValueError, KeyError):
        return not re.search(r"sqrt|pi|log|ln|[a-z]\(", text)


def _tolerance(problem: Problem) -> float:
    value = problem.meta.get("tolerance", 0.0)
    return float(value) if isinstance(value, int | float) and 0 <= value < 1 else 0.0


def _is_short(answer: str) -> bool:
    """Whether it says nothing around the answer itself."""
    return len(_WORD.findall(_KNOWN.sub("", answer))) <= 4 and not _SAYS.search(answer)


def _is_mathematics(text: str) -> bool:
    return bool(re.search(r"[\d=<>≤≥^(\[{]|\b[a-z]\b", text)) and not _WORD.search(_KNOWN.sub("", text))


def _numbers(left: str, right: str, *, percent: bool, tolerance: float) -> Told | None:
    """Two numbers, in percent or within a tolerance of the larger; `None` where one of them is none."""
    read = [_quantity(_unnamed(t)) for t in (left, right)]
    if read[0] is None or read[1] is None or len({q[1] for q in read if q and q[1]}) > 1:
        return None
    values = [q[0] for q in read if q]
    readings = [
        {v, v * 100} if percent and "%" not in text and "percent" not in text and abs(v) <= 1 else {v}
        for v, text in zip(values, (left, right), strict=True)
    ]
    allowed = Fraction(str(tolerance)) * max(map(abs, values))
    equal = any(abs(a - b) <= allowed for a in readings[0] for b in readings[1])
    return Told(equal, "the same number as asked" if equal else "another value")


def _lists(left: str, right: str) -> Told | None:
    """Lists part by part; where one is none, they differ, unless other forms of the same thing are left to compare."""
    (brackets, parts), (other_brackets, other) = ((b, _texts(t)) for t in (left, right) for b in [_list(t)[0]])
    if not parts or not other:
        return None
    if len(parts) != len(other) or (brackets != other_brackets and "" not in (brackets, other_brackets)):
        return Told(False, "another list")
    if (told := _by_name(parts, other, brackets, other_brackets)) is not None:
        return told
    if (names := _named(parts)) != _named(other) or names:
        same = names == _named(other) and all(compare(a, b).equal for a, b in zip(sorted(parts), sorted(other), strict=True))
        return Told(same, "the same by name" if same else "another list")
    ordered = not {brackets, other_brackets} <= {"", "{}"}
    if ordered and any(re.search(r"\bor\b", t) for t in (left, right)):
        return Told(False, "another list")
    if all(compare(a, b).equal for a, b in zip(parts, other, strict=True)):
        return Told(True, "the same list")
    if ordered or len(parts) > 16:
        return Told(False, "another list")
    return _matched(parts, other)


def _named(parts: Sequence[str]) -> list[str]:
    """The different names that parts such as "x = 1" give; none where all have the same or most have none."""
    names = sorted({part.split("=")[0].strip() for part in parts if "=" in part})
    return names if len(names) > 1 else []


def _by_name(parts: Sequence[str], other: Sequence[str], brackets: str, other_brackets: str) -> Told | None:
    """A point "(1, 2)" against "x = 1, y = 2", whose names are in the order of the alphabet; `None` for other lists."""
    for named, bare, around in ((parts, other, other_brackets), (other, parts, brackets)):
        names = [part.split("=")[0].strip() for part in named]
        if (
            around == "()"
            and not any("=" in b for b in bare)
            and len(set(names)) == len(names)
            and all("=" in p for p in named)
        ):
            same = names == sorted(names) and all(compare(_unnamed(p), b).equal for p, b in zip(named, bare, strict=True))
            return Told(same, "the same point" if same else "another point")
    return None


def _texts(text: str) -> list[str]:
    brackets, keys = _list(text)
    if not keys:
        return []
    inside = _unnamed(text)[1:-1] if brackets else text
    return _parts(inside)


def _matched(parts: Sequence[str], other: Sequence[str]) -> Told:
    left = list(other)
    for part in parts:
        match = next((o for o in left if compare(part, o).equal), None)
        if match is None:
            return Told(False, "another set")
        left.remove(match)
    return Told(True, "the same set")


def _forms(left: str, right: str) -> Told | None:
    """An inequality against an interval, an equation against its multiple."""
    sets = _intervals(left), _intervals(right)
    if sets[0] and sets[1]:
        equal = sets[0] == sets[1]
        return Told(equal, "the same interval" if equal else "another interval")
    if "=" in left and "=" in right and (proportional := _proportional(left, right)) is not None:
        return Told(proportional, "the same equation" if proportional else "another equation")
    return None


def _intervals(text: str) -> frozenset[tuple[str, ...]] | None:
    """Intervals as (brackets, left key, right key), from inequalities of one variable or from brackets."""
    text = re.sub(r"^[a-zA-Z]\s*∈\s*", "", text)
    parts = text.split("∪") if "∪" in text else _parts(text) if re.search(r"[<>≤≥]", text) else [text]
    read = [_interval(part.strip()) for part in parts[:16]]
    return None if None in read else frozenset(r for r in read if r)


def _interval(text: str) -> tuple[str, ...] | None:
    if not re.search(r"[<>≤≥]", text):
        brackets, keys = _list(text)
        return (brackets, *keys) if brackets in ("()", "[]", "(]", "[)") and len(keys) == 2 else None
    sides, signs = [s.strip() for s in re.split(r"[<>≤≥]", text)], re.findall(r"[<>≤≥]", text)
    if any(s in ">≥" for s in signs):
        sides, signs = sides[::-1], ["<" if s in "<>" else "≤" for s in signs[::-1]] if set(signs) <= {">", "≥"} else []
    closing = {"<": ("(", ")"), "≤": ("[", "]")}
    match sides, signs:
        case [[name, above], [sign]] if re.fullmatch("[a-zA-Z]", name):
            return "(" + closing[sign][1], "t:-infinity", answer_key(above)
        case [[below, name], [sign]] if re.fullmatch("[a-zA-Z]", name):
            return closing[sign][0] + ")", answer_key(below), "t:infinity"
        case [[below, name, above], [first, last]] if re.fullmatch("[a-zA-Z]", name):
            return closing[first][0] + closing[last][1], answer_key(below), answer_key(above)
    return None


def _difference(text: str) -> Tree | None:
    sides = text.split("=")
    try:
        return ("-", read_tree(sides[0]), read_tree(sides[1])) if len(sides) == 2 else None
    except ValueError:
        return None


def _proportional(left: str, right: str) -> bool | None:
    """Whether two equations differ by a factor; `None` where one of them cannot be read."""
    trees = _difference(left), _difference(right)
    if trees[0] is None or trees[1] is None:
        return None
    names = sorted(names_in(trees[0]) | names_in(trees[1]))
    try:
        pairs = [tuple(complex(value_of(t, point)) for t in trees if t) for point in _spread(names)]
    except (ValueError, OverflowError):
        return None
    if not names or any(0 in pair for pair in pairs):
        return None
    ratios = [a / b for a, b in pairs]
    return all(abs(r - ratios[0]) <= 1e-9 * abs(r) for r in ratios)


def _whole_numbers(left: str, right: str) -> Told:
    """Expressions that round or change signs by parity are meant for whole numbers: compared at 1 to 12."""
    try:
        trees = [read_tree(_unnamed(t)) for t in (left, right)]
        if not any({"floor", "ceil"} & operations_in(t) or "(-1)^" in s for t, s in zip(trees, (left, right), strict=True)):
            return Told(False, "another value")
        names = names_in(trees[0]) | names_in(trees[1])
        points = [{name: Fraction(n + 3 * i) for i, name in enumerate(sorted(names))} for n in range(1, 13)]
        equal = all(value_of(trees[0], p) == value_of(trees[1], p) for p in points)
    except (ValueError, OverflowError):
        equal = False
    return Told(equal, "the same for whole numbers" if equal else "another value")
