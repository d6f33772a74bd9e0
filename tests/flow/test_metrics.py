"""CloudWatch's metrics as boto3 sees them, in each protocol that clients of it speak."""

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import botocore.session
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ClientError

from outcrop.clock import MovableClock
from outcrop.metrics.traffic import Ended, InvocationCount
from tests.support.moments import this_minute
from tests.support.servers import Running, running_server

BEGAN = this_minute()
"Around which the points lie; the clock of the server begins when it starts."
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MODEL = [{"Name": "ModelId", "Value": "outcrop.starter-v1"}]


@pytest.fixture(scope="module")
def clock() -> MovableClock:
    return MovableClock(this_minute())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, clock: MovableClock) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("metrics") / "home", clock=clock) as running:
        yield running


@pytest.fixture(scope="module")
def cloudwatch(server: Running) -> Any:
    return server.client("cloudwatch")


@pytest.fixture
def namespace(request: pytest.FixtureRequest) -> str:
    return f"Test/{request.node.name[:100]}"


def put(cloudwatch: Any, namespace: str, *data: dict[str, Any], **more: Any) -> None:
    cloudwatch.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "m", **each} for each in data], **more)


def statistics(cloudwatch: Any, namespace: str, *names: str, **more: Any) -> list[dict[str, Any]]:
    asked: dict[str, Any] = {"StartTime": BEGAN - HOUR, "EndTime": BEGAN + HOUR, "Period": 60, "MetricName": "m"}
    if names:
        asked["Statistics"] = list(names)
    answer = cloudwatch.get_metric_statistics(Namespace=namespace, **(asked | more))
    found: list[dict[str, Any]] = answer["Datapoints"]
    return found


def query(name: str, namespace: str, **more: Any) -> dict[str, Any]:
    metric = {"Namespace": namespace, "MetricName": "m", **more.pop("metric", {})}
    return {"Id": name, "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Sum", **more}}


def data(cloudwatch: Any, *queries: dict[str, Any], **more: Any) -> dict[str, Any]:
    asked: dict[str, Any] = {"StartTime": BEGAN - HOUR, "EndTime": BEGAN + HOUR, "MetricDataQueries": list(queries)}
    answer: dict[str, Any] = cloudwatch.get_metric_data(**(asked | more))
    return answer


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


def test_what_is_put_is_read_at_once(cloudwatch: Any, namespace: str) -> None:
    put(
        cloudwatch,
        namespace,
        {"Value": 1.5, "Unit": "Seconds", "Timestamp": BEGAN},
        {"Values": [2.0, 4.0], "Counts": [1.0, 2.0], "Unit": "Seconds", "Timestamp": BEGAN + timedelta(seconds=59)},
    )
    (point,) = statistics(cloudwatch, namespace, "SampleCount", "Sum", "Average", "Minimum", "Maximum")
    assert point == {
        "Timestamp": BEGAN, "Unit": "Seconds", "SampleCount": 4.0, "Sum": 11.5, "Average": 2.875, "Minimum": 1.5, "Maximum": 4.0,
    }  # fmt: skip
    (point,) = statistics(cloudwatch, namespace, ExtendedStatistics=["p50", "p99.9"])
    assert point["ExtendedStatistics"] == {"p50": 2.0, "p99.9": 4.0}


def test_values_summed_up_before_have_no_percentiles(cloudwatch: Any, namespace: str) -> None:
    summed = {"SampleCount": 10, "Sum": 50, "Minimum": 1, "Maximum": 9}
    put(cloudwatch, namespace, {"StatisticValues": summed, "Timestamp": BEGAN}, {"Value": 11, "Timestamp": BEGAN})
    put(cloudwatch, namespace, {"StatisticValues": {**summed, "Minimum": 5, "Maximum": 5}, "Timestamp": BEGAN - MINUTE})
    first, second = statistics(cloudwatch, namespace, "SampleCount", "Sum", "Maximum", ExtendedStatistics=["p50"])
    assert (first["Sum"], first["ExtendedStatistics"]) == (50, {"p50": 5})
    assert (second["SampleCount"], second["Sum"], second["Maximum"]) == (11, 61, 11)
    assert "ExtendedStatistics" not in second


