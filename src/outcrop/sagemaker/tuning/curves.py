"""Curves of objectives: the values that training jobs have printed so far, read from their metric points.

Points are kept by the second, with the number and the sum of its values: enough for running averages, be there one
value in a minute or a hundred in a second. A value stands for an epoch.
"""

import math
from datetime import datetime
from typing import NamedTuple

from outcrop.metrics.points import MOST_DATAPOINTS, Points
from outcrop.sagemaker.metric_definitions import NAMESPACE
from outcrop.sagemaker.tuning.children import TunedJob


class CurvePoint(NamedTuple):
    """The state of a curve at the end of a second in which there was a value."""

    epoch: int
    "Values so far."
    total: float
    "Their sum."
    latest: float
    "The mean of the values of this second."


class ObjectiveCurve:
    """The values of one training job's objective, in its present attempt."""

    def __init__(self, points: list[CurvePoint] | None = None) -> None:
        self.points = points or []

    @property
    def epoch(self) -> int:
        """How many values there are."""
        return self.points[-1].epoch if self.points else 0

    def value(self, epoch: int) -> float:
        """The mean of the values of the second in which an epoch was reached. Raises StopIteration for none."""
        return next(point.latest for point in self.points if point.epoch >= epoch)

    def add(self, number: int, total: float) -> None:
        """Take in the values of another second."""
        before = self.points[-1] if self.points else CurvePoint(0, 0.0, 0.0)
        self.points.append(CurvePoint(before.epoch + number, before.total + total, total / number))

    def running_average(self, epoch: int) -> float | None:
        """The mean of the values up to an epoch; None where the curve does not reach it."""
        before = CurvePoint(0, 0.0, 0.0)
        for point in self.points:
            if point.epoch >= epoch:
                # Within a second the order of values is not known: they count as equal.
                return (before.total + (epoch - before.epoch) * point.latest) / epoch
            before = point
        return None


class CurveReader:
    """The curve of one training job, read on from where it was left."""

    def __init__(self, points: Points) -> None:
        self.curve = ObjectiveCurve()
        self._points = points
        self._attempt = ""
        self._from: datetime | None = None

    def read(self, job: TunedJob, *, now: datetime) -> ObjectiveCurve:
        """The curve up to the last whole second. A training job that began again has a new one."""
        began: str | None = job.record.document.get("trainingStartTime")
        if began is None:
            return self.curve
        if began != self._attempt:
            self._attempt, self._from, self.curve = began, datetime.fromisoformat(began), ObjectiveCurve()
        assert self._from is not None, "it has just been set"
        until = now.replace(microsecond=0)
        if until <= self._from:
            return self.curve
        self._points.flush()  # what this process has heard, the run of the training job among others
        seconds = (until - self._from).total_seconds()
        found = self._points.statistics(
            ["SampleCount", "Sum"],
            namespace=NAMESPACE,
            metric=job.objective.metric,
            dimensions={"TrainingJobName": str(job.record.name)},
            since=self._from,
            until=until,
            period_s=max(1, math.ceil((seconds + 1) / MOST_DATAPOINTS)),
        )
        for point in found:
            self.curve.add(int(point.values["SampleCount"]), point.values["Sum"])
        self._from = until
        return self.curve
