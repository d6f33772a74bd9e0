"""Sealed contents: bytes under a data key, in chunks, so that any stretch is read without the rest.

A sealed content is its head, and then chunks of AES-256-GCM, each `CHUNK_BYTES` of the plaintext with a tag behind it;
only the last one may be shorter, and an empty content has one empty chunk. The head is the mark, a length, and a JSON
document with the ARN of the KMS key, the encryption context, the encrypted data key and a salt.

What is kept by what:

* **Head**: the key of the chunks is derived (HKDF-SHA-256) from the data key and the digest of the whole head, salt
  included. Another head is another key, so no head can be changed, and a data key may seal many contents.
* **Order**: the nonce of a chunk is its number, so none can be exchanged for another, of this content or a second one.
* **Length**: the nonce of the last chunk is marked, and opening a content reads that chunk. What was cut off, at a
  chunk's end too, and what was put behind it, is found before a byte is given out (STREAM; Hoang, Reyhanitabar,
  Rogaway, Vizár 2015).

A content is written once, from begin to end. To change one is to write another with a salt of its own: no nonce is
used twice.
"""

import hashlib
import io
import json
import os
import secrets
import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from outcrop.errors import MachineTrouble
from outcrop.keys.envelopes import DataKey, WrappedKey

CHUNK_BYTES = 64 * 1024
TAG_BYTES = 16
_SEALED_CHUNK = CHUNK_BYTES + TAG_BYTES
_MARK = b"outcrop\x01"
_LENGTH = struct.Struct(">I")
_START = len(_MARK) + _LENGTH.size
_MOST_DOCUMENT_BYTES = 64 * 1024
_SALT_BYTES = 16
_PURPOSE = b"outcrop sealed content 1"

Plain = bytes | bytearray | memoryview
ReadAt = Callable[[int, int], bytes]
"Bytes of the sealed content by offset and length; fewer only where it ends."
OpenKey = Callable[[WrappedKey], bytes]


class SealBroken(MachineTrouble):
    """A sealed content that was changed, cut short or lengthened, or a data key that is another's."""


class SealHead(NamedTuple):
    """The head of a sealed content."""

    wrapped: WrappedKey
    packed: bytes
    "As it stands before the chunks."


class Sealing:
    """A content being sealed: its head first, then what `update` and `finish` return, in order."""

    def __init__(self, data_key: DataKey) -> None:
        document = {**data_key.wrapped.document(), "salt": secrets.token_hex(_SALT_BYTES)}
        encoded = json.dumps(document, separators=(",", ":")).encode()
        assert len(encoded) <= _MOST_DOCUMENT_BYTES, "an encryption context has 8 KiB at most"
        self.head = _MARK + _LENGTH.pack(len(encoded)) + encoded
        self._cipher = _cipher(data_key.plaintext, self.head)
        self._rest: Plain = b""
        self._number = 0
        self._room = bytearray()

    def update(self, *pieces: Plain) -> memoryview:
        """The chunks that are complete now, to be written before the next call, which takes their place.

        The last complete one is held back: it may be the end.
        """
        data = memoryview(b"".join((self._rest, *pieces)))  # one copy, so that every chunk lies in one piece
        chunks = max(0, len(data) - 1) // CHUNK_BYTES
        self._rest = data[chunks * CHUNK_BYTES :]
        # Room that is kept: chunks made one by one cost twice as much, for the system gives and takes their pages.
        if len(self._room) < chunks * _SEALED_CHUNK:
            self._room = bytearray(chunks * _SEALED_CHUNK)
        room = memoryview(self._room)
        for chunk in range(chunks):
            plain = data[chunk * CHUNK_BYTES : (chunk + 1) * CHUNK_BYTES]
            into = room[chunk * _SEALED_CHUNK : (chunk + 1) * _SEALED_CHUNK]
            self._cipher.encrypt_into(_nonce(self._number, is_last=False), plain, None, into)
            self._number += 1
        return room[: chunks * _SEALED_CHUNK]

    def finish(self) -> bytes:
        """The last chunk; nothing can be sealed after it."""
        return self._cipher.encrypt(_nonce(self._number, is_last=True), self._rest, None)


