"""JSON <-> values of a shape, for rest-json and json 1.0/1.1.

Members go by their wire name outside, by the model's name inside.
"""

import base64
import json
import math
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Any

import orjson

from outcrop.errors import Unreadable
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.protocol.values import json_text, scalars, timestamps

Writer = Callable[[Any], Any]
_encoder = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_ONLY_JSON = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
"""What is no JSON value is a mistake here, and not to be written in a form that somebody else chose."""
_FLOATS = ("float", "double")
_TOKENS: dict[type, str] = {
    bool: "TRUE_VALUE or FALSE_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", str: "STRING_VALUE",
    list: "START_ARRAY", dict: "START_OBJECT",
}  # fmt: skip
"What AWS's own parser calls each kind of JSON value in its refusals."


def parse(body: bytes) -> Any:
    """The JSON of a body; an empty body is an empty object."""
    if not body.strip():
        return {}
    try:
        return json_text.loads(body)
    except json_text.NotJson as error:
        raise Unreadable(f"The request body is not valid JSON: {error}") from error


def read(shape: Shape, value: Any, path: str = "") -> Any:
    """`value` as `shape` has it. Raises Unreadable with the path of the first value of a wrong kind."""
    if getattr(shape, "is_document_type", False):
        return value
    reader = _READERS.get(shape.type_name)
    assert reader is not None, f"{shape.name}: no reader for {shape.type_name}"
    return reader(shape, value, path)


def write(shape: Shape, value: Any) -> Any:
    """The value as json.dumps takes it."""
    writer = writer_of(shape)
    return value if writer is None else writer(value)


@cache
def writer_of(shape: Shape) -> Writer | None:
    """The function that turns a value of `shape` into JSON's; None for values that are so already. Made once for each
    shape."""
    if isinstance(shape, StructureShape) and shape.is_document_type:
        return None
    make = _WRITERS.get(shape.type_name)
    return None if make is None else make(shape)


def dumps(value: Any) -> bytes:
    try:
        return orjson.dumps(value, option=_ONLY_JSON)
    except TypeError:
        # Integers of more than 64 bits, and halves of surrogate pairs in what was stored long ago or quotes a header.
        return json_text.without_halves(_encoder.encode(value)).encode()


def _wrong(path: str, value: Any, wanted: str) -> Unreadable:
    where = f"{path}: " if path else ""
    return Unreadable(f"{where}{_TOKENS.get(type(value), 'VALUE_NULL')} can not be converted to {wanted}")


def _read_structure(shape: StructureShape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, value, "a structure")
    result = {}
    for name, member in shape.members.items():
        inner = value.get(member.serialization.get("name", name))
        if inner is not None:
            result[name] = read(member, inner, f"{path}.{name}" if path else name)
    return result


def _read_list(shape: ListShape, value: Any, path: str) -> list[Any]:
    if not isinstance(value, list):
        raise _wrong(path, value, "a list")
    if shape.member.type_name in _FLOATS and set(map(type, value)) == {float}:
        return value  # a request to S3 Vectors has a million of them
    # A null in a list is kept: validation names its place.
    return [
        None if inner is None else read(shape.member, inner, f"{path}.{place}")
        for place, inner in enumerate(value, start=1)
    ]


def _read_map(shape: MapShape, value: Any, path: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(path, value, "a map")
    return {key: None if inner is None else read(shape.value, inner, f"{path}.{key}") for key, inner in value.items()}


def _read_string(_: Shape, value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _wrong(path, value, "a String")
    return value


def _read_integer(shape: Shape, value: Any, path: str) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(path, value, "an Integer")
    if not scalars.fits(shape, value):
        raise Unreadable(f"{path}: the number is out of the range of {shape.type_name}")
    return value


def _read_float(_: Shape, value: Any, path: str) -> float:
    if value in ("NaN", "Infinity", "-Infinity"):
        return float(value)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise _wrong(path, value, "a Float")
    try:
        return float(value)
    except OverflowError as error:
        raise Unreadable(f"{path}: the number is too large for a Float") from error


def _read_boolean(_: Shape, value: Any, path: str) -> bool:
    if not isinstance(value, bool):
        raise _wrong(path, value, "a Boolean")
    return value


def _read_timestamp(_: Shape, value: Any, path: str) -> datetime:
    if not isinstance(value, int | float | str) or isinstance(value, bool):
        raise _wrong(path, value, "a Timestamp")
    try:
        return timestamps.read(value)
    except ValueError as error:
        raise Unreadable(f"{path}: {value!r} can not be converted to a Timestamp") from error


def _read_blob(_: Shape, value: Any, path: str) -> bytes:
    if not isinstance(value, str):
        raise _wrong(path, value, "a Blob")
    try:
        return base64.b64decode(value, validate=True)
    except ValueError as error:  # binascii.Error is one; letters beyond ASCII are another
        raise Unreadable(f"{path}: a Blob must be base64: {error}") from error


def _write_structure(shape: StructureShape) -> Writer:
    # Looked up by value, not by member: answers fill few of the members that a shape has. The table is made at the
    # first use, since shapes contain themselves.
    table: dict[str, tuple[str, Writer | None]] = {}

    def write_members(value: dict[str, Any]) -> dict[str, Any]:
        if not table:
            table.update({name: (m.serialization.get("name", name), writer_of(m)) for name, m in shape.members.items()})
        written = {}
        for name, inner in value.items():
            assert name in table, f"{shape.name} has no member {name}"
            if inner is not None:
                wire_name, writer = table[name]
                written[wire_name] = inner if writer is None else writer(inner)
        return written

    return write_members


def _write_list(shape: ListShape) -> Writer:
    def write_items(value: Any) -> list[Any]:
        return [None if inner is None else write(shape.member, inner) for inner in value]

    return write_items


def _write_map(shape: MapShape) -> Writer:
    def write_values(value: dict[str, Any]) -> dict[str, Any]:
        return {key: None if inner is None else write(shape.value, inner) for key, inner in value.items()}

    return write_values


def _write_float(_: Shape) -> Writer:
    return _float


def _float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _write_timestamp(shape: Shape) -> Writer:
    return partial(timestamps.write, style=shape.serialization.get("timestampFormat", "unixtimestamp"))


def _write_blob(_: Shape) -> Writer:
    return lambda value: base64.b64encode(value).decode()


_READERS: dict[str, Callable[[Any, Any, str], Any]] = {
    "structure": _read_structure, "list": _read_list, "map": _read_map,
    "string": _read_string, "character": _read_string, "blob": _read_blob,
    "integer": _read_integer, "long": _read_integer, "bigint": _read_integer,
    "float": _read_float, "double": _read_float, "boolean": _read_boolean, "timestamp": _read_timestamp,
}  # fmt: skip
_WRITERS: dict[str, Callable[[Any], Writer]] = {
    "structure": _write_structure, "list": _write_list, "map": _write_map,
    "float": _write_float, "double": _write_float, "timestamp": _write_timestamp, "blob": _write_blob,
}  # fmt: skip
