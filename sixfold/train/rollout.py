"""Completions from the policy itself: a batched torch sampler that computes each prompt once.

Place: `rl.py` draws its groups here, and the gates their samples. `transformers.generate` computes a prompt once for every
completion and goes on computing sequences that have ended; here a group shares its prompt, ended sequences leave the batch, and
the log-probability of each token comes with it, of the very distribution it was drawn from (temperature alone: cutting the tail
would bias the importance ratio). `tests/equal/test_rollout.py` proves it equal to plain forward passes.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

_POSITIONS = 2048
"""Positions whose distribution over the vocabulary is held at a time."""
_LEAVE = 8
"""Ended sequences leave when they are one in so many: each leaving copies the cache."""

Finish = Literal["stop", "length"]


def sample(
    model: Any,
    prompts_ids: Sequence[Sequence[int]],
    group_size: int,
    max_new_tokens: int,
    temperature: float,
    eos_id: int | Collection[int],
    generator: Any = None,
) -> tuple[list[list[int]], list[list[float]], list[Finish]]:
    """`group_size` completions of each prompt, those of a prompt beside each other: token ids (an end token included), natural
    log-probabilities at `temperature`, and whether it ended by itself (`stop`) or was cut (`length`).

    Temperature 0 takes the likeliest token, with its log-probability at temperature 1. The random numbers of a sequence do not
    depend on when others end; `generator` is a `torch.Generator` on the CPU. Logits are those of float32, whatever the weights.
    """
    import torch

    device = next(model.parameters()).device
    ends = torch.tensor(sorted({eos_id} if isinstance(eos_id, int) else set(eos_id)), device=device)
    count = len(prompts_ids) * group_size
    ids: list[list[int]] = [[] for _ in range(count)]
    logprobs: list[list[float]] = [[] for _ in range(count)]
    finish: list[Finish] = ["length"] * count
    if not count or max_new_tokens < 1:
        return ids, logprobs, finish
    uniform_B_T = torch.rand(count, max_new_tokens, generator=generator, dtype=torch.float64) if temperature else None
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad(), _grouped_attention(model):
            logits_B_V, cache, mask_B_L = _prefill(model, prompts_ids, group_size, device)
            positions_B = mask_B_L.sum(-1)
            alive = torch.arange(count, device=device)
            for at in range(max_new_tokens):
                uniform = None if uniform_B_T is None else uniform_B_T[alive.cpu(), at].to(device)
                chosen, chosen_logprobs = _choose(logits_B_V, temperature, uniform)
                ended = torch.isin(chosen, ends)
                rows = zip(alive.tolist(), chosen.tolist(), chosen_logprobs.tolist(), ended.tolist(), strict=True)
                for index, token, logprob, stops in rows:
                    if finish[index] == "stop":
                        continue
                    ids[index].append(token)
                    logprobs[index].append(logprob)
                    if stops:
                        finish[index] = "stop"
                going = [row for row, index in enumerate(alive.tolist()) if finish[index] != "stop"]
                if not going or at + 1 == max_new_tokens:
                    break
                if (len(alive) - len(going)) * _LEAVE >= len(alive):
                    keep = torch.tensor(going, device=device)
                    cache.batch_select_indices(keep)
                    alive, chosen, mask_B_L, positions_B = alive[keep], chosen[keep], mask_B_L[keep], positions_B[keep]
                mask_B_L = torch.cat([mask_B_L, mask_B_L.new_ones(len(alive), 1)], 1)
                logits_B_V = model(
                    input_ids=chosen[:, None], attention_mask=mask_B_L, position_ids=positions_B[:, None],
                    past_key_values=cache, use_cache=True, logits_to_keep=1,
                ).logits[:, -1]  # fmt: skip
                positions_B = positions_B + 1
    finally:
        model.train(was_training)
    return ids, logprobs, finish


@contextmanager
def _grouped_attention(model: Any) -> Iterator[None]:
    """Attention that reads shared key and value heads where they are; what training uses on a CPU copies them for each query
    head, at each token."""
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = inner.config._attn_implementation
    if before != "eager" or not getattr(inner, "_supports_sdpa", False):
        yield
        return
    inner.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        inner.set_attn_implementation(before)


def _prefill(model: Any, prompts_ids: Sequence[Sequence[int]], group_size: int, device: Any) -> tuple[Any, Any, Any]:
    """The prompts in one batch, padded on the left at positions of no weight; then each repeated for its group."""
    import torch
    from transformers import DynamicCache

    length = max(map(len, prompts_ids))
    pads = [length - len(prompt) for prompt in prompts_ids]
    ids = torch.tensor([[0] * pad + list(prompt) for pad, prompt in zip(pads, prompts_ids, strict=True)], device=device)
    mask = torch.tensor([[0] * pad + [1] * (length - pad) for pad in pads], device=device)
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    cache = DynamicCache(config=model.config)
    logits = model(
        input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1
    ).logits[:, -1]
    cache.batch_repeat_interleave(group_size)
    return logits.repeat_interleave(group_size, 0), cache, mask.repeat_interleave(group_size, 0)


def _choose(logits_B_V: Any, temperature: float, uniform_B: Any) -> tuple[Any, Any]:
    """A token of each row and its log-probability. A token is drawn by where a uniform number falls in the cumulated
    probabilities, so that each sequence needs one number a token, whatever else is in the batch."""
    import torch

    logits = logits_B_V.float()
    logprobs = torch.log_softmax(logits / temperature if temperature else logits, -1)
    if uniform_B is None:
        chosen = logits.argmax(-1)
    else:
        total = logprobs.double().exp().cumsum(-1)
        chosen = (
            torch.searchsorted(total, uniform_B[:, None] * total[:, -1:], right=True).squeeze(1).clamp(max=logits.shape[-1] - 1)
        )
    return chosen, logprobs.gather(1, chosen[:, None]).squeeze(1)


def completion_logprobs(model: Any, ids_B_L: Any, mask_B_L: Any, keep: int, temperature: float) -> tuple[Any, Any]:
    """Log-probabilities of the last `keep` tokens of each row, and the entropies of their distributions, in nats, shape (B,
    keep); 0 where the mask is 0. Rows without a completion and columns without a token are left out of the work, and only
    completion tokens meet the vocabulary."""
    import torch
    from torch.utils.checkpoint import checkpoint

    learned_B_L = mask_B_L.bool().clone()
    learned_B_L[:, :-keep] = False
    rows = learned_B_L.any(1).nonzero().squeeze(1)
    # With nothing to learn one row still goes through, so that there is a gradient, of zero.
    rows = rows if len(rows) else rows.new_zeros(1)
    used = mask_B_L[rows].any(0).nonzero().squeeze(1)
    span = slice(int(used[0]) if len(used) else 0, int(used[-1]) + 1 if len(used) else 1)
    ids, mask, learned = ids_B_L[rows, span], mask_B_L[rows, span], learned_B_L[rows, span][:, 1:]
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    hidden = inner.base_model(input_ids=ids, attention_mask=mask, position_ids=positions, use_cache=False).last_hidden_state
    hidden, targets = hidden[:, :-1][learned], ids[:, 1:][learned]
    head = inner.get_output_embeddings()

    def scored(part: Any, tokens: Any) -> tuple[Any, Any]:
        logits = head(part).float() / temperature
        total = logits.logsumexp(-1)
        with torch.no_grad():
            entropy = total - (logits.softmax(-1) * logits).sum(-1)
        return logits.gather(1, tokens[:, None]).squeeze(1) - total, entropy

    parts = list(zip(hidden.split(_POSITIONS), targets.split(_POSITIONS), strict=True))
    # A long batch computes its distributions again in the backward pass rather than hold them all.
    got = [scored(*part) if len(parts) == 1 else checkpoint(scored, *part, use_reentrant=False) for part in parts]
    at_row, at_column = learned.nonzero(as_tuple=True)
    place = (rows[at_row], at_column + 1 + span.start)
    empty = torch.zeros(ids_B_L.shape, device=ids_B_L.device)
    logprobs, entropies = (empty.index_put(place, torch.cat(values)) for values in zip(*got, strict=True))
    return logprobs[:, -keep:], entropies[:, -keep:]
