"""Rows of JSON Lines and CSV files, one at a time."""

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.recipes.recipe import Dropped, source_names


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A row of a source, by the names of its columns."""

    fields: Mapping[str, Any]
    origin: str


def rows(sources: Sequence[Path]) -> Iterator[SourceRow | Dropped]:
    """Every row of the sources, in order; what is no row is left out with its reason."""
    for path, name in source_names(sources).items():
        yield from _of_csv(path, name) if path.suffix.lower() in (".csv", ".tsv") else _of_jsonl(path, name)


def _of_jsonl(path: Path, name: str) -> Iterator[SourceRow | Dropped]:
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                yield _parsed(line, f"{name}:{number}")


def _parsed(line: bytes, origin: str) -> SourceRow | Dropped:
    try:
        value = json.loads(line.decode("utf-8-sig"))
    except ValueError as error:
        return Dropped(origin=origin, reason="not JSON", detail=str(error))
    if not isinstance(value, dict):
        return Dropped(origin=origin, reason="no JSON object")
    return SourceRow(fields=value, origin=origin)


def _of_csv(path: Path, name: str) -> Iterator[SourceRow | Dropped]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        for row in reader:
            origin = f"{name}:{reader.line_num}"
            if None in row or None in row.values():
                yield Dropped(origin=origin, reason="another number of columns than the header")
            else:
                yield SourceRow(fields=row, origin=origin)
