"""`sixfold sft`, `runs` and `traces` as a user runs them, on a random model of two layers."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from training import SIXFOLD
from training import run_sixfold as run

from sixfold.cli import gating, training
from sixfold.cli.gating import Policy
from sixfold.cli.training import TrainCommand, need_training, rl_command, sft_command
from sixfold.errors import TrainError
from sixfold.train.dry_run import count_rows, hardware, make_plan, make_rl_plan, rl_shown
from sixfold.train.gates import Gate, load_gates
from sixfold.train.presets import load_recipe
from sixfold.train.rl import settings as rl_settings
from sixfold.train.sft import settings


def losses(folder: Path) -> dict[int, float]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return {x["step"]: x["values"]["loss"] for x in lines if "values" in x}


@pytest.mark.model
@pytest.mark.slow
def test_the_smoke_preset_trains_ends_and_is_listed(model_home: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "sft", "laptop-135m", "--preset", "smoke")
    folder = tmp_path / "runs" / "laptop-135m-smoke-sft"
    assert done.stdout.startswith("runs/laptop-135m-smoke-sft/adapter: 60 rows")
    for said in (
        "gate audit: all of 3 tasks pass", "gate contamination: 0 of 60", "step 6 of 6: loss", "gate tags: 0 of 4",
        "gate support: 0 of 2 cells",
    ):  # fmt: skip
        assert said in done.stderr
    assert [(r["when"], len(r["gates"])) for r in json.loads((folder / "gates.json").read_text())] == [
        ("before", 2),
        ("after", 2),
    ]
    assert {"adapter", "checkpoints", "curves.png", "gates.json", "metrics.jsonl", "recipe.json", "run.json"} <= set(
        os.listdir(folder)
    )
    assert sorted(losses(folder)) == [1, 2, 3, 4, 5, 6]
    (listed,) = json.loads(run(tmp_path, "runs", "--json").stdout)
    assert (listed["state"], listed["step"], listed["max_steps"]) == ("done", 6, 6)
    assert "laptop-135m-smoke-sft" in run(tmp_path, "runs").stdout
    assert "step 6 of 6" in run(tmp_path, "runs", "--live").stdout
    run(tmp_path, "runs", str(folder), "--plot", "curves.svg")
    assert "<svg" in (tmp_path / "curves.svg").read_text()
    # The same command again begins nothing, and another recipe does not go on here.
    assert "has begun stage sft already" in run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", code=7).stderr
    other = run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--resume", "--set", "seed=1", code=7)
    assert "seed (0 there, 1 now)" in other.stderr
    planned = json.loads(run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--plan", "--json").stdout)
    counts = json.loads((folder / "run.json").read_text())["stages"]["sft"]["counts"]
    assert planned["rows"] == counts["rows"]
    assert planned["tokens_per_row"] == pytest.approx(counts["tokens"] / counts["rows"], rel=0.05)
    assert planned["packed_rows"] == pytest.approx(counts["packed rows"], rel=0.2)
    assert planned["rate_from"] == "measured in runs/laptop-135m-smoke-sft"
    assert planned["time_s"] == pytest.approx(planned["tokens"] / planned["tokens_per_s"])


@pytest.mark.model
@pytest.mark.slow
def test_a_killed_run_goes_on_as_if_it_had_not_been(model_home: Path, tmp_path: Path) -> None:
    run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--out", "whole")
    command = [SIXFOLD, "sft", "laptop-135m", "--preset", "smoke", "--out", "killed"]
    env = os.environ | {"OMP_NUM_THREADS": "1"}
    begun = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True, env=env)
    assert begun.stderr
    for line in begun.stderr:
        if line.startswith("step 4 "):
            begun.kill()
    begun.wait()
    begun.stderr.close()
    assert json.loads(run(tmp_path, "runs", "killed", "--json").stdout)[0]["state"] == "killed"
    # What a kill in the middle of a checkpoint leaves.
    half = tmp_path / "killed" / "checkpoints" / "checkpoint-5"
    half.mkdir()
    (half / "adapter_model.safetensors").write_bytes(b"half")
    done = run(tmp_path, "sft", "laptop-135m", "--preset", "smoke", "--out", "killed", "--resume")
    assert "checkpoint-5 was half written and is removed" in done.stderr
    assert losses(tmp_path / "killed") == pytest.approx(losses(tmp_path / "whole"), abs=1e-6)


def test_rows_are_written_as_they_are_trained_on(tmp_path: Path) -> None:
    done = run(tmp_path, "traces", "laptop-135m", "--preset", "smoke", "--out", "rows.jsonl", "--limit", "7")
    assert done.stdout == "rows.jsonl: 7 rows\n"
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert len(rows) == 7
    assert all({"data_source", "prompt", "completion", "reward_model"} <= set(row) for row in rows)
    assert {row["ability"] for row in rows} <= {"math", "tabular"}
    assert "cannot be written" in run(tmp_path, "traces", "laptop-135m", "--out", "none/rows.jsonl", code=2).stderr
    assert sorted(os.listdir(tmp_path)) == ["rows.jsonl"]


def test_a_plan_needs_no_model_and_writes_nothing(tmp_path: Path) -> None:
    shown = run(tmp_path, "sft", "laptop-135m", "--preset", "quick", "--plan", "--tokens-per-s", "1000").stdout
    rows = count_rows(load_recipe("laptop-135m", "quick"))
    assert 2_300 < rows < 2_500
    assert f"{rows:,} examples of" in shown
    assert "its size and memory are not known" in shown
    assert "at 1,000 tokens/s (stated)" in shown
    assert "learning_rate=0.001," in shown
    assert os.listdir(tmp_path) == []


def test_a_plan_loads_no_torch(tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['sixfold', 'sft', 'laptop-135m', '--preset', 'smoke', '--plan', '--json']\n"
        "from sixfold.cli.app import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'datasets') if m in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path)
    if not hardware()[0]:
        assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["trl"]["SFTConfig"]["max_steps"] == 6


def test_the_plan_has_the_settings_that_train(tmp_path: Path) -> None:
    recipe = load_recipe("laptop-135m", "smoke")
    plan = make_plan(recipe, None, tmp_path / "run", True, False)
    assert dict(plan.trl) == settings(recipe.sft, recipe.seed, tmp_path / "run") | {"bf16": True, "use_cpu": True}


def test_the_plan_of_rl_has_the_settings_that_train(tmp_path: Path) -> None:
    given = ["rl.steps=5", "rl.refill=1", 'rl.tasks=["math/gcd"]', "rl.top_level=2"]
    recipe = load_recipe("laptop-135m", "", given)
    plan = make_rl_plan(recipe, None, tmp_path / "run", False, False)
    assert (plan.steps, plan.cells, plan.completions, plan.drawn_at_most) == (5, 2, 320, 640)
    trained = rl_settings(recipe.rl, recipe.seed, tmp_path / "run")
    assert dict(plan.trl) == trained | {"bf16": False, "use_cpu": True}
    assert "num_generations=8," in rl_shown(plan)


def test_the_plan_knows_the_size_of_a_model(tmp_path: Path) -> None:
    config = {
        "num_hidden_layers": 30, "hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "vocab_size": 49152,
        "num_key_value_heads": 3, "tie_word_embeddings": True,
    }  # fmt: skip
    (tmp_path / "config.json").write_text(json.dumps(config))
    recipe = load_recipe("laptop-135m")
    plan = make_plan(recipe, tmp_path, tmp_path / "run", True, False)
    # SmolLM2-135M, and what PEFT counts for rank 32 on all of its linear layers.
    assert (plan.size.weights, plan.size.adapter) == (134_515_008, 9_768_960)
    full = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"method": "full"})})
    assert make_plan(full, tmp_path, tmp_path / "run", True, False).memory_gib["optimizer"] == pytest.approx(1.0, abs=0.01)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(TrainError, match="cannot be read"):
        make_plan(recipe, tmp_path, tmp_path / "run", True, False)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["sft", "laptop-135"], 2, "did you mean laptop-135m?"),
        (["sft", "laptop-135m", "--preset", "smok"], 2, "did you mean smoke?"),
        (["sft", "laptop-135m", "--set", "sft.learnig_rate=1"], 2, "did you mean sft.learning_rate?"),
        (["sft", "laptop-135m", "--set", "sft.epochs=0"], 2, "sft.epochs"),
        (["sft", "laptop-135m", "--override", "audits"], 2, "did you mean audit?"),
        (["traces", "missing.toml", "--out", "a.jsonl"], 2, "cannot be read"),
        (["runs", "--plot", "a.png"], 7, "is no training run"),
        (["runs", "--live"], 7, "is no training run"),
    ],
)
def test_bad_input_is_told_before_anything_is_done(tmp_path: Path, arguments: Sequence[str], code: int, words: str) -> None:
    done = run(tmp_path, *arguments, code=code)
    assert words in done.stderr
    assert "next: " in done.stderr
    assert os.listdir(tmp_path) == []


def test_no_runs_is_no_error(tmp_path: Path) -> None:
    assert "no training runs in runs" in run(tmp_path, "runs").stderr


def test_without_the_extra_it_is_told_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name in ("trl", "peft") else object())
    with pytest.raises(TrainError, match="training needs trl, peft") as told:
        need_training()
    assert told.value.hint == 'pip install "sixfold[train]"'


def test_a_failed_gate_stops_before_training_and_is_overridden_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[Any] = []
    monkeypatch.setattr("sixfold.train.weights.open_base", lambda spec, home: tmp_path)
    monkeypatch.setattr("sixfold.train.sft.train_sft", lambda *a, **k: began.append(a) or {"rows": 1})
    monkeypatch.setattr(gating, "contamination_gate", lambda report, config: Gate("contamination", False, 1, 0, "bad"))
    monkeypatch.setattr(training, "asked_gates", lambda *a, **k: [])
    recipe = load_recipe("laptop-135m", "smoke", ['gates.before_sft=["contamination"]'])
    with pytest.raises(TrainError, match="gate contamination failed: bad"):
        sft_command(recipe, TrainCommand(tmp_path / "run", quiet=True))
    assert not began
    # Nothing was trained, so there is nothing to resume.
    sft_command(recipe, TrainCommand(tmp_path / "run", override=("contamination",), quiet=True))
    assert len(began) == 1
    assert json.loads((tmp_path / "run" / "gates.json").read_text())[-1]["overridden"] == ["contamination"]
    assert json.loads((tmp_path / "run" / "run.json").read_text())["stages"]["sft"]["overridden"] == ["contamination"]


class Faked:
    """A stage without a model: what was trained is a file, and gates say what the test wants."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch, stage: str) -> None:
        self.base, self.run, self.trained = folder / "base", folder / "run", 0
        self.gates: list[Gate] = []
        self.asked: list[tuple[str, Policy, list[Path], Policy | None]] = []
        self.base.mkdir()
        (self.base / "model.safetensors").write_bytes(b"base")
        monkeypatch.setattr("sixfold.train.weights.open_base", lambda spec, home: self.base)
        monkeypatch.setattr(f"sixfold.train.{stage}.train_{stage}", self.train)
        monkeypatch.setattr(training, "sft_gates", lambda recipe, silent: [Gate("audit", True, 1, 1, "fine")])
        monkeypatch.setattr(training, "asked_gates", self.ask)

    def train(self, recipe: Any, base: Path, *rest: Any) -> dict[str, Any]:
        # SFT: folder, resume, callbacks; RL: the adapter before them.
        folder = rest[-3]
        self.trained += 1
        for name in ("adapter/adapter_model.safetensors", "checkpoints/checkpoint-1/model.safetensors"):
            (folder / name).parent.mkdir(parents=True)
            (folder / name).write_bytes(b"trained")
        (folder / "checkpoints/checkpoint-1/trainer_state.json").write_text('{"global_step": 1}')
        return {"rows": 3, "log": []}

    def ask(
        self, recipe: Any, names: Any, when: str, policy: Policy, folders: list[Path], before: Policy | None = None,
        silent: bool = False,
    ) -> list[Gate]:  # fmt: skip
        self.asked.append((when, policy, folders, before))
        return self.gates if when == "after" else [Gate("tags", True, 1, 1, "fine")]

    @property
    def record(self) -> dict[str, Any]:
        (stage,) = json.loads((self.run / "run.json").read_text())["stages"].values()
        return dict(stage)


