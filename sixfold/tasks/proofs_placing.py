"""Proofs of `logic_placing.py`'s problems: orders, houses in a row, seats.

Place: `proofs_logic.py` hands them on. All ways to place things are enumerated; a line that names a clue must follow from that
clue and from the lines before it. Nothing of the generators is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import permutations

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, Steps, find, must, names_in, proof

Places = Mapping[str, int]
Clue = Callable[[Places], bool]
_NAME = r"[A-Z][a-z]+"
_FRONT = ("is taller than", "is older than", "finished before", "is heavier than", "stands in front of", "has more points than",
          "lives to the left of")  # fmt: skip
_BACK = ("is shorter than", "is younger than", "finished after", "is lighter than", "stands behind", "has fewer points than",
         "lives to the right of")  # fmt: skip
_WAYS = ("from the tallest to the shortest", "from the oldest to the youngest", "from the first to the last to finish",
         "from the heaviest to the lightest", "from the front of the queue to its end", "from the most points to the fewest",
         "from left to right")  # fmt: skip


def _rows(names: Sequence[str]) -> list[dict[str, int]]:
    return [{name: place for place, name in enumerate(order, 1)} for order in permutations(names)]


def _clue(text: str) -> tuple[list[str], Clue]:
    """A clue's names and meaning. `a` and `b` are its names, `n` its number."""
    text = re.sub(r"\b[Tt]he (?=[a-z]+ (?:is|are|and)\b|[a-z]+\.$)", "", text)
    item = r"([A-Z]?[a-z]+)"
    front, back = "|".join(_FRONT), "|".join(_BACK)
    two_names: tuple[tuple[str, Callable[[str, str], Clue]], ...] = (
        (rf"{item} (?:{front}) {item}\.", lambda a, b: lambda w: w[b] > w[a]),
        (rf"{item} (?:{back}) {item}\.", lambda a, b: lambda w: w[a] > w[b]),
        (rf"{item} is (?:in a house )?somewhere to the left of {item}\.", lambda a, b: lambda w: w[b] > w[a]),
        (
            rf"{item} is in the (?:place directly before|house directly to the left of) {item}\.",
            lambda a, b: lambda w: w[b] - w[a] == 1,
        ),
        (rf"{item} and {item} are in (?:places|houses) next to each other\.", lambda a, b: lambda w: (w[a] - w[b]) ** 2 == 1),
        (rf"{item} is right next to {item}\.", lambda a, b: lambda w: (w[a] - w[b]) ** 2 == 1),
        (rf"{item} is not next to {item}\.", lambda a, b: lambda w: (w[a] - w[b]) ** 2 != 1),
        (rf"Exactly one name is between {item} and {item}\.", lambda a, b: lambda w: (w[a] - w[b]) ** 2 == 4),
        (rf"{item} and {item} are in the same house\.", lambda a, b: lambda w: w[a] == w[b]),
        (rf"{item} and {item} are in different houses\.", lambda a, b: lambda w: w[a] != w[b]),
    )
    for pattern, meaning in two_names:
        if m := re.fullmatch(pattern, text):
            return [m[1], m[2]], meaning(m[1], m[2])
    if m := re.fullmatch(rf"{item} is (not )?in (?:place|house|seat|spot|cabin|bay) (\d+)\.", text):
        name, denied, number = m[1], bool(m[2]), int(m[3])
        return [name], lambda w: (w[name] == number) is not denied
    if m := re.fullmatch(rf"{item} is at one of the two ends\.", text):
        name = m[1]
        return [name], lambda w: w[name] in (min(w.values()), max(w.values()))
    raise Fault(f"clue not understood: {text!r}")


def _clues(question: str, names: Sequence[str]) -> list[tuple[list[str], Clue]]:
    told = re.findall(r"(?m)^(\d+)\. (.+)$", question)
    must([int(i) for i, _ in told] == list(range(1, len(told) + 1)), "the clues are not numbered")
    read = [_clue(text) for _, text in told]
    must(all(n in names for mentioned, _ in read for n in mentioned), "a clue about nobody here")
    return read


def _number(text: str, clues: Sequence[Clue]) -> Clue:
    must(1 <= int(text) <= len(clues), f"there is no clue {text}")
    return clues[int(text) - 1]


