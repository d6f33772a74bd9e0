"""The contract of a storage: where passages lie, and how a searching process reads what has changed."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

from outcrop.knowledge.index.prepared import PreparedDocument
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Metadata, Passage


class ChangedDocument(NamedTuple):
    """A document that has changed: its number, and whether its passages have."""

    number: int
    key: DocumentKey
    metadata: Metadata
    has_new_passages: bool


class SearchedPassage(NamedTuple):
    """The parts of a passage that are searched."""

    passage: int
    document: int
    chunk_id: str
    page: int | None
    parent: int | None
    terms: bytes
    vector: bytes | None


class MomentPassed(Exception):
    """Another process changed the storage while this one read it."""


class StoredMoment(Protocol):
    """A reading of the storage at one moment; each change counts its generation up by one.

    A storage that cannot hold a moment raises MomentPassed at its end, when it has read parts of two.
    """

    def generation(self) -> int:
        """How often the passages or their attributes have changed."""
        ...

    def changed_documents(self, since: int) -> Iterator[ChangedDocument]:
        """Documents that were put, or have other metadata, since a generation; in the order of their numbers."""
        ...

    def removed_documents(self, since: int) -> list[int]:
        """Numbers of documents that were taken out since a generation; no number is given twice."""
        ...

    def searched_passages(self, of: Sequence[int] | None) -> Iterator[SearchedPassage]:
        """The searched parts of these documents' passages, or of all documents'."""
        ...

    def passages(self, numbers: Sequence[int]) -> dict[int, tuple[Passage, str]]:
        """Passages by their numbers, with the text that is returned of each."""
        ...


class PassageStorage(Protocol):
    """Documents and their passages. Safe in several threads and processes; a change is whole or not at all."""

    dimensions: int | None

    def put(self, document: PreparedDocument) -> None: ...

    def note(self, records: Sequence[DocumentRecord]) -> None: ...

    def remove(self, keys: Sequence[DocumentKey]) -> None: ...

    def record(self, key: DocumentKey) -> DocumentRecord | None: ...

    def records(self, data_source_id: str, *, after: str, most: int) -> list[DocumentRecord]: ...

    def passages_of(self, key: DocumentKey) -> list[tuple[Passage, bytes | None]]: ...

    def count_passages(self) -> int: ...

    def moment(self) -> AbstractContextManager[StoredMoment]: ...

    def close(self) -> None: ...
