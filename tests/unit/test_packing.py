"""Examples as rows: nothing lost, nothing doubled, the right tokens learned."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.data.traces import Mix, make_trace
from sixfold.errors import TrainError
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate
from sixfold.train.packing import IGNORED, Example, encode, packed

pytest.importorskip("transformers")
from training import make_tiny


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from sixfold.train.weights import load_tokenizer

    return load_tokenizer(make_tiny(tmp_path_factory.mktemp("tiny")))


@given(st.lists(st.integers(1, 40), max_size=300), st.integers(8, 64))
def test_every_example_is_in_one_row_whole(sizes: list[int], length: int) -> None:
    examples = [Example((i + 1,) * size, (i + 1,) * size) for i, size in enumerate(sizes)]
    too_long: list[int] = []
    rows = list(packed(examples, length, 0, lambda: too_long.append(1)))
    assert len(too_long) == sum(size > length for size in sizes)
    found: dict[int, int] = {}
    for row in rows:
        assert len(row["input_ids"]) == len(row["labels"]) == len(row["position_ids"]) == length
        at = 0
        while at < length and row["input_ids"][at]:
            number = row["input_ids"][at]
            size = sizes[number - 1]
            assert number not in found
            found[number] = size
            assert row["input_ids"][at : at + size] == [number] * size
            assert row["position_ids"][at : at + size] == list(range(size))
            assert row["labels"][at : at + size] == [IGNORED, *[number] * (size - 1)]
            at += size
        assert row["labels"][at:] == [IGNORED] * (length - at)
        assert row["position_ids"][at:] == list(range(length - at))
    assert found == {i + 1: size for i, size in enumerate(sizes) if size <= length}


def test_only_the_completion_and_its_end_are_learned(tokenizer: Any) -> None:
    problem = next(generate(FAMILIES["math/product"], 1, "train"))
    row = make_trace(problem, Mix(planned=0, planners=0, slips=0, framed=0), random.Random(0))
    example = encode(row, tokenizer)
    learned = [token for token in example.labels if token != IGNORED]
    assert tokenizer.decode(learned) == row["completion"][0]["content"] + "<|im_end|>"
    assert example.tokens[-len(learned) :] == tuple(learned)
    prompt = tokenizer.decode(list(example.tokens[: -len(learned)]))
    assert prompt.endswith("<|im_start|>assistant\n")
    assert problem.question in prompt


def test_a_slip_is_read_and_not_learned(tokenizer: Any) -> None:
    problem = next(generate(FAMILIES["math/product"], 1, "train"))
    row = make_trace(problem, Mix(planned=0, planners=0, slips=1, framed=0), random.Random(0))
    [[start, stop]] = row["extra_info"]["untrained"]
    content = row["completion"][0]["content"]
    example = encode(row, tokenizer)
    learned = tokenizer.decode([token for token in example.labels if token != IGNORED])
    assert learned == content[:start] + content[stop:] + "<|im_end|>"
    assert content in tokenizer.decode(list(example.tokens))


ASKED = [{"role": "user", "content": "?"}]


@pytest.mark.parametrize(
    "row",
    [{"prompt": []}, {"prompt": ASKED}, {"prompt": ASKED, "completion": [{"role": "assistant", "content": ""}]}],
    ids=["nothing", "no completion", "an empty one"],
)
def test_a_row_without_completion_is_refused(row: dict[str, Any], tokenizer: Any) -> None:
    with pytest.raises(TrainError, match="without prompt or completion"):
        encode(row, tokenizer)


def test_a_model_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    from sixfold.train.weights import load_tokenizer

    with pytest.raises(TrainError, match="no chat template"):
        load_tokenizer(make_tiny(tmp_path / "bare", template=""))
