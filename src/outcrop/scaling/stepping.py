"""Policies that answer an alarm with a step: the further the metric is past the threshold, the larger.

https://docs.aws.amazon.com/autoscaling/application/userguide/step-scaling-policy-overview.html
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import mean
from typing import Any, NamedTuple

from outcrop.errors import Invalid
from outcrop.scaling.tracking import DEFAULT_COOLDOWN_S

MOST_STEPS = 20
_CHANGE, _PERCENT, _EXACT = "ChangeInCapacity", "PercentChangeInCapacity", "ExactCapacity"
_SUMMED: dict[str, Callable[[Sequence[float]], float]] = {"Average": mean, "Minimum": min, "Maximum": max}


class ScalingStep(NamedTuple):
    """An adjustment, and the distances from the threshold at which it is made."""

    lower: float
    upper: float
    adjustment: int

    def holds(self, distance: float) -> bool:
        """Whether the metric is this far past the threshold; each bound belongs to one step alone."""
        if self.upper <= 0:
            return self.lower < distance <= self.upper
        return self.lower <= distance < self.upper


@dataclass(frozen=True, kw_only=True)
class SteppingRule:
    """A step scaling configuration, read."""

    kind: str
    steps: tuple[ScalingStep, ...]
    least_change: int
    cooldown_s: int
    aggregation: str

    def distance(self, values: Sequence[float], threshold: float) -> float:
        """The distance of the metric from the threshold; none where there are no values: the alarm was set by hand."""
        return _SUMMED[self.aggregation](values) - threshold if values else 0.0

    def wanted(self, distance: float, base: int) -> int | None:
        """The capacity that follows from `base` at this distance; None where no step is for it."""
        # At the threshold itself, the step above it comes first.
        step = next((step for step in reversed(self.steps) if step.holds(distance)), None)
        if step is None:
            return None
        if self.kind == _EXACT:
            return step.adjustment
        return max(0, base + self._change(step.adjustment, base))

    def _change(self, adjustment: int, base: int) -> int:
        if self.kind == _CHANGE:
            return adjustment
        exact = base * adjustment / 100
        # Toward zero, but never to it, as AWS rounds.
        change = math.trunc(exact) or (0 if exact == 0 else int(math.copysign(1, exact)))
        least = int(math.copysign(self.least_change, adjustment)) if adjustment else 0
        return change if abs(change) >= abs(least) else least


def read(configuration: Mapping[str, Any]) -> SteppingRule:
    """The rule in a StepScalingPolicyConfiguration. Raises Invalid."""
    kind, given = configuration.get("AdjustmentType"), configuration.get("StepAdjustments")
    if kind is None:
        raise Invalid(
            "AdjustmentType: is not there. Choose ChangeInCapacity, PercentChangeInCapacity or ExactCapacity."
        )
    if not given:
        raise Invalid("At least one StepAdjustment must be specified.")
    if len(given) > MOST_STEPS:
        raise Invalid(f"StepAdjustments: {len(given)} are more than {MOST_STEPS}.")
    least, cooldown_s = (
        configuration.get("MinAdjustmentMagnitude", 0),
        configuration.get("Cooldown", DEFAULT_COOLDOWN_S),
    )
    if "MinAdjustmentMagnitude" in configuration and (kind != _PERCENT or least < 1):
        raise Invalid("MinAdjustmentMagnitude: is a number from 1 on, and goes with PercentChangeInCapacity alone.")
    if cooldown_s < 0:
        raise Invalid(f"Cooldown: {cooldown_s} is below 0. Give seconds from 0 on.")
    steps = tuple(sorted(_step(each) for each in given))
    if kind == _EXACT and any(step.adjustment < 0 for step in steps):
        raise Invalid("ScalingAdjustment: a capacity cannot be below 0.")
    _check(steps)
    return SteppingRule(
        kind=kind,
        steps=steps,
        least_change=least,
        cooldown_s=cooldown_s,
        aggregation=configuration.get("MetricAggregationType", "Average"),
    )


def _step(given: Mapping[str, Any]) -> ScalingStep:
    lower = given.get("MetricIntervalLowerBound", -math.inf)
    upper = given.get("MetricIntervalUpperBound", math.inf)
    if math.isnan(lower) or math.isnan(upper) or lower >= upper:
        raise Invalid("MetricIntervalUpperBound must be greater than MetricIntervalLowerBound.")
    return ScalingStep(lower, upper, given["ScalingAdjustment"])


def _check(steps: Sequence[ScalingStep]) -> None:
    """Steps lie side by side, and have no end on the side of zero to which they lead."""
    for step, following in pairwise(steps):
        if following.lower < step.upper:
            raise Invalid("StepAdjustment intervals can't overlap.")
        if following.lower > step.upper:
            raise Invalid("StepAdjustment intervals can't have gaps between them.")
    if steps[0].lower < 0 and steps[0].lower != -math.inf:
        raise Invalid(
            "There must be a StepAdjustment with an unspecified lower bound when one has a negative lower bound."
        )
    if steps[-1].upper > 0 and steps[-1].upper != math.inf:
        raise Invalid(
            "There must be a StepAdjustment with an unspecified upper bound when one has a positive upper bound."
        )
