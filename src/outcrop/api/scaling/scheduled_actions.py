"""Application Auto Scaling: scheduled actions, put, described and deleted."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.scaling.target_members import (
    BOUNDS,
    bounds_of,
    check_filters,
    is_wanted,
    paged,
    shown_target,
    target_of,
)
from outcrop.house import House
from outcrop.scaling.records import ScheduledAction


def put_scheduled_action(house: House, call: Call) -> Answered:
    params = call.params
    house.scaling.put_action(
        target_of(call),
        params["ScheduledActionName"],
        schedule=params.get("Schedule"),
        timezone=params.get("Timezone"),
        bounds=bounds_of(params.get("ScalableTargetAction", {})),
        begins=params.get("StartTime"),
        ends=params.get("EndTime"),
        region=call.region,
    )
    return {}


def delete_scheduled_action(house: House, call: Call) -> Answered:
    house.scaling.delete_action(target_of(call), call.params["ScheduledActionName"], region=call.region)
    return {}


def describe_scheduled_actions(house: House, call: Call) -> Answered:
    params = call.params
    check_filters(params)
    names = params.get("ScheduledActionNames")
    found = [
        action
        for action in house.scaling.records.actions(call.region)
        if is_wanted(action.id, params) and (not names or action.name in names)
    ]
    return paged(call, "ScheduledActions", found, lambda action: action.row.name or "", _shown)


def _shown(action: ScheduledAction) -> dict[str, Any]:
    return {
        **shown_target(action.id),
        "ScheduledActionName": action.name,
        "ScheduledActionARN": action.row.arn,
        "Schedule": action.schedule,
        "Timezone": action.timezone,
        "StartTime": action.begins,
        "EndTime": action.ends,
        "ScalableTargetAction": {
            member: action.bounds[inside] for member, inside in BOUNDS.items() if inside in action.bounds
        },
        "CreationTime": action.row.created,
    }


OPERATIONS: dict[str, Handler] = {
    "DeleteScheduledAction": delete_scheduled_action,
    "DescribeScheduledActions": describe_scheduled_actions,
    "PutScheduledAction": put_scheduled_action,
}
