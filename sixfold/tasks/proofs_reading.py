"""Reading a question and a worked solution line by line, strictly.

Place: the proofs of the logic and tabular families share it; no generator may import it. A line that is of no known form, or
not true, is a `Fault`. It knows nothing of any family.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from sixfold.core import Problem


class Fault(ValueError):
    """What is wrong with a problem or with a line of its solution."""


def must(holds: object, fault: str) -> None:
    """Raises `Fault` where something does not hold."""
    if not holds:
        raise Fault(fault)


def proof(check: Callable[[Problem, Steps], None]) -> Callable[[Problem], list[str]]:
    """`check` as a proof that lists faults: it ends at the first, and what it cannot read is one too."""

    def prove(problem: Problem) -> list[str]:
        try:
            steps = Steps((problem.solution or "").split("\n"))
            check(problem, steps)
            must(steps.take(r"Answer: (.+)")[1] == problem.answer, "the last line gives another answer")
            must(steps.at == len(steps.lines), "lines after the answer")
        except (Fault, KeyError, IndexError, ValueError, TypeError) as error:
            return [f"{type(error).__name__}: {error}"]
        return []

    return prove


@dataclass(slots=True)
class Steps:
    """The lines of a solution, and how far they have been read."""

    lines: Sequence[str]
    at: int = field(default=0)

    def take(self, pattern: str) -> re.Match[str]:
        """The next line, which must be all of `pattern`."""
        if found := self.maybe(pattern):
            return found
        raise Fault(f"line {self.at + 1} is not understood here: {self.lines[self.at : self.at + 1]}")

    def maybe(self, pattern: str) -> re.Match[str] | None:
        """The next line where it is all of `pattern`, else nothing is read."""
        if self.at < len(self.lines) and (found := re.fullmatch(pattern, self.lines[self.at])):
            self.at += 1
            return found
        return None


def find(pattern: str, text: str) -> re.Match[str]:
    """The only place where `pattern` is in `text`."""
    found = list(re.finditer(pattern, text))
    must(len(found) == 1, f"{len(found)} places with {pattern!r} in the question")
    return found[0]


def names_in(listed: str) -> list[str]:
    """The names of a list in words.

    >>> names_in("Ann, Bob and Cleo"), names_in("Ann and Bob")
    (['Ann', 'Bob', 'Cleo'], ['Ann', 'Bob'])
    """
    return re.split(r", | and ", listed)


def plus(steps: Steps, numbers: Sequence[int]) -> int:
    """Reads a sum as one line for each further number with its running total, and gives the total."""
    total = numbers[0]
    for number in numbers[1:]:
        line = steps.take(r"(\d+) \+ (\d+) = (\d+)")
        must([int(g) for g in line.groups()] == [total, number, total + number], f"wrong sum: {line[0]}")
        total += number
    return total
