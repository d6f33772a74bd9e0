"""A preflight report as plain values: whether a job would take the data, figures, and problems with their lines."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.console.views.amounts import duration

_MOST_PROBLEMS = 200
_MOST_SAMPLES = 6


class ReportProblem(NamedTuple):
    """A record that a job would refuse: its line, the reason with the mend, and the line's text."""

    line: int
    field: str
    what: str
    mend: str
    excerpt: str


class ReportPiece(NamedTuple):
    """A token of a sample: its text, and what becomes of it as the name of a style."""

    text: str
    style: str


class ReportSample(NamedTuple):
    """A record token by token, as training reads it."""

    line: int
    pieces: list[ReportPiece]


class ReportFile(NamedTuple):
    """A file of the dataset."""

    name: str
    figures: list[tuple[str, str]]
    problems: list[ReportProblem]
    num_hidden: int
    "Problems beyond those shown."
    samples: list[ReportSample]


class RunFigures(NamedTuple):
    """The needs of the run that these data and hyperparameters would be."""

    figures: list[tuple[str, str]]
    fits: bool
    why_not: str


class ReportPage(NamedTuple):
    """Everything that the page of a report shows."""

    ready: bool
    base: str
    files: list[ReportFile]
    run: RunFigures | None


def report_page(report: Mapping[str, Any], language: str) -> ReportPage:
    """The page of a report as `GET /outcrop/preflight` tells it."""
    return ReportPage(
        ready=report["ready"],
        base=report["base"],
        files=[_file(told) for told in report["files"]],
        run=run_figures(report.get("forecast"), language),
    )


def run_figures(forecast: Mapping[str, Any] | None, language: str) -> RunFigures | None:
    """Steps, time, memory and price of a run; None where a job would refuse the data."""
    if forecast is None:
        return None
    figures = []
    if forecast["steps"]:
        figures += [
            ("run.steps", f"{forecast['steps']:,}"),
            ("run.time", duration(forecast["seconds"], language)),
            ("run.memory", f"{forecast['memory_bytes'] / 2**30:.2f} GiB"),
        ]
    figures.append(("run.tokens", f"{forecast['trained_tokens']:,}"))
    price = forecast.get("price")
    if price:
        figures.append(("run.price", f"{price['amount']:.2f} {price['currency']}"))
    fits = forecast["memory_bytes"] <= forecast["free_bytes"]
    return RunFigures(figures, fits, forecast.get("why_not", ""))


def _file(told: Mapping[str, Any]) -> ReportFile:
    excerpts = told.get("excerpts", {})
    problems = [
        ReportProblem(
            each["line"],
            each.get("field") or "",
            each["what"],
            each.get("mend") or "",
            excerpts.get(str(each["line"]), ""),
        )
        for each in told["problems"][:_MOST_PROBLEMS]
    ]
    figures = [
        ("report.records", f"{told['num_records']:,}"),
        ("report.refused", f"{told['num_refused']:,}"),
        ("report.tokens", f"{told['num_tokens']:,}"),
        ("report.learned", f"{told['num_supervised']:,}"),
        ("report.cut", f"{told['num_truncated']:,}"),
        ("report.duplicates", f"{told['num_duplicates']:,}"),
    ]
    if told.get("num_overlap"):
        figures.append(("report.overlap", f"{told['num_overlap']:,}"))
    samples = [ReportSample(each["line"], [_piece(one) for one in each["pieces"]]) for each in told.get("samples", [])]
    return ReportFile(
        told["name"], figures, problems, max(0, told["num_refused"] - len(problems)), samples[:_MOST_SAMPLES]
    )


def _piece(told: Mapping[str, Any]) -> ReportPiece:
    style = "special" if told["special"] else "learned" if told["learned"] else "read"
    return ReportPiece(told["text"].replace("\n", "⏎\n"), style)
