"""Segments: passages in consecutive rows, as they were added together, in the arrays that a search reads.

Few large ones are searched faster than many small ones, and a large one is copied seldom: as in Lucene, a new segment
is joined with its neighbour while that is not much larger.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outcrop.knowledge.index import postings
from outcrop.knowledge.index.arrays import Mask, Names, Rows, Vectors, Whole
from outcrop.knowledge.index.postings import Postings
from outcrop.knowledge.index.storage import SearchedPassage
from outcrop.knowledge.index.term_blob import unpack

MOST_ROWS = 1 << 15
_NONE = -1


@dataclass(frozen=True, kw_only=True)
class PassageSegment:
    """The searched parts of passages, a row each."""

    passages: Whole
    "Their numbers in the database."
    places: Rows
    "The place of each one's document in the list of documents."
    chunk_ids: Names
    "In UTF-8."
    pages: Rows
    "-1 for none, as in `parents`."
    parents: Rows
    lengths: Rows
    "Terms of each."
    postings: Postings
    vectors: Vectors | None
    embedded: Mask
    "Whether it has a vector."

    def __len__(self) -> int:
        return len(self.passages)


def build(
    found: Sequence[SearchedPassage], places: Sequence[int], *, first_row: int, dimensions: int | None
) -> PassageSegment:
    """The segment of these passages, whose documents stand in `places`."""
    columns = unpack([each.terms for each in found])
    ends = np.concatenate([[0], np.cumsum(columns.sizes)])
    totals = np.concatenate([[0], np.cumsum(columns.counts, dtype=np.int64)])
    return PassageSegment(
        passages=np.array([each.passage for each in found], np.int64),
        places=np.array(places, np.int32),
        chunk_ids=np.array([each.chunk_id.encode() for each in found], np.bytes_),
        pages=_numbers([each.page for each in found]),
        parents=_numbers([each.parent for each in found]),
        lengths=np.diff(totals[ends]).astype(np.int32),
        postings=postings.build(columns, first_row=first_row),
        vectors=None if dimensions is None else _vectors(found, dimensions),
        embedded=np.array([each.vector is not None for each in found], np.bool_),
    )


def settle(segments: Sequence[PassageSegment]) -> list[PassageSegment]:
    """Segments of the same rows, fewer where the last ones are small enough to be joined."""
    settled = list(segments)
    while len(settled) > 1:
        before, last = settled[-2:]
        if len(before) > 2 * len(last) or len(before) + len(last) > MOST_ROWS:
            break
        settled[-2:] = [_joined(before, last)]
    return settled


def _joined(first: PassageSegment, second: PassageSegment) -> PassageSegment:
    parts = (first, second)
    vectors = [part.vectors for part in parts if part.vectors is not None]
    return PassageSegment(
        passages=np.concatenate([part.passages for part in parts]),
        places=np.concatenate([part.places for part in parts]),
        chunk_ids=np.concatenate([part.chunk_ids for part in parts]),
        pages=np.concatenate([part.pages for part in parts]),
        parents=np.concatenate([part.parents for part in parts]),
        lengths=np.concatenate([part.lengths for part in parts]),
        postings=postings.join([part.postings for part in parts]),
        vectors=np.concatenate(vectors) if vectors else None,
        embedded=np.concatenate([part.embedded for part in parts]),
    )


def _numbers(values: Sequence[int | None]) -> Rows:
    return np.array([_NONE if value is None else value for value in values], np.int32)


def _vectors(found: Sequence[SearchedPassage], dimensions: int) -> Vectors:
    nothing = bytes(4 * dimensions)
    joined = b"".join(each.vector or nothing for each in found)
    return np.frombuffer(joined, np.float32).reshape(len(found), dimensions)
