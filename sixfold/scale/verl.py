"""A recipe for a cluster: the same settings compiled to what verl 0.9.1 reads. verl itself is never imported.

Place: the RL stage beyond one machine. `write_bundle` makes a folder with parquet rows, the Hydra overrides, and scripts for a
local Ray and for Slurm; verl is installed in an environment of its own (it pins other versions of torch and transformers), into
which Sixfold goes too, without its training extra, for the reward. `differences` says what verl does otherwise than `rl.py`.

Checked without a cluster by `tests/e2e/test_verl_composed.py`: verl composes these overrides, loads the reward, and its
advantages and losses are those of TRL. Its rollouts need an accelerator, so no test runs them.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sixfold.core import Split
from sixfold.data.rows import Row, make_row
from sixfold.data.traces import even_cells, problems_in_turn
from sixfold.errors import ConfigError, TrainError
from sixfold.reason.form import FORMS, LINE
from sixfold.reason.prompts import solver_messages
from sixfold.scale.launch import local_script, slurm_script
from sixfold.tasks.catalog import find_families
from sixfold.train.recipe import Recipe, RlConfig
from sixfold.train.rl import OTHER_SEED, loss_settings

REWARD = "pkg://sixfold.scale.verl_reward"
_NEVER = 10_000.0
"""A ratio that no token reaches, for verl's second clip of negative advantages (dual-clip PPO) where a recipe has none."""
_ROWS = 1_000
_INFO = {
    "split": "string", "index": "int64", "id": "string", "level": "int64", "family": "string", "licence": "string",
    "origin": "string", "kind": "string", "pass_rate": "float64",
}  # fmt: skip
"""Keys of `extra_info`, the same in every row as parquet and verl's loader want it; what else a row has is left out."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """Where a run goes. `tensor_parallel` is GPUs that share one copy of the model while sampling, `gpu_memory` the share
    (0..1) of each GPU that the sampler may take, `tokens_per_gpu` what one forward and backward pass holds at most."""

    nodes: int = 1
    gpus_per_node: int = 8
    tensor_parallel: int = 1
    gpu_memory: float = 0.5
    tokens_per_gpu: int = 16_384
    reward_workers: int = 8
    hours: int = 24


def policy_overrides(rl: RlConfig) -> dict[str, Any]:
    """The loss: from TRL's settings of it (`rl.loss_settings`) to verl's, so that both compute the same number.

    TRL clips the ratio of CISPO at `epsilon_high` from above alone; verl clips it to 1 - low .. 1 + high.
    """
    trl, actor = loss_settings(rl), "actor_rollout_ref.actor"
    mode, aggregate = {
        "dapo": ("vanilla", "token-mean"), "dr_grpo": ("vanilla", "seq-mean-token-sum-norm"),
        "cispo": ("cispo", "token-mean"), "gspo": ("gspo", "seq-mean-token-mean"),
    }[rl.loss]  # fmt: skip
    low, high = (1.0, trl["epsilon_high"] - 1) if rl.loss == "cispo" else (trl["epsilon"], trl["epsilon_high"])
    return {
        "algorithm.adv_estimator": "grpo",
        "algorithm.norm_adv_by_std_in_grpo": trl["scale_rewards"] == "group",
        "algorithm.use_kl_in_reward": False,
        f"{actor}.policy_loss.loss_mode": mode,
        f"{actor}.loss_agg_mode": aggregate,
        # The divisor of Dr. GRPO is the longest completion there can be, not the longest of a batch.
        f"{actor}.loss_scale_factor": rl.max_tokens if rl.loss == "dr_grpo" else None,
        f"{actor}.clip_ratio": low,
        f"{actor}.clip_ratio_low": low,
        f"{actor}.clip_ratio_high": high,
        f"{actor}.clip_ratio_c": trl.get("delta", _NEVER),
        f"{actor}.use_kl_loss": False,
        f"{actor}.entropy_coeff": 0,
        f"{actor}.ppo_epochs": 1,
    }


def overrides(recipe: Recipe, model: str, train: Path, validation: Path, run: Path, cluster: Cluster = Cluster()) -> list[str]:
    """Hydra overrides for `python -m verl.trainer.main_ppo`, in a fixed order. `model` is a Hugging Face folder or name.

    Raises `TrainError` for what verl cannot do.
    """
    rl, sft = recipe.rl, recipe.sft
    if rl.schedule == "linear":
        raise TrainError("verl has no linear schedule", hint="set rl.schedule to cosine or constant_with_warmup")
    if cluster.gpus_per_node % cluster.tensor_parallel:
        raise TrainError(
            f"{cluster.gpus_per_node} GPUs do not divide into groups of {cluster.tensor_parallel}",
            hint="change tensor_parallel",
        )
    gpus = cluster.nodes * cluster.gpus_per_node
    if rl.prompts * rl.group_size % gpus:
        raise TrainError(
            f"{rl.prompts} x {rl.group_size} completions do not divide among {gpus} GPUs", hint="change rl.prompts"
        )
    tokens = max(cluster.tokens_per_gpu, rl.max_prompt_tokens + rl.max_tokens)
    actor, rollout, policy = (f"actor_rollout_ref.{part}" for part in ("actor", "rollout", "model"))
    settings: dict[str, Any] = {
        **policy_overrides(rl),
        # Groups that are all right or all wrong are drawn again, by the truth and not by the shaped reward.
        "algorithm.filter_groups.enable": rl.refill > 0,
        "algorithm.filter_groups.metric": "acc",
        "algorithm.rollout_correction.rollout_is": "token",
        "algorithm.rollout_correction.rollout_is_threshold": 2.0,
        "data.train_files": train,
        "data.val_files": validation,
        "data.train_batch_size": rl.prompts,
        "data.max_prompt_length": rl.max_prompt_tokens,
        "data.max_response_length": rl.max_tokens,
        "data.filter_overlong_prompts": True,
        "data.truncation": "error",
        "data.shuffle": False,
        "data.seed": recipe.seed,
        f"{policy}.path": model,
        f"{policy}.lora_rank": sft.lora.rank if sft.method == "lora" else 0,
        f"{policy}.lora_alpha": sft.lora.alpha,
        f"{policy}.target_modules": "all-linear",
        f"{policy}.use_remove_padding": True,
        f"{policy}.enable_gradient_checkpointing": True,
        f"{actor}.strategy": "fsdp2",
        f"{actor}.optim.lr": rl.learning_rate,
        f"{actor}.optim.lr_scheduler_type": "cosine" if rl.schedule == "cosine" else "constant",
        f"{actor}.optim.lr_warmup_steps_ratio": 0.0 if rl.schedule == "constant" else rl.warmup,
        f"{actor}.optim.weight_decay": rl.weight_decay,
        f"{actor}.optim.clip_grad": rl.max_grad_norm,
        f"{actor}.grad_clip": rl.max_grad_norm,
        # Prompts, before they are multiplied by the group.
        f"{actor}.ppo_mini_batch_size": rl.mini_batch or rl.prompts,
        f"{actor}.use_dynamic_bsz": True,
        f"{actor}.ppo_max_token_len_per_gpu": tokens,
        f"{actor}.data_loader_seed": recipe.seed,
        "actor_rollout_ref.ref.strategy": "fsdp2",
        f"{rollout}.name": "vllm",
        f"{rollout}.n": rl.group_size,
        f"{rollout}.temperature": rl.temperature,
        f"{rollout}.top_p": 1.0,
        f"{rollout}.top_k": -1,
        f"{rollout}.calculate_log_probs": True,
        f"{rollout}.tensor_model_parallel_size": cluster.tensor_parallel,
        f"{rollout}.gpu_memory_utilization": cluster.gpu_memory,
        f"{rollout}.load_format": "safetensors" if sft.method == "lora" else "dummy",
        f"{rollout}.val_kwargs.do_sample": True,
        f"{rollout}.val_kwargs.temperature": rl.temperature,
        f"{rollout}.val_kwargs.n": 4,
        "reward.num_workers": cluster.reward_workers,
        "reward.custom_reward_function.path": REWARD,
        "reward.custom_reward_function.name": "compute_score",
        "+reward.custom_reward_function.reward_kwargs.format_weight": rl.format_weight,
        "trainer.nnodes": cluster.nodes,
        "trainer.n_gpus_per_node": cluster.gpus_per_node,
        "trainer.logger": ["console"],
        "trainer.project_name": "sixfold",
        "trainer.experiment_name": recipe.name,
        "trainer.default_local_dir": run / "checkpoints",
        "trainer.rollout_data_dir": run / "rollouts",
        "trainer.val_before_train": True,
        "trainer.save_freq": rl.save_steps,
        "trainer.test_freq": rl.save_steps,
        "trainer.max_actor_ckpt_to_keep": 2,
        # The steps end the run; groups that are drawn again may need the rows more than once.
        "trainer.total_epochs": 1000,
        "trainer.total_training_steps": rl.steps,
        "trainer.resume_mode": "auto",
    }
    return [f"{key}={_value(value)}" for key, value in settings.items()]


def _value(value: Any) -> str:
    """In Hydra's grammar: whatever is not plain is quoted.

    >>> _value(None), _value(True), _value(1e-06), _value("a b"), _value(["x", 1])
    ('null', 'True', '1e-06', "'a b'", '[x,1]')
    """
    if value is None:
        return "null"
    if isinstance(value, list):
        return f"[{','.join(map(_value, value))}]"
    text = str(value)
    if isinstance(value, bool | int | float) or re.fullmatch(r"[A-Za-z_/.][\w./:-]*", text):
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def differences(recipe: Recipe) -> list[str]:
    """What a run of this recipe under verl does otherwise than under `sixfold rl`, in words."""
    rl = recipe.rl
    found = [
        "problems come in a fixed order, levels do not rise and easy items are not kept: verl has no such sampler",
        "a completion that cannot be judged earns 0 and counts in its group's mean; its share is logged as `unscored`",
        "whether a completion was cut is not known to the reward: without an answer it is wrong, but it is learned from",
        "advantages are divided by the deviation plus 1e-6, TRL adds 1e-4",
    ]
    if rl.refill:
        found.append("groups without a signal are drawn again without a limit on how often")
    return found


def rl_rows(recipe: Recipe, count: int, split: Split = "train", skip: Any = lambda why: None) -> Iterator[Row]:
    """Prompts without completions: `count` problems of the recipe's families, all levels up to `rl.level` alike, domains alike.
    Other problems than those of the traces, where a family has enough."""
    rl = recipe.rl
    families = [family.task for family in find_families(rl.tasks)]
    if not families:
        raise TrainError("no generated family to train on", hint="`sixfold tasks list` shows them; set rl.tasks")
    levels = range(1, min(rl.level, rl.top_level) + 1)
    cells = even_cells(families, {level: 1 / len(levels) for level in levels}, count)
    # Cell by cell in turn, so that every batch has all domains.
    for problem in islice(problems_in_turn(cells, recipe.seed + OTHER_SEED, split, skip), count):
        system = FORMS.get(problem.verifier or "", LINE).system
        yield make_row(problem, solver_messages(problem.question, "", system), None, "rl", split=split, kind="solver")


def write_rl_rows(rows: Iterable[Row], path: Path, counts: Counter[str] | None = None) -> int:
    """Write rows as verl's RL parquet (`data_source`, `prompt`, `ability`, `reward_model`, `extra_info`), as a stream; returns
    how many. A row without prompt or ground truth is left out and counted."""
    import pyarrow as pa

    text = pa.string()
    message = pa.struct({"role": text, "content": text})
    schema = pa.schema({
        "data_source": text, "prompt": pa.list_(message), "ability": text,
        "reward_model": pa.struct({"style": text, "ground_truth": text}),
        "extra_info": pa.struct({key: getattr(pa, kind)() for key, kind in _INFO.items()}),
    })  # fmt: skip
    counts = Counter() if counts is None else counts

    def made() -> Iterator[dict[str, Any]]:
        index = 0
        for row in rows:
            truth = (row.get("reward_model") or {}).get("ground_truth")
            if not row.get("prompt") or not isinstance(truth, str):
                counts["without prompt or answer"] += 1
                continue
            info = row.get("extra_info") or {}
            yield {
                "data_source": row["data_source"], "prompt": row["prompt"], "ability": row.get("ability") or "",
                "reward_model": {"style": "rule", "ground_truth": truth},
                "extra_info": {key: _info(info.get(key), kind) for key, kind in _INFO.items()} | {"index": index},
            }  # fmt: skip
            index += 1

    return _write(made(), path, schema)


def write_sft_rows(rows: Iterable[Row], path: Path, counts: Counter[str] | None = None) -> int:
    """Write rows as verl's SFT parquet, one column `messages`. A row with a span that must not be learned is left out and
    counted: verl would learn the mistake. So is a row without completion."""
    import pyarrow as pa

    message = pa.struct({"role": pa.string(), "content": pa.string()})
    schema = pa.schema({"messages": pa.list_(message), "data_source": pa.string()})
    counts = Counter() if counts is None else counts

    def made() -> Iterator[dict[str, Any]]:
        for row in rows:
            if not row.get("prompt") or not row.get("completion"):
                counts["without prompt or completion"] += 1
            elif (row.get("extra_info") or {}).get("untrained"):
                counts["with a span that must not be learned"] += 1
            else:
                yield {"messages": [*row["prompt"], *row["completion"]], "data_source": row.get("data_source") or ""}

    return _write(made(), path, schema)


def _info(value: Any, kind: str) -> Any:
    """Every value of a column has its type; what is missing is empty, but a number that is not known is none."""
    if kind == "string":
        return "" if value is None else str(value)
    if kind == "int64":
        return int(value or 0)
    return None if value is None else float(value)


def _write(rows: Iterator[dict[str, Any]], path: Path, schema: Any) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    count, partial = 0, path.with_suffix(".partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(partial, schema) as writer:
            while batch := list(islice(rows, _ROWS)):
                writer.write_batch(pa.RecordBatch.from_pylist(batch, schema=schema))
                count += len(batch)
        partial.replace(path)
    except OSError as error:
        raise ConfigError(f"{path} cannot be written: {error.strerror or error}", hint="free some disk") from error
    return count


def write_bundle(
    recipe: Recipe, model: str, folder: Path, cluster: Cluster = Cluster(), rows: Iterable[Row] | None = None,
    validation_rows: Iterable[Row] | int = 512,
) -> dict[str, Any]:  # fmt: skip
    """Everything for a run: `train.parquet`, `validation.parquet`, `overrides.txt`, `local.sh`, `slurm.sh`, `bundle.json` with
    what was counted and how the run differs from `sixfold rl`. `rows` are trained on in place of generated ones, such as a
    public set; `validation_rows` likewise, or how many. Returns what `bundle.json` holds."""
    folder = folder.expanduser().absolute()
    train, validation = folder / "train.parquet", folder / "validation.parquet"
    settings = overrides(recipe, model, train, validation, folder, cluster)
    counts: Counter[str] = Counter()
    skip = lambda why: counts.update([why])  # noqa: E731
    # Refilled groups take further prompts.
    wanted = recipe.rl.steps * recipe.rl.prompts * (1 + recipe.rl.refill)
    asked = rl_rows(recipe, wanted, "train", skip) if rows is None else rows
    held = validation_rows
    checked = rl_rows(recipe, held, "validation", skip) if isinstance(held, int) else held
    bundle = {
        "recipe": recipe.name,
        "verl": "0.9.1",
        "train_rows": write_rl_rows(asked, train, counts),
        "validation_rows": write_rl_rows(checked, validation, counts),
        "counts": dict(counts),
        "differences": differences(recipe),
    }
    files: Mapping[str, str] = {
        "overrides.txt": "\n".join(settings) + "\n",
        "local.sh": local_script(settings, folder),
        "slurm.sh": slurm_script(settings, folder, recipe.name, cluster.nodes, cluster.gpus_per_node, cluster.hours),
        "bundle.json": json.dumps(bundle, indent=1) + "\n",
    }
    try:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
            if name.endswith(".sh"):
                (folder / name).chmod(0o755)
    except OSError as error:
        raise ConfigError(f"{folder} cannot be written: {error.strerror}", hint="free some disk") from error
    return bundle
