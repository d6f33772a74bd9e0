"""Application Auto Scaling as boto3 sees it, over endpoints kept in memory."""

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.clock import MovableClock, SystemClock
from outcrop.house import House
from outcrop.metrics.series import Resolution, series
from outcrop.scaling.predefined import SAGEMAKER
from tests.iam.test_named_resources import say
from tests.support.moments import this_minute
from tests.support.patience import eventually
from tests.support.policies import policy
from tests.support.scaling_house import INVOCATIONS, VARIANT, Fleet
from tests.support.servers import Running, running_server, server_process

MINUTE = timedelta(minutes=1)
TARGET = {
    "ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v",
    "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
}  # fmt: skip
TRACKING: dict[str, Any] = {
    "PolicyName": "p", "PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": {
        "TargetValue": 10.0, "PredefinedMetricSpecification": {"PredefinedMetricType": INVOCATIONS},
        "ScaleInCooldown": 300, "ScaleOutCooldown": 60,
    },
}  # fmt: skip
STEPPING: dict[str, Any] = {
    "PolicyName": "s", "PolicyType": "StepScaling", "StepScalingPolicyConfiguration": {
        "AdjustmentType": "ChangeInCapacity", "MetricAggregationType": "Maximum", "Cooldown": 60,
        "StepAdjustments": [{"MetricIntervalLowerBound": 0.0, "ScalingAdjustment": 2}],
    },
}  # fmt: skip
SERVICE = "sagemaker.application-autoscaling.amazonaws.com"
ROLE = f"role/aws-service-role/{SERVICE}/AWSServiceRoleForApplicationAutoScaling_SageMakerEndpoint"


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(this_minute())


@pytest.fixture(scope="module")
def fleet() -> Fleet:
    return Fleet()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock, fleet: Fleet) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("scaling") / "home", clock=clock) as running:
        running.platform.__dict__["scalable_resources"] = fleet
        yield running


@pytest.fixture
def scaling(server: Running, fleet: Fleet, clock: MovableClock) -> Iterator[Any]:
    """A client, over one instance of one variant; what a test registers is gone after it."""
    clock.move(this_minute() - clock.now())  # or signatures are too old
    fleet.counts.clear()
    fleet.add(VARIANT, 1)
    client = server.client("application-autoscaling")
    yield client
    for target in server.platform.scaling.records.targets():
        server.platform.scaling.deregister(target.id, region=target.row.region)
    server.platform.scaling.activities.remove_before(datetime(2200, 1, 1, tzinfo=UTC))


@pytest.fixture
def registered(scaling: Any) -> str:
    """The ARN of the target."""
    arn: str = scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=8)["ScalableTargetARN"]
    return arn


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def activities(scaling: Any, **more: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = scaling.describe_scaling_activities(ServiceNamespace="sagemaker", **more)[
        "ScalingActivities"
    ]
    return found


def test_a_target_is_told_as_it_was_registered(
    scaling: Any, registered: str, server: Running, clock: MovableClock
) -> None:
    account = server.platform.account
    assert registered.startswith(f"arn:aws:application-autoscaling:us-east-1:{account}:scalable-target/")
    (found,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]
    assert found == {
        **TARGET,
        "MinCapacity": 1,
        "MaxCapacity": 8,
        "RoleARN": f"arn:aws:iam::{account}:{ROLE}",
        "CreationTime": clock.now(),
        "SuspendedState": dict.fromkeys(
            ("DynamicScalingInSuspended", "DynamicScalingOutSuspended", "ScheduledScalingSuspended"), False
        ),
        "ScalableTargetARN": registered,
    }
    role = server.client("iam").get_role(RoleName=ROLE.rsplit("/", 1)[1])["Role"]
    assert role["AssumeRolePolicyDocument"]["Statement"][0]["Principal"] == {"Service": SERVICE}
    again = scaling.register_scalable_target(
        **TARGET, MaxCapacity=9, SuspendedState={"ScheduledScalingSuspended": True}
    )
    (changed,) = scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[TARGET["ResourceId"]])[
        "ScalableTargets"
    ]
    assert again["ScalableTargetARN"] == registered
    assert (changed["MinCapacity"], changed["MaxCapacity"]) == (1, 9)
    assert changed["SuspendedState"]["ScheduledScalingSuspended"]
    assert (
        server.client("application-autoscaling", region_name="eu-west-1").describe_scalable_targets(
            ServiceNamespace="sagemaker"
        )["ScalableTargets"]
        == []
    )


