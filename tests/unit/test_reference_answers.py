"""Every reference of the public sets is right by its own verifier, and a reference that was changed is wrong.

Needs the data folder (`SIXFOLD_DATA`,
else `../shared/data`). `pytest -s` prints the rates. What a loader has to build from a row is
`problem_of` below.
"""

from __future__ import annotations

import json
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from sixfold.core import Problem, Verdict
from sixfold.verify.choice import judge_choice
from sixfold.verify.puzzle import judge_assignment, judge_grid, judge_order
from sixfold.verify.table_answer import judge_table, read_amount
from sixfold.verify.text_answer import judge_literal, judge_text

DATA = Path(os.environ.get("SIXFOLD_DATA") or Path(__file__).parents[3] / "shared" / "data")
JUDGES: dict[str, Callable[[Problem, str], Verdict]] = {
    "choice": judge_choice, "text": judge_text, "literal": judge_literal, "assignment": judge_assignment,
    "order": judge_order,
    "grid": judge_grid, "table": judge_table,
}  # fmt: skip
BBH = {
    "boolean_expressions": "choice", "causal_judgement": "choice", "date_understanding": "choice",
    "disambiguation_qa": "choice",
    "dyck_languages": "text", "formal_fallacies": "choice", "geometric_shapes": "choice", "hyperbaton": "choice",
    "logical_deduction_five_objects": "choice", "logical_deduction_seven_objects": "choice",
    "logical_deduction_three_objects": "choice", "movie_recommendation": "choice", "multistep_arithmetic_two": "table",
    "navigate": "choice", "object_counting": "table", "penguins_in_a_table": "choice",
    "reasoning_about_colored_objects": "choice",
    "ruin_names": "choice", "salient_translation_error_detection": "choice", "snarks": "choice",
    "sports_understanding": "choice",
    "temporal_sequences": "choice", "tracking_shuffled_objects_five_objects": "choice",
    "tracking_shuffled_objects_seven_objects": "choice", "tracking_shuffled_objects_three_objects": "choice",
    "web_of_lies": "choice", "word_sorting": "order",
}  # fmt: skip
FIXED = {
    "boolean_expressions": ["True", "False"], "causal_judgement": ["Yes", "No"], "formal_fallacies": ["valid", "invalid"],
    "navigate": ["Yes", "No"], "sports_understanding": ["yes", "no"], "web_of_lies": ["Yes", "No"],
}  # fmt: skip
OPTION = re.compile(r"(?m)^\(([A-Z])\) ?(.*)$")


def options(question: str) -> dict[str, Any]:
    found = OPTION.findall(question)
    return {"labels": [label for label, _ in found], "choices": [text for _, text in found]}


def problem_of(name: str, row: dict[str, Any]) -> Problem:
    """The problem that a loader builds from a row."""
    meta, answer, question = row["meta"], row["answer"], row["problem"]

    def made(verifier: str, **more: Any) -> Problem:
        return Problem(row["id"], question, answer=answer, verifier=verifier, meta=more)

    match name.partition("/")[0]:
        case "arc_challenge":
            return made("choice", choices=meta["choices"], labels=meta["labels"])
        case "mmlu_stem" | "logical_deduction" | "prontoqa":
            return made("choice", choices=meta["choices"])
        case "qasc":
            return made("choice", **options(question))
        case "folio":
            return made("choice", choices=["True", "False", "Uncertain"], labels=[])
        case "bbh":
            return bbh_problem(row, made)
        case "knights_knaves":
            roles = ("knave", "knight")
            return made("assignment", values={n: roles[k] for n, k in zip(meta["names"], meta["knight"], strict=True)})
        case "zebra_small":
            key = meta["dimensions"][0]
            people = json.loads(answer)
            return made("assignment", values={p[key]: {a: p[a] for a in meta["dimensions"][1:]} for p in people}, key=key)
        case "cruxeval":
            return made("literal")
        case "arc_agi":
            return made("grid", grid=json.loads(answer))
        case "finqa":
            percent = bool(re.search(r"(?i)percent|%", question.rpartition("Question:")[2]))
            return made("table", values=[answer], scale="ratio", percent=percent, tolerance=0.001)
        case "tatqa":
            values = [v for v in answer.split(" # ") if v.strip()] if meta["answer_type"] == "multi-span" else [answer]
            return made("table", values=values, scale=meta["scale"], tolerance=0.0 if len(values) > 1 else 0.001)
        case "wikitq":
            return made("table", values=meta["values"])
    return made("text")


