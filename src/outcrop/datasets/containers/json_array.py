"""Records of a JSON array, or of an object that holds one, in files of any size."""

import json
from collections.abc import Iterator
from typing import IO

from outcrop.datasets.containers.json_text import EndedEarlyError, JsonStream
from outcrop.datasets.containers.trouble import ContainerError

_MEND = "Write it with a JSON library, or each record as one JSON object on a line."


def elements(file: IO[bytes], *, most: int) -> Iterator[bytes]:
    """The bytes of each element of the array that a file holds. Raises ContainerError where the array is none."""
    text = JsonStream(file, most=most)
    text.peek()
    yield from _elements(text)
    _check_end(text, "array")


def elements_under(file: IO[bytes], key: str, *, most: int) -> Iterator[bytes]:
    """The elements of the array that is under `key` in a file's one object; nothing else of it holds records."""
    text = JsonStream(file, most=most)
    text.peek()
    is_read = False
    for found in _keys(text):
        if found == key and is_read:
            raise ContainerError(f"{json.dumps(key)}: written twice", "Keep one of the two.")
        if found == key and text.peek() == b"[":
            is_read = True
            yield from _elements(text)
        else:
            _pass_over(text, found, key)
    _check_end(text, "object")


def _elements(text: JsonStream) -> Iterator[bytes]:
    number = 0
    text.skip()
    if text.peek() == b"]":
        text.skip()
        return
    while True:
        if text.peek() in (b"]", b","):
            where = f"behind record {number:,}" if number else "at the beginning of the array"
            raise ContainerError(f"not JSON, a comma or an end {where} where a record should be", _MEND)
        yield _value(text, number)
        number += 1
        following = text.peek()
        if not following:
            raise _ended(number)
        if following not in (b",", b"]"):
            raise ContainerError(f"not JSON, expected ',' or ']' behind record {number:,}", _MEND)
        text.skip()
        if following == b"]":
            return


def _keys(text: JsonStream) -> Iterator[str]:
    """The keys of the object that begins here. Whoever takes them takes each one's value before the next."""
    following = b","
    text.skip()
    while following == b",":
        if text.peek() != b'"':
            raise ContainerError("not JSON, expected a key in double quotes in the object around the records", _MEND)
        raw = _value(text, 0)
        try:
            key = str(json.loads(raw))
        except ValueError as error:
            raise ContainerError("not JSON, a key of the object around the records is no string", _MEND) from error
        if text.peek() != b":":
            raise ContainerError(f"not JSON, expected ':' behind the key {json.dumps(key)}", _MEND)
        text.skip()
        yield key
        following = text.peek()
        if following not in (b",", b"}"):
            raise ContainerError(f"not JSON, expected ',' or '}}' behind the value of {json.dumps(key)}", _MEND)
        text.skip()


def _pass_over(text: JsonStream, found: str, key: str) -> None:
    """Go over a value that is no record. Raises ContainerError for one that may hold records too."""
    raw = _value(text, 0)
    if raw.startswith(b"[") and raw[1:].lstrip().startswith(b"{"):
        both = f"{json.dumps(key, ensure_ascii=False)} and {json.dumps(found, ensure_ascii=False)}"
        raise ContainerError(f"records under two keys, {both}", "Write each of the two to a file of its own.")


def _value(text: JsonStream, number: int) -> bytes:
    if not text.peek():
        raise _ended(number)
    try:
        return text.value()
    except EndedEarlyError:
        raise _ended(number) from None


def _ended(number: int) -> ContainerError:
    where = f"behind record {number:,}" if number else "before its first record is whole"
    return ContainerError(f"not whole, the file ends {where}", "Fetch or write it again.")


def _check_end(text: JsonStream, what: str) -> None:
    if text.peek():
        raise ContainerError(f"not JSON, something follows the end of the {what}", _MEND)
