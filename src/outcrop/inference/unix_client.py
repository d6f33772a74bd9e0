"""HTTP/1.1 over a Unix socket from the asker's side: h11 speaks, asyncio carries, and a stream costs little a piece.

`unix_http.py` is the answerer's side; vLLM's server answers as well.
"""

import asyncio
import socket
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import h11

_READ_BYTES = 2**16


class ConnectionBroken(Exception):
    """Nobody is there, or answers in time, or to the end, or in HTTP."""


class NobodyListens(ConnectionBroken):
    """Nothing was sent, for there is nobody to send it to."""


class WholeAnswer(NamedTuple):
    """An answer, read to its end."""

    status: int
    body: bytes


_BROKEN = (OSError, TimeoutError, h11.ProtocolError)


class _Connection:
    """A connection for one call."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.CLIENT)
        self._loop = asyncio.get_running_loop()
        self._watching: asyncio.TimerHandle | None = None
        self._waits_since: float | None = None

    async def send(self, method: str, path: str, body: bytes | None, more: Mapping[str, str]) -> None:
        """Sends a request. Raises ConnectionBroken, as the other methods do."""
        given = {"host": "engine", "connection": "close"}
        if body is not None:
            given |= {"content-type": "application/json", "content-length": str(len(body))}
        headers = list((given | dict(more)).items())
        parts = [self._http.send(h11.Request(method=method, target=path, headers=headers))]
        parts += [self._http.send(h11.Data(data=body))] if body else []
        parts += [self._http.send(h11.EndOfMessage())]
        try:
            self._writer.write(b"".join(part for part in parts if part))
            await self._writer.drain()
        except _BROKEN as problem:
            raise ConnectionBroken(type(problem).__name__) from problem

    async def head(self, read_s: float) -> h11.Response:
        """The status and the headers of the answer."""
        while True:
            event = await self._event(read_s)
            if isinstance(event, h11.Response):
                return event
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
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                self._waits_since = self._loop.time()
                if self._watching is None:
                    self._watch(read_s)
                self._http.receive_data(await self._reader.read(_READ_BYTES))
                self._waits_since = None
        except _BROKEN as problem:
            raise ConnectionBroken(type(problem).__name__) from problem
        return event  # type: ignore[return-value]

    def _watch(self, read_s: float) -> None:
        """Break off a read that takes too long: one timer watches all reads of a stream."""
        now = self._loop.time()
        due = read_s + (now if self._waits_since is None else self._waits_since)
        if due > now:
            self._watching = self._loop.call_at(due, self._watch, read_s)
        else:
            self._reader.set_exception(TimeoutError())

    def close(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._writer.close()


class StreamedAnswer(NamedTuple):
    """An answer whose body is still to come."""

    status: int
    pieces: AsyncGenerator[bytes, None]
    headers: Mapping[str, str] = {}
    "Names in lower case."

    async def body(self) -> bytes:
        """All of it."""
        return b"".join([piece async for piece in self.pieces])


class UnixClient:
    """A client of the server at a socket. Each call has a connection of its own, which costs a tenth of a millisecond:
    so one client serves any number of calls at once, and event loops that follow each other."""

    def __init__(
        self, path: Path, *, connect_s: float, connected: Callable[[Path], socket.socket] | None = None
    ) -> None:
        """`connected` makes a connection, at once or not at all, where that takes more than the path."""
        self._path = path
        self._connect_s = connect_s
        self._connected = connected

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        *,
        headers: Mapping[str, str] = {},
        read_s: float,
    ) -> AsyncGenerator[StreamedAnswer, None]:
        """A call and its answer; whoever leaves before the end hangs up.

        `read_s` is how long the next piece may take. Raises ConnectionBroken; NobodyListens before anything was sent.
        """
        try:
            async with asyncio.timeout(self._connect_s):
                connection = _Connection(*await self._open())
        except (OSError, TimeoutError) as problem:
            raise NobodyListens(type(problem).__name__) from problem
        try:
            await connection.send(method, path, body, headers)
            head = await connection.head(read_s)
            told = {name.decode().lower(): value.decode("latin-1") for name, value in head.headers}
            yield StreamedAnswer(head.status_code, connection.pieces(read_s), told)
        finally:
            connection.close()

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if self._connected is None:
            return await asyncio.open_unix_connection(str(self._path))
        return await asyncio.open_unix_connection(sock=self._connected(self._path))

    async def request(self, method: str, path: str, body: bytes | None = None, *, read_s: float) -> WholeAnswer:
        """A call, and its answer once it is whole. Raises ConnectionBroken."""
        async with self.stream(method, path, body, read_s=read_s) as answer:
            return WholeAnswer(answer.status, await answer.body())
