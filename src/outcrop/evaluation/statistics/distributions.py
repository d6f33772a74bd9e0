"""Quantiles of the normal, beta and Student's t distributions, for intervals at any confidence."""

import math
from collections.abc import Callable
from functools import cache
from statistics import NormalDist

_MOST_TERMS = 500
_EXACT = 1e-14
_TINY = 1e-300
"Instead of a zero to divide by."


def normal_quantile(probability: float) -> float:
    """The value that a standard normal variable stays below with this probability."""
    return NormalDist().inv_cdf(probability)


def normal_probability(value: float) -> float:
    """The probability that a standard normal variable stays below a value."""
    return NormalDist().cdf(value)


@cache
def t_quantile(probability: float, freedom: int) -> float:
    """The value that Student's t stays below with this probability, from 0.5 up."""
    assert 0.5 <= probability < 1, "only the upper half is asked for"
    # P(|t| > q) = I_x(freedom / 2, 1 / 2) at x = freedom / (freedom + q²): Abramowitz and Stegun 1964, 26.5.27.
    outside = beta_quantile(2 * (1 - probability), freedom / 2, 0.5)
    return math.sqrt(freedom * (1 - outside) / outside)


@cache
def beta_quantile(probability: float, a: float, b: float) -> float:
    """The value that a beta variable stays below with this probability."""
    return _root(lambda x: incomplete_beta(x, a, b) - probability)


def incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b): the probability that a beta variable stays below x."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):  # where the fraction of the mirrored function ends sooner
        return 1 - incomplete_beta(1 - x, b, a)
    ln_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    return math.exp(ln_front) / a * _continued_fraction(x, a, b)


def _continued_fraction(x: float, a: float, b: float) -> float:
    """The continued fraction of the incomplete beta function, by Lentz's method.

    Source: NIST Digital Library of Mathematical Functions, 8.17.22 (https://dlmf.nist.gov/8.17.v).
    """
    numerator, denominator, value = 1.0, 0.0, 1.0
    for term in range(1, _MOST_TERMS):
        half = term // 2
        if term % 2:
            factor = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            factor = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        denominator = 1 / ((1 + factor * denominator) or _TINY)
        numerator = (1 + factor / numerator) or _TINY
        value *= numerator * denominator
        if abs(numerator * denominator - 1) < _EXACT:
            break
    return 1 / value


def _root(rising: Callable[[float], float]) -> float:
    low, high = 0.0, 1.0
    for _ in range(200):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        low, high = (middle, high) if rising(middle) < 0 else (low, middle)
    return (low + high) / 2
