"""A broken run is stopped with the last good checkpoint kept; a healthy one is left alone."""

from __future__ import annotations

import errno
import json
import random
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from sixfold.errors import TrainError
from sixfold.train.recipe import Recipe
from sixfold.train.runs import load_metrics, open_run
from sixfold.train.watch import (
    Detector,
    Limits,
    checkpoints,
    disk_full_told,
    drop_halves,
    is_disk_full,
    last_good,
    make_watch,
)

torch = pytest.importorskip("torch")
USUAL, QUICK = Limits(), Limits(logs=2, least=2, window=10)


def first_error(stage: str, logs: list[Mapping[str, Any]], limits: Limits = USUAL) -> tuple[int, TrainError] | None:
    detector = Detector(stage, limits)
    for step, values in enumerate(logs, 1):
        if error := detector.see(step, values):
            return step, error
    return None


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", ["loss", "grad_norm"])
def test_what_is_no_number_stops_at_once(name: str, value: float) -> None:
    found = first_error("sft", [{"loss": 1.0}, {"loss": 1.0, name: value}])
    assert found is not None
    assert found[0] == 2
    assert f"{name} is {value}" in found[1].args[0]
    assert "learning rate" in found[1].hint


def test_a_loss_that_diverges_stops_once_it_is_certain() -> None:
    falling = [{"loss": 3.0 / (1 + s / 10)} for s in range(30)]
    assert first_error("sft", falling) is None
    found = first_error("sft", [*falling, *[{"loss": 5.0}] * 4])
    assert found is not None
    assert found[0] == 34
    assert "the loss diverges: 5" in found[1].args[0]
    # Three of four: it came back by itself.
    assert first_error("sft", [*falling, *[{"loss": 5.0}] * 3, *falling[-5:]]) is None
    # Of RL the loss says nothing: it is near zero and of either sign.
    assert first_error("rl", [*falling, *[{"loss": 5.0}] * 4]) is None


def test_a_small_loss_that_doubles_is_no_divergence() -> None:
    assert first_error("sft", [*[{"loss": 0.02}] * 10, *[{"loss": 0.06}] * 10]) is None


@pytest.mark.parametrize("seed", range(5))
def test_a_healthy_run_is_left_alone(seed: int) -> None:
    noise = random.Random(seed)
    sft = [{"loss": (2.5 / (1 + s / 5) + 0.2) * noise.uniform(0.8, 1.25), "mean_token_accuracy": min(0.95, 0.5 + s / 100)
            * noise.uniform(0.95, 1.05), "grad_norm": noise.uniform(0.1, 3)} for s in range(200)]  # fmt: skip
    assert first_error("sft", sft) is None
    rl = [{"loss": noise.gauss(0, 0.05), "reward": noise.betavariate(4, 6), "accuracy": noise.betavariate(4, 6),
           "entropy": 0.6 * 0.98**s + 0.05, "completions/mean_length": noise.uniform(60, 120), "truncated_share":
           noise.uniform(0, 0.3), "grad_norm": noise.uniform(0, 2)} for s in range(150)]  # fmt: skip
    assert first_error("rl", rl) is None


@pytest.mark.parametrize(
    ("stage", "healthy", "broken", "words"),
    [
        ("sft", {"mean_token_accuracy": 0.8}, {"mean_token_accuracy": 0.2}, "mean_token_accuracy collapses"),
        ("rl", {"accuracy": 0.5}, {"accuracy": 0.02}, "accuracy collapses"),
        ("rl", {"completions/mean_length": 80.0}, {"completions/mean_length": 3.0}, "completions/mean_length collapses"),
        ("rl", {"entropy": 0.4}, {"entropy": 0.001}, "entropy collapses"),
        ("rl", {"truncated_share": 0.1}, {"truncated_share": 1.0}, "100% of the completions do not end"),
    ],
)
def test_collapse_stops(stage: str, healthy: dict[str, float], broken: dict[str, float], words: str) -> None:
    found = first_error(stage, [healthy] * 10 + [broken] * 4)
    assert found is not None
    assert found[0] == 14
    assert words in found[1].args[0]
    assert found[1].hint
    assert first_error(stage, [broken] * 20) is None  # it never was better: the gates are for that


def make_trainer(folder: Path, loss: Callable[[int, Any], Any], callbacks: list[Any], steps: int = 12) -> Any:
    """transformers' own trainer over a model of one weight, whose loss at each step the test decides."""
    from transformers import Trainer, TrainingArguments

    class Toy(torch.nn.Module):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.ones(1))
            self.step = 0

        def forward(self, x: Any, labels: Any = None) -> dict[str, Any]:
            self.step += 1
            return {"loss": loss(self.step, self.weight)}

    arguments = TrainingArguments(
        output_dir=str(folder / "checkpoints"), max_steps=steps, save_steps=2, logging_steps=1, save_total_limit=2,
        report_to=[], disable_tqdm=True, use_cpu=True, per_device_train_batch_size=1, learning_rate=1e-3,
    )  # fmt: skip
    data = [{"x": torch.ones(1), "labels": torch.ones(1)}] * 20
    return Trainer(Toy(), arguments, train_dataset=data, callbacks=callbacks)


def run(folder: Path, loss: Callable[[int, Any], Any], limits: Limits = QUICK, steps: int = 12) -> Any:
    with open_run(folder, Recipe(name="toy"), "sft") as log, disk_full_told(folder):
        trainer = make_trainer(folder, loss, [make_watch(log, limits)], steps)
        trainer.train()
        log.end("done")
    return trainer


