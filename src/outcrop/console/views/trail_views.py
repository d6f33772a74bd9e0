"""Events of CloudTrail's LookupEvents as plain values: who did what, to what, from where, and how it ended."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from outcrop.console.views.amounts import age, short_name

ATTRIBUTES = (
    "Username",
    "EventName",
    "EventSource",
    "ResourceName",
    "AccessKeyId",
    "EventId",
    "ResourceType",
    "ReadOnly",
)
"By which events can be looked up: one at a time."
_SERVICE_ENDING = ".amazonaws.com"


class TrailRow(NamedTuple):
    """An event in a list."""

    id: str
    at: str
    age: str
    who: str
    service: str
    what: str
    resources: list[str]
    source: str
    "The address that the request came from."
    error: str
    reads_only: bool
    whole: str
    "The whole event, as JSON."


def trail_rows(events: Sequence[Mapping[str, Any]], now: datetime, language: str) -> list[TrailRow]:
    """Rows in the order in which they are told, the newest first."""
    return [_row(each, now, language) for each in events]


def lookup(attribute: str, value: str) -> list[dict[str, str]]:
    """The LookupAttributes of a filter; none where nothing is looked for."""
    value = value.strip()
    if attribute not in ATTRIBUTES or not value:
        return []
    if attribute == "EventSource" and "." not in value:
        value += _SERVICE_ENDING
    return [{"AttributeKey": attribute, "AttributeValue": value}]


def _row(told: Mapping[str, Any], now: datetime, language: str) -> TrailRow:
    whole = _whole(told.get("CloudTrailEvent", ""))
    identity = whole.get("userIdentity", {})
    who = told.get("Username") or identity.get("userName") or short_name(identity.get("arn", ""))
    at = told["EventTime"]
    return TrailRow(
        id=told.get("EventId", ""),
        at=at.isoformat(timespec="seconds"),
        age=age(at, now, language),
        who=who,
        service=told.get("EventSource", "").removesuffix(_SERVICE_ENDING),
        what=told.get("EventName", ""),
        resources=[short_name(each["ResourceName"]) for each in told.get("Resources", []) if each.get("ResourceName")],
        source=whole.get("sourceIPAddress", ""),
        error=whole.get("errorCode", ""),
        reads_only=str(told.get("ReadOnly", "")).lower() == "true",
        whole=json.dumps(whole, indent=2, ensure_ascii=False) if whole else "",
    )


def _whole(text: str) -> dict[str, Any]:
    try:
        found = json.loads(text) if text else {}
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
