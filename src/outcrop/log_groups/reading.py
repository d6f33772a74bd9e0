"""Events of many files in one order: by time, then as they came in, from either end.

Nothing is read before its turn. A file is opened when the order reaches its first time, a batch is taken apart when the
order reaches the batch's; and where no other one lies across it, its events go out without being compared.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from outcrop.keys.sealed_content import OpenKey
from outcrop.log_groups.event_files import EventBlock, Extent, LogFile
from outcrop.log_groups.events import KeptEvent, ReadSpan

_Key = tuple[int, ...]


@dataclass(frozen=True)
class StreamFile:
    """A file, and the stream that its events are of."""

    stream_id: int
    stream: str
    file: LogFile
    open_key: OpenKey
    "Opens the data keys of what is sealed."


@dataclass(frozen=True)
class _UnreadBatch:
    of: StreamFile
    block: EventBlock


class _Rest(NamedTuple):
    """The rest of a batch across which others lie."""

    event: KeptEvent | None
    others: Iterator[KeptEvent]


_Source = StreamFile | _UnreadBatch | _Rest


def in_order(files: Iterable[StreamFile], span: ReadSpan) -> Iterator[KeptEvent]:
    """The events of a span, one after another."""
    ties = count()
    waiting: list[tuple[_Key, int, _Source]] = [
        (_begin(each.file.extent, span), next(ties), each) for each in files if _touches(each.file.extent, span)
    ]
    heapify(waiting)
    while waiting:
        source = heappop(waiting)[2]
        if isinstance(source, StreamFile):
            for block in source.file.blocks():
                if _touches(block.extent, span):
                    heappush(waiting, (_begin(block.extent, span), next(ties), _UnreadBatch(source, block)))
            continue
        if isinstance(source, _Rest):
            event, others = source
        else:
            others = _events(source, span)
            event = next(others, None)
        while event is not None:
            key = _key(event, span)
            if waiting and key > waiting[0][0]:
                heappush(waiting, (key, next(ties), _Rest(event, others)))
                break
            yield event
            event = next(others, None)


def _events(batch: _UnreadBatch, span: ReadSpan) -> Iterator[KeptEvent]:
    events = batch.block.events(batch.of.stream_id, batch.of.stream, batch.of.open_key)
    return filter(span.holds, reversed(events) if span.descending else events)


def _touches(extent: Extent, span: ReadSpan) -> bool:
    return span.touches(extent.first_us, extent.last_us)


def _begin(extent: Extent, span: ReadSpan) -> _Key:
    """No greater than the key of any of its events."""
    return (-extent.last_us,) if span.descending else (extent.first_us,)


def _key(event: KeptEvent, span: ReadSpan) -> _Key:
    return tuple(-each for each in event[:4]) if span.descending else event[:4]
