"""Traffic: requests and their latencies, counted as they end, for points over time and for Prometheus.

A request costs it one look into a dictionary. What was counted is passed on to the points every two seconds, and added
there to totals that only grow, as Prometheus wants them.
"""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from outcrop.clock import Clock
from outcrop.metrics.points import Points
from outcrop.metrics.series import Point, Series, Unit, interval, series

DOOR = "Outcrop/Door"
BEDROCK = "AWS/Bedrock"
BOUNDS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"Of the histogram, in seconds: a small request takes half a millisecond, a long answer a minute."
_THROTTLED = ("ThrottlingException", "Throttling", "TooManyRequestsException", "SlowDown", "rate_limit_exceeded")


class Ended(NamedTuple):
    """The key by which ended requests are counted: service, operation and status."""

    service: str
    operation: str
    status: int


class InvocationCount(NamedTuple):
    """An invocation of a model that is known here, and what it took."""

    model: str
    metric: str
    latency_ms: float
    input_tokens: int
    output_tokens: int
    left: bool = False
    "Whether the request was sent to a remote model."


@dataclass
class Histogram:
    """Requests by their seconds: how many fell between two bounds, and all seconds together."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    seconds: float = 0.0

    def add(self, latencies_ms: Mapping[float, int]) -> None:
        for latency, times in latencies_ms.items():
            self.counts[bisect_left(BOUNDS_S, latency / 1000)] += times
            self.seconds += latency / 1000 * times


@dataclass
class _Minute:
    """The requests and invocations that ended in one minute and were not passed on yet."""

    began: datetime
    ends: datetime
    ended: dict[Ended, dict[float, int]] = field(default_factory=dict)
    "How many requests took so many milliseconds."
    invoked: list[InvocationCount] = field(default_factory=list)


class Traffic:
    """The requests of one server since its start. Safe in several threads."""

    def __init__(self, clock: Clock) -> None:
        self._lock = threading.Lock()
        self._minute = _minute(clock.now())
        self._over: list[_Minute] = []
        self.requests: Counter[Ended] = Counter()
        "Totals since the start, as of the last time they were passed on; the same holds for those below."
        self.latencies: dict[tuple[str, str], Histogram] = {}
        "By service and operation."
        self.tokens: Counter[tuple[str, str]] = Counter()
        "By model, and `input` or `output`."

    def note(self, ended: Ended, latency_ms: float, at: datetime, invoked: InvocationCount | None = None) -> None:
        """Count a request that ended at a moment."""
        with self._lock:
            if not self._minute.began <= at < self._minute.ends:
                self._over.append(self._minute)
                self._minute = _minute(at)
            latencies = self._minute.ended.get(ended)
            if latencies is None:
                latencies = self._minute.ended[ended] = {}
            latencies[latency_ms] = latencies.get(latency_ms, 0) + 1
            if invoked is not None:
                self._minute.invoked.append(invoked)

    def pass_on(self, points: Points) -> None:
        """Hand what was counted since the last time to the points, and add it to the totals."""
        with self._lock:
            minutes = [*self._over, self._minute]
            self._over, self._minute = [], _minute(self._minute.began)
            for minute in minutes:
                self._add_to_totals(minute)
        for minute in minutes:
            points.add_many(_of_door(minute))
            points.add_many(_of_models(minute))

    def _add_to_totals(self, minute: _Minute) -> None:
        for ended, latencies in minute.ended.items():
            self.requests[ended] += sum(latencies.values())
            self.latencies.setdefault((ended.service, ended.operation), Histogram()).add(latencies)
        for invoked in minute.invoked:
            self.tokens[invoked.model, "input"] += invoked.input_tokens
            self.tokens[invoked.model, "output"] += invoked.output_tokens


def _minute(at: datetime) -> _Minute:
    began = interval(at, 60)
    return _Minute(began, began + timedelta(minutes=1))


def metric_of(status: int, code: str) -> str:
    """The CloudWatch metric that counts an invocation:
    https://docs.aws.amazon.com/bedrock/latest/userguide/monitoring.html"""
    if code in _THROTTLED:
        return "InvocationThrottles"
    if status >= 500:
        return "InvocationServerErrors"
    # An event stream that broke has said 200 before.
    return "InvocationClientErrors" if status >= 400 or code else "Invocations"


def _of_door(minute: _Minute) -> Iterator[Point]:
    for ended, latencies in minute.ended.items():
        named = {"Service": ended.service, **({"Operation": ended.operation} if ended.operation else {})}
        number = sum(latencies.values())
        yield _point(minute, series(DOOR, "Latency", named, unit=Unit.MILLISECONDS), latencies)
        yield _point(minute, series(DOOR, "Requests", named, unit=Unit.COUNT), {1: number})
        if ended.status >= 400:
            metric = "ServerErrors" if ended.status >= 500 else "ClientErrors"
            yield _point(minute, series(DOOR, metric, named, unit=Unit.COUNT), {1: number})


def _of_models(minute: _Minute) -> Iterator[Point]:
    """Under each model and, as CloudWatch has it, once more for all models together."""
    for dimensions, of_metric in _by_dimensions(minute.invoked):
        for (metric, unit), counts in of_metric.items():
            yield _point(minute, series(BEDROCK, metric, dict(dimensions), unit=unit), counts)


def _by_dimensions(
    invoked: Iterable[InvocationCount],
) -> Iterable[tuple[tuple[tuple[str, str], ...], dict[tuple[str, str], Counter[float]]]]:
    found: dict[tuple[tuple[str, str], ...], dict[tuple[str, str], Counter[float]]] = {}
    for each in invoked:
        values: list[tuple[str, str, float]] = [(each.metric, Unit.COUNT, 1)]
        if each.metric == "Invocations":
            values.append(("InvocationLatency", Unit.MILLISECONDS, each.latency_ms))
        if each.left:
            values.append(("RemoteInvocations", Unit.COUNT, 1))
        if each.input_tokens:
            values.append(("InputTokenCount", Unit.COUNT, each.input_tokens))
        if each.output_tokens:
            values.append(("OutputTokenCount", Unit.COUNT, each.output_tokens))
        for dimensions in ((("ModelId", each.model),), ()):
            of_metric = found.setdefault(dimensions, {})
            for metric, unit, value in values:
                of_metric.setdefault((metric, unit), Counter())[value] += 1
    return found.items()


def _point(minute: _Minute, of: Series, counts: Mapping[float, int]) -> Point:
    return Point(series=of, at=minute.began, counts=counts)
