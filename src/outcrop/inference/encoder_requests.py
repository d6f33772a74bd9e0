"""Requests for vectors and for relevance, and their JSON on an engine's socket: vLLM's /v1/embeddings and /v1/score.

An engine of this machine reads the rows of token ids. The texts beside them are for an engine that has a tokenizer of
its own, at a URL. Three fields of a body are the engine's own: `token_type_ids` and `num_prompt`, one a row, and
`hidden_states`, which is true for a text model alone; they are left out where they would change nothing. No tensor is
touched here.
"""

import base64
import json
import sys
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from outcrop.errors import Invalid, OutcropError
from outcrop.inference import dialect
from outcrop.tokens.encoder_tokenizer import TokenRow

# Not numpy's: the server imports this at its start, which numpy would make a tenth of a second longer.
if TYPE_CHECKING:
    Vector = array[float]
else:
    Vector = array
TextKind = Literal["query", "document", "classification", "clustering"]
"What a text is for; a model may have a prompt for each."
_UNDERSTOOD = {"model", "input", "token_type_ids", "num_prompt", "encoding_format", "hidden_states"}


@dataclass(frozen=True, kw_only=True)
class EmbeddingRequest:
    """Texts whose vectors are asked for."""

    model: str
    "The base model's id, or the name of a loaded adapter."
    texts: tuple[str, ...]
    "As the caller wrote them."
    kind: TextKind | None
    rows: tuple[TokenRow, ...]
    "The same in token ids; none for an engine that has a tokenizer of its own."
    hidden_states: bool = False
    "Whether the mean hidden states of a text model are wanted, which stand in for an encoder's vectors."


@dataclass(frozen=True, kw_only=True)
class RankingRequest:
    """A query, and documents whose relevance to it is asked for."""

    model: str
    query: str
    documents: tuple[str, ...]
    rows: tuple[TokenRow, ...]
    "The query with each document, in token ids; none for an engine that has a tokenizer of its own."


@dataclass(frozen=True, kw_only=True)
class EncoderBody:
    """A body of /v1/embeddings or /v1/score, read."""

    model: str
    rows: tuple[TokenRow, ...]
    base64: bool
    hidden_states: bool


@dataclass(frozen=True, kw_only=True)
class EncoderRequest:
    """A request for the vectors or scores of rows."""

    id: str
    rows: tuple[TokenRow, ...]


class EncoderResult(NamedTuple):
    """The vectors or scores of a whole request, in the order of its rows."""

    request_id: str
    values: list[Vector]
    problem: OutcropError | None = None
    "What broke this request off, in the place of values."


def body_of(model: str, rows: Sequence[TokenRow], *, hidden_states: bool = False) -> dict[str, Any]:
    """The body that asks for the vectors or scores of these rows."""
    body: dict[str, Any] = {"model": model, "input": [row.ids for row in rows], "encoding_format": "base64"}
    if any(any(row.type_ids) for row in rows):
        body["token_type_ids"] = [row.type_ids for row in rows]
    if any(row.num_prompt for row in rows):
        body["num_prompt"] = [row.num_prompt for row in rows]
    return body | {"hidden_states": True} if hidden_states else body


def parse(body: bytes) -> EncoderBody:
    """A body as `body_of` writes it. Raises Invalid, naming the field."""
    fields = dialect.parse_object(body)
    for name in sorted(fields.keys() - _UNDERSTOOD):
        raise Invalid(f"{name}: is not supported by this engine. Leave it out.")
    ids = _rows_of(fields, "input", [])
    if not ids:
        raise Invalid("input: holds no row. Give at least one.")
    types = _rows_of(fields, "token_type_ids", [[0] * len(row) for row in ids])
    prompts = fields.get("num_prompt") or [0] * len(ids)
    if not isinstance(prompts, list) or not all(type(number) is int and number >= 0 for number in prompts):
        raise Invalid("num_prompt: expected a list of numbers, one a row.")
    if [len(row) for row in types] != [len(row) for row in ids] or len(prompts) != len(ids):
        raise Invalid("token_type_ids, num_prompt: expected as many as there are rows, and of their lengths.")
    rows = tuple(TokenRow(*row) for row in zip(ids, types, prompts, strict=True))
    return EncoderBody(
        model=dialect.text(fields, "model"),
        rows=rows,
        base64=fields.get("encoding_format") == "base64",
        hidden_states=fields.get("hidden_states") is True,
    )


def embeddings_answer(asked: EncoderBody, vectors: Sequence[Vector]) -> dict[str, Any]:
    """The answer of /v1/embeddings."""
    data = [
        {"object": "embedding", "index": index, "embedding": _told(vector) if asked.base64 else vector.tolist()}
        for index, vector in enumerate(vectors)
    ]
    return {"object": "list", "model": asked.model, "data": data, "usage": _usage(asked)}


def scores_answer(asked: EncoderBody, scores: Sequence[float]) -> dict[str, Any]:
    """The answer of /v1/score."""
    data = [{"object": "score", "index": index, "score": score} for index, score in enumerate(scores)]
    return {"object": "list", "model": asked.model, "data": data, "usage": _usage(asked)}


def vectors_of(answer: bytes) -> list[Vector]:
    """The vectors of an answer, in the order of the rows."""
    data = sorted(json.loads(answer)["data"], key=lambda one: one["index"])
    return [_vector(one["embedding"]) for one in data]


def scores_of(answer: bytes) -> list[float]:
    """The scores of an answer, in the order of the rows."""
    return [float(one["score"]) for one in sorted(json.loads(answer)["data"], key=lambda one: one["index"])]


def _rows_of(fields: dict[str, Any], name: str, otherwise: list[list[int]]) -> list[list[int]]:
    value = fields.get(name, otherwise)
    if not isinstance(value, list) or not all(isinstance(row, list) and row for row in value):
        raise Invalid(f"{name}: expected lists of token ids, none of them empty. This engine has no tokenizer.")
    if not all(type(token) is int and token >= 0 for row in value for token in row):
        raise Invalid(f"{name}: expected lists of token ids, found something else in one. Send whole numbers.")
    return value


def _usage(asked: EncoderBody) -> dict[str, int]:
    num_tokens = sum(len(row.ids) for row in asked.rows)
    return {"prompt_tokens": num_tokens, "total_tokens": num_tokens}


def _told(vector: Vector) -> str:
    """A vector in base64, as OpenAI and vLLM write it: the least significant byte first."""
    return base64.b64encode(_swapped(vector).tobytes()).decode()


def _vector(told: str | list[float]) -> Vector:
    if isinstance(told, str):
        vector = array("f")
        vector.frombytes(base64.b64decode(told))
        return _swapped(vector)
    return array("f", told)


def _swapped(vector: Vector) -> Vector:
    """The vector in the byte order of the wire, or back from it."""
    if sys.byteorder == "little":
        return vector
    swapped = vector[:]
    swapped.byteswap()
    return swapped
