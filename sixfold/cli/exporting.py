"""What `export` does once its flags are read: an adapter and merged weights as files, checked, with a card, and pushed.

Place: after training. The weights are written by `train/export.py`; what is here chooses names and says what was made.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sixfold.cli.screen import say, stderr_console
from sixfold.cli.training import need_training
from sixfold.config import home_dir
from sixfold.data.public_traces import SETS
from sixfold.engine.fetch import hash_file
from sixfold.engine.models import BASE, find
from sixfold.errors import ConfigError, ModelError, TrainError
from sixfold.train.presets import load_recipe
from sixfold.train.runs import read_run

_TEXTS = (
    "What is 17 + 25?",
    "<think>\n17 + 25: 7 + 5 = 12, write 2 carry 1; 1 + 2 + 1 = 4. So 42.\n</think>\n\nAnswer: 42",
    "def f(x):\n    return x * 2 + 1\n\nf(20) is",
)
"""What the exported weights are compared with torch on."""
_KINDS = ("F16", "Q8_0")
"""GGUF files that are made where none are named: F16 is the one that shows a mistake of the export."""
_MARK = ".weights.json"
"""In the folder that is exported to: SHA-256 of each file of weights that it was made from."""
_ON_THE_HUB = {BASE: "HuggingFaceTB/SmolLM2-135M-Instruct"}
"""Names by which the hub knows what is pulled from elsewhere."""


@dataclass(frozen=True, slots=True)
class ExportCommand:
    """What a call of `sixfold export` asks for; no `kinds`: those that the base allows."""

    trained: Path
    out: Path
    base: str
    kinds: tuple[str, ...]
    merged: bool
    check: bool
    push: str
    private: bool
    as_json: bool
    scores: tuple[Path, ...] = ()


def export_command(command: ExportCommand) -> None:
    """Write the parts that are asked for into `out`, each whole or not at all. What is there already is not made again."""
    need_training()
    from sixfold.engine.lora_gguf import WEIGHTS, write_lora_gguf
    from sixfold.engine.merge_gguf import find_gguf, write_gguf
    from sixfold.train.export import merge, push, shrink_adapter
    from sixfold.train.weights import open_base

    console = None if command.as_json else stderr_console()
    weights, out = _weights_in(command.trained), command.out
    run = read_run(command.trained) if (command.trained / "run.json").is_file() else {}
    name = command.base or str(run.get("base", ""))
    if not name:
        raise TrainError(f"{command.trained} does not say what it was trained from", hint="name it with --base")
    base, is_adapter, kinds = open_base(name, home_dir()), (weights / WEIGHTS).is_file(), command.kinds
    if not kinds:
        try:
            find_gguf(base)
            kinds = _KINDS
        except TrainError as error:
            say(console, f"no GGUF file of the whole model: {error.args[0]}")

    _own(out, weights)

    def write(part: str, make: Callable[[Path], object]) -> None:
        if not (out / part).exists():
            say(console, f"writing {out / part}")
            make(out / part)

    made: dict[str, Any] = {"folder": str(out)}
    if is_adapter:
        write("adapter", lambda path: shrink_adapter(weights, path, name))
        made["sha256"] = next((out / "adapter").glob("*.sha256")).read_text(encoding="utf-8").split()[0]
        write("lora-f16.gguf", lambda path: write_lora_gguf(weights, base, path))
        if command.merged:
            write("merged", lambda path: merge(base, weights, path))
    for kind in kinds:
        write(f"model-{kind.lower()}.gguf", partial(write_gguf, base, weights, kind=kind))
    if command.check and kinds:
        made["logits"] = _checked(out, base if is_adapter else None, weights, kinds, console)
    _write_card(command, name, is_adapter, made.get("sha256"))
    if command.push:
        made["address"] = push(out, command.push, private=command.private)
    print(json.dumps(made) if command.as_json else made.get("address") or out)


def _weights_in(trained: Path) -> Path:
    """The folder with the weights: this one, or the result of the run that it is."""
    for folder in (trained, trained / "adapter", trained / "model"):
        if any(folder.glob("*.safetensors")):
            return folder
    raise TrainError(f"{trained} holds no weights", hint="give a run folder, or the adapter, model or checkpoint in it")


def _own(out: Path, weights: Path) -> None:
    """Make `out` the folder of these weights. Raises `TrainError` where it is that of others, or holds what nothing is known
    of: parts that are there are not made again, and would be taken for these."""
    mine = {path.name: hash_file(path, lambda stage, done, total: None) for path in sorted(weights.glob("*.safetensors"))}
    mark = out / _MARK
    try:
        theirs = json.loads(mark.read_text(encoding="utf-8")) if mark.is_file() else None
        if theirs != mine and out.is_dir() and any(out.iterdir()):
            raise TrainError(f"{out} holds what other weights were made into", hint="delete it, or give another --out")
        out.mkdir(parents=True, exist_ok=True)
        mark.write_text(json.dumps(mine), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise TrainError(f"{out} cannot be used: {error}", hint="give another --out") from error


def _checked(out: Path, base: Path | None, weights: Path, kinds: tuple[str, ...], console: Any) -> dict[str, Any]:
    """Torch against llama.cpp on each GGUF file. Raises `TrainError` where they disagree by more than the kind's tolerance."""
    import tempfile

    from sixfold.train.export import check_logits, merge

    reports = {}
    with tempfile.TemporaryDirectory(dir=out, prefix=".check-") as scratch:
        folder = weights
        if base is not None:
            folder = Path(scratch) / "merged"
            merge(base, weights, folder, "fp32")
        for kind in kinds:
            report = check_logits(folder, out / f"model-{kind.lower()}.gguf", _TEXTS)
            reports[kind] = asdict(report)
            shown = f"{report.mean_difference:.4f} nats on average, {report.same_argmax:.0%} the same first choice"
            if not report.ok:
                raise TrainError(
                    f"{kind} says something else than torch: {shown}",
                    hint="compare with F16; a mistake in the export shows there",
                )
            say(console, f"{kind} and torch agree within the tolerance: {shown}")
    return reports


