"""CSV and TSV read as documents: each row a line that names its columns."""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.documents.plain_text import letters_of
from outcrop.documents.section import BadDocument, Section, reason_of
from outcrop.documents.table_rows import sections_of_rows

_SAMPLE_LETTERS = 64 * 1024
_DELIMITERS = ",;\t|"
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
    """The sign that parts cells: the one that most rows of the sample have equally often."""
    lines = [line for line in sample.splitlines()[:50] if line.strip()]
    scores = {sign: _evenness([line.count(sign) for line in lines]) for sign in _DELIMITERS}
    best = max(scores, key=lambda sign: scores[sign])
    return best if scores[best] else ","


def _evenness(counts: Sequence[int]) -> float:
    usual = max(set(counts), key=counts.count, default=0)
    return 0.0 if usual == 0 else counts.count(usual) / len(counts) + usual / 1000


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
