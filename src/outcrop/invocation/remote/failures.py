"""A remote server's refusal as one of ours: class by its status, reason in its own words without secrets.

What may be over in a moment is asked again, a few times and shortly, as long as nothing has been shown to the caller.
"""

import asyncio
import json
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any, TypeVar
from urllib.parse import urlsplit

from outcrop.errors import Invalid, ModelFailed, NotReady, OutcropError, ServiceRefusal, Throttled
from outcrop.invocation.remote.https import took_too_long

Answer = TypeVar("Answer")
Sleep = Callable[[float], Awaitable[Any]]

TRIES = 3
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 5.0
"Whoever says to come back later than this is not waited for: the caller is told."
_RETRY_AFTER_S = 10.0
"Where a server that throttles does not say."
_LONGEST_SAID = 500
_HIDDEN = "[hidden]"


def refusal(host: str, status: int, headers: Mapping[str, str], body: bytes, secrets: Sequence[str]) -> OutcropError:
    """The error that stands for an answer that is no success."""
    reason = said(body, secrets)
    told = f"{host} answered {status}" + (f": {reason}" if reason else ".")
    if 300 <= status < 400:
        place = urlsplit(headers.get("location", "")).netloc or "elsewhere"
        return ModelFailed(
            f"{host} redirects to {place}. No redirect is followed, for the key would go with it. Register the model "
            "with that address if it is the right one."
        )
    if status in (401, 403):
        return ModelFailed(
            f"{host} does not accept the credentials of this model ({status}). Register it again with valid ones: "
            "`outcrop register`."
        )
    if status == 429:
        return Throttled(told, retry_after_s=_retry_after_s(headers))
    if status in (408, 504):
        return took_too_long(host)
    if status in (502, 503, 529):
        return NotReady(told)
    if status in (400, 413, 422):
        return Invalid(f"The remote model refused the request. {told}")
    return ModelFailed(told)


def said(body: bytes, secrets: Sequence[str]) -> str:
    """The reason that a server gives in the body of an error, shortened and without secrets."""
    text = body.decode(errors="replace")
    try:
        found: Any = json.loads(text)
    except ValueError:
        found = text.strip()
    for name in ("error", "message"):
        if isinstance(found, dict):
            found = found.get(name, found)
    return hidden(found if isinstance(found, str) else text, secrets)[:_LONGEST_SAID].strip()


def hidden(text: str, secrets: Sequence[str]) -> str:
    """A text of a remote server without the secrets that it was sent."""
    for secret in secrets:
        text = text.replace(secret, _HIDDEN)
    return text


def broken_stream(reason: object) -> ServiceRefusal:
    """The error with which a stream ends that has begun."""
    sentence = f"The remote model went away in the middle of its answer. Send the request again. ({reason})"
    return ServiceRefusal("ModelStreamErrorException", sentence, http_status=424)


async def tried(attempt: Callable[[], Awaitable[Answer]], *, sleep: Sleep = asyncio.sleep) -> Answer:
    """The answer of the first attempt that is not told to come back, of TRIES."""
    for number in range(TRIES - 1):
        try:
            return await attempt()
        except (NotReady, Throttled) as problem:
            await _pause(problem, number, sleep)
    return await attempt()


async def tried_stream(
    attempt: Callable[[], AsyncGenerator[Answer, None]], *, sleep: Sleep = asyncio.sleep
) -> AsyncGenerator[Answer, None]:
    """A stream tried likewise; one that has given something is not begun anew."""
    for number in range(TRIES):
        begun = False
        try:
            async with aclosing(attempt()) as items:
                async for item in items:
                    begun = True
                    yield item
            return
        except (NotReady, Throttled) as problem:
            if begun:
                raise broken_stream(problem.message) from problem
            if number == TRIES - 1:
                raise
            await _pause(problem, number, sleep)


async def _pause(problem: NotReady | Throttled, number: int, sleep: Sleep) -> None:
    """Sleep before the next attempt. Raises the problem where that would be too long."""
    wait_s = problem.retry_after_s if isinstance(problem, Throttled) else _FIRST_PAUSE_S * 2**number
    if wait_s > _LONGEST_PAUSE_S:
        raise problem
    await sleep(wait_s)


def _retry_after_s(headers: Mapping[str, str]) -> float:
    # The other form, a date, is as rare as it is needless.
    told = headers.get("retry-after", "")
    return float(told) if told.replace(".", "", 1).isdecimal() else _RETRY_AFTER_S
