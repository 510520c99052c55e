"""The logic families: liars, orders, houses, seats, rules, formulas, sets, relatives, coins.

Place: `catalog.py` lists them; `logic_deduction.py` and `logic_placing.py` hold the generators that search, this file those
that calculate. Proofs are in `proofs_logic.py`, which knows nothing of these. No answer is one yes or no, which could
be guessed: what a problem asks for has many values. The floors are those of one fixed text; a policy that reads the names and
says the same of all of them gets 0.27 of satisfying_assignment at level 1 and 0.1 to 0.15 above; the best pattern of kinds
gets 0.26, 0.14, 0.08 and 0.06 of knights_knaves.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from sixfold.core import Problem
from sixfold.tasks.family import Family
from sixfold.tasks.logic_deduction import make_knights, make_satisfying, words
from sixfold.tasks.logic_placing import make_ordering, make_seating, make_zebra
from sixfold.tasks.proofs_logic import (
    prove_family_tree,
    prove_knights,
    prove_odd_coin,
    prove_ordering,
    prove_propositional,
    prove_satisfying,
    prove_seating,
    prove_venn,
    prove_zebra,
)

Formula = tuple[Any, ...] | str
"""A variable, a truth value, ("not", f), or (and/or/xor/implies, f, g)."""
_OPERATORS = (("and", "or"), ("and", "or", "xor"), ("and", "or", "xor", "implies"))
_DEPTHS = (1, 2, 3)


def make_propositional(r: random.Random, level: int) -> Problem:
    """Four formulas (five at level 2) over three or more variables; each is equally likely true or false."""
    names = r.sample("abcdefghjkmnpqrstuvwxyz", 2 + level)
    values = {n: r.random() < 0.5 for n in names}
    lines: list[str] = []
    formulas: list[str] = []
    found: dict[str, str] = {}
    for number in range(1, 6 if level == 2 else 5):
        wanted = r.random() < 0.5
        while True:
            formula = _formula(r, names, _DEPTHS[level - 1], _OPERATORS[level - 1])
            chain = [_put(formula, values)]
            while not isinstance(chain[-1], str):
                chain.append(_reduced(chain[-1]))
            if isinstance(formula, tuple) and (chain[-1] == "true") is wanted and (text := _written(formula)) not in formulas:
                break
        formulas.append(text)
        found[f"F{number}"] = str(chain[-1])
        lines.append(f"F{number} = {' = '.join(map(_written, chain))}")
    given = ", ".join(f"{n} = {'true' if values[n] else 'false'}" for n in names)
    opening = r.choice(("Let {}.", "Given are {}.", "These values are known: {}.")).format(given)
    asking = r.choice(("Evaluate the formulas.", "Which values have these formulas?", "Find the value of each formula."))
    form = f"Answer with all {len(found)} values, in the form F1: true, F2: false."
    told = [f"F{i}: {f}" for i, f in enumerate(formulas, 1)]
    answer = ", ".join(f"{k}: {v}" for k, v in found.items())
    question = "\n".join([f"{opening} {asking}", *told, form])
    return Problem("", question, answer, "logic", "assignment", {"values": found}, "\n".join([*lines, f"Answer: {answer}"]))


def _formula(r: random.Random, names: Sequence[str], depth: int, operators: Sequence[str]) -> Formula:
    if depth == 0:
        return r.choice(names) if r.random() < 0.7 else ("not", r.choice(names))
    other = r.randint(0, depth - 1)
    first, second = r.sample(range(len(names)), 2) if depth == 1 else (0, 0)
    sides = [
        _formula(r, names[first : first + 1] if depth == 1 else names, depth - 1, operators),
        _formula(r, names[second : second + 1] if depth == 1 else names, other, operators),
    ]
    whole = (r.choice(operators), *r.sample(sides, 2))
    return ("not", whole) if depth > 1 and r.random() < 0.2 else whole


def _put(formula: Formula, values: dict[str, bool]) -> Formula:
    if isinstance(formula, str):
        return "true" if values[formula] else "false"
    return (formula[0], *(_put(part, values) for part in formula[1:]))


def _reduced(formula: Formula) -> Formula:
    """The formula with every innermost operation done."""
    if isinstance(formula, str):
        return formula
    if any(isinstance(part, tuple) for part in formula[1:]):
        return (formula[0], *(_reduced(part) for part in formula[1:]))
    truths = [part == "true" for part in formula[1:]]
    if formula[0] == "not":
        return "false" if truths[0] else "true"
    a, b = truths
    return "true" if {"and": a and b, "or": a or b, "xor": a != b, "implies": not a or b}[formula[0]] else "false"


def _written(formula: Formula) -> str:
    if isinstance(formula, str):
        return formula
    parts = [_written(p) if isinstance(p, str) or p[0] == "not" else f"({_written(p)})" for p in formula[1:]]
    return f"not {parts[0]}" if formula[0] == "not" else f"{parts[0]} {formula[0]} {parts[1]}"


_GROUPS = (
    ("students", "play", ("chess", "tennis", "football", "hockey", "golf", "cards")),
    ("people", "speak", ("French", "German", "Spanish", "Polish", "Greek", "Dutch")),
    ("families", "keep", ("cats", "dogs", "birds", "fish", "rabbits", "hens")),
    ("shops", "sell", ("bread", "fruit", "books", "toys", "shoes", "tea")),
    ("gardens", "have", ("roses", "tulips", "apples", "herbs", "ponds", "swings")),
)
_VENN_SIZES = ((2, 20), (5, 60), (2, 25), (5, 60))


def make_venn(r: random.Random, level: int) -> Problem:
    """Counts of two sets (three from level 3) from which one region is asked."""
    low, high = _VENN_SIZES[level - 1]
    who, do, pool = r.choice(_GROUPS)
    if level >= 3:
        return _venn_of_three(r, who, do, r.sample(pool, 3), (low, high))
    x, y = r.sample(pool, 2)
    only_x, only_y, both, neither = (r.randint(low, high) for _ in range(4))
    a, b, total = only_x + both, only_y + both, only_x + only_y + both + neither
    union = total - neither
    told = [f"{a} {do} {x}.", f"{b} {do} {y}."]
    asked = r.choice(("union", "neither", "only", "one") if level == 1 else ("both", "only", "one", "neither"))
    if asked in ("union", "neither") or level == 1:
        told.append(f"{both} {do} both {x} and {y}.")
        lines = []
    else:
        told.append(f"{neither} {do} neither {x} nor {y}.")
        lines = [
            f"At least one: {total} - {neither} = {union}",
            f"{x} and {y} added: {a} + {b} = {a + b}",
            f"Both: {a + b} - {union} = {both}",
        ]
    if asked in ("union", "neither"):
        lines += [f"{x} and {y} added: {a} + {b} = {a + b}", f"At least one: {a + b} - {both} = {union}"]
    if asked == "neither":
        lines.append(f"Neither: {total} - {union} = {neither}")
    if asked in ("only", "one"):
        lines.append(f"Only {x}: {a} - {both} = {only_x}")
    if asked == "one":
        lines += [f"Only {y}: {b} - {both} = {only_y}", f"Exactly one: {only_x} + {only_y} = {only_x + only_y}"]
    answer = {"union": union, "neither": neither, "only": only_x, "one": only_x + only_y, "both": both}[asked]
    question = {
        "union": f"How many {do} at least one of {x} and {y}?",
        "neither": f"How many {do} neither {x} nor {y}?",
        "only": f"How many {do} only {x}, and not {y}?",
        "one": f"How many {do} exactly one of {x} and {y}?",
        "both": f"How many {do} both {x} and {y}?",
    }[asked]
    return _counted(r, f"{total} {who}", told, question, lines, answer)


def _venn_of_three(r: random.Random, who: str, do: str, sets: Sequence[str], sizes: tuple[int, int]) -> Problem:
    x, y, z = sets
    only = [r.randint(*sizes) for _ in sets]
    xy, xz, yz, all_three, neither = (r.randint(*sizes) for _ in range(5))
    a, b, c = only[0] + xy + xz + all_three, only[1] + xy + yz + all_three, only[2] + xz + yz + all_three
    pairs = [xy + all_three, xz + all_three, yz + all_three]
    union = sum(only) + xy + xz + yz + all_three
    total = union + neither
    names = [f"both {x} and {y}", f"both {x} and {z}", f"both {y} and {z}"]
    told = [f"{n} {do} {s}." for n, s in zip((a, b, c), sets, strict=True)]
    told += [f"{n} {do} {s}." for n, s in zip(pairs, names, strict=True)]
    told.append(f"{all_three} {do} all three.")
    asked = r.choice(("union", "neither", "only", "two"))
    if asked in ("union", "neither"):
        lines = [
            f"Sets added: {a} + {b} + {c} = {a + b + c}",
            f"Pairs added: {pairs[0]} + {pairs[1]} + {pairs[2]} = {sum(pairs)}",
            f"Without pairs: {a + b + c} - {sum(pairs)} = {union - all_three}",
            f"At least one: {union - all_three} + {all_three} = {union}",
        ]
        lines += [f"Neither: {total} - {union} = {neither}"] if asked == "neither" else []
    elif asked == "only":
        lines = [
            f"{x} with another: {pairs[0]} + {pairs[1]} - {all_three} = {xy + xz + all_three}",
            f"Only {x}: {a} - {xy + xz + all_three} = {only[0]}",
        ]
    else:
        lines = [
            f"{s[0].upper()}{s[1:]}, not all: {p} - {all_three} = {p - all_three}" for s, p in zip(names, pairs, strict=True)
        ]
        lines.append(f"Exactly two: {xy} + {xz} + {yz} = {xy + xz + yz}")
    answer = {"union": union, "neither": neither, "only": only[0], "two": xy + xz + yz}[asked]
    question = {
        "union": f"How many {do} at least one of {words(sets, 'or')}?",
        "neither": f"How many {do} none of {words(sets, 'or')}?",
        "only": f"How many {do} only {x}, and neither {y} nor {z}?",
        "two": f"How many {do} exactly two of {words(sets)}?",
    }[asked]
    return _counted(r, f"{total} {who}", told, question, lines, answer)


def _counted(r: random.Random, whole: str, told: Sequence[str], asked: str, lines: Sequence[str], answer: int) -> Problem:
    opening = r.choice(("Of {}, this is known.", "A survey looks at {}.", "There are {}.", "In a town, {} were counted."))
    facts = r.sample(told, len(told))
    question = " ".join([opening.format(whole), *facts, asked])
    return Problem("", question, str(answer), "logic", "math", {}, "\n".join([*lines, f"Answer: {answer}"]))


_MEN = (
    "Adam Bruno Carl David Emil Frank Georg Henry Ivan James Karl Lukas Martin Noah Oscar Peter Quentin Robert Simon Thomas "
    "Ulf Victor Walter Xaver Yannick"
).split()
_WOMEN = (
    "Alice Berta Clara Diana Elena Flora Gina Helen Irene Julia Karin Laura Maria Nora Olivia Paula Quinn Rita Sara Tessa "
    "Ursula Vera Wanda Xenia Yvonne"
).split()
_TURNS = {
    "father": "parent", "mother": "parent", "husband": "spouse", "wife": "spouse", "brother": "sibling", "sister": "sibling",
    "son": "child", "daughter": "child",
}  # fmt: skip


def make_family_tree(r: random.Random, level: int) -> Problem:
    """Three generations in one family; who is reached by `level + 1` steps from somebody?"""
    while True:
        men, women = r.sample(_MEN, 12), r.sample(_WOMEN, 12)
        couples = [(men.pop(), women.pop())]
        children: dict[int, list[str]] = {0: []}
        for _ in range(2 if level == 1 else 3):
            born = r.choice((men, women)).pop()
            couples.append((born, women.pop()) if born in _MEN else (men.pop(), born))
            children[0].append(born)
            children[len(couples) - 1] = [r.choice((men, women)).pop() for _ in range(r.randint(1, 2))]
        start = r.choice([n for k in children.values() for n in k] + [n for c in couples for n in c])
        path = _walk(r, start, couples, children, level + 1)
        if path:
            break
    facts: list[str] = []
    stated: dict[str, str] = {}
    for at, siblings in children.items():
        for child in siblings:
            stated[child] = r.choice(couples[at])
            facts.append(f"{child} is the {'son' if child in _MEN else 'daughter'} of {stated[child]}.")
    facts += [
        r.choice((f"{m} is the husband of {w}.", f"{w} is the wife of {m}.", f"{m} and his wife {w} are married."))
        for m, w in couples
    ]
    married = {m: w for m, w in couples} | {w: m for m, w in couples}
    lines = [f"{a}'s {word} is {b}: {_because(a, word, b, stated, married)}." for a, word, b in path]
    chain = f"of {start}"
    for _, word, _ in path[:-1]:
        chain = f"of the {word} {chain}"
    owned = start + "".join(f"'s {word}" for _, word, _ in path)
    asked = r.choice((f"Who is the {path[-1][1]} {chain}?", f"Who is {owned}?", f"What is the name of {owned}?"))
    answer = path[-1][2]
    question = " ".join(["Everybody's parents are married to each other.", *r.sample(facts, len(facts)), asked])
    return Problem("", question, answer, "logic", "text", {}, "\n".join([*lines, f"Answer: {answer}"]))


def _walk(
    r: random.Random, start: str, couples: Sequence[tuple[str, str]], children: dict[int, list[str]], steps: int
) -> list[tuple[str, str, str]]:
    """Steps that only one person answers and that never come back to one seen before; empty where there is no way on."""
    path: list[tuple[str, str, str]] = []
    seen = {start}
    at = start
    for _ in range(steps):
        options: list[tuple[str, str]] = []
        own = next((i for i, c in enumerate(couples) if at in c), None)
        born = next((i for i, k in children.items() if at in k), None)
        if own is not None:
            other = couples[own][at == couples[own][0]]
            options.append(("husband" if other in _MEN else "wife", other))
            options += _single(children[own], ("son", "daughter"))
        if born is not None:
            options += [("father", couples[born][0]), ("mother", couples[born][1])]
            options += _single([c for c in children[born] if c != at], ("brother", "sister"))
        options = [o for o in options if o[1] not in seen]
        if not options:
            return []
        word, then = r.choice(options)
        path.append((at, word, then))
        seen.add(then)
        at = then
    return path


def _single(people: Sequence[str], terms: tuple[str, str]) -> list[tuple[str, str]]:
    """The only man and the only woman among some people, by what they are called."""
    sides = [[p for p in people if p in _MEN], [p for p in people if p not in _MEN]]
    return [(term, side[0]) for term, side in zip(terms, sides, strict=True) if len(side) == 1]


def _because(a: str, word: str, b: str, stated: dict[str, str], married: dict[str, str]) -> str:
    turn = _TURNS[word]
    if turn == "spouse":
        return f"{a} and {b} are married"
    if turn == "sibling":
        same = stated[a] == stated[b]
        return f"both are children of {stated[a]}" if same else f"children of {stated[a]} and {stated[b]}, who are married"
    child, parent = (a, b) if turn == "parent" else (b, a)
    if stated[child] == parent:
        return f"{child} is a child of {parent}"
    return f"{child} is a child of {stated[child]}, who is married to {married[stated[child]]}"


_COINS = ("coin", "ball", "ring", "stone", "key")


def make_odd_coin(r: random.Random, level: int) -> Problem:
    """One thing among many has another weight; weighings leave one candidate. From level 3 on it is not said whether it is
    heavier or lighter."""
    what = r.choice(_COINS)
    labels = sorted(r.sample("ABCDEFGHJKLMNPQRSTUVWYZ", (5, 8, 6, 9)[level - 1]))
    odd, heavy = r.choice(labels), r.random() < 0.5
    known = level <= 2
    candidates = [(n, h) for n in labels for h in (True, False) if not known or h == heavy]
    told: list[str] = []
    lines: list[str] = []
    while len(candidates) > 1:
        side = r.randint(1, max(1, len(labels) // 3))
        drawn = r.sample(labels, 2 * side)
        left, right = sorted(drawn[:side]), sorted(drawn[side:])
        result = _weighed(left, right, odd, heavy)
        kept = [c for c in candidates if _weighed(left, right, *c) == result]
        if len(kept) == len(candidates):
            continue
        candidates = kept
        tilt = {0: "they balance", 1: "the left side is heavier", -1: "the right side is heavier"}[result]
        told.append(f"{len(told) + 1}. {' '.join(left)} against {' '.join(right)}: {tilt}.")
        left_over = ", ".join(n if known else f"{n} {'heavy' if h else 'light'}" for n, h in candidates)
        lines.append(f"Weighing {len(told)}: {tilt}. Left: {left_over}.")
    weight = "heavier" if heavy else "lighter"
    than = f"{weight if known else 'heavier or lighter'} than all the others, which weigh the same."
    opening = f"Of the {what}s {words(labels)}, one is {than}"
    form = "Answer with its letter." if known else "Answer with its letter and heavy or light, as in X heavy."
    asked = r.choice(("Which {} is it?", "Find the odd {}.", "Which is the odd {}?")).format(what)
    answer = odd if known else f"{odd} {'heavy' if heavy else 'light'}"
    question = "\n".join([opening, *told, f"{asked} {form}"])
    return Problem("", question, answer, "logic", "text", {}, "\n".join([*lines, f"Answer: {answer}"]))


def _weighed(left: Sequence[str], right: Sequence[str], odd: str, heavy: bool) -> int:
    """1 where the left side goes down, -1 where the right one does, else 0."""
    tilt = (odd in left) - (odd in right)
    return tilt if heavy else -tilt


FAMILIES: tuple[Family, ...] = (
    Family("knights_knaves", "logic", make_knights, prove_knights, levels=4, floor=0.01),
    Family("ordering", "logic", make_ordering, prove_ordering, levels=4, floor=0.01),
    Family("small_zebra", "logic", make_zebra, prove_zebra, levels=4, floor=0.01),
    Family("satisfying_assignment", "logic", make_satisfying, prove_satisfying, levels=4, floor=0.01),
    Family("propositional", "logic", make_propositional, prove_propositional, levels=3, floor=0.1),
    Family("venn_counts", "logic", make_venn, prove_venn, levels=4, floor=0.08),
    Family("seating", "logic", make_seating, prove_seating, levels=3, floor=0.01),
    Family("family_tree", "logic", make_family_tree, prove_family_tree, levels=3, floor=0.05),
    Family("odd_coin", "logic", make_odd_coin, prove_odd_coin, levels=4, floor=0.08),
)
