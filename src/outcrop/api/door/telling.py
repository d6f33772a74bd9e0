"""Telemetry of a request: a line in the log, a count for the metric points, an audit entry.

It is told when the answer is sent. It costs a request microseconds, and nothing that goes wrong here reaches it: both
rooms collect in memory and write later. No body, no prompt, no secret and no sentence of an error is told, for such
sentences quote what was sent.
"""

import logging
import re
import time
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop import arn as arns
from outcrop import logs
from outcrop.access.access import Access
from outcrop.access.caller import Caller
from outcrop.access.needs.knowledge import ANSWERING, GENERATING
from outcrop.api.door.call import Answer, Answered
from outcrop.api.door.visit import Visit
from outcrop.audit.audit import Audit
from outcrop.audit.entry import Entry, keepable
from outcrop.audit.kinds import is_data_event, is_read_only
from outcrop.clock import Clock
from outcrop.metrics.traffic import Ended, InvocationCount, Traffic, metric_of
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.service_model import SERVICES

CLIENT_LEFT = "ClientLeft"
"The code of a request whose client went away before its answer."
_INVOCATIONS = frozenset({"Converse", "ConverseStream", "InvokeModel", "InvokeModelWithResponseStream", *GENERATING})
_KEY_ID = re.compile(r"\bCredential=([A-Z0-9]{16,128})/")
OWN = "outcrop"
"The service of our own pages."
_SERVICES = frozenset(SERVICES)
_NOBODY = Caller(arn="", account="", user_id="", key_id="")
_log = logging.getLogger("outcrop.door")


class Telling:
    """Tells of every request that the door answered."""

    def __init__(self, access: Access, audit: Audit, traffic: Traffic, clock: Clock, *, data_events: bool) -> None:
        """`data_events`: whether calls about objects in buckets are entries of the audit."""
        self._access = access
        self._audit = audit
        self._traffic = traffic
        self._clock = clock
        self._data_events = data_events

    def tell(self, visit: Visit) -> None:
        latency_ms = round((time.monotonic() - visit.started) * 1000, 1)
        _write_log(visit, latency_ms)
        operation, now = visit.operation, self._clock.now()
        ended = Ended(_service(visit), operation, visit.status)
        invoked = self._invoked(visit, latency_ms) if operation in _INVOCATIONS else None
        self._traffic.note(ended, latency_ms, now, invoked)
        if operation and (visit.is_call or visit.changes):
            self._enter(visit, operation, now)

    def _invoked(self, visit: Visit, latency_ms: float) -> InvocationCount | None:
        """Nothing for a model that is not there: names that nobody has would be series without end."""
        call = visit.call
        if call is None:
            return None
        member = ANSWERING if call.operation in GENERATING else "modelId"
        named = self._access.named(call, member)
        if named.foundation is not None:
            model = named.foundation.id
        elif self._access.row(call, member) is not None:
            model = named.arn
        else:
            return None
        metric = metric_of(visit.status, _code(visit))
        usage = call.usage
        left = bool(usage.sent_to)
        return InvocationCount(model, metric, latency_ms, usage.input_tokens, usage.output_tokens, left)

    def _enter(self, visit: Visit, operation: str, now: datetime) -> None:
        service, code = visit.service if visit.is_call else OWN, _code(visit)
        is_data = is_data_event(service, operation)
        if is_data and not self._data_events and visit.status not in (401, 403):
            return
        caller, reads = visit.caller or _NOBODY, is_read_only(operation)
        resources = self._resources(visit, reads)
        agent = visit.request.headers.get("user-agent", "")
        key = None
        if reads and not code and visit.caller is not None:
            # A program that asks again and again within the moment until the entry is written is counted in it.
            key = (service, operation, visit.region, caller.key_id, resources, visit.source_ip, agent)
            if self._audit.again(key):
                return
        entry = Entry(
            at=now,
            service=service,
            operation=operation,
            region=keepable(visit.region),
            caller=caller.arn,
            user_id=caller.user_id,
            key_id=caller.key_id or self._claimed_key(visit.request),
            session=caller.session_name or "",
            resources=tuple(keepable(each) for each in resources),
            source_ip=keepable(visit.source_ip),
            user_agent=keepable(agent),
            request_id=visit.request_id,
            status=visit.status,
            code=code,
            read_only=reads,
            data=is_data,
            sent_to=visit.call.usage.sent_to if visit.call is not None else "",
        )
        self._audit.record(entry, key)

    def _resources(self, visit: Visit, reads: bool) -> tuple[str, ...]:
        if visit.call is None:
            return ()
        named = self._access.resources(visit.call)
        if reads:
            return named
        return tuple(dict.fromkeys((*named, *_made(visit.answered))))

    def _claimed_key(self, request: HttpRequest) -> str:
        """The id of a key that is on record here and did not prove itself. Anything else may be a secret, misplaced."""
        claimed = _KEY_ID.search(request.headers.get("authorization", ""))
        return claimed.group(1) if claimed and self._access.secret_for(claimed.group(1)) is not None else ""


def _service(visit: Visit) -> str:
    """The service that a request asks, `other` for one that is not known; a request may name any."""
    if not visit.is_call:
        return OWN
    return visit.service if visit.service in _SERVICES else "other"


def _code(visit: Visit) -> str:
    return visit.code or (CLIENT_LEFT if visit.left else "")


def _made(answered: Answered | None) -> Iterator[str]:
    """ARNs in an answer, at its top or one step down: `jobArn`, `User.Arn`."""
    members: Mapping[str, Any] = {}
    if isinstance(answered, Answer):
        members = answered.members
    elif isinstance(answered, dict):
        members = answered
    for place in (members, *(each for each in members.values() if isinstance(each, dict))):
        for name, value in place.items():
            if name.lower().endswith("arn") and isinstance(value, str) and arns.is_arn(value):
                yield value


def _write_log(visit: Visit, latency_ms: float) -> None:
    members: dict[str, Any] = {
        "request_id": visit.request_id,
        "service": visit.service,
        "operation": visit.operation if visit.is_call else "",
        "status": visit.status,
        "ms": latency_ms,
        "caller": visit.caller.arn if visit.caller is not None else "",
    }
    if visit.call is not None and visit.call.usage.sent_to:
        members["sent_to"] = visit.call.usage.sent_to
    if visit.left:
        members["client_left"] = True
    logs.tell(_log, "request", **members)
