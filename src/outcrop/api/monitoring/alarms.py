"""CloudWatch: metric alarms, their states and their history, and their tags."""

import json
from datetime import datetime
from typing import Any

from outcrop.alarms.alarms import actions_of
from outcrop.alarms.history import HistoryItem
from outcrop.alarms.rule import AlarmRule, AlarmState
from outcrop.alarms.rule import read as read_rule
from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.metric_members import dimensions_of, moment, read_token, refuse_unbuilt, wrong
from outcrop.errors import Invalid, NotFound, ServiceRefusal
from outcrop.house import House
from outcrop.store.damage import understood
from outcrop.store.database import microseconds
from outcrop.store.database import moment as moment_of
from outcrop.store.resources import Resource
from outcrop.store.tags import tags_of

_PAGE = 50
_HISTORY_PAGE = 100
_METRIC_ALARM = "MetricAlarm"
_ACTION_LISTS = ("OKActions", "AlarmActions", "InsufficientDataActions")


def put_metric_alarm(house: House, call: Call) -> Answered:
    params = call.params
    dimensions_of(params.get("Dimensions"))
    for member in _ACTION_LISTS:
        for action in params.get(member) or ():
            if not action.startswith("arn:"):
                raise Invalid(f"Invalid arn syntax: {action[:200]}")
    tags = _tags(params.get("Tags"))
    members = {name: value for name, value in params.items() if name not in ("AlarmName", "Tags")}
    house.alarms.put(params["AlarmName"], members, region=call.region, tags=tags)
    return {}


def delete_alarms(house: House, call: Call) -> Answered:
    house.alarms.delete(call.params["AlarmNames"], region=call.region)
    return {}


def describe_alarms(house: House, call: Call) -> Answered:
    params = call.params
    refuse_unbuilt(params, "ChildrenOfAlarmName", "ParentsOfAlarmName")
    names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix", "")
    if names and prefix:
        raise Invalid("AlarmNames and AlarmNamePrefix exclude each other. Send one of them.")
    place = read_token(call)
    found = [
        alarm
        for alarm in _of_types(house, call)
        if (not names or alarm.name in names)
        and (alarm.name or "").startswith(prefix)
        and params.get("StateValue") in (None, alarm.status)
        and _acts(alarm, params.get("ActionPrefix"))
        and (place is None or (alarm.name or "") > place)
    ]
    most = params.get("MaxRecords", 100 if names else _PAGE)
    token = page_tokens.write(call, found[most - 1].name or "") if len(found) > most else None
    return {"MetricAlarms": [_shown(alarm) for alarm in found[:most]], "CompositeAlarms": [], "NextToken": token}


def describe_alarms_for_metric(house: House, call: Call) -> Answered:
    found = [alarm for alarm in house.alarms.of_region(call.region) if _watches(_rule(alarm), call.params)]
    return {"MetricAlarms": [_shown(alarm) for alarm in found]}


def _watches(rule: AlarmRule, asked: dict[str, Any]) -> bool:
    """Whether an alarm is on the metric, and in all else as it is asked for."""
    statistic = asked.get("Statistic") or asked.get("ExtendedStatistic")
    return (
        (rule.namespace, rule.metric) == (asked["Namespace"], asked["MetricName"])
        and rule.dimensions == dimensions_of(asked.get("Dimensions"))
        and statistic in (None, rule.statistic)
        and asked.get("Period") in (None, rule.period_s)
        and asked.get("Unit") in (None, rule.unit)
    )


def describe_alarm_history(house: House, call: Call) -> Answered:
    params = call.params
    refuse_unbuilt(params, "AlarmContributorId")
    place = read_token(call)
    if not _asks_for_metric_alarms(call):
        return {"AlarmHistoryItems": []}
    most = params.get("MaxRecords", _HISTORY_PAGE)
    at_us, _, number = (place or "").partition(" ")
    found = house.alarms.history.items(
        region=call.region,
        alarm=params.get("AlarmName"),
        kind=params.get("HistoryItemType"),
        since=params.get("StartDate"),
        until=params.get("EndDate"),
        descending=params.get("ScanBy", "TimestampDescending") == "TimestampDescending",
        after=None if place is None else (moment_of(int(at_us)), int(number)),
        most=most + 1,
    )
    token = None
    if len(found) > most:
        last = found[most - 1]
        token = page_tokens.write(call, f"{microseconds(last.at)} {last.id}")
    return {"AlarmHistoryItems": [_history(item) for item in found[:most]], "NextToken": token}


