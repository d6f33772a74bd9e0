"""Programs of others as engines: each started in a sandbox, started again where it ends, and asked whether it works."""

import logging
import time
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

from outcrop import logs
from outcrop.engines import programs
from outcrop.engines.launchers import Load, Standing
from outcrop.engines.orders import Order
from outcrop.engines.programs import ServingProgram
from outcrop.engines.states import EngineKind
from outcrop.errors import MachineTrouble
from outcrop.isolation import inward, leftovers
from outcrop.isolation.found import found
from outcrop.isolation.limits import SandboxLimits
from outcrop.isolation.program import SandboxedProgram
from outcrop.isolation.sandbox import Sandbox
from outcrop.machine import memory
from outcrop.machine.child import Child
from outcrop.settings import DEFAULT_HOST, Settings

_PING = b"GET /ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
_WELL = (b"HTTP/1.1 200", b"HTTP/1.0 200")
_PING_S = 0.3
_ENDS = 3
"Starts in a row in which a program may end without having answered, before it is given up."
_LEAVING_S = 2.0
"So long after its record is gone a program may still get requests that were on their way to it."
_GRACE_S = 30.0
"Between SIGTERM and SIGKILL, as SageMaker has it for endpoints."
_LONGEST_PAUSE_S = 30.0
"Between two starts of a program that ends again and again."
_WORDS_BYTES = 4096
_log = logging.getLogger("outcrop.engines")


class ProgramLauncher:
    """Programs in sandboxes of their own."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._running: dict[str, _Running] = {}

    @property
    def children(self) -> list[Child]:
        return []

    def start(self, order: Order) -> None:
        assert order.folder is not None, "a program has a folder"
        self._running[order.name] = _Running(order.name, order.folder, self._settings)
        self._running[order.name].keep_alive()

    def end(self, name: str) -> None:
        self._running.pop(name).end()

    def retire(self, name: str) -> bool:
        self._running[name].retire()
        return True

    def keep_alive(self) -> None:
        for running in self._running.values():
            running.keep_alive()

    def standings(self) -> dict[str, Standing]:
        return {name: running.standing() for name, running in self._running.items()}

    def load(self, order: Order) -> Load | None:
        del order
        return None  # the server knows what it has sent; it stays until its endpoint lets it go


class _Running:
    """A program with its starts."""

    def __init__(self, name: str, folder: Path, settings: Settings) -> None:
        self._name = name
        self._folder = folder
        self._settings = settings
        self._program: SandboxedProgram | None = None
        self._ready = False
        self._ends = 0
        "Starts in a row that came to nothing."
        self._starts_at = 0.0
        self._failure: str | None = None
        self._retired_at: float | None = None
        self._told_to_end = False

    def keep_alive(self) -> None:
        """Start it where it does not run, see whether it answers, or go on with its end."""
        if self._retired_at is not None:
            self._go_on_leaving(time.monotonic() - self._retired_at)
        elif self._program is None:
            if self._failure is None and time.monotonic() >= self._starts_at:
                self._start()
        elif (ended := self._program.poll()) is not None:
            self._note_end(f"{ended.reason} {self._last_words()}".strip())
        elif not self._ready:
            self._ready = answers(self._folder)
            if self._ready:
                self._ends = 0

    def retire(self) -> None:
        self._retired_at = time.monotonic()

    def end(self) -> None:
        """End it at once."""
        if self._program is not None:
            self._program.kill()
            self._program.wait()

    def standing(self) -> Standing:
        alive = self._program is not None and self._program.poll() is None
        return Standing(
            folder=self._folder,
            ready=self._ready and alive,
            gone=self._retired_at is not None and not alive,
            held_bytes=memory.resident_tree(self._program.pid) if alive and self._program is not None else 0,
            failure=self._failure,
            kind=EngineKind.PROGRAM,
        )

    def _go_on_leaving(self, seconds: float) -> None:
        if self._program is None:
            return
        if seconds >= _LEAVING_S and not self._told_to_end:
            self._told_to_end = True
            self._program.terminate()
        elif seconds >= _LEAVING_S + _GRACE_S:
            self._program.kill()

    def _start(self) -> None:
        try:
            asked = ServingProgram.read(self._folder)
            programs.socket_of(self._folder).unlink(missing_ok=True)
            with programs.log_of(self._folder).open("ab") as printed:
                self._program = self._sandbox(asked).start(asked.command, way=found(), stdout=printed.fileno())
        except (MachineTrouble, OSError) as trouble:
            logs.tell(_log, "program does not start", level=logging.WARNING, engine=self._name, exc_info=trouble)
            self._note_end(str(trouble))

    def _sandbox(self, asked: ServingProgram) -> Sandbox:
        settings = self._settings
        endpoint = (urlsplit(settings.endpoint).hostname or DEFAULT_HOST, settings.port)
        return Sandbox(
            root=programs.sandbox_of(self._folder),
            opt_ml=self._folder / "ml",
            read_only=[Path(path) for path in asked.read_only],
            shown={place: Path(path) for place, path in asked.shown.items()},
            environment=_address(settings) | asked.environment,
            endpoint=endpoint if asked.reaches_endpoint else None,
            endpoint_socket=None if settings.tls_cert is None else settings.door_socket,
            limits=SandboxLimits(memory_bytes=asked.memory_bytes, disk_bytes=asked.disk_bytes),
        )

    def _note_end(self, why: str) -> None:
        self._program, was_ready, self._ready = None, self._ready, False
        self._ends = 0 if was_ready else self._ends + 1
        pause_s = min(_LONGEST_PAUSE_S, 2.0**self._ends - 1)
        self._starts_at = time.monotonic() + pause_s
        logs.tell(_log, "program ended", level=logging.WARNING, engine=self._name, reason=why)
        if self._ends >= _ENDS:
            self._failure = self._settings.hidden(why)

    def _last_words(self) -> str:
        with suppress(OSError), programs.log_of(self._folder).open("rb") as printed:
            printed.seek(max(0, printed.seek(0, 2) - _WORDS_BYTES))
            lines = printed.read().decode(errors="replace").strip().splitlines()
            return lines[-1][:500] if lines else ""
        return ""


def _address(settings: Settings) -> dict[str, str]:
    """Variables with the address of this installation, as it is in a sandbox: a start may give it another port."""
    inside = f"http://{DEFAULT_HOST}:{settings.port}"
    return {"AWS_ENDPOINT_URL": inside, "S3_ENDPOINT_URL": inside}


def answers(folder: Path) -> bool:
    """Whether the program of this folder says that it can work."""
    try:
        with inward.connect(programs.own_folder(folder), programs.SOCKET, timeout_s=_PING_S) as connection:
            connection.sendall(_PING)
            return connection.makefile("rb").read(len("HTTP/1.1 200")) in _WELL
    except OSError:
        return False


def clear(folder: Path) -> None:
    """Remove the folder of a program that has ended."""
    if folder.exists():
        leftovers.remove(folder)
