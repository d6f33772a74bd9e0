"""Rows that cannot be understood: told by name, failed with a sentence, never in the way of the others.

A database outlives the program that wrote it, disks fail, and people mend things by hand. Whoever reads a row finds it
whole or gets `Damaged`; whoever reads many gets the others.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from outcrop.errors import MachineTrouble

FAILED = "Failed"
"The state of a damaged row, in every kind that has states."
_WRONG = (KeyError, IndexError, TypeError, ValueError, AttributeError, OverflowError)
"What reading a document raises that lacks a member, or has one of another kind."


class Damaged(MachineTrouble):
    """The record of one resource cannot be read."""

    def __init__(self, arn: str) -> None:
        super().__init__(f"{arn}: {SENTENCE}")
        self.arn = arn


SENTENCE = "its record is damaged and cannot be read. Delete it and make it anew, or restore the database."


@contextmanager
def understood(arn: str) -> Iterator[None]:
    """Guard a block that only reads the document of the row `arn`. Raises Damaged for what is missing there or of no
    use."""
    try:
        yield
    except _WRONG as error:
        raise Damaged(arn) from error


def document_of(text: object) -> dict[str, Any] | None:
    """The document that a row holds as JSON; None for what is no JSON object."""
    try:
        found = json.loads(text) if isinstance(text, str | bytes) else text
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def failed_document(text: object, message: str) -> dict[str, Any]:
    """The legible part of a document, with the reason why its resource failed."""
    # Half a character, which JSON can spell, can be read but not written again.
    legible = json.dumps(document_of(text) or {}, ensure_ascii=False).encode("utf-8", "replace")
    return {**json.loads(legible), "failureMessage": message}
