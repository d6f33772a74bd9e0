"""A filter compiled to columns lets be found what its plain meaning does, on any attributes."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from outcrop.errors import Invalid
from outcrop.knowledge import filters
from outcrop.knowledge.filters import AttributeCondition
from outcrop.knowledge.index.arrays import Mask
from outcrop.knowledge.index.attributes import column, compile_filter
from outcrop.knowledge.passages import Metadata

KEYS = st.sampled_from(["a", "b", "c"])
STRINGS = st.sampled_from(["", "a", "ab", "abc", "日本", "1", "true"])
NUMBERS = st.sampled_from([-1, 0, 1, 1.0, 1.5, 2, 10**20, float("inf")])
SCALARS = STRINGS | NUMBERS | st.booleans()
LISTS = st.lists(STRINGS, max_size=3)
METADATA = st.dictionaries(KEYS, SCALARS | LISTS, max_size=3)


def condition(names: Sequence[str], values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    attribute = st.fixed_dictionaries({"key": KEYS, "value": values})
    return st.tuples(st.sampled_from(names), attribute).map(lambda pair: dict([pair]))


CONDITIONS = st.one_of(
    condition(["equals", "notEquals", "listContains"], SCALARS),
    condition(["greaterThan", "greaterThanOrEquals", "lessThan", "lessThanOrEquals"], NUMBERS),
    condition(["in", "notIn"], st.lists(SCALARS, min_size=1, max_size=3)),
    condition(["startsWith", "stringContains"], STRINGS),
)


def groups(of: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    members = st.lists(of, min_size=2, max_size=5)
    return st.tuples(st.sampled_from(["andAll", "orAll"]), members).map(lambda pair: dict([pair]))


FILTERS = CONDITIONS | groups(CONDITIONS | groups(CONDITIONS))


class Documents:
    """The attributes of some documents in columns."""

    def __init__(self, documents: Sequence[Metadata]) -> None:
        self.documents = documents

    def verdicts(self, condition: AttributeCondition) -> Mask:
        return column(each.get(condition.key) for each in self.documents).verdicts(condition)


@given(shape=FILTERS, documents=st.lists(METADATA, min_size=1, max_size=12))
def test_a_compiled_filter_is_its_plain_meaning(shape: Mapping[str, Any], documents: list[Metadata]) -> None:
    asked = filters.read(shape, at="filter")
    assert compile_filter(asked, Documents(documents)).tolist() == [asked.matches(each) for each in documents]


ANYTHING = st.recursive(
    st.none() | SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(STRINGS, inner, max_size=2)
)


@given(shape=condition([each.value for each in filters.FilterOperator], ANYTHING), metadata=METADATA)
def test_any_value_is_compared_or_refused_by_its_place(shape: Mapping[str, Any], metadata: Metadata) -> None:
    [operator] = shape
    try:
        filters.read(shape, at="filter").matches(metadata)
        place = None
    except Invalid as refused:
        place = refused.message.partition(": ")[0]
    assert place in (None, f"filter.{operator}.value")


def test_no_documents_have_no_verdicts() -> None:
    asked = filters.read({"equals": {"key": "a", "value": 1}}, at="filter")
    assert np.array_equal(compile_filter(asked, Documents([])), np.zeros(0, np.bool_))
