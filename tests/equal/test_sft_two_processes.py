"""Two processes over gloo, started by our launch file, train as one process with a batch of twice the size does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
from training import make_tiny

from sixfold import scale
from sixfold.train.recipe import Recipe
from sixfold.train.sft import make_dataset
from sixfold.train.weights import load_tokenizer

LAUNCH = Path(scale.__path__[0]) / "accelerate" / "cpu.yaml"
SCRIPT = """
import json, os, sys
from pathlib import Path
from transformers import TrainerCallback
from sixfold.train.recipe import Recipe
from sixfold.train.sft import train_sft

base, folder, recipe = Path(sys.argv[1]), Path(sys.argv[2]), Recipe.model_validate_json(sys.argv[3])

class Log(TrainerCallback):
    def on_log(self, args, state, control, logs=None, **kw):
        if "loss" in (logs or {}) and state.is_world_process_zero:
            with open(folder / "losses.jsonl", "a") as file:
                file.write(json.dumps([state.global_step, float(logs["loss"]), args.world_size]) + "\\n")

train_sft(recipe, base, folder, callbacks=[Log()])
"""


def train(base: Path, folder: Path, batch_rows: int, launcher: list[str]) -> list[list[float]]:
    recipe = Recipe.model_validate({
        "name": "test", "traces": {"tasks": ["math/product", "math/gcd"], "levels": {1: 1.0}, "rows": 60, "slips": 0.0},
        "sft": {"max_tokens": 700, "batch_rows": batch_rows, "compile": False, "precision": "fp32", "log_steps": 1,
                "max_steps": 4},
    })  # fmt: skip
    folder.mkdir()
    # One process writes the rows, before there are two.
    make_dataset(recipe, load_tokenizer(base), folder / "data")
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    done = subprocess.run(
        [*launcher, str(folder / "script.py"), str(base), str(folder), recipe.model_dump_json()],
        capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    return [json.loads(line) for line in (folder / "losses.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_two_processes_are_one_with_twice_the_batch(tmp_path: Path) -> None:
    base = make_tiny(tmp_path / "tiny")
    one = train(base, tmp_path / "one", 4, [sys.executable])
    launcher = [sys.executable, "-m", "accelerate.commands.launch", "--config_file", str(LAUNCH)]
    two = train(base, tmp_path / "two", 2, [*launcher, "--main_process_port", "0"])
    assert [step for step, _, _ in one] == [step for step, _, _ in two] == [1, 2, 3, 4]
    assert ({world for _, _, world in one}, {world for _, _, world in two}) == ({1}, {2})
    assert [loss for _, loss, _ in two] == pytest.approx([loss for _, loss, _ in one], rel=1e-4)
