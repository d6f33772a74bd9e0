"""Points over time, in one table: collected in memory, written in batches, read as statistics of periods.

    points = Points(store, clock)
    points.add(series("Outcrop/Jobs", "TrainingLoss", {"JobArn": arn}), 1.93, resolution=Resolution.SECOND)
    points.add_many([...])                             # neither waits, nor fails whoever calls it
    points.flush()                                     # every second or two, in a thread of its own
    points.sweep()                                     # every hour: what is too old, or too much, goes

The values of a series in one interval (a minute, or a second) are one row. It is written again while the interval
lasts, so a process that is killed loses what it saw since its last flush. Where the disk is full or the database away,
one line says so, and what was collected waits in memory, up to a bound.
"""

import logging
import math
import random
import threading
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import groupby

import sqlalchemy as sql

from outcrop import logs
from outcrop.clock import Clock
from outcrop.errors import Invalid, QuotaExceeded, Throttled, Unavailable
from outcrop.metrics.distribution import Distribution
from outcrop.metrics.records import PointRecords, PointRow, SeriesGone, next_hour
from outcrop.metrics.series import Point, Resolution, Series, in_region, interval, seen_from
from outcrop.metrics.statistic import Datapoint, KeptPoint, check, values_of
from outcrop.settings import POINTS_KEPT, Retention
from outcrop.store.database import DiskFull
from outcrop.store.store import Store

MOST_WAITING = 10_000
"Intervals in memory. Further ones are left out, and counted."
MOST_SERIES = 20_000
"On record. New ones are left out until old ones are gone: a dimension is nothing to put ids of requests into."
MOST_DATAPOINTS = 100_800
"Of one answer, as GetMetricData has it."
_MB = 1_000_000
_log = logging.getLogger("outcrop.metrics")


@dataclass
class _Interval:
    """The values that this process saw in one interval of a series."""

    part: int
    ends: datetime
    seen: Distribution
    changed: bool = True
    tried: bool = False
    "Whether it was once to be written."


