"""Strict parsing of one line of bytes into one JSON value. It says one thing only, in text that can be encoded."""

import json
import sys
from functools import partial
from typing import Any, NamedTuple

_OF_PYTHON = {"None": "null", "True": "true", "False": "false"}


class JsonError(Exception):
    """The line is no JSON value; where, what, and how to mend it."""

    def __init__(self, field: str, what: str, mend: str) -> None:
        super().__init__(what)
        self.field = field
        self.what = what
        self.mend = mend


class Wording(NamedTuple):
    """The words for a place in a text, for its end, and for how to mend it."""

    place: str
    end: str
    mend: str


LINE = Wording("column", "line", "Write the record as one JSON object on one line.")
ELEMENT = Wording("character", "record", "Write the record with a JSON library.")


def parse(content: bytes, wording: Wording = LINE) -> Any:
    """The value of a line. Raises JsonError; a key written twice is refused, for one of the two would be lost."""
    text = _decoded(content).strip("\r\n\t ")
    if text.startswith("[") and wording is LINE:
        raise JsonError(
            "",
            "a JSON array, not JSON Lines",
            "Write each object on a line of its own, without [ ] and commas.",
        )
    if "\x00" in text:
        place = f"{wording.place} {text.index(chr(0)) + 1}"
        raise JsonError(place, "a NUL byte", "Remove it; UTF-8 text holds none.")
    try:
        return _DECODERS[wording].decode(text)
    except json.JSONDecodeError as error:
        raise _explained(error, text, wording) from error
    except RecursionError as error:
        raise JsonError("", "nested too deeply", wording.mend) from error
    except ValueError as error:  # an integer of thousands of digits
        what = f"a number of more than {sys.get_int_max_str_digits():,} digits"
        raise JsonError("", what, "Write it as a string, or shorter.") from error


def _decoded(content: bytes) -> str:
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        guess = " (it looks like UTF-16)" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else ""
        raise JsonError(f"byte {error.start + 1}", f"not UTF-8{guess}", "Save the file as UTF-8.") from error


def _explained(error: json.JSONDecodeError, text: str, wording: Wording) -> JsonError:
    place = f"{wording.place} {error.pos + 1}"
    if error.pos >= len(text):
        return JsonError(place, f"not JSON, the {wording.end} ends too early", wording.mend)
    python = next((word for word in _OF_PYTHON if text.startswith(word, error.pos)), None)
    if python is not None:
        mend = f"Write {_OF_PYTHON[python]} for {python}; json.dumps does."
        return JsonError(place, f"not JSON, {python} is Python's", mend)
    if text.startswith("\ufeff"):
        return JsonError(place, "not JSON, a byte order mark that does not begin the file", wording.mend)
    what = {
        "Extra data": f"expected the end of the {wording.end}",
        "Expecting ',' delimiter": "expected ','",
        "Expecting ':' delimiter": "expected ':'",
        "Expecting value": "expected a value",
        "Expecting property name enclosed in double quotes": "expected a key in double quotes",
        "Unterminated string starting at": "the string that begins here does not end",
        "Invalid control character at": "a control character in a string, such as a tab or a line break",
    }.get(error.msg, error.msg[0].lower() + error.msg[1:])
    return JsonError(place, f"not JSON, {what}", wording.mend)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        raise JsonError(twice, "written twice", "Keep one of the two.")
    return value


def _no_constant(name: str, wording: Wording) -> Any:
    raise JsonError("", f"not JSON, {name} is no value", wording.mend)


_DECODERS = {
    wording: json.JSONDecoder(object_pairs_hook=_once, parse_constant=partial(_no_constant, wording=wording))
    for wording in (LINE, ELEMENT)
}
"Made once: the making of one takes as long as reading a line."
