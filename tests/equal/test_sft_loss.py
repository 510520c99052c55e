"""The quick loss of the CPU and TRL's own are one number, and so are their gradients."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("trl")
from training import make_tiny

from sixfold.train.packing import collate
from sixfold.train.recipe import Recipe


def recipe(**sft: Any) -> Recipe:
    return Recipe.model_validate({
        "name": "test", "traces": {"tasks": ["math/product", "math/gcd"], "levels": {1: 1.0}, "rows": 40},
        "sft": {"max_tokens": 700, "batch_rows": 2, "compile": False, "precision": "fp32", "learning_rate": 0.01, **sft},
    })  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "full"])
def test_loss_and_gradients_equal_those_of_trl(method: str, tmp_path: Path) -> None:
    import torch
    from trl import SFTTrainer

    from sixfold.train.sft import make_dataset, make_trainer
    from sixfold.train.weights import load_tokenizer

    base, folder = make_tiny(tmp_path / "tiny"), tmp_path / "run"
    dataset, _ = make_dataset(recipe(), load_tokenizer(base), folder)
    trainer = make_trainer(recipe(method=method), base, folder, dataset)
    batch = collate([dataset[0], dataset[1]])
    model = trainer.model.train()
    results = []
    for compute in (type(trainer).compute_loss, SFTTrainer.compute_loss):
        model.zero_grad()
        loss = compute(trainer, model, dict(batch), num_items_in_batch=torch.tensor(37))
        loss.backward()
        results.append((loss.item(), [p.grad.clone() for p in model.parameters() if p.grad is not None]))
    (ours, our_gradients), (theirs, their_gradients) = results
    assert ours == pytest.approx(theirs, rel=1e-5)
    assert len(our_gradients) == len(their_gradients) > 0
    for mine, other in zip(our_gradients, their_gradients, strict=True):
        torch.testing.assert_close(mine, other, atol=1e-6, rtol=1e-3)
