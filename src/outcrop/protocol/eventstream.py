"""Frames of `application/vnd.amazon.eventstream`: an event, a modelled exception, or an error nobody modelled.

total length u32 | headers length u32 | CRC32 of these | headers | payload | CRC32 of everything before
"""

import struct
from binascii import crc32
from functools import lru_cache
from typing import Any

from outcrop.protocol.shapes import Shape, StructureShape
from outcrop.protocol.values import json_values, scalars

CONTENT_TYPE = "application/vnd.amazon.eventstream"
_JSON = "application/json"
_STRING = 7
_LONGEST_HEADER = 2**16 - 1


def encode_event(event_type: str, payload: bytes, content_type: str = _JSON, **headers: str) -> bytes:
    """The bytes of an event; `event_type` is its member in the stream's shape."""
    head = _event_head(event_type, content_type)
    return _framed(head + _head(headers) if headers else head, payload)


def encode_exception(name: str, message: str, **members: Any) -> bytes:
    """A modelled exception; `name` is its member in the stream's shape, `validationException`."""
    headers = {":exception-type": name, ":content-type": _JSON, ":message-type": "exception"}
    return _frame(headers, json_values.dumps({"message": message, **members}))


def encode_error(code: str, message: str) -> bytes:
    """An error the stream's shape does not know."""
    return _frame({":error-code": code, ":error-message": message, ":message-type": "error"}, b"")


def event(stream: StructureShape, value: dict[str, Any]) -> bytes:
    """The frame of a one-key dict {member: {...}}."""
    assert len(value) == 1, f"an event has one key, not {sorted(value)}"
    ((name, members),) = value.items()
    shape = stream.structures[name]
    headers, payload, content_type = _split(shape, members)
    return encode_event(name, payload, content_type, **headers)


def exception_member(stream: StructureShape, code: str) -> tuple[str, StructureShape] | None:
    """The member of the stream that carries errors of this code, if the stream knows them."""
    for name, shape in stream.structures.items():
        if shape.metadata.get("exception") and shape.error_code == code:
            return name, shape
    return None


def _split(shape: StructureShape, members: dict[str, Any]) -> tuple[dict[str, str], bytes, str]:
    """The frame headers, the payload and the payload's type, from an event's members."""
    headers = {
        name: scalars.write(member, members[name], "iso8601")
        for name, member in shape.members.items()
        if member.serialization.get("eventheader") and members.get(name) is not None
    }
    for name, member in shape.members.items():
        if member.serialization.get("eventpayload"):
            return headers, *_payload(member, members.get(name))
    body = {name: value for name, value in members.items() if name not in headers}
    return headers, json_values.dumps(json_values.write(shape, body)), _JSON


def _payload(member: Shape, value: Any) -> tuple[bytes, str]:
    if member.type_name == "blob":
        return value or b"", "application/octet-stream"
    if member.type_name == "string":
        return (value or "").encode("utf-8", "replace"), "text/plain"
    return json_values.dumps(json_values.write(member, value or {})), _JSON


@lru_cache(maxsize=256)
def _event_head(event_type: str, content_type: str) -> bytes:
    return _head({":event-type": event_type, ":content-type": content_type, ":message-type": "event"})


def _frame(headers: dict[str, str], payload: bytes) -> bytes:
    return _framed(_head(headers), payload)


def _head(headers: dict[str, str]) -> bytes:
    return b"".join(_header(name, value) for name, value in headers.items())


def _framed(head: bytes, payload: bytes) -> bytes:
    prelude = struct.pack("!II", len(head) + len(payload) + 16, len(head))
    body = prelude + struct.pack("!I", crc32(prelude)) + head + payload
    return body + struct.pack("!I", crc32(body))


def _header(name: str, value: str) -> bytes:
    written, key = value.encode("utf-8", "replace")[:_LONGEST_HEADER], name.encode()
    return struct.pack("!B", len(key)) + key + struct.pack("!BH", _STRING, len(written)) + written
