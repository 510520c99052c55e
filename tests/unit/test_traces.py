"""Worked solutions as chains of thought: right, varied, without leaks, and with slips that are not learned."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from itertools import islice

import pytest

from sixfold.data.plans import PLANS, write_plan
from sixfold.data.rows import row_problem
from sixfold.data.traces import Mix, even_cells, has_tags, make_trace, worked_rows
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import generate, masked, normalised, split_of
from sixfold.verify.verifiers import Judge

PLAIN = Mix(planned=0, planners=0, slips=0, framed=0)


def first_problem(name: str, level: int = 1):
    return next(generate(FAMILIES[name], level, "train"))


def test_every_family_has_a_plan_that_knows_nothing_of_the_problem() -> None:
    assert set(PLANS) == set(FAMILIES)
    for name, steps in PLANS.items():
        assert 2 <= len(steps) <= 4, name
        assert not any(ch.isdigit() and ch not in "01" for step in steps for ch in step), name
        texts = {write_plan(name, random.Random(seed)) for seed in range(20)}
        assert len(texts) == 3


@pytest.mark.slow
@pytest.mark.parametrize("mix", [PLAIN, Mix(slips=1, planners=0, framed=1, planned=0.5)], ids=["plain", "slips"])
def test_every_completion_is_judged_right(mix: Mix) -> None:
    cells = {(name, level): 2 for name in FAMILIES for level in (1, 2)}
    skipped: list[str] = []
    with Judge() as judge:
        if judge.sandbox == "none":
            cells = {cell: n for cell, n in cells.items() if cell[0] != "code/write_function"}
        rows = list(worked_rows(cells, mix, judge=judge, skip=skipped.append))
    assert skipped == []
    assert len(rows) == sum(cells.values())
    assert all(has_tags(row["completion"][0]["content"]) for row in rows)


def test_rows_come_from_the_train_split_alone_and_are_the_same_each_time() -> None:
    cells = {("math/chain_sum", 1): 30, ("tabular/lookup", 1): 30}
    rows = list(worked_rows(cells, seed=3))
    assert rows == list(worked_rows(cells, seed=3))
    assert rows != list(worked_rows(cells, seed=4))
    for row in rows:
        problem, family = row_problem(row), FAMILIES[row["extra_info"]["family"]]
        text = normalised(problem.question)
        assert split_of(masked(text) if family.masked else text) == "train"


def test_the_mix_is_kept() -> None:
    rows = list(worked_rows({("math/product", 1): 1000}, Mix(planned=0.3, planners=0.2, slips=0.5, framed=0.5)))
    kinds = Counter(row["extra_info"]["kind"] for row in rows)
    assert 150 < kinds["planners"] + kinds["planner"] < 250
    assert 240 < kinds["planned"] < 360
    assert 300 < sum(bool(row["extra_info"].get("untrained")) for row in rows) < 500
    for row in rows:
        asked = row["prompt"][-1]["content"]
        assert ("A plan that may help" in asked) == (row["extra_info"]["kind"] == "planned")


def test_a_slip_is_marked_where_it_stands_and_is_corrected_in_the_next_line() -> None:
    problem = first_problem("math/product")
    for seed in range(40):
        row = make_trace(problem, replace(PLAIN, slips=1, framed=1), random.Random(seed))
        text = row["completion"][0]["content"]
        [[start, stop]] = row["extra_info"]["untrained"]
        wrong, line = text[start:stop], text[text.rfind("\n", 0, start) + 1 : start]
        corrected = text[stop:].split("\n", 1)[1]
        assert corrected.startswith(line)
        assert not corrected[len(line) :].startswith(wrong + " ")
        assert wrong.isdigit()


def test_a_row_whose_completion_is_not_judged_right_is_left_out_and_told() -> None:
    from sixfold.core import Verdict

    told: list[str] = []
    rows = list(
        worked_rows({("math/gcd", 1): 5}, PLAIN, judge=lambda p, t: Verdict(0.0, "no"), skip=told.append),
    )
    assert rows == []
    assert told == ["math/gcd:1 judged 0.0: no"] * 5


def test_a_family_that_is_exhausted_is_told() -> None:
    told: list[str] = []
    small = {("science/ph", 1): 100_000}
    count = sum(1 for _ in islice(worked_rows(small, PLAIN, skip=told.append), 100_000))
    assert count < 100_000
    assert told == ["science/ph:1 has no more problems"]


def test_domains_get_the_same_share() -> None:
    cells = even_cells(list(FAMILIES), {1: 0.75, 2: 0.25}, 6000)
    by_domain: Counter[str] = Counter()
    for (name, _), count in cells.items():
        by_domain[FAMILIES[name].domain] += count
    assert max(by_domain.values()) - min(by_domain.values()) < 60
