"""Proofs of `logic_deduction.py`'s problems: knights and knaves, and assignments that keep rules.

Place: `proofs_logic.py` hands them on. Everything is read from the question's text, and everything that a line concludes is
checked in all worlds that the lines before it leave. Nothing of the generators is used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, Steps, find, must, names_in, proof

World = Mapping[str, bool]
Statement = Callable[[World], bool]
_NAME = r"[A-Z][a-z]*"


def _worlds(names: Sequence[str], known: World) -> list[dict[str, bool]]:
    spread = [(known[n],) if n in known else (True, False) for n in names]
    return [dict(zip(names, w, strict=True)) for w in product(*spread)]


def _statement(text: str, speaker: str, knight: str, knave: str) -> Statement:
    """What a person's words mean."""
    if m := re.fullmatch(r"[Ii]f (.+), then (.+)", text):
        a, b = (_statement(part, speaker, knight, knave) for part in m.groups())
        return lambda w: b(w) if a(w) else True
    if m := re.fullmatch(rf"({_NAME}) and ({_NAME}) are of (the same kind|different kinds)", text):
        x, y = (speaker if g == "I" else g for g in m.groups()[:2])
        alike = m[3] == "the same kind"
        return lambda w: (w[x] is w[y]) is alike
    if m := re.fullmatch(r"(.+?) (if and only if|and|or) (.+)", text):
        a, b = (_statement(part, speaker, knight, knave) for part in (m[1], m[3]))
        if m[2] == "and":
            return lambda w: a(w) and b(w)
        return (lambda w: a(w) or b(w)) if m[2] == "or" else (lambda w: a(w) is b(w))
    if m := re.fullmatch(rf"(?:I am|({_NAME}) is) a ({knight}|{knave})", text):
        name, good = m[1] or speaker, m[2] == knight
        return lambda w: w[name] is good
    raise Fault(f"words not understood: {text!r}")


def _knights(problem: Problem, steps: Steps) -> None:
    question = problem.question
    knight, knave = find(r"in the form NAME: ([\w-]+), NAME: ([\w-]+)\.$", question).groups()
    must(
        re.search(rf"{knight}s?,? (?:who )?(?:\()?(?:always tells? the truth|says only true)", question), "who tells the truth?"
    )
    must(re.search(rf"{knave}s?,? (?:who )?(?:\()?(?:always lies?|only false)", question), "who lies?")
    said: dict[str, Statement] = {}
    for m in re.finditer(rf'(?m)^({_NAME})(?: says| tells you)?: "(.+)\."$', question):
        said[m[1]] = _statement(m[2], m[1], knight, knave)
    names = list(said)
    met = find(r"((?:[A-Z][a-z]+, )*[A-Z][a-z]+ and [A-Z][a-z]+)(?:\.| are)", question.split("\n")[0])
    must(names_in(met[1]) == names, "the people named are not those who speak")
    fitting = [w for w in _worlds(names, {}) if all(w[n] is said[n](w) for n in names)]
    must(len(fitting) == 1, f"{len(fitting)} solutions")
    kind = {True: knight, False: knave}
    values = {n: kind[fitting[0][n]] for n in names}
    must(problem.answer == ", ".join(f"{n}: {v}" for n, v in values.items()), "another answer is right")
    must(problem.meta["values"] == values, "meta has other values")
    _knights_solution(steps, names, said, (knight, knave))


def _knights_solution(steps: Steps, names: Sequence[str], said: Mapping[str, Statement], kinds: tuple[str, str]) -> None:
    known: dict[str, bool] = {}
    supposed: tuple[str, dict[str, bool]] | None = None
    either = "|".join(kinds)
    while not steps.maybe(r"All words fit\."):
        if m := steps.maybe(rf"Suppose ({_NAME}) is a {kinds[0]}\."):
            must(supposed is None, "two suppositions at once")
            must(m[1] in names and m[1] not in known, f"nothing to suppose of {m[1]}")
            supposed = (m[1], dict(known))
            known[m[1]] = True
        elif m := steps.maybe(rf"({_NAME})'s words are (true|false), so ({_NAME}) is a ({either})\."):
            must(known[m[1]] is (m[2] == "true"), f"{m[1]} does not speak so")
            _conclude(names, known, said[m[1]], m[1], m[3], m[4] == kinds[0])
        elif m := steps.maybe(rf"Whatever ({_NAME}) is, ({_NAME})'s words make ({_NAME}) a ({either})\."):
            must(m[1] == m[2] and m[1] not in known, f"{m[1]} is known, or is not who speaks")
            _conclude(names, known, said[m[1]], m[1], m[3], m[4] == kinds[0])
        elif m := steps.maybe(rf"Contradiction: ({_NAME}) is a ({either}), but ({_NAME})'s words are (true|false)\."):
            good = m[2] == kinds[0]
            must(m[1] == m[3] and known[m[1]] is good and (m[4] == "true") is not good, "no contradiction is stated")
            must(not any(said[m[1]](w) is good for w in _worlds(names, known)), "no contradiction is there")
            known = _back(steps, supposed, kinds)
            supposed = None
        else:
            m = steps.take(rf"Contradiction: ({_NAME})'s words cannot fit\.")
            must(m[1] not in known, f"{m[1]} is known")
            must(not any(said[m[1]](w) is w[m[1]] for w in _worlds(names, known)), "the words can fit")
            known = _back(steps, supposed, kinds)
            supposed = None
    must(set(known) == set(names) and all(known[n] is said[n](known) for n in names), "not all is known, or not all fits")


