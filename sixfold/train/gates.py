"""Gates: what must hold before a stage trains and after it, as values, and the file that remembers what was let through.

Place: `sixfold sft` and `sixfold rl` measure here before they train. A gate is made from measured values, so that it is the
same whoever measured them; what measures needs a judge and a callable `sample(problem, k)`, never a model. A failed gate stops
the run, or is overridden by name, which `gates.json` in the run folder records. Audits and decontamination are elsewhere.
"""

from __future__ import annotations

import difflib
import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from sixfold.core import Problem, Split, Task, Verdict
from sixfold.data.decontaminate import row_texts
from sixfold.data.overlap import Index
from sixfold.data.rows import row_problem
from sixfold.data.traces import has_tags
from sixfold.errors import ConfigError, TrainError
from sixfold.evals.audit import Audit, audit_task, may_train
from sixfold.evals.folder import write_json
from sixfold.evals.stats import pass_at_k, wilson
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate, masked, normalised, split_of
from sixfold.train.recipe import GateConfig

Cell = tuple[str, int]
"""A family of problems and a level of it."""
Judging = Callable[[Problem, str], Verdict]
Sample = Callable[[Problem, int], Sequence[str]]
"""`sample(problem, k)`: k completions."""
NAMES = ("audit", "contamination", "tags", "support")
FILE = "gates.json"
_SHOWN = 4
_SAME = ("exact", "template")


@dataclass(frozen=True, slots=True)
class Gate:
    """`measured` and `threshold` in the unit that `reason` says; `details` is what a report shows, as JSON."""

    name: str
    passed: bool
    measured: float
    threshold: float
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


def check(gates: Sequence[Gate], override: Iterable[str] = (), folder: Path | None = None, stage: str = "") -> list[str]:
    """Record these gates in `folder/gates.json`, and stop where one failed that is not overridden. Returns those that failed
    and were let through.

    Raises `ConfigError` for a name that is no gate, and `TrainError` that names each failed gate, why, and how to go on.
    """
    allowed = known(override)
    failed = [g for g in gates if not g.passed]
    let_through = [g.name for g in failed if g.name in allowed]
    if folder is not None and gates:
        record = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "stage": stage, "overridden": let_through,
            "gates": [asdict(g) for g in gates],
        }  # fmt: skip
        try:
            write_json(folder / FILE, [*load_gates(folder), record])
        except ConfigError as error:
            raise TrainError(str(error.args[0]), hint="free some disk, or give another --out") from error
    if stopped := [g for g in failed if g.name not in allowed]:
        reasons = "; ".join(f"gate {g.name} failed: {g.reason}" for g in stopped)
        flags = " ".join(f"--override {g.name}" for g in stopped)
        raise TrainError(reasons, hint=f"mend that, or train all the same with {flags}, which is recorded")
    return let_through


def known(override: Iterable[str]) -> frozenset[str]:
    """These names of gates. Raises `ConfigError` for one that is none, so that a slip of the pen lets nothing through."""
    names = frozenset(override)
    for name in names.difference(NAMES):
        near = difflib.get_close_matches(name, NAMES, 1, 0.5)
        raise ConfigError(
            f"there is no gate {name!r}", hint=f"did you mean {near[0]}?" if near else f"gates: {', '.join(NAMES)}"
        )
    return names


def load_gates(folder: Path) -> list[dict[str, Any]]:
    """What `check` recorded in a run folder, oldest first."""
    if not (folder / FILE).exists():
        return []
    try:
        found: list[dict[str, Any]] = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TrainError(f"{folder / FILE} cannot be read: {error}", hint="give another --out") from error
    return found


