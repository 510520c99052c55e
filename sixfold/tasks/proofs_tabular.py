"""Proofs of the tabular problems: the table is parsed again from the question, and every line of a solution checked against it.

Place: `tabular_families.py` and the catalog know them as `Family.prove`. Nothing of the generators is used; cells are looked up
by column and row as they stand in the text.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Fault, Steps, find, must, plus, proof

Row = Mapping[str, str]
Test = Callable[[Row], bool]


def _read_table(text: str) -> list[Row]:
    """Rows of a Markdown or CSV table, each by the names of its columns."""
    lines = text.split("\n")
    if lines[0].startswith("|"):
        must(set(lines[1]) <= set("|- "), "no line below the header")
        cells = [[c.strip() for c in line.strip("|").split("|")] for line in (lines[0], *lines[2:])]
    else:
        cells = list(csv.reader(lines))
    header = cells[0]
    must(len(set(header)) == len(header) and all(len(row) == len(header) for row in cells), "the table is not rectangular")
    return [dict(zip(header, row, strict=True)) for row in cells[1:]]


def _parts(problem: Problem) -> tuple[list[Row], str, str]:
    """The table, the name of its first column, and the question asked below it."""
    _, table, asked = problem.question.split("\n\n")
    rows = _read_table(table)
    key = next(iter(rows[0]))
    must(len({row[key] for row in rows}) == len(rows), "a name is there twice")
    return rows, key, asked


def _answered(problem: Problem, *values: str, ordered: bool = True) -> None:
    """The answer must be these values, and `meta` must say so too."""
    must(problem.answer == " | ".join(values), f"{' | '.join(values)} is right")
    if problem.verifier == "table":
        must(problem.meta == {"values": list(values), "ordered": ordered}, "meta has another answer")
    else:
        must(problem.verifier == "math" and len(values) == 1, "another verifier")


def _conditions(text: str) -> list[tuple[str, Test]]:
    """Conditions joined by "and": the column of each, and its test."""
    found: list[tuple[str, Test]] = []
    for part in text.split(" and "):
        m = re.fullmatch(r"(\w+) is (?:(more than|less than|at least|at most) (\d+)|(\w+))", part)
        if m is None:
            raise Fault(f"condition not understood: {part!r}")
        found.append((m[1], _test(m[1], m[2], m[3] or m[4])))
    return found


def _test(column: str, comparison: str | None, value: str) -> Test:
    if comparison is None:
        return lambda row: row[column] == value
    limit = int(value)
    return {
        "more than": lambda row: int(row[column]) > limit,
        "less than": lambda row: limit > int(row[column]),
        "at least": lambda row: not limit > int(row[column]),
        "at most": lambda row: not int(row[column]) > limit,
    }[comparison]


def _lookup(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    if m := re.fullmatch(rf"(?:Which {key} has|Name the {key} with) the (\w+) (\w+)[?.]", asked):
        column, value, wanted = m[1], m[2], key
    elif m := re.fullmatch(rf"What is the (\w+) of the {key} whose (\w+) is (\w+)\?", asked):
        column, value, wanted = m[2], m[3], m[1]
    else:
        m = find(r"^(?:What is the|Look up the|Which) (\w+) (?:of|does the table give for) (\w+)[?.]$", asked)
        column, value, wanted = key, m[2], m[1]
    found = [row for row in rows if row[column] == value]
    must(len(found) == 1, f"{len(found)} rows fit")
    _answered(problem, found[0][wanted])
    must(steps.take(r"Columns: (.+)")[1].split(", ") == list(found[0]), "other columns")
    must(steps.take(r"Row: (.+)")[1].split(", ") == list(found[0].values()), "another row")
    must(steps.take(r"(\w+): (\w+)").groups() == (wanted, found[0][wanted]), "another cell")


def _scanned(
    steps: Steps, rows: Sequence[Row], key: str, conditions: Sequence[tuple[str, Test]], ending: Callable[[int, bool], str]
) -> list[Row]:
    """Reads one line a row, in the table's order; `ending` says how it must end."""
    kept: list[Row] = []
    for row in rows:
        tests = [test(row) for _, test in conditions]
        kept += [row] if all(tests) else []
        line = steps.take(r"(\w+): (.+)\. (\w+(?: \d+)?)\.")
        cells = [f"{row[c]} {'yes' if ok else 'no'}" for (c, _), ok in zip(conditions, tests, strict=True)]
        must(line[1] == row[key], f"the next row is {row[key]}'s")
        must(line[2].split(", ") == cells and line[3] == ending(len(kept), all(tests)), f"wrong: {line[0]}")
    return kept


