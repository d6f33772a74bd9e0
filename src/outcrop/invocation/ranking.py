"""Documents sorted by their relevance to a query, whatever body they were asked for in."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from outcrop.errors import Invalid
from outcrop.inference.encoder_requests import RankingRequest
from outcrop.invocation.embedding import asked, num_tokens
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader
from outcrop.network.model_task import ModelTask
from outcrop.tokens.encoder_tokenizer import TokenRow


@dataclass(frozen=True)
class RankedDocument:
    """A document by its number in the request, and its relevance to the query between 0 and 1."""

    index: int
    relevance: float


@dataclass(frozen=True, kw_only=True)
class Ranked:
    """All documents, the most relevant first; of equal ones, the earlier first."""

    documents: list[RankedDocument]
    num_input_tokens: int


async def rank(
    target: EncoderTarget,
    query: str,
    documents: Sequence[str],
    *,
    most_of_document: int | None = None,
) -> Ranked:
    """The documents, sorted. Each is cut behind its first `most_of_document` tokens, where that is given.

    Raises TextTooLong for a document that the model cannot read whole beside the query.
    """
    if target.task is not ModelTask.RERANKING:
        raise Invalid(f"{target.model_id} tells no relevance of documents. Name a reranking model.")
    rows: list[TokenRow] = []
    if target.reader is not None:
        assert isinstance(target.reader, EncoderReader), "only an encoder reads a query beside a document"
        pairs = partial(target.reader.pairs, query, documents, most_of_document=most_of_document)
        rows = await asyncio.to_thread(pairs)
    request = RankingRequest(model=target.base_id, query=query, documents=tuple(documents), rows=tuple(rows))
    scores = await asked(target, rows, lambda: target.client.rank(request)) if documents else []
    found = [RankedDocument(index, score) for index, score in enumerate(scores)]
    return Ranked(
        documents=sorted(found, key=lambda one: (-one.relevance, one.index)),
        num_input_tokens=num_tokens(rows),
    )
