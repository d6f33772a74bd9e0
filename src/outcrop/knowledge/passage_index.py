"""The index of a knowledge base: documents in, passages found. Every kind of storage keeps this contract."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from outcrop.knowledge.filters import MetadataFilter
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Found, IndexedDocument, StoredPassage


class SearchType(StrEnum):
    """How passages are found, in Bedrock's words."""

    HYBRID = "HYBRID"
    "Lexical and dense, fused; the lexical arm alone where there are no vectors."
    SEMANTIC = "SEMANTIC"
    "Dense alone; the lexical arm stands in where there are no vectors."


@dataclass(frozen=True, kw_only=True)
class SearchQuery:
    """A query: its words, its vector where there is an encoder, and what limits the passages."""

    text: str
    vector: Sequence[float] | None = None
    most: int
    "Passages of the answer, 1 to 100, or more before reranking."
    search_type: SearchType = SearchType.HYBRID
    filter: "MetadataFilter | None" = None


class PassageIndex(Protocol):
    """The documents of one knowledge base with their passages. Any thread and process may ask while one writes.

    Each change is whole or not at all, also where the process dies in the middle, and the next search sees it.
    """

    def put(self, document: IndexedDocument) -> None:
        """Let this be the document: its former passages are gone, these are found."""
        ...

    def note(self, records: Sequence[DocumentRecord]) -> None:
        """Write the records, and leave passages as they are: of documents that wait, failed, or have new metadata."""
        ...

    def remove(self, documents: Sequence[DocumentKey]) -> None:
        """Take documents out, with their passages and records. Unknown ones are no error."""
        ...

    def record(self, document: DocumentKey) -> DocumentRecord | None:
        """The record of a document; None for one that is not known."""
        ...

    def records(self, data_source_id: str, *, after: str = "", most: int = 1000) -> list[DocumentRecord]:
        """Records of a data source in the order of their identifiers, those behind `after`."""
        ...

    def passages_of(self, document: DocumentKey) -> list[StoredPassage]:
        """The passages of a document, in its order; none of one that is not known."""
        ...

    def count_passages(self) -> int:
        """The number of passages that can be found."""
        ...

    def search(self, query: SearchQuery) -> list[Found]:
        """The best passages, the best first; equal ones in the order of chunk ids."""
        ...

    def close(self) -> None:
        """Give files and connections back."""
        ...
