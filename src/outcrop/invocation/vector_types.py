"""Vectors in fewer bits than 32 a number: whole numbers of eight, and single bits.

A whole number stands for a fixed step, which depends on the width of the vector and on nothing else, so that vectors of
different requests compare. The numbers of a vector of length 1 and width D spread around 0 by 1/√D; four times that is
the largest that is told apart.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Numbers = Sequence[float]
_SPREADS = 4.0
"So many standard deviations the largest whole number stands for."


def bits(vector: Numbers) -> list[int]:
    """A bit a number: 1 where the number is above 0."""
    return _listed(_bits(vector).astype(np.int64))


def int8(vector: Numbers) -> list[int]:
    """A whole number from -128 to 127 for each number."""
    return _listed(_steps(vector))


def uint8(vector: Numbers) -> list[int]:
    """A whole number from 0 to 255 for each number; 128 stands for 0."""
    return _listed(_steps(vector) + 128)


def ubinary(vector: Numbers) -> list[int]:
    """Bytes of eight bits from 0 to 255, the first bit the most significant; the last is filled with 0."""
    return _listed(np.packbits(_bits(vector)).astype(np.int64))


def binary(vector: Numbers) -> list[int]:
    """Bytes as of `ubinary`, less 128: from -128 to 127."""
    return _listed(np.packbits(_bits(vector)).astype(np.int64) - 128)


def _bits(vector: Numbers) -> NDArray[np.bool_]:
    return np.asarray(vector) > 0


def _steps(vector: Numbers) -> NDArray[np.int64]:
    values = np.asarray(vector, np.float64)
    step = _SPREADS / np.sqrt(len(values)) / 127
    whole: NDArray[np.int64] = np.clip(np.rint(values / step), -128, 127).astype(np.int64)
    return whole


def _listed(numbers: NDArray[np.int64]) -> list[int]:
    found: list[int] = numbers.tolist()
    return found