def test_a_healthy_run_is_logged_and_ends(tmp_path: Path) -> None:
    run(tmp_path, lambda step, weight: (weight**2).sum())
    assert [m["step"] for m in load_metrics(tmp_path)] == list(range(1, 13))
    assert {"loss", "grad_norm", "learning_rate"} <= set(load_metrics(tmp_path)[0]["values"])
    assert [step for step, _ in checkpoints(tmp_path / "checkpoints")] == [10, 12]
    assert json.loads((tmp_path / "run.json").read_text())["stages"]["sft"]["max_steps"] == 12


def test_a_gradient_that_is_no_number_never_reaches_the_weights(tmp_path: Path) -> None:
    seen: list[Any] = []

    def loss(step: int, weight: Any) -> Any:
        seen.append(weight)
        return (weight * (float("nan") if step == 6 else 1.0)).sum()

    with pytest.raises(
        TrainError, match=r"the gradient of step 6 is nan; the last good checkpoint is .*checkpoint-4\n"
    ) as told:
        run(tmp_path, loss)
    assert "learning rate" in told.value.hint
    assert bool(torch.isfinite(seen[-1]).all())
    assert [step for step, _ in checkpoints(tmp_path / "checkpoints")] == [2, 4]
    state = json.loads((tmp_path / "run.json").read_text())["stages"]["sft"]
    assert (state["state"], "checkpoint-4" in state["reason"]) == ("stopped", True)


def test_divergence_keeps_the_checkpoints_from_before_it(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"the loss diverges.*the last good checkpoint is .*checkpoint-4\n"):
        run(tmp_path, lambda step, weight: (0 * weight + (1.0 if step < 6 else 9.0 + step)).sum(), Limits(logs=6, least=2))
    # Steps 6, 8 and 10 wrote none, so that the rotation (two are kept) dropped no good one.
    assert [step for step, _ in checkpoints(tmp_path / "checkpoints")] == [2, 4]


def test_a_checkpoint_between_the_last_good_log_and_the_first_bad_one_is_set_aside(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    for step in (10, 15):
        (folder / f"checkpoint-{step}").mkdir(parents=True)
        (folder / f"checkpoint-{step}" / "trainer_state.json").write_text(json.dumps({"global_step": step}))
    with open_run(tmp_path / "run", Recipe(name="toy"), "sft") as log:
        watch = make_watch(log, Limits(logs=1, least=1))

        class State:
            global_step, max_steps = 0, 99

        class Arguments:
            output_dir, logging_nan_inf_filter = str(folder), True

        class Control:
            should_save = True

        state, arguments, control = State(), Arguments(), Control()
        watch.on_train_begin(arguments, state, control)
        assert arguments.logging_nan_inf_filter is False
        state.global_step = 10
        watch.on_log(arguments, state, control, logs={"loss": 1.0})
        state.global_step = 20
        with pytest.raises(TrainError, match=r"last good checkpoint is .*checkpoint-10\n"):
            watch.on_log(arguments, state, control, logs={"loss": 9.0})
    assert sorted(p.name for p in folder.iterdir()) == ["checkpoint-10", "suspect-15"]


def test_without_a_checkpoint_that_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="there is no checkpoint from before that"):
        run(tmp_path, lambda step, weight: (weight * float("nan")).sum())


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        OSError(errno.EDQUOT, "Disk quota exceeded"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
        Exception("No space left on device (os error 28)"),  # as tokenizers raises it
    ],
)
def test_a_full_disk_in_a_checkpoint_is_told_and_the_one_before_is_whole(
    tmp_path: Path, error: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import Trainer

    save = Trainer._save_optimizer_and_scheduler

    def full(self: Any, folder: str) -> None:
        if folder.endswith("-6"):
            raise error
        save(self, folder)

    monkeypatch.setattr(Trainer, "_save_optimizer_and_scheduler", full)
    with pytest.raises(TrainError, match=r"is full; the last checkpoint is .*checkpoint-4\n") as told:
        run(tmp_path, lambda step, weight: (weight**2).sum())
    assert "--resume" in told.value.hint
    assert sorted(p.name for p in (tmp_path / "checkpoints").glob("checkpoint-*")) == ["checkpoint-2", "checkpoint-4"]


def test_torch_does_not_say_that_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError(
        "[enforce fail at inline_container.cc:672] . PytorchStreamWriter failed writing file data/0: file write failed"
    )
    assert not is_disk_full(error, tmp_path)
    usage = shutil.disk_usage(tmp_path)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=4096))
    assert is_disk_full(error, tmp_path)
    assert not is_disk_full(RuntimeError("shapes do not fit"), tmp_path)


def test_other_errors_stay_what_they_are(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="shapes"), disk_full_told(tmp_path):
        raise RuntimeError("shapes do not fit")


def test_half_a_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    for step in (2, 4):
        (tmp_path / f"checkpoint-{step}").mkdir()
        (tmp_path / f"checkpoint-{step}" / "model.safetensors").write_bytes(b"x")
    (tmp_path / "checkpoint-2" / "trainer_state.json").write_text('{"global_step": 2}')
    assert last_good(tmp_path, 9) == tmp_path / "checkpoint-2"
    assert last_good(tmp_path, 1) is None
    assert [p.name for p in drop_halves(tmp_path)] == ["checkpoint-4"]
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint-2"]
    assert checkpoints(tmp_path / "none") == []
