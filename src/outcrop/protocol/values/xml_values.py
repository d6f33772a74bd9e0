"""XML <-> values of a shape, for rest-xml (S3) and the answers of the query protocol (STS, IAM)."""

import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree
from xml.sax.saxutils import escape

from outcrop.errors import Unreadable
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.protocol.values import scalars

_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
"Characters XML 1.0 cannot hold, not even escaped. S3's listings offer encoding-type=url for keys that have them."


def parse(body: bytes) -> ElementTree.Element:
    """The root of an XML body, all names without their namespace."""
    # No API of AWS takes a document type; refusing it keeps entity bombs and external files outside.
    if b"<!DOCTYPE" in body or b"<!ENTITY" in body:
        raise Unreadable("The XML must not declare a document type.")
    try:
        root = ElementTree.fromstring(body)
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise Unreadable(f"The XML is not well-formed: {error}") from error
    for element in root.iter():
        element.tag = _local(element.tag)
        element.attrib = {_local(name): value for name, value in element.attrib.items()}
    return root


def read(shape: Shape, element: ElementTree.Element) -> Any:
    """The value of an element as `shape` has it."""
    if isinstance(shape, StructureShape):
        return _read_structure(shape, element)
    if isinstance(shape, ListShape):
        return [read(shape.member, child) for child in element if child.tag == _item_name(shape)]
    if isinstance(shape, MapShape):
        return _read_map(shape, element.findall("entry"))
    return scalars.read(shape, element.text or "", element.tag)


def write(shape: Shape, value: Any, name: str, attributes: str = "") -> str:
    """The element `name` holding `value`."""
    attributes += namespace(shape)
    if isinstance(shape, StructureShape):
        attributes += "".join(_attributes(shape, value))
        return f"<{name}{attributes}>{members(shape, value)}</{name}>"
    if isinstance(shape, ListShape):
        inner = "".join(write(shape.member, item, _item_name(shape)) for item in value)
        return f"<{name}{attributes}>{inner}</{name}>"
    if isinstance(shape, MapShape):
        return f"<{name}{attributes}>{''.join(_entries(shape, value, 'entry'))}</{name}>"
    return f"<{name}{attributes}>{text(scalars.write(shape, value, 'iso8601'))}</{name}>"


def members(shape: StructureShape, value: dict[str, Any]) -> str:
    """The elements inside of a structure, without its own tag; members that live in headers are left out."""
    unknown = value.keys() - shape.members.keys()
    assert not unknown, f"{shape.name} has no member {sorted(unknown)}"
    return "".join(
        _member(member, value[name], member.serialization.get("name", name))
        for name, member in shape.members.items()
        if value.get(name) is not None and "location" not in member.serialization
        and not member.serialization.get("xmlAttribute")
    )  # fmt: skip


def text(value: str) -> str:
    """`value` safe between tags. A carriage return must be escaped: a parser would read a line feed."""
    return _FORBIDDEN.sub("�", escape(value, {"\r": "&#13;"}))


def namespace(shape: Shape) -> str:
    """The attribute that declares the shape's own namespace, or nothing."""
    declared = shape.serialization.get("xmlNamespace")
    if not declared:
        return ""
    prefix = f":{declared['prefix']}" if "prefix" in declared else ""
    return f' xmlns{prefix}="{escape(declared["uri"])}"'


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _item_name(shape: ListShape) -> str:
    name: str = shape.member.serialization.get("name", "member")
    return name


def _is_flattened(shape: Shape) -> bool:
    return bool(shape.serialization.get("flattened"))


def _flat_name(shape: ListShape, name: str) -> str:
    """The repeated tag of a flattened list: its items' own name if they have one, else the member's."""
    own: str = shape.member.serialization.get("name", name)
    return own


def _read_structure(shape: StructureShape, element: ElementTree.Element) -> dict[str, Any]:
    result = {}
    for name, member in shape.members.items():
        value = _read_member(member, element, member.serialization.get("name", name))
        if value is not None:
            result[name] = value
    return result


def _read_member(member: Shape, element: ElementTree.Element, name: str) -> Any:
    if member.serialization.get("xmlAttribute"):
        written = element.get(name.rpartition(":")[2])
        return None if written is None else scalars.read(member, written, name)
    if _is_flattened(member):
        tag = _flat_name(member, name) if isinstance(member, ListShape) else name
        found = element.findall(tag)
        if not found:
            return None
        if isinstance(member, MapShape):
            return _read_map(member, found)
        assert isinstance(member, ListShape)
        return [read(member.member, child) for child in found]
    child = element.find(name)
    return None if child is None else read(member, child)


def _read_map(shape: MapShape, entries: list[ElementTree.Element]) -> dict[str, Any]:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    result = {}
    for entry in entries:
        key, value = entry.find(key_name), entry.find(value_name)
        if key is None or value is None:
            raise Unreadable(f"An entry of a map needs <{key_name}> and <{value_name}>.")
        result[read(shape.key, key)] = read(shape.value, value)
    return result


def _member(member: Shape, value: Any, name: str) -> str:
    if not _is_flattened(member):
        return write(member, value, name)
    if isinstance(member, MapShape):
        return "".join(_entries(member, value, name))
    assert isinstance(member, ListShape)
    return "".join(write(member.member, item, _flat_name(member, name)) for item in value)


def _entries(shape: MapShape, value: dict[str, Any], name: str) -> Iterator[str]:
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    for key, inner in value.items():
        yield f"<{name}>{write(shape.key, key, key_name)}{write(shape.value, inner, value_name)}</{name}>"


def _attributes(shape: StructureShape, value: dict[str, Any]) -> Iterator[str]:
    for name, member in shape.members.items():
        if member.serialization.get("xmlAttribute") and value.get(name) is not None:
            written = escape(scalars.write(member, value[name], "iso8601"), {'"': "&quot;"})
            yield f' {member.serialization["name"]}="{written}"'
