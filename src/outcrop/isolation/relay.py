"""Connections taken on one socket and carried on to another, byte for byte.

Standard library only: it stands on both sides of a sandbox's wall, and makes the one way out of it.
"""

from __future__ import annotations

import selectors
import socket
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_CONNECTIONS = 256
"At once. A program that opens more waits; it may not take the descriptors of whoever relays for it."
_HELD_BYTES = 256 * 1024
"What one side has sent and the other has not taken yet, at most."
_READ_BYTES = 64 * 1024


class Relay:
    """Connections of a listening socket, carried on.

    The owner's selector calls it when something can be read or written.
    """

    def __init__(
        self,
        listening: socket.socket,
        connect: Callable[[], socket.socket],
        selector: selectors.BaseSelector,
    ) -> None:
        """`connect` opens the way on for one connection, or raises OSError: the connection then ends at once."""
        self._listening = listening
        self._connect = connect
        self._selector = selector
        self.carried: set[_Carried] = set()
        "Connections that are open now."
        listening.setblocking(False)
        self._listen()

    def _listen(self) -> None:
        self._selector.register(self._listening, selectors.EVENT_READ, self._accept)

    def _accept(self, _: int) -> None:
        # It may have gone again, and descriptors may have run out: the next call finds out.
        with suppress(OSError):
            near, _address = self._listening.accept()
            try:
                far = self._connect()
            except OSError:
                near.close()
                return
            self.carried.add(_Carried(near, far, self._selector, self._ended))
            if len(self.carried) == MOST_CONNECTIONS:
                self._selector.unregister(self._listening)

    def _ended(self, carried: _Carried) -> None:
        if len(self.carried) == MOST_CONNECTIONS:
            self._listen()
        self.carried.discard(carried)

    def close(self) -> None:
        """End every connection; the listening socket stays its owner's."""
        for each in list(self.carried):
            each.close()


class _Carried:
    """Two sockets whose bytes go to each other until both sides have ended, or one has broken."""

    def __init__(
        self,
        near: socket.socket,
        far: socket.socket,
        selector: selectors.BaseSelector,
        ended: Callable[[_Carried], None],
    ) -> None:
        self._ends = (near, far)
        self._held = (bytearray(), bytearray())
        "Bytes that the end of the same place has still to take."
        self._finished = [False, False]
        "Whether this end sends nothing more."
        self._told = [False, False]
        "Whether this end has heard that nothing more comes."
        self._selector = selector
        self._on_end = ended
        self._wanted = [0, 0]
        for end in self._ends:
            end.setblocking(False)
        self._register()

    def _ready(self, place: int, events: int) -> None:
        try:
            if events & selectors.EVENT_READ:
                self._read(place)
            if events & selectors.EVENT_WRITE:
                self._write(place)
            self._pass_on_ends()
        except BlockingIOError:
            pass
        except OSError:
            self.close()
            return
        if all(self._told):
            self.close()
        else:
            self._register()

    def _read(self, place: int) -> None:
        received = self._ends[place].recv(_READ_BYTES)
        self._held[1 - place].extend(received)
        self._finished[place] = not received
        if received:
            with suppress(BlockingIOError):
                self._write(1 - place)

    def _write(self, place: int) -> None:
        held = self._held[place]
        while held:
            del held[: self._ends[place].send(held)]

    def _pass_on_ends(self) -> None:
        for place in (0, 1):
            if self._finished[1 - place] and not self._held[place] and not self._told[place]:
                self._told[place] = True
                self._ends[place].shutdown(socket.SHUT_WR)

    def _register(self) -> None:
        for place, end in enumerate(self._ends):
            wanted = selectors.EVENT_WRITE if self._held[place] else 0
            if not self._finished[place] and len(self._held[1 - place]) < _HELD_BYTES:
                wanted |= selectors.EVENT_READ
            if wanted == self._wanted[place]:
                continue
            if self._wanted[place]:
                self._selector.unregister(end)
            if wanted:
                self._selector.register(end, wanted, lambda events, place=place: self._ready(place, events))
            self._wanted[place] = wanted

    def close(self) -> None:
        """End both sides."""
        for place, end in enumerate(self._ends):
            if self._wanted[place]:
                self._selector.unregister(end)
                self._wanted[place] = 0
            end.close()
        self._on_end(self)
