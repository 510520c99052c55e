"""Proofs of the families about rows, grids and strings that change as a whole.

Place: `simulation_families.py` names them; machines are in `proofs_simulation.py`. Nothing is shared with the generator: live
cells are a set of places here, rules in words are tables, rewriting works with regular expressions.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping, Sequence

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, find, must
from sixfold.tasks.proofs_recomputed import recomputed

_WORDED: Mapping[str, str] = {
    "if exactly one of its two neighbours is 1": "001 011 100 110",
    "if at least one of itself and its two neighbours is 1": "001 010 011 100 101 110 111",
    "if exactly one of itself and its two neighbours is 1": "001 010 100",
    "if exactly two of itself and its two neighbours are 1": "011 101 110",
    "if an odd number of itself and its two neighbours is 1": "001 010 100 111",
    "if its two neighbours are the same": "000 010 101 111",
    "if its left neighbour is 1": "100 101 110 111",
    "if its right neighbour is 1": "001 011 101 111",
    "if it is 0 and at least one of its two neighbours is 1": "001 100 101",
    "if it differs from its left neighbour": "010 011 100 101",
    "if it differs from its right neighbour": "001 010 101 110",
    "if at least two of itself and its two neighbours are 1": "011 101 110 111",
}
"""For each rule in words the neighbourhoods that give 1."""
_ALL = "111 110 101 100 011 010 001 000".split()


def _automaton(problem: Problem) -> Iterator[str]:
    told = re.fullmatch(
        r"(?:A row of cells: |Cells in a row hold |Start with the row )(?P<cells>[01 ]+)\. "
        r"(?:It follows rule (?P<number>\d+) of the elementary cellular automata\.|A cell's next value follows from "
        "left neighbour, itself, "
        r"right neighbour: (?P<table>.+?)\.|A cell becomes 1 (?P<words>if .+?), else 0\.) All cells change at once\. "
        r"(?:(?P<ring>The row is a ring: the first and the last cell are neighbours\.)|Beyond both ends all cells are 0\.) "
        r"(?:What is the row|Which row is there|Give the row) after (?P<steps>\d) steps?[.?] Write the cells with "
        r"blanks between them\.",
        problem.question,
    )
    must(told, "the question has another form")
    assert told is not None
    if told["number"]:
        bits = bin(256 + int(told["number"]))[3:]
        gives = dict(zip(_ALL, bits, strict=True))
        yield f"Table: {', '.join(f'{key} {value}' for key, value in gives.items())}"
    elif told["table"]:
        gives = dict(re.findall(r"([01]{3}) gives ([01])", told["table"]))
        must(told["table"] == ", ".join(f"{k} gives {gives[k]}" for k in _ALL), "the table has another form")
    else:
        gives = {key: "1" if key in _WORDED[told["words"]].split() else "0" for key in _ALL}
    cells = told["cells"].replace(" ", "")
    for step in range(1, int(told["steps"]) + 1):
        wide = f"{cells[-1]}{cells}{cells[0]}" if told["ring"] else f"0{cells}0"
        seen = [m[1] for m in re.finditer(r"(?=([01]{3}))", wide)]
        yield from (f"{' '.join(key)} -> {gives[key]}" for key in seen)
        cells = "".join(gives[key] for key in seen)
        yield f"Step {step}: {' '.join(cells)}"
    must(problem.meta["case"] is True and problem.meta["accept"] == [cells], "meta has another answer")
    yield f"Answer: {' '.join(cells)}"


_LIFE = (
    r"Game of Life: a live cell \(1\) stays alive with 2 or 3 live neighbours of its 8, a dead one \(0\) comes alive "
    r"with exactly 3\.",
    r"In Conway's Game of Life, 1 is a live cell and 0 a dead one\. A live cell lives on with 2 or 3 live neighbours, a "
    "dead cell with "
    r"3 live neighbours is born, all others are dead; diagonals count\.",
    r"Cells live \(1\) or not \(0\)\. With 3 live neighbours of 8 a cell lives next; with 2 it stays as it is; else it "
    r"is dead\.",
    r"Play Conway's Game of Life \(1 alive, 0 dead\)\.",
)


def _life(problem: Problem) -> Iterator[str]:
    told = re.fullmatch(
        rf"(?:{'|'.join(_LIFE)}) Outside the grid all is dead\.\n(?P<grid>[01 \n]+)\n(?:What is|Give|Write down) "
        r"(?:(?P<one>the next generation)|the generation after (?P<steps>\d) steps)[.?] Answer with a list of rows like "
        r"\[\[0, 1\], \[1, 0\]\]\.",
        problem.question,
    )
    must(told, "the question has another form")
    assert told is not None
    rows = [line.split(" ") for line in told["grid"].split("\n")]
    height, width = len(rows), len(rows[0])
    must(all(len(line) == width for line in rows), "the rows have different lengths")
    live = {(y, x) for y in range(height) for x in range(width) if rows[y][x] == "1"}
    near = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if dy or dx]

    def drawn(cells: Mapping[tuple[int, int], int]) -> list[str]:
        return [" ".join(str(cells.get((y, x), 0)) for x in range(width)) for y in range(height)]

    for step in range(1, int(told["steps"] or 1) + 1):
        counts: dict[tuple[int, int], int] = {}
        for y, x in sorted(live):
            for dy, dx in near:
                counts[y + dy, x + dx] = counts.get((y + dy, x + dx), 0) + 1
        yield "Neighbours:"
        yield from drawn(counts)
        live = {p for p, n in counts.items() if (n == 3 or (n == 2 and p in live)) and 0 <= p[0] < height and 0 <= p[1] < width}
        yield f"Step {step}:"
        yield from drawn(dict.fromkeys(live, 1))
    grid = [[int((y, x) in live) for x in range(width)] for y in range(height)]
    must(problem.meta["grid"] == grid, "meta has another grid")
    yield f"Answer: {grid}"


_METHODS: Mapping[str, str] = {
    "bubble": r"A pass of bubble sort goes from left to right and swaps two neighbours where the left one is "
    r"larger\. "
    r"Do this (?:once|(\d) times)\.",
    "selection": r"A pass of selection sort swaps the smallest number that is not in place yet with the first "
    r"number that is not\. "
    r"Do this (?:once|(\d) times)\.",
    "insertion": r"Insertion sort begins with the second number; each pass moves the next number to the left, "
    r"past all larger ones\. "
    r"Do (?:1 pass|(\d) passes)\.",
}


def _sorting(problem: Problem) -> Iterator[str]:
    opening = (
        r"(?:Take the list (\[[\d, ]+\])\.|The list (\[[\d, ]+\]) is being sorted from small to large\.|Start with (\[[\d, "
        r"]+\])\.)"
    )
    for method, described in _METHODS.items():
        if told := re.fullmatch(rf"{opening} {described} What is the list then\?", problem.question):
            values: list[int] = ast.literal_eval(next(g for g in told.groups()[:3] if g))
            yield from {"bubble": _bubbled, "selection": _selected, "insertion": _inserted}[method](values, int(told[4] or 1))
            return
    raise Fault("the question has another form")


def _bubbled(values: list[int], passes: int) -> Iterator[str]:
    """A pass carries the largest number so far to the right."""
    for k in range(1, passes + 1):
        done: list[int] = []
        carried, *ahead = values
        while ahead:
            met, *ahead = ahead
            done.append(min(carried, met))
            swapped = f"swap: {[*done, max(carried, met), *ahead]}"
            yield f"{carried} {met}: {swapped if carried > met else 'stay'}"
            carried = max(carried, met)
        values = [*done, carried]
        yield f"Pass {k}: {values}"
    yield f"Answer: {values}"


def _selected(values: list[int], passes: int) -> Iterator[str]:
    for k in range(1, passes + 1):
        first, *rest = values[k - 1 :]
        least = sorted([first, *rest])[0]
        yield f"smallest of {' '.join(map(str, [first, *rest]))}: {least}"
        exchange = {first: least, least: first}
        values = [exchange.get(v, v) for v in values]
        yield f"Pass {k}: {values}"
    yield f"Answer: {values}"


def _inserted(values: list[int], passes: int) -> Iterator[str]:
    for k in range(1, passes + 1):
        left, value, rest = values[:k], values[k], values[k + 1 :]
        yield f"insert {value} into {' '.join(map(str, left))}: {sum(v > value for v in left)} larger"
        values = [*sorted([*left, value]), *rest]
        yield f"Pass {k}: {values}"
    yield f"Answer: {values}"


def _rewriting(problem: Problem) -> Iterator[str]:
    at_once = re.fullmatch(
        r"(?:Rewriting rules: |Each letter is replaced by a rule: |The rules are )(?P<rules>[a-z>, -]+)\. "
        r"In each round all letters are replaced at once\. Begin with (?P<start>[a-z]+)\. What is the string after "
        r"(?P<rounds>\d) rounds?\?",
        problem.question,
    )
    one_place = re.fullmatch(
        r"(?:Rewriting rules in order: |A string is rewritten with these rules: |The rules are )(?P<rules>[\da-z:>, -]+)\. "
        "Each step takes the first rule in the list that fits anywhere and uses it once, at the leftmost place where "
        r"it fits\. "
        r"Begin with (?P<start>[a-z]+)\. What is the string after (?P<rounds>\d) steps\?",
        problem.question,
    )
    told = at_once or one_place
    must(told, "the question has another form")
    assert told is not None
    yield f"Start: {' '.join(told['start'])}"
    texts = told["rules"].split(", ")
    if at_once:
        lines = list(_rounds(dict(_pair(t) for t in texts), told["start"], int(told["rounds"])))
    else:
        rules = [find(r"^(\d): (.+)$", t).groups() for t in texts]
        must([n for n, _ in rules] == [str(i) for i in range(1, len(rules) + 1)], "the rules are not numbered")
        lines = list(_places([_pair(t) for _, t in rules], told["start"], int(told["rounds"])))
    yield from lines
    result = lines[-1].rpartition(": ")[2]
    must(problem.meta["case"] is True and problem.meta["accept"] == [result], "meta has another answer")
    yield f"Answer: {result.replace(' ', '')}"


def _pair(text: str) -> tuple[str, str]:
    found = find(r"^([a-z]+) -> ([a-z]+)$", text)
    return found[1], found[2]


def _rounds(rules: Mapping[str, str], text: str, rounds: int) -> Iterator[str]:
    for k in range(1, rounds + 1):
        if rounds == 1:
            yield ", ".join(f"{c} -> {' '.join(rules[c])}" for c in text)
        text = re.sub(r".", lambda m: rules[m[0]], text)
        yield f"Round {k}: {' '.join(text)}"


def _places(rules: Sequence[tuple[str, str]], text: str, steps: int) -> Iterator[str]:
    for _ in range(steps):
        number, old, new = next((i, old, new) for i, (old, new) in enumerate(rules, 1) if re.search(old, text))
        text = re.sub(old, new, text, count=1)
        yield f"rule {number}: {' '.join(text)}"


prove_automaton = recomputed(_automaton)
prove_life = recomputed(_life)
prove_sorting = recomputed(_sorting)
prove_rewriting = recomputed(_rewriting)
