"""Attributes in columns, and retrieval filters compiled to the passages that they let be found.

A column numbers the values that its attribute has, so a condition is asked once for each value, not
for each passage.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from outcrop.knowledge.filters import AllOf, AttributeCondition, FilterOperator, MetadataFilter
from outcrop.knowledge.index.arrays import Mask, Rows
from outcrop.knowledge.passages import MetadataValue


@dataclass(frozen=True, kw_only=True)
class AttributeColumn:
    """An attribute of all passages, or of all documents."""

    codes: Rows
    "For each, the number of its value; -1 where the attribute is missing."
    values: Sequence[MetadataValue]
    numbers: "dict[object, int]"

    def verdicts(self, condition: AttributeCondition) -> Mask:
        """Whether each may be found, as far as the condition goes."""
        allowed = np.zeros(len(self.values) + 1, np.bool_)  # the last, which -1 means too: of those without it
        allowed[-1] = condition.allows_missing
        for number in self._candidates(condition):
            allowed[number] = condition.allows(self.values[number])
        return allowed[self.codes]

    def _candidates(self, condition: AttributeCondition) -> Iterable[int]:
        """Numbers of the values that may be allowed. A chunk id has as many values as there are passages."""
        value = condition.value
        if condition.operator is FilterOperator.EQUALS:
            wanted: Sequence[object] = [value]
        elif condition.operator is FilterOperator.IN and isinstance(value, tuple):
            wanted = value
        else:
            return range(len(self.values))
        found = (self.numbers.get(_identity(each)) for each in wanted)
        return [number for number in found if number is not None]


def column(values: "Iterable[MetadataValue | None]") -> AttributeColumn:
    """The column of these values; None where the attribute is missing."""
    numbers: dict[object, int] = {}
    distinct: list[MetadataValue] = []
    codes = []
    for value in values:
        if value is None:
            codes.append(-1)
            continue
        number = numbers.setdefault(_identity(value), len(distinct))
        if number == len(distinct):
            distinct.append(value)
        codes.append(number)
    return AttributeColumn(codes=np.array(codes, np.int32), values=distinct, numbers=numbers)


class Columns(Protocol):
    """Whoever knows the columns: verdicts of one condition for every row."""

    def verdicts(self, condition: AttributeCondition) -> Mask: ...


def compile_filter(asked: MetadataFilter, columns: Columns) -> Mask:
    """The rows that a filter lets be found."""
    if isinstance(asked, AttributeCondition):
        return columns.verdicts(asked)
    joined = np.logical_and if isinstance(asked, AllOf) else np.logical_or
    found: Mask = joined.reduce([compile_filter(member, columns) for member in asked.members])
    return found


def _identity(value: object) -> object:
    """The identity of a value: 1 and 1.0 are one, 1 and true are not."""
    if isinstance(value, str | bool):
        return type(value), value
    return value if isinstance(value, int | float) else tuple(_identity(each) for each in value)  # type: ignore[attr-defined]
