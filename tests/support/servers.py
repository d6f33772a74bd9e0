"""Servers for tests, in three sizes: in a thread of the test's process, as a process, and `outcrop up` with all its parts.

    with running_server(home) as server:    its rooms within reach, over any table of operations, with any clock
    with server_process(home) as server:    the server alone, which can be killed and started again
    with installed(home) as house:          server, worker and engines, as users start them

Each listens on a free port and gives clients of boto3 by `client(service)`.
"""

import asyncio
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property, partial
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from outcrop.access.installation import Installation
from outcrop.api.door.app import Door
from outcrop.api.door.health import Health
from outcrop.api.operations import OPERATIONS, Operations
from outcrop.clock import Clock, SystemClock
from outcrop.house import House
from outcrop.loops import Loops
from outcrop.server import serve as server
from outcrop.settings import PARTS_FILE, Settings
from tests.support import forks
from tests.support.forks import fork_server
from tests.support.patience import PATIENCE_S, eventually

PATIENT = Config(retries={"mode": "standard", "max_attempts": 10})


@dataclass(kw_only=True)
class Server:
    """A server that listens, and whose account is known."""

    settings: Settings
    installation: Installation

    @property
    def endpoint(self) -> str:
        return self.settings.endpoint

    @property
    def credentials(self) -> Credentials:
        """The administrator's."""
        return Credentials(self.installation.access_key_id, self.installation.secret_access_key)

    def client(self, service: str, *, config: dict[str, Any] | None = None, **overrides: Any) -> Any:
        """A boto3 client of the administrator; errors come at once, without retries."""
        given: dict[str, Any] = {
            "endpoint_url": self.endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": self.installation.access_key_id,
            "aws_secret_access_key": self.installation.secret_access_key,
            "config": Config(retries={"total_max_attempts": 1}, **(config or {})),
        }
        return boto3.client(service, **(given | overrides))


@dataclass(kw_only=True)
class Running(Server):
    """A server in a thread of this process. None of its loops runs: what is collected waits for `write`."""

    platform: House

    def write(self) -> None:
        """Write the audit and the points of all that was answered."""
        self.platform.audit.flush()
        server.write_points(self.platform)


