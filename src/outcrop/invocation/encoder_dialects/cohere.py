"""Cohere Embed, versions 3 and 4: many texts a request, in several forms of vectors. Images are refused by name."""

from collections.abc import Callable, Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.inference.encoder_requests import TextKind
from outcrop.invocation import vector_types
from outcrop.invocation.embedding import Embedded
from outcrop.invocation.encoder_dialects.dialect import EmbeddingAsked, EmbeddingDialect
from outcrop.invocation.schema import Anything, Body, Items, Number, Struct, Text, check, malformed
from outcrop.tokens.encoder_tokenizer import Truncate

_MOST_TEXTS = 96
_KINDS: Mapping[str, TextKind] = {
    "search_document": "document", "search_query": "query", "classification": "classification",
    "clustering": "clustering",
}  # fmt: skip
_TYPES: Mapping[str, Callable[[list[float]], list[Any]]] = {
    "float": list,
    "int8": vector_types.int8,
    "uint8": vector_types.uint8,
    "binary": vector_types.binary,
    "ubinary": vector_types.ubinary,
}
_INPUT_TYPE = Text(one_of=(*_KINDS, "image"))
_EMBEDDING_TYPES = Items(of=Text(one_of=tuple(_TYPES)), least=1)
_V3 = Struct(
    required={"texts": Items(of=Text(most_length=2048), most=_MOST_TEXTS), "input_type": _INPUT_TYPE},
    optional={
        "truncate": Text(one_of=("NONE", "START", "END")),
        "embedding_types": _EMBEDDING_TYPES,
        "images": Anything(),  # refused by name
    },
)
_CONTENT = Struct(
    required={"type": Text(one_of=("text", "image_url"))}, optional={"text": Text(), "image_url": Anything()}
)
_V4 = Struct(
    required={"input_type": _INPUT_TYPE},
    optional={
        "texts": Items(of=Text(), most=_MOST_TEXTS),
        "inputs": Items(of=Struct(required={"content": Items(of=_CONTENT, least=1)}), most=_MOST_TEXTS),
        "truncate": Text(one_of=("NONE", "LEFT", "RIGHT", "START", "END")),
        "embedding_types": _EMBEDDING_TYPES,
        "output_dimension": Number(integer=True, one_of=(256, 512, 1024, 1536)),
        "max_tokens": Number(integer=True, least=1, most=128_000),
        "images": Anything(),
    },
)
_ENDS = {"LEFT": Truncate.START, "RIGHT": Truncate.END}


def _read_v3(body: Body) -> EmbeddingAsked:
    _check_text_only(body)
    check(_V3, body)
    return EmbeddingAsked(
        texts=tuple(body["texts"]),
        kind=_KINDS[body["input_type"]],
        truncate=Truncate(body.get("truncate", "NONE")),
        types=tuple(body.get("embedding_types", ())),
    )


def _read_v4(body: Body) -> EmbeddingAsked:
    _check_text_only(body)
    check(_V4, body)
    if ("texts" in body) == ("inputs" in body):
        raise malformed(["#: expected one of the keys [texts] and [inputs]"])
    truncate = body.get("truncate", "NONE")
    return EmbeddingAsked(
        texts=tuple(body["texts"]) if "texts" in body else tuple(map(_joined, body["inputs"])),
        kind=_KINDS[body["input_type"]],
        dimensions=body.get("output_dimension"),
        truncate=_ENDS[truncate] if truncate in _ENDS else Truncate(truncate),
        most_tokens=body.get("max_tokens"),
        types=tuple(body.get("embedding_types", ())),
    )


def _joined(one: Mapping[str, Any]) -> str:
    """The text of a mixed input, its parts on lines of their own."""
    if any("text" not in part for part in one["content"]):
        raise malformed(["#/inputs: a part of type text has no text"])
    return "\n".join(part["text"] for part in one["content"])


def _check_text_only(body: Body) -> None:
    """Raises Invalid for pictures: a vector that is none of theirs would be worse than none."""
    inputs = body.get("inputs")
    contents = [one.get("content") for one in inputs if isinstance(one, dict)] if isinstance(inputs, list) else []
    parts = [part for content in contents if isinstance(content, list) for part in content if isinstance(part, dict)]
    mixed = any(part.get("type") == "image_url" for part in parts)
    if body.get("images") or body.get("input_type") == "image" or mixed:
        raise Invalid(
            "images: embeddings of images are not built in Outcrop; its models read text. Send texts, with an "
            "input_type of search_document, search_query, classification or clustering."
        )


def _answer(asked: EmbeddingAsked, embedded: Embedded, request_id: str) -> dict[str, Any]:
    shared = {"id": request_id, "texts": list(asked.texts)}
    if not asked.types:
        return {"embeddings": embedded.vectors, "response_type": "embeddings_floats", **shared}
    by_type = {name: list(map(make, embedded.vectors)) for name, make in _TYPES.items() if name in asked.types}
    return {"embeddings": by_type, "response_type": "embeddings_by_type", **shared}


COHERE_V3 = EmbeddingDialect(name="cohere-embed-v3", read=_read_v3, answer=_answer)
COHERE_V4 = EmbeddingDialect(name="cohere-embed-v4", read=_read_v4, answer=_answer, usual_dimensions=1536)
