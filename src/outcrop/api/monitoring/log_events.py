"""CloudWatch Logs: events of streams, written, read from either end, and searched.

A token of GetLogEvents is a place between events: `f/` goes on behind it, `b/` before it. At the end of a stream the
same token comes back, and a client that asks with it again later gets what was written meanwhile.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.log_streams import sequence_token
from outcrop.api.monitoring.named import group_name, group_of, milliseconds
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.log_groups import filter_patterns
from outcrop.log_groups.events import OVERHEAD_BYTES, EventPlace, KeptEvent, LogEvent, counted_size
from outcrop.log_groups.records import LogGroup, LogStream
from outcrop.store.database import moment

LARGEST_BATCH_BYTES = 1 << 20
MOST_SEARCHED = 250_000
"Events that one request of FilterLogEvents looks at; then it gives what it found, and a token."
_PAGE_BYTES, _PAGE_EVENTS = 1 << 20, 10_000
_LATEST = timedelta(hours=2)
_OLDEST = timedelta(days=14)
_LONGEST = timedelta(hours=24)
_LAST_MS = (1 << 62) // 1000
_TOKEN = re.compile(r"([fb])/(\d{20})(\d{20})(\d{16})/s")


def put_log_events(house: House, call: Call) -> Answered:
    params = call.params
    group, stream = house.log_groups.required_stream(
        params["logGroupName"], params["logStreamName"], region=call.region
    )
    events = [LogEvent(at=_moment(each["timestamp"]), message=each["message"]) for each in params["logEvents"]]
    size = counted_size(events)
    if size > LARGEST_BATCH_BYTES:
        raise Invalid(f"Upload too large: {size} bytes exceeds limit of {LARGEST_BATCH_BYTES}")
    if any(later.at < earlier.at for earlier, later in zip(events, islice(events, 1, None), strict=False)):
        raise Invalid("Log events in a single PutLogEvents request must be in chronological order.")
    taken, rejected = _accepted(events, house.clock.now(), house.log_groups.kept_since(group))
    if taken and taken[-1].at - taken[0].at > _LONGEST:
        raise Invalid("The batch of log events in a single PutLogEvents request cannot span more than 24 hours.")
    answer: dict[str, Any] = {"nextSequenceToken": sequence_token(house.log_groups.append(group, stream, taken))}
    if rejected:
        answer["rejectedLogEventsInfo"] = rejected
    if "entity" in params:  # the events are taken all the same, as CloudWatch Logs does with an entity it cannot keep
        answer["rejectedEntityInfo"] = {"errorType": "UnsupportedLogGroupType"}
    return answer


def get_log_events(house: House, call: Call) -> Answered:
    params = call.params
    group, stream = house.log_groups.required_stream(group_name(call), params["logStreamName"], region=call.region)
    token = params.get("nextToken")
    forward, place = (params.get("startFromHead", False), None) if token is None else _read_token(token, stream)
    since, until = _span(params)
    found = house.log_groups.read(group, [stream], since=since, until=until, after=place, descending=not forward)
    page = _page(found, params.get("limit", _PAGE_EVENTS))[0]
    if not forward:
        page.reverse()
    first, last = _ends(page, place, forward=forward)
    return {
        "events": [_shown(each) for each in page],
        "nextForwardToken": _token("f", last),
        "nextBackwardToken": _token("b", first),
    }


def filter_log_events(house: House, call: Call) -> Answered:
    params = call.params
    group = group_of(house, call)
    matches = filter_patterns.parse(params.get("filterPattern", ""))
    streams = _chosen(house, call, group)
    since, until = _span(params)
    until = None if until is None else until + timedelta(milliseconds=1)  # here its end is among the events
    token = page_tokens.read(call)
    after = None if token is None else EventPlace(*map(int, token.split()))
    searched = islice(house.log_groups.read(group, streams, since=since, until=until, after=after), MOST_SEARCHED + 1)
    page, place = _page(searched, params.get("limit", _PAGE_EVENTS), matches)
    shown = [{**_shown(each), "logStreamName": each.stream, "eventId": each.id} for each in page]
    return {
        "events": shown,
        "searchedLogStreams": [],  # as CloudWatch Logs has it since 2020
        "nextToken": None if place is None else page_tokens.write(call, " ".join(map(str, place))),
    }


def _accepted(
    events: Sequence[LogEvent], now: datetime, kept_since: datetime | None
) -> tuple[Sequence[LogEvent], dict[str, int]]:
    """The events that are neither too old nor too new, and where in the batch the others are."""
    num_old = sum(each.at < now - _OLDEST for each in events)
    num_expired = 0 if kept_since is None else sum(each.at < kept_since for each in events)
    begin_new = sum(each.at <= now + _LATEST for each in events)
    rejected = {}
    if num_old:
        rejected["tooOldLogEventEndIndex"] = num_old
    if num_expired:
        rejected["expiredLogEventEndIndex"] = num_expired
    if begin_new < len(events):
        rejected["tooNewLogEventStartIndex"] = begin_new
    return events[max(num_old, num_expired) : begin_new], rejected


def _page(
    events: Iterable[KeptEvent], most: int, matches: filter_patterns.Matcher | None = None
) -> tuple[list[KeptEvent], EventPlace | None]:
    """The events of a page, up to 1 MB, and where the next one begins.

    That is the place of the last event that was looked at; None where there are no more.
    """
    page: list[KeptEvent] = []
    size, last = 0, None
    for number, event in enumerate(events):
        if matches is None or matches(event.message):
            size += len(event.message.encode()) + OVERHEAD_BYTES
            if len(page) == most or (page and size > _PAGE_BYTES):
                return page, last
            page.append(event)
        if number == MOST_SEARCHED:
            return page, event.place
        last = event.place
    return page, None


def _chosen(house: House, call: Call, group: LogGroup) -> list[LogStream]:
    """The streams that are searched. Raises ResourceNotFoundException for one that is named and not there."""
    names, prefix = call.params.get("logStreamNames"), call.params.get("logStreamNamePrefix", "")
    if names is None:
        return house.log_groups.records.streams(group, prefix=prefix)
    if prefix:
        raise Invalid("logStreamNames and logStreamNamePrefix exclude each other. Send one of them.")
    return [house.log_groups.required_stream(group.name, each, region=group.region)[1] for each in dict.fromkeys(names)]


def _span(params: dict[str, Any]) -> tuple[datetime | None, datetime | None]:
    since, until = params.get("startTime"), params.get("endTime")
    return None if since is None else _moment(since), None if until is None else _moment(until)


def _moment(at_ms: int) -> datetime:
    # Python's years end with 9999, and clients send all sorts of large numbers for "no end".
    return moment(min(at_ms, _MOST_MS) * 1000)


def _ends(page: list[KeptEvent], place: EventPlace | None, *, forward: bool) -> tuple[EventPlace, EventPlace]:
    """The places from which a client goes on before the page, and behind it."""
    if page:
        return page[0].place, page[-1].place
    if place is None:
        return EventPlace(_LAST_MS * 1000, 0, 0, 0), EventPlace(0, 0, 0, 0)
    if forward:  # backwards comes the event at the place itself, too
        return place._replace(number=place.number + 1), place
    before = (
        place._replace(number=place.number - 1) if place.number else EventPlace(max(place.at_us - 1, 0), _FAR, 0, 0)
    )
    return place, before


def _token(direction: str, place: EventPlace) -> str:
    return f"{direction}/{place.at_us:020}{place.ingested_us:020}{place.number:016}/s"


def _read_token(token: str, stream: LogStream) -> tuple[bool, EventPlace]:
    """Whether the token goes forward, and from which place. Raises Invalid."""
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise Invalid("The specified nextToken is invalid.")
    at_us, ingested_us, number = map(int, found.groups()[1:])
    return found[1] == "f", EventPlace(at_us, ingested_us, stream.id, number)


def _shown(event: KeptEvent) -> dict[str, Any]:
    return {
        "timestamp": milliseconds(event.at_us),
        "message": event.message,
        "ingestionTime": milliseconds(event.ingested_us),
    }


_MOST_MS = 253_402_300_799_000
"The last second of the year 9999."
_FAR = 10**19
"Later than any moment."

OPERATIONS: dict[str, Handler] = {
    "FilterLogEvents": filter_log_events,
    "GetLogEvents": get_log_events,
    "PutLogEvents": put_log_events,
}
