"""CloudWatch Logs: log groups, how long they keep their events, and their tags."""

from collections.abc import Callable
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.monitoring.named import arn_of_group, arn_of_name, group_of, milliseconds, name_in, refuse
from outcrop.errors import Conflict, Invalid, NotFound
from outcrop.house import House
from outcrop.keys.key import KeyState
from outcrop.keys.specs import SYMMETRIC
from outcrop.log_groups.log_groups import KEY_CONTEXT
from outcrop.log_groups.records import LogGroup
from outcrop.store.database import microseconds
from outcrop.store.tags import tags_of

_STANDARD = "STANDARD"
_MOST_GROUPS = 50
_USES = ("GenerateDataKey", "Decrypt")
_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)


def create_log_group(house: House, call: Call) -> Answered:
    params = call.params
    refuse(
        params,
        deletionProtectionEnabled="Leave it out, and deny logs:DeleteLogGroup on the group instead.",
    )
    if params.get("logGroupClass", _STANDARD) != _STANDARD:
        raise Invalid("logGroupClass: only STANDARD is built in Outcrop yet. Leave it out.")
    if params["logGroupName"].startswith("aws/"):
        raise Invalid("logGroupName: names of log groups cannot start with aws/. Choose another.")
    tags = _pairs(params.get("tags"))
    # Opened before the transaction: whoever opens a room waits for the database, and the database would wait for us.
    groups = house.log_groups
    asked = params.get("kmsKeyId")
    key = _key_named(house, call, asked, params["logGroupName"]) if asked else ""
    with house.store.transaction():
        if not groups.create(params["logGroupName"], region=call.region):
            raise Conflict("The specified log group already exists")
        if key:
            groups.records.set_key(params["logGroupName"], key, region=call.region)
        house.store.tags.put(arn_of_group(house, group_of(house, call)), tags)
    return {}


def delete_log_group(house: House, call: Call) -> Answered:
    arn = arn_of_group(house, group_of(house, call))
    house.log_groups.delete(call.params["logGroupName"], region=call.region)
    house.store.tags.clear(arn)
    return {}


def describe_log_groups(house: House, call: Call) -> Answered:
    params = call.params
    refuse(params, includeLinkedAccounts="There is one account here: leave it out.")
    others = [each for each in params.get("accountIdentifiers") or () if each != house.account]
    if others:
        raise Invalid(f"accountIdentifiers: {others[0]} is not the account of this installation, which has no other.")
    if params.get("logGroupNamePrefix") and params.get("logGroupNamePattern"):
        raise Invalid("logGroupNamePrefix and logGroupNamePattern exclude each other. Send one of them.")
    if params.get("logGroupClass", _STANDARD) != _STANDARD:
        return {"logGroups": []}
    if "logGroupIdentifiers" in params:
        return {"logGroups": [_shown(house, each) for each in _identified(house, call)]}
    most = params.get("limit", _MOST_GROUPS)
    found = house.log_groups.records.groups(
        region=call.region,
        prefix=params.get("logGroupNamePrefix", ""),
        containing=params.get("logGroupNamePattern", ""),
        after=page_tokens.read(call),
        most=most + 1,
    )
    shown = _briefly if params.get("logGroupNamePattern") else _shown
    token = page_tokens.write(call, found[most - 1].name) if len(found) > most else None
    return {"logGroups": [shown(house, each) for each in found[:most]], "nextToken": token}


def associate_kms_key(house: House, call: Call) -> Answered:
    """Seal what is put from now on; what was put before stays as it is, as in CloudWatch Logs."""
    asked = call.params["kmsKeyId"]
    group = _group_with_key(house, call)
    key = _key_named(house, call, asked, group.name)
    house.log_groups.records.set_key(group.name, key, region=call.region)
    return {}


def disassociate_kms_key(house: House, call: Call) -> Answered:
    """Seal nothing from now on; what was sealed still needs its key."""
    group = _group_with_key(house, call)
    house.log_groups.records.set_key(group.name, "", region=call.region)
    return {}


def _group_with_key(house: House, call: Call) -> LogGroup:
    named = [call.params[member] for member in ("logGroupName", "resourceIdentifier") if call.params.get(member)]
    if len(named) != 1:
        raise Invalid("Give either logGroupName or resourceIdentifier, the ARN of a log group.")
    if ":query-result:" in named[0]:
        raise Invalid("resourceIdentifier: results of queries are not kept in Outcrop. Give the ARN of a log group.")
    return house.log_groups.records.group(name_in(call, named[0]), region=call.region)


