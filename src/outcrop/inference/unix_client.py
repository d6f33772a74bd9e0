"""HTTP/1.1 over a Unix socket from the asker's side: h11 speaks, asyncio carries, and a stream costs little a piece.

`unix_http.py` is the answerer's side; vLLM's server answers as well.
"""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import NamedTuple

import h11

_READ_BYTES = 2**16


class ConnectionBroken(Exception):
    """Nobody is there, or answers in time, or to the end, or in HTTP."""


class WholeAnswer(NamedTuple):
    """An answer, read to its end."""

    status: int
    body: bytes


@contextmanager
def _as_broken() -> Iterator[None]:
    try:
        yield
    except (OSError, TimeoutError, h11.ProtocolError) as problem:
        raise ConnectionBroken(type(problem).__name__) from problem


class _Connection:
    """A connection for one call."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    async def send(self, method: str, path: str, body: bytes | None) -> None:
        """Sends a request. Raises ConnectionBroken, as the other methods do."""
        headers = [("host", "engine"), ("connection", "close")]
        if body is not None:
            headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
        parts = [self._http.send(h11.Request(method=method, target=path, headers=headers))]
        parts += [self._http.send(h11.Data(data=body))] if body else []
        parts += [self._http.send(h11.EndOfMessage())]
        with _as_broken():
            self._writer.write(b"".join(part for part in parts if part))
            await self._writer.drain()

    async def status(self, read_s: float) -> int:
        while True:
            event = await self._event(read_s)
            if isinstance(event, h11.Response):
                return event.status_code
            if not isinstance(event, h11.InformationalResponse):
                raise ConnectionBroken(f"{type(event).__name__} before an answer")

    async def pieces(self, read_s: float) -> AsyncGenerator[bytes, None]:
        """The answer's body, as it comes."""
        while True:
            event = await self._event(read_s)
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            elif isinstance(event, h11.EndOfMessage):
                return
            else:
                raise ConnectionBroken("the answer broke off")

    async def _event(self, read_s: float) -> "h11.Event | type[h11.PAUSED]":
        with _as_broken():
            while (event := self._http.next_event()) is h11.NEED_DATA:
                async with asyncio.timeout(read_s):
                    self._http.receive_data(await self._reader.read(_READ_BYTES))
        return event  # type: ignore[return-value]

    def close(self) -> None:
        self._writer.close()


class StreamedAnswer(NamedTuple):
    """An answer whose body is still to come."""

    status: int
    pieces: AsyncGenerator[bytes, None]

    async def body(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces])


class UnixClient:
    """A client of the server at a socket. Each call has a connection of its own, which costs a tenth of a millisecond:
    so one client serves any number of calls at once, and event loops that follow each other."""

    def __init__(self, path: Path, *, connect_s: float) -> None:
        self._path = path
        self._connect_s = connect_s

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: bytes | None = None, *, read_s: float
    ) -> AsyncGenerator[StreamedAnswer, None]:
        """A call and its answer; whoever leaves before the end hangs up. Raises ConnectionBroken.

        `read_s` is how long the next piece may take.
        """
        with _as_broken():
            async with asyncio.timeout(self._connect_s):
                connection = _Connection(*await asyncio.open_unix_connection(str(self._path)))
        try:
            await connection.send(method, path, body)
            yield StreamedAnswer(await connection.status(read_s), connection.pieces(read_s))
        finally:
            connection.close()

    async def request(self, method: str, path: str, body: bytes | None = None, *, read_s: float) -> WholeAnswer:
        """A call, and its answer once it is whole. Raises ConnectionBroken."""
        async with self.stream(method, path, body, read_s=read_s) as answer:
            return WholeAnswer(answer.status, await answer.body())
