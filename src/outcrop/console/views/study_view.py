"""A search of hyperparameters as plain values: trials across parallel axes, and the lowest loss so far.

Every trial is a line over one axis for each hyperparameter and a last one for the loss. An axis goes by orders of
magnitude where its values span a hundredfold, evenly otherwise; words stand apart evenly.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from outcrop.console.views.loss_chart import ChartPoint, LossChart, loss_chart
from outcrop.evaluation.statistics.comparing import Significance
from outcrop.evaluation.studies.gain import gain_of

LOSS = "loss"
_LOGARITHMIC = 100
_JUST_BEFORE = 1e-6
"A stair goes straight down: two points at one place, in this order."
_OURS = "outcrop."


class StudyAxis(NamedTuple):
    """An axis: its name, its place from the left in percent, and the texts at its ends or words."""

    name: str
    place: str
    ticks: list[tuple[str, str]]
    "Places from the top in percent, and texts."


class StudyTrialLine(NamedTuple):
    """A trial across the axes."""

    number: int
    points: str
    best: bool


class StudyTrialRow(NamedTuple):
    """A trial in the table."""

    number: int
    values: list[str]
    end: str
    steps: int
    loss: str
    best: bool


class StudyGain(NamedTuple):
    """The gain of the best trial over the first, which has the job's own values."""

    key: str
    "Of the sentence."
    difference: str = ""
    interval: str = ""
    verdict: str = ""
    "A name of Significance; empty where nothing could be compared."


class StudyPage(NamedTuple):
    """Everything that the page of a search shows."""

    axes: list[StudyAxis]
    lines: list[StudyTrialLine]
    names: list[str]
    rows: list[StudyTrialRow]
    chart: LossChart | None
    dots: list[tuple[str, str]]
    "Where each trial's own loss stands in that chart, in percent from the left and the top."
    best: int | None
    gain: StudyGain | None = None


class _Scale(NamedTuple):
    """Where the values of an axis stand, from its bottom, 0, to its top, 1."""

    words: Sequence[str]
    least: float
    most: float
    by_magnitude: bool

    def place(self, text: str) -> float | None:
        if self.words:
            return self.words.index(text) / max(1, len(self.words) - 1) if text in self.words else None
        value = _number(text)
        if value is None:
            return None
        if self.most == self.least:
            return 0.5
        if self.by_magnitude:
            return math.log(value / self.least) / math.log(self.most / self.least)
        return (value - self.least) / (self.most - self.least)

    @property
    def ticks(self) -> list[tuple[str, str]]:
        texts = self.words or (f"{self.least:.4g}", f"{self.most:.4g}")
        if len(texts) == 1 or (self.least == self.most and not self.words):
            return [("50%", texts[0])]
        return [(f"{100 - 100 * number / (len(texts) - 1):.2f}%", text) for number, text in enumerate(texts)]


def study_gain(study: Mapping[str, Any]) -> StudyGain | None:
    """The gain by the losses of the held-out records; None before a trial has completed, or of a strange file."""
    try:
        if study["best"] is None:
            return None
        found = gain_of(study)
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        return None  # of a file that somebody else wrote
    if study["best"] == 0:
        return StudyGain("study.gain_none")
    if "difference" not in found:
        return StudyGain("study.gain_unknown")
    interval = found["interval"]
    ends = "" if interval is None else f"{_signed(interval[0])} … {_signed(interval[1])}"
    return StudyGain("study.gain", _signed(found["difference"]), ends, Significance(found["significance"]).name)


def study_page(study: Mapping[str, Any], gain: StudyGain | None = None, *, measure: str = LOSS) -> StudyPage:
    """The page of a study as `training_artifacts/study.json` tells it; `measure` is what its trials are held by."""
    trials = [each for each in study["trials"] if isinstance(each, dict)]
    names = sorted({name for trial in trials for name in trial["values"]})
    texts = [*names, LOSS]
    scales = [_scale([_text(trial, name) for trial in trials]) for name in texts]
    lines = []
    for trial in sorted(trials, key=lambda each: bool(each["best"])):  # the best is drawn over the others
        places = [scale.place(_text(trial, name)) for name, scale in zip(texts, scales, strict=True)]
        if trial["values"] and None not in places:
            lines.append(
                StudyTrialLine(trial["number"], _line([each for each in places if each is not None]), trial["best"])
            )
    losses = [(trial["number"] + 1, trial["loss"]) for trial in trials if trial["loss"] is not None]
    chart, dots = _best_so_far(losses)
    return StudyPage(
        axes=[
            StudyAxis(measure if name == LOSS else name.removeprefix(_OURS), _across(number, len(texts)), scale.ticks)
            for number, (name, scale) in enumerate(zip(texts, scales, strict=True))
            if any(_text(trial, name) for trial in trials)
        ],
        lines=lines,
        names=[name.removeprefix(_OURS) for name in names],
        rows=[_row(trial, names) for trial in trials],
        chart=chart,
        dots=dots,
        best=study.get("best"),
        gain=gain,
    )


def _best_so_far(losses: Sequence[tuple[int, float]]) -> tuple[LossChart | None, list[tuple[str, str]]]:
    best, stairs = math.inf, list[ChartPoint]()
    for number, loss in losses:
        if stairs:
            stairs.append(ChartPoint(number - _JUST_BEFORE, best))
        best = min(best, loss)
        stairs.append(ChartPoint(number, best))
    if len(losses) < 2:
        return None, []
    every = [ChartPoint(number, loss) for number, loss in losses]
    # The trials' own losses belong to the scale of the chart; their line is not drawn, since trials do not follow.
    chart = loss_chart([("", stairs), ("", every)])
    if chart is None:
        return None, []
    dots = [(f"{x}%", f"{y}%") for x, y in (pair.split(",") for pair in chart.lines[1].points.split())]
    return chart._replace(lines=chart.lines[:1]), dots


def _scale(texts: Sequence[str]) -> _Scale:
    given = [text for text in texts if text]
    numbers = [number for text in given if (number := _number(text)) is not None]
    if len(numbers) < len(given) or not numbers:
        return _Scale(sorted(set(given)), 0, 0, by_magnitude=False)
    least, most = min(numbers), max(numbers)
    return _Scale((), least, most, by_magnitude=least > 0 and most / least >= _LOGARITHMIC)


def _text(trial: Mapping[str, Any], name: str) -> str:
    if name == LOSS:
        return "" if trial["loss"] is None else repr(float(trial["loss"]))
    return str(trial["values"].get(name, ""))


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _line(places: Sequence[float]) -> str:
    last = max(1, len(places) - 1)
    return " ".join(f"{100 * number / last:.2f},{100 - 100 * place:.2f}" for number, place in enumerate(places))


def _across(number: int, of: int) -> str:
    return f"{100 * number / max(1, of - 1):.2f}%"


def _row(trial: Mapping[str, Any], names: Sequence[str]) -> StudyTrialRow:
    values = [_short(str(trial["values"].get(name, ""))) for name in names]
    loss = "" if trial["loss"] is None else f"{trial['loss']:.4f}"
    return StudyTrialRow(trial["number"], values, str(trial["end"] or ""), trial["steps"], loss, bool(trial["best"]))


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "−")


def _short(text: str) -> str:
    value = _number(text)
    return text if value is None or text.isdigit() else f"{value:.3g}"
