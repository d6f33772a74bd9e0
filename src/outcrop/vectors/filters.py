"""Filters over the metadata of vectors, as S3 Vectors writes them: {"genre": "jazz", "year": {"$gte": 1959}}.

A filter is read once into clauses, and each clause judges one value of one key. Booleans are no numbers. `$eq`, `$in`
and the four comparisons hold for a list where they hold for one of its elements; `$ne` and `$nin` are what `$eq` and
`$in` are not, so they hold where a key is missing. Several keys in one object, or operators of one key, hold together.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-metadata-filtering.html says what each operator takes.
It is silent about missing keys for `$ne` and `$nin`, about lists but for `$eq`, and about several keys at once.
"""

import operator
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from outcrop.errors import Invalid
from outcrop.vectors.records import VectorMetadata

DEEPEST = 32
"Filters within filters; beyond that, a request is a mistake or an attack."


class ClauseOperator(StrEnum):
    """Operators of a clause about one key."""

    EQ = "$eq"
    NE = "$ne"
    GT = "$gt"
    GTE = "$gte"
    LT = "$lt"
    LTE = "$lte"
    IN = "$in"
    NIN = "$nin"
    EXISTS = "$exists"


class MetadataClause(Protocol):
    """A filter, or a part of one."""

    def named_keys(self) -> Iterator[str]:
        """The keys of metadata that it asks for."""
        ...

    def holds(self, metadata: VectorMetadata) -> bool:
        """Whether a vector with this metadata is kept."""
        ...


@dataclass(frozen=True, kw_only=True)
class KeyClause:
    """A clause about the value of one key."""

    key: str
    operator: ClauseOperator
    operand: Any
    "A string, number or boolean, or a list of them: what the operator takes."

    def named_keys(self) -> Iterator[str]:
        yield self.key

    def holds(self, metadata: VectorMetadata) -> bool:
        return self.accepts(metadata.get(self.key))

    def accepts(self, value: Any) -> bool:
        """Whether a value of the key is what is wanted; None is that of a vector without the key."""
        return _ACCEPTS[self.operator](value, self.operand)


@dataclass(frozen=True, kw_only=True)
class ClauseGroup:
    """Clauses that all hold (`$and`), or of which one does (`$or`)."""

    clauses: tuple[MetadataClause, ...]
    needs_all: bool

    def named_keys(self) -> Iterator[str]:
        for clause in self.clauses:
            yield from clause.named_keys()

    def holds(self, metadata: VectorMetadata) -> bool:
        return (all if self.needs_all else any)(clause.holds(metadata) for clause in self.clauses)


def read(given: Any, *, unfilterable: Collection[str] = (), at: str = "filter") -> MetadataClause:
    """The clauses of a filter. Raises Invalid, with the place in it, for what is none, or names an unfilterable key."""
    return _object(given, frozenset(unfilterable), at, 0)


def _object(given: Any, unfilterable: Collection[str], at: str, depth: int) -> MetadataClause:
    if not isinstance(given, dict):
        raise Invalid(f"{at}: expected an object of keys and conditions, found {_kind(given)}.")
    if depth > DEEPEST:
        raise Invalid(f"{at}: filters lie within each other more than {DEEPEST} deep. Write it flatter.")
    clauses: list[MetadataClause] = []
    for key, value in given.items():
        if key in ("$and", "$or"):
            clauses.append(_group(key, value, unfilterable, f"{at}.{key}", depth))
        else:
            clauses += _of_key(key, value, unfilterable, at)
    return clauses[0] if len(clauses) == 1 else ClauseGroup(clauses=tuple(clauses), needs_all=True)


def _group(name: str, value: Any, unfilterable: Collection[str], at: str, depth: int) -> MetadataClause:
    if not isinstance(value, list) or not value:
        raise Invalid(f"{at}: expected a list of filters that is not empty, found {_kind(value)}.")
    clauses = tuple(_object(each, unfilterable, f"{at}[{place}]", depth + 1) for place, each in enumerate(value))
    return ClauseGroup(clauses=clauses, needs_all=name == "$and")


def _of_key(key: str, value: Any, unfilterable: Collection[str], at: str) -> Iterator[KeyClause]:
    if key.startswith("$"):
        raise Invalid(f"{at}: {key!r} is no operator over filters. Use $and or $or, or the name of a key.")
    if key in unfilterable:
        raise Invalid(
            f"{at}: the key {key!r} is one of this index's non-filterable metadata keys. Filter by another key, or "
            "make an index without it in nonFilterableMetadataKeys."
        )
    conditions = value if isinstance(value, dict) else {ClauseOperator.EQ: value}
    if not conditions:
        raise Invalid(f"{at}.{key}: expected a value or an operator, found an empty object.")
    for name, operand in conditions.items():
        where = f"{at}.{key}.{name}" if isinstance(value, dict) else f"{at}.{key}"
        if name not in set(ClauseOperator):
            raise Invalid(f"{where}: {name!r} is no operator. There are {', '.join(ClauseOperator)}.")
        _check_operand(ClauseOperator(name), operand, where)
        yield KeyClause(key=key, operator=ClauseOperator(name), operand=operand)


def _check_operand(name: ClauseOperator, operand: Any, where: str) -> None:
    if name in (ClauseOperator.IN, ClauseOperator.NIN):
        if not isinstance(operand, list) or not operand or not all(map(is_primitive, operand)):
            raise Invalid(
                f"{where}: expected a list of strings, numbers and booleans that is not empty, found {_kind(operand)}."
            )
    elif name is ClauseOperator.EXISTS:
        if not isinstance(operand, bool):
            raise Invalid(f"{where}: expected true or false, found {_kind(operand)}.")
    elif name in (ClauseOperator.EQ, ClauseOperator.NE):
        if not is_primitive(operand):
            raise Invalid(
                f"{where}: expected a string, a number or a boolean, found {_kind(operand)}. $in takes a list."
            )
    elif not is_number(operand):
        raise Invalid(f"{where}: expected a number, found {_kind(operand)}.")


def is_number(value: Any) -> bool:
    """Whether it is a number; booleans are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_primitive(value: Any) -> bool:
    return isinstance(value, str | int | float)  # a boolean is an int to Python


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return "an empty list" if value == [] else kinds.get(type(value), "a number")


def _elements(value: Any) -> list[Any]:
    return [] if value is None else value if isinstance(value, list) else [value]


def _same(one: Any, other: Any) -> bool:
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def _equals(value: Any, operand: Any) -> bool:
    return any(_same(each, operand) for each in _elements(value))


def _is_in(value: Any, operand: Any) -> bool:
    return any(_equals(value, each) for each in operand)


def _compares(relation: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda value, operand: any(is_number(each) and relation(each, operand) for each in _elements(value))


_ACCEPTS: Mapping[ClauseOperator, Callable[[Any, Any], bool]] = {
    ClauseOperator.EQ: _equals,
    ClauseOperator.NE: lambda value, operand: not _equals(value, operand),
    ClauseOperator.GT: _compares(operator.gt),
    ClauseOperator.GTE: _compares(operator.ge),
    ClauseOperator.LT: _compares(operator.lt),
    ClauseOperator.LTE: _compares(operator.le),
    ClauseOperator.IN: _is_in,
    ClauseOperator.NIN: lambda value, operand: not _is_in(value, operand),
    ClauseOperator.EXISTS: lambda value, operand: (value is not None) == operand,
}
