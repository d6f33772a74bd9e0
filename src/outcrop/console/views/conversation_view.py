"""The request of the playground, checked: models, the conversation so far of each, and the settings they share."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from outcrop.console.views.knowledge_views import model_arn

MOST_MODELS = 4
_MOST_TOKENS = 4096
LIKELIEST = 4
"Tokens that are told beside each that was chosen."


class AskedAnswers(NamedTuple):
    """A prompt for several models."""

    models: list[str]
    turns: list[list[dict[str, Any]]]
    "Of each model, the turns before and the prompt."
    system: str
    max_tokens: int
    temperature: float
    knowledge_base: str = ""
    "The id of the knowledge base whose passages answer; empty: the models alone."
    sessions: tuple[str, ...] = ()
    "Of each model, the talk with the knowledge base that is gone on with; empty at its beginning."
    probabilities: bool = False
    "Whether each token comes with its probability."

    def request(self, number: int) -> dict[str, Any]:
        """The parameters of ConverseStream for one of the models."""
        more = {"system": [{"text": self.system}]} if self.system else {}
        settings = {"maxTokens": self.max_tokens, "temperature": self.temperature}
        return {"modelId": self.models[number], "messages": self.turns[number], "inferenceConfig": settings, **more}

    def spelled_request(self, number: int) -> dict[str, Any]:
        """The parameters of InvokeModelWithResponseStream in OpenAI's form, which knows probabilities of tokens."""
        turns = [{"role": turn["role"], "content": turn["content"][0]["text"]} for turn in self.turns[number]]
        system = [{"role": "system", "content": self.system}] if self.system else []
        body = {
            "messages": [*system, *turns],
            "max_tokens": self.max_tokens,
            "temperature": self.temperature,
            "logprobs": True,
            "top_logprobs": LIKELIEST,
        }
        return {"modelId": self.models[number], "body": json.dumps(body)}

    def grounded_request(self, number: int, region: str) -> dict[str, Any]:
        """The parameters of RetrieveAndGenerateStream for one of the models."""
        settings = {"maxTokens": self.max_tokens, "temperature": self.temperature}
        session = self.sessions[number] if self.sessions else ""
        return {
            "input": {"text": self.turns[number][-1]["content"][0]["text"]},
            "retrieveAndGenerateConfiguration": {
                "type": "KNOWLEDGE_BASE",
                "knowledgeBaseConfiguration": {
                    "knowledgeBaseId": self.knowledge_base,
                    "modelArn": model_arn(self.models[number], region),
                    "generationConfiguration": {"inferenceConfig": {"textInferenceConfig": settings}},
                },
            },
            **({"sessionId": session} if session else {}),
        }


def asked_answers(told: Mapping[str, Any]) -> AskedAnswers:
    """The request of the page's script. Raises ValueError with what is wrong."""
    try:
        models = [str(each["id"]) for each in told["models"]]
        turns = [[*map(_turn, each["turns"]), _turn(["user", told["prompt"]])] for each in told["models"]]
        sessions = tuple(str(each.get("session") or "") for each in told["models"])
        max_tokens, temperature = int(told["max_tokens"]), float(told["temperature"])
    except (AttributeError, KeyError, TypeError, IndexError) as error:
        raise ValueError("models, prompt, max_tokens, temperature: one is missing or of another form.") from error
    if not 1 <= len(models) <= MOST_MODELS:
        raise ValueError(f"models: {len(models)}; choose 1 to {MOST_MODELS}.")
    if not str(told["prompt"]).strip():
        raise ValueError("prompt: it is empty.")
    if not 1 <= max_tokens <= _MOST_TOKENS:
        raise ValueError(f"max_tokens: {max_tokens}; choose 1 to {_MOST_TOKENS}.")
    if not 0 <= temperature <= 1:
        raise ValueError(f"temperature: {temperature:g}; choose 0 to 1.")
    return AskedAnswers(
        models,
        turns,
        str(told.get("system", "")).strip(),
        max_tokens,
        temperature,
        str(told.get("knowledge_base") or ""),
        sessions,
        told.get("probabilities") is True,
    )


def _turn(told: Any) -> dict[str, Any]:
    role, text = told
    return {"role": "assistant" if role == "assistant" else "user", "content": [{"text": str(text)}]}
