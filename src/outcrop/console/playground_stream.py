"""Answers of up to four models to the same prompt, in one stream of JSON lines while they are made.

    {"model": 0, "text": "The"}            a piece of an answer
    {"model": 0, "end": {...}}             its end: tokens, first-token time, tokens/s
    {"model": 1, "problem": "…"}           why there is none

A browser that leaves ends them all: the streams are closed, and with them the generations.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from outcrop.console.views.conversation_view import AskedAnswers, asked_answers
from outcrop.console.visit import ConsoleVisit

_MOST_BYTES = 1 << 20


async def answers(visit: ConsoleVisit) -> Response:
    """A stream of the answers that the posted JSON asks for."""
    body = await visit.request.body()
    try:
        asked = asked_answers(json.loads(body[: _MOST_BYTES + 1]))
    except ValueError as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    return StreamingResponse(_lines(visit, asked), media_type="application/x-ndjson")


async def _lines(visit: ConsoleVisit, asked: AskedAnswers) -> AsyncIterator[str]:
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[dict[str, Any] | None]()
    runtime = await to_thread.run_sync(visit.api.client, "bedrock-runtime")
    open_streams: list[Any] = []

    def put(line: dict[str, Any] | None) -> None:
        with suppress(RuntimeError):  # the loop ended, and nobody listens
            loop.call_soon_threadsafe(lines.put_nowait, line)

    tasks = [
        asyncio.ensure_future(asyncio.to_thread(_answer, runtime, asked, number, put, open_streams))
        for number in range(len(asked.models))
    ]
    left = len(tasks)
    try:
        while left:
            line = await lines.get()
            if line is None:
                left -= 1
            else:
                yield json.dumps(line, ensure_ascii=False) + "\n"
    finally:
        for stream in open_streams:
            with suppress(Exception):  # it may be read at this moment, and then ends with an error of its own
                stream.close()


def _answer(
    runtime: Any,
    asked: AskedAnswers,
    number: int,
    put: Callable[[dict[str, Any] | None], None],
    open_streams: list[Any],
) -> None:
    began, first = time.monotonic(), 0.0
    try:
        answer = runtime.converse_stream(**asked.request(number))
        open_streams.append(answer["stream"])
        for event in answer["stream"]:
            text = event.get("contentBlockDelta", {}).get("delta", {}).get("text", "")
            if text:
                first = first or time.monotonic() - began
                put({"model": number, "text": text})
            if "metadata" in event:
                tokens, took = event["metadata"]["usage"]["outputTokens"], time.monotonic() - began
                rate = (tokens - 1) / (took - first) if tokens > 1 and took > first else 0
                end = {"tokens": tokens, "first_s": round(first or took, 3), "rate": round(rate, 1)}
                put({"model": number, "end": end})
    except ClientError as error:
        put({"model": number, "problem": error.response["Error"]["Message"]})
    except (BotoCoreError, OSError, ValueError) as error:
        put({"model": number, "problem": str(error)})
    finally:
        put(None)
