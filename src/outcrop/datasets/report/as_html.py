"""The preflight report as a page by itself: no script, no request, and every text of a record escaped.

Records may hold anything. So the page's policy allows one style sheet by its digest and nothing else, all text passes
through Jinja's escaping, and anchors are made of numbers alone.
"""

import base64
import hashlib
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources
from typing import NamedTuple

import jinja2
from markupsafe import Markup

from outcrop.datasets.observing.samples import shown
from outcrop.datasets.problems import Problem, kind_of
from outcrop.datasets.report import as_text
from outcrop.datasets.report.value import Bin, FileReport, Gap, NearOverlap, Overlap, Report, TokenPiece

_BAR, _TALLEST, _LEAST_HEIGHT = 10, 96.0, 1.5
_MOST_LISTED = 50
"Problems of a kind that are listed; all are counted."


class PageFile(NamedTuple):
    """A file's report, with the name of its place on the page."""

    id: str
    value: FileReport
    histogram: "DrawnHistogram | None"


class ProblemGroup(NamedTuple):
    """Problems of one kind in one file."""

    file: PageFile
    said: str
    mend: str
    num: int
    listed: list[Problem]


class HistogramBar(NamedTuple):
    """A bar of the histogram, in the picture's own units."""

    x: int
    y: float
    height: float
    told: str


class DrawnHistogram(NamedTuple):
    """The histogram of a file's record lengths, drawn."""

    width: int
    tallest: int
    bars: list[HistogramBar]


def of_report(report: Report) -> str:
    """The whole page."""
    files = [PageFile(f"file-{number}", file, _bars(file.histogram)) for number, file in enumerate(report.files)]
    style = _read("page.css")
    return _template().render(
        report=report,
        files=files,
        by_name={file.value.name: file for file in reversed(files)},
        problems=list(_groups(files)),
        left_out=any(file.left_out for file in report.files),
        past=as_text.past_of(report.forecast) if report.forecast else "",
        # The only text that is not escaped is our own.
        style=Markup(style),
        style_hash=Markup(_digest(style)),
    )


@cache
def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.globals |= {
        "shown": shown,
        "also_in": _also_in,
        "token": _token,
        "duration": as_text.duration,
        "gibibytes": as_text.gibibytes,
    }
    return environment.from_string(_read("page.html"))


def _read(name: str) -> str:
    return resources.files("outcrop.datasets.report").joinpath(name).read_text(encoding="utf-8")


def _digest(style: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def _also_in(pairs: Sequence[Overlap | NearOverlap], part: int) -> str:
    """The files in which records stand too; of a validator's file with what that means."""
    names = list(dict.fromkeys(pair.among for pair in pairs))
    where = names[0] if len(names) == 1 else "files before it"
    return f"{where}: they test memory" if part else where


def _groups(files: list[PageFile]) -> Iterator[ProblemGroup]:
    for file in files:
        by_kind: dict[str, list[Problem]] = {}
        for problem in file.value.problems:
            by_kind.setdefault(kind_of(problem), []).append(problem)
        for kind in file.value.kinds:
            alike = by_kind.get(kind_of(kind.first), [kind.first])
            listed = [problem for problem in alike if problem.line is not None][:_MOST_LISTED]
            first = kind.first
            said = f"{first.field}: {first.what}" if first.field else first.what
            yield ProblemGroup(file, said, first.mend, kind.num, listed)


def _bars(histogram: tuple[Bin, ...]) -> DrawnHistogram | None:
    if not histogram:
        return None
    tallest = max(each.num for each in histogram)
    bars = []
    for place, each in enumerate(histogram):
        if each.num:
            height = round(max(_LEAST_HEIGHT, _TALLEST * each.num / tallest), 1)
            told = f"{each.least:,} to {each.most:,} tokens: {each.num:,} record{'s' * (each.num > 1)}"
            bars.append(HistogramBar(place * _BAR, round(100 - height, 1), height, told))
    return DrawnHistogram(len(histogram) * _BAR, tallest, bars)


def _token(piece: TokenPiece | Gap) -> Markup:
    if isinstance(piece, Gap):
        return Markup('<span class="gap"> … {} tokens not shown … </span>').format(f"{piece.num:,}")
    classes = " ".join(name for name, has in (("l", piece.learned), ("s", piece.special), ("p", piece.partial)) if has)
    text = piece.text.replace("\n", "⏎\n").replace("\t", "⇥\t")
    told = f"id {piece.id}, {'learned' if piece.learned else 'not learned'}"
    if classes:
        return Markup('<span class="{}" title="{}">{}</span>').format(classes, told, text)
    return Markup('<span title="{}">{}</span>').format(told, text)
