"""What is thinking, what is the answer, and that no input makes finding it slow."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.verify.answers import answer_key
from sixfold.verify.extract import clean, extract_answer, last_boxed, split_thinking

WORDS = st.text(st.sampled_from("abc 12.,\n*é答"), max_size=12)


@pytest.mark.parametrize(
    ("text", "thinking", "visible", "state"),
    [
        ("plain", "", "plain", "none"),
        ("<think>a</think>b", "a", "b", "closed"),
        ("<thinking>a</thinking>b", "a", "b", "closed"),
        ("[THINK]a[/THINK]b", "a", "b", "closed"),
        ("a</think>b", "a", "b", "closed"),
        ("a</think>b</think>c", "a", "bc", "closed"),
        ("<think>a</think>b</think>c", "a", "bc", "closed"),
        ("<think>a</think>b<think>c</think>d", "ac", "bd", "closed"),
        ("before<think>a</think>b", "a", "beforeb", "closed"),
        ("<think>a<think>b</think>c", "ab", "c", "closed"),
        ("<think>a", "a", "", "open"),
        ("<think>a</think>b<think>c", "ac", "b", "open"),
        ("<think></think>b", "", "b", "closed"),
        ("<think>a</thi", "a</thi", "", "open"),
        ("", "", "", "none"),
    ],
)
def test_split_thinking(text: str, thinking: str, visible: str, state: str) -> None:
    assert split_thinking(text) == (thinking, visible, state)


@given(st.lists(st.tuples(WORDS, WORDS), max_size=5), WORDS, st.sampled_from(["think", "thinking"]))
def test_no_visible_text_is_lost(parts: list[tuple[str, str]], end: str, tag: str) -> None:
    text = "".join(f"{shown}<{tag}>{hidden}</{tag}>" for shown, hidden in parts) + end
    split = split_thinking(text)
    assert split.text == "".join(shown for shown, _ in parts) + end
    assert split.thinking == "".join(hidden for _, hidden in parts)


@given(st.lists(st.sampled_from(["<think>", "</think>", "[THINK]", "[/THINK]", "a", "b ", "1"]), max_size=12))
def test_every_character_is_either_thinking_or_visible(pieces: list[str]) -> None:
    split = split_thinking("".join(pieces))
    assert sorted(split.thinking + split.text) == sorted("".join(p for p in pieces if p[0] not in "<["))


@given(st.lists(WORDS, min_size=1, max_size=3), st.booleans())
def test_no_prefix_of_a_stream_answers_from_inside_thinking(thoughts: list[str], flexible: bool) -> None:
    text = "".join(f"<think>{t}\nThe answer is 31337\nAnswer: 31337\n\\boxed{{31337}}\n= 31337\n</think>\n" for t in thoughts)
    for end in range(len(text) + 1):
        assert "313" not in (extract_answer(text[:end], flexible=flexible) or "")


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("The final answer is $\\boxed{42}$. I hope it is correct.", "42"),
        ("\\[ \\boxed{\\frac{1}{2}} \\]", "\\frac{1}{2}"),
        ("\\boxed{3}, no: \\boxed{\\text{(B)}}", "\\text{(B)}"),
        ("\\boxed{5} and then \\boxed{6", "5"),
        ("\\boxed{\\boxed{5}}", "5"),
        ("$$x = 5$$\nAnswer:\n\n$$x = 5$$", "x = 5"),
        ("**Final Answer**\n\n42", "42"),
        ("### Final Answer\n**42**", "42"),
        ("**Answer:** (B)", "(B)"),
        ("> **Answer**: 42", "42"),
        ("- Answer: `42`", "42"),
        ("Answer: **42** apples.", "42 apples"),
        ("Thus, the correct answer is **C**.", "C"),
        ("So the answer is 3.14. This is because of pi.", "3.14"),
        ("The answer to the first question is 12 km.", "12 km"),
        ("ANSWER: 10:30 AM.", "10:30 AM"),
        ("Final answer = 5", "5"),
        ("Adding them, the answer is 7", "7"),
        ("Steps.\n#### 1,200", "1,200"),
        ("#### Step 1: add\n3 + 4\n", None),
        ("<answer>\n7\n</answer>", "7"),
        ("<answer>7</answer> or <answer> </answer>", "7"),
        ("Answer: 5\nWait.\nAnswer: 6", "6"),
        ("Answer: 5<|im_end|>", "5"),
        ("Answer: 2**3", "2**3"),
        ("答案是42。希望有帮助。", "42"),
        ("因此，答案是：**42**。", "42"),
        ("所以答案为 3/4", "3/4"),
        ("最终答案：C", "C"),
        ("答えは42です。", "42"),
        ("したがって、答えは 42 です。", "42"),
        ("**最終的な答え:** 「東京」", "東京"),
        ("الإجابة هي 42", "42"),
        ("إذن الجواب النهائي هو ٤٢.", "٤٢"),
        ("I do not know.", None),
        ("", None),
        ("Answer:", None),
        ("Answer: ***", None),
        ("<think>Answer: 5", None),
        ("<think>Answer: 5</think>Answer: 6", "6"),
    ],
)
def test_strict(text: str, answer: str | None) -> None:
    assert extract_answer(text) == answer
    if answer is not None:
        assert answer_key(extract_answer(text, flexible=True) or "") == answer_key(answer)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("So 3 + 4 = **7**.", "7"),
        ("She has $1,200.", "$1,200"),
        ("That gives 5 cookies, which is 25%.", "25%"),
        ("Therefore x ≈ -2.5", "-2.5"),
        ("The answer is that there were 3 + 4 = 7 apples", "7"),
        ("x = 2\\sqrt{3}", None),
        ("It is 10:30 now", None),
        ("y = 2x", None),
        ("y = 3^n", None),
        ("She has 5.\nThen nothing.", None),
    ],
)
def test_flexible_adds_the_last_result_but_no_piece_of_one(text: str, answer: str | None) -> None:
    assert extract_answer(text, flexible=True) == answer


def test_an_answer_is_never_longer_than_one_can_be_compared() -> None:
    assert extract_answer("Answer: " + "5" * 5000) is None
    assert last_boxed("\\boxed{" + "1" * 5000 + "}") is None


@given(st.text(st.sampled_from('*_`$\\()[]{}.。"“”「」 answer:5x boxed'), max_size=24) | st.text(max_size=24))
def test_clean_is_idempotent(text: str) -> None:
    if (once := clean(text)) is not None:
        assert clean(once) == once


@given(st.text(max_size=60), st.booleans())
def test_never_raises(text: str, flexible: bool) -> None:
    extract_answer(text, flexible=flexible)
    extract_answer(f"Answer: {text}\n\\boxed{{{text}", flexible=flexible)


SLOW_IF_ANYTHING = r"""
import itertools
from sixfold.verify.answers import answer_key
from sixfold.verify.extract import clean, extract_answer

