"""Requests in progress in an engine, counted: whoever shares out memory must know what would be broken off."""

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager

from outcrop.errors import NotReady


class RequestsInProgress:
    """The count of an engine's requests. Once closed to new ones, `over` is set with the end of the last."""

    def __init__(self) -> None:
        self.running = 0
        self.answered = 0
        "Completions since the start."
        self.over = asyncio.Event()
        self._closed = False
        self._ended = time.monotonic()

    @property
    def idle_s(self) -> float:
        """Seconds since the last completion ended, or since the start."""
        return time.monotonic() - self._ended

    def check_open(self) -> None:
        """Raises NotReady once the engine is closed to new requests."""
        if self._closed:
            raise NotReady("The engine ends, to make room for others. Ask again in a moment.")

    def close(self) -> None:
        """Take no more requests."""
        self._closed = True
        if not self.running:
            self.over.set()

    @contextmanager
    def one(self, *, counts: bool) -> Iterator[None]:
        """Around a request; `counts` tells whether it is a use of the network."""
        self.running += 1
        try:
            yield
        finally:
            self.running -= 1
            if counts:
                self.answered += 1
                self._ended = time.monotonic()
            if self._closed and not self.running:
                self.over.set()
