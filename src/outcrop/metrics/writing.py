"""Points of a process without an event loop, written every two seconds by a thread of their own."""

import threading
from typing import Self

from outcrop.loops import Loop, LoopEnded
from outcrop.metrics.points import Points

EVERY_S = 2.0


class Writing:
    """Writes points while the block lasts, and once more at its end."""

    def __init__(self, points: Points) -> None:
        self._points = points
        self._loop = Loop("points")
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._write, name="points", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._ended.set()
        self._thread.join()
        self._points.flush()

    def _write(self) -> None:
        try:
            while not self._ended.wait(EVERY_S):
                with self._loop.turn():
                    self._points.flush()
        except LoopEnded:
            return  # logged by the loop; a job goes on without points
