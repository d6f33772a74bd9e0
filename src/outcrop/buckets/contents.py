"""The bytes of objects, wherever they are. They are kept once they arrived, read as blocks, as a body, or as one file.

See `content_records.py` for the three places, and `sweeping.py` for their end.
"""

import hashlib
import io
import logging
import os
import stat
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import BinaryIO

from anyio import open_file, to_thread
from sqlalchemy.engine import Connection

from outcrop import logs
from outcrop.buckets import content_records, refusals, sweeping
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.content_records import JOINED, Piece
from outcrop.buckets.encryption import ContentSeal, ContentSealing, ObjectEncryption, seal_told
from outcrop.buckets.mounts import Mounts
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import BLOCK_BYTES, Promise, Reception
from outcrop.buckets.records import ObjectRecord
from outcrop.clock import Clock
from outcrop.errors import ServiceRefusal
from outcrop.keys import sealed_content
from outcrop.keys.sealed_content import OpenKey, SealBroken, SealedFile, SealedReader, StretchFile
from outcrop.protocol.http import Body, FileBody
from outcrop.store.database import alone, reading, writing
from outcrop.store.store import Store

_log = logging.getLogger("outcrop.buckets")

_WRITERS = 8
"Threads that hash and write bodies: they wait for the disk, and nobody else for them."


@dataclass(frozen=True, kw_only=True)
class SealedStretch:
    """A stretch of the plaintext of a sealed file."""

    path: Path
    offset: int
    length: int
    open_key: OpenKey
    encryption: ObjectEncryption
    name: str


Source = bytes | FileBody | SealedStretch
"""A stretch of bytes: here, in a file, or in a sealed file."""


class Contents:
    """The bytes of one installation."""

    def __init__(self, store: Store, clock: Clock, mounts: Mounts, sealing: ContentSealing) -> None:
        self._store = store
        self._sealing = sealing
        self._clock = clock
        self._mounts = mounts
        self._writers = ThreadPoolExecutor(_WRITERS, "bodies")

    def reception(self, promise: Promise, seal: ContentSeal | None = None) -> Reception:
        """The reception of bytes that arrive to be kept, sealed where there is a seal."""
        return Reception(self._store.objects, promise, self._writers, seal)

    def seal(self, encryption: ObjectEncryption | None, place: Place) -> ContentSeal | None:
        """The seal of one content that will be at this place. Raises S3's refusals of a key of KMS."""
        if encryption is not None and self._mounts.at(place.bucket) is not None:
            text = f"Encryption in a mounted bucket ({place.bucket})"
            raise refusals.not_built(text, "Leave it out, and set the encryption of the bucket at its own provider.")
        return self._sealing.seal(encryption, place)

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
        if not sources:
            return b""
        first = sources[0]
        if isinstance(first, SealedStretch):  # a key that cannot be used is told before the first byte
            _opened(first).close()
        elif len(sources) == 1:
            return first
        return _sent(sources)

    def check(self, record: ObjectRecord) -> None:
        """Raises InternalError when the bytes are not there: what is told of an object must be true of them."""
        if self._mounts.at(record.bucket) is not None:
            return
        encryption = record.details.encryption
        if encryption is None:
            self._sources(record, Stretch(0, record.size))
            return
        # Without a key: what is told of an object is told whether its key may be used or not.
        with reading(self._store.engine) as connection:
            pieces = content_records.pieces_of(connection, record.digest)
        for digest, size in [(each.content, each.size) for each in pieces] or [(record.digest, record.size)]:
            self.check_part(digest, size, of=_uri(record), is_sealed=True)

    def check_part(self, digest: str, size: int, *, of: str, is_sealed: bool = False) -> None:
        """Raises InternalError when the bytes of an upload's part are not there; `of` names the object."""
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, digest)
        path = self._store.objects.path(digest)
        if small is None and not _is_whole(path, size, is_sealed=is_sealed):
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
            elif isinstance(source, FileBody):
                yield from _blocks_of_file(source)
            else:
                with _opened(source) as file:
                    yield from _stretch_of(file.reader, source)

    def open(self, record: ObjectRecord) -> BinaryIO:
        """The object as a file of Python's, to be read and sought in; sealed ones are opened on the way."""
        if record.details.encryption is None:
            return self.path(record).open("rb")
        # Read by stretches, since the state of its key counts at each of them.
        file = StretchFile(
            record.key, record.size, lambda place, length: b"".join(self.blocks(record, Stretch(place, length)))
        )
        return io.BufferedReader(file, buffer_size=BLOCK_BYTES)

    def blocks_of(self, digest: str, size: int) -> Iterator[bytes]:
        """The bytes of one part of an upload."""
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, digest)
        if small is not None:
            yield small
        else:
            yield from _blocks_of_file(FileBody(path=self._store.objects.path(digest), offset=0, length=size))

    def path(self, record: ObjectRecord) -> Path:
        """The content as one file, to be read only; made when there is none. Open it soon: see `sweeping.py`.

        Of what is sealed there is no such file: see `open`.
        """
        assert record.details.encryption is None, "what is sealed lies nowhere in clear"
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
            return [self._in_row(record, small, stretch)]
        with reading(self._store.engine) as connection:
            small = content_records.small(connection, record.digest)
            pieces = [] if small is not None else content_records.pieces_of(connection, record.digest)
            if small is not None:
                return [self._in_row(record, small, stretch)]
            if not _are_apart(pieces):
                return [self._in_file(record, record.digest, record.size, stretch)]
            found: list[Source] = []
            for piece, part in _within(pieces, stretch):
                data = content_records.small(connection, piece.content)
                if data is not None:
                    found.append(self._in_row(record, data, part))
                else:
                    found.append(self._in_file(record, piece.content, piece.size, part))
            return found

    def _in_row(self, record: ObjectRecord, data: bytes, stretch: Stretch) -> bytes:
        encryption = record.details.encryption
        if encryption is None:
            return data[stretch.offset : stretch.offset + stretch.length]
        name = _uri(record)
        with seal_told(encryption):
            reader = sealed_content.open_bytes(data, self._sealing.opener(encryption), name=name)
            return reader.pread(stretch.offset, stretch.length)

    def _in_file(self, record: ObjectRecord, digest: str, size: int, stretch: Stretch) -> FileBody | SealedStretch:
        path, encryption = self._store.objects.path(digest), record.details.encryption
        if not _is_whole(path, size, is_sealed=encryption is not None):
            raise _damaged(_uri(record), path)
        if encryption is None:
            return FileBody(path=path, offset=stretch.offset, length=stretch.length)
        opener = self._sealing.opener(encryption)
        return SealedStretch(
            path=path,
            offset=stretch.offset,
            length=stretch.length,
            open_key=opener,
            encryption=encryption,
            name=_uri(record),
        )


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
        if isinstance(source, SealedStretch):
            async with aclosing(_sent_sealed(source)) as pieces:
                async for block in pieces:
                    yield block
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


