"""The Pareto front as a picture: a point for each approach, over its cost, with the interval of its quality."""

from typing import NamedTuple

from outcrop.evaluation.bakeoff.judging import JudgedBakeoff, JudgedCell, recommended
from outcrop.evaluation.bakeoff.recommendation import told_amount, told_estimate
from outcrop.evaluation.report.axes import Tick, axis

_WIDTH, _HEIGHT = 760.0, 420.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 60.0, 730.0, 34.0, 370.0


class FrontPoint(NamedTuple):
    """An approach in the picture's own units."""

    x: float
    y: float
    low: float
    high: float
    kind: str
    label: str
    "Empty off the front, where it is told by the pointer alone."
    told: str
    anchor: str
    aside: float


class FrontPicture(NamedTuple):
    """All that the picture is drawn of."""

    width: float
    height: float
    left: float
    right: float
    top: float
    bottom: float
    across: list[Tick]
    up: list[Tick]
    points: list[FrontPoint]
    line: str
    "The front's corners, as SVG has them."


def draw(judged: JudgedBakeoff) -> FrontPicture | None:
    """The picture; None of fewer than two approaches."""
    if len(judged.cells) < 2:
        return None
    costs = [cell.cost for cell in judged.cells]
    ends = [end for cell in judged.cells for end in _ends(judged, cell)]
    across, x_of = axis(costs, _LEFT + 20, _RIGHT - 20, lambda cost: told_amount(judged, cost))
    up, y_of = axis(ends, _BOTTOM - 8, _TOP + 8, lambda value: f"{value:.2f}", always_even=True)
    taken = recommended(judged)
    points = [
        FrontPoint(
            x=x_of(cell.cost),
            y=y_of(judged.quality(cell)),
            low=y_of(_ends(judged, cell)[0]),
            high=y_of(_ends(judged, cell)[1]),
            kind="taken" if cell is taken else "front" if cell.is_on_front else "other",
            label=cell.name if cell.is_on_front or cell is taken else "",
            told=f"{cell.name}: {told_estimate(judged, cell)}, {told_amount(judged, cell.cost)} {judged.currency}",
            anchor="end" if x_of(cell.cost) > (_LEFT + _RIGHT) / 2 else "start",
            aside=-8.0 if x_of(cell.cost) > (_LEFT + _RIGHT) / 2 else 8.0,
        )
        for cell in judged.cells
    ]
    front = sorted((cell for cell in judged.cells if cell.is_on_front), key=lambda cell: cell.cost)
    corners = [f"{x_of(cell.cost)},{y_of(judged.quality(cell))}" for cell in front]
    return FrontPicture(_WIDTH, _HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM, across, up, points, " ".join(corners))


def _ends(judged: JudgedBakeoff, cell: JudgedCell) -> tuple[float, float]:
    found = cell.estimates[judged.measure]
    return (found.mean, found.mean) if found.interval is None else (found.interval.low, found.interval.high)
