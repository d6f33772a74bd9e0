"""The same of the operations that ask a model, with a model that answers."""

import asyncio
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from outcrop.api.bedrock.runtime import OPERATIONS
from outcrop.api.door.call import Answer, Streamed
from outcrop.errors import Refusal
from outcrop.protocol import service_model
from tests.support.recorded_members import Recorded
from tests.unit.api import test_runtime as runtime

HARMLESS = {
    "accept": "the one form of an answer is JSON, as contentType says",
    "contentType": "a body is read as the JSON that it has to be",
    "requestMetadata": "it is for the log of invocations, which cannot be set up here",
    "trace": "it is of a guardrail, and these requests name none",
}
SAMPLES: dict[str, Any] = {
    "body": runtime.body(inputText="hi"),
    "messages": [{"role": "user", "content": [{"text": "hi"}]}],
    "system": [{"text": "Be brief."}],
    "inferenceConfig": {"maxTokens": 3},
    "toolConfig": {"tools": [{"toolSpec": {"name": "t", "inputSchema": {"json": {}}}}]},
    "guardrailConfig": {"guardrailIdentifier": "g", "guardrailVersion": "1"},
    "additionalModelRequestFields": {"top_k": 1},
    "promptVariables": {"a": {"text": "b"}},
    "additionalModelResponseFieldPaths": ["/results"],
    "performanceConfig": {"latency": "optimized"},
    "serviceTier": {"type": "flex"},
    "outputConfig": {"textFormat": {"type": "json_schema"}},
    "input": {"invokeModel": {"body": runtime.body(inputText="hi")}},
    "guardrailIdentifier": "g",
    "guardrailVersion": "1",
    "source": "INPUT",
    "content": [{"text": {"text": "hi"}}],
    "outputScope": "FULL",
}
NEEDED = {
    "Converse": ("messages",),
    "ConverseStream": ("messages",),
    "InvokeModel": ("body",),
    "InvokeModelWithResponseStream": ("body",),
    "CountTokens": ("input",),
    "ApplyGuardrail": ("guardrailIdentifier", "guardrailVersion", "source", "content"),
}


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_no_member_is_dropped_in_silence(tmp_path: Path, operation: str) -> None:
    shape = service_model.operation("bedrock-runtime", operation).input_shape
    assert shape is not None
    dropped = []

    async def scenario() -> None:
        async with runtime.house(tmp_path) as place:
            for name in shape.members.keys() - {"modelId"}:
                seen: set[str] = set()
                given = {each: SAMPLES[each] for each in NEEDED[operation]} | {name: SAMPLES.get(name, "value")}
                try:
                    await place.call(operation, recorded=partial(Recorded, seen=seen), **given)
                except Refusal as refusal:
                    seen |= {name} if name in str(refusal) or name == "toolConfig" else set()
                if name not in seen and name not in HARMLESS:
                    dropped.append(name)

    runtime.run(scenario())
    assert dropped == []


def test_a_wish_for_speed_or_price_is_told_what_it_got(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with runtime.house(tmp_path) as place:
            wish: dict[str, Any] = {"performanceConfig": {"latency": "optimized"}, "serviceTier": {"type": "flex"}}
            got = {"performanceConfig": {"latency": "standard"}, "serviceTier": {"type": "default"}}
            answer = await place.call("Converse", messages=SAMPLES["messages"], **wish)
            assert isinstance(answer, Answer)
            assert {name: answer.members[name] for name in got} == got
            *_, last = await place.events("ConverseStream", messages=SAMPLES["messages"], **wish)
            assert {name: last["metadata"][name] for name in got} == got
            plain = await place.call("Converse", messages=SAMPLES["messages"])
            assert isinstance(plain, Answer)
            assert not got.keys() & plain.members.keys()

            wish = {"performanceConfigLatency": "optimized", "serviceTier": "flex"}
            got_by_invoke = {"performanceConfigLatency": "standard", "serviceTier": "default"}
            for operation in ("InvokeModel", "InvokeModelWithResponseStream"):
                answered = await place.call(operation, body=SAMPLES["body"], **wish)
                assert isinstance(answered, Answer | Streamed)
                assert {name: answered.members[name] for name in got_by_invoke} == got_by_invoke

    asyncio.run(scenario())
