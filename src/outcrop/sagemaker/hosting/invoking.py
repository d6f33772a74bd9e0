"""A request to the model behind an endpoint, and its answer, from users' code or from an engine.

What a model says is passed on as it is; what goes wrong in it becomes a ModelError with its own words.
"""

import asyncio
import json
import time
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from anyio import to_thread

from outcrop.access.caller import Caller
from outcrop.catalog.custom_models import form_in
from outcrop.errors import Invalid, ModelFailed, NotReady, ServiceRefusal
from outcrop.inference.unix_client import ConnectionBroken, NobodyListens, StreamedAnswer
from outcrop.invocation import invoke
from outcrop.invocation.exchange import Count, uncounted
from outcrop.invocation.invoke import PreparedInvocation
from outcrop.invocation.target import EncoderTarget, TextTarget
from outcrop.sagemaker.hosting import text_bodies
from outcrop.sagemaker.hosting.copy_logs import GROUP
from outcrop.sagemaker.hosting.endpoint_metrics import EndpointMetrics, MeasuredInvocation
from outcrop.sagemaker.hosting.fleets import Fleets
from outcrop.sagemaker.hosting.hosted import ServedAs
from outcrop.sagemaker.hosting.rooms import InvokingRooms
from outcrop.sagemaker.hosting.routing import Route
from outcrop.sagemaker.hosting.text_bodies import TextBody

ANSWER_S = 60.0
"So long a model may be silent, as SageMaker has it."
_AGAIN_S = 0.05
_JSON = "application/json"
_ATTRIBUTES = "x-amzn-sagemaker-custom-attributes"
_FAILED = range(400, 600)
_SERVER_ERRORS = 500


@dataclass(frozen=True, kw_only=True)
class ModelRequest:
    """A request to a model, as its client sent it."""

    body: bytes
    content_type: str | None = None
    accept: str | None = None
    attributes: str | None = None
    "Custom attributes."
    caller: Caller | None = None
    "None: this installation asks for itself."
    answer_s: float = ANSWER_S
    "So long the model may be silent."
    started: float = field(default_factory=time.monotonic)
    count: Count = uncounted

    @property
    def headers(self) -> dict[str, str]:
        """The headers for the model's own server."""
        given = {"content-type": self.content_type or _JSON, "accept": self.accept, _ATTRIBUTES: self.attributes}
        return {name: value for name, value in given.items() if value is not None}


@dataclass(frozen=True, kw_only=True)
class ModelAnswer:
    """The answer of a model, or its head where the body comes as a stream."""

    content_type: str | None
    attributes: str | None = None
    body: bytes = b""


async def answer(house: InvokingRooms, route: Route, request: ModelRequest) -> ModelAnswer:
    """The whole answer. Raises ServiceRefusal, NotReady and Throttled."""
    with house.endpoint_router.counted(route), _measured(house, route) as told:
        if route.model.by is ServedAs.PROGRAM:
            return await _program_answer(house, route, request, told)
        with _engine_errors(house, route):
            understood, prepared = await _prepared(house, route, request)
            if understood.streams:
                body = b"".join([piece async for piece in _pieces(request, understood, prepared)])
            else:
                invoked = await invoke.invoke(prepared, began=request.started, count=request.count)
                body = understood.written(invoked.response)
            return ModelAnswer(content_type=understood.content_type, body=body)


async def stream(
    house: InvokingRooms, route: Route, request: ModelRequest
) -> AsyncGenerator[ModelAnswer | bytes, None]:
    """The head of an answer, and then its body as the model makes it. Raises as `answer`."""
    async with AsyncExitStack() as opened:
        opened.enter_context(house.endpoint_router.counted(route))
        opened.enter_context(_measured(house, route))
        if route.model.by is ServedAs.PROGRAM:
            answered = await opened.enter_async_context(_program(house, route, request))
            if answered.status in _FAILED:
                raise _model_error(house, route, answered.status, await answered.body())
            yield _head(answered.headers)
            pieces = answered.pieces
        else:
            opened.enter_context(_engine_errors(house, route))
            understood, prepared = await _prepared(house, route, request)
            yield ModelAnswer(content_type=understood.content_type)
            pieces = _pieces(request, understood, prepared)
        try:
            async with aclosing(pieces):
                async for piece in pieces:
                    yield piece
        except ConnectionBroken as broken:
            raise ServiceRefusal(
                "ModelStreamError",
                f"The model {route.fleet.model_name} went away in the middle of its answer. Send the request again.",
                http_status=424,
                ErrorCode="ModelInvocationTimeExceeded" if _is_late(broken) else "StreamBroken",
            ) from broken


