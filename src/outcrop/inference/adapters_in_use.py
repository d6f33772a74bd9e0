"""The adapters that an engine holds, by when they were last used: those that nobody asks for go.

An adapter costs milliseconds to bring in and memory to keep. One that nobody has used for a while leaves by itself, and
where many come, the one whose last use is longest ago leaves first. One in use stays, whatever its size.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass
class _Held:
    """An adapter in memory."""

    num_bytes: int
    last_used: float


class AdaptersInUse:
    """The adapters of one engine. It decides which go; whoever asks it takes them out."""

    def __init__(self, *, most_bytes: int = 0, idle_s: float = 0, now: Callable[[], float] = time.monotonic) -> None:
        """`most_bytes`: so much all adapters take together; `idle_s`: so long one stays unused. 0: without end."""
        self._most_bytes = most_bytes
        self._idle_s = idle_s
        self._now = now
        self._held: dict[str, _Held] = {}
        self._running: dict[str, int] = {}
        "Requests by the name that they ask for."

    def came(self, name: str, num_bytes: int) -> None:
        """An adapter is in memory now, in the place of one of its name."""
        self._held[name] = _Held(num_bytes, self._now())

    def went(self, name: str) -> None:
        self._held.pop(name, None)

    @contextmanager
    def used(self, name: str) -> Iterator[None]:
        """Around a request for this adapter, or for a name that is none."""
        self._running[name] = self._running.get(name, 0) + 1
        self._touch(name)
        try:
            yield
        finally:
            left = self._running.pop(name) - 1
            if left:
                self._running[name] = left
            self._touch(name)

    def idle(self) -> list[str]:
        """The adapters that nobody has used for as long as one stays."""
        if not self._idle_s:
            return []
        since = self._now() - self._idle_s
        return [name for name, held in self._unused() if held.last_used <= since]

    def beyond(self, *, but: str) -> list[str]:
        """The adapters that must go for the others to have room, least recently used first.

        `but` is the one that just came, and stays whatever its size.
        """
        excess = sum(held.num_bytes for held in self._held.values()) - self._most_bytes
        going = []
        for name, held in self._unused() if self._most_bytes else ():
            if excess <= 0:
                break
            if name != but:
                going.append(name)
                excess -= held.num_bytes
        return going

    def told(self) -> dict[str, float]:
        """Seconds since each adapter was last used; 0 for one that is in use."""
        return {
            name: 0.0 if name in self._running else round(self._now() - held.last_used, 1)
            for name, held in self._held.items()
        }

    def _touch(self, name: str) -> None:
        if name in self._held:
            self._held[name].last_used = self._now()

    def _unused(self) -> list[tuple[str, _Held]]:
        unused = [(name, held) for name, held in self._held.items() if name not in self._running]
        return sorted(unused, key=lambda one: one[1].last_used)
