"""A JSON schema as an element of a grammar, of which every answer comes to an end."""

import json
import re
from typing import Any

from outcrop.invocation import json_schema

_SPACE = r"(\n[ \t]{0,20}| )"
"White space of an answer: as people write JSON, and never without end."
_APPLIED = ("anyOf", "oneOf", "allOf", "$ref")
"Keywords by which other schemas judge the same value."
_NAMES_OF_THE_WHOLE = ("$schema", "$id")
"Names by which the grammar's library would look for other schemas."


def in_grammar(schema: Any, *, lenient: bool = False, separators: tuple[str, str] | None = None) -> str:
    """The schema as an element of a Lark grammar.

    A lenient one passes over what cannot be held. With `separators` of items and keys, JSON is written in one way only.
    """
    options: dict[str, Any] = {"coerce_one_of": True, "lenient": lenient}
    if separators is None:
        options["whitespace_pattern"] = _SPACE
    else:
        items, keys = map(re.escape, separators)
        options |= {"whitespace_flexible": False, "item_separator": items, "key_separator": keys}
    held = json_schema.what_can_be_held(schema) if lenient else schema
    closed = held if _has(held, "allOf") else _closed(held)
    parts = closed if isinstance(closed, dict) else {"allOf": [closed]}
    whole = {key: value for key, value in parts.items() if key not in _NAMES_OF_THE_WHOLE}
    return f"%json {json.dumps({**whole, 'x-guidance': options})}"


def _closed(schema: Any) -> Any:
    """The schema with no properties but those it names, where it says nothing of others.

    What fits it fits the given one too. A model that may invent properties does not always come to an end.
    """
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed_inside(schema, key, value) for key, value in schema.items()}
    says = {"additionalProperties", "patternProperties", *_APPLIED} & schema.keys()
    return found if says or not schema.get("properties") else {**found, "additionalProperties": False}


def _closed_inside(schema: dict[str, Any], key: str, value: Any) -> Any:
    if key in json_schema.OF_SCHEMAS and isinstance(value, dict):
        return {name: _closed(one) for name, one in value.items()}
    if key in json_schema.LISTS_OF_SCHEMAS and isinstance(value, list):
        # Beside properties, each of these judges an object that others describe too.
        return value if "properties" in schema else [_closed(one) for one in value]
    return _closed(value) if key in json_schema.SCHEMAS else value


def _has(schema: Any, keyword: str) -> bool:
    if isinstance(schema, dict):
        return keyword in schema or any(_has(value, keyword) for value in schema.values())
    return isinstance(schema, list) and any(_has(one, keyword) for one in schema)
