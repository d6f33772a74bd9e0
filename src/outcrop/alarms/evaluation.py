"""The state of an alarm by the values of its last periods; periods without data count as the alarm says.

Two more periods are looked at than the alarm asks for: where some have no data, older values stand in. Only where there
are still too few does the treatment of missing data decide.
https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
"""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from outcrop.alarms.rule import COMPARISONS, AlarmRule, AlarmState, Missing

MORE_PERIODS = 2
_MOST_SHOWN = 10


class AlarmVerdict(NamedTuple):
    """A state, and why."""

    state: AlarmState
    reason: str


class PeriodValue(NamedTuple):
    """A period, and its value; None where there is none."""

    at: datetime
    value: float | None


def evaluate(rule: AlarmRule, values: Sequence[PeriodValue], current: AlarmState) -> AlarmVerdict:
    """The state that follows from the values of `rule.periods` + MORE_PERIODS periods, the oldest first."""
    real = [each for each in values if each.value is not None][-rule.periods :]
    breaching = sum(each.value is not None and rule.breaches(each.value) for each in real)
    filled = rule.periods - len(real)
    state = _state(rule, values, current, breaching=breaching, num_real=len(real), filled=filled)
    return AlarmVerdict(state, _reason(rule, real, breaching, filled, current, state))


def _state(
    rule: AlarmRule, values: Sequence[PeriodValue], current: AlarmState, *, breaching: int, num_real: int, filled: int
) -> AlarmState:
    if breaching >= rule.datapoints_to_alarm:
        return AlarmState.ALARM
    if not filled or rule.missing is Missing.NOT_BREACHING:
        return AlarmState.OK
    if rule.missing is Missing.BREACHING:
        return AlarmState.ALARM if breaching + filled >= rule.datapoints_to_alarm else AlarmState.OK
    if breaching < num_real:  # something was seen to be well
        return AlarmState.OK
    if rule.missing is Missing.IGNORE:
        return current
    if not num_real:
        return AlarmState.INSUFFICIENT_DATA
    # All that was seen breaches. It is an alarm once the oldest of it is as old as an alarm needs to be.
    age = len(values) - next(place for place, each in enumerate(values) if each.value is not None)
    return AlarmState.ALARM if age >= rule.datapoints_to_alarm else AlarmState.OK


def _reason(
    rule: AlarmRule, real: Sequence[PeriodValue], breaching: int, filled: int, before: AlarmState, after: AlarmState
) -> str:
    """Why the state changes, as CloudWatch says it."""
    if after is AlarmState.INSUFFICIENT_DATA:
        were = "datapoint was" if rule.periods == 1 else "datapoints were"
        return f"Insufficient Data: {rule.periods} {were} unknown."
    is_alarm = after is AlarmState.ALARM
    number = breaching if is_alarm else len(real) - breaching
    if not real:
        said = "were treated as breaching" if is_alarm else "were treated as not breaching"
        return f"Threshold Crossed: no datapoints were received for {filled} periods, which {said}."
    shown = ", ".join(f"{each.value} ({each.at:%d/%m/%y %H:%M:%S})" for each in real[::-1][:_MOST_SHOWN])
    were = "was" if number == 1 else "were"
    needed = rule.datapoints_to_alarm if is_alarm else rule.periods - rule.datapoints_to_alarm + 1
    points = "datapoint" if needed == 1 else "datapoints"
    compared = ("" if is_alarm else "not ") + COMPARISONS[rule.comparison][1]
    return (
        f"Threshold Crossed: {number} out of the last {len(real)} datapoints [{shown}] {were} {compared} the threshold "
        f"({float(rule.threshold)}) (minimum {needed} {points} for {before} -> {after} transition)."
    )
