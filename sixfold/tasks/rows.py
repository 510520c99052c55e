"""Rows of public sets, as their publishers wrote them, turned into problems.

Place: `benchmarks.py` names for every set the function that reads a row of the hub's files and the one that reads a row of a
folder (`local.py`); both end in the same builders, so that a problem is judged alike wherever it came from. Pure: nothing is
fetched or opened here, and a row is never evaluated. Programming has `code_rows.py`. A row that no rule can judge (a picture,
no answer) gives no problem.
"""

from __future__ import annotations

import ast
import hashlib
import json
import random
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any

from sixfold.core import Problem

Row = Mapping[str, Any]
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
TRUE_FALSE, YES_NO = ("True", "False"), ("Yes", "No")
_OPTION = re.compile(r"(?m)^\(([A-Z])\) (.*)$")
_LETTERED = re.compile(r"(?m)^([A-Z])[.)] (.*)$")
_INLINE = re.compile(r"(?s)\(([a-d])\)\s*(.*?)(?=\([a-d]\)|$)")
_MATH_LIKE = re.compile(r"[\d\\^_=]")


# Builders: one for each way of judging.


def math(name: str, question: str, answer: str, solution: str | None = None, **meta: Any) -> Problem:
    return Problem(name, question, answer, verifier="math", meta=meta, solution=solution)


def choice(
    name: str, question: str, choices: Sequence[str], answer: str, *, labels: Sequence[str] = (), show: bool = True, **meta: Any
) -> Problem:
    """A question with its options, one a line; `answer` is a label. `show=False` where the question has them already.

    >>> print(choice("q", "Which is even?", ["3", "4"], "B").question)
    Which is even?
    (A) 3
    (B) 4
    """
    names = list(labels) or list(LETTERS[: len(choices)])
    if answer not in names:
        raise ValueError(f"{answer!r} is none of the options")
    if show:
        question = question.rstrip() + "".join(f"\n({label}) {text}" for label, text in zip(names, choices, strict=True))
    return Problem(name, question, answer, verifier="choice", meta={"choices": list(choices), "labels": names, **meta})


def words(name: str, question: str, choices: Sequence[str], answer: str, **meta: Any) -> Problem:
    """A question that is answered by one of a few words, not by a letter."""
    if answer not in choices:
        raise ValueError(f"{answer!r} is none of the words")
    return Problem(name, question, answer, verifier="choice", meta={"choices": list(choices), "labels": [], **meta})


def table(name: str, question: str, values: Sequence[str], solution: str | None = None, **meta: Any) -> Problem:
    return Problem(
        name, question, " | ".join(values), verifier="table", meta={"values": list(values), **meta}, solution=solution
    )


# Math.


def gsm8k(row: Row, index: int, split: str) -> list[Problem]:
    """The calculator's annotations go; what is left is a worked solution, one step a line.

    >>> row = {"question": "2 + 2?", "answer": "2 + 2 = <<2+2=4>>4 eggs.\\n#### 4"}
    >>> gsm8k(row, 0, "test")[0].solution
    '2 + 2 = 4 eggs.\\nAnswer: 4'
    """
    steps, _, gold = str(row["answer"]).rpartition("####")
    return [_gsm8k(f"gsm8k/{split}/{index}", str(row["question"]), gold, steps)]


def gsm8k_folder(row: Row) -> list[Problem]:
    return [_gsm8k(row["id"], row["problem"], row["answer"], row.get("solution"))]


def _gsm8k(name: str, question: str, gold: str, steps: str | None) -> Problem:
    gold = gold.strip().replace(",", "")
    return math(name, question, gold, re.sub(r"<<[^<>]*>>", "", steps).strip() + f"\nAnswer: {gold}" if steps else None)


def math500(row: Row, index: int, split: str) -> list[Problem]:
    meta = {"level": row.get("level"), "subject": row.get("subject")}
    return [math(f"math500/{row['unique_id']}", row["problem"], row["answer"], row.get("solution"), **meta)]


def aime24(row: Row, index: int, split: str) -> list[Problem]:
    # Written with leading zeros ("073") in some rows; an answer is a number from 0 to 999.
    return [math(f"aime24/{row['id']}", row["problem"], str(int(row["answer"])), row.get("solution"))]


