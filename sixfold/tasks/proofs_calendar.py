"""Proofs of `math_calendar.py`'s problems: weekdays, dates and clock times, against Python's own calendar.

Place: `math_families.py` hands them on. Nothing of the generators is used.
"""

from __future__ import annotations

import calendar
import re
from datetime import date, datetime, timedelta

from sixfold.core import Problem
from sixfold.tasks.proofs_reading import Steps, find, must, proof
from sixfold.tasks.proofs_written import take_work

_DAYS, _MONTHS = tuple(calendar.day_name), tuple(calendar.month_name)
_DAY = "|".join(_DAYS)
_MONTH_DAY = rf"({'|'.join(_MONTHS[1:])}) (\d+)"


def _answer(problem: Problem, right: object) -> None:
    must(problem.answer == str(right), f"the answer is {right}")


def _take_week(steps: Steps, day: str, days: int, sign: int) -> str:
    """Whole weeks left out, the rest counted; gives the weekday at the end."""
    m = steps.take(r"(\d+) = 7 \* (\d+) \+ ([0-6])")
    must(int(m[1]) == days == 7 * int(m[2]) + int(m[3]), f"not true here: {m[0]!r}")
    rest = int(m[3])
    wanted = [_DAYS[(_DAYS.index(day) + sign * i) % 7] for i in range(1, rest + 1)]
    if not rest:
        n = steps.take(rf"0 days from ({_DAY}) is ({_DAY})\.")
        must(n[1] == n[2] == day, "another day")
        return day
    n = steps.take(rf"([1-6]) (on|back) from ({_DAY}): (.+)\.")
    must(
        (int(n[1]), n[2], n[3]) == (rest, "on" if sign > 0 else "back", day) and n[4].split(", ") == wanted,
        f"wrong count: {n[0]!r}",
    )
    return wanted[-1]


def _weekday(problem: Problem, steps: Steps) -> None:
    day = find(rf"\b({_DAY})\b", problem.question)[1]
    days = int(find(r"(\d+) days", problem.question)[1])
    back = re.search(r"days (?:ago|earlier)", problem.question) is not None
    must(back or re.search(r"in \d+ days|days later", problem.question), "in which direction?")
    shown = _take_week(steps, day, days, -1 if back else 1)
    start = date(2024, 1, 1) + timedelta(_DAYS.index(day))
    must(shown == f"{start + timedelta(-days if back else days):%A}", "another weekday")
    _answer(problem, shown)


def _dates(question: str) -> tuple[date, date]:
    year = int(find(r"\b(\d{4})\b(?! is a)|(?<=, )\d{4}(?= is a)", re.sub(r"(\d{4})(?=.*\b\1\b)", "", question))[0])
    start, end = (date(year, _MONTHS.index(m), int(d)) for m, d in re.findall(_MONTH_DAY, question))
    must(start < end, "the dates are not in order")
    return start, end


def _take_between(steps: Steps, start: date, end: date) -> int:
    leap = calendar.isleap(start.year)
    if start.month <= 2 < end.month:
        m = steps.take(r"(\d+) is (a|no) leap year: February has (\d+) days\.")
        must(m.groups() == (str(start.year), "a" if leap else "no", "29" if leap else "28"), f"not true: {m[0]!r}")
    length = calendar.monthrange(start.year, start.month)[1]
    m = steps.take(r"Left in (\w+): (\d+) - (\d+) = (\d+)")
    total = length - start.day
    must(m.groups() == (_MONTHS[start.month], str(length), str(start.day), str(total)), f"not true here: {m[0]!r}")
    for month in range(start.month + 1, end.month + 1):
        more = end.day if month == end.month else calendar.monthrange(start.year, month)[1]
        m = steps.take(r"(\w+): (\d+) \+ (\d+) = (\d+)")
        must(m.groups() == (_MONTHS[month], str(total), str(more), str(total + more)), f"not true here: {m[0]!r}")
        total += more
    must(total == (end - start).days, "another number of days")
    return total


def _between(problem: Problem, steps: Steps) -> None:
    start, end = _dates(problem.question)
    _answer(problem, _take_between(steps, start, end))


def _date_weekday(problem: Problem, steps: Steps) -> None:
    start, end = _dates(problem.question)
    day = find(rf"\b({_DAY})\b", problem.question)[1]
    must(day == f"{start:%A}", "the calendar has another weekday for the first date")
    shown = _take_week(steps, day, _take_between(steps, start, end), 1)
    must(shown == f"{end:%A}", "another weekday")
    _answer(problem, shown)


def _end_of(problem: Problem, steps: Steps) -> None:
    question = problem.question
    at = datetime.strptime(find(r"\b(\d\d:\d\d)\b", question)[1], "%H:%M")
    if m := re.search(r"(\d+) hours and (\d+) minutes", question):
        hours, minutes = int(m[1]), int(m[2])
    else:
        length = int(find(r"(\d+) minutes", question)[1])
        m = steps.take(r"(\d+) = 60 \* (\d+) \+ (\d+)")
        hours, minutes = int(m[2]), int(m[3])
        must(int(m[1]) == length == 60 * hours + minutes and minutes < 60, f"not true: {m[0]!r}")
    m = steps.take(r"Minutes: (\d+) \+ (\d+) = (\d+)")
    total = at.minute + minutes
    must([int(g) for g in m.groups()] == [at.minute, minutes, total], f"not true here: {m[0]!r}")
    if total >= 60:
        m = steps.take(r"Over the hour: (\d+) - 60 = (\d+)")
        must([int(g) for g in m.groups()] == [total, total - 60], f"not true here: {m[0]!r}")
    m = steps.take(r"Hours: (\d+) \+ (\d+)( \+ 1)? = (\d+)")
    late = at.hour + hours + (total >= 60)
    must((int(m[1]), int(m[2]), bool(m[3]), int(m[4])) == (at.hour, hours, total >= 60, late), f"not true here: {m[0]!r}")
    if late >= 24:
        m = steps.take(r"Over the day: (\d+) - 24 = (\d+)")
        must([int(g) for g in m.groups()] == [late, late - 24], f"not true here: {m[0]!r}")
    right = f"{at + timedelta(hours=hours, minutes=minutes):%H:%M}"
    _answer(problem, right)
    must(problem.meta["accept"] == [right.removeprefix("0")], "meta accepts other answers")


def _duration(problem: Problem, steps: Steps) -> None:
    clocks = re.findall(r"\d\d:\d\d", problem.question)
    must(len(clocks) == 2, "not two clock times")
    passed = []
    for clock in clocks:
        hours, minutes = int(clock[:2]), int(clock[3:])
        m = steps.take(r"(\d\d:\d\d) is (\d+) \* 60 \+ (\d+) = (\d+) minutes\.")
        passed.append(hours * 60 + minutes)
        must((m[1], int(m[2]), int(m[3]), int(m[4])) == (clock, hours, minutes, passed[-1]), f"not true here: {m[0]!r}")
    _answer(problem, take_work(steps, passed[1], "-", passed[0]))


def _calendar(problem: Problem, steps: Steps) -> None:
    question = problem.question
    weekday = question.endswith(" Give the weekday's name.")
    if re.search(_MONTH_DAY, question):
        (_date_weekday if weekday else _between)(problem, steps)
    elif weekday:
        _weekday(problem, steps)
    else:
        (_end_of if question.endswith("on the 24-hour clock.") else _duration)(problem, steps)


prove_calendar = proof(_calendar)
