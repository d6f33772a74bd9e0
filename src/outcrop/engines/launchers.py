"""Launchers: how engines are started, watched and ended. One interface; here the processes of this program.

vLLM has a launcher of its own (`vllm_launcher.py`). For remote engines there is nothing to do.
"""

import json
import logging
import socket
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from outcrop import logs, private
from outcrop.engines.orders import Order
from outcrop.engines.states import EngineKind
from outcrop.errors import OutcropError, Unavailable
from outcrop.keys.sealed_content import OpenKey
from outcrop.keys.sealed_folder import OpenedKeys
from outcrop.machine import allocator, memory, openmp
from outcrop.machine.child import Child
from outcrop.network import headers
from outcrop.settings import Settings

_ASKED_S = 0.3
"So long an engine may take for an answer: others are watched meanwhile."
_DEATHS = 3
"Starts in a row in which an engine may end without having been ready, before it is given up."
_KILLS = 20
"The same for kills from outside, which say less about whether it can work."
_READ_BYTES = 4096
_log = logging.getLogger("outcrop.engines")


class Standing(NamedTuple):
    """How an engine stands with its launcher."""

    folder: Path | None
    "Of the network that it was started with; None for a remote engine."
    ready: bool
    "It has the network in memory, and answers."
    gone: bool
    "It was retired, and has ended."
    held_bytes: int
    failure: str | None
    "Why it is not tried any more."
    kind: EngineKind = EngineKind.EMBEDDED


class Load(NamedTuple):
    """The load of an engine, as the engine tells it."""

    running: int
    "Requests in progress."
    answered: int
    "Requests since it started."
    idle_s: float
    "Seconds since the last one ended, or since it started."
    adapters: Mapping[str, float] = {}
    "The adapters that it holds, and for how many seconds nobody has asked for each."


class Launcher(Protocol):
    """Starts engines by their orders and keeps them alive. No call waits until an engine can answer."""

    @property
    def children(self) -> list[Child]:
        """The processes that it keeps alive."""

    def start(self, order: Order) -> None: ...

    def end(self, name: str) -> None:
        """End it, whatever it does."""

    def retire(self, name: str) -> bool:
        """Let an engine take no more requests, and end with the last of those it has. False where it did not hear."""

    def keep_alive(self) -> None:
        """Start again what has died, a retired engine excepted."""

    def standings(self) -> dict[str, Standing]:
        """Every engine that was started and not ended since, by name."""

    def load(self, order: Order) -> Load | None:
        """None where it does not tell now."""


class LocalLauncher:
    """Engines as child processes of this one."""

    def __init__(
        self,
        settings: Settings,
        *,
        memory_bytes: int,
        fork_server: Path | None = None,
        open_key: OpenKey | None = None,
    ) -> None:
        """`memory_bytes` is what all of them may hold together. `open_key` opens the data keys of sealed networks.

        `fork_server` is the socket of one that has read an engine's libraries, or will have.
        """
        self._settings = settings
        self._memory_bytes = memory_bytes
        self._fork_server = fork_server
        self._open_key = open_key
        self._orders: dict[str, Order] = {}
        self._children: dict[str, Child] = {}
        self._retired: set[str] = set()

    @property
    def children(self) -> list[Child]:
        return list(self._children.values())

    def start(self, order: Order) -> None:
        assert order.socket is not None, "an engine of this machine has a socket"
        settings = self._settings
        arguments = ["--model", str(order.folder), "--name", order.name, "--socket", str(order.socket)]
        arguments += ["--memory-bytes", str(self._memory_bytes)]
        idle_s = round(settings.idle.total_seconds())
        arguments += ["--idle-seconds", str(idle_s)] if idle_s else []
        arguments += ["--threads", str(settings.threads)] if settings.threads else []
        arguments += ["--context", str(order.context)] if order.context else []
        arguments += ["--task", order.task, "--weights", order.weights]
        arguments += ["--way", order.way] if order.way else []
        module = "outcrop.inference.serve" if order.way else "outcrop.probe.engine"
        name = f"engine-{order.name.replace(':', '-')}"
        log = settings.logs / f"{name}.log"
        child = Child(
            name,
            module,
            arguments,
            log=log,
            environment=allocator.for_tensors() | openmp.for_serving() | self._keys(order),
            fork_server=self._fork_server,
            is_ready=partial(is_ready, order.socket),
        )
        self._orders[order.name], self._children[order.name] = order, child
        child.keep_alive()

    def _keys(self, order: Order) -> dict[str, str]:
        """The data keys of sealed weights, for their engine. Where these may not be used it gets none, and says so."""
        if self._open_key is None or order.folder is None or not headers.is_sealed(order.folder):
            return {}
        try:
            return {private.MODEL_KEYS: OpenedKeys.of([order.folder], self._open_key).to_text()}
        except Unavailable:
            raise  # it passes: the engine is started in the next round
        except OutcropError as refused:
            logs.tell(_log, "key of an engine refused", level=logging.WARNING, engine=order.name, note=refused.message)
            return {}

    def end(self, name: str) -> None:
        self._children.pop(name).end()
        self._retired.discard(name)
        del self._orders[name]

    def retire(self, name: str) -> bool:
        heard = ask(self._orders[name].socket, "POST", "/retire") is not None
        if heard:
            self._retired.add(name)
        return heard

    def keep_alive(self) -> None:
        for name, child in self._children.items():
            if name not in self._retired:
                child.keep_alive()

    def standings(self) -> dict[str, Standing]:
        return {name: self._standing(name, child) for name, child in self._children.items()}

    def load(self, order: Order) -> Load | None:
        return load_of(order)

    def _standing(self, name: str, child: Child) -> Standing:
        pid = child.pid
        return Standing(
            folder=self._orders[name].folder,
            ready=child.ready and child.alive,
            gone=name in self._retired and not child.alive,
            held_bytes=(memory.resident(pid) or 0) if pid is not None else 0,
            failure=self._settings.hidden(child.reason()) if is_given_up(child) else None,
        )


