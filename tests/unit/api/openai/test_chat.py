"""Chat completions at OpenAI's door: answers and streams to the letter, every field served or refused by its name."""

import asyncio
import json
from typing import Any

import pytest

from tests.support.openai_house import HI, STARTER, Json, OpenAiHouse, run, speaking

CHAT = {"model": STARTER, "messages": HI}
COMMON = {"created": 1767225600, "model": STARTER, "service_tier": "default", "system_fingerprint": None}


def test_a_whole_answer_is_openais_to_the_letter(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            answer = await place.post("/chat/completions", **CHAT)
            assert answer.pop("id").startswith("chatcmpl-")
            usage = answer.pop("usage")
            assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]
            message: Json = {"role": "assistant", "content": "yes", "refusal": None, "annotations": []}
            choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
            assert answer == {"object": "chat.completion", **COMMON, "choices": [choice]}

    run(scenario())


def test_what_the_engine_had_read_of_the_prompt_is_part_of_the_usage(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            assert "prompt_tokens_details" not in (await place.post("/chat/completions", **CHAT))["usage"]
            place.engine.num_cached = 3
            told = (await place.post("/chat/completions", **CHAT))["usage"]
            assert told["prompt_tokens_details"] == {"cached_tokens": 3}
            response = await place.post("/responses", model=STARTER, input="hi")
            assert response["usage"]["input_tokens_details"] == {"cached_tokens": 3}

    run(scenario())


def test_a_stream_begins_with_the_role_and_ends_with_done(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes, it is") as place:
            chunks = await place.stream("/chat/completions", **CHAT)
            assert {chunk["id"] for chunk in chunks} == {chunks[0]["id"]}
            assert all(chunk["object"] == "chat.completion.chunk" and "usage" not in chunk for chunk in chunks)
            deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
            assert deltas[0] == {"role": "assistant", "content": "", "refusal": None}
            assert "".join(delta["content"] for delta in deltas[1:-1]) == "yes, it is"
            assert deltas[-1] == {}
            reasons = [chunk["choices"][0]["finish_reason"] for chunk in chunks]
            assert reasons == [None] * (len(chunks) - 1) + ["stop"]

    run(scenario())


def test_the_last_chunk_tells_the_tokens_where_that_is_asked_for(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            whole = await place.post("/chat/completions", **CHAT)
            chunks = await place.stream("/chat/completions", **CHAT, stream_options={"include_usage": True})
            assert [chunk["usage"] for chunk in chunks[:-1]] == [None] * (len(chunks) - 1)
            assert (chunks[-1]["choices"], chunks[-1]["usage"]) == ([], whole["usage"])

    run(scenario())


def test_n_answers_have_seeds_of_their_own_and_one_prompt(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, lambda body: f"seed {body['seed']}") as place:
            one = await place.post("/chat/completions", **CHAT, seed=7)
            three = await place.post("/chat/completions", **CHAT, seed=7, n=3)
            assert [choice["index"] for choice in three["choices"]] == [0, 1, 2]
            said = [choice["message"]["content"] for choice in three["choices"]]
            assert said == ["seed 7", "seed 8", "seed 9"]
            assert said[0] == one["choices"][0]["message"]["content"]
            assert three["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]
            assert three["usage"]["completion_tokens"] == 3 * one["usage"]["completion_tokens"]
            # Without a seed, each is drawn anew.
            drawn = await place.post("/chat/completions", **CHAT, n=2)
            assert len({choice["message"]["content"] for choice in drawn["choices"]}) == 2

    run(scenario())


def test_n_streams_come_side_by_side_each_whole(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, lambda body: f"this is number {body['seed']}") as place:
            options = {"include_usage": True}
            chunks = await place.stream("/chat/completions", **CHAT, seed=7, n=3, stream_options=options)
            texts, ends = ["", "", ""], [0, 0, 0]
            for chunk in chunks[:-1]:
                (choice,) = chunk["choices"]
                texts[choice["index"]] += choice["delta"].get("content") or ""
                ends[choice["index"]] += choice["finish_reason"] == "stop"
            assert texts == ["this is number 7", "this is number 8", "this is number 9"]
            assert ends == [1, 1, 1]
            whole = await place.post("/chat/completions", **CHAT, seed=7, n=3)
            assert chunks[-1]["usage"] == whole["usage"]

    run(scenario())


def test_every_sampling_option_reaches_the_engine(shared: OpenAiHouse) -> None:
    options: Json = {
        "temperature": 0.5,
        "top_p": 0.9,
        "top_k": 5,
        "min_p": 0.1,
        "presence_penalty": 0.25,
        "frequency_penalty": -0.25,
        "repetition_penalty": 1.5,
        "seed": 3,
    }

    async def scenario() -> None:
        async with speaking(shared) as place:
            await place.post("/chat/completions", **CHAT, **options, max_completion_tokens=9, logit_bias={"5": 2})
            (request,) = place.engine.requests
            assert {name: request[name] for name in options} == options
            assert (request["max_tokens"], request["logit_bias"]) == (9, {"5": 2})
            await place.post("/chat/completions", **CHAT, max_tokens=8)
            assert place.engine.requests[-1]["max_tokens"] == 8

    run(scenario())


def test_a_stop_sequence_ends_the_answer_and_a_limit_cuts_it(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes, it is") as place:
            for stop in (", it", [", it"]):
                answer = await place.post("/chat/completions", **CHAT, stop=stop)
                (choice,) = answer["choices"]
                assert (choice["message"]["content"], choice["finish_reason"]) == ("yes", "stop")
            answer = await place.post("/chat/completions", **CHAT, max_tokens=1)
            assert answer["choices"][0]["finish_reason"] == "length"
            assert answer["usage"]["completion_tokens"] == 1

    run(scenario())


def test_log_probabilities_are_told_with_each_token(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes") as place:
            answer = await place.post("/chat/completions", **CHAT, logprobs=True, top_logprobs=2)
            content = answer["choices"][0]["logprobs"]["content"]
            assert "".join(one["token"] for one in content) == "yes"
            assert all(one["logprob"] == -0.5 and len(one["top_logprobs"]) == 2 for one in content)
            chunks = await place.stream("/chat/completions", **CHAT, logprobs=True)
            told = [one for chunk in chunks for one in (chunk["choices"][0]["logprobs"] or {"content": []})["content"]]
            assert [one["token"] for one in told] == [one["token"] for one in content]

    run(scenario())


@pytest.mark.parametrize(
    ("more", "param", "code"),
    [
        ({"audio": {"voice": "alloy"}}, "audio", "unsupported_parameter"),
        ({"functions": []}, "functions", "unsupported_parameter"),
        ({"function_call": "auto"}, "function_call", "unsupported_parameter"),
        ({"prediction": {"type": "content"}}, "prediction", "unsupported_parameter"),
        ({"web_search_options": {}}, "web_search_options", "unsupported_parameter"),
        ({"store": True}, "store", "unsupported_parameter"),
        ({"service_tier": "priority"}, "service_tier", "unsupported_parameter"),
        ({"modalities": ["text", "audio"]}, "modalities", "unsupported_parameter"),
        ({"verbosity": "low"}, "verbosity", "unsupported_parameter"),
        ({"stream": True, "stream_options": {"include_obfuscation": True}}, "stream_options.include_obfuscation", "unsupported_parameter"),
        ({"stream_options": {"include_usage": True}}, "stream_options", "invalid_value"),
        ({"colour": "red"}, "colour", "unknown_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"temperature": "hot"}, "temperature", "invalid_type"),
        ({"n": 0}, "n", "invalid_value"),
        ({"n": 129}, "n", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"logit_bias": {"a": 1}}, "logit_bias.a", "unknown_parameter"),
        ({"stream": "yes"}, "stream", "invalid_type"),
        ({"metadata": {"a": 1}}, "metadata", "invalid_value"),
        ({"messages": []}, "messages", "invalid_value"),
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": [{"role": "bot", "content": "a"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]}, "messages[0].content[0].type", "invalid_value"),
        ({"messages": [*HI, {"role": "tool", "tool_call_id": "c1", "content": "4"}]}, "messages[1].tool_call_id", "invalid_value"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].function", "missing_required_parameter"),
        ({"tool_choice": "required"}, "tool_choice", "invalid_value"),
        ({"tool_choice": {"type": "function", "function": {"name": "f"}}}, "tool_choice.function.name", "invalid_value"),
        ({"response_format": {"type": "xml"}}, "response_format.type", "invalid_value"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema", "missing_required_parameter"),
        ({"reasoning_effort": "huge"}, "reasoning_effort", "invalid_value"),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"model": 5}, "model", "invalid_type"),
    ],
)  # fmt: skip
def test_what_is_not_served_or_wrong_is_refused_by_its_name(
    more: Json, param: str, code: str, shared: OpenAiHouse
) -> None:
    async def scenario() -> None:
        error = await shared.refused("POST", "/chat/completions", 400, json={**CHAT, **more})
        assert (error["param"], error["code"], error["type"]) == (param, code, "invalid_request_error")
        assert shared.engine.requests == []

    run(scenario())


def test_members_that_are_null_are_absent_and_hints_change_nothing(shared: OpenAiHouse) -> None:
    hints: Json = {
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "metadata": {"a": "b"},
        "store": False,
        "service_tier": "auto",
        "temperature": None,
        "tools": None,
        "stop": None,
        "n": None,
        "stream": None,
    }

    async def scenario() -> None:
        async with speaking(shared) as place:
            assert (await place.post("/chat/completions", **CHAT, **hints))["choices"][0]["message"]["content"] == "yes"

    run(scenario())


def test_a_model_that_is_not_there_is_told_as_openai_tells_it(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            for model in (
                "gpt-5",
                "ft:gpt-5:outcrop:x:abcdefghijkl",
                f"arn:aws:bedrock:us-east-1:{place.house.account}:custom-model-deployment/abcdefghijkl",
            ):
                error = await place.refused("POST", "/chat/completions", 404, json={**CHAT, "model": model})
                assert error["message"].startswith(
                    f"The model `{model}` does not exist or you do not have access to it."
                )
                assert (error["param"], error["code"]) == ("model", "model_not_found")

    run(scenario())


def test_a_prompt_that_is_too_long_has_openais_code(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            long = [{"role": "user", "content": "hello " * 3000}]
            error = await place.refused("POST", "/chat/completions", 400, json={**CHAT, "messages": long})
            assert (error["code"], error["param"]) == ("context_length_exceeded", "messages")
            assert error["message"].startswith("This model's maximum context length is exceeded. Input is too long")

    run(scenario())


def test_a_conversation_reaches_the_template_whole(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared) as place:
            messages = [
                {"role": "developer", "content": "Be brief."},
                {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
                {"role": "assistant", "content": "c", "refusal": None, "audio": None, "annotations": []},
                {"role": "user", "content": "d", "name": "ada"},
            ]
            await place.post("/chat/completions", model=STARTER, messages=messages)
            turns = "<|system|>Be brief.<|end|><|user|>a\nb<|end|><|assistant|>c<|end|><|user|>d<|end|><|assistant|>"
            assert place.prompt() == f"<|begin|>{turns}"

    run(scenario())


def test_an_engine_that_breaks_off_ends_the_stream_with_an_error(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes, it is so") as place:
            place.engine.die_after = [3]
            answer = await place.ask("POST", "/chat/completions", json={**CHAT, "stream": True})
            *_, last = answer.text.removesuffix("\n\n").split("\n\n")
            error = json.loads(last.removeprefix("data: "))["error"]
            assert error["code"] == "ModelStreamErrorException"
            assert "[DONE]" not in answer.text

    run(scenario())


def test_a_client_that_leaves_ends_every_generation(shared: OpenAiHouse) -> None:
    async def scenario() -> None:
        async with speaking(shared, "yes, it is so and on it goes") as place:
            place.engine.pause_after = 3
            left = asyncio.Event()
            body = json.dumps({**CHAT, "stream": True, "n": 2}).encode()
            sent: list[dict[str, Any]] = []
            received = iter([{"type": "http.request", "body": body}])

            async def receive() -> dict[str, Any]:
                message = next(received, None)
                if message is None:
                    await left.wait()
                    return {"type": "http.disconnect"}
                return message

            async def send(message: Any) -> None:
                sent.append(message)
                if b"content" in message.get("body", b"") and len(sent) > 4:
                    left.set()

            await place.door(scope_of("/v1/chat/completions", place.key, len(body)), receive, send)
            await asyncio.wait_for(place.engine.hung_up.wait(), 5)
            assert len(place.engine.requests) == 2

    run(scenario())


def scope_of(path: str, key: str, length: int) -> dict[str, Any]:
    headers = [(b"authorization", f"Bearer {key}".encode()), (b"content-length", str(length).encode())]
    return {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
