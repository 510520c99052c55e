"""Cells are drawn by what they teach, the same after a resume, and levels rise with success."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from sixfold.errors import TrainError
from sixfold.tasks.catalog import FAMILIES
from sixfold.tasks.family import masked, normalised, split_of
from sixfold.train.cells import Cells, Draws, fill

THREE = ("math/gcd", "math/product", "logic/" + next(n for n in FAMILIES if n.startswith("logic/")).split("/")[1])


def taught(cells: Cells, right: dict[str, float], draws: int, group: int = 8) -> Counter[str]:
    """How often each cell is drawn where these shares of a group are right."""
    seen: Counter[str] = Counter()
    for _ in range(draws):
        cell, _ = cells.draw()
        seen[cell] += 1
        cells.observe(cell, round(right[cell] * group), group)
    return seen


def test_the_seed_decides_what_is_drawn() -> None:
    def drawn(seed: int) -> list[tuple[str, str]]:
        cells = Cells(THREE, seed=seed)
        return [(cell, problem.id) for cell, problem in (cells.draw() for _ in range(20))]

    assert drawn(1) == drawn(1)
    assert drawn(1) != drawn(2)


def test_problems_are_new_ones_of_the_training_split_at_the_cell_s_level() -> None:
    cells = Cells(["math/gcd"], Draws(level=2))
    drawn = [cells.draw() for _ in range(40)]
    assert len({problem.id for _, problem in drawn}) == 40
    for cell, problem in drawn:
        assert cell == f"math/gcd:{problem.meta['level']}"
        text = normalised(problem.question)
        assert split_of(masked(text) if FAMILIES["math/gcd"].masked else text) == "train"
    assert {cell for cell, _ in drawn} == {"math/gcd:1", "math/gcd:2"}


def test_a_cell_that_teaches_is_drawn_more() -> None:
    cells = Cells(THREE, Draws(easy_share=0, explore=0, raise_at=1.01), seed=3)
    seen = taught(cells, {f"{THREE[0]}:1": 0.5, f"{THREE[1]}:1": 1.0, f"{THREE[2]}:1": 0.0}, 300)
    assert seen[f"{THREE[0]}:1"] > 3 * seen[f"{THREE[1]}:1"]
    assert seen[f"{THREE[0]}:1"] > 3 * seen[f"{THREE[2]}:1"]


def test_success_is_a_running_estimate_that_forgets() -> None:
    cells = Cells(["math/gcd"])
    assert cells.success("math/gcd:1") == 0.5
    for _ in range(40):
        cells.observe("math/gcd:1", 0, 8)
    assert cells.success("math/gcd:1") < 0.05
    for _ in range(20):
        cells.observe("math/gcd:1", 7, 8)
    assert 0.7 < cells.success("math/gcd:1") < 0.875


def test_easy_items_keep_their_share() -> None:
    cells = Cells(THREE, Draws(easy_share=0.25, explore=0, raise_at=1.01))
    easy = f"{THREE[0]}:1"
    for _ in range(200):
        cells.observe(easy, 80, 80)
    drawn = [cells.draw()[0] for _ in range(80)]
    assert 20 <= drawn.count(easy) <= 23


def test_exploring_reaches_a_cell_that_seems_hopeless_and_domains_alike() -> None:
    names = [n for n in FAMILIES if n.startswith("math/")] + [THREE[2]]
    cells = Cells(names, Draws(easy_share=0, explore=1.0))
    seen = Counter(FAMILIES[cells.draw()[0].split(":")[0]].domain for _ in range(200))
    assert 70 < seen["logic"] < 130


def test_a_level_opens_with_success_over_the_window_and_not_before() -> None:
    cells = Cells(["math/gcd"], Draws(window=32, raise_at=0.75))
    assert [cells.observe("math/gcd:1", 8, 8) for _ in range(4)] == [False, False, False, True]
    assert cells.active == ["math/gcd:1", "math/gcd:2"]
    assert cells.mean_level == 2
    # The lower level says nothing about the higher one, and half is not enough.
    assert not any(cells.observe("math/gcd:1", 8, 8) for _ in range(10))
    assert not any(cells.observe("math/gcd:2", 4, 8) for _ in range(10))
    assert any(cells.observe("math/gcd:2", 8, 8) for _ in range(4))
    assert not any(cells.observe("math/gcd:3", 8, 8) for _ in range(20)), "the family has no level 4"


def test_no_level_opens_above_the_highest_that_is_wanted() -> None:
    cells = Cells(["math/gcd"], Draws(window=8, top_level=1))
    assert not any(cells.observe("math/gcd:1", 8, 8) for _ in range(10))


def test_groups_that_nothing_could_judge_change_nothing() -> None:
    cells = Cells(["math/gcd"], Draws(window=1))
    assert not cells.observe("math/gcd:1", 0, 0)
    assert cells.success("math/gcd:1") == 0.5


def test_a_resumed_sampler_goes_on_with_the_same_draws() -> None:
    whole, first = Cells(THREE, Draws(window=16), seed=4), Cells(THREE, Draws(window=16), seed=4)

    def go(cells: Cells, steps: range) -> list[tuple[str, str]]:
        drawn = []
        for step in steps:
            cell, problem = cells.draw()
            cells.observe(cell, step % 9, 8)
            drawn.append((cell, problem.id))
        return drawn

    uninterrupted = go(whole, range(60))
    go(first, range(25))
    state = json.loads(json.dumps(first.state()))
    second = Cells(THREE, Draws(window=16), seed=4)
    second.load(state)
    assert go(second, range(25, 60)) == uninterrupted[25:]
    assert second.state() == whole.state()


def test_a_state_of_other_families_is_refused() -> None:
    with pytest.raises(TrainError, match="other families"):
        Cells(["math/gcd"]).load(Cells(THREE).state())
    with pytest.raises(TrainError, match="another seed"):
        Cells(["math/gcd"], seed=1).load(Cells(["math/gcd"]).state())


def test_families_that_are_none_are_refused() -> None:
    with pytest.raises(TrainError, match="gsm8k"):
        Cells(["gsm8k"])
    with pytest.raises(TrainError, match="no family"):
        Cells([])


def test_a_family_that_runs_out_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problems = list(Cells(["math/gcd"]).draw() for _ in range(1))
    calls = []

    def few(family: object, level: int, split: str, seed: int = 0) -> object:
        calls.append(seed)
        return iter([problems[0][1]] * 3)

    monkeypatch.setattr("sixfold.train.cells.generate", few)
    cells = Cells(["math/gcd"])
    assert len([cells.draw() for _ in range(7)]) == 7
    assert len(set(calls)) == len(calls) == 3
    monkeypatch.setattr("sixfold.train.cells.generate", lambda *_: iter(()))
    with pytest.raises(TrainError, match="no training problems"):
        Cells(["math/gcd"]).draw()


def test_a_batch_is_filled_with_groups_that_have_a_signal_in_bounded_rounds() -> None:
    asked: list[int] = []

    def draw(count: int) -> list[int]:
        asked.append(count)
        start = sum(asked) - count
        return [0, 1, 0, 0, 2, 0, 3, 0, 0, 4, 5, 6][start : start + count]

    assert fill(draw, bool, 4, 5) == ([1, 2, 3, 4], [0, 1, 0, 0, 2, 0, 3, 0, 0, 4][: sum(asked)])
    assert asked == [4, 3, 1, 1, 1]
    asked.clear()
    assert fill(draw, bool, 4, 1) == ([1, 2, 3, 0], [0, 1, 0, 0, 2, 0, 3])
    asked.clear()
    assert fill(draw, bool, 4, 0) == ([1, 0, 0, 0], [0, 1, 0, 0])