def test_dimensions_and_units_make_other_series(cloudwatch: Any, namespace: str) -> None:
    put(cloudwatch, namespace, {"Value": 1}, {"Value": 2, "Dimensions": MODEL}, {"Value": 3, "Unit": "Count"})
    assert [(point["Unit"], point["Sum"]) for point in statistics(cloudwatch, namespace, "Sum")] == [
        ("Count", 3),
        ("None", 1),
    ]
    assert [point["Sum"] for point in statistics(cloudwatch, namespace, "Sum", Dimensions=MODEL)] == [2]
    assert [point["Sum"] for point in statistics(cloudwatch, namespace, "Sum", Unit="Count")] == [3]


def test_seconds_are_kept_apart_when_asked_for(cloudwatch: Any, namespace: str) -> None:
    put(
        cloudwatch,
        namespace,
        *({"Value": n, "Timestamp": BEGAN + timedelta(seconds=n), "StorageResolution": 1} for n in range(3)),
    )
    assert [
        point["Sum"]
        for point in statistics(cloudwatch, namespace, "Sum", Period=1, EndTime=BEGAN + MINUTE, StartTime=BEGAN)
    ] == [0, 1, 2]


def test_the_houses_own_points_stand_under_the_names_of_aws(server: Running, cloudwatch: Any) -> None:
    invoked = InvocationCount("outcrop.starter-v1", "Invocations", 12.0, 3, 4)
    server.platform.traffic.note(Ended("bedrock-runtime", "InvokeModel", 200), 12.0, BEGAN, invoked)
    server.write()
    (point,) = statistics(cloudwatch, "AWS/Bedrock", "Sum", MetricName="InputTokenCount", Dimensions=MODEL)
    assert (point["Sum"], point["Unit"]) == (3, "Count")
    names = {
        metric["MetricName"] for metric in cloudwatch.list_metrics(Namespace="AWS/Bedrock", Dimensions=MODEL)["Metrics"]
    }
    assert {"Invocations", "InvocationLatency", "InputTokenCount", "OutputTokenCount"} <= names
    elsewhere = server.client("cloudwatch", region_name="eu-west-1")
    assert statistics(elsewhere, "AWS/Bedrock", "Sum", MetricName="InputTokenCount", Dimensions=MODEL)


def test_metrics_of_another_region_are_others(server: Running, cloudwatch: Any, namespace: str) -> None:
    elsewhere = server.client("cloudwatch", region_name="eu-west-1")
    put(elsewhere, namespace, {"Value": 7})
    assert statistics(cloudwatch, namespace, "Sum") == cloudwatch.list_metrics(Namespace=namespace)["Metrics"] == []
    assert [point["Sum"] for point in statistics(elsewhere, namespace, "Sum")] == [7]


def test_metrics_are_listed_by_name_dimension_and_recent_points(
    cloudwatch: Any, namespace: str, clock: MovableClock
) -> None:
    other = [*MODEL, {"Name": "Stage", "Value": "test"}]
    put(cloudwatch, namespace, {"Value": 1, "Unit": "Count"}, {"Value": 1}, {"Value": 1, "Dimensions": MODEL})
    put(cloudwatch, namespace, {"MetricName": "old", "Value": 1, "Dimensions": other, "Timestamp": BEGAN - 4 * HOUR})

    def listed(**more: Any) -> list[tuple[str, int]]:
        found = cloudwatch.list_metrics(Namespace=namespace, **more)["Metrics"]
        return [(metric["MetricName"], len(metric["Dimensions"])) for metric in found]

    assert listed() == [("m", 0), ("m", 1), ("old", 2)]
    assert listed(MetricName="old") == [("old", 2)]
    assert listed(Dimensions=[{"Name": "ModelId"}]) == [("m", 1), ("old", 2)]
    assert listed(Dimensions=[{"Name": "Stage", "Value": "test"}]) == [("old", 2)]
    assert listed(Dimensions=[{"Name": "Stage", "Value": "x"}]) == []
    assert listed(RecentlyActive="PT3H") == [("m", 0), ("m", 1)]


