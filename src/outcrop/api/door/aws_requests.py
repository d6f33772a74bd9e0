"""The entrance of AWS's clients: a request in one of AWS's protocols becomes a call of an operation.

Route, read, verify, parse, validate; then the corridor, and the answer in the same protocol. It speaks for every
service and knows none: names, types and errors come from the service models.
"""

from collections.abc import AsyncIterator
from typing import Any

from anyio import to_thread

from outcrop.api.door import exchange, verification
from outcrop.api.door.answers import Answers
from outcrop.api.door.call import Call
from outcrop.api.door.corridor import Corridor
from outcrop.api.door.visit import Visit
from outcrop.api.s3 import bodies as s3_bodies
from outcrop.errors import ServiceRefusal
from outcrop.protocol import routing, service_model, validate
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import Routed, UnknownOperation
from outcrop.protocol.signing import payload
from outcrop.protocol.virtual_hosts import addressed

LARGEST_BODY = 6 * 1024 * 1024
LARGEST_RUNTIME_BODY = 25_000_000
"What InvokeModel's shape allows."
LARGEST_VECTORS_BODY = 20 * 1024 * 1024
"What S3 Vectors allows: https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-vectors-limitations.html"
LARGE_BODY = 512 * 1024
"A body that takes longer to read than a thread to wake."
_LARGEST = {
    **dict.fromkeys(("bedrock-runtime", "sagemaker-runtime", "bedrock-agent-runtime"), LARGEST_RUNTIME_BODY),
    "s3vectors": LARGEST_VECTORS_BODY,
}
"By service, where it is not what all others allow."
# The pattern knows no custom model whose ARN names its base with the context suffix, as those of all jobs do. The
# service tells such a caller what to do instead, and so does whoever resolves the id.
_UNPATTERNED = {"bedrock-runtime": ("modelId",)}
_AUTOMATED = "evaluationConfig.automated"
_JUDGES = "evaluatorModelConfig.bedrockEvaluatorModels.1.member.modelIdentifier"
_ANSWERING = "knowledgeBaseConfig.retrieveAndGenerateConfig.knowledgeBaseConfiguration.modelArn"
_UNPATTERNED_IN = {
    "CreateModelInvocationJob": ("modelId",),
    "CreateEvaluationJob": (
        *(f"inferenceConfig.models.{number}.member.bedrockModel.modelIdentifier" for number in (1, 2)),
        f"inferenceConfig.ragConfigs.1.member.{_ANSWERING}",
        f"{_AUTOMATED}.{_JUDGES}",
        f"{_AUTOMATED}.customMetricConfig.{_JUDGES}",
    ),
}
"""Jobs take everything that can be invoked; the patterns know neither deployments nor, for batch, imported models."""
_UNLISTED_IN = {
    "CreateEvaluationJob": tuple(f"{_AUTOMATED}.datasetMetricConfigs.{n}.member.taskType" for n in range(1, 6))
}
"""Evaluations with a judge are sent as General, which the service takes and its model does not list."""


class AwsRequests:
    """Whatever is no other entrance's: a request of boto3, the AWS CLI, or any client that signs as they do."""

    def __init__(self, corridor: Corridor) -> None:
        self._corridor = corridor
        self._house = corridor.house
        self._answers = Answers()

    def is_asked(self, _request: HttpRequest) -> bool:
        return True

    async def answer(self, visit: Visit) -> HttpResponse:
        """Raises what becomes the service's own error."""
        routed = await self._route(visit)
        streams = service_model.streams_in(routed.operation)
        limit = _LARGEST.get(routed.service, LARGEST_BODY)
        if routed.service != "s3" and visit.request.body is None:
            if not visit.incoming.ended.is_set():
                await self._house.ask(verification.turn_away, self._house, visit.request, routed)
            visit.request.body = await visit.read(visit.incoming.read(limit))
        verified, caller = await self._house.ask(verification.verify, self._house, visit.request, routed)
        visit.caller, visit.region = caller, verified.region
        handler = self._corridor.handler(routed)
        trailers: dict[str, str] = {}
        body: AsyncIterator[bytes] | None = None
        if routed.service == "s3":
            body = payload.plain(visit.incoming.stream(), verified, visit.request.headers, trailers, hashed=not streams)
            if not streams:
                visit.request.body = await visit.read(exchange.joined(body, limit))
                s3_bodies.check(routed.operation, visit.request.headers, trailers, visit.request.body)
        params = await _params_of(routed, visit.request)
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
            known=verified.known,
            body=body if streams else None,
            body_sha256=payload.promised_sha256(verified) if streams else None,
            started=visit.started,
            line=routed if routed.checked is not None and _is_only_line(visit.request) else None,
            trailers=trailers,
        )
        answered = await self._corridor.walk(visit, call, handler)
        return await self._answers.response(visit, routed, answered)

    async def _route(self, visit: Visit) -> Routed:
        """The operation asked for. The form of a query request is read for it, but never what S3 may be storing."""
        request = visit.request
        scope = routing.scope_service(request)
        if routing.is_form(request) and scope != "s3":
            visit.protocol, visit.service = "query", "sts" if scope is None else scope
            request.body = await visit.read(visit.incoming.read(LARGEST_BODY))
        try:
            # A bucket may be named by the host; what is verified and parsed stays the request as it was sent.
            in_path = addressed(request) if scope in (None, "s3") else request
            routed = routing.route(in_path, scope)
        except UnknownOperation as error:
            visit.service, visit.protocol = error.service, error.protocol
            raise
        visit.goes_to(routed)
        return routed


async def _params_of(routed: Routed, request: HttpRequest) -> dict[str, Any]:
    """The parameters; those of a large body are read aside, so that other requests need not wait for it."""
    if len(request.body or b"") < LARGE_BODY:
        return params_of(routed, request)
    return await to_thread.run_sync(params_of, routed, request)


def params_of(routed: Routed, request: HttpRequest) -> dict[str, Any]:
    """The parameters of a request, parsed and checked. Refuses what does not fit the service model."""
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
        service = _UNPATTERNED.get(routed.service, ())
        name = routed.operation.name
        validate.check(
            shape, params, unpatterned=_UNPATTERNED_IN.get(name, service), unlisted=_UNLISTED_IN.get(name, ())
        )
        return
    # S3 judges values in its operations, each with a code of its own; only what is absent is told here.
    absent = validate.absences(shape, params)
    if absent and shape.serialization.get("payload") not in params:
        raise ServiceRefusal("MissingRequestBodyError", "Request Body is empty", http_status=400)
    if absent:
        text = "The XML you provided was not well-formed or did not validate against our published schema"
        raise ServiceRefusal("MalformedXML", text, http_status=400)
