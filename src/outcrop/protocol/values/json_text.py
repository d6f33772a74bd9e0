"""JSON from outside -> plain values that everything inside can handle: every text is text, every number finite.

Python's own reader takes halves of surrogate pairs, NaN, numbers beyond all bounds and, nearly, any depth; whoever
writes, compares or walks such values later would break there.
"""

import json
import math
import re
from collections.abc import Callable
from typing import Any

DEEPEST = 200
"Levels of lists and objects. No request of any service has more than a tenth of them."
_HALF = re.compile("[\ud800-\udfff]")
_SHAPES = bytes.maketrans(b"0123456789E", b"0000000000e")
_LARGE, _LONG = re.compile(rb"e000"), b"0" * 200
"""As `_SHAPES` writes figures: without an exponent of three of them, or 200 in a row, no number of a text is beyond
1e299. The many floats of vectors are then read by the parser itself, not by a function that is called for each."""
_CONTAINERS = {list, dict}
_MAYBE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


class NotJson(ValueError):
    """Why a text is no JSON that is taken here, in words for its sender."""


def loads(data: bytes | str, *, pairs: Callable[[list[tuple[str, Any]]], Any] | None = None) -> Any:
    """The value. `pairs` makes an object of its members, and may raise ValueError. Raises NotJson."""
    try:
        text = data if isinstance(data, str) else data.decode(json.detect_encoding(data))
    except UnicodeDecodeError as error:
        raise NotJson(f"it is not {error.encoding.upper()} at byte {error.start}") from error
    try:
        reading = _float if _may_be_huge(text) else None
        value = json.loads(text, parse_constant=_constant, parse_float=reading, object_pairs_hook=pairs)
    except RecursionError as error:
        raise _too_deep() from error
    except json.JSONDecodeError as error:
        raise NotJson(f"{error.msg} at line {error.lineno}, column {error.colno}") from error
    except NotJson:
        raise
    except ValueError as error:
        raise NotJson("a number has too many digits" if "digits" in str(error) else str(error)) from error
    if text.count("[") + text.count("{") > DEEPEST and _is_deep(value):
        raise _too_deep()
    if _may_hold_half(data) and _holds_half(value):
        raise NotJson("a text holds half of a surrogate pair, which is no character")
    return value


def without_halves(text: str) -> str:
    """The text with U+FFFD for what no encoding can write."""
    return _HALF.sub("�", text)


def holds_half(text: str) -> bool:
    """Whether a text holds half of a surrogate pair: it then came from bytes that are no UTF-8."""
    return not text.isascii() and _HALF.search(text) is not None


def _may_be_huge(text: str) -> bool:
    """Whether a number of the text may be too large for a float. What stands in strings is looked at too."""
    shapes = text.encode("utf-8", "surrogatepass").translate(_SHAPES, b"+")
    return _LARGE.search(shapes) is not None or _LONG in shapes


def _may_hold_half(data: bytes | str) -> bool:
    # Text of valid bytes holds none but by an escape; emoji are escaped as two halves, and looked at for it.
    return holds_half(data) or "\\u" in data if isinstance(data, str) else _MAYBE_HALF.search(data) is not None


def _holds_half(value: Any) -> bool:
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, str):
            if holds_half(item):
                return True
        elif isinstance(item, list):
            waiting += item
        elif isinstance(item, dict):
            waiting += [*item.keys(), *item.values()]
    return False


def _is_deep(value: Any) -> bool:
    level = [value] if isinstance(value, list | dict) else []
    for _ in range(DEEPEST):
        level = [
            inner
            for item in level
            if not _CONTAINERS.isdisjoint(map(type, item if isinstance(item, list) else item.values()))
            for inner in (item if isinstance(item, list) else item.values())
            if isinstance(inner, list | dict)
        ]
        if not level:
            return False
    return any(level)


def _too_deep() -> NotJson:
    return NotJson(f"it is nested more than {DEEPEST} levels deep")


def _constant(name: str) -> None:
    raise NotJson(f"{name} is no JSON value")


def _float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise NotJson(f"the number {text[:40]} is too large")
    return number
