"""The bytes of objects, wherever they are. They are kept once they arrived, read as blocks, as a body, or as one file.

See `content_records.py` for the three places, and `sweeping.py` for their end.
"""

import hashlib
import logging
import stat
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

from anyio import open_file
from sqlalchemy.engine import Connection

from outcrop import logs
from outcrop.buckets import content_records, refusals, sweeping
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.content_records import JOINED, Piece
from outcrop.buckets.mounts import Mounts
from outcrop.buckets.receiving import BLOCK_BYTES, Promise, Reception
from outcrop.buckets.records import ObjectRecord
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import Body, FileBody
from outcrop.store.database import alone, reading, writing
from outcrop.store.store import Store

_log = logging.getLogger("outcrop.buckets")

_WRITERS = 8
"Threads that hash and write bodies: they wait for the disk, and nobody else for them."
Source = bytes | FileBody
"""A stretch of bytes: here, or in a file."""


class Contents:
    """The bytes of one installation."""

    def __init__(self, store: Store, clock: Clock, mounts: Mounts) -> None:
        self._store = store
        self._clock = clock
        self._mounts = mounts
        self._writers = ThreadPoolExecutor(_WRITERS, "bodies")

    def reception(self, promise: Promise) -> Reception:
        """The reception of bytes that arrive to be kept."""
        return Reception(self._store.objects, promise, self._writers)

    def keep(self, connection: Connection, reception: Reception) -> str:
        """Keep what has settled, within the transaction that names it; returns its digest."""
        if reception.file is None:
            content_records.put_small(connection, reception.digest, reception.small)
        else:
            self._store.objects.keep(reception.file, reception.digest)  # file first, row last: see sweeping.py
        return reception.digest

    def body(self, record: ObjectRecord, stretch: Stretch) -> Body:
        """The bytes of a stretch of an object, to be sent."""
        mounted = self._mounts.at(record.bucket)
        if mounted is not None:
            return mounted.body(record, stretch) if stretch.length else b""
        sources = self._sources(record, stretch)
        if len(sources) == 1:
            return sources[0]
        return _sent(sources) if sources else b""

    def check(self, record: ObjectRecord) -> None:
        """Raises InternalError when the bytes are not there: what is told of an object must be true of them."""
        if self._mounts.at(record.bucket) is None:
            self._sources(record, Stretch(0, record.size))

    def check_part(self, digest: str, size: int, *, of: str) -> None:
        """Raises InternalError when the bytes of an upload's part are not there; `of` names the object."""
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, digest)
        path = self._store.objects.path(digest)
        if small is None and not _is_whole(path, size):
            raise _damaged(of, path)

    def blocks(self, record: ObjectRecord, stretch: Stretch | None = None) -> Iterator[bytes]:
        """The bytes of an object, or of a stretch of it, in blocks."""
        mounted = self._mounts.at(record.bucket)
        if mounted is not None:
            yield from mounted.blocks(record.key, stretch)
            return
        for source in self._sources(record, stretch or Stretch(0, record.size)):
            if isinstance(source, bytes):
                yield source
            else:
                yield from _blocks_of_file(source)

    def blocks_of(self, digest: str, size: int) -> Iterator[bytes]:
        """The bytes of one part of an upload."""
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, digest)
        if small is not None:
            yield small
        else:
            yield from _blocks_of_file(FileBody(path=self._store.objects.path(digest), offset=0, length=size))

    def path(self, record: ObjectRecord) -> Path:
        """The content as one file, to be read only; made when there is none. Open it soon: see `sweeping.py`."""
        elsewhere = self._mounts.at(record.bucket)
        if elsewhere is not None:
            return elsewhere.path(record) or self._fetched(record)
        path = self._store.objects.path(record.digest)
        if _is_whole(path, record.size):
            return path
        with reading(self._store.engine) as connection:
            data = content_records.small(connection, record.digest)
            pieces = content_records.pieces_of(connection, record.digest)
        if data is None and not _are_apart(pieces):
            raise _damaged(f"s3://{record.bucket}/{record.key}", path)
        with refusals.full_disk_refused(), self._store.objects.incoming() as incoming:
            for block in self.blocks(record):
                incoming.write(block)
            incoming.settle()
            with writing(self._store.engine) as connection:
                alone(connection, sweeping.ROOM)
                self._store.objects.keep(incoming, record.digest)
                content_records.note_joined(connection, record.digest, at=self._clock.now() + sweeping.GRACE_OF_PIECES)
        return path

    def read(self, record: ObjectRecord) -> bytes:
        return b"".join(self.blocks(record))

    def _fetched(self, record: ObjectRecord) -> Path:
        """A copy of an object kept elsewhere. It goes with the sweep, like the file of an object that is gone."""
        digest = hashlib.sha256()
        with refusals.full_disk_refused(), self._store.objects.incoming() as incoming:
            for block in self.blocks(record):
                digest.update(block)
                incoming.write(block)
            incoming.settle()
            name = digest.hexdigest()
            with writing(self._store.engine) as connection:
                alone(connection, sweeping.ROOM)
                self._store.objects.keep(incoming, name)
                content_records.note_unwanted(connection, [name], at=self._clock.now() + sweeping.GRACE_OF_PIECES)
        return self._store.objects.path(name)

    def _sources(self, record: ObjectRecord, stretch: Stretch) -> list[Source]:
        if not stretch.length:
            return []
        points = self._store.points
        small = content_records.small_by_point(points, record.digest) if points.possible() else None
        if small is not None:
            return [small[stretch.offset : stretch.offset + stretch.length]]
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, record.digest)
            pieces = [] if small is not None else content_records.pieces_of(connection, record.digest)
            if small is not None:
                return [small[stretch.offset : stretch.offset + stretch.length]]
            if not _are_apart(pieces):
                return [self._in_file(record, record.digest, record.size, stretch)]
            found: list[Source] = []
            for piece, part in _within(pieces, stretch):
                data = content_records.small(connection, piece.content)
                if data is not None:
                    found.append(data[part.offset : part.offset + part.length])
                else:
                    found.append(self._in_file(record, piece.content, piece.size, part))
            return found

    def _in_file(self, record: ObjectRecord, digest: str, size: int, stretch: Stretch) -> FileBody:
        path = self._store.objects.path(digest)
        if not _is_whole(path, size):
            raise _damaged(f"s3://{record.bucket}/{record.key}", path)
        return FileBody(path=path, offset=stretch.offset, length=stretch.length)


