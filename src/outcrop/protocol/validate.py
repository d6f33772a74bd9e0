"""Violations of the shapes' constraints by the values of a request, in AWS's words, all at once:

2 validation errors detected: Value 'x y' at 'jobName' failed to satisfy constraint: Member must satisfy regular
expression pattern: ([0-9a-zA-Z][_-]?){1,63}; Value null at 'roleArn' failed to satisfy constraint: Member must not
be null
"""

from collections.abc import Collection, Iterator
from typing import Any

from outcrop.errors import Invalid
from outcrop.protocol import patterns
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape

_LONGEST_VALUE = 1024
_MOST_TOLD = 100
_NOT_NULL = "Member must not be null"
_PATTERN = "Member must satisfy regular expression pattern"
_ENUM = "Member must satisfy enum value set"


def check(
    shape: StructureShape, params: dict[str, Any], *, unpatterned: Collection[str] = (), unlisted: Collection[str] = ()
) -> None:
    """Raises Invalid with every violation. The patterns of the members `unpatterned` are not asked, nor the lists of
    values of those in `unlisted`; of both, by their whole paths."""
    places = [*((name, _PATTERN) for name in unpatterned), *((name, _ENUM) for name in unlisted)]
    free = tuple(f" at '{name}' failed to satisfy constraint: {constraint}" for name, constraint in places)
    found = [sentence for sentence in violations(shape, params) if not any(part in sentence for part in free)]
    if found:
        noun = "error" if len(found) == 1 else "errors"
        rest = f"; and {len(found) - _MOST_TOLD} more" if len(found) > _MOST_TOLD else ""
        raise Invalid(f"{len(found)} validation {noun} detected: {'; '.join(found[:_MOST_TOLD])}{rest}")


def violations(shape: StructureShape, params: dict[str, Any]) -> list[str]:
    """The violations of a shape's constraints, a sentence for each, in the order of the model's members."""
    return list(_structure(shape, params, ""))


def absences(shape: StructureShape, params: dict[str, Any]) -> list[str]:
    """Only the violations that something required is absent: what S3 judges before its operations do."""
    if not _lacks(shape, params):
        return []
    return [sentence for sentence in violations(shape, params) if sentence.startswith("Value null ")]


def _lacks(shape: Shape, value: Any) -> bool:
    """Whether anything required may be absent. It looks at nothing else, so it is quick where all is well."""
    if isinstance(shape, StructureShape):
        required = shape.required_members
        if any(value.get(name) is None and not _flows(shape.members[name]) for name in required):
            return True
        return any(
            _lacks(shape.members[name], inner) for name, inner in value.items() if isinstance(inner, dict | list)
        )
    if isinstance(shape, ListShape):
        return any(item is None or _lacks(shape.member, item) for item in value)
    if isinstance(shape, MapShape):
        return any(item is None or _lacks(shape.value, item) for item in value.values())
    return False


def _structure(shape: StructureShape, params: dict[str, Any], path: str) -> Iterator[str]:
    for name, member in shape.members.items():
        here = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        if params.get(name) is None:
            if name in shape.required_members and not _flows(member):
                yield _sentence("null", here, _NOT_NULL)
        else:
            yield from _value(member, params[name], here)


def _value(shape: Shape, value: Any, path: str) -> Iterator[str]:
    for constraint in _broken(shape, value):
        yield _sentence(_shown(shape, value), path, constraint)
    if isinstance(shape, StructureShape):
        if not shape.is_document_type:
            yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape):
        yield from _list(shape, value, path)
    elif isinstance(shape, MapShape):
        yield from _map(shape, value, path)


def _list(shape: ListShape, value: list[Any], path: str) -> Iterator[str]:
    if _is_simple(shape.member):
        # Of simple items AWS names the list, and all that is asked of each item.
        constraints = [*_constraints(shape.member)]
        if None in value or (constraints and any(any(_broken(shape.member, item)) for item in value)):
            asked = ", ".join([*constraints, _NOT_NULL])
            yield _sentence(_shown(shape, value), path, f"Member must satisfy constraint: [{asked}]")
        return
    for place, item in enumerate(value, start=1):
        here = f"{path}.{place}.member"
        if item is None:
            yield _sentence("null", here, _NOT_NULL)
        else:
            yield from _value(shape.member, item, here)


