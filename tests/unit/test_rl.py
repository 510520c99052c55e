"""RL trains on what was drawn, pays only right and finished answers, is corrected for its sampler, and resumes exactly."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("trl")
from training import make_tiny

from sixfold.core import Problem, Verdict
from sixfold.errors import TrainError
from sixfold.train.recipe import Recipe
from sixfold.train.rewards import Group, Scored, metrics_of, unscaled_advantages
from sixfold.train.rl import LOSSES, make_trainer, settings, train_rl
from sixfold.train.watch import checkpoints

# transformers 5 warns of a name that TRL still uses; `train_rl` says so itself, what is called here directly does not.
pytestmark = pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that ends a turn with one token in ten, so that some completions end and some are cut."""
    folder = make_tiny(tmp_path_factory.mktemp("models") / "tiny")
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": [257, *range(0, 256, 10)]}), encoding="utf-8")
    return folder


def recipe(loss: str = "dr_grpo", **rl: Any) -> Recipe:
    settings_ = {
        "tasks": ["math/gcd", "math/product", "tabular/lookup"], "loss": loss, "prompts": 2, "group_size": 4, "micro_batch": 4,
        "max_tokens": 16, "max_prompt_tokens": 900, "steps": 2, "save_steps": 1, "learning_rate": 1e-2, "warmup": 0.0,
    }  # fmt: skip
    return Recipe.model_validate({
        "name": "test", "sft": {"precision": "fp32", "lora": {"rank": 4, "alpha": 8}}, "rl": settings_ | rl,
    })  # fmt: skip


def judge(problem: Problem, text: str) -> Verdict:
    """Right, wrong and unscored in turn, as the text has it."""
    return Verdict([0.0, 1.0, None][sum(map(ord, text)) % 3], form="strict")


def always(score: float | None) -> Callable[[Problem, str], Verdict]:
    return lambda problem, text: Verdict(score, form="strict")


def trainer_of(base: Path, folder: Path, judge: Any = judge, loss: str = "dr_grpo", **rl: Any) -> Any:
    trainer = make_trainer(recipe(loss, **rl), base, None, folder, judge)
    with torch.no_grad():
        # An adapter that does something: it begins at zero.
        for name, weights in trainer.model.named_parameters():
            if "lora_B" in name:
                weights.normal_(std=0.05, generator=torch.Generator().manual_seed(len(name)))
    return trainer


def drawn(trainer: Any) -> Any:
    """One batch as TRL gets it, in the order in which it was drawn."""
    trainer.model.train()
    size = trainer.recipe.rl.prompts * trainer.recipe.rl.group_size
    return trainer._generate_and_score_completions([{"prompt": []}] * size)


