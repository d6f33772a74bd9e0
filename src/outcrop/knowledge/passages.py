"""Passages: the parts of documents that a knowledge base finds, with all that is told about each.

No numpy here: the server reads this room's types at its start.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, TypeAlias

MetadataValue: TypeAlias = "str | int | float | bool | Sequence[str]"
Metadata: TypeAlias = Mapping[str, MetadataValue]


@dataclass(frozen=True, order=True)
class DocumentKey:
    """A document by its data source and its identifier: an S3 URI, or the id that its sender chose."""

    data_source_id: str
    identifier: str


class DocumentState(StrEnum):
    """States of a document on record, in Bedrock's words; one that is gone has no record."""

    PENDING = "PENDING"
    STARTING = "STARTING"
    IN_PROGRESS = "IN_PROGRESS"
    INDEXED = "INDEXED"
    PARTIALLY_INDEXED = "PARTIALLY_INDEXED"
    FAILED = "FAILED"
    IGNORED = "IGNORED"
    DELETING = "DELETING"
    DELETE_IN_PROGRESS = "DELETE_IN_PROGRESS"


@dataclass(frozen=True, kw_only=True)
class DocumentRecord:
    """The record of one document: the digests that tell whether it has changed, and how it fared."""

    key: DocumentKey
    state: DocumentState
    reason: str | None = None
    "Of a document that failed, or was indexed in part, in a sentence."
    content_digest: str = ""
    """SHA-256 of the file that is indexed, hexadecimal; behind a colon the ETag of its object in S3, which decides
    whether it is read again (`ingestion/digests.py`). Empty where nothing of the document is indexed."""
    metadata_digest: str = ""
    "That of its metadata file, alike; empty where it has none."
    metadata: Metadata = field(default_factory=dict)
    "The attributes that its metadata file gives it; each of its passages has them."
    updated: float
    "Seconds since 1970."


@dataclass(frozen=True, kw_only=True)
class Passage:
    """A part of a document as it is indexed and cited."""

    chunk_id: str
    "Made of the document's key, the place and the text: the same again when the document is indexed again."
    text: str
    "As the document has it, from `start` to `end`: what is returned and cited."
    headings: tuple[str, ...] = ()
    "The path of headings above it, the outermost first; they are searched with the text."
    rule_number: str | None = None
    "Of a rule book: § 240.10b-5."
    page: int | None = None
    "Counted from 1, where the document has pages."
    start: int
    "Characters of the document before it."
    end: int
    parent: int | None = None
    "In hierarchical chunking, the number of its parent among the document's parents, whose text is returned."

    @property
    def searched_text(self) -> str:
        """The text that is searched and embedded: the headings, then the text."""
        return "\n".join([*self.headings, self.text])


class StoredPassage(NamedTuple):
    """A passage as an index keeps it."""

    passage: Passage
    vector: "Sequence[float] | None"
    "Of length 1; None where it has none."


@dataclass(frozen=True, kw_only=True)
class IndexedDocument:
    """A document taken apart, ready to be put into an index in one piece."""

    record: DocumentRecord
    passages: Sequence[Passage]
    parents: Sequence[str] = ()
    "Texts that passages name as theirs, in hierarchical chunking."
    vectors: "Sequence[Sequence[float]] | None" = None
    "One for each passage, float32; None where the knowledge base has the lexical arm alone."


@dataclass(frozen=True, kw_only=True)
class Found:
    """A passage that answers a query, with its document's metadata and the reserved attributes of Bedrock."""

    document: DocumentKey
    passage: Passage
    text: str
    "What is returned: the parent's text in hierarchical chunking, else the passage's."
    metadata: Metadata
    "The document's own attributes, and those reserved: x-amz-bedrock-kb-source-uri, -chunk-id, -data-source-id, …"
    score: float
    "Between 0 and 1, higher is better."
