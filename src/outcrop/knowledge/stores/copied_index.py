"""An index whose store is the owner's: its passages are copied there, and that it may be down is told.

The copy goes first. A process that dies between the two has left the document as it was in the index, so it is ingested
again; the copy is then what was put again, under the same chunk ids.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from outcrop.errors import MachineTrouble
from outcrop.knowledge.index.prepared import check_texts
from outcrop.knowledge.index.stored_index import StoredIndex
from outcrop.knowledge.passage_index import SearchQuery
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Found, IndexedDocument, StoredPassage
from outcrop.knowledge.stores.copies import PassageCopy, copied, plain_metadata

ToldTrouble = Callable[[Exception], Exception]
"Makes of an error of a store's driver one of ours; what is none of the driver's it gives back."


class StoreUnreachable(MachineTrouble):
    """A store that does not answer, or does not do what it is asked."""

    passes = False  # it is its owner's, who is told, and nothing of ours


class CopiedIndex:
    """A `PassageIndex` with copies of its passages in a store of the owner's."""

    def __init__(self, index: StoredIndex, copy: PassageCopy, told: ToldTrouble) -> None:
        self._index = index
        self._copy = copy
        self._told = told

    def put(self, document: IndexedDocument) -> None:
        """Let this be the document. Raises Invalid for passages that the store does not take."""
        check_texts(document)
        key = document.record.key
        vectors: Sequence[Sequence[float] | None] = document.vectors or [None] * len(document.passages)
        passages = [
            copied(document.record, passage, vector) for passage, vector in zip(document.passages, vectors, strict=True)
        ]
        kept = {each.chunk_id for each in passages}
        with self._telling():
            self._copy.put(passages)
            self._copy.remove([each for each in self._chunk_ids(key) if each not in kept])
            self._index.put(document)

    def note(self, records: Sequence[DocumentRecord]) -> None:
        """Write the records; the copies of documents with other metadata are put anew."""
        with self._telling():
            for record in records:
                before = self._index.record(record.key)
                if before is not None and plain_metadata(before.metadata) != plain_metadata(record.metadata):
                    stored = self._index.passages_of(record.key)
                    self._copy.put([copied(record, each.passage, each.vector) for each in stored])
            self._index.note(records)

    def remove(self, documents: Sequence[DocumentKey]) -> None:
        """Take documents out, with the copies of their passages."""
        with self._telling():
            self._copy.remove([chunk_id for key in documents for chunk_id in self._chunk_ids(key)])
            self._index.remove(documents)

    def record(self, document: DocumentKey) -> DocumentRecord | None:
        """The record of a document."""
        with self._telling():
            return self._index.record(document)

    def records(self, data_source_id: str, *, after: str = "", most: int = 1000) -> list[DocumentRecord]:
        """Records of a data source in the order of their identifiers, those behind `after`."""
        with self._telling():
            return self._index.records(data_source_id, after=after, most=most)

    def passages_of(self, document: DocumentKey) -> list[StoredPassage]:
        """The passages of a document, in its order."""
        with self._telling():
            return self._index.passages_of(document)

    def count_passages(self) -> int:
        """The number of passages that can be found."""
        with self._telling():
            return self._index.count_passages()

    def search(self, query: SearchQuery) -> list[Found]:
        """The best passages, the best first."""
        with self._telling():
            return self._index.search(query)

    def close(self) -> None:
        """Give the connections back."""
        self._index.close()
        self._copy.close()

    def _chunk_ids(self, key: DocumentKey) -> list[str]:
        return [each.passage.chunk_id for each in self._index.passages_of(key)]

    @contextmanager
    def _telling(self) -> Iterator[None]:
        with telling(self._told):
            yield


@contextmanager
def telling(told: ToldTrouble) -> Iterator[None]:
    """Raise errors of a store's driver as ours."""
    try:
        yield
    except Exception as error:
        ours = told(error)
        if ours is error:
            raise
        raise ours from error
