"""CloudTrail: the event selectors of trails."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.trails.trails import home_trail
from outcrop.house import House
from outcrop.trails.selectors import read_selection
from outcrop.trails.trail import Trail


def put_event_selectors(house: House, call: Call) -> Answered:
    trail = home_trail(house, call, call.params["TrailName"])
    return _shown(house.trails.select(trail, read_selection(call.params)))


def get_event_selectors(house: House, call: Call) -> Answered:
    return _shown(house.trails.find(call.params["TrailName"], region=call.region))


def _shown(trail: Trail) -> dict[str, Any]:
    if trail.selection.advanced:
        return {"TrailARN": trail.arn, "AdvancedEventSelectors": list(trail.selection.advanced)}
    return {"TrailARN": trail.arn, "EventSelectors": list(trail.selection.basic)}


OPERATIONS: dict[str, Handler] = {
    "GetEventSelectors": get_event_selectors,
    "PutEventSelectors": put_event_selectors,
}
