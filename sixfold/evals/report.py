"""What a run folder adds up to: `report.json`, `report.md`, and what the command line prints.

Place: reads a folder through `load_run`, computes with `stats.py`, and is computed again from the folder whenever asked. It
averages over samples, then questions, then tasks, and never over the questions of several tasks together. Rates of what was
cut, not found, not judged or failed stand beside every accuracy. How a report is worded is `page.py`'s business.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sixfold.evals.folder import Run, load_run, write_json, write_text
from sixfold.evals.page import SAMPLING, report_page
from sixfold.evals.run import is_right
from sixfold.evals.stats import (
    Estimate,
    Interval,
    Mark,
    bootstrap,
    macro_interval,
    majority_at_k,
    mean,
    pass_rates,
    shown_interval,
    wilson,
)
from sixfold.verify.answers import answer_keys

REPORT_JSON, REPORT_MD = "report.json", "report.md"
Record = Mapping[str, Any]
_REASONS = 6


def summarise_run(folder: Path) -> dict[str, Any]:
    """The report of a run folder. Raises `ConfigError` where it is none."""
    return summarise(load_run(folder))


def summarise(run: Run) -> dict[str, Any]:
    """The report of a run, finished or not. Rates 0..1; `None` is what cannot be said."""
    by_task: dict[str, list[Record]] = {task["name"]: [] for task in run.config["tasks"]}
    for sample in run.samples:
        by_task[sample["task"]].append(sample)
    tasks = [summarise_task(task, by_task[task["name"]]) for task in run.config["tasks"]]
    rates = {task["name"]: _values(by_task[task["name"]]) for task in run.config["tasks"]}
    several = _of_all_samples(by_task, min((int(task["samples"]) for task in run.config["tasks"]), default=1))
    domains = {d: [t for t in tasks if t["domain"] == d] for d in dict.fromkeys(t["domain"] for t in tasks)}
    done = sum(t["samples"] for t in tasks)
    return {
        "sixfold_report": 1, "fingerprint": run.config["fingerprint"], "begun": run.config["begun"],
        "models": run.config["models"], "settings": run.config["settings"], "concurrency": run.config["concurrency"],
        "versions": run.config["versions"], "planned": run.planned, "done": done,
        "failed": sum(t["failed"] for t in tasks), "complete": done == run.planned,
        "macro": _macro(tasks, rates, several),
        "domains": {d: _macro(members, rates, several) for d, members in domains.items()},
        "tasks": tasks, "contamination": run.config["contamination"], "notes": _notes(run, tasks, done),
    }  # fmt: skip


def summarise_task(task: Record, samples: Sequence[Record]) -> dict[str, Any]:
    """One task of a run from the samples that there are."""
    ended = [s for s in samples if not s["error"]]
    questions = by_question(ended)
    values = _values(samples)
    right = sum(mark_of(s) or False for s in ended)
    accuracy = _estimate(pass_rates(_marks(questions)))
    sizes = _powers(int(task["samples"]))
    interval = Interval(accuracy["low"], accuracy["high"]) if values else Interval(0.0, 1.0)
    return {
        **{k: task[k] for k in ("name", "domain", "version", "floor", "split", "deviations", "published", "n", "plan")},
        **{k: task[k] for k in SAMPLING},
        "planned": int(task["questions"]) * int(task["samples"]), "questions": len(questions), "samples": len(ended),
        "samples_a_question": int(task["samples"]), "failed": len(samples) - len(ended),
        "accuracy": accuracy, "above_floor": bool(values) and interval.low > float(task["floor"]),
        "wilson": list(wilson(math.fsum(values), len(values))) if values and int(task["samples"]) == 1 else None,
        "bootstrap": list(bootstrap(values)) if values else None,
        "strict": _estimate(pass_rates(_marks(questions, strict=True))),
        "forms": _shares(Counter(s["form"] for s in ended if s["score"] is not None), ("strict", "flexible", "none")),
        "pass_at": {str(k): _estimate(pass_rates(_marks(questions), k)) for k in sizes},
        "majority_at": {str(k): _estimate([_majority(q, k) for q in questions]) for k in sizes},
        "selection": _selection(questions) if int(task["n"]) > 1 else None,
        "rates": _rates(ended), "unscored_reasons": dict(_reasons(ended)), "cost": _cost(ended, right),
        "levels": _levels(ended),
    }  # fmt: skip


def by_question(samples: Iterable[Record]) -> list[list[Record]]:
    """The samples of each question, in the order of both."""
    questions: dict[str, list[Record]] = {}
    for sample in samples:
        questions.setdefault(sample["id"], []).append(sample)
    return list(questions.values())


def mark_of(record: Record, strict: bool = False) -> Mark:
    """Whether a sample or an attempt is right; strictly only where its answer stood where the prompt asked for it."""
    if record["score"] is None:
        return None
    return is_right(record["score"]) and (not strict or record["form"] == "strict")


def _marks(questions: Sequence[Sequence[Record]], strict: bool = False) -> list[list[Mark]]:
    return [[mark_of(s, strict) for s in q] for q in questions]


def _values(samples: Sequence[Record]) -> list[float]:
    """The accuracy of each question that could be judged."""
    rates = pass_rates(_marks(by_question(s for s in samples if not s["error"])))
    return [r for r in rates if r is not None]


def _powers(n: int) -> list[int]:
    """
    >>> _powers(1), _powers(6)
    ([1], [1, 2, 4, 6])
    """
    return sorted({*(2**i for i in range(n.bit_length())), n})


def _estimate(values: Sequence[float | None]) -> dict[str, Any]:
    found: Estimate = mean(values)
    interval = shown_interval([v for v in values if v is not None])
    return {"value": found.value, "low": interval.low, "high": interval.high, "questions": found.questions,
            "left_out": found.left_out}  # fmt: skip


def _keys(records: Sequence[Record]) -> list[str | None]:
    """Who agrees with whom; no answer agrees with nobody."""
    said = [r["answer"] for r in records if r["answer"] is not None]
    keys = iter(answer_keys(said))
    return [None if r["answer"] is None else next(keys) for r in records]


def _majority(samples: Sequence[Record], k: int) -> float | None:
    return majority_at_k(_keys(samples), [mark_of(s) for s in samples], k)


def _selection(questions: Sequence[Sequence[Record]]) -> dict[str, Any]:
    """How well one of n candidates was chosen: beside the choice what a perfect one, a vote and a blind one would have got from
    the same candidates. Candidates that were stopped early are unknown: then the perfect choice is at least as good."""
    rows: dict[str, list[float | None]] = {"chosen": [], "oracle": [], "majority": [], "random": []}
    stopped = 0
    for samples in questions:
        found: dict[str, list[float]] = {name: [] for name in rows}
        for sample in samples:
            stopped += sum(c["status"] == "cancelled" for c in sample["candidates"])
            judged = [c for c in sample["candidates"] if c["score"] is not None]
            chosen = mark_of(sample)
            if not judged or chosen is None:
                continue
            marks = [mark_of(c) or False for c in judged]
            found["chosen"].append(float(chosen))
            found["oracle"].append(float(any(marks)))
            found["majority"].append(majority_at_k(_keys(judged), marks, len(judged)) or 0.0)
            found["random"].append(sum(marks) / len(marks))
        for name, values in found.items():
            rows[name].append(sum(values) / len(values) if values else None)
    return {**{name: _estimate(values) for name, values in rows.items()}, "stopped": stopped}


def _rates(samples: Sequence[Record]) -> dict[str, float | None]:
    """Shares of all samples that ended. `truncated`: no answer, for lack of tokens. `forced`: thinking was cut, then it
    answered. `unparsed`: no answer was found in a text that was not cut. `unscored`: not judged."""
    tests: Mapping[str, Callable[[Record], bool]] = {
        "truncated": lambda s: bool(s["truncated"]),
        "forced": lambda s: bool(s["forced"]),
        "unparsed": lambda s: not s["truncated"] and s["form"] == "none" and s["score"] is not None,
        "unscored": lambda s: s["score"] is None,
        "plan_failed": lambda s: bool(s["plan_failed"]),
        "plan_leaked": lambda s: bool(s["plan_leak"]),
    }
    return {name: sum(map(test, samples)) / len(samples) if samples else None for name, test in tests.items()}


def _reasons(samples: Sequence[Record]) -> list[tuple[str, int]]:
    return Counter(str(s["reason"])[:80] or "no reason given" for s in samples if s["score"] is None).most_common(_REASONS)


def _cost(samples: Sequence[Record], right: int) -> dict[str, Any]:
    """Completion tokens of every phase and candidate; seconds as the asker waits, beside as many others as ran at once."""
    tokens = sum(s["tokens"]["completion"] for s in samples)
    seconds = math.fsum(s["elapsed_s"] for s in samples)
    count = len(samples)
    return {
        "completion_tokens": tokens, "prompt_tokens": sum(s["tokens"]["prompt"] for s in samples), "seconds": seconds,
        "tokens_a_sample": tokens / count if count else None, "seconds_a_sample": seconds / count if count else None,
        "tokens_a_right_answer": tokens / right if right else None,
        "seconds_a_right_answer": seconds / right if right else None,
        "exact": all(s["tokens"]["exact"] for s in samples),
    }  # fmt: skip


def _levels(samples: Sequence[Record]) -> dict[str, Any]:
    """By level, where a task has several."""
    levels = sorted({s["level"] for s in samples if s["level"] is not None}, key=lambda level: (str(type(level)), level))
    if len(levels) < 2:
        return {}
    return {str(v): _estimate(pass_rates(_marks(by_question(s for s in samples if s["level"] == v)))) for v in levels}


def _shares(counts: Counter[str], names: Sequence[str]) -> dict[str, float | None]:
    whole = counts.total()
    return {name: counts[name] / whole if whole else None for name in names}


def _of_all_samples(by_task: Mapping[str, Sequence[Record]], k: int) -> dict[str, dict[str, list[float]]]:
    """Of pass@k and majority@k, over all k samples that each question has: the value of each question, by task. Nothing where
    a question has one sample."""
    found: dict[str, dict[str, list[float]]] = {f"pass@{k}": {}, f"majority@{k}": {}} if k > 1 else {}
    for name, samples in by_task.items() if found else ():
        questions = by_question(s for s in samples if not s["error"])
        found[f"pass@{k}"][name] = [v for v in pass_rates(_marks(questions), k) if v is not None]
        found[f"majority@{k}"][name] = [v for v in (_majority(q, k) for q in questions) if v is not None]
    return found


def _macro(
    tasks: Sequence[Record], rates: Mapping[str, Sequence[float]], several: Mapping[str, Mapping[str, Sequence[float]]]
) -> dict[str, Any]:
    """The unweighted mean over tasks, with an interval that resamples the questions within each; of `several` too."""
    there = [t for t in tasks if rates[t["name"]]]
    return {
        **_mean_of_tasks([rates[t["name"]] for t in there]), "tasks": len(there),
        "floor": sum(t["floor"] for t in there) / len(there) if there else None,
        "several": {
            what: _mean_of_tasks([values[t["name"]] for t in there if values[t["name"]]]) for what, values in several.items()
        },
    }  # fmt: skip


def _mean_of_tasks(values: Sequence[Sequence[float]]) -> dict[str, Any]:
    if not values:
        return {"value": None, "low": 0.0, "high": 1.0}
    interval = macro_interval(values) if len(values) > 1 else shown_interval(values[0])
    mean_of_means = math.fsum(math.fsum(v) / len(v) for v in values) / len(values)
    return {"value": mean_of_means, "low": interval.low, "high": interval.high}


def _notes(run: Run, tasks: Sequence[Record], done: int) -> list[str]:
    """What a reader must know before believing the numbers."""
    notes = []
    if done < run.planned:
        notes.append(f"not finished: {done} of {run.planned} samples; the same command goes on")
    if failed := sum(t["failed"] for t in tasks):
        notes.append(f"{failed} samples failed in the engine: neither right nor wrong, and tried again by the same command")
    if unscored := sum(s["score"] is None and not s["error"] for s in run.samples):
        notes.append(f"{unscored} samples could not be judged and are left out of every accuracy")
    if splits := sorted({t["split"] for t in tasks} - {"test"}):
        notes.append(f"split {', '.join(splits)}: this is no test result")
    if any(t["samples"] > 1 and t["temperature"] == 0 for t in run.config["tasks"]):
        notes.append("temperature 0: the samples of a question are alike, pass@k says nothing")
    models = {(m["engine"], m["model"]) for m in run.config["models"].values()}
    if len(models) > 1:
        notes.append("another model than the solver plans or judges: this is the score of a system, not of the solver")
    if stopped := sum(t["selection"]["stopped"] for t in tasks if t["selection"]):
        notes.append(
            f"{stopped} candidates were stopped early: oracle is a lower bound, majority and random are over the others"
        )
    if not all(t["cost"]["exact"] for t in tasks):
        notes.append("the engine does not count every token itself: token counts are partly pieces of the stream")
    below = [t["name"] for t in tasks if t["samples"] and not t["above_floor"]]
    if below:
        named = ", ".join(below[:8]) + (f" and {len(below) - 8} more of {len(tasks)}" if len(below) > 8 else "")
        notes.append(f"not above guessing (interval reaches the floor): {named}")
    return notes


def write_report(folder: Path, picture: bool = True, report: dict[str, Any] | None = None) -> dict[str, Any]:
    """Write `report.json`, `report.md` and the pictures into a run folder; returns the report, which is made where none is
    given."""
    report = report or summarise_run(folder)
    write_json(folder / REPORT_JSON, report)
    drawn = picture and any(t["accuracy"]["value"] is not None for t in report["tasks"])
    if drawn:
        from sixfold.evals.picture import draw_report

        draw_report(report, folder)
    write_text(folder / REPORT_MD, report_page(report, drawn))
    return report