def test_a_policy_makes_its_alarms_which_go_with_it(scaling: Any, registered: str, server: Running) -> None:
    made = scaling.put_scaling_policy(**TARGET, **TRACKING)
    names = [alarm["AlarmName"] for alarm in made["Alarms"]]
    assert [name[:-36] for name in names] == [
        "TargetTracking-endpoint/e/variant/v-AlarmHigh-",
        "TargetTracking-endpoint/e/variant/v-AlarmLow-",
    ]
    cloudwatch = server.client("cloudwatch")
    high, low = cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"]
    assert [each["AlarmArn"] for each in (high, low)] == [alarm["AlarmARN"] for alarm in made["Alarms"]]
    assert (high["MetricName"], high["Threshold"], low["Threshold"]) == ("InvocationsPerInstance", 10.0, 9.0)
    assert high["AlarmActions"][0].startswith(f"{made['PolicyARN']}:createdBy/")
    assert high["AlarmDescription"] == (
        f"DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {high['AlarmActions'][0]}."
    )
    (found,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker", PolicyNames=["p"])["ScalingPolicies"]
    assert {name: found[name] for name in (*TARGET, *TRACKING)} == {**TARGET, **TRACKING}
    assert (found["PolicyARN"], found["Alarms"]) == (made["PolicyARN"], made["Alarms"])
    scaling.delete_scaling_policy(**TARGET, PolicyName="p")
    assert cloudwatch.describe_alarms(AlarmNames=names)["MetricAlarms"] == []
    code, told = refusal(scaling.delete_scaling_policy, **TARGET, PolicyName="p")
    assert (code, told) == (
        "ObjectNotFoundException",
        "No scaling policy found for service namespace: sagemaker, resource ID: endpoint/e/variant/v, scalable dimension: "
        "sagemaker:variant:DesiredInstanceCount, policy name: p",
    )


def test_a_busy_endpoint_grows_and_says_why(
    scaling: Any, registered: str, server: Running, clock: MovableClock, fleet: Fleet
) -> None:
    high = scaling.put_scaling_policy(**TARGET, **TRACKING)["Alarms"][0]["AlarmName"]
    house, of = server.platform, series(SAGEMAKER, "InvocationsPerInstance", VARIANT.metric_dimensions)
    for _ in range(3):
        house.points.add(of, 35.0, resolution=Resolution.MINUTE)
        house.points.flush()
        clock.move(MINUTE)
        house.alarms.turn()
        house.scaler.turn()
    (found,) = activities(scaling)
    assert found == {
        **TARGET,
        "ActivityId": found["ActivityId"],
        "Description": "Setting desired instance count to 4.",
        "Cause": f"monitor alarm {high} in state ALARM triggered policy p",
        "StartTime": clock.now(),
        "StatusCode": "InProgress",
        "StatusMessage": "Successfully set desired instance count to 4. Waiting for change to be fulfilled by sagemaker.",
    }
    fleet.arrive()
    house.scaler.turn()
    (found,) = activities(scaling, ResourceId=TARGET["ResourceId"], ScalableDimension=TARGET["ScalableDimension"])
    assert (found["StatusCode"], found["EndTime"]) == ("Successful", clock.now())
    assert (
        found["StatusMessage"]
        == "Successfully set desired instance count to 4. Change successfully fulfilled by sagemaker."
    )


def test_an_alarm_drives_the_steps_that_it_names(
    scaling: Any, registered: str, server: Running, fleet: Fleet, clock: MovableClock
) -> None:
    arn = scaling.put_scaling_policy(**TARGET, **STEPPING)["PolicyARN"]
    cloudwatch = server.client("cloudwatch")
    cloudwatch.put_metric_alarm(
        AlarmName="drill", Namespace="Test", MetricName="m", Statistic="Sum", Period=60, EvaluationPeriods=1, Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold", AlarmActions=[arn],
    )  # fmt: skip
    cloudwatch.set_alarm_state(AlarmName="drill", StateValue="ALARM", StateReason="a drill")
    server.platform.scaler.turn()
    assert fleet.set == [*fleet.set[:-1], 3]
    assert activities(scaling)[0]["Cause"] == "monitor alarm drill in state ALARM triggered policy s"
    (found,) = scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]
    assert found["StepScalingPolicyConfiguration"] == STEPPING["StepScalingPolicyConfiguration"]
    assert [alarm["AlarmName"] for alarm in found["Alarms"]] == ["drill"]
    history = cloudwatch.describe_alarm_history(AlarmName="drill", HistoryItemType="Action")["AlarmHistoryItems"]
    assert [item["HistorySummary"] for item in history] == [f"Successfully executed action {arn}"]
    scaling.register_scalable_target(**TARGET, MaxCapacity=3)
    fleet.arrive()
    clock.move(2 * MINUTE)
    server.platform.scaler.turn()
    assert len(activities(scaling)) == 1
    newest = activities(scaling, IncludeNotScaledActivities=True)[0]
    assert (newest["StatusCode"], newest["Description"]) == ("Failed", "Attempting to scale due to alarm triggered")
    assert newest["NotScaledReasons"] == [{"Code": "AlreadyAtMaxCapacity", "MaxCapacity": 3}]
    cloudwatch.delete_alarms(AlarmNames=["drill"])