def set_alarm_state(house: House, call: Call) -> Answered:
    params = call.params
    data = params.get("StateReasonData")
    if data is not None:
        try:
            json.loads(data)
        except ValueError as error:
            text = f"StateReasonData was not valid JSON: {error}"
            raise ServiceRefusal("InvalidFormat", text, http_status=400) from error
    state = AlarmState(params["StateValue"])
    house.alarms.set_state(params["AlarmName"], state, params["StateReason"], data, region=call.region)
    return {}


def enable_alarm_actions(house: House, call: Call) -> Answered:
    house.alarms.enable_actions(call.params["AlarmNames"], enabled=True, region=call.region)
    return {}


def disable_alarm_actions(house: House, call: Call) -> Answered:
    house.alarms.enable_actions(call.params["AlarmNames"], enabled=False, region=call.region)
    return {}


def tag_resource(house: House, call: Call) -> Answered:
    tags, arn = _tags(call.params["Tags"]), _tagged(house, call)
    with house.store.transaction():  # no tags are left of an alarm that is deleted at this moment
        if house.store.resources.get(arn) is None:
            raise NotFound(f"{arn}: is no more.")
        house.store.tags.put(arn, tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_tagged(house, call), call.params["TagKeys"])
    return {}


def list_tags_for_resource(house: House, call: Call) -> Answered:
    tags = house.store.tags.get(_tagged(house, call))
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tags(given: list[dict[str, str]] | None) -> dict[str, str]:
    return tags_of("Tags", [{"key": each["Key"], "value": each["Value"]} for each in given or ()])


def _tagged(house: House, call: Call) -> str:
    """The ARN of the tagged alarm. Raises NotFound."""
    arn: str = call.params["ResourceARN"]
    prefix = f"arn:aws:cloudwatch:{call.region}:{house.account}:alarm:"
    if not arn.startswith(prefix):
        raise wrong(f"ResourceARN: {arn[:200]} is no ARN of an alarm here. It begins with {prefix}")
    return house.alarms.find(arn.removeprefix(prefix), region=call.region).arn


def _asks_for_metric_alarms(call: Call) -> bool:
    """Whether they are among the types that are asked for; there are no others here."""
    return _METRIC_ALARM in (call.params.get("AlarmTypes") or [_METRIC_ALARM])


def _of_types(house: House, call: Call) -> list[Resource]:
    return house.alarms.of_region(call.region) if _asks_for_metric_alarms(call) else []


def _acts(alarm: Resource, prefix: str | None) -> bool:
    return prefix is None or any(action.startswith(prefix) for action in actions_of(alarm))


def _rule(alarm: Resource) -> AlarmRule:
    with understood(alarm.arn):
        return read_rule(alarm.document["members"])


def _shown(alarm: Resource) -> dict[str, Any]:
    with understood(alarm.arn):
        document = alarm.document
        return {
            "ActionsEnabled": True,
            "Dimensions": [],
            **{member: [] for member in _ACTION_LISTS},
            **document["members"],
            "AlarmName": alarm.name,
            "AlarmArn": alarm.arn,
            "AlarmConfigurationUpdatedTimestamp": _read(document["configured"]),
            "StateValue": alarm.status,
            "StateReason": document["reason"],
            "StateReasonData": document["reasonData"],
            "StateUpdatedTimestamp": _read(document["stateUpdated"]),
            "StateTransitionedTimestamp": _read(document["transitioned"]),
        }


def _read(text: str) -> datetime:
    return moment(datetime.fromisoformat(text))


def _history(item: HistoryItem) -> dict[str, Any]:
    return {
        "AlarmName": item.alarm,
        "AlarmType": _METRIC_ALARM,
        "Timestamp": moment(item.at),
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.data,
    }


OPERATIONS: dict[str, Handler] = {
    "DeleteAlarms": delete_alarms,
    "DescribeAlarmHistory": describe_alarm_history,
    "DescribeAlarms": describe_alarms,
    "DescribeAlarmsForMetric": describe_alarms_for_metric,
    "DisableAlarmActions": disable_alarm_actions,
    "EnableAlarmActions": enable_alarm_actions,
    "ListTagsForResource": list_tags_for_resource,
    "PutMetricAlarm": put_metric_alarm,
    "SetAlarmState": set_alarm_state,
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
}
