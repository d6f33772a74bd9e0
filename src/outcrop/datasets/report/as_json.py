"""The preflight report for programs: numbers, and sentences where the text has them."""

from dataclasses import asdict
from typing import Any

from outcrop.datasets.report.value import FileReport, Gap, Report, SampleRecord

_LEFT_OUT = ("samples", "excerpts", "sequences")
"Text of the records, and what is told by the histogram."


def of_report(report: Report) -> dict[str, Any]:
    """Everything that the report knows."""
    files = []
    for file in report.files:
        samples = {"samples": [_sample(each) for each in file.samples], "excerpts": dict(file.excerpts)}
        files.append(_counts_of_file(file) | samples)
    return _head(report) | {"files": files}


def counts_of_report(report: Report) -> dict[str, Any]:
    """The report without any text of the records, to be kept with a model that others may get."""
    return _head(report) | {"files": [_counts_of_file(file) for file in report.files]}


def _head(report: Report) -> dict[str, Any]:
    return {
        "base": report.base,
        "context_length": report.context_length,
        "customization": report.customization,
        "ready": not report.problems,
        "forecast": None if report.forecast is None else asdict(report.forecast),
    }


def _counts_of_file(file: FileReport) -> dict[str, Any]:
    told = {name: value for name, value in vars(file).items() if name not in _LEFT_OUT}
    told["problems"] = [asdict(problem) | {"sentence": str(problem)} for problem in file.problems]
    told["kinds"] = [{"first": str(kind.first), "count": kind.num} for kind in file.kinds]
    told["longest"] = None if file.longest is None else file.longest._asdict()
    for name in ("histogram", "split", "by_answer", "left_out", "overlap", "personal", "converted"):
        told[name] = [each._asdict() for each in told[name]]
    near = asdict(file.near)
    for name in ("groups", "overlap"):
        near[name] = [each._asdict() for each in getattr(file.near, name)]
    told["near"] = near
    languages = [
        asdict(fit) | {"bytes_per_token": round(fit.bytes_per_token, 4), "verdict": fit.verdict}
        for fit in file.fitness.languages
    ]
    told["fitness"] = asdict(file.fitness) | {
        "bytes_per_token": round(file.fitness.bytes_per_token, 4),
        "languages": languages,
    }
    return told


def _sample(sample: SampleRecord) -> dict[str, Any]:
    pieces = [{"hidden": piece.num} if isinstance(piece, Gap) else piece._asdict() for piece in sample.pieces]
    return {name: value for name, value in vars(sample).items() if name != "pieces"} | {"pieces": pieces}
