"""The form of an answer: what a candidate is told to end with, how its answer is read, and how it is made to give one.

Place: `solve.py` looks up the form by the problem's verifier; `attempt.py` reads and forces answers through it. Judging is not
here: a verifier reads the text again with the same functions (`verify/extract.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sixfold.reason.prompts import CODE_SYSTEM, SOLVER_SYSTEM
from sixfold.verify.extract import clean, extract_answer, read_code, split_thinking


@dataclass(frozen=True, slots=True)
class Form:
    """`read(text, flexible)` finds the answer in what was written. A candidate whose thinking was cut goes on from `opening`
    until `stop`; `said` reads what it then wrote, and `ending` makes the text whole."""

    system: str
    read: Callable[[str, bool], str | None]
    opening: str
    stop: tuple[str, ...]
    ending: str
    said: Callable[[str], str | None]


def _line(text: str, flexible: bool) -> str | None:
    return extract_answer(text, flexible=flexible)


def _said_line(written: str) -> str | None:
    said = clean(split_thinking(written).text.strip().split("\n")[0])
    return said and (extract_answer(f"Answer: {said}") or said)


def _code(text: str, flexible: bool) -> str | None:
    found = read_code(text)
    return found.answer if flexible or found.form == "strict" else None


LINE = Form(SOLVER_SYSTEM, _line, "Answer:", ("\n",), "", _said_line)
CODE = Form(CODE_SYSTEM, _code, "```python\n", ("\n```",), "\n```", lambda written: written.strip("\n") or None)

FORMS: Mapping[str, Form] = {"code": CODE}
"""By the name of the problem's verifier; `LINE` for all others."""
