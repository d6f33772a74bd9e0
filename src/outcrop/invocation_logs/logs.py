"""Model invocation logging: records of invocations, collected in memory and written aside from the requests.

    logs = InvocationLogs(rooms, store, clock, points)
    if logs.is_on(region):                      # a look into a dictionary, as a rule
        logs.note(Invocation(...))              # neither waits nor fails, whatever is wrong with the destinations
    logs.flush()                                # every few seconds, in a thread of its own
    logs.close()                                # at the end: all that waits, once more

A process that is killed loses what it noted since its last flush; one that ends in order loses nothing that can be
written. Where a disk is full or a bucket refuses, one line in the log says so, CloudWatch's metrics of delivery count
it, and the records wait up to a bound.
"""

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sql

from outcrop import logs
from outcrop.clock import Clock
from outcrop.errors import MachineTrouble, Refusal
from outcrop.invocation_logs.configuration import Configurations, Destinations
from outcrop.invocation_logs.invocation import DataKind, Invocation
from outcrop.invocation_logs.sinks import BucketSink, GroupSink, Sink, SinkRooms
from outcrop.loops import contained
from outcrop.metrics.points import Points
from outcrop.metrics.series import Unit, series
from outcrop.metrics.traffic import BEDROCK
from outcrop.store.store import Store

MOST_WAITING_BYTES = 64 << 20
"In memory, while they cannot be written; further records are left out, and counted."
_BELIEVED_S = 1.0
"So long it is believed whether a region is logged."
RETRY_AFTER = timedelta(seconds=30)
"So long a destination that failed is left alone."
_FAILURES = (Refusal, MachineTrouble, OSError, sql.exc.SQLAlchemyError)
_log = logging.getLogger("outcrop.invocation_logs")


@dataclass
class _Delivery:
    """The invocations on their way to one place."""

    sink: Sink
    kinds: frozenset[DataKind] = frozenset()
    waiting: list[Invocation] = field(default_factory=list)
    failing: bool = False
    retry_at: datetime | None = None
    wanted: bool = True
    "Whether the configuration still names it."


