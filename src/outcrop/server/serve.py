"""`python -m outcrop.server.serve --home H --host A --port P`: opens the platform and answers requests until stopped.

One process, one event loop; plain handlers run in threads beside it. Nothing here may import torch: the server is up
within a second, and `tests/flow/test_start.py` holds it to that.
"""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from anyio import to_thread
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server.embed import Server

from outcrop import logs
from outcrop import settings as places
from outcrop.api.app import Door
from outcrop.api.operations import OPERATIONS
from outcrop.api.platform import Platform
from outcrop.clock import Clock, SystemClock
from outcrop.errors import MachineTrouble
from outcrop.processes import die_with_parent
from outcrop.protocol import patterns, routing
from outcrop.server.silent import close_silent
from outcrop.settings import PARTS_FILE, Settings

if TYPE_CHECKING:
    from outcrop.buckets.buckets import Buckets

_SWEEP_EVERY_S = 60.0
_SWEEP_PAUSE_S = 0.005
_LISTENING_FIRST_S = 0.2
"""What is read beside the first requests would, read at once, keep the first of them waiting."""
_HEAD_PAUSE_S = 30.0
_MOST_CONNECTIONS = 512
"""At once; granian's own 128 are soon taken by somebody who only connects. Further ones wait."""


def main(arguments: Sequence[str] | None = None) -> int:
    die_with_parent()
    settings = _settings(arguments)
    logs.write_json_lines()
    try:
        platform = open_platform(settings, SystemClock())
        uvloop.run(serve_house(platform, settings))
    except MachineTrouble as trouble:
        print(trouble.message, file=sys.stderr)
        return 1
    finally:
        logs.flush()
    platform.store.close()
    return 0


def open_platform(settings: Settings, clock: Clock) -> Platform:
    """Raises MachineTrouble when the home cannot be used."""
    return Platform.open(settings, clock, health=lambda: health(settings))


async def serve_house(platform: Platform, settings: Settings) -> None:
    """Answer requests and settle deployments until told to stop."""
    beside = [asyncio.create_task(_settle(platform)), asyncio.create_task(_sweep(platform))]
    try:
        await serve(Door(platform, OPERATIONS), settings)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)


async def _settle(platform: Platform) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    rooms = await to_thread.run_sync(platform.rooms)
    try:
        await rooms.reconciler.run()
    finally:
        await rooms.clients.aclose()


async def _sweep(platform: Platform) -> None:
    """Take up what crashes left behind, and now and then the files of objects that are gone."""
    await asyncio.sleep(_LISTENING_FIRST_S)
    buckets = await to_thread.run_sync(lambda: platform.buckets)
    await to_thread.run_sync(buckets.sweep_leftovers)
    while True:
        await asyncio.sleep(_SWEEP_EVERY_S)
        await sweep_all(buckets)


async def sweep_all(buckets: "Buckets") -> int:
    """Sweep until nothing is due; returns how many contents went. Those who wait to write come between two batches."""
    removed = 0
    while True:
        swept = await to_thread.run_sync(buckets.sweep)
        removed += swept.removed
        if not swept.more_due:
            return removed
        await asyncio.sleep(_SWEEP_PAUSE_S)


async def serve(
    application: Door, settings: Settings, *, stop: asyncio.Event | None = None, head_pause_s: float = _HEAD_PAUSE_S
) -> None:
    """Answer requests until SIGTERM, SIGINT or `stop`. Raises MachineTrouble when the port is taken.

    A connection that has not sent the whole head of a request within `head_pause_s` is closed.
    """
    stop = stop or _on_signals()
    server = Server(
        application,
        address=settings.host,
        port=settings.port,
        interface=Interfaces.ASGINL,
        backlog=_MOST_CONNECTIONS,
        backpressure=_MOST_CONNECTIONS,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=round(head_pause_s * 1000)),
    )
    running = asyncio.create_task(server.serve())
    reading = asyncio.create_task(_read_services())
    closing = asyncio.create_task(close_silent(settings.port, after_s=head_pause_s))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        server.stop()
    for task in (stopping, closing, reading):
        task.cancel()
    try:
        await running
    except (OSError, RuntimeError) as error:
        # granian says it as a RuntimeError with a stack trace of its own in the text.
        reason = str(error).partition("\n")[0]
        raise MachineTrouble(
            f"{settings.host}:{settings.port}: cannot listen there ({reason}). Stop the program that does, or choose "
            "another port with --port or OUTCROP_PORT."
        ) from error


async def _read_services() -> None:
    """Read beside the first requests what each would else wait for: the services that are built."""
    await asyncio.sleep(_LISTENING_FIRST_S)
    for service in OPERATIONS:
        await to_thread.run_sync(_read_service, service)
    await to_thread.run_sync(patterns.prepare)


def _read_service(service: str) -> None:
    routing.templates(service)
    OPERATIONS[service]


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def health(settings: Settings) -> dict[str, Any]:
    """The state of each part: the server's own, and what the supervisor wrote down of the others."""
    try:
        parts = json.loads((settings.home / PARTS_FILE).read_text())["parts"]
    except FileNotFoundError:
        parts = {}  # the server runs without a supervisor
    return {"status": "ok", "version": version("outcrop"), "parts": parts}


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="outcrop.server.serve", description="Answer AWS API requests.")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given = parser.parse_args(arguments)
    return places.read(home=given.home, host=given.host, port=given.port)


if __name__ == "__main__":
    sys.exit(main())
