"""How sure a figure is over a few seeds; over records it is `outcrop.evaluation.statistics`."""

import math
import statistics
from collections.abc import Sequence

# Student's t at 0.975, by degrees of freedom: https://www.itl.nist.gov/div898/handbook/eda/section3/eda3672.htm
_T = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447, 7: 2.365, 8: 2.306, 9: 2.262}


def half_width(values: Sequence[float]) -> float:
    """Of the 95 % interval around the mean of 2 to 10 independent runs, by Student's t."""
    return _T[len(values) - 1] * statistics.stdev(values) / math.sqrt(len(values))
