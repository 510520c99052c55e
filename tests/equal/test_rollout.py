"""The batched sampler says what plain forward passes and `generate` say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
import torch
from transformers import LlamaConfig, LlamaForCausalLM

from sixfold.train.rollout import sample

EOS = 7
ENDS = [EOS, 9, 15, 33, 50]
PROMPTS = [[3, 5, 9, 11, 2, 8], [4, 4], [12, 1, 30, 31, 6, 20, 21, 22, 40]]


@pytest.fixture(scope="module", params=["eager", "sdpa"])
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(1)
    config = LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        initializer_range=0.3, eos_token_id=EOS, pad_token_id=0, bos_token_id=None, tie_word_embeddings=True,
    )  # fmt: skip
    made = LlamaForCausalLM(config).eval()
    made.set_attn_implementation(request.param)
    return made


def drawn(
    model: Any, prompts: Sequence[Sequence[int]] = PROMPTS, seed: int = 0, group: int = 6, temperature: float = 1.3
) -> Any:
    return sample(model, prompts, group, 24, temperature, ENDS, torch.Generator().manual_seed(seed))


def plain(model: Any, prompt: Sequence[int], completion: Sequence[int], temperature: float) -> torch.Tensor:
    """Log-probabilities of one sequence, without padding, cache or batch."""
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([[*prompt, *completion]]), use_cache=False).logits[0, len(prompt) - 1 : -1]
    logprobs = torch.log_softmax(logits.float() / temperature, -1)
    return logprobs.gather(1, torch.tensor(completion)[:, None]).squeeze(1)


def test_logprobs_are_those_of_a_plain_forward_pass(model: Any) -> None:
    ids, logprobs, finish = drawn(model)
    assert len(ids) == len(PROMPTS) * 6
    early = sum(len(tokens) < 12 for tokens in ids)
    assert early > len(ids) / 4, "this test wants sequences that leave the batch"
    assert "length" in finish
    for index, (tokens, got) in enumerate(zip(ids, logprobs, strict=True)):
        torch.testing.assert_close(torch.tensor(got), plain(model, PROMPTS[index // 6], tokens, 1.3), atol=1e-4, rtol=0)


def test_what_ended_has_its_end_token_and_nothing_after_it(model: Any) -> None:
    ids, _, finish = drawn(model)
    for tokens, how in zip(ids, finish, strict=True):
        assert sum(token in ENDS for token in tokens) == (how == "stop")
        assert tokens[-1] in ENDS if how == "stop" else len(tokens) == 24


def test_greedy_is_what_generate_says(model: Any) -> None:
    ids, logprobs, _ = sample(model, PROMPTS, 2, 24, 0.0, EOS)
    for number, prompt in enumerate(PROMPTS):
        said = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt), dtype=torch.long),
            max_new_tokens=24,
            do_sample=False,
        )
        assert ids[2 * number] == ids[2 * number + 1] == said[0, len(prompt) :].tolist()
        torch.testing.assert_close(
            torch.tensor(logprobs[2 * number]), plain(model, prompt, ids[2 * number], 1.0), atol=1e-4, rtol=0
        )


def test_a_batch_is_its_prompts_one_by_one(model: Any) -> None:
    """The first prompt of a batch gets the random numbers that it gets alone."""
    ids, logprobs, finish = drawn(model)
    alone, alone_logprobs, alone_finish = drawn(model, PROMPTS[:1])
    assert (ids[:6], finish[:6]) == (alone, alone_finish)
    for got, want in zip(logprobs[:6], alone_logprobs, strict=True):
        torch.testing.assert_close(torch.tensor(got), torch.tensor(want), atol=1e-4, rtol=0)
    greedy = sample(model, PROMPTS, 1, 24, 0.0, EOS)[0]
    assert greedy == [sample(model, [prompt], 1, 24, 0.0, EOS)[0][0] for prompt in PROMPTS]


def test_tokens_come_as_often_as_they_are_likely(model: Any) -> None:
    count, temperature = 6000, 0.7
    ids = sample(model, PROMPTS[:1], count, 1, temperature, EOS, torch.Generator().manual_seed(3))[0]
    seen = torch.bincount(torch.tensor([tokens[0] for tokens in ids]), minlength=64).double()
    with torch.no_grad():
        expected = torch.softmax(model(torch.tensor(PROMPTS[:1])).logits[0, -1].double() / temperature, -1) * count
    likely = expected > 5
    statistic = ((seen - expected)[likely] ** 2 / expected[likely]).sum().item()
    freedom = int(likely.sum()) - 1
    # Chi squared, five standard deviations above its mean.
    assert freedom > 5
    assert statistic < freedom + 5 * (2 * freedom) ** 0.5


def test_the_seed_decides(model: Any) -> None:
    assert drawn(model, seed=5) == drawn(model, seed=5)
    assert drawn(model, seed=5)[0] != drawn(model, seed=6)[0]


def test_several_end_tokens_and_no_room(model: Any) -> None:
    ids, _, finish = sample(model, PROMPTS, 8, 24, 1.3, [EOS, 9], torch.Generator().manual_seed(0))
    assert {tokens[-1] for tokens, how in zip(ids, finish, strict=True) if how == "stop"} == {EOS, 9}
    assert sample(model, PROMPTS, 2, 0, 1.0, EOS)[0] == [[]] * 6
    assert sample(model, [], 2, 5, 1.0, EOS) == ([], [], [])


def test_the_model_is_left_as_it_was(model: Any) -> None:
    before = model.config._attn_implementation
    model.train()
    drawn(model)
    assert model.training
    assert model.config._attn_implementation == before
    model.eval()
