"""Rows in the columns of the hub become the same kind of problem as rows of a folder; written by hand, nobody's text."""

from __future__ import annotations

import base64
import json
import pickle
import zlib
from typing import Any

import pytest

from sixfold.core import Problem
from sixfold.errors import TaskError
from sixfold.tasks import code_rows, rows
from sixfold.tasks.benchmarks import BENCHMARKS

TABLE = [["", "2019", "2018"], ["Sales", "$10", "8"]]


def packed(text: str) -> str:
    """Hidden tests as LiveCodeBench packs them."""
    return base64.b64encode(zlib.compress(pickle.dumps(text))).decode()


def lcb(**changed: Any) -> dict[str, Any]:
    cases = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
    row = {
        "question_title": "Next", "question_content": "Print n + 1.", "platform": "atcoder", "question_id": "abc1_a",
        "contest_date": "2024-08-03T00:00:00", "starter_code": "", "difficulty": "easy", "public_test_cases": json.dumps(cases),
        "private_test_cases": packed(json.dumps([{"input": "4\n", "output": "5\n", "testtype": "stdin"}])), "metadata": "{}",
    }  # fmt: skip
    return row | changed


ROWS: dict[str, dict[str, Any]] = {
    "gsm8k": {"question": "Ann has 2 boxes of 600 pens. How many pens?", "answer": "2*600=<<2*600=1200>>1200 pens\n#### 1,200"},
    "math500": {
        "problem": "What is $\\frac12+\\frac12$?",
        "solution": "It is $\\boxed{1}$.",
        "answer": "1",
        "subject": "Algebra",
        "level": 1,
        "unique_id": "test/algebra/1.json",
    },
    "aime24": {"id": 60, "problem": "Find it.", "solution": "...", "answer": "073", "url": "", "year": "2024"},
    "aime25": {"problem_idx": 1, "answer": 70, "problem": "Find the sum.", "problem_type": ["Number Theory"]},
    "hmmt_feb25": {"problem_idx": 1, "answer": "\\frac{1}{3}", "problem": "Compute it.", "problem_type": ["Algebra"]},
    "omni_math": {
        "domain": ["Mathematics -> Algebra"],
        "difficulty": 4.5,
        "problem": "Find $x$.",
        "solution": "...",
        "answer": "$\\boxed{12}$",
        "source": "somewhere",
    },
    "omni_hard": {
        "domain": ["Mathematics -> Algebra"],
        "difficulty": 9.0,
        "problem": "Find $y$.",
        "solution": "...",
        "answer": "12",
        "source": "x",
    },
    "olympiadbench": {
        "id": 1,
        "question": "Find both.",
        "solution": ["First.", "Second."],
        "final_answer": ["$1$", "$2$"],
        "context": None,
        "is_multiple_answer": True,
        "unit": None,
        "answer_type": "Numerical",
        "error": None,
        "subfield": "Algebra",
    },
    "humaneval": {
        "task_id": "HumanEval/900",
        "prompt": 'def one():\n    """One."""\n',
        "canonical_solution": "    return 1\n",
        "test": "def check(candidate):\n    assert candidate() == 1\n",
        "entry_point": "one",
    },
    "mbpp": {
        "task_id": 2000,
        "text": "Write a function to add one.",
        "code": "def add(x):\r\n  return x + 1",
        "test_setup_code": "",
        "test_list": ["assert add(1) == 2"],
        "challenge_test_list": [],
    },
    "livecodebench_v5": lcb(),
    "scicode": {
        "problem_name": "p",
        "problem_id": "1",
        "problem_description_main": "Integrate it.",
        "required_dependencies": "import numpy as np",
        "sub_steps": [
            {
                "step_number": "1.1",
                "step_description_prompt": "Make a grid.",
                "function_header": "def grid(n):",
                "test_cases": ["x"],
            }
        ],
    },
    "cruxeval_output": {"code": "def f(x):\n    return x + 1", "input": "1", "output": "2", "id": "sample_0"},
    "cruxeval_input": {"code": "def f(x):\n    return x + 1", "input": "1", "output": "2", "id": "sample_0"},
    "gpqa_diamond": {
        "Question": "Which one?",
        "Correct Answer": "right",
        "Incorrect Answer 1": "w1",
        "Incorrect Answer 2": "w2",
        "Incorrect Answer 3": "w3",
        "Record ID": "rec1",
        "High-level domain": "Physics",
    },
    "arc_challenge": {
        "id": "Q1",
        "question": "Which is a metal?",
        "choices": {"text": ["wood", "iron"], "label": ["1", "2"]},
        "answerKey": "2",
    },
    "hle": {
        "id": "h1",
        "question": "Which?\n\nAnswer Choices:\nA. one\nB. two\nC. three",
        "image": "",
        "answer": "B",
        "answer_type": "multipleChoice",
        "category": "Math",
    },
    "bbh": {"path": "navigate/test-00000-of-00001.parquet", "input": "Do you return?\nOptions:\n- Yes\n- No", "target": "Yes"},
    "knights_knaves": {
        "quiz": "Ann and Bob ...",
        "names": ["Ann", "Bob"],
        "solution": [True, False],
        "solution_text": "Ann is a knight ...",
        "index": 3,
    },
    "finqa": {
        "id": "a/1.pdf-1",
        "pre_text": ["Before ."],
        "post_text": ["After ."],
        "table": TABLE,
        "qa": {
            "question": "by what percent did sales grow?",
            "program": "subtract(10, 8), divide(#0, 8)",
            "exe_ans": 0.25,
            "answer": "25%",
        },
    },
    "tatqa": {
        "table": {"uid": "t", "table": TABLE},
        "paragraphs": [{"uid": "p2", "order": 2, "text": "Two."}, {"uid": "p1", "order": 1, "text": "One."}],
        "questions": [
            {
                "uid": "q1",
                "order": 1,
                "question": "Which years?",
                "answer": ["2019", "2018"],
                "derivation": "",
                "answer_type": "multi-span",
                "answer_from": "table",
                "scale": "",
            },
            {
                "uid": "q2",
                "order": 2,
                "question": "How did sales change?",
                "answer": 2,
                "derivation": "10 - 8",
                "scale": "million",
                "answer_type": "arithmetic",
                "answer_from": "table",
            },
        ],
    },
    "wikitq": {
        "id": "nt-0",
        "question": "which teams?",
        "answers": ["A", "B"],
        "table": {"header": ["Team"], "rows": [["A"], ["B"]], "name": "csv/1"},
    },
}


