"""Gates: what must hold before a stage trains and after it, as values, and the file that remembers what was let through.

Place: `sixfold sft` and `sixfold rl` measure here before they train and when they have trained. A gate is made from measured
values, so that it is the same whoever measured them; what measures needs a judge and a callable `sample(problems, k)`, never a
model. A failed gate stops the run, or is overridden by name, which `gates.json` in the run folder records. What a policy said
is counted in `samples.jsonl`, so that the same weights are not asked twice. Audits and decontamination are elsewhere.
"""

from __future__ import annotations

import difflib
import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from statistics import fmean
from typing import Any, Literal, NamedTuple

from sixfold.core import Problem, Task, Verdict
from sixfold.data.decontaminate import counts_as_overlap, row_texts
from sixfold.data.overlap import Index
from sixfold.data.rows import row_problem
from sixfold.data.traces import has_tags
from sixfold.errors import ConfigError, TrainError
from sixfold.evals.audit import Audit, audit_task, may_train
from sixfold.evals.folder import write_json
from sixfold.evals.stats import finding, holm, paired, pass_at_k, wilson
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate, masked, normalised, split_of
from sixfold.trace import append_line
from sixfold.train.recipe import GateConfig

Cell = tuple[str, int]
"""A family of problems and a level of it."""
Judging = Callable[[Problem, str], Verdict]
Sample = Callable[[Sequence[Problem], int], Sequence[Sequence[str]]]
"""`sample(problems, k)`: k completions of each."""
When = Literal["before", "after"]
NAMES = ("audit", "contamination", "tags", "support", "forgetting")
FILE, SAMPLES = "gates.json", "samples.jsonl"
_SHOWN = 4
_OTHER_SEED = 900_007
"""Added to the recipe's seed: the problems of the gates are of another split than what is trained on, and of another seed."""


@dataclass(frozen=True, slots=True)
class Gate:
    """`measured` and `threshold` in the unit that `reason` says; `details` is what a report shows, as JSON."""

    name: str
    passed: bool
    measured: float
    threshold: float
    reason: str
    details: Mapping[str, Any] = field(default_factory=dict)


class Tried(NamedTuple):
    """A problem that a policy was asked several times: how many completions could be judged, how many of those are right, how
    many of all have their tags, and how many there were."""

    judged: int
    right: int
    tagged: int = 0
    said: int = 0


def check(
    gates: Sequence[Gate], override: Iterable[str] = (), folder: Path | None = None, stage: str = "", when: When = "before"
) -> list[str]:
    """Record these gates in `folder/gates.json`, and stop where one failed that is not overridden. Returns those that failed
    and were let through.

    Raises `ConfigError` for a name that is no gate, and `TrainError` that names each failed gate, why, and how to go on.
    """
    allowed = known(override)
    failed = [g for g in gates if not g.passed]
    let_through = [g.name for g in failed if g.name in allowed]
    if folder is not None and gates:
        record = {
            "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), "stage": stage, "when": when,
            "overridden": let_through,
            "gates": [asdict(g) for g in gates],
        }  # fmt: skip
        try:
            write_json(folder / FILE, [*load_gates(folder), record])
        except ConfigError as error:
            raise TrainError(str(error.args[0]), hint="free some disk, or give another --out") from error
    if stopped := [g for g in failed if g.name not in allowed]:
        reasons = "; ".join(f"gate {g.name} failed: {g.reason}" for g in stopped)
        flags = " ".join(f"--override {g.name}" for g in stopped)
        hint = f"mend that, or train all the same with {flags}, which is recorded"
        if when == "after":
            hint = f"what was trained is kept; mend that, or let it count with --resume {flags}, which is recorded"
        raise TrainError(reasons, hint=hint)
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


def let_through_before(folder: Path) -> list[str]:
    """The gates that were let through when the training in this folder began."""
    records = [record for record in load_gates(folder) if record.get("when", "before") == "before"]
    return list(records[-1]["overridden"]) if records else []


