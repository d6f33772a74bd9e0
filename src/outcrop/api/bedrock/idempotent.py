"""Creates that carry a clientRequestToken: the same request again gets the first answer, and makes nothing new."""

from collections.abc import Callable
from typing import Any

from outcrop.api.door.call import Call
from outcrop.store.store import Store


def once(store: Store, call: Call, create: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `create`, or the one given before to this token; all in one transaction."""
    return store.idempotency.once(
        f"{call.region}:{call.operation}", call.params.get("clientRequestToken"), call.params, create
    )