def test_more_metrics_than_a_page_has_are_listed_in_pages(cloudwatch: Any, namespace: str) -> None:
    put(cloudwatch, namespace, *({"MetricName": f"m{number:04}", "Value": 1} for number in range(501)))
    first = cloudwatch.list_metrics(Namespace=namespace)
    second = cloudwatch.list_metrics(Namespace=namespace, NextToken=first["NextToken"])
    assert (len(first["Metrics"]), [metric["MetricName"] for metric in second["Metrics"]]) == (500, ["m0500"])
    assert (
        refusal(cloudwatch.list_metrics, Namespace="other", NextToken=first["NextToken"])[0] == "InvalidParameterValue"
    )


@pytest.mark.parametrize(
    ("datum", "code"),
    [
        ({}, "MissingParameter"),
        ({"Value": 1, "Values": [1]}, "InvalidParameterCombination"),
        ({"Value": 1, "Counts": [1]}, "InvalidParameterCombination"),
        ({"Value": float("nan")}, "InvalidParameterValue"),
        ({"Value": float("inf")}, "InvalidParameterValue"),
        ({"Value": 2.0**361}, "InvalidParameterValue"),
        ({"Values": []}, "InvalidParameterValue"),
        ({"Values": [1.0, 2.0], "Counts": [1]}, "InvalidParameterValue"),
        ({"Values": [1.0], "Counts": [0.5]}, "InvalidParameterValue"),
        ({"Values": [float(n) for n in range(151)]}, "InvalidParameterValue"),
        ({"Value": 1, "Timestamp": BEGAN - timedelta(days=15)}, "InvalidParameterValue"),
        ({"Value": 1, "Timestamp": BEGAN + timedelta(hours=3)}, "InvalidParameterValue"),
        ({"Value": 1, "StorageResolution": 5}, "InvalidParameterValue"),
        ({"Value": 1, "Dimensions": MODEL * 2}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 0, "Sum": 0, "Minimum": 0, "Maximum": 0}}, "InvalidParameterValue"),
        ({"StatisticValues": {"SampleCount": 1, "Sum": 0, "Minimum": 2, "Maximum": 1}}, "InvalidParameterValue"),
    ],
)
def test_a_datum_that_is_wrong_keeps_the_whole_request_out(cloudwatch: Any, datum: dict[str, Any], code: str) -> None:
    batch = [{"MetricName": "m", "Value": 1}, {"MetricName": "m", **datum}]
    assert refusal(cloudwatch.put_metric_data, Namespace="Refused", MetricData=batch)[0] == code
    assert cloudwatch.list_metrics(Namespace="Refused")["Metrics"] == []


def test_what_is_aws_s_own_or_missing_is_refused(cloudwatch: Any) -> None:
    one = [{"MetricName": "m", "Value": 1}]
    for reserved in ("AWS/Bedrock", "Outcrop/Jobs"):
        assert refusal(cloudwatch.put_metric_data, Namespace=reserved, MetricData=one)[0] == "InvalidParameterValue"
    assert refusal(cloudwatch.put_metric_data, Namespace="n") == (
        "MissingParameter",
        "The parameter MetricData is required.",
    )
    entity = [{"Entity": {"KeyAttributes": {"Type": "a", "Name": "b"}}, "MetricData": one}]
    cloudwatch.put_metric_data(Namespace="Entities", EntityMetricData=entity)
    assert len(cloudwatch.list_metrics(Namespace="Entities")["Metrics"]) == 1
    code, told = refusal(cloudwatch.put_metric_data, Namespace="n", MetricData=one, StrictEntityValidation=True)
    assert (code, told.partition(":")[0]) == ("InvalidParameterValue", "StrictEntityValidation")