class Points:
    """The points of one installation. Safe in several threads."""

    def __init__(self, store: Store, clock: Clock, retention: Retention = POINTS_KEPT) -> None:
        self._store = store
        self._clock = clock
        self._retention = retention
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._intervals: dict[tuple[Series, datetime], _Interval] = {}
        self._numbers: dict[Series, int] = {}
        self._may_make_series = True
        self._trouble = False
        self.left_out = 0
        "Values that were not taken in: no number, too many series, or no room while nothing could be written."

    @cached_property
    def _records(self) -> PointRecords:
        return PointRecords(self._store.engine)  # when it is first needed: a start waits for no table of this room

    @property
    def waiting(self) -> int:
        """Intervals in memory."""
        return len(self._intervals)

    def add(
        self,
        of: Series,
        value: float,
        *,
        at: datetime | None = None,
        resolution: Resolution = Resolution.MINUTE,
    ) -> None:
        """Take in one value, of now if no moment is given. Never waits for the database, and never raises."""
        moment = at or self._clock.now()
        self.add_many((Point(series=of, at=moment, counts={value: 1}, resolution=resolution),))

    def add_many(self, points: Iterable[Point]) -> None:
        """Take in many. Values that are no finite numbers are left out, and counted."""
        if not self._retention.days:
            return
        with self._lock:
            for point in points:
                self._take(point)

    def put(self, points: Sequence[Point]) -> None:
        """Take in points that somebody sent, and write them before this returns: all of them, or none.

        Raises Invalid where no points are kept, QuotaExceeded for too many series, Throttled where nothing can be
        written and there is no room left in memory.
        """
        if not self._retention.days:
            raise Invalid("Points are not kept here: OUTCROP_METRICS_DAYS is 0.")
        new = {point.series for point in points} - self._numbers.keys()
        missing = [each for each in new if not self._records.has(each)]
        if missing and self._records.num_series() + len(missing) > MOST_SERIES:
            raise QuotaExceeded(
                f"There are {MOST_SERIES:,} series already, and {missing[0].metric!r} would be another one. Use fewer "
                "values of dimensions."
            )
        with self._lock:
            if len(self._intervals) + len(points) > MOST_WAITING:
                text = f"More than {MOST_WAITING:,} intervals wait to be written. Come again in a moment."
                raise Throttled(text, retry_after_s=2)
            for point in points:
                self._take(point)
        self.flush()

    def _take(self, point: Point) -> None:
        counts = {float(value): times for value, times in point.counts.items() if math.isfinite(value)}
        self.left_out += sum(point.counts.values()) - sum(counts.values())
        summary = point.summary
        if not counts and summary is None:
            return
        began = interval(point.at, point.resolution)
        key = (point.series, began)
        found = self._intervals.get(key)
        if found is None:
            if len(self._intervals) >= MOST_WAITING:
                self.left_out += sum(counts.values()) + (summary.num_values if summary is not None else 0)
                return
            ends = began + timedelta(seconds=int(point.resolution))
            found = self._intervals[key] = _Interval(random.getrandbits(62), ends, Distribution())
        found.seen.add(counts)
        if summary is not None:
            found.seen.add_summary(*summary)
        found.changed = True

    def flush(self) -> int:
        """Write what is new; returns the number of rows. One flush at a time; what could not be written waits."""
        with self._flushing:
            with self._lock:
                new = {key: each for key, each in self._intervals.items() if each.changed}
                rows = [_row(key, each) for key, each in new.items()]
                for each in new.values():
                    each.changed, each.tried = False, True
            if rows and not self._write(rows):
                with self._lock:
                    for each in new.values():
                        each.changed = True
                return 0
            self._forget_ended()
            return len(rows)

    def forget_unwritten(self) -> None:
        """Forget what was taken in and not written yet."""
        with self._lock:
            for each in self._intervals.values():
                each.changed = False

    def _forget_ended(self) -> None:
        now = self._clock.now()
        with self._lock:
            over = [key for key, each in self._intervals.items() if each.ends <= now and not each.changed]
            for key in over:
                del self._intervals[key]

    def _write(self, rows: Sequence[PointRow]) -> bool:
        """Whether it could be done."""
        try:
            try:
                left_out = self._records.write(rows, self._numbers, new_series=self._may_make_series)
            except SeriesGone:
                self._numbers.clear()
                left_out = self._records.write(rows, self._numbers, new_series=self._may_make_series)
        except (DiskFull, Unavailable, SeriesGone, sql.exc.SQLAlchemyError) as error:
            self._tell(error)
            return False
        self.left_out += sum(row.num_values for row in left_out)
        if len(self._numbers) > MOST_SERIES:
            self._numbers.clear()
        self._tell(None)
        return True

    def _tell(self, error: Exception | None) -> None:
        """Log one line when writing points begins to fail, and one when it works again."""
        if (error is not None) == self._trouble:
            return
        self._trouble = error is not None
        if error is not None:
            reason = " ".join(str(error).split())[:300]
            note = f"{reason} Points wait in memory, and are left out when there are more than {MOST_WAITING:,}."
            logs.tell(_log, "points are not written", level=logging.WARNING, note=note)
        else:
            logs.tell(_log, "points are written again", left_out=self.left_out)

    def sweep(self) -> int:
        """Forget points that are too old, and the oldest hours of more than there may be; returns how many went."""
        cutoff = self._clock.now() - self._retention.age
        taken = 0
        for hour, size in self._records.sizes():
            taken += size
            if taken > self._retention.megabytes * _MB:
                cutoff = max(cutoff, next_hour(hour))
                break
        with self._flushing:
            removed = self._records.remove_before(cutoff)
            self._numbers.clear()
        self._may_make_series = self._records.num_series() < MOST_SERIES
        return removed

    def series(
        self,
        *,
        namespace: str | None = None,
        metric: str | None = None,
        dimensions: Mapping[str, str] | None = None,
        region: str | None = None,
        since: datetime | None = None,
    ) -> list[Series]:
        """Series on record, in order; of `dimensions`, if given, each series has all and may have others.

        With a region, they are those that are seen from there, under the names that its clients know; `since`: those
        that have had points from that moment on.
        """
        names: dict[str, Sequence[str]] = {}
        if namespace is not None:
            names["namespace"] = _namespaces(namespace, region)
        if metric is not None:
            names["metric"] = [metric]
        found = self._records.series(names, since=since)
        if region is not None:
            seen = ((each, seen_from(region, each.namespace)) for each in found)
            found = sorted({each._replace(namespace=name) for each, name in seen if name is not None})
        wanted = set((dimensions or {}).items())
        return [each for each in found if wanted <= set(each.dimensions)]

    def statistics(
        self,
        statistics: Sequence[str],
        *,
        namespace: str,
        metric: str,
        dimensions: Mapping[str, str] | None = None,
        since: datetime,
        until: datetime,
        period_s: int = 60,
        unit: str | None = None,
        region: str | None = None,
    ) -> list[Datapoint]:
        """Statistics of each period from `since` on, before `until`; periods without values have no datapoint.

        `dimensions` are all that the series has. Periods are counted from 1970; without a unit, each unit has
        datapoints of its own. With a region, points that clients sent there count too. Raises Invalid for a statistic
        that is not known, or more periods than an answer has.
        """
        spread = check(statistics)
        if period_s < 1 or (until - since).total_seconds() / period_s > MOST_DATAPOINTS:
            text = f"period: {period_s} s makes more than {MOST_DATAPOINTS:,} datapoints. Choose a longer one."
            raise Invalid(text if period_s >= 1 else f"period: {period_s} s is none. Choose 1 s or more.")
        names = {"metric": metric, **({"unit": unit} if unit is not None else {})}
        began, namespaces = interval(since, period_s), _namespaces(namespace, region)
        given = list((dimensions or {}).items())
        rows = self._records.kept(names, namespaces, given, since=began, until=until, spread=spread)
        return list(_datapoints(rows, statistics, period_s))


def _namespaces(namespace: str, region: str | None) -> list[str]:
    """The namespace on record, and that of a region's clients."""
    return [namespace] if region is None else [namespace, in_region(region, namespace)]


def _datapoints(rows: Iterable[tuple[str, KeptPoint]], statistics: Sequence[str], period_s: int) -> Iterable[Datapoint]:
    for began, of_period in groupby(rows, key=lambda row: interval(row[1].at, period_s)):
        by_unit: dict[str, list[KeptPoint]] = {}
        for unit, kept in of_period:
            by_unit.setdefault(unit, []).append(kept)
        for unit, several in sorted(by_unit.items()):
            yield Datapoint(at=began, unit=unit, values=values_of(several, statistics))


def _row(key: tuple[Series, datetime], of: _Interval) -> PointRow:
    seen = of.seen
    return PointRow(key[0], key[1], of.part, seen.count, seen.total, seen.least, seen.most, dict(seen.counts), of.tried)
