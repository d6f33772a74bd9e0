"""Inference settings of a generation: Bedrock's own for text, and additional ones in the words of the model's provider.

A setting that stands in both is refused, whichever way it is spelled; what nobody understands is refused by
`invocation/converse.py`, in Converse's words.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from outcrop.errors import Invalid
from outcrop.invocation.schema import Items, Number, Schema, Struct, Text, check

ANSWERING = "outcrop_answering"
"The additional field that chooses between extracts and a model that writes."
_SPELLINGS = {
    "temperature": "temperature",
    "topP": "topP",
    "top_p": "topP",
    "p": "topP",
    "maxTokens": "maxTokens",
    "max_tokens": "maxTokens",
    "max_new_tokens": "maxTokens",
    "max_gen_len": "maxTokens",
    "max_tokens_to_sample": "maxTokens",
    "maxTokenCount": "maxTokens",
    "stopSequences": "stopSequences",
    "stop_sequences": "stopSequences",
}
"Spellings of providers, and Bedrock's."
_SHARE = Number(least=0, most=1)
_VALUES: dict[str, Schema] = {
    "temperature": _SHARE,
    "topP": _SHARE,
    "maxTokens": Number(least=1, integer=True),
    "stopSequences": Items(of=Text(least_length=1), most=4),
}


@dataclass(frozen=True, kw_only=True)
class WritingSettings:
    """The settings with which a model writes."""

    inference: Mapping[str, Any] = field(default_factory=dict)
    "As Converse's inferenceConfig."
    additional: Mapping[str, Any] = field(default_factory=dict)
    "As Converse's additionalModelRequestFields."
    max_tokens: int | None = None
    "None: the request names no limit (`writing.answer_limit`)."
    answering: str | None = None
    "`extractive` or `generative`, where the request says so."


def read_settings(shape: Mapping[str, Any] | None, *, at: str) -> WritingSettings:
    """The settings of a generationConfiguration or orchestrationConfiguration, which stands at `at`.

    Raises Invalid for a setting that is given twice, and for what is not built.
    """
    given = shape or {}
    _check_real(given, at)
    config: Mapping[str, Any] = (given.get("inferenceConfig") or {}).get("textInferenceConfig") or {}
    text = dict(config.items())
    more = dict(given.get("additionalModelRequestFields") or {})
    answering = _answering(more.pop(ANSWERING, None), at)
    for name in [each for each in more if each in _SPELLINGS]:
        _check_once(text, name, at)
        check(Struct(optional={name: _VALUES[_SPELLINGS[name]]}), {name: more[name]})
        text[_SPELLINGS[name]] = more.pop(name)
    most = text.pop("maxTokens", None)
    if most is not None and (type(most) is not int or most < 1):
        raise Invalid(f"{at}: maxTokens: {most} leaves no room for an answer. Give 1 or more.")
    return WritingSettings(
        inference={"temperature": 0.0, **text}, additional=more, max_tokens=most, answering=answering
    )


def _check_once(text: Mapping[str, Any], name: str, at: str) -> None:
    if _SPELLINGS[name] in text:
        raise Invalid(
            f"{at}: {_SPELLINGS[name]} is given twice, in inferenceConfig.textInferenceConfig and as {name} in "
            "additionalModelRequestFields. Leave one of them out."
        )


def _answering(told: Any, at: str) -> str | None:
    if told not in (None, "extractive", "generative"):
        raise Invalid(
            f"{at}.additionalModelRequestFields.{ANSWERING}: expected extractive or generative, found {told!r}."
        )
    return None if told is None else str(told)


def _check_real(given: Mapping[str, Any], at: str) -> None:
    """Raises Invalid for members of a service that is not built: whoever asks for it relies on it."""
    if (given.get("performanceConfig") or {}).get("latency", "standard") != "standard":
        raise Invalid(
            f"{at}.performanceConfig.latency: there is one latency here, the standard one. Leave performanceConfig out."
        )
