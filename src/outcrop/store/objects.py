"""Files named by 64 digits, equal for equal bytes only: written under a temporary name, brought to the disk, renamed.

A file that has its final name is whole. Which files are still wanted is not known here: the rows that name a digest
are (see `buckets/records.py`), and who removes a file must know that no row does.
"""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from io import FileIO
from pathlib import Path

from outcrop.store.database import DiskFull

_FULL = {errno.ENOSPC, errno.EDQUOT}


class IncomingFile:
    """A file being written under a temporary name."""

    def __init__(self, path: Path, file: FileIO) -> None:
        self.path = path
        self.size = 0
        self._file = file

    def write(self, *pieces: bytes | memoryview) -> None:
        """Raises DiskFull when the data does not fit."""
        with _full_disk_named():
            for piece in pieces:
                self._put(memoryview(piece))
        self.size += sum(map(len, pieces))

    def settle(self) -> None:
        """Bring everything written to the disk; nothing can be written after. Raises DiskFull."""
        with _full_disk_named():
            os.fsync(self._file.fileno())
            self._file.close()

    def _put(self, data: memoryview) -> None:
        while data:  # a disk that is nearly full takes a part
            written = self._file.write(data)
            if not written:
                raise OSError(errno.EIO, f"{self.path}: the file system takes no more bytes and does not say why")
            data = data[written:]


class ObjectFiles:
    """The folder of files by their names: `ab/ab12…`, and `incoming/` for those not yet whole."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._incoming = folder / "incoming"
        for each in (folder, self._incoming):
            each.mkdir(parents=True, exist_ok=True, mode=0o700)

    @property
    def mounts_file(self) -> Path:
        """The record of buckets whose objects are kept elsewhere."""
        return self._folder / "mounts.json"

    @contextmanager
    def incoming(self) -> Iterator[IncomingFile]:
        """A new file to write to. At the end of the `with` it is gone, unless `keep` gave it its final name."""
        path = self._incoming / secrets.token_hex(16)
        with _full_disk_named():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            raw = os.fdopen(descriptor, "wb", buffering=0)  # blocks come whole: a buffer would copy them once more
        try:
            # Closing after a failed write tries to write the rest once more, and fails once more.
            with _full_disk_named(), raw:
                yield IncomingFile(path, raw)
        finally:
            path.unlink(missing_ok=True)

    def keep(self, incoming: IncomingFile, digest: str) -> None:
        """Give a settled file this digest as its final name; an equal file that is there already is replaced.

        Keeping a file that was kept already changes nothing: a transaction that failed may be tried again.
        """
        place = self.path(digest)
        if not incoming.path.exists() and place.exists():
            return
        with _full_disk_named():
            if not place.parent.exists():
                place.parent.mkdir(exist_ok=True, mode=0o700)
                _sync_folder(self._folder)
            incoming.path.rename(place)
            _sync_folder(place.parent)  # else the name may be lost with the power, though the content is not

    def path(self, digest: str) -> Path:
        """Where the content with this digest is, if it is here."""
        return self._folder / digest[:2] / digest

    def remove(self, digest: str) -> None:
        self.path(digest).unlink(missing_ok=True)

    def kept(self) -> Iterator[Path]:
        """Every whole file; its name is its digest."""
        for path in self._folder.glob("??/*"):
            if path.parent != self._incoming:
                yield path

    def unfinished(self) -> Iterator[Path]:
        """Every file still under a temporary name: being written now, or left by a process that died."""
        yield from self._incoming.iterdir()


@contextmanager
def _full_disk_named() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise DiskFull(
                "The disk is full: nothing was stored, and what was stored before is whole. Free some space."
            ) from error
        raise


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
