"""`outcrop up`: server, workers and engines on one machine, kept alive until told to stop.

With a cluster, a launcher (`cluster/serve.py`) is among the parts, in the place of the worker of trainings.

The supervisor holds a lock on the home, so that two never share one; the kernel gives it back however it ends.
"""

import fcntl
import json
import os
import shutil
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import IO, TYPE_CHECKING, Self

from outcrop import kinds, private
from outcrop.cli import preloading
from outcrop.cli.listening import answers, check_console_port, check_port
from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble
from outcrop.jobs.kinds import WorkerClass
from outcrop.keys import door_certificate
from outcrop.loops import Loop
from outcrop.machine import nodes
from outcrop.machine.child import Child
from outcrop.settings import PARTS_FILE, Settings, make_home

if TYPE_CHECKING:
    from outcrop.engines.launchers import Launcher
    from outcrop.engines.pool import Pool
    from outcrop.house import House
    from outcrop.metrics.measurements import Measurements

LEAST_DISK_BYTES = 300_000_000
_ROUND_S = 0.1
_READY_S = 0.02
_ASKED_S = 0.3
"So long a part that is starting may take for an answer: others are watched meanwhile."
_START_S = 600.0
"A server alone needs two seconds; on a machine that is busy with other things it has needed more than a minute."
_NOTE_EVERY_S = 30.0
_SERVER_ENDS = 3
"So often the server may end, however it does, before it has ever answered."
_WORKERS = {
    name: worker_class
    for name, worker_class in (("worker", WorkerClass.HEAVY), ("light-worker", WorkerClass.LIGHT))
    if kinds.of_class(worker_class)
}
"Of each class that some kind of job needs, one."
_CONSOLE = "console"
_CLUSTER = "cluster"
_RENEW_EVERY_S = 3600.0
_WORKER_SETTLED_S = 20.0
"A worker has no door to ask at: one that lives so long is well. So is a console."
_TOLD_ENDS = 3
"So often a part ends unasked before it is told; then at twice as many, and so on."


