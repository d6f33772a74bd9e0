"""CloudWatch's alarms as boto3 sees them, over the server's own points and over those that clients put."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.clock import MovableClock
from outcrop.metrics.traffic import Ended, InvocationCount
from tests.iam.test_named_resources import say
from tests.support.moments import this_minute
from tests.support.patience import eventually
from tests.support.policies import policy
from tests.support.servers import Running, running_server, server_process

MINUTE = timedelta(minutes=1)
SCALING = (
    "arn:aws:autoscaling:us-east-1:123456789012:scalingPolicy:id:resource/sagemaker/endpoint/e/variant/v:policyName/p"
)
ALARM: dict[str, Any] = {
    "Namespace": "Test", "MetricName": "m", "Statistic": "Average", "Period": 60, "EvaluationPeriods": 1,
    "Threshold": 5.0, "ComparisonOperator": "GreaterThanThreshold",
}  # fmt: skip


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(this_minute())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("alarms") / "home", clock=clock) as running:
        yield running


@pytest.fixture
def cloudwatch(server: Running) -> Iterator[Any]:
    """A client; what alarms a test leaves behind are gone after it."""
    client = server.client("cloudwatch")
    yield client
    names = [alarm["AlarmName"] for alarm in client.describe_alarms()["MetricAlarms"]]
    client.delete_alarms(AlarmNames=names)


def alarm(cloudwatch: Any, name: str) -> dict[str, Any]:
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_an_alarm_is_shown_as_it_was_put(cloudwatch: Any, server: Running) -> None:
    dimensions = [{"Name": "d", "Value": "v"}]
    more = {"Dimensions": dimensions, "AlarmActions": [SCALING], "AlarmDescription": "d", "Unit": "Count"}
    cloudwatch.put_metric_alarm(AlarmName="a", **ALARM, **more)
    found = alarm(cloudwatch, "a")
    assert {name: found[name] for name in (*ALARM, *more)} == {**ALARM, **more}
    assert found["AlarmArn"] == f"arn:aws:cloudwatch:us-east-1:{server.platform.account}:alarm:a"
    assert (found["StateValue"], found["StateReason"]) == ("INSUFFICIENT_DATA", "Unchecked: Initial alarm creation")
    assert found["StateUpdatedTimestamp"] == found["AlarmConfigurationUpdatedTimestamp"]
    assert (found["ActionsEnabled"], found["OKActions"]) == (True, [])
    assert server.client("cloudwatch", region_name="eu-west-1").describe_alarms()["MetricAlarms"] == []


def test_an_alarm_on_invocations_goes_off(cloudwatch: Any, server: Running, clock: MovableClock) -> None:
    cloudwatch.put_metric_alarm(
        AlarmName="slow",
        **ALARM | {"Namespace": "AWS/Bedrock", "MetricName": "InvocationLatency"},
        AlarmActions=[SCALING],
    )
    invoked = InvocationCount("outcrop.starter-v1", "Invocations", 12.0, 3, 4)
    server.platform.traffic.note(Ended("bedrock-runtime", "InvokeModel", 200), 12.0, clock.now(), invoked)
    server.write()
    clock.move(MINUTE)
    server.platform.alarms.turn()
    found = alarm(cloudwatch, "slow")
    assert found["StateValue"] == "ALARM"
    assert found["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [12.0 (")
    assert found["StateTransitionedTimestamp"] == clock.now()
    history = cloudwatch.describe_alarm_history(AlarmName="slow", ScanBy="TimestampAscending")["AlarmHistoryItems"]
    assert [(item["HistoryItemType"], item["HistorySummary"]) for item in history] == [
        ("ConfigurationUpdate", 'Alarm "slow" created'),
        ("StateUpdate", "Alarm updated from INSUFFICIENT_DATA to ALARM"),
        ("Action", f"Not carried out in Outcrop: action {SCALING}"),
    ]


def test_alarms_are_found_by_name_state_action_and_metric(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(AlarmName="x-1", **ALARM, OKActions=[SCALING])
    cloudwatch.put_metric_alarm(AlarmName="x-2", **ALARM | {"MetricName": "other"})
    cloudwatch.put_metric_alarm(AlarmName="y", **ALARM | {"Period": 300})
    cloudwatch.set_alarm_state(AlarmName="y", StateValue="OK", StateReason="said so")

    def names(**asked: Any) -> list[str]:
        return [found["AlarmName"] for found in cloudwatch.describe_alarms(**asked)["MetricAlarms"]]

    def of_metric(**more: Any) -> list[str]:
        found = cloudwatch.describe_alarms_for_metric(Namespace="Test", MetricName="m", **more)["MetricAlarms"]
        return [each["AlarmName"] for each in found]

    assert names() == ["x-1", "x-2", "y"]
    assert (names(AlarmNamePrefix="x"), names(AlarmNames=["y", "z"])) == (["x-1", "x-2"], ["y"])
    assert (names(StateValue="OK"), names(ActionPrefix="arn:aws:autoscaling")) == (["y"], ["x-1"])
    assert names(AlarmTypes=["CompositeAlarm"]) == []
    assert (of_metric(), of_metric(Period=300), of_metric(Statistic="Sum")) == (["x-1", "y"], ["y"], [])
    assert of_metric(Dimensions=[{"Name": "d", "Value": "v"}]) == []


def test_a_state_is_set_and_actions_turned_off(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(AlarmName="a", **ALARM, AlarmActions=[SCALING])
    cloudwatch.disable_alarm_actions(AlarmNames=["a", "nobody"])
    cloudwatch.set_alarm_state(AlarmName="a", StateValue="ALARM", StateReason="a drill", StateReasonData='{"a": 1}')
    found = alarm(cloudwatch, "a")
    assert (found["StateValue"], found["StateReason"], found["StateReasonData"]) == ("ALARM", "a drill", '{"a": 1}')
    assert not found["ActionsEnabled"]
    assert cloudwatch.describe_alarm_history(AlarmName="a", HistoryItemType="Action")["AlarmHistoryItems"] == []
    cloudwatch.enable_alarm_actions(AlarmNames=["a"])
    assert alarm(cloudwatch, "a")["ActionsEnabled"]
    broken = {"AlarmName": "a", "StateValue": "OK", "StateReason": "r", "StateReasonData": "{"}
    assert refusal(cloudwatch.set_alarm_state, **broken)[0] == "InvalidFormat"


def test_what_is_not_there_or_not_built_is_refused(cloudwatch: Any) -> None:
    code = "ResourceNotFound"
    assert refusal(cloudwatch.delete_alarms, AlarmNames=["nobody"])[0] == code
    assert refusal(cloudwatch.set_alarm_state, AlarmName="nobody", StateValue="OK", StateReason="r")[0] == code
    metrics = [{"Id": "a", "Expression": "1"}]
    told = refusal(cloudwatch.put_metric_alarm, AlarmName="a", **{**ALARM, "Metrics": metrics})
    assert told == ("ValidationError", "Metrics: not built in Outcrop yet. Watch one metric with a threshold.")
    assert refusal(cloudwatch.put_metric_alarm, AlarmName="a", **ALARM | {"Period": 5}) == (
        "ValidationError",
        "Period must be 10, 20, 30 or a multiple of 60",
    )
    assert refusal(cloudwatch.put_metric_alarm, AlarmName="a", **ALARM, OKActions=["x"]) == (
        "ValidationError",
        "Invalid arn syntax: x",
    )
    assert cloudwatch.describe_alarms()["MetricAlarms"] == []


def test_alarms_have_tags_that_go_with_them(cloudwatch: Any) -> None:
    cloudwatch.put_metric_alarm(AlarmName="a", **ALARM, Tags=[{"Key": "k", "Value": "1"}])
    arn = alarm(cloudwatch, "a")["AlarmArn"]
    cloudwatch.tag_resource(ResourceARN=arn, Tags=[{"Key": "l", "Value": "2"}])
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["k"])
    assert cloudwatch.list_tags_for_resource(ResourceARN=arn)["Tags"] == [{"Key": "l", "Value": "2"}]
    cloudwatch.delete_alarms(AlarmNames=["a"])
    assert refusal(cloudwatch.list_tags_for_resource, ResourceARN=arn)[0] == "ResourceNotFoundException"
    assert refusal(cloudwatch.tag_resource, ResourceARN="arn:x", Tags=[])[0] == "InvalidParameterValue"


def test_alarms_are_resources_of_policies(cloudwatch: Any, server: Running) -> None:
    iam = server.client("iam")
    iam.create_user(UserName="watcher")
    key = iam.create_access_key(UserName="watcher")["AccessKey"]
    keys = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    watcher = server.client("cloudwatch", **keys)
    arn = f"arn:aws:cloudwatch:us-east-1:{server.platform.account}:alarm:mine"
    say(iam, "watcher", policy("Allow", "cloudwatch:PutMetricAlarm", arn))
    watcher.put_metric_alarm(AlarmName="mine", **ALARM)
    assert refusal(watcher.put_metric_alarm, AlarmName="yours", **ALARM)[0] in ("AccessDenied", "AccessDeniedException")
    tagged = refusal(watcher.put_metric_alarm, AlarmName="mine", **ALARM, Tags=[{"Key": "k", "Value": ""}])
    assert "cloudwatch:TagResource" in tagged[1]


def test_the_server_evaluates_alarms_by_itself(tmp_path: Path) -> None:
    with server_process(tmp_path / "home") as server:
        cloudwatch = server.client("cloudwatch")
        at = datetime.now(UTC) - timedelta(seconds=90)  # in a minute that is over
        cloudwatch.put_metric_data(Namespace="Test", MetricData=[{"MetricName": "m", "Value": 9, "Timestamp": at}])
        cloudwatch.put_metric_alarm(
            AlarmName="a", **ALARM | {"Period": 60, "EvaluationPeriods": 5, "DatapointsToAlarm": 1}
        )
        eventually(lambda: alarm(cloudwatch, "a")["StateValue"] == "ALARM")
        server.kill()
        server.start()
        assert alarm(cloudwatch, "a")["StateValue"] == "ALARM"
