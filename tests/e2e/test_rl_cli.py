"""`sixfold rl` and `sixfold export` as a user runs them after `sixfold sft`, on a random model of two layers."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from training import run_sixfold as run

pytest.importorskip("trl")

STRICT = ("--set", "gates.tags=0.95", "--set", "gates.support_cells=0.3")
"""The smoke preset lets a random model through its gates."""


@pytest.mark.model
@pytest.mark.slow
def test_gates_stop_a_model_that_cannot_yet_and_a_named_override_lets_it_through(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1")
    start = ("rl", "laptop-135m", "--preset", "smoke", "--adapter", "runs/laptop-135m-smoke-sft", *STRICT)
    stopped = run(tmp_path, *start, code=7)
    assert "gate tags failed" in stopped.stderr
    assert "--override" in stopped.stderr
    folder = tmp_path / "runs" / "laptop-135m-smoke-rl"
    assert not (folder / "adapter").exists()
    done = run(tmp_path, *start, "--override", "tags", "--override", "support", "--json")
    said = json.loads(done.stdout)
    assert sorted(said["overridden"]) == ["support", "tags"]
    recorded = json.loads((folder / "gates.json").read_text())
    assert [(r["when"], r["overridden"]) for r in recorded] == [
        ("before", []), ("before", ["tags", "support"]), ("after", ["tags", "support"]),
    ]  # fmt: skip
    assert [g["name"] for g in recorded[-1]["gates"]] == ["tags", "support", "forgetting"]
    # Of the weights that RL begins from, what the gates after SFT counted is not asked again.
    weights = tmp_path / "runs" / "laptop-135m-smoke-sft" / "adapter" / "adapter_model.safetensors"
    began_from = hashlib.sha256(weights.read_bytes()).hexdigest()
    asked = [json.loads(line) for line in (folder / "samples.jsonl").read_text().splitlines()]
    assert [line["cell"] for line in asked if line["adapter"] == began_from] == ["tabular/lookup:1"]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = {line["step"]: line["values"] for line in lines if "values" in line}
    assert sorted(steps) == [1, 2]
    assert {"reward", "accuracy", "truncated_share", "zero_variance_share", "tag_rate"} <= set(steps[2])
    assert (folder / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.model
@pytest.mark.slow
def test_resuming_what_a_gate_stopped_does_not_go_round_the_gate(model_home: Path, tmp_path: Path) -> None:
    start = ("rl", "laptop-135m", "--preset", "smoke", *STRICT, "--set", 'rl.tasks=["math/gcd"]')
    for more in ((), ("--resume",)):
        assert "gate tags failed" in run(tmp_path, *start, *more, code=7).stderr
    assert not (tmp_path / "runs" / "laptop-135m-smoke-rl" / "checkpoints").exists()


@pytest.mark.model
@pytest.mark.slow
def test_a_stage_does_not_begin_in_the_folder_of_another(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1", "--out", "one")
    said = run(tmp_path, "rl", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1", "--out", "one", code=7).stderr
    assert "one holds stage sft" in said
    assert "--out" in said


@pytest.mark.model
@pytest.mark.slow
def test_a_run_is_exported_with_what_is_known_of_it(model_home: Path, tmp_path: Path) -> None:
    import hashlib

    from safetensors.torch import load_file

    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1")
    folder = tmp_path / "runs" / "laptop-135m-smoke-sft"
    (tmp_path / "script.json").write_text(json.dumps([{"text": "Answer: 1"}]), encoding="utf-8")
    evaluated = ("eval", "math/gcd:1", "code/brackets:1", "--limit", "2", "-k", "2", "--engine", "scripted:script.json")
    run(tmp_path, *evaluated, "--out", "scores", "--no-picture")
    done = run(tmp_path, "export", str(folder), "--merged", "--json", "--scores", "scores")
    out, said = folder / "export", json.loads(done.stdout)
    assert sorted(p.name for p in out.iterdir() if p.name[0] != ".") == ["README.md", "adapter", "lora-f16.gguf", "merged"]
    weights = out / "adapter" / "adapter_model.safetensors"
    assert hashlib.sha256(weights.read_bytes()).hexdigest() == said["sha256"]
    assert set(load_file(weights)) == set(load_file(folder / "adapter" / "adapter_model.safetensors"))
    card = (out / "README.md").read_text(encoding="utf-8")
    for known in (
        said["sha256"], "sixfold sft laptop-135m   # with the settings above", "0 of 60 training rows", "learned tokens",
        "audit", "| scores | code | majority@2 | 0.0 |", "| scores | macro over tasks | pass@1 |",
    ):  # fmt: skip
        assert known in card
    assert "does not say" not in card.replace("does not say the base model", "")
    # What is there is kept.
    before = weights.stat().st_mtime_ns
    assert "writing" not in run(tmp_path, "export", str(folder), "--merged").stderr
    assert weights.stat().st_mtime_ns == before
    assert "holds no weights" in run(tmp_path, "export", "runs", code=7).stderr


@pytest.mark.model
@pytest.mark.slow
def test_merged_gguf_files_are_compared_with_torch(model_home: Path, tmp_path: Path) -> None:
    from exporting import make_adapter

    from sixfold.train.weights import open_base

    base = open_base("smollm2-135m-instruct", model_home)
    make_adapter(base, tmp_path / "adapter", rank=2, size=0.02)
    done = run(tmp_path, "export", "adapter", "--base", "smollm2-135m-instruct", "--gguf", "F16", "--out", "made", "--json")
    report = json.loads(done.stdout)["logits"]["F16"]
    assert report["same_argmax"] == 1.0
    assert 0 < report["mean_difference"] < 0.02
    # Other weights do not go into this folder; a file of them in its place is noticed.
    make_adapter(base, tmp_path / "other", rank=2, size=0.05, seed=9)
    start = ("export", "other", "--base", "smollm2-135m-instruct", "--gguf", "F16", "--out")
    assert "made holds what other weights were made into" in run(tmp_path, *start, "made", code=7).stderr
    run(tmp_path, *start, "second", "--no-check")
    (tmp_path / "made" / "model-f16.gguf").replace(tmp_path / "second" / "model-f16.gguf")
    assert "F16 says something else than torch" in run(tmp_path, *start, "second", code=7).stderr
    assert not list((tmp_path / "second").glob(".check-*"))


@pytest.mark.model
@pytest.mark.slow
def test_the_card_tells_of_every_stage_that_a_run_went_on_from(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--set", "sft.max_steps=1")
    start = ("rl", "laptop-135m", "--preset", "smoke", "--adapter", "runs/laptop-135m-smoke-sft")
    run(tmp_path, *start)
    run(tmp_path, "export", "runs/laptop-135m-smoke-rl")
    card = (tmp_path / "runs" / "laptop-135m-smoke-rl" / "export" / "README.md").read_text(encoding="utf-8")
    for known in (
        "| sft | audit | passed |", "| after sft | tags | passed |", "| after rl | forgetting | passed |", "| learned tokens |",
        "sixfold rl laptop-135m --adapter runs/laptop-135m-smoke-sft",
    ):  # fmt: skip
        assert known in card
