"""Curves of objectives: the values that a training has told so far. A value stands for an epoch."""

from typing import NamedTuple


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
