"""How reports and comparisons are worded: numbers, table rows, and the Markdown page.

Place: after `report.py` and `compare.py`, which compute; the command line prints the same rows. Nothing is computed here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]

REPORT_HEAD = (
    "task", "questions", "accuracy (95 %)", "floor", "strict", "forced", "truncated", "unparsed", "unscored", "failed",
    "tokens/right", "s/right",
)  # fmt: skip
SAMPLING = ("temperature", "top_p", "think_tokens", "answer_tokens")
"""How a task was asked: with a published protocol each task in its own way."""


def report_rows(report: Record) -> list[tuple[str, ...]]:
    """The rows below `REPORT_HEAD`: every task, then macro averages."""
    rows = [_row(task) for task in report["tasks"]]
    blank = ("",) * (len(REPORT_HEAD) - 4)
    if 1 < len(report["domains"]) < len(report["tasks"]):
        rows += [(f"macro {d}", tasks_of(m), interval(m), percent(m["floor"]), *blank) for d, m in report["domains"].items()]
    if len(report["tasks"]) > 1:
        whole = report["macro"]
        rows.append(("macro", tasks_of(whole), interval(whole), percent(whole["floor"]), *blank))
    return rows


def _row(task: Record) -> tuple[str, ...]:
    rates, cost = task["rates"], task["cost"]
    several = f" x {task['samples_a_question']}" if task["samples_a_question"] > 1 else ""
    return (
        task["name"], f"{task['questions']}{several}", interval(task["accuracy"]), percent(task["floor"]),
        percent(task["strict"]["value"]), *(percent(rates[name]) for name in ("forced", "truncated", "unparsed", "unscored")),
        str(task["failed"]), number(cost["tokens_a_right_answer"]), number(cost["seconds_a_right_answer"]),
    )  # fmt: skip


def tasks_of(macro: Record) -> str:
    return f"{macro['tasks']} task{'s' if macro['tasks'] != 1 else ''}"


def percent(value: float | None) -> str:
    """
    >>> percent(0.4321), percent(None), percent(0)
    ('43.2 %', '-', '0 %')
    """
    return "-" if value is None else "0 %" if value == 0 else f"{100 * value:.1f} %"


def interval(estimate: Record) -> str:
    """
    >>> interval({"value": 0.5, "low": 0.4, "high": 0.6})
    '50.0 % (40.0 to 60.0)'
    """
    if estimate["value"] is None:
        return "-"
    return f"{100 * estimate['value']:.1f} % ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def number(value: float | None) -> str:
    """
    >>> number(1234.5), number(0.123), number(None)
    ('1,234', '0.12', '-')
    """
    return "-" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def who(report: Record) -> str:
    """Who was measured, in one line.

    >>> model = {"engine": "scripted", "model": "m"}
    >>> who({"models": {"solver": model}, "settings": {"solve": {"n": 1, "plan": "off", "select": "auto"}}})
    'm (scripted): one candidate, no plan'
    """
    models, solve = report["models"], report["settings"]["solve"]
    parts = ["one candidate" if solve["n"] == 1 else f"{solve['n']} candidates, chosen by {solve['select']}"]
    parts.append("no plan" if solve["plan"] == "off" else f"plan {solve['plan']}")
    parts += [f"{role} {models[role]['model']}" for role in ("planner", "judge") if role in models]
    return f"{models['solver']['model']} ({models['solver']['engine']}): {', '.join(parts)}"


def report_page(report: Record, picture: bool = False) -> str:
    """The report as a page."""
    parts = [f"# Evaluation\n\n{who(report)}", *([] if not report["notes"] else ["\n".join(f"- {n}" for n in report["notes"])])]
    parts.append(markdown_table(REPORT_HEAD, report_rows(report)))
    if picture:
        parts.append("![Accuracy with intervals and guess floors](accuracy.svg)")
    parts += _pass_table(report) + _selection_table(report["tasks"]) + _level_table(report["tasks"])
    parts += _unscored_list(report["tasks"]) + _protocols(report["tasks"])
    versions = ", ".join(f"{k} {v}" for k, v in report["versions"].items())
    parts.append(
        "## How to read this\n\n"
        "Accuracy is pass@1: the mean over a question's samples, then over questions. The interval is Wilson's where a "
        "question has one sample, else a bootstrap over questions; of macro averages made of the tasks' own (MOVER). Strict "
        "counts only answers that stand where the prompt asked for them. Forced: thinking was cut, then it answered. "
        "Truncated: no answer within the tokens. Unparsed: no answer was found. Unscored: the answer could not be judged; "
        "it is in no accuracy. Floor: what the best fixed guess gets. Tokens count every candidate, plan and judgement; "
        "seconds are one question's, with "
        f"{report['concurrency']} at once.\n\n"
        f"{report['contamination'].capitalize()}.\n\n"
        f"Begun {report['begun']}, seed {report['settings']['seed']}, {sampling(report['tasks'])}; "
        f"fingerprint {report['fingerprint']}; {versions}."
    )
    return "\n\n".join(parts) + "\n"


def sampling(tasks: Sequence[Record]) -> str:
    """How the tasks were asked, with their names where not all were asked alike.

    >>> greedy = {"temperature": 0.0, "top_p": 1.0, "think_tokens": 90, "answer_tokens": 10}
    >>> sampling([{"name": "a", **greedy}, {"name": "b", **greedy}])
    'temperature 0.0, top_p 1.0, think_tokens 90, answer_tokens 10'
    >>> sampling([{"name": "a", **greedy}, {"name": "b", **greedy, "think_tokens": 5}])[-41:]
    '1.0, think_tokens 5, answer_tokens 10 (b)'
    """
    named: dict[str, list[str]] = {}
    for task in tasks:
        named.setdefault(", ".join(f"{k} {task[k]}" for k in SAMPLING), []).append(task["name"])
    return next(iter(named)) if len(named) == 1 else "; ".join(f"{how} ({', '.join(names)})" for how, names in named.items())


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """
    >>> print(markdown_table(("a", "b"), [("x|y", "1")]))
    | a | b |
    | --- | ---: |
    | x\\|y | 1 |
    """
    ruler = ["---", *["---:"] * (len(head) - 1)]
    return "\n".join(
        "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in row) + " |" for row in (head, ruler, *rows)
    )


def _pass_table(report: Record) -> list[str]:
    several = [t for t in report["tasks"] if t["samples_a_question"] > 1]
    if not several:
        return []
    whole = {f"macro {d}": m for d, m in report["domains"].items()} if len(report["domains"]) > 1 else {}
    whole |= {"macro": report["macro"]} if len(several) > 1 else {}
    sizes = sorted({int(k) for t in several for k in t["pass_at"]})
    head = ("task", *(f"pass@{k}" for k in sizes), *(f"majority@{k}" for k in sizes if k > 1))
    rows = []
    for task in several:
        cells = [task["pass_at"].get(str(k)) for k in sizes] + [task["majority_at"].get(str(k)) for k in sizes if k > 1]
        rows.append((task["name"], *("-" if c is None else interval(c) + _left_out(c) for c in cells)))
    for name, macro in whole.items():
        # A macro average is taken at one sample and at as many as every question has.
        found = {"pass@1": macro, **macro["several"]}
        rows.append((name, *(interval(found[column]) if column in found else "-" for column in head[1:])))
    return ["## Several samples", markdown_table(head, rows)]


def _left_out(estimate: Record) -> str:
    return f", {estimate['left_out']} questions left out" if estimate["left_out"] else ""


def _selection_table(tasks: Sequence[Record]) -> list[str]:
    chosen = [t for t in tasks if t["selection"]]
    if not chosen:
        return []
    names = ("random", "majority", "chosen", "oracle")
    rows = [
        (t["name"], str(t["n"]), *(interval(t["selection"][n]) for n in names), str(t["selection"]["stopped"])) for t in chosen
    ]
    return ["## Choosing among candidates", markdown_table(("task", "n", *names, "stopped early"), rows)]


def _level_table(tasks: Sequence[Record]) -> list[str]:
    levelled = [t for t in tasks if t["levels"]]
    if not levelled:
        return []
    levels = sorted({level for t in levelled for level in t["levels"]}, key=lambda v: (len(v), v))
    rows = [
        (t["name"], *(interval(t["levels"][v]) if v in t["levels"] else "-" for v in levels)) for t in levelled
    ]  # fmt: skip
    return ["## By level", markdown_table(("task", *(f"level {v}" for v in levels)), rows)]


def _unscored_list(tasks: Sequence[Record]) -> list[str]:
    lines = [f"- {t['name']}: {count} x {' '.join(why.split())}" for t in tasks for why, count in t["unscored_reasons"].items()]
    return ["## Not judged\n\n" + "\n".join(lines)] if lines else []


def _protocols(tasks: Sequence[Record]) -> list[str]:
    lines = []
    for task in tasks:
        if published := task["published"]:
            differs = "; ".join(task["deviations"]) or "nothing"
            lines.append(f"- {task['name']}: published in {published['source']}; different here: {differs}")
    return ["## Published evaluations\n\n" + "\n".join(lines)] if lines else []


COMPARISON_HEAD = ("task", "questions", "A", "B", "B - A, points (95 %)", "p", "finding", "tokens", "seconds")


def comparison_rows(comparison: Record) -> list[tuple[str, ...]]:
    """The rows below `COMPARISON_HEAD`: every task, then the macro averages."""
    rows = [_comparison_row(task["name"], task) for task in comparison["tasks"]]
    if 1 < len(comparison["domains"]) < len(rows):
        rows += [_comparison_row(f"macro {domain}", row) for domain, row in comparison["domains"].items()]
    if len(rows) > 1:
        rows.append(_comparison_row("macro", comparison["macro"]))
    return rows


def _comparison_row(name: str, row: Record) -> tuple[str, ...]:
    adjusted = row.get("p_adjusted", row["p"])
    return (
        name, str(row["questions"]), percent(row["a"]), percent(row["b"]),
        f"{100 * row['difference']:+.1f} ({100 * row['low']:+.1f} to {100 * row['high']:+.1f})",
        f"{adjusted:.3f}" if adjusted >= 0.001 else "< 0.001", row["finding"],
        _ratio(row["tokens_ratio"]), _ratio(row["seconds_ratio"]),
    )  # fmt: skip


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"x {value:.2f}"


def comparison_notes(comparison: Record) -> list[str]:
    """What was compared with what, and what was not."""
    notes = [
        f"A: {comparison['a']['folder']}, {who(comparison['a'])}",
        f"B: {comparison['b']['folder']}, {who(comparison['b'])}",
    ]
    for name, run in (("A", comparison["a"]), ("B", comparison["b"])):
        if run["done"] < run["planned"]:
            notes.append(f"{name} is not finished: {run['done']} of {run['planned']} samples")
    only_a, only_b, unscored = (sum(t[k] for t in comparison["tasks"]) for k in ("only_a", "only_b", "unscored"))
    if only_a or only_b:
        notes.append(f"only questions that both have are compared; {only_a} are only in A, {only_b} only in B")
    if unscored:
        notes.append(f"{unscored} questions could not be judged in one of them and are left out")
    left = comparison["left_out"]
    for what, names in (
        ("only in A", left["only_a"]),
        ("only in B", left["only_b"]),
        ("without a shared judged question", left["nothing_shared"]),
    ):
        if names:
            notes.append(f"tasks {what}: {', '.join(names)}")
    if comparison["differ"]:
        notes.append("they differ in " + "; ".join(f"{key}: {_value(a)} / {_value(b)}" for key, a, b in comparison["differ"]))
    return notes


def _value(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= 60 else text[:59] + "…"


def comparison_page(comparison: Record, picture: bool = False) -> str:
    """The comparison as a page."""
    parts = ["# Comparison", "\n".join(f"- {' '.join(note.split())}" for note in comparison_notes(comparison))]
    parts.append(markdown_table(COMPARISON_HEAD, comparison_rows(comparison)))
    if picture:
        parts.append("![Paired differences with intervals](difference.svg)")
    parts.append(
        "Differences are paired: question by question, with a bootstrap interval over questions (macro: within tasks). p is "
        "of a sign-flip test, which for one sample a question is McNemar's exact one, adjusted after Holm for the number of "
        "tasks. "
        "Noise: the interval holds 0, or p is over 0.05. Tokens and seconds: what a sample of B costs for each of A, on the "
        "same questions."
    )
    contamination = {comparison["a"]["contamination"], comparison["b"]["contamination"]}
    parts.append(" ".join(f"{line.capitalize()}." for line in sorted(contamination)))
    return "\n\n".join(parts) + "\n"
