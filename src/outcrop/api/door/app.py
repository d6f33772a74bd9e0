"""The door, an ASGI application: request id, signature, route, parse, validate, authorize, call, serialize, log.

It speaks for every service and knows none: names, types and errors come from the service models, what an operation does
from its handler. Whatever is raised on the way becomes the service's own error.
"""

import asyncio
import logging
import random
import time
from collections.abc import AsyncIterator, Coroutine, Hashable
from dataclasses import dataclass, field, replace
from functools import cache
from inspect import iscoroutinefunction
from typing import Any, TypeVar

import anyio
import anyio.to_thread

from outcrop import logs
from outcrop.api.bedrock import unreal
from outcrop.api.door import (
    exchange,
    failures,
    health,
    verification,
)
from outcrop.api.door.call import (
    Answer,
    Answered,
    Call,
    Derived,
    Handler,
    Streamed,
    is_quick,
)
from outcrop.api.door.health import Health, well
from outcrop.api.door.patience import PAUSE_S, Patience
from outcrop.api.operations import Operations
from outcrop.api.s3 import bodies as s3_bodies
from outcrop.api.s3 import cors as s3_cors
from outcrop.api.s3 import forms as s3_forms
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol import (
    eventstream,
    routing,
    serialize,
    service_model,
    validate,
)
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import Routed, UnknownOperation
from outcrop.protocol.shapes import StructureShape
from outcrop.protocol.signing import payload
from outcrop.protocol.virtual_hosts import addressed
from outcrop.settings import Settings

LARGEST_BODY = 6 * 1024 * 1024
LARGEST_RUNTIME_BODY = 25_000_000
"What InvokeModel's shape allows."
# The pattern knows no custom model whose ARN names its base with the context suffix, as those of all jobs do. The
# service tells such a caller what to do instead, and so does whoever resolves the id.
_UNPATTERNED = {"bedrock-runtime": ("modelId",)}
_RUNTIMES = ("bedrock-runtime", "sagemaker-runtime", "bedrock-agent-runtime")

_MOST_SENT = 256
"Answers remembered for those who ask again; then it begins anew."

_log = logging.getLogger("outcrop.door")


_Done = TypeVar("_Done")


class _Left(Exception):
    """The client has gone."""


@dataclass
class _Visit:
    """What is known so far of one request; its log line at the end."""

    request: HttpRequest
    incoming: exchange.Incoming
    request_id: str
    service: str = "s3"
    protocol: str = "rest-xml"
    routed: Routed | None = None
    caller_arn: str = ""
    source_ip: str = ""
    secure: bool = False
    status: int = 0
    left: bool = False
    started: float = field(default_factory=time.monotonic)
    scope: anyio.CancelScope | None = None
    "Around the work that ends when the client has gone."
    watch: "asyncio.Task[None] | None" = None


