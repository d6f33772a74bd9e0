"""Vectors of texts, whatever provider's body they were asked for in."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from outcrop.errors import Invalid
from outcrop.inference.client import EngineAway, UnknownAdapter
from outcrop.inference.encoder_requests import EmbeddingRequest, TextKind, Vector
from outcrop.invocation.admission import Ticket
from outcrop.invocation.generate import EnginePatience
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import Reading
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import TokenRow, Truncate

Answer = TypeVar("Answer")


@dataclass(frozen=True, kw_only=True)
class Embedded:
    """The vectors of texts, in their order."""

    vectors: list[list[float]]
    num_input_tokens: int


async def embed(
    target: EncoderTarget,
    texts: Sequence[str],
    *,
    dimensions: int | None,
    normalize: bool,
    kind: TextKind | None,
    truncate: Truncate = Truncate.NONE,
    most_tokens: int | None = None,
    admitted: Callable[[Ticket], object] = lambda _ticket: None,
) -> Embedded:
    """A vector for each text: its first `dimensions` numbers (None: all), of length 1 where `normalize` says so.

    Raises TextTooLong for a text of more than `most_tokens`, or more than the model reads, unless `truncate` names the
    end to cut; Invalid for more dimensions than the model's vectors have.
    """
    if target.task is not ModelTask.EMBEDDING:
        raise Invalid(f"{target.model_id} makes no vectors of text. Name an embedding model.")
    _check_width(target, dimensions, target.width)
    reading = Reading(kind=kind, truncate=truncate, most_tokens=most_tokens)
    rows = [] if target.reader is None else await asyncio.to_thread(target.reader.rows, texts, reading)
    request = EmbeddingRequest(
        model=target.base_id, texts=tuple(texts), kind=kind, rows=tuple(rows), hidden_states=target.stands_in
    )
    vectors = await asked(target, rows, lambda: target.client.embed(request), admitted=admitted) if texts else []
    if vectors:
        _check_width(target, dimensions, len(vectors[0]))
    finished = _finished(vectors, dimensions, normalize=normalize)
    return Embedded(vectors=finished, num_input_tokens=num_tokens(rows))


async def asked(
    target: EncoderTarget,
    rows: Sequence[TokenRow],
    ask: Callable[[], Awaitable[Answer]],
    *,
    admitted: Callable[[Ticket], object] = lambda _ticket: None,
) -> Answer:
    """The engine's answer, of a request that its limits admit; an engine that is being started is waited for.

    Raises Throttled, and EngineAway for an engine that stays away.
    """
    patience = EnginePatience(target.patience_s, target)
    async with target.allowance.one(num_tokens(rows), 0) as ticket:
        admitted(ticket)
        if target.remote:
            target.tell_sent(target.host)
        while True:
            try:
                answer = await ask()
            except (EngineAway, UnknownAdapter) as problem:
                await patience.wait(problem)
            else:
                patience.is_over()
                ticket.used(num_tokens(rows), 0)
                return answer


def num_tokens(rows: Sequence[TokenRow]) -> int:
    """All ids of the rows, special ones and prompts included: what a request is counted by."""
    return sum(len(row.ids) for row in rows)


def _check_width(target: EncoderTarget, dimensions: int | None, width: int | None) -> None:
    if dimensions is not None and width is not None and dimensions > width:
        raise Invalid(
            f"dimensions: {dimensions} are asked for, and the model behind {target.model_id} makes vectors of {width}. "
            f"Ask for {width} or fewer, or let a wider model stand behind this id."
        )


def _finished(vectors: Sequence[Vector], dimensions: int | None, *, normalize: bool) -> list[list[float]]:
    """The first numbers of each vector. Cut ones are normalized anew, so that they compare as the whole ones do."""
    found = []
    for vector in vectors:
        values = np.asarray(vector[:dimensions] if dimensions else vector, np.float64)
        length = float(np.linalg.norm(values))
        if normalize and length > 0:
            values = values / length
        found.append(values.astype(np.float32).tolist())
    return found
