"""Listings for people, and the same as JSON for programs.

No cell is ever broken or cut: an id, an ARN or a command that cannot be copied is of no use. Where the rows are wider
than the terminal, each becomes a block of lines instead; what is piped is as wide as it is.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from rich.cells import cell_len

from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.catalog import Catalog
from outcrop.cli.batch_jobs import batch_rows
from outcrop.cli.evaluation_jobs import evaluation_rows
from outcrop.cli.job import verdict_of
from outcrop.settings import Settings

_GAP = "  "
_BOLD = "\x1b[1m{}\x1b[0m"


class TableLine(NamedTuple):
    """A line of a table; bold where it names what follows."""

    plain: str
    is_bold: bool = False


def print_models(settings: Settings, *, everything: bool, as_json: bool) -> int:
    catalog = Catalog(settings.home)
    entries = catalog.entries() if everything else catalog.invocable()
    rows = [
        [entry.id, entry.provider, entry.task, _context(entry), entry.dialect, _state(entry), entry.licence]
        for entry in entries
    ]
    return print_rows(["id", "provider", "task", "context", "dialect", "weights", "licence"], rows, as_json=as_json)


def print_jobs(bedrocks: dict[str, Any], *, as_json: bool) -> int:
    """Print the jobs of the regions that `bedrocks` has clients for, of every kind; the newest first."""
    found = [
        (job, region)
        for region, bedrock in bedrocks.items()
        for page in bedrock.get_paginator("list_model_customization_jobs").paginate()
        for job in page["modelCustomizationJobSummaries"]
    ]
    rows = [
        (
            job["creationTime"],
            [
                job["jobName"],
                job["status"],
                job["baseModelArn"].split("/", 1)[1],
                job["customModelName"],
                f"{job['creationTime']:%Y-%m-%d %H:%M}",
                region,
                _note(bedrocks[region], job),
            ],
        )
        for job, region in found
    ]
    newest_first = sorted(
        [*rows, *batch_rows(bedrocks), *evaluation_rows(bedrocks)], key=lambda row: row[0], reverse=True
    )
    columns = ["job", "status", "base model", "custom model", "created (UTC)", "region", "note"]
    return print_rows(columns, [row for _, row in newest_first], as_json=as_json)


def _note(bedrock: Any, summary: dict[str, Any]) -> str:
    """The note on a completed job, which only its details tell; empty for any other job."""
    if summary["status"] != "Completed":
        return ""
    return verdict_of(bedrock.get_model_customization_job(jobIdentifier=summary["jobArn"]))


def print_deployments(bedrocks: dict[str, Any], *, as_json: bool) -> int:
    """Print the deployments and provisioned throughput of the regions that `bedrocks` has clients for."""
    rows = [row for region, bedrock in bedrocks.items() for row in _deployments(bedrock, region)]
    columns = ["deployment", "kind", "status", "region", "model", "modelId to invoke"]
    return print_rows(columns, rows, as_json=as_json)


def _deployments(bedrock: Any, region: str) -> Iterator[list[str]]:
    for page in bedrock.get_paginator("list_custom_model_deployments").paginate():
        for each in page["modelDeploymentSummaries"]:
            name, arn = each["customModelDeploymentName"], each["customModelDeploymentArn"]
            yield [name, "on demand", each["status"], region, each["modelArn"], arn]
    for page in bedrock.get_paginator("list_provisioned_model_throughputs").paginate():
        for each in page["provisionedModelSummaries"]:
            units = f"{each['modelUnits']} unit{'s' * (each['modelUnits'] != 1)}"
            name, arn = each["provisionedModelName"], each["provisionedModelArn"]
            yield [name, units, each["status"], region, each["modelArn"], arn]


def _context(entry: BaseModel) -> str:
    return f"{entry.context_length:,}" if entry.context_length else ""


def _state(entry: BaseModel) -> str:
    if entry.remote is not None:
        return f"remote, at {entry.remote.host}"
    if entry.folder is not None:
        return "ready" if entry.engine == entry.id else f"alias of {entry.engine}"
    return f"outcrop pull {entry.id}" if entry.weights.hub else "waits for an alias"


def print_rows(columns: Sequence[str], rows: Sequence[Sequence[str]], *, as_json: bool) -> int:
    """Print rows as a table where they fit into the terminal.

    Otherwise each row is a block, with a line for each of its values.
    """
    if as_json:
        print(json.dumps([dict(zip(columns, row, strict=True)) for row in rows], indent=2, ensure_ascii=False))
        return 0
    emphasis = _BOLD if _has_styles() else "{}"
    for line in layout(columns, rows, width=width()) if rows else [TableLine("Nothing yet.")]:
        print(emphasis.format(line.plain) if line.is_bold else line.plain)
    return 0


def layout(columns: Sequence[str], rows: Sequence[Sequence[str]], *, width: int | None) -> Iterator[TableLine]:
    """The lines; `width` is the terminal's, None where the output goes elsewhere."""
    shown = [[_visible(cell) for cell in row] for row in rows]
    widths = [max(map(cell_len, cells)) for cells in zip(columns, *shown, strict=True)]
    if width is None or sum(widths) + len(_GAP) * (len(widths) - 1) <= width:
        yield TableLine(_line(columns, widths), is_bold=True)
        yield from (TableLine(_line(row, widths)) for row in shown)
    else:
        yield from _blocks(columns, shown, width)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True))
    return _GAP.join(padded).rstrip()


def _blocks(columns: Sequence[str], rows: Sequence[Sequence[str]], width: int) -> Iterator[TableLine]:
    label = max(map(cell_len, columns))
    for number, row in enumerate(rows):
        if number:
            yield TableLine("")
        yield TableLine(row[0], is_bold=True)
        for column, cell in zip(columns[1:], row[1:], strict=True):
            line = _line([column, cell], [label, cell_len(cell)])
            if cell and len(_GAP) + cell_len(line) > width:
                # A value as long as the terminal is wide stands alone, so that marking its lines marks nothing else.
                yield TableLine(f"{_GAP}{column}")
                yield TableLine(cell)
            elif cell:
                yield TableLine(_GAP + line)


def _visible(cell: str) -> str:
    """On one line, and no command to the terminal."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in cell)


def _has_styles() -> bool:
    is_terminal = sys.stdout is not None and sys.stdout.isatty()
    return is_terminal and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


def width() -> int | None:
    """The width of the terminal, or what COLUMNS says in its place; None for a pipe or a file."""
    told = os.environ.get("COLUMNS", "")
    if told.isdecimal() and int(told) > 0:
        return int(told)
    try:
        return os.get_terminal_size(sys.stdout.fileno()).columns or None
    except (OSError, ValueError, AttributeError):
        return None
