"""EPUB read as a document: its chapters in the order in which the book says they are read."""

import posixpath
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from outcrop.documents.archives import Archive, open_archive
from outcrop.documents.headed_text import Block, Sections
from outcrop.documents.section import BadDocument, Section
from outcrop.documents.web_page import blocks_of
from outcrop.documents.xml_events import XmlEvent, events_of

_FORM = "EPUB"
_CONTAINER = "META-INF/container.xml"
_RIGHTS = "META-INF/encryption.xml"
_CHAPTER = ("application/xhtml+xml", "text/html", "application/x-dtbook+xml")


def read_epub(path: Path) -> Iterator[Section]:
    """The sections of an EPUB. Raises BadDocument for one that is broken or locked to a reader."""
    with open_archive(path, form=_FORM) as archive:
        book = Sections(path.name)
        empty = True
        for chapter in _spine(archive):
            for section in book.of(_chapter(archive, chapter), place=posixpath.basename(chapter)):
                empty = False
                yield section
        if empty:
            raise BadDocument(f"{path.name}: an EPUB without text. Leave it out.")


def _chapter(archive: Archive, chapter: str) -> Iterator[Block]:
    return blocks_of(archive.read(chapter), name=f"{archive.name}: {chapter}")


def _events(archive: Archive, member: str) -> Iterator[XmlEvent]:
    return events_of(archive.pieces(member), name=f"{archive.name}: {member}")


def _spine(archive: Archive) -> list[str]:
    """The chapters' names in the archive, in the order of reading."""
    package = _package(archive)
    locked = _locked(archive)
    items: dict[str, str] = {}
    order: list[str] = []
    for kind, name, attributes in _events(archive, package):
        if kind != "start":
            continue
        if (
            name == "item"
            and attributes.get("media-type") in _CHAPTER
            and "nav" not in attributes.get("properties", "").split()
        ):
            place = posixpath.join(posixpath.dirname(package), unquote(attributes.get("href", "")))
            items[attributes.get("id", "")] = posixpath.normpath(place)
        elif name == "itemref":
            order.append(attributes.get("idref", ""))
    chapters = [items[each] for each in order if each in items]
    if not chapters:
        raise archive.bad(f"{package} names no chapters")
    if locked.intersection(chapters):
        raise BadDocument(f"{archive.name}: an encrypted EPUB, locked to a reader. Take one without such a lock.")
    return chapters


def _package(archive: Archive) -> str:
    for kind, name, attributes in _events(archive, _CONTAINER):
        if kind == "start" and name == "rootfile" and "full-path" in attributes:
            return attributes["full-path"]
    raise archive.bad(f"{_CONTAINER} names no book")


def _locked(archive: Archive) -> set[str]:
    """Parts that are encrypted; fonts often are, and are not needed."""
    if _RIGHTS not in archive.members:
        return set()
    return {
        unquote(attributes.get("URI", ""))
        for kind, name, attributes in _events(archive, _RIGHTS)
        if kind == "start" and name == "CipherReference"
    }