def _write_card(command: ExportCommand, base: str, is_adapter: bool, sha256: str | None) -> None:
    """README.md of what was made, out of the records of the run and of those that it went on from."""
    from sixfold.train.card import model_card
    from sixfold.train.gates import load_gates

    hub = _ON_THE_HUB.get(base) or (base.removeprefix("hf:").partition("@")[0] if base.startswith("hf:") else None)
    facts: dict[str, Any] = {"base_model": hub, "adapter": is_adapter, "sha256": sha256, "licence": _licence_of(base)}
    facts["scores"] = [score for folder in command.scores for score in _scores_of(folder)]
    if folders := _lineage(command.trained):
        records = [read_run(folder) for folder in folders]
        gates = [gate for folder in folders for gate in load_gates(folder)]
        stages = {name: stage for record in records for name, stage in record["stages"].items()}
        recipe, name = records[-1]["recipe"], records[-1]["name"]
        facts |= {
            "name": name, "recipe": recipe, "gates": gates,
            "what": "A small model that was taught to think before it answers, by the recipe below.",
            "data_sources": _sources(records[0]["recipe"]["traces"]),
            "versions": next(iter(stages.values()))["sessions"][-1]["versions"],
            "data": {key: count for stage in stages.values() for key, count in stage.get("counts", {}).items()},
            "contamination": [g["reason"] for record in gates for g in record["gates"] if g["name"] == "contamination"][-1:],
            "limits": [
                "It answers questions like those that it was trained on, in English; of others expect little, however sure "
                "it sounds.",
                "It has no facts but those of its base, and was not trained to refuse anything.",
            ],
            "commands": [_command(stage, record, folders) for record in records for stage in record["stages"]],
        }  # fmt: skip
    card = model_card({key: value for key, value in facts.items() if value})
    (command.out / "README.md").write_text(card, encoding="utf-8")


def _sources(traces: Mapping[str, Any]) -> list[str]:
    """Where the rows of a recipe come from."""
    made = f"Worked solutions of generated families (Apache-2.0), made from a seed: {', '.join(traces['tasks'])}"
    public = [f"{name}: {SETS[name].repo.name}, {SETS[name].licence}" for name in traces["public"] if name in SETS]
    return [*([made] if traces["rows"] else []), *(f"{file}, a file of rows" for file in traces["files"]), *public]


def _licence_of(base: str) -> str:
    """The licence of a base that was pulled, as the hub spells it; empty where none is known."""
    try:
        licence = find(base, home_dir()).licence.lower()
    except ModelError:
        return ""
    return "" if licence == "unknown" else licence


def _lineage(trained: Path) -> list[Path]:
    """The folders of a run and of those that it went on from, the first one first. None where `trained` is no run."""
    if not (trained / "run.json").is_file():
        return []
    starts = [stage["facts"].get("adapter") for stage in read_run(trained)["stages"].values()]
    before = [folder for start in starts if start for folder in _lineage(Path(start).parent)]
    if any(starts) and not before:
        say(stderr_console(), f"the run that made {starts[-1]} is not there: the card is silent about it")
    return [*before, trained]


def _command(stage: str, record: Mapping[str, Any], folders: Sequence[Path]) -> str:
    """What made a stage. A run of a preset, or with settings of its own, was not made by the recipe's name alone."""
    said = f"sixfold {stage} {record['name']}"
    said += f" --adapter runs/{folders[-2].name}" if stage == "rl" and len(folders) > 1 else ""
    sections = ("base", "seed", "traces", "sft", *(("rl",) if stage == "rl" else ()))
    try:
        recipe = load_recipe(record["name"]).model_dump(mode="json")
    except ConfigError:
        recipe = {}
    same = all(recipe.get(section) == record["recipe"].get(section) for section in sections)
    return said if same else f"{said}   # with the settings above"


def _scores_of(folder: Path) -> list[dict[str, Any]]:
    """What an evaluation found, as rows of a card: each domain and the average over all tasks."""
    from sixfold.evals.page import who
    from sixfold.evals.report import summarise_run

    report = summarise_run(folder)
    rows, questions = {**report["domains"], "macro over tasks": report["macro"]}, Counter[str]()
    for task in report["tasks"]:
        questions.update({task["domain"]: task["questions"], "macro over tasks": task["questions"]})
    return [
        {"stage": folder.name, "task": name, "metric": metric, "questions": questions[name], "budget": who(report)}
        | {key: found[key] for key in ("value", "low", "high")}
        for name, row in rows.items() for metric, found in {"pass@1": row, **row["several"]}.items()
    ]  # fmt: skip