def _ordering(problem: Problem, steps: Steps) -> None:
    ways = "|".join(_WAYS)
    opening = find(rf"^(?:Put|Find the order of|Sort) (.+?)(?: in order)?, ({ways})\. Place 1 is the first of that order\.\n",
                   problem.question)  # fmt: skip
    names = names_in(opening[1])
    at = _WAYS.index(opening[2])
    told = re.findall(rf"{_NAME} ({'|'.join(_FRONT + _BACK)}) {_NAME}", problem.question)
    must(all(phrase in (_FRONT[at], _BACK[at]) for phrase in told), "clues of another order")
    clues = [clue for _, clue in _clues(problem.question, names)]
    fitting = [w for w in _rows(names) if all(clue(w) for clue in clues)]
    must(len(fitting) == 1, f"{len(fitting)} solutions")
    order = list(fitting[0])
    must(problem.answer == ", ".join(order), "another answer is right")
    must(problem.meta == {"items": order}, "meta has another order")
    worlds = _rows(names)
    placed: dict[int, str] = {}
    while len(placed) < len(names):
        rest = [n for n in names if n not in placed.values()]
        if m := steps.maybe(rf"Place (\d+): only ({_NAME}) is left\."):
            place, name = int(m[1]), m[2]
            must(rest == [name], f"{name} is not the only one left")
        else:
            m = steps.take(rf"Place (\d+): (not {_NAME} \(clue \d+\)(?:, not {_NAME} \(clue \d+\))*)\. So ({_NAME})\.")
            place, name = int(m[1]), m[3]
            out = re.findall(rf"not ({_NAME}) \(clue (\d+)\)", m[2])
            must(sorted([*(n for n, _ in out), name]) == sorted(rest), "not everyone is looked at once")
            for n, number in out:
                must(
                    not any(w[n] == place and _number(number, clues)(w) for w in worlds), f"clue {number} allows {n} in {place}"
                )
        must(place not in placed and 1 <= place <= len(names), f"place {place} is taken or none")
        placed[place] = name
        worlds = [w for w in worlds if w[name] == place]
    must([placed[p] for p in sorted(placed)] == order, "the places found are not the answer")


def _zebra(problem: Problem, steps: Steps) -> None:
    houses = int(find(r"^(?:There are|In a street stand|A row has) (\d+) houses", problem.question)[1])
    must(int(find(r"numbered 1 to (\d+) from left to right", problem.question)[1]) == houses, "two numbers of houses")
    groups = [m[1].split(", ") for m in re.finditer(r"(?m)^[A-Z][a-z]+s?: (.+)\.$", problem.question)]
    must(all(len(set(g)) == houses for g in groups), "not one of each kind for each house")
    kinds = find(r"\b(one person.+)\.\n", problem.question)[1].replace("one ", "")
    must(len(names_in(kinds)) == len(groups), "other kinds are listed")
    items = [i for g in groups for i in g]
    clues = _clues(problem.question, items)
    parts = [_rows(g) for g in groups]
    fitting = _joint(parts, clues)
    must(len(fitting) == 1, f"{len(fitting)} solutions")
    answered = dict(part.split(": ") for part in (problem.answer or "").split(", "))
    must(answered == {k: str(v) for k, v in fitting[0].items()} == problem.meta["values"], "another answer is right")
    settled: set[str] = set()
    while len(settled) < len(items):
        number, out = 0, set[int]()
        if m := steps.maybe(r"Only house (\d+) is left for (?:the )?(\w+)\."):
            item, wanted = m[2], {int(m[1])}
        elif m := steps.maybe(r"Clue (\d+): (?:the )?(\w+) is in house (\d+)\."):
            number, item, wanted = int(m[1]), m[2], {int(m[3])}
        else:
            m = steps.take(r"Clue (\d+): (?:the )?(\w+) is not in house (\d+(?: or \d+)*)\.")
            number, item, out = int(m[1]), m[2], {int(h) for h in m[3].split(" or ")}
            wanted = set(range(1, houses + 1)) - out
            must(len(wanted) + m[3].count(" or ") + 1 == houses, f"no such houses: {m[0]}")
        the = "" if item[0].isupper() else "the "
        must(item in items and item not in settled and f" {the}{item}" in m[0], f"{item} is settled, or nothing here")
        must(number <= len(clues), f"there is no clue {number}")
        about = [item, *(clues[number - 1][0] if number else [])]
        must(item in about[1:] or not number, f"clue {number} is not about {item}")
        left = _joint([p for p in parts if any(i in p[0] for i in about)], clues[number - 1 : number] if number else [])
        must(left and {w[item] for w in left} <= wanted, f"that does not follow: {m[0]}")
        parts = [[w for w in p if w.get(item, 0) in wanted or item not in w] for p in parts]
        settled |= set() if out else {item}
    must(_joint(parts, []) == fitting, "the houses found are not the answer")


