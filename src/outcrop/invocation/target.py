"""The model that a model id leads to.

A target has everything an invocation needs to know, and nothing about how it came to be there.
"""

from dataclasses import dataclass

from outcrop.engines.protocol import ServingEngine
from outcrop.tokens.prompt_format import PromptFormat
from outcrop.tokens.tokenizer import Tokenizer

ANY_DIALECT = "any"


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

    @property
    def engine_model(self) -> str:
        """The name the engine knows it by."""
        return self.adapter or self.base_id
