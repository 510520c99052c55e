"""Rows of public sets in a folder: `<folder>/<set>/<split>.jsonl`, one JSON object a line.

Place: `benchmarks.py` looks here first, where the user has such a folder (SIXFOLD_DATA, or the setting `data`), and asks the
hub otherwise. A row has `id`, `problem`, `answer`, perhaps `solution`, `source`, `licence`, `meta` (choices, tests, ...). What
they mean is the business of `rows.py`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sixfold.errors import TaskError


def data_folder(setting: Path | None = None) -> Path | None:
    """The folder of data sets, if the user has one. Raises `TaskError` where the one that is named is not there."""
    named = str(setting or os.environ.get("SIXFOLD_DATA") or "")
    if not named:
        return None
    try:
        folder = Path(named).expanduser().absolute()
    except RuntimeError as error:
        raise TaskError(f"{named} names no folder: {error}", hint="set SIXFOLD_DATA to a folder, or unset it") from error
    if not folder.is_dir():
        raise TaskError(
            f"there is no folder {folder}", hint="set SIXFOLD_DATA to a folder of data sets, or unset it for the hub"
        )
    return folder


def find_file(folder: Path | None, name: str) -> Path | None:
    """The file of a set and split, such as "gsm8k/test", if the folder has it."""
    path = folder / f"{name}.jsonl" if folder else None
    return path if path and path.is_file() else None


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file. Raises `TaskError` with the line of one that is none."""
    number = 0
    try:
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                number += 1
                if not line.strip():
                    continue
                row = json.loads(line)
                if not isinstance(row, dict) or not all(isinstance(row.get(key), str) for key in ("id", "problem", "answer")):
                    raise ValueError("a row needs `id`, `problem` and `answer`, which are texts")
                row["meta"] = row.get("meta") or {}
                yield row
    except (OSError, ValueError) as error:
        raise TaskError(f"{path}, line {number}: {error}", hint="get the file again") from error
