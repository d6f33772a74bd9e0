import json
from typing import Any

import pytest

from outcrop.errors import Invalid, ModelFailed, NotFound, NotReady
from outcrop.inference import dialect
from outcrop.inference.request import Sampling, TokenLogprob
from outcrop.inference.usage import num_cached_of

LEAST = {"model": "base", "prompt": [1, 2]}


def parsed(**fields: Any) -> dialect.Completion:
    return dialect.parse_completion(json.dumps(LEAST | fields).encode())


def test_what_is_left_out_has_the_defaults_of_openai() -> None:
    found = parsed()
    assert found.max_tokens == 16
    assert found.sampling == Sampling(temperature=1.0, top_p=1.0, top_k=0, seed=None)
    assert (found.stream, found.scores, found.ignore_eos, found.stop_token_ids) == (False, False, False, frozenset())


def test_every_field_of_a_full_body_is_read() -> None:
    found = parsed(
        max_tokens=5, temperature=0.5, top_p=0.9, top_k=-1, seed=3, stop_token_ids=[7], stream=True, n=1, stop=None
    )
    assert found.sampling == Sampling(temperature=0.5, top_p=0.9, top_k=0, seed=3)
    assert (found.max_tokens, found.stop_token_ids, found.stream) == (5, frozenset({7}), True)


