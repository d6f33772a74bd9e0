"""Invocations of models of real Bedrock: passed on as they came and answered as Bedrock answers, counted on the way."""

import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from functools import wraps
from typing import TYPE_CHECKING, Any

from outcrop.api.door.call import Answer, Answered, Call, Handler, Streamed
from outcrop.catalog.base_model import BaseModel
from outcrop.catalog.remote_model import RemoteApi
from outcrop.invocation.target import RemoteTarget

if TYPE_CHECKING:
    from outcrop.house import House

Find = Callable[["House", Call], Awaitable[Any]]
AsyncHandler = Callable[["House", Call], Awaitable[Answered]]
_STREAMS = ("ConverseStream", "InvokeModelWithResponseStream")
_METRICS = "amazon-bedrock-invocationMetrics"


def relayed(operation: str, handler: AsyncHandler, find: Find) -> Handler:
    """The handler of an operation, before which models of real Bedrock are passed on; `find` finds a target."""

    @wraps(handler)
    async def invoked(house: "House", call: Call) -> Answered:
        if not _is_of_bedrock(house, call):
            return await handler(house, call)
        target = await find(house, call)
        assert isinstance(target, RemoteTarget), "such an entry leads to a remote model"
        return await _relay(operation, target, call)

    return invoked


def _is_of_bedrock(house: "House", call: Call) -> bool:
    thing = house.access.named(call, "modelId")
    base = thing.foundation if thing is not None else None
    return isinstance(base, BaseModel) and base.remote is not None and base.remote.api is RemoteApi.BEDROCK


async def _relay(operation: str, target: RemoteTarget, call: Call) -> Answered:
    assert target.relay is not None, "a model of real Bedrock has a relay"
    if operation in _STREAMS:
        events = _events(operation, target, call)
        head = await anext(events)
        return Streamed(head, events=events)
    async with target.allowance.one(0, _max_tokens(call)) as ticket:
        target.tell_sent(target.host)
        answer = await target.relay.call(operation, call.params)
        call.usage.count(*_tokens(answer.members, answer.headers))
        ticket.used(call.usage.input_tokens, call.usage.output_tokens)
    return Answer(answer.members, headers=answer.headers)


async def _events(operation: str, target: RemoteTarget, call: Call) -> AsyncGenerator[dict[str, Any], None]:
    """The members beside the stream, and then its events."""
    assert target.relay is not None, "a model of real Bedrock has a relay"
    async with target.allowance.one(0, _max_tokens(call)) as ticket:
        target.tell_sent(target.host)
        answer = await target.relay.stream(operation, call.params)
        async with aclosing(answer.events) as events:
            yield answer.members
            async for event in events:
                told = _told_at_end(event)
                if told is not None:
                    call.usage.count(*told)
                    ticket.used(*told)
                yield event


def _max_tokens(call: Call) -> int:
    """The most tokens of the answer, where Converse's words say so; those of a body are the model's own."""
    return int((call.params.get("inferenceConfig") or {}).get("maxTokens") or 0)


def _tokens(members: Mapping[str, Any], headers: Mapping[str, str]) -> tuple[int, int]:
    """The tokens of a whole answer, as its usage or its headers tell them; CountTokens takes none."""
    usage = members.get("usage")
    if usage is not None:
        return usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    counts = [headers.get(f"x-amzn-bedrock-{side}-token-count", "") for side in ("input", "output")]
    inputs, outputs = (int(count) if count.isdecimal() else 0 for count in counts)
    return inputs, outputs


def _told_at_end(event: Mapping[str, Any]) -> tuple[int, int] | None:
    """The tokens that an event tells, if it is the one that does."""
    if "metadata" in event:
        usage = event["metadata"].get("usage", {})
        return usage.get("inputTokens", 0), usage.get("outputTokens", 0)
    chunk = event.get("chunk", {}).get("bytes", b"")
    if _METRICS.encode() not in chunk:
        return None
    metrics = json.loads(chunk)[_METRICS]
    return metrics.get("inputTokenCount", 0), metrics.get("outputTokenCount", 0)
