"""The gates of `sixfold sft` and `sixfold rl`, measured: the rows before SFT, and what a policy says before and after a stage.

Place: `training.py` asks for them and stops where one failed. Which gates there are and what they take to pass is in
`sixfold.train.gates`; here is what they need: tasks, judges, models, and a bar on the screen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sixfold.cli.screen import count_bar, say, stderr_console
from sixfold.errors import TaskError
from sixfold.train.gates import (
    Cell,
    Gate,
    Tried,
    When,
    audit_gate,
    contamination_gate,
    forgetting_gate,
    measure_audit,
    measure_contamination,
    measure_policy,
    support_gate,
    tag_gate,
)
from sixfold.train.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Policy:
    """A model that the gates ask: its folder, an adapter on it, and the SHA-256 of the weights of both."""

    base: Path
    adapter: Path | None
    base_sha256: str
    adapter_sha256: str = ""


def sft_gates(recipe: Recipe, silent: bool) -> list[Gate]:
    """The gates that the recipe asks for before SFT, measured. One that is overridden is measured too: what was let through is
    known."""
    from sixfold.data.decontaminate import build_index
    from sixfold.data.overlap import Index
    from sixfold.tasks.catalog import FAMILIES, find_families, find_tasks
    from sixfold.train.sft import recipe_rows
    from sixfold.verify.verifiers import Judge

    gates: list[Gate] = []
    if "audit" in recipe.gates.before_sft:
        tasks = find_tasks([family.task for family in find_families(recipe.traces.tasks)])
        with Judge(workers=2) as judge, count_bar("attacking the verifier of", len(tasks), silent) as advance:
            gates.append(audit_gate(measure_audit(tasks, judge, recipe.gates, advance)))
    if "contamination" in recipe.gates.before_sft:
        ours = not (recipe.traces.files or recipe.traces.public)
        against = find_tasks(["public"] if ours else ["public", *FAMILIES])
        try:
            index = build_index(against, missing=lambda what, error: None)
        except TaskError:
            # No benchmark is here to compare with: the report names all of them.
            index = Index()
        left_out = Counter[str]()
        rows = recipe_rows(recipe, skip=lambda why: left_out.update([why]), index=index)
        report = measure_contamination(rows, index, against) | {"left_out": dict(left_out)}
        gates.append(contamination_gate(report, recipe.gates))
    return _said(gates, silent)


def asked_gates(
    recipe: Recipe,
    names: Sequence[str],
    when: When,
    policy: Policy,
    folders: Sequence[Path],
    before: Policy | None = None,
    silent: bool = False,
) -> list[Gate]:
    """Those of these gates that ask a policy problems: whether it keeps to the form, whether it solves some of what RL is to
    strengthen, and whether it still solves what the policy `before` it did. What one of `folders` has counted for the very same
    weights is not asked again; what is new goes into the first."""
    from sixfold.tasks.catalog import FAMILIES, find_families
    from sixfold.train.rl import make_sampler
    from sixfold.verify.verifiers import Judge

    def cells(tasks: Sequence[str]) -> list[Cell]:
        families = [family.task for family in find_families(tasks)]
        return [(name, min(recipe.rl.level, FAMILIES[name].levels)) for name in families]

    def ask(who: Policy, wanted: Sequence[Cell]) -> dict[Cell, list[Tried]]:
        said = {
            "base": who.base_sha256, "adapter": who.adapter_sha256, "seed": recipe.seed, "max_tokens": recipe.rl.max_tokens,
            "temperature": recipe.rl.temperature,
        }  # fmt: skip
        what = "asking the model for the gates:" if who is policy else "asking the model as it was before:"
        with Judge(workers=2) as judge, count_bar(what, len(wanted), silent) as advance:
            return measure_policy(
                wanted, recipe.gates, said, lambda: make_sampler(recipe, who.base, who.adapter), judge, folders, advance
            )

    if not names:
        return []
    of_rl = cells(recipe.rl.tasks)
    wanted = list(dict.fromkeys([*of_rl, *(cells(recipe.traces.tasks) if "forgetting" in names else [])]))
    told = ask(policy, wanted)
    asked, config, gates = {cell: told[cell] for cell in of_rl}, recipe.gates, list[Gate]()
    if "tags" in names:
        gates.append(tag_gate(asked, config))
    if "support" in names:
        # What is solved always leaves nothing to RL, but is no fault of a stage that has ended.
        high = config.support_high if when == "before" else 1.0
        gates.append(support_gate(asked, config.model_copy(update={"support_high": high})))
    if "forgetting" in names and before is not None:
        gates.append(forgetting_gate(ask(before, wanted), told, config))
    return _said(gates, silent)


def _said(gates: list[Gate], silent: bool) -> list[Gate]:
    for gate in gates:
        say(None if silent else stderr_console(), f"gate {gate.name}: {gate.reason}")
    return gates
