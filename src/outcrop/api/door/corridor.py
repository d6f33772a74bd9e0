"""The corridor behind every entrance: a call is authorized, then its handler is called."""

from collections.abc import Coroutine
from functools import cache
from inspect import iscoroutinefunction
from typing import Any

from anyio import to_thread

from outcrop.api.bedrock import unreal
from outcrop.api.door import failures
from outcrop.api.door.call import Answer, Answered, Call, Derived, Handler, Streamed, is_quick
from outcrop.api.door.invocation_trace import trace_of
from outcrop.api.door.visit import Visit
from outcrop.api.operations import Operations
from outcrop.house import House
from outcrop.protocol.routing import Routed


class Corridor:
    """The way of a call from any entrance to its handler and back."""

    def __init__(self, house: House, operations: Operations) -> None:
        self.house = house
        self._operations = operations

    def handler(self, routed: Routed) -> Handler:
        """The handler that answers this operation. Raises the service's own error for one that is not built."""
        handler = self._operations.get(routed.service, {}).get(routed.operation.name)
        if handler is None:
            raise failures.unbuilt(routed.operation, routed.protocol)
        return handler

    async def walk(self, visit: Visit, call: Call, handler: Handler) -> Answered:
        """Authorize, then call. Raises Denied, what the handler raises, and Left when the client goes away."""
        visit.call = call
        await self.house.ask(self.house.access.authorize, call)
        if call.service == "bedrock":
            unreal.check(call.params)
        visit.trace = trace_of(self.house, call, visit.request.body)
        visit.answered = await self._called(visit, call, handler)
        return visit.answered if visit.trace is None else visit.trace.follow(visit.answered)

    async def _called(self, visit: Visit, call: Call, handler: Handler) -> Answered:
        answered: Any
        if _is_async(handler):
            work = handler(self.house, call)
            assert isinstance(work, Coroutine), f"{call.operation} is an async def"
            answered = await visit.while_there(work)
        elif is_quick(handler, self.house, call):
            answered = await self.house.ask(handler, self.house, call)
        else:
            answered = await to_thread.run_sync(handler, self.house, call)
        assert isinstance(answered, dict | Derived | Answer | Streamed), f"{call.operation} answered {type(answered)}"
        return answered


@cache
def _is_async(handler: Handler) -> bool:
    return iscoroutinefunction(handler)
