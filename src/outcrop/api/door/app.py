"""The door, an ASGI application: each request finds its entrance, is answered, and is told of.

Entrances, in the order in which they are asked: our own pages, OpenAI's clients, the questions of browsers, the forms
of web pages, and the requests of AWS's clients. What becomes a call walks the one corridor. Whatever is raised on the
way becomes the service's own error.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from functools import partial
from typing import Protocol

from anyio import to_thread

from outcrop.api.door import exchange, health, prometheus
from outcrop.api.door.answers import failed
from outcrop.api.door.aws_requests import AwsRequests
from outcrop.api.door.corridor import Corridor
from outcrop.api.door.health import Health, well
from outcrop.api.door.pages import OwnPage
from outcrop.api.door.patience import PAUSE_S
from outcrop.api.door.telling import CLIENT_LEFT, Telling
from outcrop.api.door.visit import Left, Visit
from outcrop.api.openai import browsers
from outcrop.api.openai.entrance import OpenAiRequests
from outcrop.api.operations import Operations
from outcrop.api.own.operations import OwnOperations
from outcrop.api.s3 import cors
from outcrop.api.s3.form_uploads import FormUploads
from outcrop.errors import MachineTrouble, Unavailable
from outcrop.house import House
from outcrop.loops import contained
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.unbuilt import OPENAI

_log = logging.getLogger("outcrop.door")


class Entrance(Protocol):
    """Where some requests come in."""

    @property
    def is_asked(self) -> Callable[[HttpRequest], bool]:
        """Whether this request comes in here."""

    @property
    def answer(self) -> Callable[[Visit], Awaitable[HttpResponse]]:
        """The response; what is raised becomes an error in the words of the visit's service."""


class Door:
    """The ASGI application over one house and one table of operations."""

    def __init__(
        self, house: House, operations: Operations, *, health: Health = well, pause_s: float = PAUSE_S
    ) -> None:
        """`health` is told to whoever asks; `pause_s`: how long the next piece of a request's body may take to come."""
        self._house = house
        self._pause_s = pause_s
        self._entrances = _entrances(house, operations, health)
        self._telling = Telling(
            house.access,
            house.audit,
            house.traffic,
            house.clock,
            data_events=house.settings.audit_data_events,
            wants_data=lambda *event: house.trails.wants_data(*event),  # opened when a call is about data
        )

    async def __call__(self, scope: exchange.Scope, receive: exchange.Receive, send: exchange.Send) -> None:
        if scope["type"] != "http":
            return
        visit = Visit.of(scope, receive, pause_s=self._pause_s)
        try:
            response = await self._respond(visit)
            response = await self._recorded(visit, response)
            await self._send(visit, response, send)
        except Left:
            pass  # nobody is there to be answered
        finally:
            visit.end()
            with contained(_log, "telling of a request"):
                self._telling.tell(visit)
            if visit.trace is not None:
                code = visit.code or (CLIENT_LEFT if visit.left else "")
                self._house.invocation_logs.note(visit.trace.ended(code))

    async def _respond(self, visit: Visit) -> HttpResponse:
        entrance = next(each for each in self._entrances if each.is_asked(visit.request))
        try:
            response = await entrance.answer(visit)
        except Left:
            raise
        except Exception as error:
            response = failed(visit, error, self._house.settings)
        return await self._readable(visit, response)

    async def _recorded(self, visit: Visit, response: HttpResponse) -> HttpResponse:
        """The response, once what the call changed is in the record; an error where that cannot be written."""
        visit.status = response.status
        try:
            if await self._telling.record(visit, streams=not isinstance(response.body, bytes)):
                return response
            trouble = MachineTrouble(
                "The request was carried out, but the record of calls cannot be written, so nobody is told that it "
                "succeeded. See the log of the server, and free some space on its disk."
            )
        except Unavailable as away:
            trouble = away
        if isinstance(response.body, AsyncIterator):
            await exchange.close(response.body)
        return await self._readable(visit, failed(visit, trouble, self._house.settings))

    async def _readable(self, visit: Visit, response: HttpResponse) -> HttpResponse:
        """The response with the headers by which a page in a browser may read it."""
        request = visit.request
        if "origin" not in request.headers or cors.is_preflight(request):
            return response
        if visit.protocol == OPENAI:
            return replace(response, headers=response.headers | browsers.headers_of_answer())
        if visit.service == "s3":
            allowed = await to_thread.run_sync(cors.headers_of_answer, self._house, request)
            return replace(response, headers=response.headers | dict(allowed))
        return response

    async def _send(self, visit: Visit, response: HttpResponse, send: exchange.Send) -> None:
        visit.status = response.status
        await visit.incoming.drain()
        if visit.incoming.waits_in_vain or not visit.incoming.ended.is_set():
            # The server would take what comes next on this connection, another request, for the rest of this body. And
            # botocore keeps the status of an answer that comes in place of a 100 for the connection's next answer.
            response = replace(response, headers=response.headers | {"Connection": "close"})
        sending = exchange.send(send, response, method=visit.request.method, now=self._house.clock.now())
        await (sending if isinstance(response.body, bytes) else visit.while_there(sending))


def _entrances(house: House, operations: Operations, told: Health) -> tuple[Entrance, ...]:
    corridor = Corridor(house, operations)
    return (
        OwnPage(name="GetHealth", is_asked=health.is_asked, show=partial(health.answer, house, told)),
        OwnPage(name="GetMetrics", is_asked=prometheus.is_asked, show=partial(prometheus.answer, house, told)),
        OwnOperations(house),
        OpenAiRequests(corridor),
        cors.Preflights(house),
        FormUploads(corridor),
        AwsRequests(corridor),
    )
