"""Answers that are words, and answers that are Python values.

Place: the verifiers `text` and `literal`. A text is compared as a whole, never searched for: "Paris or Rome" is not "Paris".
A literal is compared by value and type, all the way down: 1 is not True, 1 is not 1.0, a list is not a tuple; sets and the
keys of dicts have no order. Only literals are read: a string needs its quotes, as in CRUXEval, where `assert f(x) == answer`
is run; of an answer `f(x) == 'abc'` the right side counts.

Not here: meaning. A paraphrase is wrong.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Any

from sixfold.core import AnswerForm, Problem, Verdict
from sixfold.verify.blocks import read_line, read_literal, right_of_call
from sixfold.verify.extract import clean, read_answer, split_thinking


def judge_text(problem: Problem, text: str) -> Verdict:
    """`meta`: `case` (false: upper and lower case are one), `spaces` (false: runs of blanks are one), `accept` (other right
    answers).

    >>> problem = Problem("p", "Capital of France?", answer="Paris")
    >>> [judge_text(problem, f"Answer: {a}").score for a in ("paris.", '"Paris"', "Paris or Rome", "not Paris")]
    [1.0, 1.0, 0.0, 0.0]
    """
    accept = problem.meta.get("accept", [])
    if not problem.answer or not isinstance(accept, list | tuple) or not all(isinstance(a, str) for a in accept):
        return Verdict(None, "the problem has no text to compare with")
    case, spaces = bool(problem.meta.get("case")), bool(problem.meta.get("spaces"))
    known = {_compared(a, case, spaces) for a in (problem.answer, *accept)}

    def right(answer: str) -> bool:
        written = [answer, _bare(answer), clean(answer) or answer, answer.strip("*` ")]
        return any(_compared(w, case, spaces) in known for w in written)

    line = read_line(text)
    found: tuple[str | None, AnswerForm] = (line.answer, line.form)
    if line.answer is None:
        found = read_answer(text, accept=right)
    answer, form = found
    if answer is None:
        return Verdict(0.0, "no answer")
    holds = right(answer)
    return Verdict(float(holds), f"{answer[:60]!r} is {'' if holds else 'not '}{problem.answer[:60]!r}", answer[:2000], form)


def _compared(text: str, case: bool, spaces: bool) -> str:
    text = unicodedata.normalize("NFC" if case else "NFKC", text).strip()
    text = text if case else text.casefold()
    return text if spaces else " ".join(text.split())


def _bare(text: str) -> str:
    """Without code marks, emphasis, LaTeX text, one pair of quotes and a full stop at the end."""
    text = re.sub(r"^\$?\\(?:text|mathrm|textbf|mathbf|texttt)\s?\{([^{}]*)\}\$?$", r"\1", text.strip())
    for left, right in (("**", "**"), ("`", "`"), ('"', '"'), ("'", "'"), ("“", "”")):
        inner = text.removesuffix(".") if text.endswith(right + ".") else text
        if len(inner) > 2 * len(left) and inner.startswith(left) and inner.endswith(right):
            text = inner[len(left) : -len(right)]
    return re.sub(r"(?<=[\w)\]])[.!]$", "", text)


def judge_literal(problem: Problem, text: str) -> Verdict:
    """`answer` is a Python literal; the same value of the same type is right. 1 or 0.

    >>> problem = Problem("p", "f([1])?", answer="[1, 'a']")
    >>> [judge_literal(problem, f"Answer: {a}").score for a in ('[1,"a"]', "f([1]) == [1, 'a']", "(1, 'a')", "[True, 'a']")]
    [1.0, 1.0, 0.0, 0.0]
    """
    try:
        known = canonical(read_literal(problem.answer or ""))
    except ValueError:
        return Verdict(None, "the reference is not a Python literal")
    line = read_line(text)
    answer, form = line.answer, line.form
    if answer is None:
        found = read_answer(text, accept=lambda a: _read(a) is not None)
        answer, form = found.answer, found.form
    if form != "strict" and _read(whole := split_thinking(text).text.strip()) is not None:
        answer, form = whole, "flexible"
    if answer is None:
        return Verdict(0.0, "no answer")
    given = _read(answer)
    if given is None:
        return Verdict(0.0, f"{answer[:60]!r} is not a Python literal", answer[:2000], form)
    holds = given == known
    return Verdict(
        float(holds), f"{answer[:60]} is {'' if holds else 'not '}{(problem.answer or '')[:60]}", answer[:2000], form
    )


def _read(answer: str) -> Any:
    """The canonical value of an answer as it was written; `None` where it is no literal."""
    text = re.sub(r"(?<=\d)\.$", "", answer.strip())
    for _ in range(4):
        try:
            return canonical(read_literal(right_of_call(text) or text))
        except ValueError:
            stripped = re.sub(r"^\\text\{(.*)\}$|\\(?=[{}])", r"\1", text.rstrip(".").strip("$*` \t")) or text
            if stripped == text:
                return None
            text = stripped
    return None


def canonical(value: Any) -> Any:
    """A hashable stand-in that is equal exactly for the same value of the same type.

    >>> canonical(1) == canonical(True), canonical([1]) == canonical((1,)), canonical({1: 2, 3: 4}) == canonical({3: 4, 1: 2})
    (False, False, True)
    """
    name = type(value).__name__
    if isinstance(value, list | tuple):
        return name, tuple(canonical(v) for v in value)
    if isinstance(value, set):
        return name, frozenset(canonical(v) for v in value)
    if isinstance(value, dict):
        return name, frozenset((canonical(k), canonical(v)) for k, v in value.items())
    return name, "nan" if value != value else value
