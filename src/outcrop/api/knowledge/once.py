"""Requests with a clientToken, of which the same one sent again gets the first answer."""

from collections.abc import Callable
from typing import Any

from outcrop.api.door.call import Call
from outcrop.house import House

_MEMBER = "clientToken"


def once(house: House, call: Call, create: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer given before to this token, else that of `create`. Raises Conflict, as `Idempotency.once`."""
    token: str | None = call.params.get(_MEMBER)
    return house.store.idempotency.once(call.token_scope, token, call.params, create, member=_MEMBER)
