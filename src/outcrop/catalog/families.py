"""Families of Bedrock models, told by the beginning of a model id: provider, dialect, hyperparameters and
customizations.

For ids that the catalogue does not list. Those of models for more than text are known too, so that none becomes a
stand-in for one of text.
"""

import re
from typing import NamedTuple

from outcrop import arn
from outcrop.catalog.base_model import Customization
from outcrop.errors import Invalid
from outcrop.network.model_task import ModelTask

_REGIONS = re.compile(r"^(us-gov|us|eu|apac|jp|au|ca|sa|global)\.(?=[^.]+\.)")
_SUFFIX = re.compile(r"(?<=:[0-9]):([0-9]+k?|mm)$")
_TEXTLESS = {
    "embed": "makes vectors of more than text",
    "image": "makes pictures",
    "canvas": "makes pictures",
    "reel": "makes films",
    "sonic": "speaks",
    "speech": "speaks",
}
_TEXTLESS_PROVIDERS = {"stability": "makes pictures", "luma": "makes films", "twelvelabs": "watches films"}


class Family(NamedTuple):
    """The provider, dialect and hyperparameters of models whose ids begin alike."""

    prefix: str
    provider: str
    dialect: str = "any"
    'Of InvokeModel\'s bodies; "any" tells it by the body.'
    hyperparameters: str = "outcrop"
    task: ModelTask = ModelTask.TEXT

    @property
    def customizations(self) -> tuple[Customization, ...]:
        """The customizations that the service offers; all, where it tunes no text model of the kind."""
        if self.task is not ModelTask.TEXT:
            return ()
        everything = self.hyperparameters in ("outcrop", "titan-text")
        return tuple(Customization) if everything else (Customization.FINE_TUNING,)


# The longest beginning that fits counts.
FAMILIES = (
    Family("amazon.titan-text-premier", "Amazon", "titan", "titan-premier"),
    Family("amazon.titan-t", "Amazon", "titan", "titan-text"),
    Family("amazon.titan-embed-text-v1", "Amazon", "titan-embed-v1", task=ModelTask.EMBEDDING),
    Family("amazon.titan-embed-g1-text", "Amazon", "titan-embed-v1", task=ModelTask.EMBEDDING),
    Family("amazon.titan-embed-text", "Amazon", "titan-embed-v2", task=ModelTask.EMBEDDING),
    Family("amazon.rerank", "Amazon", "amazon-rerank", task=ModelTask.RERANKING),
    Family("amazon.nova", "Amazon", "nova", "nova"),
    Family("amazon.", "Amazon"),
    Family("anthropic.", "Anthropic", "claude", "claude"),
    Family("cohere.command", "Cohere", "cohere", "cohere"),
    # Command R's bodies hold a `message`, which no dialect here reads; Converse works.
    Family("cohere.command-r", "Cohere", hyperparameters="cohere"),
    Family("cohere.embed", "Cohere", "cohere-embed-v3", task=ModelTask.EMBEDDING),
    Family("cohere.embed-v4", "Cohere", "cohere-embed-v4", task=ModelTask.EMBEDDING),
    Family("cohere.rerank", "Cohere", "cohere-rerank", task=ModelTask.RERANKING),
    Family("cohere.", "Cohere"),
    Family("meta.llama", "Meta", "llama", "llama"),
    Family("mistral.", "Mistral AI", "mistral"),
    # The newer ones speak as OpenAI's do.
    Family("mistral.mistral-large-2407", "Mistral AI", "openai"),
    Family("mistral.mistral-large-3", "Mistral AI", "openai"),
    Family("mistral.pixtral", "Mistral AI", "openai"),
    Family("mistral.ministral", "Mistral AI", "openai"),
    Family("mistral.magistral", "Mistral AI", "openai"),
    Family("mistral.voxtral", "Mistral AI", "openai"),
    Family("deepseek.", "DeepSeek", "openai"),
    Family("deepseek.r1", "DeepSeek", "deepseek"),
    Family("openai.", "OpenAI", "openai"),
    Family("ai21.", "AI21 Labs"),
    Family("ai21.jamba", "AI21 Labs", "openai"),
    Family("qwen.", "Qwen"),
    Family("google.", "Google"),
    Family("minimax.", "MiniMax"),
    Family("moonshot.", "Moonshot AI"),
    Family("moonshotai.", "Moonshot AI"),
    Family("nvidia.", "NVIDIA"),
    Family("writer.", "Writer"),
    Family("zai.", "Z.AI"),
)


class Spelled(NamedTuple):
    """An id in one of its spellings, taken apart."""

    model_id: str
    context: str | None
    "The suffix for the context length, such as 200k."


def spelled(identifier: str) -> Spelled:
    """The plain model id in an ARN, an inference profile's id, or an id with suffixes."""
    parsed = arn.parse(identifier)
    told = _REGIONS.sub("", parsed.tail if parsed is not None else identifier)
    suffix = _SUFFIX.search(told)
    return Spelled(told, None) if suffix is None else Spelled(told[: suffix.start()], suffix[1])


def family_of(model_id: str) -> Family | None:
    """The family of a model by its id, as `spelled` tells it; None for one of nobody known.

    Raises Invalid for a model of more than text.
    """
    provider, _, name = model_id.partition(".")
    fitting = [family for family in FAMILIES if model_id.startswith(family.prefix)]
    found = max(fitting, key=lambda family: len(family.prefix), default=None)
    if found is not None and found.task is not ModelTask.TEXT:
        return found
    does = _TEXTLESS_PROVIDERS.get(provider) or (_textless(name) if fitting else None)
    if does:
        raise Invalid(
            f"{model_id}: a model that {does}, and no text model can stand in for it. Name the id of a text model."
        )
    return found


def _textless(name: str) -> str | None:
    """The work that a model of this name does instead of writing text; None for one that writes."""
    return next((does for word, does in _TEXTLESS.items() if re.search(rf"(^|-){word}", name)), None)
