"""Proofs of the families about machines and ledgers, which simulate what the question says.

Place: `simulation_families.py` names them; rows, grids and strings are in `proofs_rows.py`. Nothing is shared with the
generator: directions are complex numbers here, a die is its six faces, registers run as parsed instructions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, must
from sixfold.tasks.proofs_recomputed import recomputed


def _read(patterns: Sequence[str], text: str) -> re.Match[str]:
    """The match of the first pattern that is all of `text`."""
    for pattern in patterns:
        if found := re.fullmatch(pattern, text):
            return found
    raise Fault(f"not understood: {text[:100]!r}")


def _end(problem: Problem, fields: Mapping[str, Any]) -> str:
    """The last line, after meta has been compared with what was found."""
    must(problem.meta["fields"] == fields and list(problem.meta["fields"]) == list(fields), "meta has another state")
    return f"Answer: {', '.join(f'{k}={v}' for k, v in fields.items())}"


_COMPASS = {"east": 1 + 0j, "north": 1j, "west": -1 + 0j, "south": -1j}


def _robot(problem: Problem) -> Iterator[str]:
    where = r"(?P<x>\d+){0}(?P<y>\d+)"
    told = _read(
        [
            rf"{opening}(?P<edge>.*?) It carries out: (?P<commands>[a-z0-9, ]+)\. (?:Where is it then, and which way "
            r"does it face\?"
            r"|Give its final position and direction\.|Where does it end\?) Answer like x=1, y=2, facing=east\."
            for opening in (
                rf"A robot stands at \({where.format(', ')}\) and faces (?P<facing>\w+)\. x grows to the east, y to the "
                r"north\.",
                r"On a grid, x counts to the east and y to the north\. "
                rf"A robot begins at \({where.format(', ')}\), looking (?P<facing>\w+)\.",
                rf"A robot is at x={where.format(', y=')}, facing (?P<facing>\w+); east means larger x and north larger y\.",
            )
        ],
        problem.question,
    )
    most = None
    if told["edge"]:
        edge = r" Both x and y stay between 0 and (\d+): at an edge the robot stops, whatever is left of the move\."
        most = int(_read([edge], told["edge"])[1])
    at, ahead = complex(int(told["x"]), int(told["y"])), _COMPASS[told["facing"]]
    name = {v: k for k, v in _COMPASS.items()}
    yield f"Start: ({int(at.real)}, {int(at.imag)}) {name[ahead]}"
    for command in told["commands"].split(", "):
        move = _read([r"move (?P<way>forward|back) (?P<steps>\d+)", r"turn (?P<way>left|right|around)"], command)
        if move["way"] in ("forward", "back"):
            for _ in range(int(move["steps"])):
                then = at + (ahead if move["way"] == "forward" else -ahead)
                if most is None or (0 <= then.real <= most and 0 <= then.imag <= most):
                    at = then
        else:
            ahead *= {"left": 1j, "right": -1j, "around": -1}[move["way"]]
        ahead = complex(int(ahead.real), int(ahead.imag))
        yield f"{command}: ({int(at.real)}, {int(at.imag)}) {name[ahead]}"
    yield _end(problem, {"x": int(at.real), "y": int(at.imag), "facing": name[ahead]})


def _stack_queue(problem: Problem) -> Iterator[str]:
    told = _read(
        [
            r"(?:You have (?P<what>.+?), empty at first\.|A program uses (?P<what2>.+?), empty in the beginning\."
            r"|Begin with (?P<what3>.+?) and nothing in it\.)(?P<moves>.*) (?:Operations|It does this|In order): "
            r"(?P<done>[a-z0-9, ]+)\. "
            r"What does the (?P<asked>stack|queue) hold at the end\? Give a list from (?P<order>bottom to top|front to back)\."
        ],
        problem.question,
    )
    what, asked = told["what"] or told["what2"] or told["what3"], told["asked"]
    must(what in (f"a {asked}", "a stack and a queue"), "another thing is asked for")
    must((told["order"] == "bottom to top") == (asked == "stack"), "the order is of the other thing")
    both = what == "a stack and a queue"
    moves = (
        " 'shift' moves the top of the stack to the back of the queue; 'return' moves the front of the queue to the top of "
        "the stack."
    )
    must(told["moves"] == (moves if both else ""), "the moves are explained in another way")
    stack: list[int] = []
    queue: list[int] = []
    for operation in told["done"].split(", "):
        step = _read([r"(push|enqueue) (\d+)", r"(pop|dequeue|shift|return)()"], operation)
        must(
            both or (step[1] in ("push", "pop") if asked == "stack" else step[1] in ("enqueue", "dequeue")), "another operation"
        )
        if step[1] == "push":
            stack = [*stack, int(step[2])]
        elif step[1] == "enqueue":
            queue = [*queue, int(step[2])]
        elif step[1] == "pop":
            *stack, _ = stack
        elif step[1] == "dequeue":
            _, *queue = queue
        elif step[1] == "shift":
            *stack, moved = stack
            queue = [*queue, moved]
        else:
            moved, *queue = queue
            stack = [*stack, moved]
        yield f"{operation}: {f'stack {stack}, queue {queue}' if both else stack if asked == 'stack' else queue}"
    yield f"Answer: {stack if asked == 'stack' else queue}"


State = dict[str, int]


def _sum(state: State, name: str, sign: int, word: str) -> None:
    state[name] += sign * (state[word] if word in state else int(word))


def _exchange(state: State, one: str, two: str) -> None:
    state[one], state[two] = state[two], state[one]


_INSTRUCTIONS: Sequence[tuple[str, Callable[[State, re.Match[str]], None]]] = (
    (r"set (\w) to (\d+)", lambda s, m: s.__setitem__(m[1], int(m[2]))),
    (r"add (\w|\d+) to (\w)", lambda s, m: _sum(s, m[2], 1, m[1])),
    (r"subtract (\w|\d+) from (\w)", lambda s, m: _sum(s, m[2], -1, m[1])),
    (r"copy (\w) to (\w)", lambda s, m: s.__setitem__(m[2], s[m[1]])),
    (r"swap (\w) and (\w)", lambda s, m: _exchange(s, m[1], m[2])),
    (r"double (\w)", lambda s, m: _sum(s, m[1], 1, m[1])),
)


def _obey(state: State, text: str) -> int | None:
    """Does one instruction; where it jumps, to which one."""
    if told := re.fullmatch(r"if (\w) is (?:larger than (\w)|(even|odd)), (.+)", text):
        if told[2]:
            holds = state[told[1]] > (state[told[2]] if told[2] in state else int(told[2]))
        else:
            holds = str(state[told[1]])[-1] in ("02468" if told[3] == "even" else "13579")
        if jump := re.fullmatch(r"go to (\d+)", told[4]):
            return int(jump[1]) if holds else None
        return _obey(state, told[4]) if holds else None
    done = [(does, m) for pattern, does in _INSTRUCTIONS if (m := re.fullmatch(pattern, text))]
    must(len(done) == 1, f"{len(done)} readings of {text!r}")
    done[0][0](state, done[0][1])
    return None


def _registers(problem: Problem) -> Iterator[str]:
    told = _read(
        [
            r"(?:Registers|A machine has the registers|The registers hold) (?P<start>[A-Z0-9=, -]+)\. The program "
            r"is:\n(?P<program>[\s\S]+)\n"
            r"(?:What do the registers hold at the end\?|Give the final values\.|What is the state after the program\?) "
            "Answer like "
            r"(?P<like>[A-Z=1, ]+)\."
        ],
        problem.question,
    )
    state = {k: int(v) for k, v in (pair.split("=") for pair in told["start"].split(", "))}
    must(told["like"] == ", ".join(f"{n}=1" for n in state), "the answer's form has other names")
    lines = [_read([rf"{i}\. (.+)"], line)[1] for i, line in enumerate(told["program"].split("\n"), 1)]
    at = 1
    for _ in range(200):
        if at > len(lines):
            break
        jump = _obey(state, lines[at - 1])
        said = " ".join(f"{n}={v}" for n, v in state.items())
        loops = f", go to {jump}" if jump else ", go on"
        yield f"{at}: {said}{loops if 'go to' in lines[at - 1] else ''}"
        at = jump or at + 1
    must(at > len(lines), "the program does not end")
    yield _end(problem, state)


def _ledger(problem: Problem) -> Iterator[str]:
    told = _read(
        [
            r"(?P<start>[\w, ]+) (?P<unit>coins|dollars|points|tokens)\."
            r"(?P<rule> Nobody can pay more than they have: such an event does not happen\."
            r"| An event that would put someone below 0 is left out\.)? (?P<events>.+)\. (?:How much does everyone have "
            r"at the end\?"
            r"|What are the final balances\?|How many (?P=unit) has each of them then\?) Answer like (?P<like>.+)\."
        ],
        problem.question,
    )
    money = {m[1]: int(m[2]) for m in (_read([r"(\w+) has (\d+)"], part) for part in told["start"].split(", "))}
    must(told["like"] == "{}=5, {}=7".format(*list(money)[:2]), "the answer's form has other names")
    for event in told["events"].split(". "):
        what = _read(
            [r"(?P<who>\w+) (?P<kind>gives|earns|spends) (?P<amount>\d+)(?: to (?P<whom>\w+))?",
             r"(?P<who>\w+) (?P<kind>gives) half of what they have to (?P<whom>\w+)"],
            event,
        )  # fmt: skip
        who, whom = what["who"], what["whom"]
        must((whom is None) == (what["kind"] != "gives") and who != whom and who in money, "not a payment")
        if "amount" in what.groupdict():
            amount = int(what["amount"])
        else:
            amount, left = divmod(money[who], 2)
            must(left == 0, "half is no whole number")
            yield f"half of {money[who]} is {amount}"
        before = dict(money)
        if what["kind"] == "earns":
            money[who] += amount
            yield f"{who} {before[who]} + {amount} = {money[who]}"
            continue
        if money[who] < amount:
            must(told["rule"], "more is paid than there is")
            yield f"{who} has {money[who]}, less than {amount}: refused"
            continue
        money[who] -= amount
        line = f"{who} {before[who]} - {amount} = {money[who]}"
        if whom:
            money[whom] += amount
            line += f", {whom} {before[whom]} + {amount} = {money[whom]}"
        yield line
    yield _end(problem, money)


def _jugs(problem: Problem) -> Iterator[str]:
    told = _read(
        [
            r"(?P<sizes>Jug .+?)\. At first there are litres: (?P<start>.+?)\. (?:Pouring goes on until one jug is "
            r"empty or the other full\."
            r"|One pours until the first is empty or the second is full\.) Steps: (?P<steps>.+?)\. (?:How many litres "
            r"are in each jug at the end\?"
            r"|What is in the jugs then\?|Give the final amounts\.) Answer like (?P<like>.+)\."
        ],
        problem.question,
    )
    size = {m[1]: int(m[2]) for m in (_read([r"[Jj]ug (\w) holds (\d+) litres"], p) for p in told["sizes"].split(", "))}
    held = {m[2]: int(m[1]) for m in (_read([r"(\d+) in (\w)"], p) for p in told["start"].split(", "))}
    must(list(size) == list(held) and all(held[j] <= size[j] for j in size), "the jugs do not fit")
    must(told["like"] == ", ".join(f"{j}=1" for j in size), "the answer's form has other names")

    def shown() -> str:
        return " ".join(f"{j}={v}" for j, v in held.items())

    yield f"Start: {shown()}"
    for step in told["steps"].split(", "):
        what = _read([r"(fill|empty) (\w)()", r"(pour) (\w) into (\w)"], step)
        moved = 0
        if what[1] == "pour":
            while held[what[2]] > 0 and held[what[3]] < size[what[3]]:
                held[what[2]] -= 1
                held[what[3]] += 1
                moved += 1
        else:
            held[what[2]] = size[what[2]] if what[1] == "fill" else 0
        yield f"{step}: {f'{moved} litres, ' if what[1] == 'pour' else ''}{shown()}"
    yield _end(problem, held)


_TURNS: Mapping[str, str] = {
    "roll north": "top north bottom south", "roll south": "top south bottom north", "roll east": "top east bottom west",
    "roll west": "top west bottom east", "spin right": "north east south west", "spin left": "north west south east",
}  # fmt: skip
"""For each move the sides in the order in which a face goes from one to the next."""


def _die(problem: Problem) -> Iterator[str]:
    spin = r"(?P<spin> To spin right means to turn it clockwise as seen from above, left the other way; the top stays\.)?"
    told = _read(
        [
            rf"{opening}{spin} (?:It moves like this|Moves|It is moved): (?P<moves>[a-z, ]+)\. (?:What is on these three "
            r"sides then\?"
            r"|Which faces are there at the end\?|How does it lie at last\?) Answer like top=1, north=2, east=3\."
            for opening in (
                r"A die, whose opposite faces add up to 7, shows (?P<t>\d) on top, (?P<n>\d) to the north and (?P<e>\d) "
                r"to the east\.",
                r"A die lies on a table: (?P<t>\d) on top, (?P<n>\d) on its north side, (?P<e>\d) on its east side\. "
                r"Opposite faces add up to 7\.",
                r"Opposite faces of a die have the sum 7\. On top is (?P<t>\d), facing north is (?P<n>\d), facing east "
                r"is (?P<e>\d)\.",
            )
        ],
        problem.question,
    )
    top, north, east = int(told["t"]), int(told["n"]), int(told["e"])
    face = {"top": top, "north": north, "east": east, "bottom": 7 - top, "south": 7 - north, "west": 7 - east}
    must(sorted(face.values()) == [1, 2, 3, 4, 5, 6], "no die has these faces")
    yield f"Start: top={top} north={north} east={east}"
    for move in told["moves"].split(", "):
        must(told["spin"] or move.startswith("roll"), "spinning is not explained")
        circle = _TURNS[move].split()
        face |= {side: face[circle[i - 1]] for i, side in enumerate(circle)}
        yield f"{move}: top={face['top']} north={face['north']} east={face['east']}"
    yield _end(problem, {side: face[side] for side in ("top", "north", "east")})


prove_robot = recomputed(_robot)
prove_stack_queue = recomputed(_stack_queue)
prove_registers = recomputed(_registers)
prove_ledger = recomputed(_ledger)
prove_jugs = recomputed(_jugs)
prove_die = recomputed(_die)