def _key_named(house: House, call: Call, asked: str, group: str) -> str:
    """The ARN of the key, which is there, enabled, and lets CloudWatch Logs use it for this group. Raises Invalid."""
    arn, principal = arn_of_name(house, call.region, group), f"logs.{call.region}.amazonaws.com"
    row = house.keys.row(call.region, asked)
    key = None if row is None else house.keys.get(row.arn)
    let = key is not None and all(
        house.access.service_may_use_key(principal, operation, key.arn, service="logs", pairs={KEY_CONTEXT: arn})
        for operation in _USES
    )
    if key is None or not let or key.state is not KeyState.ENABLED or key.spec.name != SYMMETRIC:
        raise Invalid(
            f"kmsKeyId: The specified KMS key does not exist or is not allowed to be used with LogGroup '{arn}'. Name "
            "an enabled symmetric key of this region, and let the service "
            f"{principal} do {' and '.join(f'kms:{each}' for each in _USES)} in its policy."
        )
    return key.arn


def put_retention_policy(house: House, call: Call) -> Answered:
    days = call.params["retentionInDays"]
    if days not in _DAYS:
        raise Invalid(f"retentionInDays: {days} is none of {', '.join(map(str, _DAYS))}. Choose one of them.")
    house.log_groups.records.set_retention(call.params["logGroupName"], days, region=call.region)
    return {}


def delete_retention_policy(house: House, call: Call) -> Answered:
    house.log_groups.records.set_retention(call.params["logGroupName"], None, region=call.region)
    return {}


def tag_resource(house: House, call: Call) -> Answered:
    tags = _pairs(call.params["tags"])
    _put_tags(house, lambda: _tagged(house, call), tags)
    return {}


def untag_resource(house: House, call: Call) -> Answered:
    house.store.tags.remove(_tagged(house, call), call.params["tagKeys"])
    return {}


def list_tags_for_resource(house: House, call: Call) -> Answered:
    return {"tags": house.store.tags.get(_tagged(house, call))}


def tag_log_group(house: House, call: Call) -> Answered:
    tags = _pairs(call.params["tags"])
    _put_tags(house, lambda: arn_of_group(house, group_of(house, call)), tags)
    return {}


def untag_log_group(house: House, call: Call) -> Answered:
    house.store.tags.remove(arn_of_group(house, group_of(house, call)), call.params["tags"])
    return {}


def list_tags_log_group(house: House, call: Call) -> Answered:
    return {"tags": house.store.tags.get(arn_of_group(house, group_of(house, call)))}


def _put_tags(house: House, arn: Callable[[], str], tags: dict[str, str]) -> None:
    assert house.log_groups  # opened before the transaction, as above
    with house.store.transaction():  # no tags are left of a group that is deleted at this moment
        house.store.tags.put(arn(), tags)


def _pairs(tags: dict[str, str] | None) -> dict[str, str]:
    return tags_of("tags", [{"key": key, "value": value} for key, value in (tags or {}).items()])


def _tagged(house: House, call: Call) -> str:
    """The ARN of the tagged group. Raises NotFound."""
    arn = call.params["resourceArn"]
    name = name_in(call, arn)
    if name == arn:
        raise Invalid("resourceArn: is no ARN. Give that of a log group: arn:aws:logs:REGION:ACCOUNT:log-group:NAME.")
    return arn_of_group(house, house.log_groups.records.group(name, region=call.region))


def _identified(house: House, call: Call) -> list[LogGroup]:
    for member in ("logGroupNamePrefix", "logGroupNamePattern", "nextToken", "limit"):
        if member in call.params:
            raise Invalid(f"logGroupIdentifiers and {member} exclude each other. Send one of them.")
    found = []
    for each in call.params["logGroupIdentifiers"]:
        try:
            found.append(house.log_groups.records.group(name_in(call, each), region=call.region))
        except NotFound:
            continue  # a listing shows what there is
    return found


def _briefly(house: House, group: LogGroup) -> dict[str, Any]:
    """The members that CloudWatch Logs tells where a part of the name is asked for."""
    return {
        "logGroupName": group.name,
        "creationTime": milliseconds(microseconds(group.created)),
        "arn": f"{arn_of_group(house, group)}:*",
    }


def _shown(house: House, group: LogGroup) -> dict[str, Any]:
    rooms = house.log_groups
    return {
        **_briefly(house, group),
        "logGroupArn": arn_of_group(house, group),
        "retentionInDays": group.retention_days,
        "kmsKeyId": group.kms_key_arn or None,
        "metricFilterCount": 0,
        "storedBytes": sum(rooms.extent(stream).num_bytes for stream in rooms.records.streams(group)),
        "logGroupClass": _STANDARD,
        "deletionProtectionEnabled": False,
    }


OPERATIONS: dict[str, Handler] = {
    "AssociateKmsKey": associate_kms_key,
    "DisassociateKmsKey": disassociate_kms_key,
    "CreateLogGroup": create_log_group,
    "DeleteLogGroup": delete_log_group,
    "DeleteRetentionPolicy": delete_retention_policy,
    "DescribeLogGroups": describe_log_groups,
    "ListTagsForResource": list_tags_for_resource,
    "ListTagsLogGroup": list_tags_log_group,
    "PutRetentionPolicy": put_retention_policy,
    "TagLogGroup": tag_log_group,
    "TagResource": tag_resource,
    "UntagLogGroup": untag_log_group,
    "UntagResource": untag_resource,
}
