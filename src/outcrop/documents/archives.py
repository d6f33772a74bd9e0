"""Zip archives that are documents (DOCX, EPUB), with an end to what is unpacked of them."""

import zipfile
import zlib
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from outcrop.documents.section import BadDocument, reason_of

_MOST_MEMBERS = 20_000
_MOST_BYTES = 256 * 2**20
"Unpacked, of one part: the text of 200 novels."
_MOST_IN_ALL = 1024 * 2**20
_READ_BYTES = 256 * 1024
_BROKEN = (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, ValueError, RuntimeError)


class Archive:
    """An open archive; `form` is what it is said to be, for messages."""

    def __init__(self, file: zipfile.ZipFile, *, name: str, form: str) -> None:
        self.name = name
        self.form = form
        self._file = file
        self._left = _MOST_IN_ALL
        self.members = {info.filename: info for info in file.infolist()}

    def read(self, member: str) -> bytes:
        """A part of the archive, unpacked. Raises BadDocument for one that is missing, encrypted, broken or a bomb."""
        return b"".join(self.pieces(member))

    def pieces(self, member: str) -> Generator[bytes, None, None]:
        """A part of the archive, unpacked piece by piece."""
        info = self.members.get(member)
        if info is None:
            raise self.bad(f"it has no {member}")
        if info.flag_bits & 1:
            raise BadDocument(f"{self.name}: an encrypted {self.form}. Save it without a password.")
        most = min(_MOST_BYTES, self._left)
        try:
            with self._file.open(info) as stream:
                yield from self._bounded(stream, most)
        except _BROKEN as error:
            raise self.bad(f"{member} cannot be unpacked: {reason_of(error)}") from error

    def _bounded(self, stream: IO[bytes], most: int) -> Iterator[bytes]:
        num_bytes = 0
        while piece := stream.read(_READ_BYTES):
            num_bytes += len(piece)
            self._left -= len(piece)
            if num_bytes > most:
                raise BadDocument(
                    f"{self.name}: it unpacks to more than {most:,} bytes, as no {self.form} does. Leave it out."
                )
            yield piece

    def bad(self, why: str) -> BadDocument:
        """The error that the archive is not what it is said to be."""
        return BadDocument(f"{self.name}: a broken {self.form}: {why}. Save it anew.")


@contextmanager
def open_archive(path: Path, *, form: str) -> Iterator[Archive]:
    """The archive in a file. Raises BadDocument where there is none."""
    try:
        file = zipfile.ZipFile(path)
    except _BROKEN as error:
        raise BadDocument(f"{path.name}: a broken {form}: {reason_of(error)}. Save it anew.") from error
    with file:
        if len(file.infolist()) > _MOST_MEMBERS:
            raise BadDocument(f"{path.name}: it has over {_MOST_MEMBERS:,} parts, as no {form} has. Leave it out.")
        yield Archive(file, name=path.name, form=form)
