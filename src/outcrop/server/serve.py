"""`python -m outcrop.server.serve --home H --host A --port P`: opens the house and answers requests until stopped.

One process, one event loop; plain handlers run in threads beside it. Nothing here may import torch: the server is up
within a second, and `tests/flow/test_start.py` holds it to that.
"""

import argparse
import asyncio
import gc
import json
import logging
import signal
import sys
from collections.abc import Callable, Sequence
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop
from anyio import to_thread
from granian.constants import Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.server.embed import Server

from outcrop import logs, private
from outcrop import settings as places
from outcrop.api.door.app import Door
from outcrop.api.operations import OPERATIONS
from outcrop.clock import SystemClock
from outcrop.errors import MachineTrouble
from outcrop.house import House
from outcrop.loops import LoopEnded, Loops, contained
from outcrop.machine.memory_folder import clear_memory
from outcrop.machine.processes import allow_many_files, die_with_parent
from outcrop.protocol import patterns, routing
from outcrop.server.silent import close_silent
from outcrop.settings import PARTS_FILE, Settings
from outcrop.store.damage_sweep import DamageSweep

if TYPE_CHECKING:
    from outcrop.buckets.buckets import Buckets
    from outcrop.buckets.sweeping import Swept

_SETTLE_EVERY_S = 0.2
_SWEEP_EVERY_S = 60.0
_SWEEP_PAUSE_S = 0.005
_SWEEP_STUCK_S = 3600.0
"""Millions of contents may be due at once, and a batch of them waits for everybody else who writes."""
_DAMAGE_EVERY_S = 5.0
_AUDIT_EVERY_S = 0.5
_POINTS_EVERY_S = 2.0
_INVOCATION_LOG_EVERY_S = 5.0
"""What a server that is killed loses at most of each."""
_ALARMS_EVERY_S = 10.0
_NOTICES_EVERY_S = 5.0
_ENDPOINTS_EVERY_S = 1.0
_SCALING_EVERY_S = 5.0
_KEYS_EVERY_S = 60.0
_TRAILS_EVERY_S = 15.0
_FORGETS_FIRST_S = 60.0
_FORGET_EVERY_S = 3600.0
_LISTENING_FIRST_S = 0.2
"""What is read beside the first requests would, read at once, keep the first of them waiting."""
_HEAD_PAUSE_S = 30.0
_MOST_CONNECTIONS = 512
"""At once; granian's own 128 are soon taken by somebody who only connects. Further ones wait."""
_NEW_OBJECTS = 10_000
"""Between two searches for those that hold each other. With Python's own 700, streams to eight clients spend a
fifteenth of this process's time on them."""
_log = logging.getLogger("outcrop.server")


def main(arguments: Sequence[str] | None = None) -> int:
    die_with_parent()
    allow_many_files()
    private.only_ours()
    settings = _settings(arguments)
    logs.write_json_lines()
    gc.set_threshold(_NEW_OBJECTS, *gc.get_threshold()[1:])
    loops = Loops()
    try:
        house = House.open(settings, SystemClock())
        uvloop.run(serve_house(house, settings, loops))
    except MachineTrouble as trouble:
        print(trouble.message, file=sys.stderr)
        return 1
    finally:
        logs.flush()
    house.store.close()
    return 0


async def serve_house(house: House, settings: Settings, loops: Loops, *, stop: asyncio.Event | None = None) -> None:
    """Answer requests, settle deployments and clear up until told to stop. Raises LoopEnded when a loop ends."""
    stop = stop or _on_signals()
    ended: list[BaseException] = []

    def on_end(task: asyncio.Task[None]) -> None:
        if not task.cancelled():
            ended.append(task.exception() or AssertionError("a loop has no end"))
            stop.set()

    beside = [asyncio.create_task(loop(house, loops), name=loop.__name__) for loop in _LOOPS]
    for task in beside:
        task.add_done_callback(on_end)
    try:
        await serve(Door(house, OPERATIONS, health=lambda: health(settings, loops)), settings, stop=stop, loops=loops)
    finally:
        for task in beside:
            task.cancel()
        await asyncio.gather(*beside, return_exceptions=True)
        await to_thread.run_sync(house.audit.flush)
        await to_thread.run_sync(house.invocation_logs.close)
        await to_thread.run_sync(write_points, house)
    if ended:
        logs.tell(_log, "the server ends, to be started anew", level=logging.ERROR, exc_info=ended[0])
        if isinstance(ended[0], MachineTrouble):
            raise ended[0]
        raise LoopEnded("A loop of the server ended by itself. The log has the details.") from ended[0]


