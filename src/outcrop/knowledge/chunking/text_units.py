"""The units that chunks are made of: sentences, and tables, which stay whole where they fit.

Every character of a text is in one unit. A unit of more tokens than a chunk may have is parted: a table between its
rows, a sentence at the ends of clauses, else of words, else of letters.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from outcrop.documents.sentences import sentences_of
from outcrop.knowledge.chunking.token_counts import TokenCounts
from outcrop.recipes.chunking import cut

_ROW = re.compile(r"\s*\|.*\|\s*|.*\S \| .*", re.DOTALL)
_FEWEST_ROWS = 2
_COUNTED_TOGETHER = 512


class TextUnit(NamedTuple):
    """A piece of a document that no chunk parts."""

    start: int
    end: int
    num_tokens: int


def units_of(text: str, counts: TokenCounts, most: int, *, start: int = 0) -> list[TextUnit]:
    """The units of a text, none of more than `most` tokens but a single letter. `start`: characters before the text."""
    found: list[TextUnit] = []
    pieces = list(_pieces(text))
    for batch in (pieces[at : at + _COUNTED_TOGETHER] for at in range(0, len(pieces), _COUNTED_TOGETHER)):
        numbers = counts([piece for piece, _ in batch])
        for (piece, is_table), number in zip(batch, numbers, strict=True):
            parts = [(piece, number)] if number <= most else list(_parted(piece, counts, most, is_table=is_table))
            for part, num_tokens in parts:
                found.append(TextUnit(start, start + len(part), num_tokens))
                start += len(part)
    return found


def _pieces(text: str) -> Iterator[tuple[str, bool]]:
    """Sentences and tables, and whether each is a table."""
    for is_table, lines in groupby(_told_rows(text.splitlines(keepends=True)), key=lambda line: line[1]):
        block = "".join(line for line, _ in lines)
        if is_table:
            yield block, True
        else:
            yield from ((sentence, False) for sentence in sentences_of(block))


def _told_rows(lines: Sequence[str]) -> Iterator[tuple[str, bool]]:
    """Lines, and whether each is a row of a table: one line alone is none."""
    looks = [_ROW.fullmatch(line) is not None for line in lines]
    at = 0
    for is_row, run in groupby(looks):
        length = len(list(run))
        yield from ((line, is_row and length >= _FEWEST_ROWS) for line in lines[at : at + length])
        at += length


def _parted(piece: str, counts: TokenCounts, most: int, *, is_table: bool) -> Iterator[tuple[str, int]]:
    rows = piece.splitlines(keepends=True) if is_table else [piece]
    for row, number in zip(rows, counts(rows), strict=True):
        if number <= most:
            yield row, number
        else:
            for part in cut(row, lambda text: counts([text])[0], most):
                yield part, counts([part])[0]
