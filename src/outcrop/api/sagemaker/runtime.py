"""The operations of sagemaker-runtime: InvokeEndpoint, at once, as a stream, or later by way of S3."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from outcrop.api.door.call import Answered, Call, Handler, Streamed
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.sagemaker.hosting import async_request, invoking
from outcrop.sagemaker.hosting.endpoint_metrics import EndpointMetrics
from outcrop.sagemaker.hosting.invoking import ModelAnswer, ModelRequest
from outcrop.sagemaker.hosting.routing import NoCopies, Route

_UNREAL = {
    "TargetModel": "several models in one container are not built",
    "TargetContainerHostname": "several containers behind each other are not built",
    "EnableExplanations": "explanations are not built",
    "SessionId": "sessions are not built",
}


async def invoke_endpoint(house: House, call: Call) -> Answered:
    route = await _route(house, call)
    request = _request(call)
    answer = await invoking.answer(house, route, request)
    house.data_capture.add(route, request, answer, inference_id=call.params.get("InferenceId"))
    return {"Body": answer.body, **_members(route, answer)}


async def invoke_endpoint_with_response_stream(house: House, call: Call) -> Answered:
    events = _events(house, call, await _route(house, call))
    head = await anext(events)
    return Streamed(head, events=events)


async def _events(house: House, call: Call, route: Route) -> AsyncGenerator[dict[str, Any], None]:
    """The members beside the stream, and then its events."""
    async with aclosing(invoking.stream(house, route, _request(call))) as pieces:
        async for piece in pieces:
            if isinstance(piece, ModelAnswer):
                yield _members(route, piece)
            else:
                yield {"PayloadPart": {"Bytes": piece}}


async def _route(house: House, call: Call) -> Route:
    for member, why in _UNREAL.items():
        if call.params.get(member):
            raise Invalid(f"{member}: {why}. Leave it out.")
    params = call.params
    variant, component = params.get("TargetVariant"), params.get("InferenceComponentName")
    if variant is not None and component is not None:
        raise Invalid("TargetVariant stands beside InferenceComponentName. Give one of them.")
    try:
        return await house.ask(
            lambda: house.endpoint_router.find(
                call.region, params["EndpointName"], variant=variant, component=component
            )
        )
    except NoCopies as none:
        if component is not None:
            EndpointMetrics(house.points, house.clock).without_capacity(none.record)
        raise


def _request(call: Call) -> ModelRequest:
    params = call.params
    return ModelRequest(
        body=params.get("Body", b""),
        content_type=params.get("ContentType"),
        accept=params.get("Accept"),
        attributes=params.get("CustomAttributes"),
        caller=call.caller,
        started=call.started,
        count=call.usage.count,
    )


def _members(route: Route, answer: ModelAnswer) -> dict[str, Any]:
    return {
        "ContentType": answer.content_type,
        "CustomAttributes": answer.attributes,
        "InvokedProductionVariant": route.variant.name,
    }


def invoke_endpoint_async(house: House, call: Call) -> Answered:
    made = async_request.create(house, call.params, region=call.region, owner=call.caller.principal)
    return {"InferenceId": made.inference_id, "OutputLocation": made.output, "FailureLocation": made.failure}


OPERATIONS: dict[str, Handler] = {
    "InvokeEndpoint": invoke_endpoint,
    "InvokeEndpointAsync": invoke_endpoint_async,
    "InvokeEndpointWithResponseStream": invoke_endpoint_with_response_stream,
}
