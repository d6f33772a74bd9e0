"""Passages of a document: its text cut by the data source's chunking, each with its place, headings, page and rule."""

import hashlib
from collections.abc import Sequence

from outcrop.knowledge.chunking.document_text import DocumentText
from outcrop.knowledge.chunking.packing import TextSpan
from outcrop.knowledge.chunking.strategy import Chunking, ChunkingStrategy, Chunks
from outcrop.knowledge.passages import DocumentKey, Passage

_ID_LETTERS = 32


def passages_of(key: DocumentKey, document: DocumentText, chunks: Chunks, chunking: Chunking) -> list[Passage]:
    """The passages of a document in its order."""
    whole = chunking.strategy is ChunkingStrategy.NONE
    return [
        _passage(key, document, span, parent, whole=whole)
        for span, parent in zip(chunks.spans, chunks.parent_of, strict=True)
    ]


def parents_of(document: DocumentText, chunks: Chunks) -> Sequence[str]:
    """The texts of the parents, in hierarchical chunking."""
    return [document.text[span.start : span.end] for span in chunks.parents]


def _passage(key: DocumentKey, document: DocumentText, span: TextSpan, parent: int | None, *, whole: bool) -> Passage:
    text = document.text[span.start : span.end]
    section = None if whole else document.section_at(span.start)
    return Passage(
        chunk_id=_chunk_id(key, span, text),
        text=text,
        headings=section.headings if section is not None else (),
        rule_number=None if whole else document.rule_at(span.start),
        page=section.page if section is not None else None,
        start=span.start,
        end=span.end,
        parent=parent,
    )


def _chunk_id(key: DocumentKey, span: TextSpan, text: str) -> str:
    told = "\0".join((key.data_source_id, key.identifier, str(span.start), str(span.end), text))
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_ID_LETTERS]
