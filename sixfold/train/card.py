"""A model card out of a run's own record: Markdown with the front matter that the Hugging Face hub reads.

Place: written as README.md beside what `export` makes, before `export.push`. It says only what it is given; what is missing is
said to be missing, since a card that is silent about contamination reads as if there were none. It measures and reads nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_LANGUAGE = "en"
_NUMBERS_END = 4


def model_card(run: Mapping[str, Any]) -> str:
    """The card of a run. Keys, all of which may be missing:

    `name`; `what` (a paragraph); `base_model` (OWNER/NAME on the hub); `licence` (as the hub spells it); `library` (peft);
    `language`; `tags`; `adapter` (whether the weights are a LoRA adapter); `sha256` (theirs); `data` (what was counted);
    `data_sources` (texts); `recipe` (resolved, nested); `versions` (by package); `gates` (as `gates.load_gates` reads them);
    `scores` (each `task`, `metric`, `value` 0-1, `low`, `high`, `questions`, `stage`, `budget`);
    `contamination` (a text, or texts); `limits` (texts); `commands` (lines that reproduce it).
    """
    name = str(run.get("name") or "unnamed model")
    parts = [_front(run), f"# {name}", _what(run)]
    for title, text in (
        ("Data", _data(run)),
        ("Recipe", _recipe(run)),
        ("Gates", _gates(run.get("gates"))),
        ("Scores", _scores(run.get("scores"))),
        ("Contamination", _texts(run.get("contamination"), "whether the training data overlaps the evaluation sets")),
        ("Limits", _texts(run.get("limits"), "what the model cannot do")),
        ("Licence", _licence(run)),
        ("How to reproduce", _commands(run.get("commands"))),
    ):
        parts.append(f"## {title}\n\n{text}")
    return "\n\n".join(parts) + "\n"


def _front(run: Mapping[str, Any]) -> str:
    """YAML. Every text is written as JSON, which YAML includes, so that no name can break out of it."""
    lines = [("license", run.get("licence") or "other"), ("library_name", run.get("library") or "peft")]
    lines += [("language", run.get("language") or _LANGUAGE), ("pipeline_tag", "text-generation")]
    if run.get("base_model"):
        lines.append(("base_model", run["base_model"]))
        if run.get("adapter") is not None:
            lines.append(("base_model_relation", "adapter" if run["adapter"] else "finetune"))
    lines.append(("tags", list(dict.fromkeys(["sixfold", "reasoning", *map(str, run.get("tags") or ())]))))
    return "\n".join(["---", *(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in lines), "---"])


def _what(run: Mapping[str, Any]) -> str:
    base = f"Trained from `{run['base_model']}`." if run.get("base_model") else _missing("the base model")
    kind = {True: "The weights are a LoRA adapter.", False: "The weights are the whole model."}.get(run.get("adapter"))  # type: ignore[arg-type]
    digest = f"SHA-256 of the weights: `{run['sha256']}`." if run.get("sha256") else _missing("the hash of the weights")
    said = run.get("what") or _missing("what the model is for")
    return f"{said}\n\n{base} {kind or _missing('whether the weights are an adapter')} {digest}"


def _data(run: Mapping[str, Any]) -> str:
    parts = [f"- {_line(source)}" for source in _each(run.get("data_sources"))] or [_missing("where the data comes from")]
    counts = run.get("data")
    if not isinstance(counts, Mapping) or not counts:
        return "\n".join([*parts, "", _missing("how much data there was")])
    return "\n".join([*parts, "", _table(("Counted", "Number"), ((key, _number(value)) for key, value in counts.items()))])


def _recipe(run: Mapping[str, Any]) -> str:
    recipe, versions = run.get("recipe"), run.get("versions")
    rows = list(_flat(recipe)) if isinstance(recipe, Mapping) else []
    settings = _table(("Setting", "Value"), rows) if rows else _missing("the recipe")
    packages = isinstance(versions, Mapping) and ", ".join(
        f"{_line(name)} {_line(version)}" for name, version in versions.items()
    )
    return f"{settings}\n\n" + (f"Versions: {packages}." if packages else _missing("the versions of the packages"))


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"`{prefix}{key}`", f"`{json.dumps(value, ensure_ascii=False, default=str)}`"


def _gates(records: Any) -> str:
    """A gate without a result is neither passed nor failed."""
    rows = []
    for record in _each(records):
        overridden = record.get("overridden") or ()
        for gate in _each(record.get("gates")):
            name = gate.get("name", "unnamed")
            result = {True: "passed", False: "failed"}.get(gate.get("passed"), "no result given")
            result += ", overridden by name" if name in overridden else ""
            stage = record.get("stage") or ""
            rows.append((f"after {stage}" if record.get("when") == "after" else stage, name, result, gate.get("reason") or ""))
    return _table(("Stage", "Gate", "Result", "Reason"), rows) if rows else _missing("what the gates found")


def _scores(scores: Any) -> str:
    rows = []
    for score in _each(scores):
        low, high = score.get("low"), score.get("high")
        interval = f"{_percent(low)} to {_percent(high)}" if low is not None and high is not None else "no interval given"
        rows.append((
            score.get("stage") or "", score.get("task", "unnamed"), score.get("metric") or "no metric given",
            _percent(score.get("value")), interval, _number(score.get("questions")), score.get("budget") or "not given",
        ))  # fmt: skip
    if not rows:
        return _missing("any score")
    heads = ("Stage", "Task", "Metric", "Score, %", "95 % interval", "Questions", "Budget")
    return _table(heads, rows)


def _licence(run: Mapping[str, Any]) -> str:
    licence = run.get("licence")
    return f"`{_line(licence)}`." if licence else "The record names none: what is trained has the terms of its base."


def _commands(commands: Any) -> str:
    lines = [str(line) for line in _each(commands)]
    # A fence that no line can close.
    return "\n".join(["````sh", *lines, "````"]) if lines else _missing("the commands")


def _texts(texts: Any, what: str) -> str:
    lines = [str(text) for text in _each(texts)]
    return lines[0] if len(lines) == 1 else "\n".join(f"- {_line(line)}" for line in lines) or _missing(what)


def _each(values: Any) -> Sequence[Any]:
    return [] if not values else list(values) if isinstance(values, list | tuple) else [values]


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "\n".join("| " + " | ".join(_line(cell).replace("|", "\\|") for cell in line) + " |" for line in lines)


def _line(text: Any) -> str:
    return " ".join(str(text).split())


def _percent(ratio: Any) -> str:
    """A ratio as it is shown; nothing is made of what is no number.

    >>> _percent(0.256), _percent(None)
    ('25.6', 'not given')
    """
    is_ratio = isinstance(ratio, int | float) and not isinstance(ratio, bool)
    return f"{100 * ratio:.1f}" if is_ratio else "not given"


def _number(value: Any) -> str:
    """With thousands apart.

    >>> _number(2909722), _number(None)
    ('2,909,722', 'not given')
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "not given" if value is None else _line(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{_NUMBERS_END}g}"


def _missing(what: str) -> str:
    return f"The record of the run does not say {what}."
