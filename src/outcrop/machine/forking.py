"""Children that a fork server starts, behind the few methods of `subprocess.Popen` that their keepers use.

A connection to the server is for one child. JSON messages: the order, with the file descriptors of its three standard
streams beside it; then from the server `started` with its process id, or `refused`; `ended` with its exit code; and to
it `signal`. When a connection ends, the server kills its child: nobody is left who would.
"""

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Protocol

Message = dict[str, Any]
STARTED, REFUSED, ENDED = "started", "refused", "ended"
NUM_STREAMS = 3
MOST_BYTES = 1 << 18
"Of a message: an environment, above all."
_ANSWERS_S = 5.0
"So long a fork may take; then the child is started without the server."
_LIBRARIES_READ = (
    "ATEN_", "CUDA_", "GLIBC_", "GOMP_", "HF_", "KMP_", "LD_", "MALLOC_", "MKL_", "NVIDIA_", "OMP_", "OPENBLAS_",
    "PYTHON", "PYTORCH_", "TOKENIZERS_", "TORCH_", "TRANSFORMERS_",
)  # fmt: skip
"Beginnings of variables that are read while libraries are imported, and never again."
_OUR_OWN = ("PYTORCH_NVML_BASED_CUDA_CHECK",)


class ChildProcess(Protocol):
    """A process that was started here, by whichever way."""

    @property
    def pid(self) -> int: ...

    @property
    def returncode(self) -> int | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def send_signal(self, number: int, /) -> None: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


class ForkedProcess:
    """A child of a fork server; an exit code below zero is a signal's number, as `subprocess` has it."""

    def __init__(self, connection: socket.socket, pid: int) -> None:
        self._connection = connection
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        if self.returncode is None and _has_news(self._connection, 0):
            message = _receive(self._connection)
            # Without a word the server is gone; its children are killed with it.
            self.returncode = message.get(ENDED, -signal.SIGKILL)
            self._connection.close()
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        until = None if timeout is None else time.monotonic() + timeout
        while (code := self.poll()) is None:
            left = None if until is None else until - time.monotonic()
            if left is not None and left <= 0:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0)
            _has_news(self._connection, left)
        return code

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def send_signal(self, number: int) -> None:
        """Have the server send a signal, which knows whether the process id is still the child's."""
        if self.poll() is None:
            with suppress(OSError):  # the server is gone, and `poll` will tell
                self._connection.send(json.dumps({"signal": number}).encode())


def fork(
    server: Path,
    module: str,
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    streams: tuple[int, int, int],
    umask: int = -1,
    folder: Path | None = None,
) -> ForkedProcess | None:
    """A child of the fork server at the socket `server`, which runs a module as `python -m` would.

    `streams` become its standard ones. `umask` below zero, and no `folder`, are this process's. None where the server
    is not there yet, or not any more, or has read another environment than `environment`.
    """
    if sys.platform != "linux":
        return None
    if umask < 0:
        os.umask(umask := os.umask(0o077))
    order = {
        "module": module, "arguments": list(arguments), "environment": dict(environment), "umask": umask,
        "folder": str(folder or Path.cwd()),
    }  # fmt: skip
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    try:
        connection.connect(str(server))
        socket.send_fds(connection, [json.dumps(order).encode()], streams)
        answer = _receive(connection) if _has_news(connection, _ANSWERS_S) else {}
    except OSError:
        answer = {}
    if STARTED not in answer:
        connection.close()
        return None
    return ForkedProcess(connection, answer[STARTED])


def read_at_import(environment: Mapping[str, str]) -> dict[str, str]:
    """The variables that libraries read when they are imported: a fork cannot change what they have read."""
    return {
        name: value for name, value in environment.items() if name.startswith(_LIBRARIES_READ) and name not in _OUR_OWN
    }


def _has_news(connection: socket.socket, seconds: float | None) -> bool:
    waiting = select.poll()
    waiting.register(connection, select.POLLIN)
    return bool(waiting.poll(None if seconds is None else seconds * 1000))


def _receive(connection: socket.socket) -> Message:
    """The next message; empty at the connection's end."""
    with suppress(ConnectionError):
        if received := connection.recv(MOST_BYTES):
            message: Message = json.loads(received)
            return message
    return {}
