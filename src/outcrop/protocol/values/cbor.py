"""Encoding of plain values as CBOR (RFC 8949) and back, as far as Smithy's RPC v2 uses it. It uses numbers, text,
bytes, lists, maps and tag 1.

A moment, which is tag 1 over seconds since 1970, stays `Moment`: only a shape knows that it is a date. Maps have text
for keys. What a client may send but no shape asks for (other tags, other simple values) is refused, not guessed.
"""

import math
import struct
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Unreadable

_DEEPEST = 64
_LARGEST_BYTES = 256
"Of a whole number: Python writes no larger ones than four of these, and no member holds any."
_INDEFINITE = 31
_WIDTHS = {24: 1, 25: 2, 26: 4, 27: 8}
_FLOATS = {25: "!e", 26: "!f", 27: "!d"}
_SIMPLE = {20: False, 21: True, 22: None, 23: None}
_MOMENT_TAG, _POSITIVE_BIG, _NEGATIVE_BIG = 1, 2, 3


@dataclass(frozen=True)
class Moment:
    """Seconds since 1970, whatever is to become of them."""

    seconds: float


class _Break:
    """The end of something of indefinite length."""


_BREAK = _Break()


def loads(body: bytes) -> Any:
    """The one value of a body; an empty body is an empty map. Raises Unreadable."""
    if not body:
        return {}
    reader = _CborReader(body)
    value = reader.value(0)
    if value is _BREAK or reader.position != len(body):
        raise Unreadable(f"The request body is not one CBOR value: it ends at byte {reader.position} of {len(body)}")
    return value


def dumps(value: Any) -> bytes:
    out = bytearray()
    _write(out, value)
    return bytes(out)


class _CborReader:
    def __init__(self, body: bytes) -> None:
        self._body = body
        self.position = 0

    def value(self, depth: int) -> Any:
        if depth > _DEEPEST:
            raise Unreadable(f"The request body is nested more than {_DEEPEST} levels deep")
        (first,) = self._take(1)
        major, more = first >> 5, first & 31
        if major == 7:
            return self._simple(more)
        if more == _INDEFINITE and major in (2, 3, 4, 5):
            return self._indefinite(major, depth)
        length = self._argument(more)
        match major:
            case 0:
                return length
            case 1:
                return -1 - length
            case 2:
                return self._take(length)
            case 3:
                return self._text(self._take(length))
            case 4:
                return [self._item(depth) for _ in range(self._possible(length))]
            case 5:
                return dict(self._pair(depth) for _ in range(self._possible(length)))
        return self._tagged(length, depth)

    def _argument(self, more: int) -> int:
        if more < 24:
            return more
        if more not in _WIDTHS:
            raise self._wrong(f"{more} says no length")
        return int.from_bytes(self._take(_WIDTHS[more]), "big")

    def _simple(self, more: int) -> Any:
        if more == _INDEFINITE:
            return _BREAK
        if more in _FLOATS:
            return struct.unpack(_FLOATS[more], self._take(_WIDTHS[more]))[0]
        if more not in _SIMPLE:
            raise self._wrong(f"there is no simple value {more}")
        return _SIMPLE[more]

    def _indefinite(self, major: int, depth: int) -> Any:
        items = []
        while (item := self.value(depth + 1)) is not _BREAK:
            items.append((item, self._item(depth)) if major == 5 else item)
        if major == 4:
            return items
        if major == 5:
            return {self._key(key): value for key, value in items}
        wanted: type = bytes if major == 2 else str
        if not all(isinstance(item, wanted) for item in items):
            raise self._wrong("a string in pieces has pieces of its own kind only")
        return wanted().join(items)

    def _tagged(self, tag: int, depth: int) -> Any:
        value = self._item(depth)
        if tag == _MOMENT_TAG and isinstance(value, int | float) and not isinstance(value, bool):
            return Moment(value)
        if tag in (_POSITIVE_BIG, _NEGATIVE_BIG) and isinstance(value, bytes) and len(value) <= _LARGEST_BYTES:
            number = int.from_bytes(value, "big")
            return number if tag == _POSITIVE_BIG else -1 - number
        raise self._wrong(f"no member is written with tag {tag} over {type(value).__name__}")

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self._key(self._item(depth))
        return key, self._item(depth)

    def _item(self, depth: int) -> Any:
        value = self.value(depth + 1)
        if value is _BREAK:
            raise self._wrong("a value is missing before the break")
        return value

    def _key(self, value: Any) -> str:
        if not isinstance(value, str):
            raise self._wrong("the keys of a map are text")
        return value

    def _possible(self, length: int) -> int:
        # Every item takes a byte at least. A stated length beyond that must not cost memory before it is refused.
        if length > len(self._body) - self.position:
            raise self._wrong(f"it ends before {length} items")
        return length

    def _take(self, length: int) -> bytes:
        taken = self._body[self.position : self.position + length]
        if len(taken) != length:
            raise self._wrong(f"it ends {length - len(taken)} bytes too early")
        self.position += length
        return taken

    def _text(self, taken: bytes) -> str:
        try:
            return taken.decode()
        except UnicodeDecodeError as error:
            raise self._wrong("text is not UTF-8") from error

    def _wrong(self, what: str) -> Unreadable:
        return Unreadable(f"The request body is not valid CBOR at byte {self.position}: {what}")


def _write(out: bytearray, value: Any) -> None:
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            _write_integer(out, value)
        case float():
            out += b"\xf9\x7e\x00" if math.isnan(value) else struct.pack("!Bd", 0xFB, value)
        case str():
            written = value.encode("utf-8", "replace")
            _head(out, 3, len(written))
            out += written
        case bytes():
            _head(out, 2, len(value))
            out += value
        case list():
            _head(out, 4, len(value))
            for item in value:
                _write(out, item)
        case dict():
            _head(out, 5, len(value))
            for key, item in value.items():
                _write(out, str(key))
                _write(out, item)
        case Moment():
            _head(out, 6, _MOMENT_TAG)
            _write(out, value.seconds)
        case _:
            raise AssertionError(f"CBOR is not written for {type(value)}")


def _write_integer(out: bytearray, value: int) -> None:
    magnitude = value if value >= 0 else -1 - value
    if magnitude.bit_length() <= 64:
        _head(out, 0 if value >= 0 else 1, magnitude)
        return
    _head(out, 6, _POSITIVE_BIG if value >= 0 else _NEGATIVE_BIG)
    _write(out, magnitude.to_bytes((magnitude.bit_length() + 7) // 8, "big"))


def _head(out: bytearray, major: int, argument: int) -> None:
    if argument < 24:
        out.append(major << 5 | argument)
        return
    width = next(width for width in (1, 2, 4, 8) if argument < 1 << 8 * width)
    out.append(major << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width])
    out += argument.to_bytes(width, "big")
