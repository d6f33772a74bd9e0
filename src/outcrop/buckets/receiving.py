"""Bytes that arrive: kept aside while their digests are taken, then held to their promise.

What is small stays in memory; more goes into a file under a temporary name. Nothing counts before `settle`. Of what is
not small no SHA-256 is taken unless the sender promised one: it costs more than receiving, writing and every other
digest together.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from anyio import CancelScope

from outcrop.buckets import checksums, refusals
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.buckets.content_records import SMALL_BYTES
from outcrop.digests import library as digests
from outcrop.digests.library import Digest, DigestKind
from outcrop.digests.streams import Stream, Streams
from outcrop.store.objects import IncomingFile, ObjectFiles

MAX_SINGLE_BYTES = 5 * 1024**3
BLOCK_BYTES = 1024**2
IN_FLIGHT_BYTES = 512 * 1024
"Of each body that arrives: there may be dozens at once, and two such blocks of each are held."


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the sender says about the bytes; checked once all are here."""

    algorithm: Algorithm | None = None
    "The checksum to take, and to keep with the object."
    checksum: str | None = None
    content_md5: str | None = None
    sha256: str | None = None
    "What the signature of the request says of its body."
    trailers: Mapping[str, str] = field(default_factory=dict)
    "Headers after the body, complete when it has ended: a checksum may stand there."
    size: int | None = None
    "How many bytes are to come, where that is known."

    @property
    def is_small(self) -> bool:
        return self.size is not None and self.size <= SMALL_BYTES


NOTHING_PROMISED = Promise()


class Reception:
    """An arriving object or part: feed it with `write`, then `settle` it. Leaving the `with` drops what is not kept."""

    def __init__(
        self, files: ObjectFiles, promise: Promise, streams: Streams, writers: Executor, *, passing: bool
    ) -> None:
        """`writers` write what is not small; `passing`: past the kernel's cache."""
        self.size = 0
        self.writers = writers
        self.file: IncomingFile | None = None
        self._files = files
        self._passing = passing
        self._promise = promise
        self._streams = streams
        self._stream: Stream | None = None
        self._of_small: dict[DigestKind, Digest] = {}
        self._small = bytearray()
        self._drawn = secrets.token_hex(32)
        self._checksum = None if promise.algorithm is None else checksums.running(promise.algorithm)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def digest(self) -> str:
        """The name of the content, of 64 hexadecimal digits: its SHA-256 where that was taken, else drawn at random."""
        return self._taken(DigestKind.SHA256).hexdigest() if self._names_by_content else self._drawn

    @property
    def small(self) -> bytes:
        """All of it, when there is no file."""
        return bytes(self._small)

    @property
    def etag(self) -> str:
        return self._taken(DigestKind.MD5).hexdigest()

    @property
    def checksum(self) -> Checksum | None:
        if self._checksum is None or self._promise.algorithm is None:
            return None
        return Checksum(algorithm=self._promise.algorithm, value=checksums.encoded(self._checksum.digest()))

    def write(self, *pieces: bytes) -> None:
        """Keep these bytes and take their digests. Raises EntityTooLarge, DiskFull."""
        if self.file is None and self.size + _size(pieces) <= SMALL_BYTES:
            self.size += _size(pieces)
            self._small += b"".join(pieces)
            return
        if self._small:
            pieces = (self.small, *pieces)
            self.size, self._small = 0, bytearray()
        taking = self.take(pieces)
        try:
            self.store(pieces)
        finally:
            taking.result()

    def take(self, pieces: Sequence[bytes]) -> Future[None]:
        """Take the digests of what is too much to be small, in another thread; what came before must be done."""
        if self._stream is None:
            kinds = (DigestKind.MD5,) if self._promise.sha256 is None else (DigestKind.MD5, DigestKind.SHA256)
            self._stream = self._opened.enter_context(self._streams.stream(*kinds))
        return self._stream.take(pieces)

    def store(self, pieces: Sequence[bytes]) -> None:
        """Put what is too much to be small into the file. Raises EntityTooLarge, DiskFull."""
        self.size += _size(pieces)
        if self.size > MAX_SINGLE_BYTES:
            raise refusals.entity_too_large(MAX_SINGLE_BYTES)
        if self.file is None:
            self.file = self._opened.enter_context(self._files.incoming(passing=self._passing))
        self.file.write(*pieces)
        if self._checksum is not None:
            for piece in pieces:
                self._checksum.update(piece)

    def settle(self) -> None:
        """Bring a file to the disk. Raises BadDigest when a promise is broken, and writes nothing more."""
        if self.file is None:
            self._of_small = {kind: digests.plain(kind, self.small) for kind in DigestKind}
            if self._checksum is not None:
                self._checksum.update(self.small)
        checksums.check_md5(self._promise.content_md5, self._taken(DigestKind.MD5).digest())
        checksum = self.checksum
        if checksum is not None:
            in_trailer = self._promise.trailers.get(f"x-amz-checksum-{checksum.algorithm.lower()}")
            checksums.check_value(checksum, self._promise.checksum or in_trailer)
        if self._promise.sha256 is not None and self._promise.sha256 != self.digest:
            raise refusals.payload_mismatch(str(self._promise.sha256), self.digest)
        if self.file is not None:
            self.file.settle()

    @property
    def _names_by_content(self) -> bool:
        """Of little it costs nothing, and equal contents share a row."""
        return self._stream is None or self._promise.sha256 is not None

    def _taken(self, kind: DigestKind) -> Digest:
        return self._of_small[kind] if self._stream is None else self._stream[kind]


def _size(pieces: Sequence[bytes]) -> int:
    return sum(map(len, pieces))


async def receive(chunks: AsyncIterator[bytes], into: Reception) -> None:
    """Feed every chunk: a small body at once, a longer one block by block in threads, while the next block arrives."""
    block, ended = await _block(chunks, SMALL_BYTES)
    if ended:
        into.write(*block)
        return
    loop = asyncio.get_running_loop()
    while block:
        at_work = [asyncio.wrap_future(into.take(block)), loop.run_in_executor(into.writers, into.store, block)]
        try:
            block, ended = ([], True) if ended else await _block(chunks, IN_FLIGHT_BYTES)
        finally:
            with CancelScope(shield=True):  # the file is closed next, so nobody may be writing to it
                await asyncio.wait(at_work)
            failures = [failure for one in at_work if (failure := one.exception())]
        if failures:
            raise failures[0]


async def _block(chunks: AsyncIterator[bytes], size: int) -> tuple[list[bytes], bool]:
    """The next chunks until they are longer than `size`, and whether they were the last. To join them is to copy."""
    pieces: list[bytes] = []
    found = 0
    async for chunk in chunks:
        pieces.append(chunk)
        found += len(chunk)
        if found > size:
            return pieces, False
    return pieces, True
