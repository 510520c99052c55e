"""Public trace sets in a recipe: what is filtered out and counted, no evaluation question, and no more memory for more rows."""

from __future__ import annotations

import json
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sixfold.cli import gating
from sixfold.data.overlap import Index
from sixfold.errors import ConfigError
from sixfold.train.presets import load_recipe
from sixfold.train.recipe import Recipe
from sixfold.train.runs import data_fingerprint
from sixfold.train.sft import recipe_rows
from sixfold.verify.verifiers import Judge

ASKED = "A farmer has seventeen sheep and buys twelve more at the market on Monday; how many sheep has the farmer now?"
STEPS = "We add the two numbers that are given in the question and look at what that is, step by step."


def turn(question: str, thinking: str = STEPS, answer: str = "", truth: str | None = None) -> dict[str, Any]:
    """A row in the shape of AM-Thinking-v1-Distilled."""
    info = {"ground_truth": truth} if truth else {}
    said = f"<think>{thinking}</think><answer>{answer or truth}</answer>"
    return {"conversations": [{"from": "human", "value": question}, {"from": "assistant", "value": said, "info": info}]}


AM = [
    turn("What is 2 + 2?", truth="4"),
    turn("What is 2 + 2?", truth="4"),
    turn("What is 3 + 3?", answer="7", truth="6"),
    turn("Name a fruit.", answer="An apple, as far as I can tell."),
    turn("Сколько будет 1 + 1?", thinking="Сложим эти два числа и посмотрим, что получится в итоге.", truth="2"),
    turn("What is 5 + 5?", thinking="Wait, I am not so sure. " * 30, truth="10"),
    turn("What is 6 + 6?", thinking="It is so. And then it goes on to other things. " + "many words " * 2000, truth="12"),
    turn(ASKED, truth="29"),
    turn("What is 9 + 9?", truth="18"),
]


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Recipe:
    (tmp_path / "traces").mkdir()
    (tmp_path / "traces" / "am-thinking.jsonl").write_text("".join(json.dumps(row) + "\n" for row in AM), encoding="utf-8")
    monkeypatch.setenv("SIXFOLD_DATA", str(tmp_path))
    settings = ["traces.rows=0", 'traces.public=["am-thinking"]', 'traces.licences=["unknown"]', "sft.max_tokens=512"]
    return load_recipe("laptop-135m", "", settings)


@pytest.fixture
def index() -> Index:
    made = Index()
    made.add("gsm8k", {"gsm8k/1": ASKED})
    return made


def questions(rows: Any) -> list[str]:
    return [row["prompt"][-1]["content"] for row in rows]


def test_public_rows_are_filtered_and_what_is_left_out_is_counted(recipe: Recipe, index: Index) -> None:
    told: Counter[str] = Counter()
    with Judge() as judge:
        rows = list(recipe_rows(recipe, judge, lambda why: told.update([why]), index))
    # What names no answer is taken as it is: there is nothing to verify it by.
    assert questions(rows) == ["What is 2 + 2?", "Name a fruit.", "What is 9 + 9?"]
    assert told == {
        "am-thinking, duplicate: there before": 1, "am-thinking, verified: wrong": 1, "am-thinking, language: not English": 1,
        "am-thinking, repetition: ends in a loop": 1, "am-thinking, length: more than 8192 characters": 1,
        "am-thinking, evaluation question: of gsm8k": 1,
    }  # fmt: skip
    few = recipe.model_copy(update={"traces": recipe.traces.model_copy(update={"public_rows": 2})})
    assert questions(recipe_rows(few, index=index)) == ["What is 2 + 2?", "What is 3 + 3?"]
    # A licence that was not allowed by name is none.
    closed = recipe.model_copy(update={"traces": recipe.traces.model_copy(update={"licences": ("MIT",)})})
    told.clear()
    assert not list(recipe_rows(closed, None, lambda why: told.update([why]), index))
    assert told == {"am-thinking, licence: licence unknown": len(AM)}


def test_the_contamination_gate_compares_public_rows_with_every_task(
    recipe: Recipe, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def build(tasks: Any, missing: Callable[..., None]) -> Index:
        asked.extend(task.name for task in tasks)
        return index

    monkeypatch.setattr("sixfold.data.decontaminate.build_index", build)
    only = recipe.gates.model_copy(update={"before_sft": ("contamination",)})
    (gate,) = gating.sft_gates(recipe.model_copy(update={"gates": only}), silent=True)
    assert {"gsm8k", "math/gcd", "tabular/lookup"} <= set(asked)
    # No row holds a question, but this index knows gsm8k alone, and the rows are not ours.
    assert (gate.passed, gate.measured) == (False, 0.0)
    assert "tasks were not compared, and 4 rows are of other sources than ours" in gate.reason
    # Without a judge: what is wrong is compared too.
    assert gate.details["report"]["rows"] == 4
    assert gate.details["report"]["left_out"]["am-thinking, evaluation question: of gsm8k"] == 1


def test_a_public_file_that_changes_is_noticed(recipe: Recipe, tmp_path: Path) -> None:
    file = tmp_path / "traces" / "am-thinking.jsonl"
    before = data_fingerprint(recipe)
    assert list(before) == [str(file)]
    file.write_text(json.dumps(AM[0]) + "\n", encoding="utf-8")
    assert data_fingerprint(recipe) != before


def test_an_unknown_set_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigError, match="no trace set 'am-thinkng'") as told:
        load_recipe("laptop-135m", "", ['traces.public=["am-thinkng"]'])
    assert told.value.hint == "did you mean am-thinking?"


def test_memory_does_not_grow_with_a_public_set(recipe: Recipe, index: Index, tmp_path: Path) -> None:
    def peak(count: int) -> int:
        with (tmp_path / "traces" / "am-thinking.jsonl").open("w", encoding="utf-8") as file:
            for i in range(count):
                file.write(json.dumps(turn(f"What is {i} + {i}?", truth=str(2 * i))) + "\n")
        tracemalloc.start()
        made = sum(1 for _ in recipe_rows(recipe, index=index))
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert made == count
        return most

    # All rows of the second would be half a megabyte more.
    few = peak(50)
    assert peak(1000) < few + 100_000
