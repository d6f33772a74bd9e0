"""Policies that hold a metric at a target: their two alarms, and the capacity that the metric asks for.

The metric must be one that halves when the capacity doubles. Three periods above the target scale out at once, to what
the last value asks for; a quarter of an hour below nine tenths of it scales in, to what its highest value asks for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from outcrop.errors import Invalid
from outcrop.scaling.predefined import MINUTE_S, SAGEMAKER, predefined
from outcrop.scaling.target_id import TargetId

DEFAULT_COOLDOWN_S = 300
_LEAST_TARGET, _LARGEST_TARGET = 8.515920e-109, 1.174271e108
_HIGH_PERIODS, _LOW_S, _LOW_PART = 3, 900, 0.9
_ROUNDING = 1e-9
"What a quotient may be above a whole number by rounding alone."
HIGH, LOW = "AlarmHigh", "AlarmLow"


@dataclass(frozen=True, kw_only=True)
class TrackingRule:
    """A target-tracking configuration, read."""

    goal: float
    metric: Mapping[str, Any]
    "Members of PutMetricAlarm that name it, and how it is summed up."
    out_cooldown_s: int
    in_cooldown_s: int
    scales_in: bool

    def alarm(self, which: str) -> dict[str, Any]:
        """Members of PutMetricAlarm for the alarm above or below the target."""
        period_s = self.metric["Period"]
        if which == HIGH:
            compared = {"ComparisonOperator": "GreaterThanThreshold", "Threshold": self.goal}
            return {**self.metric, **compared, "EvaluationPeriods": _HIGH_PERIODS}
        compared = {"ComparisonOperator": "LessThanThreshold", "Threshold": self.goal * _LOW_PART}
        return {**self.metric, **compared, "EvaluationPeriods": _LOW_S // period_s}

    def wanted_above(self, values: Sequence[float], serving: int) -> int | None:
        """The capacity that the last value asks for, measured while so many were serving; None without a value."""
        if not values:
            return None
        return max(self._capacity(values[-1], serving), 1 if values[-1] > self.goal else 0)

    def wanted_below(self, values: Sequence[float], serving: int) -> int | None:
        """The capacity that the highest of the values asks for; None without a value."""
        return self._capacity(max(values), serving) if values else None

    def _capacity(self, value: float, serving: int) -> int:
        return math.ceil(serving * max(value, 0.0) / self.goal - _ROUNDING)


def read(configuration: Mapping[str, Any], target: TargetId) -> TrackingRule:
    """The rule in a TargetTrackingScalingPolicyConfiguration. Raises Invalid."""
    goal = configuration["TargetValue"]
    if not _LEAST_TARGET <= goal <= _LARGEST_TARGET:
        raise Invalid(f"TargetValue: {goal} is out of range. Choose a number above 0.")
    for member in ("ScaleOutCooldown", "ScaleInCooldown"):
        if configuration.get(member, 0) < 0:
            raise Invalid(f"{member}: {configuration[member]} is below 0. Give seconds from 0 on.")
    given = [
        each for each in ("PredefinedMetricSpecification", "CustomizedMetricSpecification") if configuration.get(each)
    ]
    if len(given) != 1:
        raise Invalid(
            "You must specify exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification"
            " in TargetTrackingScalingPolicyConfiguration."
        )
    specification = configuration[given[0]]
    metric = _predefined(specification, target) if given[0].startswith("Pre") else _customized(specification)
    return TrackingRule(
        goal=goal,
        metric=metric,
        out_cooldown_s=configuration.get("ScaleOutCooldown", DEFAULT_COOLDOWN_S),
        in_cooldown_s=configuration.get("ScaleInCooldown", DEFAULT_COOLDOWN_S),
        scales_in=not configuration.get("DisableScaleIn", False),
    )


def _predefined(specification: Mapping[str, Any], target: TargetId) -> dict[str, Any]:
    if "ResourceLabel" in specification:
        raise Invalid("ResourceLabel: goes with ALBRequestCountPerTarget alone, which is no metric of SageMaker.")
    metric = predefined(specification["PredefinedMetricType"], target.dimension)
    dimensions = [{"Name": name, "Value": value} for name, value in target.metric_dimensions.items()]
    named = {"Namespace": SAGEMAKER, "MetricName": metric.name, "Dimensions": dimensions}
    return {**named, "Statistic": metric.statistic, "Period": metric.period_s}


def _customized(specification: Mapping[str, Any]) -> dict[str, Any]:
    if specification.get("Metrics"):
        raise Invalid(
            "CustomizedMetricSpecification.Metrics: alarms on expressions are not built in Outcrop yet. Name one metric"
            " with MetricName, Namespace and Statistic."
        )
    absent = [each for each in ("MetricName", "Namespace", "Statistic") if not specification.get(each)]
    if absent:
        raise Invalid(f"CustomizedMetricSpecification.{absent[0]}: is not there. Name the metric and its statistic.")
    names = [each["Name"] for each in specification.get("Dimensions") or ()]
    if len(set(names)) < len(names):
        raise Invalid("CustomizedMetricSpecification.Dimensions: a name is given twice. Give each name once.")
    named = {name: specification[name] for name in ("Namespace", "MetricName", "Statistic")}
    unit = {"Unit": specification["Unit"]} if specification.get("Unit") else {}
    return {**named, **unit, "Dimensions": list(specification.get("Dimensions") or ()), "Period": MINUTE_S}
