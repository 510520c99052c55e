"""Long chains of thought out of worked solutions: the first source of training data, and one that costs no model.

Place: `sixfold traces` and the SFT stage stream these rows. Each is a problem of a generated family, asked just as the solver
is asked, and its worked solution as thinking between tags, in varied wording. Some rows carry a plan in the question, some ask
for a plan alone, and some make a slip in the thinking, notice it and correct it: the slip is listed in `extra_info.untrained`
as a span of characters, so that training reads the correction and never learns the mistake.

Not here: what a model wrote (`sampled.py`), and judging beyond asking the problem's verifier.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sixfold.core import Problem, Split, Verdict
from sixfold.data.plans import write_plan
from sixfold.data.rows import Row, make_row
from sixfold.reason.form import CODE, FORMS, LINE
from sixfold.reason.prompts import planner_messages, solver_messages
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import Family, generate
from sixfold.verify.extract import split_thinking

_OPENINGS = (
    "Let me work this out.", "Step by step.", "I will go through it in order.", "Let me think.", "Working it out:",
    "First steps first."
)  # fmt: skip
_CLOSINGS = ("That settles it.", "So that is the answer.", "Done.", "All steps are done.")
_NOTICES = ("Wait, that is wrong.", "No, check that again.", "That is not right. Again:", "Hmm, no. Once more:")
_RESULT = re.compile(r"(?<== )(\d{1,5})(?=[;,.\n]|$)")


@dataclass(frozen=True, slots=True)
class Mix:
    """How rows are made: shares, 0..1. `planned` rows have a plan in the question, `planners` ask for one alone, `slips` make
    and correct a mistake, `framed` have an opening or a closing sentence around the thinking."""

    planned: float = 0.15
    planners: float = 0.08
    slips: float = 0.04
    framed: float = 0.3


def worked_rows(
    cells: Mapping[tuple[str, int], int],
    mix: Mix = Mix(),
    seed: int = 0,
    split: Split = "train",
    judge: Callable[[Problem, str], Verdict] | None = None,
    skip: Callable[[str], None] = lambda why: None,
) -> Iterator[Row]:
    """Rows of generated families in mixed order: of each cell (family, level), `cells` says how many. With a `judge`, a row
    whose completion is not judged right is left out and told to `skip`. The same arguments give the same rows.
    """
    streams = {cell: generate(FAMILIES[cell[0]], cell[1], split, seed) for cell in cells}
    left = dict(cells)
    generator = random.Random(f"worked:{seed}")
    while left:
        cell = generator.choices(list(left), list(left.values()))[0]
        left[cell] -= 1
        problem = next(streams[cell], None)
        if problem is None or not left[cell]:
            del left[cell]
        if problem is None:
            skip(f"{cell[0]}:{cell[1]} has no more problems")
            continue
        row = make_trace(problem, mix, generator)
        if judge is not None and row["extra_info"]["kind"] != "planner":
            verdict = judge(problem, row["completion"][0]["content"])
            if verdict.score != 1.0:
                skip(f"{cell[0]}:{cell[1]} judged {verdict.score}: {verdict.reason}")
                continue
        yield row


def make_trace(problem: Problem, mix: Mix, generator: random.Random) -> Row:
    """One row of a problem with a worked solution."""
    family, system = str(problem.meta["family"]), FORMS.get(problem.verifier or "", LINE).system
    plan = write_plan(family, generator)
    kind = generator.random()
    if kind < mix.planners:
        return make_row(problem, planner_messages(problem.question), plan, "worked", kind="planner")
    planned = kind < mix.planners + mix.planned
    steps, ending = _divide(problem)
    slip: tuple[int, int] | None = None
    if generator.random() < mix.slips:
        steps, slip = _slip(steps, generator)
    if generator.random() < mix.framed:
        if generator.random() < 0.5:
            opening = generator.choice(_OPENINGS) + "\n"
            steps, slip = opening + steps, slip and (slip[0] + len(opening), slip[1] + len(opening))
        else:
            steps += "\n" + generator.choice(_CLOSINGS)
    start = "<think>\n"
    completion = f"{start}{steps}\n</think>\n\n{ending}"
    untrained = [[slip[0] + len(start), slip[1] + len(start)]] if slip else []
    prompt = solver_messages(problem.question, plan if planned else "", system)
    return make_row(problem, prompt, completion, "worked", kind="planned" if planned else "solver", untrained=untrained)


def _divide(problem: Problem) -> tuple[str, str]:
    """A worked solution's steps, and the answer as it is to be given."""
    solution = problem.solution or ""
    if FORMS.get(problem.verifier or "") is CODE:
        at = solution.rindex("```python")
        return solution[:at].strip() or "It is one expression.", solution[at:].strip()
    steps, _, answer = solution.rpartition("\n")
    return steps.strip(), answer.strip()


def _slip(steps: str, generator: random.Random) -> tuple[str, tuple[int, int] | None]:
    """A wrong result put into the steps before the line that has the right one, and where it stands."""
    found = list(_RESULT.finditer(steps))
    if not found:
        return steps, None
    at = generator.choice(found)
    line = steps.rfind("\n", 0, at.start()) + 1
    wrong = str(max(0, int(at[0]) + generator.choice([-10, -2, -1, 1, 2, 10])))
    if wrong == at[0]:
        wrong = str(int(at[0]) + 1)
    begun = steps[line : at.start()]
    text = f"{steps[:line]}{begun}{wrong} {generator.choice(_NOTICES)}\n{steps[line:]}"
    return text, (at.start(), at.start() + len(wrong))


def even_cells(families: Sequence[str], levels: Mapping[int, float], count: int) -> dict[tuple[str, int], int]:
    """`count` rows shared out so that the domains get the same, and in each its families, level by level.

    >>> even_cells(["math/gcd", "math/product", "tabular/join"], {1: 0.75, 2: 0.25}, 16)[("tabular/join", 1)]
    6
    """
    domains: dict[str, list[Family]] = {}
    for name in families:
        domains.setdefault(FAMILIES[name].domain, []).append(FAMILIES[name])
    cells: dict[tuple[str, int], int] = {}
    for members in domains.values():
        for family in members:
            for level, share in levels.items():
                if level <= family.levels and share > 0:
                    cells[family.task, level] = max(1, round(count * share / len(domains) / len(members)))
    return cells


def problems_in_turn(
    cells: Mapping[tuple[str, int], int], seed: int, split: Split = "train", skip: Callable[[str], None] = lambda why: None
) -> Iterator[Problem]:
    """Problems of the cells (family, level), as many of each as `cells` says, one of each in turn. A cell that has no more is
    told to `skip`."""
    left = dict(cells)
    streams = {cell: generate(FAMILIES[cell[0]], cell[1], split, seed) for cell in cells}
    while left:
        for cell in list(left):
            problem = next(streams[cell], None) if left[cell] > 0 else None
            if problem is None:
                if left.pop(cell) > 0:
                    skip(f"{cell[0]}:{cell[1]} has no more problems")
                continue
            left[cell] -= 1
            yield problem


def has_tags(text: str) -> bool:
    """Whether a completion thinks between tags and says something after them.

    >>> has_tags("<think>\\n2 + 2 = 4\\n</think>\\n\\nAnswer: 4"), has_tags("<think>2 + 2")
    (True, False)
    """
    split = split_thinking(text)
    return text.lstrip().startswith("<think>") and split.state == "closed" and bool(split.text.strip())
