"""Encoded records in a file of the machine's own, so that what the preflight has tokenized is not tokenized again.

Written while the records are read, one after the other, so a dataset of any size fits. The file belongs to one run on
one machine: it says for which context length it was made, and is never a model's or a bucket's.
"""

import struct
from array import array
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from outcrop.datasets.encoding import EncodedRecord

_FILE = struct.Struct("<Q")
_RECORD = struct.Struct("<QQQQQ")
_NUMBER = "i"
_NUMBER_BYTES = array(_NUMBER).itemsize
_BUFFER_BYTES = 1024 * 1024


class KeptSequence(NamedTuple):
    """A sequence as it was encoded."""

    ids: npt.NDArray[np.int32]
    learned: npt.NDArray[np.int32]
    "The first of each run of learned ids, and the one behind its last."
    num_bytes: int
    "Bytes of UTF-8 that the learned ids stand for."
    line: int
    file: int = 0
    "Index of the record's file, where a dataset has several."


class EncodedFile:
    """A context in which sequences are written to a file, which is whole when it is left in order."""

    def __init__(self, path: Path, *, context_length: int) -> None:
        self._path = path
        self._making = path.with_name(f".{path.name}.part")
        self._context_length = context_length

    def __enter__(self) -> Self:
        self._file = self._making.open("wb", buffering=_BUFFER_BYTES)
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
        runs = array(_NUMBER, chain.from_iterable(record.learned))
        self._file.write(_RECORD.pack(len(record.ids), len(runs), record.line, record.file, num_bytes))
        self._file.write(record.packed_ids)
        self._file.write(runs)


def read_encoded(path: Path, *, context_length: int) -> Iterator[KeptSequence] | None:
    """The sequences of a file in their order. None when it was made for another context length, or is not there."""
    if not path.is_file():
        return None
    with path.open("rb") as file:
        (made_for,) = _FILE.unpack(file.read(_FILE.size))
    return _sequences(path) if made_for == context_length else None


def _sequences(path: Path) -> Iterator[KeptSequence]:
    with path.open("rb", buffering=_BUFFER_BYTES) as file:
        file.seek(_FILE.size)
        while head := file.read(_RECORD.size):
            num_ids, num_bounds, line, index, num_bytes = _RECORD.unpack(head)
            numbers = np.frombuffer(file.read((num_ids + num_bounds) * _NUMBER_BYTES), dtype=np.int32)
            yield KeptSequence(numbers[:num_ids], numbers[num_ids:].reshape(-1, 2), num_bytes, line, index)
