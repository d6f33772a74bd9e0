"""JSON schemas that answers shall fit, checked before anything runs: each problem with a pointer to its place.

The grammar's library holds most of JSON Schema and refuses the rest without saying where. This finds the place, and
what a schema means that looks like one keyword and is another (`exclusiveMinimum: true` of draft 4).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from outcrop.errors import Invalid

_TYPES = ("string", "number", "integer", "boolean", "object", "array", "null")
_FORMATS = ("date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri")
OF_SCHEMAS = ("properties", "patternProperties", "$defs", "definitions")
LISTS_OF_SCHEMAS = ("anyOf", "oneOf", "allOf", "prefixItems")
SCHEMAS = ("items", "additionalProperties")
_COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
_NUMBERS = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
_NOT_HELD = {
    "not", "if", "then", "else", "contains", "minContains", "maxContains", "uniqueItems", "propertyNames",
    "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties", "unevaluatedItems",
    "$dynamicRef", "$recursiveRef",
}  # fmt: skip
_LOOKS_AROUND = re.compile(r"\(\?<?[=!]|\\[bBAzZ]|\\[1-9]")
_ORDERED = (
    ("minLength", "maxLength"),
    ("minItems", "maxItems"),
    ("minProperties", "maxProperties"),
    ("minimum", "maximum"),
)
_COUNTED_PROPERTIES = ("minProperties", "maxProperties")


def check(schema: Any, *, at: str) -> None:
    """Raise Invalid with every problem of a schema that an answer shall fit; `at` names the schema itself."""
    try:
        problems = list(_problems(schema, "", schema))
    except RecursionError as problem:
        raise Invalid(f"{at}: the schema goes too deep. Put parts of it under $defs.") from problem
    if problems:
        told = "; ".join(f"{at}: {problem}" for problem in problems[:5])
        more = f" There are {len(problems) - 5} more problems." if len(problems) > 5 else ""
        raise Invalid(f"The schema cannot be used. {told}.{more} Change these places, or leave them out.")


def parse(text: str, *, at: str) -> Any:
    """The schema that a text holds. Raises Invalid where it holds none."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as problem:
        raise Invalid(f"{at}: the schema is not JSON ({problem}). Give it as a JSON object in a string.") from problem


def what_can_be_held(schema: Any) -> Any:
    """The schema without the keywords that cannot be held; what fits the given one fits it too."""
    return _held(schema, schema)


def _held(schema: Any, root: Any) -> Any:
    if not isinstance(schema, dict):
        return schema if isinstance(schema, bool) else True
    kept: dict[str, Any] = {}
    for key, value in schema.items():
        if key in _NOT_HELD or _value_problem(key, value, root) is not None:
            continue
        if key in OF_SCHEMAS:
            kept[key] = {name: _held(one, root) for name, one in value.items()}
        elif key in LISTS_OF_SCHEMAS:
            kept[key] = [_held(one, root) for one in value]
        else:
            kept[key] = _held(value, root) if key in SCHEMAS else value
    for least, most in _ORDERED:
        if {least, most} <= kept.keys() and kept[least] > kept[most]:
            del kept[least], kept[most]
    if _optional(kept):
        kept = {key: value for key, value in kept.items() if key not in _COUNTED_PROPERTIES}
    return kept


def _problems(schema: Any, at: str, root: Any) -> Iterator[str]:
    """The problems of a schema and of those within it, each with a JSON pointer."""
    if isinstance(schema, bool):
        return
    if not isinstance(schema, dict):
        yield f"#{at}: expected an object or a boolean, found {_kind(schema)}"
        return
    for key, value in schema.items():
        place = f"{at}/{_escaped(key)}"
        if key in _NOT_HELD:
            yield f"#{place}: the keyword {key!r} cannot be enforced"
        elif (problem := _value_problem(key, value, root)) is not None:
            yield f"#{place}: {problem}"
        else:
            yield from _inner(key, value, place, root)
    yield from _together(schema, at, root)


def _inner(key: str, value: Any, place: str, root: Any) -> Iterator[str]:
    if key in OF_SCHEMAS:
        for name, one in value.items():
            yield from _problems(one, f"{place}/{_escaped(name)}", root)
    elif key in LISTS_OF_SCHEMAS:
        for number, one in enumerate(value):
            yield from _problems(one, f"{place}/{number}", root)
    elif key in SCHEMAS:
        yield from _problems(value, place, root)


def _value_problem(key: str, value: Any, root: Any) -> str | None:
    if key in _VALUES:
        return _VALUES[key](value)
    if key == "$ref":
        return _reference_problem(value, root)
    return None


def _together(schema: Mapping[str, Any], at: str, root: Any) -> Iterator[str]:
    """Keywords that contradict each other, and alternatives that cannot be told apart."""
    for least, most in _ORDERED:
        if _is_number(schema.get(least)) and _is_number(schema.get(most)) and schema[least] > schema[most]:
            yield f"#{at}: {least} {schema[least]} is above {most} {schema[most]}"
    counted = [key for key in _COUNTED_PROPERTIES if key in schema]
    if counted and _optional(schema):
        yield f"#{at}: {counted[0]} can be enforced only where all properties are required"
    branches = schema.get("oneOf")
    if isinstance(branches, list) and len(branches) > 1 and not _are_apart(branches, root):
        yield f"#{at}/oneOf: two of its schemas may fit one value. Write anyOf, or make them exclude each other"


