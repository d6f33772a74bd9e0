"""Converse: what it refuses, how a request becomes sampling, what it answers and in which order."""

import asyncio
import base64
import json
from collections.abc import Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.invocation import converse
from outcrop.invocation.count_tokens import count_tokens
from outcrop.invocation.exchange import ChatPrompt
from tests.support.patience import PATIENCE_S
from tests.support.small_tokenizers import TEST_DATA
from tests.support.spoken_target import speaking

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HI = [{"role": "user", "content": [{"text": "hi"}]}]
USER, BOT = HI[0], {"role": "assistant", "content": [{"text": "yes"}]}
RECORDED = TEST_DATA / "bedrock-wire-samples/converse.recorded.jsonl"


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=PATIENCE_S))


async def ask(folder: Path, params: dict[str, Any], said: str = "yes", **changes: Any) -> dict[str, Any]:
    async with speaking(folder, said, **changes) as (target, _):
        return await converse.converse(await converse.prepare(target, params, now=NOW))


async def events_of(folder: Path, params: dict[str, Any], said: str = "yes", **changes: Any) -> list[dict[str, Any]]:
    async with speaking(folder, said, **changes) as (target, _):
        return [event async for event in converse.converse_stream(await converse.prepare(target, params, now=NOW))]


@pytest.mark.parametrize(
    ("params", "problem"),
    [
        ({}, "A conversation must start with a user message. Try again with a conversation that starts with a user message."),
        ({"messages": [BOT, USER]}, "A conversation must start with a user message. Try again with a conversation that starts with a user message."),
        ({"messages": [USER, USER]}, "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again."),
        ({"messages": [{"role": "user", "content": []}]}, "The content field in the Message object at messages.0 is empty. Add a ContentBlock object to the content field and try again."),
        ({"messages": [{"role": "user", "content": [{"text": " "}]}]}, "The text field in the ContentBlock object at messages.0.content.0 is blank. Add text to the text field, and try again."),
        ({"messages": [{"role": "user", "content": [{"text": "a"}, {"image": {"format": "png", "source": {"bytes": b""}}}]}]}, "This model doesn't support image content. Remove the image block at messages.0.content.1 and try again."),
        ({"messages": [{"role": "user", "content": [{"toolResult": {"toolUseId": "a", "content": []}}]}]}, "The toolConfig field must be defined when using toolUse and toolResult content blocks."),
        ({"messages": HI, "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {"type": "object"}}}}]}}, "This model doesn't support tool use."),
        ({"messages": HI, "additionalModelRequestFields": {"enable_thinking": True}}, "thinking: This model does not support extended thinking"),
        ({"messages": HI, "additionalModelRequestFields": {"top_k": 5, "mirostat": 2}}, "Malformed input request: #: extraneous key [mirostat] is not permitted, please reformat your input and try again."),
        ({"messages": HI, "additionalModelResponseFieldPaths": ["stop_sequence"]}, "additionalModelResponseFieldPaths: 'stop_sequence' is not a JSON pointer. Begin it with a slash, as in /stop_sequence."),
        ({"messages": [{"role": "user", "content": [{"text": "x" * 80}]}]}, "Input is too long for requested model. The prompt has 81 tokens, and prompt and answer together may have 64. Shorten the prompt."),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_answered_is_refused(params: dict[str, Any], problem: str, tmp_path: Path) -> None:
    with pytest.raises(Invalid) as refused:
        asyncio.run(ask(tmp_path, params))
    assert refused.value.message == problem


def test_an_answer_holds_message_reason_usage_and_latency(tmp_path: Path) -> None:
    answer = asyncio.run(ask(tmp_path, {"messages": HI}))
    assert answer.pop("metrics")["latencyMs"] >= 0
    assert answer == {
        "output": {"message": {"role": "assistant", "content": [{"text": "yes"}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7},
    }


def test_inference_settings_and_additional_fields_reach_the_engine(tmp_path: Path) -> None:
    async def scenario() -> None:
        params = {
            "messages": HI,
            "inferenceConfig": {"maxTokens": 9, "temperature": 0.0, "topP": 0.25, "stopSequences": ["es"]},
            "additionalModelRequestFields": {
                "inferenceConfig": {"topK": 3},
                "seed": 11,
                "min_p": 0.1,
                "presence_penalty": 1,
            },
        }
        async with speaking(tmp_path, "yes") as (target, engine):
            answer = await converse.converse(await converse.prepare(target, params, now=NOW))
            assert answer["output"]["message"]["content"] == [{"text": "y"}]
            assert answer["stopReason"] == "stop_sequence"
            sent = {key: engine.requests[0][key] for key in ("max_tokens", "temperature", "top_p", "top_k", "seed")}
            assert sent == {"max_tokens": 9, "temperature": 0.0, "top_p": 0.25, "top_k": 3, "seed": 11}
            assert (engine.requests[0]["min_p"], engine.requests[0]["presence_penalty"]) == (0.1, 1)

    run(scenario())


def test_a_request_that_says_nothing_gets_its_familys_defaults(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "yes", dialect="llama") as (target, engine):
            await converse.converse(await converse.prepare(target, {"messages": HI}, now=NOW))
            sent = engine.requests[0]
            assert (sent["max_tokens"], sent["temperature"], sent["top_p"]) == (48, 0.5, 0.9)

    run(scenario())


def test_the_native_answer_can_be_looked_into(tmp_path: Path) -> None:
    paths = ["/stop_sequence", "/usage/input_tokens", "/content/0/type", "/nowhere/else"]
    params = {
        "messages": HI,
        "inferenceConfig": {"stopSequences": ["s"]},
        "additionalModelResponseFieldPaths": paths,
    }
    assert asyncio.run(ask(tmp_path, params, dialect="claude"))["additionalModelResponseFields"] == {
        "stop_sequence": "s",
        "usage": {"input_tokens": 3},
        "content": {"0": {"type": "text"}},
    }


def test_a_full_context_is_told_apart_from_enough_tokens(tmp_path: Path) -> None:
    long = [{"role": "user", "content": [{"text": "x" * 61}]}]
    assert asyncio.run(ask(tmp_path / "a", {"messages": long}))["stopReason"] == "model_context_window_exceeded"
    few = {"messages": HI, "inferenceConfig": {"maxTokens": 1}}
    assert asyncio.run(ask(tmp_path / "b", few))["stopReason"] == "max_tokens"


def test_a_stream_opens_tells_closes_and_measures_in_this_order(tmp_path: Path) -> None:
    events = asyncio.run(events_of(tmp_path, {"messages": HI}, "yé"))
    assert events.pop()["metadata"]["usage"] == {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}
    assert events == [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "y"}, "contentBlockIndex": 0}},
        {"contentBlockDelta": {"delta": {"text": "é"}, "contentBlockIndex": 0}},
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
    ]


def test_tokens_are_counted_by_the_encoding_that_would_serve_them(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "yes") as (target, _):
            assert await count_tokens(target, {"converse": {"messages": HI}}) == 3
            body = json.dumps({"prompt": "hi", "max_gen_len": 5}).encode()
            assert await count_tokens(target, {"invokeModel": {"body": body}}) == 3
            with pytest.raises(Invalid, match="neither invokeModel nor converse"):
                await count_tokens(target, {})

    run(scenario())


def recorded(*, stream: bool) -> list[dict[str, Any]]:
    if not RECORDED.exists():
        pytest.skip(f"{RECORDED} is not here; set OUTCROP_TEST_DATA")
    exchanges = [json.loads(line) for line in RECORDED.read_text().splitlines()]
    return [one for one in exchanges if one["uri"].endswith("stream") == stream]


def test_recorded_requests_are_read_and_what_is_no_text_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with speaking(tmp_path, "yes") as (target, _):
            for exchange in recorded(stream=False) + recorded(stream=True):
                if any("document" in block for turn in exchange["request"]["messages"] for block in turn["content"]):
                    with pytest.raises(Invalid, match="doesn't support document content"):
                        converse.read_converse(target, exchange["request"])
                else:
                    prompt = converse.read_converse(target, exchange["request"]).prompt
                    assert isinstance(prompt, ChatPrompt)
                    assert prompt.tools
                texts = [{**message, "content": [{"text": "in words"}]} for message in exchange["request"]["messages"]]
                plain = {**exchange["request"], "messages": texts, "toolConfig": {}}
                assert converse.read_converse(target, plain).sampling.temperature == 0.7

    run(scenario())


def test_answers_have_the_members_of_recorded_ones(tmp_path: Path) -> None:
    ours = asyncio.run(ask(tmp_path, {"messages": HI}))
    for exchange in recorded(stream=False):
        theirs = exchange["response"]
        assert ours.keys() == theirs.keys()
        assert ours["usage"].keys() <= theirs["usage"].keys()
        assert ours["output"]["message"].keys() == theirs["output"]["message"].keys()


def test_streams_have_the_order_of_recorded_ones(tmp_path: Path) -> None:
    ours = [next(iter(event)) for event in asyncio.run(events_of(tmp_path, {"messages": HI}))]
    for exchange in recorded(stream=True):
        assert base64.b64decode(exchange["response_eventstream_base64"])
        theirs = [event["headers"][":event-type"] for event in exchange["response_events"]]
        assert (ours[0], ours[1]) == (theirs[0], "contentBlockDelta")
        assert ours[-3:] == theirs[-3:] == ["contentBlockStop", "messageStop", "metadata"]
