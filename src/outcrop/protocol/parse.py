"""A routed request -> the members of its operation's input, by the model's names. It judges no value: `validate` does.

A streaming blob is left out (the door hands it over as a stream). A body that cannot be read
raises Unreadable, a value of the path, the query or a header Invalid.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from outcrop.errors import Invalid, Unreadable
from outcrop.protocol import service_model
from outcrop.protocol.compression import plain
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.routing import Routed, is_form
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.protocol.values import (
    cbor,
    cbor_values,
    json_text,
    json_values,
    query_values,
    scalars,
    xml_values,
)


def parse(routed: Routed, request: HttpRequest) -> dict[str, Any]:
    """The members that were sent; absent ones are absent."""
    shape = routed.operation.input_shape
    if shape is None:
        return {}
    if routed.protocol == "json":
        return dict(json_values.read(shape, json_values.parse(plain(request))))
    if routed.protocol == service_model.CBOR:
        return dict(cbor_values.read(shape, cbor.loads(plain(request))))
    if routed.protocol == "query":
        return dict(query_values.read(shape, query_values.tree(_fields(request))))
    assert routed.protocol in ("rest-json", "rest-xml"), f"no parser for {routed.protocol}"
    try:
        params = _located(shape, request.headers, _query(request.raw_query), routed.path_parameters)
    except Unreadable as error:
        raise Invalid(error.message) from error  # A wrong value, where everything is text; not broken syntax.
    params.update(_body(shape, request.body or b"", routed.protocol))
    return params


def _fields(request: HttpRequest) -> dict[str, str]:
    if is_form(request):
        return query_values.fields(plain(request).decode("utf-8", "replace"))
    return query_values.fields(request.raw_query)


def _query(raw_query: str) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for key, value in parse_qsl(raw_query, keep_blank_values=True):
        values.setdefault(key, []).append(value)
    return values


def _located(
    shape: StructureShape,
    headers: Mapping[str, str],
    query: dict[str, list[str]],
    path_parameters: Mapping[str, str],
) -> dict[str, Any]:
    """The members in the path, the query and the headers."""
    params: dict[str, Any] = {}
    for wire_name, value in path_parameters.items():
        if (label := shape.places.labels.get(wire_name)) is not None:
            params[label.name] = scalars.read(label.shape, value, label.name)
    if query:
        for wire_name, key in shape.places.keys.items():
            params[key.name] = _from_query(key.shape, query, wire_name, shape)
    for wire_name, value in headers.items():
        if (header := shape.places.headers.get(wire_name)) is not None:
            shown_name = header.shape.serialization.get("name", header.name)
            _check_text(shown_name, value)
            params[header.name] = _from_header(header.shape, value, shown_name)
    for prefix, prefixed in shape.places.prefixes.items():
        params[prefixed.name] = _prefixed(headers, prefix)
    return {name: value for name, value in params.items() if value is not None}


def _from_query(member: Shape, query: dict[str, list[str]], name: str, shape: StructureShape) -> Any:
    if isinstance(member, MapShape):
        named = {inner.serialization.get("name") for inner in shape.members.values() if inner is not member}
        rest = {key: values for key, values in query.items() if key not in named}
        if isinstance(member.value, ListShape):
            return rest or None
        return {key: values[-1] for key, values in rest.items()} or None
    if name not in query:
        return None
    if isinstance(member, ListShape):
        return [scalars.read(member.member, value, name) for value in query[name]]
    return scalars.read(member, query[name][-1], name)


def _from_header(member: Shape, value: str, name: str) -> Any:
    if member.serialization.get("jsonvalue"):
        try:
            return json_text.loads(base64.b64decode(value, validate=True))
        except (ValueError, binascii.Error) as error:
            raise Unreadable(f"{name}: must be the base64 of a JSON value") from error
    if isinstance(member, ListShape):
        return [scalars.read(member.member, part.strip(), name) for part in value.split(",") if part.strip()]
    if member.type_name == "timestamp" and not value.strip():
        return None
    return scalars.read(member, value, name)


def _prefixed(headers: Mapping[str, str], prefix: str) -> dict[str, str] | None:
    found = {name[len(prefix) :]: value for name, value in headers.items() if name.startswith(prefix)}
    for name, value in found.items():
        _check_text(f"{prefix}{name}", value)
    return found or None


def _check_text(name: str, value: str) -> None:
    if json_text.holds_half(value):
        raise Unreadable(f"{name}: the header is not UTF-8. Encode its value, in base64 or percent signs say")


def _body(shape: StructureShape, body: bytes, protocol: str) -> dict[str, Any]:
    """The members in the body: the one that is the whole payload, or those that have no other place."""
    payload = shape.serialization.get("payload")
    if payload is not None:
        member = shape.members[payload]
        if service_model.is_streaming_blob(member) or member.serialization.get("eventstream"):
            return {}
        value = _payload(member, body, protocol)
        return {} if value is None else {payload: value}
    if not any("location" not in member.serialization for member in shape.members.values()):
        return {}
    if protocol == "rest-json":
        return _without_location(shape, json_values.read(shape, json_values.parse(body)))
    return _without_location(shape, xml_values.read(shape, xml_values.parse(body))) if body else {}


def _payload(member: Shape, body: bytes, protocol: str) -> Any:
    if not body:
        # S3 judges an empty policy as one, and tells what is wrong with it.
        return "" if member.type_name == "string" and protocol == "rest-xml" else None
    if member.type_name == "blob":
        return body
    if member.type_name == "string":
        return body.decode("utf-8", "replace")
    if protocol == "rest-json":
        return json_values.read(member, json_values.parse(body))
    return xml_values.read(member, xml_values.parse(body))


def _without_location(shape: StructureShape, params: dict[str, Any]) -> dict[str, Any]:
    # A member of the path stays what the path says, whatever a body repeats under the same name.
    return {name: value for name, value in params.items() if "location" not in shape.members[name].serialization}
