"""`inputs` and `parameters`: what is understood, what is refused, and what each server's answers look like."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation.dialects.text_generation import LMI, PIPELINE, TGI, TextServer, text_generation, written
from outcrop.invocation.exchange import AnswerPiece, Finish, Finished, Grammar, JsonSchema, Started
from outcrop.invocation.text_logprobs import SpelledToken, TextLogprob

TOKEN = TextLogprob(SpelledToken(b" b", -0.5, 7), (), 0)


def read(server: TextServer, **parameters: Any) -> Any:
    body = {"inputs": "a", "parameters": parameters}
    return text_generation(server, body).read(body)


def answered(server: TextServer, finished: Finished, **parameters: Any) -> Any:
    body = {"inputs": "a", "parameters": parameters}
    dialect = text_generation(server, body)
    asked = dialect.read(body)
    started = Started(id="i", model_id="m", created=datetime(2026, 5, 4, tzinfo=UTC), asked=asked, num_input_tokens=3)
    return written(server, dialect.joined([dialect.answer(started, finished)]))


DONE = Finished(text=" b", num_output_tokens=1, finish=Finish.END, logprobs=(TOKEN,))


@pytest.mark.parametrize(("server", "most"), [(TGI, 100), (LMI, 30), (PIPELINE, 256)])
def test_an_unsaid_length_is_that_of_the_server_and_nothing_is_drawn(server: TextServer, most: int) -> None:
    sampling = read(server).sampling
    assert (sampling.max_tokens, sampling.temperature, sampling.logprobs) == (most, 0.0, None)


def test_a_parameter_of_sampling_means_sampling() -> None:
    drawn = read(TGI, temperature=0.7, top_p=0.9, top_k=20, seed=3, repetition_penalty=1.2, stop=["x"]).sampling
    assert (drawn.temperature, drawn.top_p, drawn.top_k, drawn.seed) == (0.7, 0.9, 20, 3)
    assert (drawn.repetition_penalty, drawn.stop_sequences) == (1.2, ("x",))
    assert read(TGI, temperature=0.7, do_sample=False).sampling.temperature == 0.0
    assert read(TGI, do_sample=True).sampling.temperature == 1.0


def test_several_answers_and_the_best_of_several() -> None:
    several = read(PIPELINE, num_return_sequences=3, do_sample=True)
    assert (several.num_answers, several.num_kept) == (3, None)
    best = read(TGI, best_of=4, do_sample=True)
    assert (best.num_answers, best.num_kept, best.sampling.logprobs) == (4, 1, 0)


def test_forms_of_answers() -> None:
    assert isinstance(read(TGI, grammar={"type": "json", "value": {"type": "object"}}).form, JsonSchema)
    assert isinstance(read(TGI, grammar={"type": "regex", "value": "a+"}).form, Grammar)
    with pytest.raises(Invalid, match="#/parameters/grammar"):
        read(TGI, grammar={"type": "lark"})


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"nonsense": 1}, r"extraneous key \[nonsense\]"),
        ({"num_beams": 4}, "#/parameters/num_beams: it has no effect here"),
        ({"watermark": True}, "#/parameters/watermark: it has no effect here"),
        ({"max_length": 40}, "give max_new_tokens"),
        ({"max_new_tokens": 0}, "#/parameters?/max_new_tokens|#/max_new_tokens"),
        ({"stop": "x"}, "expected type: JSONArray"),
    ],
)
def test_what_would_have_no_effect_is_refused(parameters: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid, match=problem):
        read(TGI, **parameters)


@pytest.mark.parametrize("parameters", ["x", [1], 5])
def test_parameters_are_an_object(parameters: Any) -> None:
    body = {"inputs": "a", "parameters": parameters}
    with pytest.raises(Invalid, match="#/parameters: expected type: JSONObject"):
        text_generation(TGI, body).read(body)


def test_what_says_nothing_is_taken() -> None:
    taken = {"num_beams": 1, "use_cache": True, "pad_token_id": 0, "watermark": False, "truncate": None}
    assert read(TGI, **taken) == read(TGI)


def test_answers_are_a_list_an_object_or_the_prompt_and_more() -> None:
    assert answered(TGI, DONE) == [{"generated_text": " b"}]
    assert answered(LMI, DONE) == {"generated_text": " b"}
    assert answered(PIPELINE, DONE) == [{"generated_text": "a b"}]
    assert answered(PIPELINE, DONE, return_full_text=False) == [{"generated_text": " b"}]


def test_details_tell_the_tokens() -> None:
    ((told,),) = [answered(TGI, replace(DONE, finish=Finish.MAX_TOKENS), details=True)]
    assert told["details"] == {
        "finish_reason": "length", "generated_tokens": 1, "seed": None, "input_length": 3, "prefill": [],
        "tokens": [{"id": 7, "text": " b", "logprob": -0.5, "special": False}],
    }  # fmt: skip


def test_a_stream_ends_with_the_whole_text() -> None:
    body = {"inputs": "a", "stream": True}
    dialect = text_generation(TGI, body)
    asked = dialect.read(body)
    assert asked.sampling.logprobs == 0
    started = Started(id="i", model_id="m", created=datetime(2026, 5, 4, tzinfo=UTC), asked=asked, num_input_tokens=3)
    piece = dialect.piece(started, AnswerPiece(text=" b", num_output_tokens=1, first=True, logprobs=(TOKEN,)))
    assert piece["token"] == {"id": 7, "text": " b", "logprob": -0.5, "special": False}
    assert piece["generated_text"] is None
    (last,) = dialect.closing(started, replace(DONE, finish=Finish.STOP_SEQUENCE))
    assert (last["generated_text"], last["token"]["text"]) == (" b", "")
    assert last["details"]["finish_reason"] == "stop_sequence"
