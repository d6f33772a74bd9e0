"""Vector buckets and the indexes in them, as values: what is on record of each, and what a vector is."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, TypeAlias

from outcrop.store.damage import understood
from outcrop.store.resources import Resource

BUCKET, INDEX = "vector-bucket", "vector-index"
ACTIVE = "Active"
MOST_BUCKETS, MOST_INDEXES = 10_000, 10_000
"Of a region, and of a bucket: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html"

VectorMetadata: TypeAlias = "Mapping[str, str | int | float | bool | Sequence[str | int | float | bool]]"


class DistanceMetric(StrEnum):
    """How far two vectors are from each other; the less, the more alike."""

    COSINE = "cosine"
    "1 - their cosine: 0 to 2."
    EUCLIDEAN = "euclidean"
    "The length of their difference."


@dataclass(frozen=True, kw_only=True)
class VectorBucket:
    """A vector bucket on record."""

    arn: str
    name: str
    region: str
    created: datetime
    policy: str | None
    "JSON, as it was put."

    @classmethod
    def of(cls, row: Resource) -> "VectorBucket":
        """Raises Damaged."""
        with understood(row.arn):
            document = row.document
            policy = document["policy"]
            return cls(
                arn=row.arn,
                name=str(document["bucket"]),
                region=row.region,
                created=row.created,
                policy=None if policy is None else str(policy),
            )


@dataclass(frozen=True, kw_only=True)
class VectorIndex:
    """A vector index on record."""

    arn: str
    bucket: str
    name: str
    region: str
    created: datetime
    dimension: int
    metric: DistanceMetric
    data_type: str
    "float32, the one there is."
    unfilterable: tuple[str, ...]
    "Keys of metadata that no filter may name."
    file: str
    "The name of the file that holds its vectors."

    @classmethod
    def of(cls, row: Resource) -> "VectorIndex":
        """Raises Damaged."""
        with understood(row.arn):
            document = row.document
            return cls(
                arn=row.arn,
                bucket=str(document["bucket"]),
                name=str(document["index"]),
                region=row.region,
                created=row.created,
                dimension=int(document["dimension"]),
                metric=DistanceMetric(document["metric"]),
                data_type=str(document["dataType"]),
                unfilterable=tuple(map(str, document["unfilterable"])),
                file=str(document["file"]),
            )


class PutVector(NamedTuple):
    """A vector to be put, as it is written: float32 in bytes, metadata as JSON."""

    key: str
    data: bytes
    metadata: str
    "Empty where it has none."


class StoredVector(NamedTuple):
    """A vector as its index holds it."""

    id: int
    "Grows with each new key; a key that is put again keeps its own."
    key: str
    data: bytes | None
    "float32; None where it was not asked for."
    metadata: str | None
    "JSON, empty where it has none; None where it was not asked for."


class Neighbour(NamedTuple):
    """A vector that answers a query."""

    key: str
    distance: float
    metadata: str
    "JSON, empty where it has none."
