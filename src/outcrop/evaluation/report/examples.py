"""Examples that are worth reading: where a model is worst, and where two models differ most."""

from collections.abc import Sequence
from typing import NamedTuple

from outcrop.evaluation.measures import BITS_PER_BYTE, LOSS
from outcrop.evaluation.report.value import ComparisonReport, MeasureReport, RecordReport

_LIKELIHOODS = (LOSS, BITS_PER_BYTE)


class WorstRecord(NamedTuple):
    """A record with a model's value of it."""

    record: RecordReport
    value: float


class DifferingRecord(NamedTuple):
    """A record with the values that two models have of it; positive where the model is the better one."""

    record: RecordReport
    model: float
    baseline: float
    gain: float


def main_measure(report: ComparisonReport) -> MeasureReport | None:
    """The measure by which examples are chosen.

    It is the first of answers that has degrees, else one that is a share, else one of likelihood.
    """
    directed = [each for each in report.measures if each.higher_is_better is not None and any(each.means.values())]
    of_answers = [each for each in directed if each.name not in _LIKELIHOODS]
    return next(iter([*(each for each in of_answers if not each.is_share), *of_answers, *directed]), None)


def worst(report: ComparisonReport, measure: MeasureReport, model: str, most: int) -> list[WorstRecord]:
    """The records with the worst values of a model, the worst first."""
    found = [
        WorstRecord(record, record.values[measure.name][model])
        for record in report.records
        if model in record.values[measure.name]
    ]
    return sorted(found, key=lambda each: each.value, reverse=not measure.higher_is_better)[:most]


def differing(report: ComparisonReport, measure: MeasureReport, model: str, baseline: str) -> Sequence[DifferingRecord]:
    """The records on which two models differ, those first on which the model loses most."""
    sign = 1 if measure.higher_is_better else -1
    found = []
    for record in report.records:
        values = record.values[measure.name]
        if model in values and baseline in values and values[model] != values[baseline]:
            gain = sign * (values[model] - values[baseline])
            found.append(DifferingRecord(record, values[model], values[baseline], gain))
    return sorted(found, key=lambda each: each.gain)
