"""reasoning-gym behind its guard: same items everywhere, splits that never meet, scores that cannot be fooled."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from functools import cache
from itertools import islice
from typing import Any

import pytest

from sixfold.core import Problem, Split
from sixfold.errors import TaskError
from sixfold.tasks import gym
from sixfold.tasks.family import normalised, split_of
from sixfold.tasks.gym import ALLOWED, LEFT_OUT, NAMES, make_items, make_task
from sixfold.verify import gym_job

reasoning_gym = pytest.importorskip("reasoning_gym", reason="reasoning-gym is not installed (sixfold[gym])")

SAMPLE = ("polynomial_multiplication", "spell_backward", "knights_knaves", "number_filtering")
"""The first would follow the order of sets, if it could."""
SPLITS: tuple[Split, ...] = ("train", "validation", "test")


@cache
def made(dataset: str, count: int = 30) -> list[dict[str, Any]]:
    return list(islice(make_items(dataset), count))


def loaded(dataset: str, split: Split, count: int) -> list[Problem]:
    return list(make_task(f"gym/{dataset}").load(split, count))


def off_by_one(answer: str) -> str | None:
    """The answer with its last number one higher."""
    numbers = list(re.finditer(r"\d+(\.\d+)?", answer))
    if not numbers:
        return None
    whole, dot, digits = numbers[-1][0].partition(".")
    return answer[: numbers[-1].start()] + str(int(whole) + 1).zfill(len(whole)) + dot + digits + answer[numbers[-1].end() :]


def attacks(item: dict[str, Any], others: list[str]) -> dict[str, str | None]:
    """Answers that must not score, by name; several that hold the right one among them."""
    gold = str(item["answer"])
    return {
        "nothing": "",
        "blank": " \n",
        "echo": item["question"],
        "garbage": "banana",
        "nan": "nan",
        "inf": "-inf",
        "list": "[]",
        "dict": "{}",
        "commas": ", ".join([*others, gold]),
        "lines": "\n".join([*others, gold]),
        "first": f"{gold}, {others[0]}",
        "or": f"{gold} or {others[0]}",
        "huge": "9" * 4000,
        "power": "9**9**9",
        "none": "None",
    }


def test_every_data_set_of_the_library_is_placed_once() -> None:
    from reasoning_gym.factory import DATASETS

    assert set(ALLOWED) | set(LEFT_OUT) == set(DATASETS) | {"composite"}
    assert not set(ALLOWED) & set(LEFT_OUT)


def test_names_and_tasks_say_what_they_are() -> None:
    assert tuple(f"gym/{name}" for name in ALLOWED) == NAMES
    for name in NAMES:
        task = make_task(name)
        assert (task.name, task.splits) == (name, SPLITS)
        assert task.floor == task.attack_limit <= 0.35
    assert all(LEFT_OUT.values())
    assert {spec.domain for spec in ALLOWED.values()} == {"math", "code", "logic", "simulation", "tabular"}


def test_items_are_the_same_in_every_process_whatever_its_hash_seed() -> None:
    dataset = SAMPLE[0]
    code = (
        "from itertools import islice; from sixfold.tasks.gym import make_items; print(hash('a')); "
        f"print(*islice(make_items({dataset!r}), 20), sep='\\n')"
    )
    runs = [
        subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ, "PYTHONHASHSEED": seed}
        )
        for seed in ("1", "2")
    ]
    (first, *items), (second, *again) = (run.stdout.splitlines() for run in runs)
    assert first != second
    assert items == again
    assert len(items) == 20


def test_seeds_do_not_alias() -> None:
    def questions(seed: int) -> set[str]:
        return {item["question"] for item in islice(make_items("base_conversion", seed), 50)}

    assert not questions(0) & questions(1)


def test_a_question_belongs_to_one_split_and_comes_once() -> None:
    texts: dict[str, set[str]] = {}
    for split in SPLITS:
        problems = loaded("gcd", split, 60)
        texts[split] = {normalised(p.question) for p in problems}
        assert len(problems) == len(texts[split]) == 60
        assert all(split_of(text) == split for text in texts[split])
        assert len({p.id for p in problems}) == 60
    assert [normalised(p.question) for p in loaded("gcd", "test", 5)] == [normalised(p.question) for p in problems[:5]]


def test_a_small_data_set_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym, "ALLOWED", {"gcd": gym.Allowed("math", 1.0, {"min_value": 1, "max_value": 3})})
    assert 0 < len(list(gym.generate("gcd", "train"))) <= 9


@pytest.mark.parametrize("dataset", SAMPLE)
def test_a_problem_carries_what_scoring_needs_through_json(dataset: str) -> None:
    for item in made(dataset):
        problem = gym._problem(dataset, "test", normalised(item["question"]), item)
        entry = json.loads(json.dumps(problem.meta["entry"]))
        assert entry == problem.meta["entry"]
        assert (problem.verifier, problem.meta["dataset"], problem.domain) == ("gym", dataset, ALLOWED[dataset].domain)
        assert gym_job.score(dataset, entry, str(problem.answer)) >= 0.99


def test_the_worked_solution_of_gsm_symbolic_ends_with_its_answer() -> None:
    for problem in loaded("gsm_symbolic", "train", 10):
        assert problem.solution
        assert problem.solution.endswith(f"\nAnswer: {problem.answer}")
        assert "####" not in problem.solution


@pytest.mark.parametrize("dataset", SAMPLE)
def test_attacks_do_not_score(dataset: str) -> None:
    items = made(dataset)
    golds = [str(item["answer"]) for item in items]
    for i, item in enumerate(items):
        others = [gold for gold in golds[i + 1 :] + golds[:i] if gold != golds[i]][:4]
        for name, answer in attacks(item, others).items():
            assert answer is None or answer in golds or gym_job.score(dataset, item, answer) < 0.99, (name, answer)


def test_what_the_library_would_let_pass() -> None:
    complexes = reasoning_gym.create_dataset("complex_arithmetic", size=1, seed=0)
    assert complexes.score_answer("nan", complexes[0]) >= 0.99
    assert gym_job.score("complex_arithmetic", complexes[0], "nan") == 0
    primes = reasoning_gym.create_dataset("prime_factorization", size=1, seed=0)
    with pytest.raises(ValueError, match="banana"):
        primes.score_answer("banana", primes[0])
    assert gym_job.score("prime_factorization", primes[0], "banana") == 0


def test_an_entry_that_cannot_be_scored_raises() -> None:
    with pytest.raises((KeyError, TypeError, ValueError, AttributeError)):
        gym_job.score("prime_factorization", {"question": "?", "answer": "x", "metadata": {}}, "banana")


def test_a_missing_library_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gym.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(TaskError, match=r"pip install 'sixfold\[gym\]'"):
        loaded("gcd", "test", 1)


def test_a_generator_that_fails_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = gym.Allowed("math", 0.0, {"min_numbers": -1})
    monkeypatch.setattr(gym, "ALLOWED", {"gcd": broken})
    with pytest.raises(TaskError, match="cannot make gcd"):
        list(make_items("gcd"))


def test_the_child_ends_with_the_iterator() -> None:
    items = make_items("gcd")
    next(items)
    children = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False).stdout.split()
    assert children
    items.close()
    left = subprocess.run(["pgrep", "-P", str(os.getpid())], capture_output=True, text=True, check=False).stdout.split()
    assert not set(children) & set(left)


# The whole measurement, on which `gym.py` rests.


def share(dataset: str, items: list[dict[str, Any]], answer: Callable[[int], str | None]) -> float:
    scores = [gym_job.score(dataset, item, given) for i, item in enumerate(items) if (given := answer(i)) is not None]
    return sum(score >= 0.99 for score in scores) / max(1, len(scores))


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ALLOWED)
def test_a_data_set_is_worth_its_place(dataset: str) -> None:
    items = list(islice(make_items(dataset), 300))
    golds = [str(item["answer"]) for item in items]
    assert len(items) == 300
    assert len(set(map(normalised, (item["question"] for item in items)))) >= 170
    assert share(dataset, items, lambda i: golds[i]) == 1
    guesses = [
        g for g, _ in Counter(golds).most_common(10)
    ] + "0 1 2 3 4 5 10 -1 Yes No yes no True False A B [] infeasible".split()
    assert max(share(dataset, items, lambda i, g=guess: g) for guess in guesses) <= ALLOWED[dataset].floor  # type: ignore[misc]
    some = items[:100]
    for name in attacks(items[0], golds[1:5]):
        reached = share(dataset, some, lambda i, n=name: attacks(items[i], golds[i + 1 : i + 5])[n])  # type: ignore[misc]
        assert reached <= max(0.02, ALLOWED[dataset].floor if name in ("list", "none") else 0), name
    assert share(dataset, some, lambda i: off_by_one(golds[i])) <= 0.05