async def _settle(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    reconciler = await to_thread.run_sync(lambda: house.reconciler)

    async def turn() -> None:
        if await house.ask(house.leadership.holds):
            await reconciler.turn()

    try:
        await loops.run("deployments", turn, every_s=_SETTLE_EVERY_S)
    finally:
        await reconciler.aclose()
        await house.clients.aclose()
        await house.remotes.aclose()


async def _sweep(house: House, loops: Loops) -> None:
    """Take up what crashes left behind, and now and then the files of objects that are gone."""
    await asyncio.sleep(_LISTENING_FIRST_S)
    buckets = await to_thread.run_sync(lambda: house.buckets)
    with contained(_log, "taking up what a crash left behind"):
        await to_thread.run_sync(buckets.sweep_leftovers)
        await to_thread.run_sync(_clear_imports, house)

    async def turn() -> None:
        if await house.ask(house.leadership.holds):
            await sweep_all(buckets)

    await loops.run("contents", turn, every_s=_SWEEP_EVERY_S, stuck_s=_SWEEP_STUCK_S)


async def sweep_all(buckets: "Buckets") -> int:
    """Let expire what has expired, and remove contents, until nothing is due; returns how many went."""
    return await _until_none_due(buckets.expire) + await _until_none_due(buckets.sweep)


async def _until_none_due(step: Callable[[], "Swept"]) -> int:
    """Take steps until none is due. Those who wait to write come between two of them."""
    removed = 0
    while True:
        swept = await to_thread.run_sync(step)
        removed += swept.removed
        if not swept.more_due:
            return removed
        await asyncio.sleep(_SWEEP_PAUSE_S)


def _clear_imports(house: House) -> None:
    from outcrop.customization import imported

    before = house.clock.now() - timedelta(days=1)
    imported.clear_leftovers(house.settings.models, older_than=before)
    clear_memory(house.settings.home, house.settings.runs, older_than=before)


async def _fail_damaged(house: House, loops: Loops) -> None:
    """Records that cannot be read become Failed, so that they can be seen and deleted."""

    sweep = DamageSweep(house.store)

    async def look() -> None:
        await to_thread.run_sync(lambda: sweep.turn(at=house.clock.now()))

    await asyncio.sleep(_LISTENING_FIRST_S)
    await loops.run("records", look, every_s=_DAMAGE_EVERY_S)


async def _write_audit(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    await loops.run("audit", lambda: to_thread.run_sync(house.audit.flush), every_s=_AUDIT_EVERY_S)


async def _write_points(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    await loops.run("points", lambda: to_thread.run_sync(write_points, house), every_s=_POINTS_EVERY_S)


async def _write_invocation_log(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    log = await to_thread.run_sync(lambda: house.invocation_logs)
    await loops.run("invocation log", lambda: to_thread.run_sync(log.flush), every_s=_INVOCATION_LOG_EVERY_S)


async def _evaluate_alarms(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    alarms = await to_thread.run_sync(lambda: house.alarms)
    await loops.run("alarms", lambda: to_thread.run_sync(_led, house, alarms.turn), every_s=_ALARMS_EVERY_S)


async def _send_notices(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    notices = await to_thread.run_sync(lambda: house.alarm_notices)
    await loops.run(
        "notices",
        lambda: to_thread.run_sync(_led, house, notices.turn),
        every_s=_NOTICES_EVERY_S,
        stuck_s=_SWEEP_STUCK_S,
    )


async def _keep_endpoints(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    keeper = await to_thread.run_sync(lambda: house.endpoint_keeper)
    await loops.run("endpoints", lambda: to_thread.run_sync(_led, house, keeper.turn), every_s=_ENDPOINTS_EVERY_S)


async def _scale(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    scaler = await to_thread.run_sync(lambda: house.scaler)
    await loops.run("scaling", lambda: to_thread.run_sync(_led, house, scaler.turn), every_s=_SCALING_EVERY_S)


def _led(house: House, turn: Callable[..., object], *given: object) -> None:
    """Make the turn where this server leads: what an installation does once is not done by each of its servers."""
    if house.leadership.holds():
        turn(*given)


def write_points(house: House) -> None:
    """Pass on what the door counted, and write all points that are new."""
    house.traffic.pass_on(house.points)
    house.points.flush()


async def _deliver_trails(house: House, loops: Loops) -> None:
    await asyncio.sleep(_LISTENING_FIRST_S)
    delivery = await to_thread.run_sync(lambda: house.trail_delivery)
    await loops.run(
        "trails",
        lambda: to_thread.run_sync(_led, house, delivery.turn),
        every_s=_TRAILS_EVERY_S,
        stuck_s=_SWEEP_STUCK_S,
    )


async def _turn_keys(house: House, loops: Loops) -> None:
    """Delete and rotate keys of KMS when their time has come."""
    await asyncio.sleep(_LISTENING_FIRST_S)
    keys = await to_thread.run_sync(lambda: house.keys)
    await loops.run("keys", lambda: to_thread.run_sync(_led, house, keys.turn), every_s=_KEYS_EVERY_S)


async def _forget_old(house: House, loops: Loops) -> None:
    """Keep what is recorded within its age and size: points, audit, logs, alarms, scaling, responses."""

    async def look() -> None:
        await to_thread.run_sync(_led, house, house.points.sweep)
        await to_thread.run_sync(_led, house, house.audit.sweep)
        await to_thread.run_sync(_led, house, house.log_groups.sweep)
        await to_thread.run_sync(_led, house, house.alarms.sweep)
        await to_thread.run_sync(_led, house, house.scaling.sweep)
        await to_thread.run_sync(_led, house, _forget_responses, house)

    await asyncio.sleep(_FORGETS_FIRST_S)
    await loops.run("retention", look, every_s=_FORGET_EVERY_S, stuck_s=_SWEEP_STUCK_S)


def _forget_responses(house: House) -> None:
    from outcrop.api.openai import stored_responses

    stored_responses.remove_old(house)


_LOOPS = (
    _settle,
    _sweep,
    _fail_damaged,
    _write_audit,
    _write_points,
    _write_invocation_log,
    _evaluate_alarms,
    _send_notices,
    _keep_endpoints,
    _scale,
    _turn_keys,
    _deliver_trails,
    _forget_old,
)


async def serve(
    application: Door,
    settings: Settings,
    *,
    stop: asyncio.Event | None = None,
    head_pause_s: float = _HEAD_PAUSE_S,
    loops: Loops | None = None,
) -> None:
    """Answer requests until SIGTERM, SIGINT or `stop`. Raises MachineTrouble when the port is taken.

    A connection that has not sent the whole head of a request within `head_pause_s` is closed.
    """
    stop = stop or _on_signals()
    loops = loops or Loops()
    server = _server(application, head_pause_s, address=settings.host, port=settings.port, **tls_options(settings))
    running = asyncio.create_task(server.serve())
    beside = _beside(application, settings, head_pause_s)
    inside = None if beside is None else asyncio.create_task(beside.serve())
    reading = asyncio.create_task(_read_services())
    closing = asyncio.create_task(close_silent(loops, settings.port, after_s=head_pause_s))
    closing.add_done_callback(lambda task: None if task.cancelled() or task.exception() is None else stop.set())
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
    if not running.done():
        server.stop()
    for task in (stopping, closing, reading):
        task.cancel()
    if beside is not None and inside is not None:
        beside.stop()
        await asyncio.gather(inside, return_exceptions=True)
    try:
        await running
    except (OSError, RuntimeError) as error:
        # granian says it as a RuntimeError with a stack trace of its own in the text.
        reason = str(error).partition("\n")[0]
        raise MachineTrouble(
            f"{settings.host}:{settings.port}: cannot listen there ({reason}). Stop the program that does, or choose "
            "another port with --port or OUTCROP_PORT."
        ) from error


def _server(application: Any, head_pause_s: float, **place: Any) -> Server:
    return Server(
        application,
        interface=Interfaces.ASGINL,
        backlog=_MOST_CONNECTIONS,
        backpressure=_MOST_CONNECTIONS,
        websockets=False,
        log_enabled=False,
        http1_settings=HTTP1Settings(header_read_timeout=round(head_pause_s * 1000)),
        **place,
    )


def tls_options(settings: Settings) -> dict[str, Any]:
    """Options with which a server speaks TLS, where the settings name a certificate."""
    if settings.tls_cert is None:
        return {}
    return {"ssl_cert": settings.tls_cert, "ssl_key": settings.tls_key, "ssl_protocol_min": SSLProtocols.tls12}


def _beside(application: Door, settings: Settings, head_pause_s: float) -> Server | None:
    """The door on a Unix socket, for sandboxes of this machine, where the one on the network speaks TLS.

    Nobody else's program reaches it, and nothing that goes through it leaves the machine: it counts as secure.
    """
    if settings.tls_cert is None:
        return None

    async def secure(scope: dict[str, Any], receive: Any, send: Any) -> None:
        await application({**scope, "scheme": "https"}, receive, send)

    private.make_socket_folder(settings.home)
    settings.door_socket.unlink(missing_ok=True)
    return _server(secure, head_pause_s, uds=settings.door_socket)


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


def health(settings: Settings, loops: Loops) -> dict[str, Any]:
    """The state of each part: the server's own, and what the supervisor wrote down of the others.

    `status` is `ok`, or `failing` while a loop of the server is dead or stuck, which `loops` then tells.
    """
    try:
        parts = json.loads((settings.home / PARTS_FILE).read_text("utf-8"))["parts"]
    except (OSError, ValueError, KeyError, TypeError):
        parts = {}  # the server runs without a supervisor, or the file is not its
    status = "failing" if loops.troubles() else "ok"
    return {"status": status, "version": version("outcrop"), "parts": parts, "loops": loops.told()}


def _settings(arguments: Sequence[str] | None) -> Settings:
    parser = argparse.ArgumentParser(prog="outcrop.server.serve", description="Answer AWS API requests.")
    parser.add_argument("--home", type=Path)
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    given = parser.parse_args(arguments)
    return places.read(home=given.home, host=given.host, port=given.port)


if __name__ == "__main__":
    sys.exit(main())
