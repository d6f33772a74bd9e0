"""Axes of the pictures in reports: where a value stands in a picture's own units, and the marks beside it."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_NUM_TICKS = 5
_WIDE = 20.0
"The ratio of values from which on an axis is logarithmic."


class Tick(NamedTuple):
    """A line of the grid, and what stands beside it."""

    place: float
    told: str


def axis(
    values: Sequence[float], first: float, last: float, told: Callable[[float], str], *, always_even: bool = False
) -> tuple[list[Tick], Callable[[float], float]]:
    """The ticks of an axis over these values, and where a value stands on it."""
    least, most = min(values), max(values)
    is_wide = not always_even and least > 0 and most / least >= _WIDE
    bend: Callable[[float], float] = math.log if is_wide else float
    back: Callable[[float], float] = math.exp if is_wide else float
    begin, span = bend(least), (bend(most) - bend(least)) or 1.0

    def place(value: float) -> float:
        return round(first + (last - first) * (bend(value) - begin) / span, 1)

    marks = [back(begin + span * number / (_NUM_TICKS - 1)) for number in range(_NUM_TICKS)]
    if is_wide:
        marks = [float(f"{mark:.1g}") for mark in marks]
        marks = [mark for mark in dict.fromkeys(marks) if least <= mark <= most]
    return [Tick(place(mark), told(mark)) for mark in marks], place
