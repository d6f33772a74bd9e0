"""The learning rate of a job, from what it asks for and what suits the network.

A recommended rate is one for batches of RECOMMENDED_FOR records: smaller ones, whose gradients are noisier, get less. A
rate written for a closed model says only whether somebody wanted more or less than usual: it is bent and held within
bounds (docs/decisions/0002, measured by `make bench-rates`).
"""

import math
from decimal import Decimal
from typing import NamedTuple

RECOMMENDED_FOR = 16
"Records of a step at which the recommended rates were found (docs/defaults.md)."
LEAST, MOST = 0.1, 2.0
"Times the recommended rate: what a rate that is read relative to a default may become."


class Rate(NamedTuple):
    """A learning rate, and in words how it came about; no words for one that means what it says."""

    value: float
    note: str | None


def absolute(text: str) -> Rate:
    rate = float(text)
    return Rate(rate, "the learning rate is 0: nothing will be learned" if rate == 0 else None)


def recommended(suits: float, what: str) -> Rate:
    """`suits` is what suits the network and batch, and `what` says so."""
    return Rate(suits, f"learningRate {suits:g}, {what}")


def multiplied(text: str, suits: float, what: str) -> Rate:
    """The rate of a family whose rate is a multiplier, which has its bounds already."""
    return Rate(_rounded(float(text) * suits), f"learningRateMultiplier {text} x {suits:g}, {what}")


def relative(text: str, default: str, suits: float, what: str) -> Rate:
    """The rate of a family whose rates belong to a method that is not published."""
    times = float(text) / float(default)
    if times == 0:
        return absolute(text)
    read = bent(times)
    rate = _rounded(read * suits)
    told = f"learningRate {text} is {times:g} x this family's default"
    if not math.isclose(read, times):
        told += f", read as {read:.3g} x"
    told += f": {rate:g}, where {suits:g} is {what}"
    if read == LEAST:
        told += "; so low a rate learns little in few steps, and outcrop.learningRate takes a rate as it is"
    return Rate(rate, told)


def bent(times: float) -> float:
    """The square root of a multiple of the default, within LEAST and MOST: 1 stays 1."""
    return min(MOST, max(LEAST, math.sqrt(times)))


def for_batch(rate: float, batch_size: int) -> float:
    """`rate` suits batches of RECOMMENDED_FOR records; smaller ones get it by the square root of their share."""
    return _rounded(rate * min(1.0, math.sqrt(batch_size / RECOMMENDED_FOR)))


def written(rate: float) -> str:
    """Every digit, and no exponent: read again it is the same number."""
    text = f"{Decimal(repr(rate)):f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _rounded(rate: float) -> float:
    """Six digits: no more is meant, and people read it."""
    return float(f"{rate:.6g}")
