"""The request for one generation. Plain values: the process answers on its socket before torch is imported."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from outcrop.errors import Invalid

STOP, LENGTH = "stop", "length"
MOST_LIKELIEST = 20
"Tokens told for each place; OpenAI's limit."


class TokenLogprob(NamedTuple):
    """A token that was taken, and the likeliest in its place: log probabilities (nats) as the network gives them.

    They are told before bias, penalties, temperature and whatever else leaves tokens out.
    """

    token: int
    logprob: float
    likeliest: tuple[tuple[int, float], ...] = ()
    "Ids with their log probabilities, likeliest first."


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a request wants its tokens drawn."""

    temperature: float = 0.0
    "0 is greedy."
    top_p: float = 1.0
    "Only the likeliest tokens that together reach this probability; the likeliest one always stays."
    top_k: int = 0
    "Only this many of the likeliest tokens; 0 is all."
    min_p: float = 0.0
    "Only tokens at least this many times as likely as the likeliest one; 0 is all."
    repetition_penalty: float = 1.0
    "Logits of tokens in prompt or answer, divided by it where positive and multiplied where negative; 1 changes none."
    presence_penalty: float = 0.0
    "Taken off the logit of a token that the answer has; 0 changes none."
    frequency_penalty: float = 0.0
    "Taken off the logit of a token as often as the answer has it; 0 changes none."
    logit_bias: Mapping[int, float] = field(default_factory=dict, hash=False)
    "Added to the logits of tokens, by their ids, before anything else."
    seed: int | None = None
    "The same seed draws the same tokens; None draws anew each time."

    @property
    def changes_logits(self) -> bool:
        """Whether the likeliest token may be another than the network's."""
        penalties = self.repetition_penalty != 1 or self.presence_penalty != 0 or self.frequency_penalty != 0
        return penalties or bool(self.logit_bias)

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise Invalid(f"temperature: {self.temperature} is not a number of at least 0. Use 0 for greedy decoding.")
        if not 0 <= self.top_p <= 1:
            raise Invalid(f"top_p: {self.top_p} is not between 0 and 1. Use 1 to keep every token.")
        if self.top_k < 0:
            raise Invalid(f"top_k: {self.top_k} is below 0. Use 0 to keep every token.")
        if not 0 <= self.min_p <= 1:
            raise Invalid(f"min_p: {self.min_p} is not between 0 and 1. Use 0 to keep every token.")
        if not 0 < self.repetition_penalty < float("inf"):
            raise Invalid(f"repetition_penalty: {self.repetition_penalty} is not above 0. Use 1 for no penalty.")
        for name in ("presence_penalty", "frequency_penalty"):
            value = getattr(self, name)
            if not -2 <= value <= 2:
                raise Invalid(f"{name}: {value} is not between -2 and 2. Use 0 for no penalty.")
        for token, bias in self.logit_bias.items():
            if not -100 <= bias <= 100:
                raise Invalid(f"logit_bias: {bias} of token {token} is not between -100 and 100.")


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """A request for one generation, as the engine needs it."""

    id: str
    prompt_ids: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop_token_ids: frozenset[int] = frozenset()
    adapter: str | None = None
    logprobs: int | None = None
    "How many of the likeliest tokens are told with each that is taken; None: no log probability at all."
    prompt_tokens_per_step: int | None = None
    "The most of its prompt that one step reads; None leaves it to the engine."
    cache_salt: str | None = None
    "It shares the reading of a common beginning with requests of the same salt only; vLLM's field."
    background: bool = False
    "Runs beside the others only as far as it keeps none of them waiting for more than a step."
    grammar: str | None = None
    "A Lark grammar in the words of llguidance, whose texts are the possible answers; None: all are."

    @property
    def num_reserved(self) -> int:
        """Positions it may ever need; the last token is produced, but never read again."""
        return len(self.prompt_ids) + self.max_tokens - 1
