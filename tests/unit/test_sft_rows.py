"""What of a recipe's rows is trained on: judged right, counted where not, and refused where nothing is left."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from sixfold.core import Message, Problem
from sixfold.data.rows import make_row
from sixfold.errors import TrainError
from sixfold.train.recipe import Recipe
from sixfold.train.sft import make_dataset, recipe_rows, train_sft
from sixfold.train.weights import load_tokenizer
from sixfold.verify.verifiers import Judge

pytest.importorskip("trl")
from training import make_tiny

PROBLEM = Problem("own", "2 + 2?", "4", "math", "math")


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    """A recipe with one worked row and a file of four, of which one can be learned from."""
    right = make_row(PROBLEM, [Message("user", PROBLEM.question)], "<think>\n2 + 2 = 4\n</think>\n\nAnswer: 4", "own")
    wrong = {**right, "completion": [{"role": "assistant", "content": "<think>\n5\n</think>\n\nAnswer: 5"}]}
    without_completion = {k: v for k, v in right.items() if k != "completion"}
    without_answer = {**right, "reward_model": {}}
    file = tmp_path / "own.jsonl"
    file.write_text("\n".join(map(json.dumps, (right, wrong, without_completion, without_answer))), encoding="utf-8")
    return Recipe.model_validate({
        "name": "test", "traces": {"tasks": ["math/gcd"], "levels": {1: 1.0}, "rows": 1, "planners": 0, "files": [str(file)]},
        "sft": {"max_tokens": 900, "batch_rows": 1, "compile": False, "precision": "fp32"},
    })  # fmt: skip


def test_what_is_not_judged_right_is_left_out_and_counted(recipe: Recipe, tmp_path: Path) -> None:
    told: Counter[str] = Counter()
    with Judge() as judge:
        rows = list(recipe_rows(recipe, judge, lambda why: told.update([why])))
    assert [row["extra_info"]["id"].split("/")[0] for row in rows] == ["math", "own"]
    assert told == {
        "own.jsonl, verified: wrong": 1, "own.jsonl, completion: empty": 1, "own.jsonl, verified: no problem in the row": 1,
    }  # fmt: skip
    _, counts = make_dataset(recipe, load_tokenizer(make_tiny(tmp_path / "tiny")), tmp_path / "data")
    assert counts["rows"] == 2
    assert sum(n for what, n in counts.items() if what.startswith("left out: own.jsonl")) == 3


def test_worked_rows_are_judged_before_they_are_learned(
    recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import sixfold.data.traces as traces

    made = traces.make_trace

    def spoiled(*given: Any) -> Any:
        row = made(*given)
        row["completion"][0]["content"] = "<think>\n</think>\n\nAnswer: -1"
        return row

    monkeypatch.setattr(traces, "make_trace", spoiled)
    _, counts = make_dataset(recipe, load_tokenizer(make_tiny(tmp_path / "tiny")), tmp_path / "data")
    assert counts["rows"] == 1
    assert any(what.startswith("left out: math/gcd:1 judged 0.0") for what in counts)


def test_a_recipe_without_a_row_that_fits_is_refused(recipe: Recipe, tmp_path: Path) -> None:
    tight = recipe.model_copy(update={"sft": recipe.sft.model_copy(update={"max_tokens": 16})})
    with pytest.raises(TrainError, match=r"none of the recipe's rows can be trained on: .*2 longer than max_tokens"):
        train_sft(tight, make_tiny(tmp_path / "tiny"), tmp_path / "run")


def test_a_step_is_divided_into_whole_passes() -> None:
    with pytest.raises(ValidationError, match=r"batch_rows \(8\) must divide by accumulate \(3\)"):
        Recipe.model_validate({"name": "test", "sft": {"accumulate": 3}})
