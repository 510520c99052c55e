"""Examples as rows of equal length: tokens, labels, and where each example begins.

Place: between the training rows and the SFT trainer. Only the completion is learned, its end token included, and no span that a
row lists as untrained. Several examples share a row; positions begin anew with each, from which attention is kept inside (the
model sees no mask, only positions; `tests/equal/test_packing.py` proves that packed and single rows have the same loss).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sixfold.data.rows import Row
from sixfold.errors import TrainError

IGNORED = -100
_OPEN = 64
"""Rows that are being filled at one time: more pack denser and hold more in memory."""


@dataclass(frozen=True, slots=True)
class Example:
    """`labels` are as long as `tokens`; `IGNORED` where nothing is learned."""

    tokens: tuple[int, ...]
    labels: tuple[int, ...]


def encode(row: Row, tokenizer: Any) -> Example:
    """The tokens of a row: prompt and completion are cut apart from each other, as an engine does; the turn's end is learned.

    Raises `TrainError` for a row without prompt or completion.
    """
    completion = row.get("completion")
    if not row.get("prompt") or not completion or not completion[0].get("content"):
        raise TrainError("a row without prompt or completion", hint="SFT rows need both: see docs/training.md")
    prompt = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
    before = tokenizer(prompt, add_special_tokens=False)["input_ids"]
    text = completion[0]["content"]
    after = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    spans = [tuple(span) for span in (row.get("extra_info") or {}).get("untrained", ())]
    learned = [
        IGNORED if any(start < stop and first < stop and last > start for start, stop in spans) else token
        for token, (first, last) in zip(after["input_ids"], after["offset_mapping"], strict=True)
    ]
    end = tokenizer.eos_token_id
    return Example((*before, *after["input_ids"], end), (*[IGNORED] * len(before), *learned, end))


def packed(examples: Iterable[Example], length: int, pad: int, too_long: Callable[[], None]) -> Iterator[dict[str, list[int]]]:
    """Rows of `length` tokens out of examples, each whole (best fit among the rows that are open; those too long are told and
    left out). The rest of a row is padding at positions of its own, which nothing attends to and nothing is learned from.

    Keys: `input_ids`, `labels`, `position_ids`.
    """
    open_rows: list[list[Example]] = []
    room: list[int] = []

    def close(at: int) -> dict[str, list[int]]:
        room.pop(at)
        return _row(open_rows.pop(at), length, pad)

    for example in examples:
        size = len(example.tokens)
        if size > length:
            too_long()
            continue
        fitting = [i for i, left in enumerate(room) if left >= size]
        if fitting:
            at = min(fitting, key=room.__getitem__)
            open_rows[at].append(example)
            room[at] -= size
        else:
            open_rows.append([example])
            room.append(length - size)
            if len(room) > _OPEN:
                yield close(room.index(min(room)))
    while room:
        yield close(len(room) - 1)


def _row(examples: Sequence[Example], length: int, pad: int) -> dict[str, list[int]]:
    tokens: list[int] = []
    labels: list[int] = []
    positions: list[int] = []
    for example in examples:
        tokens += example.tokens
        # What an example begins with is predicted from nothing: never from the end of the one before.
        labels += (IGNORED, *example.labels[1:])
        positions += range(len(example.tokens))
    rest = length - len(tokens)
    return {
        "input_ids": tokens + [pad] * rest,
        "labels": labels + [IGNORED] * rest,
        "position_ids": positions + list(range(rest)),
    }


def collate(rows: Sequence[Mapping[str, Sequence[int]]]) -> dict[str, Any]:
    """Tensors of shape (rows, tokens). There is no attention mask: attention follows the positions."""
    import torch

    return {key: torch.tensor([row[key] for row in rows]) for key in ("input_ids", "labels", "position_ids")}
