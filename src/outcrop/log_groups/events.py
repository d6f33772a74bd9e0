"""Log events: as they come in, as they are kept, and the order in which they are read."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from outcrop.errors import Invalid
from outcrop.store.database import microseconds, moment

LARGEST_EVENT_BYTES = 1 << 20
"What CloudWatch Logs takes of one event: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html"
OVERHEAD_BYTES = 26
"CloudWatch Logs counts so much beside the message, for each event."


@dataclass(frozen=True, kw_only=True)
class LogEvent:
    """A line of a log, and the moment that it tells of."""

    at: datetime
    message: str


class EventPlace(NamedTuple):
    """The place of an event in the order of reading: by its time, then as it came in."""

    at_us: int
    ingested_us: int
    stream_id: int
    number: int


class KeptEvent(NamedTuple):
    """An event on record. Times are microseconds since 1970: a page holds ten thousand."""

    at_us: int
    ingested_us: int
    stream_id: int
    number: int
    "Counted from 0 in its stream."
    stream: str
    message: str

    @property
    def place(self) -> EventPlace:
        return EventPlace(self.at_us, self.ingested_us, self.stream_id, self.number)

    @property
    def at(self) -> datetime:
        return moment(self.at_us)

    @property
    def ingested(self) -> datetime:
        return moment(self.ingested_us)

    @property
    def id(self) -> str:
        """Fifty-six digits, as CloudWatch Logs gives them, different for every event of an installation."""
        return f"{self.at_us // 1000:016}{self.stream_id:020}{self.number:020}"


@dataclass(frozen=True, kw_only=True)
class ReadSpan:
    """The events to be read: in [since, until), behind a place, from either end."""

    since_us: int = 0
    until_us: int = 1 << 62
    after: EventPlace | None = None
    descending: bool = False

    @classmethod
    def between(
        cls,
        since: datetime | None,
        until: datetime | None,
        *,
        after: EventPlace | None = None,
        descending: bool = False,
    ) -> "ReadSpan":
        """Without `since` from the beginning, without `until` to the end."""
        return cls(
            since_us=0 if since is None else microseconds(since),
            until_us=1 << 62 if until is None else microseconds(until),
            after=after,
            descending=descending,
        )

    def touches(self, first_us: int, last_us: int) -> bool:
        """Whether events between two moments may be among them."""
        if last_us < self.since_us or first_us >= self.until_us:
            return False
        if self.after is None:
            return True
        return first_us <= self.after.at_us if self.descending else last_us >= self.after.at_us

    def holds(self, event: KeptEvent) -> bool:
        if not self.since_us <= event.at_us < self.until_us:
            return False
        if self.after is None:
            return True
        return event[:4] < self.after if self.descending else event[:4] > self.after


def size_of(message: str) -> int:
    """The bytes of a message. Raises Invalid for one that is too large, or is no text."""
    try:
        size = len(message.encode())
    except UnicodeEncodeError as error:
        raise Invalid("Log event: the message is no text of Unicode: it holds half a surrogate pair.") from error
    if size > LARGEST_EVENT_BYTES:
        raise Invalid(f"Log event too large: {size} bytes exceed {LARGEST_EVENT_BYTES}.")
    return size


def counted_size(events: Sequence[LogEvent]) -> int:
    """The bytes of events as CloudWatch Logs counts them. Raises Invalid."""
    return sum(size_of(each.message) for each in events) + OVERHEAD_BYTES * len(events)
