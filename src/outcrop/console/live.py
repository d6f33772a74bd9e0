"""The one event stream of a tab: the living part of its page, sent again whenever it has changed.

A stream ends when its browser leaves, when its session ends, when the console stops, or after an hour; the browser's
own script then comes back. No timer lives outside of a stream.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from anyio import to_thread
from botocore.exceptions import BotoCoreError, ClientError
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse

from outcrop.console.pages import (
    deployments,
    evaluations,
    home,
    jobs,
    knowledge,
    models,
    sagemaker_endpoints,
    sagemaker_training,
    tasks,
)
from outcrop.console.sessions import ConsoleSession, ConsoleSessions
from outcrop.console.user_client import KEY_ENDED
from outcrop.console.visit import ConsoleVisit

_EVERY_S = 1.0
_EVERY_S_OF = {"jobs": 2.0}
"Of a page that asks many lists at once."
_LONGEST_S = 3600
_SILENCE = 15
"Turns without a change until a comment is sent, by which a browser that left is noticed."
LIVING: dict[str, Callable[[ConsoleVisit], str]] = {
    "home": home.living,
    "jobs": jobs.living,
    "job": jobs.living_one,
    "other_job": jobs.living_other,
    "overlay": jobs.living_overlay,
    "tasks": tasks.living,
    "model_state": models.living_state,
    "deployments": deployments.living,
    "knowledge": knowledge.living_one,
    "evaluations": evaluations.living,
    "evaluation": evaluations.living_one,
    "sagemaker-training": sagemaker_training.living,
    "sagemaker-training-job": sagemaker_training.living_one,
    "sagemaker-tuning": sagemaker_training.living_tuning,
    "sagemaker-tuning-job": sagemaker_training.living_one_tuning,
    "sagemaker-endpoints": sagemaker_endpoints.living,
    "sagemaker-endpoint": sagemaker_endpoints.living_one,
}


class LiveHouse(Protocol):
    """The console as a stream asks it while it lasts."""

    sessions: ConsoleSessions
    is_stopping: bool

    def visit(self, request: Request, *, is_use: bool = True) -> ConsoleVisit: ...


async def stream(visit: ConsoleVisit, house: LiveHouse) -> Response:
    """Server-sent events of the page that the address names."""
    assert visit.session is not None
    living = LIVING.get(visit.asked("page"))
    if living is None:
        return PlainTextResponse("page: there is no such living page.\n", 404)
    if not visit.session.may_stream():
        return PlainTextResponse("Too many tabs are open at once.\n", 429)
    every_s = _EVERY_S_OF.get(visit.asked("page"), _EVERY_S)
    events = _counted(visit.session, _events(visit, house, living, every_s))
    return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})


async def _counted(session: ConsoleSession, events: AsyncIterator[str]) -> AsyncIterator[str]:
    session.streams += 1
    try:
        async for event in events:
            yield event
    finally:
        session.streams -= 1


async def _events(
    visit: ConsoleVisit, house: LiveHouse, living: Callable[[ConsoleVisit], str], every_s: float
) -> AsyncIterator[str]:
    before, silent = "", 0
    for _ in range(int(_LONGEST_S / every_s)):
        if house.is_stopping:
            return
        if house.visit(visit.request, is_use=False).session is not visit.session:
            yield "event: ended\ndata: {}\n\n"
            return
        try:
            now = await to_thread.run_sync(living, visit)
        except ClientError as error:
            if error.response["Error"]["Code"] in KEY_ENDED:
                assert visit.session is not None
                house.sessions.end(visit.session)
                continue
            now = before  # it is refused now, and the page that was shown stays
        except BotoCoreError:
            now = before  # the server is not there for a moment
        silent = 0 if now != before else silent + 1
        if now != before:
            before = now
            yield f"data: {json.dumps(now)}\n\n"
        elif silent % _SILENCE == 0:
            yield ": here\n\n"
        await asyncio.sleep(every_s)
