"""A recipe becomes verl's overrides, rows, reward and scripts; and the launch files of accelerate are ones it reads."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from sixfold import scale
from sixfold.core import Message, Problem
from sixfold.data.rows import make_row, row_problem
from sixfold.errors import TrainError
from sixfold.scale import verl_reward
from sixfold.scale.verl import (
    Cluster,
    differences,
    overrides,
    policy_overrides,
    rl_rows,
    write_bundle,
    write_rl_rows,
    write_sft_rows,
)
from sixfold.scale.verl_reward import compute_score
from sixfold.train.recipe import Recipe, RlConfig

ACCELERATE = Path(scale.__path__[0]) / "accelerate"
GOLDEN = """\
algorithm.adv_estimator=grpo
algorithm.norm_adv_by_std_in_grpo=True
algorithm.use_kl_in_reward=False
actor_rollout_ref.actor.policy_loss.loss_mode=vanilla
actor_rollout_ref.actor.loss_agg_mode=token-mean
actor_rollout_ref.actor.loss_scale_factor=null
actor_rollout_ref.actor.clip_ratio=0.2
actor_rollout_ref.actor.clip_ratio_low=0.2
actor_rollout_ref.actor.clip_ratio_high=0.28
actor_rollout_ref.actor.clip_ratio_c=10000.0
actor_rollout_ref.actor.use_kl_loss=False
actor_rollout_ref.actor.entropy_coeff=0
actor_rollout_ref.actor.ppo_epochs=1
algorithm.filter_groups.enable=True
algorithm.filter_groups.metric=acc
algorithm.rollout_correction.rollout_is=token
algorithm.rollout_correction.rollout_is_threshold=2.0
data.train_files='/runs/my run/train.parquet'
data.val_files=/runs/validation.parquet
data.train_batch_size=64
data.max_prompt_length=1024
data.max_response_length=30000
data.filter_overlong_prompts=True
data.truncation=error
data.shuffle=False
data.seed=7
actor_rollout_ref.model.path=Qwen/Qwen2.5-32B
actor_rollout_ref.model.lora_rank=0
actor_rollout_ref.model.lora_alpha=64
actor_rollout_ref.model.target_modules=all-linear
actor_rollout_ref.model.use_remove_padding=True
actor_rollout_ref.model.enable_gradient_checkpointing=True
actor_rollout_ref.actor.strategy=fsdp2
actor_rollout_ref.actor.optim.lr=1e-06
actor_rollout_ref.actor.optim.lr_scheduler_type=constant
actor_rollout_ref.actor.optim.lr_warmup_steps_ratio=0.05
actor_rollout_ref.actor.optim.weight_decay=0.0
actor_rollout_ref.actor.optim.clip_grad=1.0
actor_rollout_ref.actor.grad_clip=1.0
actor_rollout_ref.actor.ppo_mini_batch_size=64
actor_rollout_ref.actor.use_dynamic_bsz=True
actor_rollout_ref.actor.ppo_max_token_len_per_gpu=31024
actor_rollout_ref.actor.data_loader_seed=7
actor_rollout_ref.ref.strategy=fsdp2
actor_rollout_ref.rollout.name=vllm
actor_rollout_ref.rollout.n=16
actor_rollout_ref.rollout.temperature=1.0
actor_rollout_ref.rollout.top_p=1.0
actor_rollout_ref.rollout.top_k=-1
actor_rollout_ref.rollout.calculate_log_probs=True
actor_rollout_ref.rollout.tensor_model_parallel_size=4
actor_rollout_ref.rollout.gpu_memory_utilization=0.5
actor_rollout_ref.rollout.load_format=dummy
actor_rollout_ref.rollout.val_kwargs.do_sample=True
actor_rollout_ref.rollout.val_kwargs.temperature=1.0
actor_rollout_ref.rollout.val_kwargs.n=4
reward.num_workers=8
reward.custom_reward_function.path=pkg://sixfold.scale.verl_reward
reward.custom_reward_function.name=compute_score
+reward.custom_reward_function.reward_kwargs.format_weight=0.1
trainer.nnodes=4
trainer.n_gpus_per_node=8
trainer.logger=[console]
trainer.project_name=sixfold
trainer.experiment_name=big
trainer.default_local_dir=/runs/x/checkpoints
trainer.rollout_data_dir=/runs/x/rollouts
trainer.val_before_train=True
trainer.save_freq=10
trainer.test_freq=10
trainer.max_actor_ckpt_to_keep=2
trainer.total_epochs=1000
trainer.total_training_steps=100
trainer.resume_mode=auto
"""


def big(**rl: Any) -> Recipe:
    settings = {"loss": "dapo", "group_size": 16, "prompts": 64, "max_tokens": 30_000, "max_prompt_tokens": 1024}
    return Recipe.model_validate(
        {"name": "big", "seed": 7, "sft": {"method": "full"}, "rl": {**settings, "learning_rate": 1e-6, **rl}}
    )


def test_the_overrides_are_these() -> None:
    paths = Path("/runs/my run/train.parquet"), Path("/runs/validation.parquet"), Path("/runs/x")
    made = overrides(big(), "Qwen/Qwen2.5-32B", *paths, Cluster(nodes=4, tensor_parallel=4))
    assert "\n".join(made) + "\n" == GOLDEN


@pytest.mark.parametrize(
    ("loss", "mode", "aggregate", "clips", "scaled", "divisor"),
    [
        ("dapo", "vanilla", "token-mean", (0.2, 0.28), True, None),
        ("dr_grpo", "vanilla", "seq-mean-token-sum-norm", (0.2, 0.2), False, 99),
        ("cispo", "cispo", "token-mean", (1.0, 4.0), True, None),
        ("gspo", "gspo", "seq-mean-token-mean", (3e-4, 4e-4), True, None),
    ],
)
def test_each_loss_has_its_settings(
    loss: str, mode: str, aggregate: str, clips: tuple[float, float], scaled: bool, divisor: int | None
) -> None:
    made = policy_overrides(RlConfig.model_validate({"loss": loss, "max_tokens": 99}))
    actor = "actor_rollout_ref.actor"
    assert (made[f"{actor}.policy_loss.loss_mode"], made[f"{actor}.loss_agg_mode"]) == (mode, aggregate)
    assert (made[f"{actor}.clip_ratio_low"], made[f"{actor}.clip_ratio_high"]) == clips
    assert (made["algorithm.norm_adv_by_std_in_grpo"], made[f"{actor}.loss_scale_factor"]) == (scaled, divisor)


def test_what_verl_cannot_do_is_refused_or_told() -> None:
    paths = Path("t"), Path("v"), Path("r")
    with pytest.raises(TrainError, match="no linear schedule"):
        overrides(big(schedule="linear"), "m", *paths)
    with pytest.raises(TrainError, match="groups of 3"):
        overrides(big(), "m", *paths, Cluster(tensor_parallel=3))
    with pytest.raises(TrainError, match="do not divide among 56 GPUs"):
        overrides(big(), "m", *paths, Cluster(nodes=7))
    assert len(differences(big())) == len(differences(big(refill=0))) + 1


def test_rl_rows_have_all_domains_from_the_start_and_no_completion() -> None:
    rows = list(rl_rows(Recipe(name="r"), 300))
    assert len(rows) == 300
    assert {row["ability"] for row in rows} == {"math", "code", "science", "logic", "simulation", "tabular"}
    assert len(Counter(row["extra_info"]["family"] for row in rows[:30])) == 30
    assert all("completion" not in row and row_problem(row).question for row in rows)
    assert rows == list(rl_rows(Recipe(name="r"), 300))
    validation = {row_problem(row).question for row in rl_rows(Recipe(name="r"), 100, "validation")}
    assert not validation & {row_problem(row).question for row in rows}


def row(**extra: Any) -> dict[str, Any]:
    return make_row(Problem("p", "2 + 2?", "4", "math", "math"), [Message("user", "2 + 2?")], "Answer: 4", "made", **extra)


def test_parquet_rows_have_the_same_keys_whatever_they_came_with(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    rows = [row(), row(pass_rate=0.5, model="m"), row(licence=None), {"prompt": [], "reward_model": {}}]
    assert write_rl_rows(iter(rows), tmp_path / "rl.parquet", counts) == 3
    made = pq.read_table(tmp_path / "rl.parquet").to_pylist()
    assert [r["extra_info"]["pass_rate"] for r in made] == [None, 0.5, None]
    assert [r["extra_info"]["index"] for r in made] == [0, 1, 2]
    assert made[0]["prompt"] == [{"role": "user", "content": "2 + 2?"}]
    assert made[0]["reward_model"] == rows[0]["reward_model"]
    assert counts == {"without prompt or answer": 1}


def test_sft_parquet_leaves_out_what_must_not_be_learned(tmp_path: Path) -> None:
    counts: Counter[str] = Counter()
    without = row()
    del without["completion"]
    rows = [row(untrained=[]), row(untrained=[[3, 5]]), without]
    assert write_sft_rows(iter(rows), tmp_path / "sft.parquet", counts) == 1
    (made,) = pq.read_table(tmp_path / "sft.parquet").to_pylist()
    assert made["messages"] == [{"role": "user", "content": "2 + 2?"}, {"role": "assistant", "content": "Answer: 4"}]
    assert counts == {"with a span that must not be learned": 1, "without prompt or completion": 1}


def test_a_bundle_is_whole_and_its_scripts_are_shell(tmp_path: Path) -> None:
    folder = tmp_path / "it's a run"
    bundle = write_bundle(big(steps=2, prompts=4, refill=1), "/m", folder, Cluster(nodes=2), validation_rows=40)
    assert (bundle["train_rows"], bundle["validation_rows"]) == (16, 40)
    assert bundle == json.loads((folder / "bundle.json").read_text())
    for name in ("local.sh", "slurm.sh"):
        subprocess.run(["bash", "-n", str(folder / name)], check=True)
    # What the script passes on is, word for word, the overrides.
    (folder / "python").write_text('#!/bin/bash\nprintf "%s\\n" "$@" >> "$SAID"\n')
    (folder / "python").chmod(0o755)
    (folder / "checkpoints").mkdir()
    (folder / "checkpoints" / "latest_checkpointed_iteration.txt").write_text("7")
    said = tmp_path / "said"
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": str(folder / "python"), "SAID": str(said)}
    subprocess.run(["bash", str(folder / "local.sh")], check=True, env=environment)
    lines = said.read_text().splitlines()
    made = (folder / "overrides.txt").read_text().splitlines()
    assert lines[: len(made) + 2] == ["-m", "verl.trainer.main_ppo", *made]
    assert lines[len(made) + 2 :] == [
        "-m", "verl.model_merger", "merge", "--backend", "fsdp", "--local_dir", f"{folder}/checkpoints/global_step_7/actor",
        "--target_dir", f"{folder}/model",
    ]  # fmt: skip


def test_a_bundle_of_other_rows_trains_on_those(tmp_path: Path) -> None:
    bundle = write_bundle(big(), "/m", tmp_path, rows=[row(), {"prompt": []}], validation_rows=[row()])
    assert (bundle["train_rows"], bundle["validation_rows"]) == (1, 1)
    assert bundle["counts"] == {"without prompt or answer": 1}


TRUTH = json.dumps({"question": "2 + 2?", "answer": "4", "verifier": "math", "meta": {}})


@pytest.mark.parametrize(
    ("text", "truth", "score", "acc", "unscored"),
    [
        ("<think>2 + 2 = 4</think>\n\nAnswer: 4", TRUTH, 1.1, 1.0, 0.0),
        ("Answer: 4", TRUTH, 1.0, 1.0, 0.0),
        ("<think>2 + 2 = 5</think>\n\nAnswer: 5", TRUTH, 0.1, 0.0, 0.0),
        ("<think>2 + 2 = 4", TRUTH, 0.0, 0.0, 0.0),
        ("So 2 + 2 = 4", TRUTH, 0.0, 0.0, 0.0),
        ("", TRUTH, 0.0, 0.0, 0.0),
        ("Answer: 4", "4", 0.0, 0.0, 1.0),
        ("Answer: 4", TRUTH.replace('"math"', '"magic"'), 0.0, 0.0, 1.0),
    ],
)
def test_the_reward_is_the_strict_verdict_and_a_little_for_form(
    text: str, truth: str, score: float, acc: float, unscored: float
) -> None:
    found = compute_score("s", text, truth, {"id": "p"}, format_weight=0.1, reward_router_address="ignored")
    assert (found["score"], found["acc"], found["unscored"]) == (score, acc, unscored)


def test_the_reward_serves_many_threads_with_one_judge() -> None:
    answers = ("4", "\\sqrt{16}", "5", "10^{10^{10^{10}}}")
    texts = [f"<think>x</think>\n\nAnswer: {answer}" for answer in answers * 10]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: compute_score("s", text, TRUTH)["acc"], texts))
    assert found == [1.0, 1.0, 0.0, 0.0] * 10
    assert len(verl_reward._judges) == 1


def test_a_verifier_that_breaks_is_counted_and_not_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(problem: Problem, text: str) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(verl_reward, "_judge", lambda: broken)
    before = verl_reward.counters["unscored: the verifier broke: ZeroDivisionError"]
    assert compute_score("s", "Answer: 4", TRUTH)["unscored"] == 1.0
    assert verl_reward.counters["unscored: the verifier broke: ZeroDivisionError"] == before + 1


def test_the_reward_sets_no_signal_and_loads_nothing_heavy() -> None:
    code = (
        "import signal, sys\n"
        "def no(*a): raise RuntimeError('a signal is set')\n"
        "signal.signal = signal.alarm = signal.setitimer = no\n"
        "from sixfold.scale.verl_reward import compute_score\n"
        f"print(compute_score('s', 'Answer: \\\\sqrt{{16}}', {TRUTH!r})['acc'])\n"
        "print([m for m in ('torch', 'transformers', 'trl', 'ray', 'pyarrow', 'datasets') if m in sys.modules])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[:2] == ["1.0", "[]"]


@pytest.mark.parametrize(
    ("name", "kind", "processes"), [("cpu", "MULTI_GPU", 2), ("fsdp2", "FSDP", 8), ("zero3", "DEEPSPEED", 8)]
)
def test_accelerate_reads_the_launch_files(name: str, kind: str, processes: int) -> None:
    from accelerate.commands.config.config_args import load_config_from_file

    config = load_config_from_file(str(ACCELERATE / f"{name}.yaml"))
    assert (getattr(config.distributed_type, "value", config.distributed_type), config.num_processes) == (kind, processes)
    if name == "fsdp2":
        assert config.fsdp_config["fsdp_version"] == 2
    if name == "zero3":
        assert config.deepspeed_config["zero_stage"] == 3
