"""Models of real Bedrock: operations passed through untouched, errors with their codes, other forms by Converse."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest

from outcrop.catalog.remote_model import RemoteApi, RemoteModel
from outcrop.errors import Invalid, ModelFailed, NotReady, Refusal, ServiceRefusal
from outcrop.invocation.exchange import (
    AnswerPiece,
    ChatPrompt,
    Finish,
    Finished,
    InvocationRequest,
    RawPrompt,
    SamplingOptions,
    Tool,
    ToolCall,
)
from outcrop.invocation.remote.bedrock import BedrockEngine, BedrockRelay
from outcrop.invocation.remote.credentials import AwsKeys, BearerKey, RemoteKey
from outcrop.invocation.remote.https import RemoteHttp
from outcrop.protocol.eventstream import encode_error, encode_event, encode_exception
from tests.support.bedrock_double import (
    KEY_ID,
    REGION,
    SECRET,
    TOKEN,
    BedrockDouble,
    Recorded,
    bedrock_double,
    frames,
    signature_holds,
)
from tests.support.patience import PATIENCE_S

MODEL = "us.anthropic.claude-sonnet-4-20250514-v1:0"
KEYS = AwsKeys(access_key_id=KEY_ID, secret_access_key=SECRET, session_token=TOKEN)
HI = {"modelId": "house.claude-v1", "messages": [{"role": "user", "content": [{"text": "hi"}]}]}
ANSWER = {
    "output": {"message": {"role": "assistant", "content": [{"text": "Hello."}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 8, "outputTokens": 3, "totalTokens": 11},
    "metrics": {"latencyMs": 321},
}
NEUTRAL = SamplingOptions(max_tokens=None, temperature=1.0, top_p=1.0)


def ask(double: BedrockDouble, asking: Callable[[BedrockRelay], Awaitable[Any]], key: RemoteKey | None = KEYS) -> Any:
    async def asked() -> Any:
        remote = RemoteModel(api=RemoteApi.BEDROCK, url=double.url, model=MODEL, region=REGION)
        relay = BedrockRelay(remote, key, RemoteHttp(remote.host))
        try:
            async with asyncio.timeout(PATIENCE_S):
                return await asking(relay)
        finally:
            await relay.aclose()

    return asyncio.run(asked())


def call(double: BedrockDouble, operation: str, params: dict[str, Any], key: RemoteKey | None = KEYS) -> Any:
    return ask(double, lambda relay: relay.call(operation, params), key)


def events(double: BedrockDouble, operation: str, params: dict[str, Any]) -> Any:
    async def read(relay: BedrockRelay) -> Any:
        stream = await relay.stream(operation, params)
        async with aclosing(stream.events) as coming:
            return stream.members, [event async for event in coming]

    return ask(double, read)


def recorded(body: Any, **more: Any) -> Recorded:
    return Recorded(pieces=(json.dumps(body).encode(),), **more)


def test_converse_is_signed_for_the_registered_model_and_answered_as_bedrock_answers() -> None:
    with bedrock_double(recorded(ANSWER)) as double:
        config = {"inferenceConfig": {"maxTokens": 5}, "additionalModelRequestFields": {"top_k": 3}}
        relayed = call(double, "Converse", {**HI, **config})
        assert relayed.members == ANSWER
        path, headers, body = double.requests[0]
        assert path == "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse"
        assert json.loads(body) == {"messages": HI["messages"], **config}
        assert headers["x-amz-security-token"] == TOKEN
        assert f"Credential={KEY_ID}/" in headers["authorization"]
        assert signature_holds(double)


def test_a_body_of_the_models_own_passes_untouched_both_ways() -> None:
    sent, came = b'{"anthropic_version": "x",\n "odd":1}', b'{"content":[],\n  "unknown_member": "\xc3\xa9"}'
    told = {
        "content-type": "application/json",
        "x-amzn-bedrock-input-token-count": "4",
        "x-amzn-bedrock-output-token-count": "2",
        "x-amzn-bedrock-invocation-latency": "77",
        "x-amzn-bedrock-service-tier": "default",
        "x-amzn-requestid": "not-ours",
    }
    with bedrock_double(Recorded(headers=told, pieces=(came[:9], came[9:]))) as double:
        params = {"modelId": "x", "body": sent, "contentType": "application/json", "accept": "*/*", "trace": "ENABLED"}
        relayed = call(double, "InvokeModel", params)
        assert relayed.members == {"body": came, "contentType": "application/json", "serviceTier": "default"}
        assert relayed.headers == {
            "x-amzn-bedrock-input-token-count": "4",
            "x-amzn-bedrock-output-token-count": "2",
            "x-amzn-bedrock-invocation-latency": "77",
        }
        path, headers, body = double.requests[0]
        assert (path.rpartition("/")[2], body) == ("invoke", sent)
        assert (headers["accept"], headers["x-amzn-bedrock-trace"]) == ("*/*", "ENABLED")
        assert signature_holds(double)


def test_a_body_that_is_no_text_passes_too() -> None:
    with bedrock_double(Recorded(pieces=(b"\xff\x00\xfe",))) as double:
        assert call(double, "InvokeModel", {"modelId": "x", "body": b"\x00\xff"}).members["body"] == b"\xff\x00\xfe"
        assert double.requests[0][2] == b"\x00\xff"


def test_a_bedrock_api_key_goes_out_as_it_is_and_no_signature_with_it() -> None:
    with bedrock_double(recorded({"inputTokens": 9})) as double:
        source = {"converse": {"messages": HI["messages"]}}
        counted = call(double, "CountTokens", {"modelId": "x", "input": source}, BearerKey("ABSKabc"))
        assert counted.members == {"inputTokens": 9}
        assert double.requests[0][1]["authorization"] == "Bearer ABSKabc"


def test_events_of_converse_pass_one_by_one_wherever_the_connection_cuts_them() -> None:
    told: list[dict[str, Any]] = [
        {"messageStart": {"role": "assistant"}},
        {"contentBlockDelta": {"delta": {"text": "Hé"}, "contentBlockIndex": 0}},
        {
            "contentBlockDelta": {
                "delta": {"reasoningContent": {"redactedContent": b"\x00\x01"}},
                "contentBlockIndex": 1,
            }
        },
        {"contentBlockStop": {"contentBlockIndex": 0}},
        {"messageStop": {"stopReason": "end_turn"}},
        {"metadata": {"usage": ANSWER["usage"], "metrics": {"latencyMs": 5}}},
    ]
    wire = [(name, members) for event in told for name, members in event.items()]
    wire[2][1]["delta"] = {"reasoningContent": {"redactedContent": "AAE="}}
    encoded = [encode_event(name, json.dumps(members).encode()) for name, members in wire]
    told[2]["contentBlockDelta"]["delta"] = {"reasoningContent": {"redactedContent": b"\x00\x01"}}
    unknown = encode_event("somethingNew", b"{}")
    with bedrock_double(frames(*encoded[:2], unknown, *encoded[2:])) as double:
        members, came = events(double, "ConverseStream", HI)
        assert (members, came) == ({}, told)


def test_chunks_of_a_models_own_stream_pass_untouched() -> None:
    chunks = [b'{"type":"message_start"}', b'{"amazon-bedrock-invocationMetrics":{"inputTokenCount":1}}']
    import base64

    encoded = [encode_event("chunk", json.dumps({"bytes": base64.b64encode(c).decode()}).encode()) for c in chunks]
    answer = frames(*encoded)
    answer.headers["x-amzn-bedrock-content-type"] = "application/json"
    with bedrock_double(answer) as double:
        members, came = events(double, "InvokeModelWithResponseStream", {"modelId": "x", "body": b"{}"})
        assert members == {"contentType": "application/json"}
        assert came == [{"chunk": {"bytes": chunk}} for chunk in chunks]


@pytest.mark.parametrize(
    ("status", "code", "members"),
    [
        (400, "ValidationException", {}),
        (403, "AccessDeniedException", {}),
        (404, "ResourceNotFoundException", {}),
        (408, "ModelTimeoutException", {}),
        (424, "ModelErrorException", {"originalStatusCode": 500, "resourceName": "m"}),
        (429, "ThrottlingException", {}),
        (429, "ModelNotReadyException", {}),
        (503, "ServiceUnavailableException", {}),
    ],
)
def test_an_error_passes_with_its_code_status_and_members(status: int, code: str, members: dict[str, Any]) -> None:
    headers = {"x-amzn-errortype": f"{code}:http://internal.amazon.com/coral/com.amazon.bedrock/"}
    with bedrock_double(recorded({"message": "as AWS says it", **members}, status=status, headers=headers)) as double:
        with pytest.raises(ServiceRefusal) as found:
            call(double, "Converse", HI)
        problem = found.value
        assert (problem.code, problem.http_status, problem.message) == (code, status, "as AWS says it")
        assert problem.members == members
        assert len(double.requests) == 1  # the caller's own client knows how to ask again


@pytest.mark.parametrize("code", ["ExpiredTokenException", "UnrecognizedClientException", "InvalidSignatureException"])
def test_a_word_about_the_sealed_credentials_is_not_taken_for_one_about_the_callers(code: str) -> None:
    headers = {"x-amzn-errortype": code}
    with bedrock_double(recorded({"message": f"about {SECRET}"}, status=403, headers=headers)) as double:
        with pytest.raises(ModelFailed) as found:
            call(double, "Converse", HI)
        assert f"does not accept the credentials of this model ({code})" in str(found.value)
        assert SECRET not in str(found.value)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Recorded(status=503, pieces=(b"<html>busy</html>",)), NotReady),
        (Recorded(status=500, pieces=(b"",)), ModelFailed),
        (Recorded(status=302, headers={"location": "https://elsewhere/"}), ModelFailed),
    ],
)
def test_what_is_no_answer_of_bedrock_is_told_by_its_status(answer: Recorded, kind: type[Refusal]) -> None:
    with bedrock_double(answer) as double, pytest.raises(kind):
        call(double, "Converse", HI)


def test_an_exception_in_a_stream_passes_with_its_code_and_members() -> None:
    begun = encode_event("messageStart", b'{"role": "assistant"}')
    failed = encode_exception("modelStreamErrorException", "it broke", originalStatusCode=500, originalMessage="why")
    with bedrock_double(frames(begun, failed)) as double:
        with pytest.raises(ServiceRefusal) as found:
            events(double, "ConverseStream", HI)
        problem = found.value
        assert (problem.code, problem.message, problem.http_status) == ("ModelStreamErrorException", "it broke", 424)
        assert problem.members == {"originalStatusCode": 500, "originalMessage": "why"}


def test_an_error_in_a_stream_that_nobody_modelled_passes_with_its_code() -> None:
    with bedrock_double(frames(encode_error("InternalFailure", "oh"))) as double:
        with pytest.raises(ServiceRefusal) as found:
            events(double, "ConverseStream", HI)
        assert (found.value.code, found.value.message) == ("InternalFailure", "oh")


def test_a_stream_that_breaks_is_told() -> None:
    answer = Recorded(pieces=(encode_event("messageStart", b'{"role": "assistant"}'),), breaks=True)
    with bedrock_double(answer) as double:
        with pytest.raises(ServiceRefusal) as found:
            events(double, "ConverseStream", HI)
        assert found.value.code == "ModelStreamErrorException"


def invocation(prompt: Any, **sampling: Any) -> InvocationRequest:
    options = {"max_tokens": None, "temperature": 1.0, "top_p": 1.0, **sampling}
    return InvocationRequest(prompt=prompt, sampling=SamplingOptions(**options))


def test_an_invocation_of_another_form_is_put_in_converses_words() -> None:
    function = {"name": "add", "arguments": {"a": 1}}
    turns: list[dict[str, Any]] = [
        {"role": "user", "content": "1 and 2?"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [{"id": "c1", "type": "function", "function": function}],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "3"},
        {"role": "tool", "tool_call_id": "c2", "content": "4"},
        {"role": "user", "content": "So?"},
    ]
    tools = (Tool(name="add", schema={"type": "object"}, description="Adds."),)
    prompt = ChatPrompt(messages=turns, system="Short.", tools=tools, tool_choice="any")
    answer = json.loads(json.dumps(ANSWER))
    answer["output"]["message"]["content"] = [
        {"reasoningContent": {"reasoningText": {"text": "hm"}}},
        {"text": "Adding."},
        {"toolUse": {"toolUseId": "c3", "name": "add", "input": {"a": 7}}},
    ]
    answer["stopReason"] = "tool_use"
    with bedrock_double(recorded(answer)) as double:
        asked = invocation(prompt, max_tokens=9, temperature=0.2, stop_sequences=("END",))
        finished = ask(double, lambda relay: BedrockEngine(relay).complete(asked))
        assert finished == Finished(
            text="Adding.",
            num_output_tokens=3,
            num_input_tokens=8,
            finish=Finish.TOOL_USE,
            reasoning="hm",
            tool_calls=(ToolCall(id="c3", name="add", arguments={"a": 7}),),
            num_blocks=3,
        )
        assert json.loads(double.requests[0][2]) == {
            "system": [{"text": "Short."}],
            "inferenceConfig": {"maxTokens": 9, "temperature": 0.2, "stopSequences": ["END"]},
            "toolConfig": {
                "tools": [
                    {"toolSpec": {"name": "add", "description": "Adds.", "inputSchema": {"json": {"type": "object"}}}}
                ],
                "toolChoice": {"any": {}},
            },
            "messages": [
                {"role": "user", "content": [{"text": "1 and 2?"}]},
                {"role": "assistant", "content": [{"toolUse": {"toolUseId": "c1", "name": "add", "input": {"a": 1}}}]},
                {
                    "role": "user",
                    "content": [
                        {"toolResult": {"toolUseId": "c1", "content": [{"text": "3"}]}},
                        {"toolResult": {"toolUseId": "c2", "content": [{"text": "4"}]}},
                        {"text": "So?"},
                    ],
                },
            ],
        }


def test_a_stream_of_another_form_comes_in_pieces_and_then_whole() -> None:
    use = {"toolUse": {"toolUseId": "c1", "name": "add"}}
    told: list[tuple[str, Any]] = [
        ("messageStart", {"role": "assistant"}),
        ("contentBlockDelta", {"delta": {"text": "Well"}, "contentBlockIndex": 0}),
        ("contentBlockStart", {"start": use, "contentBlockIndex": 1}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": '{"a":'}}, "contentBlockIndex": 1}),
        ("contentBlockDelta", {"delta": {"toolUse": {"input": " 1}"}}, "contentBlockIndex": 1}),
        ("messageStop", {"stopReason": "tool_use"}),
        ("metadata", {"usage": ANSWER["usage"], "metrics": {"latencyMs": 5}}),
    ]
    encoded = [encode_event(name, json.dumps(members).encode()) for name, members in told]

    async def read(relay: BedrockRelay) -> list[AnswerPiece | Finished]:
        asked = invocation(ChatPrompt(messages=[{"role": "user", "content": "hi"}]))
        async with aclosing(BedrockEngine(relay).stream(asked)) as items:
            return [item async for item in items]

    with bedrock_double(frames(*encoded)) as double:
        *pieces, last = ask(double, read)
        assert [(p.part, p.block, p.opens, p.call_name, p.text) for p in pieces] == [
            ("text", 0, True, "", "Well"),
            ("tool", 1, True, "add", '{"a":'),
            ("tool", 1, False, "add", " 1}"),
        ]
        assert (last.tool_calls[0].arguments, last.num_input_tokens, last.num_output_tokens) == ({"a": 1}, 8, 3)


@pytest.mark.parametrize("option", [{"seed": 3}, {"top_k": 2}, {"logprobs": 0}, {"min_p": 0.1}])
def test_what_converse_has_no_words_for_is_refused_by_name_before_anything_is_sent(option: dict[str, Any]) -> None:
    with bedrock_double() as double:

        async def check(relay: BedrockRelay) -> None:
            BedrockEngine(relay).check(invocation(RawPrompt(text="x"), **option))

        with pytest.raises(Invalid, match=f"has no words for {next(iter(option))}"):
            ask(double, check)
        assert double.requests == []
