"""Plain text read as a document, in parts that end at blank lines: files of any size pass."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from outcrop.documents.section import BadDocument, Section

_PART_LETTERS = 64 * 1024
"A part ends at the first blank line after so many; without one, at the end of the line."
_LONGEST_LETTERS = 1024 * 1024
"A line longer than this is given in pieces."
_READ_BYTES = 256 * 1024
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OTHERS = {"cp932": "CP932", "euc_jp": "EUC-JP", "cp1252": "CP1252"}


def read_plain_text(path: Path) -> Iterator[Section]:
    """The parts of a text file, whose texts in a row are the file's. Raises BadDocument for bytes that are no text."""
    start = line = 0
    for part in _parts(letters_of(path)):
        yield Section(document=path.name, place=f"line {line + 1}", start=start, text=part)
        start += len(part)
        line += part.count("\n")


def letters_of(path: Path) -> Iterator[str]:
    """The text of a file in UTF-8, or marked UTF-16, piece by piece; every line ends with LF."""
    with path.open("rb") as file:
        head = file.read(4)
        file.seek(0)
        encoding = "utf-16" if head.startswith(_UTF_16) and not head.startswith(codecs.BOM_UTF32_LE) else "utf-8-sig"
        decoder, line = codecs.getincrementaldecoder(encoding)(), 1
        pending = ""
        while True:
            content = file.read(_READ_BYTES)
            try:
                text = pending + decoder.decode(content, final=not content)
            except UnicodeDecodeError as error:
                line += error.object[: error.start].count(b"\n")
                raise _other_encoding(path, line) from error
            if "\0" in text:
                raise BadDocument(f"{path.name}: binary data, not text. Name a file of text.")
            pending = "\r" if text.endswith("\r") and content else ""
            text = text.removesuffix(pending).replace("\r\n", "\n").replace("\r", "\n")
            line += text.count("\n")
            if text:
                yield text
            if not content:
                return


def _parts(pieces: Iterator[str]) -> Iterator[str]:
    held = ""
    for piece in pieces:
        held += piece
        while len(held) > _PART_LETTERS:
            end = _end(held)
            if end is None:
                break
            yield held[:end]
            held = held[end:]
    if held:
        yield held


def _end(held: str) -> int | None:
    """Where a part may end; None when more of the text has to be seen."""
    blank = held.find("\n\n", _PART_LETTERS)
    if blank >= 0:
        blank += 2
        while blank < len(held) and held[blank] == "\n":
            blank += 1
        return blank
    if len(held) < _LONGEST_LETTERS:
        return None
    line = held.rfind("\n")
    return line + 1 if line >= 0 else _LONGEST_LETTERS


def _other_encoding(path: Path, line: int) -> BadDocument:
    with path.open("rb") as file:
        head = file.read(_READ_BYTES)
    for name, asked in _OTHERS.items():
        try:
            codecs.getincrementaldecoder(name)().decode(head)
        except UnicodeDecodeError:
            continue
        return BadDocument(
            f"{path.name}: line {line}: not UTF-8, perhaps {asked}. "
            f"Turn it into UTF-8: iconv -f {asked} -t UTF-8 FILE > NEW"
        )
    return BadDocument(f"{path.name}: line {line}: not UTF-8, nor another encoding that is known. Name a file of text.")
