"""Single values as text: in headers, query strings, forms and XML elements, where everything is a string."""

import base64
import binascii
import re
from typing import Any

from outcrop.errors import Unreadable
from outcrop.protocol.shapes import Shape
from outcrop.protocol.values import timestamps

_INTEGER = re.compile(r"[+-]?\d{1,40}", re.ASCII)
# Java's own; where a model says no least or most, this is what the service could hold.
_BITS = {"integer": 32, "long": 64}
_BOOLEANS = {"true": True, "false": False}


def read(shape: Shape, text: str, path: str) -> Any:
    """The value `text` stands for. Raises Unreadable naming `path`."""
    kind = shape.type_name
    try:
        if kind in ("integer", "long", "bigint"):
            return _integer(shape, text)
        if kind in ("float", "double"):
            return float(text)
        if kind == "boolean":
            return _BOOLEANS[text.lower()]
        if kind == "timestamp":
            return timestamps.read(text)
        if kind == "blob":
            return base64.b64decode(text, validate=True)
    except (ValueError, KeyError, binascii.Error) as error:
        raise Unreadable(f"{path}: {text!r} is no {kind}") from error
    assert kind in ("string", "character"), f"{path}: a {kind} is no single value"
    return text


def fits(shape: Shape, value: int) -> bool:
    """Is a whole number one that the shape's type can hold?"""
    bits = _BITS.get(shape.type_name)
    return bits is None or -(1 << (bits - 1)) <= value < 1 << (bits - 1)


def _integer(shape: Shape, text: str) -> int:
    # int() itself reads `1_000`, blanks and digits of every script, and no service does.
    if _INTEGER.fullmatch(text) is None or not fits(shape, int(text)):
        raise ValueError(text)
    return int(text)


def write(shape: Shape, value: Any, timestamp_format: str) -> str:
    """`value` as text; `timestamp_format` counts where the shape names none."""
    kind = shape.type_name
    if kind == "timestamp":
        return str(timestamps.write(value, shape.serialization.get("timestampFormat", timestamp_format)))
    if kind == "boolean":
        return "true" if value else "false"
    if kind == "blob":
        return base64.b64encode(value).decode()
    return str(value)
