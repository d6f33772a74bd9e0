"""Files of scores opened: MusicXML as it is, or MXL, its zip archive, with limits against archives that unfold."""

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from outcrop.errors import Invalid
from outcrop.music.xml_elements import elements

MOST_BYTES = 256 << 20
"A score unpacked; the largest orchestral ones have some 60 MB."
_CONTAINER = "META-INF/container.xml"
_ZIP = b"PK\x03\x04"


@contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The bytes of the MusicXML document in a file, unpacked where the file is an archive."""
    with path.open("rb") as file:
        archive = file.read(4) == _ZIP
        file.seek(0)
        if not archive:
            yield cast(IO[bytes], _Bounded(file, path.name))
            return
        with _archive(path, file) as zipped, zipped.open(_document(zipped, path.name)) as document:
            yield cast(IO[bytes], _Bounded(document, path.name))


@contextmanager
def _archive(path: Path, file: IO[bytes]) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as zipped:
            yield zipped
    except (zipfile.BadZipFile, EOFError, NotImplementedError, RuntimeError) as wrong:
        # RuntimeError is what an encrypted member raises, NotImplementedError an unknown compression.
        raise Invalid(f"{path.name}: not a readable MXL archive: {wrong}. Export the score again.") from wrong


def _document(zipped: zipfile.ZipFile, name: str) -> str:
    """The member that the container names as the score; the first .xml outside META-INF where it names none."""
    members = zipped.namelist()
    if _CONTAINER in members and (named := _named(zipped, name)) in members:
        return named
    for member in members:
        if member.lower().endswith((".xml", ".musicxml")) and not member.startswith("META-INF/"):
            return member
    raise Invalid(f"{name}: the archive holds no MusicXML document. Export the score as MXL again.")


def _named(zipped: zipfile.ZipFile, name: str) -> str:
    with zipped.open(_CONTAINER) as container:
        try:
            for _, element in elements(cast(IO[bytes], _Bounded(container, name)), {"rootfile"}, name=name):
                if element.tag == "rootfile":
                    return element.get("full-path", "")
        except Invalid:
            # Exporters write titles with quotation marks into this file without escaping them; the score itself is
            # found without it.
            return ""
    return ""


class _Bounded:
    """A stream that refuses to give more than a score can have: sizes told by an archive may lie."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file = file
        self._name = name
        self._read = 0

    def read(self, size: int) -> bytes:
        chunk = self._file.read(size)
        self._read += len(chunk)
        if self._read > MOST_BYTES:
            raise Invalid(f"{self._name}: over {MOST_BYTES >> 20} MB unpacked. Split the score, or check the archive.")
        return chunk