def _optional(schema: Mapping[str, Any]) -> set[str]:
    """The properties that an object may leave out."""
    required, properties = schema.get("required", []), schema.get("properties", {})
    both = isinstance(properties, dict) and isinstance(required, list)
    return set(properties) - {name for name in required if isinstance(name, str)} if both else set()


def _are_apart(branches: list[Any], root: Any) -> bool:
    """Whether no value fits two of the schemas: their types differ, or the constants at a property that all need."""
    schemas = [_resolved(branch, root) for branch in branches]
    if not all(isinstance(schema, dict) for schema in schemas):
        return False
    values = [_values_of(schema) for schema in schemas]
    if _disjoint(values):
        return True
    if _disjoint([_types_of(schema) for schema in schemas]):
        return True
    needed = set.intersection(*(set(schema.get("required", [])) for schema in schemas))
    return any(
        _disjoint([_values_of(_resolved(schema.get("properties", {}).get(name), root)) for schema in schemas])
        for name in needed
    )


def _disjoint(sets: list[set[str] | None]) -> bool:
    seen: set[str] = set()
    for one in sets:
        if one is None or one & seen:
            return False
        seen |= one
    return True


def _values_of(schema: Any) -> set[str] | None:
    """The only values that fit, as JSON; None where there are others."""
    if not isinstance(schema, dict):
        return None
    if "const" in schema:
        return {json.dumps(schema["const"], sort_keys=True)}
    return {json.dumps(one, sort_keys=True) for one in schema["enum"]} if isinstance(schema.get("enum"), list) else None


def _types_of(schema: Mapping[str, Any]) -> set[str] | None:
    kinds = schema.get("type")
    named = {kinds} if isinstance(kinds, str) else set(kinds) if isinstance(kinds, list) else None
    # Every integer is a number too.
    return None if named is None else {"number" if kind == "integer" else kind for kind in named}


def _resolved(schema: Any, root: Any) -> Any:
    """A schema, or the one it refers to."""
    seen = 0
    while isinstance(schema, dict) and isinstance(schema.get("$ref"), str) and seen < 20:
        schema, seen = _target(schema["$ref"], root), seen + 1
    return schema


def _target(reference: str, root: Any) -> Any:
    """The value that a pointer into the schema leads to; None where there is nothing."""
    if not reference.startswith("#"):
        return None
    found = root
    for step in reference[1:].split("/")[1:]:
        key = step.replace("~1", "/").replace("~0", "~")
        if isinstance(found, dict) and key in found:
            found = found[key]
        elif isinstance(found, list) and key.isdecimal() and int(key) < len(found):
            found = found[int(key)]
        else:
            return None
    return found


def _reference_problem(value: Any, root: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, found {_kind(value)}"
    if value != "#" and not value.startswith("#/"):
        return f"{value!r} leads out of this schema. Put what it names under $defs"
    return None if _target(value, root) is not None else f"{value!r} leads nowhere in this schema"


def _of_type(value: Any) -> str | None:
    names = value if isinstance(value, list) else [value]
    if not names:
        return "names no type"
    unknown = next((name for name in names if name not in _TYPES), None)
    return None if unknown is None else f"{unknown!r} is no type. Choose among {', '.join(_TYPES)}"


def _format(value: Any) -> str | None:
    return None if value in _FORMATS else f"{value!r} cannot be enforced. Formats that can: {', '.join(_FORMATS)}"


def _pattern(value: Any) -> str | None:
    if not isinstance(value, str):
        return f"expected a string, found {_kind(value)}"
    if _LOOKS_AROUND.search(value):
        return "looking around, word borders and back references cannot be enforced"
    try:
        re.compile(value)
    except re.error as problem:
        return f"is no regular expression ({problem})"
    return None


def _count(value: Any) -> str | None:
    is_count = isinstance(value, int) and not isinstance(value, bool) and value >= 0
    return None if is_count else f"expected an integer of at least 0, found {_kind(value)}"


def _number(value: Any) -> str | None:
    return None if _is_number(value) else f"expected a number, found {_kind(value)}"


def _multiple(value: Any) -> str | None:
    return None if _is_number(value) and value > 0 else "expected a number above 0"


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _names(value: Any) -> str | None:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return None if texts else f"expected a list of strings, found {_kind(value)}"


def _values(value: Any) -> str | None:
    return None if isinstance(value, list) and value else "expected a list of at least one value"


def _schemas(value: Any) -> str | None:
    return None if isinstance(value, list) and value else "expected a list of at least one schema"


def _named_schemas(value: Any) -> str | None:
    return None if isinstance(value, dict) else f"expected an object of schemas, found {_kind(value)}"


def _one_schema(value: Any) -> str | None:
    if isinstance(value, list):
        return "a list of schemas is draft 4's. Write prefixItems"
    return None if isinstance(value, dict | bool) else f"expected a schema, found {_kind(value)}"


_VALUES: Mapping[str, Callable[[Any], str | None]] = {
    "type": _of_type,
    "enum": _values,
    "required": _names,
    "format": _format,
    "pattern": _pattern,
    "multipleOf": _multiple,
    **dict.fromkeys(_COUNTS, _count),
    **dict.fromkeys(_NUMBERS, _number),
    **dict.fromkeys(OF_SCHEMAS, _named_schemas),
    **dict.fromkeys(LISTS_OF_SCHEMAS, _schemas),
    **dict.fromkeys(SCHEMAS, _one_schema),
}


def _escaped(key: str) -> str:
    return key.replace("~", "~0").replace("/", "~1")


def _kind(value: Any) -> str:
    kinds = {dict: "an object", list: "a list", str: "a string", bool: "a boolean", type(None): "null"}
    return kinds.get(type(value), "a number")
