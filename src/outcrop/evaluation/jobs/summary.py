"""The summary of an evaluation job: means with intervals by source, data set and metric, and what has none.

Bedrock shows such figures in its console alone. A mean is that of the records with a value; the others are counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.evaluation.jobs.grading import SelfAgreement
from outcrop.evaluation.jobs.outputs import MetricResult
from outcrop.evaluation.jobs.plan import AnswerSource, EvaluatedDataset, EvaluationPlan
from outcrop.evaluation.statistics.intervals import CONFIDENCE, estimate

HOW_AGREEMENT = (
    "The share of a sample of grades that the judge gave again when it was asked a second time, with the scale in the "
    "other order. Near 1 it knows what it grades; near the chance of the scale it guesses."
)


@dataclass(frozen=True, kw_only=True)
class SummedMetric:
    """All results of one metric over a data set, one for each turn."""

    metric: str
    results: Sequence[MetricResult]
    categories: Sequence[str | None]
    "Of the results' records."
    told: str = ""
    "How it was computed; empty for a judge's."
    judge: str | None = None
    agreement: SelfAgreement | None = None
    num_unread: int = 0
    "Answers of the judge that held no grade."
    beside: Mapping[str, Sequence[float | None]] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SummedDataset:
    """The metrics of one source on one data set."""

    source: AnswerSource
    dataset: EvaluatedDataset
    num_records: int
    num_answered: int
    metrics: Sequence[SummedMetric]


def summary_of(plan: EvaluationPlan, parts: Sequence[SummedDataset], *, sent_to: Sequence[str]) -> dict[str, Any]:
    """The summary as it is written."""
    told: dict[str, Any] = {
        "applicationType": plan.application.value,
        "confidence": CONFIDENCE,
        "results": [_part(each) for each in parts],
    }
    return {**told, **({"sentTo": list(sent_to)} if sent_to else {})}


def _part(part: SummedDataset) -> dict[str, Any]:
    return {
        "source": part.source.identifier,
        "kind": part.source.kind.value,
        "dataset": part.dataset.name,
        "taskType": part.dataset.task_type,
        "numRecords": part.num_records,
        "numAnswered": part.num_answered,
        "metrics": [_metric(each) for each in part.metrics],
    }


def _metric(metric: SummedMetric) -> dict[str, Any]:
    values = [each.value for each in metric.results]
    told: dict[str, Any] = {
        "metricName": metric.metric,
        "numGraded": sum(value is not None for value in values),
        "numUngraded": sum(value is None for value in values),
        **_words_or_mean(values),
    }
    if metric.told:
        told["computedBy"] = metric.told
    if metric.judge is not None:
        told |= {"judge": metric.judge, "numUnreadableGrades": metric.num_unread}
    if metric.agreement is not None and metric.agreement.pairs:
        told["judgeAgreesWithItself"] = {
            "share": metric.agreement.share,
            "numPairs": metric.agreement.pairs,
            "meaning": HOW_AGREEMENT,
        }
    categories = list(dict.fromkeys(each for each in metric.categories if each is not None))
    if categories:
        told["categories"] = {
            name: _words_or_mean([v for v, each in zip(values, metric.categories, strict=True) if each == name])
            for name in categories
        }
    if metric.beside:
        told["beside"] = {name: _words_or_mean(ours) for name, ours in metric.beside.items()}
    return told


def _words_or_mean(values: Sequence[float | str | None]) -> dict[str, Any]:
    """The mean and its interval; of a scale of words, how often each was given."""
    words = [value for value in values if isinstance(value, str)]
    if words:
        return {"counts": {word: words.count(word) for word in dict.fromkeys(words)}}
    numbers = [value if isinstance(value, float | int) else None for value in values]
    found = estimate(numbers)
    if found is None:
        return {"mean": None}
    interval = None if found.interval is None else [found.interval.low, found.interval.high]
    return {"mean": found.mean, "interval": interval}
