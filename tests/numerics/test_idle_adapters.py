"""Adapters of a real engine that nobody asks for: their weights are gone, and come back with the same answers."""

import asyncio
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import peft
import pytest
import torch
import transformers

from outcrop.engines.holding import HoldingClient
from outcrop.inference.adapters_in_use import AdaptersInUse
from outcrop.inference.client import EngineClient, GenerationRequest
from outcrop.inference.door import EngineDoor
from outcrop.inference.engine import Engine
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.request import Sampling
from outcrop.inference.unix_http import UnixServer
from outcrop.network.adapters import linear
from tests.support.patience import PATIENCE_S
from tests.support.tiny import tiny_model

pytestmark = pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning")

NAMES = ("red", "green", "blue")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny network, and three adapters for it."""
    folder = tmp_path_factory.mktemp("files")
    tiny_model(folder / "network")
    torch.manual_seed(0)
    for name in NAMES:
        loaded = transformers.AutoModelForCausalLM.from_pretrained(folder / "network")
        shape = peft.LoraConfig(r=4, lora_alpha=32, target_modules="all-linear", init_lora_weights=False)
        peft.get_peft_model(loaded, shape).save_pretrained(folder / name)
    return folder


@dataclass
class Place:
    """An engine with its door, a client that brings adapters in, and a watch that is moved."""

    thread: EngineThread
    door: EngineDoor
    client: HoldingClient
    now: float = 0.0

    async def answer(self, name: str) -> list[int]:
        request = GenerationRequest(model=name, prompt_ids=[5, 6, 7], max_tokens=6, sampling=Sampling())
        return [one async for delta in self.client.generate(request) for one in delta.token_ids]

    async def weights(self) -> set[str]:
        """The adapters of which any layer holds weights."""

        def held(engine: Engine) -> set[str]:
            layers = linear.layers(engine._network)
            return {version.partition("#")[0] for _, layer in layers for version in layer.updates}

        return await self.thread.ask(held)


@asynccontextmanager
async def engine(folder: Path, *, idle_s: float = 0, most_bytes: int = 0) -> AsyncIterator[Place]:
    thread = EngineThread(lambda: Engine(folder / "network", cache_bytes=2**24))
    sockets = Path(tempfile.mkdtemp(prefix="outcrop-"))  # a socket's path is short
    place: Place
    adapters = AdaptersInUse(idle_s=idle_s, most_bytes=most_bytes, now=lambda: place.now)
    door = EngineDoor(thread, base_name="base", adapters=adapters)
    server = UnixServer(sockets / "engine", door.answer)
    await server.start()
    await thread.loaded
    client = HoldingClient(
        EngineClient(sockets / "engine"),
        lambda name: folder / name,
        damaged=lambda _name, _why: None,
        wish=lambda: None,
    )
    place = Place(thread, door, client)
    try:
        yield place
    finally:
        await client.aclose()
        await server.close(grace_s=0)
        thread.stop(timeout_s=PATIENCE_S)
        shutil.rmtree(sockets)


def test_an_idle_adapter_holds_no_weights_and_answers_alike_when_it_is_asked_again(folder: Path) -> None:
    async def scenario() -> None:
        async with engine(folder, idle_s=60) as place:
            first = {name: await place.answer(name) for name in NAMES}
            assert await place.weights() == set(NAMES)
            place.now += 59
            await place.answer("green")
            place.now += 1
            await place.door.let_idle_adapters_go()
            assert await place.weights() == {"green"}
            assert await place.client.models() == ["base", "green"]
            assert {name: await place.answer(name) for name in NAMES} == first
            place.now += 60
            await place.door.let_idle_adapters_go()
            assert await place.weights() == set()

    asyncio.run(scenario())


def test_beyond_its_room_the_adapter_used_longest_ago_goes(folder: Path) -> None:
    size = sum(file.stat().st_size for file in (folder / "red").iterdir())

    async def scenario() -> None:
        async with engine(folder, most_bytes=size * 5 // 2) as place:
            for name in ("red", "green", "red", "blue"):
                place.now += 1
                await place.answer(name)
            assert await place.weights() == {"red", "blue"}

    asyncio.run(scenario())


def test_a_request_under_way_keeps_its_adapter(folder: Path) -> None:
    async def scenario() -> None:
        async with engine(folder, idle_s=60) as place:
            whole = await place.answer("red")
            request = GenerationRequest(model="red", prompt_ids=[5, 6, 7], max_tokens=6, sampling=Sampling())
            got: list[int] = []
            async for delta in place.client.generate(request):
                got += delta.token_ids
                place.now += 600
                await place.door.let_idle_adapters_go()
            assert got == whole

    asyncio.run(scenario())
