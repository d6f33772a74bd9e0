"""Recipe `pdf`: books in PDF to chunks of about a page, for continued pre-training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.reading import reader_of
from outcrop.documents.section import BadDocument, Section, Unread
from outcrop.recipes.chunking import ChunkSize
from outcrop.recipes.documents import chunked
from outcrop.recipes.recipe import Item
from outcrop.tokens.tokenizer import Tokenizer


def pdf(sources: Sequence[Path], *, tokenizer: Tokenizer, size: ChunkSize) -> Iterator[Item]:
    """Books in PDF, as chunks of about a page: {"input": TEXT}.

    Source: PDF files. Licence: that of the books.

    Lines become paragraphs: words parted at a line's end are joined, columns are read one after the other, and rows of
    tables stay rows. Running heads, running feet and page numbers go, found by their return on pages nearby. A chunk
    ends with the last sentence that begins on its page, or before it has more than `tokens` tokens; a page with less
    than a quarter of that goes on with the next one. A chunk begins with the last sentences of the one before, at most
    `overlap` tokens. Eight chunks in a row are a group, and the first of a group repeats nothing; no page is in two.
    """
    yield from chunked(sources, tokenizer, size, read=_read)


def _read(path: Path) -> Iterator[Section | Unread]:
    if reader_of(path) is not read_pdf:
        raise BadDocument(f"{path.name}: no PDF. The recipe text reads other documents.")
    yield from read_pdf(path)
