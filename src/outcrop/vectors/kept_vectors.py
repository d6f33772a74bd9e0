"""The vectors of one index in memory: a matrix that follows its file, and an exact search in it.

A search in three steps. One product of the matrix with the query in float32 gives each distance but for a known error.
Whatever may be among the nearest by that is measured exactly (`distances.py`). The nearest of those are the answer. It
is that of measuring all of them, at the price of one product. n vectors, d dimensions, c candidates.
"""

import threading
from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from outcrop.vectors.columns import MetadataColumns
from outcrop.vectors.distances import Rows, distances, norms
from outcrop.vectors.filters import MetadataClause
from outcrop.vectors.index_file import IndexFile, VectorSnapshot, WholeVector
from outcrop.vectors.records import DistanceMetric, Neighbour

_Number = TypeVar("_Number", bound=np.generic)
_ROUNDING = 2.0**-24
"Of one operation in float32."
_SPARSE = 4
"Where a filter keeps fewer than one of so many, only those are multiplied."


class KeptVectors:
    """A copy of an index file in memory. One thread at a time searches it, and follows the file before."""

    def __init__(self, file: IndexFile, *, dimension: int, metric: DistanceMetric) -> None:
        self._file = file
        self._metric = metric
        self._dimension = dimension
        self._lock = threading.Lock()
        self._begin_anew()

    @property
    def num_bytes(self) -> int:
        """The memory that the values take, about all there is."""
        return self._rows_nd.nbytes

    def nearest(self, query_d: Rows, most: int, clause: MetadataClause | None) -> list[Neighbour]:
        """The nearest vectors that the filter keeps, the nearest first; equally far ones in the order of their keys."""
        with self._lock, self._file.reading() as snapshot:
            self._follow(snapshot)
            slots_n = None if clause is None else np.flatnonzero(self._columns.kept(clause, snapshot, self._slots))
            slots_c = self._candidates(query_d, most, slots_n)
            far_c = distances(self._rows_nd[slots_c], query_d, self._metric)
            chosen = self._chosen(slots_c, far_c, most)
            return [Neighbour(key, far, snapshot.metadata(int(self._ids_n[slot]))) for far, key, slot in chosen]

    def _chosen(self, slots_c: NDArray[np.intp], far_c: Rows, most: int) -> list[tuple[float, str, int]]:
        if len(slots_c) > most:
            among = far_c <= np.partition(far_c, most - 1)[most - 1]
            slots_c, far_c = slots_c[among], far_c[among]
        found = [(float(far), self._keys[slot], int(slot)) for slot, far in zip(slots_c, far_c, strict=True)]
        return sorted(found)[:most]

    def _candidates(self, query_d: Rows, most: int, slots_n: NDArray[np.intp] | None) -> NDArray[np.intp]:
        """The slots that may be among the nearest: all where they are few, or where float32 cannot tell."""
        slots_n = np.arange(self._count) if slots_n is None else slots_n
        lengths_n, length = self._norms_n[slots_n], float(norms(query_d[None])[0])
        if len(slots_n) <= most or not _is_measurable(lengths_n, length):
            return slots_n
        products_n = self._products(query_d, slots_n)
        about_n, error_n = _estimate(products_n, lengths_n, length, len(query_d), self._metric)
        farthest = np.partition(about_n + error_n, most - 1)[most - 1]
        return slots_n[about_n - error_n <= farthest]

    def _products(self, query_d: Rows, slots_n: NDArray[np.intp]) -> NDArray[np.float64]:
        if len(slots_n) * _SPARSE < self._count:
            return (self._rows_nd[slots_n] @ query_d).astype(np.float64)
        return (self._rows_nd[: self._count] @ query_d)[slots_n].astype(np.float64)

    def _follow(self, snapshot: VectorSnapshot) -> None:
        state = snapshot.state()
        if state.number == self._number:
            return
        if self._number < state.oldest:
            self._begin_anew()
        try:
            for vector_id in snapshot.removed_since(self._number):
                self._remove(vector_id)
            self._reserve(state.num_vectors)
            for rows in snapshot.vectors_since(self._number):
                self._put(rows)
        except BaseException:
            self._begin_anew()  # what was half followed answers nothing
            raise
        self._number = state.number

    def _begin_anew(self) -> None:
        self._number = 0
        self._count = 0
        self._slots: dict[int, int] = {}
        "Id -> row of the matrix."
        self._keys: list[str] = []
        self._ids_n = np.empty(0, dtype=np.int64)
        self._norms_n = np.empty(0, dtype=np.float64)
        self._rows_nd: Rows = np.empty((0, self._dimension), dtype=np.float32)
        self._columns = MetadataColumns()

    def _reserve(self, count: int) -> None:
        if count <= len(self._rows_nd):
            return
        size = max(count, len(self._rows_nd) * 3 // 2)
        self._ids_n = _grown(self._ids_n, size)
        self._norms_n = _grown(self._norms_n, size)
        self._rows_nd = _grown(self._rows_nd, size)
        self._columns.reserve(size)

    def _put(self, rows: Sequence[WholeVector]) -> None:
        values_nd = np.frombuffer(b"".join(data for _, _, data, _ in rows), dtype="<f4").reshape(-1, self._dimension)
        slots = [self._slot(vector_id, key) for vector_id, key, _, _ in rows]
        self._rows_nd[slots] = values_nd
        self._norms_n[slots] = norms(values_nd)
        self._columns.put(zip(slots, (metadata for _, _, _, metadata in rows), strict=True))

    def _slot(self, vector_id: int, key: str) -> int:
        slot = self._slots.get(vector_id)
        if slot is None:
            slot = self._slots[vector_id] = self._count
            self._count += 1
            self._ids_n[slot] = vector_id
            self._keys.append(key)
        return slot

    def _remove(self, vector_id: int) -> None:
        """The last row takes the place of the one that goes."""
        slot = self._slots.pop(vector_id, None)
        if slot is None:
            return
        self._count -= 1
        last = self._count
        key = self._keys.pop()
        if slot != last:
            self._keys[slot] = key
            self._ids_n[slot], self._norms_n[slot] = self._ids_n[last], self._norms_n[last]
            self._rows_nd[slot] = self._rows_nd[last]
            self._slots[int(self._ids_n[slot])] = slot
        self._columns.move(last, slot)


def _estimate(
    products_n: NDArray[np.float64],
    lengths_n: NDArray[np.float64],
    length: float,
    dimension: int,
    metric: DistanceMetric,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What orders vectors as their distances do, and how far it may be off, with what float32 cannot tell apart."""
    error = (dimension + 8) * _ROUNDING
    if metric is DistanceMetric.COSINE:
        return -products_n / (lengths_n * length), np.full(len(products_n), error + 8 * _ROUNDING)
    squares_n = lengths_n * lengths_n + length * length
    apart_n = squares_n - 2.0 * products_n
    return apart_n, 2.0 * error * lengths_n * length + 2.0**-48 * squares_n + 8 * _ROUNDING * np.maximum(apart_n, 0.0)


def _grown(values: NDArray[_Number], size: int) -> NDArray[_Number]:
    grown = np.empty((size, *values.shape[1:]), dtype=values.dtype)
    grown[: len(values)] = values
    return grown


def _is_measurable(lengths_n: NDArray[np.float64], length: float) -> bool:
    """Whether float32 has room for the products: neither beyond its largest nor below its smallest numbers."""
    lengths_n = lengths_n[lengths_n > 0]
    if length == 0 or not len(lengths_n):
        return True
    return bool(lengths_n.max() * length < 2.0**100 and lengths_n.min() * length > 2.0**-80)
