"""List operations of Application Auto Scaling: targets, policies, scheduled actions, activities and tags."""

from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.scaling import target_id
from outcrop.scaling.activities import begun, not_scaled
from tests.support.listings.listing import Listing, client_of
from tests.support.scaling_house import Fleet
from tests.support.servers import Running

REGION = "us-east-1"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
OTHER_DIMENSION = "sagemaker:inference-component:DesiredCopyCount"
STEP = {
    "AdjustmentType": "ChangeInCapacity", "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}]
}  # fmt: skip


def named(number: int) -> dict[str, Any]:
    return {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/row-{number}/variant/v",
        "ScalableDimension": DIMENSION,
    }


def register(house: Running, number: int) -> str:
    room = house.platform.scaling
    if not isinstance(room.resources, Fleet):
        room.resources = Fleet()
    room.resources.add(target_id.read(named(number)["ResourceId"], DIMENSION), 1)
    arn: str = client_of(house, "application-autoscaling").register_scalable_target(
        **named(number), MinCapacity=1, MaxCapacity=2
    )["ScalableTargetARN"]
    return arn


def add_target(house: Running, number: int) -> str:
    register(house, number)
    return str(named(number)["ResourceId"])


def remove_target(house: Running, resource_id: str) -> None:
    members = {**named(0), "ResourceId": resource_id}
    client_of(house, "application-autoscaling").deregister_scalable_target(**members)


def prepare(house: Running) -> None:
    """Targets for policies and actions, which stay: two of them, by even and odd numbers."""
    register(house, 20)
    register(house, 21)


def owner(number: int) -> dict[str, Any]:
    return named(20 + number % 2)


def add_policy(house: Running, number: int) -> str:
    client_of(house, "application-autoscaling").put_scaling_policy(
        **owner(number), PolicyName=f"row-{number}", PolicyType="StepScaling", StepScalingPolicyConfiguration=STEP
    )
    return f"row-{number}"


def remove_policy(house: Running, name: str) -> None:
    number = int(name.removeprefix("row-"))
    client_of(house, "application-autoscaling").delete_scaling_policy(**owner(number), PolicyName=name)


def add_action(house: Running, number: int) -> str:
    client_of(house, "application-autoscaling").put_scheduled_action(
        **owner(number),
        ScheduledActionName=f"row-{number}",
        Schedule="rate(1 day)",
        ScalableTargetAction={"MinCapacity": 1},
    )
    return f"row-{number}"


def remove_action(house: Running, name: str) -> None:
    number = int(name.removeprefix("row-"))
    client_of(house, "application-autoscaling").delete_scheduled_action(**owner(number), ScheduledActionName=name)


def make_activities(house: Running) -> None:
    for number in range(5):
        target = target_id.read(owner(number)["ResourceId"], DIMENSION)
        at = datetime.now(UTC) - timedelta(minutes=number)
        house.platform.scaling.activities.add(begun(target, REGION, number, cause=f"row-{number}", base=0, at=at))
    reason = {"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 1}
    target = target_id.read(owner(0)["ResourceId"], DIMENSION)
    house.platform.scaling.activities.add(not_scaled(target, REGION, reason, cause="row-9", at=datetime.now(UTC)))


_tagged: list[str] = []


def make_tagged(house: Running) -> None:
    _tagged[:] = [register(house, 30)]


def add_tag(house: Running, number: int) -> str:
    client_of(house, "application-autoscaling").tag_resource(ResourceARN=_tagged[0], Tags={f"row-{number}": ""})
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "application-autoscaling").untag_resource(ResourceARN=_tagged[0], TagKeys=[key])


def scaling(operation: str, **fields: Any) -> Listing:
    paged: dict[str, Any] = {
        "asked": lambda _: {"ServiceNamespace": "sagemaker"},
        "size": "MaxResults",
        "largest": 50,
        "wrong_sizes": (0, 51),
        "tokens": {"NextToken": "NextToken"},
        "token_refusal": "InvalidNextTokenException",
        "refused": {"ScalableDimension": OTHER_DIMENSION},
    }
    return Listing(service="application-autoscaling", operation=operation, **(paged | fields))


def of_even(row: dict[str, Any]) -> bool:
    return bool(row["ResourceId"] == owner(0)["ResourceId"])


LISTINGS = [
    scaling(
        "DescribeScalableTargets",
        rows=lambda answer: answer["ScalableTargets"],
        name_of=lambda row: row["ResourceId"],
        add=add_target,
        remove=remove_target,
        filters={
            "ResourceIds": ([named(3)["ResourceId"]], lambda row: row["ResourceId"] == named(3)["ResourceId"]),
        },
    ),
    scaling(
        "DescribeScalingPolicies",
        rows=lambda answer: answer["ScalingPolicies"],
        name_of=lambda row: row["PolicyName"],
        prepare=prepare,
        add=add_policy,
        remove=remove_policy,
        filters={
            "PolicyNames": (["row-3"], lambda row: row["PolicyName"] == "row-3"),
            "ResourceId": (owner(0)["ResourceId"], of_even),
        },
    ),
    scaling(
        "DescribeScheduledActions",
        rows=lambda answer: answer["ScheduledActions"],
        name_of=lambda row: row["ScheduledActionName"],
        prepare=prepare,
        add=add_action,
        remove=remove_action,
        filters={
            "ScheduledActionNames": (["row-3"], lambda row: row["ScheduledActionName"] == "row-3"),
            "ResourceId": (owner(0)["ResourceId"], of_even),
        },
    ),
    scaling(
        "DescribeScalingActivities",
        rows=lambda answer: answer["ScalingActivities"],
        name_of=lambda row: row["Cause"],
        prepare=make_activities,
        filters={"ResourceId": (owner(0)["ResourceId"], of_even)},
        not_filters=frozenset({"IncludeNotScaledActivities"}),
    ),
    Listing(
        service="application-autoscaling",
        operation="ListTagsForResource",
        rows=lambda answer: sorted(answer["Tags"]),
        name_of=str,
        prepare=make_tagged,
        add=add_tag,
        remove=remove_tag,
        asked=lambda _: {"ResourceARN": _tagged[0]},
    ),
]
