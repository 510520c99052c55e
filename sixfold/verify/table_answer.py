"""Answers that come out of tables: cells, numbers, dates, lists.

Place: the verifier `table`. Rules follow the published evaluations: WikiTableQuestions (a list is a multiset; numbers and
dates by value; footnotes and remarks in brackets after a cell do not count), TAT-QA (a number has a scale) and FinQA (a
number with a tolerance).

`meta`: `values` (strings), `ordered` (false), `scale`, `tolerance` (relative, 0). Where that is over 0, half a unit of the
reference's last decimal is granted too; whole numbers that are written as such (years, counts, sums) are exact all the same.
With a scale of "thousand", "million" or "billion" a bare number is in that scale, and 5 million is also 5,000,000. With
"percent" the reference is in percent: 12.5 means "12.5%" or "12.5", never 0.125. With "ratio" (FinQA) the reference is a bare
ratio: 0.125 means "0.125" or "12.5%", and a bare 12.5 only where `percent` says that the question asks for percent (`percent`
alone means a ratio too). Without a scale, "12.5%" is the same as "12.5%" alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction

from sixfold.core import Problem, Verdict
from sixfold.verify.blocks import cut, read_block, read_data, read_line, without_remarks
from sixfold.verify.extract import clean, read_answer
from sixfold.verify.quantity import read_number

_SCALES = {"thousand": 10**3, "million": 10**6, "billion": 10**9, "trillion": 10**12}
_SHORT = {"k": "thousand", "m": "million", "mn": "million", "mm": "million", "bn": "billion", "b": "billion"}
_MONTHS = "january february march april may june july august september october november december".split()
_AMOUNT = re.compile(
    r"(?i)(\()?\s*([-+−]?)\s*(us\$|[$€£¥]|usd|eur|gbp|rmb)?\s*([-+−]?)\s*((?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d*)?|\.\d+)(e[-+]?\d{1,2})?\s*(\))?"
    r"\s*(%|percent|per cent)?\s*(\))?\s*(thousands?|millions?|billions?|trillions?|[km]|mn|mm|bn|b)?\s*"
    r"(dollars|euros|usd|eur)?"
)
_MOST = 500


@dataclass(frozen=True, slots=True)
class Amount:
    """A number as tables write it. `scale` is 1 where none was written, `decimals` those written."""

    value: Fraction
    percent: bool
    currency: str
    scale: int
    decimals: int


def read_amount(text: str) -> Amount | None:
    """A number with what tables put around it: currency, thousands, brackets for negative, percent, scale.

    >>> read_amount("$ (1,200.5)").value, read_amount("12.5 %").percent, read_amount("$3 million").scale, read_amount("3 or 4")
    (Fraction(-2401, 2), True, 1000000, None)
    """
    bare = (
        text.strip().replace("\\$", "$").replace("\\%", "%").strip("$")
        if text.count("$") > 1
        else text.strip().replace("\\%", "%")
    )
    bare = re.sub(r"^([$€£¥])\s*\(", r"(\1", bare)
    match = _AMOUNT.fullmatch(bare) if len(bare) <= 80 else None
    if match is None or bool(match[1]) != bool(match[7] or match[9]) or (match[7] and match[9]):
        if (fraction := read_number(bare)) is not None and "/" in bare:
            return Amount(fraction, False, "", 1, 0)
        return None
    value = read_number(match[5] + (match[6] or ""))
    if value is None:
        return None
    minus = [s for s in (match[2], match[4]) if s in ("-", "−")]
    if minus or match[1]:
        value = -value
    word = (match[10] or "").casefold()
    scale = _SCALES[_SHORT.get(word, word.removesuffix("s"))] if word else 1
    decimals = len(match[5].partition(".")[2]) if not match[6] else 0
    currency = {"usd": "$", "us$": "$", "eur": "€", "gbp": "£", "": ""}.get(
        (match[3] or "").casefold(), (match[3] or "").casefold()
    )
    return Amount(value, bool(match[8]), currency, scale, decimals)


def read_date(text: str) -> tuple[int, int, int] | None:
    """Year, month and day (0 where it is not told) of a date that has at least two of them.

    >>> read_date("5 March 2004"), read_date("March 5, 2004") == read_date("2004-03-05"), read_date("2004")
    ((2004, 3, 5), True, None)
    """
    bare = re.sub(r"(?<=\d)(?:st|nd|rd|th)\b|[,.]", " ", text.casefold())
    if iso := re.fullmatch(r"\s*(\d{4})-(\d{1,2})-(\d{1,2})\s*", bare):
        return int(iso[1]), int(iso[2]), int(iso[3])
    year = month = day = 0
    words = bare.replace(" of ", " ").split()
    if not 2 <= len(words) <= 3 or len(bare) > 40:
        return None
    for word in words:
        named = [i + 1 for i, m in enumerate(_MONTHS) if m == word or (len(word) in (3, 4) and m.startswith(word))]
        if named and not month:
            month = named[0]
        elif re.fullmatch(r"\d{4}", word) and not year:
            year = int(word)
        elif re.fullmatch(r"\d{1,2}", word) and not day and 1 <= int(word) <= 31:
            day = int(word)
        else:
            return None
    return (year, month, day) if month else None


def folded(text: str) -> str:
    """A cell as WikiTableQuestions compares it: no accents, footnote marks, quotes, full stop; lower case.

    >>> folded('"Café"[2]'), folded("José ‘Pepe’.")
    ('cafe', "jose 'pepe'")
    """
    text = "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))
    text = re.sub(r"[‘’´`]", "'", re.sub(r"[“”]", '"', re.sub(r"[‐‑‒–—−]", "-", text)))
    bare = re.sub(r"(?<!^)(?:\[[^\]]{0,20}\]|[♦†‡*#+])+$", "", text.strip())
    bare = re.sub(r'^"([^"]*)"$', r"\1", bare.strip()).rstrip(".")
    return " ".join(bare.casefold().split()) or " ".join(text.casefold().split())


def _without_remark(text: str) -> str:
    return re.sub(r"(?<!^)(?: \([^)]*\))+$", "", text).strip()


@dataclass(frozen=True, slots=True)
class Rules:
    scale: str
    tolerance: float
    percent: bool


def same_cell(known: str, given: str, rules: Rules = Rules("", 0.0, False)) -> bool:
    """Whether a cell of the reference and one of an answer mean the same.

    >>> same_cell("$1,200", "1200"), same_cell("Great Britain (GBR)", "great britain"), same_cell("5 March 2004", "2004-03-05")
    (True, True, True)
    >>> same_cell("12.5", "12.5%"), same_cell("12.5", "12.5%", Rules("percent", 0, False)), same_cell("(32)", "-32")
    (False, True, True)
    """
    one, two = read_amount(known), read_amount(given)
    if one is not None and two is not None:
        return _same_amount(one, two, rules)
    left, right = folded(known), folded(given)
    if left == right:
        return True
    bare = _without_remark(left), _without_remark(right)
    if bare[0] == bare[1] and (bare[0] == left or bare[1] == right):
        return True
    date = read_date(left)
    return date is not None and date == read_date(right)


def _same_amount(one: Amount, two: Amount, rules: Rules) -> bool:
    if one.currency and two.currency and one.currency != two.currency:
        return False
    whole = not (one.decimals or two.decimals or two.percent) and one.scale == two.scale == 1
    granted = Fraction(0 if whole else rules.tolerance) * abs(one.value)
    if rules.tolerance and one.decimals and two.decimals > one.decimals:
        granted = max(granted, Fraction(1, 2 * 10**one.decimals))

    def close(given: Fraction) -> bool:
        return abs(one.value - given) <= granted

    if rules.scale == "percent" or one.percent:
        bare = rules.scale == "percent" and two.scale == 1
        return (two.percent or bare) and close(two.value)
    if rules.scale == "ratio" or (rules.percent and not rules.scale):
        asked = rules.percent and two.scale == 1
        return close(two.value / 100) if two.percent else close(two.value * two.scale) or (asked and close(two.value / 100))
    if two.percent:
        return False
    unit = _SCALES.get(rules.scale, 1)
    if one.scale > 1:  # the reference says its scale itself
        return close(two.value * two.scale / one.scale)
    return close(two.value * two.scale / unit) or (two.scale == 1 and close(two.value))


def judge_table(problem: Problem, text: str) -> Verdict:
    """See the module for `meta`. 1 or 0.

    >>> problem = Problem("p", "Which?", meta={"values": ["Cuba", "Peru"]})
    >>> [judge_table(problem, f"Answer: {a}").score for a in ("peru, cuba", "Cuba | Peru", "Cuba", "Cuba, Peru, Chile")]
    [1.0, 1.0, 0.0, 0.0]
    """
    values, scale = problem.meta.get("values"), problem.meta.get("scale", "") or ""
    tolerance = problem.meta.get("tolerance", 0) or 0
    known = [str(v) for v in values if str(v).strip()] if isinstance(values, list | tuple) else []
    if not 0 < len(known) <= _MOST:
        return Verdict(None, "the problem has no values to compare with")
    if scale not in ("", "percent", "ratio", *_SCALES) or not isinstance(tolerance, int | float) or not 0 <= tolerance < 1:
        return Verdict(None, f"the problem has a scale or a tolerance that is none: {scale!r:.20}, {tolerance!r:.20}")
    rules = Rules(scale, float(tolerance), bool(problem.meta.get("percent")))
    ordered = bool(problem.meta.get("ordered"))

    def right(answer: str) -> bool:
        if len(known) == 1:
            return any(same_cell(known[0], a, rules) for a in (answer, _undecorated(answer), _only(answer)) if a)
        return any(_matches(known, parts, ordered, rules) for parts in _lists(answer, len(known)))

    line = read_line(text)
    block = read_block(text) if len(known) > 1 and line.answer else line
    answers = [a for a in (without_remarks(block.answer or ""), line.answer) if a]
    form = line.form
    if not answers:
        found = read_answer(text, accept=right)
        answers, form = [found.answer] if found.answer else [], found.form
        if len(known) > 1 and right(paragraph := read_block(text).answer or ""):
            answers, form = [paragraph], "flexible"
    if not answers:
        return Verdict(0.0, "no answer")
    if len(known) > 1 and len(answers) > 1 and len(list(_bullets(answers[0]))) > 1:
        answers = answers[:1]  # the list goes on over the lines: its first line is not all of it
    holds = any(right(a) for a in answers if len(a) <= 20_000)
    if not holds and line.answer and len(known) == 1 and right((said := read_answer(text, accept=right)).answer or ""):
        holds, form = True, said.form
    return Verdict(
        float(holds), f"{answers[-1][:60]!r} is {'' if holds else 'not '}{' | '.join(known)[:80]}", answers[0][:2000], form
    )


def _undecorated(text: str) -> str:
    text = re.sub(r"\\(?:text|mathrm)\s?\{([^{}]*)\}", r"\1", text)
    return clean(text) or text.strip(' *`"')


def _only(text: str) -> str:
    """The one item of a JSON list."""
    with suppress(ValueError):
        data = read_data(text) if text.lstrip().startswith("[") else None
        if isinstance(data, list) and len(data) == 1 and isinstance(data[0], str | int | float):
            return str(data[0])
    return ""


def _bullets(text: str) -> Iterator[str]:
    for line in text.splitlines():
        if line.strip():
            yield re.sub(r"^\s*(?:[-*•]\s+|\(?\d{1,3}[.)]\s+)", "", line).strip()


def _lists(answer: str, count: int) -> Iterator[list[str]]:
    """The ways in which `answer` is a list of `count` items."""
    with suppress(ValueError):
        data = read_data(answer.strip())
        if isinstance(data, list | tuple):
            yield [str(d) for d in data]
    answer = re.sub(r"\\(?:text|mathrm)\s?\{([^{}]*)\}", r"\1", answer)
    text = (
        re.sub(r"(?<!\\)\$(?=\D)|(?<=\D)\$$", "", answer)
        if answer.count("$") == 1 and "$" in (answer[:1], answer[-1:])
        else answer
    )
    bare = text.strip().strip("*`").removesuffix(".").rstrip(" #|,;")
    inner = bare[1:-1] if bare[:1] + bare[-1:] in ("[]", "()", "{}") and bare.count(bare[:1]) == 1 else bare
    for way in (
        inner.split("|"), inner.split(" # "), list(_bullets(text)), cut(inner, ";".__eq__), re.split(r",\s+(?:and\s+)?", inner),
        re.split(r",\s+(?:and\s+)?|\s+and\s+", inner), re.split(r"\s+and\s+", inner), inner.split(","), _last_and(inner),
    ):  # fmt: skip
        parts = [p.strip() for p in way]
        if len(parts) == count and all(parts):
            yield parts


def _last_and(text: str) -> list[str]:
    *most, last = re.split(r",\s+", text)
    return [*most, *re.split(r"\s+and\s+", last, maxsplit=1)]


def _matches(known: Sequence[str], given: Sequence[str], ordered: bool, rules: Rules) -> bool:
    if len(known) != len(given):
        return False
    if ordered:
        return all(same_cell(k, g, rules) for k, g in zip(known, given, strict=True))
    left = list(given)
    for cell in known:
        at = next((i for i, g in enumerate(left) if same_cell(cell, g, rules)), None)
        if at is None:
            return False
        del left[at]
    return True
