"""Form fields -> values of a shape, for the query protocol: `Tags.member.2.Key=team` is the key of the second tag."""

from typing import Any
from urllib.parse import parse_qsl

from outcrop.errors import Unreadable
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from outcrop.protocol.values import scalars

Branch = dict[str, Any]
"Fields as a tree: each part of the dotted name leads one level down; the text of a leaf stands under ''."

_MAX_DEPTH = 40


def fields(form: str) -> dict[str, str]:
    """The fields of a form; of a repeated one the last counts."""
    try:
        return dict(parse_qsl(form, keep_blank_values=True, max_num_fields=20_000))
    except ValueError as error:
        raise Unreadable(f"The form has too many fields: {error}") from error


def tree(form: dict[str, str]) -> Branch:
    root: Branch = {}
    for name, value in form.items():
        parts = name.split(".")
        if len(parts) > _MAX_DEPTH:
            raise Unreadable(f"{name[:80]}...: no parameter has {len(parts)} levels")
        node = root
        for part in parts:
            node = node.setdefault(part, {})
        node[""] = value
    return root


def read(shape: Shape, node: Branch, path: str = "") -> Any:
    """The value below `node` as `shape` has it."""
    if isinstance(shape, StructureShape):
        return _read_structure(shape, node, path)
    if isinstance(shape, ListShape):
        inside = node if shape.serialization.get("flattened") else node.get(_item_name(shape), {})
        return [read(shape.member, item, f"{path}.{place}") for place, item in _numbered(inside, path)]
    if isinstance(shape, MapShape):
        return _read_map(shape, node, path)
    return scalars.read(shape, node.get("", ""), path)


def _read_structure(shape: StructureShape, node: Branch, path: str) -> dict[str, Any]:
    result = {}
    for name, member in shape.members.items():
        wire_name = _wire_name(member, name)
        if wire_name in node:
            result[name] = read(member, node[wire_name], f"{path}.{name}" if path else name)
    return result


def _wire_name(member: Shape, name: str) -> str:
    own: str = member.serialization.get("name", name)
    # A flattened list is named by its items where they have a name of their own.
    if isinstance(member, ListShape) and member.serialization.get("flattened"):
        own = member.member.serialization.get("name", own)
    return own


def _item_name(shape: ListShape) -> str:
    name: str = shape.member.serialization.get("name", "member")
    return name


def _read_map(shape: MapShape, node: Branch, path: str) -> dict[str, Any]:
    inside = node if shape.serialization.get("flattened") else node.get("entry", {})
    key_name = shape.key.serialization.get("name", "key")
    value_name = shape.value.serialization.get("name", "value")
    result = {}
    for place, entry in _numbered(inside, path):
        key = read(shape.key, entry.get(key_name, {}), f"{path}.{place}.{key_name}")
        result[key] = read(shape.value, entry.get(value_name, {}), f"{path}.{place}.{value_name}")
    return result


def _numbered(node: Branch, path: str) -> list[tuple[int, Branch]]:
    """The children `1`, `2`, ... in their order; gaps are allowed, as AWS allows them."""
    if not all(name.isdecimal() for name in node if name):
        raise Unreadable(f"{path}: the items of a list are numbered, as in {path}.member.1")
    return sorted((int(name), child) for name, child in node.items() if name)