def matharena(name: str, row: Row, index: int, split: str) -> list[Problem]:
    return [
        math(
            f"{name}/{row['problem_idx']}",
            row["problem"],
            str(row["answer"]).strip(),
            types=list(row.get("problem_type") or ()),
        )
    ]


def omni_math(row: Row, index: int, split: str) -> list[Problem]:
    meta = {"difficulty": row["difficulty"], "source_name": row.get("source"), "fields": list(row.get("domain") or ())}
    return [math(f"omni_math/{split}/{index}", row["problem"], _unwrapped(str(row["answer"])), row.get("solution"), **meta)]


def omni_math_folder(row: Row) -> list[Problem]:
    meta = row["meta"]
    kept = {"difficulty": meta["difficulty"], "source_name": meta["source"], "fields": meta["domain"]}
    return [math(row["id"], row["problem"], row["answer"], row.get("solution"), **kept)]


def hardest(problem: Problem) -> bool:
    """The top of Omni-MATH's scale, which runs from 1 to 10 in halves."""
    return float(problem.meta["difficulty"]) >= 9.0


def _unwrapped(answer: str) -> str:
    r"""An answer without the dollars or the box that some rows put around it.

    >>> _unwrapped(r"$\boxed{12}$"), _unwrapped("$1$ and $2$")
    ('12', '$1$ and $2$')
    """
    answer = answer.strip()
    if len(answer) > 2 and answer[0] == answer[-1] == "$" and answer.count("$") == 2:
        answer = answer[1:-1].strip()
    box = re.fullmatch(r"\\boxed\{([^{}]*(?:\{[^{}]*\}[^{}]*)*)\}", answer)
    return box[1].strip() if box else answer


def olympiadbench(row: Row, index: int, split: str) -> list[Problem]:
    answers = [str(a) for a in row["final_answer"] or ()]
    solution = "\n".join(str(s) for s in row["solution"] or ()) or None
    gold = ", ".join(a.replace("$", "").strip() for a in answers)
    return [_olympiad(f"olympiadbench/{row['id']}", row["question"], gold, solution, row)] if answers else []


def olympiadbench_folder(row: Row) -> list[Problem]:
    return [_olympiad(row["id"], row["problem"], row["answer"], row.get("solution"), row["meta"])]


def _olympiad(name: str, question: str, gold: str, solution: str | None, row: Row) -> Problem:
    meta = {key: row[key] for key in ("unit", "answer_type", "subfield", "error") if row.get(key)}
    if row.get("error"):
        # An absolute error, which the set gives in one row; the verifier's is relative.
        with suppress(ValueError, ZeroDivisionError):
            meta["tolerance"] = abs(float(row["error"]) / float(gold))
    return math(name, question, gold, solution, **meta)


def theoremqa_folder(row: Row) -> list[Problem]:
    kind, answer = row["meta"]["answer_type"], row["answer"]
    if kind == "bool":
        return [words(row["id"], row["problem"], TRUE_FALSE, answer.capitalize(), kind=kind)]
    if kind == "option":
        found = dict(_INLINE.findall(row["problem"]))
        texts = [text.strip() for text in found.values()]
        return [choice(row["id"], row["problem"], texts, answer.strip("()"), labels=list(found), show=False, kind=kind)]
    # The published scoring allows 4 % where the answer is no whole number.
    meta: dict[str, Any] = {"tolerance": 0.04} if "float" in kind else {}
    return [math(row["id"], row["problem"], answer, kind=kind, **meta)]


def target_folder(row: Row) -> list[Problem]:
    """Countdown and the game of 24: any expression that makes the target counts."""
    meta = {"numbers": row["meta"]["numbers"], "target": row["meta"]["target"], "use_all": True}
    return [Problem(row["id"], row["problem"], row["answer"], verifier="countdown", meta=meta, solution=row.get("solution"))]


# Science.


def arc_challenge(row: Row, index: int, split: str) -> list[Problem]:
    given = [str(label) for label in row["choices"]["label"]]
    label = LETTERS[given.index(str(row["answerKey"]))]
    return [choice(f"arc/{row['id']}", row["question"], [str(t) for t in row["choices"]["text"]], label)]


def options_folder(row: Row) -> list[Problem]:
    """A row whose question shows its options as lines "(A) ...", whatever else it carries."""
    found = _OPTION.findall(row["problem"])
    given = row["meta"].get("choices")
    texts = list(given) if given else [text for _, text in found]
    if len(found) < len(texts):
        raise ValueError("the question does not show its options")
    return [choice(row["id"], row["problem"], texts, row["answer"], show=False)]


