"""Sections of documents: the parts with a heading or a page of their own that every reader of `reading.py` gives."""

from dataclasses import dataclass

from outcrop.errors import Invalid, MachineTrouble

_LONGEST_REASON = 100


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a document with its place; all texts of a document in a row are the document's text."""

    document: str
    "The file's name; in a dump of many articles, the article's title too."
    headings: tuple[str, ...] = ()
    "The path of headings down to this part, the outermost first."
    page: int | None = None
    "Counted from 1, where the document has pages."
    place: str
    "Where in the file, e.g. `line 12`, `page 3`, `chapter-2.xhtml`."
    start: int
    "Characters of the document before this section."
    text: str


@dataclass(frozen=True, kw_only=True)
class Unread:
    """A part of a document that gave no text, and why."""

    document: str
    place: str
    reason: str


class BadDocument(Invalid):
    """A file that gives no text: broken, encrypted, or of another form."""


def reason_of(error: Exception) -> str:
    """The reason that a library gives for an error, short enough for a sentence."""
    reason = "".join(char if char.isprintable() else " " for char in str(error)).strip().rstrip(".")
    return (reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}…") or type(error).__name__


def absent(package: str, form: str) -> MachineTrouble:
    """The error of a form whose library is not installed; the other documents wait for it."""
    return MachineTrouble(
        f"{form} is read by {package}, which is not installed. Install it: pip install 'outcrop[data]'"
    )
