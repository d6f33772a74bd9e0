"""PDFs read as documents: pages, without what every page repeats, become sections with headings and page numbers."""

import re
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from outcrop.documents.pdf.letters import HYPHEN
from outcrop.documents.pdf.pages import PICTURES, PdfPage, pages_of
from outcrop.documents.pdf.paragraphs import BookWords, Paragraph, body_size, paragraphs_of
from outcrop.documents.pdf.running_heads import without_running_heads
from outcrop.documents.section import BadDocument, Section, Unread

_MOST_SIZES = 50
"Pages whose usual height of letters is remembered."
_NUMBERED = re.compile(r"^\d+")


def read_pdf(path: Path) -> Iterator[Section | Unread]:
    """The sections of a PDF, and the pages that hold no text. Raises BadDocument for one that cannot be read."""
    reader = _Sections(path.name)
    unread: list[Unread] = []
    num_pages = 0
    for page in without_running_heads(pages_of(path)):
        num_pages += 1
        for part in reader.add(page):
            if isinstance(part, Unread):
                unread.append(part)
            else:
                yield from unread
                unread.clear()
                yield part
    yield from reader.finish()
    if reader.num_sections == 0:
        raise _nothing(path, num_pages, unread)
    yield from unread


def _nothing(path: Path, num_pages: int, unread: Sequence[Unread]) -> BadDocument:
    none_has = "its only page has no text" if num_pages == 1 else f"none of its {num_pages} pages has text"
    if any(page.reason == PICTURES for page in unread):
        return BadDocument(f"{path.name}: a PDF of pictures: {none_has}. Have it read first: ocrmypdf FILE NEW.pdf")
    reasons = {page.reason for page in unread} - {"a blank page"}
    why = f" ({'; '.join(sorted(reasons)[:3])})" if reasons else ""
    return BadDocument(f"{path.name}: an empty PDF: {none_has}{why}. Leave it out.")


class _Draft(NamedTuple):
    """A section that waits for the next one, which tells how it ends."""

    page: int
    headings: tuple[str, ...]
    text: str
    is_open: bool


class _Sections:
    """Pages on their way to sections. A paragraph that goes on over a page's end stays one text."""

    def __init__(self, document: str) -> None:
        self.document = document
        self.num_sections = 0
        self._vocabulary = BookWords()
        self._sizes: deque[float] = deque(maxlen=_MOST_SIZES)
        self._headings: list[tuple[int, str]] = []
        "The path down to here, each heading with its rank; those of a lower rank stand above."
        self._start = 0
        self._draft: _Draft | None = None

    def add(self, page: PdfPage) -> Iterator[Section | Unread]:
        if not page.lines:
            yield Unread(document=self.document, place=f"page {page.number}", reason=page.reason)
            return
        self._sizes.append(body_size(page.lines))
        body = sorted(self._sizes)[len(self._sizes) // 2]
        paragraphs = list(paragraphs_of(page.lines, self._vocabulary, body=body))
        if not paragraphs:
            reason = "only signs whose font does not say what they mean"
            yield Unread(document=self.document, place=f"page {page.number}", reason=reason)
        for group in self._by_heading(page, paragraphs):
            yield from self._next(page.number, group)

    def finish(self) -> Iterator[Section]:
        if self._draft is not None:
            yield self._section(self._draft, self._draft.text.rstrip(HYPHEN) + "\n")

    def _by_heading(self, page: PdfPage, paragraphs: Sequence[Paragraph]) -> Iterator[list[Paragraph]]:
        """Paragraphs in groups under one heading, which is told to `_headings` before its group is given."""
        at = _outline_places(page, paragraphs)
        group: list[Paragraph] = []
        for place, paragraph in enumerate(paragraphs):
            ranked = at.get(place, [])
            if not page.has_outline and paragraph.is_heading:
                ranked = [(-round(paragraph.size), " ".join(paragraph.text.replace(HYPHEN, "-").split()))]
            if ranked and group:
                yield group
                group = []
            for rank, title in ranked:
                self._headings = [*(each for each in self._headings if each[0] < rank), (rank, title)]
            group.append(paragraph)
        if group:
            yield group

    def _next(self, page: int, group: Sequence[Paragraph]) -> Iterator[Section]:
        text = "\n\n".join(each.text for each in group)
        before = self._draft
        if before is not None and before.is_open and group[0].begins_within:
            whole = self._vocabulary.joined(before.text, text)
            yield self._section(before, whole[: len(whole) - len(text)])
        elif before is not None:
            yield self._section(before, before.text + "\n\n")
        self._draft = _Draft(page, tuple(title for _, title in self._headings), text, group[-1].is_open)

    def _section(self, draft: _Draft, text: str) -> Section:
        text = text.replace(HYPHEN, "-")
        self.num_sections += 1
        self._start += len(text)
        return Section(
            document=self.document,
            headings=draft.headings,
            page=draft.page,
            place=f"page {draft.page}",
            start=self._start - len(text),
            text=text,
        )


def _outline_places(page: PdfPage, paragraphs: Sequence[Paragraph]) -> dict[int, list[tuple[int, str]]]:
    """The outline's entries for a page by the paragraph that is the heading; else they stand before the first."""
    at: dict[int, list[tuple[int, str]]] = {}
    bare = [_bare(paragraph.text) for paragraph in paragraphs]
    first = 0
    for level, title in page.headings:
        wanted = _bare(title)
        forms = (wanted, _NUMBERED.sub("", wanted))
        found = (n for n in range(first, len(bare)) if bare[n] and (bare[n] in forms or _is_numbered(bare[n], wanted)))
        place = next(found, first if first < len(bare) else len(bare) - 1)
        first = place + (bare[place] in forms or _is_numbered(bare[place], wanted))
        at.setdefault(place, []).append((level, title.strip()))
    return at


def _is_numbered(text: str, title: str) -> bool:
    return _NUMBERED.sub("", text) == title


def _bare(text: str) -> str:
    return "".join(char for char in text.casefold() if char.isalnum())
