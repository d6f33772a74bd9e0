"""CloudTrail: LookupEvents, over the management events of the last 90 days in one region, newest first."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import orjson

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.audit.entry import requests_of_event
from outcrop.audit.event_form import (
    event_of,
    event_source,
    patterns_of_type,
    resources_of,
    services_of,
    user_name,
    user_name_of,
)
from outcrop.audit.records import Recorded, Search
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.trails.refusals import refusal

_KEPT = timedelta(days=90)
_PAGE = 50


def lookup_events(house: House, call: Call) -> Answered:
    params = call.params
    if params.get("EventCategory"):
        raise refusal("InvalidEventCategoryException", "EventCategory: there are no insights in Outcrop. Leave it out.")
    house.audit.flush()  # so that whoever looks finds what he did a moment ago
    asked = _search(house, call)
    before = _place(house, call)
    most = params.get("MaxResults", _PAGE)
    found = [] if asked is None else house.audit.search(asked, before=before, most=most + 1)
    token = page_tokens.write(call, str(found[most - 1].link.number)) if len(found) > most else None
    shown = [each for each in found[:most] if _is_event(each, params)]
    return {"Events": [_event(each, house.account) for each in shown], "NextToken": token}


def _search(house: House, call: Call) -> Search | None:
    """The question to the record; None where nothing can fit."""
    params, now = call.params, house.clock.now()
    since, until = params.get("StartTime"), params.get("EndTime")
    if since is not None and until is not None and since > until:
        raise refusal("InvalidTimeRangeException", "StartTime is behind EndTime. Exchange them.")
    oldest = now - _KEPT
    asked = Search(
        since=oldest if since is None else max(since, oldest),
        until=None if until is None else until + timedelta(microseconds=1),
        region=call.region,
        data=False,
    )
    attributes = params.get("LookupAttributes") or []
    if len(attributes) > 1:
        raise refusal(
            "InvalidLookupAttributesException", "LookupAttributes: only one attribute can be looked up at a time."
        )
    for attribute in attributes:
        return _LOOKUPS[attribute["AttributeKey"]](house, asked, attribute["AttributeValue"])
    return asked


def _by_id(_: House, asked: Search, value: str) -> Search | None:
    prefix = requests_of_event(value)
    return None if prefix is None else replace(asked, request_prefix=prefix)


def _by_read_only(_: House, asked: Search, value: str) -> Search:
    if value.lower() not in ("true", "false"):
        raise refusal("InvalidLookupAttributesException", "LookupAttributes: ReadOnly is true or false.")
    return replace(asked, read_only=value.lower() == "true")


def _by_user(house: House, asked: Search, value: str) -> Search:
    callers = tuple(caller for caller in house.audit.callers() if user_name_of(caller) == value)
    return replace(asked, callers=callers)


def _by_type(_: House, asked: Search, value: str) -> Search | None:
    pattern = patterns_of_type(value)
    return None if pattern is None else replace(asked, resource_like=pattern)


def _by_resource(house: House, asked: Search, value: str) -> Search | None:
    resources = tuple(house.audit.named_resources(value))
    return replace(asked, resources=resources) if resources else None


def _by_source(_: House, asked: Search, value: str) -> Search | None:
    services = services_of(value)
    return replace(asked, services=services) if services else None


_LOOKUPS: Mapping[str, Callable[[House, Search, str], Search | None]] = {
    "AccessKeyId": lambda _, asked, value: replace(asked, key_id=value),
    "EventId": _by_id,
    "EventName": lambda _, asked, value: replace(asked, operation=value),
    "EventSource": _by_source,
    "ReadOnly": _by_read_only,
    "ResourceName": _by_resource,
    "ResourceType": _by_type,
    "Username": _by_user,
}


def _is_event(recorded: Recorded, params: Mapping[str, Any]) -> bool:
    """Whether an entry found by the beginning of its id, or a pattern, is what was asked for."""
    for attribute in params.get("LookupAttributes") or ():
        key, value = attribute["AttributeKey"], attribute["AttributeValue"]
        if key == "EventId":
            return recorded.entry.event_id == str(value).lower()
        if key == "ResourceType":
            return any(resource.type == value for resource in resources_of(recorded.entry))
    return True


def _place(house: House, call: Call) -> Recorded | None:
    """The event behind which the page begins. Raises InvalidNextTokenException."""
    try:
        place = page_tokens.read(call)
    except Invalid as error:
        raise refusal("InvalidNextTokenException", error.message) from error
    if place is None:
        return None
    found = house.audit.at(int(place))
    if found is None:
        raise refusal("InvalidNextTokenException", "NextToken: its event is gone meanwhile. Begin again without it.")
    return found


def _event(recorded: Recorded, account: str) -> dict[str, Any]:
    entry = recorded.entry
    return {
        "EventId": entry.event_id,
        "EventName": entry.operation,
        "ReadOnly": "true" if entry.read_only else "false",
        "AccessKeyId": entry.key_id or None,
        "EventTime": entry.at,
        "EventSource": event_source(entry.service),
        "Username": user_name(entry) or None,
        "Resources": [{"ResourceType": each.type, "ResourceName": each.name} for each in resources_of(entry)],
        "CloudTrailEvent": orjson.dumps(event_of(entry, account)).decode(),
    }


OPERATIONS: dict[str, Handler] = {"LookupEvents": lookup_events}