@dataclass(kw_only=True)
class ServerProcess(Server):
    """A server alone, in a process of its own."""

    log: Path
    "What it said, in all its lives."
    process: "subprocess.Popen[bytes]" = field(init=False)

    def start(self) -> None:
        """Again, too, after it has ended."""
        place = ["--home", str(self.settings.home), "--port", str(self.settings.port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "outcrop.server.serve", *place], stdout=log, stderr=log
            )
        wait_until_up(self.endpoint, self.is_alive, self.log)

    def is_alive(self) -> bool:
        return self.process.poll() is None

    def stop(self) -> int:
        """End it as a supervisor would; returns its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=PATIENCE_S)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait(timeout=PATIENCE_S)


@dataclass(kw_only=True, eq=False)
class Installed:
    """`outcrop up` on a home, and how to talk to it."""

    settings: Settings
    process: "subprocess.Popen[str]"

    @property
    def endpoint(self) -> str:
        return self.settings.endpoint

    @cached_property
    def environment(self) -> dict[str, str]:
        """The environment variables that `outcrop env` prints."""
        values: dict[str, str] = json.loads(outcrop("env", "--json", "--home", str(self.settings.home)).stdout)
        return values

    def client(self, service: str) -> Any:
        """A boto3 client that was told nothing but the environment."""
        values = self.environment
        return boto3.client(
            service,
            endpoint_url=values["AWS_ENDPOINT_URL"],
            region_name=values["AWS_DEFAULT_REGION"],
            aws_access_key_id=values["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=values["AWS_SECRET_ACCESS_KEY"],
            config=PATIENT,
        )

    def health(self) -> dict[str, Any]:
        """The health report that /health gives the administrator."""
        url = f"{self.settings.endpoint}/health"
        values = self.environment
        signed = signed_for_outcrop(url, values["AWS_ACCESS_KEY_ID"], values["AWS_SECRET_ACCESS_KEY"])
        told: dict[str, Any] = httpx.get(url, headers=signed, timeout=PATIENCE_S, verify=False).json()
        return told

    @property
    def role(self) -> str:
        return self.environment["OUTCROP_ROLE_ARN"]

    def pid_of(self, part: str) -> int | None:
        """The process id of a part, as the supervisor wrote it down; None while it is not running."""
        parts = json.loads((self.settings.home / PARTS_FILE).read_text())["parts"]
        found = parts.get(part)
        return found["pid"] if found and found["alive"] else None


@contextmanager
def running_server(
    home: Path,
    operations: Operations = OPERATIONS,
    *,
    clock: Clock | None = None,
    pause_s: float = 60.0,
    head_pause_s: float = 30.0,
    health: Health | None = None,
    data_events: bool = False,
    database_url: str = "",
    settings: Settings | None = None,
) -> Iterator[Running]:
    """`pause_s` and `head_pause_s`: how slow a request may be; `health`: what it tells of itself."""
    settings = settings or Settings(
        home=home, port=free_port(), audit_data_events=data_events, database_url=database_url
    )
    platform = House.open(settings, clock or SystemClock())
    told = health or partial(server.health, settings, Loops())
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    door = Door(platform, operations, health=told, pause_s=pause_s)
    serving = server.serve(door, settings, stop=stop, head_pause_s=head_pause_s)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    try:
        wait_until_up(settings.endpoint, thread.is_alive)
        yield Running(platform=platform, installation=platform.access.installation, settings=settings)
        if "clients" in vars(platform):  # opened with the first request for an engine, on the server's loop
            asyncio.run_coroutine_threadsafe(platform.clients.aclose(), loop).result(PATIENCE_S)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=PATIENCE_S)
        if "remotes" in platform.__dict__:
            loop.run_until_complete(platform.remotes.aclose())
        loop.close()
        platform.store.close()


@contextmanager
def server_process(home: Path) -> Iterator[ServerProcess]:
    """Its log lies beside the home."""
    settings = Settings(home=home, port=free_port())
    platform = House.open(settings, SystemClock())
    installation = platform.access.installation
    platform.store.close()
    process = ServerProcess(settings=settings, installation=installation, log=home.with_name(f"{home.name}.log"))
    try:
        process.start()
        yield process
    finally:
        process.stop()


@contextmanager
def installed(home: Path, **environment: str) -> Iterator[Installed]:
    """Everything that `outcrop up` starts, ended by SIGTERM; `environment` is told to it.

    Workers and engines are forked from the tests' process that has read their libraries, unless it says what to
    preload.
    """
    settings = Settings(home=home, port=free_port(), threads=1)
    shared = {"OUTCROP_FORK_SERVER": str(fork_server())} if "OUTCROP_PRELOAD" not in environment else {}
    process = subprocess.Popen(
        [sys.executable, "-m", "outcrop.cli.app", "up", "--home", str(home), "--port", str(settings.port)],
        env={**os.environ, "OUTCROP_THREADS": "1", "OUTCROP_CONSOLE": "0", **shared, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        umask=0,  # what the house makes is closed to others all the same, see test_up.py
    )
    try:
        try:
            wait_until_up(settings.endpoint, lambda: process.poll() is None)
        except AssertionError as ended:
            raise AssertionError(process.communicate()[0]) from ended
        eventually((home / PARTS_FILE).exists)
        yield Installed(settings=settings, process=process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE_S)


def outcrop(*arguments: str, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command line to its end."""
    return forks.run("outcrop.cli.app", *arguments, **more)


def signed_for_outcrop(url: str, key_id: str, secret: str) -> dict[str, str]:
    """The headers of a GET that is signed for the service `outcrop`."""
    request = AWSRequest(method="GET", url=url)
    SigV4Auth(Credentials(key_id, secret), "outcrop", "us-east-1").add_auth(request)
    return dict(request.headers)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(endpoint: str, is_alive: Callable[[], bool], log: Path | None = None) -> None:
    """Return as soon as the server answers; fail, with what it said, when it has ended before."""
    pause = threading.Event()
    while is_alive():
        if answers(endpoint):
            return
        pause.wait(0.02)
    raise AssertionError(f"the server ended before it answered: {log.read_text() if log else 'it said nothing'}")


def answers(endpoint: str) -> bool:
    """Whether a server listens there and is well; asked without httpx, which reads all certificates for each request."""
    connection = HTTPConnection(endpoint.removeprefix("http://"), timeout=5)
    if endpoint.startswith("https://"):  # whom to trust is what the tests of TLS are about
        unverified = ssl.create_default_context()
        unverified.check_hostname, unverified.verify_mode = False, ssl.CERT_NONE
        connection = HTTPSConnection(endpoint.removeprefix("https://"), timeout=5, context=unverified)
    with closing(connection), suppress(OSError, HTTPException):
        connection.request("GET", "/health")
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        return True
    return False
