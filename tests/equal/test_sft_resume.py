"""A training run that was killed and resumed is the run that was not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
from training import make_tiny

SCRIPT = """
import json, os, sys, warnings
from pathlib import Path
from transformers import TrainerCallback
from sixfold.train.recipe import Recipe
from sixfold.train.sft import train_sft

base, folder, die_at = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
recipe = Recipe.model_validate({
    "name": "test", "traces": {"tasks": ["math/product", "math/gcd"], "levels": {1: 1.0}, "rows": 60, "planned": 0.2},
    "sft": {"max_tokens": 700, "batch_rows": 4, "compile": False, "precision": "fp32", "save_steps": 2, "epochs": 2,
            "log_steps": 1},
})

class Log(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kw):
        if "loss" in (logs or {}):
            with open(folder / "losses.jsonl", "a") as file:
                file.write(json.dumps([state.global_step, logs["loss"]]) + "\\n")
            if state.global_step == die_at:
                os.kill(os.getpid(), 9)

folder.mkdir(parents=True, exist_ok=True)
train_sft(recipe, base, folder, resume=True, callbacks=[Log()])
"""


def run(base: Path, folder: Path, die_at: int) -> int:
    return subprocess.run(
        [sys.executable, "-c", SCRIPT, base, folder, str(die_at)], capture_output=True, check=False
    ).returncode


def losses(folder: Path) -> dict[int, float]:
    return dict(json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines())


@pytest.mark.slow
@pytest.mark.parametrize("die_at", [1, 3])
def test_the_losses_after_a_kill_are_those_without_one(die_at: int, tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "tiny")
    assert run(base, tmp_path / "whole", -1) == 0
    assert run(base, tmp_path / "killed", die_at) == -9
    assert run(base, tmp_path / "killed", -1) == 0
    whole, killed = losses(tmp_path / "whole"), losses(tmp_path / "killed")
    assert len(whole) >= 6
    assert killed == pytest.approx(whole, rel=1e-6)
    tensors = [(tmp_path / name / "adapter" / "adapter_model.safetensors").read_bytes() for name in ("whole", "killed")]
    assert tensors[0] == tensors[1]
