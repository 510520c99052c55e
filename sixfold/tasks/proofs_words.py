"""Proofs of word problems: a reading of every story of its own, with its answer as one formula.

Place: `math_families.py` hands them on. A reading is the story as a pattern, the formula of its answer, and what the lines of
the solution may say. Numbers that stand outside the story are found by sentences that are known to add nothing. Nothing of
the generator is used.
"""

from __future__ import annotations

import re
from fractions import Fraction

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, Steps, must, proof
from sixfold.tasks.proofs_written import take_work, value

_KINDS = {
    "N": "[A-Z][a-z]+",
    "M": "[A-Z][a-z]+",
    "O": "[A-Z][a-z]+",
    "i": "[a-z]+",
    "t": "[a-z]+",
    "x": "[a-z]+",
    "p": "[a-z]+",
}
"""People N, M and O; i and t are things, x is what holds them, p is a place. All other letters are numbers."""

READINGS: tuple[tuple[str, str, str], ...] = (
    ("<N> has <a> <i> and finds <b> more. How many <i> does <N> have now?", "a + b", "All: a + b"),
    ("<N> had <a> <i> and gave <b> of them to <M>. How many <i> are left?", "a - b", "Left: a - b"),
    ("There are <a> <x> with <b> <i> in each. How many <i> are there?", "b * a", "All: a * b"),
    ("<N> shares <a> <i> equally among <b> children. How many <i> does each child get?", "a / b", "Each: a / b"),
    ("<N> has <a> <i>. <M> has <b> <i> more than <N>. How many <i> does <M> have?", "a + b", "<M>: a + b"),
    ("<N> wants <a> <i> and already has <b>. How many <i> are missing?", "a - b", "Missing: a - b"),
    ("<N> walks to the <p> and back. One way is <a> steps. How many steps is that in all?", "2 * a", "Both ways: a + a"),
    ("<N> puts <a> <i> into <x>, <b> in each. How many <x> are full?", "a / b", "Full: a / b"),
    ("<N> has <a> <x> with <b> <i> in each, and <c> single <i>. How many <i> does <N> have?", "a * b + c",
     "In <x>: a * b; All: r1 + c"),
    ("<N> buys <a> <i> for <b> dollars each and pays with <c> dollars. How many dollars come back?", "c - a * b",
     "Price: a * b; Back: c - r1"),
    ("<N> has <a> <i>. <M> has <b> <i> less. How many <i> do they have together?", "2 * a - b", "<M>: a - b; Together: a + r1"),
    ("<N> had <a> <i>, lost <b> and then got <c>. How many <i> does <N> have now?", "a + c - b",
     "After losing: a - b; Now: r1 + c"),
    ("<N> has <a> <i> and <M> has <b> times as many. How many <i> do they have together?", "a * (b + 1)",
     "<M>: a * b; Together: a + r1"),
    ("<N> picks <a> <i> in the morning and <b> in the afternoon, and puts them into <x>, <c> in each. How many full <x> are "
     "there, if none remain over?", "(a + b) / c", "Picked: a + b; Full: r1 / c"),
    ("The <p> has <a> rows of <b> chairs. <c> people sit down, each on a chair. How many chairs are free?", "a * b - c",
     "Chairs: a * b; Free: r1 - c"),
    ("<N> reads <a> pages a day for <b> days. The book has <c> pages. How many pages are left?", "c - a * b",
     "Read: a * b; Left: c - r1"),
    ("<N> buys <a> <i> for <b> dollars each and <c> <t> for <d> dollars each. How many dollars is that in all?",
     "a * b + c * d",
     "For <i>: a * b; For <t>: c * d; All: r1 + r2"),
    ("<N> sells <a> <x> with <b> <i> each for <c> dollars an item, and had paid <d> dollars for all. How many dollars does <N> "
     "gain?", "a * b * c - d", "Items: a * b; Income: r1 * c; Gain: r2 - d"),
    ("<N> has <a> <i>. <M> has <b> times as many. <M> gives away <c>. How many <i> do they have together now?", "a + a * b - c",
     "<M> first: a * b; <M> now: r1 - c; Together: a + r2"),
    ("A bus leaves the <p> with <a> people. At the first stop <b> get off and <c> get on, at the second <d> get on. How many "
     "people are on the bus now?", "a + c + d - b", "After getting off: a - b; First stop: r1 + c; Now: r2 + d"),
    ("<N> earns <a> dollars an hour and works <b> hours a day for <c> days. <N> spends <d> dollars. How many dollars are left?",
     "a * b * c - d", "A day: a * b; Earned: r1 * c; Left: r2 - d"),
    ("<N> needs <a> <i> for each of <b> guests and has <c>. The <i> come in <x> of <d>. How many <x> must <N> buy?",
     "(a * b - c) / d", "Needed: a * b; Missing: r1 - c; <x>: r2 / d"),
    ("Three friends, <N>, <M> and <O>, collect <i>. <N> has <a>, <M> has <b> more than <N>, and <O> has <c> less than <M>. How "
     "many <i> does <O> have, if <O> then finds <d>?", "a + b + d - c", "<M>: a + b; <O> first: r1 - c; <O> now: r2 + d"),
    ("<N> buys <a> <i> for <b> dollars each and <c> <t> for <d> dollars each, and pays with <e> dollars. How many dollars come "
     "back?", "e - a * b - c * d", "For <i>: a * b; For <t>: c * d; All: r1 + r2; Back: e - r3"),
    ("A farm fills <a> <x> with <b> <i> each every day for <c> days. <d> <i> are bad and thrown away, and the <p> takes <e> of "
     "the rest. How many <i> remain?", "a * b * c - d - e", "A day: a * b; All days: r1 * c; Good: r2 - d; Left: r3 - e"),
    ("<N> has <a> <i>, <M> has <b> times as many, and <O> has <c> less than <M>. They put all into one box and add <d>. How "
     "many "
     "<i> are in the box?", "a + 2 * a * b - c + d",
     "<M>: a * b; <O>: r1 - c; <N> and <M>: a + r1; All three: r3 + r2; In the box: r4 + d"),
    ("<N> saves <a> dollars a week for <b> weeks and gets <c> dollars as a gift. <N> spends <d> dollars on <i> and <e> dollars "
     "on <t>. How many dollars are left?", "a * b + c - d - e", "Saved: a * b; With the gift: r1 + c; After <i>: r2 - d; Left: "
     "r3 - e"),
    ("The <p> has <a> rows of <b> seats and a balcony with <c> seats. <d> seats are broken, and <e> tickets are sold. How many "
     "good seats are free?", "a * b + c - d - e",
     "In rows: a * b; All seats: r1 + c; Good seats: r2 - d; Free: r3 - e"),
)  # fmt: skip

