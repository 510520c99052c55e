"""The tabular families: a table in Markdown or CSV and one question about it.

Place: `catalog.py` lists them; tables come from `tabular_tables.py`, proofs from `proofs_tabular.py`, which knows nothing of
these. A worked solution copies the rows or cells it needs and calculates with running totals.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace

from sixfold.core import Problem
from sixfold.tasks.family import Family
from sixfold.tasks.logic_deduction import NAMES
from sixfold.tasks.proofs_tabular import (
    prove_compare,
    prove_extreme,
    prove_filter_count,
    prove_filter_list,
    prove_group,
    prove_join,
    prove_lookup,
    prove_mean,
    prove_missing,
    prove_share,
    prove_sum,
    prove_top,
)
from sixfold.tasks.tabular_tables import Table, draw_table, written

Condition = tuple[str, str, str]
"""A column, a comparison ("is", "is more than", ...), a value."""
_COMPARED: dict[str, Callable[[int, int], bool]] = {
    "is more than": lambda a, b: a > b,
    "is less than": lambda a, b: a < b,
    "is at least": lambda a, b: a >= b,
    "is at most": lambda a, b: a <= b,
}


def _problem(r: random.Random, table: Table, asked: str, lines: Sequence[str], values: Sequence[str], *, ordered: bool = True,
             number: bool = False) -> Problem:  # fmt: skip
    question = f"{r.choice(table.subject.intro)}\n\n{written(r, table.header, table.rows)}\n\n{asked}"
    return _done(question, lines, values, ordered=ordered, number=number)


def _done(question: str, lines: Sequence[str], values: Sequence[str], *, ordered: bool = True, number: bool = False) -> Problem:
    answer = " | ".join(values)
    meta = {} if number else {"values": list(values), "ordered": ordered}
    return Problem(
        "", question, answer, "tabular", "math" if number else "table", meta, "\n".join([*lines, f"Answer: {answer}"])
    )


def _running(numbers: Sequence[int]) -> tuple[list[str], int]:
    """A sum, one line for each further number."""
    lines, total = [], numbers[0]
    for number in numbers[1:]:
        lines.append(f"{total} + {number} = {total + number}")
        total += number
    return lines, total


def _holds(condition: Condition, table: Table, row: Sequence[str]) -> bool:
    column, comparison, value = condition
    cell = table.cell(row, column)
    return cell == value if comparison == "is" else _COMPARED[comparison](int(cell), int(value))


def _condition(r: random.Random, table: Table, column: str) -> Condition:
    values = table.column(column)
    if column in table.kinds:
        return (column, "is", r.choice(table.subject.kinds[column]))
    return (column, r.choice(list(_COMPARED)), str(int(r.choice(values)) + r.choice((-1, 0, 1))))


def _said(conditions: Sequence[Condition]) -> str:
    return " and ".join(" ".join(c) for c in conditions)


def _scan(table: Table, conditions: Sequence[Condition], ending: Callable[[bool], str]) -> list[str]:
    """One line for each row: the cells that count, whether each is right, and what follows."""
    lines = []
    for row in table.rows:
        right = [_holds(c, table, row) for c in conditions]
        cells = ", ".join(f"{table.cell(row, c[0])} {'yes' if ok else 'no'}" for c, ok in zip(conditions, right, strict=True))
        lines.append(f"{row[0]}: {cells}. {ending(all(right))}.")
    return lines


def _kept(table: Table, conditions: Sequence[Condition]) -> list[tuple[str, ...]]:
    return [row for row in table.rows if all(_holds(c, table, row) for c in conditions)]


_LOOKUP_SIZES = ((4, 1, 2), (7, 2, 2), (10, 3, 3), (16, 3, 4))


def make_lookup(r: random.Random, level: int) -> Problem:
    """One cell: by its row's name, by another number of its row, or the name itself."""
    table = draw_table(r, *_LOOKUP_SIZES[level - 1])
    row = r.choice(table.rows)
    key = table.header[0]
    known = r.choice(table.numbers)
    wanted = r.choice([c for c in table.header[1:] if c != known])
    way = r.choice(("direct", "direct", "reverse") if level < 3 else ("direct", "reverse", "other", "other"))
    if way == "direct":
        wanted = r.choice(table.header[1:])
        asked = r.choice(
            (
                f"What is the {wanted} of {row[0]}?",
                f"Look up the {wanted} of {row[0]}.",
                f"Which {wanted} does the table give for {row[0]}?",
            )
        )
    elif way == "reverse":
        wanted = key
        asked = r.choice(
            (
                f"Which {key} has the {known} {table.cell(row, known)}?",
                f"Name the {key} with the {known} {table.cell(row, known)}.",
            )
        )
    else:
        asked = f"What is the {wanted} of the {key} whose {known} is {table.cell(row, known)}?"
    lines = [f"Columns: {', '.join(table.header)}", f"Row: {', '.join(row)}", f"{wanted}: {table.cell(row, wanted)}"]
    return _problem(r, table, asked, lines, [table.cell(row, wanted)])


