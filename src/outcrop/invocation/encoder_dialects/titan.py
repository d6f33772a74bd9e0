"""Amazon Titan Text Embeddings, both versions: one text a request."""

from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation import vector_types
from outcrop.invocation.embedding import Embedded
from outcrop.invocation.encoder_dialects.dialect import EmbeddingAsked, EmbeddingDialect
from outcrop.invocation.schema import Body, Flag, Items, Number, Struct, Text, check
from outcrop.tokens.encoder_tokenizer import TextTooLong

_TEXT = Text(least_length=1, most_length=50_000)
_V1 = Struct(required={"inputText": _TEXT})
_V2 = Struct(
    required={"inputText": _TEXT},
    optional={
        "dimensions": Number(integer=True, one_of=(256, 512, 1024)),
        "normalize": Flag(),
        "embeddingTypes": Items(of=Text(one_of=("float", "binary")), least=1),
    },
)


def _read_v1(body: Body) -> EmbeddingAsked:
    check(_V1, body)
    return EmbeddingAsked(texts=(body["inputText"],), normalize=None)


def _read_v2(body: Body) -> EmbeddingAsked:
    check(_V2, body)
    return EmbeddingAsked(
        texts=(body["inputText"],),
        dimensions=body.get("dimensions"),
        normalize=body.get("normalize", True),
        types=tuple(body.get("embeddingTypes", ("float",))),
    )


def _answer_v1(_asked: EmbeddingAsked, embedded: Embedded, _id: str) -> dict[str, Any]:
    return {"embedding": embedded.vectors[0], "inputTextTokenCount": embedded.num_input_tokens}


def _answer_v2(asked: EmbeddingAsked, embedded: Embedded, _id: str) -> dict[str, Any]:
    (vector,) = embedded.vectors
    by_type: dict[str, list[Any]] = {"float": vector, "binary": vector_types.bits(vector)}
    return {
        "embedding": vector,
        "embeddingsByType": {kind: numbers for kind, numbers in by_type.items() if kind in asked.types},
        "inputTextTokenCount": embedded.num_input_tokens,
    }


def _too_long(problem: TextTooLong) -> Invalid:
    return Invalid(
        f"400 Bad Request: Too many input tokens. Max input tokens: {problem.max_length}, request input token count: "
        f"{problem.num_tokens} "
    )


TITAN_V1 = EmbeddingDialect(name="titan-embed-v1", read=_read_v1, answer=_answer_v1, too_long=_too_long)
TITAN_V2 = EmbeddingDialect(
    name="titan-embed-v2", read=_read_v2, answer=_answer_v2, usual_dimensions=1024, too_long=_too_long
)
