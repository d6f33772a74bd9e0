"""The raw records of a file of any form that is read, each with its place, one after the other."""

import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

from outcrop.datasets import json_lines
from outcrop.datasets.containers import json_array
from outcrop.datasets.containers.columnar import ColumnarTable
from outcrop.datasets.containers.delimited import Table
from outcrop.datasets.containers.trouble import ContainerError
from outcrop.datasets.containers.unpacking import open_plain
from outcrop.datasets.conversion import Conversion
from outcrop.datasets.flaws import Flaw, nearest
from outcrop.datasets.form import Container, Form
from outcrop.datasets.forms import FileForm
from outcrop.datasets.problems import Counted

MAX_LINE_BYTES = 16 * 1024 * 1024
"No record of any base model is this long; a file that is no JSONL easily is."

ColumnChoice = Callable[[Sequence[str], str], list[str]]
"The columns that are read of those there are, in a table of the named form."
_OF_RECORDS = (
    "prompt", "completion", "input", "messages", "system", "schemaVersion", "instruction", "output", "context",
    "response", "history", "conversations", "tools", "chosen", "rejected",
)  # fmt: skip
_SOUGHT = ("prompt", "completion", "input", "messages", "instruction", "conversations", "chosen")
_IN_JSON = ("messages", "conversations", "tools", "chosen", "rejected", "history")
"Columns that hold JSON where they hold a text that begins as a list."


class RawRecord(NamedTuple):
    """A record as it stands in its file: JSON to be parsed, a row's value, or a flaw."""

    number: int
    content: bytes | None = None
    value: Any = None
    flaw: Flaw | None = None


@dataclass(frozen=True, kw_only=True)
class RawFile:
    """The raw records of one file, and the rule by which they are taken from it."""

    counted: Counted
    records: Iterator[RawRecord]
    conversion: Conversion | None = None
    left_out: frozenset[str] = frozenset()
    "Columns that no record uses."


def open_lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, one at a time. A line longer than MAX_LINE_BYTES is cut: only so much is given that its
    length shows."""
    with open_plain(path) as file:
        yield from _lines(file)


@contextmanager
def open_raw(path: Path, form: FileForm, *, any_columns: bool = False) -> Iterator[RawFile]:
    """The records of a file whose form is read; of a table those columns that a record has, or any.

    Raises ContainerError here or while they are taken.
    """
    with ExitStack() as opened:
        yield _raw(path, form, opened, _all if any_columns else _columns)


def _raw(path: Path, form: FileForm, opened: ExitStack, choose: ColumnChoice) -> RawFile:
    held, packed = form.held, f" compressed with {form.packing.name}" if form.packing else ""
    if held is None:
        lines = (RawRecord(number=number, content=line) for number, line in enumerate(open_lines(path), start=1))
        conversion = Conversion(f"JSON Lines{packed}", "unpacked") if packed else None
        return RawFile(counted="line", records=lines, conversion=conversion)
    match held.container:
        case Container.ARRAY | Container.OBJECT:
            where = "each element" if held.container is Container.ARRAY else f"each element under {held.detail!r}"
            name = held.what.removesuffix(", not JSON Lines")
            conversion = Conversion(f"{name}{packed}", f"{where} is a record")
            return RawFile(counted="record", records=_of_json(path, held), conversion=conversion)
        case Container.DELIMITED:
            return _of_delimited(path, held, packed, choose)
        case _:
            return _of_columns(path, held, packed, opened, choose)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    while line := file.readline(MAX_LINE_BYTES + 1):
        yield line
        while len(line) > MAX_LINE_BYTES and not line.endswith(b"\n"):
            line = file.readline(MAX_LINE_BYTES + 1)


def _of_json(path: Path, held: Form) -> Iterator[RawRecord]:
    with open_plain(path) as file:
        if held.container is Container.ARRAY:
            found = json_array.elements(file, most=MAX_LINE_BYTES)
        else:
            found = json_array.elements_under(file, held.detail, most=MAX_LINE_BYTES)
        for number, element in enumerate(found, start=1):
            yield RawRecord(number=number, content=element)


def _of_delimited(path: Path, held: Form, packed: str, choose: ColumnChoice) -> RawFile:
    table = Table(open_lines(path), held.detail, most=MAX_LINE_BYTES)
    kept = choose(table.columns, held.what)

    def records() -> Iterator[RawRecord]:
        for row in table.rows():
            if row.cells is None:
                yield RawRecord(number=row.number, flaw=Flaw("", row.what, row.mend))
            else:
                yield _row(row.number, {name: row.cells[name] for name in kept if name in row.cells})

    return _table(held.what, packed, records(), table.columns, kept)


def _of_columns(path: Path, held: Form, packed: str, opened: ExitStack, choose: ColumnChoice) -> RawFile:
    table = ColumnarTable(opened.enter_context(_unpacked(path) if packed else path.open("rb")), held.what)
    kept = choose(table.columns, held.what)
    records = (_row(number, row) for number, row in enumerate(table.rows(kept), start=1))
    return _table(held.what, packed, records, table.columns, kept)


def _unpacked(path: Path) -> IO[bytes]:
    """A file without a name on disk: tables are read from several places at once."""
    # Beside the packed one: what lies in memory alone is unpacked there.
    whole = tempfile.TemporaryFile(dir=path.parent)  # noqa: SIM115 (closed by whoever reads it)
    try:
        with open_plain(path) as packed:
            shutil.copyfileobj(packed, whole)
    except BaseException:
        whole.close()
        raise
    whole.seek(0)
    return whole


def _table(
    what: str, packed: str, records: Iterator[RawRecord], columns: Sequence[str], kept: Sequence[str]
) -> RawFile:
    conversion = Conversion(f"{what}{packed}", "each row is a record, of the columns that its form has")
    return RawFile(counted="row", records=records, conversion=conversion, left_out=frozenset(columns) - frozenset(kept))


def _all(columns: Sequence[str], _what: str) -> list[str]:
    return list(columns)


def _columns(columns: Sequence[str], what: str) -> list[str]:
    """The columns that a record may have, and those that look like slips of the pen for one of them."""
    kept = [name for name in columns if name in _OF_RECORDS or nearest(name, _SOUGHT)]
    if not any(name in _SOUGHT or nearest(name, _SOUGHT) for name in kept):
        shown = ", ".join(repr(name) for name in columns[:8])
        named = f"names no column of a record, but {shown}" if columns else "names no columns"
        raise ContainerError(f"{what}, and it {named}", "Name its columns prompt and completion, input, or messages.")
    return kept


def _row(number: int, cells: dict[str, Any]) -> RawRecord:
    value = dict(cells)
    for name in _IN_JSON:
        cell = value.get(name)
        if isinstance(cell, str) and cell.lstrip().startswith("["):
            try:
                value[name] = json_lines.parse(cell.encode("utf-8", "surrogatepass"), json_lines.ELEMENT)
            except json_lines.JsonError as error:
                where = f"{name}: {error.field}" if error.field else name
                return RawRecord(number=number, flaw=Flaw(where, error.what, error.mend))
    return RawRecord(number=number, value=value)
