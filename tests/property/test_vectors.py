"""Laws of vector indexes: a search in memory is the plain scan of the file, whatever was put and taken out before."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outcrop.vectors import filters, index_file
from outcrop.vectors.index_file import IndexFile
from outcrop.vectors.kept_vectors import KeptVectors
from outcrop.vectors.records import DistanceMetric, Neighbour, PutVector
from outcrop.vectors.scanning import scan

VALUE = st.sampled_from([-2.0, -1.0, -0.5, 0.25, 1.0, 1.0000001, 3.0])
WIDE = VALUE | st.sampled_from([1e-30, 1e30, 3e38, 1e-40])
KEY = st.sampled_from([f"key-{number}" for number in range(12)])
PRIMITIVE = st.sampled_from(["a", "b", 0, 1, 2.5, True, False])
METADATA = st.dictionaries(st.sampled_from("xyz"), PRIMITIVE | st.lists(PRIMITIVE, max_size=3), max_size=3)
CONDITION = st.one_of(
    PRIMITIVE,
    st.builds(lambda name, value: {name: value}, st.sampled_from(["$eq", "$ne"]), PRIMITIVE),
    st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$gt", "$gte", "$lt", "$lte"]), st.sampled_from([0, 1, 2.5])
    ),
    st.builds(
        lambda name, value: {name: value},
        st.sampled_from(["$in", "$nin"]),
        st.lists(PRIMITIVE, min_size=1, max_size=3),
    ),
    st.builds(lambda value: {"$exists": value}, st.booleans()),
)
FILTER = st.recursive(
    st.dictionaries(st.sampled_from("xyz"), CONDITION, max_size=2),
    lambda inner: st.builds(
        lambda name, value: {name: value}, st.sampled_from(["$and", "$or"]), st.lists(inner, min_size=1, max_size=3)
    ),
    max_leaves=4,
)


def put_of(key: str, values: list[float], metadata: dict[str, Any]) -> PutVector:
    data = np.array(values, dtype=np.float32)
    if not data.any():
        data[0] = 1.0
    return PutVector(key, data.tobytes(), json.dumps(metadata) if metadata else "")


def puts(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[PutVector]]:
    vector = st.builds(put_of, KEY, st.lists(values, min_size=3, max_size=3), METADATA)
    return st.lists(vector, min_size=1, max_size=6)


def steps(values: st.SearchStrategy[float]) -> st.SearchStrategy[list[Any]]:
    return st.lists(puts(values) | st.lists(KEY, min_size=1, max_size=4).map(tuple), max_size=8)


@contextmanager
def new_file() -> Iterator[IndexFile]:
    with TemporaryDirectory() as folder:
        file = IndexFile.make(Path(folder) / "index.sqlite", "arn")
        yield file
        file.close()


def take(file: IndexFile, step: Any) -> None:
    if isinstance(step, tuple):
        file.remove(step)
    else:
        file.put(step)


@settings(deadline=None, max_examples=60)
@given(steps=steps(WIDE), query=st.lists(WIDE, min_size=3, max_size=3), metric=st.sampled_from(DistanceMetric),
       most=st.integers(1, 15), wanted=st.none() | FILTER)  # fmt: skip
def test_after_every_step_memory_answers_as_the_file_does(
    steps: list[Any], query: list[float], metric: DistanceMetric, most: int, wanted: Any
) -> None:
    query_d = np.array(query, dtype=np.float32)
    clause = None if wanted is None else filters.read(wanted)
    with new_file() as file:
        kept = KeptVectors(file, dimension=3, metric=metric)
        for step in steps:
            take(file, step)
            assert kept.nearest(query_d, most, clause) == scan(file, query_d, most, clause, metric=metric)


@settings(deadline=None, max_examples=40)
@given(steps=steps(VALUE), query=st.lists(VALUE, min_size=3, max_size=3))
def test_any_sequence_of_changes_equals_an_index_made_of_what_is_left(steps: list[Any], query: list[float]) -> None:
    left: dict[str, PutVector] = {}
    with new_file() as file, new_file() as fresh:
        for step in steps:
            take(file, step)
            if isinstance(step, tuple):
                left = {key: vector for key, vector in left.items() if key not in step}
            else:
                left |= {vector.key: vector for vector in step}
        fresh.put(list(left.values()))
        query_d = np.array(query, dtype=np.float32)
        found = [
            KeptVectors(each, dimension=3, metric=DistanceMetric.COSINE).nearest(query_d, 100, None)
            for each in (file, fresh)
        ]
        assert found[0] == found[1]
        assert {each.key for each in found[0]} == set(left)
        assert len(file.get([*left], data=True, metadata=True)) == len(left)


@pytest.mark.parametrize("metric", DistanceMetric)
def test_ten_thousand_vectors_are_searched_as_they_are_scanned(metric: DistanceMetric) -> None:
    numbers = np.random.default_rng(7)
    values_nd = numbers.normal(size=(10_000, 96)).astype(np.float32)
    values_nd[5000:5400] = values_nd[0]  # many equals, and many that nearly are
    values_nd[6000:6400] = values_nd[1] * (1 + numbers.normal(size=(400, 96)) * 1e-7).astype(np.float32)
    with new_file() as file:
        for first in range(0, 10_000, 500):
            file.put([
                PutVector(f"{9999 - number}", values_nd[number].tobytes(), json.dumps({"n": number % 50}))
                for number in range(first, first + 500)
            ])  # fmt: skip
        kept = KeptVectors(file, dimension=96, metric=metric)
        for wanted in (None, {"n": 3}, {"n": {"$lt": 40}}):
            clause = None if wanted is None else filters.read(wanted)
            for query_d in (values_nd[0], values_nd[1], numbers.normal(size=96).astype(np.float32)):
                assert kept.nearest(query_d, 30, clause) == scan(file, query_d, 30, clause, metric=metric)


def test_equals_come_in_the_order_of_their_keys() -> None:
    with new_file() as file:
        file.put([put_of(key, [1.0, 2.0, 2.0], {}) for key in ("c", "a", "é", "B", "b")])
        kept = KeptVectors(file, dimension=3, metric=DistanceMetric.EUCLIDEAN)
        query_d = np.array([1.0, 2.0, 0.0], dtype=np.float32)
        assert kept.nearest(query_d, 3, None) == [Neighbour(key, 2.0, "") for key in ("B", "a", "b")]


def test_a_copy_that_cannot_follow_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(index_file, "_MOST_REMOVED", 2)
    query_d = np.array([1.0, 0.0, 0.0], dtype=np.float32)
    with new_file() as file:
        file.put([put_of(f"{number}", [1.0, number, 0.0], {"n": number}) for number in range(9)])
        kept = KeptVectors(file, dimension=3, metric=DistanceMetric.COSINE)
        assert len(kept.nearest(query_d, 20, filters.read({"n": {"$gte": 0}}))) == 9
        file.remove([f"{number}" for number in range(8)])  # more than are remembered
        with file.reading() as snapshot:
            assert snapshot.removed_since(0) == []
        assert [each.key for each in kept.nearest(query_d, 20, filters.read({"n": {"$gte": 0}}))] == ["8"]


def test_an_empty_index_answers_nothing() -> None:
    with new_file() as file:
        kept = KeptVectors(file, dimension=3, metric=DistanceMetric.COSINE)
        query_d = np.ones(3, dtype=np.float32)
        assert kept.nearest(query_d, 5, None) == kept.nearest(query_d, 5, filters.read({"x": 1})) == []
