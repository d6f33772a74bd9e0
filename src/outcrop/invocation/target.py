"""The model that a model id leads to.

A target has everything an invocation needs to know, and nothing about how it came to be there.
"""

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from outcrop.engines.protocol import ServingEngine
from outcrop.invocation.admission import UNLIMITED, Allowance
from outcrop.invocation.exchange import AnswerPiece, Finished, InvocationRequest
from outcrop.invocation.text_rows import TextReader
from outcrop.keys.envelopes import WrappedKey
from outcrop.network.model_task import ModelTask
from outcrop.network.weight_precision import WeightPrecision
from outcrop.settings import PATIENCE
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

if TYPE_CHECKING:
    from outcrop.invocation.remote.bedrock import BedrockRelay

ANY_DIALECT = "any"


class TextEngine(Protocol):
    """A model that takes words and gives words: its tokens, its template and its retries are its own affair."""

    def check(self, asked: InvocationRequest) -> None:
        """Raises Invalid for what this model cannot be asked, by name. Nothing is sent yet."""

    async def complete(self, asked: InvocationRequest) -> Finished:
        """The whole answer, with the tokens that both sides took."""
        ...

    def stream(self, asked: InvocationRequest) -> AsyncGenerator[AnswerPiece | Finished, None]:
        """The answer piece by piece, and then as a whole. Closing the generator ends the generation."""
        ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, kw_only=True)
class Target:
    """A model that answers: a base model, or an adapter on one, held by a running engine."""

    model_id: str
    "As the caller asked for it."
    base_id: str
    client: ServingEngine
    adapter: str | None
    "The adapter's name in the engine; None means the base model itself."
    background: bool = False
    "Whether its requests give way to all others, as those of batch jobs do."
    tokenizer: Tokenizer
    prompt_format: PromptFormat
    frames_prompts: bool
    "Whether a prompt without turns is put into that format, as a custom model's is; a base model goes on from it."
    dialect: str
    "Whose bodies it speaks (a key of `dialects.DIALECTS`), or `any`: then each body tells its own."
    context_length: int
    "The most tokens of prompt and answer together."
    max_output_tokens: int
    remote: bool = False
    "Whether what it is sent leaves this machine."
    allowance: Allowance = UNLIMITED
    "What its invocations are held against."
    patience_s: float = PATIENCE.total_seconds()
    "So long a request waits for an engine that is not there."
    weights: WeightPrecision = WeightPrecision.FP32
    "The numbers in which its engine keeps them."
    sealed_by: WrappedKey | None = None
    "The data key of a sealed custom model: whoever asks it has to be allowed to use its KMS key."

    @property
    def engine_model(self) -> str:
        """The name the engine knows it by."""
        return self.adapter or self.base_id


def _untold(_host: str) -> None:
    """Tell nobody, for whoever asks without an account to keep."""


@dataclass(frozen=True, kw_only=True)
class RemoteTarget:
    """A model on a server of somebody else's: what it is sent leaves this machine."""

    model_id: str
    "As the caller asked for it."
    base_id: str
    engine: TextEngine
    relay: "BedrockRelay | None"
    "Passes operations of Bedrock on as they are; None for a server that does not speak Bedrock."
    host: str
    "Where the data goes."
    dialect: str
    "Whose bodies it speaks, as of a Target."
    allowance: Allowance = UNLIMITED
    remote: bool = True
    tell_sent: Callable[[str], object] = _untold
    "Told the host at the moment at which a request leaves for it."


@dataclass(frozen=True, kw_only=True)
class EncoderTarget:
    """A model that answers with vectors, or with the relevance of documents; it never answers with text."""

    model_id: str
    "As the caller asked for it."
    base_id: str
    client: ServingEngine
    task: ModelTask
    dialect: str
    "Whose bodies it speaks (a name in `encoder_dialects`), or `any`: then each body tells its own."
    reader: TextReader | None
    "Makes token ids of texts; None for an engine that has a tokenizer of its own."
    host: str = ""
    "Where the data goes, of a remote model."
    tell_sent: Callable[[str], object] = _untold
    width: int | None
    "Numbers of a vector; None where only the answer tells."
    normalizes: bool = False
    "Whether the model's own files end with normalization."
    stands_in: bool = False
    "Whether it is a text model, whose mean hidden states stand in for the vectors of an embedding model."
    remote: bool = False
    "Whether what it is sent leaves this machine."
    allowance: Allowance = UNLIMITED
    "What its invocations are held against."
    patience_s: float = PATIENCE.total_seconds()
    "So long a request waits for an engine that is not there."


TextTarget = Target | RemoteTarget
"A model that answers with text."


def told_weights(target: TextTarget) -> dict[str, str]:
    """The header of an answer whose model was not served from its weights as they are."""
    if isinstance(target, RemoteTarget) or target.weights is WeightPrecision.FP32:
        return {}
    return {"x-outcrop-weights": target.weights.value}
