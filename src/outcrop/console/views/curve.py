"""A curve that takes any number of points and keeps few: of each stretch of steps the lowest and highest.

What is kept is exact: every point that is drawn was told, and no peak is lost. Where the stretches become too many,
two neighbours become one, twice as long. A curve of a million steps so has the memory of one of a thousand.
"""

import math
from collections.abc import Iterable

from outcrop.console.views.loss_chart import ChartPoint

MOST_STRETCHES = 200


class Curve:
    """The points of one measure of one job."""

    def __init__(self, *, most: int = MOST_STRETCHES) -> None:
        self._most = most
        self._length = 1
        "Steps of a stretch."
        self._stretches: dict[int, tuple[ChartPoint, ChartPoint]] = {}
        self.last: ChartPoint | None = None

    def add(self, step: int, value: float) -> None:
        """A point; what is not finite has no place on a chart. Steps may come in any order."""
        if not math.isfinite(value):
            return
        point = ChartPoint(step, value)
        while step // self._length >= self._most:
            self._lengthen()
        self._widen(step // self._length, (point, point))
        if self.last is None or step >= self.last.step:
            self.last = point

    def take_back(self, step: int) -> None:
        """Forget the points from this step on. Of the stretch that it lies in, those kept of the steps before stay."""
        kept = {
            place: tuple(point for point in pair if point.step < step)
            for place, pair in self._stretches.items()
            if place * self._length < step
        }
        self._stretches = {place: (pair[0], pair[-1]) for place, pair in kept.items() if pair}
        self.last = max((point for pair in self._stretches.values() for point in pair), default=None)

    def points(self) -> list[ChartPoint]:
        """The points that are kept, by step: at most twice as many as there may be stretches, and the last."""
        found = {point for each in self._stretches.values() for point in each}
        return sorted(found | ({self.last} if self.last is not None else set()))

    def __len__(self) -> int:
        return len(self._stretches)

    def _widen(self, place: int, more: Iterable[ChartPoint]) -> None:
        every = [*self._stretches.get(place, ()), *more]
        self._stretches[place] = (min(every, key=_value), max(every, key=_value))

    def _lengthen(self) -> None:
        before, self._stretches = self._stretches, {}
        self._length *= 2
        for place, pair in sorted(before.items()):
            self._widen(place // 2, pair)


def _value(point: ChartPoint) -> float:
    return point.loss
