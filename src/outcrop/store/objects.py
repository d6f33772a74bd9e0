"""Files named by 64 digits, equal for equal bytes only: written under a temporary name, brought to the disk, renamed.

A file that has its final name is whole. Which files are still wanted is not known here: the rows that name a digest
are (see `buckets/records.py`), and who removes a file must know that no row does.

A file that is `passing` goes from our memory to the disk, past the kernel's cache (O_DIRECT in open(2)): it must be on
the disk before it counts anyway, and to fill the cache with a gigabyte can cost more than all else done with it.
"""

import errno
import fcntl
import mmap
import os
import secrets
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from outcrop.store.database import DiskFull

_FULL = {errno.ENOSPC, errno.EDQUOT}
_NOT_SO = {errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS}
"What a file system says that does not let pass its cache, or not in such blocks."
_O_DIRECT = getattr(os, "O_DIRECT", 0)
"0: this system has no such thing."
_BLOCK_BYTES = 4096
"Memory, place and length of what passes the cache are multiples of this; few disks have larger blocks."
_PASSAGE_BYTES = 1024**2
_of_thread = threading.local()


class IncomingFile:
    """A file being written under a temporary name."""

    def __init__(self, path: Path, file: FileIO, *, passing: bool = False) -> None:
        """`passing`: past the kernel's cache, if the file system lets us."""
        self.path = path
        self.size = 0
        self._file = file
        self._rest = b""
        "What is written next: past the cache go whole blocks of the disk only."
        self._passing = False
        if passing and _O_DIRECT:
            with suppress(OSError):  # then it goes through the cache, which is slower and no worse
                self._pass_the_cache(True)

    def write(self, *pieces: bytes) -> None:
        """Raises DiskFull when the data does not fit."""
        with _full_disk_named():
            if self._passing:
                self._pass(pieces)
            else:
                for piece in (self._rest, *pieces):
                    self._put(memoryview(piece))
                self._rest = b""
        self.size += sum(map(len, pieces))

    def settle(self) -> None:
        """Bring everything written to the disk; nothing can be written after. Raises DiskFull."""
        with _full_disk_named():
            if self._passing:
                self._pass_the_cache(False)  # what is left is no whole block
            self._put(memoryview(self._rest))
            os.fsync(self._file.fileno())
            self._file.close()

    def _pass(self, pieces: Sequence[bytes]) -> None:
        """Through memory that lies as a disk wants it; less than a block stays for the next time."""
        room = _passage()
        filled = len(self._rest)
        room[:filled] = self._rest
        for piece in pieces:
            left = memoryview(piece)
            while left:
                taken = left[: len(room) - filled]
                room[filled : filled + len(taken)] = taken
                filled += len(taken)
                left = left[len(taken) :]
                if filled == len(room):
                    self._put(room)
                    filled = 0
        whole = filled - filled % _BLOCK_BYTES
        self._put(room[:whole])
        self._rest = bytes(room[whole:filled])

    def _put(self, data: memoryview) -> None:
        while data:  # a disk that is nearly full takes a part
            try:
                written = self._file.write(data)
            except OSError as error:
                if error.errno not in _NOT_SO or not self._passing:
                    raise
                self._pass_the_cache(False)  # the blocks of this disk are larger, or it took a part of one
                continue
            if not written:
                raise OSError(errno.EIO, f"{self.path}: the file system takes no more bytes and does not say why")
            data = data[written:]

    def _pass_the_cache(self, does: bool) -> None:
        """Raises OSError where the file system has no such way."""
        flags = fcntl.fcntl(self._file, fcntl.F_GETFL)
        fcntl.fcntl(self._file, fcntl.F_SETFL, flags | _O_DIRECT if does else flags & ~_O_DIRECT)
        self._passing = does


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
    def incoming(self, *, passing: bool = False) -> Iterator[IncomingFile]:
        """A new file to write to. At the end of the `with` it is gone, unless `keep` gave it its final name.

        `passing` is for what is large and not read again at once.
        """
        path = self._incoming / secrets.token_hex(16)
        with _full_disk_named():
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            raw = os.fdopen(descriptor, "wb", buffering=0)  # blocks come whole: a buffer would copy them once more
        try:
            # Closing after a failed write tries to write the rest once more, and fails once more.
            with _full_disk_named(), raw:
                yield IncomingFile(path, raw, passing=passing)
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


def _passage() -> memoryview:
    """Memory of this thread that starts at a page, as every mapping does."""
    if not hasattr(_of_thread, "passage"):
        _of_thread.passage = memoryview(mmap.mmap(-1, _PASSAGE_BYTES, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
    found: memoryview = _of_thread.passage
    return found


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