def test_a_scheduled_action_is_told_and_changed(
    scaling: Any, registered: str, server: Running, fleet: Fleet, clock: MovableClock
) -> None:
    begins = clock.now() + timedelta(hours=1)
    action = {"ScheduledActionName": "often", "Schedule": "rate(10 minutes)", "StartTime": begins}
    bounds = {"MinCapacity": 2, "MaxCapacity": 4}
    scaling.put_scheduled_action(**TARGET, **action, ScalableTargetAction=bounds)
    (found,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker")["ScheduledActions"]
    arn = found.pop("ScheduledActionARN")
    assert arn.startswith(f"arn:aws:autoscaling:us-east-1:{server.platform.account}:scheduledAction:")
    assert arn.endswith(":resource/sagemaker/endpoint/e/variant/v:scheduledActionName/often")
    assert found == {**TARGET, **action, "ScalableTargetAction": bounds, "CreationTime": clock.now()}
    scaling.put_scheduled_action(**TARGET, ScheduledActionName="often", ScalableTargetAction={"MinCapacity": 3})
    (found,) = scaling.describe_scheduled_actions(ServiceNamespace="sagemaker", ScheduledActionNames=["often"])[
        "ScheduledActions"
    ]
    assert (found["Schedule"], found.get("StartTime")) == ("rate(10 minutes)", None)
    clock.move(10 * MINUTE)
    server.platform.scaler.turn()
    assert fleet.counts["us-east-1", VARIANT].desired == 3
    assert activities(scaling)[0]["Cause"] == "minimum capacity was set to 3"
    scaling.delete_scheduled_action(**TARGET, ScheduledActionName="often")
    assert (
        refusal(scaling.delete_scheduled_action, **TARGET, ScheduledActionName="often")[0] == "ObjectNotFoundException"
    )


def test_targets_have_tags_that_go_with_them(scaling: Any, server: Running) -> None:
    arn = scaling.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=2, Tags={"k": "1"})["ScalableTargetARN"]
    scaling.tag_resource(ResourceARN=arn, Tags={"l": "2"})
    scaling.untag_resource(ResourceARN=arn, TagKeys=["k"])
    assert scaling.list_tags_for_resource(ResourceARN=arn)["Tags"] == {"l": "2"}
    code, told = refusal(scaling.register_scalable_target, **TARGET, Tags={"m": "3"})
    assert (code, told) == (
        "ValidationException",
        "The scalable target that you tried to tag already exists. To update tags on an existing scalable target, use the "
        "TagResource API.",
    )
    many = {str(number): "" for number in range(50)}
    assert refusal(scaling.tag_resource, ResourceARN=arn, Tags=many)[0] == "TooManyTagsException"
    scaling.deregister_scalable_target(**TARGET)
    too_many = refusal(scaling.register_scalable_target, **TARGET, MinCapacity=1, MaxCapacity=2, Tags=many | {"k": ""})
    assert too_many == ("ValidationException", "Tags: 51 are more than 50. Leave some out.")
    assert refusal(scaling.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"
    assert refusal(scaling.tag_resource, ResourceARN=arn, Tags={})[0] == "ResourceNotFoundException"


def test_what_is_not_there_is_refused_as_aws_refuses_it(scaling: Any) -> None:
    other = {**TARGET, "ResourceId": "endpoint/none/variant/v"}
    code, told = refusal(scaling.register_scalable_target, **other, MinCapacity=1, MaxCapacity=2)
    assert (code, told) == ("ValidationException", "SageMaker endpoint variant doesn't exist: endpoint/none/variant/v")
    not_registered = (
        "No scalable target registered for service namespace: sagemaker, resource ID: endpoint/e/variant/v, scalable "
        "dimension: sagemaker:variant:DesiredInstanceCount"
    )
    assert refusal(scaling.put_scaling_policy, **TARGET, **TRACKING) == ("ObjectNotFoundException", not_registered)
    code, told = refusal(scaling.deregister_scalable_target, **TARGET)
    assert (code, told) == ("ObjectNotFoundException", not_registered.replace("registered", "found"))
    missing = refusal(scaling.register_scalable_target, **TARGET, MinCapacity=1)[1]
    assert missing == "MaxCapacity: is not there. A new scalable target needs MinCapacity and MaxCapacity."


def test_what_is_not_built_is_refused_by_its_name(scaling: Any, registered: str) -> None:
    ecs = {"ServiceNamespace": "ecs", "ResourceId": "service/a/b", "ScalableDimension": "ecs:service:DesiredCount"}
    told = "ServiceNamespace: ecs is not built in Outcrop. What is scaled here is sagemaker."
    assert refusal(scaling.register_scalable_target, **ecs) == ("ValidationException", told)
    assert refusal(scaling.describe_scaling_activities, ServiceNamespace="ecs") == ("ValidationException", told)
    predictive = {"PolicyName": "p", "PolicyType": "PredictiveScaling"}
    told = "PredictiveScaling: not built in Outcrop. Choose TargetTrackingScaling or StepScaling."
    assert refusal(scaling.put_scaling_policy, **TARGET, **predictive) == ("ValidationException", told)
    span = {"StartTime": this_minute(), "EndTime": this_minute()}
    told = refusal(scaling.get_predictive_scaling_forecast, **TARGET, PolicyName="p", **span)[1]
    assert told.startswith("GetPredictiveScalingForecast is not built in Outcrop yet.")
    math = {"TargetValue": 1.0, "CustomizedMetricSpecification": {"Metrics": [{"Id": "a", "Expression": "b"}]}}
    custom = {"PolicyType": "TargetTrackingScaling", "TargetTrackingScalingPolicyConfiguration": math}
    told = refusal(scaling.put_scaling_policy, **TARGET, PolicyName="p", **custom)[1]
    assert told.startswith("CustomizedMetricSpecification.Metrics: alarms on expressions are not built")
    mixed = {**TRACKING, "StepScalingPolicyConfiguration": STEPPING["StepScalingPolicyConfiguration"]}
    told = "StepScalingPolicyConfiguration: does not go with PolicyType TargetTrackingScaling. Leave it out."
    assert refusal(scaling.put_scaling_policy, **TARGET, **mixed)[1] == told


def test_a_custom_metric_of_clients_is_tracked(
    scaling: Any, registered: str, server: Running, clock: MovableClock, fleet: Fleet
) -> None:
    dimensions = [{"Name": "EndpointName", "Value": "e"}]
    metric = {"MetricName": "Backlog", "Namespace": "Mine", "Dimensions": dimensions, "Statistic": "Average"}
    configuration = {"TargetValue": 2.0, "CustomizedMetricSpecification": metric}
    policy_type = {"PolicyType": "TargetTrackingScaling"}
    scaling.put_scaling_policy(
        **TARGET, **policy_type, PolicyName="backlog", TargetTrackingScalingPolicyConfiguration=configuration
    )
    cloudwatch = server.client("cloudwatch")
    for _ in range(3):
        datum = {"MetricName": "Backlog", "Dimensions": dimensions, "Value": 12.0, "Timestamp": clock.now()}
        cloudwatch.put_metric_data(Namespace="Mine", MetricData=[datum])
        clock.move(MINUTE)
        server.platform.alarms.turn()
    server.platform.scaler.turn()
    assert fleet.counts["us-east-1", VARIANT].desired == 6


def test_the_policies_of_a_user_hold(scaling: Any, server: Running) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="scaler")
    key = iam.create_access_key(UserName="scaler")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    mine = server.client("application-autoscaling", **keys)
    bounds = {"MinCapacity": 1, "MaxCapacity": 2}
    assert refusal(mine.register_scalable_target, **TARGET, **bounds)[0] == "AccessDeniedException"
    say(iam, "scaler", policy("Allow", "application-autoscaling:RegisterScalableTarget", "*"))
    assert (
        "application-autoscaling:TagResource"
        in refusal(mine.register_scalable_target, **TARGET, **bounds, Tags={"k": "v"})[1]
    )
    mine.register_scalable_target(**TARGET, **bounds)
    assert refusal(mine.put_scaling_policy, **TARGET, **TRACKING)[0] == "AccessDeniedException"


