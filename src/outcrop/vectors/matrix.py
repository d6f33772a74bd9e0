"""The vectors of one index as a matrix in memory, with their keys, lengths and columns of metadata.

It remembers and finds by row; what is near is measured elsewhere. n vectors, d dimensions.
"""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from outcrop.vectors.columns import MetadataColumns
from outcrop.vectors.distances import Rows, Wide, norms
from outcrop.vectors.index_file import VectorSnapshot, WholeVector

_Number = TypeVar("_Number", bound=np.generic)


class VectorMatrix:
    """The state of an index file after one of its changes; `follow` brings it to a later one."""

    def __init__(self, dimension: int) -> None:
        self.number = 0
        "Of the change that it is after."
        self.count = 0
        self.slots: dict[int, int] = {}
        "Id of a vector -> its row."
        self.keys: list[str] = []
        self.columns = MetadataColumns()
        self._dimension = dimension
        self._ids_n: NDArray[np.int64] = np.empty(0, dtype=np.int64)
        self._norms_n: Wide = np.empty(0, dtype=np.float64)
        self._rows_nd: Rows = np.empty((0, dimension), dtype=np.float32)

    @property
    def rows_nd(self) -> Rows:
        return self._rows_nd[: self.count]

    @property
    def norms_n(self) -> Wide:
        """The length of each vector."""
        return self._norms_n[: self.count]

    @property
    def num_bytes(self) -> int:
        """The memory that the values take, about all there is."""
        return self._rows_nd.nbytes

    def id_of(self, slot: int) -> int:
        return int(self._ids_n[slot])

    def follow(self, snapshot: VectorSnapshot) -> None:
        """Become the state of the snapshot, which is a later one. What fails in the middle is of no use any more."""
        state = snapshot.state()
        for vector_id in snapshot.removed_since(self.number) if self.number else ():
            self._remove(vector_id)
        self._reserve(state.num_vectors)
        for rows in snapshot.vectors_since(self.number):
            self._put(rows)
        self.number = state.number

    def _reserve(self, count: int) -> None:
        if count <= len(self._rows_nd):
            return
        size = max(count, len(self._rows_nd) * 3 // 2)
        self._ids_n = _grown(self._ids_n, size)
        self._norms_n = _grown(self._norms_n, size)
        self._rows_nd = _grown(self._rows_nd, size)
        self.columns.reserve(size)

    def _put(self, rows: Sequence[WholeVector]) -> None:
        values_nd = np.frombuffer(b"".join(data for _, _, data, _ in rows), dtype="<f4").reshape(-1, self._dimension)
        slots = [self._slot(vector_id, key) for vector_id, key, _, _ in rows]
        self._rows_nd[slots] = values_nd
        self._norms_n[slots] = norms(values_nd)
        self.columns.put(zip(slots, (metadata for _, _, _, metadata in rows), strict=True))

    def _slot(self, vector_id: int, key: str) -> int:
        slot = self.slots.get(vector_id)
        if slot is None:
            slot = self.slots[vector_id] = self.count
            self.count += 1
            self._ids_n[slot] = vector_id
            self.keys.append(key)
        return slot

    def _remove(self, vector_id: int) -> None:
        """The last row takes the place of the one that goes."""
        slot = self.slots.pop(vector_id, None)
        if slot is None:
            return
        self.count -= 1
        last = self.count
        key = self.keys.pop()
        if slot != last:
            self.keys[slot] = key
            self._ids_n[slot], self._norms_n[slot] = self._ids_n[last], self._norms_n[last]
            self._rows_nd[slot] = self._rows_nd[last]
            self.slots[self.id_of(slot)] = slot
        self.columns.move(last, slot)


def _grown(values: NDArray[_Number], size: int) -> NDArray[_Number]:
    grown = np.empty((size, *values.shape[1:]), dtype=values.dtype)
    grown[: len(values)] = values
    return grown
