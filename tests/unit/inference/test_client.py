"""The client of an engine, against a process that keeps its dialect and dies at will."""

import asyncio
import json
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from outcrop.inference.client import Delta, EngineAway, EngineClient, GenerationRequest, UnknownAdapter, _delta
from outcrop.inference.request import Sampling
from tests.support.engine_double import engine_double
from tests.support.patience import PATIENCE_S


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=PATIENCE_S))


def asking(model: str = "base", max_tokens: int = 10) -> GenerationRequest:
    return GenerationRequest(
        model=model,
        prompt_ids=[1, 2],
        max_tokens=max_tokens,
        sampling=Sampling(temperature=0.5, top_p=0.9, seed=7),
        stop_token_ids=(99,),
    )


async def collect(deltas: AsyncGenerator[Delta, None], said: list[Delta]) -> None:
    async for delta in deltas:
        said.append(delta)  # noqa: PERF401 (what came before the end counts)


def test_ids_come_as_they_are_made_and_the_last_ones_say_why() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5, 6, 99, 7]) as engine, EngineClient(engine.socket) as client:
            assert [delta async for delta in client.generate(asking())] == [
                Delta([5], None),
                Delta([6], None),
                Delta([99], "stop"),
            ]
            assert [delta async for delta in client.generate(asking(max_tokens=2))][-1] == Delta([6], "length")
            assert engine.requests[0] == {
                "model": "base",
                "prompt": [1, 2],
                "max_tokens": 10,
                "temperature": 0.5,
                "top_p": 0.9,
                "seed": 7,
                "stop_token_ids": [99],
                "stream": True,
                "stream_options": {"include_usage": True},
                "return_token_ids": True,
            }

    run(scenario())


def test_work_in_the_background_has_a_priority_behind_everybody_elses() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5]) as engine, EngineClient(engine.socket) as client:
            for background in (False, True):
                _ = [delta async for delta in client.generate(replace(asking(), background=background))]
            assert [request.get("priority") for request in engine.requests] == [None, 1]

    run(scenario())


@pytest.mark.parametrize(
    "usage",
    [{"prompt_tokens": 2}, {"prompt_tokens_details": None}, {"prompt_tokens_details": {"cached_tokens": 7}}],
    ids=["plain", "as vLLM without the details", "with the details"],
)
def test_what_the_engine_had_read_before_is_told_with_the_end_however_it_is_told(usage: dict[str, Any]) -> None:
    num_cached = 7 if usage.get("prompt_tokens_details") else 0
    told = {"token_ids": [5], "finish_reason": "stop"}
    assert _delta(json.dumps({"choices": [told], "usage": usage}).encode()) == Delta([5], "stop", (), num_cached)
    # vLLM's is an event of its own
    assert _delta(json.dumps({"choices": [], "usage": usage}).encode()) == Delta([], None, (), num_cached)
    assert _delta(json.dumps({"choices": [told], "usage": None}).encode()) == Delta([5], "stop")


def test_leaving_early_aborts_the_generation() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5] * 10) as engine, EngineClient(engine.socket) as client:
            engine.pause_after = 3
            async with aclosing(client.generate(asking())) as deltas:
                assert await anext(deltas) == Delta([5], None)
            await engine.hung_up.wait()

    run(scenario())


def test_an_engine_that_is_not_there_is_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with EngineClient(tmp_path / "nobody") as client:
            assert not await client.health()
            with pytest.raises(EngineAway, match="It is started again; ask again in a moment"):
                await client.models()

    run(scenario())


def test_an_engine_that_dies_in_the_middle_is_away_after_what_it_said() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5, 6, 7]) as engine, EngineClient(engine.socket) as client:
            engine.die_after = [2]
            said: list[Delta] = []
            with pytest.raises(EngineAway):
                await collect(client.generate(asking()), said)
            assert said == [Delta([5], None), Delta([6], None)]
            assert await client.health()

    run(scenario())


def test_adapters_come_and_go_by_name() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5]) as engine, EngineClient(engine.socket) as client:
            with pytest.raises(UnknownAdapter, match="does not exist"):
                await anext(client.generate(asking("mine")))
            await client.load_adapter("mine", Path("/adapters/mine"))
            await client.load_adapter("mine", Path("/adapters/mine"))
            assert await client.models() == ["base", "mine"]
            assert await anext(client.generate(asking("mine"))) == Delta([5], "length")
            await client.unload_adapter("mine")
            with pytest.raises(UnknownAdapter):
                await client.unload_adapter("mine")

    run(scenario())


def test_a_score_is_the_log_probability_of_each_id_after_the_first() -> None:
    async def scenario() -> None:
        async with engine_double(lambda _: [5]) as engine, EngineClient(engine.socket) as client:
            assert await client.score("base", [3, 4, 9]) == [-4.0, -9.0]

    run(scenario())
