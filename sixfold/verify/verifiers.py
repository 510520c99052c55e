"""Every verifier by name, and the one object that judges with them.

Place: the last of `verify/`. `Problem.verifier` names an entry; the evals, the rewards and the command line judge through
`Judge`, which owns what has to be closed: worker processes and the sandbox. Comparing lives in the other files of this folder,
one idea each.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from sixfold.core import Problem, Verdict, Verifier
from sixfold.verify.arithmetic import makes_target, solves_equation
from sixfold.verify.choice import judge_choice
from sixfold.verify.code_tests import judge_code, judge_code_input
from sixfold.verify.gym_answer import judge_gym
from sixfold.verify.math_answer import judge_math
from sixfold.verify.puzzle import judge_assignment, judge_grid, judge_order
from sixfold.verify.quantity import judge_quantity
from sixfold.verify.sandbox import open_sandbox
from sixfold.verify.state import judge_state
from sixfold.verify.table_answer import judge_table
from sixfold.verify.text_answer import judge_literal, judge_text
from sixfold.verify.workers import Tools, Workers

PURE: Mapping[str, Verifier] = {
    "equation": solves_equation, "countdown": makes_target, "choice": judge_choice, "quantity": judge_quantity,
    "text": judge_text, "literal": judge_literal, "assignment": judge_assignment, "order": judge_order, "grid": judge_grid,
    "state": judge_state, "table": judge_table,
}  # fmt: skip
"""Verifiers that need nothing but the problem and the text."""

WITH_TOOLS: Mapping[str, Callable[[Problem, str, Tools], Verdict]] = {
    "math": judge_math, "code": judge_code, "code_input": judge_code_input, "gym": judge_gym,
}  # fmt: skip
"""Verifiers that compute in other processes."""

CHOOSING: Mapping[str, Verifier] = {name: PURE[name] for name in ("equation", "countdown")}
"""Those that need no known answer, and so may choose among candidates; the others would be looking the answer up."""

NAMES: frozenset[str] = frozenset(PURE) | frozenset(WITH_TOOLS)
"""What `Problem.verifier` may name."""

LONGEST = 2_000_000
"""Characters of a text that are judged; what is longer is cut at its beginning, for the answer is at its end."""


class Judge:
    """A `Verifier` for every problem. Several threads may call it at once. Close it, or use it as a context.

    `workers` processes judge what needs sympy or a library's scorer; `allow_unsafe_code` runs tested programs without a sandbox
    where there is none. `counters` has how many were judged and unscored for each verifier.
    """

    def __init__(self, *, workers: int = 1, deadline_s: float = 5.0, allow_unsafe_code: bool = False) -> None:
        self._tools = Tools(Workers(count=workers, deadline_s=deadline_s), open_sandbox(allow_unsafe=allow_unsafe_code))
        self._lock = threading.Lock()
        self._counters: Counter[str] = Counter()

    def __call__(self, problem: Problem, text: str) -> Verdict:
        name, text = problem.verifier or "", text[-LONGEST:]
        if name in PURE:
            verdict = PURE[name](problem, text)
        elif name in WITH_TOOLS:
            verdict = WITH_TOOLS[name](problem, text, self._tools)
        else:
            verdict = Verdict(None, f"there is no verifier {name!r}" if name else "the problem names no verifier")
        with self._lock:
            self._counters[f"{name}: judged"] += 1
            self._counters[f"{name}: unscored"] += verdict.score is None
        return verdict

    @property
    def counters(self) -> Counter[str]:
        return self._counters + self._tools.workers.counters

    @property
    def sandbox(self) -> str:
        """How tested programs are run: "bubblewrap", "unsafe", or "none"."""
        return self._tools.sandbox.kind if self._tools.sandbox else "none"

    def close(self) -> None:
        self._tools.workers.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
