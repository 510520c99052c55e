"""The recipes that come with the program: each loads, plans and compiles, has its published values, and is in the package."""

from __future__ import annotations

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from sixfold import scale
from sixfold.errors import ConfigError
from sixfold.scale.verl import Cluster, overrides, write_bundle
from sixfold.train.dry_run import Plan, make_plan, make_rl_plan, memory, model_size, shown
from sixfold.train.presets import SHIPPED, load_recipe
from sixfold.train.recipe import Recipe, RlConfig
from sixfold.train.rl import settings as rl_settings
from sixfold.train.sft import settings as sft_settings

ROOT = Path(__file__).resolve().parents[2]
NAMES = sorted(path.stem for path in SHIPPED.glob("*.toml"))
QWEN_3B = {
    "num_hidden_layers": 36, "hidden_size": 2048, "intermediate_size": 11008, "num_attention_heads": 16,
    "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True,
}  # fmt: skip
PATHS = Path("/t"), Path("/v"), Path("/r")


@pytest.fixture(scope="module")
def k2() -> Recipe:
    return load_recipe("k2-think-32b")


def test_the_package_has_every_recipe() -> None:
    assert NAMES == ["k2-think-32b", "laptop-135m", "one-gpu-3b"]
    globs = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"][
        "sixfold"
    ]
    packed = {path for pattern in globs for path in (ROOT / "sixfold").glob(pattern)}
    assert {SHIPPED / f"{name}.toml" for name in NAMES} <= packed


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_that_is_shipped_has_its_name_and_presets(name: str) -> None:
    assert load_recipe(name).name == name
    for preset in tomllib.loads((SHIPPED / f"{name}.toml").read_text(encoding="utf-8")).get("presets", {}):
        assert load_recipe(name, preset).name == name


def test_the_published_settings_of_k2_thinks_sft(k2: Recipe, tmp_path: Path) -> None:
    """As `Qwen2.5-32B-base-AM-Thinking-v1-Distilled-3697c18.yaml` of MBZUAI-IFM/K2-Think-SFT has them."""
    from sixfold.data.public_traces import find_set

    trl = sft_settings(k2.sft, k2.seed, tmp_path)
    assert {
        "per_device_train_batch_size": 2, "gradient_accumulation_steps": 1, "learning_rate": 1e-4,
        "lr_scheduler_type": "cosine", "warmup_steps": 0.05, "num_train_epochs": 2.0, "save_steps": 100, "logging_steps": 1,
    }.items() <= trl.items()  # fmt: skip
    assert (k2.sft.method, k2.sft.precision, k2.sft.max_tokens) == ("full", "bf16", 32_768)
    assert (k2.traces.rows, k2.traces.files, k2.traces.public, k2.traces.public_rows) == (0, (), ("am-thinking",), 0)
    assert find_set("am-thinking").repo.revision == "3697c1829816a2b8d4d25995ed6d5d27ffb49b30"
    assert k2.base.startswith("hf:Qwen/Qwen2.5-32B@")
    assert len(k2.base.partition("@")[2]) == 40


def test_the_published_settings_of_guru(k2: Recipe) -> None:
    """As `example_multinode_rl_qwen2.5_32b_base_fsdp.sh` of LLM360/Reasoning360 has them, on its 8 machines of 8 GPUs."""
    made = overrides(k2, "m", *PATHS, Cluster(nodes=8, tensor_parallel=2, gpu_memory=0.7, tokens_per_gpu=24_576))
    actor, rollout = "actor_rollout_ref.actor", "actor_rollout_ref.rollout"
    assert {
        "algorithm.adv_estimator=grpo", "algorithm.norm_adv_by_std_in_grpo=True", "algorithm.use_kl_in_reward=False",
        "algorithm.filter_groups.enable=False", "data.train_batch_size=512", "data.max_prompt_length=4096",
        "data.max_response_length=8192", f"{actor}.use_kl_loss=False", f"{actor}.clip_ratio_low=0.2",
        f"{actor}.clip_ratio_high=0.2", f"{actor}.clip_ratio_c=10.0", f"{actor}.loss_agg_mode=token-mean",
        f"{actor}.entropy_coeff=0", f"{actor}.ppo_mini_batch_size=64", f"{actor}.ppo_max_token_len_per_gpu=24576",
        f"{actor}.optim.lr=1e-06", f"{actor}.optim.lr_scheduler_type=constant", f"{actor}.optim.weight_decay=0.1",
        f"{actor}.grad_clip=1.0", f"{rollout}.n=16", f"{rollout}.temperature=1.0", f"{rollout}.top_p=1.0",
        f"{rollout}.top_k=-1", f"{rollout}.name=vllm", f"{rollout}.tensor_model_parallel_size=2",
        f"{rollout}.gpu_memory_utilization=0.7", "actor_rollout_ref.model.lora_rank=0",
        "+reward.custom_reward_function.reward_kwargs.format_weight=0.0", "trainer.nnodes=8", "trainer.save_freq=10",
    } <= set(made)  # fmt: skip
    assert round(k2.rl.warmup * k2.rl.steps) == 10
    assert k2.rl.steps == round(2 * 92_000 / 512, -1)