class SealedReader:
    """A sealed content, read by stretches of its plaintext; several threads may read at once."""

    def __init__(self, read_at: ReadAt, sealed_size: int, head: SealHead, data_key: bytes, *, name: str) -> None:
        """`name` is what refusals call the content. Raises SealBroken, whatever was changed in its length."""
        self.name = name
        self.wrapped = head.wrapped
        self._read_at = read_at
        self._start = len(head.packed)
        self._chunks, self.size = _measured(sealed_size - self._start, name)
        self._cipher = _cipher(data_key, head.packed)
        self._chunk(self._chunks - 1)  # whose nonce says that it is the last one

    def pread(self, offset: int, length: int) -> bytes:
        """The plaintext from `offset` on; less than `length` only where the content ends. Raises SealBroken."""
        assert offset >= 0, "an offset counts from the beginning"
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        first, last = offset // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        sealed = memoryview(self._read_at(self._start + first * _SEALED_CHUNK, (last + 1 - first) * _SEALED_CHUNK))
        opened = [
            self._opened(number, sealed[(number - first) * _SEALED_CHUNK : (number + 1 - first) * _SEALED_CHUNK])
            for number in range(first, last + 1)
        ]
        before = offset - first * CHUNK_BYTES
        joined = opened[0] if len(opened) == 1 else b"".join(opened)
        return joined if before == 0 and len(joined) == end - offset else joined[before : before + end - offset]

    def pread_into(self, offset: int, buffer: memoryview) -> int:
        """Write the plaintext from `offset` on into the buffer; how much, less than its length at the end alone.

        Whole chunks are decrypted in place: of gigabytes of weights nothing is copied twice. Raises SealBroken, and the
        buffer holds nothing of worth then.
        """
        end = min(offset + len(buffer), self.size)
        if offset >= end:
            return 0
        first, last = offset // CHUNK_BYTES, (end - 1) // CHUNK_BYTES
        sealed = memoryview(self._read_at(self._start + first * _SEALED_CHUNK, (last + 1 - first) * _SEALED_CHUNK))
        for number in range(first, last + 1):
            chunk = sealed[(number - first) * _SEALED_CHUNK : (number + 1 - first) * _SEALED_CHUNK]
            begin = number * CHUNK_BYTES
            until = min(begin + CHUNK_BYTES, self.size)
            into = buffer[max(begin, offset) - offset : min(until, end) - offset]
            if begin >= offset and until <= end:
                self._opened_into(number, chunk, into)
            else:
                into[:] = self._opened(number, chunk)[max(begin, offset) - begin : min(until, end) - begin]
        return end - offset

    def blocks(self, block_bytes: int = 16 * CHUNK_BYTES) -> Iterator[bytes]:
        """The whole plaintext in blocks."""
        for offset in range(0, self.size, block_bytes):
            yield self.pread(offset, block_bytes)

    def _chunk(self, number: int) -> bytes:
        return self._opened(number, self._read_at(self._start + number * _SEALED_CHUNK, _SEALED_CHUNK))

    def _opened_into(self, number: int, sealed: memoryview, into: memoryview) -> None:
        nonce = _nonce(number, is_last=number == self._chunks - 1)
        try:
            self._cipher.decrypt_into(nonce, sealed, None, into)
        except (InvalidTag, ValueError) as error:
            raise _broken(self.name) from error

    def _opened(self, number: int, sealed: bytes | memoryview) -> bytes:
        nonce = _nonce(number, is_last=number == self._chunks - 1)
        try:
            return self._cipher.decrypt(nonce, sealed, None)
        except InvalidTag as error:
            raise _broken(self.name) from error


class StretchFile(io.RawIOBase):
    """A content that is read by stretches, as a file of Python's: to be read, and sought in."""

    def __init__(self, name: str, size: int, read_at: Callable[[int, int], bytes]) -> None:
        """`read_at` takes an offset and a length, and gives fewer bytes at the end alone."""
        self._named = name
        self._size = size
        self._read_at = read_at
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        place = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._size}[whence] + offset
        if place < 0:
            raise ValueError(f"{self._named}: {place} lies before the beginning of the content.")
        self._place = place
        return place

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        found = self._read_at(self._place, min(len(buffer), max(0, self._size - self._place)))
        buffer[: len(found)] = found
        self._place += len(found)
        return len(found)


class SealedFile(StretchFile):
    """The plaintext of a sealed content as a file."""

    def __init__(self, reader: SealedReader, closing: Callable[[], None] = lambda: None) -> None:
        super().__init__(reader.name, reader.size, reader.pread)
        self.reader = reader
        self._closing = closing

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        found = self.reader.pread_into(self._place, memoryview(buffer).cast("B"))
        self._place += found
        return found

    def close(self) -> None:
        if not self.closed:
            self._closing()
        super().close()


