"""The encoder behind a knowledge base: which model it is, how wide its vectors are, and the vectors themselves.

A text model that merely stands in for an embedding model makes no vectors here: its hidden states find less than the
words do. Such a knowledge base has the lexical arm alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.named import FOUNDATION, Named
from outcrop.access.policies.evaluation import Decision
from outcrop.catalog.base_model import BaseModel
from outcrop.errors import Invalid
from outcrop.invocation.target import EncoderTarget
from outcrop.invocation.text_rows import EncoderReader, Reading
from outcrop.knowledge.chunking.token_counts import TokenCounts
from outcrop.knowledge.rooms import EmbeddingRooms
from outcrop.network import encoder_facts
from outcrop.network.model_task import ModelTask
from outcrop.recipes.chunking import cut
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_READING = Reading(kind="document")
LEXICAL_ALONE = "words alone: a text model that stands in for an embedding model makes no vectors"
"What a person is told of a knowledge base without vectors."


@dataclass(frozen=True, kw_only=True)
class PassageEncoder:
    """An embedding model as one knowledge base uses it."""

    target: EncoderTarget
    dimensions: int | None
    "The first so many numbers of a vector; None: all."

    async def query(self, text: str) -> list[float]:
        """The vector of a query, of length 1. One that is too long is read up to what the model takes."""
        from outcrop.invocation.embedding import embed  # numpy comes with it
        from outcrop.tokens.encoder_tokenizer import Truncate

        found = await embed(
            self.target, [text], dimensions=self.dimensions, normalize=True, kind="query", truncate=Truncate.END
        )
        return found.vectors[0]

    async def documents(self, texts: Sequence[str]) -> list[list[float]]:
        """A vector of length 1 for each text. None is cut: one longer than the model reads has the mean of its parts.

        Raises NotReady, Throttled, ModelFailed as an invocation does.
        """
        from outcrop.invocation.embedding import embed

        parts = [self._parts(text) for text in texts]
        found = await embed(
            self.target,
            [part for several in parts for part in several],
            dimensions=self.dimensions,
            normalize=True,
            kind="document",
        )
        vectors = iter(found.vectors)
        return [_mean([next(vectors) for _ in several]) for several in parts]

    @property
    def counts(self) -> TokenCounts | None:
        """The model's own count of tokens; None for one with a tokenizer elsewhere."""
        reader = self.target.reader
        return reader.tokenizer.counts if isinstance(reader, EncoderReader) else None

    @property
    def most_tokens(self) -> int | None:
        """The tokens of a text that the model reads at once, its prompt and special tokens taken off."""
        reader = self.target.reader
        if not isinstance(reader, EncoderReader):
            return None
        around = reader.rows(["a"], _READING)[0]
        return max(1, reader.max_length - len(around.ids) + 1)

    def _parts(self, text: str) -> list[str]:
        """The text, or its parts where the model does not read it at once."""
        counts, most = self.counts, self.most_tokens
        if counts is None or most is None or counts([text])[0] <= most:
            return [text]
        return list(cut(text, lambda part: counts([part])[0], most))


def model_of(house: EmbeddingRooms, model_arn: str) -> BaseModel:
    """The embedding model of an ARN. Raises Invalid for what makes no vectors, or is not here."""
    parsed = arns.parse(model_arn)
    if parsed is not None and parsed.kind != FOUNDATION:
        raise Invalid(
            f"embeddingModelArn: {model_arn} is no foundation model. Knowledge bases use these alone in Outcrop: "
            "register your model, and name it by its id in the catalogue."
        )
    found = house.catalog.find(model_arn)
    if not isinstance(found, BaseModel):
        raise Invalid(f"embeddingModelArn: {model_arn} is not in the catalogue; `outcrop models` lists it.")
    if found.remote is None:
        found = house.catalog.with_weights(found, model_arn)
    if found.task is not ModelTask.EMBEDDING:
        raise Invalid(f"embeddingModelArn: {model_arn} makes no vectors of text. Name an embedding model.")
    return found


def dimensions_for(model: BaseModel, configuration: Mapping[str, Any]) -> int | None:
    """The numbers of each vector of a knowledge base; None where it has none. Raises Invalid.

    `configuration` is the member vectorKnowledgeBaseConfiguration.
    """
    settings = configuration.get("embeddingModelConfiguration", {}).get("bedrockEmbeddingModelConfiguration", {})
    asked: int | None = settings.get("dimensions")
    for member in ("audio", "video"):
        if member in settings:
            raise Invalid(f"{member}: only text is read into a knowledge base in Outcrop. Leave it out.")
    if settings.get("embeddingDataType", "FLOAT32") != "FLOAT32":
        raise Invalid("embeddingDataType: BINARY vectors are not built in Outcrop. Use FLOAT32, or leave it out.")
    if asked is not None and asked < 1:
        raise Invalid("dimensions: 0 are no vector. Ask for 1 or more, or leave it out.")
    if model.stands_in:
        return None
    if model.folder is None:
        if asked is None:
            raise Invalid(
                f"dimensions: missing, and the width of the remote model {model.id} is not known here. Give it."
            )
        return asked
    width = encoder_facts.read(model.folder).width
    if asked is not None and width is not None and asked > width:
        raise Invalid(
            f"dimensions: {asked} are asked for, and the model behind {model.id} makes vectors of {width}. Ask for "
            f"{width} or fewer, or let a wider model stand behind this id."
        )
    return asked or width


def check_may_embed(house: EmbeddingRooms, role_arn: str, model_arn: str) -> None:
    """Raises Invalid, in Bedrock's sentence, for a role that does not allow to invoke the embedding model."""
    parsed = arns.parse(model_arn)
    region = {"aws:RequestedRegion": parsed.region} if parsed is not None else {}
    if house.access.role_may(role_arn, "bedrock:InvokeModel", model_arn, region) is not Decision.ALLOWED:
        raise Invalid(
            f"Knowledge base role {role_arn} is not able to call specified bedrock embedding model {model_arn}: the "
            "role does not allow bedrock:InvokeModel on it. Allow it with iam.put_role_policy."
        )


def encoder_of(house: EmbeddingRooms, knowledge_base: Resource) -> PassageEncoder | None:
    """The encoder of a knowledge base; None where it has the lexical arm alone.

    Raises NotReady, ModelFailed, Invalid where its model cannot be asked, and Invalid where its role may not.
    """
    with understood(knowledge_base.arn):
        document = knowledge_base.document
        model_arn: str = document["embeddingModelArn"]
        dimensions: int | None = document["dimensions"]
        role_arn: str = document["roleArn"]
    check_may_embed(house, role_arn, model_arn)
    if dimensions is None:
        return None
    model = model_of(house, model_arn)
    if model.stands_in:
        raise Invalid(
            f"The model behind {model_arn} is a text model now, which makes no vectors. Let an embedding model stand "
            "behind it again, as when the knowledge base was created."
        )
    thing = Named(kind=FOUNDATION, arn=model_arn, is_known=True, foundation=model)
    target = house.targets.find(model_arn, thing, None)
    assert isinstance(target, EncoderTarget), "an embedding model has a target of vectors"
    return PassageEncoder(target=target, dimensions=dimensions)


def _mean(vectors: Sequence[Sequence[float]]) -> list[float]:
    """The mean of vectors, of length 1."""
    if len(vectors) == 1:
        return list(vectors[0])
    sums = [sum(numbers) for numbers in zip(*vectors, strict=True)]
    length = sum(number * number for number in sums) ** 0.5 or 1.0
    return [number / length for number in sums]
