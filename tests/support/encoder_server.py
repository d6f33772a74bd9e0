"""An encoder, or a text model, behind an engine's door in this process, and a client of it."""

import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from outcrop.inference.client import EngineClient
from outcrop.inference.door import EngineDoor
from outcrop.inference.encoder_engine import EncoderEngine
from outcrop.inference.encoder_paths import EncoderPaths
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.unix_http import UnixServer
from outcrop.network import encoder_facts
from outcrop.network.run_mode import RunMode
from tests.support.patience import PATIENCE_S

BASE = "base"


@asynccontextmanager
async def encoder_server(
    folder: Path,
    *,
    way: RunMode = RunMode.PADDED,
    tokens_per_batch: int | None = None,
    socket: Path | None = None,
    name: str = BASE,
) -> AsyncIterator[EngineClient]:
    """The encoder in `folder`; requests name it `base`, or as it is told."""
    thread = EngineThread(lambda: EncoderEngine(folder, way=way, tokens_per_batch=tokens_per_batch))
    paths = EncoderPaths(thread, base_name=name, task=encoder_facts.task_of(folder)).paths
    async with _served(thread, EngineDoor(thread, base_name=name, paths=paths), socket) as client:
        yield client


@asynccontextmanager
async def text_server(folder: Path, *, way: RunMode = RunMode.PACKED) -> AsyncIterator[EngineClient]:
    """The text model in `folder`; requests name it `base`."""
    thread = EngineThread(lambda: Engine(folder, cache_bytes=2**24, way=way))
    async with _served(thread, EngineDoor(thread, base_name=BASE), None) as client:
        yield client


@asynccontextmanager
async def _served(thread: EngineThread, door: EngineDoor, socket: Path | None) -> AsyncIterator[EngineClient]:
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
    place = socket or folder / "engine"
    server = UnixServer(place, door.answer)
    await server.start()
    try:
        await thread.loaded
        async with EngineClient(place) as client:
            yield client
    finally:
        await server.close(grace_s=0)
        thread.stop(timeout_s=PATIENCE_S)
        shutil.rmtree(folder)
