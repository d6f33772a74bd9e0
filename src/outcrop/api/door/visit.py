"""The state of one request, called a visit, from its arrival to its end.

It holds the request as it comes in, what becomes known of it, and what is told of it at the end.
"""

import asyncio
import random
import time
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

import anyio

from outcrop.access.caller import Caller
from outcrop.api.door import exchange, failures
from outcrop.api.door.call import Answered, Call
from outcrop.api.door.invocation_trace import InvocationTrace
from outcrop.api.door.patience import BodyPatience
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.routing import Routed

_Done = TypeVar("_Done")


class Left(Exception):
    """The client has gone."""


@dataclass
class Visit:
    """The state of one request: what is known of it so far."""

    request: HttpRequest
    incoming: exchange.Incoming
    request_id: str
    source_ip: str
    secure: bool
    service: str = "s3"
    protocol: str = "rest-xml"
    routed: Routed | None = None
    page: str = ""
    "The name of a page or operation of our own, in place of a service's."
    changes: bool = False
    "Whether that operation of our own changes something: then it is an entry of the audit."
    touched: tuple[str, ...] = ()
    "The ARNs of what that operation works on, as far as its sender has proved to be somebody."
    caller: Caller | None = None
    "Who proved to be its sender."
    region: str = ""
    call: Call | None = None
    "What was asked for, once it was understood."
    answered: Answered | None = None
    trace: InvocationTrace | None = None
    "Of an invocation that is logged."
    status: int = 0
    code: str = ""
    "The service's error code; empty where nothing failed."
    message: str = ""
    "The sentence of the error."
    recorded: bool = False
    "Whether its entry is in the record before its answer is sent."
    left: bool = False
    started: float = field(default_factory=time.monotonic)
    _scope: anyio.CancelScope | None = None
    "Around the work that ends when the client has gone."
    _watch: "asyncio.Task[None] | None" = None

    @classmethod
    def of(cls, scope: exchange.Scope, receive: exchange.Receive, *, pause_s: float) -> "Visit":
        """A visit that begins; `pause_s`: how long the next piece of its body may take to come."""
        request = exchange.request_of(scope)
        version, patience = scope["http_version"], BodyPatience(pause_s)
        return cls(
            request=request,
            incoming=exchange.Incoming(receive, request.headers, http_version=version, patience=patience),
            request_id=_request_id(),
            source_ip=(scope.get("client") or ("",))[0],
            secure=scope.get("scheme") == "https",
        )

    @property
    def operation(self) -> str:
        """The name of the operation, or empty where no service has one for such a request."""
        return self.routed.operation.name if self.routed is not None else self.page

    @property
    def is_call(self) -> bool:
        """Whether an operation of a service was asked for; pages of our own are none."""
        return not self.page

    def goes_to(self, routed: Routed) -> None:
        """The operation is known, and with it the words in which the request is answered."""
        self.routed, self.service, self.protocol = routed, routed.service, routed.protocol

    async def read(self, body: Coroutine[Any, Any, bytes]) -> bytes:
        """A body that is read whole. Raises the service's refusal of one that is too large."""
        try:
            return bytes(await body)
        except exchange.TooLarge as error:
            raise failures.too_large(self.protocol, error.limit) from error

    async def while_there(self, work: Coroutine[Any, Any, _Done]) -> _Done:
        """The work, ended when the client goes away: then raises Left.

        What answers in a moment is not worth the task that watches.
        """
        with anyio.CancelScope() as self._scope:
            if self._watch is None:
                self._watch = asyncio.create_task(self._end_when_left())
            if self.left:
                self._scope.cancel()
            return await work
        raise Left

    async def _end_when_left(self) -> None:
        await self.incoming.client_left()
        self.left = True
        if self._scope is not None:
            self._scope.cancel()

    def end(self) -> None:
        if self._watch is not None:
            self._watch.cancel()


def _request_id() -> str:
    """A random UUID (version 4) as text, at a tenth of what the module `uuid` takes for it. Nothing trusts it."""
    digits = f"{random.getrandbits(120):030x}"
    return f"{digits[:8]}-{digits[8:12]}-4{digits[12:15]}-a{digits[15:18]}-{digits[18:]}"
