"""Word problems: small stories of one to four steps, with numbers that are not needed.

Place: the family `word_problem` in `math_families.py`. A story is a text, the ranges of its numbers, and its steps; a number
that nothing needs stands in a sentence of its own, and the worked solution says so.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import NamedTuple

from sixfold.core import Problem
from sixfold.tasks.logic_deduction import NAMES
from sixfold.tasks.written import problem, result, work

_ITEMS = (
    "apples pears plums marbles stickers stamps cards shells coins buttons pencils books beads balloons cookies candles roses "
    "tulips stones badges photos tickets magnets ribbons"
).split()
_BOXES = "boxes bags baskets crates jars packs tins drawers".split()
_PLACES = "school park library station market museum bakery harbour".split()


class Story(NamedTuple):
    """`numbers`: name to (lowest, highest). `steps`: (what it is, left, sign, right); r1, r2, ... are results, and the last is
    the answer. What is divided comes from its quotient, which is called q."""

    text: str
    numbers: Mapping[str, tuple[int, int]]
    steps: tuple[tuple[str, str, str, str], ...]


def _story(text: str, numbers: str, steps: str) -> Story:
    """`numbers` "a 2 9; b 10 20", `steps` "label: a * b; ..."."""
    ranges = {n: (int(low), int(high)) for n, low, high in (part.split() for part in numbers.split("; "))}
    told = []
    for step in steps.split("; "):
        label, _, operation = step.partition(": ")
        left, sign, right = operation.split()
        told.append((label, left, sign, right))
    return Story(text, ranges, tuple(told))


_STORIES: tuple[tuple[Story, ...], ...] = (
    (
        _story("{N} has {a} {item} and finds {b} more. How many {item} does {N} have now?", "a 3 60; b 3 39", "All: a + b"),
        _story("{N} had {a} {item} and gave {b} of them to {M}. How many {item} are left?", "a 20 99; b 3 19", "Left: a - b"),
        _story("There are {a} {boxes} with {b} {item} in each. How many {item} are there?", "a 3 9; b 4 39", "All: a * b"),
        _story("{N} shares {p} {item} equally among {a} children. How many {item} does each child get?", "a 2 9; q 3 25",
               "Each: p / a"),
        _story("{N} has {a} {item}. {M} has {b} {item} more than {N}. How many {item} does {M} have?", "a 5 70; b 4 29",
               "{M}: a + b"),
        _story("{N} wants {a} {item} and already has {b}. How many {item} are missing?", "a 25 99; b 4 24", "Missing: a - b"),
        _story("{N} walks to the {place} and back. One way is {a} steps. How many steps is that in all?", "a 110 990",
               "Both ways: a + a"),
        _story("{N} puts {p} {item} into {boxes}, {a} in each. How many {boxes} are full?", "a 3 9; q 4 29", "Full: p / a"),
    ),
    (
        _story("{N} has {a} {boxes} with {b} {item} in each, and {c} single {item}. How many {item} does {N} have?",
               "a 3 9; b 4 25; c 3 60", "In {boxes}: a * b; All: r1 + c"),
        _story("{N} buys {a} {item} for {b} dollars each and pays with {c} dollars. How many dollars come back?",
               "a 3 9; b 2 11; c 100 200", "Price: a * b; Back: c - r1"),
        _story("{N} has {a} {item}. {M} has {b} {item} less. How many {item} do they have together?",
               "a 30 99; b 3 29", "{M}: a - b; Together: a + r1"),
        _story("{N} had {a} {item}, lost {b} and then got {c}. How many {item} does {N} have now?",
               "a 40 99; b 4 39; c 5 80", "After losing: a - b; Now: r1 + c"),
        _story("{N} has {a} {item} and {M} has {b} times as many. How many {item} do they have together?",
               "a 6 40; b 3 9", "{M}: a * b; Together: a + r1"),
        _story("{N} picks {a} {item} in the morning and {b} in the afternoon, and puts them into {boxes}, {c} in each. "
               "How many full {boxes} are there, if none remain over?",
               "c 3 8; a 12 60; q 9 24", "Picked: a + b; Full: r1 / c"),
        _story("The {place} has {a} rows of {b} chairs. {c} people sit down, each on a chair. How many chairs are free?",
               "a 8 20; b 6 19; c 9 47", "Chairs: a * b; Free: r1 - c"),
        _story("{N} reads {a} pages a day for {b} days. The book has {c} pages. How many pages are left?",
               "a 8 25; b 3 9; c 230 400", "Read: a * b; Left: c - r1"),
    ),
    (
        _story("{N} buys {a} {item} for {b} dollars each and {c} {thing} for {d} dollars each. How many dollars is that in "
               "all?",
               "a 3 12; b 3 15; c 3 12; d 3 15", "For {item}: a * b; For {thing}: c * d; All: r1 + r2"),
        _story("{N} sells {a} {boxes} with {b} {item} each for {c} dollars an item, and had paid {d} dollars for all. "
               "How many dollars does {N} gain?", "a 3 9; b 4 15; c 4 9; d 12 47",
               "Items: a * b; Income: r1 * c; Gain: r2 - d"),
        _story("{N} has {a} {item}. {M} has {b} times as many. {M} gives away {c}. How many {item} do they have together now?",
               "a 12 45; b 3 8; c 5 35", "{M} first: a * b; {M} now: r1 - c; Together: a + r2"),
        _story("A bus leaves the {place} with {a} people. At the first stop {b} get off and {c} get on, at the second {d} get "
               "on. "
               "How many people are on the bus now?", "a 30 60; b 5 29; c 3 25; d 3 25",
               "After getting off: a - b; First stop: r1 + c; Now: r2 + d"),
        _story("{N} earns {a} dollars an hour and works {b} hours a day for {c} days. {N} spends {d} dollars. How many dollars "
               "are left?",
               "a 11 25; b 4 8; c 3 6; d 20 95", "A day: a * b; Earned: r1 * c; Left: r2 - d"),
        _story("{N} needs {a} {item} for each of {b} guests and has {c}. The {item} come in {boxes} of {d}. How many {boxes} "
               "must {N} buy?",
               "a 4 9; d 3 8; q 5 14; b 12 30", "Needed: a * b; Missing: r1 - c; {boxes}: r2 / d"),
        _story("Three friends, {N}, {M} and {O}, collect {item}. {N} has {a}, {M} has {b} more than {N}, and {O} has {c} less "
               "than {M}. "
               "How many {item} does {O} have, if {O} then finds {d}?",
               "a 25 90; b 8 60; c 5 30; d 6 45", "{M}: a + b; {O} first: r1 - c; {O} now: r2 + d"),
    ),
    (
        _story("{N} buys {a} {item} for {b} dollars each and {c} {thing} for {d} dollars each, and pays with {e} dollars. "
               "How many dollars come back?",
               "a 4 15; b 3 12; c 4 15; d 3 12; e 400 900", "For {item}: a * b; For {thing}: c * d; All: r1 + r2; Back: e - "
               "r3"),
        _story("A farm fills {a} {boxes} with {b} {item} each every day for {c} days. {d} {item} are bad and thrown away, and "
               "the "
               "{place} takes {e} of the rest. How many {item} remain?", "a 6 15; b 12 25; c 3 7; d 15 90; e 20 120",
               "A day: a * b; All days: r1 * c; Good: r2 - d; Left: r3 - e"),
        _story("{N} has {a} {item}, {M} has {b} times as many, and {O} has {c} less than {M}. They put all into one box and "
               "add {d}. "
               "How many {item} are in the box?", "a 18 60; b 3 9; c 6 50; d 15 99",
               "{M}: a * b; {O}: r1 - c; {N} and {M}: a + r1; All three: r3 + r2; In the box: r4 + d"),
        _story("{N} saves {a} dollars a week for {b} weeks and gets {c} dollars as a gift. {N} spends {d} dollars on {item} "
               "and "
               "{e} dollars on {thing}. How many dollars are left?", "a 25 60; b 8 19; c 30 99; d 15 90; e 15 90",
               "Saved: a * b; With the gift: r1 + c; After {item}: r2 - d; Left: r3 - e"),
        _story("The {place} has {a} rows of {b} seats and a balcony with {c} seats. {d} seats are broken, and {e} tickets are "
               "sold. "
               "How many good seats are free?", "a 12 30; b 14 28; c 24 90; d 3 25; e 45 170",
               "In rows: a * b; All seats: r1 + c; Good seats: r2 - d; Free: r3 - e"),
    ),
)  # fmt: skip
"""By level, one step more each."""

_BESIDE = (
    "{P} is {x} years old.", "The {place2} is {x} years old.", "It is {x} degrees outside.", "{P} lives {x} minutes away.",
    "The {place2} has {x} windows.", "{P} also owns {x} socks.", "{x} people watch.", "There are {x} trees near the {place2}.",
    "{P} got up {x} minutes ago.", "The bus to the {place2} takes {x} minutes.",
)  # fmt: skip
"""Sentences with a number that nothing needs."""


def make_words(r: random.Random, level: int) -> Problem:
    """A story of `level` steps (one of level 4 has five), with up to two numbers that are not needed."""
    story = r.choice(_STORIES[level - 1])
    values = _numbers(r, story)
    names = r.sample(NAMES, 4)
    item, thing = r.sample(_ITEMS, 2)
    places = r.sample(_PLACES, 2)
    words: dict[str, object] = dict(zip("NMOP", names, strict=True))
    words |= {"item": item, "thing": thing, "boxes": r.choice(_BOXES), "place": places[0], "place2": places[1]}
    text = story.text.format(**words, **values)
    unused = []
    beside = r.choice((0, 0, 1)) if level == 1 else r.choice((0, 1, 1, 2))
    for sentence in r.sample(_BESIDE, beside):
        x = r.randint(3, 60)
        unused.append(x)
        text = (
            f"{sentence.format(x=x, **words)} {text}"
            if r.random() < 0.7
            else _before_question(text, sentence.format(x=x, **words))
        )
    lines = [f"Not needed: {' and '.join(map(str, sorted(unused)))}."] if unused else []
    results: dict[str, int] = {}
    answer = 0
    for i, (label, left, sign, right) in enumerate(story.steps, 1):
        a, b = ((values | results)[n] for n in (left, right))
        steps = work(a, sign, b)
        lines += [f"{label.format(**words)}: {steps[0]}", *steps[1:]]
        answer = results[f"r{i}"] = result(a, sign, b)
    return problem(text, answer, lines)


def _before_question(text: str, sentence: str) -> str:
    head, mark, question = text.rpartition(". ")
    return f"{head}{mark}{sentence} {question}"


def _numbers(r: random.Random, story: Story) -> dict[str, int]:
    """Numbers with which no step is below 0 or leaves a remainder: what is divided is made from its quotient `q`."""
    while True:
        values = {name: r.randint(*limits) for name, limits in story.numbers.items()}
        if "q" in values:
            left, right = values["q"], next(values[s[3]] for s in story.steps if s[2] == "/")
            whole = left * right
            divided = next(s[1] for s in story.steps if s[2] == "/")
            if divided == "p":
                values["p"] = whole
            elif divided == "r1":
                values["b"] = whole - values["a"]
            else:
                values["c"] = values["a"] * values["b"] - whole
        results = dict(values)
        for i, (_, left_name, sign, right_name) in enumerate(story.steps, 1):
            a, b = results[left_name], results[right_name]
            if sign == "-" and a <= b:
                break
            results[f"r{i}"] = result(a, sign, b)
        else:
            if min(values.values()) > 1:
                return values