class Door:
    """The ASGI application over one house and one table of operations."""

    def __init__(
        self, house: House, operations: Operations, *, health: Health = well, pause_s: float = PAUSE_S
    ) -> None:
        """`health` is told to whoever asks; `pause_s`: how long the next piece of a request's body may take to come."""
        self._house = house
        self._operations = operations
        self._health = health
        self._pause_s = pause_s
        self._sent: dict[Hashable, HttpResponse] = {}

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        if scope["type"] != "http":
            return
        request = exchange.request_of(scope)
        incoming = exchange.Incoming(
            receive, request.headers, http_version=scope["http_version"], patience=Patience(self._pause_s)
        )
        visit = _Visit(request, incoming, _request_id())
        visit.source_ip, visit.secure = (scope.get("client") or ("",))[0], scope.get("scheme") == "https"
        try:
            await self._visit(visit, send)
        except _Left:
            pass  # nobody is there to be answered
        finally:
            if visit.watch is not None:
                visit.watch.cancel()
            _write_log(visit)

    async def _visit(self, visit: _Visit, send: exchange.Send) -> None:
        response = await self._respond(visit)
        visit.status = response.status
        await visit.incoming.drain()
        if visit.incoming.waits_in_vain or not visit.incoming.ended.is_set():
            # The server would take what comes next on this connection, another request, for the rest of this body. And
            # botocore keeps the status of an answer that comes in place of a 100 for the connection's next answer.
            response = replace(response, headers=response.headers | {"Connection": "close"})
        sending = exchange.send(send, response, method=visit.request.method, now=self._house.clock.now())
        await (sending if isinstance(response.body, bytes) else _while_there(visit, sending))

    async def _respond(self, visit: _Visit) -> HttpResponse:
        request = visit.request
        if health.is_asked(request):
            return await self._tell_health(visit)
        if s3_cors.is_preflight(request):
            return await anyio.to_thread.run_sync(s3_cors.preflight, self._house, request, visit.request_id)
        try:
            response = await (self._take_form(visit) if s3_forms.is_upload(request) else self._answer(visit))
        except _Left:
            raise
        except Exception as error:
            response = _failed(visit, error, self._house.settings)
        if visit.service == "s3" and "origin" in request.headers:
            told = await anyio.to_thread.run_sync(s3_cors.headers_of_answer, self._house, request)
            response = replace(response, headers=response.headers | dict(told))
        return response

    async def _tell_health(self, visit: _Visit) -> HttpResponse:
        visit.service, visit.protocol = "bedrock", "rest-json"  # in whose words it is refused
        try:
            return await anyio.to_thread.run_sync(health.answer, self._house, self._health, visit.request)
        except Exception as error:
            return _failed(visit, error, self._house.settings)

    async def _answer(self, visit: _Visit) -> HttpResponse:
        routed = await _route(visit)
        streams = service_model.streams_in(routed.operation)
        limit = LARGEST_RUNTIME_BODY if routed.service in _RUNTIMES else LARGEST_BODY
        if routed.service != "s3" and visit.request.body is None:
            if not visit.incoming.ended.is_set():
                await self._house.ask(verification.turn_away, self._house, visit.request, routed)
            visit.request.body = await _read(visit, visit.incoming.read(limit))
        verified, caller = await self._house.ask(verification.verify, self._house, visit.request, routed)
        visit.caller_arn = caller.arn
        handler = self._operations.get(routed.service, {}).get(routed.operation.name)
        if handler is None:
            raise failures.unbuilt(routed.operation, routed.protocol)
        trailers: dict[str, str] = {}
        body: AsyncIterator[bytes] | None = None
        if routed.service == "s3":
            body = payload.plain(visit.incoming.stream(), verified, visit.request.headers, trailers, hashed=not streams)
            if not streams:
                visit.request.body = await _read(visit, exchange.joined(body, limit))
                s3_bodies.check(routed.operation, visit.request.headers, trailers, visit.request.body)
        params = _params(routed, visit.request)
        call = Call(
            service=routed.service,
            operation=routed.operation.name,
            params=params,
            caller=caller,
            region=verified.region,
            request_id=visit.request_id,
            headers=visit.request.headers,
            source_ip=visit.source_ip,
            secure=visit.secure,
            body=body if streams else None,
            body_sha256=payload.promised_sha256(verified) if streams else None,
            started=visit.started,
            line=routed if routed.checked is not None and _is_only_line(visit.request) else None,
            trailers=trailers,
        )
        await self._house.ask(self._house.access.authorize, call)
        if routed.service == "bedrock":
            unreal.check(params)
        answered = await self._call(visit, handler, call)
        if isinstance(answered, Derived):
            return await exchange.opened(self._derived(visit, routed, answered))
        return await _serialized(visit, routed, answered)

    async def _take_form(self, visit: _Visit) -> HttpResponse:
        """A PutObject that a page's form stands for; what proves it is the form's policy."""
        upload = await s3_forms.read(self._house, visit.request, visit.incoming.stream())
        visit.routed, visit.caller_arn = upload.routed, upload.caller.arn
        handler = self._operations.get("s3", {}).get(upload.routed.operation.name)
        if handler is None:
            raise failures.unbuilt(upload.routed.operation, upload.routed.protocol)
        call = Call(
            service="s3",
            operation=upload.routed.operation.name,
            params=_params(upload.routed, upload.request),
            caller=upload.caller,
            region=upload.region,
            request_id=visit.request_id,
            headers=upload.request.headers,
            source_ip=visit.source_ip,
            secure=visit.secure,
            body=upload.body,
            started=visit.started,
        )
        await self._house.ask(self._house.access.authorize, call)
        stored = await self._call(visit, handler, call)
        assert isinstance(stored, dict), "PutObject answers with members"
        return s3_forms.answer(
            upload, stored["ETag"], asked=visit.request, secure=visit.secure, request_id=visit.request_id
        )

    async def _call(self, visit: _Visit, handler: Handler, call: Call) -> Answered:
        answered: Any
        if _is_async(handler):
            work = handler(self._house, call)
            assert isinstance(work, Coroutine), f"{call.operation} is an async def"
            answered = await _while_there(visit, work)
        elif is_quick(handler, self._house, call):
            answered = await self._house.ask(handler, self._house, call)
        else:
            answered = await anyio.to_thread.run_sync(handler, self._house, call)
        assert isinstance(answered, dict | Derived | Answer | Streamed), f"{call.operation} answered {type(answered)}"
        return answered

    def _derived(self, visit: _Visit, routed: Routed, derived: Derived) -> HttpResponse:
        """As it was sent before while the source is the same, under the id of this request."""
        key = routed.service, routed.operation.name, routed.protocol, derived.source
        sent = self._sent.get(key)
        if sent is None:
            if len(self._sent) >= _MOST_SENT:
                self._sent.clear()
            sent = self._sent[key] = serialize.serialize(
                routed.operation, derived.members(), protocol=routed.protocol, request_id=visit.request_id
            )
        ids = serialize.request_id_headers(routed.protocol, visit.request_id)
        return HttpResponse(status=sent.status, headers=sent.headers | ids, body=sent.body)


