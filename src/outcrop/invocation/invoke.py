"""InvokeModel: a provider's body in, the provider's response or chunks out."""

import json
import secrets
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import AnswerPiece, Count, Finished, Started, uncounted
from outcrop.invocation.generate import Generation, complete_text, plan_aside, stream_answer
from outcrop.invocation.schema import read_json
from outcrop.invocation.target import TextTarget


@dataclass(frozen=True, kw_only=True)
class PreparedInvocation:
    """A request that is understood and fits the model; nothing has been generated yet."""

    target: TextTarget
    dialect: Dialect
    started: Started
    generation: Generation


@dataclass(frozen=True, kw_only=True)
class Invoked:
    """A response and what it took, for the headers of the answer."""

    response: Chunk
    num_input_tokens: int
    num_output_tokens: int
    latency_ms: int


async def prepare(target: TextTarget, body: bytes, *, now: datetime) -> PreparedInvocation:
    """Checks a body against the target's dialect and context. Raises Invalid in the provider's own words."""
    parsed = read_json(body)
    dialect = choose(target.dialect, parsed)
    asked = dialect.read(parsed)
    generation = await plan_aside(target, asked)
    started = Started(
        id=secrets.token_hex(12),
        model_id=target.model_id,
        created=now,
        asked=asked,
        num_input_tokens=generation.num_input_tokens,
    )
    return PreparedInvocation(target=target, dialect=dialect, started=started, generation=generation)


async def invoke(prepared: PreparedInvocation, *, began: float | None = None, count: Count = uncounted) -> Invoked:
    """The whole response in the body's dialect. Latency counts from `began`, of `time.monotonic()`, else from now."""
    begin = time.monotonic() if began is None else began
    finished = await answered(prepared, count=count)
    started = prepared.started.ended(finished)
    return Invoked(
        response=prepared.dialect.answer(started, finished),
        num_input_tokens=started.num_input_tokens,
        num_output_tokens=finished.num_output_tokens,
        latency_ms=milliseconds_since(begin),
    )


async def answered(prepared: PreparedInvocation, *, count: Count) -> Finished:
    """The whole answer, of a request that its limits admit. Raises Throttled."""
    num_input_tokens = prepared.started.num_input_tokens
    async with prepared.target.allowance.one(num_input_tokens, prepared.generation.max_tokens) as ticket:
        finished = await complete_text(prepared.target, prepared.generation)
        num_input_tokens = prepared.started.ended(finished).num_input_tokens
        ticket.used(num_input_tokens, finished.num_output_tokens)
    count(num_input_tokens, finished.num_output_tokens)
    return finished


async def answering(prepared: PreparedInvocation, *, count: Count) -> AsyncGenerator[AnswerPiece | Finished, None]:
    """The answer piece by piece and then as a whole, of a request that its limits admit. Raises Throttled."""
    num_input_tokens = prepared.started.num_input_tokens
    async with (
        prepared.target.allowance.one(num_input_tokens, prepared.generation.max_tokens) as ticket,
        aclosing(stream_answer(prepared.target, prepared.generation)) as items,
    ):
        async for item in items:
            if isinstance(item, Finished):
                num_input_tokens = prepared.started.ended(item).num_input_tokens
            ticket.used(num_input_tokens, item.num_output_tokens)
            count(num_input_tokens, item.num_output_tokens)
            yield item


async def invoke_stream(
    prepared: PreparedInvocation, *, began: float | None = None, count: Count = uncounted
) -> AsyncGenerator[dict[str, Any], None]:
    """Events of InvokeModelWithResponseStream. The first comes with the first text, so that an engine which cannot
    answer at all is an ordinary error; the last holds the metrics."""
    dialect, started = prepared.dialect, prepared.started
    begin = time.monotonic() if began is None else began
    first_byte_ms: int | None = None
    async with aclosing(answering(prepared, count=count)) as items:
        async for item in items:
            if first_byte_ms is None:
                first_byte_ms = milliseconds_since(begin)
                for chunk in dialect.opening(started):
                    yield _event(chunk)
            if isinstance(item, Finished):
                ended = started.ended(item)
                *before, last = dialect.closing(ended, item)
                for chunk in before:
                    yield _event(chunk)
                yield _event(last | _metrics(ended, item, milliseconds_since(begin), first_byte_ms))
            else:
                yield _event(dialect.piece(started, item))


def milliseconds_since(begin: float) -> int:
    """Milliseconds from a value of `time.monotonic()` until now."""
    return round((time.monotonic() - begin) * 1000)


def _event(chunk: Chunk) -> dict[str, Any]:
    return {"chunk": {"bytes": to_json(chunk)}}


def to_json(value: Chunk) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _metrics(started: Started, finished: Finished, latency_ms: int, first_byte_ms: int) -> Chunk:
    return {
        "amazon-bedrock-invocationMetrics": {
            "inputTokenCount": started.num_input_tokens,
            "outputTokenCount": finished.num_output_tokens,
            "invocationLatency": latency_ms,
            "firstByteLatency": first_byte_ms,
        }
    }
