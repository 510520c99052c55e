"""Public trace sets become rows of one form, from files in their published shapes."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from sixfold.data.filters import filtered, has_answer, licences, verified
from sixfold.data.public_traces import SETS, local_rows, normalise, public_rows
from sixfold.data.rows import Row, row_problem
from sixfold.errors import ConfigError, TaskError
from sixfold.verify.verifiers import Judge

AM = [
    {
        "system": "Reason first.",
        "conversations": [
            {"from": "human", "value": "What is 6 * 7?", "info": None},
            {"from": "assistant", "value": "<think>6 * 7 = 42</think> <answer>It is \\boxed{42}.</answer>",
             "info": {"category": "math", "ground_truth": "42", "ppl": 1.2}},
        ],
    },
    {
        "conversations": [
            {"from": "human", "value": "Name a fruit."},
            {"from": "gpt", "value": "<think>Apple comes to mind.</think>An apple."},
            {"from": "human", "value": "Another?"},
            {"from": "gpt", "value": "<think>Not apple, so pear.</think>A pear."},
        ],
    },
    {"conversations": [{"from": "human", "value": "Cut?"}, {"from": "gpt", "value": "<think>I was"}]},
    {"conversations": [{"from": "human", "value": "Alone?"}]},
    {"conversations": [{"from": "human", "value": "Empty?"}, {"from": "gpt", "value": ""}]},
]  # fmt: skip

OPENR1 = [
    {
        "problem": "Find $2 + 2$.", "solution": "Adding, $4$.", "answer": "4", "problem_type": "Algebra", "uuid": "u-1",
        "question_type": "math-word-problem", "source": "olympiads", "is_reasoning_complete": [True, True, False, True],
        "generations": [
            "<think>\nHmm, 2 + 2. It must be four.\n</think>\n\nSo it is \\boxed{4}.", "<think>\n5\n</think>\n\n\\boxed{5}",
            "<think>\n4", "<think>\n2 + 2 = 4\n</think>\n\n\\boxed{4}",
        ],
        "correctness_math_verify": [True, False, True, True], "correctness_llama": None, "correctness_count": 3,
        "finish_reasons": None, "messages": [],
    },
    {
        "problem": "Find x.", "answer": "1", "uuid": "u-2", "is_reasoning_complete": [True, True],
        "generations": ["<think>\nx\n</think>\n\n\\boxed{2}"] * 2, "correctness_math_verify": [False, False],
        "correctness_llama": None,
    },
]  # fmt: skip

S1K = [
    {
        "question": "How many edges has a cube?", "solution": "12", "cot_type": "math", "source_type": "made",
        "deepseek_thinking_trajectory": "Four on top, four below, four between: 12.", "deepseek_attempt": "\\boxed{12}",
        "deepseek_grade": "Yes", "gemini_thinking_trajectory": "?", "gemini_attempt": "?",
    },
    {
        "question": "And faces?", "solution": "Count them all.\nThere are $\\boxed{6}$.", "cot_type": "math",
        "deepseek_thinking_trajectory": "Six.", "deepseek_attempt": "\\boxed{6}", "deepseek_grade": "Yes",
    },
    {
        "question": "And corners?", "solution": "8", "cot_type": "math", "deepseek_thinking_trajectory": "Six?",
        "deepseek_attempt": "\\boxed{6}", "deepseek_grade": "No",
    },
    {"question": "Nothing?", "solution": "8", "deepseek_thinking_trajectory": "", "deepseek_attempt": "8"},
]  # fmt: skip


def write(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "traces" / "am-thinking" / "math.jsonl", AM)
    write(tmp_path / "traces" / "openr1-math" / "train-00000-of-00001.parquet", OPENR1)
    write(tmp_path / "traces" / "s1k.jsonl", S1K)
    monkeypatch.setenv("SIXFOLD_DATA", str(tmp_path))
    return tmp_path


def said(rows: list[Row]) -> list[str]:
    return [row["completion"][0]["content"] for row in rows]


def test_conversations_lose_their_tags_and_keep_earlier_turns(folder: Path) -> None:
    skipped: Counter[str] = Counter()
    rows = list(public_rows("am-thinking", lambda why: skipped.update([why])))
    assert said(rows) == [
        "<think>\n6 * 7 = 42\n</think>\n\nIt is \\boxed{42}.", "<think>\nNot apple, so pear.\n</think>\n\nA pear.",
    ]  # fmt: skip
    assert [m["role"] for m in rows[1]["prompt"]] == ["system", "user", "assistant", "user"]
    assert rows[1]["prompt"][2]["content"] == "An apple."
    assert (row_problem(rows[0]).answer, row_problem(rows[1]).answer) == ("42", None)
    assert skipped == {"no thinking and answer": 1, "no question and reply at its end": 1, "an empty turn": 1}


def test_of_several_generations_the_shortest_right_and_whole_one_is_taken(folder: Path) -> None:
    skipped: Counter[str] = Counter()
    (row,) = public_rows("openr1-math", lambda why: skipped.update([why]))
    assert said([row]) == ["<think>\n2 + 2 = 4\n</think>\n\n\\boxed{4}"]
    assert row["data_source"] == "sixfold/public/openr1-math"
    info = row["extra_info"]
    assert (info["id"], info["pass_rate"], info["licence"]) == ("u-1", 0.75, "Apache-2.0")
    assert info["dataset"] == "open-r1/OpenR1-Math-220k@local"
    assert skipped == {"no generation that is right and whole": 1}


def test_trajectories_are_joined_and_what_was_graded_wrong_is_left_out(folder: Path) -> None:
    skipped: Counter[str] = Counter()
    rows = list(public_rows("s1k", lambda why: skipped.update([why])))
    assert [row_problem(row).answer for row in rows] == ["12", "6"]
    assert rows[0]["extra_info"]["licence"] == "MIT"
    assert skipped == {"graded wrong": 1, "no question, thinking or attempt": 1}


def test_rows_pass_the_filters_that_they_should(folder: Path) -> None:
    rows = [row for name in SETS for row in public_rows(name)]
    counts: Counter[str] = Counter()
    with Judge() as judge:
        kept = list(filtered(rows, [has_answer(), verified(judge)], counts))
    assert counts == {"read": 5, "kept": 4, "answer: no verifier": 1}
    counts.clear()
    assert len(list(filtered(kept, [licences(["apache-2.0", "mit"])], counts))) == 3
    assert counts["licence: licence unknown"] == 1


def test_a_local_file_is_read_by_its_keys(tmp_path: Path) -> None:
    mixed = write(tmp_path / "mixed.jsonl", [AM[0], OPENR1[0], S1K[0], {"odd": 1}])
    skipped: Counter[str] = Counter()
    rows = list(local_rows(mixed, "CC0-1.0", lambda why: skipped.update([why])))
    assert [row_problem(row).answer for row in rows] == ["42", "4", "12"]
    assert {row["extra_info"]["licence"] for row in rows} == {"CC0-1.0"}
    assert skipped == {"a shape that is not known": 1}
    spoken = [{"role": "user", "content": "6 * 7?"}, {"role": "assistant", "content": "<think>42</think>42"}]
    (row,) = local_rows(write(tmp_path / "chat.jsonl", [{"messages": spoken}]), "MIT")
    assert row["prompt"][-1]["content"] == "6 * 7?"


def test_bad_input_is_named(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="no trace set 's2k'"):
        list(public_rows("s2k"))
    (tmp_path / "bad.jsonl").write_text('{"messages": []}\n[1]\n')
    with pytest.raises(ConfigError, match=r"bad\.jsonl, row 2"):
        list(local_rows(tmp_path / "bad.jsonl", "MIT"))
    with pytest.raises(ConfigError, match="row 1"):
        list(local_rows(tmp_path / "none.jsonl", "MIT"))


def test_without_the_data_it_is_said_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TaskError, match="cannot be reached"):
        next(public_rows("am-thinking"))


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("<thinking>a</thinking>The answer is 3.", "<think>\na\n</think>\n\nThe answer is 3."),
        ("a</think>\n\n**b**", "<think>\na\n</think>\n\n**b**"),
        ("<think></think>3", None),
        ("<think>a</think><answer> </answer>", None),
        ("<think>a</think><answer>Two lines:\n3</answer>", "<think>\na\n</think>\n\nTwo lines:\n3"),
    ],
)
def test_completions_get_one_form(text: str, made: str | None) -> None:
    assert normalise(text) == made
