"""Requests with a clientToken, of which the same one sent again gets the first answer."""

from collections.abc import Callable
from typing import Any

from outcrop.api.door.call import Call
from outcrop.house import House
from outcrop.store.idempotency import digest_of

_MEMBER = "clientToken"
Create = Callable[[], dict[str, Any]]
"Puts on record what was asked for, in one short transaction."


def once(house: House, call: Call, prepare: Callable[[], Create]) -> dict[str, Any]:
    """The answer given before to this token, else that of what `prepare` makes. Raises Conflict, as `Idempotency.once`.

    `prepare` checks the request and opens the rooms that are needed. It runs outside of the transaction: a thread that
    opens a room holds the house's lock, and may wait for the database at that moment.
    """
    token: str | None = call.params.get(_MEMBER)
    if token is not None:
        before = house.store.idempotency.recall(call.token_scope, token, digest_of(call.params), member=_MEMBER)
        if before is not None:
            return before
    return house.store.idempotency.once(call.token_scope, token, call.params, prepare(), member=_MEMBER)
