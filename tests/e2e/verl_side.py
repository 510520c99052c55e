"""What `test_verl_composed.py` has verl do, in verl's own environment: JSON in, JSON out, on the standard streams.

It composes verl's configuration with our overrides, loads the reward through verl's loader and calls it from threads, and
computes advantages, losses and gradients with verl's `core_algos` as its actor would.
"""

from __future__ import annotations

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def main() -> None:
    import torch
    from hydra import compose, initialize_config_module
    from omegaconf import OmegaConf
    from verl.trainer.ppo.core_algos import compute_grpo_outcome_advantage, get_policy_loss_fn
    from verl.trainer.ppo.reward import get_custom_reward_fn
    from verl.utils.config import omega_conf_to_dataclass

    asked = json.load(sys.stdin)
    said: dict[str, Any] = {"losses": {}, "composed": {}, "rewards": [], "rows": []}
    with initialize_config_module("verl.trainer.config", version_base=None):
        for name, overrides in asked["overrides"].items():
            config = compose("ppo_trainer", overrides=overrides)
            keys = (item.partition("=")[0].lstrip("+") for item in overrides)
            said["composed"][name] = {key: OmegaConf.select(config, key) for key in keys}
            said["composed"][name]["trainer.logger"] = list(config.trainer.logger)
            actor = omega_conf_to_dataclass(config.actor_rollout_ref.actor)
            omega_conf_to_dataclass(config.algorithm)
            batch = {key: torch.tensor(value) for key, value in asked["batch"].items()}
            mask = batch["mask"].float()
            rewards = torch.zeros_like(mask)
            rewards[:, 0] = batch["rewards"]
            advantages, _ = compute_grpo_outcome_advantage(
                rewards, mask, batch["group"].numpy(), norm_adv_by_std_in_grpo=config.algorithm.norm_adv_by_std_in_grpo,
                **({"epsilon": asked["epsilon"]} if asked["epsilon"] else {}),
            )  # fmt: skip
            # As `ppo_loss` does, which calls the loss in verl's actor: the divisor comes from the configuration.
            actor.global_batch_info.update(dp_size=1, batch_num_tokens=int(mask.sum()), global_batch_size=len(mask))
            actor.global_batch_info["loss_scale_factor"] = actor.loss_scale_factor
            logprobs = batch["logprobs"].requires_grad_()
            loss, _ = get_policy_loss_fn(actor.policy_loss.loss_mode)(
                old_log_prob=batch["old_logprobs"], log_prob=logprobs, advantages=advantages, response_mask=mask,
                loss_agg_mode=actor.loss_agg_mode, config=actor,
            )  # fmt: skip
            loss.backward()
            gradient = logprobs.grad
            assert gradient is not None
            said["losses"][name] = {
                "loss": loss.item(), "gradient": gradient.tolist(), "advantages": advantages.max(-1).values.tolist(),
                "lowest": advantages.min(-1).values.tolist(),
            }  # fmt: skip
        score = get_custom_reward_fn(config)
        with ThreadPoolExecutor(8) as pool:
            tries = [pool.submit(score, data_source="s", extra_info={}, **case) for case in asked["cases"]]
            said["rewards"] = [each.result() for each in tries]
    if asked["parquet"]:
        import datasets

        rows = datasets.load_dataset("parquet", data_files=asked["parquet"])["train"]
        said["rows"] = [rows[0], rows[len(rows) - 1]]
    print(json.dumps(said))


if __name__ == "__main__":
    main()
