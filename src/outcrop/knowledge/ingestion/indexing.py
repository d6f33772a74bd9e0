"""Documents on their way into the index: read, cut, embedded together with others, and put one by one.

Passages of several small documents go to the encoder together; what waits is bounded, so memory stays flat.
"""

import logging
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from outcrop import logs
from outcrop.documents.section import BadDocument
from outcrop.errors import Invalid, MachineTrouble, Refusal
from outcrop.knowledge.chunking.strategy import Chunking, chunks_of
from outcrop.knowledge.chunking.token_counts import estimated_counts
from outcrop.knowledge.ingestion.document_files import ReadDocument, read_file
from outcrop.knowledge.ingestion.passage_making import parents_of, passages_of
from outcrop.knowledge.ingestion.vectors import BATCH, PassageVectors
from outcrop.knowledge.metadata_files import DocumentAttributes
from outcrop.knowledge.passage_index import PassageIndex
from outcrop.knowledge.passages import DocumentRecord, DocumentState, IndexedDocument
from outcrop.loops import UNEXPECTED

_log = logging.getLogger("outcrop.worker")
INDEXED_STATES = (DocumentState.INDEXED, DocumentState.PARTIALLY_INDEXED)
"Of documents whose passages are those of the digests on record."
_MOST_WAITING = 64
"Documents that wait to be embedded."


class DocumentListener(Protocol):
    """Whoever follows one document on its way into the index."""

    def reading(self) -> None:
        """The document's file is read in the next moment."""

    def read(self) -> None:
        """The document's file is read."""

    def before_put(self) -> None:
        """The document is put in the next moment."""

    def indexed(self) -> None:
        """The document is in the index."""

    def failed(self, reason: str) -> None:
        """The document is not in the index, for this reason, and that is on record."""


@dataclass(frozen=True, kw_only=True)
class WantedDocument:
    """A document that is to be indexed."""

    record: DocumentRecord
    "As it will be once the document is indexed."
    before: DocumentRecord | None
    "As it is now."
    listener: DocumentListener


@dataclass(frozen=True, kw_only=True)
class _PreparedDocument:
    wanted: WantedDocument
    document: IndexedDocument
    texts: list[str]
    "To be embedded."


class Indexing:
    """The indexing of documents of one data source, in one job."""

    def __init__(self, index: PassageIndex, chunking: Chunking, vectors: PassageVectors) -> None:
        self._index = index
        self._chunking = chunking
        self._vectors = vectors
        encoder = vectors.encoder
        self._counts = (encoder.counts if encoder is not None else None) or estimated_counts
        self._waiting: list[_PreparedDocument] = []
        self._num_texts = 0

    def add(self, wanted: WantedDocument, file: Path, attributes: DocumentAttributes) -> None:
        """Read a document and let it be indexed, at the latest with `flush`. Its file is not needed any more then."""
        try:
            document, texts = self._taken_apart(wanted, file, attributes)
        except Invalid as bad:
            self.fail(wanted, bad.message)
            return
        self._waiting.append(_PreparedDocument(wanted=wanted, document=document, texts=texts))
        self._num_texts += len(texts)
        if self._num_texts >= BATCH or len(self._waiting) >= _MOST_WAITING or self._vectors.encoder is None:
            self.flush()

    def fail(self, wanted: WantedDocument, reason: str, state: DocumentState = DocumentState.FAILED) -> None:
        """Note that a document failed; what was indexed of it before is still found, and its digests say so."""
        self._index.note([_failed(wanted, reason, state)])
        wanted.listener.failed(reason)

    def flush(self) -> None:
        """Embed and put whatever waits."""
        waiting, self._waiting, self._num_texts = self._waiting, [], 0
        if not waiting:
            return
        try:
            vectors = self._embedded(waiting)
        except Invalid:  # one text among them; each document is tried alone
            for each in waiting:
                self._put_alone(each)
            return
        for each, own in zip(waiting, vectors, strict=True):
            self._put(each, own)

    def _taken_apart(
        self, wanted: WantedDocument, file: Path, attributes: DocumentAttributes
    ) -> tuple[IndexedDocument, list[str]]:
        record = wanted.record
        wanted.listener.reading()
        read = _read(file)
        wanted.listener.read()
        embed = self._vectors.of if self._vectors.encoder is not None else None
        chunks = chunks_of(read.text, self._chunking, self._counts, embed)
        passages = passages_of(record.key, read.text, chunks, self._chunking)
        if read.unread is not None:
            record = replace(record, state=DocumentState.PARTIALLY_INDEXED, reason=read.unread)
        texts = [attributes.embedded_text + passage.searched_text for passage in passages]
        document = IndexedDocument(record=record, passages=passages, parents=parents_of(read.text, chunks))
        return document, texts

    def _embedded(self, waiting: list[_PreparedDocument]) -> list[list[list[float]] | None]:
        if self._vectors.encoder is None:
            return [None] * len(waiting)
        vectors = iter(self._vectors.of([text for each in waiting for text in each.texts]))
        return [[next(vectors) for _ in each.texts] for each in waiting]

    def _put_alone(self, waiting: _PreparedDocument) -> None:
        try:
            (vectors,) = self._embedded([waiting])
        except Invalid as refused:
            self.fail(waiting.wanted, refused.message)
        else:
            self._put(waiting, vectors)

    def _put(self, waiting: _PreparedDocument, vectors: list[list[float]] | None) -> None:
        waiting.wanted.listener.before_put()
        try:
            self._index.put(replace(waiting.document, vectors=vectors))
        except Invalid as refused:  # its store takes no such passage: another dimension, too much metadata
            self.fail(waiting.wanted, refused.message)
        else:
            waiting.wanted.listener.indexed()


def _failed(wanted: WantedDocument, reason: str, state: DocumentState) -> DocumentRecord:
    """The record of a document that failed: its reason, and the digests and metadata of what is indexed of it."""
    record, before = wanted.record, wanted.before
    if before is None:
        return replace(record, state=state, reason=reason, content_digest="", metadata_digest="", metadata={})
    return replace(before, state=state, reason=reason, updated=record.updated)


def _read(file: Path) -> ReadDocument:
    """The text of a file. Raises BadDocument, for a defect of ours too: one file never fails the others."""
    try:
        return read_file(file)
    except (Refusal, OSError):
        raise
    except MachineTrouble as absent:  # the library of this one form
        raise BadDocument(absent.message) from absent
    except Exception as error:
        logs.tell(_log, "a document broke its reader", level=logging.ERROR, exc_info=error, form=file.suffix)
        raise BadDocument(f"{file.name}: {UNEXPECTED} (the worker's log has the details).") from error
