"""The handlers of bedrock-runtime, from a call to what the door sends."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pytest

from outcrop.access.caller import Caller
from outcrop.access.needs.named import Named
from outcrop.api.bedrock.runtime import OPERATIONS
from outcrop.api.door.call import Answer, Call, Streamed, Usage
from outcrop.clock import Clock, MovableClock
from outcrop.errors import Invalid, NotFound, ServiceRefusal
from outcrop.invocation.target import Target
from tests.support.engine_double import EngineDouble
from tests.support.patience import PATIENCE_S
from tests.support.spoken_target import speaking

ADA = Caller(arn="arn:aws:iam::123456789012:user/ada", account="123456789012", user_id="AIDA", key_id="AKIA")
METRICS = "amazon-bedrock-invocationMetrics"


@dataclass(frozen=True)
class OneTarget:
    """Targets of a house with a single model."""

    target: Target

    def find(self, model_id: str, _thing: object, _row: None, *, caller: Caller) -> Target:
        assert (model_id, caller) == ("arn:custom", ADA)
        return self.target

    resolve = find


class OneAccess:
    """Access of a house where nobody asks what a name stands for."""

    def named(self, _call: Call, _member: str) -> object:
        return None

    def row(self, _call: Call, _member: str) -> None:
        return None

    def find_named(self, _region: str, identifier: str, kinds: tuple[str, ...]) -> tuple[Named, None]:
        return Named(kind=kinds[0], arn=identifier, is_known=False), None


@dataclass(frozen=True)
class OnePlatform:
    targets: OneTarget
    access: OneAccess
    clock: Clock


class Furnished:
    def __init__(self, target: Target, engine: EngineDouble) -> None:
        self.engine = engine
        self._platform: Any = OnePlatform(OneTarget(target), OneAccess(), MovableClock())
        self.usage = Usage()
        "Of the last call."

    async def call(self, operation: str, *, recorded: Callable[[Any], Any] = dict, **params: Any) -> Any:
        """`recorded`: makes of the parameters what its handler gets."""
        call = Call(
            service="bedrock-runtime",
            operation=operation,
            params=recorded({"modelId": "arn:custom", **params}),
            caller=ADA,
            region="us-east-1",
            request_id="r",
            headers={},
        )
        self.usage = call.usage
        return await cast(Any, OPERATIONS[operation](self._platform, call))

    async def events(self, operation: str, **params: Any) -> list[dict[str, Any]]:
        answer = await self.call(operation, **params)
        assert isinstance(answer, Streamed)
        return [event async for event in answer.events]


@asynccontextmanager
async def house(folder: Path, said: str = "yes", **changes: Any) -> AsyncIterator[Furnished]:
    async with speaking(folder, said, **changes) as (target, engine):
        yield Furnished(target, engine)


def run(scenario: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(scenario, timeout=PATIENCE_S))


def body(**content: Any) -> bytes:
    return json.dumps(content).encode()


def test_an_invocation_answers_in_the_bodys_dialect_and_counts_tokens_in_headers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            answer = await place.call("InvokeModel", body=body(inputText="hi"))
            assert isinstance(answer, Answer)
            assert answer.members["contentType"] == "application/json"
            assert json.loads(answer.members["body"]) == {
                "inputTextTokenCount": 3,
                "results": [{"tokenCount": 4, "outputText": "yes", "completionReason": "FINISH"}],
            }
            headers = dict(answer.headers)
            assert int(headers.pop("x-amzn-bedrock-invocation-latency")) >= 0
            assert headers == {"x-amzn-bedrock-input-token-count": "3", "x-amzn-bedrock-output-token-count": "4"}

    run(scenario())


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("InvokeModel", {"body": body(inputText="hi")}),
        ("InvokeModelWithResponseStream", {"body": body(inputText="hi")}),
        ("Converse", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
        ("ConverseStream", {"messages": [{"role": "user", "content": [{"text": "hi"}]}]}),
    ],
)
def test_every_invocation_tells_the_tokens_it_took(operation: str, params: dict[str, Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            answer = await place.call(operation, **params)
            if isinstance(answer, Streamed):
                await anext(answer.events)
                taken = place.usage.output_tokens  # of an answer whose reader may leave now
                assert 1 <= taken < 4
                assert [event async for event in answer.events]
            assert place.usage == Usage(input_tokens=3, output_tokens=4)

    run(scenario())


@pytest.mark.parametrize(
    "content",
    [
        {"inputText": "hi"},
        {"prompt": "hi", "max_gen_len": 9},
        {"prompt": "hi", "max_tokens": 9},
        {"messages": [{"role": "user", "content": "hi"}]},
        {"messages": [{"role": "user", "content": [{"text": "hi"}]}]},
        {
            "anthropic_version": "bedrock-2023-05-31",
            "max_tokens": 9,
            "messages": [{"role": "user", "content": "hi"}],
        },
    ],
)
def test_the_last_chunk_of_every_dialect_holds_the_metrics(content: dict[str, Any], tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            events = await place.events("InvokeModelWithResponseStream", body=body(**content))
            chunks = [json.loads(event["chunk"]["bytes"]) for event in events]
            assert [METRICS in chunk for chunk in chunks] == [False] * (len(chunks) - 1) + [True]
            metrics = chunks[-1][METRICS]
            assert (metrics["inputTokenCount"], metrics["outputTokenCount"]) == (3, 4)
            assert 0 <= metrics["firstByteLatency"] <= metrics["invocationLatency"]

    run(scenario())


def test_a_stream_that_breaks_after_its_first_text_ends_with_a_stream_error(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            place.engine.die_after = [2]
            with pytest.raises(ServiceRefusal) as broken:
                await place.events("InvokeModelWithResponseStream", body=body(inputText="hi"))
            assert broken.value.code == "ModelStreamErrorException"

    run(scenario())


def test_a_bad_body_is_refused_before_the_stream_begins(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            with pytest.raises(Invalid, match="Malformed input request"):
                await place.call("InvokeModelWithResponseStream", body=b"{")
            assert place.engine.requests == []

    run(scenario())


def test_a_client_that_leaves_a_stream_frees_the_engine(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            place.engine.pause_after = 2
            answer = await place.call("ConverseStream", messages=[{"role": "user", "content": [{"text": "hi"}]}])
            assert await anext(answer.events) == {"messageStart": {"role": "assistant"}}
            await answer.events.aclose()
            await place.engine.hung_up.wait()

    run(scenario())


def test_a_guardrail_that_is_not_there_is_refused_rather_than_overlooked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with house(tmp_path) as place:
            named: dict[str, Any] = {"guardrailIdentifier": "g", "guardrailVersion": "1"}
            with pytest.raises(NotFound, match="The guardrail g was not found"):
                await place.call("InvokeModel", body=body(inputText="hi"), **named)

    run(scenario())


def test_converse_and_its_count_go_through_the_same_door(tmp_path: Path) -> None:
    async def scenario() -> None:
        messages = [{"role": "user", "content": [{"text": "hi"}]}]
        async with house(tmp_path) as place:
            answer = await place.call("Converse", messages=messages)
            counted = await place.call("CountTokens", input={"converse": {"messages": messages}})
            assert isinstance(answer, Answer)
            assert counted == {"inputTokens": answer.members["usage"]["inputTokens"]}

    run(scenario())