def load_of(order: Order) -> Load | None:
    """The load of an engine of this program, asked at its socket; None where it does not tell now."""
    body = ask(order.socket, "GET", "/load")
    if body is None:
        return None
    try:
        told: dict[str, Any] = json.loads(body)
    except ValueError:
        return None  # cut off in the middle
    return Load(told["server_load"], told["answered"], told["idle_s"], told.get("adapters", {}))


class RemoteLauncher:
    """Remote engines: nothing is started for them, and nothing is sent to see whether they are there."""

    def __init__(self) -> None:
        self._names: set[str] = set()

    @property
    def children(self) -> list[Child]:
        return []

    def start(self, order: Order) -> None:
        self._names.add(order.name)

    def end(self, name: str) -> None:
        self._names.remove(name)

    def retire(self, name: str) -> bool:
        raise AssertionError(f"{name} holds no memory that another could need")

    def keep_alive(self) -> None:
        pass

    def standings(self) -> dict[str, Standing]:
        remote = Standing(folder=None, ready=True, gone=False, held_bytes=0, failure=None, kind=EngineKind.REMOTE)
        return dict.fromkeys(self._names, remote)

    def load(self, order: Order) -> Load | None:
        del order
        return None  # the server knows what it has sent; nobody here does


class LauncherByKind:
    """A launcher of every kind of engine: each is left to the one of its kind."""

    def __init__(self, launchers: Mapping[EngineKind, Launcher]) -> None:
        self._launchers = launchers

    @property
    def children(self) -> list[Child]:
        return [child for launcher in self._launchers.values() for child in launcher.children]

    def start(self, order: Order) -> None:
        self._launchers[order.kind].start(order)

    def end(self, name: str) -> None:
        self._of(name).end(name)

    def retire(self, name: str) -> bool:
        return self._of(name).retire(name)

    def keep_alive(self) -> None:
        for launcher in self._launchers.values():
            launcher.keep_alive()

    def standings(self) -> dict[str, Standing]:
        found: dict[str, Standing] = {}
        for launcher in self._launchers.values():
            found |= launcher.standings()
        return found

    def load(self, order: Order) -> Load | None:
        return self._launchers[order.kind].load(order)

    def _of(self, name: str) -> Launcher:
        return next(launcher for launcher in self._launchers.values() if name in launcher.standings())


def is_given_up(child: Child) -> bool:
    """Whether a process that ends again and again is not started any more."""
    return (child.deaths >= _DEATHS or child.kills >= _KILLS) and not child.alive


def is_ready(place: Path, _seconds: float) -> bool:
    """Whether an engine answers at this socket that it has its model in memory."""
    return ask(place, "GET", "/health") is not None


def ask(place: Path | None, method: str, path: str) -> bytes | None:
    """The body of an engine's answer to a question without one; None where it does not answer, or refuses."""
    assert place is not None, "an engine of this machine has a socket"
    request = f"{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    answer = b""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(_ASKED_S)
            connection.connect(str(place))
            connection.sendall(request.encode())
            while piece := connection.recv(_READ_BYTES):
                answer += piece
    except OSError:
        return None
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        return None
    return _joined(body) if b"transfer-encoding: chunked" in head.lower() else body


def _joined(body: bytes) -> bytes:
    """A body that came in chunks, as far as it came."""
    pieces = []
    while size := int(body.partition(b"\r\n")[0].partition(b";")[0] or b"0", 16):
        body = body.partition(b"\r\n")[2]
        pieces.append(body[:size])
        body = body[size + 2 :]
    return b"".join(pieces)
