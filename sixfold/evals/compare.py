"""`sixfold compare A B`: two run folders, question by question, and whether the difference is more than noise.

Place: beside `report.py`, from the same folders. Only questions that both runs have judged are compared; how many were left out
is said. Runs over other versions of a task, or over other questions under the same id, are refused: their difference means
nothing. Settings may differ, for that is what one compares; the comparison names them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sixfold.errors import ConfigError
from sixfold.evals.folder import Run, different, load_run, write_json, write_text
from sixfold.evals.page import comparison_page
from sixfold.evals.report import by_question, mark_of
from sixfold.evals.stats import Paired, finding, holm, macro_paired, paired, pass_rates

COMPARE_JSON, COMPARE_MD = "compare.json", "compare.md"
Record = Mapping[str, Any]


def compare_runs(a: Path, b: Path) -> dict[str, Any]:
    """The comparison of two run folders; differences are B minus A. Raises `ConfigError` where they cannot be compared."""
    runs = load_run(a), load_run(b)
    infos = [{task["name"]: task for task in run.config["tasks"]} for run in runs]
    shared = [name for name in infos[0] if name in infos[1]]
    for name in shared:
        _refuse_other_task(infos[0][name], infos[1][name])
    tasks, differences = [], []
    for name in shared:
        row, found = _compare_task(infos[0][name], _questions(runs[0], name), _questions(runs[1], name))
        if found:
            tasks.append(row)
            differences.append(found)
    if not tasks:
        raise ConfigError(f"{a} and {b} share no judged question", hint="compare runs over the same tasks and split")
    domains = {d: [i for i, t in enumerate(tasks) if t["domain"] == d] for d in dict.fromkeys(t["domain"] for t in tasks)}
    for row, adjusted in zip(tasks, holm([t["p"] for t in tasks]), strict=True):
        row["p_adjusted"] = adjusted
        row["finding"] = finding((row["low"], row["high"]), adjusted)
    by_domain = {d: _macro([tasks[i] for i in of], [differences[i] for i in of]) for d, of in domains.items()}
    for macro, adjusted in zip(by_domain.values(), holm([m["p"] for m in by_domain.values()]), strict=True):
        macro |= {"p_adjusted": adjusted, "finding": finding((macro["low"], macro["high"]), adjusted)}
    return {
        "sixfold_comparison": 1, "a": _whose(runs[0]), "b": _whose(runs[1]), "differ": _settings_that_differ(*runs),
        "tasks": tasks, "macro": _macro(tasks, differences),
        "domains": by_domain,
        "left_out": {"only_a": sorted(set(infos[0]) - set(infos[1])), "only_b": sorted(set(infos[1]) - set(infos[0])),
                     "nothing_shared": [n for n in shared if n not in {t["name"] for t in tasks}]},
    }  # fmt: skip


def _questions(run: Run, task: str) -> dict[str, Sequence[Record]]:
    ended = [s for s in run.samples if s["task"] == task and not s["error"]]
    return {str(samples[0]["id"]): samples for samples in by_question(ended)}


def _refuse_other_task(a: Record, b: Record) -> None:
    for what in ("version", "split"):
        if a[what] != b[what]:
            raise ConfigError(
                f"{a['name']} has {what} {a[what]} in A and {b[what]} in B: their questions are not the same",
                hint="run both with the same one",
            )


def _compare_task(
    info: Record, a: Mapping[str, Sequence[Record]], b: Mapping[str, Sequence[Record]]
) -> tuple[dict[str, Any], list[float]]:
    """One task's row, and the differences of the questions that both have judged."""
    both = [name for name in a if name in b]
    if other := [name for name in both if a[name][0]["question_hash"] != b[name][0]["question_hash"]]:
        raise ConfigError(
            f"{info['name']}: {len(other)} questions with the same id are not the same, such as {other[0]}",
            hint="run both over the same data",
        )
    rates = [dict(zip(both, pass_rates([[mark_of(s) for s in run[n]] for n in both]), strict=True)) for run in (a, b)]
    judged = [n for n in both if rates[0][n] is not None and rates[1][n] is not None]
    before, after = ([float(rate[n] or 0.0) for n in judged] for rate in rates)
    row: dict[str, Any] = {
        "name": info["name"], "domain": info["domain"], "only_a": len(a) - len(both), "only_b": len(b) - len(both),
        "unscored": len(both) - len(judged),
    }  # fmt: skip
    if not judged:
        return row, []
    differences = [y - x for x, y in zip(before, after, strict=True)]
    row |= _paired_record(paired(differences))
    row |= {"a": _mean(before), "b": _mean(after), "gained": sum(d > 0 for d in differences)}
    row |= {"lost": sum(d < 0 for d in differences)}
    for name, read in (("tokens", _tokens), ("seconds", _seconds)):
        costs = [_mean([_mean([read(s) for s in run[n]]) for n in judged]) for run in (a, b)]
        row |= {f"{name}_a": costs[0], f"{name}_b": costs[1], f"{name}_ratio": costs[1] / costs[0] if costs[0] else None}
    return row, differences


def _tokens(sample: Record) -> float:
    return float(sample["tokens"]["completion"])


def _seconds(sample: Record) -> float:
    return float(sample["elapsed_s"])


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _paired_record(found: Paired) -> dict[str, Any]:
    return {"difference": found.difference, "low": found.interval.low, "high": found.interval.high, "p": found.p,
            "questions": found.questions}  # fmt: skip


def _macro(tasks: Sequence[Record], differences: Sequence[Sequence[float]]) -> dict[str, Any]:
    whole = macro_paired(differences)
    found = finding(whole.interval, whole.p)
    return {**_paired_record(whole), "finding": found, "tasks": len(tasks), **_mean_costs(tasks)}


def _mean_costs(tasks: Sequence[Record]) -> dict[str, Any]:
    """Costs of the whole as ratios of macro means, like the accuracy beside them."""
    costs: dict[str, Any] = {"a": _mean([t["a"] for t in tasks]), "b": _mean([t["b"] for t in tasks])}
    for name in ("tokens", "seconds"):
        before, after = (_mean([t[f"{name}_{run}"] for t in tasks]) for run in "ab")
        costs |= {f"{name}_a": before, f"{name}_b": after, f"{name}_ratio": after / before if before else None}
    return costs


def _whose(run: Run) -> dict[str, Any]:
    return {"folder": run.folder.name, "done": len(run.samples), "planned": run.planned} | {
        k: run.config[k] for k in ("fingerprint", "begun", "models", "settings", "versions", "contamination", "concurrency")
    }


def _settings_that_differ(a: Run, b: Run) -> list[list[Any]]:
    """[setting, A's, B's] for each that differs, what follows from the tasks left out."""
    found = different(a.config["settings"], b.config["settings"])
    rows = [[key, *values] for key, values in found.items() if not key.startswith("tasks.")]
    if a.config["concurrency"] != b.config["concurrency"]:
        rows.append(["concurrency", a.config["concurrency"], b.config["concurrency"]])
    return rows


def write_comparison(comparison: Record, folder: Path) -> None:
    """Write `compare.json`, `compare.md` and the pictures into a folder, which is made. Raises `ConfigError`."""
    from sixfold.evals.picture import draw_comparison

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be used: {error.strerror}", hint="give another --out") from error
    write_json(folder / COMPARE_JSON, comparison)
    draw_comparison(comparison, folder)
    write_text(folder / COMPARE_MD, comparison_page(comparison, True))
