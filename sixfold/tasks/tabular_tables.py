"""Tables for the tabular families: subjects, columns, rows, and how they are written.

Place: `tabular_families.py` draws its tables here and asks about them. Names and kinds are single words, numbers whole; columns
and rows that no question needs are there on purpose.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sixfold.tasks.logic_deduction import NAMES

_CITIES = "Oslo Paris Rome Madrid Berlin Vienna Dublin Lisbon Athens Prague Warsaw Zurich Bergen Turin Porto Lyon Ghent".split()
_COLOURS = "red blue green black white yellow brown grey".split()
_THINGS = (
    "lamp chair desk mug kettle clock vase rug mirror shelf basket pillow blanket candle bowl plate fork spoon kite drum tent "
    "rope ladder bucket hammer brush towel stool bench frame"
).split()
_TOWNS = (
    "Alder Birk Corran Dunmore Elstow Farley Glenn Harrow Inver Joyce Kelso Larne Morven Nairn Oban Penrith "
    "Quorn Ripon Selby Troon Upton Verne Wick Yarm Ashby Barton Calder Denby"
).split()
_PLANTS = (
    "Aster Basil Carrot Dahlia Elder Fennel Garlic Hazel Iris Jasmine Kale Lily Mint Nettle Onion Poppy Quince "
    "Rose Sage Thyme Tulip Violet Willow Yarrow Clover Daisy Fern Holly"
).split()


@dataclass(frozen=True, slots=True)
class Subject:
    """What a table can be about: the column of names, columns of kinds with values, columns of numbers with their range."""

    intro: tuple[str, ...]
    key: str
    names: Sequence[str]
    kinds: Mapping[str, Sequence[str]]
    numbers: Mapping[str, tuple[int, int]]


SUBJECTS: tuple[Subject, ...] = (
    Subject(
        ("This is the staff list of a firm.", "The table shows who works in an office.", "A firm keeps this list."),
        "name", NAMES,
        {"department": ("sales", "design", "legal", "support"), "city": _CITIES[:6], "contract": ("full", "part", "trial")},
        {"age": (21, 64), "salary": (1800, 6400), "projects": (2, 40), "holidays": (10, 35)},
    ),
    Subject(
        ("A shop has these things in stock.", "The table is a shop's inventory.", "Here is what a store sells."),
        "product", _THINGS,
        {"colour": _COLOURS[:5], "maker": ("Nordo", "Velta", "Kimco", "Arbis"), "aisle": ("north", "south", "east", "west")},
        {"price": (3, 95), "stock": (5, 240), "weight": (10, 900), "sold": (2, 180)},
    ),
    Subject(
        ("A teacher keeps this table.", "These are the results of a school year.", "The list shows the students of a school."),
        "student", NAMES,
        {"group": ("alpha", "beta", "gamma", "delta"), "club": ("chess", "choir", "drama", "robots"),
         "bus": ("north", "south", "none")},
        {"points": (10, 100), "absences": (1, 30), "books": (2, 60), "height": (130, 195)},
    ),
    Subject(
        ("These are the players of a league.", "The table comes from a sports site.", "A coach looks at this table."),
        "player", NAMES,
        {"team": ("Falcons", "Bears", "Sharks", "Wolves"), "position": ("goal", "defence", "middle", "attack"),
         "foot": ("left", "right")},
        {"goals": (1, 45), "games": (5, 60), "passes": (50, 990), "minutes": (100, 2900)},
    ),
    Subject(
        ("A region publishes this table of towns.", "The table compares towns.", "Data about some towns:"),
        "town", _TOWNS,
        {"coast": ("yes", "no"), "county": ("Kent", "Fife", "Down", "Clare"), "station": ("main", "small", "closed")},
        {"schools": (1, 40), "parks": (1, 30), "buses": (4, 150), "people": (900, 9800)},
    ),
    Subject(
        ("A gardener notes this about her plants.", "The table lists plants in a garden.", "These plants grow in a nursery."),
        "plant", _PLANTS,
        {"light": ("sun", "shade", "mixed"), "soil": ("clay", "sand", "peat", "loam"), "colour": _COLOURS[:5]},
        {"height": (5, 180), "seeds": (10, 400), "days": (20, 150), "price": (2, 60)},
    ),
    Subject(
        ("A library keeps this list of trips by its book van.", "A transport firm logs its drivers.",
         "These are the trips of one week."),
        "driver", NAMES,
        {"vehicle": ("van", "truck", "bike", "tram"), "route": _CITIES[6:12], "shift": ("day", "night")},
        {"trips": (2, 50), "parcels": (10, 400), "delay": (1, 60), "distance": (20, 980)},
    ),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Table:
    """A drawn table; the first column holds the names, all different."""

    subject: Subject
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    numbers: tuple[str, ...]

    def column(self, name: str) -> list[str]:
        at = self.header.index(name)
        return [row[at] for row in self.rows]

    def cell(self, row: Sequence[str], name: str) -> str:
        return row[self.header.index(name)]


def draw_table(r: random.Random, rows: int, kinds: int, numbers: int, *, most: int | None = None) -> Table:
    """A table of a drawn subject with columns in drawn order. Numbers in a column are all different; `most` bounds them."""
    subject = r.choice(SUBJECTS)
    kind_names = r.sample(list(subject.kinds), kinds)
    number_names = r.sample(list(subject.numbers), numbers)
    columns: dict[str, list[str]] = {subject.key: r.sample(subject.names, rows)}
    for name in r.sample([*kind_names, *number_names], kinds + numbers):
        if name in kind_names:
            columns[name] = [r.choice(subject.kinds[name]) for _ in range(rows)]
        else:
            low, high = subject.numbers[name]
            if most and most < high:
                low, high = min(low, max(1, most // 10)), most
            columns[name] = [str(n) for n in r.sample(range(low, high + 1), rows)]
    return Table(subject, tuple(columns), tuple(zip(*columns.values(), strict=True)), tuple(kind_names), tuple(number_names))


def written(r: random.Random, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The table as Markdown, with or without padding, or as CSV."""
    form = r.choice(("markdown", "padded", "csv"))
    lines = [header, *rows]
    if form == "csv":
        return "\n".join(",".join(line) for line in lines)
    widths = [max(len(line[i]) for line in lines) if form == "padded" else 3 for i in range(len(header))]
    shown = [
        f"| {' | '.join(c.ljust(w if form == 'padded' else 0) for c, w in zip(line, widths, strict=True))} |" for line in lines
    ]
    rule = f"| {' | '.join('-' * w for w in widths)} |"
    return "\n".join([shown[0], rule, *shown[1:]])
