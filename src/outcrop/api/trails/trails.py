"""CloudTrail: trails made, changed, described, started and stopped."""

from datetime import datetime
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.trails.tags import tags_of_request
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.trails.log_files import utc
from outcrop.trails.refusals import refusal
from outcrop.trails.trail import Trail

_PAGE = 100
_ATTEMPTS = (
    "LatestDeliveryAttemptTime",
    "LatestDeliveryAttemptSucceeded",
    "LatestNotificationAttemptTime",
    "LatestNotificationAttemptSucceeded",
)
"Times that are empty texts before the first attempt; nothing is ever notified here."


def create_trail(house: House, call: Call) -> Answered:
    params = call.params
    trail = house.trails.create(
        params["Name"], params, region=call.region, tags=tags_of_request(params.get("TagsList"))
    )
    return _configuration(trail)


def update_trail(house: House, call: Call) -> Answered:
    return _configuration(house.trails.update(home_trail(house, call, call.params["Name"]), call.params))


def delete_trail(house: House, call: Call) -> Answered:
    house.trails.delete(home_trail(house, call, call.params["Name"]))
    return {}


def start_logging(house: House, call: Call) -> Answered:
    house.trails.start(home_trail(house, call, call.params["Name"]))
    return {}


def stop_logging(house: House, call: Call) -> Answered:
    trail = home_trail(house, call, call.params["Name"])
    house.audit.flush()  # what was answered before is delivered
    house.trails.stop(trail, call.request_id)
    return {}


def get_trail(house: House, call: Call) -> Answered:
    return {"Trail": _described(house.trails.find(call.params["Name"], region=call.region))}


def describe_trails(house: House, call: Call) -> Answered:
    params = call.params
    names, with_shadows = params.get("trailNameList") or [], params.get("includeShadowTrails", True)
    found = [trail for trail in house.trails.all() if trail.region == call.region or trail.is_multi_region]
    if names:
        found = [
            trail for trail in found if trail.arn in names or (trail.name in names and trail.region == call.region)
        ]
    shown = [trail for trail in found if with_shadows or trail.region == call.region]
    return {"trailList": [_described(trail) for trail in sorted(shown, key=lambda trail: trail.arn)]}


def list_trails(house: House, call: Call) -> Answered:
    place = place_of(call)
    found = sorted((trail for trail in house.trails.all() if place is None or trail.arn > place), key=lambda t: t.arn)
    shown = found[:_PAGE]
    token = page_tokens.write(call, shown[-1].arn) if len(found) > _PAGE else None
    rows = [{"TrailARN": trail.arn, "Name": trail.name, "HomeRegion": trail.region} for trail in shown]
    return {"Trails": rows, "NextToken": token}


def get_trail_status(house: House, call: Call) -> Answered:
    trail = house.trails.find(call.params["Name"], region=call.region)
    progress = house.trails.progress.get(trail.arn)
    told: dict[str, Any] = {
        "IsLogging": trail.is_logging,
        "StartLoggingTime": trail.started,
        "StopLoggingTime": trail.stopped,
        "TimeLoggingStarted": utc(trail.started) if trail.started else "",
        "TimeLoggingStopped": utc(trail.stopped) if trail.stopped else "",
        **dict.fromkeys(_ATTEMPTS, ""),
    }
    if progress is None:
        return told
    tried, delivered, digested = map(_moment, (progress.tried, progress.delivered, progress.digested))
    return told | {
        "LatestDeliveryTime": delivered,
        "LatestDeliveryError": progress.error or None,
        "LatestDigestDeliveryTime": digested,
        "LatestDigestDeliveryError": progress.digest_error or None,
        "LatestDeliveryAttemptTime": utc(tried) if tried else "",
        "LatestDeliveryAttemptSucceeded": utc(delivered) if delivered else "",
    }


def home_trail(house: House, call: Call, spelling: str) -> Trail:
    """The trail that a change is about. Raises InvalidHomeRegionException away from its home."""
    trail = house.trails.find(spelling, region=call.region)
    if trail.region != call.region:
        raise refusal(
            "InvalidHomeRegionException",
            f"Trail {trail.arn} must be changed from its home region: {trail.region}. Ask there.",
        )
    return trail


def place_of(call: Call) -> str | None:
    """The place behind which a listing goes on. Raises InvalidTokenException."""
    try:
        return page_tokens.read(call)
    except Invalid as error:
        raise refusal("InvalidTokenException", error.message) from error


def _configuration(trail: Trail) -> dict[str, Any]:
    return {
        "Name": trail.name,
        "S3BucketName": trail.bucket,
        "S3KeyPrefix": trail.prefix or None,
        "IncludeGlobalServiceEvents": trail.includes_global,
        "IsMultiRegionTrail": trail.is_multi_region,
        "TrailARN": trail.arn,
        "LogFileValidationEnabled": trail.is_validated,
        "IsOrganizationTrail": False,
    }


def _described(trail: Trail) -> dict[str, Any]:
    return {
        **_configuration(trail),
        "HomeRegion": trail.region,
        "HasCustomEventSelectors": trail.has_own_selection,
        "HasInsightSelectors": False,
    }


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


OPERATIONS: dict[str, Handler] = {
    "CreateTrail": create_trail,
    "DeleteTrail": delete_trail,
    "DescribeTrails": describe_trails,
    "GetTrail": get_trail,
    "GetTrailStatus": get_trail_status,
    "ListTrails": list_trails,
    "StartLogging": start_logging,
    "StopLogging": stop_logging,
    "UpdateTrail": update_trail,
}
