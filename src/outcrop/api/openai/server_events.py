"""Streams as server-sent events, to the byte as OpenAI sends them.

A chat or text completion is lines of data that end with [DONE]; the events of a response are named instead.
https://platform.openai.com/docs/api-reference/chat-streaming
"""

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any

from outcrop.api.door import exchange
from outcrop.api.door.answers import failure_of
from outcrop.api.door.call import Streamed
from outcrop.api.door.visit import Visit
from outcrop.api.openai import refusals
from outcrop.protocol.http import HttpResponse
from outcrop.protocol.serialize import openai_error

_DONE = b"data: [DONE]\n\n"


async def response(visit: Visit, streamed: Streamed, *, named: bool, headers: Mapping[str, str]) -> HttpResponse:
    """The response, with its first event at hand: what fails before that is an ordinary error."""
    try:
        first = await anext(streamed.events, None)
    except BaseException:
        await exchange.close(streamed.events)
        raise
    head = {
        **headers,
        **streamed.headers,
        "Content-Type": "text/event-stream; charset=utf-8",
        "Cache-Control": "no-cache",
    }
    return HttpResponse(status=200, headers=head, body=_lines(visit, first, streamed.events, named=named))


async def _lines(
    visit: Visit, first: dict[str, Any] | None, events: AsyncIterator[dict[str, Any]], *, named: bool
) -> AsyncIterator[bytes]:
    sent = 0
    try:
        if first is not None:
            yield _line(first, named=named)
            sent += 1
            async for event in events:
                yield _line(event, named=named)
                sent += 1
        if not named:
            yield _DONE
    except Exception as error:
        told = _failed(visit, error)
        yield _line(_as_event(told, sent) if named else {"error": told}, named=named)
    finally:
        await exchange.close(events)


def _failed(visit: Visit, error: Exception) -> dict[str, Any]:
    found = failure_of(visit, refusals.of(error))
    visit.code = found.code
    return openai_error(found.code, found.message, found.status, found.members)


def _as_event(told: Mapping[str, Any], number: int) -> dict[str, Any]:
    members = {name: told[name] for name in ("code", "message", "param")}
    return {"type": "error", "sequence_number": number, **members}


def _line(event: Mapping[str, Any], *, named: bool) -> bytes:
    data = json.dumps(event, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")
    name = f"event: {event['type']}\n".encode() if named else b""
    return name + b"data: " + data + b"\n\n"
