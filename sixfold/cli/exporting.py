"""What `export` does once its flags are read: an adapter and merged weights as files, checked, with a card, and pushed.

Place: after training. The weights are written by `train/export.py`; what is here chooses names and says what was made.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sixfold.cli.screen import say, stderr_console
from sixfold.config import home_dir
from sixfold.errors import TrainError

_TEXTS = (
    "What is 17 + 25?",
    "<think>\n17 + 25: 7 + 5 = 12, write 2 carry 1; 1 + 2 + 1 = 4. So 42.\n</think>\n\nAnswer: 42",
    "def f(x):\n    return x * 2 + 1\n\nf(20) is",
)
"""What the exported weights are compared with torch on."""


@dataclass(frozen=True, slots=True)
class ExportCommand:
    """What a call of `sixfold export` asks for."""

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
    from sixfold.cli.training import need_training
    from sixfold.train.card import model_card
    from sixfold.train.export import check_logits, merge, push, shrink_adapter, write_gguf
    from sixfold.train.lora_gguf import WEIGHTS, write_lora_gguf
    from sixfold.train.runs import read_run
    from sixfold.train.weights import open_base

    need_training()
    console = None if command.as_json else stderr_console()
    weights = next(
        (p for p in (command.trained, command.trained / "adapter", command.trained / "model") if _holds_weights(p)), None
    )
    if weights is None:
        raise TrainError(f"{command.trained} holds no weights", hint="give a run folder, or the adapter or model in it")
    run: dict[str, Any] = read_run(command.trained) if (command.trained / "run.json").is_file() else {}
    name = command.base or str(run.get("recipe", {}).get("base", ""))
    if not name:
        raise TrainError(f"{command.trained} does not say what it was trained from", hint="name it with --base")
    base, adapter = open_base(name, home_dir()), (weights / WEIGHTS).is_file()
    out = command.out
    out.mkdir(parents=True, exist_ok=True)
    made: dict[str, Any] = {}
    if adapter:
        small, lora = out / "adapter", out / "lora-f16.gguf"
        if not small.exists():
            say(console, f"writing {small}")
            shrink_adapter(weights, small, name)
        made["sha256"] = next(small.glob("*.sha256")).read_text(encoding="utf-8").split()[0]
        if not lora.exists():
            say(console, f"writing {lora}")
            write_lora_gguf(weights, base, lora)
        if command.merged and not (out / "merged").exists():
            say(console, f"writing {out / 'merged'}")
            merge(base, weights, out / "merged")
    for kind in command.kinds:
        path = out / f"model-{kind.lower()}.gguf"
        if not path.exists():
            say(console, f"writing {path}")
            write_gguf(base, weights, path, kind)
    if command.check:
        made["logits"] = _checked(command, base, weights, adapter, merge, check_logits, console)
    facts = {"name": run.get("recipe", {}).get("name"), "base_model": name, "adapter": adapter, "recipe": run.get("recipe"),
             "versions": run.get("versions"), "sha256": made.get("sha256"),
             "commands": [f"sixfold sft {run['recipe']['name']}"] if run else None}  # fmt: skip
    (out / "README.md").write_text(model_card({k: v for k, v in facts.items() if v is not None}), encoding="utf-8")
    if command.push:
        made["address"] = push(out, command.push, private=command.private)
    if command.as_json:
        print(json.dumps({"folder": str(out), **made}))
    else:
        print(made.get("address") or out)


def _holds_weights(folder: Path) -> bool:
    return any(folder.glob("*.safetensors"))


def _checked(
    command: ExportCommand, base: Path, weights: Path, adapter: bool, merge: Any, check_logits: Any, console: Any
) -> Any:
    """Torch against llama.cpp on each GGUF file. Raises `TrainError` where they disagree by more than the kind's tolerance."""
    import shutil

    folder = command.out / ".check"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        if adapter:
            merge(base, weights, folder, "fp32")
        reports = {}
        for kind in command.kinds:
            report = check_logits(folder if adapter else weights, command.out / f"model-{kind.lower()}.gguf", _TEXTS)
            reports[kind] = asdict(report)
            shown = f"{report.mean_difference:.4f} nats on average, {report.same_argmax:.0%} the same first choice"
            if not report.ok:
                raise TrainError(
                    f"{kind} says something else than torch: {shown}",
                    hint="compare with F16; a mistake in the export shows there",
                )
            say(console, f"{kind} and torch agree within the tolerance: {shown}")
        return reports
    finally:
        shutil.rmtree(folder, ignore_errors=True)
