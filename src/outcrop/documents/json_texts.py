"""JSON Lines of texts read as documents, one for each line: the form in which corpora are kept."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outcrop.documents.section import Section, Unread

_TEXT = ("text", "input", "content", "body")
_HEADINGS = ("title", "chapter", "section", "heading")
_MOST_BYTES = 64 * 2**20
_HALF = re.compile("[\ud800-\udfff]")


def read_json_texts(path: Path) -> Iterator[Section | Unread]:
    """The text of every line, with those of its fields that are headings; lines without one are told."""
    with path.open("rb") as file:
        number = 0
        while line := file.readline(_MOST_BYTES + 1):
            number += 1
            if len(line) > _MOST_BYTES:
                yield Unread(document=path.name, place=f"line {number}", reason=f"a line of over {_MOST_BYTES:,} bytes")
                while line and not line.endswith(b"\n"):
                    line = file.readline(_MOST_BYTES)
            elif line.strip():
                yield _section(line, path.name, number)


def _section(line: bytes, document: str, number: int) -> Section | Unread:
    place = f"line {number}"
    try:
        value: Any = json.loads(line.decode("utf-8-sig"))
    except (ValueError, RecursionError):
        return Unread(document=document, place=place, reason="no JSON")
    fields = value if isinstance(value, dict) else {}
    text = next((fields[name] for name in _TEXT if isinstance(fields.get(name), str)), "")
    if not text.strip():
        return Unread(document=document, place=place, reason=f"no text under {', '.join(_TEXT)}")
    if _HALF.search(text):
        return Unread(document=document, place=place, reason="a text with half a character")
    headings = tuple(fields[name] for name in _HEADINGS if isinstance(fields.get(name), str))
    text = text if text.endswith("\n") else text + "\n"
    return Section(document=f"{document}:{number}", headings=headings, place=place, start=0, text=text)
