"""Proofs of the families about what programs do: predicted, traced, or followed step by step.

Place: `code_families.py` names them; functions that are written or completed are in `proofs_functions.py`. Python is run in
`proofs_interpreter.py`; steps in English are read with patterns and done here on lists of letters.
"""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sixfold.core import Problem
from sixfold.tasks.proofs_interpreter import call_function, run_program
from sixfold.tasks.proofs_reading import Fault, find, must
from sixfold.tasks.proofs_recomputed import recomputed


def _whole(patterns: Sequence[str], text: str) -> re.Match[str]:
    """The match of the one pattern that is all of `text`."""
    found = [m for m in (re.fullmatch(p, text) for p in patterns) if m]
    must(len(found) == 1, f"{len(found)} readings of the question")
    return found[0]


def _output(problem: Problem) -> Iterator[str]:
    asked = _whole(
        (
            r"What does this Python program return for (?P<call>.+)\?\n\n(?P<code>[\s\S]+)",
            r"Consider this function:\n\n(?P<code>[\s\S]+)\n\nWhat is (?P<call>.+)\?",
            r"(?P<code>def [\s\S]+)\n\nWork out the value of (?P<call>.+)\.",
            r"Here is some Python code\.\n\n(?P<code>[\s\S]+)\n\nWhich value does (?P<call>.+) give\?",
        ),
        problem.question,
    )
    name, given = find(r"^(\w+)\((.+)\)$", asked["call"]).groups()
    parameters = find(rf"^def {name}\(([\w, ]+)\):", asked["code"])[1].split(", ")
    args = ast.literal_eval(f"[{given}]")
    yield ", ".join(f"{p} = {a!r}" for p, a in zip(parameters, args, strict=True))
    trace: list[str] = []
    result = call_function(asked["code"], name, args, trace)
    yield from trace
    yield f"Answer: {result!r}"


def _loop(problem: Problem) -> Iterator[str]:
    asked = _whole(
        (
            r"What is the value of (?P<name>\w+) after this Python program\?\n\n(?P<code>[\s\S]+)",
            r"This program runs to its end:\n\n(?P<code>[\s\S]+)\n\nWhat is the value of (?P<name>\w+) then\?",
            r"(?P<code>[\s\S]+)\n\nWhich value does (?P<name>\w+) have at the end\?",
            r"Trace this code\.\n\n(?P<code>[\s\S]+)\n\nWhat is the final value of (?P<name>\w+)\?",
        ),
        problem.question,
    )
    trace: list[str] = []
    names = run_program(asked["code"], {}, trace)
    yield from trace
    yield f"Answer: {names[asked['name']]!r}"


_PYTHON = (
    r"What is (?P<name>\w+) after this Python program\?\n\n(?P<code>[\s\S]+)",
    r"(?P<code>[\s\S]+)\n\nWhich value does (?P<name>\w+) have at the end of this program\?",
    r"Run this Python code in your head\.\n\n(?P<code>[\s\S]+)\n\nWhat is (?P<name>\w+) now\?",
    r"Consider the program\n\n(?P<code>[\s\S]+)\n\nand give the final value of (?P<name>\w+)\.",
)
_ENGLISH = (
    r"(?:Start with|Take|A program gets) the string '([a-z]+)'\. (.+?) (?:Which string is the result|What is the string at "
    r"the end|What string comes out)\?"
)


def _states(asked: re.Match[str]) -> list[Any]:
    """The values of the asked variable after each line of a program."""
    names: dict[str, Any] = {}
    states = []
    for line in asked["code"].split("\n"):
        run_program(line, names)
        held = names[asked["name"]]
        states.append(list(held) if isinstance(held, list) else held)
    return states


def _list_program(problem: Problem) -> Iterator[str]:
    states = _states(_whole(_PYTHON, problem.question))
    yield f"Start: {states[0]}"
    yield from (f"Step {i}: {state}" for i, state in enumerate(states[1:], 1))
    yield f"Answer: {states[-1]}"


def _number(text: str) -> int:
    return 1 if text == "the first letter" else int(find(r"\d+", text)[0])


def _moved(letters: Sequence[str], by: int) -> list[str]:
    return [chr((ord(c) - 97 + by) % 26 + 97) for c in letters]


_LETTERS: Sequence[tuple[str, Callable[[list[str], re.Match[str]], list[str]]]] = (
    (r"reverse the string", lambda s, m: list(reversed(s))),
    (r"shift every letter (\d+) places? forward in the alphabet \(after z comes a\)", lambda s, m: _moved(s, int(m[1]))),
    (r"shift every letter (\d+) places? back in the alphabet \(before a comes z\)", lambda s, m: _moved(s, 26 - int(m[1]))),
    (r"replace every '(.)' by '(.)'", lambda s, m: [m[2] if c == m[1] else c for c in s]),
    (r"keep every second letter, beginning with the first", lambda s, m: [c for i, c in enumerate(s) if i % 2 == 0]),
    (r"remove all vowels \(a, e, i, o, u\)", lambda s, m: [c for c in s if not re.match("[aeiou]", c)]),
    (r"move (the first.*? letters?) to the end", lambda s, m: s[_number(m[1]) :] + s[: _number(m[1])]),
    (r"write every letter twice", lambda s, m: [c for c in s for _ in "ab"]),
    (r"swap the first and the last letter", lambda s, m: [s[-1], *s[1:-1], s[0]]),
    (r"remove (the first.*? letters?)", lambda s, m: s[_number(m[1]) :]),
    (r"add '(.)' at the end", lambda s, m: [*s, m[1]]),
    (r"add '(.)' at the beginning", lambda s, m: [m[1], *s]),
    (r"sort the letters alphabetically", lambda s, m: sorted(s)),
    (r"append the reverse of the string to it", lambda s, m: s + s[::-1]),
)
"""Steps in English on a list of letters."""


