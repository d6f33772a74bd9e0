"""The inferenceParams of an evaluated model: a JSON text in Converse's words, or in those of a provider.

    {"inferenceConfig": {"maxTokens": 512, "temperature": 0.7}, "additionalModelRequestFields": {"top_k": 50}}
    {"maxTokenCount": "512", "temperature": "0.0"}

Without them a model answers greedily, so that a job gives the same answers again.
"""

from collections.abc import Mapping
from typing import Any

from outcrop.errors import Invalid
from outcrop.protocol.values import json_text

MOST_TOKENS = 512
"Of an answer for which a request names no limit."
_SPELLINGS = {
    "maxTokens": "maxTokens",
    "maxTokenCount": "maxTokens",
    "max_tokens": "maxTokens",
    "max_tokens_to_sample": "maxTokens",
    "max_gen_len": "maxTokens",
    "max_new_tokens": "maxTokens",
    "temperature": "temperature",
    "topP": "topP",
    "top_p": "topP",
    "p": "topP",
    "stopSequences": "stopSequences",
    "stop_sequences": "stopSequences",
    "stop": "stopSequences",
}
_CONVERSE = ("inferenceConfig", "additionalModelRequestFields")


def read_inference_params(told: str | None, *, at: str) -> dict[str, Any]:
    """The members of a Converse request that the text stands for. Raises Invalid."""
    given = _object(told, at) if told is not None else {}
    config: dict[str, Any] = {"temperature": 0.0, "maxTokens": MOST_TOKENS}
    more = _inner(given, "additionalModelRequestFields", at)
    flat = {name: value for name, value in given.items() if name not in _CONVERSE}
    if unknown := [name for name in (*flat, *_inner(given, "inferenceConfig", at)) if name not in _SPELLINGS]:
        raise Invalid(
            f"{at}: {unknown[0]} is not understood. Use inferenceConfig with maxTokens, temperature, topP and "
            "stopSequences, and additionalModelRequestFields for what only some models know."
        )
    for name, value in (*flat.items(), *_inner(given, "inferenceConfig", at).items()):
        config[_SPELLINGS[name]] = _value(_SPELLINGS[name], value, f"{at}: {name}")
    return {"inferenceConfig": config, **({"additionalModelRequestFields": dict(more)} if more else {})}


def _object(told: str, at: str) -> Mapping[str, Any]:
    try:
        value = json_text.loads(told)
    except json_text.NotJson as error:
        raise Invalid(f"{at}: {error}. Give a JSON object as a text.") from error
    if not isinstance(value, dict):
        raise Invalid(f"{at}: expected a JSON object as a text.")
    return value


def _inner(given: Mapping[str, Any], name: str, at: str) -> Mapping[str, Any]:
    inner = given.get(name, {})
    if not isinstance(inner, dict):
        raise Invalid(f"{at}: {name}: expected an object.")
    return inner


def _value(name: str, value: Any, at: str) -> Any:
    """A value in its own type: numbers are often sent as texts. Converse judges its range when a question is asked."""
    if name == "stopSequences":
        if not isinstance(value, list) or not all(isinstance(each, str) and each for each in value):
            raise Invalid(f"{at}: expected a list of texts.")
        return value
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise Invalid(f"{at}: expected a number.")
    try:
        number = float(value)
        if name == "maxTokens":
            if number != int(number) or number < 1:
                raise Invalid(f"{at}: {value} is no number of tokens. Give a whole number of at least 1.")
            return int(number)
    except (ValueError, OverflowError) as error:
        raise Invalid(f"{at}: {value!r} is no number.") from error
    if not 0 <= number <= 1:
        raise Invalid(f"{at}: {value} is not between 0 and 1.")
    return number