class Supervisor:
    """A context: entering starts everything, leaving ends it in order. `watch` in between."""

    def __init__(self, settings: Settings, *, console: bool = False) -> None:
        """`console`: whether the console is one of its parts."""
        self._settings = settings
        self._console = console
        self._children: dict[str, Child] = {}
        self._fork_servers: dict[str, Child] = {}
        "They begin after the other parts, and end after those that they have started."
        self._lock: IO[str] | None = None
        self._parts = ""
        self._told_next: dict[str, int] = {}
        self._loop = Loop("supervisor")
        self._renews_at = time.monotonic() + _RENEW_EVERY_S

    def __enter__(self) -> Self:
        check_machine(self._settings)
        _check_cluster(self._settings)
        self._lock = lock_home(self._settings)
        # Of a supervisor that was killed, it would tell commands an address where nobody answers.
        (self._settings.home / PARTS_FILE).unlink(missing_ok=True)
        (self._settings.home / nodes.FILE).unlink(missing_ok=True)
        try:
            check_port(self._settings)
            if self._console:
                check_console_port(self._settings)
            _make_sockets(self._settings)
            self._children["server"] = self._child("server")
            # The server reads its code while this process reads its own, which takes either most of a second.
            self._children["server"].keep_alive()
            self._open_rooms()
        except BaseException:
            for child in self._children.values():
                child.end()
            self._lock.close()
            raise
        return self

    def _open_rooms(self) -> None:
        from outcrop.engines import vllm_launcher
        from outcrop.house import House
        from outcrop.metrics import measurements

        house = House.open(self._settings, SystemClock())
        self.installation = house.access.installation
        self._memory_bytes = house.sharing.budget_bytes
        self._launcher = vllm_launcher.every_kind(
            self._settings,
            house.environments,
            memory_bytes=self._memory_bytes,
            fork_server=preloading.socket_for(self._settings, "engine"),
            open_key=lambda wrapped: house.envelopes.open(wrapped),
        )
        self._measurements = measurements.of_engines(house.points)
        self._pool = _open_pool(house, self._launcher, self._measurements)
        self._measurements.__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The server first, so that no request arrives for what is ending.
        for child in self._children.values():
            child.end()
        self._pool.close()
        for child in self._fork_servers.values():
            child.end()
        self._measurements.__exit__(kind, error, trace)
        shutil.rmtree(self._settings.sockets, ignore_errors=True)
        private.forget_socket_folder(self._settings.home)
        (self._settings.home / PARTS_FILE).unlink(missing_ok=True)
        (self._settings.home / nodes.FILE).unlink(missing_ok=True)
        assert self._lock is not None
        self._lock.close()

    def watch(self, *, until: Callable[[], bool]) -> None:
        """Keep every part alive until `until` says so."""
        while not until():
            with self._loop.turn():
                self._round()
            time.sleep(_ROUND_S)

    def wait_ready(self, *, until: Callable[[], bool] = lambda: False) -> None:
        """Watch until the server answers. Raises MachineTrouble with the server's last words when it does not."""
        server = self._children["server"]
        began = time.monotonic()
        notes = 0
        while not (until() or answers(self._settings)):
            waited = time.monotonic() - began
            if waited > _START_S or server.restarts >= _SERVER_ENDS:
                raise MachineTrouble(
                    f"The server does not answer at {self._settings.endpoint}. Its last words: {server.last_words()}"
                )
            if waited > (notes + 1) * _NOTE_EVERY_S:
                notes += 1
                ended = f", it has ended {server.restarts} times meanwhile" if server.restarts else ""
                print(
                    f"outcrop: the server has not answered for {waited:.0f} s{ended}. Its log is {server.log}; "
                    "Ctrl-C stops it.",
                    file=sys.stderr,
                )
            self._round()
            time.sleep(_READY_S)
        # Not before: while they read their code, the server would wait for a core.
        self._children |= {name: self._child(name) for name in self._later_parts()}
        self._fork_servers |= preloading.fork_servers(self._settings)

    def _later_parts(self) -> list[str]:
        """The parts that begin once the server answers."""
        elsewhere = WorkerClass.HEAVY if self._settings.cluster else None
        workers = [name for name, worker_class in _WORKERS.items() if worker_class is not elsewhere]
        return [*workers, *([_CLUSTER] if self._settings.cluster else []), *([_CONSOLE] if self._console else [])]

    def _round(self) -> None:
        for child in (*self._children.values(), *self._fork_servers.values()):
            child.keep_alive()
        self._pool.round()
        self._renew()
        for child in self._parts_running():
            self._tell_ends(child)
        self._write_parts()

    def _renew(self) -> None:
        """Renew our own certificate when that is due: the parts that answer with it start anew, one after the other."""
        if not self._settings.tls or time.monotonic() < self._renews_at:
            return
        self._renews_at = time.monotonic() + _RENEW_EVERY_S
        now = SystemClock().now()
        if door_certificate.is_due(self._settings.keys, now=now):
            door_certificate.own(self._settings.keys, self._settings.host, now=now)
            for name in ("server", _CONSOLE):
                if name in self._children:
                    self._children[name].end()
                    self._children[name].keep_alive()

    def _parts_running(self) -> list[Child]:
        return [*self._children.values(), *self._fork_servers.values(), *self._launcher.children]

    def _tell_ends(self, child: Child) -> None:
        """A part that ends again and again is told, more and more seldom, to whoever sits at the machine."""
        if child.failures < self._told_next.get(child.name, _TOLD_ENDS):
            return
        self._told_next[child.name] = 2 * child.failures
        print(
            f"outcrop: {child.name} has ended {child.failures} times and is started again each time. Its last words: "
            f"{child.last_words()[:500]} Its log is {child.log}.",
            file=sys.stderr,
        )

    def _write_parts(self) -> None:
        """Write what GET /health tells of the other parts; only when it changes."""
        parts = {
            child.name: {"alive": child.alive, "ready": child.ready, "pid": child.pid, "restarts": child.restarts}
            for child in self._parts_running()
        }
        told = {
            "endpoint": self._settings.endpoint,
            **self._told_console(),
            **({} if self._settings.tls_ca is None else {"trusted": str(self._settings.tls_ca)}),
            "pid": os.getpid(),
            "memoryBytes": self._memory_bytes,
        }
        text = json.dumps({**told, "parts": parts})
        if text != self._parts:
            path = self._settings.home / PARTS_FILE
            temporary = path.with_suffix(".new")
            temporary.write_text(text, "utf-8")
            temporary.replace(path)
            self._parts = text

    def _told_console(self) -> dict[str, str]:
        return {"console": self._settings.console_endpoint} if self._console else {}

    def _child(self, name: str) -> Child:
        from outcrop.keys import root_key

        settings = self._settings
        arguments = ["--home", str(settings.home), "--host", settings.host, "--port", str(settings.port)]
        module, worker_class = "outcrop.server.serve", _WORKERS.get(name)
        if worker_class is not None:
            module, arguments = "outcrop.worker.serve", [*arguments, "--class", worker_class.value]
        if name == _CONSOLE:
            module, arguments = "outcrop.console.serve", [*arguments, "--console-port", str(settings.console_port)]
        if name == _CLUSTER:
            module, arguments = "outcrop.cluster.serve", [*arguments, "--address", settings.cluster]
        heavy = worker_class is WorkerClass.HEAVY
        return Child(
            name,
            module,
            arguments,
            log=settings.logs / f"{name}.log",
            environment={
                **(preloading.training_environment() if heavy else {}),
                # The console opens no database.
                **({} if name == _CONSOLE else root_key.variables(settings) | settings.database_variables),
                **({"OUTCROP_SEAL": "1"} if settings.seal else {}),
                **settings.tls_variables,
            },
            fork_server=preloading.socket_for(settings, "worker") if heavy else None,
            is_ready=self._readiness(name),
        )

    def _readiness(self, name: str) -> Callable[[float], bool]:
        if name in _WORKERS or name in (_CONSOLE, _CLUSTER):
            return lambda seconds: seconds >= _WORKER_SETTLED_S
        return lambda _: answers(self._settings, timeout_s=_ASKED_S)


