"""Schedules of scheduled actions: at(...), rate(...) and cron(...), in a time zone, between two moments.

schedule = read("cron(0 9 ? * MON-FRI *)", "Asia/Tokyo")
schedule.next_after(now)        # the first run behind a moment
schedule.last_until(due, now)   # of the runs from `due` on, the last one that is not behind `now`
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from outcrop.errors import Invalid
from outcrop.scaling.cron import cron

_FORM = re.compile(r"(at|rate|cron)\((.*)\)")
_RATE = re.compile(r"([1-9]\d{0,5})\s+(minute|hour|day)s?")
_LOOKED_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=32), timedelta(days=400))


@dataclass(frozen=True)
class ActionSchedule:
    """The moments of a schedule."""

    _next: Callable[[datetime], datetime | None]

    def next_after(self, moment: datetime) -> datetime | None:
        """The first moment behind this one; None where there is none any more."""
        return self._next(moment)

    def last_until(self, due: datetime, now: datetime) -> datetime:
        """The last moment that is not behind `now`, where `due` is one that is not.

        A process that was away for long asks once for the run that counts, not for all that it missed.
        """
        found = due
        for span in _LOOKED_BACK:
            later = self._next(max(due, now - span))
            if later is not None and later <= now:
                while later is not None and later <= now:
                    found, later = later, self._next(later)
                break
            if now - span <= due:
                break
        return found


def read(text: str, timezone: str | None, *, begins: datetime) -> ActionSchedule:
    """The schedule of an action that begins at a moment, from which rates count. Raises Invalid."""
    match, zone = _FORM.fullmatch(text.strip()), _zone(timezone)
    if match is None:
        raise Invalid(f"Schedule: {text[:100]!r} is none. Write at(yyyy-mm-ddThh:mm:ss), rate(5 minutes) or cron(...).")
    kind, content = match.groups()
    if kind == "rate":
        if timezone is not None:
            raise Invalid("Timezone: goes with at(...) and cron(...). Leave it out.")
        return _rate(content, begins)
    if kind == "at":
        at = _at(content, zone)
        return ActionSchedule(lambda moment: at if at > moment else None)
    expression = cron(content)

    def following(moment: datetime) -> datetime | None:
        wall = moment.astimezone(zone).replace(tzinfo=None)
        while (found := expression.next_after(wall)) is not None:
            # Where clocks are set forward, what they leave out comes when they go on; where they are set back, the
            # first of the two hours counts.
            at = found.replace(tzinfo=zone).astimezone(UTC)
            if at > moment:
                return at
            wall = found
        return None

    return ActionSchedule(following)


def _rate(content: str, begins: datetime) -> ActionSchedule:
    match = _RATE.fullmatch(content.strip())
    if match is None:
        raise Invalid(f"Schedule: rate({content[:40]}) is none. Write a number and minutes, hours or days.")
    every = timedelta(**{f"{match[2]}s": int(match[1])})

    def following(moment: datetime) -> datetime:
        return begins if moment < begins else begins + every * ((moment - begins) // every + 1)

    return ActionSchedule(following)


def _at(content: str, zone: ZoneInfo) -> datetime:
    try:
        return datetime.strptime(content.strip(), "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"Schedule: at({content[:40]}) is none. Write at(yyyy-mm-ddThh:mm:ss).") from error


def _zone(name: str | None) -> ZoneInfo:
    try:
        return ZoneInfo(name or "UTC")
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise Invalid(
            f"Timezone: {str(name)[:60]!r} is not known here. Write a name of IANA, such as Etc/UTC."
        ) from error
