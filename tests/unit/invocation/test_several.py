"""Several answers to one prompt: seeds of their own, side by side, all ended together, through InvokeModel too."""

import asyncio
import json
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import ModelFailed, ServiceRefusal
from outcrop.inference.request import Sampling
from outcrop.invocation import invoke
from outcrop.invocation.exchange import Finish, Finished
from outcrop.invocation.generate import GenerateInput, Generation
from outcrop.invocation.several import likeliest, seeded, stream_several, together
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob
from tests.support.spoken_target import speaking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
ASKED = GenerateInput(
    prompt_ids=[1],
    max_tokens=9,
    sampling=Sampling(seed=7),
    stop_sequences=(),
    stop_ids=(),
    full_context=False,
    logprobs=None,
)


def body(**more: Any) -> bytes:
    return json.dumps({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 9, **more}).encode()


def test_the_first_has_the_seed_that_was_asked_for_and_the_others_those_that_follow() -> None:
    assert seeds(seeded(ASKED, 3)) == [7, 8, 9]
    assert seeded(ASKED, 3)[0] is ASKED
    last = replace(ASKED, sampling=Sampling(seed=2**31 - 1))
    assert seeds(seeded(last, 2)) == [2**31 - 1, 0]


def seeds(generations: Sequence[Generation]) -> list[int | None]:
    return [each.sampling.seed for each in generations if isinstance(each, GenerateInput)]


def test_a_body_of_invoke_model_may_ask_for_several(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "yes") as (target, engine):
            prepared = await invoke.prepare(target, body(n=3, seed=7), now=NOW)
            invoked = await invoke.invoke(prepared)
            assert [choice["index"] for choice in invoked.response["choices"]] == [0, 1, 2]
            assert sorted(request["seed"] for request in engine.requests) == [7, 8, 9]
            assert invoked.response["usage"]["completion_tokens"] == invoked.num_output_tokens == 12
            counted: list[tuple[int, int]] = []
            events = invoke.invoke_stream(prepared, count=lambda *taken: counted.append(taken))
            chunks = [json.loads(event["chunk"]["bytes"]) async for event in events]
            assert [chunk["choices"][0]["index"] for chunk in chunks].count(2) > 1
            assert chunks[-1]["usage"] == invoked.response["usage"]
            assert chunks[-1]["amazon-bedrock-invocationMetrics"]["outputTokenCount"] == 12
            assert sum("amazon-bedrock-invocationMetrics" in chunk for chunk in chunks) == 1
            assert counted[-1] == (prepared.started.num_input_tokens, 12)

    asyncio.run(scenario())


def test_who_stops_reading_ends_all_generations(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "yes, it is") as (target, engine):
            engine.pause_after = 2
            prepared = await invoke.prepare(target, body(n=2), now=NOW)
            pieces = stream_several(target, seeded(prepared.generation, 2))
            async with aclosing(pieces):
                await anext(pieces)
            await asyncio.wait_for(engine.hung_up.wait(), 5)

    asyncio.run(scenario())


def test_the_first_failure_ends_the_others(tmp_path: Path) -> None:
    async def fails() -> None:
        raise ModelFailed("it broke")

    async def scenario() -> None:
        waits = asyncio.ensure_future(asyncio.sleep(60))
        with pytest.raises(ModelFailed):
            await together([waits, fails()])
        assert waits.cancelled()
        async with speaking(tmp_path, "yes, it is") as (target, engine):
            engine.die_after = [3, None]
            prepared = await invoke.prepare(target, body(n=2), now=NOW)
            with pytest.raises(ServiceRefusal):
                async for _ in stream_several(target, seeded(prepared.generation, 2)):
                    pass

    asyncio.run(scenario())


def test_the_best_are_those_whose_tokens_are_likeliest_whatever_their_length() -> None:
    def answer(*logprobs: float) -> Finished:
        told = tuple(TextLogprob(SpelledToken(b"a", each), (), 0) for each in logprobs)
        return Finished(text=str(logprobs), num_output_tokens=len(logprobs), finish=Finish.END, logprobs=told)

    short, long, silent = answer(-2.0), answer(-1.0, -1.5, -1.0, -1.5), answer()
    assert likeliest([silent, short, long], 2) == [long, short]
