"""Charts of metrics over time: one small chart for each metric, since their sizes have nothing in common."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from outcrop.console.views.loss_chart import ChartPoint, LossChart, loss_chart


class MetricChart(NamedTuple):
    """A metric with its last value, and its chart once there are two points."""

    name: str
    last: str
    chart: LossChart | None


def metric_chart(name: str, points: Sequence[tuple[datetime, float]], since: datetime) -> MetricChart:
    """The chart of a metric over the seconds since a moment."""
    at = [ChartPoint((moment - since).total_seconds(), value) for moment, value in points]
    return MetricChart(name, amount(points[-1][1]) if points else "–", loss_chart([(name, at)]))


def amount(value: float) -> str:
    """A value of any size with about four digits that count."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
