"""Laws of points: whatever way values are cut into intervals and added together, the statistics are those of the list."""

import math
import random
from collections import Counter
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from outcrop.clock import MovableClock
from outcrop.metrics.distribution import MOST_EXACT, MOST_PLACES, Distribution, percentile
from outcrop.metrics.statistic import KeptPoint, values_of

AT = MovableClock().now()
numbers = st.floats(-1e12, 1e12, allow_nan=False).map(lambda value: value + 0.0)
few = st.lists(numbers, min_size=1, max_size=MOST_EXACT)
percents = st.decimals(0, 100, places=3)
STATISTICS = ("SampleCount", "Sum", "Minimum", "Maximum", "p5", "p50", "p99")


def kept(values: list[float]) -> KeptPoint:
    seen = Distribution()
    for value in values:
        seen.add({value: 1})
    return KeptPoint(AT, seen.count, seen.total, seen.least, seen.most, dict(seen.counts))


def nearest_rank(values: list[float], percent: Decimal) -> float:
    """By the definition, over the list itself."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent * len(ordered) / 100) - 1)]


@given(values=few, percent=percents)
def test_percentiles_of_few_values_are_exact(values: list[float], percent: Decimal) -> None:
    assert percentile(Counter(values), percent, least=min(values), most=max(values)) == nearest_rank(values, percent)
    assert kept(values).counts == Counter(values)


@given(values=few, cut=st.integers(0, MOST_EXACT))
def test_two_intervals_together_are_the_interval_of_both(values: list[float], cut: int) -> None:
    whole = values_of([kept(values)], STATISTICS)
    parts = values_of([kept(part) for part in (values[:cut], values[cut:]) if part], STATISTICS)
    sums = whole.pop("Sum"), parts.pop("Sum")
    assert whole == parts
    assert math.isclose(*sums, rel_tol=1e-9, abs_tol=1e-9 * max(map(abs, values)) * len(values))


@given(
    scale=st.floats(1e-6, 1e6),
    sign=st.sampled_from([-1, 1]),
    seed=st.integers(0, 2**32),
    percent=percents,
)
def test_percentiles_of_many_values_are_off_by_little_and_all_else_is_exact(
    scale: float, sign: int, seed: int, percent: Decimal
) -> None:
    shifts = random.Random(seed)
    values = [sign * scale * math.exp(shifts.uniform(0, 4)) for _ in range(400)]
    seen = kept(values)
    assert len(seen.counts) <= MOST_PLACES
    assert (seen.num_values, seen.least, seen.most) == (len(values), min(values), max(values))
    assert math.isclose(seen.total, sum(values), rel_tol=1e-9)
    found = percentile(seen.counts, percent, least=seen.least, most=seen.most)
    assert math.isclose(found, nearest_rank(values, percent), rel_tol=0.0101)


@given(seed=st.integers(0, 2**32))
def test_values_of_any_size_find_their_place_and_stay_in_order(seed: int) -> None:
    exponents = random.Random(seed)
    seen = kept([math.exp(exponents.uniform(-700, 700)) for _ in range(600)])
    assert len(seen.counts) <= MOST_PLACES
    assert sum(seen.counts.values()) == 600
    several = [
        percentile(seen.counts, Decimal(percent), least=seen.least, most=seen.most) for percent in range(0, 101, 5)
    ]
    assert several == sorted(several)
    assert (several[0], several[-1]) == (seen.least, seen.most)
