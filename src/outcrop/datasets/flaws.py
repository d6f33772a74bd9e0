"""Flaws of a record's value: where, what, and how to mend it, in words that fit on a line."""

import difflib
from collections.abc import Sequence
from typing import Any, NamedTuple


class Flaw(NamedTuple):
    """A flaw inside a record: the field, what is wrong, and how to mend it."""

    field: str
    what: str
    mend: str


class ShapeError(Exception):
    """The value is no record; all its flaws."""

    def __init__(self, flaws: list[Flaw]) -> None:
        super().__init__("; ".join(flaw.what for flaw in flaws))
        self.flaws = flaws


class ForeignForm(ShapeError):
    """The value is a record of another program; its one flaw names the form."""


def nearest(key: str, known: Sequence[str]) -> str | None:
    """The name that a key is a slip of the pen for."""
    like = key.strip().lower().rstrip("s:") if key.strip().lower() not in known else key.strip().lower()
    if like in known:
        return like
    found = difflib.get_close_matches(key.strip().lower(), known, n=1, cutoff=0.74)
    return found[0] if found else None


def shown(key: str) -> str:
    """A key as it may stand in a message: not endless, and on one line."""
    plain = key.encode("utf-8", "backslashreplace").decode()
    quoted = plain if plain.isprintable() and plain else repr(plain)
    return quoted if len(quoted) <= 40 else f"{quoted[:40]}…"


def kind(value: Any) -> str:
    """The kind of a value, as JSON calls it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    named = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object", bytes: "bytes"}
    return named.get(type(value), f"a {type(value).__name__}")  # tables have more kinds than JSON
