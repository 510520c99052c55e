"""Who comes in which place: orders, houses and rows of seats, told by numbered clues.

Place: `logic_families.py` lists the families. Worked solutions go place by place or clue by clue, and each line names the clue
that it uses. One clue at a time is enough for every problem that is kept.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations
from typing import Any

from sixfold.core import Problem
from sixfold.tasks.logic_deduction import NAMES, words

Clue = tuple[Any, ...]
"""A form and what it is about: two names, a name and a place (from 1), or ("end", name); see `_TESTS`."""


_TESTS: Mapping[str, Callable[[int, int, int], bool]] = {
    "before": lambda x, y, last: x < y,
    "directly": lambda x, y, last: x + 1 == y,
    "adjacent": lambda x, y, last: abs(x - y) == 1,
    "apart": lambda x, y, last: abs(x - y) != 1,
    "between": lambda x, y, last: abs(x - y) == 2,
    "at": lambda x, y, last: x == y,
    "not_at": lambda x, y, last: x != y,
    "same": lambda x, y, last: x == y,
    "different": lambda x, y, last: x != y,
    "end": lambda x, y, last: x in (1, last),
}
"""Whether a clue about items in the places `x` and `y` (or a place and a number, or a place alone) holds, of `last` places."""


def _true(clue: Clue, places: Mapping[str, int]) -> bool:
    x, y = places[clue[1]], clue[2] if len(clue) > 2 else 0
    return _TESTS[clue[0]](x, places[y] if isinstance(y, str) else y, max(places.values()))


_ORDERS = (
    ("is taller than", "is shorter than", "from the tallest to the shortest"),
    ("is older than", "is younger than", "from the oldest to the youngest"),
    ("finished before", "finished after", "from the first to the last to finish"),
    ("is heavier than", "is lighter than", "from the heaviest to the lightest"),
    ("stands in front of", "stands behind", "from the front of the queue to its end"),
    ("has more points than", "has fewer points than", "from the most points to the fewest"),
    ("lives to the left of", "lives to the right of", "from left to right"),
)
_ORDER_FORMS = (
    ("before",),
    ("before", "before", "before", "at", "not_at"),
    ("before", "before", "directly", "not_at", "between"),
    ("before", "directly", "not_at", "between", "adjacent"),
)


def make_ordering(r: random.Random, level: int) -> Problem:
    """`level + 2` names in a row; the clues leave one order."""
    names = r.sample(NAMES, level + 2)
    order = r.sample(names, len(names))
    places = {name: i for i, name in enumerate(order, 1)}
    clues: list[Clue] = []
    while len(clues) < 2 * level or not (lines := _by_place(names, clues)):
        clue = _clue(r, names, places, _ORDER_FORMS[level - 1])
        if clue not in clues:
            clues.append(clue)
    clues, lines = _needed(r, clues, lines, lambda kept: _by_place(names, kept))
    front, back, way = r.choice(_ORDERS)
    told = [f"{i}. {_order_clue(r, clue, front, back)}" for i, clue in enumerate(clues, 1)]
    opening = r.choice(("Put {} in order", "Find the order of {}", "Sort {}")).format(words(names))
    question = "\n".join(
        [f"{opening}, {way}. Place 1 is the first of that order.", *told, "Answer with the names alone, in order."]
    )
    answer = ", ".join(order)
    return Problem("", question, answer, "logic", "order", {"items": order}, "\n".join([*lines, f"Answer: {answer}"]))


def _needed(
    r: random.Random, clues: list[Clue], lines: list[str], solve: Callable[[list[Clue]], list[str]]
) -> tuple[list[Clue], list[str]]:
    """Takes out clues that the solution can do without, as long as it stays a solution, and shuffles the rest."""
    for clue in list(clues):
        without = [c for c in clues if c != clue]
        if solve(without):
            clues = without
    clues = r.sample(clues, len(clues))
    return clues, solve(clues) or lines


def _clue(r: random.Random, names: Sequence[str], places: Mapping[str, int], forms: Sequence[str]) -> Clue:
    """A true clue of one of the forms."""
    while True:
        form = r.choice(forms)
        a, b = r.sample(names, 2)
        clue: Clue = (form, a, r.randint(1, len(names))) if form in ("at", "not_at") else (form, a, b)
        if _true(clue, places):
            return clue


def _order_clue(r: random.Random, clue: Clue, front: str, back: str) -> str:
    form, a, b = clue
    if form == "before":
        return f"{a} {front} {b}." if r.random() < 0.5 else f"{b} {back} {a}."
    return {
        "directly": f"{a} is in the place directly before {b}.",
        "adjacent": f"{a} and {b} are in places next to each other.",
        "between": f"Exactly one name is between {a} and {b}.",
        "at": f"{a} is in place {b}.",
        "not_at": f"{a} is not in place {b}.",
    }[form]


def _by_place(names: Sequence[str], clues: Sequence[Clue]) -> list[str]:
    """The worked solution: places that one name is left for, the others excluded by one clue about
    them; empty where that does not end."""
    count = len(names)
    placed: dict[int, str] = {}
    lines: list[str] = []
    while len(placed) < count:
        for place in (p for p in range(1, count + 1) if p not in placed):
            left: list[str] = []
            against: dict[str, int] = {}
            for name in (n for n in names if n not in placed.values()):
                about = ((i, c) for i, c in enumerate(clues, 1) if name in c)
                against[name] = next((i for i, c in about if _excluded(c, name, place, placed, count)), 0)
                left += [] if against[name] else [name]
                if len(left) > 1:
                    break
            if len(left) == 1:
                out = ", ".join(f"not {n} (clue {i})" for n, i in against.items() if i)
                lines.append(f"Place {place}: {out}. So {left[0]}." if out else f"Place {place}: only {left[0]} is left.")
                placed[place] = left[0]
                break
        else:
            return []
    return lines


def _excluded(clue: Clue, name: str, place: int, placed: Mapping[int, str], count: int) -> bool:
    """Whether a clue cannot hold once `name` has `place`, whatever the two names of the clue do else."""
    test, first, second = _TESTS[clue[0]], clue[1], clue[2] if len(clue) > 2 else 0
    spots = {n: p for p, n in placed.items()}
    spots[name] = place
    if first in spots and (isinstance(second, int) or second in spots):
        return not test(spots[first], second if isinstance(second, int) else spots[second], count)
    free = [p for p in range(1, count + 1) if p not in placed and p != place]
    firsts = [spots[first]] if first in spots else free
    seconds = [second] if isinstance(second, int) else [spots[second]] if second in spots else free
    return not any(test(x, y, count) for x in firsts for y in seconds if isinstance(second, int) or x != y)


_KINDS: Mapping[str, tuple[str, ...]] = {
    "pet": ("cat", "dog", "parrot", "hamster", "goldfish", "rabbit", "turtle", "canary"),
    "drink": ("tea", "coffee", "milk", "juice", "cocoa", "lemonade", "water"),
    "instrument": ("violin", "piano", "flute", "drum", "guitar", "harp", "trumpet"),
    "flower": ("rose", "tulip", "daisy", "lily", "orchid", "violet", "poppy"),
    "vehicle": ("bicycle", "van", "scooter", "tractor", "truck", "motorbike", "canoe"),
}
_HOUSES = ((3, 2), (3, 3), (4, 2), (4, 3))
"""Houses and kinds of things (people are one), by level."""
_HOUSE_FORMS = ("at", "not_at", "same", "same", "different", "directly", "before", "adjacent")


def make_zebra(r: random.Random, level: int) -> Problem:
    """Houses in a row, with a person and things in each; the clues leave one way."""
    houses, kinds = _HOUSES[level - 1]
    named = r.sample(list(_KINDS), kinds - 1)
    groups = [r.sample(NAMES, houses), *(r.sample(_KINDS[k], houses) for k in named)]
    places = {item: i for g in groups for i, item in enumerate(r.sample(g, houses), 1)}
    clues: list[Clue] = []
    while len(clues) < houses * kinds or not (lines := _by_clue(groups, clues)):
        form = r.choice(_HOUSE_FORMS)
        one, other = r.sample(groups, 2) if form in ("same", "different") or r.random() < 0.6 else [r.choice(groups)] * 2
        a, b = r.choice(one), r.choice(other)
        clue: Clue = (form, a, r.randint(1, houses)) if form in ("at", "not_at") else (form, a, b)
        if a != b and _true(clue, places) and clue not in clues:
            clues.append(clue)
    clues, lines = _needed(r, clues, lines, lambda kept: _by_clue(groups, kept))
    things = words(["one person", *(f"one {k}" for k in named)])
    opening = r.choice(
        (
            "There are {} houses in a row, numbered 1 to {} from left to right. Each holds {}.",
            "In a street stand {} houses, numbered 1 to {} from left to right. To each house belong {}.",
            "A row has {} houses, numbered 1 to {} from left to right, and in each there are {}.",
        )
    ).format(houses, houses, things)
    lists = [
        f"{kind}: {', '.join(r.sample(group, houses))}."
        for kind, group in zip(("People", *(f"{k.capitalize()}s" for k in named)), groups, strict=True)
    ]
    told = [f"{i}. {_house_clue(clue)}" for i, clue in enumerate(clues, 1)]
    asked = list(places)
    ending = "In which house is each? Answer with the house numbers of all, in the form NAME: NUMBER, THING: NUMBER."
    answer = ", ".join(f"{i}: {places[i]}" for i in asked)
    meta = {"values": {i: str(places[i]) for i in asked}}
    question = "\n".join([opening, *lists, *told, ending])
    return Problem("", question, answer, "logic", "assignment", meta, "\n".join([*lines, f"Answer: {answer}"]))


def _the(item: str) -> str:
    return item if item[0].isupper() else f"the {item}"


def _house_clue(clue: Clue) -> str:
    form, a, b = clue[0], _the(clue[1]), _the(clue[2]) if isinstance(clue[2], str) else clue[2]
    text = {
        "at": f"{a} is in house {b}.",
        "not_at": f"{a} is not in house {b}.",
        "same": f"{a} and {b} are in the same house.",
        "different": f"{a} and {b} are in different houses.",
        "directly": f"{a} is in the house directly to the left of {b}.",
        "before": f"{a} is in a house somewhere to the left of {b}.",
        "adjacent": f"{a} and {b} are in houses next to each other.",
    }[form]
    return text[0].upper() + text[1:]


def _by_clue(groups: Sequence[Sequence[str]], clues: Sequence[Clue]) -> list[str]:
    """The worked solution: what single clues exclude, until one house is left for everything; empty where that does not end."""
    houses = len(groups[0])
    open_houses = {i: list(range(1, houses + 1)) for g in groups for i in g}
    lines: list[str] = []
    changed = True
    while changed and any(len(h) > 1 for h in open_houses.values()):
        changed = False
        for number, clue in enumerate(clues, 1):
            for item, other in ((clue[1], clue[2]), (clue[2], clue[1])):
                if isinstance(item, int) or len(open_houses[item]) == 1:
                    continue
                kept = [h for h in open_houses[item] if _supported(clue, item, h, other, open_houses, groups)]
                if kept != open_houses[item]:
                    out = [h for h in open_houses[item] if h not in kept]
                    lines.append(
                        f"Clue {number}: {_the(item)} is in house {kept[0]}."
                        if len(kept) == 1
                        else f"Clue {number}: {_the(item)} is not in house {' or '.join(map(str, out))}."
                    )
                    open_houses[item] = kept
                    changed = True
                    _only_left(groups, open_houses, lines)
    return [] if any(len(h) > 1 for h in open_houses.values()) else lines


def _supported(
    clue: Clue,
    item: str,
    house: int,
    other: str | int,
    open_houses: Mapping[str, Sequence[int]],
    groups: Sequence[Sequence[str]],
) -> bool:
    mates = any(item in g and other in g for g in groups)
    for spot in [other] if isinstance(other, int) else open_houses[other]:
        x, y = (house, spot) if clue[1] == item else (spot, house)
        if _TESTS[clue[0]](x, y, len(groups[0])) and not (mates and x == y):
            return True
    return False


def _only_left(groups: Sequence[Sequence[str]], open_houses: dict[str, list[int]], lines: list[str]) -> None:
    """What follows inside a group: a taken house is no other's, and a house that one thing alone can have is its own."""
    again = True
    while again:
        again = False
        for group in groups:
            taken = [open_houses[i][0] for i in group if len(open_houses[i]) == 1]
            for item in (i for i in group if len(open_houses[i]) > 1):
                open_houses[item] = [h for h in open_houses[item] if h not in taken]
                alone = [h for h in open_houses[item] if not any(h in open_houses[i] for i in group if i != item)]
                if len(open_houses[item]) == 1 or alone:
                    open_houses[item] = alone[:1] or open_houses[item]
                    lines.append(f"Only house {open_houses[item][0]} is left for {_the(item)}.")
                    again = True
                    break


