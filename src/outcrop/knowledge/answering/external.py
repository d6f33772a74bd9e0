"""Documents that a question brings along, or names in S3: read, cut into passages and searched for this one answer.

    with external.opened(buckets, documents) as passages:
        found = await passages.search("What is the fee?")

They are in no knowledge base, and nothing of them stays. That the caller may read the object is decided at the door.
"""

import logging
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from anyio import to_thread

from outcrop import logs
from outcrop.buckets.buckets import Buckets
from outcrop.buckets.names import parse_s3_uri
from outcrop.buckets.records import ObjectRecord
from outcrop.data import fetching
from outcrop.documents.section import BadDocument
from outcrop.errors import Denied, Invalid, Refusal
from outcrop.knowledge import reserved
from outcrop.knowledge.chunking.strategy import Chunking, chunks_of
from outcrop.knowledge.chunking.token_counts import estimated_counts
from outcrop.knowledge.ingestion.document_files import file_name, read_file
from outcrop.knowledge.ingestion.passage_making import passages_of
from outcrop.knowledge.passage_index import PassageIndex, SearchQuery
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState, Found, IndexedDocument

DATA_SOURCE = "EXTERNAL"
"The data source that they count as."
MOST_PASSAGES = 20
"That an answer is made from, as far as they fit its prompt."
_LARGEST_BYTES = 10 << 20
"As Bedrock's, of byte contents and of objects."
_SUFFIXES = {
    "text/plain": ".txt",
    "text/markdown": ".md",
    "text/html": ".html",
    "text/csv": ".csv",
    "application/pdf": ".pdf",
    "application/msword": ".doc",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.ms-excel": ".xls",
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": ".xlsx",
}
_log = logging.getLogger("outcrop.knowledge")


@dataclass(frozen=True, kw_only=True)
class SourceDocument:
    """A document by its place in S3, or with its content."""

    uri: str | None = None
    name: str = ""
    content_type: str = ""
    content: bytes = b""

    @property
    def identifier(self) -> str:
        return self.name if self.uri is None else self.uri

    @property
    def file_name(self) -> str:
        """A name by which its form is told where text looks like any other text."""
        if self.uri is not None:
            return file_name(parse_s3_uri(self.uri).key)
        suffix = _SUFFIXES.get(self.content_type.partition(";")[0].strip().lower())
        return f"document{suffix}" if suffix else file_name(self.name)


Check = Callable[[ObjectRecord], None]
"""Raises Denied for an object whose key of KMS the caller may not use."""


@dataclass(frozen=True, kw_only=True)
class SourcePassages:
    """The passages of documents, ready to be searched."""

    index: PassageIndex
    everything: Sequence[Found]
    "All passages in their order."

    async def search(self, question: str) -> list[Found]:
        """The passages that answer, the best first, then the others as they stand: a summary asks for all."""
        query = SearchQuery(text=question, most=MOST_PASSAGES)
        found = await to_thread.run_sync(self.index.search, query)
        known = {each.passage.chunk_id for each in found}
        return [*found, *(each for each in self.everything if each.passage.chunk_id not in known)][:MOST_PASSAGES]


@contextmanager
def opened(
    buckets: Buckets, documents: Sequence[SourceDocument], *, at: float, check: Check
) -> Iterator[SourcePassages]:
    """The passages of documents, while they are needed. `at`: seconds since 1970; `check` is told each object first.

    Raises what it raises, and Invalid for a document that is not there, too large, or gives no text.
    """
    from outcrop.knowledge.index.embedded import EmbeddedIndex  # numpy comes with it

    with tempfile.TemporaryDirectory(prefix="outcrop-") as folder:
        taken = [_taken_apart(buckets, document, Path(folder), at, check) for document in documents]
        with closing(EmbeddedIndex(Path(folder) / "index", dimensions=None)) as index:
            for document in taken:
                index.put(document)
            yield SourcePassages(index=index, everything=[one for each in taken for one in _found(each)])


def _taken_apart(buckets: Buckets, document: SourceDocument, folder: Path, at: float, check: Check) -> IndexedDocument:
    file = folder / document.file_name
    _fetch(buckets, document, file, check)
    try:
        read = read_file(file)
    except BadDocument as bad:
        raise Invalid(f"{document.identifier}: {bad.message}") from bad
    if read.unread is not None:
        logs.tell(_log, "parts of a document were not read", reason=read.unread)
    key, chunking = DocumentKey(DATA_SOURCE, document.identifier), Chunking()
    chunks = chunks_of(read.text, chunking, estimated_counts, None)
    record = DocumentRecord(key=key, state=DocumentState.INDEXED, updated=at)
    return IndexedDocument(record=record, passages=passages_of(key, read.text, chunks, chunking))


def _found(document: IndexedDocument) -> Iterator[Found]:
    """All passages of a document, as a search that asks for everything would find them."""
    key = document.record.key
    for passage in document.passages:
        metadata = reserved.attributes_of(key, {}, chunk_id=passage.chunk_id, page=passage.page)
        yield Found(document=key, passage=passage, text=passage.text, metadata=metadata, score=0.0)


def _fetch(buckets: Buckets, document: SourceDocument, file: Path, check: Check) -> None:
    """Write the document to a file. Raises Invalid for an object that is not there, or too large."""
    if document.uri is None:
        file.write_bytes(document.content)
        return
    try:
        record = buckets.find(*parse_s3_uri(document.uri))
        if record.size > _LARGEST_BYTES:
            raise Invalid(
                f"{document.uri}: {record.size:,} bytes; a source may have {_LARGEST_BYTES:,}. Put it into a knowledge "
                "base, which takes larger ones."
            )
        check(record)
        fetching.copy(buckets, record, file)
    except (Invalid, Denied):
        raise
    except Refusal as refused:
        raise Invalid(f"{document.uri}: cannot be read ({refused.message}). Name an object that is there.") from refused
