"""Proofs of the logic problems: formulas, sets, relatives and coins here, others in `proofs_deduction` and `proofs_placing`.

Place: `logic_families.py` and the catalog know them as `Family.prove`. Questions are read from their text, answers found by
trying everything, and every line of a solution must be of a known form and true. Nothing of the generators is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from sixfold.core import Problem
from sixfold.tasks.proofs_deduction import prove_knights, prove_satisfying
from sixfold.tasks.proofs_placing import prove_ordering, prove_seating, prove_zebra
from sixfold.tasks.proofs_reading import Fault, Steps, find, must, names_in, proof

__all__ = [
    "prove_family_tree", "prove_knights", "prove_odd_coin", "prove_ordering", "prove_propositional", "prove_satisfying",
    "prove_seating", "prove_venn", "prove_zebra",
]  # fmt: skip

_INNERMOST = re.compile(r"\((true|false) (and|or|xor|implies) (true|false)\)|\bnot (true|false)\b")


def _done(m: re.Match[str]) -> str:
    if m[4]:
        return "true" if m[4] == "false" else "false"
    a, b = m[1] == "true", m[3] == "true"
    value = (a and b) if m[2] == "and" else (a or b) if m[2] == "or" else (a is not b) if m[2] == "xor" else b >= a
    return "true" if value else "false"


def _next(text: str) -> str:
    """A formula in truth values after one more step: every innermost operation is done."""
    return _INNERMOST.sub(_done, f"({text})").removeprefix("(").removesuffix(")")


def _propositional(problem: Problem, steps: Steps) -> None:
    given = dict(re.findall(r"\b([a-z]) = (true|false)\b", problem.question.split("\n")[0]))
    formulas = re.findall(r"(?m)^(F\d+): (.+)$", problem.question)
    must([name for name, _ in formulas] == [f"F{i}" for i in range(1, len(formulas) + 1)], "the formulas are not numbered")
    must(int(find(r"all (\d+) values", problem.question)[1]) == len(formulas), "another number of formulas")
    values: dict[str, str] = {}
    for name, formula in formulas:
        put = re.sub(r"\b[a-z]\b", lambda m: given[m[0]], formula)
        chain = [put]
        while chain[-1] not in ("true", "false"):
            must(len(chain) < 20, f"{formula!r} is no formula")
            chain.append(_next(chain[-1]))
        line = steps.take(r"(F\d+) = (.+)")
        must(line[1] == name, f"{name} comes next")
        must(line[2].split(" = ") == chain, f"wrong steps: {line[0]}")
        values[name] = chain[-1]
    must(problem.answer == ", ".join(f"{k}: {v}" for k, v in values.items()), "another answer is right")
    must(problem.meta["values"] == values, "meta has other values")


_VERBS = r"(?:play|speak|keep|sell|have)"


def _venn_facts(question: str) -> tuple[list[str], dict[str, int]]:
    """The sets in the order of the last sentence, and the counts: by sets joined with "&", and "all", "none", "total"."""
    facts = {"total": int(find(r"(\d+) (?:students|people|families|shops|gardens)\b", question)[1])}
    for m in re.finditer(rf"(\d+) {_VERBS} (all three|both \w+ and \w+|neither \w+ nor \w+|\w+)\.", question):
        kind = m[2]
        key = (
            "all"
            if kind == "all three"
            else "none"
            if kind.startswith("neither")
            else "&".join(sorted(names_in(kind.removeprefix("both "))))
        )
        must(key not in facts, f"{key} is told twice")
        facts[key] = int(m[1])
    asked = question[question.rindex("How many") :]
    return [s for s in re.findall(r"\w+", asked) if s in facts], facts


def _regions(sets: Sequence[str], facts: Mapping[str, int]) -> dict[tuple[bool, ...], int]:
    """Counts of all regions, found by trying every size of the innermost one."""
    found = []
    for inner in range(facts["total"] + 1):
        regions = {}
        for member in product((True, False), repeat=len(sets)):
            inside = [s for s, m in zip(sets, member, strict=True) if m]
            regions[member] = _exactly(inside, sets, facts, inner)
        of = {s: sum(n for m, n in regions.items() if m[i]) for i, s in enumerate(sets)}
        told = facts.get("none", regions[(False,) * len(sets)]) == regions[(False,) * len(sets)] and all(
            of[s] == facts[s] for s in sets
        )
        deep = facts.get("all", facts.get("&".join(sorted(sets)), inner)) == inner
        if told and deep and all(n >= 0 for n in regions.values()):
            found.append(regions)
    must(len(found) == 1, f"{len(found)} ways to count")
    return found[0]


def _exactly(inside: Sequence[str], sets: Sequence[str], facts: Mapping[str, int], inner: int) -> int:
    """How many are in these sets and in no other, where `inner` are in all of them."""

    def at_least(some: Sequence[str]) -> int:
        return facts["total"] if not some else inner if len(some) == len(sets) else facts["&".join(sorted(some))]

    others = [s for s in sets if s not in inside]
    signs = product((0, 1), repeat=len(others))
    return sum((-1) ** sum(pick) * at_least([*inside, *(o for o, p in zip(others, pick, strict=True) if p)]) for pick in signs)


def _venn(problem: Problem, steps: Steps) -> None:
    sets, facts = _venn_facts(problem.question)
    must(len(sets) in (2, 3) and len(set(sets)) == len(sets), "no two or three sets")
    regions = _regions(sets, facts)
    asked = problem.question[problem.question.rindex("How many") :]

    def total(holds: str) -> int:
        return sum(n for m, n in regions.items() if (holds == "any" and any(m)) or holds == str(sum(m)))

    first = sum(n for m, n in regions.items() if m[0] and sum(m) == 1)
    wanted = next(
        value
        for word, value in (
            ("at least one of", total("any")), ("exactly one of", total("1")), ("exactly two of", total("2")), ("only", first),
            ("neither", total("0")), ("none of", total("0")), ("both", total("2")),
        )
        if f" {word} " in asked
    )  # fmt: skip
    must(problem.answer == str(wanted), f"{wanted} is right")
    names = _venn_names(sets, facts, regions)
    last = None
    while m := steps.maybe(r"([^:]+): (\d+(?: [+-] \d+)+) = (\d+)"):
        parts = [int(n) for n in re.findall(r"[+-]?\d+", m[2].replace(" ", ""))]
        must(m[1] in names, f"what is {m[1]!r}?")
        value, made_of = names[m[1]]
        must(sum(parts) == value == int(m[3]), f"wrong: {m[0]}")
        must(any(parts == list(way) for way in made_of), f"not how it is found: {m[0]}")
        last = value
    must(last == wanted, "the steps end elsewhere")


def _venn_names(
    sets: Sequence[str], facts: Mapping[str, int], regions: Mapping[tuple[bool, ...], int]
) -> dict[str, tuple[int, list[tuple[int, ...]]]]:
    """What a line may be about: its value, and the sums that it may be found by."""
    alone = [sum(n for m, n in regions.items() if m[i] and sum(m) == 1) for i in range(len(sets))]
    size = [facts[s] for s in sets]
    none = regions[(False,) * len(sets)]
    union = facts["total"] - none
    if len(sets) == 2:
        x, y = sets
        both = regions[(True, True)]
        return {
            f"{x} and {y} added": (sum(size), [(size[0], size[1])]),
            "At least one": (union, [(facts["total"], -none), (sum(size), -both)]),
            "Both": (both, [(sum(size), -union)]),
            "Neither": (none, [(facts["total"], -union)]),
            f"Only {x}": (alone[0], [(size[0], -both)]),
            f"Only {y}": (alone[1], [(size[1], -both)]),
            "Exactly one": (sum(alone), [(alone[0], alone[1])]),
        }
    x, y, _ = sets
    pair = {(i, j): facts["&".join(sorted((sets[i], sets[j])))] for i, j in ((0, 1), (0, 2), (1, 2))}
    deep = facts["all"]
    mixed = pair[0, 1] + pair[0, 2] - deep
    names: dict[str, tuple[int, list[tuple[int, ...]]]] = {
        "Sets added": (sum(size), [tuple(size)]),
        "Pairs added": (sum(pair.values()), [tuple(pair.values())]),
        "Without pairs": (union - deep, [(sum(size), -sum(pair.values()))]),
        "At least one": (union, [(union - deep, deep)]),
        "Neither": (none, [(facts["total"], -union)]),
        f"{x} with another": (mixed, [(pair[0, 1], pair[0, 2], -deep)]),
        f"Only {x}": (alone[0], [(size[0], -mixed)]),
        "Exactly two": (sum(pair.values()) - 3 * deep, [tuple(p - deep for p in pair.values())]),
    }
    for (i, j), value in pair.items():
        names[f"Both {sets[i]} and {sets[j]}, not all"] = (value - deep, [(value, -deep)])
    return names


_N = r"[A-Z][a-z]+"


def _family_tree(problem: Problem, steps: Steps) -> None:
    question = problem.question
    husbands = {m[1]: m[2] for m in re.finditer(rf"({_N}) is the husband of ({_N})\.|({_N}) and his wife", question) if m[1]}
    husbands |= {m[2]: m[1] for m in re.finditer(rf"({_N}) is the wife of ({_N})\.", question)}
    husbands |= {m[1]: m[2] for m in re.finditer(rf"({_N}) and his wife ({_N}) are married\.", question)}
    spouses = husbands | {w: h for h, w in husbands.items()}
    born = {m[1]: (m[2], m[3]) for m in re.finditer(rf"({_N}) is the (son|daughter) of ({_N})\.", question)}
    must(len(spouses) == 2 * len(husbands), "somebody is married twice")
    must(len(re.findall(r"\.", question)) == 1 + len(husbands) + len(born), "a fact is not understood")
    men = set(husbands) | {c for c, (kind, _) in born.items() if kind == "son"}
    parents = {c: {p, spouses[p]} for c, (_, p) in born.items()}

    def related(person: str, word: str) -> list[str]:
        people = sorted(set(spouses) | set(born))
        male = word in ("father", "husband", "son", "brother")
        own = parents.get(person, set())
        tests: Mapping[str, Callable[[str], bool]] = {
            "father": lambda o: o in own, "mother": lambda o: o in own,
            "husband": lambda o: spouses.get(person) == o, "wife": lambda o: spouses.get(person) == o,
            "son": lambda o: person in parents.get(o, ()), "daughter": lambda o: person in parents.get(o, ()),
            "brother": lambda o: o != person and bool(own) and parents.get(o) == own,
            "sister": lambda o: o != person and bool(own) and parents.get(o) == own,
        }  # fmt: skip
        return [o for o in people if tests[word](o) and (o in men) is male]

    asked = find(rf"(?:Who is|What is the name of) (?:the ((?:\w+ of the )*\w+) of ({_N})|({_N})((?:'s \w+)+))\?$", question)
    words = asked[1].split(" of the ")[::-1] if asked[1] else asked[4].removeprefix("'s ").split("'s ")
    at = asked[2] or asked[3]
    for word in words:
        then = related(at, word)
        must(len(then) == 1, f"{len(then)} people are {at}'s {word}")
        line = steps.take(rf"({_N})'s (\w+) is ({_N}): (.+)\.")
        must(line.groups()[:3] == (at, word, then[0]), f"wrong step: {line[0]}")
        must(_told(line[4], at, then[0], word, born, spouses), f"no reason: {line[0]}")
        at = then[0]
    must(problem.answer == at, f"{at} is right")


def _told(reason: str, a: str, b: str, word: str, born: Mapping[str, tuple[str, str]], spouses: Mapping[str, str]) -> bool:
    """Whether a reason is a fact of the question and is one for `b` being the `word` of `a`."""
    if m := re.fullmatch(rf"({_N}) and ({_N}) are married", reason):
        return m.groups() == (a, b) and spouses.get(a) == b and word in ("husband", "wife")
    if m := re.fullmatch(rf"both are children of ({_N})", reason):
        return born[a][1] == born[b][1] == m[1] and word in ("brother", "sister")
    if m := re.fullmatch(rf"children of ({_N}) and ({_N}), who are married", reason):
        return m.groups() == (born[a][1], born[b][1]) and spouses[m[1]] == m[2] and word in ("brother", "sister")
    m = re.fullmatch(rf"({_N}) is a child of ({_N})(?:, who is married to ({_N}))?", reason)
    child, parent = (a, b) if word in ("father", "mother") else (b, a)
    return (
        m is not None
        and m[1] == child
        and born[child][1] == m[2]
        and (m[3] or m[2]) == parent
        and (not m[3] or spouses[m[2]] == m[3])
    )


def _odd_coin(problem: Problem, steps: Steps) -> None:
    than = r"(heavier|lighter|heavier or lighter) than all the others, which weigh the same\.\n"
    opening = find(rf"^Of the \w+s (.+), one is {than}", problem.question)
    labels = names_in(opening[1])
    unknown = " or " in opening[2]
    worlds = [(n, w) for n in labels for w in (1, -1) if unknown or (w == 1) == (opening[2] == "heavier")]
    result = r"(they balance|the left side is heavier|the right side is heavier)"
    told = re.findall(rf"(?m)^(\d+)\. ([A-Z ]+) against ([A-Z ]+): {result}\.$", problem.question)
    must([int(t[0]) for t in told] == list(range(1, problem.question.count(" against ") + 1)), "the weighings are not numbered")
    for number, left, right, result in told:
        pans = left.split(), right.split()
        must(len(pans[0]) == len(pans[1]) and len({*pans[0], *pans[1]} & set(labels)) == 2 * len(pans[0]), "pans are not alike")
        sign = {"they balance": 0, "the left side is heavier": 1, "the right side is heavier": -1}[result]
        worlds = [(n, w) for n, w in worlds if w * (pans[0].count(n) - pans[1].count(n)) == sign]
        line = steps.take(r"Weighing (\d+): ([^.]+)\. Left: (.+)\.")
        left_over = [f"{n} {'heavy' if w == 1 else 'light'}" if unknown else n for n, w in worlds]
        must((line[1], line[2]) == (number, result), f"not what weighing {number} says: {line[0]}")
        must(line[3].split(", ") == left_over, f"others are left: {line[0]}")
    if len(worlds) != 1:
        raise Fault(f"{len(worlds)} solutions")
    must(problem.answer == left_over[0], f"{left_over[0]} is right")


prove_propositional = proof(_propositional)
prove_venn = proof(_venn)
prove_family_tree = proof(_family_tree)
prove_odd_coin = proof(_odd_coin)