before = ["", "answer", "answer to", "final answer is", "Answer: ", "# answer\n", "= ", "答え", "\\boxed{"]
runs = [" ", "\n", "\t", " \n", "*", "**", "* ", "_", "-", ">", "#", "#### ", "1", "1,", ",", "{", "}", "\\boxed{", "$", "\\(",
        "<", "<answer>", "<think>", "</think>", "answer", "answer: ", "answer:\n", "answer is ", "answer to ", "the ", "so ",
        "is ", "is *", "=", "= ", "= 1", ".", "。", "A. ", "\\", '"', "答え", "答案是", "الجواب ", "(", "[", "\\frac{", "^{",
        "½", "²", "and ", "1 ", "x="]
for first, run in itertools.product(before, runs):
    text = (first + run * 20_000)[:20_000]
    extract_answer(text, flexible=True), clean(text), answer_key(text[:400]), answer_key("(" + text[:398] + ")")
for run in (*runs, "<think>a</think>"):
    extract_answer((run * 1_000_000)[:1_000_000] + "\nAnswer: 5", flexible=True)
print("done")
"""


def test_no_input_makes_finding_an_answer_slow() -> None:
    """Whoever adds a regular expression that backtracks over a run of 20,000 spaces waits here for hours, not seconds."""
    ended = subprocess.run([sys.executable, "-c", SLOW_IF_ANYTHING], capture_output=True, text=True, timeout=300, check=False)
    assert ended.stdout == "done\n", ended.stderr
