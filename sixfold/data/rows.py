"""A training row: one format for SFT and RL that TRL reads as it is and verl after a change of container.

Place: everything that makes training data writes these rows as JSONL; everything that trains reads them. A row is a plain
mapping, so that a set of any size streams: `data_source`, `prompt` (messages), `completion` (messages; none in a set for RL
alone), `ability` (the domain), `reward_model` (`style`, `ground_truth`: a problem as a JSON string) and `extra_info`.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sixfold.core import Message, Problem
from sixfold.errors import ConfigError

Row = dict[str, Any]


def make_row(problem: Problem, prompt: Iterable[Message], completion: str | None, source: str, **extra: Any) -> Row:
    """A row of `problem`. `extra` becomes part of `extra_info`, beside the problem's id, its level and its licence.

    >>> row = make_row(Problem("p", "2 + 2?", "4", "math", "math"), [Message("user", "2 + 2?")], "Answer: 4", "worked")
    >>> row["ability"], row["completion"], row_problem(row).answer
    ('math', [{'role': 'assistant', 'content': 'Answer: 4'}], '4')
    """
    truth = {"answer": problem.answer, "verifier": problem.verifier, "meta": dict(problem.meta), "question": problem.question}
    info = {"id": problem.id, "level": problem.meta.get("level", 0), "family": problem.meta.get("family", ""), **extra}
    row: Row = {
        "data_source": f"sixfold/{source}/{problem.id.split('/train/')[0]}",
        "prompt": [{"role": m.role, "content": m.content} for m in prompt],
        "ability": problem.domain,
        "reward_model": {"style": "rule", "ground_truth": json.dumps(truth, ensure_ascii=False)},
        "extra_info": {"split": "train", "licence": "Apache-2.0", "origin": source, **info},
    }
    return row if completion is None else row | {"completion": [{"role": "assistant", "content": completion}]}


def row_problem(row: Mapping[str, Any]) -> Problem:
    """The problem of a row, for its verifier. Raises `ConfigError` where the row carries none."""
    try:
        truth = json.loads(row["reward_model"]["ground_truth"])
        info = row.get("extra_info") or {}
        return Problem(
            str(info.get("id", "")), truth["question"], truth["answer"], str(row.get("ability", "")), truth["verifier"],
            truth.get("meta") or {},
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(
            f"a row without an answer to check: {type(error).__name__}: {error}",
            hint="reward_model.ground_truth holds JSON with question, answer and verifier: see docs/training.md",
        ) from error


def read_rows(path: Path) -> Iterator[Row]:
    """The rows of a JSONL file, one at a time. Raises `ConfigError` with the line that is none."""
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except ValueError as error:
                    raise ConfigError(f"{path}:{number} is not JSON: {error}", hint="one JSON object a line") from error
                if not isinstance(row, dict):
                    raise ConfigError(f"{path}:{number} is no JSON object", hint="one JSON object a line")
                yield row
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", hint="give a JSONL file") from error
