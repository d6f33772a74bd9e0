"""A request and its answer on the wire: ASGI in, ASGI out. It knows limits and connections, no service.

`Incoming` hands out the request's body once, as it arrives. `send` writes a response and closes what streams into it,
also when the client leaves in the middle.
"""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from io import FileIO
from typing import Any

import anyio
import anyio.to_thread

from outcrop.api.door.patience import BodyPatience
from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import FileBody, HttpRequest, HttpResponse
from outcrop.protocol.values import timestamps

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

_FILE_PIECE = 1 << 20
_DRAIN_LIMIT = 16 << 20
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


class TooLarge(Exception):
    """The body is longer than it may be."""

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit


def request_of(scope: Scope) -> HttpRequest:
    headers: dict[str, str] = {}
    for name, value in scope["headers"]:
        key, text = name.decode("latin-1").lower(), value.decode("utf-8", "surrogateescape")
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return HttpRequest(
        method=scope["method"],
        raw_path=scope["raw_path"].decode("latin-1"),
        raw_query=scope["query_string"].decode("latin-1"),
        headers=headers,
    )


class Incoming:
    """The body of a request, to be read once."""

    def __init__(
        self,
        receive: Receive,
        headers: MutableMapping[str, str] | Any,
        *,
        http_version: str = "1.1",
        patience: BodyPatience | None = None,
    ) -> None:
        self._receive = receive
        self._patience = patience or BodyPatience()
        self._stated = int(headers.get("content-length") or 0)
        self._waits_for_100 = "100-continue" in headers.get("expect", "").lower()
        self._begun = False
        self.waits_in_vain = self._waits_for_100 and headers.get("content-length") == "0"
        "The HTTP server asks for no body that is empty, and answers at once what the client takes for its 100."
        self.ended = asyncio.Event()
        if http_version.startswith("1") and "content-length" not in headers and "transfer-encoding" not in headers:
            self.ended.set()  # HTTP/1: a request that states no body has none

    async def stream(self) -> AsyncIterator[bytes]:
        """The body as it arrives; raises when the client leaves before its end."""
        self._begun = True
        while not self.ended.is_set():
            message = await self._patience.next(self._receive)
            if message["type"] == "http.disconnect":
                raise ServiceRefusal("IncompleteBody", "The client left before the body's end.", http_status=400)
            if not message.get("more_body", False):
                self.ended.set()
            if message.get("body"):
                yield message["body"]

    async def read(self, limit: int) -> bytes:
        """The whole body. Raises TooLarge, at once if its length is stated."""
        if self._stated > limit:
            raise TooLarge(limit)
        if self.ended.is_set():
            return b""
        return await joined(self.stream(), limit)

    async def drain(self) -> None:
        """Take in what a client still sends, so that it hears an early refusal instead of a broken connection."""
        if self.ended.is_set() or self._patience.ended or self._stated > _DRAIN_LIMIT:
            return
        if self._waits_for_100 and not self._begun:
            return
        size = 0
        try:
            async with aclosing(self.stream()) as stream:  # type: ignore[type-var]
                async for piece in stream:
                    size += len(piece)
                    if size > _DRAIN_LIMIT:
                        return
        except ServiceRefusal:
            return  # it left or was too slow; the answer is the earlier refusal, and the connection is closed

    async def client_left(self) -> None:
        """Returns when the client goes away after having sent its request."""
        await self.ended.wait()
        while (await self._receive())["type"] != "http.disconnect":
            pass


async def joined(stream: AsyncIterator[bytes], limit: int) -> bytes:
    pieces, size = [], 0
    async for piece in stream:
        size += len(piece)
        if size > limit:
            raise TooLarge(limit)
        pieces.append(piece)
    return b"".join(pieces)


@lru_cache(maxsize=4)
def _date(second: int) -> bytes:
    return str(timestamps.write(datetime.fromtimestamp(second, UTC), "rfc822")).encode()


@lru_cache(maxsize=256)
def _wire_name(name: str) -> bytes:
    return name.lower().encode("latin-1")


async def send(send_message: Send, response: HttpResponse, *, method: str, now: datetime) -> None:
    headers = {_wire_name(name): value.encode("utf-8", "surrogateescape") for name, value in response.headers.items()}
    # boto corrects its own clock by this header when its signature is refused for its time.
    headers[b"date"] = _date(int(now.timestamp()))
    body = response.body
    has_body = method != "HEAD" and response.status not in (204, 304)
    if has_body and isinstance(body, bytes):
        headers[b"content-length"] = b"%d" % len(body)
    start = {"type": "http.response.start", "status": response.status, "headers": list(headers.items())}
    if isinstance(body, bytes):
        # What else is ready is answered first, and all of it then sent in one go: granian's thread, which takes the
        # answers, has to be woken for the first of them only. Waking it is a tenth of a small request.
        await asyncio.sleep(0)
        await send_message(start)
        await send_message({"type": "http.response.body", "body": body if has_body else b""})
        return
    assert not isinstance(body, FileBody), "opened() comes before send()"
    async with aclosing(_closing(body)) as pieces:
        await send_message(start)
        if has_body:
            async for piece in pieces:
                # As above: the pieces of all streams that one step of an engine made are sent in one go.
                await asyncio.sleep(0)
                await send_message({"type": "http.response.body", "body": piece, "more_body": True})
        await send_message({"type": "http.response.body", "body": b""})


async def opened(response: HttpResponse) -> HttpResponse:
    """The response with its file open. A file that is gone must become an error, before the first byte of an answer."""
    for name, value in response.headers.items():
        if _CONTROL.search(value):
            # A request named it (response-content-type of S3); sent as it is, it would begin a header of its own.
            text = f"{name}: a header holds no control characters. Leave them out of the request."
            raise ServiceRefusal("InvalidArgument", text, http_status=400)
    body = response.body
    if not isinstance(body, FileBody):
        return response
    file = await anyio.to_thread.run_sync(FileIO, body.path)
    headers = response.headers | {"Content-Length": str(body.length)}
    return replace(response, headers=headers, body=_file_pieces(file, body))


async def _file_pieces(file: FileIO, body: FileBody) -> AsyncGenerator[bytes]:
    with file:
        position, end = body.offset, body.offset + body.length
        while position < end:
            size = min(_FILE_PIECE, end - position)
            piece = await anyio.to_thread.run_sync(os.pread, file.fileno(), size, position)
            if not piece:
                raise EOFError(f"{body.path} ended at byte {position}, before {end}")
            position += len(piece)
            yield piece


async def _closing(stream: AsyncIterator[bytes]) -> AsyncGenerator[bytes]:
    try:
        async for piece in stream:
            yield piece
    finally:
        await close(stream)


async def close(stream: AsyncIterator[Any]) -> None:
    """Close a generator even while this task is being cancelled: what it holds (a generation) must end too."""
    if isinstance(stream, AsyncGenerator):
        with anyio.CancelScope(shield=True):
            await stream.aclose()
