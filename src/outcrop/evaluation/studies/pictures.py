"""The pictures of a study in their own units: the search, each trial's curve, and trials over their hyperparameters.

A study is what a job writes as study.json. Losses that are no number have no place, and a loss far above the others
stands at the upper edge, so that one trial that went astray does not flatten all others.
"""

import math
import statistics
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from outcrop.evaluation.report.axes import Tick, axis

WIDTH, HEIGHT = 760.0, 320.0
LEFT, RIGHT, TOP, BOTTOM = 64.0, 740.0, 28.0, 280.0
_ENOUGH = 4
"Losses from which on some may be far above the others."
_FEW_VALUES, _LINE = 8, 14.0
"Numbers that all stand beside their axis, where there is room for a line of text."
Study = Mapping[str, Any]


class StudyPoint(NamedTuple):
    """A trial in the picture of the search."""

    x: float
    y: float
    kind: str
    "best, completed, pruned or going."
    told: str


class SearchPicture(NamedTuple):
    """The losses of all trials in their order, and the lowest so far."""

    across: list[Tick]
    up: list[Tick]
    points: list[StudyPoint]
    line: str
    "Corners of the lowest so far, as SVG has them."
    ceiling: float | None
    "The loss above which points stand at the edge; None where none does."


class TrialLine(NamedTuple):
    """A trial as a line."""

    points: str
    kind: str
    told: str


class CurvesPicture(NamedTuple):
    """The validation loss of every trial over its steps."""

    across: list[Tick]
    up: list[Tick]
    lines: list[TrialLine]
    ceiling: float | None


class ValueAxis(NamedTuple):
    """An upright axis of one hyperparameter, or of the loss."""

    name: str
    x: float
    ticks: list[Tick]


class CoordinatesPicture(NamedTuple):
    """Every trial with values of its own as a line through them to its loss."""

    axes: list[ValueAxis]
    lines: list[TrialLine]
    left_out: int
    "Trials without values or without a loss."


def search_picture(study: Study) -> SearchPicture | None:
    """The picture of the search; None of fewer than two trials with a loss."""
    trials = [trial for trial in study["trials"] if loss_of(trial) is not None]
    if len(trials) < 2:
        return None
    losses = [loss for trial in trials if (loss := loss_of(trial)) is not None]
    ceiling = _ceiling(losses)
    across, x_of = _counted([trial["number"] for trial in trials], LEFT + 10, RIGHT - 10)
    up, y_of = axis(_below(losses, ceiling), BOTTOM - 8, TOP + 8, _figure, always_even=True)
    points, corners, lowest = list[StudyPoint](), list[str](), math.inf
    for trial, loss in zip(trials, losses, strict=True):
        x, y = x_of(trial["number"]), y_of(min(loss, ceiling))
        points.append(StudyPoint(x, y, kind_of(trial), told_trial(trial)))
        if loss < lowest and trial["end"] == "completed":
            if corners:
                corners.append(f"{x},{y_of(min(lowest, ceiling))}")
            lowest = loss
            corners.append(f"{x},{y}")
    if corners:
        corners.append(f"{points[-1].x},{y_of(min(lowest, ceiling))}")
    return SearchPicture(across, up, points, " ".join(corners), _told(ceiling, losses))


def curves_picture(study: Study) -> CurvesPicture | None:
    """The picture of all curves; None where no trial was evaluated."""
    curves = [(trial, _curve(trial)) for trial in study["trials"] if _curve(trial)]
    if not curves:
        return None
    losses = [loss for _, curve in curves for _, loss in curve]
    ceiling = _ceiling(losses)
    across, x_of = _counted([0, *(step for _, curve in curves for step, _ in curve)], LEFT, RIGHT)
    up, y_of = axis(_below(losses, ceiling), BOTTOM - 8, TOP + 8, _figure, always_even=True)
    lines = [
        TrialLine(
            " ".join(f"{x_of(step)},{y_of(min(loss, ceiling))}" for step, loss in curve),
            kind_of(trial),
            told_trial(trial),
        )
        for trial, curve in curves
    ]
    return CurvesPicture(across, up, _best_last(lines), _told(ceiling, losses))


