"""Who lies and who does not, and rules that some assignment keeps: problems solved by supposing and concluding.

Place: `logic_families.py` lists both families. A worked solution supposes something of the first open name, draws conclusions
from one statement at a time, and takes the supposition back where it breaks one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from typing import Any

from sixfold.core import Problem

NAMES = (
    "Ann Bob Cleo Dan Eve Finn Gus Hana Ivy Jack Kim Leo Mia Ned Olga Paul Rosa Sam Tina Uma Vic Wendy Yuri Zoe "
    "Amir Bella Carl Dora Emil Fay Greta Hugo Iris Jonas Kate Liam Maya Nils Otto Pia"
).split()
"""First names in problems about people."""

Claim = tuple[Any, ...]
"""("is", name, bool), ("same", name, name), ("different", name, name), or and/or/iff/implies over two claims."""
_KINDS = (("knight", "knave"), ("truth-teller", "liar"), ("saint", "rogue"))
_FORMS = (
    ("is", "same", "and", "or"),
    ("is", "same", "and", "or"),
    ("is", "same", "and", "or", "iff"),
    ("is", "same", "and", "or", "iff", "implies"),
)
_LONGEST = (330, 600, 900, 1300)
"""Characters of a solution, by level: a draw with a longer one is made again."""


def words(names: Sequence[str], last: str = "and") -> str:
    """A list as one writes it: "Ann, Bob and Cleo"."""
    return f"{', '.join(names[:-1])} {last} {names[-1]}" if len(names) > 1 else names[0]


def make_knights(r: random.Random, level: int) -> Problem:
    """`level + 1` people, each of whom says something; drawn until one solution is left and supposing finds it."""
    while True:
        people = r.sample(NAMES, level + 1)
        kinds = r.choice(_KINDS)
        said = {p: _claim(r, p, people, _FORMS[level - 1]) for p in people}
        worlds = [dict(zip(people, w, strict=True)) for w in product((True, False), repeat=len(people))]
        fitting = [w for w in worlds if all(w[p] == _holds(said[p], w) for p in people)]
        if len(fitting) != 1:
            continue
        solution = _suppose(people, said, kinds)
        if solution and len("\n".join(solution)) < _LONGEST[level - 1]:
            break
    values = {p: kinds[0] if fitting[0][p] else kinds[1] for p in people}
    answer = ", ".join(f"{p}: {v}" for p, v in values.items())
    question = _knights_question(r, people, kinds, said)
    return Problem("", question, answer, "logic", "assignment", {"values": values}, "\n".join([*solution, f"Answer: {answer}"]))


def _claim(r: random.Random, speaker: str, people: Sequence[str], forms: Sequence[str]) -> Claim:
    others = [p for p in people if p != speaker]
    form = r.choice(forms)
    if form == "is":
        return ("is", r.choice(others), r.random() < 0.5)
    if form == "same":
        pair = [r.choice(others), speaker] if r.random() < 0.6 or len(others) < 2 else r.sample(others, 2)
        return (r.choice(("same", "different")), *pair)
    left, right = r.sample(people, 2)
    return (form, ("is", left, r.random() < 0.5), ("is", right, r.random() < 0.5))


def _holds(claim: Claim, world: Mapping[str, bool]) -> bool:
    form, a, b = claim
    if form == "is":
        return world[a] is bool(b)
    if form in ("same", "different"):
        return (world[a] is world[b]) is (form == "same")
    left, right = _holds(a, world), _holds(b, world)
    return {"and": left and right, "or": left or right, "iff": left == right, "implies": not left or right}[form]


def _said(claim: Claim, speaker: str, kinds: Sequence[str]) -> str:
    form, a, b = claim
    if form == "is":
        return f"{'I am' if a == speaker else f'{a} is'} a {kinds[not b]}"
    if form in ("same", "different"):
        return f"{a} and {'I' if b == speaker else b} are of {'the same kind' if form == 'same' else 'different kinds'}"
    left, right = _said(a, speaker, kinds), _said(b, speaker, kinds)
    if form == "implies":
        return f"if {left}, then {right}"
    return f"{left} {'if and only if' if form == 'iff' else form} {right}"


def _knights_question(r: random.Random, people: Sequence[str], kinds: Sequence[str], said: Mapping[str, Claim]) -> str:
    knight, knave = kinds
    opening = r.choice(
        (
            f"On an island live {knight}s, who always tell the truth, and {knave}s, who always lie. You meet {words(people)}.",
            f"You meet {words(people)}. Each of them is a {knight} (always tells the truth) or a {knave} (always lies).",
            f"{words(people)} are {knight}s or {knave}s: a {knight} says only true things, a {knave} only false ones.",
        )
    )
    quote = r.choice(('{} says: "{}."', '{}: "{}."', '{} tells you: "{}."'))
    lines = [quote.format(p, (s := _said(said[p], p, kinds))[0].upper() + s[1:]) for p in people]
    asking = r.choice(("Who is what?", "What is each of them?", "Find out the kind of everyone."))
    return "\n".join([opening, *lines, f"{asking} Answer with all names, in the form NAME: {knight}, NAME: {knave}."])


def _suppose(people: Sequence[str], said: Mapping[str, Claim], kinds: Sequence[str]) -> list[str]:
    """The worked solution; empty where supposing one thing at a time does not end."""
    known: dict[str, bool] = {}
    lines: list[str] = []
    for _ in people:
        if not _conclude(people, said, kinds, known, lines):
            return []
        first = next((p for p in people if p not in known), None)
        if first is None:
            break
        lines.append(f"Suppose {first} is a {kinds[0]}.")
        trial = {**known, first: True}
        if _conclude(people, said, kinds, trial, lines):
            if len(trial) < len(people):
                return []
            break
        lines.append(f"So {first} is a {kinds[1]}.")
        known[first] = False
    return [*lines, "All words fit."]


def _conclude(
    people: Sequence[str], said: Mapping[str, Claim], kinds: Sequence[str], known: dict[str, bool], lines: list[str]
) -> bool:
    """Adds to `known` and `lines` what single statements force; False where one cannot fit."""
    waiting = list(people)
    while waiting:
        speaker = waiting.pop(0)
        open_names = [p for p in people if p not in known]
        fits = []
        for values in product((True, False), repeat=len(open_names)):
            world = {**known, **dict(zip(open_names, values, strict=True))}
            if world[speaker] == _holds(said[speaker], world):
                fits.append(world)
        told = speaker in known
        truth = "true" if known.get(speaker) else "false"
        if not fits:
            lines.append(
                f"Contradiction: {speaker} is a {kinds[not known[speaker]]}, but {speaker}'s words are "
                f"{'false' if known[speaker] else 'true'}."
                if told
                else f"Contradiction: {speaker}'s words cannot fit."
            )
            return False
        for name in open_names:
            if len({w[name] for w in fits}) == 1:
                known[name] = fits[0][name]
                kind = kinds[not known[name]]
                lines.append(
                    f"{speaker}'s words are {truth}, so {name} is a {kind}."
                    if told
                    else f"Whatever {speaker} is, {speaker}'s words make {name} a {kind}."
                )
                waiting = [name, *(p for p in people if p != name)]
                break
    return True


Rule = tuple[str, tuple[tuple[str, bool], ...]]
"""A form (or, implies, iff, xor) and its literals: a name, and whether it must be so."""
_THEMES = (
    ("comes", "stays away", "yes", "no", "{} are invited to a party, and these rules must be kept:", "Who comes?"),
    ("is on", "is off", "on", "off", "A machine has the lamps {}, and these rules must be kept:", "How can the lamps be set?"),
    ("sings", "is silent", "yes", "no", "The voices of a choir are {}. The conductor has rules:", "Who may sing?"),
    ("is open", "is shut", "open", "shut", "A pipe has the valves {}. These rules must hold:", "Set all the valves."),
)


def make_satisfying(r: random.Random, level: int) -> Problem:
    """`level + 2` names and rules that between two and an eighth (a quarter at level 1) of the assignments keep."""
    count = level + 2
    _, _, on, off, opening, asking = theme = r.choice(_THEMES)
    while True:
        pool = NAMES if off == "no" else list("ABCDEFGHJKLMNPQRSTUVWXYZ")
        names = r.sample(pool, count)
        rules: list[Rule] = []
        worlds = [dict(zip(names, w, strict=True)) for w in product((True, False), repeat=count)]
        while len(worlds) > max(2, 2 ** (count - 3)):
            rule = _rule(r, names, level)
            kept = [w for w in worlds if _kept(rule, w)]
            if len(kept) < len(worlds):
                worlds = kept
                rules.append(rule)
        if len(worlds) < 2:
            continue
        lines, world = _search(names, rules, (on, off))
        if len("\n".join(lines)) < _LONGEST[level - 1]:
            break
    answer = ", ".join(f"{n}: {on if world[n] else off}" for n in names)
    told = [f"{i}. {_told(rule, theme)}" for i, rule in enumerate(rules, 1)]
    form = f"Any solution will do. Answer with all names, in the form NAME: {on}, NAME: {off}."
    question = "\n".join([opening.format(words(names)), *told, f"{asking} {form}"])
    meta = {"variables": {n: [on, off] for n in names}, "constraints": [_constraint(rule, on, off) for rule in rules]}
    return Problem("", question, answer, "logic", "assignment", meta, "\n".join([*lines, f"Answer: {answer}"]))


def _rule(r: random.Random, names: Sequence[str], level: int) -> Rule:
    form = r.choice(("or", "or", "implies", "implies", "iff", "xor", *("three",) * (level - 1)))
    chosen = r.sample(names, 3 if form == "three" else 2)
    return ("or" if form == "three" else form, tuple((n, r.random() < 0.5) for n in chosen))


def _kept(rule: Rule, world: Mapping[str, bool]) -> bool:
    form, literals = rule
    truths = [world[n] == wanted for n, wanted in literals]
    if form == "or":
        return any(truths)
    return {"implies": not truths[0] or truths[1], "iff": truths[0] == truths[1], "xor": truths[0] != truths[1]}[form]


def _told(rule: Rule, theme: Sequence[str]) -> str:
    form, literals = rule
    parts = [f"{n} {theme[0] if wanted else theme[1]}" for n, wanted in literals]
    if form == "or":
        return f"At least one of these: {'; '.join(parts)}."
    left, right = parts
    return {
        "implies": f"If {left}, then {right}.",
        "iff": f"{left} if and only if {right}.",
        "xor": f"Either {left} or {right}, but not both.",
    }[form]


def _constraint(rule: Rule, on: str, off: str) -> list[Any]:
    return [rule[0], *(["is", n, on if wanted else off] for n, wanted in rule[1])]


def _forced(rules: Sequence[Rule], known: Mapping[str, bool]) -> Iterator[tuple[int, str | None, bool]]:
    """What single rules say now: (number, None, ...) for a broken one, else a name and its only value."""
    for number, rule in enumerate(rules, 1):
        names = [n for n, _ in rule[1] if n not in known]
        worlds = [{**known, **dict(zip(names, w, strict=True))} for w in product((True, False), repeat=len(names))]
        kept = [w for w in worlds if _kept(rule, w)]
        if not kept:
            yield number, None, False
        for name in names if kept else ():
            if len({w[name] for w in kept}) == 1:
                yield number, name, kept[0][name]


def _search(names: Sequence[str], rules: Sequence[Rule], values: Sequence[str]) -> tuple[list[str], dict[str, bool]]:
    """The worked solution and what it finds: the first open name is tried, the last try taken back where a rule is broken."""
    lines: list[str] = []
    tries: list[tuple[str, dict[str, bool]]] = []
    known: dict[str, bool] = {}
    while True:
        step = next(_forced(rules, known), None)
        if step is not None and step[1] is not None:
            known[step[1]] = step[2]
            lines.append(f"Rule {step[0]}: {step[1]}: {values[not step[2]]}.")
        elif step is not None:
            name, known = tries.pop()
            known[name] = False
            lines.append(f"Rule {step[0]} is broken. Back: {name}: {values[1]}.")
        elif len(known) < len(names):
            name = next(n for n in names if n not in known)
            tries.append((name, dict(known)))
            known[name] = True
            lines.append(f"Try {name}: {values[0]}.")
        else:
            return [*lines, "All rules hold."], {n: known[n] for n in names}
