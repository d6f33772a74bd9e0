"""A file of records' digests and origins: which records a model learned from, and where each of them stood.

It holds 16 bytes of digest a record, and about one byte of origin. Written in one pass and read lazily, block by block.
A digest says what a record says (`records.digest`), whatever the spelling of its JSON. docs/forgetting.md has the
format for other programs.

    magic      16 bytes: "outcrop records", and the version as one byte
    block      part, count, size, crc32 (uint32 each, little-endian); `size` bytes of origins, zlib; 16 * count bytes of
               digests. The crc32 is of all else in the block. Part 0 is the training data, 1 the first validator, …
    origin     a varint: the distance from the line before, zigzag, times 4; plus 2 for a record that was set aside,
               plus 1 where the file of the dataset changes: its index follows as a varint, and the line is from 0
    end        a block of part 0xFFFFFFFF and count 0; its 8 bytes are the number of records, uint64
"""

import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple, Self

from outcrop.errors import Invalid

VERSION = 1
DIGEST_BYTES = 16
TRAINING = 0
"The part of the training data; validators follow."
_MAGIC = b"outcrop records"
_BLOCK = struct.Struct("<III")
_CRC = struct.Struct("<I")
_END = struct.Struct("<Q")
_END_PART = 0xFFFFFFFF
_RECORDS_PER_BLOCK = 8192


class KnownRecord(NamedTuple):
    """A record by its digest, and where it stood in its dataset."""

    digest: bytes
    line: int
    file: int = 0
    "Index among the files of the dataset."
    part: int = TRAINING
    "Which dataset of the job: TRAINING, or a validator's number from 1."
    set_aside: bool = False
    "Whether it was held out of the training data, and never trained on."


class RecordFile:
    """A context in which known records are written to a file, which is whole when it is left in order."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._making = path.with_name(f".{path.name}.part")
        self._block: list[KnownRecord] = []
        self._num_records = 0

    def __enter__(self) -> Self:
        self._file = self._making.open("wb")
        self._file.write(_MAGIC + bytes([VERSION]))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        try:
            with self._file:
                if error is None:
                    self._flush()
                    self._write(_END_PART, 0, _END.pack(self._num_records), b"")
            if error is None:
                self._making.replace(self._path)
        finally:
            self._making.unlink(missing_ok=True)  # which is gone already where it was whole

    def add(self, record: KnownRecord) -> None:
        """Append one record. Raises OSError when the disk does not take it."""
        if len(self._block) >= _RECORDS_PER_BLOCK or (self._block and self._block[-1].part != record.part):
            self._flush()
        self._block.append(record)

    def _flush(self) -> None:
        if self._block:
            digests = b"".join(record.digest for record in self._block)
            self._write(self._block[0].part, len(self._block), zlib.compress(_origins(self._block)), digests)
            self._num_records += len(self._block)
            self._block = []

    def _write(self, part: int, count: int, first: bytes, then: bytes) -> None:
        head = _BLOCK.pack(part, count, len(first))
        self._file.write(head + _CRC.pack(zlib.crc32(head + first + then)))
        self._file.write(first)
        self._file.write(then)


def read_known(
    path: Path, *, part: int | None = None, open_file: Callable[[Path], BinaryIO] = lambda path: path.open("rb")
) -> Iterator[KnownRecord]:
    """The records of a file in their order, of one part or of all.

    `open_file` opens it where it is sealed. Raises Invalid for a file that is none, damaged, or cut short; OSError.
    """
    with open_file(path) as file:
        head = file.read(len(_MAGIC) + 1)
        if head[:-1] != _MAGIC or len(head) <= len(_MAGIC):
            raise _damaged(path, "it does not begin as one")
        if head[-1] != VERSION:
            raise Invalid(f"{path}: records of version {head[-1]}, and this program reads {VERSION}. Update Outcrop.")
        seen = 0
        while True:
            head = _exactly(file, _BLOCK.size, path)
            number, count, size = _BLOCK.unpack(head)
            (crc,) = _CRC.unpack(_exactly(file, _CRC.size, path))
            seen += count
            if part is not None and number not in (part, _END_PART):
                file.seek(size + count * DIGEST_BYTES, 1)
                continue
            content = _exactly(file, size + count * DIGEST_BYTES, path)
            if zlib.crc32(head + content) != crc:
                raise _damaged(path, "a checksum differs")
            if number == _END_PART:
                if content != _END.pack(seen):
                    raise _damaged(path, "records are missing")
                return
            yield from _records(number, zlib.decompress(content[:size]), content[size:])


def _exactly(file: BinaryIO, size: int, path: Path) -> bytes:
    found = file.read(size)
    if len(found) < size:
        raise _damaged(path, "it is cut short")
    return found


def _damaged(path: Path, what: str) -> Invalid:
    return Invalid(f"{path}: no whole file of records ({what}). Put it back from a backup.")


def _origins(records: Iterable[KnownRecord]) -> bytes:
    told = bytearray()
    file = line = 0
    for record in records:
        moved = record.file != file
        distance = record.line - (0 if moved else line)
        zigzag = distance << 1 if distance >= 0 else (-distance << 1) - 1
        _put(told, zigzag << 2 | record.set_aside << 1 | moved)
        if moved:
            _put(told, record.file)
        file, line = record.file, record.line
    return bytes(told)


def _records(part: int, origins: bytes, digests: bytes) -> Iterator[KnownRecord]:
    values = _varints(origins)
    file = line = 0
    for start in range(0, len(digests), DIGEST_BYTES):
        value = next(values)
        if value & 1:
            file, line = next(values), 0
        zigzag = value >> 2
        line += -(zigzag + 1 >> 1) if zigzag & 1 else zigzag >> 1
        digest = digests[start : start + DIGEST_BYTES]
        yield KnownRecord(digest, line, file=file, part=part, set_aside=bool(value & 2))


def _put(told: bytearray, value: int) -> None:
    """Append a varint: seven bits a byte, the lowest first, the high bit on all but the last."""
    while value > 0x7F:
        told.append(value & 0x7F | 0x80)
        value >>= 7
    told.append(value)


def _varints(content: bytes) -> Iterator[int]:
    value = shift = 0
    for byte in content:
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            yield value
            value = shift = 0