_FILTER_SIZES = ((6, 1, 1), (8, 1, 2), (10, 2, 2), (14, 2, 3))


def _filtered(r: random.Random, level: int, least: int, most: int) -> tuple[Table, list[Condition]]:
    """A table and conditions that a drawn number of its rows meet."""
    while True:
        table = draw_table(r, *_FILTER_SIZES[level - 1])
        count = r.randint(least, most)
        for _ in range(60):
            columns = r.sample([*table.kinds, *table.numbers], 1 if level == 1 else r.choice((1, 2)) if level == 2 else 2)
            conditions = [_condition(r, table, c) for c in columns]
            if len(_kept(table, conditions)) == count:
                return table, conditions


def make_filter_count(r: random.Random, level: int) -> Problem:
    """How many rows meet one or two conditions."""
    table, conditions = _filtered(r, level, 0 if level == 1 else 1, (6, 8, 9, 10)[level - 1])
    counted = [0]

    def ending(right: bool) -> str:
        counted[0] += right
        return f"Count {counted[0]}"

    lines = _scan(table, conditions, ending)
    asked = r.choice(("In how many rows is it so that {}?", "Count the rows where {}.", "How many rows are there where {}?"))
    return _problem(r, table, asked.format(_said(conditions)), lines, [str(counted[0])], number=True)


def make_filter_list(r: random.Random, level: int) -> Problem:
    """The names of the rows that meet one or two conditions."""
    table, conditions = _filtered(r, level, 1, (3, 4, 4, 5)[level - 1])
    key = table.header[0]
    asked = r.choice(("List each {} where {}.", "Give the {} of all rows where {}.", "Find every {} where {}.")).format(
        key, _said(conditions)
    )
    lines = _scan(table, conditions, lambda right: "In" if right else "Out")
    names = [row[0] for row in _kept(table, conditions)]
    return _problem(r, table, f"{asked} Separate several with |.", lines, names, ordered=False)


_SUM_SIZES = ((4, 1, 2), (6, 1, 2), (9, 2, 2), (12, 3, 3))
_MOST = (60, 200, 999, 9999)


def _column_rows(r: random.Random, level: int, least: int) -> tuple[Table, str, list[Condition], list[tuple[str, ...]]]:
    """A table, a column of numbers, and the rows to calculate with: all, or from level 3 on those that meet a condition."""
    while True:
        table = draw_table(r, *_SUM_SIZES[level - 1], most=_MOST[level - 1])
        column = r.choice(table.numbers)
        conditions = [_condition(r, table, r.choice([c for c in table.header[1:] if c != column]))] if level >= 3 else []
        rows = _kept(table, conditions)
        if len(rows) >= least and (not conditions or len(rows) <= 6):
            return table, column, conditions, rows


def _listed(table: Table, rows: Sequence[Sequence[str]], column: str) -> str:
    return f"Rows: {', '.join(f'{row[0]} {table.cell(row, column)}' for row in rows)}"


def _where(conditions: Sequence[Condition]) -> str:
    return f" of the rows where {_said(conditions)}" if conditions else " of all rows"


def make_sum(r: random.Random, level: int) -> Problem:
    """The total of a column, from level 3 on of some rows."""
    table, column, conditions, rows = _column_rows(r, level, 2)
    lines, total = _running([int(table.cell(row, column)) for row in rows])
    asked = r.choice(("What is the total {}{}?", "Add up the {}{}.", "Find the sum of the {}{}."))
    question = asked.format(column, _where(conditions))
    return _problem(r, table, question, [_listed(table, rows, column), *lines], [str(total)], number=True)


