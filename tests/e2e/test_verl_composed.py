"""verl reads what we compile for it, and computes what TRL computes.

It needs verl's own environment: SIXFOLD_VERL is the path of a Python that has verl 0.9.1 and what `sixfold` needs (without an
accelerator: torch, ray, tensordict and hydra are enough). The TRL side runs here, through TRL's own `_compute_loss`.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from sixfold.scale.verl import overrides, write_bundle
from sixfold.train.recipe import Recipe
from sixfold.train.rl import LOSSES

# Read when collected: a test has no settings from outside.
PYTHON = os.environ.get("SIXFOLD_VERL")
ROOT = Path(__file__).resolve().parents[2]
pytestmark = [pytest.mark.slow, pytest.mark.skipif(not PYTHON, reason="SIXFOLD_VERL names no Python with verl")]
TRUTH = json.dumps({"question": "2 + 2?", "answer": "4", "verifier": "math", "meta": {}})
MAX_TOKENS = 12


@pytest.fixture(scope="module")
def batch() -> dict[str, Any]:
    """Two groups of four, of unequal lengths; ratios on both sides of every clip, and far beyond."""
    import torch

    generator = torch.Generator().manual_seed(3)
    old = -3 * torch.rand(8, 9, generator=generator)
    drift = torch.tensor([0.0002, 0.05, 0.3, 0.6, 1.2, 1.9, 0.4, 0.1])[:, None]
    lengths = torch.tensor([9, 4, 7, 1, 3, 9, 6, 8])
    return {
        "old_logprobs": old.tolist(),
        "logprobs": (old + drift * torch.randn(8, 9, generator=generator)).tolist(),
        "mask": (torch.arange(9)[None, :] < lengths[:, None]).int().tolist(),
        "rewards": [1.1, 0.1, 0.0, 1.0, 0.0, 0.1, 0.0, 1.1],
        "group": [0, 0, 0, 0, 1, 1, 1, 1],
    }


def recipe(loss: str) -> Recipe:
    return Recipe.model_validate({"name": "r", "rl": {"loss": loss, "max_tokens": MAX_TOKENS, "steps": 2}})


def ask(batch: dict[str, Any], epsilon: float | None, parquet: str = "") -> dict[str, Any]:
    asked = {
        "overrides": {loss: overrides(recipe(loss), "/m", Path("/t"), Path("/v"), Path("/r x")) for loss in LOSSES},
        "batch": batch, "epsilon": epsilon, "parquet": parquet,
        "cases": [
            {"solution_str": "<think>2 + 2</think>\n\nAnswer: 4", "ground_truth": TRUTH},
            {"solution_str": "<think>2 + 2</think>\n\nAnswer: \\sqrt{16}", "ground_truth": TRUTH},
            {"solution_str": "<think>2 + 2 = 4", "ground_truth": TRUTH},
            {"solution_str": "Answer: 4", "ground_truth": "4"},
        ] * 4,
    }  # fmt: skip
    done = subprocess.run(
        [str(PYTHON), "-W", "ignore", str(Path(__file__).with_name("verl_side.py"))],
        input=json.dumps(asked), capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT), "HF_HUB_OFFLINE": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    said: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return said


def trl_advantages(batch: dict[str, Any], loss: str, epsilon: float) -> Any:
    """As TRL 1.16 computes them: against the group's mean, over its deviation where the loss scales by it."""
    import torch

    rewards = torch.tensor(batch["rewards"]).view(2, 4)
    advantages = rewards - rewards.mean(1, keepdim=True)
    if LOSSES[loss]["scale_rewards"] == "group":
        advantages = advantages / (rewards.std(1, keepdim=True) + epsilon)
    return advantages.flatten()


