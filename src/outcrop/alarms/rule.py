"""Rules of metric alarms: what is watched, and when it is too much. Read from the members of PutMetricAlarm."""

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from outcrop.errors import Invalid
from outcrop.metrics import statistic

_DAY_S = 86_400
_SHORT_PERIODS_S = (10, 20, 30)
_UNBUILT = ("Metrics", "ThresholdMetricId", "EvaluationCriteria", "EvaluationInterval")
_REQUIRED = ("MetricName", "Namespace", "Period", "EvaluationPeriods", "Threshold", "ComparisonOperator")
COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
"How a value is compared with the threshold, and how that is said."


class AlarmState(StrEnum):
    """The states of an alarm, in CloudWatch's words."""

    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """The meanings that a period without data may have."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """A metric, and the condition under which its alarm goes off."""

    namespace: str
    metric: str
    dimensions: Mapping[str, str]
    statistic: str
    period_s: int
    unit: str | None
    periods: int
    "So many of the last periods are looked at."
    datapoints_to_alarm: int
    "So many of them must breach the threshold."
    threshold: float
    comparison: str
    missing: Missing

    def breaches(self, value: float) -> bool:
        return COMPARISONS[self.comparison][0](value, self.threshold)


def read(members: Mapping[str, Any]) -> AlarmRule:
    """The rule in the members of PutMetricAlarm. Raises Invalid, by name for what is not built."""
    for member in _UNBUILT:
        if members.get(member):
            raise Invalid(f"{member}: not built in Outcrop yet. Watch one metric with a threshold.")
    if members.get("EvaluateLowSampleCountPercentile", "evaluate") != "evaluate":
        raise Invalid("EvaluateLowSampleCountPercentile: only evaluate is built in Outcrop yet. Leave it out.")
    absent = [member for member in _REQUIRED if members.get(member) is None]
    if absent:
        raise Invalid(f"{absent[0]}: is not there. An alarm on a metric needs {', '.join(_REQUIRED)}.")
    if members["ComparisonOperator"] not in COMPARISONS:
        raise Invalid(
            f"ComparisonOperator: {members['ComparisonOperator']} needs a band of anomalies; none is built yet."
        )
    periods = members["EvaluationPeriods"]
    rule = AlarmRule(
        namespace=members["Namespace"],
        metric=members["MetricName"],
        dimensions={each["Name"]: each["Value"] for each in members.get("Dimensions") or ()},
        statistic=_statistic(members),
        period_s=members["Period"],
        unit=members.get("Unit"),
        periods=periods,
        datapoints_to_alarm=members.get("DatapointsToAlarm", periods),
        threshold=members["Threshold"],
        comparison=members["ComparisonOperator"],
        missing=_missing(members.get("TreatMissingData", Missing.MISSING)),
    )
    _check(rule)
    return rule


def _statistic(members: Mapping[str, Any]) -> str:
    given = [members[member] for member in ("Statistic", "ExtendedStatistic") if members.get(member)]
    if len(given) != 1:
        raise Invalid("Give either Statistic or ExtendedStatistic" + (", not both." if given else "."))
    statistic.check(given)
    return str(given[0])


def _missing(word: str) -> Missing:
    if word not in set(Missing):
        raise Invalid(f"TreatMissingData: {word[:40]!r} is none of {', '.join(Missing)}. Choose one of them.")
    return Missing(word)


def _check(rule: AlarmRule) -> None:
    if rule.period_s not in _SHORT_PERIODS_S and rule.period_s % 60:
        raise Invalid("Period must be 10, 20, 30 or a multiple of 60")
    longest_s = _DAY_S if rule.period_s < 3600 else 7 * _DAY_S
    if rule.periods * rule.period_s > longest_s:
        span = "a day" if longest_s == _DAY_S else "seven days"
        raise Invalid(
            f"Metrics cannot be checked across more than {span} (EvaluationPeriods * Period must be <= {longest_s})."
        )
    if rule.datapoints_to_alarm > rule.periods:
        raise Invalid("DatapointsToAlarm must be less than or equal to EvaluationPeriods.")
    if not math.isfinite(rule.threshold):
        raise Invalid(f"Threshold: {rule.threshold} is no number to compare with.")
