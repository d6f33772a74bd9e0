"""The nearest vectors of an index file, found by measuring each: for what memory has no room for.

It is also the plain reference that the search in memory is held to.
"""

import numpy as np
import orjson

from outcrop.vectors.distances import Rows, distances
from outcrop.vectors.filters import MetadataClause
from outcrop.vectors.index_file import IndexFile, WholeVector
from outcrop.vectors.records import DistanceMetric, Neighbour


def scan(
    file: IndexFile, query_d: Rows, most: int, clause: MetadataClause | None, *, metric: DistanceMetric
) -> list[Neighbour]:
    """The nearest vectors that the filter keeps, the nearest first; equally far ones in the order of their keys."""
    best: list[Neighbour] = []
    with file.reading() as snapshot:
        for rows in snapshot.vectors_since(0):
            kept = [row for row in rows if clause is None or _holds(clause, row)]
            best = sorted([*best, *_measured(kept, query_d, metric)], key=lambda each: (each.distance, each.key))[:most]
    return best


def _holds(clause: MetadataClause, row: WholeVector) -> bool:
    metadata = row[3]
    return clause.holds(orjson.loads(metadata) if metadata else {})


def _measured(rows: list[WholeVector], query_d: Rows, metric: DistanceMetric) -> list[Neighbour]:
    values_nd = np.frombuffer(b"".join(data for _, _, data, _ in rows), dtype="<f4").reshape(len(rows), len(query_d))
    far_n = distances(values_nd, query_d, metric)
    return [Neighbour(key, float(far), metadata) for (_, key, _, metadata), far in zip(rows, far_n, strict=True)]
