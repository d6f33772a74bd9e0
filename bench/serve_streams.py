"""Streams over the wire, and what reads them costs as little as can be: prepared bytes, raw sockets, no JSON."""

import asyncio
import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

_TEXT = b"data: {"
_LAST = b"data: [DONE]"
_READ_BYTES = 65_536


class Streamed(NamedTuple):
    """One answer that came as a stream."""

    first_s: float
    "Until its first event,"
    whole_s: float
    "and until its last."
    num_events: int


@dataclass(frozen=True, kw_only=True)
class Place:
    """Somewhere to send completions: the socket of an engine, or the door of an installation."""

    model: str
    socket: Path | None = None
    endpoint: str = ""
    key: str = ""
    event: bytes = _TEXT
    "What each event of its streams has once,"
    last: bytes = _LAST
    "and what only the last one has."
    logprobs: int | None = None
    "How many of the likeliest tokens are told with each; 0: its own log probability alone."

    def request(self, prompt: Sequence[int], num_tokens: int) -> bytes:
        """A streamed completion of token ids, as the bytes of one HTTP request."""
        body: dict[str, Any] = {
            "model": self.model, "prompt": list(prompt), "max_tokens": num_tokens, "temperature": 0.0, "stream": True,
            **({} if self.logprobs is None else {"logprobs": self.logprobs}),
        }  # fmt: skip
        content = json.dumps(body).encode()
        host = urlsplit(self.endpoint).netloc or "engine"
        lines = ["POST /v1/completions HTTP/1.1", f"Host: {host}", "Content-Type: application/json"]
        lines += [f"Authorization: Bearer {self.key}"] if self.key else []
        lines += [f"Content-Length: {len(content)}", "Connection: close", "", ""]
        return "\r\n".join(lines).encode() + content

    async def ask(self, request: bytes) -> Streamed:
        """Raises RuntimeError for an answer that is no stream, or that breaks off."""
        began = time.perf_counter()
        if self.socket is not None:
            reader, writer = await asyncio.open_unix_connection(str(self.socket))
        else:
            url = urlsplit(self.endpoint)
            reader, writer = await asyncio.open_connection(url.hostname, url.port)
        writer.write(request)
        answer, first_s = bytearray(), 0.0
        while piece := await reader.read(_READ_BYTES):
            answer += piece
            if not first_s and self.event in answer:
                first_s = time.perf_counter() - began
        whole_s = time.perf_counter() - began
        writer.close()
        if not answer.startswith(b"HTTP/1.1 200") or self.last not in answer:
            raise RuntimeError(bytes(answer[:2000]).decode(errors="replace"))
        return Streamed(first_s, whole_s, answer.count(self.event))


class Rate(NamedTuple):
    """Several streams at once."""

    first_s: float
    "The median of their first events."
    tokens_per_s: float
    "Of all together, from the first request on."


def streams(place: Place, prompts: Sequence[Sequence[int]], num_tokens: int) -> Rate:
    """All these prompts at once."""
    requests = [place.request(prompt, num_tokens) for prompt in prompts]

    async def ask_all() -> tuple[list[Streamed], float]:
        began = time.perf_counter()
        answers = await asyncio.gather(*map(place.ask, requests))
        return answers, time.perf_counter() - began

    answers, seconds = asyncio.run(ask_all())
    return Rate(statistics.median(each.first_s for each in answers), len(prompts) * num_tokens / seconds)
