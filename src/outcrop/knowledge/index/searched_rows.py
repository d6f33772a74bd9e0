"""Rows that a process searches: all passages of an index at one generation, in memory.

They are never changed: a later generation has rows of its own, which share what has stayed.

A passage that was taken out keeps its row, dead, until the dead outnumber the living; then all is read anew.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

import numpy as np

from outcrop.knowledge import reserved
from outcrop.knowledge.filters import AttributeCondition, MetadataFilter
from outcrop.knowledge.index import bm25, segment
from outcrop.knowledge.index.arrays import Mask, Names, Rows, Scores, Vectors, Whole
from outcrop.knowledge.index.attributes import AttributeColumn, column, compile_filter
from outcrop.knowledge.index.bm25 import LexicalScores
from outcrop.knowledge.index.segment import PassageSegment
from outcrop.knowledge.index.storage import StoredMoment
from outcrop.knowledge.passages import DocumentKey, Metadata, MetadataValue

FEW_DEAD = 1_000
"Dead rows that are not worth a reading of the whole."


@dataclass(frozen=True, kw_only=True)
class SearchedDocument:
    """A document whose passages are searched."""

    number: int
    key: DocumentKey
    metadata: Metadata

    def attribute(self, key: str) -> "MetadataValue | None":
        """An attribute of its own, or one of those reserved that all its passages have."""
        own = self.metadata.get(key)
        return reserved.document_attributes(self.key).get(key, own) if key.startswith(reserved.PREFIX) else own


@dataclass(frozen=True, kw_only=True)
class SearchedRows:
    """All passages of an index at one generation."""

    generation: int
    dimensions: int | None
    documents: Sequence[SearchedDocument | None] = ()
    "None stands where one was taken out."
    places: Mapping[int, int] = field(default_factory=dict)
    "The place of each document in that list, by its number."
    segments: Sequence[PassageSegment] = ()
    alive: Mask = field(default_factory=lambda: np.zeros(0, np.bool_))
    _columns: dict[str, AttributeColumn] = field(default_factory=dict)

    @cached_property
    def places_of_rows(self) -> Rows:
        return _joined([each.places for each in self.segments], np.int32)

    @cached_property
    def passages(self) -> Whole:
        return _joined([each.passages for each in self.segments], np.int64)

    @cached_property
    def lengths(self) -> Rows:
        return _joined([each.lengths for each in self.segments], np.int32)

    @cached_property
    def pages(self) -> Rows:
        return _joined([each.pages for each in self.segments], np.int32)

    @cached_property
    def parents(self) -> Rows:
        return _joined([each.parents for each in self.segments], np.int32)

    @cached_property
    def embedded(self) -> Mask:
        return _joined([each.embedded for each in self.segments], np.bool_)

    @cached_property
    def chunk_ids(self) -> Names:
        return _joined([each.chunk_ids for each in self.segments], np.bytes_)

    def allowed(self, asked: MetadataFilter | None) -> Mask:
        """The rows that may be found: alive, and let through by the filter."""
        return self.alive if asked is None else self.alive & compile_filter(asked, self)

    def lexical(self, terms: Sequence[int]) -> LexicalScores:
        """How well each row answers by its words."""
        return bm25.score([each.postings for each in self.segments], self.lengths, self.alive, terms)

    def dense(self, vector: Scores) -> Scores:
        """The cosine of each row with a vector of length 1, to five digits.

        A product is summed in another order at another place of a matrix: equal vectors would differ in their last
        digit, and come in the order of their rows.
        """
        # Row by row: a product of matrices would be computed by several threads, which wait for each other where the
        # machine is busy; the memory is what takes the time.
        products = [np.vecdot(each.vectors, vector) for each in self.segments if each.vectors is not None]
        return np.round(_joined(products, np.float32), 5)

    def vectors_of(self, wanted: Whole) -> Vectors:
        """The vectors of some rows."""
        firsts = np.cumsum([0, *(len(each) for each in self.segments)])
        parts = np.searchsorted(firsts, wanted, side="right") - 1
        found = np.zeros((len(wanted), self.dimensions or 0), np.float32)
        for number, each in enumerate(self.segments):
            if each.vectors is not None:
                here = parts == number
                found[here] = each.vectors[wanted[here] - firsts[number]]
        return found

    def verdicts(self, condition: AttributeCondition) -> Mask:
        """Whether each row meets one condition."""
        if condition.key == reserved.CHUNK_ID:
            names = (name.decode() for name in self.chunk_ids.tolist())
            return self._column(condition.key, names).verdicts(condition)
        if condition.key == reserved.PAGE_NUMBER:
            pages = (None if page < 0 else page for page in self.pages.tolist())
            return self._column(condition.key, pages).verdicts(condition)
        of_documents = self._column(condition.key, self._attribute(condition.key)).verdicts(condition)
        found: Mask = of_documents[self.places_of_rows]
        return found

    def _attribute(self, key: str) -> "Iterator[MetadataValue | None]":
        return (None if each is None else each.attribute(key) for each in self.documents)

    def _column(self, key: str, values: "Iterable[MetadataValue | None]") -> AttributeColumn:
        """The column of an attribute; made when it is first asked for, in each generation."""
        if key not in self._columns:
            self._columns[key] = column(values)
        return self._columns[key]


def read_all(moment: StoredMoment, *, generation: int, dimensions: int | None) -> SearchedRows:
    """All passages, read from the database."""
    return _changed(moment, SearchedRows(generation=0, dimensions=dimensions), generation=generation, of=None)


def follow(moment: StoredMoment, before: SearchedRows, *, generation: int) -> SearchedRows:
    """The rows of a later generation: what has changed since `before` is read, the rest is kept."""
    rows = _changed(moment, before, generation=generation, of=())
    dead = len(rows.alive) - int(np.count_nonzero(rows.alive))
    if dead > max(FEW_DEAD, len(rows.alive) // 2):
        return read_all(moment, generation=generation, dimensions=before.dimensions)
    return rows


def _changed(moment: StoredMoment, before: SearchedRows, *, generation: int, of: Sequence[int] | None) -> SearchedRows:
    documents, places = list(before.documents), dict(before.places)
    gone, renewed = [], []
    for number in moment.removed_documents(before.generation):
        if number in places:
            place = places.pop(number)
            documents[place] = None
            gone.append(place)
    for each in moment.changed_documents(before.generation):
        document = SearchedDocument(number=each.number, key=each.key, metadata=each.metadata)
        place = places.setdefault(each.number, len(documents))
        documents[place : place + 1] = [document]
        if each.has_new_passages:
            gone.append(place)
            renewed.append(each.number)
    alive = before.alive
    if len(alive):
        alive = alive & ~np.isin(before.places_of_rows, np.array(gone, np.int32))
    segments = list(before.segments)
    num_rows = len(alive)
    found = moment.searched_passages(None if of is None else renewed)
    while some := list(islice(found, segment.MOST_ROWS)):
        at = [places[each.document] for each in some]
        segments = segment.settle(
            [*segments, segment.build(some, at, first_row=num_rows, dimensions=before.dimensions)]
        )
        num_rows += len(some)
    alive = np.concatenate([alive, np.ones(num_rows - len(alive), np.bool_)])
    return SearchedRows(
        generation=generation, dimensions=before.dimensions, documents=documents, places=places,
        segments=segments, alive=alive,
    )  # fmt: skip


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    if len(parts) == 1:
        return parts[0]
    return np.concatenate(parts) if parts else np.zeros(0, kind)
