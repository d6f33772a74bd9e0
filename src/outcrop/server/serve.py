"""`python -m outcrop.server.serve --home H --host A --port P`: opens the platform and answers requests until stopped.

One process, one event loop; plain handlers run in threads beside it. Nothing here may import torch: the server is up
within a second, and `tests/flow/test_start.py` holds it to that.
"""

import argparse
import asyncio
import json
import logging
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from granian.constants import Interfaces
from granian.server.embed import Server

from outcrop import settings as places
from outcrop.access.access import Access
from outcrop.api.app import Door
from outcrop.api.operations import OPERATIONS
from outcrop.api.platform import Platform
from outcrop.buckets.buckets import Buckets
from outcrop.clock import Clock, SystemClock
from outcrop.errors import MachineTrouble
from outcrop.settings import Settings
from outcrop.store.store import Store


def main(arguments: Sequence[str] | None = None) -> int:
    settings = _settings(arguments)
    _log_as_json()
    try:
        platform = open_platform(settings, SystemClock())
        asyncio.run(serve(Door(platform, OPERATIONS), settings))
    except MachineTrouble as trouble:
        print(trouble.message, file=sys.stderr)
        return 1
    platform.store.close()
    return 0


def open_platform(settings: Settings, clock: Clock) -> Platform:
    """Raises MachineTrouble when the home cannot be used."""
    store = Store.open(settings)
    access = Access.open(store, settings, clock)
    return Platform(
        settings=settings,
        store=store,
        clock=clock,
        access=access,
        buckets=Buckets(store, clock),
        account=access.account,
        secret_for=access.secret_for,
        authorize=access.authorize,
        health=_health,
    )


async def serve(application: Door, settings: Settings, *, stop: asyncio.Event | None = None) -> None:
    """Answer requests until SIGTERM, SIGINT or `stop`. Raises MachineTrouble when the port is taken."""
    stop = stop or _on_signals()
    server = Server(
        application,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        websockets=False,
        log_enabled=False,
    )
    running = asyncio.create_task(server.serve())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        server.stop()
    stopping.cancel()
    try:
        await running
    except OSError as error:
        raise MachineTrouble(
            f"{settings.host}:{settings.port}: cannot listen there ({error}). Stop the program that does, or choose "
            "another port with --port or OUTCROP_PORT."
        ) from error


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _health() -> dict[str, Any]:
    return {"status": "ok", "version": version("outcrop")}


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="outcrop.server.serve", description="Answer AWS API requests.")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given = parser.parse_args(arguments)
    return places.read(home=given.home, host=given.host, port=given.port)


def _log_as_json() -> None:
    handler = logging.StreamHandler()
    handler.setFormatter(_JsonLines())
    door = logging.getLogger("outcrop")
    door.addHandler(handler)
    door.setLevel(logging.INFO)


class _JsonLines(logging.Formatter):
    """Each record one line of JSON: its time, its level, and what the message itself holds."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
        }
        try:
            line |= json.loads(record.getMessage())
        except (ValueError, TypeError):
            line["event"] = record.getMessage()
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


if __name__ == "__main__":
    sys.exit(main())
