"""Step results on their way to whoever waits: at once, or after a rest, and the end without any rest."""

import asyncio
from typing import Any

from outcrop.errors import ModelFailed
from outcrop.inference.encoder_requests import EncoderResult
from outcrop.inference.engine import StepResult
from outcrop.inference.request_stream import RequestStream

_HOUR_S = 3600.0


def token(number: int, finish_reason: str | None = None) -> StepResult:
    return StepResult("r1", number, finish_reason)


async def resting(seconds: float = _HOUR_S, *before: StepResult) -> "tuple[RequestStream, asyncio.Task[list[Any]]]":
    """A stream that rests, with these items in it, and somebody who waits for more."""
    stream = RequestStream(asyncio.get_running_loop())
    for item in before:
        stream.put(item)
    stream.rest(seconds)
    waiting = asyncio.create_task(stream.take())
    await asyncio.sleep(0)
    return stream, waiting


def test_what_is_there_is_taken_at_once_and_together() -> None:
    async def visit() -> None:
        stream = RequestStream(asyncio.get_running_loop())
        for number in (1, 2):
            stream.put(token(number))
        assert await stream.take() == [token(1), token(2)]

    asyncio.run(visit())


def test_whoever_waits_is_woken_by_the_next_token() -> None:
    async def visit() -> None:
        stream = RequestStream(asyncio.get_running_loop())
        waiting = asyncio.create_task(stream.take())
        await asyncio.sleep(0)
        stream.put(token(1))
        assert await waiting == [token(1)]

    asyncio.run(visit())


def test_a_stream_that_rests_keeps_its_tokens_until_the_request_ends() -> None:
    async def visit() -> None:
        stream, waiting = await resting(_HOUR_S, token(1))
        stream.put(token(2))
        await asyncio.sleep(0)
        assert not waiting.done()
        stream.put(token(3, "length"))
        assert await waiting == [token(1), token(2), token(3, "length")]

    asyncio.run(visit())


def test_a_failure_or_an_encoders_result_waits_for_no_rest() -> None:
    async def visit() -> None:
        for item in (ModelFailed("It broke."), EncoderResult("r1", [])):
            stream, waiting = await resting()
            stream.put(item)
            assert await waiting == [item]
            stream.rest(_HOUR_S)
            stream.put(item)
            assert await stream.take() == [item]

    asyncio.run(visit())


def test_after_a_rest_its_tokens_are_taken_and_the_next_one_comes_at_once() -> None:
    async def visit() -> None:
        stream, waiting = await resting(0.01, token(1))
        assert await waiting == [token(1)]
        waiting = asyncio.create_task(stream.take())
        await asyncio.sleep(0)
        stream.put(token(2))
        assert await waiting == [token(2)]
        stream, waiting = await resting(0.01)
        await asyncio.sleep(0.05)
        assert not waiting.done()
        stream.put(token(1))
        assert await waiting == [token(1)]

    asyncio.run(visit())


def test_whoever_leaves_during_a_rest_leaves_nothing_behind() -> None:
    async def visit() -> None:
        stream, waiting = await resting(_HOUR_S, token(1))
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        stream.put(token(2, "stop"))
        assert await stream.take() == [token(1), token(2, "stop")]

    asyncio.run(visit())
