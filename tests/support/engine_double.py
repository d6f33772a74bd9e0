"""An engine that says what it is told to say: HTTP in the engine's dialect over a real Unix socket, without a network.

It stands for the process at the other end, which may die, restart, or forget its adapters at any moment.
"""

import asyncio
import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_TOLD = {"/v1/embeddings": "embedding", "/v1/score": "score"}
Script = Callable[[dict[str, Any]], list[int]]


@dataclass
class EngineDouble:
    """`say` maps a completion request to ids, which are cut at max_tokens and at a stop id, as engines do."""

    socket: Path
    say: Script
    adapters: set[str] = field(default_factory=set)
    die_after: list[int | None] = field(default_factory=list)
    "For the next requests in turn: hang up after so many tokens; None answers to the end."
    hangs_up_on: Callable[[dict[str, Any]], bool] = lambda _body: False
    "Whether to hang up on a request at once, however often it comes."
    pause_after: int | None = None
    "Stand still after so many tokens until the client hangs up."
    tokens_per_event: int = 1
    others: int = 0
    "Requests of others that it says it is working on."
    num_cached: int | None = None
    "Tokens of the prompt that it has not to read, where it tells its usage: in the first event."
    requests: list[dict[str, Any]] = field(default_factory=list)
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    "Set when a client left in the middle of an answer."
    _server: asyncio.Server | None = None

    async def start(self) -> None:
        self.socket.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._serve, self.socket)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self.socket.unlink(missing_ok=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                line, *headers = head.decode().split("\r\n")
                length = next((int(h.split(":")[1]) for h in headers if h.lower().startswith("content-length:")), 0)
                body = json.loads(await reader.readexactly(length)) if length else {}
                await self._answer(line.split(" ")[1], body, reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(
        self, path: str, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if path == "/v1/completions":
            await self._complete(body, reader, writer)
        elif path in ("/v1/embeddings", "/v1/score"):
            self._read(path, body, writer)
        elif path == "/v1/load_lora_adapter":
            status = 400 if body["lora_name"] in self.adapters else 200
            self.adapters.add(body["lora_name"])
            _send(writer, status, {"error": {"message": "The lora adapter has already been loaded."}})
        elif path == "/v1/unload_lora_adapter":
            known = body["lora_name"] in self.adapters
            self.adapters.discard(body["lora_name"])
            _send(writer, 200 if known else 404, {"error": {"message": "The lora adapter cannot be found."}})
        elif path == "/load":
            _send(writer, 200, {"server_load": self.others, "answered": len(self.requests), "idle_s": 0.0})
        else:
            _send(writer, 200, {"data": [{"id": "base"}, *({"id": name} for name in sorted(self.adapters))]})

    def _read(self, path: str, body: dict[str, Any], writer: asyncio.StreamWriter) -> None:
        """A vector of the row's length, its first and its last id, and 0; the relevance is a half to the length."""
        self.requests.append(body)
        if self.die_after and self.die_after.pop(0) is not None:
            writer.transport.abort()
            return
        told: list[dict[str, Any]] = [
            {"index": n, "embedding": [len(row), row[0], row[-1], 0], "score": 0.5 ** len(row)}
            for n, row in enumerate(body["input"])
        ]
        # In any order: the index says which is whose.
        data = [{name: one[name] for name in ("index", _TOLD[path])} for one in reversed(told)]
        _send(writer, 200, {"data": data})

    async def _complete(self, body: dict[str, Any], reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(body)
        if body["model"] not in {"base", *self.adapters}:
            _send(writer, 404, {"error": {"message": f"The model `{body['model']}` does not exist.", "code": 404}})
            return
        if "prompt_logprobs" in body:
            scores = [None, *({str(token): {"logprob": -float(token)}} for token in body["prompt"][1:])]
            _send(writer, 200, {"choices": [{"prompt_logprobs": scores}]})
            return
        if not body.get("stream"):
            said = [self.say({**body, "prompt": prompt})[: body["max_tokens"]] for prompt in body["prompt"]]
            told = [{"token_ids": ids, "logprobs": {"token_logprobs": [-1.0] * len(ids)}} for ids in said]
            _send(writer, 200, {"choices": told})
            return
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
        dies = self.die_after.pop(0) if self.die_after else 0 if self.hangs_up_on(body) else None
        for number, (ids, reason) in enumerate(self._events(body)):
            if dies is not None and number >= dies:
                writer.transport.abort()
                return
            if self.pause_after is not None and number >= self.pause_after:
                await reader.read()
                self.hung_up.set()
                raise ConnectionResetError
            choice = {"index": 0, "text": "", "token_ids": ids, "finish_reason": reason}
            event: dict[str, Any] = {"choices": [choice | _logprobs(ids, body.get("logprobs"))]}
            if self.num_cached is not None and number == 0:
                event["usage"] = {"prompt_tokens_details": {"cached_tokens": self.num_cached}}
            _chunk(writer, event)
            await writer.drain()
        writer.write(b"e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n")
        await writer.drain()

    def _events(self, body: dict[str, Any]) -> list[tuple[list[int], str | None]]:
        ids, reason = self.say(body)[: body["max_tokens"]], "length"
        for at, token in enumerate(ids):
            if token in body["stop_token_ids"]:
                ids, reason = ids[: at + 1], "stop"
                break
        step = self.tokens_per_event
        events: list[tuple[list[int], str | None]] = [(ids[at : at + step], None) for at in range(0, len(ids), step)]
        return [*events[:-1], (events[-1][0], reason)]


def _logprobs(ids: list[int], likeliest: int | None) -> dict[str, Any]:
    """Every token has -0.5; of the likeliest, the token itself and then the first ids of the vocabulary."""
    if likeliest is None:
        return {}
    told = [dict([(str(one), -0.5), *((str(i), -2.0 - i) for i in range(9))][:likeliest]) for one in ids]
    return {"logprobs": {"token_logprobs": [-0.5] * len(ids), **({"top_logprobs": told} if likeliest else {})}}


@contextlib.asynccontextmanager
async def engine_double(say: Script) -> AsyncIterator[EngineDouble]:
    # Not in pytest's folder: the path of a Unix socket may have only about 100 characters.
    folder = Path(tempfile.mkdtemp(prefix="outcrop-"))
    double = EngineDouble(socket=folder / "engine", say=say)
    await double.start()
    try:
        yield double
    finally:
        await double.stop()
        shutil.rmtree(folder)


def _send(writer: asyncio.StreamWriter, status: int, body: dict[str, Any]) -> None:
    data = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(data)}\r\n\r\n".encode() + data)


def _chunk(writer: asyncio.StreamWriter, event: dict[str, Any]) -> None:
    data = b"data: " + json.dumps(event).encode() + b"\n\n"
    writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
