"""Intervals are those of the tables."""

import pytest

from outcrop.forgetting.intervals import MeanInterval, between, paired, quantile


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (4, 2.7764), (10, 2.2281), (31, 2.0395), (400, 1.9659)]
)
def test_quantiles_are_those_of_the_table(freedom: int, t: float) -> None:
    assert quantile(freedom) == pytest.approx(t, abs=1e-4)


def test_a_paired_difference_has_the_interval_of_its_mean() -> None:
    mean, low, high = paired([1.0, 2.0, 3.0, 4.0]) or MeanInterval(0.0)
    # 2.5 -+ 3.1824 * 1.2910 / 2
    assert mean == 2.5
    assert low == pytest.approx(0.4457, abs=1e-4)
    assert high == pytest.approx(4.5543, abs=1e-4)
    assert paired([3.0]) == MeanInterval(3.0)
    assert paired([]) is None


def test_one_record_is_judged_by_the_spread_of_the_others() -> None:
    # Given controls of mean 3 and standard deviation 1; t of 2 degrees is 4.3027, and sqrt(1 + 1/3) is 1.1547
    controls = [2.0, 3.0, 4.0]
    found = between([3.5], controls)
    assert found is not None
    assert found.low == pytest.approx(0.5 - 4.9683, abs=1e-4)
    assert found.contains_zero
    far = between([9.0], controls)
    assert far is not None
    assert far.contains_zero is False
    assert between([1.0], [2.0]) == MeanInterval(-1.0)
    assert between([], controls) is None
