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
_MOST_IDLE = 32
"Connections that are kept for later calls."


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
    """A connection on which one call follows another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)

    @property
    def is_usable(self) -> bool:
        return not self._reader.at_eof() and not self._writer.is_closing()

    async def send(self, method: str, path: str, body: bytes | None) -> None:
        """Raises ConnectionBroken, as do the others."""
        headers = [("host", "engine")]
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

    def next_cycle(self) -> bool:
        """Whether another call may follow."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

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
    """A client of the server at a socket, for any number of calls at once on one event loop."""

    def __init__(self, path: Path, *, connect_s: float) -> None:
        self._path = path
        self._connect_s = connect_s
        self._idle: list[_Connection] = []

    @asynccontextmanager
    async def stream(
        self, method: str, path: str, body: bytes | None = None, *, read_s: float
    ) -> AsyncGenerator[StreamedAnswer, None]:
        """A call and its answer; whoever leaves before the end hangs up. Raises ConnectionBroken.

        `read_s` is how long the next piece may take.
        """
        connection = await self._connection()
        whole = False
        try:
            await connection.send(method, path, body)
            yield StreamedAnswer(await connection.status(read_s), connection.pieces(read_s))
            whole = connection.next_cycle()
        finally:
            if whole and len(self._idle) < _MOST_IDLE:
                self._idle.append(connection)
            else:
                connection.close()

    async def request(self, method: str, path: str, body: bytes | None = None, *, read_s: float) -> WholeAnswer:
        """A call, and its answer once it is whole. Raises ConnectionBroken."""
        async with self.stream(method, path, body, read_s=read_s) as answer:
            return WholeAnswer(answer.status, await answer.body())

    async def aclose(self) -> None:
        """Hang up where nothing is asked."""
        while self._idle:
            self._idle.pop().close()

    async def _connection(self) -> _Connection:
        while self._idle:
            if (connection := self._idle.pop()).is_usable:
                return connection
            connection.close()
        with _as_broken():
            async with asyncio.timeout(self._connect_s):
                return _Connection(*await asyncio.open_unix_connection(str(self._path)))
