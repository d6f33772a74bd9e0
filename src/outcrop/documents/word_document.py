"""DOCX read as a document: paragraphs, headings by their styles, and rows of tables, from the XML inside."""

import re
from collections.abc import Iterator
from pathlib import Path

from outcrop.documents.archives import Archive, open_archive
from outcrop.documents.headed_text import Block, Sections
from outcrop.documents.section import BadDocument, Section
from outcrop.documents.xml_events import XmlEvent, events_of

_FORM = "Word document"
_BODY = "word/document.xml"
_STYLES = "word/styles.xml"
_SKIPPED = frozenset(["del", "moveFrom", "instrText", "delText", "Fallback", "pPr", "rPr", "sdtPr", "rt"])
"Deleted text, fields' programs, properties, what stands in for a drawing, and readings above Japanese letters."
_SIGNS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_NAMED = re.compile(r"heading ([1-9])", re.IGNORECASE)
_DEEPEST_HEADING = 9


def read_word_document(path: Path) -> Iterator[Section]:
    """The sections of a DOCX file. Raises BadDocument for a broken or encrypted one, and for one without text."""
    with open_archive(path, form=_FORM) as archive:
        levels = _heading_styles(archive)
        events = events_of(archive.pieces(_BODY), name=f"{path.name}: {_BODY}")
        empty = True
        for section in Sections(path.name).of(_blocks(events, levels), place="the text"):
            empty = False
            yield section
        if empty:
            raise BadDocument(f"{path.name}: a {_FORM} without text. Leave it out.")


def _heading_styles(archive: Archive) -> dict[str, int]:
    """Levels of headings by the ids of their styles; a style without one has that of its base."""
    if _STYLES not in archive.members:
        return {}
    levels: dict[str, int] = {}
    based: dict[str, str] = {}
    style = ""
    for event in events_of(archive.pieces(_STYLES), name=f"{archive.name}: {_STYLES}"):
        if event.kind != "start":
            continue
        value = event.attributes.get("val", "")
        if event.name == "style":
            style = event.attributes.get("styleId", "")
        elif event.name == "outlineLvl" and value.isascii() and value.isdigit() and int(value) < _DEEPEST_HEADING:
            levels[style] = int(value) + 1
        elif event.name == "name" and (named := _NAMED.fullmatch(value)):
            levels.setdefault(style, int(named[1]))
        elif event.name == "name" and value.lower() == "title":
            levels.setdefault(style, 1)
        elif event.name == "basedOn":
            based[style] = value
    for name in based:
        above = [name]
        while above[-1] not in levels and based.get(above[-1]) not in (None, *above):
            above.append(based[above[-1]])
        if above[-1] in levels:
            levels.setdefault(name, levels[above[-1]])
    return levels


def _blocks(events: Iterator[XmlEvent], levels: dict[str, int]) -> Iterator[Block]:
    text = _BodyText(levels)
    for event in events:
        yield from text.add(event)


class _BodyText:
    """The text of a document's body on its way from XML to blocks."""

    def __init__(self, levels: dict[str, int]) -> None:
        self._levels = levels
        self._text: list[str] = []
        self._rows: list[list[list[str]]] = []
        "Of each open table the row that is read at the moment: its cells with their paragraphs."
        self._skipped = 0
        "Elements inside one that is not read."
        self._level = 0
        self._is_item = self._is_text = False

    def add(self, event: XmlEvent) -> Iterator[Block]:
        kind, name, attributes = event
        if kind == "text":
            if self._is_text and not self._skipped:
                self._text.append(name)
        elif self._skipped or name in _SKIPPED:
            self._skipped += 1 if kind == "start" else -1
            if kind == "start":
                self._property(name, attributes.get("val", ""))
        elif kind == "start":
            self._start(name)
        else:
            self._is_text = False
            yield from self._end(name)

    def _property(self, name: str, value: str) -> None:
        if name == "pStyle":
            self._level = self._levels.get(value, 0)
        elif name == "outlineLvl" and value.isascii() and value.isdigit():
            self._level = int(value) + 1 if int(value) < _DEEPEST_HEADING else 0
        elif name == "numPr":
            self._is_item = True

    def _start(self, name: str) -> None:
        self._is_text = name == "t"
        self._text.append(_SIGNS.get(name, ""))
        if name == "tbl":
            self._rows.append([])
        elif name == "tc" and self._rows:
            self._rows[-1].append([])

    def _end(self, name: str) -> Iterator[Block]:
        if name == "p":
            said, self._text = "".join(self._text).strip(), []
            item, level = self._is_item and not self._level, self._level
            self._level, self._is_item = 0, False
            if self._rows and self._rows[-1]:
                self._rows[-1][-1].append(said)
            elif said:
                yield Block(f"- {said}" if item else said, level, item)
        elif name == "tr" and self._rows:
            cells, self._rows[-1] = [" ".join(filter(None, cell)) for cell in self._rows[-1]], []
            if len(self._rows) > 1 and self._rows[-2]:
                self._rows[-2][-1].append(" | ".join(cells))
            elif any(cells):
                yield Block(" | ".join(cells), tight=True)
        elif name == "tbl" and self._rows:
            self._rows.pop()
