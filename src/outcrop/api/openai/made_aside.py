"""Resources that a request makes beside its answer, told as if somebody had asked for them."""

import logging

from outcrop import logs
from outcrop.api.door.call import Call
from outcrop.audit.entry import Entry, keepable
from outcrop.house import House

_log = logging.getLogger("outcrop.door")


def tell_made(house: House, call: Call, resources: tuple[str, ...]) -> None:
    """An entry of the audit, and a line of the log; `call` is the one that would have made them."""
    logs.tell(_log, "made at first use", request_id=call.request_id, operation=call.operation, resources=resources)
    entry = Entry(
        at=house.clock.now(),
        service=call.service,
        operation=call.operation,
        region=keepable(call.region),
        caller=call.caller.arn,
        user_id=call.caller.user_id,
        key_id=call.caller.key_id,
        session=call.caller.session_name or "",
        resources=resources,
        source_ip=keepable(call.source_ip),
        user_agent=keepable(call.headers.get("user-agent", "")),
        request_id=call.request_id,
        status=202,
        code="",
        read_only=False,
        data=False,
    )
    house.audit.record(entry, None)
