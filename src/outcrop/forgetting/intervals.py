"""Means and their 95 % intervals by Student's t, of paired differences and of two groups."""

import math
import statistics
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

_LEVEL = 0.95


class MeanInterval(NamedTuple):
    """A mean, with the 95 % interval where there is enough to tell one."""

    mean: float
    low: float | None = None
    high: float | None = None

    @property
    def contains_zero(self) -> bool | None:
        """None where there is no interval."""
        return None if self.low is None or self.high is None else self.low <= 0 <= self.high


def paired(differences: Sequence[float]) -> MeanInterval | None:
    """The mean of differences; None of no difference."""
    if not differences:
        return None
    mean = statistics.fmean(differences)
    if len(differences) < 2:
        return MeanInterval(mean)
    return _around(mean, statistics.stdev(differences) / math.sqrt(len(differences)), len(differences) - 1)


def between(first: Sequence[float], second: Sequence[float]) -> MeanInterval | None:
    """How far the mean of the first group lies above the second's, by the spread that both have together.

    One record against many is so judged by the spread of the many: the interval in which one more would lie.
    """
    if not first or not second:
        return None
    mean = statistics.fmean(first) - statistics.fmean(second)
    freedom = len(first) + len(second) - 2
    if freedom < 1:
        return MeanInterval(mean)
    squares = sum((value - statistics.fmean(group)) ** 2 for group in (first, second) for value in group)
    return _around(mean, math.sqrt(squares / freedom * (1 / len(first) + 1 / len(second))), freedom)


def _around(mean: float, error: float, freedom: int) -> MeanInterval:
    half = quantile(freedom) * error
    return MeanInterval(mean, mean - half, mean + half)


@cache
def quantile(freedom: int) -> float:
    """The t that 95 % of values stay within, either way, with so many degrees of freedom."""
    low, high = 0.0, 20.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if _within(middle, freedom) < _LEVEL else (low, middle)
    return high


def _within(t: float, freedom: int) -> float:
    """The probability of a value between -t and t (Abramowitz and Stegun 1964, 26.7.3 and 26.7.4)."""
    angle = math.atan(t / math.sqrt(freedom))
    sine, square = math.sin(angle), math.cos(angle) ** 2
    if freedom % 2:
        term, total = math.cos(angle), 0.0
        for number in range(3, freedom + 1, 2):
            total += term
            term *= square * (number - 1) / number
        return 2 / math.pi * (angle + sine * total)
    term, total = 1.0, 0.0
    for number in range(2, freedom + 1, 2):
        total += term
        term *= square * (number - 1) / number
    return sine * total
