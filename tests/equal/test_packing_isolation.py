"""Packed rows and single rows are one model: what stands before an example in its row does not reach it."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.train.packing import IGNORED, Example, collate, packed

torch = pytest.importorskip("torch")
from training import make_tiny  # noqa: E402


@pytest.mark.parametrize("attention", ["eager", "sdpa"])
def test_packed_logits_equal_single_ones(attention: str, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(make_tiny(tmp_path / "tiny"), attn_implementation=attention).eval()
    generator = torch.Generator().manual_seed(1)
    examples = []
    for size in (17, 9, 30, 5):
        tokens = tuple(torch.randint(0, 200, (size,), generator=generator).tolist())
        examples.append(Example(tokens, (IGNORED, *tokens[1:])))
    [row] = packed(examples, 64, 0, lambda: pytest.fail("all fit"))
    batch = collate([row, row])
    with torch.no_grad():
        together = model(input_ids=batch["input_ids"], position_ids=batch["position_ids"], use_cache=False).logits[1]
        at = 0
        for example in examples:
            alone = model(input_ids=torch.tensor([example.tokens]), use_cache=False).logits[0]
            torch.testing.assert_close(together[at : at + len(example.tokens)], alone, atol=1e-5, rtol=1e-4)
            at += len(example.tokens)
        # The test can fail: with positions that run on, the examples see each other.
        leaking = model(
            input_ids=batch["input_ids"], position_ids=torch.arange(64)[None].expand(2, 64), use_cache=False
        ).logits[1]
    assert (leaking[17:26] - together[17:26]).abs().max() > 1e-3