def _conclude(names: Sequence[str], known: dict[str, bool], said: Statement, speaker: str, name: str, good: bool) -> None:
    must(name in names and name not in known, f"{name} is known")
    worlds = [w for w in _worlds(names, known) if said(w) is w[speaker]]
    must(worlds and all(w[name] is good for w in worlds), f"that {name} is so does not follow")
    known[name] = good


def _back(steps: Steps, supposed: tuple[str, dict[str, bool]] | None, kinds: tuple[str, str]) -> dict[str, bool]:
    m = steps.take(rf"So ({_NAME}) is a {kinds[1]}\.")
    must(supposed is not None and supposed[0] == m[1], f"nothing was supposed of {m[1]}")
    assert supposed is not None
    return {**supposed[1], m[1]: False}


_PHRASES = {"comes": "stays away", "is on": "is off", "sings": "is silent", "is open": "is shut"}
_LITERAL = rf"({_NAME}) ({'|'.join([*_PHRASES, *_PHRASES.values()])})"


def _literal(text: str) -> Statement:
    m = re.fullmatch(_LITERAL, text)
    if m is None:
        raise Fault(f"not understood: {text!r}")
    name, so = m[1], m[2] in _PHRASES
    return lambda w: w[name] is so


def _rule(text: str) -> Statement:
    if m := re.fullmatch(r"At least one of these: (.+)\.", text):
        parts = [_literal(p) for p in m[1].split("; ")]
        return lambda w: any(p(w) for p in parts)
    m = re.fullmatch(r"(If|Either|)(?: |)(.+?)(?:, then | or | if and only if )(.+?)(|, but not both)\.", text)
    if m is None:
        raise Fault(f"not understood: {text!r}")
    a, b = _literal(m[2]), _literal(m[3])
    if m[1] == "If" and ", then " in text:
        return lambda w: b(w) if a(w) else True
    must((m[1] == "Either") == bool(m[4]) and m[1] != "If", "not understood")
    return (lambda w: a(w) is not b(w)) if m[1] else (lambda w: a(w) is b(w))


def _satisfying(problem: Problem, steps: Steps) -> None:
    question = problem.question
    listed = r"((?:[A-Z][a-z]*, )+[A-Z][a-z]* and [A-Z][a-z]*)(?=[ ,.])"
    names = names_in(find(rf"^(?:A .+? the \w+ |The voices of a choir are )?{listed}", question)[1])
    on, off = find(r"NAME: (\w+), NAME: (\w+)\.$", question).groups()
    told = re.findall(r"(?m)^(\d+)\. (.+)$", question)
    must([int(i) for i, _ in told] == list(range(1, len(told) + 1)), "the rules are not numbered")
    rules = [_rule(text) for _, text in told]
    fitting = [w for w in _worlds(names, {}) if all(rule(w) for rule in rules)]
    answered = dict(part.split(": ") for part in (problem.answer or "").split(", "))
    must(list(answered) == names and all(v in (on, off) for v in answered.values()), "the answer has another form")
    must({n: v == on for n, v in answered.items()} in fitting, "the answer breaks a rule")
    must(problem.meta["variables"] == {n: [on, off] for n in names}, "meta has other names or values")
    held = [w for w in _worlds(names, {}) if all(_meant(c, w, on) for c in problem.meta["constraints"])]
    must(held == fitting, "meta means something else")
    known: dict[str, bool] = {}
    tried: list[tuple[str, dict[str, bool]]] = []
    while not steps.maybe(r"All rules hold\."):
        if m := steps.maybe(rf"Try ({_NAME}): {on}\."):
            must(m[1] == next(n for n in names if n not in known), f"{m[1]} is not the next to be tried")
            tried.append((m[1], dict(known)))
            known[m[1]] = True
        elif m := steps.maybe(rf"Rule (\d+): ({_NAME}): ({on}|{off})\."):
            must(m[2] in names and m[2] not in known, f"{m[2]} is known")
            worlds = [w for w in _worlds(names, known) if rules[_index(m[1], rules)](w)]
            must(worlds and all(w[m[2]] is (m[3] == on) for w in worlds), f"rule {m[1]} does not say so")
            known[m[2]] = m[3] == on
        else:
            m = steps.take(rf"Rule (\d+) is broken\. Back: ({_NAME}): {off}\.")
            must(not any(rules[_index(m[1], rules)](w) for w in _worlds(names, known)), f"rule {m[1]} is not broken")
            name, known = tried.pop()
            must(name == m[2], f"{name} was the last one tried")
            known[name] = False
    must({n: on if known[n] else off for n in names} == answered, "the answer is not what was found")


def _index(number: str, rules: Sequence[Statement]) -> int:
    must(1 <= int(number) <= len(rules), f"there is no rule {number}")
    return int(number) - 1


def _meant(constraint: Sequence[object], world: World, on: str) -> bool:
    """The constraint language, as far as these problems use it."""
    word, *rest = constraint
    if word == "is":
        name, value = rest
        return world[str(name)] is (value == on)
    parts = [_meant(c, world, on) for c in rest if isinstance(c, list)]
    if word == "or":
        return any(parts)
    a, b = parts
    if word == "implies":
        return b or not a
    must(word in ("iff", "xor"), f"unknown constraint {word!r}")
    return (a is b) is (word == "iff")


prove_knights = proof(_knights)
prove_satisfying = proof(_satisfying)
