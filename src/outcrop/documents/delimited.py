"""CSV and TSV read as documents: each row a line that names its columns."""

import csv
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.documents.plain_text import letters_of
from outcrop.documents.section import BadDocument, Section, reason_of
from outcrop.documents.table_rows import sections_of_rows

_SAMPLE_LETTERS = 64 * 1024
_DELIMITERS = ",;\t|"
_QUOTED = re.compile('"[^"]*"')
_MOST_CELL = 1024 * 1024


def read_delimited(path: Path) -> Iterator[Section]:
    """The sections of a CSV or TSV file. Raises BadDocument for one that is no text, or has no rows."""
    sections = sections_of_rows(_rows(path), document=path.name)
    first = next(sections, None)
    if first is None:
        raise BadDocument(f"{path.name}: a table without rows. Leave it out.")
    yield first
    yield from sections


def _rows(path: Path) -> Iterator[Sequence[str]]:
    csv.field_size_limit(_MOST_CELL)
    pieces = letters_of(path)
    head = next(pieces, "")
    delimiter = _delimiter(head[:_SAMPLE_LETTERS])
    reader = csv.reader(_lines(head, pieces), delimiter=delimiter)
    try:
        yield from reader
    except csv.Error as error:
        raise BadDocument(
            f"{path.name}: row {reader.line_num}: no row of a table: {reason_of(error)}. Save it anew as CSV."
        ) from error


def _delimiter(sample: str) -> str:
    """The sign that parts cells: the most frequent one in the names of the columns, outside of quotes."""
    names = next((line for line in sample.splitlines() if line.strip()), "")
    bare = _QUOTED.sub("", names)
    best = max(_DELIMITERS, key=bare.count)  # of equals the first, a comma
    return best if best in bare else ","


def _lines(head: str, pieces: Iterator[str]) -> Iterator[str]:
    held = head
    while True:
        *whole, held = held.split("\n")
        yield from (line + "\n" for line in whole)
        piece = next(pieces, None)
        if piece is None:
            break
        held += piece
    if held:
        yield held