def _string_program(problem: Problem) -> Iterator[str]:
    if english := re.fullmatch(_ENGLISH, problem.question.replace("\n", " ")):
        states, texts = [list(english[1])], _listed(english[2])
        for text in texts:
            done = [(does, m) for pattern, does in _LETTERS if (m := re.fullmatch(pattern, text))]
            must(len(done) == 1, f"{len(done)} readings of {text!r}")
            states.append(done[0][0](states[-1], done[0][1]))
    else:
        states = [list(s) for s in _states(_whole(_PYTHON, problem.question))]
        texts = [""] * (len(states) - 1)
    yield f"Letters: {' '.join(states[0])}"
    for i, text in enumerate(texts):
        if text.startswith("shift"):
            yield ", ".join(f"{a} -> {b}" for a, b in zip(states[i], states[i + 1], strict=True))
        yield f"Step {i + 1}: {' '.join(states[i + 1])}"
    must(problem.meta["case"] is True and problem.meta["accept"] == [" ".join(states[-1])], "meta has another answer")
    yield f"Answer: {''.join(states[-1])}"


def _listed(text: str) -> list[str]:
    """The steps of a numbered list or of a sentence."""
    if told := re.fullmatch(r"First, (.+)\.", text):
        return told[1].split("; then, ")
    told = re.fullmatch(r"Do this in order: (1\. .+)\.", text)
    must(told, "the steps are not understood")
    assert told is not None
    steps = re.split(r"(?:^|\. )(\d)\. ", told[1])[1:]
    must(steps[::2] == [str(i + 1) for i in range(len(steps) // 2)], "the steps are not numbered")
    return [s[0].lower() + s[1:] for s in steps[1::2]]


_CODED = (
    r"Run-length encoding writes each run of equal letters as its length and the letter: 'aab' becomes '2a1b'\. "
    r"(?P<way>Encode|Decode) '(?P<text>\w+)'\.",
    "Compress '(?P<text>[a-z]+)': write for every run of one letter how long it is, then the letter, so that 'xxxy' "
    r"gives '3x1y'\.",
    r"What is the run-length encoding of '(?P<text>[a-z]+)'\? Each run is written as count and letter, as in '1k4m' for "
    r"'kmmmm'\.",
    r"The string '(?P<text>\w+)' is run-length encoded: a number says how often the letter after it stands there\. "
    r"Write the string in full\.",
    r"Which string has the run-length encoding '(?P<text>\w+)'\? Each number says how often the next letter is repeated\.",
    r"In 'n\[\.\.\.\]', the part in brackets is repeated n times: '2\[ab\]' means 'abab'\. Write '(?P<text>[\w\[\]]+)' "
    r"in full\.",
    r"A number before brackets repeats what they hold, so '3\[x\]y' is 'xxxy'\. Expand '(?P<text>[\w\[\]]+)'\.",
    r"Decode '(?P<text>[\w\[\]]+)', where k\[text\] stands for k copies of text one after the other\.",
)


def _run_length(problem: Problem) -> Iterator[str]:
    asked = _whole(_CODED, problem.question)
    text, way = asked["text"], asked.groupdict().get("way")
    if "[" in text:
        yield from (lines := list(_copies(text)))
        result = lines[-1].removeprefix("Now: ").replace(" ", "")
    elif re.fullmatch("[a-z]+", text):
        must(way != "Decode", "nothing to decode")
        runs = [m[0] for m in re.finditer(r"(.)\1*", text)]
        yield f"Letters: {' '.join(text)}"
        yield from (f"{' '.join(run)}: {len(run)} {run[0]}" for run in runs)
        result = "".join(f"{len(run)}{run[0]}" for run in runs)
    else:
        must(way != "Encode" and re.fullmatch(r"(?:\d[a-z])+", text), "nothing to encode")
        pairs = [(text[i], text[i + 1]) for i in range(0, len(text), 2)]
        yield f"Signs: {' '.join(text)}"
        yield from (f"{n} {c}: {' '.join([c] * int(n))}" for n, c in pairs)
        result = "".join(c * int(n) for n, c in pairs)
        yield f"Together: {' '.join(result)}"
    must(problem.meta["case"] is True and problem.meta["accept"] == [" ".join(result)], "meta has another answer")
    yield f"Answer: {result}"


def _copies(text: str) -> Iterator[str]:
    """Expands the first innermost brackets until there are none."""
    yield f"Signs: {' '.join(text)}"
    while inner := re.search(r"(\d)\[([a-z]+)\]", text):
        many = inner[2] * int(inner[1])
        yield f"{inner[1]} times {' '.join(inner[2])}: {' '.join(many)}"
        text = text.replace(inner[0], many, 1)
        yield f"Now: {' '.join(text)}"


_DEPTHS = (
    r"The depth at a character is the number of brackets that are open after it\. List the depths after each character "
    r"of '(.+)'\.",
    r"Go through '(.+)' character by character and write down how many brackets are open after each one\.",
    r"For every character of '(.+)', how many brackets are open once it has been read\?",
)
_MATCHES = (
    "For each opening bracket in '(.+)', find the position of the bracket that closes it; the first character has "
    r"position 0\.",
    r"Counting positions from 0, which closing bracket belongs to which opening one in '(.+)'\?",
    r"Match the brackets of '(.+)'\. The first character is at position 0\.",
)


def _brackets(problem: Problem) -> Iterator[str]:
    if problem.question.endswith(depths := " Give a Python list of numbers."):
        text = _whole(_DEPTHS, problem.question.removesuffix(depths))[1]
        now = [len(re.findall(r"[(\[{]", text[: i + 1])) - len(re.findall(r"[)\]}]", text[: i + 1])) for i in range(len(text))]
        yield from (f"{c}: {depth}" for c, depth in zip(text, now, strict=True))
        yield f"Answer: {now}"
        return
    ending = " Give a Python dict from opening to closing positions."
    must(problem.question.endswith(ending), "the question has another form")
    text = _whole(_MATCHES, problem.question.removesuffix(ending))[1]
    partner = _partners(text)
    for i, c in enumerate(text):
        still = [start for start, end in sorted(partner.items()) if start <= i < end]
        if i in partner:
            yield f"{i} {c} opens: {still}"
        elif i in partner.values():
            yield f"{i} {c} closes {next(s for s, e in partner.items() if e == i)}: {still}"
    yield f"Answer: {dict(sorted(partner.items()))}"


def _partners(text: str) -> dict[int, int]:
    """Pairs of brackets, by blanking out the ones with nothing but letters between them, again and again."""
    found, left = {}, text
    while pair := re.search(r"\([^()\[\]{}]*\)|\[[^()\[\]{}]*\]|\{[^()\[\]{}]*\}", left):
        found[pair.start()] = pair.end() - 1
        left = left[: pair.start()] + "_" * len(pair[0]) + left[pair.end() :]
    must(not re.search(r"[()\[\]{}]", left), "a bracket has no partner")
    return found


_COUNTED: Mapping[str, str] = {
    "all": r"(?:Count how often each word is in the text|How many times does every word appear in the text)",
    "long": r"Count how often each word with (?P<how>at least|exactly) (?P<size>\d+) letters is in the text",
    "groups": r"Group the different words of the text by their number of letters, each group in the order of the text",
}


def _word_count(problem: Problem) -> Iterator[str]:
    for kind, asked in _COUNTED.items():
        form = "number to list of words" if kind == "groups" else "word to number"
        patterns = (
            rf"{asked}: '(?P<text>[a-z ]+)'\. Give a Python dict, {form}\.",
            rf"Text: '(?P<text>[a-z ]+)'\. {asked}\. Answer with a Python dict, {form}\.",
        )
        told = next((m for p in patterns if (m := re.fullmatch(p, problem.question))), None)
        if told is not None:
            yield from _counted(kind, told, told["text"].split(" "))
            return
    raise Fault("the question has another form")


def _counted(kind: str, told: re.Match[str], words: Sequence[str]) -> Iterator[str]:
    if kind == "groups":
        for i, word in enumerate(words):
            group = [w for w in dict.fromkeys(words[: i + 1]) if len(w) == len(word)]
            yield f"{' '.join(word)}: {len(word)}: {' '.join(group)}"
        sizes = dict.fromkeys(map(len, words))
        yield f"Answer: { {n: [w for w in dict.fromkeys(words) if len(w) == n] for n in sizes} }"
        return
    for i, word in enumerate(words):
        count = words[: i + 1].count(word)
        if kind == "all":
            yield f"{word}: {count}"
        else:
            yield f"{' '.join(word)}: {len(word)} letters, {f'{word} {count}' if _wanted(told, word) else 'no'}"
    yield f"Answer: {dict(Counter(w for w in words if kind == 'all' or _wanted(told, w)))}"


def _wanted(told: re.Match[str], word: str) -> bool:
    short = int(told["size"]) - len(word)
    return short == 0 or (short < 0 and told["how"] == "at least")


prove_output = recomputed(_output)
prove_loop = recomputed(_loop)
prove_string_program = recomputed(_string_program)
prove_list_program = recomputed(_list_program)
prove_run_length = recomputed(_run_length)
prove_brackets = recomputed(_brackets)
prove_word_count = recomputed(_word_count)
