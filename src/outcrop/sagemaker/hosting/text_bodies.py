"""Bodies that an engine answers for an endpoint, by their shape: `inputs` and `parameters`, `messages`, or `prompt`.

A stream is written as the image's server writes it: server-sent events, or lines of JSON.
"""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import invoke
from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.dialects.openai import OPENAI_CHAT
from outcrop.invocation.dialects.text_generation import LMI, PIPELINE, TGI, TextServer, text_generation, written
from outcrop.invocation.schema import read_json
from outcrop.sagemaker.hosting.hosted import HostedModel
from outcrop.sagemaker.hosting.plans import FleetPlan

JSON = "application/json"
EVENTS = "text/event-stream"
LINES = "application/jsonlines"
_DJL = "djl-inference"


@dataclass(frozen=True, kw_only=True)
class TextBody:
    """A request's body, understood."""

    dialect: Dialect
    body: Mapping[str, Any]
    server: TextServer | None
    "None: the body is OpenAI's."
    streams: bool

    @property
    def content_type(self) -> str:
        """The content type of the answer."""
        if not self.streams:
            return JSON
        return LINES if self.server is LMI else EVENTS

    def written(self, response: Chunk) -> bytes:
        """The whole response."""
        return _json(response if self.server is None else written(self.server, response))

    async def stream(self, chunks: AsyncGenerator[Chunk, None]) -> AsyncGenerator[bytes, None]:
        """The chunks of a stream, each as bytes that end a line."""
        async with aclosing(chunks):
            async for chunk in chunks:
                yield self._piece(chunk)
        if self.server is None:
            yield b"data: [DONE]\n\n"

    def _piece(self, chunk: Chunk) -> bytes:
        if self.server is not LMI:
            begin = b"data: " if self.server is None else b"data:"  # as vLLM and TGI have it
            return begin + _json(chunk) + b"\n\n"
        token = {**chunk["token"], "log_prob": chunk["token"]["logprob"]}
        last = chunk["generated_text"] is not None
        told = {"token": token, **({name: chunk[name] for name in ("generated_text", "details")} if last else {})}
        return _json(told) + b"\n"


def read(fleet: FleetPlan, model: HostedModel, body: bytes) -> TextBody:
    """The body of a request, by its shape. Raises Invalid."""
    parsed = read_json(body)
    streams = bool(parsed.get("stream"))
    if "inputs" in parsed:
        server = PIPELINE if model.answers_in_full else LMI if _DJL in fleet.container.image else TGI
        return TextBody(dialect=text_generation(server, parsed), body=parsed, server=server, streams=streams)
    if "messages" in parsed or "prompt" in parsed:
        return TextBody(dialect=choose(OPENAI_CHAT.name, parsed), body=parsed, server=None, streams=streams)
    raise Invalid("The body has none of the members inputs, messages and prompt. Send one of them.")


def _json(value: Any) -> bytes:
    return invoke.to_json(value)