_SEATS = (
    ("sit on a bench", "seat"),
    ("stand in a row for a photo", "spot"),
    ("have cabins side by side", "cabin"),
    ("park their cars in a row", "bay"),
)
_SEAT_LONGEST = (300, 700, 1000, 1400)


def make_seating(r: random.Random, level: int) -> Problem:
    """`level + 3` people in a row, and clues that leave several ways, though few."""
    count = level + 3
    while True:
        names = r.sample(NAMES, count)
        places = {n: i for i, n in enumerate(r.sample(names, count), 1)}
        ways = [dict(zip(p, range(1, count + 1), strict=True)) for p in permutations(names)]
        clues: list[Clue] = []
        while len(ways) > 4:
            clue = r.choice((_clue(r, names, places, ("before", "adjacent", "adjacent", "apart", "not_at")), ("end", names[0])))
            kept = [w for w in ways if _true(clue, w)] if clue[0] != "end" or _true(clue, places) else ways
            if len(kept) < len(ways) and clue not in clues:
                ways = kept
                clues.append(clue)
        lines, order = _seat_by_seat(names, clues)
        if len(ways) > 1 and len("\n".join(lines)) < _SEAT_LONGEST[level - 1]:
            break
    doing, spot = r.choice(_SEATS)
    told = [f"{i}. {_seat_clue(clue, spot)}" for i, clue in enumerate(clues, 1)]
    lines = [line.replace("Seat ", f"{spot.capitalize()} ").replace("seat ", f"{spot} ") for line in lines]
    opening = f"{words(names)} {doing}. The {spot}s are numbered 1 to {count} from left to right. These things hold:"
    ending = r.choice(("Find an order that fits.", "In which order can they be?", "Give one possible order."))
    question = "\n".join([opening, *told, f"{ending} Any that fits will do. Answer with the names alone, from left to right."])
    answer = ", ".join(order)
    meta = {"items": list(order), "constraints": [_constraint(clue, count) for clue in clues]}
    return Problem("", question, answer, "logic", "order", meta, "\n".join([*lines, f"Answer: {answer}"]))


