"""Application Auto Scaling: what was scaled, why, and what became of it."""

from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.scaling.target_members import check_filters, most_of, place_of, shown_target
from outcrop.house import House
from outcrop.scaling.activities import KEPT, ScalingActivity
from outcrop.store.database import microseconds, moment


def describe_scaling_activities(house: House, call: Call) -> Answered:
    params = call.params
    check_filters(params)
    most, place = most_of(params), place_of(call)
    at_us, _, last = (place or "").partition(" ")
    found = house.scaling.activities.list(
        region=call.region,
        resource_id=params.get("ResourceId"),
        dimension=params.get("ScalableDimension"),
        with_not_scaled=params.get("IncludeNotScaledActivities", False),
        after=None if place is None else (moment(int(at_us)), last),
        since=house.clock.now() - KEPT,
        most=most + 1,
    )
    token = None
    if len(found) > most:
        token = page_tokens.write(call, f"{microseconds(found[most - 1].began)} {found[most - 1].id}")
    return {"ScalingActivities": [_shown(activity) for activity in found[:most]], "NextToken": token}


def _shown(activity: ScalingActivity) -> dict[str, Any]:
    return {
        **shown_target(activity.target),
        "ActivityId": activity.id,
        "Description": activity.description,
        "Cause": activity.cause,
        "StartTime": activity.began,
        "EndTime": activity.ended,
        "StatusCode": activity.status,
        "StatusMessage": activity.message or None,
        "Details": activity.details or None,
        "NotScaledReasons": None if activity.reason is None else [activity.reason],
    }


OPERATIONS: dict[str, Handler] = {"DescribeScalingActivities": describe_scaling_activities}
