"""Quantiles are those of the tables and, where it is installed, scipy's."""

import pytest

from outcrop.evaluation.statistics.distributions import beta_quantile, incomplete_beta, t_quantile


@pytest.mark.parametrize(
    ("freedom", "t"), [(1, 12.7062), (2, 4.3027), (3, 3.1824), (10, 2.2281), (31, 2.0395), (400, 1.9659)]
)
def test_t_quantiles_are_those_of_the_table(freedom: int, t: float) -> None:
    assert t_quantile(0.975, freedom) == pytest.approx(t, abs=1e-4)
    assert t_quantile(0.5, freedom) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(
    ("x", "a", "b"), [(0.3, 2, 5), (0.9, 0.5, 0.5), (0.001, 50, 0.5), (0.5, 500, 501), (0.7, 1, 1)]
)
def test_the_incomplete_beta_function_and_its_inverse_agree(x: float, a: float, b: float) -> None:
    assert beta_quantile(incomplete_beta(x, a, b), a, b) == pytest.approx(x, rel=1e-8)


def test_the_incomplete_beta_function_of_whole_numbers_is_a_sum_of_binomials() -> None:
    # I_x(2, 3) = P(at least 2 of 4) = 6 x²(1-x)² + 4 x³(1-x) + x⁴
    x = 0.4
    assert incomplete_beta(x, 2, 3) == pytest.approx(6 * x**2 * 0.6**2 + 4 * x**3 * 0.6 + x**4, rel=1e-12)
    assert (incomplete_beta(0.0, 2, 3), incomplete_beta(1.0, 2, 3)) == (0.0, 1.0)