def _are_apart(pieces: list[Piece]) -> bool:
    return any(piece.content != JOINED for piece in pieces)


def _within(pieces: list[Piece], stretch: Stretch) -> Iterator[tuple[Piece, Stretch]]:
    """The pieces that a stretch of the whole touches, each with the stretch of the piece that lies in it."""
    end = stretch.offset + stretch.length
    for piece, after in zip(pieces, accumulate(piece.size for piece in pieces), strict=True):
        before = after - piece.size
        first, last = max(stretch.offset, before), min(end, after)
        if first < last:
            yield piece, Stretch(first - before, last - first)


async def _sent(sources: list[Source]) -> AsyncIterator[bytes]:
    for source in sources:
        if isinstance(source, bytes):
            yield source
            continue
        async with await open_file(source.path, "rb", buffering=0) as file:
            await file.seek(source.offset)
            left = source.length
            while left:
                block = await file.read(min(BLOCK_BYTES, left))
                if not block:
                    raise EOFError(f"{source.path} ended {left} bytes early")
                left -= len(block)
                yield block


def _blocks_of_file(source: FileBody) -> Iterator[bytes]:
    with source.path.open("rb", buffering=0) as file:
        file.seek(source.offset)
        left = source.length
        while left:
            block = file.read(min(BLOCK_BYTES, left))
            if not block:
                raise EOFError(f"{source.path} ended {left} bytes early")
            left -= len(block)
            yield block


def _is_whole(path: Path, size: int) -> bool:
    try:
        state = path.stat()
    except OSError:
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size == size


def _damaged(uri: str, path: Path) -> ServiceRefusal:
    logs.tell(_log, "content missing or cut short", level=logging.ERROR, object=uri, file=str(path))
    return ServiceRefusal(
        "InternalError",
        f"{uri}: its file on the server is missing or cut short. Restore it from a backup, or upload the object again.",
        http_status=500,
    )
