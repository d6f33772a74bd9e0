"""Measurements of jobs, put among the points of the installation and written every two seconds."""

import logging
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from outcrop.loops import contained
from outcrop.metrics.points import Points
from outcrop.metrics.series import Resolution, Unit, series

NAMESPACE = "Outcrop/Jobs"
_EVERY_S = 2.0
_log = logging.getLogger("outcrop.worker")


class JobMetrics:
    """A context in which numbers of jobs are collected; what is left is written at its end."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __call__(self, job_arn: str, numbers: Mapping[str, float]) -> None:
        for metric, value in numbers.items():
            of = series(NAMESPACE, metric, {"JobArn": job_arn}, unit=_unit(metric))
            self._points.add(of, value, resolution=Resolution.SECOND)

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
        with contained(_log, "writing points"):  # numbers are no reason to break a job off
            self._points.flush()


def _unit(metric: str) -> str:
    """The unit of a metric, told by the metric's own name."""
    if metric.endswith("PerSecond"):
        return Unit.PER_SECOND
    if metric.endswith("Bytes"):
        return Unit.BYTES
    return Unit.SECONDS if metric.startswith("Seconds") else Unit.NONE