@pytest.mark.parametrize(
    ("more", "code", "told"),
    [
        ({}, "MissingParameter", "At least one of the parameters Statistics and ExtendedStatistics must be specified."),
        ({"Statistics": ["Sum"], "Period": 61}, "InvalidParameterValue", "Period: 61 is none."),
        (
            {"Statistics": ["Sum"], "EndTime": BEGAN - HOUR},
            "InvalidParameterValue",
            "The parameter StartTime must be less than the parameter EndTime.",
        ),
        (
            {"Statistics": ["Sum"], "StartTime": BEGAN - 24 * HOUR, "EndTime": BEGAN + HOUR},
            "InvalidParameterCombination",
            "You have requested up to 1,500 datapoints, which exceeds the limit of 1,440.",
        ),
        ({"ExtendedStatistics": ["tm90"]}, "InvalidParameterValue", "statistic 'tm90': not known here."),
    ],
)
def test_statistics_that_nobody_can_give_are_refused(
    cloudwatch: Any, more: dict[str, Any], code: str, told: str
) -> None:
    asked = {"Namespace": "n", "MetricName": "m", "StartTime": BEGAN - HOUR, "EndTime": BEGAN, "Period": 60}
    refused = refusal(cloudwatch.get_metric_statistics, **(asked | more))
    assert (refused[0], refused[1][: len(told)]) == (code, told)


def test_data_of_several_queries_and_arithmetic_over_them(cloudwatch: Any, namespace: str) -> None:
    for minute, (errors, calls) in enumerate([(1, 4), (0, 0), (3, 4)]):
        at = BEGAN + minute * MINUTE
        put(
            cloudwatch,
            namespace,
            {"MetricName": "errors", "Value": errors, "Timestamp": at},
            {"MetricName": "calls", "Value": calls, "Timestamp": at},
        )
    put(cloudwatch, namespace, {"MetricName": "calls", "Value": 9, "Timestamp": BEGAN + 3 * MINUTE})
    answer = data(
        cloudwatch,
        query("errors", namespace, metric={"MetricName": "errors"}) | {"ReturnData": False},
        query("calls", namespace, metric={"MetricName": "calls"}),
        {"Id": "rate", "Expression": "100 * errors / calls", "Label": "error rate"},
        {"Id": "left", "Expression": "-(rate - 100) ^ 2 / 2 + .5"},
        ScanBy="TimestampAscending",
    )
    calls, rate, left = answer["MetricDataResults"]
    assert (calls["Id"], calls["Label"], calls["Values"], calls["StatusCode"]) == (
        "calls",
        "calls",
        [4, 0, 4, 9],
        "Complete",
    )
    assert (rate["Label"], rate["Values"], rate["Timestamps"]) == ("error rate", [25, 75], [BEGAN, BEGAN + 2 * MINUTE])
    assert (left["Label"], left["Values"]) == ("left", [-2812, -312])


def test_pages_of_data_go_on_where_they_ended(cloudwatch: Any, namespace: str) -> None:
    for minute in range(5):
        put(cloudwatch, namespace, {"Value": minute, "Timestamp": BEGAN - minute * MINUTE})
    asked = [query("a", namespace), query("b", namespace), query("empty", "Nowhere")]
    pages = [data(cloudwatch, *asked, MaxDatapoints=4)]
    while "NextToken" in pages[-1]:
        pages.append(data(cloudwatch, *asked, MaxDatapoints=4, NextToken=pages[-1]["NextToken"]))
    found: dict[str, list[float]] = {}
    for page in pages:
        for result in page["MetricDataResults"]:
            found.setdefault(result["Id"], []).extend(result["Values"])
    assert found == {"a": [0, 1, 2, 3, 4], "b": [0, 1, 2, 3, 4], "empty": []}
    assert [result["StatusCode"] for result in pages[0]["MetricDataResults"]] == ["PartialData"]


