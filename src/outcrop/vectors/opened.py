"""The index files that this process has open, and the copies of them in memory, the last used ones."""

import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outcrop.vectors.filters import MetadataClause
from outcrop.vectors.index_file import IndexFile
from outcrop.vectors.records import Neighbour, VectorIndex

if TYPE_CHECKING:
    from outcrop.vectors.kept_vectors import KeptVectors

MOST_OPEN = 64
MOST_BYTES = 1 << 30
"Of all vectors in memory. An index that alone has more is read from its file at each query."


class OpenIndex:
    """An open index: its file, and its vectors in memory once a query has asked for them."""

    def __init__(self, index: VectorIndex, folder: Path, most_bytes: int) -> None:
        self.file = IndexFile(folder / index.file, index.arn)
        self._index = index
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._kept: KeptVectors | None = None

    @property
    def num_bytes(self) -> int:
        """The memory that its vectors take."""
        kept = self._kept
        return 0 if kept is None else kept.num_bytes

    def nearest(self, query: bytes, most: int, clause: MetadataClause | None) -> list[Neighbour]:
        """The vectors nearest to this one, float32, that the filter keeps."""
        import numpy as np  # the server starts without it

        from outcrop.vectors.scanning import scan

        query_d = np.frombuffer(query, dtype="<f4")
        kept = self._in_memory()
        if kept is None:
            return scan(self.file, query_d, most, clause, metric=self._index.metric)
        return kept.nearest(query_d, most, clause)

    def forget(self) -> None:
        """Let the vectors in memory go."""
        with self._lock:
            self._kept = None

    def _in_memory(self) -> "KeptVectors | None":
        from outcrop.vectors.kept_vectors import KeptVectors

        with self.file.reading() as snapshot:
            num_bytes = snapshot.state().num_vectors * self._index.dimension * 4
        with self._lock:
            if num_bytes > self._most_bytes:
                self._kept = None
            elif self._kept is None:
                self._kept = KeptVectors(self.file, dimension=self._index.dimension, metric=self._index.metric)
            return self._kept


class OpenIndexes:
    """The open indexes of a process. What was not used for the longest time is closed, or let go from memory, first."""

    def __init__(self, folder: Path, *, most_bytes: int = MOST_BYTES) -> None:
        self._folder = folder
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self._open: OrderedDict[str, OpenIndex] = OrderedDict()

    def get(self, index: VectorIndex) -> OpenIndex:
        with self._lock:
            found = self._open.pop(index.file, None) or OpenIndex(index, self._folder, self._most_bytes)
            self._open[index.file] = found
            closed = [self._open.popitem(last=False)[1] for _ in range(len(self._open) - MOST_OPEN)]
        _close(closed)
        return found

    def spare(self) -> None:
        """Let go from memory what is too much; the index used last stays."""
        with self._lock:
            oldest_first = list(self._open.values())
        num_bytes = sum(each.num_bytes for each in oldest_first)
        for each in oldest_first[:-1]:
            if num_bytes <= self._most_bytes:
                return
            num_bytes -= each.num_bytes
            each.forget()

    def close(self, file: str) -> None:
        """Close what is open of this file."""
        with self._lock:
            found = self._open.pop(file, None)
        _close([] if found is None else [found])

    def close_all(self) -> None:
        """Close every file; whoever asks again opens it anew."""
        with self._lock:
            closed = list(self._open.values())
            self._open.clear()
        _close(closed)


def _close(closed: Sequence[OpenIndex]) -> None:
    for each in closed:
        each.file.close()
