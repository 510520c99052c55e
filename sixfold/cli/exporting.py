"""What `export` does once its flags are read: an adapter and merged weights as files, checked, with a card, and pushed.

Place: after training. The weights are written by `train/export.py`; what is here chooses names and says what was made.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sixfold.cli.screen import say, stderr_console
from sixfold.cli.training import need_training
from sixfold.config import home_dir
from sixfold.engine.fetch import hash_file
from sixfold.engine.models import DEFAULT
from sixfold.errors import TrainError

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
_ON_THE_HUB = {DEFAULT: "HuggingFaceTB/SmolLM2-135M-Instruct"}
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


def export_command(command: ExportCommand) -> None:
    """Write the parts that are asked for into `out`, each whole or not at all. What is there already is not made again."""
    need_training()
    from sixfold.train.export import find_gguf, merge, push, shrink_adapter, write_gguf
    from sixfold.train.lora_gguf import WEIGHTS, write_lora_gguf
    from sixfold.train.runs import read_run
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
    _write_card(command.trained, out, name, is_adapter, run, made.get("sha256"))
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


def _write_card(trained: Path, out: Path, base: str, is_adapter: bool, run: Mapping[str, Any], sha256: str | None) -> None:
    from sixfold.train.card import model_card
    from sixfold.train.gates import load_gates

    hub = _ON_THE_HUB.get(base) or (base.removeprefix("hf:").partition("@")[0] if base.startswith("hf:") else None)
    facts: dict[str, Any] = {"base_model": hub, "adapter": is_adapter, "sha256": sha256}
    if run:
        gates = load_gates(trained)
        stages = run["stages"]
        facts |= {
            "name": run["name"], "recipe": run["recipe"], "gates": gates,
            "versions": next(iter(stages.values()))["sessions"][-1]["versions"],
            "data": {key: count for stage in stages.values() for key, count in stage.get("counts", {}).items()},
            "contamination": [g["reason"] for record in gates for g in record["gates"] if g["name"] == "contamination"][-1:],
            "commands": [f"sixfold {stage} {run['name']}" for stage in stages],
        }  # fmt: skip
    (out / "README.md").write_text(model_card({k: v for k, v in facts.items() if v is not None}), encoding="utf-8")
