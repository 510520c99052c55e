"""A card says what a run's record says, and names what it does not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sixfold.train.card import model_card

RUN: dict[str, Any] = {
    "name": "sixfold-135m",
    "what": "A small model that thinks before it answers.",
    "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct",
    "adapter": True,
    "licence": "apache-2.0",
    "library": "peft",
    "tags": ["gguf", "reasoning"],
    "sha256": "ab" * 32,
    "data": {"rows": 13975, "tokens": 2909722},
    "data_sources": ["generated families, split train"],
    "recipe": {"name": "laptop", "sft": {"lora": {"rank": 32}}, "traces": {"levels": {"1": 0.8}, "files": []}},
    "versions": {"torch": "2.13.0", "trl": "1.16.0"},
    "gates": [
        {"stage": "sft", "overridden": ["tags"], "gates": [
            {"name": "support", "passed": True, "reason": "12 of 40 cells teach"},
            {"name": "tags", "passed": False, "reason": "0.71 of 0.95 | asked"},
            {"name": "audit"},
        ]},
        {"stage": "rl", "when": "after", "gates": [{"name": "forgetting", "passed": True, "reason": "none fell"}]},
    ],
    "scores": [
        {"stage": "SFT", "task": "math", "metric": "pass@1", "value": 0.613, "low": 0.58, "high": 0.645, "questions": 1200,
         "budget": "256 tokens"},
        {"stage": "base", "task": "math", "metric": "pass@1", "value": 0.008},
    ],
    "contamination": "0 of 13,975 rows overlap.",
    "limits": ["It cannot talk about the news.", "English only."],
    "commands": ["sixfold sft recipes/laptop-135m.toml"],
}  # fmt: skip


def section(card: str, title: str) -> str:
    return card.split(f"## {title}\n\n")[1].split("\n\n## ")[0].strip()


def front(card: str) -> dict[str, Any]:
    """Each line of the front matter is a key and JSON."""
    head = card.split("---\n")[1]
    return {key: json.loads(value) for key, value in (line.split(": ", 1) for line in head.splitlines())}


def test_all_that_is_given_is_said() -> None:
    card = model_card(RUN)
    assert front(card) == {
        "license": "apache-2.0", "library_name": "peft", "language": "en", "pipeline_tag": "text-generation",
        "base_model": "HuggingFaceTB/SmolLM2-135M-Instruct", "base_model_relation": "adapter",
        "tags": ["sixfold", "reasoning", "gguf"],
    }  # fmt: skip
    assert "# sixfold-135m\n\nA small model that thinks before it answers.\n" in card
    assert "- generated families, split train" in section(card, "Data")
    assert "| tokens | 2,909,722 |" in section(card, "Data")
    recipe = section(card, "Recipe")
    assert "| `sft.lora.rank` | `32` |" in recipe
    assert "| `traces.levels.1` | `0.8` |" in recipe
    assert "| `traces.files` | `[]` |" in recipe
    assert "Versions: torch 2.13.0, trl 1.16.0." in recipe
    gates = section(card, "Gates").splitlines()[2:]
    assert gates == [
        "| sft | support | passed | 12 of 40 cells teach |",
        "| sft | tags | failed, overridden by name | 0.71 of 0.95 \\| asked |",
        "| sft | audit | no result given |  |",
        "| after rl | forgetting | passed | none fell |",
    ]
    assert section(card, "Scores").splitlines()[2:] == [
        "| SFT | math | pass@1 | 61.3 | 58.0 to 64.5 | 1,200 | 256 tokens |",
        "| base | math | pass@1 | 0.8 | no interval given | not given | not given |",
    ]
    assert section(card, "Contamination") == "0 of 13,975 rows overlap."
    assert section(card, "Limits") == "- It cannot talk about the news.\n- English only."
    assert section(card, "Licence") == "`apache-2.0`."
    assert "sixfold sft recipes/laptop-135m.toml" in section(card, "How to reproduce")
    assert "does not say" not in card


def test_nothing_is_made_up() -> None:
    card = model_card({})
    assert front(card) == {
        "license": "other", "library_name": "peft", "language": "en", "pipeline_tag": "text-generation",
        "tags": ["sixfold", "reasoning"],
    }  # fmt: skip
    for title in ("Data", "Recipe", "Gates", "Scores", "Contamination", "Limits", "How to reproduce"):
        assert "does not say" in section(card, title), title
    assert "The record names none" in section(card, "Licence")
    assert "does not say the base model" in card
    assert not [line for line in card.splitlines() if line.startswith("|")]


@pytest.mark.parametrize("key", [key for key in RUN if key not in ("name", "library", "tags")])
def test_each_missing_value_is_named(key: str) -> None:
    card = model_card({name: value for name, value in RUN.items() if name != key})
    assert card.count("does not say") + card.count("names none") == 1


def test_a_score_without_a_value_is_no_zero() -> None:
    scores = [{"task": "math", "metric": "pass@1", "value": None, "low": 0.1}, {"task": "code", "value": True}]
    lines = section(model_card(RUN | {"scores": scores}), "Scores").splitlines()[2:]
    assert lines == [
        "|  | math | pass@1 | not given | no interval given | not given | not given |",
        "|  | code | no metric given | not given | no interval given | not given | not given |",
    ]
    zero = [{"task": "math", "metric": "pass@1", "value": 0, "low": 0, "high": 0.01, "questions": 0}]
    assert "| 0.0 | 0.0 to 1.0 | 0 |" in section(model_card(RUN | {"scores": zero}), "Scores")


def test_texts_cannot_break_the_front_matter_or_a_table() -> None:
    nasty = 'x"\n---\nlicense: mit\n| a | `b`'
    card = model_card(RUN | {"base_model": nasty, "tags": [nasty], "data": {nasty: nasty}, "commands": ["```", nasty]})
    assert front(card)["base_model"] == nasty
    assert front(card)["license"] == "apache-2.0"
    [row] = [line for line in section(card, "Data").splitlines() if "license: mit" in line]
    assert row.replace("\\|", "").count("|") == 3
    assert section(card, "How to reproduce").startswith("````sh\n```\n")
