"""The heartbeat of a worker at work: it renews the lease while the job runs, however long one step takes."""

import threading
from collections.abc import Callable

from outcrop.clock import Clock
from outcrop.jobs.leases import Lease, Leases
from outcrop.loops import Loop, LoopEnded

_RENEW_S = 5.0


class Pulse:
    """A context in which the lease is kept; `report` tells how far the job has come.

    When the lease cannot be renewed any more, whatever is tried, `on_end` is told: the worker ends, and its successor
    takes the job up. `is_held` is False as soon as another worker was found to have it.
    """

    def __init__(self, clock: Clock, leases: Leases, lease: Lease, *, on_end: Callable[[], None]) -> None:
        self._clock = clock
        self._leases = leases
        self._lease = lease
        self._on_end = on_end
        self._loop = Loop("lease")
        self._progress = ""
        self._lost = False
        self._ended = threading.Event()
        self._news = threading.Event()
        self._thread = threading.Thread(target=self._beat, daemon=True)

    def report(self, progress: str) -> None:
        """Tell how far the job has come, in any words that change with it."""
        if progress != self._progress:
            self._progress = progress
            self._news.set()

    def is_held(self) -> bool:
        return not self._lost

    def __enter__(self) -> "Pulse":
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._news.set()
        self._thread.join()

    def _beat(self) -> None:
        try:
            while not self._ended.is_set():
                # Progress is written at once: a worker killed right after must not count as one that came no further.
                self._news.wait(_RENEW_S)
                self._news.clear()
                # Where the disk is full, nobody can take the job either, and the next beat tries again.
                with self._loop.turn():
                    now = self._clock.now()
                    self._lost = not self._leases.renew(self._lease, now=now, progress=self._progress)
                if self._lost:
                    return
        except LoopEnded:
            self._on_end()
