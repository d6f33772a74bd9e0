"""InvokeModel: a provider's body in, the provider's response or chunks out."""

import json
import secrets
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from outcrop.invocation.admission import Ticket
from outcrop.invocation.dialects.choice import choose
from outcrop.invocation.dialects.dialect import Chunk, Dialect
from outcrop.invocation.exchange import AnswerPiece, Count, Finished, InvocationRequest, Started, uncounted
from outcrop.invocation.generate import Generation, plan_aside
from outcrop.invocation.guarding import Guarding
from outcrop.invocation.schema import read_json
from outcrop.invocation.several import complete_several, likeliest, seeded, stream_several
from outcrop.invocation.target import TextTarget

Admitted = Callable[[Ticket], object]
"Told the ticket of a request that its limits admit."


def _unheard(_ticket: Ticket) -> None:
    """Tell nobody of the limits."""


@dataclass(frozen=True, kw_only=True)
class PreparedInvocation:
    """A request that is understood and fits the model; nothing has been generated yet."""

    target: TextTarget
    dialect: Dialect
    started: Started
    generation: Generation
    guard: Guarding | None = None
    "What looks at each answer before it is shown."


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
    return await prepare_asked(target, dialect, dialect.read(parsed), now=now)


async def prepare_asked(
    target: TextTarget, dialect: Dialect, asked: InvocationRequest, *, now: datetime
) -> PreparedInvocation:
    """Checks what a body was read to ask for against the target's context. Raises Invalid."""
    generation = await plan_aside(target, asked)
    started = Started(
        id=secrets.token_hex(12),
        model_id=target.model_id,
        created=now,
        asked=asked,
        num_input_tokens=generation.num_input_tokens,
    )
    return PreparedInvocation(target=target, dialect=dialect, started=started, generation=generation)


async def invoke(
    prepared: PreparedInvocation,
    *,
    began: float | None = None,
    count: Count = uncounted,
    admitted: Admitted = _unheard,
) -> Invoked:
    """The whole response in the body's dialect. Latency counts from `began`, of `time.monotonic()`, else from now."""
    begin = time.monotonic() if began is None else began
    dialect, num_kept = prepared.dialect, prepared.started.asked.num_kept
    answers = await _answers(prepared, count=count, admitted=admitted)
    started = prepared.started.ended(*answers)
    kept = answers if num_kept is None else likeliest(answers, num_kept)
    response = dialect.joined([dialect.answer(_numbered(started, at), one) for at, one in enumerate(kept)])
    return Invoked(
        response=response if prepared.guard is None else response | prepared.guard.body_members(),
        num_input_tokens=started.num_input_tokens,
        num_output_tokens=sum(answer.num_output_tokens for answer in answers),
        latency_ms=milliseconds_since(begin),
    )


async def answered(prepared: PreparedInvocation, *, count: Count, admitted: Admitted = _unheard) -> Finished:
    """The whole answer, of a request that its limits admit. Raises Throttled."""
    return (await _answers(prepared, count=count, admitted=admitted))[0]


async def answering(
    prepared: PreparedInvocation, *, count: Count, admitted: Admitted = _unheard
) -> AsyncGenerator[AnswerPiece | Finished, None]:
    """The answer piece by piece and then as a whole, of a request that its limits admit. Raises Throttled."""
    async with aclosing(_pieces(prepared, count=count, admitted=admitted)) as items:
        async for _, item in items:
            yield item


async def _answers(prepared: PreparedInvocation, *, count: Count, admitted: Admitted) -> list[Finished]:
    num_input, generations, guard = prepared.started.num_input_tokens, _generations(prepared), prepared.guard
    if guard is not None and guard.instead is not None:
        return [guard.instead] * len(generations)
    most = prepared.generation.max_tokens * len(generations)
    async with prepared.target.allowance.one(num_input, most) as ticket:
        admitted(ticket)
        answers = await complete_several(prepared.target, generations)
        num_input = prepared.started.ended(*answers).num_input_tokens
        num_output = sum(answer.num_output_tokens for answer in answers)
        ticket.used(num_input, num_output)
    count(num_input, num_output)
    return answers if guard is None else [await guard.whole(answer) for answer in answers]