def problems(name: str, row: dict[str, Any] | None = None, index: int = 5) -> list[Problem]:
    convert = BENCHMARKS[name].from_hub
    assert convert
    return convert({"path": "test.jsonl", **(row or ROWS[name])}, index, "test")


def test_every_benchmark_of_the_hub_has_a_row_here() -> None:
    assert set(ROWS) == {name for name, spec in BENCHMARKS.items() if spec.hub}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_becomes_a_problem(name: str) -> None:
    made = problems(name)
    assert made
    for problem in made:
        assert problem.id
        assert problem.question.strip()
        assert problem.answer or problem.verifier == "code"
        json.dumps(dict(problem.meta))  # an attempt is written down with it


VERIFIERS = {
    "gsm8k": "math",
    "math500": "math",
    "aime24": "math",
    "aime25": "math",
    "hmmt_feb25": "math",
    "omni_math": "math",
    "omni_hard": "math",
    "olympiadbench": "math",
    "humaneval": "code",
    "mbpp": "code",
    "livecodebench_v5": "code",
    "scicode": "code",
    "cruxeval_output": "literal",
    "cruxeval_input": "code_input",
    "gpqa_diamond": "choice",
    "arc_challenge": "choice",
    "hle": "choice",
    "bbh": "choice",
    "knights_knaves": "assignment",
    "finqa": "table",
    "tatqa": "table",
    "wikitq": "table",
}


@pytest.mark.parametrize("name", VERIFIERS)
def test_its_verifier_is_the_one_of_its_kind(name: str) -> None:
    assert {p.verifier for p in problems(name)} == {VERIFIERS[name]}


def test_answers_are_what_is_to_be_judged() -> None:
    answers = {name: [p.answer for p in problems(name)] for name in ROWS}
    assert answers["gsm8k"] == ["1200"]
    assert answers["aime24"] == ["73"]
    assert answers["aime25"] == ["70"]
    assert answers["omni_math"] == ["12"]
    assert answers["olympiadbench"] == ["1, 2"]
    assert answers["arc_challenge"] == ["B"]
    assert answers["knights_knaves"] == ["Ann: knight, Bob: knave"]
    assert answers["finqa"] == ["0.25"]
    assert answers["tatqa"] == ["2019 | 2018", "2"]


def test_a_worked_solution_of_gsm8k_ends_with_its_answer_and_has_no_annotations() -> None:
    assert problems("gsm8k")[0].solution == "2*600=1200 pens\nAnswer: 1200"


def test_options_of_gpqa_stand_where_the_id_says() -> None:
    made = [problems("gpqa_diamond", ROWS["gpqa_diamond"] | {"Record ID": f"rec{i}"})[0] for i in range(200)]
    for problem in made:
        assert problem.meta["choices"][problem.meta["labels"].index(problem.answer)] == "right"
        assert f"({problem.answer}) right" in problem.question
    assert made[1] == problems("gpqa_diamond", ROWS["gpqa_diamond"] | {"Record ID": "rec1"})[0]
    assert all(30 <= [p.answer for p in made].count(label) <= 70 for label in "ABCD")


