"""The operations of bedrock-runtime: InvokeModel, Converse, their streams, CountTokens.

InvokeModel alone takes models that do not write text; whatever else they are asked for is refused in Bedrock's words.
"""

from typing import TYPE_CHECKING

from anyio import to_thread

from outcrop.api.bedrock import guarding, model_keys
from outcrop.api.bedrock.named import look
from outcrop.api.bedrock.relay import AsyncHandler, relayed
from outcrop.api.door.call import (
    Answer,
    Answered,
    Call,
    Handler,
    Streamed,
)
from outcrop.api.door.leaving import accounted
from outcrop.errors import Invalid
from outcrop.invocation import converse, count_tokens, invoke
from outcrop.invocation.target import EncoderTarget, TextTarget, told_weights

if TYPE_CHECKING:
    from outcrop.house import House

_JSON = "application/json"


async def invoke_model(house: "House", call: Call) -> Answered:
    target = await to_thread.run_sync(_find_any_target, house, call)
    if isinstance(target, EncoderTarget):
        guarding.check_unguarded(call, "it looks at text that a model writes, and this one writes none. Leave it out.")
        from outcrop.invocation import invoke_encoder  # numpy comes with it, which text needs nothing of

        body = call.params.get("body", b"")
        invoked = await invoke_encoder.invoke(target, body, began=call.started, count=call.usage.count)
    else:
        prepared = await guarding.prepared_body(house, call, target)
        invoked = await invoke.invoke(prepared, began=call.started, count=call.usage.count)
    return Answer(
        {"body": invoke.to_json(invoked.response), "contentType": _JSON, **_served(call)},
        headers={
            "x-amzn-bedrock-input-token-count": str(invoked.num_input_tokens),
            "x-amzn-bedrock-output-token-count": str(invoked.num_output_tokens),
            "x-amzn-bedrock-invocation-latency": str(invoked.latency_ms),
            **_told(target),
        },
    )


async def invoke_model_with_response_stream(house: "House", call: Call) -> Answered:
    target = await to_thread.run_sync(_find_any_target, house, call)
    if isinstance(target, EncoderTarget):
        raise Invalid("The model is unsupported for streaming.")
    prepared = await guarding.prepared_body(house, call, target)
    events = invoke.invoke_stream(prepared, began=call.started, count=call.usage.count)
    return Streamed({"contentType": _JSON, **_served(call)}, events=events, headers=_told(target))


async def converse_once(house: "House", call: Call) -> Answered:
    target = await _target(house, call)
    request = await guarding.prepared_converse(house, call, target)
    return Answer(await converse.converse(request, began=call.started, count=call.usage.count), headers=_told(target))


async def converse_stream(house: "House", call: Call) -> Answered:
    target = await _target(house, call)
    request = await guarding.prepared_converse(house, call, target)
    events = converse.converse_stream(request, began=call.started, count=call.usage.count)
    return Streamed({}, events=events, headers=_told(target))


async def count(house: "House", call: Call) -> Answered:
    target = await to_thread.run_sync(_find_any_target, house, call)
    if isinstance(target, EncoderTarget):
        raise Invalid("The provided model doesn't support counting tokens.")
    return {"inputTokens": await count_tokens.count_tokens(target, call.params["input"])}


def _served(call: Call) -> dict[str, str]:
    """The latency and service tier that a wish for speed or price got: there is one of each."""
    got = {"performanceConfigLatency": "standard", "serviceTier": "default"}
    return {member: value for member, value in got.items() if call.params.get(member)}


def _told(target: TextTarget | EncoderTarget) -> dict[str, str]:
    """Headers of an answer that is not made from the model's own weights, or not by an embedding model."""
    if isinstance(target, EncoderTarget):
        return {"x-outcrop-embedding": "mean hidden states of a text model"} if target.stands_in else {}
    return told_weights(target)


async def _target(house: "House", call: Call) -> TextTarget:
    return await to_thread.run_sync(_find_target, house, call)


def _find_target(house: "House", call: Call) -> TextTarget:
    thing, row = house.access.named(call, "modelId"), look(house, call, "modelId")
    found = house.targets.resolve(call.params["modelId"], thing, row, caller=call.caller)
    return accounted(model_keys.allowed(house, call, found), call)


def _find_any_target(house: "House", call: Call) -> TextTarget | EncoderTarget:
    thing, row = house.access.named(call, "modelId"), look(house, call, "modelId")
    found = house.targets.find(call.params["modelId"], thing, row, caller=call.caller)
    return accounted(model_keys.allowed(house, call, found), call)


_HANDLERS: dict[str, AsyncHandler] = {
    "InvokeModel": invoke_model,
    "InvokeModelWithResponseStream": invoke_model_with_response_stream,
    "Converse": converse_once,
    "ConverseStream": converse_stream,
    "CountTokens": count,
}
OPERATIONS: dict[str, Handler] = {
    **{name: relayed(name, handler, _target) for name, handler in _HANDLERS.items()},
    **guarding.OPERATIONS,
}
