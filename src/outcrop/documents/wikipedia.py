"""Wikipedia dumps (XML as MediaWiki exports it, also bz2 or gzip) read as documents: one for each article.

Redirects, and pages that are no articles, are left out with their reason.
"""

import bz2
import gzip
import zlib
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Any

from outcrop.documents.headed_text import Sections
from outcrop.documents.section import BadDocument, Section, Unread, reason_of
from outcrop.documents.wikitext import blocks_of_wikitext
from outcrop.documents.xml_events import XmlEvent, events_of

_READ_BYTES = 256 * 1024
_MOST_LETTERS = 16 * 2**20
"Of one article; the longest ones have 2 million."
_KEPT = frozenset(["title", "ns", "text", "format", "model"])


def read_wikipedia(path: Path) -> Iterator[Section | Unread]:
    """The sections of every article of a dump, in order. Raises BadDocument where it is broken."""
    for page in _pages(events_of(_pieces(path), name=path.name), path.name):
        title, text = page.get("title", "").strip(), page.get("text", "")
        reason = _left_out(page)
        if reason:
            yield Unread(document=path.name, place=title or "a page", reason=reason)
            continue
        sections = list(Sections(f"{path.name}: {title}").of(blocks_of_wikitext(title, text), place=title))
        if len(sections) == 1 and sections[0].text.strip() == title:
            yield Unread(document=path.name, place=title, reason="an article without text")
            continue
        yield from sections


def _left_out(page: dict[str, str]) -> str:
    if "redirect" in page:
        return "a redirect"
    if page.get("ns", "0").strip() != "0":
        return "no article, but a page of another kind"
    if page.get("model", "wikitext").strip() != "wikitext":
        return "no article, but data or a program"
    return f"an article of over {_MOST_LETTERS:,} letters" if "too long" in page else ""


def _pieces(path: Path) -> Generator[bytes, None, None]:
    with path.open("rb") as raw:
        head = raw.read(3)
    opening: Callable[[Path], Any] = bz2.open if head == b"BZh" else gzip.open if head[:2] == b"\x1f\x8b" else _plain
    try:
        with opening(path) as file:
            while piece := file.read(_READ_BYTES):
                yield piece
    except (EOFError, zlib.error, gzip.BadGzipFile, OSError) as error:
        raise BadDocument(f"{path.name}: cannot be unpacked: {reason_of(error)}. Fetch it again.") from error


def _plain(path: Path) -> IO[bytes]:
    return path.open("rb")


def _pages(events: Iterator[XmlEvent], name: str) -> Iterator[dict[str, str]]:
    """The pages of a dump by their parts, the last revision of each."""
    page: dict[str, list[str]] = {}
    part, num_letters, begun = "", 0, False
    for kind, value, _attributes in events:
        if kind == "start":
            if not begun and value != "mediawiki":
                raise BadDocument(f"{name}: XML, but no dump of Wikipedia. Save its text in another form.")
            begun = True
            if value == "page":
                page, num_letters = {}, 0
            part = value if value in _KEPT else ""
            if part:
                page[part] = []
            elif value == "redirect":
                page[value] = []
        elif kind == "text" and part:
            num_letters += len(value)
            if num_letters <= _MOST_LETTERS:
                page[part].append(value)
            else:
                page["too long"] = []
        elif kind == "end":
            part = ""
            if value == "page":
                yield {key: "".join(pieces) for key, pieces in page.items()}
