"""Cron expressions of AWS, on a clock on a wall: minute, hour, day of month, month, day of week, year.

    cron("0 9 ? * MON-FRI *").next_after(datetime(2026, 5, 1, 9))     # datetime(2026, 5, 4, 9, 0)

Moments have no time zone here; `outcrop.scaling.schedules` puts them into one.
https://docs.aws.amazon.com/autoscaling/application/userguide/scheduled-scaling-using-cron-expressions.html
"""

import calendar
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time

from outcrop.errors import Invalid

_FIRST_YEAR, _LAST_YEAR = 1970, 2199
_MONTHS = {name.upper(): number for number, name in enumerate(calendar.month_abbr) if name}
_DAYS = {name: number for number, name in enumerate(("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"), 1)}
_NUMBER = re.compile(r"[0-9]{1,4}")
_LAST_OR_NEAREST = re.compile(r"(?:(L)|([0-9]{1,2})W|LW)")
_OF_WEEK = re.compile(r"(\w+?)(?:(L)|#([1-5]))")
_Days = Callable[[int, int], set[int]]
"Days of a month, by year and month."


@dataclass(frozen=True)
class Cron:
    """A cron expression, read."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _Days
    months: frozenset[int]
    years: frozenset[int]

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment behind this one; None where there is none any more."""
        for day in self._days_from(moment.date()):
            for hour in self.hours:
                for minute in self.minutes:
                    found = datetime.combine(day, time(hour, minute))
                    if found > moment:
                        return found
        return None

    def _days_from(self, first: date) -> Iterator[date]:
        for year in range(max(first.year, _FIRST_YEAR), _LAST_YEAR + 1):
            if year not in self.years:
                continue
            for month in sorted(self.months):
                if (year, month) < (first.year, first.month):
                    continue
                for day in sorted(self.days(year, month)):
                    if (found := date(year, month, day)) >= first:
                        yield found


def cron(text: str) -> Cron:
    """The expression in a text of six fields. Raises Invalid."""
    fields = text.upper().split()
    if len(fields) != 6:
        raise _wrong(text, f"it has {len(fields)} fields and not 6")
    minutes, hours, of_month, months, of_week, years = fields
    if (of_month == "?") == (of_week == "?"):
        raise _wrong(text, "one of the day of month and the day of week is '?', and not both")
    try:
        days = _days_of_week(of_week) if of_month == "?" else _days_of_month(of_month)
        found = Cron(
            tuple(sorted(_numbers(minutes, 0, 59))),
            tuple(sorted(_numbers(hours, 0, 23))),
            days,
            frozenset(_numbers(months, 1, 12, _MONTHS)),
            frozenset(_numbers(years, _FIRST_YEAR, _LAST_YEAR)),
        )
    except ValueError as error:
        raise _wrong(text, str(error)) from error
    if not any(found.days(year, month) for year in (2024, 2025) for month in found.months):
        raise _wrong(text, "there is no such day in any month")
    return found


def _days_of_month(field: str) -> _Days:
    special = _LAST_OR_NEAREST.fullmatch(field)
    if special is None:
        numbers = _numbers(field, 1, 31)
        return lambda year, month: {day for day in numbers if day <= calendar.monthrange(year, month)[1]}
    wanted = int(special[2]) if special[2] else None
    if wanted is not None and not 1 <= wanted <= 31:
        raise ValueError(f"{field} is no day of a month")

    def found(year: int, month: int) -> set[int]:
        last = calendar.monthrange(year, month)[1]
        if special[1]:
            return {last}
        if wanted is not None and wanted > last:
            return set()
        return {_nearest_weekday(year, month, last if wanted is None else wanted)}

    return found


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """The working day nearest to a day, in the same month."""
    last, of_week = calendar.monthrange(year, month)[1], date(year, month, day).weekday()
    if of_week == 5:
        return day - 1 if day > 1 else day + 2
    if of_week == 6:
        return day + 1 if day < last else day - 2
    return day


def _days_of_week(field: str) -> _Days:
    special = None if field == "L" else _OF_WEEK.fullmatch(field)
    if special is None:
        numbers = {7} if field == "L" else _numbers(field, 1, 7, _DAYS)
        return lambda year, month: {day for day in _month(year, month) if _of_week(year, month, day) in numbers}
    (number,) = _numbers(special[1], 1, 7, _DAYS)
    place = -1 if special[2] else int(special[3]) - 1

    def found(year: int, month: int) -> set[int]:
        days = [day for day in _month(year, month) if _of_week(year, month, day) == number]
        return {days[place]} if place < len(days) else set()

    return found


def _month(year: int, month: int) -> range:
    return range(1, calendar.monthrange(year, month)[1] + 1)


def _of_week(year: int, month: int, day: int) -> int:
    """The day of the week as AWS counts it, Sunday first."""
    return (date(year, month, day).weekday() + 1) % 7 + 1


def _numbers(field: str, least: int, most: int, names: dict[str, int] | None = None) -> set[int]:
    """The numbers of a field: lists of numbers, ranges and increments. Raises ValueError."""
    found: set[int] = set()
    for part in field.split(","):
        span, _, increment = part.partition("/")
        first, dash, last = span.partition("-")
        begin = least if span == "*" else _number(first, least, most, names or {})
        end = _number(last, least, most, names or {}) if dash else most if span == "*" or increment else begin
        step = int(increment) if _NUMBER.fullmatch(increment) else 1 if not increment else 0
        if step < 1 or ("/" in part and not increment):
            raise ValueError(f"{part} has no increment from 1 on")
        # A range may go past the end, as FRI-MON does.
        found |= set(range(begin, end + 1, step)) if begin <= end else {*range(begin, most + 1), *range(least, end + 1)}
    return found


def _number(text: str, least: int, most: int, names: dict[str, int]) -> int:
    value = names.get(text) or (int(text) if _NUMBER.fullmatch(text) else least - 1)
    if not least <= value <= most:
        raise ValueError(f"{text[:20]} is not within {least} and {most}")
    return value


def _wrong(text: str, why: str) -> Invalid:
    return Invalid(
        f"Schedule: cron({text[:100]}) is not understood: {why}. Write cron(0 9 ? * MON-FRI *), for example."
    )
