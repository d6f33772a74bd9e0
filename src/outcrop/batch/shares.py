"""The shares of batch jobs in the requests in flight: together as many as fill an engine.

The jobs of one process that use the same engine have equal shares. While an engine answers other requests too, a share
is a quarter of what it is else: engines of ours let background requests wait by themselves, others may not.
"""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_IN_FLIGHT = 64
"On one engine: as many as one of ours computes side by side."


class Shares:
    """The batch jobs of one process. Safe in several threads."""

    def __init__(self, *, most_in_flight: int = MOST_IN_FLIGHT) -> None:
        self._most_in_flight = most_in_flight
        self._lock = threading.Lock()
        self._jobs: Counter[str] = Counter()
        "By engine."
        self._in_flight: Counter[str] = Counter()

    @contextmanager
    def using(self, engine: str) -> Iterator[None]:
        """A job's use of an engine."""
        with self._lock:
            self._jobs[engine] += 1
        try:
            yield
        finally:
            with self._lock:
                self._jobs[engine] -= 1

    def share(self, engine: str, *, has_others: bool) -> int:
        """How many requests one job may have in flight now: at least one."""
        with self._lock:
            share = self._most_in_flight // max(1, self._jobs[engine])
        return max(1, share // 4 if has_others else share)

    def began(self, engine: str) -> None:
        """A request of a batch job is in flight."""
        with self._lock:
            self._in_flight[engine] += 1

    def ended(self, engine: str) -> None:
        with self._lock:
            self._in_flight[engine] -= 1

    def in_flight(self, engine: str) -> int:
        """The requests of all batch jobs of this process."""
        with self._lock:
            return self._in_flight[engine]
