"""The model is trained on the tokens that the engine will show it."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedded import engine_on

from sixfold.data.traces import Mix, even_cells, worked_rows
from sixfold.engine import models
from sixfold.tasks.catalog import FAMILIES
from sixfold.train.weights import load_tokenizer, open_base

pytest.importorskip("transformers")
AWKWARD = [
    "  12 + 5\n\n34", "a  7", "\n  8", "x=1234567", "def f(x):\n    return x[10:]\n", "| 5 | 12 |\n| ------ | --- |",
    "1. 2. 3.",
    "0.00001 M, 10^-5", "über 25 °C, 円周率 ٣٫١٤", "<think>\n5</think>\n\nAnswer: 5",
]  # fmt: skip


@pytest.mark.model
@pytest.mark.slow
async def test_tokens_are_those_of_llama_cpp(model_home: Path) -> None:
    tokenizer = load_tokenizer(open_base("smollm2-135m-instruct", model_home))
    cells = even_cells(list(FAMILIES), {1: 0.5, 2: 0.5}, 130)
    texts = AWKWARD + [row["completion"][0]["content"] for row in worked_rows(cells, Mix(planners=0))]
    texts += [
        tokenizer.apply_chat_template(r["prompt"], add_generation_prompt=True, tokenize=False) for r in worked_rows(cells)
    ]
    async with engine_on(models.find(models.BASE, model_home).path, slots=1, context_tokens=256) as engine:
        remote = engine.remote
        for text in texts:
            url = remote.url.removesuffix("/v1") + "/tokenize"
            page = await remote.client.post(url, json={"content": text, "add_special": False, "parse_special": True})
            assert tokenizer(text, add_special_tokens=False)["input_ids"] == page.json()["tokens"], text
