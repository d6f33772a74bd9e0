"""The two halves of an invocation, free of any provider's words: what was asked, and what came of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from datetime import datetime
from enum import StrEnum

from outcrop.inference.request import Sampling
from outcrop.invocation.text_logprobs import TextLogprob
from outcrop.tokens.chat_template import Messages


@dataclass(frozen=True, kw_only=True)
class RawPrompt:
    """A text the model goes on from, as it is."""

    text: str


@dataclass(frozen=True, kw_only=True)
class ChatPrompt:
    """Turns, first and every second one of the user, each {'role', 'content'}."""

    messages: Messages
    system: str | None = None


@dataclass(frozen=True, kw_only=True)
class SamplingOptions(Sampling):
    """Sampling options of a request: how tokens are chosen, and where the answer ends."""

    max_tokens: int | None
    "None leaves it to the model's own limit."
    stop_sequences: tuple[str, ...] = ()
    logprobs: int | None = None
    "How many of the likeliest tokens are told with each of the answer; None: no log probabilities."

    def of_tokens(self, *, otherwise_seed: int) -> Sampling:
        """The options that an engine needs; `otherwise_seed` stands in where none was asked for."""
        values = {each.name: getattr(self, each.name) for each in fields(Sampling)}
        return Sampling(**{**values, "seed": otherwise_seed if self.seed is None else self.seed})


@dataclass(frozen=True, kw_only=True)
class InvocationRequest:
    """An invocation request, whatever provider's body it came in."""

    prompt: RawPrompt | ChatPrompt
    sampling: SamplingOptions


class Finish(StrEnum):
    """Why an answer ended."""

    END = "end"
    "The model said all it had to say."
    MAX_TOKENS = "max_tokens"
    STOP_SEQUENCE = "stop_sequence"
    CONTEXT = "context"
    "The context was full before max_tokens were reached."


Count = Callable[[int, int], object]
"Told the tokens of the prompt and those of the answer so far."


def uncounted(_num_input_tokens: int, _num_output_tokens: int) -> None:
    """Count no tokens, for whoever asks without an account to keep."""


@dataclass(frozen=True, kw_only=True)
class Started:
    """The facts of an exchange that are known before the first token."""

    id: str
    "Random; each provider puts its own prefix before it."
    model_id: str
    created: datetime
    asked: InvocationRequest
    num_input_tokens: int


@dataclass(frozen=True, kw_only=True)
class AnswerPiece:
    """Some text of the answer, as it is made."""

    text: str
    num_output_tokens: int
    "Tokens so far, this piece included."
    first: bool
    logprobs: tuple[TextLogprob, ...] = ()
    "Of the tokens that begin in this piece, where they were asked for."


@dataclass(frozen=True, kw_only=True)
class Finished:
    """The whole answer."""

    text: str
    num_output_tokens: int
    finish: Finish
    stop_sequence: str | None = field(default=None)
    "The one that was met."
    logprobs: tuple[TextLogprob, ...] = ()
    "Of all tokens of the text, where they were asked for."
    num_cached: int = 0
    "Tokens of the prompt that the engine had read before, for others."
