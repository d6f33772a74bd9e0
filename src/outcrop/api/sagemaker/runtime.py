"""The operations of sagemaker-runtime: InvokeEndpoint, at once or as a stream.

What a model says is passed on as it is; what goes wrong in it becomes a ModelError with its own words.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AbstractContextManager, AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from typing import Any

from anyio import to_thread

from outcrop.api.door.call import Answered, Call, Handler, Streamed
from outcrop.api.door.leaving import accounted
from outcrop.catalog.custom_models import form_in
from outcrop.errors import Invalid, ModelFailed, NotReady, ServiceRefusal
from outcrop.house import House
from outcrop.inference.unix_client import ConnectionBroken, NobodyListens, StreamedAnswer
from outcrop.invocation import invoke
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.target import EncoderTarget, TextTarget
from outcrop.sagemaker.hosting import text_bodies
from outcrop.sagemaker.hosting.copy_logs import GROUP
from outcrop.sagemaker.hosting.endpoint_metrics import EndpointMetrics, Invocation
from outcrop.sagemaker.hosting.fleets import Fleets
from outcrop.sagemaker.hosting.hosted import ServedBy
from outcrop.sagemaker.hosting.routing import NoCopies, Route
from outcrop.sagemaker.hosting.text_bodies import TextBody

_ANSWER_S = 60.0
"So long a model may be silent, as SageMaker has it."
_AGAIN_S = 0.05
_UNREAL = {
    "TargetModel": "several models in one container are not built",
    "TargetContainerHostname": "several containers behind each other are not built",
    "EnableExplanations": "explanations are not built",
    "SessionId": "sessions are not built",
}
_JSON = "application/json"
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_FAILED = range(400, 600)
_SERVER_ERRORS = 500


async def invoke_endpoint(house: House, call: Call) -> Answered:
    route = await _route(house, call)
    with house.endpoint_router.counted(route), _measured(house, route) as told:
        if route.model.by is ServedBy.PROGRAM:
            return await _program_answer(house, call, route, told)
        with _engine_errors(house, call, route):
            understood, prepared = await _prepared(house, call, route)
            if understood.streams:
                body = b"".join([piece async for piece in _pieces(call, understood, prepared)])
            else:
                invoked = await invoke.invoke(prepared, began=call.started, count=call.usage.count)
                body = understood.written(invoked.response)
    return {"Body": body, "ContentType": understood.content_type, "InvokedProductionVariant": route.variant.name}


async def invoke_endpoint_with_response_stream(house: House, call: Call) -> Answered:
    events = _events(house, call, await _route(house, call))
    head = await anext(events)
    return Streamed(head, events=events)


async def _events(house: House, call: Call, route: Route) -> AsyncGenerator[dict[str, Any], None]:
    """The members beside the stream, and then its events."""
    async with AsyncExitStack() as opened:
        opened.enter_context(house.endpoint_router.counted(route))
        opened.enter_context(_measured(house, route))
        if route.model.by is ServedBy.PROGRAM:
            answer = await opened.enter_async_context(_program(house, call, route))
            if answer.status in _FAILED:
                raise _model_error(house, call, route, answer.status, await answer.body())
            yield _members(route, answer.headers)
            pieces = answer.pieces
        else:
            opened.enter_context(_engine_errors(house, call, route))
            understood, prepared = await _prepared(house, call, route)
            yield {"ContentType": understood.content_type, "InvokedProductionVariant": route.variant.name}
            pieces = _pieces(call, understood, prepared)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield {"PayloadPart": {"Bytes": piece}}
        except ConnectionBroken as broken:
            raise ServiceRefusal(
                "ModelStreamError",
                f"The model {route.fleet.model_name} went away in the middle of its answer. Send the request again.",
                http_status=424,
                ErrorCode="ModelInvocationTimeExceeded" if str(broken) == "TimeoutError" else "StreamBroken",
            ) from broken


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


def _measured(house: House, route: Route) -> AbstractContextManager[Invocation]:
    return EndpointMetrics(house.points, house.clock).invocation(route)


async def _program_answer(house: House, call: Call, route: Route, told: Invocation) -> Answered:
    began = time.monotonic()
    async with _program(house, call, route) as answer:
        try:
            body = await answer.body()
        except ConnectionBroken as broken:
            raise _broken(house, call, route, broken) from broken
        told.model_s = time.monotonic() - began
        if answer.status in _FAILED:
            raise _model_error(house, call, route, answer.status, body)
        return {"Body": body, **_members(route, answer.headers)}


@asynccontextmanager
async def _program(house: House, call: Call, route: Route) -> AsyncGenerator[StreamedAnswer, None]:
    """The answer of the least busy copy. One that nobody listens at is passed over; a request that was sent is not
    sent again. Raises NotReady where no copy listens within the patience of an invocation."""
    router, fleet, passed_over = house.endpoint_router, route.fleet, set[str]()
    until = time.monotonic() + house.settings.patience.total_seconds()
    while True:
        with router.copy(fleet, without=passed_over) as (name, client):
            sent = client.stream(
                "POST", "/invocations", call.params.get("Body", b""), headers=_headers(call.params), read_s=_ANSWER_S
            )
            try:
                answer = await sent.__aenter__()
            except NobodyListens:
                passed_over.add(name)
            except ConnectionBroken as broken:
                raise _broken(house, call, route, broken) from broken
            else:
                try:
                    yield answer
                finally:
                    await sent.__aexit__(None, None, None)
                return
        if passed_over.issuperset(fleet.copies):
            if time.monotonic() > until:
                raise NotReady(f"No copy of the model {fleet.model_name} answers now. Try again in a moment.")
            await asyncio.sleep(_AGAIN_S)
            fleet = await to_thread.run_sync(router.fleet_now, route)
            passed_over = set()


def _headers(params: Mapping[str, Any]) -> dict[str, str]:
    given = {
        "content-type": params.get("ContentType", _JSON),
        "accept": params.get("Accept"),
        _ATTRIBUTES: params.get("CustomAttributes"),
    }
    return {name: value for name, value in given.items() if value is not None}


def _members(route: Route, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "ContentType": headers.get("content-type"),
        "CustomAttributes": headers.get(_ATTRIBUTES),
        "InvokedProductionVariant": route.variant.name,
    }


async def _prepared(house: House, call: Call, route: Route) -> tuple[TextBody, PreparedInvocation]:
    target = await to_thread.run_sync(_target, house, call, route)
    understood = text_bodies.read(route.fleet, route.model, call.params.get("Body", b""))
    asked = understood.dialect.read(understood.body)
    return understood, await invoke.prepare_asked(target, understood.dialect, asked, now=house.clock.now())


def _target(house: House, call: Call, route: Route) -> TextTarget:
    model = route.model
    target = house.targets.hosted(
        route.endpoint_name,
        Fleets(house).network(route.fleet, model),
        adapter=model.model_arn,
        prompt_format=None if model.form is None else form_in(model.form),
        caller=call.caller,
    )
    if isinstance(target, EncoderTarget):
        raise Invalid("The model makes vectors, and this image's server writes text.")
    return accounted(target, call)


def _pieces(call: Call, understood: TextBody, prepared: PreparedInvocation) -> AsyncGenerator[bytes, None]:
    chunks = invoke.stream_chunks(prepared, began=call.started, count=call.usage.count)
    return understood.stream(chunks)


@contextmanager
def _engine_errors(house: House, call: Call, route: Route) -> Iterator[None]:
    """What a server in a container would have answered with a status of its own is a ModelError here too."""
    try:
        yield
    except Invalid as refused:
        body = json.dumps({"error": refused.message, "error_type": "validation"}, ensure_ascii=False)
        raise _model_error(house, call, route, 422, body.encode()) from refused
    except ModelFailed as failed:
        body = json.dumps({"error": failed.message, "error_type": "generation"}, ensure_ascii=False)
        raise _model_error(house, call, route, 500, body.encode()) from failed


def _broken(house: House, call: Call, route: Route, broken: ConnectionBroken) -> ServiceRefusal:
    said = "The model's process ended before it had answered."
    if str(broken) == "TimeoutError":
        said = "Your invocation timed out while waiting for a response from container primary."
    return _model_error(house, call, route, 0, said.encode())


def _model_error(house: House, call: Call, route: Route, status: int, body: bytes) -> ServiceRefusal:
    """What a model answered in the place of an answer, in SageMaker's words; status 0: it did not."""
    message = body.decode("utf-8", "replace")
    whose = "client" if 0 < status < _SERVER_ERRORS else "server"
    region, group = call.region, f"{GROUP}/{route.endpoint_name}"
    return ServiceRefusal(
        "ModelError",
        f'Received {whose} error ({status}) from primary with message "{message}". See '
        f"https://{region}.console.aws.amazon.com/cloudwatch/home?region={region}#logEventViewer:group={group} in "
        f"account {house.account} for more information.",
        http_status=424,
        OriginalStatusCode=status,
        OriginalMessage=message,
        LogStreamArn=f"arn:aws:logs:{region}:{house.account}:log-group:{group}",
    )


OPERATIONS: dict[str, Handler] = {
    "InvokeEndpoint": invoke_endpoint,
    "InvokeEndpointWithResponseStream": invoke_endpoint_with_response_stream,
}
