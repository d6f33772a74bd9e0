"""The report for programs: everything that it holds, as JSON."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from outcrop.evaluation.report.value import ComparisonReport, ContaminationReport, MeasureReport, RecordReport
from outcrop.evaluation.statistics.comparing import ScoreDifference
from outcrop.evaluation.statistics.intervals import MeanEstimate


def of_report(report: ComparisonReport) -> dict[str, Any]:
    """The report as JSON holds it; `form` counts up when a member changes its meaning."""
    return {
        "form": 1,
        "data": {
            "name": report.name,
            "sha256": report.digest,
            "questions": report.num_questions,
            "categories": dict(report.categories),
        },
        "created": report.created.isoformat(),
        "models": list(report.models),
        "settings": {**asdict(report.settings), "seeds": report.num_seeds},
        "measures": [_measure(each) for each in report.measures],
        "costs": {model: asdict(cost) for model, cost in report.costs.items()},
        "general": None if report.general is None else _general(report),
        "contamination": None if report.contamination is None else contamination_json(report.contamination),
        "records": [_record(each) for each in report.records],
    }


def _general(report: ComparisonReport) -> dict[str, Any]:
    assert report.general is not None, "asked for where it is there"
    return {"name": report.general_name, "texts": report.num_general, **_measure(report.general)}


def _measure(measure: MeasureReport) -> dict[str, Any]:
    return {
        "name": measure.name,
        "meaning": measure.meaning,
        "higher_is_better": measure.higher_is_better,
        "is_share": measure.is_share,
        "means": _means(measure.means),
        "whole": dict(measure.whole),
        "differences": [_difference(each) for each in measure.differences],
        "categories": {
            category: {
                "means": _means(means),
                "differences": [_difference(each) for each in measure.category_differences.get(category, ())],
            }
            for category, means in measure.categories.items()
        },
        "missing": {model: dict(why) for model, why in measure.missing.items()},
        "note": measure.note,
    }


def _means(means: Mapping[str, MeanEstimate | None]) -> dict[str, Any]:
    return {model: None if mean is None else _mean(mean) for model, mean in means.items()}


def _mean(mean: MeanEstimate) -> dict[str, Any]:
    low, high = mean.interval or (None, None)
    return {
        "mean": mean.mean,
        "low": low,
        "high": high,
        "records": mean.num_records,
        "without": mean.num_without,
        "method": mean.method,
    }


def _difference(told: ScoreDifference) -> dict[str, Any]:
    low, high = told.interval or (None, None)
    return {
        "model": told.model,
        "baseline": told.baseline,
        "difference": told.difference,
        "low": low,
        "high": high,
        "confidence": told.confidence,
        "records": told.num_records,
        "differing": told.num_differing,
        "detectable": told.detectable,
        "verdict": told.significance.value,
        "sentence": told.sentence,
    }


def contamination_json(told: ContaminationReport) -> dict[str, Any]:
    """The questions that were found in the data that models learned from, as JSON."""
    return {"learned": [asdict(each) for each in told.learned], "notes": list(told.notes), "ids": sorted(told.ids)}


def _record(record: RecordReport) -> dict[str, Any]:
    question = record.question
    return {
        "id": question.id,
        "category": question.category,
        "system": question.system,
        "messages": [dict(turn) for turn in question.messages],
        "references": list(question.references),
        "answers": {model: list(texts) for model, texts in record.answers.items()},
        "values": {measure: dict(values) for measure, values in record.values.items()},
    }
