"""Rows of any table or file of JSON objects, one at a time, in every form that is read."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from outcrop.datasets import json_lines
from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.forms import form_of
from outcrop.datasets.raw_records import MAX_LINE_BYTES, RawRecord, open_raw
from outcrop.errors import Invalid
from outcrop.recipes.recipe import Dropped, source_names

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, kw_only=True)
class SourceRow:
    """A row of a source, by the names of its columns."""

    fields: Mapping[str, Any]
    origin: str


def rows(sources: Sequence[Path]) -> Iterator[SourceRow | Dropped]:
    """Every row of the sources, in order; what is no row is left out with its reason.

    Raises Invalid for a file that is not read, or can be read no further.
    """
    for path, name in source_names(sources).items():
        if not path.stat().st_size:
            continue
        try:
            yield from _of_file(path, name)
        except ContainerError as error:
            where = name if error.number is None else f"{name}:{error.number}"
            raise Invalid(f"{where}: {error.what}. {error.mend}") from error


def _of_file(path: Path, name: str) -> Iterator[SourceRow | Dropped]:
    form = form_of(path)
    if form.refused is not None:
        raise Invalid(f"{name}: {form.refused.what}. {form.refused.mend}")
    with open_raw(path, form, any_columns=True) as raw:
        for record in raw.records:
            if record.content is None or record.content.strip():
                yield _row(record, f"{name}:{record.number}")


def _row(record: RawRecord, origin: str) -> SourceRow | Dropped:
    if record.flaw is not None:
        return Dropped(origin=origin, reason="a row that cannot be read", detail=record.flaw.what)
    value = record.value
    if record.content is not None:
        if len(record.content) > MAX_LINE_BYTES:
            return Dropped(origin=origin, reason=f"longer than {MAX_LINE_BYTES:,} bytes")
        content = record.content.removeprefix(_BOM) if record.number == 1 else record.content
        try:
            value = json_lines.parse(content)
        except json_lines.JsonError as error:
            where = f"{error.field}: " if error.field else ""
            return Dropped(origin=origin, reason="not JSON that can be read", detail=f"{where}{error.what}")
    if not isinstance(value, dict):
        return Dropped(origin=origin, reason="no JSON object")
    return SourceRow(fields=value, origin=origin)
