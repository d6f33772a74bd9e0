"""A chart of a measure over steps as plain values: lines in a square of 100 by 100.

However many points there were, a line has at most `_MOST_POINTS`: of each stretch its lowest and its highest.
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

_MOST_POINTS = 400
_TICKS = 4


class ChartPoint(NamedTuple):
    """A loss at a step."""

    step: float
    loss: float


class ChartTick(NamedTuple):
    """A mark at an axis: its place in percent, and its text."""

    place: str
    text: str


class ChartLine(NamedTuple):
    """A line of the chart: its name, its points for SVG, and its last value."""

    name: str
    points: str
    last: str
    end: tuple[str, str]
    "Where it ends, in percent from the left and the top."


class LossChart(NamedTuple):
    """Everything that the template draws."""

    lines: list[ChartLine]
    steps: list[ChartTick]
    losses: list[ChartTick]


def told_loss(loss: float) -> str:
    return f"{loss:.3f}"


def loss_chart(
    series: Sequence[tuple[str, Sequence[ChartPoint]]],
    *,
    told: Callable[[float], str] = told_loss,
    told_tick: Callable[[float], str] = "{:g}".format,
    keep_empty: bool = False,
) -> LossChart | None:
    """The chart of the named series; None before there are two points anywhere. `told`: a value as people read it.

    `keep_empty`: whether series without a point are lines too, so that the others keep their colours.
    """
    kept = [(name, _thinned([each for each in points if math.isfinite(each.loss)])) for name, points in series]
    every = [point for _, points in kept for point in points]
    if len(every) < 2:
        return None
    last = max(point.step for point in every) or 1.0
    steps, losses = (
        [step for step in _nice(0, last) if step <= last],
        _nice(min(point.loss for point in every), max(point.loss for point in every)),
    )

    def across(step: float) -> float:
        return 100 * step / last

    def down(loss: float) -> float:
        return 100 * (losses[-1] - loss) / (losses[-1] - losses[0])

    return LossChart(
        lines=[
            ChartLine(
                name,
                " ".join(f"{across(point.step):.2f},{down(point.loss):.2f}" for point in points),
                told(points[-1].loss) if points else "",
                (f"{across(points[-1].step):.2f}%", f"{down(points[-1].loss):.2f}%") if points else ("", ""),
            )
            for name, points in kept
            if points or keep_empty
        ],
        steps=[ChartTick(f"{across(step):.2f}%", f"{step:,.0f}") for step in steps if step == int(step)],
        losses=[ChartTick(f"{down(loss):.2f}%", told_tick(loss)) for loss in losses],
    )


def _thinned(points: Sequence[ChartPoint]) -> list[ChartPoint]:
    points = sorted(points)
    if len(points) <= _MOST_POINTS:
        return points
    stretch = math.ceil(len(points) / (_MOST_POINTS // 2))
    kept: list[ChartPoint] = []
    for start in range(0, len(points), stretch):
        among = points[start : start + stretch]
        low, high = min(among, key=lambda point: point.loss), max(among, key=lambda point: point.loss)
        kept += sorted({low, high})
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _nice(least: float, most: float) -> list[float]:
    """Round values from at or below the least to at or above the most, evenly spaced."""
    reach = (most - least) or abs(most) or 1.0
    raw = reach / _TICKS
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 2.5, 5, 10) if factor * magnitude >= raw * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(number * step, 10) for number in range(first, max(last, first + 1) + 1)]