async def _sent_sealed(source: SealedStretch) -> AsyncGenerator[bytes]:
    file = await to_thread.run_sync(_opened, source)
    try:
        place, end = source.offset, source.offset + source.length
        while place < end:
            # To the next border, so that no chunk is opened twice.
            length = min(BLOCK_BYTES - place % BLOCK_BYTES, end - place)
            yield await to_thread.run_sync(file.reader.pread, place, length)
            place += length
    finally:
        file.close()


def _opened(source: SealedStretch) -> SealedFile:
    with seal_told(source.encryption):
        return sealed_content.open_raw(source.path, source.open_key, name=source.name)


def _stretch_of(reader: SealedReader, stretch: SealedStretch) -> Iterator[bytes]:
    place, end = stretch.offset, stretch.offset + stretch.length
    while place < end:
        length = min(BLOCK_BYTES - place % BLOCK_BYTES, end - place)
        with seal_told(stretch.encryption):
            block = reader.pread(place, length)
        yield block
        place += length


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


def _is_whole(path: Path, size: int, *, is_sealed: bool = False) -> bool:
    try:
        state = path.stat()
        if is_sealed:
            size = _sealed_size(path, size)
    except (OSError, SealBroken):
        return False
    return stat.S_ISREG(state.st_mode) and state.st_size == size


def _sealed_size(path: Path, size: int) -> int:
    with path.open("rb", buffering=0) as file:

        def read_at(offset: int, length: int) -> bytes:
            return os.pread(file.fileno(), length, offset)

        return sealed_content.sealed_size(size, len(sealed_content.read_head(read_at, name=str(path)).packed))


def _uri(record: ObjectRecord) -> str:
    return f"s3://{record.bucket}/{record.key}"


def _damaged(uri: str, path: Path) -> ServiceRefusal:
    logs.tell(_log, "content missing or cut short", level=logging.ERROR, object=uri, file=str(path))
    return ServiceRefusal(
        "InternalError",
        f"{uri}: its file on the server is missing or cut short. Restore it from a backup, or upload the object again.",
        http_status=500,
    )
