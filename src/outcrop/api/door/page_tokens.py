"""Tokens that continue a listing: opaque to clients, and good only for the query that they were given to.

A token holds a digest of the query (operation, region and every member but those of paging, so that a page may be of
another size than the one before) and of the place at which its page ended, and that place. A place is a key of the
listing's order and not a number of rows: rows that come and go between two pages neither repeat nor hide another one.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping
from typing import Any

from outcrop.api.door.call import Call
from outcrop.errors import Invalid
from outcrop.store.idempotency import digest_of

_SIZES = ("maxResults", "MaxResults", "MaxItems", "limit", "Limit", "MaxRecords", "MaxDatapoints")
_TOKENS = ("nextToken", "NextToken", "Marker")
_DIGEST_BYTES = 9


def write(call: Call, place: str) -> str:
    """The token that goes on behind `place` in the listing of this call."""
    return write_of_query(_query(call), place.encode())


def read(call: Call) -> str | None:
    """The place behind which the call goes on, None at the beginning. Raises Invalid for a token of another query."""
    member = next((name for name in _TOKENS if name in call.params), None)
    if member is None:
        return None
    place = read_of_query(_query(call), call.params[member])
    if place is None:
        raise Invalid(
            f"{member}: not a token of this query. Repeat the query as it was, or begin again without {member}."
        )
    return place.decode()


def write_of_query(query: Mapping[str, Any], place: bytes) -> str:
    """The token of a query that is told by its values, for who calls its members otherwise."""
    return urlsafe_b64encode(_digest(query, place) + place).decode()


def read_of_query(query: Mapping[str, Any], token: str) -> bytes | None:
    """The place that `write_of_query` was given; None for what it did not write for this query."""
    try:
        content = b64decode(token.encode(), altchars=b"-_", validate=True)
    except binascii.Error:
        return None
    digest, place = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
    return place if digest == _digest(query, place) else None


def _query(call: Call) -> dict[str, Any]:
    query = {name: value for name, value in call.params.items() if name not in (*_SIZES, *_TOKENS)}
    return {"operation": call.operation, "region": call.region, "query": query}


def _digest(query: Mapping[str, Any], place: bytes) -> bytes:
    """The digest of a query and a place of its listing; no secret is in it.

    A token made up by who knows how leads to nothing that its query would not show.
    """
    return bytes.fromhex(digest_of({**query, "place": place.hex()}))[:_DIGEST_BYTES]
