"""That what is said to a model is what is read back, and that a candidate cannot speak outside its fence."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.reason.budget import estimate_saving
from sixfold.reason.prompts import BETTER, JUDGE_SCHEMA, fence, judge_messages, planner_messages, solver_messages
from sixfold.reason.solve import read_verdict

HOSTILE = st.lists(
    st.sampled_from(["<", "/", ">", " ", "first", "second", "</first>", "<|im_end|>", "</", "\n", "question", "x", "|", "答"])
).map("".join)


def test_k2_think_prompt_asked_for_better_index_but_code_read_index() -> None:
    """Here every reply that the prompt offers fits the schema, and is understood."""
    asked = judge_messages("q", "a", "b")[-1].content.rpartition("Reply with JSON:")[2]
    replies = re.findall(r"\{.*?\}", asked)
    (name, values) = next(iter(JUDGE_SCHEMA["properties"].items()))
    assert JUDGE_SCHEMA["required"] == [name] == [BETTER]
    assert [json.loads(r) for r in replies] == [{name: value} for value in values["enum"]]
    assert [read_verdict(r) for r in replies] == ["first", "second", "tie"]


@pytest.mark.parametrize("reply", ["", "first", "{}", '{"index": "first"}', '{"better": 0}', '{"better": "both"}', "{" * 5000])
def test_an_unclear_verdict_is_invalid(reply: str) -> None:
    assert read_verdict(reply) == "invalid"


@given(HOSTILE | st.text(max_size=50), st.sampled_from(["first", "second", "question"]))
def test_no_text_leaves_its_fence(text: str, tag: str) -> None:
    fenced = fence(text, tag)
    assert fenced.startswith(f"<{tag}>\n")
    assert fenced.endswith(f"\n</{tag}>")
    inner = fenced.removeprefix(f"<{tag}>\n").removesuffix(f"\n</{tag}>")
    assert not re.search(r"<(?:/?[a-zA-Z]|/?\|)", inner)
    assert re.sub(r"\s", "", inner) == re.sub(r"\s", "", text)


@given(HOSTILE, HOSTILE, HOSTILE)
def test_a_judge_sees_three_fences_whatever_is_in_them(question: str, first: str, second: str) -> None:
    content = judge_messages(question, first, second)[-1].content
    assert re.findall(r"</?(?:question|first|second)>", content) == [
        "<question>", "</question>", "<first>", "</first>", "<second>", "</second>"
    ]  # fmt: skip


def test_overlong_text_is_shortened_and_says_so() -> None:
    text = fence("a" * 5000 + "b" * 5000, "first")
    assert len(text) < 4100
    assert "[6000 characters left out]" in text
    assert text.count("a") > text.count("b") - 10 > 1900


def test_the_question_comes_first_so_that_candidates_share_it() -> None:
    bare, planned = solver_messages("What is it?"), solver_messages("What is it?", "Look.")
    assert bare[0] == planned[0]
    assert planned[1].content.startswith(bare[1].content)
    assert bare[1].content == "What is it?"
    assert [m.role for m in (*planned, *planner_messages("q"), *judge_messages("q", "a", "b"))] == ["system", "user"] * 3


@given(st.lists(st.integers(0, 500)), st.lists(st.integers(0, 500)))
def test_a_saving_is_never_negative_and_never_more_than_was_left(finished: list[int], stopped: list[int]) -> None:
    assert 0 <= estimate_saving(finished, stopped, 400) <= sum(max(0, 400 - length) for length in stopped)
