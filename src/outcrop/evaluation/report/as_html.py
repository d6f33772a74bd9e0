"""The report as a page by itself: no script, no request, and every text of a record escaped.

It wears the style of the preflight report's page, with bars for intervals; its policy allows that one style sheet.
"""

import base64
import hashlib
import math
from collections.abc import Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from outcrop.datasets.observing.samples import shown
from outcrop.evaluation.measures import LOSS
from outcrop.evaluation.report import as_text, examples
from outcrop.evaluation.report.examples import DifferingRecord, WorstRecord
from outcrop.evaluation.report.value import ComparisonReport, MeasureReport
from outcrop.evaluation.statistics.comparing import ScoreDifference, Significance
from outcrop.evaluation.statistics.intervals import ConfidenceInterval

_WIDTH, _MARGIN = 1000, 0.04
_MOST_EXAMPLES, _MOST_RECORDS = 5, 200
_TONES = {Significance.BETTER: "good", Significance.WORSE: "worse", Significance.DIFFERENT: "fair"}


class IntervalBar(NamedTuple):
    """A value with its interval on a rail of 1,000 units."""

    label: str
    value: float
    interval: ConfidenceInterval | None
    at: float
    low: float | None
    high: float | None
    zero: float
    told: str
    more: str = ""
    difference: ScoreDifference | None = None


class DrawnMeasure(NamedTuple):
    """A measure with its bars."""

    id: int
    title: str
    measure: MeasureReport
    means: list[IntervalBar]
    differences: list[IntervalBar]


class WorstOfModel(NamedTuple):
    """The worst records of one model."""

    model: str
    records: list[WorstRecord]


class DifferingPair(NamedTuple):
    """The records on which a model and the baseline differ most, either way."""

    model: str
    baseline: str
    num_better: int
    num_worse: int
    num_same: int
    records: list[DifferingRecord]


def of_report(report: ComparisonReport) -> str:
    """The whole page."""
    style = f"{_read('outcrop.datasets.report', 'page.css')}\n{_read('outcrop.evaluation.report', 'page.css')}"
    main = examples.main_measure(report)
    baseline = report.models[0]
    to_baseline = [each for one in report.measures for each in one.differences if each.baseline == baseline]
    return _template().render(
        report=report,
        measures=[_drawn(number, one, one.name) for number, one in enumerate(report.measures)],
        general=None if report.general is None else _drawn(len(report.measures), report.general, report.general.name),
        main=main.name if main else "",
        worst=_worst(report, main) if main else [],
        pairs=[_pair(report, main, model) for model in report.models[1:]] if main else [],
        records=report.records[:_MOST_RECORDS],
        contaminated=report.contamination.ids if report.contamination else frozenset(),
        num_differences=len(to_baseline),
        # The only text that is not escaped is our own.
        style=Markup(style),
        style_hash=Markup(_digest(style)),
    )


def _drawn(number: int, measure: MeasureReport, title: str) -> DrawnMeasure:
    found = [(model, mean) for model, mean in measure.means.items() if mean is not None]
    rail = _Rail([end for _, mean in found for end in (mean.mean, *(mean.interval or ()))])
    means = []
    for model, mean in found:
        whole = measure.whole.get(model)
        more = f"all together {whole:.2f}" if whole is not None else ""
        more = f"perplexity {math.exp(mean.mean):,.1f}" if measure.name == LOSS else more
        means.append(rail.bar(model, mean.mean, mean.interval, more=more))
    ends = [end for each in measure.differences for end in (each.difference, *(each.interval or ()))]
    around = _Rail([0.0, *ends])
    differences = [
        around.bar(f"{each.model} against {each.baseline}", each.difference, each.interval, difference=each)
        for each in measure.differences
    ]
    return DrawnMeasure(number, title, measure, means, differences)


class _Rail:
    """A scale from the least to the most of some values, with room on both sides."""

    def __init__(self, values: Sequence[float]) -> None:
        low, high = (min(values), max(values)) if values else (0.0, 1.0)
        room = (high - low) * _MARGIN or 1.0
        self._low, self._span = low - room, high - low + 2 * room

    def at(self, value: float) -> float:
        return round((value - self._low) / self._span * _WIDTH, 1)

    def bar(
        self,
        label: str,
        value: float,
        interval: ConfidenceInterval | None,
        *,
        more: str = "",
        difference: ScoreDifference | None = None,
    ) -> IntervalBar:
        between = "" if interval is None else f", 95 % interval {as_text.interval(interval)}"
        return IntervalBar(
            label=label,
            value=value,
            interval=interval,
            at=self.at(value),
            low=None if interval is None else self.at(interval.low),
            high=None if interval is None else self.at(interval.high),
            zero=self.at(0.0),
            told=f"{label}: {as_text.number(value)}{between}",
            more=more,
            difference=difference,
        )


def _worst(report: ComparisonReport, measure: MeasureReport) -> list[WorstOfModel]:
    found = [
        WorstOfModel(model, examples.worst(report, measure, model, _MOST_EXAMPLES)) for model in reversed(report.models)
    ]
    return [each for each in found if each.records]


def _pair(report: ComparisonReport, measure: MeasureReport, model: str) -> DifferingPair:
    baseline = report.models[0]
    found = list(examples.differing(report, measure, model, baseline))
    both = sum(
        model in record.values[measure.name] and baseline in record.values[measure.name] for record in report.records
    )
    num_worse = sum(each.gain < 0 for each in found)
    worst, best = found[:_MOST_EXAMPLES], found[_MOST_EXAMPLES:][-_MOST_EXAMPLES:]
    return DifferingPair(model, baseline, len(found) - num_worse, num_worse, both - len(found), [*worst, *best[::-1]])


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "shown": shown,
        "number": as_text.number,
        "signed": as_text.signed,
        "interval": as_text.interval,
        "tone": lambda told: _TONES.get(told.significance, "plain"),
    }
    return environment.from_string(_read("outcrop.evaluation.report", "page.html"))


def _read(package: str, name: str) -> str:
    return resources.files(package).joinpath(name).read_text(encoding="utf-8")


def _digest(style: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"