def make_mean(r: random.Random, level: int) -> Problem:
    """The mean of a column, a whole number."""
    while True:
        table, column, conditions, rows = _column_rows(r, level, 2)
        lines, total = _running([int(table.cell(row, column)) for row in rows])
        if total % len(rows) == 0:
            break
    asked = r.choice(("What is the mean {}{}?", "Find the average {}{}.", "Calculate the average of the {}{}."))
    lines = [_listed(table, rows, column), *lines, f"{total} / {len(rows)} = {total // len(rows)}"]
    return _problem(r, table, asked.format(column, _where(conditions)), lines, [str(total // len(rows))], number=True)


def make_extreme(r: random.Random, level: int) -> Problem:
    """The row with the largest or smallest number in a column, with that number; from level 3 on among some rows."""
    table, column, conditions, rows = _column_rows(r, level, 3)
    largest = r.random() < 0.5
    lines, best = [], rows[0]
    for row in rows:
        if (int(table.cell(row, column)) > int(table.cell(best, column))) is largest and row != best:
            best = row
        lines.append(f"{row[0]} {table.cell(row, column)}: best {best[0]} {table.cell(best, column)}")
    words = r.choice(("largest", "highest") if largest else ("smallest", "lowest"))
    key = table.header[0]
    asked = r.choice(("Which {} has the {} {}{}, and what is it?", "Find the {} with the {} {}{}, and that number."))
    form = f"Answer as {key} | {column}."
    question = f"{asked.format(key, words, column, _where(conditions))} {form}"
    return _problem(r, table, question, lines, [best[0], table.cell(best, column)])


_ORDER_SIZES = ((3, 4), (5, 6), (8, 6), (12, 8))


def make_join(r: random.Random, level: int) -> Problem:
    """Orders in one table, prices in another: a price, a cost, from level 3 on all that somebody pays."""
    orders, prices = _ORDER_SIZES[level - 1]
    subject = next(
        t for t in iter(lambda: draw_table(r, prices, 1, 2, most=(45, 20, 60, 95)[level - 1]), None) if t.header[0] == "product"
    )
    if "price" not in subject.header:
        return make_join(r, level)
    people = r.sample(NAMES, orders if level <= 2 else orders // 2)
    price = {row[0]: int(subject.cell(row, "price")) for row in subject.rows}
    cities = ("Oslo", "Rome", "Lyon", "Ghent")
    rows = [(p, r.choice(list(price)), str(r.randint(2, 9)), r.choice(cities)) for p in people]
    if level >= 3:
        rows += [
            (r.choice(people), r.choice(list(price)), str(r.randint(2, 9)), r.choice(cities))
            for _ in range(orders - len(people))
        ]
    rows = r.sample(rows, len(rows))
    person = r.choice([p for p in people if level < 3 or sum(row[0] == p for row in rows) >= 2] or people)
    own = [row for row in rows if row[0] == person]
    lines: list[str] = []
    for row in own:
        lines += [f"{person} orders {row[1]}, quantity {row[2]}", f"{row[1]}: price {price[row[1]]}"]
        if level >= 2:
            lines.append(f"{row[2]} * {price[row[1]]} = {int(row[2]) * price[row[1]]}")
    costs = [int(row[2]) * price[row[1]] for row in own]
    sums, total = _running(costs)
    asked = (
        (
            f"What is the price of one of the product that {person} orders?",
            f"{person} orders a product. What does one of it cost?",
        ),
        (f"How much does {person} pay?", f"What is the cost of the order of {person}?"),
        (f"How much does {person} pay for all orders together?", f"What do all orders of {person} cost together?"),
    )[min(level, 3) - 1]
    header = ("customer", "product", "quantity", "city")
    opening = r.choice(("A shop has these orders and prices.", "The first table lists orders, the second the products."))
    question = f"{opening}\n\n{written(r, header, rows)}\n\n{written(r, subject.header, subject.rows)}\n\n{r.choice(asked)}"
    return _done(
        question, [*lines, *(sums if level >= 2 else [])], [str(total if level >= 2 else price[own[0][1]])], number=True
    )


def _group_lines(table: Table, kind: str, value: str, column: str) -> tuple[list[str], int]:
    numbers = [int(table.cell(row, column)) for row in table.rows if table.cell(row, kind) == value]
    lines, total = _running(numbers)
    return [f"{value}: {', '.join(map(str, numbers))}", *lines, f"{value} total: {total}"], total


def make_compare(r: random.Random, level: int) -> Problem:
    """Which of two has more, and by how much: two rows, from level 3 on the totals of two kinds."""
    while True:
        table = draw_table(r, (4, 8, 8, 12)[level - 1], *((1, 2) if level == 1 else (2, 2)), most=_MOST[level - 1])
        column = r.choice(table.numbers)
        if level <= 2:
            totals = {row[0]: int(table.cell(row, column)) for row in r.sample(table.rows, 2)}
            lines = [f"{name}: {number}" for name, number in totals.items()]
            asked = r.choice(
                (
                    "Which has more {}, {} or {}, and by how much?",
                    "Who or what has the higher {}, {} or {}, and what is the difference?",
                )
            )
        else:
            kind = r.choice(table.kinds)
            present = sorted(set(table.column(kind)))
            if len(present) < 2:
                continue
            totals, lines = {}, []
            for value in r.sample(present, 2):
                more, totals[value] = _group_lines(table, kind, value, column)
                lines += more
            asked = f"Which {kind} has the higher total {{}}, {{}} or {{}}, and by how much?"
        (high, top), (_, low) = sorted(totals.items(), key=lambda item: -item[1])
        if top != low:
            break
    lines.append(f"{top} - {low} = {top - low}")
    return _problem(
        r, table, f"{asked.format(column, *totals)} Answer as the winner | difference.", lines, [high, str(top - low)]
    )


def make_top(r: random.Random, level: int) -> Problem:
    """The first few names, sorted by a column."""
    table = draw_table(r, *((4, 1, 2), (7, 1, 2), (10, 2, 2), (14, 3, 3))[level - 1], most=_MOST[level - 1])
    column = r.choice(table.numbers)
    largest = r.random() < 0.5
    count = (2, 3, 4, 5)[level - 1]
    ranked = sorted(table.rows, key=lambda row: int(table.cell(row, column)), reverse=largest)[:count]
    lines = [f"{i}: {row[0]} {table.cell(row, column)}" for i, row in enumerate(ranked, 1)]
    way = ("highest", "from high to low") if largest else ("lowest", "from low to high")
    asked = r.choice(
        (
            f"Give the {table.header[0]} of the {count} rows with the {way[0]} {column}, {way[1]}.",
            f"Which {count} have the {way[0]} {column}? Order them {way[1]}.",
            f"List the {count} with the {way[0]} {column}, {way[1]}.",
        )
    )
    return _problem(r, table, f"{asked} Separate the names with |.", lines, [row[0] for row in ranked])


def make_group(r: random.Random, level: int) -> Problem:
    """The kind with the largest or smallest total, and that total."""
    while True:
        table = draw_table(r, *((4, 1, 2), (6, 2, 2), (9, 2, 2), (14, 3, 3))[level - 1], most=_MOST[level - 1])
        kind, column = r.choice(table.kinds), r.choice(table.numbers)
        values = list(dict.fromkeys(table.column(kind)))
        totals: dict[str, int] = {}
        lines: list[str] = []
        for value in values:
            more, totals[value] = _group_lines(table, kind, value, column)
            lines += more
        if 2 <= len(values) <= 5 and len(set(totals.values())) == len(values):
            break
    largest = r.random() < 0.5
    best = (max if largest else min)(totals, key=lambda v: totals[v])
    word = r.choice(("largest", "highest") if largest else ("smallest", "lowest"))
    asked = r.choice(
        (
            "Which {} has the {} total {}, and what is that total?",
            "Add up the {2} for each {0}. Which has the {1} total, and what is it?",
        )
    )
    return _problem(r, table, f"{asked.format(kind, word, column)} Answer as {kind} | total.", lines, [best, str(totals[best])])


def make_missing(r: random.Random, level: int) -> Problem:
    """One cell cannot be read; the column's total, or from level 3 on its mean, tells what it was."""
    while True:
        table = draw_table(r, *((4, 1, 2), (6, 1, 2), (7, 2, 2), (10, 2, 3))[level - 1], most=_MOST[level - 1])
        column = r.choice(table.numbers)
        numbers = [int(n) for n in table.column(column)]
        if level < 3 or sum(numbers) % len(numbers) == 0:
            break
    gone, at = r.randrange(len(numbers)), table.header.index(column)
    rows = [[*row[:at], "?", *row[at + 1 :]] if i == gone else list(row) for i, row in enumerate(table.rows)]
    rest = [n for i, n in enumerate(numbers) if i != gone]
    lines, total = _running(rest)
    lines = [f"Known: {', '.join(map(str, rest))}", *lines]
    told = f"The {column} of all rows adds up to {sum(numbers)}."
    if level >= 3:
        mean = sum(numbers) // len(numbers)
        told = f"The mean {column} of all rows is {mean}."
        lines.append(f"{len(numbers)} * {mean} = {sum(numbers)}")
    lines.append(f"{sum(numbers)} - {total} = {numbers[gone]}")
    asked = r.choice(
        ("Which number belongs where the ? is?", f"What is the missing {column}?", f"Find the {column} that is shown as ?.")
    )
    question = f"{r.choice(table.subject.intro)}\n\n{written(r, table.header, rows)}\n\n{told} {asked}"
    return _done(question, lines, [str(numbers[gone])], number=True)


_WHOLES = ((20, 25, 50, 200), (40, 50, 200, 300), (200, 300, 400, 500, 600, 800))


def make_share(r: random.Random, level: int) -> Problem:
    """How many percent of a column's total one row has, a whole number."""
    count, kinds, numeric = ((3, 1, 1), (5, 1, 2), (7, 2, 2))[level - 1]
    table = draw_table(r, count, kinds, numeric)
    column, at = r.choice(table.numbers), r.randrange(count)
    whole = r.choice(_WHOLES[level - 1])
    percent = r.choice([p for p in range(4, 70) if p * whole % 100 == 0])
    part = percent * whole // 100
    cuts = sorted(r.sample(range(1, whole - part), count - 2))
    numbers = [b - a for a, b in zip([0, *cuts], [*cuts, whole - part], strict=True)]
    numbers.insert(at, part)
    place = table.header.index(column)
    rows = [(*row[:place], str(n), *row[place + 1 :]) for row, n in zip(table.rows, numbers, strict=True)]
    table = replace(table, rows=tuple(rows))
    lines, total = _running(numbers)
    lines = [_listed(table, table.rows, column), *lines, f"100 * {numbers[at]} = {100 * numbers[at]}"]
    lines.append(f"{100 * numbers[at]} / {total} = {100 * numbers[at] // total}")
    name = table.rows[at][0]
    asked = r.choice(
        (f"How many percent of the total {column} are those of {name}?", f"What percent of all the {column} belongs to {name}?")
    )
    return _problem(r, table, f"{asked} Give the number alone.", lines, [str(100 * numbers[at] // total)], number=True)


FAMILIES: tuple[Family, ...] = (
    Family("lookup", "tabular", make_lookup, prove_lookup, levels=4, floor=0.03),
    Family("filter_count", "tabular", make_filter_count, prove_filter_count, levels=4, floor=0.25),
    Family("filter_list", "tabular", make_filter_list, prove_filter_list, levels=4, floor=0.02),
    Family("column_sum", "tabular", make_sum, prove_sum, levels=4, floor=0.03),
    Family("column_mean", "tabular", make_mean, prove_mean, levels=4, floor=0.08),
    Family("extreme_row", "tabular", make_extreme, prove_extreme, levels=4, floor=0.02),
    Family("join", "tabular", make_join, prove_join, levels=4, floor=0.06),
    Family("compare", "tabular", make_compare, prove_compare, levels=4, floor=0.02),
    Family("top_k", "tabular", make_top, prove_top, levels=4, floor=0.02),
    Family("group_sum", "tabular", make_group, prove_group, levels=4, floor=0.02),
    Family("missing_value", "tabular", make_missing, prove_missing, levels=4, floor=0.05),
    Family("percent_share", "tabular", make_share, prove_share, levels=3, floor=0.07),
)
