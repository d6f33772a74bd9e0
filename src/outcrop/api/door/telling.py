"""Telemetry of a request: a line in the log, a count for the metric points, an audit entry.

A call that changed something is in the record before its answer is sent. All else is told when the answer is sent: that
costs a request microseconds, and nothing that goes wrong here reaches it, for the rooms collect in memory and write
later. No body, no prompt and no secret is told, and no sentence of an error that might quote one.
"""

import logging
import re
import time
from collections.abc import Callable, Iterator, Mapping
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
from outcrop.audit.group_commit import GroupCommit
from outcrop.audit.kinds import is_data_event, is_read_only
from outcrop.audit.redaction import error_message, request_parameters, response_elements
from outcrop.clock import Clock
from outcrop.loops import contained
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
WantsData = Callable[[str, str, str, bool, Callable[[], tuple[str, ...]]], bool]
"Whether somebody wants a data event recorded, by its service, operation, region, whether it reads, and its resources."
_log = logging.getLogger("outcrop.door")


def _nobody_wants(*_event: object) -> bool:
    return False


class Telling:
    """Tells of every request that the door answered."""

    def __init__(
        self,
        access: Access,
        audit: Audit,
        traffic: Traffic,
        clock: Clock,
        *,
        data_events: bool,
        wants_data: WantsData = _nobody_wants,
    ) -> None:
        """`data_events`: whether calls about objects in buckets are entries of the audit; else those that somebody
        wants (`wants_data`: a trail)."""
        self._access = access
        self._audit = audit
        self._commits = GroupCommit(audit)
        self._traffic = traffic
        self._clock = clock
        self._data_events = data_events
        self._wants_data = wants_data

    def tell(self, visit: Visit) -> None:
        latency_ms = round((time.monotonic() - visit.started) * 1000, 1)
        _write_log(visit, latency_ms)
        operation, now = visit.operation, self._clock.now()
        ended = Ended(_service(visit), operation, visit.status)
        invoked = self._invoked(visit, latency_ms) if operation in _INVOCATIONS else None
        self._traffic.note(ended, latency_ms, now, invoked)
        if operation and _is_entry(visit) and not visit.recorded:
            self._enter(visit, operation, now)

    async def record(self, visit: Visit, *, streams: bool) -> bool:
        """Record a call before it is answered; of one that changed something, wait until its entry is on the disk.

        False when that could not be written. `streams`: the answer is not whole yet, so its end is recorded instead,
        unless something was changed.
        """
        operation = visit.operation
        if not operation or not _is_entry(visit):
            return True
        changes = visit.caller is not None and visit.status < 400 and not is_read_only(operation)
        if not changes and streams:
            return True
        visit.recorded, now = True, self._clock.now()
        if not changes:
            self._enter(visit, operation, now)
            return True
        return not self._is_wanted(visit, operation) or await self._commits.keep(self._entry(visit, operation, now))

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
        if not self._is_wanted(visit, operation):
            return
        caller, reads = visit.caller, is_read_only(operation)
        key = None
        if reads and not _code(visit) and caller is not None:
            # A program that asks again and again within the moment until the entry is written is counted in it.
            resources, agent = self._resources(visit, reads), visit.request.headers.get("user-agent", "")
            key = (_audited(visit), operation, visit.region, caller.key_id, resources, visit.source_ip, agent)
            if self._audit.again(key):
                return
        self._audit.record(self._entry(visit, operation, now), key)

    def _is_wanted(self, visit: Visit, operation: str) -> bool:
        """Whether a call is an entry: of those about objects only refused ones are, unless somebody wants more."""
        service = _audited(visit)
        if not is_data_event(service, operation) or self._data_events or visit.status in (401, 403):
            return True
        reads = is_read_only(operation)
        return self._wants_data(service, operation, visit.region, reads, lambda: self._resources(visit, reads))

    def _entry(self, visit: Visit, operation: str, now: datetime) -> Entry:
        service, code = _audited(visit), _code(visit)
        caller, reads = visit.caller or _NOBODY, is_read_only(operation)
        entry = Entry(
            at=now,
            service=service,
            operation=operation,
            region=keepable(visit.region),
            caller=caller.arn,
            user_id=caller.user_id,
            key_id=caller.key_id or self._claimed_key(visit.request),
            session=caller.session_name or "",
            resources=tuple(keepable(each) for each in self._resources(visit, reads)),
            source_ip=keepable(visit.source_ip),
            user_agent=keepable(visit.request.headers.get("user-agent", "")),
            request_id=visit.request_id,
            status=visit.status,
            code=code,
            read_only=reads,
            data=is_data_event(service, operation),
            sent_to=visit.call.usage.sent_to if visit.call is not None else "",
            issuer=self._issuer(caller),
        )
        with contained(_log, "telling the members of a request"):  # a defect in it must not keep the answer back
            return _with_members(entry, visit)
        return entry

    def _issuer(self, caller: Caller) -> str:
        """The role whose session called, with its path, which the session's own ARN leaves out."""
        if caller.session_name is None:
            return ""
        role = self._access.decisions.identity_of(caller)
        return "" if role is None else role.arn

    def _resources(self, visit: Visit, reads: bool) -> tuple[str, ...]:
        if visit.call is None:
            return visit.touched
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


def _audited(visit: Visit) -> str:
    """The service by which the audit knows a call."""
    return visit.service if visit.is_call else OWN


def _is_entry(visit: Visit) -> bool:
    """Whether the audit knows a request: a call of a service, or an own operation that changes something."""
    return visit.is_call or visit.changes


def _code(visit: Visit) -> str:
    return visit.code or (CLIENT_LEFT if visit.left else "")


def _with_members(entry: Entry, visit: Visit) -> Entry:
    """The entry with what may be told of the request, its answer and its error."""
    service, operation = entry.service, entry.operation
    params = visit.call.params if visit.call is not None else None
    message = error_message(visit.message, service, operation, params) if visit.message else ""
    changed = visit.is_call and not entry.read_only and not entry.code  # no model knows the answers of own operations
    return entry._replace(
        params="" if params is None else request_parameters(service, operation, params),
        made=response_elements(service, operation, _members(visit.answered)) if changed else "",
        message=keepable(message),
    )


def _members(answered: Answered | None) -> Mapping[str, Any]:
    """The members of an answer; none of one that streams, or follows from a row that was there before."""
    if isinstance(answered, Answer):
        return answered.members
    return answered if isinstance(answered, dict) else {}


def _made(answered: Answered | None) -> Iterator[str]:
    """ARNs in an answer, at its top or one step down: `jobArn`, `User.Arn`."""
    members = _members(answered)
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
