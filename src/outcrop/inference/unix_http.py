"""HTTP/1.1 on a Unix socket for a few trusted callers on this machine: h11 speaks, asyncio carries.

A caller that hangs up cancels the handler that works for it. The socket file is private, replaces one that a killed
process left behind, and goes when the server goes.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import h11

from outcrop.errors import MachineTrouble
from outcrop.private import private_folder

_LARGEST_BODY = 64 * 2**20
_READ_SIZE = 2**16
_MOST_AT_ONCE = 4096
"Callers that may wait to be let in; the kernel turns further ones away at once. asyncio's own limit is 100."
_CREDENTIALS = struct.Struct("3i")
"Process, user and group of a peer."


@dataclass(frozen=True, kw_only=True)
class HttpCall:
    """A request, read to its end."""

    method: str
    path: str
    body: bytes


@dataclass(frozen=True, kw_only=True)
class HttpAnswer:
    """A whole answer, or one that is sent piece by piece."""

    body: bytes | AsyncGenerator[bytes, None]
    status: int = 200
    content_type: str = "application/json"


Handler = Callable[[HttpCall], Awaitable[HttpAnswer]]


def listen(path: Path) -> socket.socket:
    """A socket at `path` that only this user may open. Raises MachineTrouble when another process answers there."""
    _remove_stale(path)
    try:
        private_folder(path.parent)
    except OSError as problem:
        raise MachineTrouble(f"{problem.strerror or problem} The engine's socket is to lie there.") from problem
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)  # from its first moment, not after a chmod
    try:
        listener.bind(str(path))
    except OSError as problem:
        listener.close()
        raise MachineTrouble(f"{path}: cannot listen there: {problem}. Choose another --socket.") from problem
    finally:
        os.umask(mask)
    listener.listen(_MOST_AT_ONCE)
    return listener


def _remove_stale(path: Path) -> None:
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except (ConnectionRefusedError, FileNotFoundError):
            path.unlink(missing_ok=True)
            return
    raise MachineTrouble(f"{path}: another engine answers there. Stop it, or choose another --socket.")


class UnixServer:
    """Serves `handler` on a socket from `start` to `close`."""

    def __init__(self, path: Path, handler: Handler) -> None:
        self._path = path
        self._handler = handler
        self._idle: set[asyncio.Task[None]] = set()
        self._working: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        listener = listen(self._path)
        self._inode = self._path.stat().st_ino
        self._server = await asyncio.start_unix_server(self._converse, sock=listener, backlog=_MOST_AT_ONCE)

    async def close(self, grace_s: float) -> None:
        """Accept no more, let calls in progress end within `grace_s`, then cut them off; remove the socket."""
        self._server.close()
        for task in list(self._idle):
            task.cancel()
        if self._working:
            await asyncio.wait(self._working, timeout=grace_s)
        for task in (remaining := self._idle | self._working):
            task.cancel()
        await asyncio.gather(*remaining, return_exceptions=True)
        # Another engine may have put its own socket there meanwhile.
        if self._path.exists() and self._path.stat().st_ino == self._inode:
            self._path.unlink()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve a connection, call after call."""
        task = asyncio.current_task()
        assert task is not None, "asyncio runs every connection as a task"
        if not _is_own(writer):
            writer.close()
            return
        peer = _Peer(reader, writer)
        self._idle.add(task)
        try:
            while (call := await peer.read_call()) is not None and self._server.is_serving():
                self._idle.remove(task)
                self._working.add(task)
                await _answer_while_there(peer, self._handler, call)
                self._working.remove(task)
                self._idle.add(task)
                if not peer.next_cycle() or not self._server.is_serving():
                    break
        except (ConnectionError, h11.RemoteProtocolError):
            pass  # the caller went away, or speaks something else: nobody is left to tell
        except asyncio.CancelledError:
            # `close` ends connections this way; asyncio's own callback would log a cancelled one as a failure.
            if self._server.is_serving():
                raise
        finally:
            self._idle.discard(task)
            self._working.discard(task)
            writer.close()


def _is_own(writer: asyncio.StreamWriter) -> bool:
    """Whether the caller is this user, or root; where the kernel does not say, the folder's mode has to do."""
    if not hasattr(socket, "SO_PEERCRED"):
        return True
    told = writer.get_extra_info("socket").getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, uid, _ = _CREDENTIALS.unpack(told)
    return uid in (0, os.geteuid())


class _Peer:
    """A caller of the server: h11's state and asyncio's streams."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER)

    async def read_call(self) -> HttpCall | None:
        """The next request, whole; None when the caller has no more. Raises RemoteProtocolError for what is no HTTP."""
        head: h11.Request | None = None
        body = bytearray()
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._reader.read(_READ_SIZE))
            elif isinstance(event, h11.Request):
                head = event
            elif isinstance(event, h11.Data):
                body += event.data
                if len(body) > _LARGEST_BODY:
                    return None
            elif isinstance(event, h11.EndOfMessage) and head is not None:
                path = head.target.decode("ascii").partition("?")[0]
                return HttpCall(method=head.method.decode("ascii"), path=path, body=bytes(body))
            else:
                return None

    async def send(self, answer: HttpAnswer) -> None:
        headers = [("content-type", answer.content_type)]
        if isinstance(answer.body, bytes):
            headers.append(("content-length", str(len(answer.body))))
            self._write(h11.Response(status_code=answer.status, headers=headers))
            self._write(h11.Data(data=answer.body))
        else:
            self._write(h11.Response(status_code=answer.status, headers=headers))
            async with contextlib.aclosing(answer.body) as pieces:
                async for piece in pieces:
                    self._write(h11.Data(data=piece))
                    await self._writer.drain()
        self._write(h11.EndOfMessage())
        await self._writer.drain()

    async def until_gone(self) -> None:
        """Returns when the caller hangs up; what it says meanwhile is kept for the next call."""
        while data := await self._reader.read(_READ_SIZE):
            self._http.receive_data(data)

    def next_cycle(self) -> bool:
        """Whether the connection goes on to another call."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    def _write(self, event: "h11.Event") -> None:
        self._writer.write(self._http.send(event) or b"")


async def _answer_while_there(peer: _Peer, handler: Handler, call: HttpCall) -> None:
    """Work for the caller until it has its answer or is gone."""

    async def work() -> None:
        await peer.send(await handler(call))

    working = asyncio.create_task(work())
    gone = asyncio.create_task(peer.until_gone())
    try:
        await asyncio.wait((working, gone), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ConnectionResetError("the caller hung up")
        await working
    finally:
        working.cancel()
        gone.cancel()
        await asyncio.gather(working, gone, return_exceptions=True)
