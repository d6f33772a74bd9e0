"""The entrance of our own pages, GET /health and GET /metrics: they are no calls of a service."""

from collections.abc import Callable
from dataclasses import dataclass

from anyio import to_thread

from outcrop.api.door.visit import Visit
from outcrop.protocol.http import HttpRequest, HttpResponse


@dataclass(frozen=True, kw_only=True)
class OwnPage:
    """A page of Outcrop's own, beside the operations; `show` raises a refusal for somebody who may not see it."""

    name: str
    is_asked: Callable[[HttpRequest], bool]
    show: Callable[[Visit], HttpResponse]

    async def answer(self, visit: Visit) -> HttpResponse:
        visit.service, visit.protocol, visit.page = "bedrock", "rest-json", self.name  # in whose words it is refused
        return await to_thread.run_sync(self.show, visit)
