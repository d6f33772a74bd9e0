"""An exact search among the vectors of one index, over a matrix in memory that follows the index's file.

A search in three steps. One product of the matrix with the query in float32 gives each distance but for a known error.
Whatever may be among the nearest by that is measured exactly (`distances.py`). The nearest of those are the answer. It
is that of measuring all of them, at the price of one product. n vectors, d dimensions, c candidates.
"""

import threading

import numpy as np
from numpy.typing import NDArray

from outcrop.vectors.distances import Rows, Wide, distances, norms
from outcrop.vectors.filters import MetadataClause
from outcrop.vectors.index_file import IndexFile, VectorSnapshot
from outcrop.vectors.matrix import VectorMatrix
from outcrop.vectors.records import DistanceMetric, Neighbour

Slots = NDArray[np.intp]
_ROUNDING = 2.0**-24
"Of one operation in float32."
_AT_ONCE = 4096
"Rows that are copied together to be measured."
_SPARSE = 4
"Where a filter keeps fewer than one of so many, only those are multiplied."


class KeptVectors:
    """A copy of an index file in memory. One thread at a time searches it, and follows the file before."""

    def __init__(self, file: IndexFile, *, dimension: int, metric: DistanceMetric) -> None:
        self._file = file
        self._metric = metric
        self._dimension = dimension
        self._lock = threading.Lock()
        self._matrix = VectorMatrix(dimension)

    @property
    def num_bytes(self) -> int:
        """The memory that the values take."""
        return self._matrix.num_bytes

    def nearest(self, query_d: Rows, most: int, clause: MetadataClause | None) -> list[Neighbour]:
        """The nearest vectors that the filter keeps, the nearest first; equally far ones in the order of their keys."""
        with self._lock, self._file.reading() as snapshot:
            matrix = self._following(snapshot)
            slots_n = np.arange(matrix.count)
            if clause is not None:
                slots_n = np.flatnonzero(matrix.columns.kept(clause, snapshot, matrix.slots))
            slots_c = self._candidates(query_d, most, slots_n)
            chosen = self._chosen(slots_c, self._measured(slots_c, query_d), most)
            return [Neighbour(key, far, snapshot.metadata(matrix.id_of(slot))) for far, key, slot in chosen]

    def _following(self, snapshot: VectorSnapshot) -> VectorMatrix:
        state, matrix = snapshot.state(), self._matrix
        if matrix.number == state.number:
            return matrix
        # Until it has followed, another stands there: what was half followed answers nothing.
        self._matrix = VectorMatrix(self._dimension)
        if matrix.number < state.oldest:
            matrix = self._matrix
        matrix.follow(snapshot)
        self._matrix = matrix
        return matrix

    def _candidates(self, query_d: Rows, most: int, slots_n: Slots) -> Slots:
        """The slots that may be among the nearest: all where they are few, or where float32 cannot tell."""
        lengths_n, length = self._matrix.norms_n[slots_n], float(norms(query_d[None])[0])
        if len(slots_n) <= most or not _is_measurable(lengths_n, length):
            return slots_n
        products_n = self._products(query_d, slots_n)
        about_n, error_n = _estimate(products_n, lengths_n, length, len(query_d), self._metric)
        farthest = np.partition(about_n + error_n, most - 1)[most - 1]
        near_n: Slots = slots_n[about_n - error_n <= farthest]
        return near_n

    def _products(self, query_d: Rows, slots_n: Slots) -> Wide:
        rows_nd = self._matrix.rows_nd
        if len(slots_n) * _SPARSE < len(rows_nd):
            return (rows_nd[slots_n] @ query_d).astype(np.float64)
        products_n: Wide = (rows_nd @ query_d)[slots_n].astype(np.float64)
        return products_n

    def _measured(self, slots_c: Slots, query_d: Rows) -> Rows:
        far_c = np.empty(len(slots_c), dtype=np.float32)
        for first in range(0, len(slots_c), _AT_ONCE):
            part = slice(first, first + _AT_ONCE)
            far_c[part] = distances(self._matrix.rows_nd[slots_c[part]], query_d, self._metric)
        return far_c

    def _chosen(self, slots_c: Slots, far_c: Rows, most: int) -> list[tuple[float, str, int]]:
        if len(slots_c) > most:
            among = far_c <= np.partition(far_c, most - 1)[most - 1]
            slots_c, far_c = slots_c[among], far_c[among]
        keys = self._matrix.keys
        return sorted((float(far), keys[slot], int(slot)) for slot, far in zip(slots_c, far_c, strict=True))[:most]


def _estimate(
    products_n: Wide, lengths_n: Wide, length: float, dimension: int, metric: DistanceMetric
) -> tuple[Wide, Wide]:
    """Estimates in the order of distances, and how far each may be off, float32's own rounding included."""
    error = (dimension + 8) * _ROUNDING
    if metric is DistanceMetric.COSINE:
        return -products_n / (lengths_n * length), np.full(len(products_n), error + 8 * _ROUNDING)
    squares_n = lengths_n * lengths_n + length * length
    apart_n = squares_n - 2.0 * products_n
    return apart_n, 2.0 * error * lengths_n * length + 2.0**-48 * squares_n + 8 * _ROUNDING * np.maximum(apart_n, 0.0)


def _is_measurable(lengths_n: Wide, length: float) -> bool:
    """Whether float32 has room for the products: neither beyond its largest nor below its smallest numbers."""
    lengths_n = lengths_n[lengths_n > 0]
    if length == 0 or not len(lengths_n):
        return True
    return bool(lengths_n.max() * length < 2.0**100 and lengths_n.min() * length > 2.0**-80)
