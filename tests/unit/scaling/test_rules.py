"""Rules of scaling by themselves: what tracks a target, what steps, when a schedule is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from outcrop.errors import Invalid
from outcrop.scaling import schedules, stepping, target_id, tracking
from outcrop.scaling.cron import cron
from outcrop.scaling.target_id import Dimension, TargetId
from outcrop.scaling.tracking import HIGH, LOW
from tests.support.scaling_house import COMPONENT, CONCURRENT, INVOCATIONS, VARIANT

MONDAY = datetime(2026, 5, 4, 12, 0)


def track(target: TargetId = VARIANT, metric: str = INVOCATIONS, **more: Any) -> tracking.TrackingRule:
    named = {"PredefinedMetricSpecification": {"PredefinedMetricType": metric}}
    return tracking.read({"TargetValue": 70.0, **named, **more}, target)


def test_the_alarms_are_those_that_aws_makes() -> None:
    dimensions = [{"Name": "EndpointName", "Value": "e"}, {"Name": "VariantName", "Value": "v"}]
    metric = {"Namespace": "AWS/SageMaker", "MetricName": "InvocationsPerInstance", "Dimensions": dimensions}
    common = {**metric, "Statistic": "Sum", "Period": 60}
    assert track().alarm(HIGH) == {
        **common, "ComparisonOperator": "GreaterThanThreshold", "Threshold": 70.0, "EvaluationPeriods": 3,
    }  # fmt: skip
    assert track().alarm(LOW) == {
        **common, "ComparisonOperator": "LessThanThreshold", "Threshold": 63.0, "EvaluationPeriods": 15,
    }  # fmt: skip
    high = track(metric=CONCURRENT).alarm(HIGH)
    assert (high["Period"], high["EvaluationPeriods"], high["MetricName"]) == (10, 3, "ConcurrentRequestsPerModel")
    of_copies = track(COMPONENT, "SageMakerInferenceComponentInvocationsPerCopy").alarm(LOW)
    assert of_copies["Dimensions"] == [{"Name": "InferenceComponentName", "Value": "c"}]


@pytest.mark.parametrize(
    ("values", "serving", "above", "below"),
    [
        ([], 3, None, None),
        ([70.0], 3, 3, 3),
        ([140.0], 3, 6, 6),
        ([10.0, 70.1], 3, 4, 4),
        ([140.0, 35.0], 4, 2, 8),
        ([0.0], 4, 0, 0),
        ([5.0], 0, 0, 0),
        ([71.0], 0, 1, 0),
        ([-3.0], 2, 0, 0),
        ([70.0 * 0.1 * 3 / 0.3], 7, 7, 7),
    ],
)
def test_the_capacity_that_values_ask_for(
    values: list[float], serving: int, above: int | None, below: int | None
) -> None:
    assert (track().wanted_above(values, serving), track().wanted_below(values, serving)) == (above, below)


@pytest.mark.parametrize(
    ("configuration", "problem"),
    [
        ({"TargetValue": 0.0}, "TargetValue: 0.0 is out of range. Choose a number above 0."),
        ({"TargetValue": float("nan")}, "TargetValue: nan is out of range. Choose a number above 0."),
        ({"ScaleInCooldown": -1}, "ScaleInCooldown: -1 is below 0. Give seconds from 0 on."),
        ({"CustomizedMetricSpecification": {"MetricName": "m"}}, "You must specify exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification in TargetTrackingScalingPolicyConfiguration."),
        ({"PredefinedMetricSpecification": {"PredefinedMetricType": "ECSServiceAverageCPUUtilization"}}, f"Scalable dimension sagemaker:variant:DesiredInstanceCount only supports the following predefined metric types: {INVOCATIONS}, {CONCURRENT}"),
        ({"PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS, "ResourceLabel": "x"}}, "ResourceLabel: goes with ALBRequestCountPerTarget alone, which is no metric of SageMaker."),
        ({"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": {"Metrics": [{"Id": "a"}]}}, "CustomizedMetricSpecification.Metrics: alarms on expressions are not built in Outcrop yet. Name one metric with MetricName, Namespace and Statistic."),
        ({"PredefinedMetricSpecification": None, "CustomizedMetricSpecification": {"MetricName": "m", "Namespace": "n"}}, "CustomizedMetricSpecification.Statistic: is not there. Name the metric and its statistic."),
    ],
)  # fmt: skip
def test_a_target_that_cannot_be_tracked_is_refused(configuration: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        track(**configuration)
    assert refused.value.message == problem


def steps(
    *given: tuple[float | None, float | None, int], kind: str = "ChangeInCapacity", **more: Any
) -> stepping.SteppingRule:
    named = [
        {
            name: value
            for name, value in zip(
                ("MetricIntervalLowerBound", "MetricIntervalUpperBound", "ScalingAdjustment"), each, strict=True
            )
            if value is not None
        }
        for each in given
    ]
    return stepping.read({"AdjustmentType": kind, "StepAdjustments": named, **more})


def test_each_distance_belongs_to_one_step() -> None:
    rule = steps((0, 10, 1), (10, None, 3), (-10, 0, -1), (None, -10, -2))
    assert [rule.wanted(at, 5) for at in (0, 9.9, 10, 1e9, -0.1, -9.9, -10, -1e9)] == [6, 6, 8, 8, 4, 4, 3, 3]
    assert steps((0, None, 1)).wanted(-1, 5) is None
    assert steps((None, 0, -9)).wanted(0, 5) == 0


@pytest.mark.parametrize(
    ("percent", "base", "least", "wanted"),
    [(10, 10, None, 11), (127, 10, None, 22), (1, 10, None, 11), (-1, 10, None, 9), (-67, 10, None, 4), (10, 4, 2, 6), (-10, 4, 2, 2),
     (50, 0, None, 0), (50, 0, 1, 1), (0, 4, 2, 4)],
)  # fmt: skip
def test_percents_are_rounded_as_aws_rounds_them(percent: int, base: int, least: int | None, wanted: int) -> None:
    more = {} if least is None else {"MinAdjustmentMagnitude": least}
    assert steps((0, None, percent), kind="PercentChangeInCapacity", **more).wanted(1, base) == wanted


def test_an_exact_capacity_is_taken_as_it_is() -> None:
    assert steps((0, None, 7), kind="ExactCapacity").wanted(1, 3) == 7


@pytest.mark.parametrize(("kind", "distance"), [("Average", 10.0), ("Minimum", 0.0), ("Maximum", 20.0)])
def test_values_are_summed_up_as_the_policy_says(kind: str, distance: float) -> None:
    rule = steps((0, None, 1), MetricAggregationType=kind)
    assert (rule.distance([10, 20, 30], 10), rule.distance([], 10)) == (distance, 0.0)


@pytest.mark.parametrize(
    ("given", "more", "problem"),
    [
        ([], {}, "At least one StepAdjustment must be specified."),
        ([(0, 10, 1), (5, None, 2)], {}, "StepAdjustment intervals can't overlap."),
        ([(None, None, 1), (None, None, 2)], {}, "StepAdjustment intervals can't overlap."),
        ([(0, 10, 1), (15, None, 2)], {}, "StepAdjustment intervals can't have gaps between them."),
        ([(0, 10, 1)], {}, "There must be a StepAdjustment with an unspecified upper bound when one has a positive upper bound."),
        ([(-5, 0, -1)], {}, "There must be a StepAdjustment with an unspecified lower bound when one has a negative lower bound."),
        ([(5, 5, 1)], {}, "MetricIntervalUpperBound must be greater than MetricIntervalLowerBound."),
        ([(0, None, 1)], {"MinAdjustmentMagnitude": 2}, "MinAdjustmentMagnitude: is a number from 1 on, and goes with PercentChangeInCapacity alone."),
        ([(0, None, 1)], {"Cooldown": -1}, "Cooldown: -1 is below 0. Give seconds from 0 on."),
        ([(0, None, -1)], {"kind": "ExactCapacity"}, "ScalingAdjustment: a capacity cannot be below 0."),
    ],
)  # fmt: skip
def test_steps_that_do_not_fit_are_refused(given: list[Any], more: dict[str, Any], problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        steps(*given, **more)
    assert refused.value.message == problem


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("*/15 * * * ? *", ["2026-05-04 12:15", "2026-05-04 12:30"]),
        ("0 9 ? * MON-FRI *", ["2026-05-05 09:00", "2026-05-06 09:00"]),
        ("0 9 ? * 6-2 *", ["2026-05-08 09:00", "2026-05-09 09:00", "2026-05-10 09:00", "2026-05-11 09:00"]),
        ("5,35 8-10/2 1 JAN,JUL ? *", ["2026-07-01 08:05", "2026-07-01 08:35", "2026-07-01 10:05"]),
        ("0 0 L * ? *", ["2026-05-31 00:00", "2026-06-30 00:00"]),
        ("0 0 15W * ? *", ["2026-05-15 00:00", "2026-06-15 00:00", "2026-07-15 00:00", "2026-08-14 00:00"]),
        ("0 0 LW * ? *", ["2026-05-29 00:00", "2026-06-30 00:00"]),
        ("0 0 1W 8 ? *", ["2026-08-03 00:00"]),
        ("0 0 31 * ? *", ["2026-05-31 00:00", "2026-07-31 00:00"]),
        ("0 0 29 2 ? *", ["2028-02-29 00:00", "2032-02-29 00:00"]),
        ("0 0 ? * 2#1 *", ["2026-06-01 00:00", "2026-07-06 00:00"]),
        ("0 0 ? * FRIL *", ["2026-05-29 00:00", "2026-06-26 00:00"]),
        ("0 0 ? * L *", ["2026-05-09 00:00", "2026-05-16 00:00"]),
        ("0 0 1 1 ? 2027-2028", ["2027-01-01 00:00", "2028-01-01 00:00", None]),
        ("10/20 12 4 5 ? 2026", ["2026-05-04 12:10", "2026-05-04 12:30", "2026-05-04 12:50", None]),
    ],
)
def test_a_cron_expression_is_read_as_aws_reads_it(text: str, runs: list[str | None]) -> None:
    found, at = [], MONDAY
    for _ in runs:
        following = cron(text).next_after(at)
        found.append(None if following is None else f"{following:%Y-%m-%d %H:%M}")
        at = following or at
    assert found == runs


@pytest.mark.parametrize(
    "text",
    ["* * * * *", "0 9 * * * *", "0 9 ? * ? *", "60 * * * ? *", "0 9 31 2 ? *", "0 24 * * ? *", "x * * * ? *", "*/0 * * * ? *",
     "5/ * * * ? *", "0 9 ? * MON#6 *", "0 9 ? * 8 *", "0 9 32W * ? *", "0 9 ? FOO MON *", "0 9 ? * MON 99999", "1-  * * * ? *", "", "٣ * * * ? *"],
)  # fmt: skip
def test_a_cron_expression_that_makes_no_sense_is_refused(text: str) -> None:
    with pytest.raises(Invalid, match="is not understood"):
        cron(text)


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def test_schedules_follow_the_clocks_of_their_zone() -> None:
    tokyo = schedules.read("cron(0 9 * * ? *)", "Asia/Tokyo", begins=utc("2026-05-04"))
    assert tokyo.next_after(utc("2026-05-04")) == utc("2026-05-05")
    assert schedules.read("at(2026-05-05T09:00:00)", "Asia/Tokyo", begins=utc("2026-05-04")).next_after(
        utc("2026-05-04")
    ) == utc("2026-05-05")
    berlin = schedules.read("cron(30 2 * * ? *)", "Europe/Berlin", begins=utc("2026-03-28"))
    runs, at = [], utc("2026-03-28")
    for _ in range(3):
        at = berlin.next_after(at) or at
        runs.append(f"{at:%d %H:%M}")
    assert runs == ["28 01:30", "29 01:30", "30 00:30"], "half past two does not exist on the 29th"
    autumn, runs = utc("2026-10-24T22:00"), []
    for _ in range(2):
        autumn = berlin.next_after(autumn) or autumn
        runs.append(f"{autumn:%d %H:%M}")
    assert runs == ["25 00:30", "26 01:30"], "half past two is there twice on the 25th"


def test_rates_count_from_where_they_begin() -> None:
    rate = schedules.read("rate(6 hours)", None, begins=utc("2026-05-04T01:00"))
    assert rate.next_after(utc("2026-05-01")) == utc("2026-05-04T01:00")
    assert rate.next_after(utc("2026-05-04T01:00")) == utc("2026-05-04T07:00")
    assert rate.last_until(utc("2026-05-04T01:00"), utc("2026-06-04T00:00")) == utc("2026-06-03T19:00")


@pytest.mark.parametrize("text", ["rate(1 minute)", "cron(* * * * ? *)", "cron(0 0 1 1 ? *)", "cron(0 3 ? * SUN *)"])
@pytest.mark.parametrize("away", [timedelta(0), timedelta(minutes=90), timedelta(days=20), timedelta(days=390)])
def test_of_all_runs_that_were_missed_the_last_is_found(text: str, away: timedelta) -> None:
    schedule = schedules.read(text, None, begins=utc("2026-05-04"))
    due = schedule.next_after(utc("2026-05-04"))
    assert due is not None
    last = schedule.last_until(due, due + away)
    following = schedule.next_after(last)
    assert due <= last <= due + away
    assert following is None or following > due + away


@pytest.mark.parametrize(
    ("text", "zone", "problem"),
    [
        ("every day", None, "Schedule: 'every day' is none."),
        ("rate(0 minutes)", None, "Schedule: rate(0 minutes) is none."),
        ("rate(5 weeks)", None, "Schedule: rate(5 weeks) is none."),
        ("at(2026-05-05)", None, "Schedule: at(2026-05-05) is none."),
        ("at(0001-01-01T00:00:00)", "Asia/Tokyo", "Schedule: at(0001-01-01T00:00:00) is none."),
        ("at(2026-05-05T00:00:00)", "Mars/Base", "Timezone: 'Mars/Base' is not known here."),
        ("at(2026-05-05T00:00:00)", "../../etc/passwd", "Timezone: '../../etc/passwd' is not known here."),
        ("rate(5 minutes)", "Asia/Tokyo", "Timezone: goes with at(...) and cron(...)."),
    ],
)
def test_a_schedule_that_makes_no_sense_is_refused(text: str, zone: str | None, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        schedules.read(text, zone, begins=utc("2026-05-04"))
    assert refused.value.message.startswith(problem)


@pytest.mark.parametrize(
    ("resource", "dimension", "problem"),
    [
        ("endpoint/e", Dimension.INSTANCES, "ResourceId: 'endpoint/e' is none of sagemaker:variant:DesiredInstanceCount. Write endpoint/<name>/variant/<name>."),
        ("endpoint/e/variant/v", Dimension.COPIES, "ResourceId: 'endpoint/e/variant/v' is none of sagemaker:inference-component:DesiredCopyCount. Write inference-component/<name>."),
        ("endpoint/e/variant/v", "sagemaker:variant:DesiredProvisionedConcurrency", "ScalableDimension: sagemaker:variant:DesiredProvisionedConcurrency is not built in Outcrop yet. Known are sagemaker:variant:DesiredInstanceCount, sagemaker:inference-component:DesiredCopyCount."),
        ("service/a/b", "ecs:service:DesiredCount", "Unsupported service namespace, resource type or scalable dimension"),
    ],
)  # fmt: skip
def test_a_target_that_is_none_is_refused(resource: str, dimension: str, problem: str) -> None:
    with pytest.raises(Invalid) as refused:
        target_id.read(resource, dimension)
    assert refused.value.message == problem
