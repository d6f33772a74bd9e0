"""Measurements of one kind of thing, put among the points of the installation and written every two seconds."""

import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from outcrop.loops import contained
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, Unit, series

_EVERY_S = 2.0
_log = logging.getLogger("outcrop.metrics")


class Measurements:
    """A context in which numbers of jobs or engines are collected; what is left is written at its end."""

    def __init__(
        self, points: Points, *, namespace: str, dimension: str, resolution: Resolution = Resolution.MINUTE
    ) -> None:
        """`dimension` is what tells one thing from another, `JobArn` say."""
        self._points = points
        self._namespace = namespace
        self._dimension = dimension
        self._resolution = resolution
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __call__(self, thing: str, numbers: Mapping[str, float]) -> None:
        """Take in numbers of one thing, by the names of their metrics. Never waits, and never raises."""
        for metric, value in numbers.items():
            of = series(self._namespace, metric, {self._dimension: thing}, unit=_unit(metric))
            self._points.add(of, value, resolution=self._resolution)

    def forget_unwritten(self) -> None:
        """Forget what was measured and not written yet, since it was no business of this process any more."""
        self._points.forget_unwritten()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._ended.wait(_EVERY_S):
            self._flush()
        self._flush()

    def _flush(self) -> None:
        with contained(_log, "writing points"):  # numbers are no reason to break anything off
            self._points.flush()


def of_jobs(points: Points) -> Measurements:
    """The measurements of jobs, kept second by second."""
    return Measurements(points, namespace="Outcrop/Jobs", dimension="JobArn", resolution=Resolution.SECOND)


def of_engines(points: Points) -> Measurements:
    """The measurements of engines, kept minute by minute."""
    return Measurements(points, namespace="Outcrop/Engines", dimension="Engine")


def _unit(metric: str) -> str:
    """The unit of a metric, told by the metric's own name."""
    if metric.endswith("PerSecond"):
        return Unit.PER_SECOND
    if metric.endswith("Bytes"):
        return Unit.BYTES
    if metric.endswith("Requests"):
        return Unit.COUNT
    return Unit.SECONDS if metric.startswith("Seconds") else Unit.NONE