def _seat_clue(clue: Clue, spot: str) -> str:
    form, a, b = (*clue, 0)[:3]
    return {
        "before": f"{a} is somewhere to the left of {b}.",
        "adjacent": f"{a} is right next to {b}.",
        "apart": f"{a} is not next to {b}.",
        "not_at": f"{a} is not in {spot} {b}.",
        "end": f"{a} is at one of the two ends.",
    }[form]


def _constraint(clue: Clue, count: int) -> list[Any]:
    form, a, b = (*clue, 0)[:3]
    if form == "end":
        return ["or", ["at", a, 1], ["at", a, count]]
    return ["not", ["adjacent" if form == "apart" else "at", a, b]] if form in ("apart", "not_at") else [form, a, b]


def _seat_by_seat(names: Sequence[str], clues: Sequence[Clue]) -> tuple[list[str], list[str]]:
    """The worked solution and its order: in each seat the first name that breaks no clue, going back where there is none."""
    lines: list[str] = []
    row: list[str] = []
    waiting = [list(names)]
    while len(row) < len(names):
        seat = len(row) + 1
        placed = dict(enumerate(row, 1))
        name = next(iter(waiting[-1]), None)
        if name is None:
            waiting.pop()
            lines.append(f"Seat {seat}: nobody fits, so seat {seat - 1} is not {row[-1]}.")
            row.pop()
            continue
        waiting[-1].remove(name)
        broken = next((i for i, c in enumerate(clues, 1) if _excluded(c, name, seat, placed, len(names))), 0)
        if broken:
            lines.append(f"Seat {seat}: {name} breaks clue {broken}.")
        else:
            lines.append(f"Seat {seat}: {name}.")
            row.append(name)
            waiting.append([n for n in names if n not in row])
    return lines, row