def trl_loss(batch: dict[str, Any], loss: str, advantages: Any) -> tuple[float, Any]:
    """Loss and gradient by TRL's own code, on a trainer that has nothing but what that code reads."""
    import torch
    from trl import GRPOTrainer

    settings = LOSSES[loss]
    mask = torch.tensor(batch["mask"])
    logprobs = torch.tensor(batch["logprobs"], requires_grad=True)
    trainer = SimpleNamespace(
        loss_type=settings["loss_type"], epsilon_low=settings.get("epsilon", 0.2), epsilon_high=settings["epsilon_high"],
        importance_sampling_level=settings.get("importance_sampling_level", "token"), beta=0.0, top_entropy_quantile=1.0,
        off_policy_mask_threshold=None, use_vllm=False, aux_loss_enabled=False, _entropy_bonus_enabled=False,
        max_completion_length=MAX_TOKENS, current_gradient_accumulation_steps=1, model=SimpleNamespace(training=True),
        args=SimpleNamespace(delta=None, steps_per_generation=1), _metrics=defaultdict(lambda: defaultdict(list)),
        accelerator=SimpleNamespace(num_processes=1, gather=lambda x: x, reduce=lambda x, reduction: x, sync_gradients=True),
        _get_per_token_logps_and_entropies=lambda *a, **k: (logprobs, torch.zeros_like(logprobs), None),
    )  # fmt: skip
    inputs = {
        "prompt_ids": torch.zeros(8, 1, dtype=torch.long), "prompt_mask": torch.ones(8, 1, dtype=torch.long),
        "completion_ids": torch.zeros(8, 9, dtype=torch.long), "completion_mask": mask, "advantages": advantages,
        "old_per_token_logps": torch.tensor(batch["old_logprobs"]), "num_items_in_batch": mask.sum(),
    }  # fmt: skip
    value = GRPOTrainer._compute_loss(trainer, None, inputs)
    value.backward()
    return value.item(), logprobs.grad


def test_advantages_losses_and_gradients_are_those_of_trl(batch: dict[str, Any]) -> None:
    said = ask(batch, epsilon=1e-4)["losses"]
    for loss in LOSSES:
        advantages = trl_advantages(batch, loss, 1e-4)
        theirs = [high if high else low for high, low in zip(said[loss]["advantages"], said[loss]["lowest"], strict=True)]
        assert theirs == pytest.approx(advantages.tolist(), abs=1e-5), loss
        value, gradient = trl_loss(batch, loss, advantages)
        assert abs(value) > 1e-4
        assert said[loss]["loss"] == pytest.approx(value, abs=1e-5), loss
        flat = [x for row in said[loss]["gradient"] for x in row]
        assert flat == pytest.approx(gradient.flatten().tolist(), abs=1e-5), loss


def test_verl_composes_the_overrides_and_its_reward_loop_takes_ours(batch: dict[str, Any], tmp_path: Path) -> None:
    write_bundle(recipe("dapo"), "/m", tmp_path, validation_rows=60)
    said = ask(batch, epsilon=None, parquet=str(tmp_path / "train.parquet"))
    for loss in LOSSES:
        composed = said["composed"][loss]
        assert composed["actor_rollout_ref.rollout.n"] == 8
        assert composed["trainer.default_local_dir"] == "/r x/checkpoints"
        assert composed["trainer.logger"] == ["console"]
        assert composed["actor_rollout_ref.actor.optim.lr"] == 1e-5
        # With verl's own 1e-6 in place of TRL's 1e-4 the advantages differ in the fourth digit: told in `differences`.
        ours = trl_advantages(batch, loss, 1e-4).abs().tolist()
        theirs = [
            max(h, -low) for h, low in zip(said["losses"][loss]["advantages"], said["losses"][loss]["lowest"], strict=True)
        ]
        assert theirs == pytest.approx(ours, abs=5e-4)
    right = {"score": 1.1, "acc": 1.0, "tags": 1.0, "unscored": 0.0}
    wrong, unscored = {**right, "score": 0.0, "acc": 0.0, "tags": 0.0}, {"score": 0.0, "acc": 0.0, "tags": 0.0, "unscored": 1.0}
    assert said["rewards"] == [right, right, wrong, unscored] * 4
    first, last = said["rows"]
    assert set(first) == {"data_source", "prompt", "ability", "reward_model", "extra_info"}
    assert set(first["extra_info"]) == set(last["extra_info"])
    assert json.loads(first["reward_model"]["ground_truth"])["verifier"]