def test_the_plan_of_k2_think_is_that_of_its_run(k2: Recipe, tmp_path: Path) -> None:
    plan = make_plan(k2, None, tmp_path, True, True, processes=256)
    # The checkpoint that its authors went on from is called 1084.
    assert plan.steps == pytest.approx(1_084, rel=0.08)
    assert plan.tokens == plan.steps * 512 * 32_768
    assert (plan.rows, plan.assumed) == (1_890_000, 1_890_000)
    assert "1,890,000 of them, before any is filtered out" in shown(plan)
    assert make_plan(k2, None, tmp_path, True, True).steps == pytest.approx(256 * plan.steps, rel=0.01)
    rl = make_rl_plan(k2, None, tmp_path, True, True)
    assert (rl.steps, rl.completions, rl.drawn_at_most) == (360, 360 * 512 * 16, 360 * 512 * 16)
    # Eight updates of 64 prompts of each step's rollouts.
    assert {
        "max_steps": 2880, "save_steps": 80, "gradient_accumulation_steps": 128, "steps_per_generation": 1024, "delta": 10.0,
        "epsilon_high": 0.2, "weight_decay": 0.1,
    }.items() <= rl.trl.items()  # fmt: skip


def test_the_plan_of_one_gpu_fits_it(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN_3B), encoding="utf-8")
    for preset, most in (("", 24), ("large", 80)):
        recipe = load_recipe("one-gpu-3b", preset, ["traces.rows=60"])
        plan = make_plan(recipe, tmp_path, tmp_path / "run", True, True)
        assert isinstance(plan, Plan)
        assert plan.size.weights == pytest.approx(3.09e9, rel=0.01)
        assert plan.rows - plan.assumed == pytest.approx(180, abs=15)
        assert plan.assumed == 21_000
        assert plan.memory_gib["all"] < most
        assert make_rl_plan(recipe, tmp_path, tmp_path / "run", True, True).memory_gib["all"] < most
        assert plan.trl["gradient_checkpointing"]


def test_activations_that_are_computed_again_are_not_kept(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(QWEN_3B), encoding="utf-8")
    sft = load_recipe("one-gpu-3b").sft
    size = model_size(tmp_path, sft)
    kept = memory(size, sft.model_copy(update={"gradient_checkpointing": False}), 0.9, True, True)
    again = memory(size, sft, 0.9, True, True)
    assert again["activations"] < kept["activations"] / 15
    assert {k: v for k, v in again.items() if k not in ("activations", "all")} == {
        k: v for k, v in kept.items() if k not in ("activations", "all")
    }


@pytest.mark.parametrize(("name", "cluster"), [("one-gpu-3b", Cluster(gpus_per_node=1)), ("k2-think-32b", Cluster(nodes=8))])
def test_a_recipe_compiles_to_scripts(name: str, cluster: Cluster, tmp_path: Path) -> None:
    recipe = load_recipe(name, "", ["rl.steps=1", "rl.refill=0", "rl.prompts=64"])
    bundle = write_bundle(recipe, "/m", tmp_path, cluster, validation_rows=8)
    assert (bundle["train_rows"], bundle["validation_rows"]) == (64, 8)
    for script in ("local.sh", "slurm.sh"):
        subprocess.run(["bash", "-n", str(tmp_path / script)], check=True)
    assert f"#SBATCH --nodes={cluster.nodes}" in (tmp_path / "slurm.sh").read_text(encoding="utf-8")
    assert (Path(scale.__path__[0]) / "accelerate" / "zero3.yaml").is_file()


def test_mini_batches_divide_a_step(tmp_path: Path) -> None:
    made = rl_settings(RlConfig(prompts=8, mini_batch=2, group_size=4, micro_batch=4, steps=3, save_steps=2), 0, tmp_path)
    assert (made["max_steps"], made["save_steps"]) == (12, 8)
    assert (made["gradient_accumulation_steps"], made["steps_per_generation"]) == (2, 8)
    for wrong, why in ((["rl.mini_batch=3"], "must divide by mini_batch"), (["rl.dual_clip=0.5"], "greater than 1")):
        with pytest.raises(ConfigError, match=why):
            load_recipe("laptop-135m", "", wrong)


def test_a_base_model_ends_its_turns_as_its_template_does(tmp_path: Path) -> None:
    from training import make_tiny
    from transformers import AutoTokenizer

    from sixfold.train.weights import load_tokenizer

    folder = make_tiny(tmp_path / "base")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.eos_token = "<|im_start|>"
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(folder).eos_token == "<|im_end|>"
    # One whose template has other ends keeps its own.
    tokenizer.chat_template = "{% for m in messages %}{{ m['content'] }}{{ eos_token }}{% endfor %}"
    tokenizer.save_pretrained(folder)
    assert load_tokenizer(folder).eos_token == "<|im_start|>"


def test_activations_computed_again_give_the_same_losses(tmp_path: Path) -> None:
    from training import make_tiny

    from sixfold.train.sft import train_sft

    base = make_tiny(tmp_path / "tiny")
    found = []
    for again in ("false", "true"):
        given = ["traces.rows=8", "sft.max_tokens=900", "sft.batch_rows=1", "sft.max_steps=2", "sft.precision=fp32"]
        recipe = load_recipe("laptop-135m", "smoke", [*given, f"sft.gradient_checkpointing={again}"])
        found.append([line["loss"] for line in train_sft(recipe, base, tmp_path / again)["log"] if "loss" in line])
    assert len(found[0]) == 2
    assert found[0] == pytest.approx(found[1], abs=1e-6)