def test_many_at_once_make_one_of_each(scaling: Any, server: Running) -> None:
    failed: list[BaseException] = []

    def ask(number: int) -> None:
        try:
            client = server.client("application-autoscaling")
            client.register_scalable_target(**TARGET, MinCapacity=1, MaxCapacity=4)
            client.put_scaling_policy(**TARGET, **TRACKING)
            server.platform.scaler.turn()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert len(scaling.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"]) == 1
    assert len(scaling.describe_scaling_policies(ServiceNamespace="sagemaker")["ScalingPolicies"]) == 1
    assert len(server.client("cloudwatch").describe_alarms(AlarmNamePrefix="TargetTracking-")["MetricAlarms"]) == 2


def test_the_server_scales_by_itself(tmp_path: Path, fleet: Fleet) -> None:
    with server_process(tmp_path / "home") as server, House.open(server.settings, SystemClock()) as house:
        house.__dict__["scalable_resources"] = fleet
        house.scaling.register(VARIANT, {"least": 1, "most": 2}, {}, region="us-east-1", tags={})
        client = server.client("application-autoscaling")
        # The server knows of no such endpoint, as after DeleteEndpoint: its target goes.
        eventually(lambda: not client.describe_scalable_targets(ServiceNamespace="sagemaker")["ScalableTargets"])


def test_a_house_without_endpoints_has_nothing_to_scale(tmp_path: Path) -> None:
    with running_server(tmp_path / "home") as server:
        client = server.client("application-autoscaling")
        told = refusal(client.register_scalable_target, **TARGET, MinCapacity=1, MaxCapacity=2)
        assert told == ("ValidationException", "SageMaker endpoint variant doesn't exist: endpoint/e/variant/v")
        server.platform.scaler.turn()
