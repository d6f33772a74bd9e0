"""The end of a server: a signal asks for it, or something tells why it cannot go on."""

from __future__ import annotations

import contextlib
import os
import select
import signal


class Ending:
    """The event that the main thread of a server waits for."""

    def __init__(self) -> None:
        self.begun = False
        self.reason: str | None = None
        # A pipe, and no lock: a signal may come while the thread that waits holds the lock.
        self._told, self._tell = os.pipe()
        os.set_blocking(self._tell, False)

    def begin_with_signals(self) -> None:
        """Let SIGTERM and SIGINT begin the end."""
        # The kernel may hand a signal to any thread, and the main thread, which alone runs handlers, sleeps on: so the
        # signal itself writes into the pipe.
        signal.set_wakeup_fd(self._tell, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.end(None))

    def end(self, reason: str | None) -> None:
        if not self.begun:
            self.reason = reason
        self.begun = True
        with contextlib.suppress(BlockingIOError):  # a full pipe has told it already
            os.write(self._tell, b".")

    def wait(self, within_s: float | None = None) -> bool:
        """Whether the end has begun, waited for."""
        return bool(select.select([self._told], [], [], within_s)[0])
