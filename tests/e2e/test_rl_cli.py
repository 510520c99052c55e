"""`sixfold rl` and `sixfold export` as a user runs them after `sixfold sft`, on a random model of two layers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("trl")
SIXFOLD = str(Path(sys.executable).with_name("sixfold"))


def run(tmp_path: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run([SIXFOLD, *arguments], cwd=tmp_path, capture_output=True, text=True, timeout=300, env=env)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.model
@pytest.mark.slow
def test_gates_stop_a_model_that_cannot_yet_and_a_named_override_lets_it_through(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1")
    start = ("rl", "laptop-135m", "--preset", "smoke", "--adapter", "runs/laptop-135m-smoke-sft")
    stopped = run(tmp_path, *start, code=7)
    assert "gate tags failed" in stopped.stderr
    assert "--override" in stopped.stderr
    folder = tmp_path / "runs" / "laptop-135m-smoke-rl"
    assert not (folder / "adapter").exists()
    done = run(tmp_path, *start, "--override", "tags", "--override", "support", "--json")
    said = json.loads(done.stdout)
    assert sorted(said["overridden"]) == ["support", "tags"]
    recorded = json.loads((folder / "gates.json").read_text())
    assert "overridden" in json.dumps(recorded)
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = {line["step"]: line["values"] for line in lines if "values" in line}
    assert sorted(steps) == [1, 2]
    assert {"reward", "accuracy", "truncated_share", "zero_variance_share", "tag_rate"} <= set(steps[2])
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.model
@pytest.mark.slow
def test_export_writes_a_small_adapter_and_a_card(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1")
    said = run(tmp_path, "export", "runs/laptop-135m-smoke-sft", "--gguf", "none", code=7).stderr
    assert "there is no GGUF file" in said or "cannot be 'none'" in said
    assert "holds no weights" in run(tmp_path, "export", "runs", code=7).stderr
