"""Application Auto Scaling: scaling policies, put, described and deleted."""

from collections.abc import Mapping
from typing import Any

from outcrop import arn as arns
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.scaling.target_members import check_filters, is_wanted, paged, shown_target, target_of
from outcrop.errors import Invalid
from outcrop.house import House
from outcrop.scaling.records import CONFIGURATIONS, STEPPING, ScalingPolicy
from outcrop.store.damage import understood

_PREDICTIVE = "PredictiveScaling"


def put_scaling_policy(house: House, call: Call) -> Answered:
    params, target = call.params, target_of(call)
    if params.get("PolicyType") == _PREDICTIVE or params.get("PredictiveScalingPolicyConfiguration"):
        raise Invalid(f"{_PREDICTIVE}: not built in Outcrop. Choose {' or '.join(CONFIGURATIONS)}.")
    kind = params.get("PolicyType") or _kept_type(house, call) or STEPPING
    for other, member in CONFIGURATIONS.items():
        if other != kind and params.get(member):
            raise Invalid(f"{member}: does not go with PolicyType {kind}. Leave it out.")
    configuration = params.get(CONFIGURATIONS[kind])
    if configuration is None:
        raise Invalid(f"{CONFIGURATIONS[kind]}: is not there. PolicyType {kind} needs it.")
    policy = house.scaling.policies.put(target, params["PolicyName"], kind, configuration, region=call.region)
    named = house.scaling.policies.alarms_by_policy(call.region)
    return {"PolicyARN": policy.arn, "Alarms": _alarms(house, policy, named)}


def delete_scaling_policy(house: House, call: Call) -> Answered:
    house.scaling.policies.delete(target_of(call), call.params["PolicyName"], region=call.region)
    return {}


def describe_scaling_policies(house: House, call: Call) -> Answered:
    params = call.params
    check_filters(params)
    names = params.get("PolicyNames")
    found = [
        policy
        for policy in house.scaling.records.policies(call.region)
        if is_wanted(policy.id, params) and (not names or policy.name in names)
    ]
    named = house.scaling.policies.alarms_by_policy(call.region)
    return paged(
        call,
        "ScalingPolicies",
        found,
        lambda policy: policy.row.name or "",
        lambda policy: _shown(policy, _alarms(house, policy, named)),
    )


def _kept_type(house: House, call: Call) -> str | None:
    """The type of the policy that is there already."""
    same = house.scaling.records.policies(call.region, target_of(call))
    return next((policy.kind for policy in same if policy.name == call.params["PolicyName"]), None)


def _shown(policy: ScalingPolicy, alarms: list[dict[str, str]]) -> dict[str, Any]:
    with understood(policy.arn):
        return {
            **shown_target(policy.id),
            "PolicyARN": policy.arn,
            "PolicyName": policy.name,
            "PolicyType": policy.kind,
            CONFIGURATIONS[policy.kind]: policy.row.document["configuration"],
            "Alarms": alarms,
            "CreationTime": policy.row.created,
        }


def _alarms(house: House, policy: ScalingPolicy, named: Mapping[str, list[str]]) -> list[dict[str, str]]:
    """The alarms made for the policy, and those of other makers that name it."""
    region = policy.row.region

    def shown(name: str) -> dict[str, str]:
        arn = arns.Arn(service="cloudwatch", region=region, account=house.account, resource=f"alarm:{name}")
        return {"AlarmName": name, "AlarmARN": str(arn)}

    return [shown(name) for name in policy.alarms or named.get(policy.arn, ())]


OPERATIONS: dict[str, Handler] = {
    "DeleteScalingPolicy": delete_scaling_policy,
    "DescribeScalingPolicies": describe_scaling_policies,
    "PutScalingPolicy": put_scaling_policy,
}
