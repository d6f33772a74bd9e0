"""Queries over 100,000 vectors of 384 values, beside one product in numpy by hand: `make bench-vectors`.

The product by hand holds the matrix, normalized before, and takes the ten largest cosines. It has no keys, no file, no
metadata, no other writers and no order of equals. What the door adds is told in the notes, with the client on the same
machine.
"""

import json
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from bench.measuring import Row, interleaved, lower_is_better, report, seconds
from outcrop.house import House
from outcrop.vectors.index_file import IndexFile
from outcrop.vectors.records import DistanceMetric, PutVector, VectorIndex
from tests.support.servers import running_server

Values = NDArray[np.float32]
COUNT, DIMENSION, BATCH, TIMES = 100_000, 384, 500, 31
YEAR = {"year": {"$gte": 1990}}
"Keeps about a third."


def vectors() -> Values:
    return np.random.default_rng(0).normal(size=(COUNT, DIMENSION)).astype(np.float32)


def new_index(house: House) -> VectorIndex:
    bucket = house.vector_buckets.create("bench", region="us-east-1", tags={})
    return house.vector_indexes.create(bucket.arn, "bench", dimension=DIMENSION, metric=DistanceMetric.COSINE)


def fill(folder: Path, index: VectorIndex, values: Values) -> float:
    """Vectors a second, each batch on the disk before the next."""
    opened = IndexFile(folder / index.file, index.arn)

    def put() -> None:
        for first in range(0, COUNT, BATCH):
            opened.put([
                PutVector(f"key-{number}", values[number].tobytes(), json.dumps({"year": 1900 + number % 135}))
                for number in range(first, first + BATCH)
            ])  # fmt: skip

    return COUNT / seconds(put)


def by_hand(values: Values) -> Callable[[Values], object]:
    rows_nd = values / np.linalg.norm(values, axis=1, keepdims=True)

    def nearest(query_d: Values) -> object:
        cosines_n = rows_nd @ (query_d / np.linalg.norm(query_d))
        best = np.argpartition(-cosines_n, 10)[:10]
        return best[np.argsort(-cosines_n[best])]

    return nearest


def main() -> None:
    values, numbers = vectors(), np.random.default_rng(1)
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder) / "home") as server:
        house = server.platform
        index = new_index(house)
        speed = fill(server.settings.vectors, index, values)

        def query() -> dict[str, list[float]]:
            return {"float32": numbers.normal(size=DIMENSION).tolist()}

        first = seconds(lambda: house.vector_indexes.nearest(index, query(), most=10))
        first_filter = seconds(lambda: house.vector_indexes.nearest(index, query(), most=10, metadata_filter=YEAR))
        hand = by_hand(values)
        found = interleaved(
            {
                "ours": lambda: 1000 * seconds(lambda: house.vector_indexes.nearest(index, query(), most=10)),
                "filter": lambda: (
                    1000 * seconds(lambda: house.vector_indexes.nearest(index, query(), most=10, metadata_filter=YEAR))
                ),
                "hand": lambda: 1000 * seconds(lambda: hand(np.array(query()["float32"], dtype=np.float32))),
            },
            times=TIMES,
        )
        client = server.client("s3vectors")
        wire = statistics.median(
            1000 * seconds(lambda: client.query_vectors(indexArn=index.arn, queryVector=query(), topK=10))
            for _ in range(TIMES)
        )
        batch = [
            {"key": f"new-{number}", "data": {"float32": values[number].tolist()}, "metadata": {"year": 1}}
            for number in range(BATCH)
        ]
        put = statistics.median(
            1000 * seconds(lambda: client.put_vectors(indexArn=index.arn, vectors=batch)) for _ in range(9)
        )
    rows: list[Row] = [
        lower_is_better("a query of ten", ours=found["ours"], peer=found["hand"], unit="ms", goal=0.6),
        lower_is_better("a query with a filter", ours=found["filter"], peer=found["hand"], unit="ms", goal=0.5),
    ]
    report(
        "vectors",
        rows,
        [
            f"{COUNT:,} vectors of {DIMENSION} values; the peer is one product in numpy by hand, without a filter.",
            f"By boto3 on the same cores, QueryVectors takes {wire:.0f} ms and PutVectors of {BATCH} {put:.0f} ms.",
            f"{speed:,.0f} vectors a second are written. The first query takes {first:.2f} s, the first with a filter "
            f"{first_filter:.2f} s.",
        ],
    )


if __name__ == "__main__":
    main()
