"""The way into a sandbox: a Unix socket that its program listens on, in a folder of the program's.

A symbolic link in the socket's place would lead to any socket of this machine, so none is followed.
"""

import os
import socket
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def connect(folder: Path, name: str, *, timeout_s: float | None = None) -> socket.socket:
    """A connection to the socket `name` in one of a sandbox's own folders; 0 seconds: it does not block.

    Raises OSError: nobody listens, or what is there is no socket.
    """
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout_s)
        with _held(folder, name) as descriptor:
            connection.connect(f"/proc/self/fd/{descriptor}")
    except BaseException:
        connection.close()
        raise
    return connection


@contextmanager
def _held(folder: Path, name: str) -> Iterator[int]:
    """A descriptor of the socket itself, so that nothing else can come into its place meanwhile."""
    above = os.open(folder, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        descriptor = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=above)
    finally:
        os.close(above)
    try:
        if not stat.S_ISSOCK(os.fstat(descriptor).st_mode):
            raise ConnectionRefusedError(f"{name}: no socket")
        yield descriptor
    finally:
        os.close(descriptor)