def values(done: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {line["step"]: {k: v for k, v in line.items() if k != "step"} for line in done["log"] if "loss" in line}


@pytest.mark.parametrize("loss", sorted(LOSSES))
def test_every_loss_trains(loss: str, base: Path, tmp_path: Path) -> None:
    done = train_rl(recipe(loss), base, None, tmp_path, judge=judge)
    logged = values(done)
    assert sorted(logged) == [1, 2]
    assert any(step["grad_norm"] > 0 for step in logged.values())
    for step in logged.values():
        assert all(math.isfinite(step[name]) for name in ("loss", "grad_norm", "entropy", "reward"))
        assert 0 <= step["sampler/kl"] < 1e-6, "the sampler is the policy itself, in float32"
        assert {"accuracy", "tag_rate", "truncated_share", "zero_variance_share", "drawn/accuracy", "drawn/groups"} <= set(step)
    assert done["groups"] == sum(step["drawn/groups"] for step in logged.values())
    assert (tmp_path / "adapter" / "adapter_model.safetensors").is_file()


@pytest.mark.slow
def test_what_is_paid_becomes_more_frequent(base: Path, tmp_path: Path) -> None:
    """The sign is right: a policy that is paid for short answers gives more of them, and levels open with success."""

    def short(problem: Problem, text: str) -> Verdict:
        return Verdict(float(len(text) <= 3), form="strict")

    wanted = recipe(
        steps=30, save_steps=30, prompts=4, group_size=8, micro_batch=16, max_tokens=12, learning_rate=8e-3, window=32
    )
    full = wanted.model_copy(update={"sft": wanted.sft.model_copy(update={"method": "full"})})
    logged = values(train_rl(full, base, None, tmp_path, judge=short))
    first, last = (sum(logged[step]["drawn/accuracy"] for step in steps) / 8 for steps in (range(1, 9), range(23, 31)))
    assert last > first + 0.25
    assert logged[30]["cells/mean_level"] > 1


def test_a_resumed_run_is_the_uninterrupted_one(base: Path, tmp_path: Path) -> None:
    code = (
        "import os, sys\nfrom pathlib import Path\nsys.path[:0] = sys.argv[3:]\nimport test_rl\n"
        "from transformers import TrainerCallback\n"
        "class Kill(TrainerCallback):\n"
        "    def on_step_begin(self, args, state, control, **kw):\n"
        "        if state.global_step == 3: os.kill(os.getpid(), 9)\n"
        "test_rl.train_rl(test_rl.recipe('dapo', steps=5), Path(sys.argv[1]), None, Path(sys.argv[2]), callbacks=[Kill()],"
        " judge=test_rl.judge)\n"
    )
    here = Path(__file__).parent
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    command = [sys.executable, "-c", code, base, killed, here, here.parent]
    assert subprocess.run(command, capture_output=True, check=False).returncode == -9
    assert [step for step, _ in checkpoints(killed / "checkpoints")] == [2, 3]
    again = train_rl(recipe("dapo", steps=5), base, None, killed, resume=True, judge=judge)
    once = train_rl(recipe("dapo", steps=5), base, None, whole, judge=judge)
    after, before = values(again), values(once)
    assert sorted(after) == sorted(before) == [1, 2, 3, 4, 5]
    clock = {"rollout_s", "step_time"}
    for step in after:
        assert {k: v for k, v in after[step].items() if k not in clock} == {
            k: v for k, v in before[step].items() if k not in clock
        }
    states = [json.loads((f / "checkpoints/checkpoint-5/cells-0.json").read_text()) for f in (killed, whole)]
    assert states[0] == states[1]
    assert states[0]["count"] == once["groups"]
    assert {k: n for k, n in again.items() if k != "log"} == {k: n for k, n in once.items() if k != "log"}
    weights = [(f / "adapter" / "adapter_model.safetensors").read_bytes() for f in (killed, whole)]
    assert weights[0] == weights[1]


@pytest.mark.slow
def test_two_processes_draw_apart_and_train_one_policy(base: Path, tmp_path: Path) -> None:
    script = tmp_path / "two.py"
    script.write_text(
        "import sys\nfrom pathlib import Path\nsys.path[:0] = sys.argv[3:]\nimport test_rl\n"
        "test_rl.train_rl(test_rl.recipe('dapo', steps=1, prompts=4), Path(sys.argv[1]), None, Path(sys.argv[2]),"
        " judge=test_rl.judge)\n",
        encoding="utf-8",
    )
    here = Path(__file__).parent
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    done = subprocess.run([*launch, script, base, tmp_path, here, here.parent], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    states = [json.loads((tmp_path / f"checkpoints/checkpoint-1/cells-{rank}.json").read_text()) for rank in (0, 1)]
    assert states[0]["seed"] != states[1]["seed"]
    assert states[0]["taken"] != states[1]["taken"]


def test_a_checkpoint_without_its_draws_is_refused(base: Path, tmp_path: Path) -> None:
    train_rl(recipe(steps=1), base, None, tmp_path, judge=judge)
    (tmp_path / "checkpoints" / "checkpoint-1" / "cells-0.json").unlink()
    with pytest.raises(TrainError, match="what was drawn"):
        train_rl(recipe(steps=2), base, None, tmp_path, resume=True, judge=judge)


def test_what_is_unscored_or_cut_moves_nothing(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, prompts=4, group_size=8, max_tokens=12)
    outputs = drawn(trainer)
    scored = [s for group in trainer.batch for s in group.scored]
    finishes = [f for group in trainer.batch for f in group.finish]
    kinds = {(s.score, s.truncated) for s in scored}
    assert {(None, False), (0.0, False), (1.0, False), (0.0, True)} <= kinds, "this test wants all kinds"
    for row, (what, finish) in enumerate(zip(scored, finishes, strict=True)):
        assert what.truncated == (finish == "length")
        if what.truncated:
            assert what.reward == 0
            assert outputs["completion_mask"][row].sum() == 0
            assert outputs["advantages"][row] <= 0
        if what.reward is None:
            assert outputs["advantages"][row] == 0
    for at, group in enumerate(trainer.batch):
        rewards = torch.tensor([s.reward for s in group.scored if s.reward is not None])
        expected = [0.0 if s.reward is None else s.reward - rewards.mean().item() for s in group.scored]
        torch.testing.assert_close(outputs["advantages"][8 * at : 8 * at + 8], torch.tensor(expected))


def test_each_group_is_judged_by_its_own_problem(base: Path, tmp_path: Path) -> None:
    """Rewards of a batch follow the problem that its prompt asks, through the refill and TRL's own call."""
    seen: dict[str, str] = {}

    def by_question(problem: Problem, text: str) -> Verdict:
        seen[problem.id] = problem.question
        return Verdict(float(hash((problem.question, text)) % 2), form="strict")

    trainer = trainer_of(base, tmp_path, by_question, prompts=4)
    outputs = drawn(trainer)
    tokenizer = trainer.processing_class
    for at, group in enumerate(trainer.batch):
        question = group.row["prompt"][-1]["content"]
        assert seen.get(group.row["extra_info"]["id"], question) == question
        for index in range(4):
            row = 4 * at + index
            prompt = outputs["prompt_ids"][row][outputs["prompt_mask"][row].bool()]
            assert question in tokenizer.decode(prompt)
            assert outputs["completion_ids"][row][: len(group.ids[index])].tolist() == list(group.ids[index])
            if not group.scored[index].truncated:
                assert group.scored[index].score == float(hash((question, group.texts[index])) % 2)
    rewards = [s.reward for group in trainer.batch for s in group.scored]
    assert list(trainer._logs["rewards"]["reward"]) == rewards


def test_groups_without_a_signal_are_drawn_again_and_bounded(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, always(0.0), refill=3)
    drawn(trainer)
    assert trainer.counts["groups"] == 2 * 4
    assert len(trainer.batch) == 2
    assert trainer._metrics["train"]["zero_variance_share"] == [1.0]
    assert trainer.cells.state()["count"] == 8


def test_the_loss_is_corrected_for_the_sampler(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, prompts=4)
    trainer.current_gradient_accumulation_steps = 1
    outputs = drawn(trainer)
    old, mask = outputs["old_per_token_logps"], outputs["completion_mask"].bool()
    for row, logprobs in enumerate(logprobs for group in trainer.batch for logprobs in group.logprobs):
        if mask[row].any():
            torch.testing.assert_close(old[row][mask[row]], torch.tensor(logprobs))
    assert not old[~mask].any()
    trainer._compute_loss(trainer.model, outputs)
    assert trainer._metrics["train"].pop("sampler/kl")[0] == pytest.approx(0, abs=1e-7)
    # A sampler that differs from the policy, as a quantised one does, shows in the log and in the loss.
    shifted = {**outputs, "old_per_token_logps": (old - 0.1) * mask}
    losses = [trainer._compute_loss(trainer.model, batch).item() for batch in (outputs, shifted)]
    assert losses[0] != pytest.approx(losses[1], abs=1e-5)
    assert trainer._metrics["train"]["sampler/kl"][-1] == pytest.approx(math.exp(0.1) - 1 - 0.1, rel=1e-3)


def test_what_the_sampler_does_not_tell_is_not_corrected(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, prompts=4)
    trainer.current_gradient_accumulation_steps = 1
    rollouts = trainer.rollouts

    @contextmanager
    def silent(of: Any) -> Iterator[Any]:
        with rollouts(of) as draw:

            def draw_without(prompts: Any, seed: int) -> Any:
                ids, logprobs, finish = draw(prompts, seed)
                return ids, [[math.nan, *values[1:]] for values in logprobs], finish

            yield draw_without

    trainer.rollouts = silent
    outputs = drawn(trainer)
    old, mask = outputs["old_per_token_logps"], outputs["completion_mask"].bool()
    assert old[:, 0][mask[:, 0]].isnan().all()
    assert old.isnan().sum() == mask[:, 0].sum() > 0
    assert trainer.counts["tokens that the sampler gave no probability"] >= 4 * 4
    shifted = {**outputs, "old_per_token_logps": old - 0.1 * mask}
    untold = trainer._compute_loss(trainer.model, outputs).item()
    assert not old.isnan().any()
    assert trainer._metrics["train"]["sampler/kl"][-1] == pytest.approx(0, abs=1e-7)
    own = {**outputs, "old_per_token_logps": trainer.trainer_logps * mask}
    assert trainer._compute_loss(trainer.model, own).item() == pytest.approx(untold, abs=1e-6)
    # The others are corrected as ever.
    assert trainer._compute_loss(trainer.model, shifted).item() != pytest.approx(untold, abs=1e-5)
    learned = (mask.sum() - mask[:, 0].sum()) / mask.sum()
    kl = trainer._metrics["train"]["sampler/kl"][-1]
    assert kl == pytest.approx((math.exp(0.1) - 1 - 0.1) * learned.item(), rel=1e-3)


@pytest.mark.parametrize("loss", ["dapo", "gspo"])
def test_scoring_completion_tokens_alone_is_what_trl_does(loss: str, base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, loss=loss, prompts=4, temperature=0.8)
    trainer.current_gradient_accumulation_steps = 1
    batch = drawn(trainer)
    assert not batch["completion_mask"].any(1).all(), "this test wants a row that is left out"
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], 1)
    mask = torch.cat([batch["prompt_mask"], batch["completion_mask"]], 1)
    keep = batch["completion_ids"].shape[1]
    got, grads = [], []
    for ours in (True, False):
        trainer.scores_itself = ours
        trainer.model.zero_grad()
        # A little off the sampler, so that the ratio is not one.
        shifted = {**batch, "old_per_token_logps": batch["old_per_token_logps"] * 0.999}
        loss_ = trainer._compute_loss(trainer.model, shifted)
        loss_.backward()
        scores = trainer._get_per_token_logps_and_entropies(trainer.model, ids, mask, keep, compute_entropy=True)
        got.append((loss_.detach(), scores[0].detach(), scores[1].detach()))
        grads.append({name: w.grad.clone() for name, w in trainer.model.named_parameters() if w.grad is not None})
    for mine, stock in zip(*got, strict=True):
        torch.testing.assert_close(mine, stock, atol=1e-5, rtol=1e-4)
    assert grads[0].keys() == grads[1].keys()
    assert any(g.abs().max() > 0 for g in grads[1].values())
    for name in grads[0]:
        torch.testing.assert_close(grads[0][name], grads[1][name], atol=1e-6, rtol=1e-3)


