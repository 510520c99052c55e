"""Rows, grids and strings that change as a whole: cellular automata, the game of life, sorting passes, rewriting.

Place: `simulation_families.py` lists the four families; machines with a state are in `simulation_machines.py`. Cells and
letters are written with blanks between them in worked solutions.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence

from sixfold.core import Problem

_RULES: Mapping[str, Callable[[int, int, int], bool]] = {
    "if exactly one of its two neighbours is 1": lambda a, b, c: a + c == 1,
    "if at least one of itself and its two neighbours is 1": lambda a, b, c: a + b + c >= 1,
    "if exactly one of itself and its two neighbours is 1": lambda a, b, c: a + b + c == 1,
    "if exactly two of itself and its two neighbours are 1": lambda a, b, c: a + b + c == 2,
    "if an odd number of itself and its two neighbours is 1": lambda a, b, c: (a + b + c) % 2 == 1,
    "if its two neighbours are the same": lambda a, b, c: a == c,
    "if its left neighbour is 1": lambda a, b, c: a == 1,
    "if its right neighbour is 1": lambda a, b, c: c == 1,
    "if it is 0 and at least one of its two neighbours is 1": lambda a, b, c: b == 0 and a + c >= 1,
    "if it differs from its left neighbour": lambda a, b, c: a != b,
    "if it differs from its right neighbour": lambda a, b, c: b != c,
    "if at least two of itself and its two neighbours are 1": lambda a, b, c: a + b + c >= 2,
}
_NEIGHBOURHOODS = tuple(f"{i:03b}" for i in range(7, -1, -1))


def row(cells: Sequence[object]) -> str:
    return " ".join(map(str, cells))


def make_automaton(r: random.Random, level: int) -> Problem:
    """A row of cells under a rule in words, or a rule by its number, with its table spelled out or not."""
    while True:
        size = r.randrange(6, 9) if level == 1 else r.randrange(7, 10)
        cells = [r.randrange(2) for _ in range(size)]
        steps, ring = level if level < 3 else r.randrange(2, 4), r.random() < 0.5
        text, rule, number = "", _RULES[words := r.choice(tuple(_RULES))], r.randrange(2, 254)
        if level == 3:
            rule = _numbered(number)
            text = f"It follows rule {number} of the elementary cellular automata."
        elif level == 2 and r.random() < 0.5:
            rule = _numbered(number)
            text = f"A cell's next value follows from left neighbour, itself, right neighbour: {_table(number, ' gives ')}."
        else:
            text = f"A cell becomes 1 {words}, else 0."
        lines = [f"Table: {_table(number, ' ')}"] if level == 3 else []
        states = [cells]
        for step in range(1, steps + 1):
            now = states[-1]
            around = [now[-1] if ring else 0, *now, now[0] if ring else 0]
            new = [int(rule(*around[i : i + 3])) for i in range(size)]
            lines += [f"{row(around[i : i + 3])} -> {n}" for i, n in enumerate(new)]
            lines.append(f"Step {step}: {row(new)}")
            states.append(new)
        if 0 < sum(states[-1]) < size and states[-1] != states[-2] and 1 < sum(cells) < size:
            break
    edge = "The row is a ring: the first and the last cell are neighbours." if ring else "Beyond both ends all cells are 0."
    opening = r.choice(
        (f"A row of cells: {row(cells)}.", f"Cells in a row hold {row(cells)}.", f"Start with the row {row(cells)}.")
    )
    after = f"after {steps} {'step' if steps == 1 else 'steps'}"
    asked = r.choice((f"What is the row {after}?", f"Which row is there {after}?", f"Give the row {after}."))
    question = f"{opening} {text} All cells change at once. {edge} {asked} Write the cells with blanks between them."
    answer = row(states[-1])
    meta = {"case": True, "accept": [answer.replace(" ", "")]}
    return Problem("", question, answer, "simulation", "text", meta, "\n".join([*lines, f"Answer: {answer}"]))


def _numbered(number: int) -> Callable[[int, int, int], bool]:
    return lambda a, b, c: bool(number >> (4 * a + 2 * b + c) & 1)


def _table(number: int, between: str) -> str:
    return ", ".join(f"{key}{between}{number >> int(key, 2) & 1}" for key in _NEIGHBOURHOODS)


_LIFE = (
    "Game of Life: a live cell (1) stays alive with 2 or 3 live neighbours of its 8, a dead one (0) comes alive with "
    "exactly 3.",
    "In Conway's Game of Life, 1 is a live cell and 0 a dead one. A live cell lives on with 2 or 3 live neighbours, a "
    "dead cell with "
    "3 live neighbours is born, all others are dead; diagonals count.",
    "Cells live (1) or not (0). With 3 live neighbours of 8 a cell lives next; with 2 it stays as it is; else it is dead.",
    "Play Conway's Game of Life (1 alive, 0 dead).",
)


def make_life(r: random.Random, level: int) -> Problem:
    """One step on 3 by 4 cells, one on 4 by 5, two on 4 by 4."""
    height, width = ((3, 4), (4, 5), (4, 4))[level - 1]
    steps = 2 if level == 3 else 1
    while True:
        states = [[[int(r.random() < 0.45) for _ in range(width)] for _ in range(height)]]
        lines: list[str] = []
        for step in range(1, steps + 1):
            now = states[-1]
            counts = [[_around(now, y, x) for x in range(width)] for y in range(height)]
            states.append(
                [
                    [int(n == 3 or (n == 2 and c == 1)) for n, c in zip(*rows, strict=True)]
                    for rows in zip(counts, now, strict=True)
                ]
            )
            lines += ["Neighbours:", *map(row, counts), f"Step {step}:", *map(row, states[-1])]
        if sum(map(sum, states[-1])) >= 2 and states[-1] != states[-2]:
            break
    grid = "\n".join(map(row, states[0]))
    after = "the next generation" if steps == 1 else "the generation after 2 steps"
    asked = r.choice((f"What is {after}?", f"Give {after}.", f"Write down {after}."))
    question = (
        f"{r.choice(_LIFE)} Outside the grid all is dead.\n{grid}\n{asked} Answer with a list of rows like [[0, 1], [1, 0]]."
    )
    answer = str(states[-1])
    return Problem("", question, answer, "simulation", "grid", {"grid": states[-1]}, "\n".join([*lines, f"Answer: {answer}"]))


def _around(grid: Sequence[Sequence[int]], y: int, x: int) -> int:
    rows = range(max(0, y - 1), min(len(grid), y + 2))
    return sum(grid[j][i] for j in rows for i in range(max(0, x - 1), min(len(grid[0]), x + 2))) - grid[y][x]


def make_sorting(r: random.Random, level: int) -> Problem:
    """A list after some passes of a sorting method, which the question describes."""
    while True:
        values = r.sample(range(1, 100), (4, 5, 6)[level - 1])
        start = list(values)
        method = r.choice((_bubble, _bubble, _selection) if level == 1 else (_bubble, _selection, _insertion))
        passes = 1 if level == 1 else r.randrange(2, len(values) - (1 if method is not _bubble else 2))
        said, lines = method(values, passes)
        if values != start:
            break
    opening = r.choice(
        (f"Take the list {start}.", f"The list {start} is being sorted from small to large.", f"Start with {start}.")
    )
    question = f"{opening} {said} What is the list then?"
    return Problem("", question, str(values), "simulation", "literal", {}, "\n".join([*lines, f"Answer: {values}"]))


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _bubble(values: list[int], passes: int) -> tuple[str, list[str]]:
    lines = []
    for k in range(1, passes + 1):
        for i in range(len(values) - 1):
            left, right = values[i : i + 2]
            if left > right:
                values[i : i + 2] = right, left
            lines.append(f"{left} {right}: {f'swap: {values}' if left > right else 'stay'}")
        lines.append(f"Pass {k}: {values}")
    return (
        "A pass of bubble sort goes from left to right and swaps two neighbours where the left one is larger. Do this "
        f"{_times(passes)}."
    ), lines


def _selection(values: list[int], passes: int) -> tuple[str, list[str]]:
    lines = []
    for k in range(passes):
        least = min(range(k, len(values)), key=values.__getitem__)
        lines.append(f"smallest of {row(values[k:])}: {values[least]}")
        values[k], values[least] = values[least], values[k]
        lines.append(f"Pass {k + 1}: {values}")
    return (
        "A pass of selection sort swaps the smallest number that is not in place yet with the first number that is not. "
        f"Do this {_times(passes)}."
    ), lines


def _insertion(values: list[int], passes: int) -> tuple[str, list[str]]:
    lines = []
    for k in range(1, passes + 1):
        value = values.pop(k)
        at = next((i for i in range(k) if values[i] > value), k)
        lines.append(f"insert {value} into {row(values[:k])}: {k - at} larger")
        values.insert(at, value)
        lines.append(f"Pass {k}: {values}")
    return (
        "Insertion sort begins with the second number; each pass moves the next number to the left, past all larger ones. "
        f"Do {'1 pass' if passes == 1 else f'{passes} passes'}."
    ), lines


def make_rewriting(r: random.Random, level: int) -> Problem:
    """All letters replaced at once, in one round or several; at the highest level one place at a time."""
    return _one_place(r) if level == 3 else _at_once(r, level)


def _letters(r: random.Random, count: int) -> list[str]:
    return r.sample("abcdefghkmnpqrstuvwxyz", count)


def _at_once(r: random.Random, level: int) -> Problem:
    while True:
        letters = _letters(r, level + 1)
        rules = {c: "".join(r.choice(letters) for _ in range(r.randrange(1, 4))) for c in letters}
        start = "".join(r.choice(letters) for _ in range(r.randrange(2, 5)))
        states = [start]
        for _ in range(level if level == 1 else r.randrange(2, 4)):
            states.append("".join(rules[c] for c in states[-1]))
        if all(1 < len(s) <= 18 for s in states) and len(set(states)) == len(states) and all(c != w for c, w in rules.items()):
            break
    rounds = len(states) - 1
    given = ", ".join(f"{c} -> {w}" for c, w in rules.items())
    opening = r.choice(
        (f"Rewriting rules: {given}.", f"Each letter is replaced by a rule: {given}.", f"The rules are {given}.")
    )
    asked = (
        f"In each round all letters are replaced at once. Begin with {start}. What is the string after {rounds} "
        f"{'round' if rounds == 1 else 'rounds'}?"
    )
    lines = [f"Start: {row(start)}"]
    for i, state in enumerate(states[1:], 1):
        lines += [", ".join(f"{c} -> {row(rules[c])}" for c in states[i - 1])] if level == 1 else []
        lines.append(f"Round {i}: {row(state)}")
    return _rewritten(f"{opening} {asked}", states[-1], lines)


def _one_place(r: random.Random) -> Problem:
    while True:
        a, b, c = _letters(r, 3)
        pairs = r.sample([a + b, b + a, a + c, c + a, b + c, c + b, a + a, b + b], 3)
        rules = [(p, "".join(r.choice((a, b, c)) for _ in range(r.randrange(1, 4)))) for p in pairs]
        states, used = ["".join(r.choice((a, b, c)) for _ in range(r.randrange(5, 8)))], []
        for _ in range(r.randrange(4, 7)):
            fit = next((i for i, (old, _) in enumerate(rules) if old in states[-1]), None)
            if fit is None:
                break
            used.append(fit)
            states.append(states[-1].replace(*rules[fit], 1))
        else:
            if len(set(states)) == len(states) and len(states[-1]) <= 14 and len(set(used)) > 1:
                break
    steps = len(used)
    given = ", ".join(f"{i}: {old} -> {new}" for i, (old, new) in enumerate(rules, 1))
    opening = r.choice(
        (f"Rewriting rules in order: {given}.", f"A string is rewritten with these rules: {given}.", f"The rules are {given}.")
    )
    how = "Each step takes the first rule in the list that fits anywhere and uses it once, at the leftmost place where it fits."
    lines = [f"Start: {row(states[0])}", *(f"rule {i + 1}: {row(s)}" for i, s in zip(used, states[1:], strict=True))]
    return _rewritten(f"{opening} {how} Begin with {states[0]}. What is the string after {steps} steps?", states[-1], lines)


def _rewritten(question: str, answer: str, lines: Sequence[str]) -> Problem:
    meta = {"case": True, "accept": [row(answer)]}
    return Problem("", question, answer, "simulation", "text", meta, "\n".join([*lines, f"Answer: {answer}"]))
