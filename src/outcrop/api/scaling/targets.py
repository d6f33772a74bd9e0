"""Application Auto Scaling: scalable targets, registered, described and deregistered."""

from typing import Any

from outcrop import arn as arns
from outcrop.access import linked
from outcrop.access.identities import LINKED_PATH
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.scaling.target_members import bounds_of, check_filters, paged, shown_target, target_of
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.scaling.records import RegisteredTarget
from outcrop.store.tags import MAX_TAGS, tags_of

_SERVICE = "sagemaker.application-autoscaling.amazonaws.com"


def register_scalable_target(house: House, call: Call) -> Answered:
    params, target = call.params, target_of(call)
    tags = tags_of("Tags", [{"key": key, "value": value} for key, value in params.get("Tags", {}).items()])
    if len(tags) > MAX_TAGS:
        raise Invalid(f"Tags: {len(tags)} are more than {MAX_TAGS}. Leave some out.")
    arn = house.scaling.register(
        target, bounds_of(params), params.get("SuspendedState", {}), region=call.region, tags=tags
    )
    # RoleARN is taken and not used, as AWS has it: a service with a role of its own scales under that.
    _make_role(house)
    return {"ScalableTargetARN": arn}


def deregister_scalable_target(house: House, call: Call) -> Answered:
    house.scaling.deregister(target_of(call), region=call.region)
    return {}


def describe_scalable_targets(house: House, call: Call) -> Answered:
    params = call.params
    check_filters(params, "ResourceIds")
    wanted, dimension = params.get("ResourceIds"), params.get("ScalableDimension")
    found = [
        target
        for target in house.scaling.records.targets(call.region)
        if (not wanted or target.id.resource_id in wanted) and dimension in (None, target.id.dimension)
    ]
    role = str(arns.iam(house.account, f"role{LINKED_PATH}{_SERVICE}/{linked.NAMES[_SERVICE]}"))
    return paged(call, "ScalableTargets", found, lambda target: target.id.key, lambda target: _shown(target, role))


def _make_role(house: House) -> None:
    identities = house.access.identities
    with identities.records.alone():
        if all(role.name != linked.NAMES[_SERVICE] for role in linked.linked_roles(identities)):
            linked.create_linked(identities, _SERVICE, description=None, suffix=None)


def _shown(target: RegisteredTarget, role: str) -> dict[str, Any]:
    return {
        **shown_target(target.id),
        "MinCapacity": target.least,
        "MaxCapacity": target.most,
        "RoleARN": role,
        "CreationTime": target.row.created,
        "SuspendedState": dict(target.suspended),
        "ScalableTargetARN": target.row.arn,
    }


OPERATIONS: dict[str, Handler] = {
    "DeregisterScalableTarget": deregister_scalable_target,
    "DescribeScalableTargets": describe_scalable_targets,
    "RegisterScalableTarget": register_scalable_target,
}