def support_gate(cells: Mapping[Cell, Sequence[tuple[int, int]]], config: GateConfig) -> Gate:
    """Whether RL has something to strengthen. `cells` has (samples, right ones) of each problem that was tried.

    A cell has a signal where its pass@k (mean over its problems, Chen et al. 2021) lies between the two bounds.

    >>> gate = support_gate({("math/gcd", 1): [(8, 2), (8, 0)], ("math/gcd", 2): [(8, 0), (8, 0)]}, GateConfig())
    >>> gate.passed, gate.measured, gate.details["cells"]["math/gcd:2"]["signal"]
    (True, 0.5, False)
    """
    details: dict[str, dict[str, Any]] = {}
    for (family, level), tried in sorted(cells.items()):
        counted = [(n, right) for n, right in tried if n >= config.support_k]
        if not counted:
            details[f"{family}:{level}"] = {"problems": 0, "signal": False}
            continue
        rates = [pass_at_k(n, right, config.support_k) for n, right in counted]
        mean = sum(rates) / len(rates)
        details[f"{family}:{level}"] = {
            "problems": len(counted), "pass@1": sum(r / n for n, r in counted) / len(counted), f"pass@{config.support_k}": mean,
            "mixed_groups": sum(0 < r < n for n, r in counted) / len(counted),
            "signal": config.support_low <= mean <= config.support_high,
        }  # fmt: skip
    with_signal = [name for name, cell in details.items() if cell["signal"]]
    share = len(with_signal) / len(details) if details else 0.0
    reason = (
        f"{len(with_signal)} of {len(details)} cells ({share:.0%}) have pass@{config.support_k} between "
        f"{config.support_low:g} and {config.support_high:g}, {config.support_cells:.0%} are needed"
    )
    passed = bool(details) and share >= config.support_cells
    return Gate("support", passed, share, config.support_cells, reason, {"k": config.support_k, "cells": details})


def measure_support(
    sample: Sample, judge: Judging, cells: Iterable[Cell], config: GateConfig, split: Split = "validation", seed: int = 0
) -> dict[Cell, list[tuple[int, int]]]:
    """(samples, right ones) of each problem of each cell. What could not be judged is no sample: unscored is not wrong."""
    found: dict[Cell, list[tuple[int, int]]] = {}
    for family, level in cells:
        found[family, level] = []
        for problem in islice(generate(FAMILIES[family], level, split, seed), config.support_problems):
            scores = [judge(problem, text).score for text in sample(problem, config.support_k)]
            judged = [s for s in scores if s is not None]
            found[family, level].append((len(judged), sum(s >= 1.0 for s in judged)))
    return found


def tag_gate(completions: Iterable[str], config: GateConfig) -> Gate:
    """Whether the model thinks between tags and then answers: without that there is nothing for RL to reward.

    >>> tag_gate(["<think>2 + 2</think>Answer: 4", "4"], GateConfig()).reason
    '1 of 2 completions (50%) have their tags, 95% are needed'
    """
    told = [has_tags(text) for text in completions]
    share = sum(told) / len(told) if told else 0.0
    reason = f"{sum(told)} of {len(told)} completions ({share:.0%}) have their tags, {config.tags:.0%} are needed"
    low, high = wilson(sum(told), len(told)) if told else (0.0, 1.0)
    return Gate(
        "tags",
        bool(told) and share >= config.tags,
        share,
        config.tags,
        reason,
        {"completions": len(told), "interval": [low, high]},
    )


def audit_gate(audits: Sequence[Audit]) -> Gate:
    """Whether no verifier of these tasks can be fooled more than it declares. `measured` is the share of tasks that pass."""
    faults = may_train(audits)
    share = sum(a.ok for a in audits) / len(audits) if audits else 0.0
    reason = _several(faults) if faults else f"all of {len(audits)} tasks pass" if audits else "no task was audited"
    tasks = {a.task: {"ok": a.ok, "problems": a.problems, "floor": a.floor, "worst_attack": a.attack} for a in audits}
    return Gate("audit", bool(audits) and not faults, share, 1.0, reason, {"tasks": tasks, "faults": faults})


