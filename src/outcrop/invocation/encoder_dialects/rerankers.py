"""Cohere Rerank and Amazon Rerank: a query, and documents to be sorted by their relevance to it."""

from collections.abc import Mapping
from typing import Any

from outcrop.invocation.encoder_dialects.dialect import RankingAsked, RankingDialect
from outcrop.invocation.ranking import RankedDocument
from outcrop.invocation.schema import Body, Items, Number, Schema, Struct, Text, check

_DOCUMENTS = Items(of=Text(least_length=1), least=1, most=1000)
_SHARED: Mapping[str, Schema] = {"query": Text(least_length=1), "documents": _DOCUMENTS}
_TOP = Number(integer=True, least=1)
_COHERE = Struct(
    required={**_SHARED, "api_version": Number(integer=True, least=2)},
    optional={"top_n": _TOP, "max_tokens_per_doc": Number(integer=True, least=1)},
)
_AMAZON = Struct(required=_SHARED, optional={"top_n": _TOP})


def _read_cohere(body: Body) -> RankingAsked:
    check(_COHERE, body)
    return _asked(body)


def _read_amazon(body: Body) -> RankingAsked:
    check(_AMAZON, body)
    return _asked(body)


def _asked(body: Body) -> RankingAsked:
    return RankingAsked(
        query=body["query"],
        documents=tuple(body["documents"]),
        most=body.get("top_n"),
        most_of_document=body.get("max_tokens_per_doc"),
    )


def _answer(documents: list[RankedDocument]) -> dict[str, Any]:
    return {"results": [{"index": one.index, "relevance_score": one.relevance} for one in documents]}


COHERE_RERANK = RankingDialect(name="cohere-rerank", read=_read_cohere, answer=_answer)
AMAZON_RERANK = RankingDialect(name="amazon-rerank", read=_read_amazon, answer=_answer)
