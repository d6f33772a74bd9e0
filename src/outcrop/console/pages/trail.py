"""The audit as a page: events that CloudTrail's LookupEvents tells, the newest first, filtered by one attribute."""

from datetime import datetime

from botocore.exceptions import ClientError
from starlette.responses import Response

from outcrop.console.views.trail_views import ATTRIBUTES, lookup, trail_rows
from outcrop.console.visit import ConsoleVisit

_PAGE = 50


def show(visit: ConsoleVisit) -> Response:
    """The events, or the sentence of the API that does not tell them."""
    by, value = visit.asked("by") or ATTRIBUTES[0], visit.asked("value")
    since, until, after = visit.asked("since"), visit.asked("until"), visit.asked("after")
    asked = {
        "LookupAttributes": lookup(by, value),
        "StartTime": _moment(since),
        "EndTime": _moment(until),
        "NextToken": after,
    }
    events, more, problem = [], "", ""
    try:
        told = visit.api.client("cloudtrail").lookup_events(
            MaxResults=_PAGE, **{name: given for name, given in asked.items() if given}
        )
        events, more = told.get("Events", []), told.get("NextToken", "")
    except ClientError as refusal:
        problem = refusal.response["Error"]["Message"] or refusal.response["Error"]["Code"]
    again = {"by": by, "value": value, "since": since, "until": until, "after": more}
    return visit.page(
        "access_trail.html",
        part="trail",
        rows=trail_rows(events, visit.now, visit.language),
        attributes=ATTRIBUTES,
        by=by,
        value=value,
        since=since,
        until=until,
        more={name: given for name, given in again.items() if given} if more else {},
        problem=problem,
    )


def _moment(text: str) -> datetime | None:
    """The moment of a form's field, in this machine's time; None for what is no moment."""
    try:
        return datetime.fromisoformat(text).astimezone() if text else None
    except ValueError:
        return None
