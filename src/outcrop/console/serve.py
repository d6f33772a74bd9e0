"""The console's process: read its settings, answer browsers until it is told to stop, and end well."""

import argparse
import asyncio
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.server.embed import Server

from outcrop import logs, private
from outcrop import settings as places
from outcrop.console.app import Console
from outcrop.errors import MachineTrouble
from outcrop.settings import Settings

_MOST_CONNECTIONS = 256


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT."""
    private.only_ours()
    logs.write_json_lines()
    asyncio.run(serve(_settings(arguments)))
    return 0


async def serve(settings: Settings, *, stop: asyncio.Event | None = None, console: Console | None = None) -> None:
    """Answer browsers until `stop`. Raises MachineTrouble when the port is taken."""
    console = console or Console(settings)
    stop = stop or _on_signals()
    server = Server(
        console.application,
        address=settings.host,
        port=settings.console_port,
        interface=Interfaces.ASGI,
        backlog=_MOST_CONNECTIONS,
        websockets=False,
        log_enabled=False,
        **_tls_options(settings),
    )
    running, stopping = asyncio.create_task(server.serve()), asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    console.is_stopping = True
    if not running.done():
        server.stop()
    stopping.cancel()
    console.sessions.end_all()
    try:
        await running
    except (OSError, RuntimeError) as error:
        raise MachineTrouble(
            f"{settings.host}:{settings.console_port}: the console cannot listen there. Choose another port with "
            "--console-port, or do without it: --no-console."
        ) from error


def _tls_options(settings: Settings) -> dict[str, Any]:
    if settings.tls_cert is None:
        return {}
    options = {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key, "ssl_protocol_min": SSLProtocols.tls12}
    return {**options, "http": HTTPModes.http1}


def _on_signals() -> asyncio.Event:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="outcrop.console.serve", description="Show the console.")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--console-port", type=int)
    given = parser.parse_args(arguments)
    read = places.read(home=given.home, host=given.host, port=given.port)
    return replace(read, console_port=given.console_port) if given.console_port else read


if __name__ == "__main__":
    sys.exit(main())
