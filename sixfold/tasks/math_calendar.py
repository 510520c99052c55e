"""Problems about weekdays, dates and clock times.

Place: `math_families.py` lists them. Months are those of the Gregorian calendar; every question names its year where that
matters.
"""

from __future__ import annotations

import random

from sixfold.core import Problem
from sixfold.tasks.written import problem, work

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_LENGTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)
_EVENTS = ("film", "concert", "match", "lesson", "meeting", "flight", "train ride", "party", "walk", "exam", "play", "tour")


def make_calendar(r: random.Random, level: int) -> Problem:
    """A weekday some days on, and clock times; days between dates from level 2 on; weekdays of dates at level 3."""
    kinds = (
        (_weekday, _end_of, _duration, _duration), (_weekday, _end_of, _between, _between), (_date_weekday, _between, _between),
    )[level - 1]  # fmt: skip
    return r.choice(kinds)(r, level)


def _count_on(day: str, rest: int) -> list[str]:
    """Counting less than a week, forwards or, where `rest` is negative, backwards."""
    if not rest:
        return [f"0 days from {day} is {day}."]
    step = 1 if rest > 0 else -1
    passed = [_DAYS[(_DAYS.index(day) + step * i) % 7] for i in range(1, abs(rest) + 1)]
    return [f"{abs(rest)} {'on' if rest > 0 else 'back'} from {day}: {', '.join(passed)}."]


def _on(day: str, days: int) -> str:
    return _DAYS[(_DAYS.index(day) + days) % 7]


def _weekday(r: random.Random, level: int) -> Problem:
    day = r.choice(_DAYS)
    days = r.randint(2, 60) if level == 1 else r.randint(61, 999)
    back = r.random() < 0.3
    text = r.choice(
        ("Today is {0}. What day of the week was it {1} days ago?", "If today is {0}, which weekday was {1} days earlier?")
        if back
        else ("Today is {0}. What day of the week will it be in {1} days?",
              "If today is {0}, which weekday comes {1} days later?",
              "A trip begins on a {0} and ends {1} days later. On which weekday does it end?")
    )  # fmt: skip
    rest = days % 7
    lines = [f"{days} = 7 * {days // 7} + {rest}", *_count_on(day, -rest if back else rest)]
    return problem(f"{text.format(day, days)} Give the weekday's name.", _on(day, -days if back else days), lines, "text")


def _clock(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _end_of(r: random.Random, level: int) -> Problem:
    start = r.randint(6 * 60, 17 * 60)
    length = r.randint(61, 300) if level == 1 else r.randint(301, 1200)
    hours, minutes = divmod(length, 60)
    text = r.choice(
        (
            "A {} begins at {} and lasts {}. When does it end?", "A {} starts at {}. It takes {}. At what time is it over?",
            "The {} that began at {} went on for {}. When was it over?",
        )
    )  # fmt: skip
    lasting = f"{hours} hours and {minutes} minutes" if r.random() < 0.6 else f"{length} minutes"
    lines = [] if "hours" in lasting else [f"{length} = 60 * {hours} + {minutes}"]
    total, hour = start % 60 + minutes, start // 60 + hours
    lines += [f"Minutes: {start % 60} + {minutes} = {total}"]
    if total > 59:
        lines.append(f"Over the hour: {total} - 60 = {total - 60}")
    lines.append(f"Hours: {start // 60} + {hours}{' + 1' if total > 59 else ''} = {hour + total // 60}")
    if hour + total // 60 > 23:
        lines.append(f"Over the day: {hour + total // 60} - 24 = {hour + total // 60 - 24}")
    end = _clock((start + length) % 1440)
    question = f"{text.format(r.choice(_EVENTS), _clock(start), lasting)} Answer as HH:MM on the 24-hour clock."
    return problem(question, end, lines, "text", accept=[end.removeprefix("0")])


def _duration(r: random.Random, level: int) -> Problem:
    start = r.randint(6 * 60, 18 * 60)
    end = start + r.randint(30, 300)
    text = r.choice(
        ("A {} begins at {} and ends at {}. How many minutes does it last?", "How many minutes long is a {} from {} to {}?",
         "A {} starts at {} and is over at {}. How long is it, in minutes?")
    )  # fmt: skip
    lines = []
    for clock in (start, end):
        hours, minutes = divmod(clock, 60)
        lines.append(f"{_clock(clock)} is {hours} * 60 + {minutes} = {clock} minutes.")
    return problem(text.format(r.choice(_EVENTS), _clock(start), _clock(end)), end - start, [*lines, *work(end, "-", start)])


def _leap(year: int) -> bool:
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def _two_dates(r: random.Random, level: int) -> tuple[int, tuple[int, int], tuple[int, int]]:
    """A year and two dates in it, one to four months apart at level 2, up to eleven at level 3."""
    year = r.randint(1990, 2039)
    first = r.randint(0, 10 if level == 2 else 7)
    second = r.randint(first + 1, min(11, first + 3)) if level == 2 else r.randint(first + 4, 11)
    return year, (first, r.randint(1, 28)), (second, r.randint(1, 28))


def _days_between(year: int, start: tuple[int, int], end: tuple[int, int]) -> tuple[list[str], int]:
    lines = []
    if start[0] <= 1 < end[0]:
        lines.append(
            f"{year} {'is a leap year: February has 29 days.' if _leap(year) else 'is no leap year: February has 28 days.'}"
        )
    lengths = [n + (i == 1 and _leap(year)) for i, n in enumerate(_LENGTHS)]
    total = lengths[start[0]] - start[1]
    lines.append(f"Left in {_MONTHS[start[0]]}: {lengths[start[0]]} - {start[1]} = {total}")
    for month in range(start[0] + 1, end[0]):
        lines.append(f"{_MONTHS[month]}: {total} + {lengths[month]} = {total + lengths[month]}")
        total += lengths[month]
    lines.append(f"{_MONTHS[end[0]]}: {total} + {end[1]} = {total + end[1]}")
    return lines, total + end[1]


def _date(month_day: tuple[int, int]) -> str:
    return f"{_MONTHS[month_day[0]]} {month_day[1]}"


def _between(r: random.Random, level: int) -> Problem:
    year, start, end = _two_dates(r, level)
    text = r.choice(
        ("How many days is it from {0} to {1} in the year {2}?", "In {2}, how many days pass from {0} to {1}?",
         "Something is ordered on {0} and comes on {1}, {2}. How many days later is that?")
    )  # fmt: skip
    lines, days = _days_between(year, start, end)
    return problem(text.format(_date(start), _date(end), year), days, lines)


def _date_weekday(r: random.Random, level: int) -> Problem:
    year, start, end = _two_dates(r, level)
    day = _DAYS[_day_number(year, start) % 7]
    text = r.choice(
        ("{0}, {2} is a {3}. What day of the week is {1}, {2}?", "In {2}, {0} falls on a {3}. On which weekday does {1} fall?")
    )
    lines, days = _days_between(year, start, end)
    lines += [f"{days} = 7 * {days // 7} + {days % 7}", *_count_on(day, days % 7)]
    return problem(
        f"{text.format(_date(start), _date(end), year, day)} Give the weekday's name.", _on(day, days), lines, "text"
    )


def _day_number(year: int, month_day: tuple[int, int]) -> int:
    """Days from Monday, January 1 of the year 1."""
    before = year - 1
    month, day = month_day
    passed = sum(_LENGTHS[:month]) + (1 if month > 1 and _leap(year) else 0)
    return 365 * before + before // 4 - before // 100 + before // 400 + passed + day - 1
