"""A vote of the playground's script: written into the bucket that it names."""

import json
from typing import Any

from anyio import to_thread
from starlette.responses import JSONResponse, PlainTextResponse, Response

from outcrop.console import vote_files
from outcrop.console.views.vote_lines import CastVote, line_of, read_vote
from outcrop.console.visit import ConsoleVisit
from outcrop.console.vote_files import VotePlace, place_of

_MOST_BYTES = 1 << 20


async def vote(visit: ConsoleVisit) -> Response:
    """Takes a vote in; the answer leads to the ratings."""
    body = await visit.request.body()
    try:
        told: dict[str, Any] = json.loads(body[: _MOST_BYTES + 1])
        cast, place = read_vote(told), place_of(str(told.get("place") or ""))
        await to_thread.run_sync(_keep, visit, cast, place)
    except (ValueError, AttributeError) as problem:
        return PlainTextResponse(f"{problem}\n", 400)
    return JSONResponse({"ratings": visit.url("/playground/ratings", place=place.uri)})


def _keep(visit: ConsoleVisit, cast: CastVote, place: VotePlace) -> None:
    who = visit.api.client("sts").get_caller_identity()["Arn"]
    vote_files.add(visit.api, place, line_of(cast, worker=who.rsplit("/", 1)[-1], at=visit.now))
