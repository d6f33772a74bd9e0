"""Tokens that continue a listing: opaque to clients, and good only for the query that they were given to.

A token holds a digest of the query (operation, region and every member but those of paging, so that a page may be of
another size than the one before) and the place at which its page ended. A place is a key of the listing's order and not
a number of rows: rows that come and go between two pages neither repeat nor hide another one.
"""

import binascii
from base64 import b64decode, urlsafe_b64encode

from outcrop.api.call import Call
from outcrop.errors import Invalid
from outcrop.store.idempotency import digest_of

_SIZES = ("maxResults", "MaxItems")
_TOKENS = ("nextToken", "Marker")
_DIGEST_BYTES = 9


def write(call: Call, place: str) -> str:
    """The token that goes on behind `place` in the listing of this call."""
    return urlsafe_b64encode(_digest(call) + place.encode()).decode()


def read(call: Call) -> str | None:
    """The place behind which the call goes on, None at the beginning. Raises Invalid for a token of another query."""
    member = next((name for name in _TOKENS if name in call.params), None)
    if member is None:
        return None
    try:
        content = b64decode(call.params[member].encode(), altchars=b"-_", validate=True)
        if content[:_DIGEST_BYTES] == _digest(call):
            return content[_DIGEST_BYTES:].decode()
    except (binascii.Error, UnicodeDecodeError):
        pass
    raise Invalid(f"{member}: not a token of this query. Repeat the query as it was, or begin again without {member}.")


def _digest(call: Call) -> bytes:
    query = {name: value for name, value in call.params.items() if name not in (*_SIZES, *_TOKENS)}
    digest = digest_of({"operation": call.operation, "region": call.region, "query": query})
    return bytes.fromhex(digest)[:_DIGEST_BYTES]
