"""The asker's side of an engine's socket: calls one after the other and at once, streams, and whoever goes away."""

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import uvloop

from outcrop.inference.unix_client import ConnectionBroken, UnixClient
from outcrop.inference.unix_http import HttpAnswer, HttpCall, UnixServer

READ_S = 60.0
Runner = Callable[[Coroutine[Any, Any, Any]], Any]


@pytest.fixture(params=[asyncio.run, uvloop.run], ids=["asyncio", "uvloop"])
def run_in(request: pytest.FixtureRequest) -> Runner:
    """Runs a coroutine in a loop of its own: the server's loop is uvloop's, and a worker's is asyncio's."""
    run: Runner = request.param
    return run


class Handler:
    """Answers with what it was asked; /stream in pieces, of which /stuck has only the first."""

    def __init__(self) -> None:
        self.ended: list[str] = []

    async def __call__(self, call: HttpCall) -> HttpAnswer:
        if call.path in ("/stream", "/stuck"):
            return HttpAnswer(body=self._pieces(call.path), content_type="text/event-stream")
        if call.path == "/refused":
            return HttpAnswer(body=b"no", status=404)
        return HttpAnswer(body=f"{call.method} {call.path} ".encode() + call.body)

    async def _pieces(self, path: str) -> AsyncGenerator[bytes, None]:
        try:
            yield b"one "
            if path == "/stuck":
                await asyncio.Event().wait()
            yield b"two " * 50_000
            yield b"three"
        finally:
            self.ended.append(path)


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[tuple[UnixClient, Handler, UnixServer]]:
    handler = Handler()
    server = UnixServer(folder / "private" / "engine.sock", handler)
    await server.start()
    client = UnixClient(folder / "private" / "engine.sock", connect_s=READ_S)
    try:
        yield client, handler, server
    finally:
        await server.close(0)


def test_calls_follow_each_other(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, _, _server):
            for number in range(5):
                answer = await client.request("POST", "/say", str(number).encode(), read_s=READ_S)
                assert answer == (200, f"POST /say {number}".encode())
            assert await client.request("GET", "/refused", read_s=READ_S) == (404, b"no")

    run_in(run())


def test_calls_at_once_have_connections_of_their_own(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, _, _server):
            asked = [client.request("POST", "/say", bytes([65 + n]) * 100_000, read_s=READ_S) for n in range(50)]
            answers = await asyncio.gather(*asked)
            assert [answer.body for answer in answers] == [b"POST /say " + bytes([65 + n]) * 100_000 for n in range(50)]

    run_in(run())


def test_a_stream_comes_whole(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, _, _server), client.stream("GET", "/stream", read_s=READ_S) as answer:
            assert await answer.body() == b"one " + b"two " * 50_000 + b"three"

    run_in(run())


def test_who_leaves_in_the_middle_hangs_up(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, handler, _server):
            async with client.stream("GET", "/stuck", read_s=READ_S) as answer:
                assert await anext(answer.pieces) == b"one "
            async with asyncio.timeout(READ_S):
                while handler.ended != ["/stuck"]:
                    await asyncio.sleep(0.001)

    run_in(run())


def test_one_client_serves_event_loops_that_follow_each_other(run_in: Runner, tmp_path: Path) -> None:
    client = UnixClient(tmp_path / "private" / "engine.sock", connect_s=READ_S)

    async def run() -> None:
        async with served(tmp_path):
            assert (await client.request("GET", "/", read_s=READ_S)).status == 200

    run_in(run())
    run_in(run())


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nab"])
def test_an_answer_that_is_none_is_a_broken_connection(run_in: Runner, said: bytes, tmp_path: Path) -> None:
    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(said)
        writer.close()

    async def run() -> None:
        async with await asyncio.start_unix_server(speak, tmp_path / "s"):
            await UnixClient(tmp_path / "s", connect_s=READ_S).request("GET", "/", read_s=READ_S)

    with pytest.raises(ConnectionBroken):
        run_in(run())


def test_where_nobody_listens_the_connection_is_broken(run_in: Runner, tmp_path: Path) -> None:
    client = UnixClient(tmp_path / "s", connect_s=READ_S)
    with pytest.raises(ConnectionBroken, match="FileNotFoundError"):
        run_in(client.request("GET", "/", read_s=READ_S))
    os.mkfifo(tmp_path / "s")
    with pytest.raises(ConnectionBroken):
        run_in(client.request("GET", "/", read_s=READ_S))


def test_an_answer_that_does_not_come_in_time_is_broken(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, _, _server), client.stream("GET", "/stuck", read_s=0.05) as answer:
            with pytest.raises(ConnectionBroken, match="TimeoutError"):
                await answer.body()

    run_in(run())


def test_what_its_user_raises_is_not_taken_for_the_connections(run_in: Runner, tmp_path: Path) -> None:
    async def run() -> None:
        async with served(tmp_path) as (client, _, _server):
            with pytest.raises(FileNotFoundError):
                async with client.stream("GET", "/stream", read_s=READ_S):
                    raise FileNotFoundError("the user's")

    run_in(run())


def test_the_time_that_its_user_takes_between_pieces_is_not_the_answers(tmp_path: Path) -> None:
    async def run() -> None:
        loop, go_on, moved_s = asyncio.get_running_loop(), asyncio.Event(), 0.0
        time = loop.time
        loop.time = lambda: time() + moved_s  # type: ignore[method-assign]

        async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n")
            await go_on.wait()
            writer.write(b"3\r\ntwo\r\n0\r\n\r\n")
            writer.close()

        async with await asyncio.start_unix_server(speak, tmp_path / "s"):
            client = UnixClient(tmp_path / "s", connect_s=READ_S)
            async with client.stream("GET", "/", read_s=READ_S) as answer:
                assert await anext(answer.pieces) == b"one"
                moved_s = 2 * READ_S
                for _ in range(3):
                    await asyncio.sleep(0)  # what is due runs
                go_on.set()
                assert await anext(answer.pieces) == b"two"

    asyncio.run(run())
