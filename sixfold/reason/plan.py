"""Plan before think: is a plan worth it, what is it, and does it give the answer away?

After K2-Think (arXiv 2509.07604), which lets a larger model classify the question, list topics and write a plan. Here one
call writes the plan, the gate costs nothing, the planner is by default the solver itself, a planner that fails leaves the
bare question, and what gives an answer is cut out of the plan and counted, which the original only asked for.
"""

from __future__ import annotations

import re

from sixfold.verify.answers import answer_key, same_answer
from sixfold.verify.extract import extract_answer, split_thinking

_NUMBER = re.compile(r"(?:(?<![\d)])-)?\d(?:[\d,]*\d)?(?:\.\d+)?(?:/\d+)?")
_ENUMERATOR = re.compile(r"(?:^|(?<=[\s*]))(?:step\s+)?\d{1,2}[.):](?=\s)", re.IGNORECASE | re.MULTILINE)
_CLAIM = re.compile(r"(?i)\banswer\s?(?:is\b|:|=)|\\boxed|####|(?:答え|答案|回答|الجواب|الإجابة)\s?(?:は|是|为|هو|هي|[:：=])")
_RESULT = re.compile(r"[=≈]\s?(?:\*\*)?[-−$€£]?\d")
_SENTENCE_END = re.compile(r"(?<=[.!?؟]\s)|(?<=[。！？])")


def gate(question: str) -> tuple[bool, str]:
    """Whether a question is worth planning, and why: long ones, ones with three or more numbers, ones with several parts.

    A rule, not a model: it is free, and the same question always gets the same treatment.

    >>> gate("What is 2 + 2?")
    (False, 'short, with at most two numbers')
    """
    numbers = len(_NUMBER.findall(question[:20_000]))
    if len(question) >= 240:
        return True, "long question"
    if numbers >= 3:
        return True, f"{numbers} numbers to relate"
    if len(re.findall(r"[.?!。؟](?=\s|$)", question)) >= 3:
        return True, "several parts"
    return False, "short, with at most two numbers"


def strip_answers(plan: str) -> tuple[str, bool]:
    """The plan without the sentences that claim a result, and whether there were any.

    >>> strip_answers("Add the two. 3 + 4 = 7. Check the sum.")
    ('Add the two. Check the sum.', True)
    """
    text = split_thinking(plan).text.strip()
    kept, leaked = [], False
    for line in text.splitlines():
        parts = _SENTENCE_END.split(line)
        good = [p for p in parts if not (_CLAIM.search(p) or _RESULT.search(p))]
        cut = len(good) < len(parts)
        leaked |= cut
        if not cut or re.search(r"[^\W\d_]", "".join(good)):
            kept.append("".join(good).rstrip())
    return "\n".join(kept).strip(), leaked


def contains_answer(plan: str, answer: str | None, question: str) -> bool:
    """Whether the plan states the answer although the question does not: the leak that is measured.

    >>> contains_answer("Then you get 12 apples.", "12", "How many apples?")
    True
    >>> contains_answer("Use the 12 from the question.", "12", "What is 12 * 1?")
    False
    >>> contains_answer("1. Find the price.", "1", "How many?")
    False
    """
    if not answer or not plan:
        return False
    plan = _ENUMERATOR.sub(" ", plan)
    key = answer_key(answer)
    claimed = extract_answer(plan)
    if claimed is not None and answer_key(claimed) == key:
        return True
    if key.startswith("n:"):
        asked, said = (set(_NUMBER.findall(text[:20_000])) for text in (question, plan))
        return any(same_answer(n, answer) for n in said - asked) and not any(same_answer(n, answer) for n in asked)
    short = re.compile(rf"(?i)(?<![a-z\d]){re.escape(answer.strip())}(?![a-z\d])")
    return len(answer.strip()) > 3 and bool(short.search(plan)) and not short.search(question)
