"""The results of one request on their way from the engine's thread to whoever waits on the event loop."""

import asyncio
from typing import Any


class RequestStream:
    """The step results of one generation, or the result of an encoder, in their order; last what broke it off."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._items: list[Any] = []
        self._waiter: asyncio.Future[None] | None = None
        self._rests_until = 0.0

    def put(self, item: Any) -> None:
        self._items.append(item)
        self._look()

    def rest(self, seconds: float) -> None:
        """Have the next `take` wait for so long, if the request does not end before."""
        self._rests_until = self._loop.time() + seconds

    async def take(self) -> list[Any]:
        """All that has come since the last time, at least one thing."""
        if not self._is_due:
            self._waiter = self._loop.create_future()
            resting = self._loop.call_at(self._rests_until, self._end_rest) if self._rests_until else None
            try:
                await self._waiter
            finally:
                self._waiter = None
                if resting is not None:
                    resting.cancel()
        self._rests_until = 0.0
        items, self._items = self._items, []
        return items

    @property
    def _is_due(self) -> bool:
        return bool(self._items) and (not self._rests_until or not _goes_on(self._items[-1]))

    def _end_rest(self) -> None:
        self._rests_until = 0.0
        self._look()

    def _look(self) -> None:
        if self._waiter is not None and self._is_due and not self._waiter.done():
            self._waiter.set_result(None)


def _goes_on(item: Any) -> bool:
    """Whether something follows it: a token of a generation that has not ended."""
    return hasattr(item, "finish_reason") and item.finish_reason is None