def bbh_problem(row: dict[str, Any], made: Callable[..., Problem]) -> Problem:
    task, answer = row["meta"]["task"], row["answer"]
    verifier = BBH[task]
    if verifier == "choice" and task in FIXED:
        return made("choice", choices=FIXED[task], labels=[])
    if verifier == "choice":
        shown = options(row["problem"])
        return made("choice", **shown) if answer.strip("()") in shown["labels"] else made("text")
    if verifier == "order":
        return made("order", items=answer.split())
    if verifier == "table":
        return made("table", values=[answer])
    return made("text", accept=[answer.replace(" ", "")])


def changed(problem: Problem, generator: random.Random) -> str | None:
    """The reference made wrong: another option, number, role, place, cell; one item less."""
    answer, meta = str(problem.answer), problem.meta
    match problem.verifier:
        case "choice":
            shown = meta.get("labels", list("ABCDEFGHIJ"[: len(meta["choices"])])) or meta["choices"]
            others = [x for x in shown if x.casefold() != answer.strip("()").casefold()]
            return generator.choice(others) if others else None
        case "assignment" if isinstance(next(iter(meta["values"].values())), str):
            name = generator.choice(list(meta["values"]))
            was = meta["values"][name]
            return answer.replace(f"{name} is a {was}", f"{name} is a {'knave' if was == 'knight' else 'knight'}")
        case "assignment":
            people = json.loads(answer)
            attribute = generator.choice([a for a in people[0] if a != meta["key"]])
            one, two = generator.sample(people, 2)
            one[attribute], two[attribute] = two[attribute], one[attribute]
            return json.dumps(people)
        case "order":
            items = answer.split()
            i = generator.randrange(len(items) - 1)
            items[i], items[i + 1] = items[i + 1], items[i]
            return " ".join(items)
        case "grid":
            grid = [list(r) for r in meta["grid"]]
            row = generator.choice(grid)
            row[generator.randrange(len(row))] = "x" if generator.random() < 0.2 else (row[0] + generator.randint(1, 8)) % 10
            return json.dumps(grid) if grid != [list(r) for r in meta["grid"]] else None
        case "table" if len(meta["values"]) > 1:
            return " | ".join(meta["values"][:-1])
    numbers = list(re.finditer(r"\d+", answer))
    if numbers:
        at = generator.choice(numbers)
        digits = str(int(at[0]) + generator.choice((1, 2, 10))).rjust(len(at[0]), "0")
        other = answer[: at.start()] + digits + answer[at.end() :]
        return None if meta.get("tolerance") and close(answer, other, meta["tolerance"]) else other
    words = answer.split(" ")
    return " ".join(words[:-1]) if len(words) > 1 and words[-1][0].isalnum() else answer + "x"


def close(one: str, two: str, tolerance: float) -> bool:
    """Whether the tolerance of the set, or the rounding that it allows, makes the change no change."""
    left, right = read_amount(one), read_amount(two)
    if left is None or right is None or not (left.decimals or right.decimals):
        return False
    rounds = right.decimals > left.decimals > 0 and abs(left.value - right.value) * 2 * 10**left.decimals <= 1
    return rounds or abs(left.value - right.value) <= 1.01 * tolerance * abs(left.value)


SETS = (
    "arc_challenge/test mmlu_stem/test qasc/dev logical_deduction/dev prontoqa/dev folio/validation bbh/test "
    "knights_knaves/test zebra_small/test cruxeval/output arc_agi/training arc_agi/evaluation finqa/test finqa/dev "
    "tatqa/dev wikitq/dev entailment_bank/dev entailment_bank/test"
).split()


def rows(name: str) -> Iterator[dict[str, Any]]:
    path = DATA / f"{name}.jsonl"
    if not path.exists():
        pytest.skip(f"{path} is not here: set SIXFOLD_DATA to a folder in that format")
    with path.open(encoding="utf-8") as lines:
        yield from map(json.loads, lines)


@pytest.mark.parametrize("name", SETS)
def test_references_are_right_and_changed_ones_wrong(name: str) -> None:
    generator = random.Random(name)
    right, wrong = [], []
    count = tried = 0
    for row in rows(name):
        problem = problem_of(name, row)
        judge = JUDGES[str(problem.verifier)]
        verdict = judge(problem, f"Answer: {problem.answer}")
        count += 1
        if verdict.score != 1.0 or verdict.form != "strict":
            right.append((row["id"], problem.answer, verdict))
        other = changed(problem, generator)
        if other is not None and other != problem.answer:
            tried += 1
            if judge(problem, f"Answer: {other}").score != 0.0:
                wrong.append((row["id"], problem.answer, other))
    print(f"{name}: {count - len(right)}/{count} references right, {len(wrong)}/{tried} changed ones right")
    assert not right, right[:5]
    assert not wrong, wrong[:5]
