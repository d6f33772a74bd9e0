"""Points of CloudWatch for a page: one request for as many metrics as it shows."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from outcrop.console.visit import ConsoleVisit

MetricPoints = list[tuple[datetime, float]]
_MOST_AT_ONCE = 100


class AskedMetric(NamedTuple):
    """A metric that a page asks for."""

    namespace: str
    name: str
    dimensions: Mapping[str, str]
    statistic: str = "Average"


def points_of(
    visit: ConsoleVisit, asked: Sequence[AskedMetric], *, since: datetime, until: datetime, period_s: int
) -> list[MetricPoints]:
    """The points of each metric in time's order; none for who may not read them."""
    found: list[MetricPoints] = [[] for _ in asked]
    for first in range(0, len(asked), _MOST_AT_ONCE):
        queries = [
            {
                "Id": f"m{first + number}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": each.namespace,
                        "MetricName": each.name,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in each.dimensions.items()],
                    },
                    "Period": period_s,
                    "Stat": each.statistic,
                },
            }
            for number, each in enumerate(asked[first : first + _MOST_AT_ONCE])
        ]
        told = visit.api.listed(
            "cloudwatch",
            "get_metric_data",
            "MetricDataResults",
            MetricDataQueries=queries,
            StartTime=since,
            EndTime=until,
            ScanBy="TimestampAscending",
        )
        for each in told.items:
            found[int(each["Id"][1:])] += list(zip(each["Timestamps"], each["Values"], strict=True))
    return found
