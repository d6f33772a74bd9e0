"""Small documents for the indexes of knowledge bases."""

from collections.abc import Sequence

from outcrop.knowledge.passages import (
    DocumentKey,
    DocumentRecord,
    DocumentState,
    IndexedDocument,
    Metadata,
    Passage,
)

SOURCE = "SOURCE0001"


def key(name: str, source: str = SOURCE) -> DocumentKey:
    return DocumentKey(source, f"s3://rules/{name}")


def record(
    name: str, *, metadata: Metadata | None = None, state: DocumentState = DocumentState.INDEXED
) -> DocumentRecord:
    return DocumentRecord(
        key=key(name), state=state, content_digest=f"digest of {name}", metadata=metadata or {}, updated=1.5
    )


def document(
    name: str,
    texts: Sequence[str],
    *,
    metadata: Metadata | None = None,
    vectors: Sequence[Sequence[float]] | None = None,
    parents: Sequence[str] = (),
    parent_of: Sequence[int | None] = (),
    pages: Sequence[int | None] = (),
) -> IndexedDocument:
    """A document of these passages, that follow each other in it."""
    passages, at = [], 0
    for number, text in enumerate(texts):
        passages.append(
            Passage(
                chunk_id=f"{name}-{number}",
                text=text,
                start=at,
                end=at + len(text),
                parent=parent_of[number] if parent_of else None,
                page=pages[number] if pages else None,
            )
        )
        at += len(text)
    return IndexedDocument(record=record(name, metadata=metadata), passages=passages, parents=parents, vectors=vectors)
