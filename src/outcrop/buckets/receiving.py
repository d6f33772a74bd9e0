"""Bytes that arrive: kept aside while hashlib takes their digests, then held to their promise.

What is small stays in memory; more goes into a file under a temporary name. Nothing counts before `settle`. Of what is
not small no SHA-256 is taken unless the sender promised one: it costs more than receiving, writing and every other
digest together.
"""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Self

from anyio import CancelScope

from outcrop.buckets import checksums, refusals
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.buckets.content_records import SMALL_BYTES
from outcrop.buckets.encryption import ContentSeal
from outcrop.keys import sealed_content
from outcrop.keys.sealed_content import Sealing
from outcrop.store.objects import IncomingFile, ObjectFiles

MAX_SINGLE_BYTES = 5 * 1024**3
BLOCK_BYTES = 1024**2
IN_FLIGHT_BYTES = 512 * 1024
"Of each body that arrives: there may be dozens at once, and two such blocks of each are held."


@dataclass(frozen=True, kw_only=True)
class Promise:
    """The checksums and size that a sender states of the bytes; checked once all are here."""

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
        self, files: ObjectFiles, promise: Promise, writers: Executor, seal: ContentSeal | None = None
    ) -> None:
        """`writers` hash and write what is not small: neither holds the interpreter's lock.

        `seal`: what is kept is sealed with it, and nothing of it is written in clear.
        """
        self.size = 0
        self.writers = writers
        self.file: IncomingFile | None = None
        self._files = files
        self._promise = promise
        self._small = bytearray()
        self._drawn = secrets.token_hex(32)
        self._seal = seal
        self._sealing: Sealing | None = None
        # An entity tag that says nothing of the plaintext needs no digest of it, which costs more than all the rest.
        no_md5 = seal is not None and seal.hides_digests and promise.content_md5 is None
        self._md5 = None if no_md5 else hashlib.md5(usedforsecurity=False)
        self._sha256 = None if promise.sha256 is None else hashlib.sha256()
        self._checksum = None if promise.algorithm is None else checksums.running(promise.algorithm)
        self._opened = ExitStack()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._opened.close()

    @property
    def digest(self) -> str:
        """The name of the content, of 64 hexadecimal digits: its SHA-256 where that was taken, else drawn at random.

        What is sealed has a drawn one: whoever sees names alone must not learn what is behind them.
        """
        if self._sha256 is None or self._seal is not None:
            return self._drawn
        return self._sha256.hexdigest()

    @property
    def small(self) -> bytes:
        """All of it as it is kept, when there is no file."""
        return bytes(self._small) if self._seal is None else sealed_content.seal(self._small, self._seal.data_key)

    @property
    def etag(self) -> str:
        if self._md5 is None or (self._seal is not None and self._seal.hides_digests):
            return self._drawn[:32]  # as at Amazon: of 32 digits, and no MD5
        return self._md5.hexdigest()

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
            pieces = (bytes(self._small), *pieces)
            self.size, self._small = 0, bytearray()
        self._store(pieces)
        self._hash(pieces)

    def settle(self) -> None:
        """Bring a file to the disk. Raises BadDigest when a promise is broken, and writes nothing more."""
        if self.file is None:
            # Of little a SHA-256 costs nothing, and equal contents share a row.
            self._sha256 = hashlib.sha256()
            self._hash([bytes(self._small)])
        if self._md5 is not None:
            checksums.check_md5(self._promise.content_md5, self._md5.digest())
        checksum = self.checksum
        if checksum is not None:
            in_trailer = self._promise.trailers.get(f"x-amz-checksum-{checksum.algorithm.lower()}")
            checksums.check_value(checksum, self._promise.checksum or in_trailer)
        if self._promise.sha256 is not None and self._sha256 is not None:
            computed = self._sha256.hexdigest()
            if self._promise.sha256 != computed:
                raise refusals.payload_mismatch(self._promise.sha256, computed)
        if self.file is not None:
            if self._sealing is not None:
                self.file.write(self._sealing.finish())
            self.file.settle()

    def _store(self, pieces: Sequence[bytes]) -> None:
        """Put what is too much to be small into the file. Raises EntityTooLarge, DiskFull."""
        self.size += _size(pieces)
        if self.size > MAX_SINGLE_BYTES:
            raise refusals.entity_too_large(MAX_SINGLE_BYTES)
        if self.file is None:
            self.file = self._opened.enter_context(self._files.incoming())
            if self._seal is not None:
                self._sealing = Sealing(self._seal.data_key)
                self.file.write(self._sealing.head)
        if self._sealing is not None:
            self.file.write(self._sealing.update(*pieces))
        else:
            self.file.write(*pieces)

    def _hash(self, pieces: Sequence[bytes]) -> None:
        for running in (self._md5, self._sha256, self._checksum):
            if running is not None:
                for piece in pieces:
                    running.update(piece)


def _size(pieces: Sequence[bytes]) -> int:
    return sum(map(len, pieces))


async def receive(chunks: AsyncIterator[bytes], into: Reception) -> None:
    """Write every chunk into the reception: a small body at once, a longer one block by block.

    A block is written in a thread, while the next one arrives.
    """
    block, ended = await _block(chunks, SMALL_BYTES)
    if ended:
        into.write(*block)
        return
    loop = asyncio.get_running_loop()
    while block:
        writing = loop.run_in_executor(into.writers, into.write, *block)
        try:
            block, ended = ([], True) if ended else await _block(chunks, IN_FLIGHT_BYTES)
        finally:
            with CancelScope(shield=True):  # the file is closed next, so nobody may be writing to it
                await asyncio.wait([writing])
            failure = writing.exception()
        if failure is not None:
            raise failure


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
