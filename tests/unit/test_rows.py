"""The training row: what it holds comes back, and what is none is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest

from sixfold.core import Message, Problem
from sixfold.data.rows import make_row, read_rows, row_problem
from sixfold.errors import ConfigError

PROBLEM = Problem("math/gcd:1/train/abc", "Gcd of 4 and 6?", "2", "math", "math", {"family": "math/gcd", "level": 1})


def test_a_problem_comes_back_whole() -> None:
    row = make_row(PROBLEM, [Message("user", PROBLEM.question)], "Answer: 2", "worked", kind="solver")
    assert row_problem(row) == PROBLEM
    assert row["data_source"] == "sixfold/worked/math/gcd:1"
    assert set(row) == {"data_source", "prompt", "completion", "ability", "reward_model", "extra_info"}


def test_a_row_for_rl_has_no_completion() -> None:
    assert "completion" not in make_row(PROBLEM, [Message("user", "?")], None, "worked")


@pytest.mark.parametrize(
    "row", [{}, {"reward_model": {}}, {"reward_model": {"ground_truth": "no JSON"}}, {"reward_model": None}]
)
def test_a_row_without_an_answer_is_refused(row: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match="without an answer"):
        row_problem(row)


def test_a_bad_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "rows.jsonl"
    file.write_text('{"a": 1}\n\n[1]\n', encoding="utf-8")
    rows = read_rows(file)
    assert next(rows) == {"a": 1}
    with pytest.raises(ConfigError, match=r"rows.jsonl:3 is no JSON object"):
        next(rows)
    with pytest.raises(ConfigError, match="cannot be read"):
        next(read_rows(tmp_path / "none.jsonl"))
