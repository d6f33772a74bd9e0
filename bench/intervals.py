"""How sure a figure is: over seeds, and over held-out records."""

import math
import statistics
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# Student's t at 0.975, by degrees of freedom: https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}
_RESAMPLES = 10_000


class Interval(NamedTuple):
    """From where to where, with 95 % confidence."""

    low: float
    high: float


def half_width(values: Sequence[float]) -> float:
    """Of the 95 % interval around the mean of 2 to 10 independent runs, by Student's t."""
    return _T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))


def paired_bootstrap(differences: Sequence[float], weights: Sequence[int], *, seed: int = 0) -> Interval:
    """Where sum(differences) / sum(weights) lies if other records of the same kind had been held out.

    One entry a record: what two models' nats differ by on it, and its tokens. Records are drawn with replacement; that
    both models are asked about the same ones is why the interval is narrow. Percentiles 2.5 and 97.5.
    """
    difference_N, weight_N = np.array(differences), np.array(weights)
    drawn_RN = np.random.default_rng(seed).integers(len(difference_N), size=(_RESAMPLES, len(difference_N)))
    means_R = difference_N[drawn_RN].sum(axis=1) / weight_N[drawn_RN].sum(axis=1)
    low, high = np.percentile(means_R, [2.5, 97.5])
    return Interval(float(low), float(high))
