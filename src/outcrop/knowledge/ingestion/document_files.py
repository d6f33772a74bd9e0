"""Files of documents read for a knowledge base: which are taken, and their text with what could not be read."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outcrop.documents.plain_text import read_plain_text
from outcrop.documents.reading import TABLES, reader_of
from outcrop.documents.section import BadDocument, Section, Unread
from outcrop.knowledge.chunking.document_text import DocumentText

MOST_BYTES = 50 * 2**20
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", ".xhtml", ".docx", ".doc", ".pdf", ".epub", *TABLES)
"Forms that are read into a knowledge base."
_BINARY = (".docx", ".doc", ".pdf", ".epub", ".xlsx", ".xls")
_BLANK = "a blank page"
_MOST_PLACES = 20
_MOST_NAME_BYTES = 200


@dataclass(frozen=True, kw_only=True)
class ReadDocument:
    """The text of a file, and a sentence about the parts of it that gave none."""

    text: DocumentText
    unread: str | None = None


def is_taken(name: str) -> bool:
    """Whether a file of this name has a form that is read."""
    return name.lower().endswith(SUFFIXES)


def not_taken(name: str) -> str:
    """The sentence about a file that is left out for its form."""
    suffix = Path(name).suffix or "no suffix"
    return f"Ignored, as its file format is not supported ({suffix}). Documents end in {', '.join(SUFFIXES)}."


def too_large(size: int) -> str | None:
    """The sentence about a file that is too large; None for one that is not."""
    if size <= MOST_BYTES:
        return None
    return f"{size:,} bytes; a document has at most {MOST_BYTES:,} bytes (50 MB). Part it."


def file_name(name: str) -> str:
    """A safe name on this machine for a document of that name, with its suffix."""
    last = name.rsplit("/", 1)[-1].replace("\0", "")
    if last in ("", ".", "..") or len(last.encode("utf-8", "surrogatepass")) > _MOST_NAME_BYTES:
        return f"document{Path(last).suffix[:20]}"
    return last


def read_file(path: Path) -> ReadDocument:
    """The text of a document. Raises BadDocument for one that gives none, in a sentence."""
    reader = reader_of(path)
    if reader is read_plain_text and path.suffix.lower() in _BINARY:
        raise BadDocument(f"{path.name}: its name ends in {path.suffix}, and its content is something else. Rename it.")
    unread: list[Unread] = []
    text = DocumentText.of(_sections(reader(path), unread))
    if not text.text.strip():
        raise BadDocument(f"{path.name}: a document without text. Leave it out.")
    return ReadDocument(text=text, unread=_told([each for each in unread if each.reason != _BLANK]))


def _sections(parts: Iterator[Section | Unread], unread: list[Unread]) -> Iterator[Section]:
    for part in parts:
        if isinstance(part, Unread):
            unread.append(part)
        else:
            yield part


def _told(unread: list[Unread]) -> str | None:
    if not unread:
        return None
    places = ", ".join(each.place for each in unread[:_MOST_PLACES])
    more = f" and {len(unread) - _MOST_PLACES} more" if len(unread) > _MOST_PLACES else ""
    reasons = "; ".join(dict.fromkeys(each.reason for each in unread))
    return f"Not read: {places}{more} ({reasons}). The rest is indexed."
