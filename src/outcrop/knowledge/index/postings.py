"""Postings: for each term the passages that have it, and how often."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outcrop.knowledge.index.arrays import Counts, Rows, Terms64, Whole
from outcrop.knowledge.index.term_blob import TermColumns

_MOST_OF_SMALL = np.iinfo(np.uint16).max


@dataclass(frozen=True, kw_only=True)
class Postings:
    """Postings of a stretch of rows, grouped by term."""

    terms: Terms64
    "In ascending order."
    starts: Whole
    "Where the postings of each term begin; one more than there are terms."
    rows: Rows
    counts: Counts

    def of(self, term: np.uint64) -> tuple[Rows, Counts]:
        """Rows with the term and how often they have it; the rows ascend."""
        at = int(np.searchsorted(self.terms, term))
        if at == len(self.terms) or self.terms[at] != term:
            return self.rows[:0], self.counts[:0]
        stretch = slice(self.starts[at], self.starts[at + 1])
        return self.rows[stretch], self.counts[stretch]

    def terms_by_row(self, num_rows: int) -> list[Terms64]:
        """The terms of each row, every one once."""
        order = np.argsort(self.rows, kind="stable")
        terms = np.repeat(self.terms, np.diff(self.starts))[order]
        ends = np.cumsum(np.bincount(self.rows, minlength=num_rows))
        return np.split(terms, ends[:-1])


def build(columns: TermColumns, *, first_row: int) -> Postings:
    """Postings of passages that stand in the rows from `first_row` on."""
    rows = np.repeat(np.arange(first_row, first_row + len(columns.sizes), dtype=np.int32), columns.sizes)
    return _grouped(columns.terms, rows, columns.counts)


def join(parts: Sequence[Postings]) -> Postings:
    """Postings of several stretches of rows that follow each other."""
    terms = np.concatenate([np.repeat(part.terms, np.diff(part.starts)) for part in parts])
    rows = np.concatenate([part.rows for part in parts])
    return _grouped(terms, rows, np.concatenate([part.counts for part in parts]))


def select(parts: Sequence[Postings], wanted: Whole, *, num_rows: int) -> Postings:
    """Postings of some rows alone, which are numbered anew in the order in which they are wanted."""
    places = np.full(num_rows, -1, np.int32)
    places[wanted] = np.arange(len(wanted), dtype=np.int32)
    kept = [np.flatnonzero(places[part.rows] >= 0) for part in parts]
    terms = [
        part.terms[np.searchsorted(part.starts, at, side="right") - 1] for part, at in zip(parts, kept, strict=True)
    ]
    rows = [places[part.rows[at]] for part, at in zip(parts, kept, strict=True)]
    counts = [part.counts[at] for part, at in zip(parts, kept, strict=True)]
    return _grouped(np.concatenate(terms), np.concatenate(rows), np.concatenate(counts))


def _grouped(terms: Terms64, rows: Rows, counts: Counts) -> Postings:
    order = np.argsort(terms, kind="stable")  # stable: the rows of a term stay in their order
    ordered = terms[order]
    firsts = np.flatnonzero(np.diff(ordered, prepend=ordered[:1] + np.uint64(1)))
    small = not len(counts) or counts.max() <= _MOST_OF_SMALL
    return Postings(
        terms=ordered[firsts],
        starts=np.append(firsts, len(ordered)),
        rows=rows[order],
        counts=counts[order].astype(np.uint16 if small else np.uint32),
    )