@pytest.mark.parametrize(
    "sampling",
    [
        Sampling(),
        Sampling(temperature=0.5, top_p=0.9, top_k=4, seed=3, min_p=0.1),
        Sampling(repetition_penalty=1.2, presence_penalty=-1, frequency_penalty=2, logit_bias={7: -100.0, 0: 1.5}),
    ],
    ids=str,
)
def test_a_sampling_that_is_sent_is_read_as_it_was(sampling: Sampling) -> None:
    assert parsed(**dialect.sampling_fields(sampling)).sampling == sampling


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"prompt": "text"}, "prompt: expected a list of token ids, found a string. This engine has no tokenizer."),
        ({"prompt": [1, True]}, "prompt: expected a list of token ids, found a list. This engine has no tokenizer."),
        ({"model": None}, "model: expected a string, found null."),
        ({"max_tokens": "5"}, "max_tokens: expected an integer, found a string."),
        ({"temperature": []}, "temperature: expected a number, found a list."),
        ({"prompt": [[1], ["a"]]}, "prompt: expected a list of token ids, found a list. This engine has no tokenizer."),
        (
            {"prompt": [[1], [2]], "stream": True},
            "prompt: several prompts are neither streamed nor scored by this engine. Send them one by one.",
        ),
        ({"logprobs": 21}, "logprobs: 21 is not between 0 and 20."),
        ({"logprobs": True}, "logprobs: expected an integer, found a boolean."),
        (
            {"prompt_tokens_per_step": 0},
            "prompt_tokens_per_step: 0 is below 1. Leave it out to have the engine choose.",
        ),
        ({"logit_bias": [1]}, "logit_bias: expected an object of token ids, found a list."),
        ({"logit_bias": {"a": 1}}, "logit_bias: expected an object of token ids, found an object."),
        ({"logit_bias": {"1": "x"}}, "logit_bias: expected numbers, found a string."),
        ({"min_p": "x"}, "min_p: expected a number, found a string."),
        ({"cache_salt": ""}, "cache_salt: expected a string, found an empty one."),
        ({"cache_salt": 7}, "cache_salt: expected a string, found a number."),
        ({"stream_options": True}, "stream_options: expected an object, found a boolean."),
        (
            {"stream_options": {"continuous_usage_stats": True}},
            "stream_options.continuous_usage_stats: is not supported by this engine. Leave it out.",
        ),
        ({"priority": -1}, "priority: -1 is below 0. Use 0, or 1 for work that gives way to all other."),
        ({"priority": "low"}, "priority: expected an integer, found a string."),
        ({"n": 2}, "n: is not supported by this engine. Leave it out."),
        ({"stop": ["\n"]}, "stop: is not supported by this engine. Leave it out."),
        ({"guided_json": {}}, "guided_json: is not supported by this engine. Leave it out."),
    ],
)
def test_a_wrong_field_is_named(fields: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        parsed(**fields)
    assert str(refused.value) == problem


@pytest.mark.parametrize(("fields", "background"), [({}, False), ({"priority": 0}, False), ({"priority": 7}, True)])
def test_what_comes_behind_everybody_is_work_in_the_background(fields: dict[str, Any], background: bool) -> None:
    assert parsed(**fields).background is background


def test_what_others_had_read_before_is_part_of_the_usage() -> None:
    asked = parsed(prompt=[[1, 2], [3]])
    made = [dialect.NewTokens([4], "length", num_cached=2), dialect.NewTokens([5], "stop", num_cached=1)]
    assert num_cached_of(dialect.completion_answer(asked, "id", made)) == 3


def test_a_stream_tells_its_usage_where_that_is_asked_for() -> None:
    assert parsed(stream=True, stream_options={"include_usage": True}).tells_usage
    assert not parsed(stream=True, stream_options={"include_usage": False}).tells_usage
    assert not parsed(stream=True, stream_options=None).tells_usage


def test_several_prompts_are_told_apart_by_their_place() -> None:
    asked = parsed(prompt=[[1, 2], [3]], logprobs=1, prompt_tokens_per_step=2)
    assert (asked.prompts, asked.logprobs, asked.prompt_tokens_per_step) == (((1, 2), (3,)), 1, 2)
    first, second, third = (
        TokenLogprob(4, -0.5, ((9, -0.1),)),
        TokenLogprob(5, -1.0, ((5, -1.0),)),
        TokenLogprob(6, -2.0, ((7, -0.3),)),
    )
    made = [dialect.NewTokens([4], "length", [first]), dialect.NewTokens([5, 6], "stop", [second, third])]
    answer = dialect.completion_answer(asked, "id", made)
    assert [(one["index"], one["token_ids"], one["logprobs"]) for one in answer["choices"]] == [
        (0, [4], {"token_logprobs": [-0.5], "top_logprobs": [{"9": -0.1}]}),
        (1, [5, 6], {"token_logprobs": [-1.0, -2.0], "top_logprobs": [{"5": -1.0}, {"7": -0.3}]}),
    ]
    assert [dialect.logprobs_of(choice) for choice in answer["choices"]] == [(first,), (second, third)]
    assert answer["usage"] == {
        "prompt_tokens": 3,
        "completion_tokens": 3,
        "total_tokens": 6,
        "prompt_tokens_details": {"cached_tokens": 0},
    }


def test_the_likeliest_are_left_out_where_nobody_asked_for_them() -> None:
    answer = dialect.completion_answer(
        parsed(logprobs=0), "id", [dialect.NewTokens([4], "stop", [TokenLogprob(4, -0.5)])]
    )
    (choice,) = answer["choices"]
    assert choice["logprobs"] == {"token_logprobs": [-0.5]}
    assert dialect.logprobs_of(choice) == (TokenLogprob(4, -0.5),)
    assert dialect.logprobs_of({"token_ids": [4], "logprobs": None}) == ()


@pytest.mark.parametrize(
    ("problem", "status", "kind"),
    [
        (Invalid("x"), 400, "BadRequestError"),
        (NotFound("x"), 404, "NotFoundError"),
        (NotReady("x"), 503, "ServiceUnavailableError"),
        (ModelFailed("x"), 500, "InternalServerError"),
    ],
)
def test_a_refusal_has_its_status(problem: Exception, status: int, kind: str) -> None:
    assert dialect.error(problem) == (status, {"error": {"message": "x", "type": kind, "code": status}})


def test_an_unforeseen_failure_shows_nothing_of_its_inside() -> None:
    _, body = dialect.error(RuntimeError("the prompt was: secret"))
    assert body["error"]["message"] == "The engine failed. Its log says why."


def test_log_probabilities_stand_under_the_id_of_their_token_and_the_first_has_none() -> None:
    answer = dialect.score_answer(parsed(prompt_logprobs=0), "id", [TokenLogprob(2, -0.5)])
    assert answer["choices"][0]["prompt_logprobs"] == [None, {"2": {"logprob": -0.5}}]
