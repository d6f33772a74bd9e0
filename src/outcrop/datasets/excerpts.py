"""The beginnings of the lines that a report names, for those who have not the file before them."""

import json
from collections.abc import Iterable
from contextlib import suppress
from itertools import chain, islice
from pathlib import Path
from typing import Any

from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.forms import form_of
from outcrop.datasets.observing import personal
from outcrop.datasets.raw_records import open_raw
from outcrop.datasets.report.value import FileReport

_MOST_LINES, _MOST_LETTERS = 300, 400
_READ_BYTES, _PARSED_BYTES = 4 * _MOST_LETTERS, 2**16


def lines_named(report: FileReport) -> list[int]:
    """The lines that a report names, what must be mended first, at most a few hundred."""
    named: Iterable[int | None] = chain(
        (problem.line for problem in report.problems),
        (line for group in report.near.groups for line in group.lines[:2]),
        (overlap.line for overlap in report.near.overlap),
        (overlap.line for overlap in report.overlap),
        (group[0] for group in report.duplicates),
        (line for found in report.personal for line in found.lines[:20]),
    )
    return list(islice(dict.fromkeys(line for line in named if line), _MOST_LINES))


def of_file(path: Path, wanted: list[int]) -> dict[int, str]:
    """The beginning of each of these records, with personal data masked. No more is read than down to the last."""
    numbers: set[int] = set(wanted)
    found: dict[int, str] = {}
    if not numbers:
        return {}
    last = max(numbers)
    # Where a file can be read no further, its problem is told already.
    with suppress(ContainerError), open_raw(path, form_of(path)) as raw:
        for record in raw.records:
            if record.number in numbers and record.flaw is None:
                content = record.content
                found[record.number] = _beginning(_as_json(record.value) if content is None else content)
            if record.number >= last:
                break
    return found


def _as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, default=str).encode("utf-8", "replace")


def _beginning(content: bytes) -> str:
    # A line is masked before it is cut: half an address would not be found.
    text = personal.masked(_readable(content))
    return text if len(text) <= _MOST_LETTERS else text[:_MOST_LETTERS] + "…"


def _readable(content: bytes) -> str:
    """The line as people read it: letters instead of their codes, where it is JSON."""
    if len(content) <= _PARSED_BYTES:
        try:
            return json.dumps(json.loads(content), ensure_ascii=False)
        except (ValueError, RecursionError):
            pass  # its flaw is what is to be seen
    return content[:_READ_BYTES].decode("utf-8", errors="replace").strip()
