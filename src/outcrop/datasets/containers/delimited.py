"""Rows of tables whose columns are separated by commas, tabs, semicolons or bars, as RFC 4180 has them.

The first row names the columns. A row is a mapping from its columns to texts; an empty cell is none.
"""

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from outcrop.datasets.containers.trouble import ContainerError

NAMES = {",": "comma", "\t": "tab", ";": "semicolon", "|": "bar"}
_BOM = b"\xef\xbb\xbf"
_MENDS = {
    "expected after": (
        "a quotation mark within a quoted cell is not doubled",
        'Write it twice: "He said ""no""."',
    ),
    "unexpected end": (
        "a quoted cell does not end, down to the end of the file",
        'Close its quotation mark, and write one within a cell twice: "".',
    ),
    "new-line character": (
        "a carriage return in a cell without quotation marks",
        "Put the cell into quotation marks, or let lines end in LF.",
    ),
}


class TableRow(NamedTuple):
    """A row of a table: its cells, or what is wrong with it and the mend. The names of columns are no row."""

    number: int
    cells: dict[str, str] | None
    what: str = ""
    mend: str = ""


class Table:
    """A table as its lines tell it; `columns` are known when it is made. Raises ContainerError."""

    def __init__(self, lines: Iterable[bytes], delimiter: str, *, most: int) -> None:
        csv.field_size_limit(max(csv.field_size_limit(), most))  # of the process; it is only ever raised
        self._most = most
        self._lines = _Texts(lines, most)
        self._rows = csv.reader(self._lines, delimiter=delimiter, strict=True)
        self._number = 0
        self.columns = self._header()

    def rows(self) -> Iterator[TableRow]:
        """Every row that is not blank. Raises ContainerError where reading cannot go on."""
        while (cells := self._next()) is not None:
            if not cells:
                continue
            self._number += 1
            flaw, self._lines.flaw = self._lines.flaw, None
            if flaw is None and len(cells) != len(self.columns):
                what = f"{len(cells):,} cells, where the first row names {len(self.columns):,} columns"
                flaw = (what, "Put cells that hold the separator into quotation marks.")
            if flaw is not None:
                yield TableRow(self._number, None, *flaw)
            else:
                yield TableRow(
                    self._number, {name: cell for name, cell in zip(self.columns, cells, strict=True) if cell}
                )

    def _header(self) -> Sequence[str]:
        cells: list[str] | None = []
        while cells == []:
            cells = self._next()
        names = [cell.strip() for cell in cells or []]
        if self._lines.flaw is not None:
            raise ContainerError(f"the names of columns: {self._lines.flaw[0]}", self._lines.flaw[1])
        twice = next((name for name in names if name and names.count(name) > 1), None)
        if twice is not None:
            raise ContainerError(f"two columns are named {twice!r}", "Name each column once.")
        return names

    def _next(self) -> list[str] | None:
        self._lines.size = 0
        try:
            return next(self._rows, None)
        except csv.Error as error:
            raise self._explained(str(error)) from error

    def _explained(self, said: str) -> ContainerError:
        what, mend = next(
            (told for part, told in _MENDS.items() if part in said), (said, "Write it with a CSV library.")
        )
        if "field larger" in said:
            raise self._too_long()
        return ContainerError(what, mend, number=self._number + 1)

    def _too_long(self) -> ContainerError:
        return _too_long(self._most, self._number + 1)


class _Texts:
    """The lines of a table as text. A bad one is told with the row that it belongs to, and reading goes on."""

    def __init__(self, lines: Iterable[bytes], most: int) -> None:
        self._lines = iter(lines)
        self._most = most
        self._first = True
        self.size = 0
        "Bytes of the row so far."
        self.flaw: tuple[str, str] | None = None

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        if self._first:
            line, self._first = line.removeprefix(_BOM), False
        self.size += len(line)
        if self.size > self._most:
            raise csv.Error("field larger than the row may be")
        if b"\0" in line:
            self.flaw = ("a NUL byte", "Remove it; UTF-8 text holds none.")
        try:
            return line.decode("utf-8")
        except UnicodeDecodeError as error:
            self.flaw = (f"byte {error.start + 1} of its line: not UTF-8", "Save the file as UTF-8.")
            return line.decode("utf-8", "replace")


def _too_long(most: int, number: int) -> ContainerError:
    what = f"longer than {most:,} bytes, or a quotation mark that is never closed"
    return ContainerError(what, 'Close it, and write one within a cell twice: "".', number=number)