FAILED = Gate("tags", False, 0.2, 0.95, "few have their tags")
SMOKE = load_recipe("laptop-135m", "smoke")


def test_a_gate_that_fails_after_training_keeps_the_result_and_resuming_asks_again_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    faked = Faked(tmp_path, monkeypatch, "sft")
    faked.gates = [FAILED]
    with pytest.raises(TrainError, match="gate tags failed: few have their tags") as told:
        sft_command(SMOKE, TrainCommand(faked.run, quiet=True))
    assert told.value.exit_code == 7
    assert "what was trained is kept" in told.value.hint
    assert (faked.run / "adapter" / "adapter_model.safetensors").read_bytes() == b"trained"
    assert (faked.record["state"], faked.record["counts"]) == ("stopped", {"rows": 3})
    assert "few have their tags" in faked.record["reason"]
    assert capsys.readouterr().out == ""
    # Resumed, it is not trained again, and the gate still fails.
    with pytest.raises(TrainError, match="gate tags failed"):
        sft_command(SMOKE, TrainCommand(faked.run, resume=True, quiet=True))
    sft_command(SMOKE, TrainCommand(faked.run, resume=True, override=("tags",), as_json=True))
    assert json.loads(capsys.readouterr().out)["overridden"] == ["tags"]
    assert faked.trained == 1
    assert (faked.record["state"], faked.record["overridden"]) == ("done", ["tags"])
    assert [(r["when"], r["overridden"]) for r in load_gates(faked.run)] == [
        ("before", []), ("after", []), ("after", []), ("after", ["tags"]),
    ]  # fmt: skip
    (policy,) = {policy for _, policy, _, _ in faked.asked}
    assert (policy.base, policy.adapter) == (faked.base, faked.run / "adapter")
    assert policy.base_sha256 == hashlib.sha256(b"base").hexdigest()
    assert policy.adapter_sha256 == hashlib.sha256(b"trained").hexdigest()


