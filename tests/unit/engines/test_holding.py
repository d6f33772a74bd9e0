"""The client that brings adapters in, where no engine listens: whether it will come, and for what it waits, is on record."""

import asyncio
from functools import partial
from pathlib import Path

import pytest

from outcrop.engines.holding import HoldingClient
from outcrop.errors import ModelFailed
from outcrop.inference.client import EngineAway, EngineClient, GenerationRequest
from outcrop.inference.request import Sampling
from tests.support.engines_room import EnginesRoom

ASKED = GenerationRequest(model="base", prompt_ids=[1], max_tokens=1, sampling=Sampling())
DAMAGED = "The engine of base does not start: it is damaged."
WAITS = "The engine of base waits for 1.0 GiB of memory, until the engine of other has ended."


@pytest.mark.parametrize(
    ("members", "raised", "sentence"),
    [
        ({"failure": DAMAGED}, ModelFailed, rf"^{DAMAGED}$"),
        ({"waits": WAITS}, EngineAway, rf"^{WAITS}$"),
        ({}, EngineAway, r"is started again; ask again in a moment\.$"),
    ],
)
def test_who_asks_an_engine_that_is_not_there_hears_why(
    tmp_path: Path, members: dict[str, str], raised: type[Exception], sentence: str
) -> None:
    room = EnginesRoom(tmp_path)
    room.order("base")
    room.engines.note("base", **members)

    async def ask() -> None:
        client = HoldingClient(
            EngineClient(tmp_path / "nobody.sock"),
            lambda _: None,
            damaged=lambda _name, _why: None,
            wish=partial(room.engines.wish, "base"),
        )
        with pytest.raises(raised, match=sentence):
            await client.score("base", [1, 2])
        with pytest.raises(raised, match=sentence):
            async for _ in client.generate(ASKED):
                pass
        await client.aclose()

    asyncio.run(ask())
