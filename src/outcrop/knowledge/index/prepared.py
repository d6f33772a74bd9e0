"""A document made ready for storage: its terms counted, its vectors at length 1, its texts fit to be kept."""

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outcrop.errors import Invalid
from outcrop.knowledge.index.arrays import Vectors
from outcrop.knowledge.index.term_blob import pack
from outcrop.knowledge.index.terms import count_terms
from outcrop.knowledge.passages import DocumentRecord, IndexedDocument, Passage

_SURROGATE = re.compile(r"[\ud800-\udfff]")


@dataclass(frozen=True, kw_only=True)
class PreparedPassage:
    """A passage with the bytes of what is searched."""

    passage: Passage
    terms: bytes
    vector: bytes | None


@dataclass(frozen=True, kw_only=True)
class PreparedDocument:
    """A document that a storage keeps in one piece."""

    record: DocumentRecord
    passages: Sequence[PreparedPassage]
    parents: Sequence[str]


def prepare(document: IndexedDocument, *, dimensions: int | None) -> PreparedDocument:
    """Most of the work of a change, done before anybody has to wait for it.

    Raises Invalid for vectors that do not fit the index, and texts that no database keeps as they are.
    """
    check_texts(document)
    vectors = _vectors(document, dimensions)
    prepared = [
        PreparedPassage(passage=each, terms=pack(count_terms(each.searched_text)), vector=vector)
        for each, vector in zip(document.passages, vectors, strict=True)
    ]
    return PreparedDocument(record=document.record, passages=prepared, parents=document.parents)


def unit(vector: Sequence[float], dimensions: int | None, *, at: str) -> Vectors:
    """A vector at length 1, or 0 where it has none. Raises Invalid for one that does not fit the index."""
    values = np.asarray(vector, np.float64)
    if dimensions is None or values.shape != (dimensions,):
        raise Invalid(
            f"{at}: a vector of {len(vector)} numbers, and the index holds {told_width(dimensions)}. "
            "Use the embedding model that the knowledge base was made with."
        )
    if not np.isfinite(values).all():
        raise Invalid(f"{at}: a vector with a number that is infinite or none. Embed the text again.")
    length = np.linalg.norm(values)
    return (values / length if length else values).astype(np.float32)


def check_width(stored: int | None, asked: int | None) -> None:
    """Raises Invalid where an index was made for vectors of another width."""
    if stored != asked:
        raise Invalid(
            f"This index holds {told_width(stored)}, and is opened for {told_width(asked)}. "
            "Make a new knowledge base for another embedding model."
        )


def told_width(dimensions: int | None) -> str:
    return "no vectors" if dimensions is None else f"vectors of {dimensions} numbers"


def check_texts(document: IndexedDocument) -> None:
    """Raises Invalid for texts that no database keeps as they are."""
    texts = (part for each in document.passages for part in (each.text, *each.headings))
    for text in itertools.chain(texts, document.parents):
        if "\0" in text or _SURROGATE.search(text):
            name = document.record.key.identifier
            raise Invalid(f"{name}: a text with characters that are none (NUL, half of a pair). Take them out.")


def _vectors(document: IndexedDocument, dimensions: int | None) -> list[bytes | None]:
    """The bytes of a document's vectors; of unit length, so that a product of two is their cosine."""
    if document.vectors is None:
        return [None] * len(document.passages)
    name = document.record.key.identifier
    if len(document.vectors) != len(document.passages):
        raise Invalid(
            f"{name}: {len(document.passages)} passages and {len(document.vectors)} vectors. Give one for each."
        )
    return [unit(vector, dimensions, at=name).tobytes() for vector in document.vectors]
