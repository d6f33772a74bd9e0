"""Connections that never ask for anything are closed, so that they cannot fill the house.

granian gives a request a time for its head, but only after the first bytes have told it that this is HTTP/1; for those
it waits for ever, and for HTTP/2 too. The kernel knows how much each connection has sent and how long ago. Linux only:
elsewhere there is no such file system of descriptors, and nothing is closed here.
"""

import os
import socket
import struct
import sys
from contextlib import suppress

from outcrop.loops import Loops

# No signed request is as short, nor any beginning of HTTP/2 with a request in it.
LEAST_REQUEST_BYTES = 200
_FOLDER = "/proc/self/fd"
_INFO_BYTES = 136
_LAST_RECEIVED_MS, _RECEIVED_BYTES = struct.Struct("@I"), struct.Struct("@Q")
_LAST_RECEIVED_AT, _RECEIVED_AT = 52, 128
"""Places in the kernel's `struct tcp_info` (linux/tcp.h), which only ever grows at its end."""


async def close_silent(loops: Loops, port: int, *, after_s: float) -> None:
    """Close silent connections to `port` of this process, now and then, for ever. A silent one has said nothing for
    `after_s`."""
    if not sys.platform.startswith("linux"):
        return

    async def look() -> None:
        for descriptor in os.listdir(_FOLDER):
            _close_if_silent(int(descriptor), port, after_s)

    await loops.run("connections", look, every_s=after_s / 2)


def _close_if_silent(descriptor: int, port: int, after_s: float) -> None:
    # Descriptors come and go while this looks at them. No copy of one is made and closed: were it the database's, all
    # locks of this process on it would go with the copy (fcntl(2)), and another process would take its files away.
    with suppress(OSError):
        connection = socket.socket(fileno=descriptor)
        try:
            if connection.family not in (socket.AF_INET, socket.AF_INET6) or connection.getsockname()[1] != port:
                return
            connection.getpeername()  # a listening socket has none, and raises
            if _is_silent(connection, after_s):
                connection.shutdown(socket.SHUT_RDWR)
        finally:
            connection.detach()


def _is_silent(connection: socket.socket, after_s: float) -> bool:
    info = connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _INFO_BYTES)
    if len(info) < _INFO_BYTES:
        return False
    (received,) = _RECEIVED_BYTES.unpack_from(info, _RECEIVED_AT)
    (silent_ms,) = _LAST_RECEIVED_MS.unpack_from(info, _LAST_RECEIVED_AT)
    return bool(received < LEAST_REQUEST_BYTES and silent_ms >= after_s * 1000)
