"""`python -m outcrop.machine.fork_server`: a process that reads libraries once, then forks children that need not.

torch and transformers take a process seconds of processor time and 280 MB before its first own line. A child that is
forked has them at once, and shares that memory. `forking.py` is the asker's end, and says what goes over the socket.

Nothing here may start a thread or touch an accelerator: neither survives a fork.
"""

import argparse
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import setproctitle

from outcrop.machine.forking import ENDED, MOST_BYTES, NUM_STREAMS, REFUSED, STARTED, Message, read_at_import
from outcrop.machine.processes import die_with_parent

_WAITING = 64
"Askers whose connection is not taken yet."


class ForkServer:
    """The server of one socket. A connection is for one child: it asks, is told, and its end ends the child."""

    def __init__(self, listening: socket.socket, environment: Mapping[str, str]) -> None:
        self._listening = listening
        self._read = read_at_import(environment)
        self._selector = selectors.DefaultSelector()
        self._children: dict[socket.socket, int] = {}
        "Descriptors of the processes, by who asked for them."
        self._selector.register(listening, selectors.EVENT_READ, self._accept)

    def until_a_child(self) -> Message:
        """Serve. Returns in each child, and only there, with what it was asked to be."""
        while True:
            for key, _ in self._selector.select():
                order = cast(Callable[[], Message | None], key.data)()
                if order is not None:
                    return order

    def _accept(self) -> None:
        connection, _ = self._listening.accept()
        self._selector.register(connection, selectors.EVENT_READ, partial(self._hear, connection))

    def _hear(self, connection: socket.socket) -> Message | None:
        """An order for a child, or a signal for the one there is. The end of the connection is a kill."""
        received, files = b"", list[int]()
        with suppress(ConnectionError):
            received, files, _, _ = socket.recv_fds(connection, MOST_BYTES, NUM_STREAMS)
        if not received:
            self._signal(connection, signal.SIGKILL)
            self._selector.unregister(connection)
            connection.close()
            return None
        message: Message = json.loads(received)
        if "signal" in message:
            self._signal(connection, message["signal"])
            return None
        try:
            return self._start(connection, message, files)
        finally:
            for file in files:
                os.close(file)

    def _start(self, connection: socket.socket, order: Message, files: list[int]) -> Message | None:
        if read_at_import(order["environment"]) != self._read:
            self._tell(connection, {REFUSED: "libraries would read another environment"})
            return None
        pid = os.fork()
        if not pid:
            self._leave()
            _become(order, files)
            return order
        descriptor = os.pidfd_open(pid)
        self._children[connection] = descriptor
        self._selector.register(descriptor, selectors.EVENT_READ, partial(self._bury, connection, descriptor, pid))
        self._tell(connection, {STARTED: pid})
        return None

    def _bury(self, connection: socket.socket, descriptor: int, pid: int) -> None:
        _, status = os.waitpid(pid, 0)
        self._selector.unregister(descriptor)
        os.close(descriptor)
        self._children.pop(connection, None)
        self._tell(connection, {ENDED: os.waitstatus_to_exitcode(status)})

    def _signal(self, connection: socket.socket, number: int) -> None:
        if (descriptor := self._children.get(connection)) is not None:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)

    def _tell(self, connection: socket.socket, message: Message) -> None:
        with suppress(OSError):  # who asked may be gone
            connection.send(json.dumps(message).encode())

    def _leave(self) -> None:
        """Let go, in a child, what is the server's."""
        for key in list(self._selector.get_map().values()):
            if isinstance(key.fileobj, socket.socket):
                key.fileobj.close()
            else:
                os.close(cast(int, key.fileobj))
        self._selector.close()


def main() -> None:
    die_with_parent()
    os.umask(0o077)
    arguments = _arguments()
    # Whether there is a GPU is asked while libraries are read; without this the answer would open it, before the fork.
    os.environ.setdefault("PYTORCH_NVML_BASED_CUDA_CHECK", "1")
    environment = dict(os.environ)
    setproctitle.getproctitle()  # finds the title's place, which it cannot once the environment lies elsewhere
    for name in arguments.modules:
        importlib.import_module(name)
    gc.collect()
    gc.freeze()  # or the children's first collection would copy every page
    unheard = arguments.socket.with_suffix(".new")
    unheard.unlink(missing_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listening:
        listening.bind(str(unheard))
        listening.listen(_WAITING)
        unheard.replace(arguments.socket)  # who finds it there is heard
        order = ForkServer(listening, environment).until_a_child()
    runpy.run_module(order["module"], run_name="__main__", alter_sys=True)


def _become(order: Message, streams: Sequence[int]) -> None:
    """Make this process the one that a start by `exec` would have made."""
    os.setsid()
    os.chdir(order["folder"])
    os.umask(order["umask"])
    os.environ.clear()
    os.environ.update(order["environment"])
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    sys.argv = [order["module"], *order["arguments"]]
    setproctitle.setproctitle(" ".join([sys.executable, "-m", *sys.argv]))
    if (numpy := cast(Any, sys.modules.get("numpy"))) is not None:
        numpy.random.seed()  # Python's own generator does so by itself


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m outcrop.machine.fork_server", description=__doc__)
    parser.add_argument("--socket", type=Path, required=True, help="path of the Unix socket")
    parser.add_argument("modules", nargs="+", help="what is imported before the first fork")
    return parser.parse_args()


if __name__ == "__main__":
    main()
