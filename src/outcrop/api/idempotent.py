"""Creates that carry a clientRequestToken: the same request again gets the first answer, and makes nothing new."""

from collections.abc import Callable
from typing import Any

from outcrop.api.call import Call
from outcrop.store.idempotency import digest_of
from outcrop.store.store import Store


def once(store: Store, call: Call, create: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The answer of `create`, or the one given before to this token; all in one transaction."""
    token = call.params.get("clientRequestToken")
    if token is None:
        with store.transaction():
            return create()
    scope, digest = f"{call.region}:{call.operation}", digest_of(call.params)
    with store.transaction():
        before = store.idempotency.recall(scope, token, digest)
        if before is not None:
            return before
        answer = create()
        store.idempotency.remember(scope, token, digest, answer)
        return answer