def test_a_batch_of_cut_completions_has_a_gradient_of_zero(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path)
    trainer.current_gradient_accumulation_steps = 1
    batch = drawn(trainer)
    batch["completion_mask"].zero_()
    trainer._compute_loss(trainer.model, batch).backward()
    assert all(w.grad is None or not w.grad.any() for w in trainer.model.parameters())


def test_long_batches_are_scored_in_parts(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    trainer = trainer_of(base, tmp_path)
    trainer.current_gradient_accumulation_steps = 1
    batch, grads = drawn(trainer), []
    for positions in (2048, 3):
        monkeypatch.setattr("sixfold.train.rollout._POSITIONS", positions)
        trainer.model.zero_grad()
        trainer._compute_loss(trainer.model, batch).backward()
        grads.append([w.grad.clone() for w in trainer.model.parameters() if w.grad is not None])
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, atol=1e-7, rtol=1e-4)


def test_training_goes_on_from_an_adapter(base: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file

    train_rl(recipe(steps=1), base, None, tmp_path / "first", judge=judge)
    adapter = tmp_path / "first" / "adapter"
    trainer = make_trainer(recipe(), base, adapter, tmp_path / "second", judge)
    trained = {name for name, weights in trainer.model.named_parameters() if weights.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    for name, weights in load_file(adapter / "adapter_model.safetensors").items():
        torch.testing.assert_close(trainer.model.get_parameter(name.replace(".weight", ".default.weight")).data, weights)
    with pytest.raises(TrainError, match="no adapter"):
        make_trainer(recipe(), base, base, tmp_path / "third", judge)


def test_all_weights_can_be_trained(base: Path, tmp_path: Path) -> None:
    full = recipe(steps=1).model_copy(update={"sft": recipe().sft.model_copy(update={"method": "full"})})
    train_rl(full, base, None, tmp_path, judge=judge)
    assert (tmp_path / "model" / "model.safetensors").is_file()


def test_prompts_that_are_too_long_are_counted_and_end_at_last(base: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="too long"):
        drawn(trainer_of(base, tmp_path, max_prompt_tokens=16))


def test_a_step_can_be_learned_from_in_mini_batches(base: Path, tmp_path: Path) -> None:
    given: dict[str, Any] = {
        "prompts": 4, "mini_batch": 2, "steps": 3, "refill": 0, "clip_high": 0.2, "dual_clip": 10.0, "weight_decay": 0.1,
    }  # fmt: skip
    wanted = recipe("dapo", **given, gradient_checkpointing=True)
    done = train_rl(wanted, base, None, tmp_path / "run", judge=judge)
    logged = values(done)
    assert sorted(logged) == [1, 2, 3, 4, 5, 6]
    assert done["groups"] == 12
    assert ["drawn/groups" in logged[step] for step in sorted(logged)] == [True, False] * 3
    # No checkpoint lies between two updates by the same rollouts, so going on draws what would have been drawn.
    assert [step for step, _ in checkpoints(tmp_path / "run" / "checkpoints")] == [4, 6]
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "checkpoint-6")
    again = values(train_rl(wanted, base, None, tmp_path / "run", resume=True, judge=judge))
    plain = values(train_rl(recipe("dapo", **given), base, None, tmp_path / "plain", judge=judge))
    for step in logged:
        assert again[step]["loss"] == logged[step]["loss"]
        # What is computed again is what was computed.
        assert plain[step]["loss"] == pytest.approx(logged[step]["loss"], abs=1e-6)


def test_a_step_must_divide_into_whole_groups(tmp_path: Path) -> None:
    assert settings(recipe().rl, 0, tmp_path, 2)["gradient_accumulation_steps"] == 1
    for processes in (3, 4):
        with pytest.raises(TrainError, match="does not divide"):
            settings(recipe().rl, 0, tmp_path, processes)
    with pytest.raises(ValueError, match="must divide by micro_batch"):
        recipe(micro_batch=3)


def group(*scored: Scored) -> Group:
    ids = [[1] * (index + 1) for index in range(len(scored))]
    return Group("math/gcd:1", {"ability": "math"}, [1], ids, [], [], [], scored)


def test_metrics_tell_accuracy_beside_the_reward() -> None:
    right, wrong = Scored(1.1, 1.0, True, False), Scored(0.1, 0.0, True, False)
    cut, unscored = Scored(0.0, 0.0, False, True), Scored(None, None, False, False)
    mixed, all_wrong = group(right, wrong, cut, unscored), group(wrong, cut)
    got = metrics_of([mixed], [mixed, all_wrong])
    assert got["accuracy"] == got["accuracy/math"] == pytest.approx(1 / 3)
    assert got["drawn/accuracy"] == pytest.approx(1 / 5)
    assert (got["unscored_share"], got["truncated_share"], got["tag_rate"]) == (0.25, 0.25, 0.5)
    assert (got["length/right"], got["length/wrong"]) == (1, 2.5)
    assert (got["zero_variance_share"], got["drawn/zero_variance_share"], got["drawn/groups"]) == (0, 0.5, 2)


def test_form_alone_never_weighs_as_much_as_an_answer() -> None:
    formed, plain, unscored = Scored(0.1, 0.0, True, False), Scored(0.0, 0.0, False, False), Scored(None, None, True, False)
    assert not group(formed, plain).signal
    assert unscaled_advantages(group(formed, plain, unscored)) == pytest.approx([0.05, -0.05, 0])


def test_losses_that_scale_by_deviation_leave_form_small(base: Path, tmp_path: Path) -> None:
    trainer = trainer_of(base, tmp_path, always(0.0), loss="dapo", refill=0, mask_truncated=False)
    tagged = iter(range(100))
    trainer.rewards.score = lambda row, text, how: Scored(0.1 * (next(tagged) % 2), 0.0, False, False)
    outputs = drawn(trainer)
    assert outputs["advantages"].abs().max() == pytest.approx(0.05)