def _map(shape: MapShape, value: dict[str, Any], path: str) -> Iterator[str]:
    if any(any(_broken(shape.key, key)) for key in value):
        asked = ", ".join([*_constraints(shape.key), _NOT_NULL])
        yield _sentence(_shown(shape, value), path, f"Map keys must satisfy constraint: [{asked}]")
    if _is_simple(shape.value):
        if any(item is None or any(_broken(shape.value, item)) for item in value.values()):
            asked = ", ".join([*_constraints(shape.value), _NOT_NULL])
            yield _sentence(_shown(shape, value), path, f"Map value must satisfy constraint: [{asked}]")
        return
    for key, item in value.items():
        here = f"{path}.{key}.member"
        if item is None:
            yield _sentence("null", here, _NOT_NULL)
        else:
            yield from _value(shape.value, item, here)


def _broken(shape: Shape, value: Any) -> Iterator[str]:
    """The constraints of the shape itself, not of what is inside, that `value` does not meet."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    measure = value if _is_number(shape) else len(value) if _has_length(shape) else None
    if measure is not None:
        if most is not None and measure > most:
            yield _at_most(shape, most)
        if least is not None and measure < least:
            yield _at_least(shape, least)
    if shape.type_name != "string":
        return
    pattern: str = shape.metadata.get("pattern", "")
    expression = patterns.compiled(pattern) if pattern else None
    if expression is not None and expression.fullmatch(value) is None:
        yield _fits(pattern)
    if shape.enum and value not in shape.enum:
        yield _one_of(shape.enum)


def _constraints(shape: Shape) -> Iterator[str]:
    """All constraints of the shape itself, met or not."""
    if "max" in shape.metadata:
        yield _at_most(shape, shape.metadata["max"])
    if "min" in shape.metadata:
        yield _at_least(shape, shape.metadata["min"])
    if "pattern" in shape.metadata:
        yield _fits(shape.metadata["pattern"])
    if "enum" in shape.metadata:
        yield _one_of(shape.metadata["enum"])


def _at_most(shape: Shape, most: float) -> str:
    return f"Member must have {'value' if _is_number(shape) else 'length'} less than or equal to {most}"


def _at_least(shape: Shape, least: float) -> str:
    return f"Member must have {'value' if _is_number(shape) else 'length'} greater than or equal to {least}"


def _fits(pattern: str) -> str:
    return f"{_PATTERN}: {pattern}"


def _one_of(values: list[str]) -> str:
    return f"{_ENUM}: [{', '.join(values)}]"


def _is_number(shape: Shape) -> bool:
    return shape.type_name in ("integer", "long", "float", "double")


def _has_length(shape: Shape) -> bool:
    return shape.type_name in ("string", "blob", "list", "map")


def _is_simple(shape: Shape) -> bool:
    return shape.type_name not in ("structure", "list", "map")


def _flows(member: Shape) -> bool:
    return bool(member.serialization.get("streaming") or member.serialization.get("eventstream"))


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]


def _sentence(shown: str, path: str, constraint: str) -> str:
    value = f"Value {shown}" if shown else "Value"
    return f"{value} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(shape: Shape, value: Any) -> str:
    """The value as AWS prints it; nothing of a sensitive one."""
    if shape.metadata.get("sensitive"):
        return ""
    text = _plain(shape, value)
    return f"'{text[:_LONGEST_VALUE]}...'" if len(text) > _LONGEST_VALUE else f"'{text}'"


def _plain(shape: Shape, value: Any) -> str:
    """A value inside of a message: a blob only by its size, a structure only by its name."""
    if value is None or shape.metadata.get("sensitive"):
        return "null" if value is None else "***"
    if isinstance(shape, StructureShape):
        return str(shape.name)
    if isinstance(shape, ListShape):
        return f"[{', '.join(_plain(shape.member, item) for item in value)}]"
    if isinstance(shape, MapShape):
        pairs = (f"{_plain(shape.key, key)}={_plain(shape.value, inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, bytes):
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    return str(value)