def test_what_is_killed_between_training_and_its_gates_goes_on_with_the_gates(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faked = Faked(tmp_path, monkeypatch, "sft")

    def interrupted(*args: Any, **kwargs: Any) -> list[Gate]:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "asked_gates", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sft_command(SMOKE, TrainCommand(faked.run, quiet=True))
    assert faked.record["reason"] == "interrupted"
    monkeypatch.setattr(training, "asked_gates", faked.ask)
    sft_command(SMOKE, TrainCommand(faked.run, resume=True, quiet=True))
    assert faked.trained == 1
    assert [when for when, _, _, _ in faked.asked] == ["after"]
    assert faked.record["state"] == "done"
    # Other processes of the same run have nothing to train either.
    monkeypatch.setenv("RANK", "1")
    sft_command(SMOKE, TrainCommand(faked.run, resume=True, quiet=True))
    assert faked.trained == 1


def test_rl_is_compared_with_what_it_began_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked = Faked(tmp_path, monkeypatch, "rl")
    start = tmp_path / "first" / "adapter"
    start.mkdir(parents=True)
    (start / "adapter_config.json").write_text("{}")
    (start / "adapter_model.safetensors").write_bytes(b"before")
    rl_command(SMOKE, tmp_path / "first", TrainCommand(faked.run, quiet=True))
    (first, policy, folders, before), (second, result, _, old) = faked.asked
    assert (first, second, before, old) == ("before", "after", None, policy)
    # What the gates after SFT have counted is looked up there.
    assert folders == [faked.run, tmp_path / "first"]
    assert (policy.adapter, result.adapter) == (start, faked.run / "adapter")
    assert policy.adapter_sha256 == hashlib.sha256(b"before").hexdigest()
    assert faked.record["facts"] == {"base": "random:tiny", "adapter": str(start)}
    assert set(faked.record["weights"]) == {"base", "adapter"}


def test_a_run_does_not_go_on_from_other_base_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    faked = Faked(tmp_path, monkeypatch, "sft")
    sft_command(SMOKE, TrainCommand(faked.run, quiet=True))
    (faked.base / "model.safetensors").write_bytes(b"other")
    with pytest.raises(TrainError, match=r"model\.safetensors of the base has changed since") as told:
        sft_command(SMOKE, TrainCommand(faked.run, resume=True, quiet=True))
    assert "bring the old file back" in told.value.hint
    assert faked.trained == 1


def test_trackers_are_off_and_a_missing_one_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("laptop-135m", "smoke", ['trackers=["trackio"]'])
    for made in (settings(recipe.sft, 0, tmp_path), rl_settings(recipe.rl, 0, tmp_path)):
        assert made["report_to"] == []
        assert "project" not in made
    told = settings(recipe.sft, 0, tmp_path / "run", recipe.trackers)
    assert (told["report_to"], told["run_name"]) == (["trackio"], "run")
    assert rl_settings(recipe.rl, 0, tmp_path, trackers=recipe.trackers)["report_to"] == ["trackio"]
    assert make_plan(recipe, None, tmp_path / "run", True, False).trl["report_to"] == ["trackio"]
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "trackio" else object())
    with pytest.raises(TrainError, match="trackers need trackio") as error:
        sft_command(recipe, TrainCommand(tmp_path / "run"))
    assert error.value.hint == "pip install trackio"
    assert not (tmp_path / "run").exists()


def test_only_the_first_of_several_processes_has_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began: list[Any] = []
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setattr("sixfold.train.weights.open_base", lambda spec, home: tmp_path)
    monkeypatch.setattr("sixfold.train.sft.train_sft", lambda *a, **k: began.append(a) or {})
    sft_command(load_recipe("laptop-135m", "smoke"), TrainCommand(tmp_path / "run"))
    assert len(began) == 1
    assert not (tmp_path / "run").exists()
