"""Pages of KMS's listings: Limit, Marker, NextMarker and Truncated."""

from collections.abc import Iterable, Sequence
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Call
from outcrop.errors import Invalid
from outcrop.keys import refusals

LIMIT = 100


def most_of(call: Call, otherwise: int = LIMIT, *, largest: int = 1000) -> int:
    """The size of the page. Raises ValidationException for one larger than the operation allows."""
    limit = int(call.params.get("Limit", otherwise))
    if limit > largest:
        raise refusals.invalid(f"Limit: {limit} is more than {largest}. Ask for fewer at once.")
    return limit


def place_of(call: Call) -> str | None:
    """The place behind which the page begins. Raises InvalidMarkerException for a marker of another query."""
    try:
        return page_tokens.read(call)
    except Invalid as error:
        raise refusals.refusal("InvalidMarkerException", error.message) from error


def paged(call: Call, name: str, rows: Iterable[dict[str, Any]], place: str | None) -> dict[str, Any]:
    """The answer of a listing; `place` is where it goes on, None at its end."""
    return {
        name: list(rows),
        "NextMarker": None if place is None else page_tokens.write(call, place),
        "Truncated": place is not None,
    }


def page_of_list(
    call: Call, name: str, rows: Sequence[dict[str, Any]], key: str, *, largest: int = 1000, otherwise: int = LIMIT
) -> dict[str, Any]:
    """A page of rows that are all at hand, in the order of `key`, whose values are texts."""
    most, after = most_of(call, otherwise, largest=largest), place_of(call)
    left = sorted((row for row in rows if after is None or row[key] > after), key=lambda row: str(row[key]))
    shown = left[:most]
    return paged(call, name, shown, str(shown[-1][key]) if len(left) > most else None)
