"""Scaling as time goes by: load comes and goes, clocks jump, resources refuse, records break."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sql

from outcrop.alarms.rule import AlarmState
from outcrop.errors import Conflict, Invalid, NotFound, QuotaExceeded
from outcrop.scaling.records import ACTION, POLICY, TARGET
from outcrop.scaling.target_id import TargetId
from outcrop.settings import Settings
from outcrop.store.resource_table import RESOURCES
from outcrop.store.store import Store
from tests.support.scaling_house import COMPONENT, CONCURRENT, NOON, REGION, VARIANT, ScalingHouse

UP = {"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 1}


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(Settings(home=tmp_path))
    yield store
    store.close()


@pytest.fixture
def house(store: Store) -> ScalingHouse:
    house = ScalingHouse(store)
    house.fleet.add(VARIANT, 1)
    return house


def alarm_names(house: ScalingHouse) -> list[str]:
    return [alarm.name or "" for alarm in house.alarms.of_region(REGION)]


def test_load_above_the_target_scales_out_to_what_it_needs(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.pass_minutes(2, load=45)
    assert house.desired() == 1
    house.pass_minutes(load=45)
    assert house.desired() == 5
    high = next(name for name in alarm_names(house) if "AlarmHigh" in name)
    cause = f"monitor alarm {high} in state ALARM triggered policy p"
    waiting = "Successfully set desired instance count to 5. Waiting for change to be fulfilled by sagemaker."
    assert house.told() == [("InProgress", cause, waiting)]
    house.fleet.arrive()
    house.scaler.turn()
    done = "Successfully set desired instance count to 5. Change successfully fulfilled by sagemaker."
    assert house.told() == [("Successful", cause, done)]
    assert house.activities()[0].description == "Setting desired instance count to 5."


def test_a_quarter_of_an_hour_of_less_scales_in_to_what_is_needed(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 5)
    house.track(10)
    house.pass_minutes(14, load=18)
    assert house.desired() == 5
    house.pass_minutes(load=18)
    assert house.desired() == 2


def test_a_load_between_nine_tenths_and_the_target_changes_nothing(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 2)
    house.track(10)
    house.pass_minutes(20, load=19)
    assert house.activities(with_not_scaled=True) == []


def test_no_data_scales_nothing_in(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 4)
    house.track(10)
    house.pass_minutes(5, load=40)
    house.pass_minutes(30)
    assert (house.desired(), house.activities()) == (4, [])


def test_the_cooldown_of_scaling_out_lets_a_larger_need_through_only(house: ScalingHouse) -> None:
    house.register()
    house.track(10, ScaleOutCooldown=600)
    house.pass_minutes(3, load=25)
    assert house.desired() == 3  # the instances are on their way, and the one that serves has all of the load
    house.pass_minutes(2, load=25)
    assert house.fleet.set == [3]
    house.pass_minutes(load=70)
    assert house.fleet.set == [3, 7]
    house.fleet.arrive()
    house.pass_minutes(5, load=100)  # counted from the instance that was there before, it needs no more
    assert house.fleet.set == [3, 7]
    house.pass_minutes(10, load=100)
    assert house.fleet.set == [3, 7, 10]


def test_the_cooldown_of_scaling_in_holds_it_and_ends_with_scaling_out(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 8)
    house.track(10, ScaleInCooldown=1200)
    house.pass_minutes(15, load=40)
    assert house.desired() == 4
    house.fleet.arrive()
    house.pass_minutes(18, load=10)
    assert house.desired() == 4
    house.pass_minutes(3, load=10)
    assert house.desired() == 1
    house.fleet.arrive()
    house.pass_minutes(4, load=30)
    assert house.desired() == 3


def test_the_larger_of_two_policies_wins(house: ScalingHouse) -> None:
    house.register()
    house.track(10, "by-invocations")
    house.alarm("busy", "m", house.step(UP | {"ScalingAdjustment": 6}))
    house.put(50, "m")
    house.measure(0)
    house.pass_minutes(3, load=25)
    assert house.desired() == 7


def test_all_that_track_a_target_must_agree_to_scale_in(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 4)
    house.track(10, "by-invocations")
    house.track(2, "by-concurrency", CONCURRENT)
    house.pass_minutes(20, load=4)
    assert house.desired() == 4, "the other has no data, and is not for it"
    for _ in range(16):
        for _ in range(6):
            house.measure(1.0, "ConcurrentRequestsPerModel")
            house.clock.move(timedelta(seconds=10))
        house.measure(1.0)
        house.turn()
    assert house.desired() == 2, "the one that needs more"


def test_who_never_scales_in_need_not_agree(house: ScalingHouse) -> None:
    house.register()
    house.fleet.add(VARIANT, 4)
    house.track(10, "by-invocations")
    house.track(2, "by-concurrency", CONCURRENT, DisableScaleIn=True)
    house.pass_minutes(20, load=4)
    assert house.desired() == 1


def test_bounds_hold_and_are_told_once(house: ScalingHouse) -> None:
    house.register(1, 3)
    house.track(10)
    house.pass_minutes(3, load=90)
    assert house.desired() == 3
    house.fleet.arrive()
    house.pass_minutes(20, load=90)
    kept = [each for each in house.activities(with_not_scaled=True) if each.reason is not None]
    assert [each.reason for each in kept] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3}]
    assert (kept[0].status, kept[0].description) == ("Failed", "Attempting to scale due to alarm triggered")
    assert len(house.activities()) == 1


def test_this_machine_may_allow_less_and_says_so(house: ScalingHouse) -> None:
    house.fleet.add(VARIANT, 1, most=2)
    house.register()
    house.track(10)
    house.pass_minutes(3, load=90)
    assert house.desired() == 2
    assert house.activities()[0].details == "This machine allows 2; 9 were asked for."
    house.fleet.arrive()
    house.pass_minutes(10, load=90)
    (reason,) = [each.reason for each in house.activities(with_not_scaled=True) if each.reason is not None]
    assert reason == {"Code": "TargetServicePutResourceAsUnscalable", "CurrentCapacity": 2}


def test_a_minimum_beyond_this_machine_fails_aloud(house: ScalingHouse) -> None:
    house.fleet.add(VARIANT, 2, most=2)
    house.register(5, 9)
    house.scaler.turn()
    reason = "Failed to set desired instance count to 5. Reason: This machine allows 2."
    assert house.told() == [("Failed", "minimum capacity was set to 5", reason)]
    house.pass_minutes(5)
    assert len(house.activities()) == 1


def test_new_bounds_move_the_capacity_into_them(house: ScalingHouse) -> None:
    house.register(3, 10)
    house.scaler.turn()
    house.fleet.arrive()
    house.pass_minutes()
    house.register(1, 2)
    house.scaler.turn()
    assert [cause for _, cause, _ in house.told()] == ["minimum capacity was set to 3", "maximum capacity was set to 2"]
    assert house.fleet.set == [3, 2]
    house.fleet.add(VARIANT, 7)  # by hand: bounds are enforced where they are set, as AWS does
    house.pass_minutes(3)
    assert house.desired() == 7


def test_what_is_suspended_does_not_move(house: ScalingHouse) -> None:
    house.register(1, 10, DynamicScalingOutSuspended=True)
    house.track(10)
    house.pass_minutes(5, load=50)
    assert house.desired() == 1
    house.register(1, 10, DynamicScalingOutSuspended=False, DynamicScalingInSuspended=True)
    house.pass_minutes(2, load=50)
    assert house.desired() == 5
    house.fleet.arrive()
    house.pass_minutes(30, load=5)
    assert house.desired() == 5


def test_a_step_is_as_large_as_the_metric_is_far(house: ScalingHouse) -> None:
    house.register()
    small = {"MetricIntervalLowerBound": 0.0, "MetricIntervalUpperBound": 20.0, "ScalingAdjustment": 1}
    arn = house.step(small, {"MetricIntervalLowerBound": 20.0, "ScalingAdjustment": 4}, Cooldown=600)
    house.alarm("busy", "m", arn)
    house.put(15, "m")
    house.pass_minutes()
    assert house.desired() == 2
    house.put(40, "m")
    house.pass_minutes()
    assert house.desired() == 5, "what was added already is part of it"
    house.put(40, "m")
    house.pass_minutes()
    assert house.desired() == 5


def test_steps_down_wait_for_their_cooldown(house: ScalingHouse) -> None:
    house.register(1, 10)
    house.fleet.add(VARIANT, 5)
    arn = house.step({"MetricIntervalUpperBound": 0.0, "ScalingAdjustment": -1}, Cooldown=180)
    house.alarm("idle", "m", arn, ComparisonOperator="LessThanThreshold")
    counts = []
    for _ in range(7):
        house.put(1, "m")
        house.pass_minutes()
        counts.append(house.desired())
    assert counts == [4, 4, 4, 3, 3, 3, 2]


def test_an_alarm_that_is_well_again_has_gone_off_all_the_same(house: ScalingHouse, store: Store) -> None:
    house.register()
    house.alarm("drill", "m", house.step(UP))
    house.alarms.set_state("drill", AlarmState.ALARM, "a drill", None, region=REGION)
    house.alarms.set_state("drill", AlarmState.OK, "over", None, region=REGION)
    again = ScalingHouse(store, house.fleet)  # the server was started anew meanwhile
    again.scaler.turn()
    assert house.desired() == 2
    (activity,) = again.activities()
    assert activity.cause == "monitor alarm drill in state ALARM triggered policy s"
    again.scaler.turn()
    assert house.fleet.set == [2]
    items = house.alarms.history.items(region=REGION, alarm="drill", kind="Action", most=9)
    assert [item.summary.split(" arn")[0] for item in items] == ["Successfully executed action"]


def test_an_action_that_names_no_policy_is_not_carried_out(house: ScalingHouse) -> None:
    house.register()
    arn = house.step(UP)
    house.scaling.policies.delete(VARIANT, "s", region=REGION)
    house.alarm("drill", "m", arn)
    house.alarms.set_state("drill", AlarmState.ALARM, "a drill", None, region=REGION)
    (item,) = house.alarms.history.items(region=REGION, alarm="drill", kind="Action", most=9)
    assert item.summary.startswith("Not carried out in Outcrop: action")
    assert json.loads(item.data)["actionState"] == "Failed"


def test_an_alarm_of_another_region_moves_nothing(house: ScalingHouse) -> None:
    house.register()
    arn = house.step(UP)
    members = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
    more = {"Threshold": 1.0, "ComparisonOperator": "GreaterThanThreshold", "AlarmActions": [arn]}
    house.alarms.put("far", members | more, region="eu-west-1", tags={})
    house.alarms.set_state("far", AlarmState.ALARM, "a drill", None, region="eu-west-1")
    house.scaler.turn()
    assert house.fleet.set == []


def test_to_zero_and_back_by_requests_that_found_nothing(house: ScalingHouse) -> None:
    house.fleet.add(COMPONENT, 1, may_be_zero=True)
    house.register(0, 3, COMPONENT)
    house.track(5, "busy", "SageMakerInferenceComponentConcurrentRequestsPerCopyHighResolution", COMPONENT)
    arn = house.step(UP, name="from-zero", target=COMPONENT, MetricAggregationType="Maximum")
    house.alarm(
        "nobody-there", "NoCapacityInvocationFailures", arn, Namespace="AWS/SageMaker", Threshold=1.0,
        Dimensions=[{"Name": "InferenceComponentName", "Value": "c"}],
    )  # fmt: skip
    for _ in range(91):
        house.measure(0.0, "ConcurrentRequestsPerCopy", COMPONENT)
        house.clock.move(timedelta(seconds=10))
        house.turn()
    assert house.desired(COMPONENT) == 0
    house.fleet.arrive()
    house.scaler.turn()
    assert house.activities()[-1].message.startswith("Successfully set desired copy count to 0. Change successfully")
    house.measure(1.0, "NoCapacityInvocationFailures", COMPONENT)
    house.clock.move(timedelta(minutes=1))
    house.turn()
    assert house.desired(COMPONENT) == 1
    assert house.activities()[-1].cause.endswith("triggered policy from-zero")


def test_a_resource_that_is_being_changed_is_asked_again(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.fleet.refusal = Conflict("It is Updating.")
    house.pass_minutes(4, load=30)
    (activity,) = house.activities()
    waiting = "Waiting to set desired instance count to 3. Reason: It is Updating."
    assert (activity.status, activity.message) == ("Pending", waiting)
    house.fleet.refusal = None
    house.scaler.turn()
    assert (house.desired(), [each.status for each in house.activities()]) == (3, ["InProgress"])


def test_a_resource_that_cannot_be_changed_fails_with_its_reason(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.fleet.refusal = QuotaExceeded("No memory is left.")
    house.pass_minutes(3, load=30)
    (activity,) = house.activities()
    failed = "Failed to set desired instance count to 3. Reason: No memory is left."
    assert (activity.status, activity.message, activity.ended) == ("Failed", failed, house.clock.now())
    house.fleet.refusal = None
    house.pass_minutes(load=30)
    assert house.desired() == 3, "the alarm asks again, and nothing is cooling down"


def test_who_waits_too_long_is_told_so(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.pass_minutes(3, load=30)
    house.clock.move(timedelta(hours=2))
    house.scaler.turn()
    message = "Successfully set desired instance count to 3. There are 1 after 60 minutes."
    assert house.told()[0][::2] == ("Unfulfilled", message)
    house.register(7, 9)
    house.fleet.refusal = Conflict("It is Updating.")
    house.scaler.turn()
    house.clock.move(timedelta(hours=2))
    house.scaler.turn()
    reason = "Failed to set desired instance count to 7. Reason: It is Updating."
    assert house.told()[1] == ("Failed", "minimum capacity was set to 7", reason)


def test_a_capacity_that_somebody_else_set_overrides_the_activity(house: ScalingHouse) -> None:
    house.register(3, 9)
    house.scaler.turn()
    house.fleet.set_desired(VARIANT, 4, region=REGION)
    house.scaler.turn()
    message = "Successfully set desired instance count to 3. Found it was later changed to 4."
    assert house.told() == [("Overridden", "minimum capacity was set to 3", message)]


def test_a_target_deregistered_on_the_way_leaves_its_activity_to_end(house: ScalingHouse) -> None:
    house.register(3, 9)
    house.track()
    house.scaler.turn()
    house.scaling.deregister(VARIANT, region=REGION)
    assert alarm_names(house) == []
    house.fleet.arrive()
    house.scaler.turn()
    assert [status for status, *_ in house.told()] == ["Successful"]
    with pytest.raises(
        NotFound, match="No scalable target found for service namespace: sagemaker, resource ID: endpoi"
    ):
        house.scaling.deregister(VARIANT, region=REGION)


def test_a_target_deregistered_while_its_change_waits_is_left_alone(house: ScalingHouse) -> None:
    house.register(3, 9)
    house.fleet.refusal = Conflict("It is Updating.")
    house.scaler.turn()
    house.scaling.deregister(VARIANT, region=REGION)
    house.fleet.refusal = None
    house.scaler.turn()
    reason = "Failed to set desired instance count to 3. Reason: The scalable target was deregistered."
    assert house.told() == [("Failed", "minimum capacity was set to 3", reason)]
    assert house.fleet.set == []


def test_a_resource_that_is_no_more_takes_its_target_along(house: ScalingHouse) -> None:
    house.register(3, 9)
    house.track()
    house.scaler.turn()
    house.fleet.counts.clear()
    house.scaler.turn()
    assert house.scaling.records.targets() == []
    assert house.scaling.records.policies(REGION) == []
    assert alarm_names(house) == []
    assert house.told()[0][2].endswith("Reason: The resource is no more.")


def test_another_process_goes_on_where_one_was_killed(house: ScalingHouse, store: Store) -> None:
    house.register()
    house.track(10)
    house.pass_minutes(2, load=30)

    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    house.measure(30)
    house.clock.move(timedelta(minutes=1))
    house.alarms.turn()
    house.scaling.resources.set_desired = killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        house.scaler.turn()
    assert [status for status, *_ in house.told()] == ["Pending"]
    del house.fleet.set_desired
    again = ScalingHouse(store, house.fleet, house.clock.now())
    again.scaler.turn()
    assert house.fleet.set == [3]
    assert [status for status, *_ in again.told()] == ["InProgress"]


def test_a_clock_set_back_neither_stops_scaling_nor_repeats_it(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.pass_minutes(3, load=30)
    house.fleet.arrive()
    house.clock.move(timedelta(days=-1))
    house.pass_minutes(2, load=30)
    assert house.fleet.set == [3]
    house.pass_minutes(3, load=90)
    assert house.fleet.set == [3, 9]


def test_a_clock_that_jumps_ahead_finds_nothing_to_do_twice(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    house.pass_minutes(3, load=30)
    house.fleet.arrive()
    house.clock.move(timedelta(days=10))
    house.turn()
    assert house.fleet.set == [3]
    assert [status for status, *_ in house.told()] == ["Successful"]


def act(house: ScalingHouse, name: str, schedule: str, **bounds: int) -> None:
    house.scaling.put_action(
        VARIANT, name, schedule=schedule, timezone=None, bounds=bounds, begins=None, ends=None, region=REGION
    )


def test_a_schedule_changes_bounds_and_the_capacity_with_them(house: ScalingHouse) -> None:
    house.register(1, 4)
    house.pass_minutes()
    act(house, "noon", "at(2026-05-04T12:30:00)", least=3, most=6)
    house.pass_minutes(28)
    assert house.desired() == 1
    house.pass_minutes()
    (target,) = house.scaling.records.targets(REGION)
    assert (house.desired(), target.least, target.most) == (3, 3, 6)
    assert [cause for _, cause, _ in house.told()] == ["minimum capacity was set to 3"]
    assert house.scaling.records.actions(REGION)[0].due is None


def test_of_runs_that_were_missed_the_last_one_counts(house: ScalingHouse) -> None:
    house.register(1, 9)
    act(house, "a-day", "cron(0 8 * * ? *)", least=5)
    act(house, "night", "cron(0 20 * * ? *)", least=1, most=2)
    house.clock.move(timedelta(days=3, hours=10))  # 22:00, three days later
    house.scaler.turn()
    (target,) = house.scaling.records.targets(REGION)
    assert (target.least, target.most) == (1, 2)
    due = {action.name: action.due for action in house.scaling.records.actions(REGION)}
    assert due == {
        "a-day": datetime(2026, 5, 8, 8, tzinfo=NOON.tzinfo),
        "night": datetime(2026, 5, 8, 20, tzinfo=NOON.tzinfo),
    }


def test_a_schedule_may_be_suspended_and_end(house: ScalingHouse) -> None:
    house.register(1, 9, ScheduledScalingSuspended=True)
    act(house, "often", "rate(5 minutes)", least=4)
    house.pass_minutes(6)
    assert house.desired() == 1
    house.register(1, 9, ScheduledScalingSuspended=False)
    house.pass_minutes(5)
    assert house.desired() == 4
    ends = house.clock.now() + timedelta(minutes=7)
    house.scaling.put_action(
        VARIANT, "often", schedule="rate(5 minutes)", timezone=None, bounds={"least": 6}, begins=None, ends=ends,
        region=REGION,
    )  # fmt: skip
    house.clock.move(timedelta(minutes=30))
    house.scaler.turn()
    assert (house.desired(), house.scaling.records.actions(REGION)[0].due) == (6, None)


def test_a_schedule_that_would_cross_the_bounds_fails_aloud(house: ScalingHouse) -> None:
    house.register(1, 4)
    act(house, "too-many", "rate(1 minute)", least=5)
    house.pass_minutes()
    cause, message = "scheduled action too-many was due", "Maximum capacity cannot be less than minimum capacity"
    assert house.told() == [("Failed", cause, f"Failed to set desired instance count to 5. Reason: {message}")]
    assert house.desired() == 1


def test_what_makes_no_sense_is_refused(house: ScalingHouse) -> None:
    with pytest.raises(Invalid, match="Maximum capacity cannot be less than minimum capacity"):
        house.register(4, 3)
    with pytest.raises(Invalid, match="MinCapacity: 0 is below the least value 1"):
        house.register(0, 3)
    with pytest.raises(Invalid, match="SageMaker inference component doesn't exist: inference-component/c"):
        house.register(target=COMPONENT)
    with pytest.raises(NotFound, match="No scalable target registered for service namespace: sagemaker"):
        house.track()
    with pytest.raises(NotFound, match="No scalable target registered"):
        act(house, "a", "rate(1 day)", least=1)
    house.register()
    house.track()
    with pytest.raises(Invalid, match="Only one TargetTrackingScaling policy for a given metric specification"):
        house.track(3, "another")
    with pytest.raises(Invalid, match="p is a TargetTrackingScaling policy"):
        house.step(UP, name="p")
    with pytest.raises(Invalid, match="has no run between now and its end"):
        act(house, "a", "at(2020-01-01T00:00:00)", least=1)
    with pytest.raises(NotFound, match=r"No scheduled action found for .*, scheduled action name: a$"):
        house.scaling.delete_action(VARIANT, "a", region=REGION)


def test_a_policy_put_again_keeps_its_arn_and_gets_new_alarms(house: ScalingHouse) -> None:
    house.register()
    house.track(10)
    (before,), names = house.scaling.records.policies(REGION), alarm_names(house)
    house.track(20, ScaleInCooldown=5)
    (after,) = house.scaling.records.policies(REGION)
    assert (after.arn, after.row.created) == (before.arn, before.row.created)
    assert len(alarm_names(house)) == 2
    assert not set(names) & set(alarm_names(house))
    assert after.arn.startswith("arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:")
    assert after.arn.endswith(":resource/sagemaker/endpoint/e/variant/v:policyName/p")


def damage(store: Store, kind: str, document: str) -> None:
    with store.engine.begin() as connection:
        update = sql.update(RESOURCES).where(RESOURCES.c.kind == kind)
        connection.execute(update.values(document=sql.literal_column(f"'{document}'")))


def test_a_damaged_policy_keeps_nobody_from_scaling(house: ScalingHouse, store: Store) -> None:
    house.register()
    house.track(10, "broken")
    damage(store, POLICY, '{"target": 3}')
    house.alarm("busy", "m", house.step(UP))
    house.put(20, "m")
    house.pass_minutes(4, load=50)
    assert house.desired() == 2
    assert [policy.name for policy in house.scaling.records.policies(REGION)] == ["s"]
    house.track(10, "broken")
    assert len([name for name in alarm_names(house) if name.startswith("TargetTracking-")]) == 2
    house.scaling.deregister(VARIANT, region=REGION)
    assert alarm_names(house) == ["busy"]


@pytest.mark.parametrize("document", ['{"target": 3}', "[]", '{"target": ["endpoint/e/variant/v", "x"]}'])
def test_a_damaged_target_is_registered_anew(house: ScalingHouse, store: Store, document: str) -> None:
    house.register()
    house.fleet.add(COMPONENT, 1)
    damage(store, TARGET, document)
    house.register(2, 3, COMPONENT)
    house.scaler.turn()
    assert house.desired(COMPONENT) == 2
    assert [target.id for target in house.scaling.records.targets(REGION)] == [COMPONENT]
    for arn in house.store.resources.met_damaged():
        house.store.resources.fail(arn, at=house.clock.now())
    house.register(4, 5)
    house.scaler.turn()
    assert house.desired() == 4


def test_a_damaged_action_keeps_its_target_from_nothing(house: ScalingHouse, store: Store) -> None:
    house.register()
    act(house, "broken", "rate(1 minute)", least=9)
    damage(
        store,
        ACTION,
        '{"name": "broken", "target": ["endpoint/e/variant/v", "sagemaker:variant:DesiredInstanceCount"]}',
    )
    house.track(10)
    house.pass_minutes(3, load=30)
    assert (house.desired(), house.scaling.records.actions(REGION)) == (3, [])


def test_a_damaged_activity_ends_and_is_left_out(house: ScalingHouse, store: Store) -> None:
    house.register(3, 9)
    house.scaler.turn()
    with store.engine.begin() as connection:
        connection.execute(sql.text("UPDATE scaling_activities SET dimension = 'x'"))
    house.fleet.arrive()
    house.pass_minutes()
    house.register(5, 9)
    house.scaler.turn()
    assert [status for status, *_ in house.told()] == ["InProgress"]
    with store.engine.begin() as connection:
        statuses = connection.execute(sql.text("SELECT status FROM scaling_activities ORDER BY began")).scalars().all()
    assert statuses == ["Failed", "InProgress"]


def test_bounds_that_change_while_others_are_met_are_met_next(
    house: ScalingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.register(3, 9)
    real = house.fleet.set_desired

    def set_and_register(target: TargetId, count: int, *, region: str) -> None:
        monkeypatch.undo()
        real(target, count, region=region)
        house.register(5, 9)

    monkeypatch.setattr(house.fleet, "set_desired", set_and_register)
    house.scaler.turn()
    house.scaler.turn()
    assert house.fleet.set == [3, 5]


def test_activities_are_told_for_six_weeks(house: ScalingHouse) -> None:
    house.register(2, 3)
    house.scaler.turn()
    house.clock.move(timedelta(weeks=6, days=1))
    assert (house.scaling.sweep(), house.activities()) == (1, [])
