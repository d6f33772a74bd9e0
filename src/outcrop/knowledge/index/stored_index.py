"""Passages in a storage, searched in the memory of each process.

Whoever writes holds nobody up who searches, in this process or another. A search asks the storage for its generation
and reads what is newer before it answers.
"""

import contextlib
import threading
from array import array
from collections.abc import Sequence

from outcrop.knowledge import reserved
from outcrop.knowledge.index import arms, searched_rows
from outcrop.knowledge.index.prepared import prepare
from outcrop.knowledge.index.searched_rows import SearchedRows
from outcrop.knowledge.index.snapshot_keeper import SnapshotKeeper
from outcrop.knowledge.index.storage import MomentPassed, PassageStorage, StoredMoment
from outcrop.knowledge.index.strength import LearnedStrength
from outcrop.knowledge.index.top import best_rows
from outcrop.knowledge.passage_index import SearchQuery
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Found, IndexedDocument, Passage, StoredPassage


class StoredIndex:
    """A `PassageIndex` over a storage. Safe in several threads and processes."""

    def __init__(self, storage: PassageStorage, snapshots: SnapshotKeeper | None = None) -> None:
        """`snapshots`: what spares a process to read everything at its first search."""
        self._storage = storage
        self._snapshots = snapshots
        self._lock = threading.Lock()
        self._rows: SearchedRows | None = None
        self._strength = LearnedStrength()

    def put(self, document: IndexedDocument) -> None:
        """Let this be the document: its former passages are gone, these are found."""
        self._storage.put(prepare(document, dimensions=self._storage.dimensions))

    def note(self, records: Sequence[DocumentRecord]) -> None:
        """Write the records, and leave passages as they are."""
        self._storage.note(records)

    def remove(self, documents: Sequence[DocumentKey]) -> None:
        """Take documents out, with their passages and records."""
        self._storage.remove(documents)

    def record(self, document: DocumentKey) -> DocumentRecord | None:
        """The record of a document."""
        return self._storage.record(document)

    def records(self, data_source_id: str, *, after: str = "", most: int = 1000) -> list[DocumentRecord]:
        """Records of a data source in the order of their identifiers, those behind `after`."""
        return self._storage.records(data_source_id, after=after, most=most)

    def passages_of(self, document: DocumentKey) -> list[StoredPassage]:
        """The passages of a document, in its order."""
        return [StoredPassage(passage, _numbers(vector)) for passage, vector in self._storage.passages_of(document)]

    def count_passages(self) -> int:
        """The number of passages that can be found."""
        return self._storage.count_passages()

    def close(self) -> None:
        """Give the connections back, and what was read."""
        if self._snapshots is not None:
            self._snapshots.close()
        self._storage.close()
        self._rows = None

    def search(self, query: SearchQuery) -> list[Found]:
        """The best passages, the best first; equal ones in the order of chunk ids."""
        while True:
            with contextlib.suppress(MomentPassed), self._storage.moment() as moment:
                # One moment throughout: the texts are those of the passages that were searched, whoever writes.
                rows = self._at(moment)
                if rows is not None:
                    answer = self._answer(moment, rows, query)
                    if self._snapshots is not None:
                        self._snapshots.offer(rows, self._strength.learned)
                    return answer

    def _at(self, moment: StoredMoment) -> SearchedRows | None:
        """The rows of this moment; None where another thread has gone on to a later one meanwhile."""
        rows, generation = self._rows, moment.generation()
        if rows is None or rows.generation < generation:
            with self._lock:
                rows = self._rows = self._followed(moment, generation)
        return rows if rows.generation == generation else None

    def _followed(self, moment: StoredMoment, generation: int) -> SearchedRows:
        rows = self._rows or self._from_snapshot(generation)
        if rows is None:
            return searched_rows.read_all(moment, generation=generation, dimensions=self._storage.dimensions)
        return searched_rows.follow(moment, rows, generation=generation) if rows.generation < generation else rows

    def _from_snapshot(self, generation: int) -> SearchedRows | None:
        snapshot = None if self._snapshots is None else self._snapshots.read()
        if snapshot is None or snapshot.rows.generation > generation:
            return None
        self._strength.learned = snapshot.learned
        return snapshot.rows

    def _answer(self, moment: StoredMoment, rows: SearchedRows, query: SearchQuery) -> list[Found]:
        scored = arms.score(rows, query, self._strength)
        best = best_rows(rows, scored.scores, scored.candidates, most=query.most)
        numbers = rows.passages[best].tolist()
        texts = moment.passages(numbers)
        if len(texts) < len(set(numbers)):
            raise MomentPassed
        return [
            _found(rows, row, *texts[number], score=float(scored.scores[row]))
            for row, number in zip(best, numbers, strict=True)
        ]


def _numbers(vector: bytes | None) -> list[float] | None:
    return None if vector is None else array("f", vector).tolist()


def _found(rows: SearchedRows, row: int, passage: Passage, text: str, *, score: float) -> Found:
    document = rows.documents[rows.places_of_rows[row]]
    assert document is not None, "a row that is alive has a document"
    attributes = reserved.attributes_of(document.key, document.metadata, chunk_id=passage.chunk_id, page=passage.page)
    return Found(document=document.key, passage=passage, text=text, metadata=attributes, score=score)
