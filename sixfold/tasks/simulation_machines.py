"""Machines and ledgers that are followed step by step: robots, stacks and queues, registers, accounts, jugs, dice.

Place: `simulation_families.py` lists the six families; rows, grids and strings that change as a whole are in
`simulation_rows.py`. A worked solution says the whole state after every step.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sixfold.core import Problem

_FACINGS = ("north", "east", "south", "west")
_MOVES: Mapping[str, tuple[int, int]] = {"north": (0, 1), "east": (1, 0), "south": (0, -1), "west": (-1, 0)}
_PEOPLE = "Ana Ben Cleo Dan Eva Finn Gina Hugo Ida Jon Kira Leo Mona Nils Olga Paul Rita Sam Tess Uri Vera Will".split()


def state_problem(question: str, fields: Mapping[str, Any], lines: Sequence[str]) -> Problem:
    """A problem whose answer is the value of each field."""
    answer = ", ".join(f"{name}={value}" for name, value in fields.items())
    return Problem(
        "", question, answer, "simulation", "state", {"fields": dict(fields)}, "\n".join([*lines, f"Answer: {answer}"])
    )


def make_robot(r: random.Random, level: int) -> Problem:
    """Moves and turns on a grid; at the highest level with edges that stop it."""
    size = r.randrange(5, 9)
    x, y, facing = r.randrange(0, size), r.randrange(0, size), r.choice(_FACINGS)
    edges = level == 3
    opening = r.choice(
        (
            f"A robot stands at ({x}, {y}) and faces {facing}. x grows to the east, y to the north.",
            f"On a grid, x counts to the east and y to the north. A robot begins at ({x}, {y}), looking {facing}.",
            f"A robot is at x={x}, y={y}, facing {facing}; east means larger x and north larger y.",
        )
    )
    if edges:
        opening += f" Both x and y stay between 0 and {size}: at an edge the robot stops, whatever is left of the move."
    lines, commands, turned = [f"Start: ({x}, {y}) {facing}"], [], True
    for _ in range((3, 7, 10)[level - 1] + r.randrange(2)):
        if turned and r.random() < 0.85:
            steps, back = r.randrange(1, 4 + level), r.random() < 0.2
            dx, dy = _MOVES[facing]
            by = -steps if back else steps
            x, y = x + by * dx, y + by * dy
            if edges:
                x, y = min(max(x, 0), size), min(max(y, 0), size)
            commands.append(f"move {'back' if back else 'forward'} {steps}")
        else:
            turn, by = r.choice((("left", 3), ("right", 1), ("around", 2), ("left", 3), ("right", 1)))
            facing = _FACINGS[(_FACINGS.index(facing) + by) % 4]
            commands.append(f"turn {turn}")
        turned = commands[-1].startswith("turn")
        lines.append(f"{commands[-1]}: ({x}, {y}) {facing}")
    asked = r.choice(
        ("Where is it then, and which way does it face?", "Give its final position and direction.", "Where does it end?")
    )
    question = f"{opening} It carries out: {', '.join(commands)}. {asked} Answer like x=1, y=2, facing=east."
    return state_problem(question, {"x": x, "y": y, "facing": facing}, lines)


def make_stack_queue(r: random.Random, level: int) -> Problem:
    """What a stack or a queue holds at the end; at the highest level both, with moves between them."""
    while True:
        kind = r.choice(("stack", "queue")) if level < 3 else "both"
        held: dict[str, list[int]] = {"stack": [], "queue": []}
        operations, lines = [], []
        for _ in range((6, 10, 11)[level - 1]):
            operation = _operation(r, held, kind)
            operations.append(operation)
            shown = f"stack {held['stack']}, queue {held['queue']}" if kind == "both" else str(held[kind])
            lines.append(f"{operation}: {shown}")
        asked = r.choice(("stack", "queue")) if kind == "both" else kind
        taken = sum(not o.split()[-1].isdigit() for o in operations)
        if len(held[asked]) >= 2 and taken >= level + 1:
            break
    what = "a stack and a queue" if kind == "both" else f"a {kind}"
    order = "from bottom to top" if asked == "stack" else "from front to back"
    opening = r.choice(
        (
            f"You have {what}, empty at first.",
            f"A program uses {what}, empty in the beginning.",
            f"Begin with {what} and nothing in it.",
        )
    )
    if kind == "both":
        opening += " 'shift' moves the top of the stack to the back of the queue; "
        opening += "'return' moves the front of the queue to the top of the stack."
    done = r.choice(("Operations", "It does this", "In order"))
    question = f"{opening} {done}: {', '.join(operations)}. What does the {asked} hold at the end? Give a list {order}."
    answer = str(held[asked])
    return Problem("", question, answer, "simulation", "literal", {}, "\n".join([*lines, f"Answer: {answer}"]))


def _operation(r: random.Random, held: dict[str, list[int]], kind: str) -> str:
    """One operation, done to what is held."""
    where = kind if kind != "both" else r.choice(("stack", "queue"))
    values = held[where]
    if kind == "both" and values and r.random() < 0.4:
        if where == "stack":
            held["queue"].append(values.pop())
            return "shift"
        held["stack"].append(values.pop(0))
        return "return"
    if values and r.random() < 0.4:
        values.pop(-1 if where == "stack" else 0)
        return "pop" if where == "stack" else "dequeue"
    values.append(value := r.randrange(1, 50))
    return f"{'push' if where == 'stack' else 'enqueue'} {value}"


Registers = dict[str, int]


def _instruction(r: random.Random, names: Sequence[str], level: int) -> tuple[str, Callable[[Registers], Any]]:
    """An instruction in words, and what it does."""
    one, two = r.sample(list(names), 2)
    k = r.randrange(1, 10)
    plain: list[tuple[str, Callable[[Registers], Any]]] = [
        (f"set {one} to {k}", lambda s: s.update({one: k})),
        (f"add {k} to {one}", lambda s: s.update({one: s[one] + k})),
        (f"subtract {k} from {one}", lambda s: s.update({one: s[one] - k})),
        (f"add {two} to {one}", lambda s: s.update({one: s[one] + s[two]})),
        (f"subtract {two} from {one}", lambda s: s.update({one: s[one] - s[two]})),
        (f"copy {one} to {two}", lambda s: s.update({two: s[one]})),
        (f"swap {one} and {two}", lambda s: s.update({one: s[two], two: s[one]})),
        (f"double {one}", lambda s: s.update({one: s[one] + s[one]})),
    ]
    guarded: list[tuple[str, Callable[[Registers], Any]]] = [
        (f"if {one} is larger than {two}, subtract {k} from {one}", lambda s: s.update({one: s[one] - k * (s[one] > s[two])})),
        (f"if {one} is even, add {k} to {two}", lambda s: s.update({two: s[two] + k * (s[one] % 2 == 0)})),
        (f"if {one} is odd, double {two}", lambda s: s.update({two: s[two] * (1 + s[one] % 2)})),
    ]
    return r.choice(guarded if level > 1 and r.random() < 0.35 else plain)


def make_registers(r: random.Random, level: int) -> Problem:
    """Instructions on registers: straight, with conditions, with a jump back that makes a loop."""
    names = r.choice(("A B", "X Y", "P Q") if level == 1 else ("A B C", "X Y Z", "P Q R")).split()
    while True:
        state = {n: r.randrange(1, 15) for n in names}
        start = dict(state)
        program = [_instruction(r, names, level) for _ in range((4, 7, 2)[level - 1])]
        texts = [t for t, _ in program]
        order = list(range(len(program)))
        if level == 3:
            program, texts, order, start = _with_loop(r, names, start)
            state = dict(start)
        lines = []
        for i in order:
            program[i][1](state)
            lines.append(f"{i + 1}: {_registers(state)}")
            if texts[i].startswith("if") and "go to" in texts[i]:
                lines[-1] += ", go to 1" if state[names[-1]] > 0 else ", go on"
        lively = level < 3 or len({tuple(re.findall(r"=(-?\d+) ", line)) for line in lines}) > 4
        if max(map(abs, state.values())) < 500 and state != start and len(set(texts)) == len(texts) and lively:
            break
    given = r.choice(("Registers", "A machine has the registers", "The registers hold"))
    numbered = "\n".join(f"{i}. {t}" for i, t in enumerate(texts, 1))
    asked = r.choice(
        ("What do the registers hold at the end?", "Give the final values.", "What is the state after the program?")
    )
    question = f"{given} {', '.join(f'{n}={v}' for n, v in start.items())}. The program is:\n{numbered}\n{asked}"
    return state_problem(f"{question} Answer like {', '.join(f'{n}=1' for n in names)}.", state, lines)


_Program = list[tuple[str, Callable[[Registers], Any]]]


def _with_loop(r: random.Random, names: Sequence[str], start: Registers) -> tuple[_Program, list[str], list[int], Registers]:
    """Two instructions that are repeated while the last register counts down, and one after them."""
    *used, counter = names
    times = r.randrange(2, 5)
    body = [_instruction(r, used, 2) for _ in range(2)]
    down = (f"subtract 1 from {counter}", lambda s: s.update({counter: s[counter] - 1}))
    jump = (f"if {counter} is larger than 0, go to 1", lambda s: None)
    after = _instruction(r, used, 2)
    program = [*body, down, jump, after]
    return program, [t for t, _ in program], [*[0, 1, 2, 3] * times, 4], {**start, counter: times}


def _registers(state: Registers) -> str:
    return " ".join(f"{n}={v}" for n, v in state.items())


def make_ledger(r: random.Random, level: int) -> Problem:
    """Balances after payments; at the highest level what is too much is refused."""
    people = r.sample(_PEOPLE, level + 1)
    unit = r.choice(("coins", "dollars", "points", "tokens"))
    money = {p: r.randrange(10, 100) if level < 3 else r.randrange(10, 50) for p in people}
    opening = f"{', '.join(f'{p} has {v}' for p, v in money.items())} {unit}."
    if level == 3:
        opening += r.choice(
            (
                " Nobody can pay more than they have: such an event does not happen.",
                " An event that would put someone below 0 is left out.",
            )
        )
    events, lines = [], []
    for _ in range((3, 6, 9)[level - 1]):
        one, two = r.sample(people, 2)
        kind = r.choice(("gives", "earns", "spends", "gives") if level == 1 else ("gives", "earns", "spends", "gives", "half"))
        amount = r.randrange(1, max(2, min(money.values()) + 1) if level < 3 else 40)
        if level < 3 and amount > money[one]:
            kind = "earns"
        if kind == "half" and money[one] % 2 == 0 and money[one] > 0:
            amount = money[one] // 2
            events.append(f"{one} gives half of what they have to {two}")
            lines.append(f"half of {money[one]} is {amount}")
        elif kind == "earns":
            events.append(f"{one} earns {amount}")
        elif kind == "spends":
            events.append(f"{one} spends {amount}")
        else:
            events.append(f"{one} gives {amount} to {two}")
        if kind != "earns" and amount > money[one]:
            lines.append(f"{one} has {money[one]}, less than {amount}: refused")
            continue
        signs = [(one, 1 if kind == "earns" else -1)] + [(two, 1)] * (" to " in events[-1])
        said = [f"{p} {money[p]} {'+' if s > 0 else '-'} {amount} = {money[p] + s * amount}" for p, s in signs]
        money.update({p: money[p] + s * amount for p, s in signs})
        lines.append(", ".join(said))
    asked = r.choice(
        ("How much does everyone have at the end?", "What are the final balances?", f"How many {unit} has each of them then?")
    )
    question = f"{opening} {'. '.join(events)}. {asked} Answer like {people[0]}=5, {people[1]}=7."
    return state_problem(question, money, lines)


def make_jugs(r: random.Random, level: int) -> Problem:
    """What is in each jug after filling, emptying and pouring."""
    names = "ABC"[: 2 if level < 3 else 3]
    holds = dict(zip(names, r.sample(range(3, 25), len(names)), strict=True))
    inside = {n: r.randrange(0, holds[n]) if r.random() < 0.6 else 0 for n in names}
    opening = ", ".join(f"jug {n} holds {v} litres" for n, v in holds.items())
    filled = ", ".join(f"{inside[n]} in {n}" for n in names)
    lines = [f"Start: {_registers(inside)}"]
    steps: list[str] = []
    while len(steps) < (3, 6, 9)[level - 1]:
        one, two = r.sample(names, 2)
        kind = r.choice(("fill", "empty", "pour", "pour", "pour"))
        before = dict(inside)
        fits = min(inside[one], holds[two] - inside[two])
        if kind == "pour":
            inside |= {one: inside[one] - fits, two: inside[two] + fits}
        else:
            inside[one] = holds[one] if kind == "fill" else 0
        last = len(steps) == (2, 5, 8)[level - 1]
        if inside == before or (last and not any(inside.values())) or (steps and steps[-1] == f"pour {two} into {one}"):
            inside = before
            continue
        steps.append(f"pour {one} into {two}" if kind == "pour" else f"{kind} {one}")
        lines.append(f"{steps[-1]}: {f'{fits} litres, ' if kind == 'pour' else ''}{_registers(inside)}")
    rule = r.choice(
        (
            "Pouring goes on until one jug is empty or the other full.",
            "One pours until the first is empty or the second is full.",
        )
    )
    asked = r.choice(("How many litres are in each jug at the end?", "What is in the jugs then?", "Give the final amounts."))
    question = (
        f"{opening[0].upper()}{opening[1:]}. At first there are litres: {filled}. {rule} Steps: {', '.join(steps)}. {asked} "
        f"Answer like {', '.join(f'{n}=1' for n in names)}."
    )
    return state_problem(question, inside, lines)


def make_die(r: random.Random, level: int) -> Problem:
    """Which faces a die shows after it has been rolled and turned."""
    axes = [r.choice(pair) for pair in r.sample([(1, 6), (2, 5), (3, 4)], 3)]
    top, north, east = axes
    opening = r.choice(
        (
            f"A die, whose opposite faces add up to 7, shows {top} on top, {north} to the north and {east} to the east.",
            f"A die lies on a table: {top} on top, {north} on its north side, {east} on its east side. Opposite faces "
            "add up to 7.",
            f"Opposite faces of a die have the sum 7. On top is {top}, facing north is {north}, facing east is {east}.",
        )
    )
    moves, lines = [], [f"Start: top={top} north={north} east={east}"]
    for _ in range((3, 5, 9)[level - 1] + r.randrange(2 if level > 1 else 1)):
        move = r.choice(
            [*(f"roll {f}" for f in _FACINGS)] * (1 if level == 1 else 2) + (["spin left", "spin right"] if level > 1 else [])
        )
        if move.startswith("spin"):
            north, east = (east, 7 - north) if move == "spin left" else (7 - east, north)
        elif move == "roll north":
            top, north = 7 - north, top
        elif move == "roll south":
            top, north = north, 7 - top
        elif move == "roll east":
            top, east = 7 - east, top
        else:
            top, east = east, 7 - top
        moves.append(move)
        lines.append(f"{move}: top={top} north={north} east={east}")
    if level > 1:
        opening += " To spin right means to turn it clockwise as seen from above, left the other way; the top stays."
    done = r.choice(("It moves like this", "Moves", "It is moved"))
    asked = r.choice(("What is on these three sides then?", "Which faces are there at the end?", "How does it lie at last?"))
    question = f"{opening} {done}: {', '.join(moves)}. {asked} Answer like top=1, north=2, east=3."
    return state_problem(question, {"top": top, "north": north, "east": east}, lines)
