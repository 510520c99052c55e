"""A run folder in the files of lm-evaluation-harness: `samples_TASK_TIME.jsonl` and `results_TIME.json`.

Place: an export of what is there, for tools that read those files. Written after the field names and hashes of lm-eval 0.4.13,
which is neither imported nor copied. Two filters stand for how an answer was found: `strict` and `flexible`; the metric is
called `exact_match`, and is the verdict of Sixfold's verifier. With several samples a question `exact_match` is their mean.
Questions that could not be judged are left out, and `n-samples` says so: there is no such thing there.
"""

from __future__ import annotations

import calendar
import hashlib
import json
import math
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from sixfold import __version__
from sixfold.errors import ConfigError
from sixfold.evals.folder import Run, key_of, load_run, read_attempts, write_json, write_text
from sixfold.evals.report import by_question, mark_of
from sixfold.evals.stats import pass_rates
from sixfold.reason.form import FORMS, LINE
from sixfold.reason.prompts import solver_messages

FOLDER = "lm-eval"
FILTERS = ("strict", "flexible")
Record = Mapping[str, Any]
_NOT_IN_A_PATH = re.compile(r"[\"<>:/|\\?*\[\]]+")


def export_lm_eval(folder: Path) -> list[Path]:
    """Write a run in lm-eval's format below its folder, as `lm-eval/MODEL/`; returns the files. Raises `ConfigError`."""
    run = load_run(folder)
    model = run.config["models"]["solver"]
    place = folder / FOLDER / _NOT_IN_A_PATH.sub("__", model["model"] or "model")
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{place} cannot be used: {error.strerror}", hint="free some disk") from error
    begun = str(run.config["begun"]).rstrip("Z").replace(":", "-")
    files, hashes, results, counts = [], {}, {}, {}
    for task in run.config["tasks"]:
        lines = _task_lines(run, task)
        named = re.sub(r"\W", "_", task["name"])
        path = place / f"samples_{named}_{begun}.jsonl"
        write_text(path, "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines))
        files.append(path)
        judged = len(lines) // len(FILTERS)
        results[task["name"]] = {"name": task["name"], "alias": task["name"], "sample_len": judged, **_metrics(lines)}
        counts[task["name"]] = {"original": task["questions"], "effective": judged}
        hashes[task["name"]] = _sha("".join(s["doc_hash"] + s["prompt_hash"] + s["target_hash"] for s in lines))
    path = place / f"results_{begun}.json"
    write_json(path, _results(run, results, counts, hashes))
    return [*files, path]


def _task_lines(run: Run, task: Record) -> list[dict[str, Any]]:
    """The samples file of a task: for each filter every judged question, in order."""
    questions = by_question(s for s in run.samples if s["task"] == task["name"] and not s["error"])
    wanted = {key_of(s): s for samples in questions for s in samples}
    texts: dict[Any, str] = {}
    for attempt in read_attempts(run.folder, wanted):
        key = key_of(attempt)
        if attempt["candidate"] == wanted[key]["candidate"] or key not in texts:
            texts[key] = attempt["text"]
    lines = []
    for name in FILTERS:
        for samples in questions:
            (score,) = pass_rates([[mark_of(s, name == "strict") for s in samples]])
            if score is not None:
                said = [texts.get(key_of(s), "") for s in samples]
                lines.append(_line(task, samples, said, name, score))
    return lines


def _line(task: Record, samples: Sequence[Record], said: Sequence[str], name: str, score: float) -> dict[str, Any]:
    first = samples[0]
    doc = {"id": first["id"], "question": first["question"], "answer": first["reference"]}
    asked = first["question"] + (f"\n\n{task['instruction']}" if task["instruction"] else "")
    form = FORMS.get(first["verifier"] or "", LINE)
    messages = [{"role": m.role, "content": m.content} for m in solver_messages(asked, "", form.system)]
    prompt = json.dumps(messages, ensure_ascii=False)
    settings = {
        "until": [], "max_gen_toks": task["think_tokens"] + task["answer_tokens"], "temperature": task["temperature"],
        "top_p": task["top_p"], "do_sample": task["temperature"] > 0,
    }  # fmt: skip
    found = [s["judged"] if name == "flexible" or s["form"] == "strict" else None for s in samples]
    return {
        "doc_id": first["index"], "doc": doc, "target": str(first["reference"]),
        "arguments": {"gen_args_0": {"arg_0": [prompt], "arg_1": settings}}, "resps": [list(said)],
        "filtered_resps": [f if f is not None else "[invalid]" for f in found][:1], "filter": name,
        "metrics": ["exact_match"], "doc_hash": _sha(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _sha(prompt), "target_hash": _sha(str(first["reference"])), "exact_match": score,
    }  # fmt: skip


def _metrics(lines: Sequence[Record]) -> dict[str, float]:
    metrics: dict[str, float] = {}
    for name in FILTERS:
        scores = [line["exact_match"] for line in lines if line["filter"] == name]
        if scores:
            metrics |= {f"exact_match,{name}": math.fsum(scores) / len(scores), f"exact_match_stderr,{name}": _error(scores)}
    return metrics


def _error(scores: Sequence[float]) -> float:
    """The standard error of a mean, from the sample's deviation.

    >>> _error([1.0, 0.0])
    0.5
    """
    if len(scores) < 2:
        return 0.0
    centre = math.fsum(scores) / len(scores)
    return math.sqrt(math.fsum((s - centre) ** 2 for s in scores) / (len(scores) - 1) / len(scores))


def _results(run: Run, results: Record, counts: Record, hashes: Record) -> dict[str, Any]:
    model, names = run.config["models"]["solver"], [t["name"] for t in run.config["tasks"]]
    seed, tasks = run.config["settings"]["seed"], run.config["tasks"]
    alike = {k: tasks[0][k] for k in ("temperature", "top_p", "n", "plan") if all(t[k] == tasks[0][k] for t in tasks)}
    return {
        "results": results, "group_subtasks": {}, "configs": {t["name"]: _config(t) for t in run.config["tasks"]},
        "versions": {t["name"]: t["version"] for t in run.config["tasks"]}, "n-shot": dict.fromkeys(names, 0),
        "higher_is_better": {name: {"exact_match": True} for name in names}, "n-samples": counts,
        "config": {
            "model": model["engine"], "model_args": {"model": model["model"]}, "batch_size": run.config["concurrency"],
            "limit": run.config["settings"]["limit"],
            "gen_kwargs": {**alike, "select": run.config["settings"]["solve"]["select"]},
            "random_seed": seed, "numpy_seed": seed, "torch_seed": seed, "fewshot_seed": seed,
        },
        "date": float(calendar.timegm(time.strptime(run.config["begun"], "%Y-%m-%dT%H:%M:%SZ"))),
        "exported_by": f"sixfold {__version__}", "task_hashes": hashes, "model_source": model["engine"],
        "model_name": model["model"], "model_name_sanitized": _NOT_IN_A_PATH.sub("__", model["model"]),
        "total_evaluation_time_seconds": str(math.fsum(s["elapsed_s"] for s in run.samples)),
    }  # fmt: skip


def _config(task: Record) -> dict[str, Any]:
    return {
        "task": task["name"], "dataset_path": task["source"], "test_split": task["split"], "output_type": "generate_until",
        "doc_to_text": "{{question}}", "doc_to_target": "{{answer}}", "repeats": task["samples"], "num_fewshot": 0,
        "generation_kwargs": {
            "max_gen_toks": task["think_tokens"] + task["answer_tokens"], "temperature": task["temperature"],
            "top_p": task["top_p"],
        },
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
        "metadata": {"version": task["version"]},
    }  # fmt: skip


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()