def gpqa(row: Row, index: int, split: str) -> list[Problem]:
    """Options in an order that follows from the row's id alone, so that the right one stands everywhere equally often and every
    process shows the same."""
    name = f"gpqa/{row['Record ID']}"
    right = str(row["Correct Answer"]).strip()
    texts = [right, *(str(row[f"Incorrect Answer {i}"]).strip() for i in (1, 2, 3))]
    order = list(range(4))
    random.Random(int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big")).shuffle(order)
    label = LETTERS[order.index(0)]
    return [choice(name, str(row["Question"]).strip(), [texts[i] for i in order], label, field=row.get("High-level domain"))]


def hle(row: Row, index: int, split: str) -> list[Problem]:
    """Questions without pictures. The publishers let a model judge short answers; here a rule does, which is stricter."""
    if row.get("image") or row.get("image_preview"):
        return []
    name, question, answer = f"hle/{row['id']}", str(row["question"]), str(row["answer"]).strip()
    meta = {"category": row.get("category"), "kind": row.get("answer_type")}
    if row.get("answer_type") == "multipleChoice":
        # The last run of A, B, C, ...: the text of a question may have lettered lines too.
        found = _LETTERED.findall(question)
        start = max((i for i, (label, _) in enumerate(found) if label == "A"), default=None)
        options = found[start:] if start is not None else []
        if [label for label, _ in options] == list(LETTERS[: len(options)]) and answer in [label for label, _ in options]:
            texts = [text.strip() for _, text in options]
            return [replace(p, meta={**p.meta, **meta}) for p in [choice(name, question, texts, answer, show=False)]]
        labels = list(LETTERS[: max(5, LETTERS.find(answer[:1]) + 1)]) if len(answer) == 1 and answer in LETTERS else []
        given = {"choices": [], "labels": labels, **meta}
        return [Problem(name, question, answer, verifier="choice", meta=given)] if labels else []
    verifier = "math" if _MATH_LIKE.search(answer) else "text"
    return [Problem(name, question, answer, verifier=verifier, meta=meta)]


# Logic.


def bbh(row: Row, index: int, split: str) -> list[Problem]:
    task = str(row["path"]).split("/")[0]
    return [_bbh(f"bbh/{task}/{index}", task, str(row["input"]), str(row["target"]).strip())]


def bbh_folder(row: Row) -> list[Problem]:
    return [_bbh(row["id"], row["meta"]["task"], row["problem"], row["answer"])]


_BBH_WORDS: Mapping[str, Sequence[str]] = {
    "boolean_expressions": TRUE_FALSE,
    "causal_judgement": YES_NO,
    "navigate": YES_NO,
    "web_of_lies": YES_NO,
    "sports_understanding": ("yes", "no"),
    "formal_fallacies": ("valid", "invalid"),
}
_BBH_OTHER = {"multistep_arithmetic_two": "math", "object_counting": "math", "dyck_languages": "text"}


def _bbh(name: str, task: str, question: str, answer: str) -> Problem:
    if known := _BBH_WORDS.get(task):
        return words(name, question, known, answer, task=task)
    if task == "word_sorting":
        return Problem(name, question, answer, verifier="order", meta={"task": task, "items": answer.split()})
    if verifier := _BBH_OTHER.get(task):
        return Problem(name, question, answer, verifier=verifier, meta={"task": task})
    found, label = _OPTION.findall(question), answer.strip("()")
    if label in [one for one, _ in found]:
        return choice(name, question, [text for _, text in found], label, labels=[o for o, _ in found], show=False, task=task)
    # Three published rows have options that were cut at their commas; the answer is the whole text.
    return Problem(name, question, answer, verifier="text", meta={"task": task, "noisy": True})


def knights_knaves(row: Row, index: int, split: str) -> list[Problem]:
    name = f"kk/{len(row['names'])}ppl/{split}/{row.get('index', index)}"
    return [_knights(name, row["quiz"], row["names"], row["solution"], row.get("solution_text"))]


def knights_knaves_folder(row: Row) -> list[Problem]:
    return [_knights(row["id"], row["problem"], row["meta"]["names"], row["meta"]["knight"], row.get("solution"))]


def _knights(name: str, question: str, people: Sequence[str], knight: Sequence[bool], solution: str | None) -> Problem:
    values = {person: "knight" if is_one else "knave" for person, is_one in zip(people, knight, strict=True)}
    answer = ", ".join(f"{person}: {kind}" for person, kind in values.items())
    return Problem(name, question, answer, verifier="assignment", meta={"values": values}, solution=solution)


def folio_folder(row: Row) -> list[Problem]:
    return [words(row["id"], row["problem"], (*TRUE_FALSE, "Uncertain"), row["answer"])]


def zebra_folder(row: Row) -> list[Problem]:
    key = row["meta"]["dimensions"][0]
    values = {person[key]: {k: v for k, v in person.items() if k != key} for person in json.loads(row["answer"])}
    question = f"{row['problem']}\nGive a JSON list with one object for each person, whose keys are all the attributes."
    return [Problem(row["id"], question, row["answer"], verifier="assignment", meta={"values": values, "key": key})]


# Simulation.


def arc_agi_folder(row: Row) -> list[Problem]:
    return [Problem(row["id"], row["problem"], row["answer"], verifier="grid", meta={"grid": ast.literal_eval(row["answer"])})]


# Tabular.


def grid_text(rows: Sequence[Sequence[Any]]) -> str:
    return "\n".join(" | ".join(" ".join(str(cell).split()) for cell in row) for row in rows)


def finqa(row: Row, index: int, split: str) -> list[Problem]:
    facts = row["qa"]
    text = "\n".join([*row["pre_text"], *row["post_text"]])
    question = f"Context:\n{text}\n\nTable:\n{grid_text(row['table'])}\n\nQuestion: {facts['question']}"
    return [_finqa(f"finqa/{row['id']}", question, str(facts["exe_ans"]), facts.get("program"))]


def finqa_folder(row: Row) -> list[Problem]:
    meta = {"evidence_in_context": row["meta"]["evidence_in_context"]}
    return [_finqa(row["id"], row["problem"], row["answer"], row.get("solution"), **meta)]


def _finqa(name: str, question: str, answer: str, program: str | None, **meta: Any) -> Problem:
    # The reference is what the gold program gives: with five digits where an answer is rounded, and as a share (0.145) even
    # where the question asks for percent, unless the program itself multiplies by 100.
    asked = question.rpartition("Question:")[2].casefold()
    in_percent = bool(re.search(r"multiply\([^()]*const_100\)\s*$", program or ""))
    meta |= {"scale": "percent"} if in_percent else {"scale": "ratio", "percent": "percent" in asked or "%" in asked}
    return table(name, question, [answer], program, tolerance=0.005, **meta)


def tatqa(row: Row, index: int, split: str) -> list[Problem]:
    """One row is a page with several questions."""
    text = "\n".join(p["text"] for p in sorted(row["paragraphs"], key=lambda p: int(p["order"])))
    page = f"Table:\n{grid_text(row['table']['table'])}\n\nText:\n{text}\n\nQuestion: "
    problems = []
    for asked in row["questions"]:
        gold = asked["answer"]
        values = [str(value) for value in gold] if isinstance(gold, list) else [str(gold)]
        kind, scale = asked["answer_type"], asked["scale"] or ""
        problems.append(_tatqa(f"tatqa/{asked['uid']}", page + asked["question"], values, asked["derivation"], kind, scale))
    return problems


def tatqa_folder(row: Row) -> list[Problem]:
    meta = row["meta"]
    values = row["answer"].split(" # ") if meta["answer_type"] == "multi-span" else [row["answer"]]
    return [_tatqa(row["id"], row["problem"], values, row.get("solution"), meta["answer_type"], meta["scale"] or "")]


def _tatqa(name: str, question: str, values: list[str], derivation: str | None, kind: str, scale: str) -> Problem:
    # Computed references are rounded to two digits.
    meta: dict[str, Any] = {"scale": scale, "kind": kind} | ({"tolerance": 0.005} if kind == "arithmetic" else {})
    return table(name, question, values, derivation or None, **meta)


def wikitq(row: Row, index: int, split: str) -> list[Problem]:
    page = grid_text([row["table"]["header"], *row["table"]["rows"]])
    return [table(f"wikitq/{row['id']}", f"Table:\n{page}\n\nQuestion: {row['question']}", [str(a) for a in row["answers"]])]


def wikitq_folder(row: Row) -> list[Problem]:
    return [table(row["id"], row["problem"], row["meta"]["values"])]
