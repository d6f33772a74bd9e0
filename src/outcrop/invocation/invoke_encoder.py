"""InvokeModel on an embedding model or a reranker: a provider's body in, the provider's response out."""

import time
import uuid
from typing import Any, NamedTuple

from outcrop.invocation.embedding import embed
from outcrop.invocation.encoder_dialects import choice
from outcrop.invocation.encoder_dialects.dialect import EmbeddingAsked, EmbeddingDialect
from outcrop.invocation.exchange import Count, uncounted
from outcrop.invocation.invoke import Invoked, milliseconds_since
from outcrop.invocation.ranking import rank
from outcrop.invocation.schema import Body, read_json
from outcrop.invocation.target import EncoderTarget
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import TextTooLong


class _Made(NamedTuple):
    """A response, and the tokens that were read for it."""

    response: dict[str, Any]
    num_input_tokens: int


async def invoke(
    target: EncoderTarget, body: bytes, *, began: float | None = None, count: Count = uncounted
) -> Invoked:
    """The whole response in the body's dialect. Raises Invalid in the provider's own words."""
    begin = time.monotonic() if began is None else began
    parsed = read_json(body)
    made = await (_vectors if target.task is ModelTask.EMBEDDING else _ranking)(target, parsed)
    count(made.num_input_tokens, 0)
    return Invoked(
        response=made.response,
        num_input_tokens=made.num_input_tokens,
        num_output_tokens=0,
        latency_ms=milliseconds_since(begin),
    )


async def _vectors(target: EncoderTarget, body: Body) -> _Made:
    dialect = choice.embedding(target.dialect, body)
    asked = dialect.read(body)
    try:
        embedded = await embed(
            target,
            asked.texts,
            dimensions=_dimensions(target, dialect, asked),
            normalize=target.normalizes if asked.normalize is None else asked.normalize,
            kind=asked.kind,
            truncate=asked.truncate,
            most_tokens=asked.most_tokens,
        )
    except TextTooLong as problem:
        raise dialect.too_long(problem) from problem
    return _Made(dialect.answer(asked, embedded, str(uuid.uuid4())), embedded.num_input_tokens)


async def _ranking(target: EncoderTarget, body: Body) -> _Made:
    dialect = choice.ranking(target.dialect, body)
    asked = dialect.read(body)
    ranked = await rank(target, asked.query, asked.documents, most_of_document=asked.most_of_document)
    return _Made(dialect.answer(ranked.documents[: asked.most]), ranked.num_input_tokens)


def _dimensions(target: EncoderTarget, dialect: EmbeddingDialect, asked: EmbeddingAsked) -> int | None:
    """The numbers of a vector: those asked for, else the model's, at most as many as usual for this id."""
    usual = dialect.usual_dimensions if target.dialect == dialect.name else None
    if asked.dimensions is not None or usual is None or target.width is None or target.width <= usual:
        return asked.dimensions
    return usual