async def _pieces(
    prepared: PreparedInvocation, *, count: Count, admitted: Admitted
) -> AsyncGenerator[tuple[int, AnswerPiece | Finished], None]:
    """The pieces of all answers, each with the number of its answer, as they may be shown."""
    if prepared.guard is None:
        async with aclosing(_made_pieces(prepared, count=count, admitted=admitted)) as made:
            async for number, item in made:
                yield number, item
        return
    numbers = range(prepared.started.asked.num_answers)
    if prepared.guard.instead is not None:
        for number in numbers:
            for item in _in_one_piece(prepared.guard.instead):
                yield number, item
        return
    guards = [prepared.guard.streamed() for _ in numbers]
    async with aclosing(_made_pieces(prepared, count=count, admitted=admitted)) as made:
        async for number, item in made:
            for shown in () if guards[number].over else await guards[number].take(item):
                yield number, shown
            if all(guard.over for guard in guards):
                return


def _in_one_piece(finished: Finished) -> tuple[AnswerPiece, Finished]:
    """An answer of words alone, as a stream."""
    return AnswerPiece(text=finished.text, num_output_tokens=0, first=True, opens=True), finished


async def _made_pieces(
    prepared: PreparedInvocation, *, count: Count, admitted: Admitted
) -> AsyncGenerator[tuple[int, AnswerPiece | Finished], None]:
    """The pieces of all answers as the model makes them."""
    num_input, generations = prepared.started.num_input_tokens, _generations(prepared)
    most, taken = prepared.generation.max_tokens * len(generations), [0] * len(generations)
    ended: list[Finished] = []
    async with (
        prepared.target.allowance.one(num_input, most) as ticket,
        aclosing(stream_several(prepared.target, generations)) as items,
    ):
        admitted(ticket)
        async for number, item in items:
            taken[number] = item.num_output_tokens
            if isinstance(item, Finished):
                ended.append(item)
                num_input = prepared.started.ended(*ended).num_input_tokens
            ticket.used(num_input, sum(taken))
            count(num_input, sum(taken))
            yield number, item


def _generations(prepared: PreparedInvocation) -> Sequence[Generation]:
    return seeded(prepared.generation, prepared.started.asked.num_answers)


async def invoke_stream(
    prepared: PreparedInvocation, *, began: float | None = None, count: Count = uncounted
) -> AsyncGenerator[dict[str, Any], None]:
    """Events of InvokeModelWithResponseStream. The first comes with the first text, so that an engine which cannot
    answer at all is an ordinary error; the last holds the metrics."""
    async with aclosing(stream_chunks(prepared, began=began, count=count, metered=True)) as chunks:
        async for chunk in chunks:
            yield _event(chunk)


async def stream_chunks(
    prepared: PreparedInvocation,
    *,
    began: float | None = None,
    count: Count = uncounted,
    admitted: Admitted = _unheard,
    metered: bool = False,
) -> AsyncGenerator[Chunk, None]:
    """The chunks of a stream in the body's dialect; `metered`: the last holds the metrics too."""
    dialect, started, left = prepared.dialect, prepared.started, prepared.started.asked.num_answers
    begin = time.monotonic() if began is None else began
    first_byte_ms: int | None = None
    taken, ended = [0] * left, list[Finished]()
    async with aclosing(_pieces(prepared, count=count, admitted=admitted)) as items:
        async for number, item in items:
            taken[number] = item.num_output_tokens
            if first_byte_ms is None:
                first_byte_ms = milliseconds_since(begin)
                for one in range(left):
                    for chunk in dialect.opening(_numbered(started, one)):
                        yield chunk
            own = _numbered(started, number)
            if not isinstance(item, Finished):
                for chunk in dialect.before(own, item):
                    yield chunk
                yield dialect.piece(own, item)
                continue
            left -= 1
            ended.append(item)
            started = prepared.started.ended(*ended)
            own = _numbered(started, number)
            so_far = replace(item, num_output_tokens=sum(taken))  # the last to end tells the tokens of all
            chunks = [*dialect.closing(own, so_far), *(dialect.ending(started, so_far) if not left else ())]
            for chunk in chunks[:-1]:
                yield chunk
            metrics = _metrics(started, so_far, milliseconds_since(begin), first_byte_ms)
            more = {} if left or prepared.guard is None else prepared.guard.body_members()
            yield chunks[-1] | (metrics if metered and not left else {}) | more


def _numbered(started: Started, index: int) -> Started:
    """The facts of an exchange, for another of its answers."""
    return started if not index else replace(started, index=started.index + index)


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
