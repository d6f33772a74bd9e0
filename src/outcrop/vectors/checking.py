"""Vectors of a request, checked against their index and written as they are kept. Nothing is cut or left out.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html
"""

import math
from array import array
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import orjson

from outcrop.errors import Invalid
from outcrop.vectors.filters import is_primitive
from outcrop.vectors.records import DistanceMetric, PutVector, VectorIndex

MOST_KEYS = 50
MOST_BYTES = 40 * 1024
"Of all metadata of a vector, as JSON in UTF-8."
MOST_FILTERABLE_BYTES = 2048
_LONGEST_NAME = 80


def check_vectors(index: VectorIndex, vectors: Iterable[Mapping[str, Any]]) -> list[PutVector]:
    """The vectors of PutVectors as they are written. Raises Invalid with the key of the first that cannot be."""
    checked = []
    for vector in vectors:
        where = f"Invalid record for key '{vector['key']}'"
        data = float32_of(index, vector["data"], where)
        checked.append(PutVector(vector["key"], data, _metadata(index, vector.get("metadata"), where)))
    return checked


def float32_of(index: VectorIndex, data: Mapping[str, Any], where: str) -> bytes:
    """The values of a vector as float32. Raises Invalid unless it fits the index; `where` begins the sentence."""
    values: Sequence[float] | None = data.get("float32")
    if values is None:
        raise Invalid(f"{where}: the vector has no values. Give them as float32.")
    if len(values) != index.dimension:
        raise Invalid(
            f"{where}: vector has {len(values)} values, and the index has dimension {index.dimension}. Give as many."
        )
    kept = array("f", values)
    if not all(map(math.isfinite, kept)):
        raise Invalid(f"{where}: vector contains NaN, Infinity or a value too large for float32. Give finite values.")
    if index.metric is DistanceMetric.COSINE and not any(kept):
        raise Invalid(f"{where}: a vector of zeros has no direction, and the index's metric is cosine.")
    return kept.tobytes()


def values_of(data: bytes) -> list[float]:
    """The values of a vector that was kept."""
    return array("f", data).tolist()


def _metadata(index: VectorIndex, given: Any, where: str) -> str:
    if given is None or given == {}:
        return ""
    if not isinstance(given, dict):
        raise Invalid(f"{where}: Metadata must be an object of keys and values.")
    if len(given) > MOST_KEYS:
        raise Invalid(f"{where}: Metadata object must have at most {MOST_KEYS} keys")
    for key, value in given.items():
        _check_value(key, value, where)
    written = _written(given)
    if len(written) > MOST_BYTES:
        raise Invalid(f"{where}: Metadata must have at most {MOST_BYTES} bytes")
    if _filterable_bytes(given, index.unfilterable) > MOST_FILTERABLE_BYTES:
        raise Invalid(f"{where}: Filterable metadata must have at most {MOST_FILTERABLE_BYTES} bytes")
    return written.decode()


def _written(metadata: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(metadata)
    except TypeError as error:  # a number of more than 64 bits
        raise Invalid(f"Metadata has a value that cannot be kept: {error}.") from error


def _filterable_bytes(metadata: Mapping[str, Any], unfilterable: Collection[str]) -> int:
    filterable = {key: value for key, value in metadata.items() if key not in unfilterable}
    return len(_written(filterable)) if filterable else 0


def _can_be_kept(value: Any) -> bool:
    return is_primitive(value) and (not isinstance(value, float) or math.isfinite(value))


def _check_value(key: str, value: Any, where: str) -> None:
    name = key[:_LONGEST_NAME]
    if not key:
        raise Invalid(f"{where}: a key of the metadata is empty. Give it a name.")
    elements = value if isinstance(value, list) else [value]
    if not all(map(_can_be_kept, elements)):
        raise Invalid(
            f"{where}: the metadata {name!r} is neither a string, a number or a boolean, nor a list of them. Leave it "
            "out, or write it as a string."
        )
