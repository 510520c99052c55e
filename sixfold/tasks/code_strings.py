"""Strings and lists worked on step by step, and three small parsers: run lengths, brackets, words.

Place: `code_families.py` lists the five families. Worked solutions write letters with blanks between them, because a model
sees a word as a few tokens and cannot look inside; questions accept the answer either way.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from sixfold.core import Problem

_ALPHABET = "abcdefghijklmnopqrstuvwxyz"
_WORDS = (
    "cat dog fox owl hen bee ant bat cow pig red blue green pink gray gold tea milk rice corn soup cake salt lamp book "
    "chair table "
    "door tree leaf rose lake river stone cloud rain snow wind star moon sun ship train horse sheep mouse tiger apple "
    "lemon peach "
    "melon grape bread paper pencil window garden bottle button candle"
).split()

Step = tuple[str, str, Callable[[Any], Any]]
"""How a step is said in English, how in Python ("" where it is not said so), and what it does."""


def spelled(word: str) -> str:
    """
    >>> spelled("cat")
    'c a t'
    """
    return " ".join(word)


def _word(r: random.Random, size: int) -> str:
    """Something one can read, of consonants and vowels in turn."""
    return "".join(r.choice("bcdfghklmnprstvwz" if i % 2 == 0 else "aeiou") for i in range(size))


def _shifted(word: str, by: int) -> str:
    return "".join(_ALPHABET[(_ALPHABET.index(c) + by) % 26] for c in word)


def _letter_step(r: random.Random, word: str) -> Step:
    k, by = r.randrange(1, 4), r.randrange(1, 4)
    old, new = r.choice(word), r.choice(_ALPHABET)
    ahead = f"shift every letter {by} {'place' if by == 1 else 'places'} forward in the alphabet (after z comes a)"
    back = f"shift every letter {by} {'place' if by == 1 else 'places'} back in the alphabet (before a comes z)"
    first = "the first letter" if k == 1 else f"the first {k} letters"
    return r.choice(
        (
            ("reverse the string", "s = s[::-1]", lambda s: s[::-1]),
            (ahead, "", lambda s: _shifted(s, by)),
            (back, "", lambda s: _shifted(s, -by)),
            (f"replace every '{old}' by '{new}'", f"s = s.replace('{old}', '{new}')", lambda s: s.replace(old, new)),
            ("keep every second letter, beginning with the first", "s = s[::2]", lambda s: s[::2]),
            ("remove all vowels (a, e, i, o, u)", "", lambda s: "".join(c for c in s if c not in "aeiou")),
            (f"move {first} to the end", f"s = s[{k}:] + s[:{k}]", lambda s: s[k:] + s[:k]),
            ("write every letter twice", "", lambda s: "".join(c + c for c in s)),
            ("swap the first and the last letter", "s = s[-1] + s[1:-1] + s[0]", lambda s: s[-1] + s[1:-1] + s[0]),
            (f"remove {first}", f"s = s[{k}:]", lambda s: s[k:]),
            (f"add '{new}' at the end", f"s = s + '{new}'", lambda s: s + new),
            (f"add '{new}' at the beginning", f"s = '{new}' + s", lambda s: new + s),
            ("sort the letters alphabetically", "", lambda s: "".join(sorted(s))),
            ("append the reverse of the string to it", "s = s + s[::-1]", lambda s: s + s[::-1]),
        )
    )


def make_string_program(r: random.Random, level: int) -> Problem:
    """One, two or four steps on a word; told in English, or as Python."""
    while True:
        python = r.random() < 0.4
        word = _word(r, r.randrange(4, 6) if level == 1 else r.randrange(5, 8))
        steps: list[Step] = []
        states = [word]
        while len(steps) < (1, 2, 4)[level - 1]:
            step = _letter_step(r, states[-1])
            if python and not step[1]:
                continue
            steps.append(step)
            states.append(step[2](states[-1]))
            if not 2 <= len(states[-1]) <= 14 or states[-1] == states[-2]:
                break
        else:
            break
    lines = [f"Letters: {spelled(word)}"]
    for i, (step, old, new) in enumerate(zip(steps, states, states[1:], strict=False), 1):
        if step[0].startswith("shift"):
            lines.append(", ".join(f"{a} -> {b}" for a, b in zip(old, new, strict=True)))
        lines.append(f"Step {i}: {spelled(new)}")
    answer = states[-1]
    question = _python_question(r, f"s = '{word}'", [s[1] for s in steps], "s") if python else _english_question(r, word, steps)
    solution = "\n".join([*lines, f"Answer: {answer}"])
    return Problem("", question, answer, "code", "text", {"case": True, "accept": [spelled(answer)]}, solution)


def _english_question(r: random.Random, word: str, steps: Sequence[Step]) -> str:
    opening = r.choice(
        (f"Start with the string '{word}'.", f"Take the string '{word}'.", f"A program gets the string '{word}'.")
    )
    closing = r.choice(("Which string is the result?", "What is the string at the end?", "What string comes out?"))
    texts = [s[0] for s in steps]
    if r.random() < 0.5:
        listed = "\n".join(f"{i}. {t[0].upper()}{t[1:]}." for i, t in enumerate(texts, 1))
        return f"{opening} Do this in order:\n{listed}\n{closing}"
    return f"{opening} First, {'; then, '.join(texts)}. {closing}"


def _python_question(r: random.Random, start: str, lines: Sequence[str], name: str) -> str:
    code = "\n".join([start, *lines])
    return r.choice(
        (
            f"What is {name} after this Python program?\n\n{code}",
            f"{code}\n\nWhich value does {name} have at the end of this program?",
            f"Run this Python code in your head.\n\n{code}\n\nWhat is {name} now?",
            f"Consider the program\n\n{code}\n\nand give the final value of {name}.",
        )
    )


def _list_step(r: random.Random, v: str, items: Sequence[int]) -> Step:
    k, n, at = r.randrange(1, 20), r.randrange(2, 5), r.randrange(0, max(1, len(items)))
    bound = r.choice(list(items))
    rest = r.randrange(2)
    return r.choice(
        (
            ("", f"{v}.append({k})", lambda x: [*x, k]),
            ("", f"{v}.insert({at}, {k})", lambda x: [*x[:at], k, *x[at:]]),
            ("", f"{v}.reverse()", lambda x: x[::-1]),
            ("", f"{v}.sort()", sorted),
            ("", f"{v}.sort(reverse=True)", lambda x: sorted(x)[::-1]),
            ("", f"{v}.pop(0)", lambda x: x[1:]),
            ("", f"{v}.pop()", lambda x: x[:-1]),
            ("", f"{v} = [x * {n} for x in {v}]", lambda x: [n * i for i in x]),
            ("", f"{v} = [x + {k} for x in {v}]", lambda x: [i + k for i in x]),
            ("", f"{v} = [x - {k} for x in {v}]", lambda x: [i - k for i in x]),
            ("", f"{v} = [x for x in {v} if x > {bound}]", lambda x: [i for i in x if i > bound]),
            ("", f"{v} = [x for x in {v} if x < {bound}]", lambda x: [i for i in x if i < bound]),
            ("", f"{v} = [x for x in {v} if x % 2 == {rest}]", lambda x: [i for i in x if i % 2 == rest]),
            ("", f"{v} = {v}[::2]", lambda x: x[::2]),
            ("", f"{v} = {v}[1:] + {v}[:1]", lambda x: x[1:] + x[:1]),
            ("", f"{v} = {v} + [{k}, {bound}]", lambda x: [*x, k, bound]),
            ("", f"{v}.append(len({v}))", lambda x: [*x, len(x)]),
            ("", f"{v}.append(sum({v}))", lambda x: [*x, sum(x)]),
            ("", f"{v}.append({v}[0] + {v}[-1])", lambda x: [*x, x[0] + x[-1]]),
            ("", f"{v}.append(max({v}))", lambda x: [*x, max(x)]),
        )
    )


def make_list_program(r: random.Random, level: int) -> Problem:
    """Two, four or six statements that change a list."""
    v = r.choice("xs data items nums values row".split())
    while True:
        states = [[r.randrange(1, 20) for _ in range(r.randrange(3, 5) + (level > 1))]]
        code: list[str] = []
        while len(code) < 2 * level:
            _, line, does = _list_step(r, v, states[-1])
            code.append(line)
            states.append(does(states[-1]))
            if not 2 <= len(states[-1]) <= 8 or states[-1] == states[-2] or max(map(abs, states[-1])) > 500:
                break
        else:
            break
    lines = [f"Start: {states[0]}", *(f"Step {i}: {s}" for i, s in enumerate(states[1:], 1)), f"Answer: {states[-1]}"]
    question = _python_question(r, f"{v} = {states[0]}", code, v)
    return Problem("", question, str(states[-1]), "code", "literal", {}, "\n".join(lines))


_ENCODE = (
    "Run-length encoding writes each run of equal letters as its length and the letter: 'aab' becomes '2a1b'. Encode '{}'.",
    "Compress '{}': write for every run of one letter how long it is, then the letter, so that 'xxxy' gives '3x1y'.",
    "What is the run-length encoding of '{}'? Each run is written as count and letter, as in '1k4m' for 'kmmmm'.",
)
_DECODE = (
    "Run-length encoding writes each run of equal letters as its length and the letter: 'aab' becomes '2a1b'. Decode '{}'.",
    "The string '{}' is run-length encoded: a number says how often the letter after it stands there. Write the string "
    "in full.",
    "Which string has the run-length encoding '{}'? Each number says how often the next letter is repeated.",
)
_EXPAND = (
    "In 'n[...]', the part in brackets is repeated n times: '2[ab]' means 'abab'. Write '{}' in full.",
    "A number before brackets repeats what they hold, so '3[x]y' is 'xxxy'. Expand '{}'.",
    "Decode '{}', where k[text] stands for k copies of text one after the other.",
)


def make_run_length(r: random.Random, level: int) -> Problem:
    """Runs to numbers or back; at the highest level brackets with a count, nested."""
    if level == 3:
        return _expanded(r)
    runs: list[tuple[int, str]] = []
    for _ in range(3 if level == 1 else r.randrange(5, 7)):
        runs.append((r.randrange(1, 5), r.choice([c for c in _ALPHABET if not runs or c != runs[-1][1]])))
    full, short = "".join(n * c for n, c in runs), "".join(f"{n}{c}" for n, c in runs)
    if r.random() < 0.5:
        lines = [f"Letters: {spelled(full)}", *(f"{spelled(n * c)}: {n} {c}" for n, c in runs)]
        question, answer = r.choice(_ENCODE).format(full), short
    else:
        lines = [f"Signs: {spelled(short)}", *(f"{n} {c}: {spelled(n * c)}" for n, c in runs), f"Together: {spelled(full)}"]
        question, answer = r.choice(_DECODE).format(short), full
    meta = {"case": True, "accept": [spelled(answer)]}
    return Problem("", question, answer, "code", "text", meta, "\n".join([*lines, f"Answer: {answer}"]))


def _expanded(r: random.Random) -> Problem:
    def letters(most: int) -> str:
        return "".join(r.choice(_ALPHABET) for _ in range(r.randrange(1, most + 1)))

    inner = f"{letters(1)}{r.randrange(2, 4)}[{letters(2)}]"
    outer = f"{letters(1)}{r.randrange(2, 4)}[{letters(1) if r.random() < 0.5 else ''}{inner}]{letters(1)}"
    text = f"{r.randrange(2, 4)}[{letters(2)}]{outer}" if r.random() < 0.5 else outer
    lines = [f"Signs: {spelled(text)}"]
    now = text
    while "[" in now:
        close = now.index("]")
        start = now.rindex("[", 0, close)
        held = now[start + 1 : close]
        lines.append(f"{now[start - 1]} times {spelled(held)}: {spelled(int(now[start - 1]) * held)}")
        now = now[: start - 1] + int(now[start - 1]) * held + now[close + 1 :]
        lines.append(f"Now: {spelled(now)}")
    question = r.choice(_EXPAND).format(text)
    return Problem(
        "", question, now, "code", "text", {"case": True, "accept": [spelled(now)]}, "\n".join([*lines, f"Answer: {now}"])
    )


_DEPTHS = (
    "The depth at a character is the number of brackets that are open after it. List the depths after each character of {}.",
    "Go through {} character by character and write down how many brackets are open after each one.",
    "For every character of {}, how many brackets are open once it has been read?",
)
_MATCHES = (
    "For each opening bracket in {}, find the position of the bracket that closes it; the first character has position 0.",
    "Counting positions from 0, which closing bracket belongs to which opening one in {}?",
    "Match the brackets of {}. The first character is at position 0.",
)


def make_brackets(r: random.Random, level: int) -> Problem:
    """How deep each character stands; at the highest level which bracket closes which."""
    kinds = ("()",) if level == 1 else ("()", "[]", "{}")
    pairs, letters = ((3, 4), (r.randrange(4, 6), 3), (5, 3))[level - 1]
    left, text = pairs, ""
    opened: list[str] = []
    filler = [r.choice(_ALPHABET) for _ in range(letters)]
    while left or opened or filler:
        moves = ["open"] * (2 * bool(left)) + ["close"] * (1 + (not left) if opened else 0) + ["letter"] * len(filler)
        move = r.choice(moves)
        if move == "letter":
            text += filler.pop()
        elif move == "open":
            opened.append(r.choice(kinds))
            text, left = text + opened[-1][0], left - 1
        else:
            text += opened.pop()[1]
    if level == 3:
        return _matched(r, text)
    depth, depths, lines = 0, [], []
    for c in text:
        depth += (c in "([{") - (c in ")]}")
        depths.append(depth)
        lines.append(f"{c}: {depth}")
    question = f"{r.choice(_DEPTHS).format(repr(text))} Give a Python list of numbers."
    return Problem("", question, str(depths), "code", "literal", {}, "\n".join([*lines, f"Answer: {depths}"]))


def _matched(r: random.Random, text: str) -> Problem:
    stack: list[int] = []
    closing: dict[int, int] = {}
    lines = []
    for i, c in enumerate(text):
        if c in "([{":
            stack.append(i)
            lines.append(f"{i} {c} opens: {stack}")
        elif c in ")]}":
            closing[stack.pop()] = i
            lines.append(f"{i} {c} closes {list(closing)[-1]}: {stack}")
    answer = str({i: closing[i] for i in sorted(closing)})
    question = f"{r.choice(_MATCHES).format(repr(text))} Give a Python dict from opening to closing positions."
    return Problem("", question, answer, "code", "literal", {}, "\n".join([*lines, f"Answer: {answer}"]))


def make_word_count(r: random.Random, level: int) -> Problem:
    """How often each word is there; each word of some length; which words have which length."""
    distinct = r.sample(_WORDS, (3, 4, 6)[level - 1])
    words = distinct + r.choices(distinct, k=(2, 5, 2)[level - 1])
    r.shuffle(words)
    text = " ".join(words)
    lines: list[str] = []
    found: dict[Any, Any] = {}
    if level == 1:
        asked = r.choice(("Count how often each word is in the text", "How many times does every word appear in the text"))
        for word in words:
            found[word] = found.get(word, 0) + 1
            lines.append(f"{word}: {found[word]}")
    elif level == 2:
        size = r.choice(sorted({len(w) for w in distinct}))
        asked = f"Count how often each word with {r.choice(('at least', 'exactly'))} {size} letters is in the text"
        for word in words:
            counts = len(word) == size if "exactly" in asked else len(word) >= size
            found |= {word: found.get(word, 0) + 1} if counts else {}
            lines.append(f"{spelled(word)}: {len(word)} letters, {f'{word} {found[word]}' if counts else 'no'}")
    else:
        asked = "Group the different words of the text by their number of letters, each group in the order of the text"
        for word in words:
            group = found.setdefault(len(word), [])
            if word not in group:
                group.append(word)
            lines.append(f"{spelled(word)}: {len(word)}: {' '.join(group)}")
    form = "number to list of words" if level == 3 else "word to number"
    question = r.choice(
        (f"{asked}: '{text}'. Give a Python dict, {form}.", f"Text: '{text}'. {asked}. Answer with a Python dict, {form}.")
    )
    return Problem("", question, str(found), "code", "literal", {}, "\n".join([*lines, f"Answer: {found}"]))
