"""Encoded records in a file of the machine's own, so that what the preflight has tokenized is not tokenized again.

Written while the records are read, one after the other, so a dataset of any size fits. The file belongs to one run on
one machine: it says for which context length it was made, and is never a model's or a bucket's.
"""

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from outcrop.datasets.encoding import EncodedRecord

_FILE = struct.Struct("<Q")
_RECORD = struct.Struct("<QQQI")
_ID = "i"
_ID_BYTES = array(_ID).itemsize


class SequenceWithSize(NamedTuple):
    """A sequence as it was encoded, with the bytes of UTF-8 that its supervised ids stand for."""

    record: EncodedRecord
    num_bytes: int


class EncodedFile:
    """A context in which sequences are written to a file, which is whole when it is left in order."""

    def __init__(self, path: Path, *, context_length: int) -> None:
        self._path = path
        self._making = path.with_name(f".{path.name}.part")
        self._context_length = context_length

    def __enter__(self) -> Self:
        self._file = self._making.open("wb")
        self._file.write(_FILE.pack(self._context_length))
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        self._file.close()
        if error is None:
            self._making.replace(self._path)
        else:
            self._making.unlink(missing_ok=True)

    def add(self, record: EncodedRecord, num_bytes: int) -> None:
        """Append one sequence. Raises OSError when the disk does not take it."""
        self._file.write(_RECORD.pack(len(record.ids), record.line, num_bytes, record.file))
        self._file.write(array(_ID, record.ids).tobytes())
        self._file.write(bytes(record.supervised))


def read_encoded(path: Path, *, context_length: int) -> Iterator[SequenceWithSize] | None:
    """The sequences of a file in their order. None when it was made for another context length, or is not there."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        (made_for,) = _FILE.unpack(file.read(_FILE.size))
    return _sequences(path) if made_for == context_length else None


def _sequences(path: Path) -> Iterator[SequenceWithSize]:
    with path.open("rb") as file:
        file.seek(_FILE.size)
        while head := file.read(_RECORD.size):
            num_ids, line, num_bytes, index = _RECORD.unpack(head)
            ids = array(_ID, file.read(num_ids * _ID_BYTES))
            supervised = [bool(counts) for counts in file.read(num_ids)]
            record = EncodedRecord(ids=ids.tolist(), supervised=supervised, line=line, file=index)
            yield SequenceWithSize(record, num_bytes)
