"""Blocks of text with headings between them, gathered into sections: what HTML, DOCX and EPUB have in common."""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from outcrop.documents.section import Section


class Block(NamedTuple):
    """A paragraph, a row of a table, an item of a list, or a heading."""

    text: str
    level: int = 0
    "Of a heading, from 1; 0 is no heading."
    tight: bool = False
    "A row or item: the next block follows on the next line."


class Sections:
    """Gathers the blocks of one document."""

    def __init__(self, document: str) -> None:
        self.document = document
        self._start = 0
        self._path: list[tuple[int, str]] = []

    def of(self, blocks: Iterable[Block], *, place: str) -> Iterator[Section]:
        """The sections of a part of the document; one that begins with a heading ends before the next."""
        parts: list[str] = []
        for block in blocks:
            if block.level and block.text:
                if parts:
                    yield self._section(parts, place)
                    parts = []
                self._path = [*(each for each in self._path if each[0] < block.level), (block.level, block.text)]
            if block.text:
                parts.append(block.text + ("\n" if block.tight else "\n\n"))
        if parts:
            yield self._section(parts, place)

    def _section(self, parts: list[str], place: str) -> Section:
        text = "".join(parts)
        if not text.endswith("\n\n"):
            text += "\n"
        self._start += len(text)
        return Section(
            document=self.document,
            headings=tuple(title for _, title in self._path),
            place=place,
            start=self._start - len(text),
            text=text,
        )