def measure_audit(
    tasks: Sequence[Task], judge: Judging, config: GateConfig, advance: Callable[[str], None] = lambda name: None
) -> list[Audit]:
    """Attack the verifiers of these tasks; `advance` is told each that is done."""
    audits = []
    for task in tasks:
        audits.append(audit_task(task, judge, config.audit_problems))
        advance(task.name)
    return audits


def contamination_gate(report: Mapping[str, Any], config: GateConfig) -> Gate:
    """Whether what is trained on is free of evaluation questions. `report` is that of `measure_contamination`, or of
    `sixfold data decontaminate`, whose clean rows have none by construction. `measured` is the share of rows that hold one.

    Raises `TrainError` where the report is none.
    """
    try:
        rows, overlapping = int(report["rows"]), int(report["removed"])
        left = 0 if "clean_sha256" in report else overlapping
        tasks, questions, missing = len(report["tasks"]), int(report["questions"]), list(report["not_compared"])
        named = [f"{name} ({sum(t['overlaps'].values())})" for name, t in report["tasks"].items() if t["overlaps"]]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise TrainError(
            f"no decontamination report: {error!r}", hint="give the report.json of `sixfold data decontaminate`"
        ) from error
    share = left / rows if rows else 0.0
    reason = f"{left} of {rows} training rows hold one of the {questions} evaluation questions of {tasks} tasks"
    if not questions:
        reason = f"{left} of {rows} training rows are of a family's test split; no benchmark was here to compare with"
    reason += f": {_several(named)}" if left else ""
    reason += f"; {len(missing)} tasks were not compared" if missing else ""
    passed = rows > 0 and share <= config.contamination
    details = {"report": dict(report), "taken_out": overlapping - left}
    return Gate("contamination", passed, share, config.contamination, reason, details)


def measure_contamination(rows: Iterable[Mapping[str, Any]], index: Index, tasks: Sequence[Task]) -> dict[str, Any]:
    """Compare a stream of training rows with evaluation questions, without writing or keeping any row.

    The report has the keys of `sixfold data decontaminate`; there is no clean set, so nothing was taken out. Training and test
    problems of a generated family share its wording and differ in their numbers, so of those only the same question counts, and
    a worked row counts too where its own family does not hold it to be of the training split.
    """
    count, kinds, by_task = Counter[str](), Counter[str](), dict[str, Counter[str]]()
    for row in rows:
        count["rows"] += 1
        found: set[tuple[str, str]] = {
            (m.task, m.kind) for m in index.find(*row_texts(row)) if m.task.partition(":")[0] not in FAMILIES or m.kind in _SAME
        }
        if (family := _wrong_split(row)) is not None:
            found.add((family, "split"))
        count["removed"] += bool(found)
        kinds.update({kind for _, kind in found})
        for task, kind in found:
            by_task.setdefault(task, Counter())[kind] += 1
    families = [name for name in by_task if name not in {t.name for t in tasks}]
    return {
        "rows": count["rows"], "removed": count["removed"], "questions": len(index), "kinds": dict(kinds),
        "tasks": {
            t.name: {"version": t.version, "questions": index.counts[t.name], "overlaps": dict(by_task.get(t.name, {}))}
            for t in tasks if index.counts[t.name]
        } | {name: {"version": "", "questions": 0, "overlaps": dict(by_task[name])} for name in families},
        "not_compared": [t.name for t in tasks if not index.counts[t.name]],
    }  # fmt: skip


def _wrong_split(row: Mapping[str, Any]) -> str | None:
    """The family of a worked row whose question is not of that family's training split."""
    info = row.get("extra_info") or {}
    if info.get("origin") != "worked" or info.get("family") not in FAMILIES:
        return None
    question, family = row_problem(row).question, FAMILIES[info["family"]]
    return None if split_of(masked(question) if family.masked else normalised(question)) == "train" else family.task


def _several(items: Sequence[str]) -> str:
    more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
    return "; ".join(items[:_SHOWN]) + more