def _filter_count(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(r"^(?:In how many rows is it so that|Count the rows where|How many rows are there where) (.+)[?.]$", asked)
    kept = _scanned(steps, rows, key, _conditions(m[1]), lambda count, _: f"Count {count}")
    _answered(problem, str(len(kept)))


def _filter_list(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(rf"^(?:List each|Give the|Find every) {key}(?: of all rows)? where (.+)\. Separate several with \|\.$", asked)
    kept = _scanned(steps, rows, key, _conditions(m[1]), lambda _, right: "In" if right else "Out")
    must(kept, "no row is asked for")
    _answered(problem, *(row[key] for row in kept), ordered=False)


def _chosen(rows: Sequence[Row], text: str) -> list[Row]:
    """The rows that " of all rows" or " of the rows where ..." means."""
    if text == "of all rows":
        return list(rows)
    conditions = _conditions(find(r"^of the rows where (.+)$", text)[1])
    return [row for row in rows if all(test(row) for _, test in conditions)]


def _listed(steps: Steps, rows: Sequence[Row], key: str, column: str) -> list[int]:
    told = [tuple(part.split(" ")) for part in steps.take(r"Rows: (.+)")[1].split(", ")]
    must(told == [(row[key], row[column]) for row in rows], "other rows, or other cells")
    return [int(row[column]) for row in rows]


def _sum(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(r"^(?:What is the total|Add up the|Find the sum of the) (\w+) (of .+)[?.]$", asked)
    numbers = _listed(steps, _chosen(rows, m[2]), key, m[1])
    must(plus(steps, numbers) == sum(numbers), "wrong total")
    _answered(problem, str(sum(numbers)))


def _mean(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(r"^(?:What is the mean|Find the average|Calculate the average of the) (\w+) (of .+)[?.]$", asked)
    numbers = _listed(steps, _chosen(rows, m[2]), key, m[1])
    total = plus(steps, numbers)
    line = [int(g) for g in steps.take(r"(\d+) / (\d+) = (\d+)").groups()]
    must(line[:2] == [total, len(numbers)] and line[2] * len(numbers) == sum(numbers), "wrong division")
    _answered(problem, str(line[2]))


_SIGN = {"largest": 1, "highest": 1, "smallest": -1, "lowest": -1}


def _extreme(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(
        rf"^(?:Which|Find the) {key} (?:has|with) the (\w+) (\w+) (of .+), "
        rf"and (?:what is it\?|that number\.) Answer as {key} \| (\w+)\.$",
        asked,
    )
    column, sign = m[2], _SIGN[m[1]]
    must(m[4] == column, "the form names another column")
    chosen = _chosen(rows, m[3])
    seen: list[Row] = []
    for row in chosen:
        seen.append(row)
        best = sorted(seen, key=lambda other: sign * int(other[column]))[-1]
        line = steps.take(r"(\w+) (\d+): best (\w+) (\d+)")
        must(line.groups() == (row[key], row[column], best[key], best[column]), f"wrong: {line[0]}")
    numbers = [row[column] for row in chosen]
    must(numbers.count(best[column]) == 1, "two rows are best")
    _answered(problem, best[key], best[column])


def _join(problem: Problem, steps: Steps) -> None:
    _, first, second, asked = problem.question.split("\n\n")
    orders = _read_table(first)
    price = {row["product"]: int(row["price"]) for row in _read_table(second)}
    person = next(p for p in (row["customer"] for row in orders) if re.search(rf"\b{p}\b", asked))
    single = re.fullmatch(
        rf"What is the price of one of the product that {person} orders\?|"
        rf"{person} orders a product\. What does one of it cost\?",
        asked,
    )
    together = re.fullmatch(
        rf"How much does {person} pay for all orders together\?|What do all orders of {person} cost together\?", asked
    )
    one = re.fullmatch(rf"How much does {person} pay\?|What is the cost of the order of {person}\?", asked)
    own = [row for row in orders if row["customer"] == person]
    must(together or ((single or one) and len(own) == 1), "the question is not understood")
    costs: list[int] = []
    for row in own:
        product, quantity = row["product"], int(row["quantity"])
        must(steps.take(r"(\w+) orders (\w+), quantity (\d+)").groups() == (person, product, str(quantity)), "another order")
        must(steps.take(r"(\w+): price (\d+)").groups() == (product, str(price[product])), "another price")
        costs.append(price[product] if single else quantity * price[product])
        if not single:
            line = steps.take(r"(\d+) \* (\d+) = (\d+)")
            must([int(g) for g in line.groups()] == [quantity, price[product], costs[-1]], f"wrong product: {line[0]}")
    _answered(problem, str(plus(steps, costs)))


def _group(steps: Steps, value: str, numbers: Sequence[int]) -> int:
    line = steps.take(r"(\w+): (\d+(?:, \d+)*)")
    must(line.groups() == (value, ", ".join(map(str, numbers))), f"wrong: {line[0]}")
    total = plus(steps, numbers)
    line = steps.take(r"(\w+) total: (\d+)")
    must(line.groups() == (value, str(total)), f"wrong: {line[0]}")
    return total


def _compare(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(
        r"^(?:Which has more|Who or what has the higher|Which (\w+) has the higher total) (\w+), (\w+) or (\w+), and "
        r"(?:by how much|what is the difference)\? Answer as the winner \| difference\.$", asked
    )  # fmt: skip
    kind, column, names = m[1], m[2], [m[3], m[4]]
    totals = []
    for name in names:
        numbers = [int(row[column]) for row in rows if row[kind or key] == name]
        if kind:
            totals.append(_group(steps, name, numbers))
        else:
            must(steps.take(r"(\w+): (\d+)").groups() == (name, str(numbers[0])), f"not {name}'s number")
            totals.append(numbers[0])
    high, low = max(totals), min(totals)
    must(high > low, "both are equal")
    must(steps.take(r"(\d+) - (\d+) = (\d+)").groups() == (str(high), str(low), str(high - low)), "wrong difference")
    _answered(problem, names[totals.index(high)], str(high - low))


def _top(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(
        rf"^(?:Give the {key} of the|Which|List the) (\d+) (?:rows )?(?:with|have) the (highest|lowest) (\w+)"
        r"(?:,|\? Order them) from (high to low|low to high)\. Separate the names with \|\.$", asked
    )  # fmt: skip
    must((m[2] == "highest") == (m[4] == "high to low"), "two orders are asked for")
    numbers = sorted({int(row[m[3]]) for row in rows})
    must(len(numbers) == len(rows), "two numbers are equal")
    wanted = (numbers[::-1] if m[2] == "highest" else numbers)[: int(m[1])]
    names = [next(row[key] for row in rows if int(row[m[3]]) == n) for n in wanted]
    for place, (name, number) in enumerate(zip(names, wanted, strict=True), 1):
        line = steps.take(r"(\d+): (\w+) (\d+)")
        must(line.groups() == (str(place), name, str(number)), f"wrong: {line[0]}")
    _answered(problem, *names)


def _groups(problem: Problem, steps: Steps) -> None:
    rows, _, asked = _parts(problem)
    m = re.match(
        r"Which (?P<kind>\w+) has the (?P<word>\w+) total (?P<column>\w+), and what is that total\?", asked
    ) or re.match(
        r"Add up the (?P<column>\w+) for each (?P<kind>\w+)\. Which has the (?P<word>\w+) total, and what is it\?", asked
    )
    must(m and asked[m.end() :] == f" Answer as {m['kind']} | total.", "the question is not understood")
    assert m is not None
    kind, column = m["kind"], m["column"]
    totals: dict[str, int] = {}
    for row in rows:
        if row[kind] not in totals:
            totals[row[kind]] = _group(steps, row[kind], [int(o[column]) for o in rows if o[kind] == row[kind]])
    best = max(totals.values()) if _SIGN[m["word"]] > 0 else min(totals.values())
    winners = [value for value, total in totals.items() if total == best]
    must(len(winners) == 1, "two are best")
    _answered(problem, winners[0], str(best))


def _missing(problem: Problem, steps: Steps) -> None:
    rows, _, asked = _parts(problem)
    m = find(
        r"^The (?:(\w+) of all rows adds up to (\d+)|mean (\w+) of all rows is (\d+))\. "
        r"(?:Which number belongs where the \? is\?|What is the missing (\w+)\?|Find the (\w+) that is shown as \?\.)$", asked
    )  # fmt: skip
    column = m[1] or m[3]
    must((m[5] or m[6] or column) == column, "another column is asked for")
    must([(row[c]) for row in rows for c in row].count("?") == 1, "not one cell is missing")
    known = [int(row[column]) for row in rows if row[column] != "?"]
    whole = int(m[2]) if m[2] else int(m[4]) * len(rows)
    must(len(known) == len(rows) - 1 and steps.take(r"Known: (.+)")[1] == ", ".join(map(str, known)), "other numbers")
    total = plus(steps, known)
    if m[4]:
        must(steps.take(r"(\d+) \* (\d+) = (\d+)").groups() == (str(len(rows)), m[4], str(whole)), "wrong product")
    must(steps.take(r"(\d+) - (\d+) = (\d+)").groups() == (str(whole), str(total), str(whole - total)), "wrong difference")
    _answered(problem, str(whole - total))


def _share(problem: Problem, steps: Steps) -> None:
    rows, key, asked = _parts(problem)
    m = find(
        r"^(?:How many percent of the total (\w+) are those of|What percent of all the (\w+) belongs to) (\w+)\? "
        r"Give the number alone\.$",
        asked,
    )
    column = m[1] or m[2]
    total = plus(steps, _listed(steps, rows, key, column))
    part = next(int(row[column]) for row in rows if row[key] == m[3])
    must(steps.take(r"(\d+) \* (\d+) = (\d+)").groups() == ("100", str(part), str(part * 100)), "wrong product")
    line = [int(g) for g in steps.take(r"(\d+) / (\d+) = (\d+)").groups()]
    must(line[:2] == [part * 100, total] and line[2] * total == part * 100, "wrong division")
    _answered(problem, str(line[2]))


prove_lookup = proof(_lookup)
prove_filter_count = proof(_filter_count)
prove_filter_list = proof(_filter_list)
prove_sum = proof(_sum)
prove_mean = proof(_mean)
prove_extreme = proof(_extreme)
prove_join = proof(_join)
prove_compare = proof(_compare)
prove_top = proof(_top)
prove_group = proof(_groups)
prove_missing = proof(_missing)
prove_share = proof(_share)
