"""Documents of any form read as sections: the one door to this room.

The form is told by what a file begins with, and by its name only where text looks like any other text.
"""

import bz2
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from outcrop.documents.delimited import read_delimited
from outcrop.documents.epub import read_epub
from outcrop.documents.json_texts import read_json_texts
from outcrop.documents.markdown import read_markdown
from outcrop.documents.pdf.reading import read_pdf
from outcrop.documents.plain_text import read_plain_text
from outcrop.documents.section import BadDocument, Section, Unread, reason_of
from outcrop.documents.web_page import read_web_page
from outcrop.documents.wikipedia import read_wikipedia
from outcrop.documents.word_document import read_word_document
from outcrop.documents.workbook import read_workbook

TABLES = (".csv", ".tsv", ".xlsx", ".xls")
"Files of tables, which no recipe takes for the text of a corpus."
SUFFIXES = (".txt", ".md", ".markdown", ".html", ".htm", ".xhtml", ".docx", ".epub", ".pdf", ".xml", ".bz2", ".jsonl")
"By which files of a folder are taken for documents."
Reader = Callable[[Path], Iterator[Section | Unread]]

_HEAD_BYTES = 4096
_BLOCK_BYTES = 1 << 20
_ENCRYPTED = "EncryptedPackage".encode("utf-16-le")
_FORMS = "Plain text, Markdown, HTML, DOCX, EPUB, PDF, CSV, XLSX, dumps of Wikipedia and JSON Lines are read"
_OLE = b"\xd0\xcf\x11\xe0"
"Old files of Office programs begin so, and encrypted ones."
_REFUSED: tuple[tuple[bytes, str], ...] = (
    (_OLE, "an old Office document, or an encrypted one. Save it as DOCX, without a password"),
    (b"{\\rtf", "a document in RTF. Save it as DOCX"),
    (b"\xfd7zXZ\x00", "compressed with xz. Unpack it: unxz FILE"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard. Unpack it: unzstd FILE"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive. Unpack it, and name the files inside"),
    (b"Rar!", "a RAR archive. Unpack it, and name the files inside"),
    (b"\x89PNG", "a picture. Have it read first: ocrmypdf FILE NEW.pdf"),
    (b"\xff\xd8\xff", "a picture. Have it read first: ocrmypdf FILE NEW.pdf"),
)


def read_document(path: Path) -> Iterator[Section | Unread]:
    """The sections of a document in order, and those of its parts that gave no text.

    Raises BadDocument, in a sentence, for a file that is broken, encrypted, without text, or of a form not read.
    """
    yield from reader_of(path)(path)


def reader_of(path: Path) -> Reader:
    """The reader of a file's form. Raises BadDocument for a form that is not read."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    if not head.strip():
        raise BadDocument(f"{path.name}: an empty file. Leave it out.")
    if head.startswith(_OLE) and _is_encrypted(path):
        raise BadDocument(f"{path.name}: an encrypted Office document. Save it without a password.")
    if head.startswith(_OLE) and path.suffix.lower() in TABLES:
        return read_workbook
    for start, what in _REFUSED:
        if head.startswith(start):
            raise BadDocument(f"{path.name}: {what}.")
    if b"%PDF-" in head[:1024]:
        return read_pdf
    if head.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if head.startswith((b"BZh", b"\x1f\x8b")):
        return _compressed(path, head)
    return _of_text(path, head)


def _is_encrypted(path: Path) -> bool:
    """Whether a compound file is the cover of an encrypted document: that lies in a stream of this name."""
    before = b""
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            if _ENCRYPTED in before + block:
                return True
            before = block[-len(_ENCRYPTED) :]
    return False


def _zipped(path: Path) -> Reader:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as error:
        form = {".docx": "Word document", ".epub": "EPUB"}.get(path.suffix.lower(), "zip archive")
        raise BadDocument(f"{path.name}: a broken {form}: {reason_of(error)}. Save it anew.") from error
    if "word/document.xml" in names:
        return read_word_document
    if "META-INF/container.xml" in names:
        return read_epub
    if any(name.startswith("xl/") for name in names):
        return read_workbook
    if any(name.startswith("ppt/") for name in names):
        raise BadDocument(f"{path.name}: slides of an Office program, not a text. Save it as PDF.")
    raise BadDocument(f"{path.name}: a zip archive. Unpack it, and name the files inside: unzip FILE")


def _compressed(path: Path, head: bytes) -> Reader:
    try:
        start = bz2.BZ2Decompressor().decompress(_more(path, 1_000_000), _HEAD_BYTES) if head.startswith(b"BZh") else (
            zlib.decompressobj(wbits=31).decompress(head, _HEAD_BYTES)
        )  # fmt: skip
    except (OSError, zlib.error, ValueError) as error:
        raise BadDocument(f"{path.name}: cannot be unpacked: {reason_of(error)}. Fetch it again.") from error
    if b"<mediawiki" in start[:_HEAD_BYTES]:
        return read_wikipedia
    how = "bunzip2" if head.startswith(b"BZh") else "gunzip"
    raise BadDocument(f"{path.name}: compressed, and no dump of Wikipedia. Unpack it: {how} FILE")


def _more(path: Path, size: int) -> bytes:
    with path.open("rb") as file:
        return file.read(size)


def _of_text(path: Path, head: bytes) -> Reader:
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    suffix = path.suffix.lower()
    if b"<mediawiki" in start:
        return read_wikipedia
    lower = start[:2000].lower()
    if lower.startswith((b"<!doctype html", b"<html")) or b"<html" in lower or suffix in (".html", ".htm", ".xhtml"):
        return read_web_page
    if start.startswith(b"<?xml"):
        raise BadDocument(f"{path.name}: XML of a form that is not read. {_FORMS}.")
    if suffix in (".csv", ".tsv"):
        return read_delimited
    if suffix in (".jsonl", ".ndjson"):
        return read_json_texts
    return read_markdown if suffix in (".md", ".markdown") else read_plain_text
