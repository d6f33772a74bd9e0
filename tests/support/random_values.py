"""Random values that a shape allows: every constraint of the service model met, or on purpose one broken.

Plain seeded random numbers, no hypothesis: 1,200 operations are drawn for in every run, and its bookkeeping would take
ten times as long as what is tested.
"""

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from re import _constants as sre  # type: ignore[attr-defined]
from re import _parser as sre_parser  # type: ignore[attr-defined]
from typing import Any

from outcrop.protocol import patterns
from outcrop.protocol.shapes import ListShape, MapShape, OperationModel, Shape, StructureShape

DEEPEST = 3
_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_TEXT = _LETTERS + "  _-./:+%&?=<>\"'\\éß日本😀"
_HEADER_TEXT = _LETTERS + "_-./:+="
# Single characters stand for what a class such as `[^/]` or `.` allows.
_SOME = "aZ3-_./: @+=,日"


class Unmeetable(Exception):
    """No value was found: constraints of the model that contradict each other, or that the maker cannot meet."""


@dataclass(frozen=True)
class Maker:
    """Makes values from one source of random numbers. `loose`: without the constraints of lengths and patterns."""

    numbers: random.Random
    loose: bool = False

    def operation_input(self, operation: OperationModel) -> dict[str, Any]:
        return {} if operation.input_shape is None else self.structure(operation.input_shape)

    def structure(self, shape: StructureShape, depth: int = 0, place: str = "body") -> dict[str, Any]:
        """Required members always, some of the others; in a union exactly one."""
        usable = {name: member for name, member in shape.members.items() if not _flows(member)}
        chosen = self._chosen(shape, usable, depth)
        made = {}
        for name in usable:
            if name not in chosen:
                continue
            here = usable[name].serialization.get("location", place)
            try:
                made[name] = self.value(usable[name], depth + 1, here)
            except Unmeetable:
                if name in shape.required_members or "union" in shape.metadata:
                    raise
        if depth and not made and usable and not shape.required_members:
            # A structure without members vanishes in a form.
            name = next(iter(sorted(usable, key=lambda each: _is_nested(usable[each]))))
            made[name] = self.value(usable[name], depth + 1, place)
        return made

    def value(self, shape: Shape, depth: int, place: str = "body") -> Any:
        if isinstance(shape, StructureShape):
            return self._document() if shape.is_document_type else self.structure(shape, depth, place)
        if isinstance(shape, ListShape):
            # An empty list and an absent one look the same in XML and in forms.
            return [self.value(shape.member, depth + 1, place) for _ in range(self._size(shape, depth))]
        if isinstance(shape, MapShape):
            return self._map(shape, depth, place)
        return self._scalar(shape, place)

    def _chosen(self, shape: StructureShape, usable: dict[str, Shape], depth: int) -> set[str]:
        if "union" in shape.metadata:
            simple = [name for name in usable if not _is_nested(usable[name])]
            return {self.numbers.choice(simple if depth >= DEEPEST and simple else list(usable))}
        required = {name for name in shape.required_members if name in usable}
        optional = [name for name in usable if name not in required]
        if depth >= DEEPEST:
            return required
        return required | set(self.numbers.sample(optional, min(len(optional), self.numbers.randint(0, 3))))

    def _map(self, shape: MapShape, depth: int, place: str) -> dict[str, Any]:
        wanted = self._size(shape, depth)
        made: dict[str, Any] = {}
        for _ in range(20 * wanted):
            key = self.text(_LETTERS.lower()[:26], 3, 8) if place == "headers" else self._scalar(shape.key, place)
            if key and len(made) < wanted:
                made[key] = self.value(shape.value, depth + 1, place)
        if len(made) < wanted:
            raise Unmeetable(shape.name)
        return made

    def _size(self, shape: Shape, depth: int) -> int:
        least = max(1, int(shape.metadata.get("min", 1)))
        most = int(shape.metadata.get("max", 3))
        if self.loose:
            least, most = 1, 2
        if most < 1 or least > 60:
            raise Unmeetable(shape.name)
        return self.numbers.randint(least, max(least, min(most, 1 if depth > DEEPEST else 2)))

    def _scalar(self, shape: Shape, place: str) -> Any:
        match shape.type_name:
            case "string" | "character":
                return self._string(shape, place)
            case "integer" | "long" | "bigint":
                return self.numbers.randint(*_range(shape, self.loose))
            case "float" | "double":
                low, high = _range(shape, self.loose)
                return self.numbers.choice([float(low), float(high), self.numbers.randint(low * 8, high * 8) / 8])
            case "boolean":
                return self.numbers.random() < 0.5
            case "timestamp":
                return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=self.numbers.randint(0, 4_000_000_000))
            case "blob":
                return self.numbers.randbytes(max(1, int(shape.metadata.get("min", 1)), self.numbers.randint(1, 12)))
        raise AssertionError(f"no values for a {shape.type_name}")

    def _string(self, shape: Shape, place: str) -> str:
        if shape.enum:
            return self.numbers.choice(shape.enum)
        least, most = int(shape.metadata.get("min", 0)), int(shape.metadata.get("max", 1 << 20))
        alphabet = _TEXT if place == "body" else _HEADER_TEXT
        if place == "uri" and shape.name == "BucketName":
            return self.text(_LETTERS.lower(), 3, 12)
        if place in ("uri", "header", "headers", "querystring"):
            least = max(1, least)
        if self.loose:
            return self.text(alphabet, least if place == "uri" else 1, max(least, 8))
        expression = patterns.compiled(shape.metadata.get("pattern", "")) if "pattern" in shape.metadata else None
        for _ in range(400):
            if expression is None:
                made = self.text(alphabet, least, max(least, min(most, least + 8)))
            else:
                made = self.matching(expression, least, most, travels=place != "body")
            fits = expression is None or expression.fullmatch(made)
            if fits and least <= len(made) <= most and (place == "body" or _travels(made)):
                return made
        raise Unmeetable(f"{shape.name} {shape.metadata}")

    def text(self, alphabet: str, least: int, most: int) -> str:
        return "".join(self.numbers.choices(alphabet, k=self.numbers.randint(least, most)))

    def matching(self, expression: re.Pattern[str], least: int, most: int, *, travels: bool = False) -> str:
        """A string that `expression` mostly matches (looks ahead and behind are skipped), about `least` long.

        `travels`: outside of a body, where of a class's characters those of ASCII are taken, if it has any.
        """
        return "".join(self._parts(_tree(expression.pattern), max(2, least), most, travels))

    def _parts(self, tree: Any, least: int, most: int, travels: bool) -> Iterator[str]:
        for kind, argument in tree:
            match kind:
                case sre.LITERAL:
                    yield chr(argument)
                case sre.NOT_LITERAL:
                    yield next(each for each in _SOME if ord(each) != argument)
                case sre.ANY:
                    yield self.numbers.choice(_SOME)
                case sre.IN:
                    allowed = _allowed(repr(argument), tuple(map(tuple, argument)))
                    plain = _ascii(allowed) if travels else ""
                    yield self.numbers.choice(plain or allowed)
                case sre.BRANCH:
                    yield from self._parts(self.numbers.choice(argument[1]), least, most, travels)
                case sre.SUBPATTERN:
                    yield from self._parts(argument[-1], least, most, travels)
                case sre.MAX_REPEAT | sre.MIN_REPEAT:
                    low, high, inner = argument
                    extra = self.numbers.choice([0, 1, 3, least, min(least + 8, most)])
                    for _ in range(min(int(high), max(int(low), min(low + extra, most)))):
                        yield from self._parts(inner, least, most, travels)

    def _document(self) -> dict[str, Any]:
        inner: list[Any] = [None, True, -7, 2.5, "日本", ["a", None], {"b": {"c": 1}}]
        return {self.text(_LETTERS, 1, 4): self.numbers.choice(inner) for _ in range(self.numbers.randint(0, 2))}