def _request_id() -> str:
    """A random UUID (version 4) as text, at a tenth of what the module `uuid` takes for it. Nothing trusts it."""
    digits = f"{random.getrandbits(120):030x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"


@cache
def _is_async(handler: Handler) -> bool:
    return iscoroutinefunction(handler)


async def _while_there(visit: _Visit, work: Coroutine[Any, Any, _Done]) -> _Done:
    """The work, ended when the client goes away. What answers in a moment is not worth the task that watches."""
    with anyio.CancelScope() as visit.scope:
        if visit.watch is None:
            visit.watch = asyncio.create_task(_end_when_left(visit))
        if visit.left:
            visit.scope.cancel()
        return await work
    raise _Left


async def _end_when_left(visit: _Visit) -> None:
    await visit.incoming.client_left()
    visit.left = True
    if visit.scope is not None:
        visit.scope.cancel()


async def _route(visit: _Visit) -> Routed:
    """The operation asked for. The form of a query request is read for it, but never what S3 may be storing."""
    request = visit.request
    scope = routing.scope_service(request)
    if routing.is_form(request) and scope != "s3":
        visit.protocol, visit.service = "query", "sts" if scope is None else scope
        request.body = await _read(visit, visit.incoming.read(LARGEST_BODY))
    try:
        # A bucket may be named by the host; what is verified and parsed stays the request as it was sent.
        in_path = addressed(request) if scope in (None, "s3") else request
        routed = routing.route(in_path, scope)
    except UnknownOperation as error:
        visit.service, visit.protocol = error.service, error.protocol
        raise
    visit.routed, visit.service, visit.protocol = routed, routed.service, routed.protocol
    return routed


async def _read(visit: _Visit, body: Any) -> bytes:
    try:
        return bytes(await body)
    except exchange.TooLarge as error:
        raise failures.too_large(visit.protocol, error.limit) from error


