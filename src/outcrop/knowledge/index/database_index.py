"""Passages in a database, searched in the memory of each process.

Whoever writes holds nobody up who searches, in this process or another. A search asks the database for its generation
and reads what is newer before it answers.
"""

import threading
from collections.abc import Sequence

import numpy as np
from sqlalchemy.engine import Connection, Engine

from outcrop.knowledge import reserved
from outcrop.knowledge.index import fusion, searched_rows
from outcrop.knowledge.index.arrays import Mask, Scores
from outcrop.knowledge.index.searched_rows import SearchedRows
from outcrop.knowledge.index.stored import StoredPassages, generation_number, read_passages, unit
from outcrop.knowledge.index.terms import number_of, terms_of
from outcrop.knowledge.index.top import best_rows
from outcrop.knowledge.passage_index import SearchQuery, SearchType
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Found, IndexedDocument
from outcrop.store.database import reading


class DatabaseIndex:
    """A `PassageIndex` in the tables of one database. Safe in several threads and processes."""

    def __init__(self, engine: Engine, *, dimensions: int | None) -> None:
        """`dimensions`: the width of the vectors; None for the lexical arm alone.

        Raises Invalid where the database holds an index of another width.
        """
        self._stored = StoredPassages(engine, dimensions=dimensions)
        self._dimensions = dimensions
        self._lock = threading.Lock()
        self._rows: SearchedRows | None = None

    def put(self, document: IndexedDocument) -> None:
        """Let this be the document: its former passages are gone, these are found."""
        self._stored.put(document)

    def note(self, records: Sequence[DocumentRecord]) -> None:
        """Write the records, and leave passages as they are."""
        self._stored.note(records)

    def remove(self, documents: Sequence[DocumentKey]) -> None:
        """Take documents out, with their passages and records."""
        self._stored.remove(documents)

    def record(self, document: DocumentKey) -> DocumentRecord | None:
        """What is on record of a document."""
        return self._stored.record(document)

    def records(self, data_source_id: str, *, after: str = "", most: int = 1000) -> list[DocumentRecord]:
        """Records of a data source in the order of their identifiers, those behind `after`."""
        return self._stored.records(data_source_id, after=after, most=most)

    def count_passages(self) -> int:
        """The number of passages that can be found."""
        return self._stored.count_passages()

    def close(self) -> None:
        """Give the connections back, and what was read."""
        self._stored.engine.dispose()
        self._rows = None

    def search(self, query: SearchQuery) -> list[Found]:
        """The best passages, the best first; equal ones in the order of chunk ids."""
        # One reading transaction throughout: the texts are those of the passages that were searched, whoever writes.
        while True:
            with reading(self._stored.snapshots) as connection:
                generation = generation_number(connection)
                rows = self._at(connection, generation)
                if rows is not None:
                    return _answer(connection, rows, query)

    def _at(self, connection: Connection, generation: int) -> SearchedRows | None:
        """The rows of this generation; None where another thread has gone on to a later one meanwhile."""
        rows = self._rows
        if rows is not None and rows.generation == generation:
            return rows
        with self._lock:
            rows = self._rows
            if rows is None:
                rows = searched_rows.read_all(connection, generation=generation, dimensions=self._dimensions)
            elif rows.generation < generation:
                rows = searched_rows.follow(connection, rows, generation=generation)
            self._rows = rows
        return rows if rows.generation == generation else None


def _answer(connection: Connection, rows: SearchedRows, query: SearchQuery) -> list[Found]:
    allowed = rows.allowed(query.filter)
    scores, candidates = _scores(rows, query, allowed)
    best = best_rows(rows, scores, candidates, most=query.most)
    numbers = rows.passages[best].tolist()
    texts = read_passages(connection, numbers)
    found = []
    for row, number in zip(best, numbers, strict=True):
        document = rows.documents[rows.places_of_rows[row]]
        assert document is not None, "a row that is alive has a document"
        passage, text = texts[number]
        attributes = reserved.attributes_of(
            document.key, document.metadata, chunk_id=passage.chunk_id, page=passage.page
        )
        found.append(
            Found(document=document.key, passage=passage, text=text, metadata=attributes, score=float(scores[row]))
        )
    return found


def _scores(rows: SearchedRows, query: SearchQuery, allowed: Mask) -> tuple[Scores, Mask]:
    """The scores of all rows, and which of them answer at all."""
    has_sense = query.vector is not None and bool(rows.embedded.any())
    if has_sense:
        assert query.vector is not None
        vector = unit(query.vector, rows.dimensions, at="the query")
        cosines = rows.dense(vector)
        if query.search_type is SearchType.SEMANTIC or not np.any(vector):
            return fusion.dense_alone(cosines), allowed & rows.embedded
    lexical = rows.lexical([number_of(term) for term in terms_of(query.text)])
    worded = lexical.scores > 0
    if not has_sense:
        return fusion.lexical_alone(lexical), allowed & worded
    return fusion.fuse(lexical, cosines, allowed), allowed & (worded | rows.embedded)
