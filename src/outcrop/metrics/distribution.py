"""Distribution: values seen in one interval, as their number, sum and extremes, and how often each was seen.

Up to 150 different values are kept as they are (as many as one PutMetricData may give), so percentiles of such an
interval are exact. Beyond, values are rounded to a grid on which neighbours differ by two percent, so that a percentile
is off by one at most; where 512 places of the grid do not hold them, to one twice as wide, and so on. Number, sum and
extremes are always exact.
"""

import math
from collections.abc import Iterable, Mapping
from decimal import ROUND_CEILING, Decimal

MOST_EXACT = 150
MOST_PLACES = 512
_STEP = 0.02
"Of the logarithm, from one place of the grid to the next."


class Distribution:
    """Values of one interval. Not safe in several threads: whoever shares it locks."""

    __slots__ = ("_step", "count", "counts", "least", "most", "total", "whole")

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.least = math.inf
        self.most = -math.inf
        self.counts: dict[float, int] = {}
        "How often each value was seen, rounded where they are many."
        self.whole = True
        "Whether every value is known. Where one is not, `counts` stays empty, and there are no percentiles."
        self._step = 0.0

    def add_summary(self, num_values: int, total: float, least: float, most: float) -> None:
        """Take in values that were summed up before. Equal ones are known by that, others are not."""
        if least == most:
            self.add({least: num_values})
            return
        self._sum_up(num_values, total, least, most)
        self.whole, self.counts = False, {}

    def _sum_up(self, num_values: int, total: float, least: float, most: float) -> None:
        self.count += num_values
        self.total += total
        self.least = min(self.least, least)
        self.most = max(self.most, most)

    def add(self, counts: Mapping[float, int]) -> None:
        """Take in finite values, each as often as it is said to have been seen."""
        for value, times in counts.items():
            self._sum_up(times, value * times, value, value)
            if not self.whole:
                continue
            kept = _rounded(value, self._step)
            self.counts[kept] = self.counts.get(kept, 0) + times
        if len(self.counts) > (MOST_PLACES if self._step else MOST_EXACT):
            self._coarsen()

    def _coarsen(self) -> None:
        while len(self.counts) > (MOST_PLACES if self._step else MOST_EXACT):
            self._step = 2 * self._step or _STEP
            before, self.counts = self.counts, {}
            for value, times in before.items():
                kept = _rounded(value, self._step)
                self.counts[kept] = self.counts.get(kept, 0) + times


def percentile(counts: Mapping[float, int], percent: Decimal, *, least: float, most: float) -> float:
    """The smallest value that at least so many percent of all values do not exceed (the nearest rank).

    `least` and `most` are the extremes themselves, which rounded values may lie beyond.
    """
    number = sum(counts.values())
    rank = int((percent * number / 100).to_integral_value(ROUND_CEILING))
    if rank <= 1:
        return least
    if rank >= number:
        return most
    return min(max(_at_rank(sorted(counts.items()), rank), least), most)


def _at_rank(ordered: Iterable[tuple[float, int]], rank: int) -> float:
    seen = 0
    for value, times in ordered:
        seen += times
        if seen >= rank:
            return value
    raise AssertionError("a rank is no more than the number of values")


def _rounded(value: float, step: float) -> float:
    """The place of the grid next to the value; without a grid, and for 0, the value."""
    if not step or not value:
        return value
    place = round(math.log(abs(value)) / step) * step
    # The largest place lies beyond the largest number.
    return math.copysign(math.exp(min(place, 709.0)), value)
