"""Messages between the server and a worker: a header of JSON and bytes, over a pair of sockets."""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any, NamedTuple

_LENGTHS = struct.Struct(">IQ")


class Silence(Exception):
    """Nothing came, or nothing was taken, before the deadline."""


class Frame(NamedTuple):
    """A message with its bytes."""

    header: dict[str, Any]
    body: bytes


def send(
    connection: socket.socket, header: dict[str, Any], body: bytes = b"", *, within_s: float | None = None
) -> None:
    """Send one message. Raises OSError, and Silence where the other end takes nothing within the time."""
    text = json.dumps(header).encode()
    connection.settimeout(within_s)
    try:
        connection.sendall(_LENGTHS.pack(len(text), len(body)) + text)
        connection.sendall(body)
    except socket.timeout as late:  # noqa: UP041  (another class before Python 3.10)
        raise Silence from late


def receive(connection: socket.socket, *, within_s: float | None = None) -> Frame | None:
    """The next message, or None where the other end is gone. Raises Silence."""
    deadline = None if within_s is None else time.monotonic() + within_s
    lengths = _exactly(connection, _LENGTHS.size, deadline)
    if lengths is None:
        return None
    header_bytes, body_bytes = _LENGTHS.unpack(lengths)
    header = _exactly(connection, header_bytes, deadline)
    body = _exactly(connection, body_bytes, deadline)
    return None if header is None or body is None else Frame(json.loads(header), body)


def _exactly(connection: socket.socket, num_bytes: int, deadline: float | None) -> bytes | None:
    found = bytearray(num_bytes)
    view, at = memoryview(found), 0
    while at < num_bytes:
        left = None if deadline is None else deadline - time.monotonic()
        if left is not None and left <= 0:
            raise Silence
        connection.settimeout(left)
        try:
            received = connection.recv_into(view[at:])
        except socket.timeout as late:  # noqa: UP041  (another class before Python 3.10)
            raise Silence from late
        except OSError:
            return None  # reset by a worker that died with something unread
        if not received:
            return None
        at += received
    return bytes(found)
