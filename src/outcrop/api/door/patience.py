"""Timeouts for the arrival of a request: a body that stops or trickles must not hold the server for ever.

Only the time spent waiting counts. The next piece must come within a pause, and over the whole body the waiting must
stay below that pause plus what the bytes so far would take on a very slow line.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from outcrop.errors import ServiceRefusal

PAUSE_S = 60.0
LEAST_BYTES_PER_S = 1024

Message = MutableMapping[str, Any]


class BodyPatience:
    """The timeout of one request's body, counted while it arrives."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._waited_s = 0.0
        self._received = 0
        self.ended = False
        "True once the body was too slow: nobody should wait for the rest of it."

    async def next(self, receive: Callable[[], Awaitable[Message]]) -> Message:
        """The next message. Refuses with RequestTimeout, as S3 names it and as clients know to try again."""
        allowed = self._pause_s + self._received / LEAST_BYTES_PER_S - self._waited_s
        began = time.monotonic()
        try:
            async with asyncio.timeout(min(self._pause_s, allowed)):
                message = await receive()
        except TimeoutError:
            self.ended = True
            text = (
                "Your socket connection to the server was not read from or written to within the timeout period. "
                f"Send the next piece of a body within {self._pause_s:g} seconds."
            )
            raise ServiceRefusal("RequestTimeout", text, http_status=400) from None
        self._waited_s += time.monotonic() - began
        self._received += len(message.get("body", b""))
        return message
