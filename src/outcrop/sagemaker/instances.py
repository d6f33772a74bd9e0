"""The instances that a training job asks for.

Each is a host in a sandbox of its own, all on this machine. Hosts are named as SageMaker names them, algo-1 and on,
over the groups in their order. They share a loopback: each has an address of its own there, and what one listens on all
of them reach.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.isolation.limits import size

_PLACE = "ResourceConfig"
_GROUP = "homogeneousCluster"
_LEAST_BYTES = 512 << 20
"Of memory for one instance: a script that imports a framework takes that much."
_MOST = 64


@dataclass(frozen=True, kw_only=True)
class TrainingInstance:
    """An instance of a training job."""

    host: str
    address: str
    "Of the host, for the others and for itself."
    group: str
    kind: str
    "Its InstanceType, as it was asked for."


def instances_of(resources: Mapping[str, Any]) -> tuple[TrainingInstance, ...]:
    """The instances of a ResourceConfig, in the order of their hosts' numbers."""
    groups = resources.get("InstanceGroups") or [
        {
            "InstanceGroupName": _GROUP,
            "InstanceType": resources.get("InstanceType", ""),
            "InstanceCount": resources.get("InstanceCount", 1),
        }
    ]
    wanted = [group for group in groups for _ in range(group["InstanceCount"])]
    return tuple(
        TrainingInstance(
            host=f"algo-{number}",
            address=f"127.0.0.{number}",
            group=group["InstanceGroupName"],
            kind=group["InstanceType"],
        )
        for number, group in enumerate(wanted, start=1)
    )


def check(resources: Mapping[str, Any], *, memory_bytes: int) -> None:
    """Raises Invalid for instances that cannot be had; `memory_bytes` is what they have together."""
    groups = resources.get("InstanceGroups") or []
    if groups and (resources.get("InstanceType") or resources.get("InstanceCount")):
        raise Invalid(f"{_PLACE}.InstanceGroups: not together with InstanceType and InstanceCount. Give one of both.")
    names = [group["InstanceGroupName"] for group in groups]
    if len(set(names)) < len(names):
        raise Invalid(f"{_PLACE}.InstanceGroups: two groups have the same InstanceGroupName. Name each otherwise.")
    place = f"{_PLACE}.InstanceGroups" if groups else f"{_PLACE}.InstanceCount"
    counts = [group["InstanceCount"] for group in groups] or [resources.get("InstanceCount", 1)]
    if min(counts) < 1:
        raise Invalid(f"{place}: 0 instances do nothing. Ask for 1 at least.")
    most = max(1, min(_MOST, memory_bytes // _LEAST_BYTES))
    if sum(counts) > most:
        raise Invalid(
            f"{place}: {sum(counts)} instances would share {size(memory_bytes)} of this machine's memory, and each "
            f"needs {size(_LEAST_BYTES)}. Ask for {most} at most."
        )


def has_channel(instance: TrainingInstance, channel: Mapping[str, Any]) -> bool:
    """Whether an instance gets a channel, which may be for some groups only."""
    groups = channel["DataSource"]["S3DataSource"].get("InstanceGroupNames")
    return not groups or instance.group in groups


def shard(
    names: Mapping[str, str],
    channel: Mapping[str, Any],
    instance: TrainingInstance,
    instances: Sequence[TrainingInstance],
) -> dict[str, str]:
    """The objects of a channel that go to one instance: all, or with ShardedByS3Key every so many of them."""
    source = channel["DataSource"]["S3DataSource"]
    if source.get("S3DataDistributionType", "FullyReplicated") != "ShardedByS3Key":
        return dict(names)
    with_it = [each for each in instances if has_channel(each, channel)]
    return dict(list(names.items())[with_it.index(instance) :: len(with_it)])
