"""Statistics of the values of a period: CloudWatch's words and what each comes to."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from outcrop.errors import Invalid
from outcrop.metrics.distribution import percentile

_PERCENTILE = re.compile(r"^p(\d{1,2}(?:\.\d{1,10})?|100)$")
_PLAIN = ("SampleCount", "Sum", "Average", "Minimum", "Maximum")


class KeptPoint(NamedTuple):
    """The values of one interval as its row holds them."""

    at: datetime
    num_values: int
    total: float
    least: float
    most: float
    counts: Mapping[float, int]
    "How often each value was seen; empty where nobody asked for percentiles, or nobody knows."


@dataclass(frozen=True, kw_only=True)
class Datapoint:
    """Statistics of one period of a series."""

    at: datetime
    "Its beginning."
    unit: str
    values: Mapping[str, float] = field(default_factory=dict)
    "By the statistic's name, as it was asked for."


def check(statistics: Iterable[str]) -> bool:
    """Whether any of them is a percentile. Raises Invalid for one that is not known."""
    found = False
    for each in statistics:
        if each in _PLAIN:
            continue
        if _PERCENTILE.match(each) is None:
            raise Invalid(
                f"statistic {each!r}: not known here. Choose among {', '.join(_PLAIN)}, and percentiles such as p99.9."
            )
        found = True
    return found


def values_of(kept: list[KeptPoint], statistics: Iterable[str]) -> dict[str, float]:
    """The value of each statistic over all these points together; there is at least one point.

    Percentiles are left out where not every value is known.
    """
    count = sum(each.num_values for each in kept)
    total = sum(each.total for each in kept)
    least, most = min(each.least for each in kept), max(each.most for each in kept)
    plain = {
        "SampleCount": float(count),
        "Sum": total,
        "Average": min(max(total / count, least), most),  # of equal values, rounding would lead past them
        "Minimum": least,
        "Maximum": most,
    }
    together: dict[float, int] = {}
    for each in kept:
        for seen, times in each.counts.items():
            together[seen] = together.get(seen, 0) + times

    def value(statistic: str) -> float:
        if statistic in plain:
            return plain[statistic]
        return percentile(together, Decimal(statistic[1:]), least=least, most=most)

    whole = sum(together.values()) == count
    return {statistic: value(statistic) for statistic in statistics if whole or statistic in plain}