def _open_pool(house: "House", launcher: "Launcher", measured: "Measurements") -> "Pool":
    """The pool of a fresh start: no engine is ordered."""
    from outcrop.deployments.networks import provisioned_engines
    from outcrop.engines.pool import Pool
    from outcrop.sagemaker.hosting.keeper import kept_engines
    from outcrop.store.watch import ChangeWatch

    house.engines.clear()
    return Pool(
        house.engines,
        house.sharing,
        launcher,
        house.clock,
        watch=ChangeWatch(house.store.engine),
        provisioned=lambda: (
            provisioned_engines(house.store.resources, house.catalog, house.models) | kept_engines(house)
        ),
        measured=measured,
        idle=house.settings.idle,
    )


def _check_cluster(settings: Settings) -> None:
    """Raises MachineTrouble where a cluster is asked for, and Ray is not installed."""
    if settings.cluster and find_spec("ray") is None:
        raise MachineTrouble(
            f"--cluster {settings.cluster}: Ray is not installed here. Install it with pip install 'outcrop[ray]', on "
            "every node of the cluster."
        )


def _make_sockets(settings: Settings) -> None:
    try:
        private.make_socket_folder(settings.home)
    except OSError as error:
        raise MachineTrouble(str(error.strerror or error)) from error


def check_machine(settings: Settings, *, least_disk_bytes: int = LEAST_DISK_BYTES) -> None:
    """Raises MachineTrouble for a home that cannot be written or a disk that is full."""
    make_home(settings)
    try:
        free = shutil.disk_usage(settings.home).free
        if not os.access(settings.home, os.W_OK):
            raise PermissionError(13, "permission denied")
    except OSError as error:
        raise MachineTrouble(
            f"{settings.home}: the home cannot be written ({error.strerror}). Choose another with --home or "
            "OUTCROP_HOME."
        ) from error
    if free < least_disk_bytes:
        raise MachineTrouble(
            f"{settings.home}: only {free // 10**6} MB of disk are free, {least_disk_bytes // 10**6} MB are needed. "
            "Free some, or choose another home with --home."
        )


def lock_home(settings: Settings) -> IO[str]:
    """The lock of a home, held until the file is closed. Raises MachineTrouble while Outcrop runs on the home."""
    file = (settings.home / "up.lock").open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        file.close()
        raise MachineTrouble(
            f"{settings.home}: another `outcrop up` runs on this home. Stop it first, or choose another home with "
            "--home."
        ) from error
    return file
