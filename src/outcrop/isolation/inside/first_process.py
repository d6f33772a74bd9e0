"""The first process inside a sandbox: it starts the program, reaps, carries output and connections, and ends all.

When it ends, however that comes, the kernel ends everything else in its process namespace. It ends when the other end
of its control socket does, so nothing outlives whoever asked for the sandbox.
"""

from __future__ import annotations

import json
import os
import resource
import selectors
import signal
import socket
import time
from contextlib import suppress

from outcrop.isolation.inside import kernel, seccomp
from outcrop.isolation.inside.messages import ENDED, ENDPOINT_SOCKET, GO, KILL, MOST_BYTES, READY, SIGNAL
from outcrop.isolation.inside.output import Carrier
from outcrop.isolation.relay import Relay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    from outcrop.isolation.orders import Orders

_DRAINING_S = 5.0
_COULD_NOT_START = 127
_RELAY_BACKLOG = 128


class FirstProcess:
    """The first process of a sandbox, with the one program that it looks after."""

    def __init__(self, orders: Orders, control: socket.socket, kill_all: Callable[[], None]) -> None:
        self._orders = orders
        self._control = control
        self._kill_all = kill_all
        self._selector = selectors.DefaultSelector()
        self._program: int | None = None
        self._status: int | None = None
        self._carriers: list[Carrier] = []

    def run(self) -> NoReturn:
        """Start the program when told to, and see it to its end."""
        woken, wake = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # The first process of a namespace gets no signal from within that it has not asked for; Python asks for this.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        self._selector.register(woken, selectors.EVENT_READ, lambda _: self._reap(woken))
        self._selector.register(self._control, selectors.EVENT_READ, self._hear)
        self._open_endpoint()
        self._say_ready()
        while self._status is None:
            self._turn(None)
        self._kill_all()
        self._reap_the_rest()
        self._drain()
        self.tell({ENDED: os.waitstatus_to_exitcode(self._status)})
        os._exit(0)

    def tell(self, message: dict[str, Any]) -> None:
        """Say something to whoever asked for the sandbox, who may be gone."""
        with suppress(OSError):
            self._control.send(json.dumps(message).encode())

    def _say_ready(self) -> None:
        """Say that the sandbox stands, and hand out its network: another one may be built in it."""
        orders = self._orders
        shown = [os.open("/proc/self/ns/net", os.O_RDONLY)] if orders.isolated and orders.own_network else []
        with suppress(OSError):
            socket.send_fds(self._control, [json.dumps({READY: True}).encode()], shown)
        for each in shown:
            os.close(each)

    def _turn(self, timeout_s: float | None) -> None:
        for key, events in self._selector.select(timeout_s):
            key.data(events)

    def _hear(self, _: int) -> None:
        received = b""
        with suppress(OSError):
            received = self._control.recv(MOST_BYTES)
        message = json.loads(received) if received else {}
        if not received:
            self._kill_all()
            os._exit(1)
        if GO in message:
            self._start(hidden_memory=message[GO])
        elif SIGNAL in message and self._program is not None:
            with suppress(ProcessLookupError):
                os.kill(self._program, message[SIGNAL])
        elif KILL in message:
            self._status = self._status or int(signal.SIGKILL)

    def _start(self, *, hidden_memory: bool) -> None:
        rate = self._orders.log_bytes_per_s
        self._carriers = [Carrier(output, rate, self._selector) for output in self._orders.outputs]
        ends = [carrier.program_end for carrier in self._carriers]
        self._program = os.fork()
        if not self._program:
            _become(self._orders, ends, hidden_memory=hidden_memory)
        for end in ends:
            os.close(end)

    def _reap(self, woken: int) -> None:
        with suppress(BlockingIOError):
            while os.read(woken, 4096):
                pass
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG))[0]:
                if ended[0] == self._program:
                    self._status = ended[1]

    def _reap_the_rest(self) -> None:
        # A child may have forked just before the signal: as often as there is one left, all are killed again.
        until = time.monotonic() + _DRAINING_S
        with suppress(ChildProcessError):
            while time.monotonic() < until:
                if not os.waitpid(-1, os.WNOHANG)[0]:
                    self._kill_all()
                    time.sleep(0.002)

    def _drain(self) -> None:
        until = time.monotonic() + _DRAINING_S
        for carrier in self._carriers:
            carrier.finish()
        while not all(carrier.done for carrier in self._carriers) and time.monotonic() < until:
            self._turn(0.1)
            for carrier in self._carriers:
                carrier.finish()

    def _open_endpoint(self) -> None:
        port = self._orders.endpoint_port
        if port is None:
            return
        listening = socket.create_server((self._orders.address, port), backlog=_RELAY_BACKLOG)
        Relay(listening, _endpoint, self._selector)


def _endpoint() -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.connect(ENDPOINT_SOCKET)
    return connection


def kill_namespace() -> None:
    """End every process of this process namespace but the first, which calls it."""
    with suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)


def _become(orders: Orders, outputs: list[int], *, hidden_memory: bool) -> NoReturn:
    """Be the program, from a child of the first process."""
    try:
        os.setsid()
        nothing = os.open("/dev/null", os.O_RDONLY)
        for number, stream in enumerate((nothing, outputs[0], outputs[-1])):
            os.dup2(stream, number)
        os.closerange(3, 2**20)
        signal.set_wakeup_fd(-1)
        for number in signal.valid_signals():
            with suppress(OSError):
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        for name, limit in orders.resource_limits.items():
            resource.setrlimit(getattr(resource, name), (limit, limit))
        os.umask(0o022)
        os.chdir(orders.folder)
        kernel.die_with_parent()
        filtered = seccomp.instructions(hidden_memory=hidden_memory) if orders.isolated else None
        if filtered is not None:
            kernel.filter_calls(filtered)
        os.execvpe(orders.command[0], orders.command, orders.environment)
    except (OSError, ValueError) as error:
        os.write(2, f"{orders.command[0]} could not be started: {error}\n".encode())
    finally:
        os._exit(_COULD_NOT_START)