def _joint(parts: Sequence[list[dict[str, int]]], clues: Sequence[tuple[list[str], Clue]]) -> list[dict[str, int]]:
    """All ways to fill the houses with some kinds of things that keep some clues, which are checked as soon as they can be."""
    found: list[dict[str, int]] = [{}]
    for part in parts:
        found = [{**w, **p} for w in found for p in part]
        ready = [c for names, c in clues if found and all(n in found[0] for n in names)]
        found = [w for w in found if all(c(w) for c in ready)]
    return found


def _seating(problem: Problem, steps: Steps) -> None:
    opening = find(r"^(.+?) (?:sit on a bench|stand in a row for a photo|have cabins side by side|park their cars in a row)\. "
             r"The (\w+)s are numbered 1 to (\d+) from left to right\.", problem.question)  # fmt: skip
    names, spot = names_in(opening[1]), opening[2]
    must(len(names) == int(opening[3]), "not one place for everyone")
    clues = [clue for _, clue in _clues(problem.question, names)]
    rows = _rows(names)
    fitting = [w for w in rows if all(clue(w) for clue in clues)]
    order = (problem.answer or "").split(", ")
    must({n: i for i, n in enumerate(order, 1)} in fitting, "the answer breaks a clue")
    must(sorted(problem.meta["items"]) == sorted(names), "meta has other names")
    must([w for w in rows if all(_meant(c, w) for c in problem.meta["constraints"])] == fitting, "meta means something else")
    row: list[str] = []
    tried: list[list[str]] = [[]]
    while len(row) < len(names):
        seat = len(row) + 1
        there = [w for w in rows if all(w[n] == i for i, n in enumerate(row, 1))]
        waiting = [n for n in names if n not in row and n not in tried[-1]]
        if not waiting:
            line = steps.take(rf"{spot.capitalize()} {seat}: nobody fits, so {spot} {seat - 1} is not ({_NAME})\.")
            must(line[1] == row.pop(), "another one was there")
            tried.pop()
        elif m := steps.maybe(rf"{spot.capitalize()} {seat}: ({_NAME}) breaks clue (\d+)\."):
            must(m[1] == waiting[0], f"{m[1]} is not the next to be tried")
            must(not any(w[m[1]] == seat and _number(m[2], clues)(w) for w in there), f"{m[1]} does not break clue {m[2]}")
            tried[-1].append(m[1])
        else:
            m = steps.take(rf"{spot.capitalize()} {seat}: ({_NAME})\.")
            must(m[1] == waiting[0], f"{m[1]} is not the next to be tried")
            must(all(any(w[m[1]] == seat and clue(w) for w in there) for clue in clues), f"{m[1]} breaks a clue")
            tried[-1].append(m[1])
            row.append(m[1])
            tried.append([])
    must(row == order, "the order found is not the answer")


def _meant(constraint: Sequence[object], places: Places) -> bool:
    """The constraint language, as far as these problems use it."""
    word, *rest = constraint
    if word in ("not", "or"):
        parts = [_meant(c, places) for c in rest if isinstance(c, list)]
        return any(parts) if word == "or" else not parts[0]
    a, b = rest
    if word == "at":
        return places[str(a)] == b
    must(word in ("before", "adjacent"), f"unknown constraint {word!r}")
    gap = places[str(b)] - places[str(a)]
    return gap > 0 if word == "before" else gap in (1, -1)


prove_ordering = proof(_ordering)
prove_zebra = proof(_zebra)
prove_seating = proof(_seating)