def support_gate(cells: Mapping[Cell, Sequence[Tried]], config: GateConfig) -> Gate:
    """Whether RL has something to strengthen.

    A cell has a signal where its pass@k (mean over its problems, Chen et al. 2021) reaches `support_low`, so that some
    completion is right, and its pass@1 does not pass `support_high`, so that some is wrong.

    >>> good, none = Tried(judged=8, right=2), Tried(judged=8, right=0)
    >>> gate = support_gate({("math/gcd", 1): [good, none], ("math/gcd", 2): [none, none]}, GateConfig())
    >>> gate.passed, gate.measured, gate.details["cells"]["math/gcd:2"]["signal"]
    (True, 0.5, False)
    """
    details: dict[str, dict[str, Any]] = {}
    for (family, level), tried in sorted(cells.items()):
        counted = [(t.judged, t.right) for t in tried if t.judged >= config.support_k]
        if not counted:
            details[f"{family}:{level}"] = {"problems": 0, "signal": False}
            continue
        rates = [pass_at_k(n, right, config.support_k) for n, right in counted]
        mean, one = sum(rates) / len(rates), sum(r / n for n, r in counted) / len(counted)
        details[f"{family}:{level}"] = {
            "problems": len(counted), "pass@1": one, f"pass@{config.support_k}": mean,
            "mixed_groups": sum(0 < r < n for n, r in counted) / len(counted),
            "signal": mean >= config.support_low and one <= config.support_high,
        }  # fmt: skip
    with_signal = [name for name, cell in details.items() if cell["signal"]]
    share = len(with_signal) / len(details) if details else 0.0
    reason = (
        f"{len(with_signal)} of {len(details)} cells ({share:.0%}) have pass@{config.support_k} of at least "
        f"{config.support_low:g} and pass@1 of at most {config.support_high:g}, {config.support_cells:.0%} are needed"
    )
    passed = bool(details) and share >= config.support_cells
    return Gate("support", passed, share, config.support_cells, reason, {"k": config.support_k, "cells": details})


def tag_gate(cells: Mapping[Cell, Sequence[Tried]], config: GateConfig) -> Gate:
    """Whether the model thinks between tags and then answers: without that there is nothing for RL to reward.

    >>> tag_gate({("math/gcd", 1): [Tried(judged=2, right=2, tagged=1, said=2)]}, GateConfig()).reason
    '1 of 2 completions (50%) have their tags, 95% are needed'
    """
    tagged = sum(t.tagged for tried in cells.values() for t in tried)
    said = sum(t.said for tried in cells.values() for t in tried)
    share = tagged / said if said else 0.0
    reason = f"{tagged} of {said} completions ({share:.0%}) have their tags, {config.tags:.0%} are needed"
    low, high = wilson(tagged, said) if said else (0.0, 1.0)
    details = {"completions": said, "interval": [low, high]}
    return Gate("tags", said > 0 and share >= config.tags, share, config.tags, reason, details)


def forgetting_gate(before: Mapping[Cell, Sequence[Tried]], after: Mapping[Cell, Sequence[Tried]], config: GateConfig) -> Gate:
    """Whether a domain's accuracy fell. Both have the same problems in the same order, and each problem is a pair; one domain
    of several falls by chance more easily, so the p values are Holm's. `measured` is how far the accuracy of the worst fell.

    >>> well, badly = [Tried(judged=8, right=6)] * 20, [Tried(judged=8, right=1)] * 20
    >>> gate = forgetting_gate({("math/gcd", 1): well}, {("math/gcd", 1): badly}, GateConfig())
    >>> gate.passed, gate.reason
    (False, 'math fell from 75.0% to 12.5%; 5.0 points are allowed')
    """
    pairs: dict[str, list[tuple[float, float]]] = defaultdict(list)
    for cell in sorted(before.keys() & after.keys()):
        for was, now in zip(before[cell], after[cell], strict=True):
            if was.judged and now.judged:
                pairs[FAMILIES[cell[0]].domain].append((was.right / was.judged, now.right / now.judged))
    compared = {domain: paired([now - was for was, now in told]) for domain, told in sorted(pairs.items())}
    found = dict(zip(compared, holm([c.p for c in compared.values()]), strict=True))
    domains: dict[str, dict[str, Any]] = {}
    for domain, c in compared.items():
        domains[domain] = {
            "problems": c.questions, "before": fmean(w for w, _ in pairs[domain]), "after": fmean(n for _, n in pairs[domain]),
            "difference": c.difference, "interval": list(c.interval), "p": found[domain],
            "forgotten": -c.difference > config.forgetting and finding(c.interval, found[domain]) == "worse",
        }  # fmt: skip
    forgotten = [name for name, d in domains.items() if d["forgotten"]]
    fell = {name: f"{name} fell from {d['before']:.1%} to {d['after']:.1%}" for name, d in domains.items()}
    worst = min(domains, key=lambda name: float(domains[name]["difference"]), default=None)
    fall = max(0.0, -domains[worst]["difference"]) if worst is not None else 0.0
    allowed = f"{100 * config.forgetting:.1f} points are allowed"
    if worst is None:
        reason = "no problem could be judged before and after"
    elif forgotten:
        reason = f"{_several([fell[name] for name in forgotten])}; {allowed}"
    elif fall:
        reason = f"no domain of {len(domains)} fell too far beyond chance; the most, {fell[worst]}; {allowed}"
    else:
        reason = f"none of {len(domains)} domains fell"
    passed = worst is not None and not forgotten
    return Gate("forgetting", passed, fall, config.forgetting, reason, {"domains": domains})


