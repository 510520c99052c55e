"""Speculative decoding is lossless: greedy text is the same with every kind as without, for one stream and for four."""

from __future__ import annotations

from pathlib import Path

import pytest
from embedded import engine_on, texts_of

from sixfold.core import Message, Request, Sampling

pytestmark = pytest.mark.model

_COUNT = (Message("user", "Count from 1 to 40, separated by commas."),)
_REPEAT = (Message("user", "Write the sentence 'The quick brown fox jumps over the lazy dog.' ten times."),)


@pytest.mark.parametrize("speculate", ["ngram-simple", "ngram-mod", "ngram-cache", "draft"])
@pytest.mark.parametrize("n", [1, 4])
async def test_greedy_text_is_the_same_with_and_without_speculation(model_path: Path, speculate: str, n: int) -> None:
    # ngram-cache needs words that come again, the others a longer repeat.
    request = Request(_REPEAT if speculate == "ngram-cache" else _COUNT, Sampling(max_tokens=120, temperature=0.0), n=n)
    async with engine_on(model_path, slots=4) as engine:
        plain, plain_usage = await texts_of(engine, request)
    async with engine_on(model_path, slots=4, speculate=speculate, draft_path=str(model_path)) as engine:
        fast, usage = await texts_of(engine, request)
    assert fast == plain
    assert len(plain) == n
    assert plain_usage.drafted_tokens == 0
    assert usage.completion_tokens == plain_usage.completion_tokens
    assert usage.drafted_tokens >= usage.accepted_tokens > 0
