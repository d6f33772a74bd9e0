"""Inference settings of an answer: taken, refused where they are given twice or not understood."""

from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.knowledge.answering.settings import read_settings


def text(**settings: Any) -> dict[str, Any]:
    return {"inferenceConfig": {"textInferenceConfig": settings}}


def more(**fields: Any) -> dict[str, Any]:
    return {"additionalModelRequestFields": fields}


def test_nothing_given_is_the_likeliest_answer_of_bedrocks_length() -> None:
    settings = read_settings(None, at="x")
    assert (settings.inference, settings.max_tokens) == ({"temperature": 0.0}, None)


def test_fields_of_the_provider_stand_for_bedrocks_own() -> None:
    settings = read_settings({**text(temperature=0.5), **more(max_tokens=9, top_p=0.3, top_k=4)}, at="x")
    assert settings.inference == {"temperature": 0.5, "topP": 0.3}
    assert (settings.max_tokens, settings.additional) == (9, {"top_k": 4})


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (
            {**text(temperature=0.5), **more(temperature=0.2)},
            "x: temperature is given twice, in inferenceConfig.textInferenceConfig and as temperature in "
            "additionalModelRequestFields. Leave one of them out.",
        ),
        (
            {**text(maxTokens=5), **more(max_gen_len=6)},
            "x: maxTokens is given twice, in inferenceConfig.textInferenceConfig and as max_gen_len in "
            "additionalModelRequestFields. Leave one of them out.",
        ),
        (text(maxTokens=0), "x: maxTokens: 0 leaves no room for an answer. Give 1 or more."),
        (
            more(temperature="hot"),
            "Malformed input request: #/temperature: expected type: Number, found: String, please reformat your input "
            "and try again.",
        ),
        (
            more(outcrop_answering="both"),
            "x.additionalModelRequestFields.outcrop_answering: expected extractive or generative, found 'both'.",
        ),
        (
            {"performanceConfig": {"latency": "optimized"}},
            "x.performanceConfig.latency: there is one latency here, the standard one. Leave performanceConfig out.",
        ),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(given: dict[str, Any], sentence: str) -> None:
    with pytest.raises(Invalid) as refused:
        read_settings(given, at="x")
    assert refused.value.message == sentence


def test_who_writes_may_be_chosen_and_is_no_field_of_the_model() -> None:
    settings = read_settings(more(outcrop_answering="generative", top_k=1), at="x")
    assert (settings.answering, settings.additional) == ("generative", {"top_k": 1})