@contextmanager
def _measured(house: InvokingRooms, route: Route) -> Iterator[MeasuredInvocation]:
    with EndpointMetrics(house.points, house.clock).invocation(route) as told:
        yield told


async def _program_answer(
    house: InvokingRooms, route: Route, request: ModelRequest, told: MeasuredInvocation
) -> ModelAnswer:
    began = time.monotonic()
    async with _program(house, route, request) as answered:
        try:
            body = await answered.body()
        except ConnectionBroken as broken:
            raise _broken(house, route, broken) from broken
        told.model_s = time.monotonic() - began
        if answered.status in _FAILED:
            raise _model_error(house, route, answered.status, body)
        head = _head(answered.headers)
        return ModelAnswer(content_type=head.content_type, attributes=head.attributes, body=body)


@asynccontextmanager
async def _program(house: InvokingRooms, route: Route, request: ModelRequest) -> AsyncGenerator[StreamedAnswer, None]:
    """The answer of the least busy copy. One that nobody listens at is passed over; a request that was sent is not
    sent again. Raises NotReady where no copy listens within the patience of an invocation."""
    router, fleet, passed_over = house.endpoint_router, route.fleet, set[str]()
    until = time.monotonic() + house.settings.patience.total_seconds()
    while True:
        with router.copy(fleet, without=passed_over) as (name, client):
            sent = client.stream("POST", "/invocations", request.body, headers=request.headers, read_s=request.answer_s)
            try:
                answered = await sent.__aenter__()
            except NobodyListens:
                passed_over.add(name)
            except ConnectionBroken as broken:
                raise _broken(house, route, broken) from broken
            else:
                try:
                    yield answered
                finally:
                    await sent.__aexit__(None, None, None)
                return
        if passed_over.issuperset(fleet.copies):
            if time.monotonic() > until:
                raise NotReady(f"No copy of the model {fleet.model_name} answers now. Try again in a moment.")
            await asyncio.sleep(_AGAIN_S)
            fleet = await to_thread.run_sync(router.fleet_now, route)
            passed_over = set()


def _head(headers: Mapping[str, str]) -> ModelAnswer:
    return ModelAnswer(content_type=headers.get("content-type"), attributes=headers.get(_ATTRIBUTES))


async def _prepared(house: InvokingRooms, route: Route, request: ModelRequest) -> tuple[TextBody, PreparedInvocation]:
    target = await to_thread.run_sync(_target, house, route, request.caller)
    understood = text_bodies.read(route.fleet, route.model, request.body)
    asked = understood.dialect.read(understood.body)
    return understood, await invoke.prepare_asked(target, understood.dialect, asked, now=house.clock.now())


def _target(house: InvokingRooms, route: Route, caller: Caller | None) -> TextTarget:
    model = route.model
    target = house.targets.hosted(
        route.endpoint_name,
        Fleets(house).network(route.fleet, model),
        adapter=model.model_arn,
        prompt_format=None if model.form is None else form_in(model.form),
        caller=caller,
    )
    if isinstance(target, EncoderTarget):
        raise Invalid("The model makes vectors, and this image's server writes text.")
    return target


def _pieces(request: ModelRequest, understood: TextBody, prepared: PreparedInvocation) -> AsyncGenerator[bytes, None]:
    return understood.stream(invoke.stream_chunks(prepared, began=request.started, count=request.count))


@contextmanager
def _engine_errors(house: InvokingRooms, route: Route) -> Iterator[None]:
    """Tell as a ModelError what a server in a container would have answered with a status of its own."""
    try:
        yield
    except Invalid as refused:
        body = json.dumps({"error": refused.message, "error_type": "validation"}, ensure_ascii=False)
        raise _model_error(house, route, 422, body.encode()) from refused
    except ModelFailed as failed:
        body = json.dumps({"error": failed.message, "error_type": "generation"}, ensure_ascii=False)
        raise _model_error(house, route, 500, body.encode()) from failed


def _is_late(broken: ConnectionBroken) -> bool:
    return str(broken) == "TimeoutError"


def _broken(house: InvokingRooms, route: Route, broken: ConnectionBroken) -> ServiceRefusal:
    said = "The model's process ended before it had answered."
    if _is_late(broken):
        said = "Your invocation timed out while waiting for a response from container primary."
    return _model_error(house, route, 0, said.encode())


def _model_error(house: InvokingRooms, route: Route, status: int, body: bytes) -> ServiceRefusal:
    """The refusal for what a model said in the place of an answer; status 0: nothing."""
    message = body.decode("utf-8", "replace")
    whose = "client" if 0 < status < _SERVER_ERRORS else "server"
    region, group = route.endpoint.row.region, f"{GROUP}/{route.endpoint_name}"
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
