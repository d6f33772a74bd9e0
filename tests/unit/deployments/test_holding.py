"""The client that brings adapters in, where no engine listens: whether it will come is told by its order."""

import asyncio
from pathlib import Path

import pytest

from outcrop.deployments.holding import HoldingClient
from outcrop.errors import ModelFailed
from outcrop.inference.client import EngineAway, GenerationRequest

ASKED = GenerationRequest(model="base", prompt_ids=[1], max_tokens=1, temperature=0.0, top_p=1.0)


@pytest.mark.parametrize(
    ("failure", "raised", "sentence"),
    [
        ("The engine of base does not start: it is damaged.", ModelFailed, r"^The engine of base does not start: it"),
        (None, EngineAway, r"is started again; ask again in a moment\.$"),
    ],
)
def test_an_engine_that_was_given_up_is_not_waited_for(
    tmp_path: Path, failure: str | None, raised: type[Exception], sentence: str
) -> None:
    async def ask() -> None:
        client = HoldingClient(
            tmp_path / "nobody.sock", lambda _: None, damaged=lambda _name, _why: None, failure=lambda: failure
        )
        async with client:
            with pytest.raises(raised, match=sentence):
                await client.score("base", [1, 2])
            with pytest.raises(raised, match=sentence):
                async for _ in client.generate(ASKED):
                    pass

    asyncio.run(ask())
