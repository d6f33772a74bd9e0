"""Output of a sandboxed program, carried to the caller's file at a bounded rate.

The program holds a pipe, never the caller's own descriptor: it can neither cut the file short nor type into a terminal.
"""

from __future__ import annotations

import os
import selectors
import stat
import time
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_FILE_BYTES = 64 * 1024
_PIPE_BYTES = 4096
"A pipe that is ready to be written takes this much at once without waiting."
_BURST_S = 2.0
"A program that was quiet may print this many seconds' worth at once."


class Carrier:
    """A stream that a program prints to, on its way to a descriptor of the caller."""

    def __init__(
        self,
        target: int,
        bytes_per_s: int | None,
        selector: selectors.BaseSelector,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._target = target
        self._rate = bytes_per_s
        self._now = now
        self._selector = selector
        self._source, self.program_end = os.pipe()
        os.set_blocking(self._source, False)
        mode = os.fstat(target).st_mode
        self._may_wait = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(target)
        self._waiting = False
        self._allowance = (bytes_per_s or 0) * _BURST_S
        self._counted_at = now()
        self._left_out = 0
        self._pending = b""
        self._open = True
        selector.register(self._source, selectors.EVENT_READ, self._carry)

    def _carry(self, _: int = 0) -> bool:
        """Carry one piece, and tell whether there was one."""
        try:
            piece = os.read(self._source, _PIPE_BYTES - 256 if self._may_wait else _FILE_BYTES)
        except BlockingIOError:
            return False
        if not piece:
            self._close()
            return False
        self._put(self._allowed(piece))
        return True

    def _allowed(self, piece: bytes) -> bytes:
        """The piece, if it may be printed now; pieces are no lines, and may end within one."""
        if self._rate is None:
            return piece
        now = self._now()
        self._allowance = min(self._rate * _BURST_S, self._allowance + (now - self._counted_at) * self._rate)
        self._counted_at = now
        if len(piece) > self._allowance:
            self._left_out += len(piece)
            return b""
        self._allowance -= len(piece)
        return self._note() + piece

    def _note(self) -> bytes:
        if not self._left_out:
            return b""
        left_out, self._left_out = self._left_out, 0
        return (
            f"\n[{left_out:,} bytes were printed here and left out: "
            f"this program may print {self._rate:,} bytes a second.]\n"
        ).encode()

    def _put(self, piece: bytes) -> None:
        self._pending += piece
        if self._may_wait:
            self._wait(bool(self._pending))
            return
        with suppress(OSError):  # the disk of the logs is full: nothing here can mend it
            while self._pending:
                self._pending = self._pending[os.write(self._target, self._pending) :]
        self._pending = b""

    def _wait(self, waiting: bool) -> None:
        """Wait for the caller's descriptor, and meanwhile read nothing: the program waits, as it would by itself."""
        if waiting == self._waiting:
            return
        self._waiting = waiting
        if waiting:
            self._selector.register(self._target, selectors.EVENT_WRITE, self._put_more)
        else:
            self._selector.unregister(self._target)
        if self._open and waiting:
            self._selector.unregister(self._source)
        elif self._open:
            self._selector.register(self._source, selectors.EVENT_READ, self._carry)

    def _put_more(self, _: int) -> None:
        try:
            self._pending = self._pending[os.write(self._target, self._pending[:_PIPE_BYTES]) :]
        except OSError:  # nobody reads any more
            self._pending = b""
        self._wait(bool(self._pending))

    def finish(self) -> None:
        """Carry what is left once everything that could print has ended."""
        while self._open and not self._pending and self._carry():
            pass
        if not self._pending:
            self._put(self._note())

    @property
    def done(self) -> bool:
        """Whether nothing is left for the caller's descriptor."""
        return not self._pending

    def _close(self) -> None:
        self._open = False
        if not self._waiting:
            self._selector.unregister(self._source)
        os.close(self._source)
