"""Means with their intervals as small pictures above each other, on one scale of 0 to 100."""

import math
from collections.abc import Sequence
from typing import NamedTuple

_EDGE = 4.0


class DrawnInterval(NamedTuple):
    """The places of an interval's ends and of its middle, in percent of the picture's width."""

    low: str
    middle: str
    high: str


def ends_of(mean: float, interval: tuple[float, float] | None) -> tuple[float, float, float]:
    """Low end, mean and high end; all the mean where there is no interval."""
    return (mean, mean, mean) if interval is None else (interval[0], mean, interval[1])


def interval_bars(values: Sequence[tuple[float, float, float] | None]) -> list[DrawnInterval | None]:
    """A picture of each low end, middle and high end; None of what is missing, or no number."""
    kept = [each if each is not None and all(map(math.isfinite, each)) else None for each in values]
    ends = [end for each in kept if each is not None for end in each]
    least, reach = min(ends, default=0.0), max(ends, default=0.0) - min(ends, default=0.0)

    def place(value: float) -> str:
        share = (value - least) / reach if reach else 0.5
        return f"{_EDGE + (100 - 2 * _EDGE) * share:.1f}%"

    return [None if each is None else DrawnInterval(*map(place, each)) for each in kept]
