"""The dialect of a body to an encoder: the target's own, or the one that the body's keys tell."""

from outcrop.invocation.encoder_dialects.cohere import COHERE_V3, COHERE_V4
from outcrop.invocation.encoder_dialects.dialect import EmbeddingDialect, RankingDialect
from outcrop.invocation.encoder_dialects.rerankers import AMAZON_RERANK, COHERE_RERANK
from outcrop.invocation.encoder_dialects.titan import TITAN_V1, TITAN_V2
from outcrop.invocation.schema import Body, malformed

EMBEDDING = {dialect.name: dialect for dialect in (TITAN_V1, TITAN_V2, COHERE_V3, COHERE_V4)}
RANKING = {dialect.name: dialect for dialect in (COHERE_RERANK, AMAZON_RERANK)}


def embedding(name: str, body: Body) -> EmbeddingDialect:
    """The dialect of a body that asks for vectors. Raises Invalid where none is recognised."""
    if name in EMBEDDING:
        return EMBEDDING[name]
    if "inputText" in body:
        return TITAN_V2
    if body.keys() & {"texts", "inputs", "input_type", "images"}:
        return COHERE_V4
    raise malformed(["#: none of the keys [inputText], [texts] and [inputs] found"])


def ranking(name: str, body: Body) -> RankingDialect:
    """The dialect of a body that asks for a ranking."""
    if name in RANKING:
        return RANKING[name]
    return COHERE_RERANK if body.keys() & {"api_version", "max_tokens_per_doc"} else AMAZON_RERANK