def measure_policy(
    cells: Iterable[Cell],
    config: GateConfig,
    policy: Mapping[str, Any],
    open_sampler: Callable[[], Sample],
    judge: Judging,
    folders: Sequence[Path] = (),
    advance: Callable[[str], None] = lambda name: None,
) -> dict[Cell, list[Tried]]:
    """Ask a policy `support_k` times each of `support_problems` problems of each cell, of the validation split, with a seed
    that is not that of training. `policy` says, as JSON, who is asked and how (hashes, seed, limits): what is counted in one of
    `folders` for the same policy and problems is not asked again, and what is new is added to the first of them. `advance` is
    told each cell. What could not be judged is no sample: unscored is not wrong. Raises `OSError` on a full disk."""
    known = {key: tried for folder in folders for key, tried in _counted(folder / SAMPLES)}
    found: dict[Cell, list[Tried]] = {}
    sample: Sample | None = None
    for family, level in dict.fromkeys(cells):
        seed = int(policy.get("seed", 0)) + _OTHER_SEED
        problems = list(islice(generate(FAMILIES[family], level, "validation", seed), config.support_problems))
        digest = hashlib.sha256(" ".join(problem.id for problem in problems).encode()).hexdigest()[:12]
        line = {**policy, "k": config.support_k, "cell": f"{family}:{level}", "problems": digest}
        tried = known.get(json.dumps(line, sort_keys=True))
        if tried is None:
            sample = sample or open_sampler()
            told = sample(problems, config.support_k)
            tried = [_tried(problem, texts, judge) for problem, texts in zip(problems, told, strict=True)]
            if folders:
                with (folders[0] / SAMPLES).open("ab", buffering=0) as file:
                    append_line(file, {**line, "tried": tried})
        found[family, level] = tried
        advance(f"{family}:{level}")
    return found


def _tried(problem: Problem, texts: Sequence[str], judge: Judging) -> Tried:
    scores = [score for score in (judge(problem, text).score for text in texts) if score is not None]
    return Tried(len(scores), sum(s >= 1.0 for s in scores), sum(map(has_tags, texts)), len(texts))


def _counted(path: Path) -> Iterable[tuple[str, list[Tried]]]:
    """What was counted, by all that it depends on. A line that a kill cut in half counts nothing, nor what was joined to it."""
    if not path.is_file():
        return
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            line = json.loads(text)
            tried = [Tried(*counts) for counts in line.pop("tried")]
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
        yield json.dumps(line, sort_keys=True), tried


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
    # What we generated is of a split by construction; of all else nothing is known but by comparing.
    unknown = int(report.get("others", 0)) if missing else 0
    reason += f", and {unknown} rows are of other sources than ours" if unknown else ""
    passed = rows > 0 and share <= config.contamination and not unknown
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
        count["others"] += row.get("extra_info", {}).get("family") not in FAMILIES
        found: set[tuple[str, str]] = {(m.task, m.kind) for m in index.find(*row_texts(row)) if counts_as_overlap(m)}
        if (family := _wrong_split(row)) is not None:
            found.add((family, "split"))
        count["removed"] += bool(found)
        kinds.update({kind for _, kind in found})
        for task, kind in found:
            by_task.setdefault(task, Counter())[kind] += 1
    families = [name for name in by_task if name not in {t.name for t in tasks}]
    return {
        "rows": count["rows"], "others": count["others"], "removed": count["removed"], "questions": len(index),
        "kinds": dict(kinds),
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
