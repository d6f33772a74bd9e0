"""The request for one generation. Plain values: the process answers on its socket before torch is imported."""

from dataclasses import dataclass, field

from outcrop.errors import Invalid

STOP, LENGTH = "stop", "length"


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a request wants its tokens drawn."""

    temperature: float = 0.0
    "0 is greedy."
    top_p: float = 1.0
    "Only the likeliest tokens that together reach this probability; the likeliest one always stays."
    top_k: int = 0
    "Only this many of the likeliest tokens; 0 is all."
    seed: int | None = None
    "The same seed draws the same tokens; None draws anew each time."

    def __post_init__(self) -> None:
        if not 0 <= self.temperature < float("inf"):
            raise Invalid(f"temperature: {self.temperature} is not a number of at least 0. Use 0 for greedy decoding.")
        if not 0 <= self.top_p <= 1:
            raise Invalid(f"top_p: {self.top_p} is not between 0 and 1. Use 1 to keep every token.")
        if self.top_k < 0:
            raise Invalid(f"top_k: {self.top_k} is below 0. Use 0 to keep every token.")


@dataclass(frozen=True, kw_only=True)
class EngineRequest:
    """A request for one generation, as the engine needs it."""

    id: str
    prompt_ids: tuple[int, ...]
    max_tokens: int
    sampling: Sampling = field(default_factory=Sampling)
    stop_token_ids: frozenset[int] = frozenset()
    adapter: str | None = None
    logprobs: bool = False
    "Whether the log probability of each token is told, as the network gives it: before temperature, top-k and top-p."
    prompt_tokens_per_step: int | None = None
    "The most of its prompt that one step reads; None leaves it to the engine."

    @property
    def num_reserved(self) -> int:
        """Positions it may ever need; the last token is produced, but never read again."""
        return len(self.prompt_ids) + self.max_tokens - 1
