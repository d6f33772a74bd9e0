"""The meaning of retrieval filters, and those that are refused."""

from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge.filters import read
from outcrop.knowledge.passages import Metadata

CAT: Metadata = {"animal": "cat", "legs": 4, "tame": True, "food": ["fish", "mice"]}


def condition(operator: str, key: str, value: object) -> dict[str, Any]:
    return {operator: {"key": key, "value": value}}


@pytest.mark.parametrize(
    ("operator", "key", "value", "met"),
    [
        ("equals", "animal", "cat", True),
        ("equals", "animal", "Cat", False),
        ("equals", "legs", 4.0, True),
        ("equals", "legs", "4", False),
        ("equals", "tame", True, True),
        ("equals", "tame", 1, False),
        ("equals", "food", "fish", False),
        ("equals", "wings", 2, False),
        ("notEquals", "animal", "dog", True),
        ("notEquals", "animal", "cat", False),
        ("notEquals", "wings", 2, True),
        ("greaterThan", "legs", 3, True),
        ("greaterThan", "legs", 4, False),
        ("greaterThanOrEquals", "legs", 4, True),
        ("lessThan", "legs", 4.5, True),
        ("lessThanOrEquals", "legs", 3, False),
        ("lessThan", "animal", 4, False),
        ("lessThan", "tame", 4, False),
        ("in", "animal", ["dog", "cat"], True),
        ("in", "legs", [2, 4], True),
        ("in", "wings", [2], False),
        ("notIn", "animal", ["dog", "cow"], True),
        ("notIn", "animal", ["cat"], False),
        ("notIn", "wings", [2], False),
        ("startsWith", "animal", "ca", True),
        ("startsWith", "animal", "at", False),
        ("startsWith", "food", "fi", False),
        ("listContains", "food", "mice", True),
        ("listContains", "food", "mic", False),
        ("listContains", "animal", "cat", False),
        ("stringContains", "animal", "at", True),
        ("stringContains", "food", "ice", True),
        ("stringContains", "legs", "4", False),
    ],
)
def test_a_condition_means_what_bedrock_says(operator: str, key: str, value: object, met: bool) -> None:
    assert read(condition(operator, key, value), at="filter").matches(CAT) is met


def test_groups_join_conditions() -> None:
    four, dog = condition("equals", "legs", 4), condition("equals", "animal", "dog")
    assert not read({"andAll": [four, dog]}, at="filter").matches(CAT)
    assert read({"orAll": [four, dog]}, at="filter").matches(CAT)
    assert read({"andAll": [four, {"orAll": [dog, four]}]}, at="filter").matches(CAT)


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            condition("greaterThan", "legs", "4"),
            "filter.greaterThan.value: greaterThan compares with a number, found '4'. Give a number.",
        ),
        (
            condition("lessThan", "legs", True),
            "filter.lessThan.value: lessThan compares with a number, found True. Give a number.",
        ),
        (
            condition("equals", "food", ["fish"]),
            "filter.equals.value: equals compares with a string, a number or a boolean, found a list. Give a string, a number or a boolean.",
        ),
        (
            condition("in", "animal", []),
            "filter.in.value: in compares with a list of strings, numbers or booleans, found an empty list. Give a list of strings, numbers or booleans.",
        ),
        (
            {"orAll": [condition("equals", "a", 1), condition("startsWith", "a", 1)]},
            "filter.orAll[1].startsWith.value: startsWith compares with a string, found 1. Give a string.",
        ),
        (
            {"andAll": [condition("equals", "a", 1)] * 6},
            "filter.andAll: 6 members; a group has at most 5. Combine or remove some.",
        ),
        (
            {"andAll": [{"orAll": [{"andAll": [condition("equals", "a", 1)] * 2}] * 2}] * 2},
            "filter.andAll[0].orAll[0].andAll: groups are nested more than once. Give a group conditions, or groups of conditions.",
        ),
    ],
)
def test_what_cannot_be_compared_is_refused_by_its_place(shape: dict[str, Any], message: str) -> None:
    with pytest.raises(Invalid) as refused:
        read(shape, at="filter")
    assert refused.value.message == message
