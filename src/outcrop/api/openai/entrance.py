"""The entrance of OpenAI's clients: a request below /v1 or /openai/v1 becomes a call, and its answer OpenAI's.

A bearer key proves who asks (`keys.py`); the body is read into an operation of AWS (`endpoint.py`), which is
authorized, counted and audited as any other on the one corridor.
"""

from typing import Any
from urllib.parse import unquote_plus

from outcrop.api.door import exchange
from outcrop.api.door.call import Answer, Answered, Call, Streamed
from outcrop.api.door.corridor import Corridor
from outcrop.api.door.visit import Visit
from outcrop.api.openai import browsers, endpoints, keys, refusals, server_events
from outcrop.api.openai.endpoint import BODY, CONTENT, LABEL, QUERY, Endpoint, EndpointRequest, MeantOperation, Takes
from outcrop.errors import Refusal
from outcrop.protocol import service_model
from outcrop.protocol.http import Body, HttpRequest, HttpResponse
from outcrop.protocol.paths import query_pairs
from outcrop.protocol.routing import Routed
from outcrop.protocol.serialize import request_id_headers
from outcrop.protocol.unbuilt import OPENAI
from outcrop.protocol.values import json_text, json_values

LARGEST_BODY = 25_000_000
"As of InvokeModel."


class OpenAiRequests:
    """Requests of OpenAI's own clients, and of all that speak as they do."""

    def __init__(self, corridor: Corridor) -> None:
        self._corridor = corridor
        self._house = corridor.house

    def is_asked(self, request: HttpRequest) -> bool:
        return endpoints.claims(request)

    async def answer(self, visit: Visit) -> HttpResponse:
        """Raises what becomes an error of OpenAI's form."""
        visit.service, visit.protocol = "bedrock-runtime", OPENAI
        if browsers.is_preflight(visit.request):
            return browsers.preflight(visit.request, visit.request_id)
        prompt = "messages"
        try:
            endpoint, label = endpoints.find(visit.request)
            prompt = endpoint.prompt
            return await self._answer(visit, endpoint, label)
        except Refusal as refusal:
            told = refusals.of(refusal, param=prompt)
            if told is refusal:
                raise
            raise told from refusal

    async def _answer(self, visit: Visit, endpoint: Endpoint, label: str) -> HttpResponse:
        visit.goes_to(_routed(endpoint.service, endpoint.operation))
        asked = await self._asked(visit, endpoint, label)
        meant = await self._house.ask(endpoint.meaning, self._house, asked)
        visit.goes_to(_routed(endpoint.service, meant.operation))
        visit.region = meant.region or asked.region
        call = _call(visit, endpoint, asked, meant)
        answered = await self._corridor.walk(visit, call, endpoint.handler)
        return await _response(visit, endpoint, answered)

    async def _asked(self, visit: Visit, endpoint: Endpoint, label: str) -> EndpointRequest:
        """The request, read. A key that opens nothing is refused before its body is read."""
        owner = await self._house.ask(keys.owner_of, self._house, visit.request)
        visit.caller, visit.region = owner
        raw = await visit.read(visit.incoming.read(LARGEST_BODY)) if endpoint.takes is Takes.JSON else b""
        visit.request.body = raw
        return EndpointRequest(
            caller=owner.caller,
            region=owner.region,
            label=label,
            query=_query(visit.request),
            body=_object(raw) if endpoint.takes is Takes.JSON else {},
            raw=raw,
            headers=visit.request.headers,
        )


def _routed(service: str, operation: str) -> Routed:
    model = service_model.operation(service, operation)
    return Routed(service=service, operation=model, protocol=OPENAI, path_parameters={})


def _call(visit: Visit, endpoint: Endpoint, asked: EndpointRequest, meant: MeantOperation) -> Call:
    streams = endpoint.takes is Takes.FORM
    return Call(
        service=endpoint.service,
        operation=meant.operation,
        params={**meant.params, BODY: asked.body, LABEL: asked.label, QUERY: asked.query},
        caller=asked.caller,
        region=visit.region,
        request_id=visit.request_id,
        headers=visit.request.headers,
        source_ip=visit.source_ip,
        secure=visit.secure,
        body=visit.incoming.stream() if streams else None,
        started=visit.started,
    )


def _object(raw: bytes) -> dict[str, Any]:
    try:
        body = json_text.loads(raw)
    except json_text.NotJson as problem:
        raise refusals.not_json(problem) from problem
    if not isinstance(body, dict):
        raise refusals.not_json("it is no object")
    return {name: value for name, value in body.items() if value is not None}


def _query(request: HttpRequest) -> dict[str, str]:
    return {unquote_plus(name): unquote_plus(value) for name, value in query_pairs(request.raw_query)}


async def _response(visit: Visit, endpoint: Endpoint, answered: Answered) -> HttpResponse:
    """The response, its first event or piece at hand: what fails before it is still an ordinary error."""
    headers = request_id_headers(OPENAI, visit.request_id)
    if isinstance(answered, Streamed):
        return await server_events.response(visit, answered, named=endpoint.has_named_events, headers=headers)
    members, status = answered, 200
    if isinstance(answered, Answer):
        members, status, headers = answered.members, answered.status or 200, headers | dict(answered.headers)
    assert isinstance(members, dict), "an endpoint answers with members"
    body: Body
    if CONTENT in members:
        body = members[CONTENT]
    else:
        headers, body = headers | {"Content-Type": "application/json"}, json_values.dumps(members)
    return await exchange.opened(HttpResponse(status=status, headers=headers, body=body))
