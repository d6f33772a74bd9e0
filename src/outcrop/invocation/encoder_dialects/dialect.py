"""The dialects in which vectors and rankings are asked for: functions between a provider's JSON and the request."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.inference.encoder_requests import TextKind
from outcrop.invocation.embedding import Embedded
from outcrop.invocation.ranking import RankedDocument
from outcrop.invocation.schema import Body
from outcrop.tokens.encoder_tokenizer import TextTooLong, Truncate


@dataclass(frozen=True, kw_only=True)
class EmbeddingAsked:
    """The vectors that a body asks for."""

    texts: tuple[str, ...]
    kind: TextKind | None = None
    dimensions: int | None = None
    normalize: bool | None = True
    "None: as the model's own files say."
    truncate: Truncate = Truncate.NONE
    most_tokens: int | None = None
    "Of each text; None: as many as the model reads."
    types: tuple[str, ...] = ()
    "Forms in which the vectors are wanted; none: the plain one."


@dataclass(frozen=True, kw_only=True)
class EmbeddingDialect:
    """A provider's bodies for vectors."""

    name: str
    read: Callable[[Body], EmbeddingAsked]
    "Checks a body and takes from it what is asked. Raises Invalid in the provider's own words."
    answer: Callable[[EmbeddingAsked, Embedded, str], dict[str, Any]]
    "The response; the text is a random id."
    usual_dimensions: int | None = None
    "The most numbers of a vector where a body asks for none; None: as many as there are."
    too_long: Callable[[TextTooLong], Invalid] = lambda problem: problem
    "The refusal of a text that is too long, in the provider's own words."


@dataclass(frozen=True, kw_only=True)
class RankingAsked:
    """The ranking that a body asks for."""

    query: str
    documents: tuple[str, ...]
    most: int | None = None
    "Documents that are wanted; None: all."
    most_of_document: int | None = None
    "Tokens behind which a document is cut; None: none is cut."


@dataclass(frozen=True, kw_only=True)
class RankingDialect:
    """A provider's bodies for rankings."""

    name: str
    read: Callable[[Body], RankingAsked]
    "Checks a body and takes from it what is asked. Raises Invalid in the provider's own words."
    answer: Callable[[list[RankedDocument]], dict[str, Any]]
    "The response, of the documents that are wanted."
