"""Calls of an engine's door, answered by a table of paths.

They are counted while they run, refused in vLLM's form, and told to the log with one line each.
"""

import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from outcrop import logs
from outcrop.errors import NotFound, NotReady, OutcropError
from outcrop.inference import dialect
from outcrop.inference.engine_thread import EngineThread
from outcrop.inference.in_progress import RequestsInProgress
from outcrop.inference.unix_http import HttpAnswer, HttpCall

Facts = dict[str, Any]
"What the log line of a call will say."
Path = Callable[[HttpCall, Facts], Awaitable[HttpAnswer]]
Paths = Mapping[tuple[str, str], Path]
"By method and path."

_USES = ("/v1/completions", "/v1/embeddings", "/v1/score")
"Paths that use the network: after the last of them, an engine has been idle."
_NO_NEWS = ("/health", "/load")
"Paths that are asked again and again."
_log = logging.getLogger("outcrop.engine")


async def answer(call: HttpCall, paths: Paths, work: RequestsInProgress) -> HttpAnswer:
    """The answer of the path that was called. Never raises, unless it is cancelled."""
    facts: Facts = {"method": call.method, "path": call.path, "started": time.monotonic()}
    try:
        found = paths.get((call.method, call.path))
        if found is None:
            raise NotFound(f"{call.method} {call.path}: this engine has no such path.")
        if call.path.startswith("/v1/"):
            work.check_open()
            with work.one(counts=call.path in _USES):
                answered = await found(call, facts)
        else:
            answered = await found(call, facts)
    except Exception as problem:
        answered = _refuse(problem, facts)
    except BaseException:
        report(facts, status=499)  # nginx's number for a caller that hung up
        raise
    if isinstance(answered.body, bytes) and call.path not in _NO_NEWS:
        report(facts, status=answered.status)
    return answered


def standing(engine: EngineThread, work: RequestsInProgress) -> Paths:
    """The paths by which the pool watches an engine and ends it."""

    async def health(_call: HttpCall, _facts: Facts) -> HttpAnswer:
        work.check_open()
        if not engine.ready:
            raise NotReady("The engine is loading its base model. Ask again in a moment.")
        return as_json({"status": "ready"})

    async def load(_call: HttpCall, _facts: Facts) -> HttpAnswer:
        # As vLLM tells it; whoever shares out the machine's memory asks.
        return as_json({"server_load": work.running, "answered": work.answered, "idle_s": work.idle_s})

    async def retire(_call: HttpCall, _facts: Facts) -> HttpAnswer:
        # No more requests from now on; the process ends with the last of those in progress.
        work.close()
        return as_json({"server_load": work.running})

    return {("GET", "/health"): health, ("GET", "/load"): load, ("POST", "/retire"): retire}


def as_json(body: dict[str, Any], status: int = 200) -> HttpAnswer:
    """An answer of JSON."""
    return HttpAnswer(body=json.dumps(body, separators=(",", ":")).encode(), status=status)


def report(facts: Facts, *, status: int) -> None:
    """Write the log line of a call that ended."""
    seconds = round(time.monotonic() - facts.pop("started"), 4)
    logs.tell(_log, "call", **facts, status=status, seconds=seconds)


def _refuse(problem: Exception, facts: Facts) -> HttpAnswer:
    status, body = dialect.error(problem)
    if isinstance(problem, OutcropError):
        facts["problem"] = type(problem).__name__  # not its message: that may quote what was sent
    else:
        _log.exception("call %s failed", facts.get("id"))
    return as_json(body, status)
