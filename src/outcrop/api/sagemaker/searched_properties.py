"""Properties that Search filters and sorts by: their names, types and values, all told by the service model.

A name is a path of members, `ModelArtifacts.S3ModelArtifacts`; a list on the way stands for each of its elements, and
what follows a map is a key. `Tags.x` and `Metrics.x` name a tag and a final metric.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from outcrop.errors import Invalid
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape

_TAGS, _METRICS = "Tags", "Metrics"
_FINAL_METRICS = "FinalMetricDataList"
_MIXED_MAP = "HyperParameters"
"The shape of maps whose texts may be numbers."
Scalar = str | float | datetime | bool


class PropertyType(StrEnum):
    """The type of a property's values."""

    TEXT = "text"
    NUMBER = "number"
    TIME = "timestamp"
    BOOLEAN = "boolean"
    MIXED = "hyperparameter"
    "A text that is compared as a number where it is one."
    COMPOUND = "structure"
    "Which only exists or does not."


_TYPES = {
    "string": PropertyType.TEXT,
    "integer": PropertyType.NUMBER,
    "long": PropertyType.NUMBER,
    "float": PropertyType.NUMBER,
    "double": PropertyType.NUMBER,
    "timestamp": PropertyType.TIME,
    "boolean": PropertyType.BOOLEAN,
}


class PickedPair(NamedTuple):
    """A step to the elements of a list whose member has this value."""

    member: str
    value: str


@dataclass(frozen=True, kw_only=True)
class SearchedProperty:
    """A property of records, found by its name."""

    name: str
    type: PropertyType
    path: tuple[str | PickedPair, ...]

    def values(self, record: Mapping[str, Any]) -> list[Any]:
        """Every value that a record has for it; none where it has none."""
        return list(_values(record, self.path))

    def parsed(self, text: str) -> Scalar:
        """The value that a filter's text means. Raises Invalid."""
        match self.type:
            case PropertyType.NUMBER:
                number = number_in(text)
                if number is None:
                    raise Invalid(f"{self.name}: {text[:80]!r} is no number, and the property is one. Give a number.")
                return number
            case PropertyType.TIME:
                return _moment(self.name, text)
            case PropertyType.BOOLEAN:
                if text.lower() not in ("true", "false"):
                    raise Invalid(f"{self.name}: {text[:80]!r} is neither true nor false. Give one of them.")
                return text.lower() == "true"
        return text


def find(shape: StructureShape, name: str) -> SearchedProperty:
    """The property with this name, of records of this shape. Raises Invalid for a name that is none."""
    first, _, rest = name.partition(".")
    if first == _TAGS and rest and _TAGS in shape.members:
        return SearchedProperty(name=name, type=PropertyType.TEXT, path=(_TAGS, PickedPair("Key", rest), "Value"))
    if first == _METRICS and rest and _FINAL_METRICS in shape.members:
        path = (_FINAL_METRICS, PickedPair("MetricName", rest), "Value")
        return SearchedProperty(name=name, type=PropertyType.NUMBER, path=path)
    found, steps = _walked(shape, name)
    return SearchedProperty(name=name, type=found, path=steps)


def elements(shape: StructureShape, name: str) -> StructureShape:
    """The shape of the elements of a list property. Raises Invalid for a property that is none."""
    current: Shape = shape
    for part in name.split("."):
        inner = current.member if isinstance(current, ListShape) else current
        if not isinstance(inner, StructureShape) or part not in inner.members:
            raise unknown(name)
        current = inner.members[part]
    if not isinstance(current, ListShape) or not isinstance(current.member, StructureShape):
        raise Invalid(f"NestedPropertyName: {name} is no list of structures. Filter by it in Filters.")
    return current.member


def names(shape: StructureShape, *, before: str = "", within: tuple[str, ...] = ()) -> Iterator[str]:
    """The names of every property that can be compared, but for keys of maps."""
    for member, each in shape.members.items():
        inner = each.member if isinstance(each, ListShape) else each
        if isinstance(inner, StructureShape):
            if inner.name not in within:
                yield from names(inner, before=f"{before}{member}.", within=(*within, inner.name))
        elif not isinstance(inner, MapShape):
            yield f"{before}{member}"


def unknown(name: str) -> Invalid:
    return Invalid(f"{name[:200]}: no property of this resource has this name. See the members of the Search answer.")


def number_in(text: object) -> float | None:
    """The finite number that a text is, None where it is none."""
    try:
        number = float(text)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return None
    return number if abs(number) < float("inf") else None


def _walked(shape: StructureShape, name: str) -> tuple[PropertyType, tuple[str, ...]]:
    current: Shape = shape
    parts = name.split(".")
    for place, part in enumerate(parts):
        inner = current.member if isinstance(current, ListShape) else current
        if isinstance(inner, MapShape):
            mixed = inner.name == _MIXED_MAP
            return PropertyType.MIXED if mixed else PropertyType.TEXT, (*parts[:place], ".".join(parts[place:]))
        if not isinstance(inner, StructureShape) or part not in inner.members:
            raise unknown(name)
        current = inner.members[part]
    last = current.member if isinstance(current, ListShape) else current
    return _TYPES.get(last.type_name, PropertyType.COMPOUND), tuple(parts)


def _values(found: Any, path: tuple[str | PickedPair, ...]) -> Iterator[Any]:
    if isinstance(found, list | tuple):
        for each in found:
            yield from _values(each, path)
    elif not path:
        if found is not None and found not in ("", {}):
            yield found
    elif isinstance(step := path[0], PickedPair):
        if found.get(step.member) == step.value:
            yield from _values(found, path[1:])
    elif step in found:
        yield from _values(found[step], path[1:])


def _moment(name: str, text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid(f"{name}: {text[:80]!r} is no time. Give one like 2026-11-29T12:00:00Z.") from error
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