_BESIDE = (
    r"[A-Z][a-z]+ is (\d+) years old\.", r"The [a-z]+ is (\d+) years old\.", r"It is (\d+) degrees outside\.",
    r"[A-Z][a-z]+ lives (\d+) minutes away\.", r"The [a-z]+ has (\d+) windows\.", r"[A-Z][a-z]+ also owns (\d+) socks\.",
    r"(\d+) people watch\.", r"There are (\d+) trees near the [a-z]+\.", r"[A-Z][a-z]+ got up (\d+) minutes ago\.",
    r"The bus to the [a-z]+ takes (\d+) minutes\.",
)  # fmt: skip


def _pattern(reading: str) -> str:
    """A regular expression in which every place is a group, and one that comes again must be the same."""
    seen: set[str] = set()
    pattern = ""
    for part in re.split(r"(<\w>)", reading):
        name = part[1:-1] if part.startswith("<") else ""
        if not name:
            pattern += re.escape(part)
            continue
        pattern += f"(?P={name})" if name in seen else f"(?P<{name}>{_KINDS.get(name, '[0-9]+')})"
        seen.add(name)
    return pattern


def read_story(question: str) -> tuple[int, dict[str, str], list[int]]:
    """Which reading a question has, what stands in its places, and the numbers that are beside the story."""
    story, beside = question, []
    for sentence in _BESIDE:
        beside += [int(m[1]) for m in re.finditer(sentence, story)]
        story = re.sub(rf"(?:^{sentence} | {sentence})", "", story)
    found = [(i, m.groupdict()) for i, r in enumerate(READINGS) if (m := re.fullmatch(_pattern(r[0]), story))]
    must(len(found) == 1, f"{len(found)} readings of {story!r}")
    return *found[0], beside


def _words(problem: Problem, steps: Steps) -> None:
    index, groups, beside = read_story(problem.question)
    _, formula, lines = READINGS[index]
    people = [groups[k] for k in "NMO" if k in groups]
    must(len(set(people)) == len(people) and groups.get("i") != groups.get("t", ""), "one name for two")
    known = {name: Fraction(text) for name, text in groups.items() if text.isdigit()}
    right = value(re.sub(r"[a-e]", lambda m: str(known[m[0]]), formula))
    must(right.denominator == 1 and right >= 0 and problem.answer == str(right), f"the answer is {right}")
    if beside:
        m = steps.take(r"Not needed: (\d+)(?: and (\d+))?\.")
        must([int(g) for g in m.groups() if g] == sorted(beside), "other numbers are not needed")
    last = Fraction(0)
    for i, line in enumerate(lines.split("; "), 1):
        label, _, operation = line.partition(": ")
        left, sign, by = operation.split(" ")
        for name, text in groups.items():
            label = label.replace(f"<{name}>", text)
        last = known[f"r{i}"] = take_work(steps, known[left], sign, known[by], label)
    if last != right:
        raise Fault(f"the lines end with {last}")


prove_words = proof(_words)
