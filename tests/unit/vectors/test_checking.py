"""Vectors of a request: what fits an index, and the limits of metadata."""

from array import array
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.vectors.checking import check_vectors, values_of
from outcrop.vectors.records import DistanceMetric, VectorIndex


def index(metric: DistanceMetric = DistanceMetric.COSINE) -> VectorIndex:
    return VectorIndex(
        arn="arn", bucket="b", name="i", region="us-east-1", created=datetime(2026, 1, 1, tzinfo=UTC), dimension=2,
        metric=metric, data_type="float32", unfilterable=("text",), file="f",
    )  # fmt: skip


def vector(values: Any = (1.0, 0.1), **more: Any) -> dict[str, Any]:
    return {"key": "k", "data": {"float32": list(values)}, **more}


def refusal(*vectors: dict[str, Any], metric: DistanceMetric = DistanceMetric.COSINE) -> str:
    with pytest.raises(Invalid) as refused:
        check_vectors(index(metric), vectors)
    return refused.value.message


def test_values_become_float32_and_come_back_as_such() -> None:
    (kept,) = check_vectors(index(), [vector(metadata={"page": 3, "tags": ["a", 1, True]})])
    assert values_of(kept.data) == array("f", [1.0, 0.1]).tolist()
    assert kept.metadata == '{"page":3,"tags":["a",1,true]}'


def test_no_metadata_is_as_good_as_an_empty_one() -> None:
    assert [each.metadata for each in check_vectors(index(), [vector(), vector(metadata={})])] == ["", ""]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([1.0], "vector has 1 values, and the index has dimension 2"),
        ([1.0, 2.0, 3.0], "vector has 3 values, and the index has dimension 2"),
        ([1.0, float("nan")], "NaN, Infinity or a value too large for float32"),
        ([1.0, 1e39], "NaN, Infinity or a value too large for float32"),
        ([float("inf"), float("-inf")], "NaN, Infinity or a value too large for float32"),
        ([0.0, 0.0], "a vector of zeros has no direction"),
        ([1e-60, 0.0], "a vector of zeros has no direction"),
    ],
)
def test_a_vector_that_does_not_fit_is_told_with_its_key(values: list[float], told: str) -> None:
    sentence = refusal(vector(), {**vector(values), "key": "bad"})
    assert sentence.startswith("Invalid record for key 'bad': ")
    assert told in sentence


def test_zeros_have_a_place_where_the_metric_is_euclidean() -> None:
    assert len(check_vectors(index(DistanceMetric.EUCLIDEAN), [vector([0.0, 0.0])])) == 1


def test_large_values_whose_sum_is_beyond_float32_are_values() -> None:
    assert len(check_vectors(index(), [vector([3e38, 3e38])])) == 1


@pytest.mark.parametrize(
    ("metadata", "told"),
    [
        ([1], "Metadata must be an object"),
        ({"a": None}, "the metadata 'a' is neither a string, a number or a boolean, nor a list of them"),
        ({"a": {"b": 1}}, "the metadata 'a' is neither"),
        ({"a": [["b"]]}, "the metadata 'a' is neither"),
        ({"a": float("nan")}, "the metadata 'a' is neither"),
        ({"": 1}, "a key of the metadata is empty"),
        ({str(number): number for number in range(51)}, "Metadata object must have at most 50 keys"),
        ({"a": "x" * 2041}, "Filterable metadata must have at most 2048 bytes"),
        ({"a": "é" * 1021}, "Filterable metadata must have at most 2048 bytes"),
        ({"text": "x" * 40_952}, "Metadata must have at most 40960 bytes"),
    ],
)
def test_metadata_beyond_the_limits_is_told_with_its_key(metadata: Any, told: str) -> None:
    assert refusal(vector(metadata=metadata)).startswith(f"Invalid record for key 'k': {told}")


@pytest.mark.parametrize(
    "metadata",
    [
        {"a": "x" * 2040},
        {"a": "é" * 1020},
        {"text": "x" * 40_949},
        {str(number): 0 for number in range(50)},
        {"n": 2**63},
    ],
)
def test_metadata_at_the_limits_is_kept(metadata: Any) -> None:
    assert check_vectors(index(), [vector(metadata=metadata)])
