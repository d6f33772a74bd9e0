"""CloudWatch Logs: the log group that a request names, by its name or its ARN."""

from typing import Any

from outcrop import arn as arns
from outcrop.api.door.call import Call
from outcrop.errors import Invalid, NotFound
from outcrop.house import House
from outcrop.log_groups.records import LogGroup

_KIND = "log-group:"


def group_of(house: House, call: Call) -> LogGroup:
    """The group on record. Raises Invalid where none or two are named, NotFound."""
    return house.log_groups.records.group(group_name(call), region=call.region)


def group_name(call: Call) -> str:
    """The name in `logGroupName` or `logGroupIdentifier`, of which there must be one."""
    given = [call.params[member] for member in ("logGroupName", "logGroupIdentifier") if call.params.get(member)]
    if len(given) != 1:
        raise Invalid("Give either logGroupName or logGroupIdentifier" + (", not both." if given else "."))
    return name_in(call, str(given[0]))


def name_in(call: Call, identifier: str) -> str:
    """The name of a group in its ARN, or the name itself. Raises NotFound for an ARN of elsewhere."""
    if not arns.is_arn(identifier):
        return identifier
    parsed = arns.parse(identifier)
    if parsed is None or parsed.service != "logs" or not parsed.resource.startswith(_KIND):
        raise Invalid(f"{identifier[:200]}: is no ARN of a log group.")
    name = parsed.resource.removeprefix(_KIND)
    if ":" in name:
        raise Invalid(f"{identifier[:200]}: give the ARN of the log group without what follows its name.")
    if (parsed.region, parsed.account) != (call.region, call.caller.account):
        raise NotFound("The specified log group does not exist.")
    return name


def arn_of_group(house: House, group: LogGroup) -> str:
    """The ARN without the `:*` that policies have."""
    return arn_of_name(house, group.region, group.name)


def arn_of_name(house: House, region: str, name: str) -> str:
    """The ARN that a group of this name has, or would have."""
    return str(arns.Arn(service="logs", region=region, account=house.account, resource=f"{_KIND}{name}"))


def milliseconds(at_us: int) -> int:
    """A moment as CloudWatch Logs sends it."""
    return at_us // 1000


def refuse(params: dict[str, Any], **reasons: str) -> None:
    """Raises Invalid for members that ask for what is not built, with what to do instead."""
    for member, instead in reasons.items():
        if params.get(member):
            raise Invalid(f"{member}: not built in Outcrop yet. {instead}")
