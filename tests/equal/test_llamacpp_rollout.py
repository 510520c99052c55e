"""What llama.cpp samples with the policy's adapter, and how likely it says that was, is what torch says; RL trains on it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
import torch
from exporting import make_adapter, make_gguf

from sixfold.core import Problem, Verdict
from sixfold.engine.llamacpp import LlamaCppEngine, Settings
from sixfold.engine.lora_gguf import write_lora_gguf
from sixfold.errors import TrainError
from sixfold.train import engine_rollout
from sixfold.train.engine_rollout import open_draw
from sixfold.train.recipe import Recipe
from sixfold.train.rl import make_trainer, train_rl
from sixfold.train.watch import checkpoints
from sixfold.train.weights import open_base

pytestmark = [
    pytest.mark.model, pytest.mark.slow, pytest.mark.filterwarnings("ignore:.*is_gradient_checkpointing.*:FutureWarning"),
]  # fmt: skip

MEAN, MOST = 0.02, 0.15
"""Nats between torch in float32 and llama.cpp with weights in F32: its cache, and what meets the adapter, are in F16."""
EOS = 2
ENDS = {EOS, *range(0, 49152, 8)}


@pytest.fixture
def base(model_home: Path, model_path: Path, tmp_path: Path) -> Path:
    """`random:tiny`, so strong that it prefers some tokens, one of them its end; `base.gguf` is beside it."""
    from transformers import AutoModelForCausalLM

    made = open_base("random:tiny", model_home)
    model = AutoModelForCausalLM.from_pretrained(made, dtype=torch.float32)
    with torch.no_grad():
        for weights in model.parameters():
            if weights.ndim == 2:
                weights.mul_(6)
        model.get_input_embeddings().weight[EOS].mul_(16)
    folder = tmp_path / "base"
    folder.mkdir()
    for file in made.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    model.save_pretrained(folder)
    # The trainer's ends: some completions have one.
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": sorted(ENDS)}), encoding="utf-8")
    make_gguf(folder, tmp_path / "base.gguf", model_path)
    return folder


def plain(model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float) -> Any:
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    return torch.log_softmax(logits / temperature, -1).gather(1, torch.tensor(completion)[:, None]).squeeze(1)


@pytest.mark.parametrize("temperature", [1.0, 0.7])
def test_llamacpp_says_how_likely_its_tokens_were(temperature: float, base: Path, tmp_path: Path) -> None:
    from peft import PeftModel
    from transformers import AutoModelForCausalLM

    adapter = make_adapter(base, tmp_path / "adapter", size=0.2)
    write_lora_gguf(adapter, base, tmp_path / "lora.gguf")
    settings = Settings(
        str(tmp_path / "base.gguf"), slots=16, context_tokens=64, threads=1, cache_mib=0, lora_path=str(tmp_path / "lora.gguf")
    )
    prompts = [[1, 4093, 198, 30, 7], [1, 520, 9531, 198, 5, 44, 1000, 12], [1, 77], [1, 900, 4]]
    with open_draw(settings, 16, 12, temperature, ENDS) as draw:
        ids, logprobs, finish = draw(prompts, 3)
        other = draw(prompts[:1], 4)[0]
    assert len(ids) == len(logprobs) == len(finish) == 64
    assert {"stop", "length"} == set(finish)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    without = torch.cat([plain(model, prompts[i // 16], tokens, temperature) for i, tokens in enumerate(ids)])
    policy = PeftModel.from_pretrained(model, adapter).eval()
    at_one = torch.cat([plain(policy, prompts[i // 16], tokens, 1.0) for i, tokens in enumerate(ids)])
    expected = torch.cat([plain(policy, prompts[i // 16], tokens, temperature) for i, tokens in enumerate(ids)])
    said = torch.tensor([value for values in logprobs for value in values])
    known = ~said.isnan()
    assert 0 < (~known).sum() < len(said) / 4, "this test wants tokens that end within a character"
    got, expected, without, at_one = said[known], expected[known], without[known], at_one[known]
    gap = (got - expected).abs()
    assert gap.mean() < MEAN
    assert gap.max() < MOST
    # Without the adapter, or at another temperature, it would not agree.
    assert (got - without).abs().mean() > 10 * MEAN
    assert temperature == 1.0 or (got - at_one).abs().mean() > 10 * MEAN
    for tokens, how in zip(ids, finish, strict=True):
        assert (tokens[-1] in ENDS) == (how == "stop")
        assert not ENDS & set(tokens[:-1])
    # Another seed says something else, and so do the members of a group: nothing of the tail is cut off (llama.cpp's 40).
    assert ids[:16] != other
    assert len({token for tokens in ids for token in tokens[:2]}) > 60


def recipe(base: Path, **rl: Any) -> Recipe:
    given = {
        "tasks": ["math/gcd", "math/product"], "prompts": 2, "group_size": 4, "micro_batch": 4, "max_tokens": 12, "refill": 0,
        "max_prompt_tokens": 400, "steps": 3, "save_steps": 1, "learning_rate": 2e-2, "warmup": 0.0, "rollouts": "llamacpp",
        "rollout_model": str(base.with_suffix(".gguf")), "mask_truncated": False,
    }  # fmt: skip
    return Recipe.model_validate({
        "name": "test", "base": str(base), "sft": {"precision": "fp32", "lora": {"rank": 4, "alpha": 8}}, "rl": given | rl,
    })  # fmt: skip


def judge(problem: Problem, text: str) -> Verdict:
    return Verdict(float(sum(map(ord, text)) % 2), form="strict")


def values(done: dict[str, Any]) -> dict[int, dict[str, Any]]:
    return {line["step"]: line for line in done["log"] if "loss" in line}


def test_each_step_samples_from_the_weights_of_the_step(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fresh = values(train_rl(recipe(base), base, None, tmp_path / "fresh", judge=judge))
    assert sorted(fresh) == [1, 2, 3]
    assert all(0 <= step["sampler/kl"] < 1e-3 and step["sampler/logprob_gap_max"] < MOST for step in fresh.values())
    assert any(step["sampler/kl"] > 0 for step in fresh.values())
    # The same with the adapter of the first step for ever: the policy has moved away from its sampler, and the log says so.
    first = tmp_path / "first.gguf"

    def stale(adapter: Path, model: Path, out: Path) -> None:
        if not first.exists():
            write_lora_gguf(adapter, model, first)
        out.write_bytes(first.read_bytes())

    monkeypatch.setattr(engine_rollout, "write_lora_gguf", stale)
    old = values(train_rl(recipe(base), base, None, tmp_path / "old", judge=judge))
    assert old[3]["sampler/kl"] > 10 * max(step["sampler/kl"] for step in fresh.values())


def test_a_run_with_llamacpp_goes_on_with_the_same_problems(base: Path, tmp_path: Path) -> None:
    from transformers import TrainerCallback

    class Stop(TrainerCallback):  # type: ignore[misc]
        def on_step_end(self, args: Any, state: Any, control: Any, **more: Any) -> None:
            control.should_training_stop = state.global_step == 2

    def wrong(problem: Problem, text: str) -> Verdict:
        return Verdict(0.0, form="strict")

    halted, whole = tmp_path / "halted", tmp_path / "whole"
    train_rl(recipe(base), base, None, halted, callbacks=[Stop()], judge=wrong)
    assert [step for step, _ in checkpoints(halted / "checkpoints")] == [1, 2]
    assert sorted(values(train_rl(recipe(base), base, None, halted, resume=True, judge=wrong))) == [1, 2, 3]
    train_rl(recipe(base), base, None, whole, judge=wrong)
    states = [json.loads((folder / "checkpoints/checkpoint-3/cells-0.json").read_text()) for folder in (halted, whole)]
    assert states[0] == states[1]


def test_a_dead_child_ends_the_step_with_what_to_do(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[int] = []
    complete = LlamaCppEngine.complete

    async def killed(engine: LlamaCppEngine, body: Any, timeout_s: float) -> Any:
        assert engine.pid
        if not started:
            started.append(engine.pid)
            os.kill(engine.pid, 9)
        return await complete(engine, body, timeout_s)

    monkeypatch.setattr(LlamaCppEngine, "complete", killed)
    trainer = make_trainer(recipe(base), base, None, tmp_path / "run", judge)
    trainer.model.train()
    with pytest.raises(TrainError, match="the embedded engine died in the middle") as caught:
        trainer._generate_and_score_completions([{"prompt": []}] * 8)
    assert "--resume" in caught.value.hint
    with pytest.raises(ProcessLookupError):
        os.kill(started[0], 0)


def test_an_adapter_that_does_not_fit_is_said_so(base: Path, tmp_path: Path) -> None:
    (tmp_path / "lora.gguf").write_bytes(b"GGUF" + bytes(64))
    settings = Settings(str(tmp_path / "base.gguf"), slots=1, context_tokens=64, lora_path=str(tmp_path / "lora.gguf"))
    with pytest.raises(TrainError, match=r"could not load .*base.gguf with .*lora.gguf"), open_draw(settings, 1, 4, 1.0, [EOS]):
        pass