def _range(shape: Shape, loose: bool) -> tuple[int, int]:
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if loose or (low is None and high is None):
        return (0, 2**31 - 1) if not loose else (-(2**31), 2**31 - 1)
    low = -(2**31) if low is None else low
    return int(low), int(min(high, 2**31 - 1) if high is not None else max(low, 2**31 - 1))


def _travels(value: str) -> bool:
    """Can a header or a label be this? Neither starts or ends with a blank, and a header is ASCII."""
    return value.isascii() and value.isprintable() and value == value.strip() and "," not in value


def _is_nested(shape: Shape) -> bool:
    return isinstance(shape, StructureShape | ListShape | MapShape)


def _flows(member: Shape) -> bool:
    return bool(member.serialization.get("streaming") or member.serialization.get("eventstream"))


@cache
def _tree(pattern: str) -> Any:
    return sre_parser.parse(pattern)


@cache
def _ascii(characters: str) -> str:
    return "".join(each for each in characters if each.isascii())


@cache
def _allowed(_: str, items: tuple[Any, ...]) -> str:
    """Some characters of a class."""
    negated = items[0][0] is sre.NEGATE
    listed = set()
    for kind, argument in items:
        match kind:
            case sre.LITERAL:
                listed.add(chr(argument))
            case sre.RANGE:
                low, high = argument
                listed |= {chr(code) for code in range(low, min(high, low + 400) + 1) if not 0xD800 <= code < 0xE000}
            case sre.CATEGORY:
                listed |= {each for each in map(chr, range(128)) if _of(argument, each)}
    allowed = set(_SOME + _LETTERS) - listed if negated else listed
    plain = {each for each in allowed if each.isprintable()}
    return "".join(sorted(plain or allowed))


def _of(category: Any, character: str) -> bool:
    classes = {
        sre.CATEGORY_DIGIT: r"\d", sre.CATEGORY_NOT_DIGIT: r"\D", sre.CATEGORY_SPACE: r"\s",
        sre.CATEGORY_NOT_SPACE: r"\S", sre.CATEGORY_WORD: r"\w", sre.CATEGORY_NOT_WORD: r"\W",
    }  # fmt: skip
    return re.fullmatch(classes[category], character) is not None
