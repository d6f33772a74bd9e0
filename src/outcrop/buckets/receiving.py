"""Bytes that arrive: written under a temporary name while their digests are taken, then held to their promise."""

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field

from anyio import to_thread

from outcrop.buckets import checksums, refusals
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.store.objects import IncomingFile

MAX_SINGLE_BYTES = 5 * 1024**3
BLOCK_BYTES = 1024**2


@dataclass(frozen=True, kw_only=True)
class Promise:
    """What the sender says about the bytes; checked once all are here."""

    algorithm: Algorithm | None = None
    "The checksum to take, and to keep with the object."
    checksum: str | None = None
    content_md5: str | None = None
    trailers: Mapping[str, str] = field(default_factory=dict)
    "Headers after the body, complete when it has ended: a checksum may stand there."


NOTHING_PROMISED = Promise()


class Reception:
    """An arriving object or part: feed it with `write`, then `settle` it."""

    def __init__(self, incoming: IncomingFile, promise: Promise) -> None:
        self.incoming = incoming
        self._promise = promise
        self._md5 = hashlib.md5(usedforsecurity=False)
        self._checksum = None if promise.algorithm is None else checksums.running(promise.algorithm)

    @property
    def size(self) -> int:
        return self.incoming.size

    @property
    def etag(self) -> str:
        return self._md5.hexdigest()

    @property
    def checksum(self) -> Checksum | None:
        if self._checksum is None or self._promise.algorithm is None:
            return None
        return Checksum(algorithm=self._promise.algorithm, value=checksums.encoded(self._checksum.digest()))

    def write(self, data: bytes) -> None:
        if self.size + len(data) > MAX_SINGLE_BYTES:
            raise refusals.entity_too_large(MAX_SINGLE_BYTES)
        self.incoming.write(data)
        self._md5.update(data)
        if self._checksum is not None:
            self._checksum.update(data)

    def settle(self) -> None:
        """Bring the file to the disk. Raises BadDigest when a promise is broken, and writes nothing more."""
        checksums.check_md5(self._promise.content_md5, self._md5.digest())
        checksum = self.checksum
        if checksum is not None:
            in_trailer = self._promise.trailers.get(f"x-amz-checksum-{checksum.algorithm.lower()}")
            checksums.check_value(checksum, self._promise.checksum or in_trailer)
        self.incoming.settle()


class Assembly:
    """The parts of an upload becoming one file, and the checksum over all of it when one is wanted."""

    def __init__(self, incoming: IncomingFile, algorithm: Algorithm | None) -> None:
        self.incoming = incoming
        self._algorithm = algorithm
        self._checksum = None if algorithm is None else checksums.running(algorithm)

    @property
    def checksum(self) -> Checksum | None:
        if self._checksum is None or self._algorithm is None:
            return None
        return Checksum(algorithm=self._algorithm, value=checksums.encoded(self._checksum.digest()))

    def write(self, data: bytes) -> None:
        self.incoming.write(data)
        if self._checksum is not None:
            self._checksum.update(data)


async def receive(chunks: AsyncIterator[bytes], into: Reception) -> None:
    """Feed every chunk, in a thread and in blocks: writing and hashing must not hold up the event loop."""
    waiting: list[bytes] = []
    size = 0
    async for chunk in chunks:
        waiting.append(chunk)
        size += len(chunk)
        if size >= BLOCK_BYTES:
            await to_thread.run_sync(into.write, b"".join(waiting))
            waiting, size = [], 0
    if waiting:
        await to_thread.run_sync(into.write, b"".join(waiting))
