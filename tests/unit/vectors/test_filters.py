"""Filters over metadata: what each operator keeps, and what is no filter."""

from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.vectors import filters

SONG: dict[str, Any] = {"genre": ["jazz", "live"], "year": 1959, "rating": 4.5, "mono": True, "title": "So What"}


@pytest.mark.parametrize(
    ("given", "keeps"),
    [
        ({}, True),
        ({"title": "So What"}, True),
        ({"title": "so what"}, False),
        ({"title": {"$eq": "So What"}}, True),
        ({"genre": "jazz"}, True),
        ({"genre": {"$ne": "jazz"}}, False),
        ({"genre": {"$ne": "rock"}}, True),
        ({"missing": {"$ne": "rock"}}, True),
        ({"missing": "rock"}, False),
        ({"year": 1959.0}, True),
        ({"year": "1959"}, False),
        ({"mono": True}, True),
        ({"mono": 1}, False),
        ({"year": {"$gt": 1958}}, True),
        ({"year": {"$gt": 1959}}, False),
        ({"year": {"$gte": 1959, "$lt": 1960}}, True),
        ({"year": {"$gte": 1959, "$lt": 1959}}, False),
        ({"year": {"$lte": 1958.5}}, False),
        ({"title": {"$gt": 0}}, False),
        ({"mono": {"$gt": 0}}, False),
        ({"genre": {"$in": ["rock", "live"]}}, True),
        ({"genre": {"$nin": ["rock", "live"]}}, False),
        ({"missing": {"$in": ["rock"]}}, False),
        ({"missing": {"$nin": ["rock"]}}, True),
        ({"missing": {"$exists": False}}, True),
        ({"year": {"$exists": True}}, True),
        ({"year": {"$exists": False}}, False),
        ({"$and": [{"year": 1959}, {"mono": False}]}, False),
        ({"$or": [{"year": 1960}, {"mono": True}]}, True),
        ({"$or": [{"$and": [{"year": 1959}, {"genre": "jazz"}]}, {"year": 1}], "rating": {"$lt": 5}}, True),
        ({"year": 1959, "mono": False}, False),
    ],
)
def test_a_filter_keeps_what_it_says(given: dict[str, Any], keeps: bool) -> None:
    assert filters.read(given).holds(SONG) is keeps


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ([], "filter: expected an object of keys and conditions, found an empty list."),
        ("jazz", "filter: expected an object of keys and conditions, found a string."),
        ({"$and": []}, "filter.$and: expected a list of filters that is not empty, found an empty list."),
        ({"$or": {"year": 1}}, "filter.$or: expected a list of filters that is not empty, found an object."),
        ({"$or": ["a"]}, "filter.$or[0]: expected an object of keys and conditions, found a string."),
        ({"$not": {}}, "filter: '$not' is no operator over filters. Use $and or $or, or the name of a key."),
        ({"year": {}}, "filter.year: expected a value or an operator, found an empty object."),
        ({"year": {"$near": 3}}, "filter.year.$near: '$near' is no operator. There are $eq, $ne, $gt"),
        ({"year": {"$gt": "1959"}}, "filter.year.$gt: expected a number, found a string."),
        ({"year": {"$gt": True}}, "filter.year.$gt: expected a number, found a boolean."),
        ({"year": None}, "filter.year: expected a string, a number or a boolean, found null. $in takes a list."),
        ({"year": [1959]}, "filter.year: expected a string, a number or a boolean, found a list. $in takes a list."),
        ({"year": {"$in": []}}, "filter.year.$in: expected a list of strings, numbers and booleans that is not empty"),
        ({"year": {"$nin": [[1]]}}, "filter.year.$nin: expected a list of strings, numbers and booleans"),
        ({"year": {"$exists": 1}}, "filter.year.$exists: expected true or false, found a number."),
        ({"$and": [{"text": "a"}]}, "filter.$and[0]: the key 'text' is one of this index's non-filterable metadata"),
    ],
)
def test_what_is_no_filter_is_told_with_its_place(given: Any, sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        filters.read(given, unfilterable=["text"])
    assert refused.value.message.startswith(sentence)


def test_filters_in_filters_end_somewhere() -> None:
    given: dict[str, Any] = {"year": 1}
    for _ in range(filters.DEEPEST):
        given = {"$and": [given]}
    assert filters.read(given).holds({"year": 1})
    with pytest.raises(Invalid, match="more than 32 deep"):
        filters.read({"$or": [given]})