def test_bbh_is_judged_by_the_kind_of_each_task() -> None:
    def one(task: str, question: str, target: str) -> Problem:
        return problems("bbh", {"path": f"{task}/test-0.parquet", "input": question, "target": target})[0]

    letters = one("snarks", "Which is it?\nOptions:\n(A) this\n(B) that", "(B)")
    assert (letters.answer, letters.meta["choices"], letters.meta["labels"]) == ("B", ["this", "that"], ["A", "B"])
    assert one("object_counting", "How many?", "3").verifier == "math"
    assert one("word_sorting", "Sort: b a", "a b").meta["items"] == ["a", "b"]
    assert one("dyck_languages", "Input: [", "]").verifier == "text"
    assert one("ruin_names", "Which?\nOptions:\n(A) earth\n(B) wind", "earth, wind").verifier == "text"
    with pytest.raises(ValueError, match="maybe"):
        one("navigate", "Do you return?", "Maybe, maybe")


def test_hle_leaves_pictures_out_and_tells_choices_from_answers() -> None:
    row = ROWS["hle"]
    assert problems("hle", row | {"image": "data:image/png;base64,AAAA"}) == []
    assert problems("hle")[0].meta["choices"] == ["one", "two", "three"]
    lettered = row | {"question": "A. Smith asks:\n\nAnswer Choices:\nA. x\nB. y", "answer": "A"}
    assert problems("hle", lettered)[0].meta["choices"] == ["x", "y"]
    assert problems("hle", row | {"question": "Which? (options in the text)", "answer": "D"})[0].meta["labels"] == list("ABCDE")
    short = row | {"answer_type": "exactMatch"}
    assert problems("hle", short | {"answer": "$x^2$"})[0].verifier == "math"
    assert problems("hle", short | {"answer": "Vienna"})[0].verifier == "text"


def test_livecodebench_takes_its_slice_and_both_kinds_of_tests() -> None:
    assert problems("livecodebench_v5", lcb(contest_date="2024-06-30T00:00:00")) == []
    cases = problems("livecodebench_v5")[0].meta["cases"]
    assert cases == [{"input": "1\n", "output": "2\n"}, {"input": "4\n", "output": "5\n"}]
    calls = [{"input": '[1, 2]\n"a"', "output": "null", "testtype": "functional"}]
    row = lcb(
        public_test_cases=json.dumps(calls), private_test_cases="[]", metadata=json.dumps({"func_name": "solve"}),
        starter_code="class Solution:\n    def solve(self, xs, s):",
    )  # fmt: skip
    problem = problems("livecodebench_v5", row)[0]
    assert problem.meta["tests"] == ["assert Solution().solve([1, 2], 'a') == None"]
    assert "class Solution" in problem.question


def test_no_pickle_is_loaded() -> None:
    def refused(data: bytes) -> None:
        with pytest.raises(TaskError, match="hidden tests"):
            problems("livecodebench_v5", lcb(private_test_cases=base64.b64encode(zlib.compress(data)).decode()))

    refused(b"cos\nsystem\n(S'exit 1'\ntR.")
    refused(pickle.dumps(["a", "b"]))
    refused(pickle.dumps(json.loads))


def test_scicode_brings_no_tests_and_so_is_unscored() -> None:
    problem = problems("scicode")[0]
    assert problem.meta["tests"] == []
    assert "def grid(n):" in problem.question


def test_pages_of_tatqa_show_their_text_in_order() -> None:
    first, second = problems("tatqa")
    assert first.question.startswith("Table:\n | 2019 | 2018\nSales | $10 | 8\n\nText:\nOne.\nTwo.\n\nQuestion: ")
    assert (second.meta["scale"], second.meta["tolerance"], second.solution) == ("million", 0.005, "10 - 8")


def test_a_share_asked_as_a_percentage_says_so() -> None:
    meta = problems("finqa")[0].meta
    assert (meta["scale"], meta["percent"]) == ("ratio", True)
    in_percent = ROWS["finqa"]["qa"] | {"program": "divide(2, 8), multiply(#0, const_100)", "exe_ans": 25.0}
    assert problems("finqa", ROWS["finqa"] | {"qa": in_percent})[0].meta["scale"] == "percent"


def test_the_answer_of_a_choice_is_one_of_its_labels() -> None:
    with pytest.raises(ValueError, match="none of the options"):
        rows.choice("x", "?", ["a", "b"], "C")


def test_setup_of_mbpp_comes_after_the_code_and_line_ends_are_plain() -> None:
    problem = code_rows.mbpp(ROWS["mbpp"] | {"test_setup_code": "root = Node(1)\r\n"}, 0, "test")[0]
    assert problem.meta["setup_after"] == "root = Node(1)\n"
    assert "\r" not in str(problem.answer)