def _params(routed: Routed, request: HttpRequest) -> dict[str, Any]:
    """What was asked for, checked; refuses what does not fit the service model."""
    if routed.checked is not None and _is_only_line(request):
        return dict(routed.checked)
    params = parse(routed, request)
    _check(routed, params)
    shape = routed.operation.input_shape
    if shape is not None and not shape.in_headers and _is_only_line(request):
        routed.checked = dict(params)
    return params


def _is_only_line(request: HttpRequest) -> bool:
    return not request.body and not request.raw_query


def _check(routed: Routed, params: dict[str, Any]) -> None:
    shape = routed.operation.input_shape
    if shape is None:
        return
    if routed.service != "s3":
        validate.check(shape, params, unpatterned=_UNPATTERNED.get(routed.service, ()))
        return
    # S3 judges values in its operations, each with a code of its own; only what is absent is told here.
    absent = validate.absences(shape, params)
    if absent and shape.serialization.get("payload") not in params:
        raise ServiceRefusal("MissingRequestBodyError", "Request Body is empty", http_status=400)
    if absent:
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceRefusal("MalformedXML", text, http_status=400)


async def _serialized(visit: _Visit, routed: Routed, answered: dict[str, Any] | Answer | Streamed) -> HttpResponse:
    if isinstance(answered, Streamed):
        response = await _event_stream(visit, routed, answered)
    else:
        members, status = (answered.members, answered.status) if isinstance(answered, Answer) else (answered, None)
        response = serialize.serialize(
            routed.operation, members, protocol=routed.protocol, request_id=visit.request_id, status=status
        )
    if isinstance(answered, Answer | Streamed) and answered.headers:
        response = replace(response, headers=response.headers | dict(answered.headers))
    return await exchange.opened(response)


async def _event_stream(visit: _Visit, routed: Routed, streamed: Streamed) -> HttpResponse:
    stream = serialize.event_stream_shape(routed.operation)
    assert stream is not None, f"{routed.operation.name} has no event stream"
    head = serialize.stream_head(routed.operation, streamed.members, request_id=visit.request_id)
    try:
        # The head waits for the first event: what fails before it is still an ordinary HTTP error.
        first = await anext(streamed.events, None)
    except BaseException:
        await exchange.close(streamed.events)
        raise
    return replace(head, body=_frames(visit, stream, first, streamed.events))


async def _frames(
    visit: _Visit, stream: StructureShape, first: dict[str, Any] | None, events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    try:
        if first is not None:
            yield eventstream.event(stream, first)
            async for each in events:
                yield eventstream.event(stream, each)
    except Exception as error:
        _log_trouble(visit, error)
        yield failures.frame(error, stream)
    finally:
        await exchange.close(events)


def _failed(visit: _Visit, error: Exception, settings: Settings) -> HttpResponse:
    _log_trouble(visit, error)
    operation = visit.routed.operation if visit.routed is not None else None
    found = failures.failure(error, service=visit.service, protocol=visit.protocol, operation=operation)
    return serialize.serialize_error(
        visit.protocol,
        service=visit.service,
        code=found.code,
        message=settings.hidden(found.message),
        status=found.status,
        members=found.members,
        request_id=visit.request_id,
    )


def _log_trouble(visit: _Visit, error: Exception) -> None:
    if not failures.is_expected(error):
        logs.tell(_log, "error", level=logging.ERROR, exc_info=error, request_id=visit.request_id)


def _write_log(visit: _Visit) -> None:
    operation = visit.routed.operation.name if visit.routed is not None else ""
    members: dict[str, Any] = {
        "request_id": visit.request_id,
        "service": visit.service,
        "operation": operation,
        "status": visit.status,
        "ms": round((time.monotonic() - visit.started) * 1000, 1),
        "caller": visit.caller_arn,
    }
    if visit.left:
        members["client_left"] = True
    logs.tell(_log, "request", **members)
