"""Distances between a query and many vectors, exact to float32 and the same for a vector wherever it lies.

They are summed up in float64, row by row, so equal vectors are equally far: the order of equals is that of their keys.
n vectors, d dimensions.
"""

import numpy as np
from numpy.typing import NDArray

from outcrop.vectors.records import DistanceMetric

Rows = NDArray[np.float32]
Wide = NDArray[np.float64]
_AT_ONCE = 1 << 21
"Values that are widened to float64 at once: 16 MB."
_LARGEST = float(np.finfo(np.float32).max)


def distances(rows_nd: Rows, query_d: Rows, metric: DistanceMetric) -> Rows:
    """The distance of each row from the query."""
    step = max(1, _AT_ONCE // max(1, query_d.size))
    found_n = np.empty(len(rows_nd), dtype=np.float32)
    wide_d = query_d.astype(np.float64)
    for first in range(0, len(rows_nd), step):
        found_n[first : first + step] = _exact(rows_nd[first : first + step].astype(np.float64), wide_d, metric)
    return found_n


def norms(rows_nd: Rows) -> Wide:
    """The length of each row."""
    step = max(1, _AT_ONCE // max(1, rows_nd.shape[1]))
    found_n = np.empty(len(rows_nd), dtype=np.float64)
    for first in range(0, len(rows_nd), step):
        wide_nd = rows_nd[first : first + step].astype(np.float64)
        found_n[first : first + step] = np.sqrt((wide_nd * wide_nd).sum(axis=1))
    return found_n


def _exact(rows_nd: Wide, query_d: Wide, metric: DistanceMetric) -> Wide:
    if metric is DistanceMetric.EUCLIDEAN:
        apart_nd = rows_nd - query_d
        far_n: Wide = np.minimum(np.sqrt((apart_nd * apart_nd).sum(axis=1)), _LARGEST)
        return far_n
    lengths_n = np.sqrt((rows_nd * rows_nd).sum(axis=1)) * np.sqrt((query_d * query_d).sum())
    cosines_n = (rows_nd * query_d).sum(axis=1) / lengths_n
    turned_n: Wide = np.clip(1.0 - cosines_n, 0.0, 2.0)
    return turned_n
