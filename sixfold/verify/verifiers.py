"""Every verifier by name, and the one object that judges with them.

Place: the last of `verify/`. `Problem.verifier` names an entry; the evals, the rewards and the command line judge through
`Judge`, which owns what has to be closed. Comparing lives in the other files of this folder, one idea each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Self

from sixfold.core import Problem, Verdict, Verifier
from sixfold.verify.arithmetic import makes_target, solves_equation

PURE: Mapping[str, Verifier] = {"equation": solves_equation, "countdown": makes_target}
"""Verifiers that need nothing but the problem and the text."""

CHOOSING: Mapping[str, Verifier] = {name: PURE[name] for name in ("equation", "countdown")}
"""Those that need no known answer, and so may choose among candidates; the others would be looking the answer up."""

NAMES: frozenset[str] = frozenset(PURE)
"""What `Problem.verifier` may name."""