def seal(content: Plain, data_key: DataKey) -> bytes:
    """A content that is here whole, sealed."""
    sealing = Sealing(data_key)
    return b"".join([sealing.head, sealing.update(content), sealing.finish()])


def sealed_size(plain_size: int, head_bytes: int) -> int:
    """The size of a content once it is sealed."""
    return head_bytes + plain_size + TAG_BYTES * max(1, -(-plain_size // CHUNK_BYTES))


def is_sealed(beginning: bytes) -> bool:
    """Whether a content begins as sealed ones do."""
    return beginning.startswith(_MARK)


def read_head(read_at: ReadAt, *, name: str) -> SealHead:
    """The head, which says whose key opens the content. Raises SealBroken for what has none."""
    start = read_at(0, _START)
    if len(start) < _START or not is_sealed(start):
        raise SealBroken(f"{name}: no sealed content begins like this. Restore it from a backup.")
    (length,) = _LENGTH.unpack_from(start, len(_MARK))
    document = read_at(_START, length) if length <= _MOST_DOCUMENT_BYTES else b""
    try:
        if len(document) != length or not length:
            raise ValueError("cut short")
        return SealHead(WrappedKey.of(json.loads(document)), start + document)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _broken(name) from error


def open_bytes(content: bytes, open_key: OpenKey, *, name: str) -> SealedReader:
    """A sealed content that is here whole. Raises SealBroken, and what opening its data key raises."""

    def read_at(offset: int, length: int) -> bytes:
        return content[offset : offset + length]

    head = read_head(read_at, name=name)
    return SealedReader(read_at, len(content), head, open_key(head.wrapped), name=name)


def open_file(path: Path, open_key: OpenKey, *, name: str = "") -> BinaryIO:
    """A sealed file, opened for reading as if it were plain. Raises as `open_bytes`, and OSError."""
    return io.BufferedReader(open_raw(path, open_key, name=name), buffer_size=CHUNK_BYTES)


def open_raw(path: Path, open_key: OpenKey, *, name: str = "") -> SealedFile:
    """A sealed file whose `reader` gives any stretch of it; without a buffer of its own."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:

        def read_at(offset: int, length: int) -> bytes:
            return _pread(descriptor, offset, length)

        told = name or str(path)
        head = read_head(read_at, name=told)
        size = os.fstat(descriptor).st_size
        reader = SealedReader(read_at, size, head, open_key(head.wrapped), name=told)
    except BaseException:
        os.close(descriptor)
        raise
    return SealedFile(reader, lambda: os.close(descriptor))


class SealedWriter:
    """A new sealed file: what is written is encrypted on its way, and nothing lies on the disk in clear."""

    def __init__(self, path: Path, data_key: DataKey) -> None:
        self._sealing = Sealing(data_key)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._file.write(self._sealing.head)

    def write(self, data: Plain) -> int:
        self._file.write(self._sealing.update(data))
        return len(data)

    def settle(self) -> None:
        """End the file and bring it to the disk. Without this it opens never: it has no last chunk."""
        self._file.write(self._sealing.finish())
        self._file.flush()
        os.fsync(self._file.fileno())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _measured(body: int, name: str) -> tuple[int, int]:
    """How many chunks a content has, and how many bytes of plaintext. Raises SealBroken for no possible length."""
    chunks = -(-body // _SEALED_CHUNK)
    last = body - (chunks - 1) * _SEALED_CHUNK
    if chunks < 1 or last < TAG_BYTES or (last == TAG_BYTES and chunks > 1):
        raise _broken(name)
    return chunks, body - chunks * TAG_BYTES


def _cipher(data_key: bytes, head: bytes) -> AESGCM:
    salt = hashlib.sha256(head).digest()
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=salt, info=_PURPOSE).derive(data_key))


def _nonce(number: int, *, is_last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if is_last else b"\x00")


def _pread(descriptor: int, offset: int, length: int) -> bytes:
    found = os.pread(descriptor, length, offset)
    while len(found) < length:  # the system may give less than it has
        more = os.pread(descriptor, length - len(found), offset + len(found))
        if not more:
            break
        found += more
    return found


def _broken(name: str) -> SealBroken:
    return SealBroken(
        f"{name}: its sealed bytes were changed or cut short, or belong to another key. Restore it from a backup."
    )
