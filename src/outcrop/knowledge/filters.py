"""Retrieval filters: what the attributes of a passage must be for it to be found.

`read` turns Bedrock's RetrievalFilter into a tree, and `matches` is what each node means. An index compiles the tree to
the passages that a search may find, before it looks for the best of them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from outcrop.errors import Invalid
from outcrop.knowledge.passages import Metadata, MetadataValue

MOST_MEMBERS = 5
MOST_LEVELS = 2
"A group may hold groups, which hold conditions."

Scalar: TypeAlias = str | int | float | bool
FilterValue: TypeAlias = Scalar | tuple[Scalar, ...]


class FilterOperator(StrEnum):
    """How a condition compares an attribute with its value, in Bedrock's words."""

    EQUALS = "equals"
    NOT_EQUALS = "notEquals"
    GREATER_THAN = "greaterThan"
    GREATER_THAN_OR_EQUALS = "greaterThanOrEquals"
    LESS_THAN = "lessThan"
    LESS_THAN_OR_EQUALS = "lessThanOrEquals"
    IN = "in"
    NOT_IN = "notIn"
    STARTS_WITH = "startsWith"
    LIST_CONTAINS = "listContains"
    STRING_CONTAINS = "stringContains"


@dataclass(frozen=True, kw_only=True)
class AttributeCondition:
    """A comparison of one attribute."""

    operator: FilterOperator
    key: str
    value: FilterValue

    def matches(self, metadata: Metadata) -> bool:
        """Whether a passage with these attributes may be found. Only `notEquals` is true of an attribute not there."""
        if self.key not in metadata:
            return self.allows_missing
        return self.allows(metadata[self.key])

    @property
    def allows_missing(self) -> bool:
        """Whether passages without the attribute may be found."""
        return self.operator is FilterOperator.NOT_EQUALS

    def allows(self, found: MetadataValue) -> bool:
        """Whether passages whose attribute has this value may be found."""
        return _MEANINGS[self.operator](found, self.value)


@dataclass(frozen=True, kw_only=True)
class AllOf:
    """A filter that is met where each of its members is."""

    members: "tuple[MetadataFilter, ...]"

    def matches(self, metadata: Metadata) -> bool:
        """Whether a passage with these attributes may be found."""
        return all(member.matches(metadata) for member in self.members)


@dataclass(frozen=True, kw_only=True)
class AnyOf:
    """A filter that is met where one of its members is."""

    members: "tuple[MetadataFilter, ...]"

    def matches(self, metadata: Metadata) -> bool:
        """Whether a passage with these attributes may be found."""
        return any(member.matches(metadata) for member in self.members)


MetadataFilter: TypeAlias = AttributeCondition | AllOf | AnyOf


def read(shape: Mapping[str, Any], *, at: str) -> MetadataFilter:
    """The filter of a request, `at` its place there.

    Raises Invalid, naming the place, for a value that its operator cannot compare and for groups too large or too deep.
    """
    return _read(shape, at=at, levels=MOST_LEVELS)


def _read(shape: Mapping[str, Any], *, at: str, levels: int) -> MetadataFilter:
    [(name, asked)] = shape.items()  # a union: exactly one member is set
    place = f"{at}.{name}"
    if name in _GROUPS:
        return _GROUPS[name](members=_members(asked, at=place, levels=levels))
    operator = FilterOperator(name)
    return AttributeCondition(operator=operator, key=asked["key"], value=_value(operator, asked["value"], at=place))


def _members(asked: Sequence[Mapping[str, Any]], *, at: str, levels: int) -> tuple[MetadataFilter, ...]:
    if levels == 0:
        raise Invalid(f"{at}: groups are nested more than once. Give a group conditions, or groups of conditions.")
    if len(asked) > MOST_MEMBERS:
        raise Invalid(f"{at}: {len(asked)} members; a group has at most {MOST_MEMBERS}. Combine or remove some.")
    return tuple(_read(member, at=f"{at}[{number}]", levels=levels - 1) for number, member in enumerate(asked))


def _value(operator: FilterOperator, value: object, *, at: str) -> FilterValue:
    fits, wanted = _FITTING[operator]
    if not fits(value):
        raise Invalid(f"{at}.value: {operator} compares with {wanted}, found {_told(value)}. Give {wanted}.")
    return tuple(value) if isinstance(value, list | tuple) else value  # type: ignore[return-value]  # it fits


def _is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_string(value: object) -> bool:
    return isinstance(value, str)


def _is_list(value: object) -> bool:
    return isinstance(value, list | tuple) and len(value) > 0 and all(map(_is_scalar, value))


def _told(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, list | tuple):
        return "a list" if value else "an empty list"
    return "an object" if isinstance(value, Mapping) else repr(value)


def _same(found: object, value: object) -> bool:
    """Whether two values are equal, and of one type: 1 is 1.0, but neither true nor "1"."""
    return isinstance(found, bool) == isinstance(value, bool) and found == value


def _is_in(found: MetadataValue, value: Any) -> bool:
    return any(_same(found, each) for each in value)


def _list_has(found: MetadataValue, value: Any) -> bool:
    return not isinstance(found, str) and isinstance(found, Sequence) and _is_in(value, found)


def _has_part(found: MetadataValue, value: Any) -> bool:
    if isinstance(found, str):
        return value in found
    return isinstance(found, Sequence) and any(isinstance(each, str) and value in each for each in found)


_SCALAR = (_is_scalar, "a string, a number or a boolean")
_NUMBER = (_is_number, "a number")
_STRING = (_is_string, "a string")
_LIST = (_is_list, "a list of strings, numbers or booleans")

_FITTING: Mapping[FilterOperator, tuple[Callable[[object], bool], str]] = {
    FilterOperator.EQUALS: _SCALAR,
    FilterOperator.NOT_EQUALS: _SCALAR,
    FilterOperator.GREATER_THAN: _NUMBER,
    FilterOperator.GREATER_THAN_OR_EQUALS: _NUMBER,
    FilterOperator.LESS_THAN: _NUMBER,
    FilterOperator.LESS_THAN_OR_EQUALS: _NUMBER,
    FilterOperator.IN: _LIST,
    FilterOperator.NOT_IN: _LIST,
    FilterOperator.STARTS_WITH: _STRING,
    FilterOperator.LIST_CONTAINS: _SCALAR,
    FilterOperator.STRING_CONTAINS: _STRING,
}
_MEANINGS: Mapping[FilterOperator, Callable[[MetadataValue, Any], bool]] = {
    FilterOperator.EQUALS: _same,
    FilterOperator.NOT_EQUALS: lambda found, value: not _same(found, value),
    FilterOperator.GREATER_THAN: lambda found, value: _is_number(found) and found > value,
    FilterOperator.GREATER_THAN_OR_EQUALS: lambda found, value: _is_number(found) and found >= value,
    FilterOperator.LESS_THAN: lambda found, value: _is_number(found) and found < value,
    FilterOperator.LESS_THAN_OR_EQUALS: lambda found, value: _is_number(found) and found <= value,
    FilterOperator.IN: _is_in,
    FilterOperator.NOT_IN: lambda found, value: not _is_in(found, value),
    FilterOperator.STARTS_WITH: lambda found, value: isinstance(found, str) and found.startswith(value),
    FilterOperator.LIST_CONTAINS: _list_has,
    FilterOperator.STRING_CONTAINS: _has_part,
}
_GROUPS: Mapping[str, type[AllOf] | type[AnyOf]] = {"andAll": AllOf, "orAll": AnyOf}
