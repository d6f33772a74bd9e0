"""The request of the playground, checked: models, the conversation so far of each, and the settings they share."""

from collections.abc import Mapping
from typing import Any, NamedTuple

MOST_MODELS = 4
_MOST_TOKENS = 4096


class AskedAnswers(NamedTuple):
    """A prompt for several models."""

    models: list[str]
    turns: list[list[dict[str, Any]]]
    "Of each model, the turns before and the prompt."
    system: str
    max_tokens: int
    temperature: float

    def request(self, number: int) -> dict[str, Any]:
        """The parameters of ConverseStream for one of the models."""
        more = {"system": [{"text": self.system}]} if self.system else {}
        settings = {"maxTokens": self.max_tokens, "temperature": self.temperature}
        return {"modelId": self.models[number], "messages": self.turns[number], "inferenceConfig": settings, **more}


def asked_answers(told: Mapping[str, Any]) -> AskedAnswers:
    """The request of the page's script. Raises ValueError with what is wrong."""
    try:
        models = [str(each["id"]) for each in told["models"]]
        turns = [[*map(_turn, each["turns"]), _turn(["user", told["prompt"]])] for each in told["models"]]
        max_tokens, temperature = int(told["max_tokens"]), float(told["temperature"])
    except (KeyError, TypeError, IndexError) as error:
        raise ValueError("models, prompt, max_tokens, temperature: one is missing or of another form.") from error
    if not 1 <= len(models) <= MOST_MODELS:
        raise ValueError(f"models: {len(models)}; choose 1 to {MOST_MODELS}.")
    if not str(told["prompt"]).strip():
        raise ValueError("prompt: it is empty.")
    if not 1 <= max_tokens <= _MOST_TOKENS:
        raise ValueError(f"max_tokens: {max_tokens}; choose 1 to {_MOST_TOKENS}.")
    if not 0 <= temperature <= 1:
        raise ValueError(f"temperature: {temperature:g}; choose 0 to 1.")
    return AskedAnswers(models, turns, str(told.get("system", "")).strip(), max_tokens, temperature)


def _turn(told: Any) -> dict[str, Any]:
    role, text = told
    return {"role": "assistant" if role == "assistant" else "user", "content": [{"text": str(text)}]}