class InvocationLogs:
    """The log of one process. Safe in several threads."""

    def __init__(self, rooms: SinkRooms, store: Store, clock: Clock, points: Points) -> None:
        self.configurations = Configurations(store, clock)
        self._rooms = rooms
        self._clock = clock
        self._points = points
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._on: dict[str, bool] = {}
        self._read_at = float("-inf")
        self._noted: list[Invocation] = []
        self._waiting_bytes = 0
        self._deliveries: dict[tuple[str, object], _Delivery] = {}
        self.left_out = 0
        "Records that were left out: no room while nothing could be written, or nothing could at the end."

    @property
    def waiting(self) -> int:
        """Invocations in memory."""
        return len(self._noted) + sum(len(delivery.waiting) for delivery in list(self._deliveries.values()))

    def is_on(self, region: str) -> bool:
        """Whether invocations of a region are logged. It is read again when it is changed here, and once a second:
        another server may have changed it."""
        if time.monotonic() - self._read_at >= _BELIEVED_S:
            self._on.clear()
            self._read_at = time.monotonic()
        known = self._on.get(region)
        if known is None:
            with contained(_log, "reading the logging configuration") as outcome:
                known = self.configurations.get(region, self._rooms.account) is not None
            if known is None or outcome.error is not None:
                return False
            self._on[region] = known
        return known

    def configure(self, region: str, members: Mapping[str, Any]) -> None:
        """Set the configuration of a region; the next invocation is logged by it."""
        self.flush()
        self.configurations.put(region, self._rooms.account, members)
        self._on.clear()

    def remove(self, region: str) -> None:
        """Take the configuration of a region away; what was noted before is still written."""
        self.flush()
        self.configurations.delete(region, self._rooms.account)
        self._on.clear()

    def note(self, invocation: Invocation) -> None:
        """Take in an invocation. Never waits for the disk, and never raises."""
        size = invocation.size_bytes
        with self._lock:
            if self._waiting_bytes + size > MOST_WAITING_BYTES:
                self.left_out += 1
                return
            self._waiting_bytes += size
            self._noted.append(invocation)

    def flush(self, *, last: bool = False) -> int:
        """Write what waits; returns how many records were written. `last`: also to what failed a moment ago."""
        with self._flushing:
            self._hand_out()
            written = 0
            for key, delivery in list(self._deliveries.items()):
                written += self._deliver(delivery, last=last)
                if not delivery.waiting:
                    del self._deliveries[key]
            with self._lock:
                waiting = {id(each): each for one in self._deliveries.values() for each in one.waiting}
                self._waiting_bytes = sum(each.size_bytes for each in [*waiting.values(), *self._noted])
            return written

    def close(self) -> None:
        """Write what waits, as the process ends; what cannot be written is told and gone."""
        self.flush(last=True)
        lost = sum(len(delivery.waiting) for delivery in self._deliveries.values())
        if lost:
            self.left_out += lost
            logs.tell(_log, "records of invocations are lost", level=logging.ERROR, records=lost)

    def sinks(self, destinations: Destinations, region: str) -> list[Sink]:
        """The places of a configuration."""
        found: list[Sink] = []
        if destinations.bucket is not None:
            found.append(BucketSink(rooms=self._rooms, region=region, place=destinations.bucket))
        if destinations.group is not None:
            found.append(GroupSink(rooms=self._rooms, region=region, place=destinations.group))
        return found

    def _hand_out(self) -> None:
        """Put what was noted on the way to every place that its region's configuration names."""
        with self._lock:
            noted, self._noted = self._noted, []
        by_region: dict[str, list[Invocation]] = {}
        for each in noted:
            by_region.setdefault(each.region, []).append(each)
        for delivery in self._deliveries.values():
            delivery.wanted = False
        for region in {*by_region, *(region for region, _ in self._deliveries)}:
            with contained(_log, "reading the logging configuration"):
                self._hand_out_region(region, by_region.get(region, []))

    def _hand_out_region(self, region: str, invocations: Sequence[Invocation]) -> None:
        destinations = self.configurations.destinations(region, self._rooms.account)
        if destinations is None:
            return  # it was taken away after they were noted
        for sink in self.sinks(destinations, region):
            delivery = self._deliveries.setdefault((region, sink.place), _Delivery(sink))
            delivery.wanted, delivery.kinds = True, destinations.kinds
            delivery.waiting += invocations

    def _deliver(self, delivery: _Delivery, *, last: bool) -> int:
        if delivery.retry_at is not None and self._clock.now() < delivery.retry_at and not last:
            return 0
        written = 0
        try:
            while delivery.waiting:
                number = delivery.sink.write(delivery.waiting, delivery.kinds, self._count)
                del delivery.waiting[:number]
                written += number
                self._count(f"{delivery.sink.metric}Success", number)
        except _FAILURES as error:
            self._fail(delivery, error)
            return written
        delivery.retry_at = None
        if delivery.failing:
            delivery.failing = False
            logs.tell(_log, "the invocation log is written again", place=delivery.sink.title)
        return written

    def _fail(self, delivery: _Delivery, error: Exception) -> None:
        self._count(f"{delivery.sink.metric}Failure", len(delivery.waiting))
        delivery.retry_at = self._clock.now() + RETRY_AFTER
        if not delivery.failing:
            delivery.failing = True
            reason = " ".join(str(error).split())[:300]
            note = f"{reason} Records wait in memory, up to {MOST_WAITING_BYTES >> 20} MiB of them."
            place = delivery.sink.title
            logs.tell(_log, "the invocation log is not written", level=logging.WARNING, place=place, note=note)
        if not delivery.wanted:
            with self._lock:
                self.left_out += len(delivery.waiting)
            delivery.waiting.clear()

    def _count(self, metric: str, number: int) -> None:
        self._points.add(series(BEDROCK, metric, unit=Unit.COUNT), number)
