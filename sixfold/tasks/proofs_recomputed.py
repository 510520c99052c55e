"""A proof by telling a worked solution anew from the question, and comparing the two line by line.

Place: the proofs of the code and simulation families are made with `recomputed`; no generator may import it. What a family
knows is in its `tell`, which reads the question's text and yields every line that is true of it: a line that is not yielded
is a fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import zip_longest

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault

Tell = Callable[[Problem], Iterable[str]]


def recomputed(tell: Tell, *, answered: bool = True) -> Callable[[Problem], list[str]]:
    """The proof that a solution is what `tell` yields, its last line being the answer. `tell` raises for what it cannot read.

    `answered=False` is for solutions that end in another way, with a program; `tell` checks the answer itself then.
    """

    def prove(problem: Problem) -> list[str]:
        try:
            lines = list(tell(problem))
        except (Fault, LookupError, ValueError, TypeError, ArithmeticError, SyntaxError) as error:
            return [f"{type(error).__name__}: {error}"]
        told = (problem.solution or "").split("\n")
        faults = [f"line {i}: {a!r}, true is {b!r}" for i, (a, b) in enumerate(zip_longest(told, lines), 1) if a != b][:3]
        if answered and lines[-1] != f"Answer: {problem.answer}":
            faults.append(f"the answer {problem.answer!r}, true is {lines[-1]!r}")
        return faults

    return prove
