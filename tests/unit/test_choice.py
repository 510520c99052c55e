"""Multiple choice: every usual way of naming one option, and no way of naming several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sixfold.core import Problem
from sixfold.verify.choice import judge_choice

CITIES = ["Rome", "Berlin", "Paris", "The city of Oslo"]
PROBLEM = Problem(
    "p", "Capital of France?\n(A) Rome\n(B) Berlin\n(C) Paris\n(D) The city of Oslo", answer="C", meta={"choices": CITIES}
)


def score(text: str, problem: Problem = PROBLEM) -> float | None:
    return judge_choice(problem, text).score


@pytest.mark.parametrize(
    "answer",
    [
        "C", "(C)", "C)", "C.", "c", "(c)", "[C]", "option C", "Option (C)", "choice C", "C. Paris", "C) Paris",
        "(C) Paris", "C: Paris",
        "C - Paris", "**C**", "**C. Paris**", "$C$", r"\text{C}", r"$\textbf{(C)}$", r"\boxed{C}", r"\boxed{\text{C}}",
        "Paris", "paris.",
        '"Paris"', "Paris (C)", "Paris, option C", "C is correct", "Option C is the correct answer.",
        "C, because it is Paris", "Ｃ",
        "C. paris", "C (Paris)", "C = Paris",
    ],
)  # fmt: skip
def test_names_the_right_option(answer: str) -> None:
    assert score(f"Answer: {answer}") == 1.0
    assert judge_choice(PROBLEM, f"So.\n\nThe answer is {answer}" if answer[0] in "C(" else f"Answer: {answer}").score == 1.0


@pytest.mark.parametrize(
    "answer",
    [
        "A", "(B)", "C. Rome", "C. Berlin", "Paris (A)", "A or C", "C or A", "C, D", "C/D", "C and D", "A, B, C, D",
        "A B C D", "ABCD", "(A)(B)(C)(D)",
        "not C", "C is not right", "not A", "anything but A", "all of the above", "none", "Rome or Paris", "Rome, Paris",
        "Paris or Rome",
        "not Paris", "It is not Paris", "С", "Рaris", "C or maybe D", "C. Paris or (D)", "C. Paris, but also D",
        "either C or D",
        "C. Paris is wrong", "E", "Paris Rome Berlin", "C, or B", "C) or D)", "option C or option D", "C. Paris B. Berlin",
        "(C), (D)",
        "C & D", "C; D", "C\nor D", "the answer could be C or D", "Neither C", "CC",
    ],
)  # fmt: skip
def test_does_not_name_the_right_option_alone(answer: str) -> None:
    assert score(f"Answer: {answer}") == 0.0
    assert score(f"<answer>{answer}</answer>") == 0.0


def test_the_whole_tag_counts() -> None:
    assert score("<answer>A\nC</answer>") == 0.0
    assert score("<answer>\nC\n</answer>") == 1.0
    assert score("Answer: C\nAnswer: A") == 0.0


def test_flexible_forms_are_called_so() -> None:
    for text in ("C", "(C) Paris", "Paris", "So the correct option is (C).", "Answer: I think that option C fits best"):
        verdict = judge_choice(PROBLEM, text)
        assert (verdict.score, verdict.form, verdict.strict_score) == (1.0, "flexible", 0.0), text
    for text in (
        "Option C is not right.",
        "It is A or C",
        "Answer: I think it is not option C at all",
        PROBLEM.question,
        "<think>C",
    ):
        assert score(text) == 0.0, text


def test_labels_can_be_numbers_or_missing() -> None:
    numbered = Problem("p", "?", answer="3", meta={"choices": CITIES[:3], "labels": ["1", "2", "3"]})
    assert score("Answer: (3)", numbered) == score("Answer: 3. Paris", numbered) == score("Answer: Paris", numbered) == 1.0
    assert score("Answer: 1, 2, 3", numbered) == score("Answer: 2", numbered) == 0.0
    words = Problem("p", "?", answer="True", meta={"choices": ["True", "False", "Uncertain"], "labels": []})
    assert score("Answer: true.", words) == 1.0
    assert score("Answer: A", words) == score("Answer: True or False", words) == score("Answer: not False", words) == 0.0
    letters = Problem("p", "?", answer="E", meta={"labels": list("ABCDE")})
    assert (score("Answer: (E)", letters), score("Answer: D or E", letters)) == (1.0, 0.0)


def test_options_that_are_numbers_go_by_value() -> None:
    problem = Problem("p", "?", answer="B", meta={"choices": ["0.25", "1,200", "1/3"]})
    assert score("Answer: 1200", problem) == score("Answer: 1200.0", problem) == score("Answer: B. 1200", problem) == 1.0
    assert score("Answer: B. 1300", problem) == score("Answer: B. 0.25", problem) == score("Answer: 1/4", problem) == 0.0


def test_an_option_that_denies_may_be_quoted() -> None:
    problem = Problem("p", "?", answer="B", meta={"choices": ["It is x.", "It cannot be determined."]})
    assert score("Answer: B. It cannot be determined.", problem) == score("Answer: it cannot be determined", problem) == 1.0


def test_a_reference_may_be_a_text() -> None:
    assert score("Answer: C", Problem("p", "?", answer="paris", meta={"choices": CITIES})) == 1.0


@pytest.mark.parametrize(
    "problem",
    [
        Problem("p", "?"), Problem("p", "?", answer="A"), Problem("p", "?", answer="Z", meta={"choices": CITIES}),
        Problem("p", "?", answer="A", meta={"choices": "ABCD"}), Problem("p", "?", answer="A", meta={"choices": CITIES,
        "labels": ["A"]}),
        Problem("p", "?", answer="A", meta={"choices": CITIES, "labels": ["A", "A", "B", "C"]}), Problem("p", "?",
        meta={"choices": CITIES}),
        Problem("p", "?", answer="x", meta={"choices": ["x", "x"]}),
    ],
)  # fmt: skip
def test_what_cannot_be_judged_is_unscored(problem: Problem) -> None:
    verdict = judge_choice(problem, "Answer: A")
    assert verdict.score is None
    assert verdict.reason


TEXTS = st.lists(
    st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"]), min_size=1, max_size=30),
    min_size=2,
    max_size=8,
)


@given(TEXTS, st.data())
def test_the_label_is_always_right_and_another_one_wrong(choices: list[str], data: st.DataObject) -> None:
    labels = "ABCDEFGH"[: len(choices)]
    answer, other = data.draw(st.permutations(labels))[:2]
    problem = Problem("p", "?", answer=answer, meta={"choices": choices})
    assert score(f"Answer: {answer}", problem) == score(f"Answer: ({answer})", problem) == 1.0
    assert score(f"Answer: {other}", problem) == score(f"Answer: {answer} or {other}", problem) == 0.0
    assert score(f"Answer: {other}, {answer}", problem) == 0.0


@given(st.text())
def test_never_raises(text: str) -> None:
    assert score(text) in (0.0, 1.0)
    assert score(f"Answer: C {text}") in (0.0, 1.0)


@pytest.mark.parametrize(
    "text",
    [
        "The correct answer is **C**.", "The correct answer is **(C) Paris**.", 'Answer: "C"', "Answer: C<|im_end|>",
        "正确答案是 C。", "So I choose (C).", "I would pick C.", "Based on this, C is the correct answer.",
        "Therefore, (C) is correct.", "C) Paris\n\nIt has been the capital for long.", "C\n\nExplanation: it is Paris.",
    ],
)  # fmt: skip
def test_usual_sentences_name_the_option(text: str) -> None:
    assert score(text) == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "Answer: Rome (C)", "We eliminate option C.", "So we can rule out (C).", "Is (C) the correct answer?",
        "C) Paris is old.\n\nHence I choose D.", "A is correct in part, but C is correct.",
        "The best one is option A, not (C).", "C or D\n\nBoth are fine.",
    ],
)  # fmt: skip
def test_sentences_that_do_not_name_it(text: str) -> None:
    assert score(text) == 0.0


def test_without_labels_a_reason_may_follow_the_text() -> None:
    problem = Problem("p", "Does it end where it began?", answer="Yes", meta={"choices": ["Yes", "No"], "labels": []})
    assert score("Answer: Yes, you return to the start.", problem) == 1.0
    for answer in ("Yes or no", "Yes, but also no", "Yes; no", "Yes - or maybe not", "No, you do not return."):
        assert score(f"Answer: {answer}", problem) == 0.0


def test_labels_are_checked_against_texts_in_latex_and_with_units() -> None:
    fractions = Problem("p", "?", answer="B", meta={"choices": [r"\frac{1}{7}", r"$\frac{7}{5}$", "5 m/s"]})
    assert score(r"Answer: B. \frac{7}{5}", fractions) == score(r"Answer: $\frac{7}{5}$", fractions) == 1.0
    assert score(r"Answer: B. \frac{1}{7}", fractions) == 0.0
    speeds = Problem("p", "?", answer="B", meta={"choices": ["4 m/s", "5 m/s"]})
    assert (score("Answer: B) 5", speeds), score("Answer: B) 4", speeds)) == (1.0, 0.0)
