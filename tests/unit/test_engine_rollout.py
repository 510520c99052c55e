"""Which engine rolls out: what it needs is asked for before anything is spent, and TRL gets the settings of vLLM."""

from __future__ import annotations

import inspect
import json
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("trl")
import torch

from sixfold.errors import TrainError
from sixfold.train.engine_rollout import _ended, _from_vllm, _logprobs, check_rollouts, find_gguf, make_rollouts
from sixfold.train.recipe import Recipe
from sixfold.train.rl import settings


def recipe(method: str = "lora", base: str = "nothing", **rl: Any) -> Recipe:
    return Recipe.model_validate({"name": "test", "base": base, "sft": {"method": method}, "rl": rl})


def test_vllm_needs_a_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match="need a GPU") as caught:
        make_rollouts(recipe(rollouts="vllm"), tmp_path)
    assert "llamacpp" in caught.value.hint


# transformers 5 warns of a name that TRL still uses.
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_trl_gets_the_settings_of_vllm(tmp_path: Path) -> None:
    from trl import GRPOConfig, GRPOTrainer

    given = settings(recipe(rollouts="vllm", max_tokens=100, max_prompt_tokens=50).rl, 0, tmp_path)
    config = GRPOConfig(**given, use_cpu=True, bf16=False)
    assert (config.use_vllm, config.vllm_mode, config.vllm_max_model_length) == (True, "colocate", 150)
    # Ours is the only correction, and nothing is cut from the tail.
    assert not config.vllm_importance_sampling_correction
    assert (config.top_k, config.top_p, config.min_p, config.repetition_penalty) == (0, 1.0, None, 1.0)
    assert not GRPOConfig(**settings(recipe().rl, 0, tmp_path), use_cpu=True, bf16=False).use_vllm
    called = inspect.signature(GRPOTrainer._generate_single_turn).parameters
    assert list(called)[:5] == ["self", "prompt_ids", "images", "multimodal_fields", "num_generations"]


def test_vllm_is_asked_for_each_completion_of_a_group() -> None:
    """TRL's side of it, played: vLLM itself has not been run."""
    asked: list[Any] = []

    def generate(prompts: Any, images: Any, fields: Any, size: int) -> Any:
        asked.append((prompts, images, fields, size))
        return [[5, 9], [5, 5], [9, 7], [5]], [[-1.0, -2.0], [-1.0, None], [-3.0, -4.0], [-5.0]]

    trainer = SimpleNamespace(recipe=recipe(rollouts="vllm", group_size=2), eos_token_ids=[9], _generate_single_turn=generate)
    with _from_vllm(trainer) as draw:
        ids, logprobs, finish = draw([[1, 2], [3]], 0)
    assert asked == [([[1, 2], [1, 2], [3], [3]], None, {}, 2)]
    assert ids == [[5, 9], [5, 5], [9], [5]]
    assert finish == ["stop", "length", "stop", "length"]
    assert logprobs[0] == [-1.0, -2.0]
    assert logprobs[1][0] == -1.0
    assert math.isnan(logprobs[1][1])
    assert logprobs[2:] == [[-3.0], [-5.0]]


def test_what_llamacpp_cannot_sample_from_is_said_first(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match="need an adapter"):
        check_rollouts(recipe(method="full", rollouts="llamacpp"), tmp_path)
    with pytest.raises(TrainError, match="no model for the rollouts") as caught:
        check_rollouts(recipe(rollouts="llamacpp", base="hf:someone/something"), tmp_path)
    assert "rl.rollout_model" in caught.value.hint
    check_rollouts(recipe(method="full"), tmp_path)


@pytest.mark.model
def test_another_model_is_refused(model_path: Path, tmp_path: Path) -> None:
    right = {
        "model_type": "llama", "num_hidden_layers": 30, "num_attention_heads": 9, "num_key_value_heads": 3, "vocab_size": 49152,
    }  # fmt: skip
    wanted = recipe(rollouts="llamacpp", rollout_model=str(model_path))
    (tmp_path / "config.json").write_text(json.dumps(right))
    assert find_gguf(wanted, tmp_path) == model_path
    for wrong in ({"num_hidden_layers": 12}, {"vocab_size": 50}):
        (tmp_path / "config.json").write_text(json.dumps(right | wrong))
        with pytest.raises(TrainError, match="another model"):
            find_gguf(wanted, tmp_path)


def test_tokens_within_a_character_have_no_probability() -> None:
    """llama-server leaves out 4 and 9 (the first bytes of characters) and the 4 that it was cut in."""
    scored = [{"id": 7, "logprob": -1.0}, {"id": 8, "logprob": -2.0}, {"id": 9, "prob": math.exp(-3)}]
    got = _logprobs({"tokens": [7, 4, 8, 9, 9, 4], "completion_probabilities": scored})
    assert [None if math.isnan(value) else round(value, 6) for value in got] == [-1.0, None, -2.0, None, -3.0, None]
    assert [math.isnan(value) for value in _logprobs({"tokens": [4, 4]})] == [True, True]
    with pytest.raises(TrainError, match="other tokens"):
        _logprobs({"tokens": [7, 9], "completion_probabilities": scored})


def test_a_completion_ends_at_the_first_end_that_the_trainer_knows() -> None:
    ids, logprobs, finish = _ended([[1, 9, 2], [1, 2], [], [3]], [[-1, -2, -3], [-1, -2], [], [-1]], {9, 3})
    assert ids == [[1, 9], [1, 2], [], [3]]
    assert logprobs == [[-1, -2], [-1, -2], [], [-1]]
    assert finish == ["stop", "length", "length", "stop"]
