"""A run folder remembers what it was told, refuses another run, and keeps metrics that a kill cannot spoil."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from sixfold.config import ConfigError
from sixfold.errors import TrainError
from sixfold.train import curves
from sixfold.train.curves import eta_s, follow, plot, screen, tokens_per_s
from sixfold.train.presets import load_recipe
from sixfold.train.recipe import Recipe
from sixfold.train.runs import Summary, digest, has_trained, is_held, list_runs, load_metrics, open_run, read_run, result_of

RECIPE = Recipe(name="small")


def train(folder: Path, steps: Sequence[int], recipe: Recipe = RECIPE, resume: bool = False, stage: str = "sft") -> None:
    with open_run(folder, recipe, stage, resume) as log:
        log.begin(steps[0] - 1, 50)
        for step in steps:
            log.log(step, {"loss": 4 / step, "mean_token_accuracy": 0.5, "num_tokens": 100.0 * step, "note": "text"})
        log.end("done")


def test_what_the_run_is_told_is_there_before_it_trains(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text('{"a": 1}\n')
    recipe = Recipe.model_validate({"name": "small", "seed": 7, "traces": {"files": [str(data)]}})
    with open_run(tmp_path / "run", recipe, "sft", facts={"base": "b"}):
        assert Recipe.model_validate_json((tmp_path / "run" / "recipe.json").read_text()) == recipe
        record = json.loads((tmp_path / "run" / "run.json").read_text())
        assert record["data"][str(data)]["bytes"] == 9
        assert record["stages"]["sft"]["seeds"] == {"data": 7, "order": 7, "weights": 7, "sampling": 7}
        assert record["stages"]["sft"]["facts"] == {"base": "b"}
        assert {"python", "sixfold", "machine"} <= set(record["stages"]["sft"]["sessions"][0]["versions"])


def test_another_recipe_is_refused_with_what_differs(tmp_path: Path) -> None:
    train(tmp_path, [1, 2])
    other = RECIPE.model_copy(update={"sft": RECIPE.sft.model_copy(update={"learning_rate": 0.5}), "seed": 3})
    with pytest.raises(
        TrainError, match=r"another recipe: seed \(0 there, 3 now\), sft.learning_rate \(0.001 there, 0.5 now\)"
    ):
        train(tmp_path, [3], other, resume=True)
    later = RECIPE.model_copy(update={"gates": RECIPE.gates.model_copy(update={"tags": 0.5})})
    train(tmp_path, [3], later, resume=True)
    assert [m["step"] for m in load_metrics(tmp_path)] == [1, 2, 3]


def test_a_section_may_change_until_its_stage_begins(tmp_path: Path) -> None:
    train(tmp_path, [1])
    other = RECIPE.model_copy(update={"rl": RECIPE.rl.model_copy(update={"learning_rate": 0.5})})
    train(tmp_path, [1], other, stage="rl")
    with pytest.raises(TrainError, match="another recipe"):
        train(tmp_path, [2], RECIPE, stage="rl", resume=True)
    assert [(s.stage, s.state) for s in list_runs(tmp_path)] == [("sft", "done"), ("rl", "done")]


def test_what_the_stages_before_take_does_not_change(tmp_path: Path) -> None:
    train(tmp_path, [1], stage="rl")
    other = RECIPE.model_copy(update={"sft": RECIPE.sft.model_copy(update={"precision": "fp32"})})
    with pytest.raises(TrainError, match=r"another recipe: sft\.precision"):
        train(tmp_path, [2], other, stage="rl", resume=True)


def test_a_changed_data_file_is_refused(tmp_path: Path) -> None:
    data = tmp_path / "rows.jsonl"
    data.write_text("{}\n")
    recipe = Recipe.model_validate({"name": "small", "traces": {"files": [str(data)]}})
    train(tmp_path / "run", [1], recipe)
    data.write_text("[]\n")
    with pytest.raises(TrainError, match="has changed since") as told:
        train(tmp_path / "run", [2], recipe, resume=True)
    assert "old file" in told.value.hint
    data.unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        train(tmp_path / "run", [2], recipe, resume=True)


def model(folder: Path, **files: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}.safetensors").write_bytes(content)
    return folder


def weigh(folder: Path, weights: dict[str, Path], resume: bool = False) -> dict[str, str]:
    with open_run(folder, RECIPE, "rl", resume) as log:
        log.begin(0, 50)
        log.log(1, {"loss": 1.0})
        return log.weights(weights)


def test_the_weights_that_a_stage_begins_from_are_recorded(tmp_path: Path) -> None:
    base, adapter = model(tmp_path / "base", a=b"1", b=b"22"), model(tmp_path / "adapter", adapter_model=b"333")
    (base / "config.json").write_text("{}")
    found = weigh(tmp_path / "run", {"base": base, "adapter": adapter})
    recorded = read_run(tmp_path / "run")["stages"]["rl"]["weights"]
    assert {name: {f: x["bytes"] for f, x in files.items()} for name, files in recorded.items()} == {
        "base": {"a.safetensors": 1, "b.safetensors": 2}, "adapter": {"adapter_model.safetensors": 3},
    }  # fmt: skip
    assert recorded["adapter"]["adapter_model.safetensors"]["sha256"] == hashlib.sha256(b"333").hexdigest()
    assert found == {name: digest(files) for name, files in recorded.items()}
    assert found["adapter"] == hashlib.sha256(b"333").hexdigest()
    # The very same weights in another place are the same.
    moved = model(tmp_path / "moved", a=b"1", b=b"22")
    assert weigh(tmp_path / "run", {"base": moved, "adapter": adapter}, resume=True) == found


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("base", {"a": b"9"}, r"a.safetensors of the base has changed since .*run began: 1 bytes, sha256 6b86b273ff34 then"),
        ("base", {"c": b"1"}, r"c.safetensors of the base has changed since .*: none then, 1 bytes"),
        ("adapter", {"adapter_model": b"4"}, r"adapter_model.safetensors of the adapter has changed since"),
    ],
)
def test_other_weights_do_not_go_on(tmp_path: Path, name: str, change: dict[str, bytes], words: str) -> None:
    weights = {"base": model(tmp_path / "base", a=b"1"), "adapter": model(tmp_path / "adapter", adapter_model=b"3")}
    weigh(tmp_path / "run", weights)
    model(weights[name], **change)
    with pytest.raises(TrainError, match=words) as told:
        weigh(tmp_path / "run", weights, resume=True)
    assert "bring the old file back" in told.value.hint
    stage = read_run(tmp_path / "run")["stages"]["rl"]
    assert stage["state"] == "stopped"
    assert stage["weights"]["base"].keys() == {"a.safetensors"}


def test_going_on_without_the_adapter_is_refused(tmp_path: Path) -> None:
    base, adapter = model(tmp_path / "base", a=b"1"), model(tmp_path / "adapter", adapter_model=b"3")
    weigh(tmp_path / "run", {"base": base, "adapter": adapter})
    with pytest.raises(TrainError, match=r"of the adapter has changed since .*: 1 bytes, sha256 .* then, none now"):
        weigh(tmp_path / "run", {"base": base}, resume=True)


def test_a_run_of_an_earlier_version_has_no_weights_to_compare(tmp_path: Path) -> None:
    train(tmp_path / "run", [1], stage="rl")
    assert weigh(tmp_path / "run", {"base": model(tmp_path / "base", a=b"1")}, resume=True)
    assert "weights" in read_run(tmp_path / "run")["stages"]["rl"]


def test_training_that_came_to_its_end_is_told_from_gates_that_did_not(tmp_path: Path) -> None:
    assert has_trained(tmp_path, "sft") is None
    with open_run(tmp_path, RECIPE, "sft") as log:
        log.log(1, {"loss": 1.0})
        assert has_trained(tmp_path, "sft") is None
        log.note(counts={"rows": 3})
        # Counted, but nothing is there.
        assert has_trained(tmp_path, "sft") is None
        model(tmp_path / "adapter", adapter_model=b"3")
        log.end("stopped", "gate tags failed")
    assert has_trained(tmp_path, "sft") == {"rows": 3}
    assert has_trained(tmp_path, "rl") is None
    assert [(s.state, s.reason) for s in list_runs(tmp_path)] == [("stopped", "gate tags failed")]
    assert result_of(tmp_path).name == "adapter"
    model(tmp_path / "model", model=b"4")
    assert result_of(tmp_path).name == "model"


def test_trackers_may_change_while_a_run_goes_on(tmp_path: Path) -> None:
    train(tmp_path, [1])
    train(tmp_path, [2], RECIPE.model_copy(update={"trackers": ("tensorboard",)}), resume=True)
    assert read_run(tmp_path)["recipe"]["trackers"] == ["tensorboard"]


def test_a_begun_stage_needs_resume_and_is_held_by_one_process(tmp_path: Path) -> None:
    train(tmp_path, [1])
    with pytest.raises(TrainError, match="has begun stage sft already") as told:
        train(tmp_path, [2])
    assert "--resume" in told.value.hint
    with open_run(tmp_path, RECIPE, "sft", True) as log:
        log.begin(1, 50)
        assert is_held(tmp_path)
        assert [s.state for s in list_runs(tmp_path)] == ["running"]
        with pytest.raises(TrainError, match="another run is writing"):
            train(tmp_path, [2], resume=True)
    assert not is_held(tmp_path)
    # It neither ended nor is it held: as after kill -9.
    assert [s.state for s in list_runs(tmp_path)] == ["killed"]


def test_a_run_that_a_gate_stopped_begins_again(tmp_path: Path) -> None:
    with pytest.raises(TrainError), open_run(tmp_path, RECIPE, "sft"):
        raise TrainError("gate audit failed")
    train(tmp_path, [1], RECIPE.model_copy(update={"seed": 5}))
    assert [(s.state, s.step) for s in list_runs(tmp_path)] == [("done", 1)]


def test_data_that_was_made_belongs_to_its_recipe(tmp_path: Path) -> None:
    with open_run(tmp_path, RECIPE, "sft"):
        (tmp_path / "data").mkdir()
    with pytest.raises(TrainError, match="seed \\(0 there, 5 now\\)"):
        train(tmp_path, [1], RECIPE.model_copy(update={"seed": 5}))


def test_checkpoints_of_an_unknown_run_are_not_taken_over(tmp_path: Path) -> None:
    (tmp_path / "checkpoints" / "checkpoint-3").mkdir(parents=True)
    with pytest.raises(TrainError, match="nothing is known of"):
        train(tmp_path, [1], resume=True)


def test_half_a_line_and_what_was_done_again_do_not_count(tmp_path: Path) -> None:
    train(tmp_path, [1, 2, 3, 4])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 5, "stage": "sft", "val')
    assert [m["step"] for m in load_metrics(tmp_path)] == [1, 2, 3, 4]
    before = (tmp_path / "metrics.jsonl").read_text().splitlines()
    train(tmp_path, [3, 4, 5], resume=True)
    assert [m["step"] for m in load_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    after = (tmp_path / "metrics.jsonl").read_text().splitlines()
    # Only ever appended to: but for the half line all is still there.
    assert after[:4] == before[:4]
    assert len(after) == 4 + 1 + 3
    times = [m["time_s"] for m in load_metrics(tmp_path)]
    assert times == sorted(times)


def test_a_line_of_something_else_is_told(tmp_path: Path) -> None:
    train(tmp_path, [1])
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write("hello\n")
    with pytest.raises(TrainError, match="line 2 is not of a run"):
        load_metrics(tmp_path)
    with pytest.raises(TrainError, match="is no training run"):
        load_metrics(tmp_path / "none")


def test_numbers_that_json_has_not_stay_readable(tmp_path: Path) -> None:
    with open_run(tmp_path, RECIPE, "sft") as log:
        log.log(1, {"loss": float("nan"), "grad_norm": float("inf"), "text": "left out", "flag": True})
    assert load_metrics(tmp_path)[0]["values"] == {"loss": "nan", "grad_norm": "inf"}
    json.loads((tmp_path / "metrics.jsonl").read_text(), parse_constant=lambda name: pytest.fail(name))


def test_an_error_is_kept_as_why_it_stopped(tmp_path: Path) -> None:
    with pytest.raises(TrainError):
        with open_run(tmp_path / "a", RECIPE, "sft"):
            raise TrainError("the loss diverges", hint="slower")
    (tmp_path / "no-run").mkdir()
    (tmp_path / "bad").mkdir()
    (tmp_path / "bad" / "run.json").write_text("[]")
    found = list_runs(tmp_path)
    assert [(s.folder.name, s.state, s.reason) for s in found] == [("a", "stopped", "the loss diverges")]


def test_runs_are_listed_with_their_last_numbers(tmp_path: Path) -> None:
    train(tmp_path / "a", [10, 20])
    train(tmp_path / "b", [10])
    by_name = {s.folder.name: s for s in list_runs(tmp_path)}
    assert (by_name["a"].step, by_name["a"].max_steps, by_name["a"].loss, by_name["a"].accuracy) == (20, 50, 0.2, 0.5)
    assert by_name["b"].step == 10
    assert read_run(tmp_path / "a")["recipe"]["name"] == "small"


def line(step: int, time_s: float, tokens: float) -> dict[str, object]:
    return {"step": step, "stage": "sft", "time_s": time_s, "values": {"num_tokens": tokens, "loss": 1.0 / step}}


def test_rates_are_those_of_late(tmp_path: Path) -> None:
    # A slow beginning (compiling) is not the pace of what is left.
    lines = [line(1, 100, 10), line(2, 110, 110), line(3, 120, 210), line(4, 130, 310)]
    assert tokens_per_s(lines) == pytest.approx(10.0)
    assert eta_s(lines, 10) == pytest.approx(60.0)
    assert tokens_per_s(lines[:1]) is None
    assert eta_s(lines[:1], 10) is None


@pytest.mark.parametrize("name", ["curves.png", "curves.svg"])
def test_curves_are_drawn(tmp_path: Path, name: str) -> None:
    train(tmp_path / "run", range(1, 9))
    train(tmp_path / "run", range(1, 9), stage="rl")
    plot(tmp_path / "run", tmp_path / name)
    drawn = (tmp_path / name).read_bytes()
    assert drawn.startswith(b"\x89PNG") if name.endswith("png") else b"<svg" in drawn
    plot(tmp_path / "run", tmp_path / ("again" + name))
    assert (tmp_path / ("again" + name)).read_bytes() == drawn


def test_what_cannot_be_drawn_is_told(tmp_path: Path) -> None:
    with open_run(tmp_path / "run", RECIPE, "sft"):
        pass
    with pytest.raises(TrainError, match="has logged nothing yet"):
        plot(tmp_path / "run", tmp_path / "a.png")
    train(tmp_path / "other", [1])
    with pytest.raises(ConfigError, match="neither PNG nor SVG"):
        plot(tmp_path / "other", tmp_path / "a.jpeg")
    with pytest.raises(ConfigError, match="cannot be written"):
        plot(tmp_path / "other", tmp_path / "none" / "a.png")


def test_the_screen_shows_where_the_run_is(tmp_path: Path) -> None:
    lines = [line(s, 10.0 * s, 1000.0 * s) for s in range(1, 9)]
    summary = Summary(tmp_path, "small", "sft", "running", 8, 20, 80.0, 0.1, 0.5, "", "now")
    console = Console(file=StringIO(), width=100)
    console.print(screen(summary, lines))
    shown = console.file.getvalue()  # type: ignore[attr-defined]
    for part in ("step 8 of 20", "1 min 20 s so far", "100 tokens/s", "2 min 0 s left", "loss", "█"):
        assert part in shown


def test_following_ends_with_the_run(tmp_path: Path) -> None:
    console = Console(file=StringIO(), width=100)
    with open_run(tmp_path, RECIPE, "sft") as log:
        log.begin(0, 3)
        polls = 0

        def sleep(seconds: float) -> None:
            nonlocal polls
            polls += 1
            log.log(polls, {"loss": 1.0})
            if polls == 3:
                log.end("done")

        follow(tmp_path, console, sleep=sleep)
    assert polls == 3
    assert "step 3 of 3" in console.file.getvalue()  # type: ignore[attr-defined]
    with pytest.raises(TrainError, match="is no training run"):
        follow(tmp_path / "none", console)


def test_panels_name_each_number_once() -> None:
    keys = [key for keys in curves.PANELS.values() for key in keys]
    assert len(keys) == len(set(keys))


def test_presets_are_laid_over_the_recipe_and_checked(tmp_path: Path) -> None:
    file = tmp_path / "r.toml"
    file.write_text('name = "r"\n[sft]\nepochs = 2.0\nmax_tokens = 64\n[presets.quick.sft]\nepochs = 0.5\n')
    assert load_recipe(str(file)).sft.epochs == 2.0
    quick = load_recipe(str(file), "quick", ["sft.max_tokens=32"])
    assert (quick.sft.epochs, quick.sft.max_tokens) == (0.5, 32)
    with pytest.raises(ConfigError, match="no preset 'quik'") as told:
        load_recipe(str(file), "quik")
    assert told.value.hint == "did you mean quick?"
    file.write_text('name = "r"\n[presets.quick.sft]\nepoch = 0.5\n')
    with pytest.raises(ConfigError, match=r"unknown setting sft\.epoch$|unknown setting sft\.epoch\n"):
        load_recipe(str(file))
    with pytest.raises(ConfigError, match="there is no recipe 'laptop-135'") as told:
        load_recipe("laptop-135")
    assert told.value.hint == "did you mean laptop-135m?"
    with pytest.raises(ConfigError, match="cannot be read"):
        load_recipe(str(tmp_path / "none.toml"))
    file.write_text('name = "r"\npresets = 3\n')
    with pytest.raises(ConfigError, match="presets is not a table"):
        load_recipe(str(file))


@pytest.mark.parametrize("preset", ["", "quick", "smoke"])
def test_the_shipped_recipe_is_valid(preset: str) -> None:
    assert load_recipe("laptop-135m", preset).name == "laptop-135m"
