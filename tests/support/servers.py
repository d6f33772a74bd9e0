"""A real server on a free port, in a thread of the test's own process, over any table of operations."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import httpx
from botocore.config import Config
from outcrop.house import House

from outcrop.access.installation import Installation
from outcrop.api.door.app import Door
from outcrop.api.operations import OPERATIONS, Operations
from outcrop.clock import Clock, SystemClock
from outcrop.server.serve import serve
from outcrop.settings import Settings
from tests.support.patience import PATIENCE_S


@dataclass(frozen=True, kw_only=True)
class Running:
    platform: House
    installation: Installation
    endpoint: str

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


@contextmanager
def running_server(
    home: Path,
    operations: Operations = OPERATIONS,
    *,
    clock: Clock | None = None,
    pause_s: float = 60.0,
    head_pause_s: float = 30.0,
    **fields: Any,
) -> Iterator[Running]:
    """`pause_s` and `head_pause_s`: how slow a request may be; `fields` replace fields of the platform."""
    settings = Settings(home=home, port=free_port())
    platform = replace(House.open(settings, clock or SystemClock()), **fields)
    loop = asyncio.new_event_loop()
    stop = asyncio.Event()
    serving = serve(Door(platform, operations, pause_s=pause_s), settings, stop=stop, head_pause_s=head_pause_s)
    thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
    thread.start()
    try:
        wait_until_up(settings.endpoint, thread.is_alive)
        yield Running(platform=platform, installation=platform.access.installation, endpoint=settings.endpoint)
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(timeout=PATIENCE_S)
        loop.close()
        platform.store.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_until_up(endpoint: str, is_alive: Callable[[], bool]) -> None:
    pause = threading.Event()
    while is_alive():
        try:
            httpx.get(f"{endpoint}/health", timeout=5).raise_for_status()
            return
        except httpx.TransportError:
            pause.wait(0.01)
    raise AssertionError("the server ended before it answered")
