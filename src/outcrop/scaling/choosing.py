"""The choice among what several policies of one target ask for.

The largest capacity wins, so that who needs more gets it. Bounds of the target and of this machine hold for all.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from outcrop.scaling.resources import Capacity


class ScalingProposal(NamedTuple):
    """A capacity that a policy asks for."""

    wanted: int
    base: int
    "The capacity that it was computed from."
    policy: str
    "Its ARN."
    cause: str


class CapacityBounds(NamedTuple):
    """The bounds that hold for one target, and the directions in which nothing moves."""

    least: int
    most: int
    out_suspended: bool = False
    in_suspended: bool = False


class ScalingChoice(NamedTuple):
    """The capacity to be set, or the reason why there is none; `proposal` is the one that was decisive."""

    proposal: ScalingProposal
    set_to: int | None = None
    reason: dict[str, Any] | None = None
    overruled: str = ""
    "What is told where the machine allows less than was asked for."


def choose(proposals: Sequence[ScalingProposal], capacity: Capacity, bounds: CapacityBounds) -> ScalingChoice | None:
    """The choice; None where there is no proposal, or its direction is suspended."""
    if not proposals:
        return None
    best, desired = max(proposals, key=lambda proposal: proposal.wanted), capacity.desired
    if best.wanted > desired:
        return None if bounds.out_suspended else _outward(best, capacity, bounds)
    if best.wanted < desired:
        return None if bounds.in_suspended else _inward(best, capacity, bounds)
    return ScalingChoice(best, reason={"Code": "AlreadyAtDesiredCapacity", "CurrentCapacity": desired})


def _outward(best: ScalingProposal, capacity: Capacity, bounds: CapacityBounds) -> ScalingChoice:
    wanted = min(best.wanted, bounds.most)
    if wanted <= capacity.desired:
        return ScalingChoice(best, reason={"Code": "AlreadyAtMaxCapacity", "MaxCapacity": bounds.most})
    count = within_machine(wanted, capacity)
    if count <= capacity.desired:
        reason = {"Code": "TargetServicePutResourceAsUnscalable", "CurrentCapacity": capacity.desired}
        return ScalingChoice(best, reason=reason)
    return ScalingChoice(best, count, overruled=overruled(wanted, count))


def _inward(best: ScalingProposal, capacity: Capacity, bounds: CapacityBounds) -> ScalingChoice:
    count = max(best.wanted, bounds.least, 0 if capacity.may_be_zero else 1)
    if count >= capacity.desired:
        return ScalingChoice(best, reason={"Code": "AlreadyAtMinCapacity", "MinCapacity": bounds.least})
    return ScalingChoice(best, count)


def within_machine(count: int, capacity: Capacity) -> int:
    """The count, or what this machine allows of it."""
    return count if capacity.most is None else min(count, capacity.most)


def overruled(wanted: int, count: int) -> str:
    """The sentence about a machine that allows less; empty where it allows all."""
    return f"This machine allows {count}; {wanted} were asked for." if count < wanted else ""
