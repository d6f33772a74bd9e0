"""CBOR <-> values of a shape, for Smithy's RPC v2: as JSON, but bytes are bytes and moments are moments.

A body is first brought to what JSON would hold, then read by the same rules and refused in the same words.
"""

import base64
import math
from datetime import datetime
from typing import Any

from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.protocol.values import json_values, timestamps
from outcrop.protocol.values.cbor import Moment


def read(shape: Shape, value: Any) -> Any:
    """`value` as `shape` has it. Raises Unreadable with the path of the first value of a wrong kind."""
    return json_values.read(shape, _as_json(value))


def write(shape: Shape, value: Any) -> Any:
    """The value as cbor.dumps takes it; members go by their own names, which RPC v2 never renames."""
    if isinstance(shape, StructureShape):
        unknown = value.keys() - shape.members.keys()
        assert not unknown, f"{shape.name} has no member {sorted(unknown)}"
        members = shape.members
        return {name: write(members[name], inner) for name, inner in value.items() if inner is not None}
    if isinstance(shape, ListShape):
        return [None if inner is None else write(shape.member, inner) for inner in value]
    if isinstance(shape, MapShape):
        return {key: None if inner is None else write(shape.value, inner) for key, inner in value.items()}
    if isinstance(value, datetime):
        seconds = timestamps.write(value, "unixtimestamp")
        assert isinstance(seconds, int | float), f"{seconds!r} is no number of seconds"
        return Moment(seconds)
    return float(value) if shape.type_name in ("float", "double") else value


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _as_json(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_as_json(inner) for inner in value]
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, Moment):
        return value.seconds
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value
