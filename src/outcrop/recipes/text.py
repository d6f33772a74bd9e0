"""Recipe `text`: documents to chunks of text, for continued pre-training."""

from collections.abc import Iterator, Sequence
from pathlib import Path

from outcrop.recipes.chunking import ChunkSize
from outcrop.recipes.documents import chunked
from outcrop.recipes.recipe import Item
from outcrop.tokens.tokenizer import Tokenizer


def text(sources: Sequence[Path], *, tokenizer: Tokenizer, size: ChunkSize) -> Iterator[Item]:
    """Documents of any form, as chunks of whole sentences: {"input": TEXT}.

    Source: plain text, Markdown, HTML, DOCX, EPUB, PDF, dumps of Wikipedia (XML, also bz2 or gzip), and JSON Lines
    with a text in each. Licence: that of the documents.

    A chunk has at most `tokens` tokens of the base's tokenizer, and never ends within a sentence. A sentence that
    alone is longer is cut, at a clause where it has one. A chunk begins with the last sentences of the one before, at
    most `overlap` tokens. No chunk holds parts of two documents. Eight chunks in a row are a group, and the first of
    a group repeats nothing. Blank lines at a chunk's ends go.
    """
    yield from chunked(sources, tokenizer, size)
