"""How answers and programs are found, and how it is said whether the prompt's form was kept."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.verify.extract import Found, extract_answer, read_answer, read_code


@pytest.mark.parametrize(
    ("text", "answer", "form"),
    [
        ("Answer: 42", "42", "strict"),
        ("so \\boxed{x = 3}", "x = 3", "strict"),
        ("<answer>B</answer>", "B", "strict"),
        ("<think>Answer: 5</think>\n42", "42", "flexible"),
        ("Adding both:\n42", "42", "flexible"),
        ("Therefore\n\nx = 3", "x = 3", "flexible"),
        ("We get\n\\[\n\\frac{1}{2}\n\\]", "\\frac{1}{2}", "flexible"),
        ("We get\n$$2\\sqrt{3}$$", "2\\sqrt{3}", "flexible"),
        ("So the correct option is (C).", "C", "flexible"),
        ("The correct option is **B**", "B", "flexible"),
        ("Hence choice D is right: it is hotter.", None, "none"),
        ("Monday", "Monday", "flexible"),
        ("So 3 + 4 = 7.", "7", "flexible"),
        ("Options (A) and (B) are right.", None, "none"),
        ("Option A, B, C", None, "none"),
        ("I do not know.", None, "none"),
        ("A long thought about a cat.", None, "none"),
        ("<think>Answer: 5", None, "none"),
        ("", None, "none"),
    ],
)
def test_read_answer(text: str, answer: str | None, form: str) -> None:
    assert read_answer(text) == (answer, form)


def test_a_reader_that_cannot_use_the_strict_answer_gets_the_result_inside_it() -> None:
    text = "The answer is that there were 3 + 4 = 7 apples"
    assert read_answer(text).form == "strict"
    assert read_answer(text, accept=str.isdigit) == Found("7", "flexible")
    assert read_answer("Answer: a long list of many words\n\n12", accept=str.isdigit).form == "strict"


@given(st.text(max_size=80), st.sampled_from(["", "Answer: ", "\\boxed{", "option "]))
def test_strict_is_what_extract_answer_says(text: str, before: str) -> None:
    found = read_answer(before + text)
    assert (found.form == "strict") == (extract_answer(before + text) is not None)
    assert (found.form == "none") == (found.answer is None)


@pytest.mark.parametrize(
    ("text", "code", "form"),
    [
        ("```python\nx = 1\n```", "x = 1", "strict"),
        ("```python\nx = 1\n```\nor\n```\nx = 2\n```\n", "x = 2", "strict"),
        ("```python\nx = 1\n```\nIt prints\n```text\n1\n```", "x = 1", "strict"),
        ("~~~py\nx = '```'\n~~~", "x = '```'", "strict"),
        ("````\n```\nprint(1)\n```\n````", "```\nprint(1)\n```", "strict"),
        ("```python\nx = 1\n```\n```python\nx = ", "x = 1", "strict"),
        ("```python\ndef f():\n    return 1", "def f():\n    return 1", "flexible"),
        ("def f():\n    return 1", "def f():\n    return 1", "flexible"),
        ("    return x + 1", "    return x + 1", "flexible"),
        ("import os\nprint(1)\n", "import os\nprint(1)", "flexible"),
        ("<think>```python\nx = 1\n```", None, "none"),
        ("<think>a</think>print('hello')", "print('hello')", "flexible"),
        ("It is 5.", None, "none"),
        ("if you add", None, "none"),
        ("", None, "none"),
    ],
)
def test_read_code(text: str, code: str | None, form: str) -> None:
    assert read_code(text) == (code, form)


@given(st.text(st.sampled_from("`~ \n\tpythondef:()=1"), max_size=60))
def test_reading_code_never_raises(text: str) -> None:
    found = read_code(text)
    assert (found.form == "none") == (found.answer is None)


SLOW_IF_ANYTHING = r"""
from sixfold.verify.extract import read_answer, read_code
for run in ["option ", "answer is (", "`", "```\n", "```python\n", "~~~", "$$\n", "\\boxed{", "1 ", "= 1 ", "x", "(", "-",
            "not ", "x = 1\n", "def f(): pass\n", "(A) or ", "if 1:\n ", "\\", "*", "{", " ", "\n", "1,", "option A, "]:
    text = (run * 1_000_000)[:1_000_000]
    read_answer(text, accept=str.isdigit), read_code(text), read_code("print(1)\n" + text[:99_000])
print("done")
"""


def test_no_input_makes_reading_slow() -> None:
    """A regular expression that backtracks makes this take hours, not seconds."""
    ended = subprocess.run([sys.executable, "-c", SLOW_IF_ANYTHING], capture_output=True, text=True, timeout=300, check=False)
    assert ended.stdout == "done\n", ended.stderr


@pytest.mark.parametrize(
    ("text", "answer", "form"),
    [
        ("The answer to this is 12", "12", "strict"),
        ("The answer to this problem is **12**.", "12", "strict"),
        ("the answer is therefore 42", "42", "strict"),
        ("My final answer: 42", "42", "strict"),
        ("Ans: 42", "42", "strict"),
        ("1. Answer: 42", "42", "strict"),
        ("✅ **Final Answer:** 42", "42", "strict"),
        ("La respuesta es 42", "42", "strict"),
        ("Réponse : 42", "42", "strict"),
        ("Answer:\n```\n2.25 kWh\n```", "2.25 kWh", "strict"),
        ("Answer: 42</s>", "42", "strict"),
        ("Answer: 42<|im_end|>", "42", "strict"),
        ("Answer: 42 (since 6 * 7 = 42)", "42", "strict"),
        ("Answer: Yes, because 3 > 2", "Yes", "strict"),
        ("<answer>The answer is 42.</answer>", "42", "strict"),
        ("<final_answer>42</final_answer>", "42", "strict"),
        ("[ANSWER]42[/ANSWER]", "42", "strict"),
        ("I put it into <answer> tags: <answer>42</answer>", "42", "strict"),
        ("Thus she has \\$42.", "\\$42", "flexible"),
        ("She makes $18 every day.", "$18", "flexible"),
        ("So she needs 20 cups.", "20", "flexible"),
        ("There are 12 or 13 cups.", None, "none"),
        ("So she needs 20 cups", None, "none"),
        ("So the total is 5 or 6.", None, "none"),
        ("So the total is 5, 6 or 7.", None, "none"),
        ("So the part is 1/2 or 50%.", "1/2", "flexible"),
        ("She does not have 5", None, "none"),
        ("There are not 5 of them.", None, "none"),
    ],
)
def test_usual_marks_and_last_sentences(text: str, answer: str | None, form: str) -> None:
    assert read_answer(text) == (answer, form)


def test_what_hedges_has_no_result_inside() -> None:
    for text in ("Answer: the number of apples that she has is 5 or 6", "Answer: I think 12, no wait it is 42"):
        assert read_answer(text, accept=str.isdigit).form == "strict"