def coordinates_picture(study: Study) -> CoordinatesPicture | None:
    """The picture of hyperparameters and losses; None of fewer than two trials that have both."""
    trials = [trial for trial in study["trials"] if trial["values"] and loss_of(trial) is not None]
    if len(trials) < 2:
        return None
    names = sorted({name for trial in trials for name in trial["values"]})
    losses = {trial["number"]: loss_of(trial) or 0.0 for trial in trials}
    ceiling = _ceiling(list(losses.values()))
    places = [LEFT + (RIGHT - LEFT - 30) * number / len(names) for number in range(len(names) + 1)]
    axes, heights = list[ValueAxis](), list[Mapping[int, float]]()
    for name, x in zip(names, places, strict=False):
        ticks, of_trial = _value_axis({trial["number"]: trial["values"].get(name, "") for trial in trials})
        axes.append(ValueAxis(short_name(name), x, ticks))
        heights.append(of_trial)
    ticks, y_of = axis(_below(list(losses.values()), ceiling), BOTTOM, TOP + 16, _figure, always_even=True)
    axes.append(ValueAxis("loss", places[-1], ticks))
    heights.append({number: y_of(min(loss, ceiling)) for number, loss in losses.items()})
    lines = [
        TrialLine(
            " ".join(f"{one.x},{of_trial[trial['number']]}" for one, of_trial in zip(axes, heights, strict=True)),
            kind_of(trial),
            told_trial(trial),
        )
        for trial in trials
    ]
    return CoordinatesPicture(axes, _best_last(lines), len(study["trials"]) - len(trials))


def kind_of(trial: Study) -> str:
    """How a trial is drawn: the best one, or by its end."""
    return "best" if trial["best"] else str(trial["end"] or "going")


def told_trial(trial: Study) -> str:
    """A trial in words, for the pointer."""
    values = ", ".join(f"{short_name(name)} {value}" for name, value in trial["values"].items())
    loss = loss_of(trial)
    told = "no loss" if loss is None else f"loss {loss:.4f}"
    return f"trial {trial['number']}: {values or 'as without a search'}; {told}, {trial['end'] or 'under way'}"


def short_name(name: str) -> str:
    """A hyperparameter without the prefix of our own ones."""
    return name.removeprefix("outcrop.")


def loss_of(trial: Study) -> float | None:
    """The loss of a trial; None where it has none, or none that is a number."""
    loss = trial["loss"]
    return loss if loss is not None and math.isfinite(loss) else None


def _curve(trial: Study) -> list[tuple[int, float]]:
    return [(step, loss) for step, loss in trial["curve"] if math.isfinite(loss)]


def _value_axis(values: Mapping[int, str]) -> tuple[list[Tick], dict[int, float]]:
    """The marks of one hyperparameter, and the height of each trial on it."""
    numbers = {number: _number(text) for number, text in values.items()}
    if all(each is not None for each in numbers.values()):
        known = {number: each for number, each in numbers.items() if each is not None}
        ticks, y_of = axis(list(known.values()), BOTTOM, TOP + 16, _short)
        if len(set(known.values())) <= _FEW_VALUES:
            ticks = _apart([Tick(y_of(each), _short(each)) for each in sorted(set(known.values()))])
        return ticks, {number: y_of(each) for number, each in known.items()}
    words = sorted(set(values.values()))
    ticks, y_of = axis(range(len(words)), BOTTOM, TOP + 16, str, always_even=True)
    marks = [Tick(y_of(place), word or "–") for place, word in enumerate(words)]
    return _apart(marks), {number: y_of(words.index(word)) for number, word in values.items()}


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _ceiling(losses: Sequence[float]) -> float:
    """The greatest loss that is not far above the others (Tukey's fence); infinite where all belong together."""
    if len(losses) < _ENOUGH:
        return math.inf
    lower, _, upper = statistics.quantiles(losses, n=4, method="inclusive")
    fence = upper + 1.5 * (upper - lower)
    return fence if max(losses) > fence > min(losses) else math.inf


def _below(losses: Sequence[float], ceiling: float) -> list[float]:
    return [min(loss, ceiling) for loss in losses]


def _told(ceiling: float, losses: Sequence[float]) -> float | None:
    return ceiling if any(loss > ceiling for loss in losses) else None


def _best_last(lines: Sequence[TrialLine]) -> list[TrialLine]:
    """The best one drawn over the others."""
    return sorted(lines, key=lambda line: line.kind == "best")


def _counted(values: Sequence[int], first: float, last: float) -> tuple[list[Tick], Callable[[float], float]]:
    """An axis of counts, with marks at whole numbers."""
    _, place = axis(values, first, last, str, always_even=True)
    least, most = min(values), max(values)
    return [Tick(place(each), str(each)) for each in range(least, most + 1, max(1, -(-(most - least) // 5)))], place


def _apart(ticks: Sequence[Tick]) -> list[Tick]:
    """The marks that have room for their words, from the first one on."""
    found: list[Tick] = []
    for tick in ticks:
        if not found or abs(found[-1].place - tick.place) >= _LINE:
            found.append(tick)
    return found


def _short(value: float) -> str:
    return f"{value:.3g}"


def _figure(value: float) -> str:
    return f"{value:.3f}"