@pytest.mark.parametrize(
    ("queries", "told"),
    [
        ([{"Id": "e", "Expression": "SEARCH('{n} m', 'Sum')"}], "Expression: SEARCH is not built in Outcrop yet."),
        ([{"Id": "e", "Expression": "SELECT AVG(m) FROM n"}], "Expression: SELECT is not built in Outcrop yet."),
        ([{"Id": "e", "Expression": "1 + 1"}], "Expression: '1 + 1' names no query."),
        ([{"Id": "e", "Expression": "(a"}, query("a", "n")], "Expression: the end is not expected there"),
        ([{"Id": "e", "Expression": "a b"}, query("a", "n")], "Expression: 'b' is not expected there"),
        ([{"Id": "e", "Expression": "nobody"}], "e: the expression names nobody, and no query has this Id."),
        ([{"Id": "e", "Expression": "f"}, {"Id": "f", "Expression": "e"}], "f: the expression leads back to e."),
        (
            [{"Id": "e", "Expression": "a+b"}, query("a", "n"), query("b", "n", Period=300)],
            "e: the periods of a, b differ.",
        ),
        ([{"Id": "E", "Expression": "a"}], "Id: 'E' is none."),
        ([query("a", "n"), query("a", "n")], "Id: 'a' is given twice."),
        ([{"Id": "a"}], "a: give either MetricStat or Expression."),
        ([query("a", "n") | {"Label": "${MAX}"}], "a.Label: values in labels (${…}) are not built in Outcrop yet."),
        ([query("a", "n") | {"AccountId": "1"}], "AccountId: not built in Outcrop yet."),
        ([query("a", "n", Stat="IQM")], "statistic 'IQM': not known here."),
    ],
)
def test_data_that_cannot_be_computed_is_refused_by_name(
    cloudwatch: Any, queries: list[dict[str, Any]], told: str
) -> None:
    span = {"StartTime": BEGAN - HOUR, "EndTime": BEGAN}
    code, message = refusal(cloudwatch.get_metric_data, MetricDataQueries=queries, **span)
    assert (code, message[: len(told)]) == ("ValidationError", told)


def test_a_query_request_of_older_clients_is_answered_in_xml(server: Running, namespace: str) -> None:
    form = {
        "Action": "PutMetricData", "Version": "2010-08-01", "Namespace": namespace, "MetricData.member.1.MetricName": "m",
        "MetricData.member.1.Values.member.1": "1.5", "MetricData.member.1.Values.member.2": "2.5",
    }  # fmt: skip
    assert posted(server, form).status_code == 200
    span = {"StartTime": (BEGAN - HOUR).isoformat(), "EndTime": (BEGAN + HOUR).isoformat(), "Period": "60"}
    asked = {
        "Action": "GetMetricStatistics",
        "Version": "2010-08-01",
        "Namespace": namespace,
        "MetricName": "m",
        "Statistics.member.1": "Sum",
    }
    assert "<Sum>4.0</Sum>" in posted(server, asked | span).text
    refused = posted(server, asked | span | {"Period": "61"})
    assert (refused.status_code, "<Code>InvalidParameterValue</Code>" in refused.text) == (400, True)


def posted(server: Running, form: dict[str, str]) -> httpx.Response:
    content = str(httpx.QueryParams(form))
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest(method="POST", url=f"{server.endpoint}/", data=content, headers=headers)
    SigV4Auth(server.credentials, "monitoring", "us-east-1").add_auth(request)
    return httpx.post(f"{server.endpoint}/", content=content, headers=dict(request.headers))


@pytest.mark.parametrize("protocol", ["json", "smithy-rpc-v2-cbor"])
def test_json_and_cbor_say_the_same(
    server: Running, namespace: str, protocol: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = botocore.session.get_session()
    model = session.get_service_model("cloudwatch")
    monkeypatch.setattr(type(model), "resolved_protocol", protocol)
    client, sent = server.client("cloudwatch"), list[bytes]()
    client.meta.events.register(
        "before-send.cloudwatch.*", lambda request, **_: sent.append(request.headers.get("Content-Type"))
    )
    put(client, namespace, {"Value": 1.5, "Timestamp": BEGAN})
    assert sent[0] == {"json": b"application/x-amz-json-1.0"}.get(protocol, b"application/cbor")
    assert [point["Sum"] for point in statistics(client, namespace, "Sum")] == [1.5]
    assert (
        refusal(client.put_metric_data, Namespace="AWS/x", MetricData=[{"MetricName": "m", "Value": 1}])[0]
        == "InvalidParameterValue"
    )
