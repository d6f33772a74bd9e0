"""Input that is right but for one constraint, and the path that AWS would name."""

import copy
from collections.abc import Iterator
from typing import Any

from outcrop.protocol import patterns
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape
from tests.support.random_values import Maker

Step = str | int
_ODD = ["\x00", "*", " ", "é", "~~"]


def broken(shape: StructureShape, maker: Maker) -> Iterator[tuple[dict[str, Any], str]]:
    """One changed copy of a valid input for each constraint that can be broken in it, up to some."""
    valid = Maker(maker.numbers).structure(shape)
    found = list(_changes(shape, valid, (), ""))
    for way, wrong, path in maker.numbers.sample(found, min(len(found), 5)):
        changed = copy.deepcopy(valid)
        _put(changed, way, wrong)
        yield changed, path


def _changes(
    shape: StructureShape, value: dict[str, Any], way: tuple[Step, ...], path: str
) -> Iterator[tuple[tuple[Step, ...], Any, str]]:
    for name, member in shape.members.items():
        here = f"{path}.{_lower_first(name)}" if path else _lower_first(name)
        if name not in value:
            continue
        if name in shape.required_members:
            yield (*way, name), None, here
        yield from _inside(member, value[name], (*way, name), here)


def _inside(shape: Shape, value: Any, way: tuple[Step, ...], path: str) -> Iterator[tuple[tuple[Step, ...], Any, str]]:
    for wrong in _wrong(shape, value):
        yield way, wrong, path
    if isinstance(shape, StructureShape) and not shape.is_document_type:
        yield from _changes(shape, value, way, path)
    elif isinstance(shape, ListShape):
        simple = not isinstance(shape.member, StructureShape | ListShape | MapShape)
        for place, item in enumerate(value):
            # Of simple items AWS names the list, of others the place.
            below = path if simple else f"{path}.{place + 1}.member"
            yield (*way, place), None, below
            yield from _inside(shape.member, item, (*way, place), below)
    elif isinstance(shape, MapShape):
        simple = not isinstance(shape.value, StructureShape | ListShape | MapShape)
        for key, item in value.items():
            yield from _inside(shape.value, item, (*way, key), path if simple else f"{path}.{key}.member")


def _wrong(shape: Shape, value: Any) -> Iterator[Any]:
    """Values of the right type that break one constraint of the shape itself."""
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("integer", "long", "float", "double"):
        yield from ([least - 1] if least is not None else [])
        yield from ([most + 1] if most is not None else [])
    if shape.type_name in ("string", "blob", "list") and value:
        yield from ([value[: least - 1]] if least else [])
        yield from ([(value * (most // len(value) + 1))[: most + 1]] if most is not None and most < 3000 else [])
    if shape.type_name != "string":
        return
    if shape.enum:
        yield value + "X" if value + "X" not in shape.enum else value + "XX"
    expression = patterns.compiled(shape.metadata.get("pattern", "")) if "pattern" in shape.metadata else None
    if expression is not None:
        yield from (each for odd in _ODD for each in [value + odd] if not expression.fullmatch(each))


def _put(value: Any, way: tuple[Step, ...], wrong: Any) -> None:
    for step in way[:-1]:
        value = value[step]
    value[way[-1]] = wrong


def _lower_first(name: str) -> str:
    return name[:1].lower() + name[1:]
