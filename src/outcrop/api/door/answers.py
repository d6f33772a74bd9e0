"""Responses in the protocol that the client spoke, made from what a handler answered or what went wrong."""

import logging
from collections.abc import AsyncIterator, Hashable
from dataclasses import replace
from typing import Any

from outcrop import logs
from outcrop.api.door import exchange, failures
from outcrop.api.door.call import Answer, Answered, Derived, Streamed
from outcrop.api.door.visit import Visit
from outcrop.errors import Unavailable
from outcrop.protocol import eventstream, serialize
from outcrop.protocol.http import HttpResponse
from outcrop.protocol.routing import Routed
from outcrop.protocol.shapes import StructureShape
from outcrop.settings import Settings

_MOST_SENT = 256
"Answers remembered for those who ask again; then it begins anew."
_log = logging.getLogger("outcrop.door")


class Answers:
    """Answers of operations as responses; those that follow from an unchanged row are serialized once."""

    def __init__(self) -> None:
        self._sent: dict[Hashable, HttpResponse] = {}

    async def response(self, visit: Visit, routed: Routed, answered: Answered) -> HttpResponse:
        """The response, its first event or piece at hand: what fails before it is still an ordinary error."""
        if isinstance(answered, Streamed):
            response = await _event_stream(visit, routed, answered)
        elif isinstance(answered, Derived):
            return await exchange.opened(self._derived(visit, routed, answered))
        else:
            members, status = (answered.members, answered.status) if isinstance(answered, Answer) else (answered, None)
            response = serialize.serialize(
                routed.operation, members, protocol=routed.protocol, request_id=visit.request_id, status=status
            )
        if isinstance(answered, Answer | Streamed) and answered.headers:
            response = replace(response, headers=response.headers | dict(answered.headers))
        return await exchange.opened(response)

    def _derived(self, visit: Visit, routed: Routed, derived: Derived) -> HttpResponse:
        """The response as it was sent before while the source is the same, under the id of this request."""
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


async def _event_stream(visit: Visit, routed: Routed, streamed: Streamed) -> HttpResponse:
    stream = serialize.event_stream_shape(routed.operation)
    assert stream is not None, f"{routed.operation.name} has no event stream"
    head = serialize.stream_head(routed.operation, streamed.members, request_id=visit.request_id)
    try:
        first = await anext(streamed.events, None)
    except BaseException:
        await exchange.close(streamed.events)
        raise
    return replace(head, body=_frames(visit, stream, first, streamed.events))


async def _frames(
    visit: Visit, stream: StructureShape, first: dict[str, Any] | None, events: AsyncIterator[dict[str, Any]]
) -> AsyncIterator[bytes]:
    try:
        if first is not None:
            yield eventstream.event(stream, first)
            async for each in events:
                yield eventstream.event(stream, each)
    except Exception as error:
        visit.code = failure_of(visit, error).code
        yield failures.frame(error, stream)
    finally:
        await exchange.close(events)


def failed(visit: Visit, error: Exception, settings: Settings) -> HttpResponse:
    """The service's own error for whatever was raised on the way; a defect of ours is logged."""
    found = failure_of(visit, error)
    visit.code, visit.message = found.code, settings.hidden(found.message)
    response = serialize.serialize_error(
        visit.protocol,
        service=visit.service,
        code=found.code,
        message=visit.message,
        status=found.status,
        members=found.members,
        request_id=visit.request_id,
    )
    return replace(response, headers=response.headers | found.headers) if found.headers else response


def failure_of(visit: Visit, error: Exception) -> failures.Failure:
    """How the service says what was raised on the way; a defect of ours is logged."""
    if isinstance(error, Unavailable):
        logs.tell(_log, "unavailable", level=logging.WARNING, note=error.message, request_id=visit.request_id)
    elif not failures.is_expected(error):
        logs.tell(_log, "error", level=logging.ERROR, exc_info=error, request_id=visit.request_id)
    operation = visit.routed.operation if visit.routed is not None else None
    return failures.failure(error, service=visit.service, protocol=visit.protocol, operation=operation)
