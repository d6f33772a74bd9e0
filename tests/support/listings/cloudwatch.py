"""List operations of CloudWatch: metrics, their data, alarms and what became of them."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

NOW = datetime.now(UTC).replace(second=0, microsecond=0)
DIMENSION = {"Name": "Row", "Value": "3"}
MINUTE = timedelta(minutes=1)


def put(house: Running, namespace: str, metric: str, **more: Any) -> None:
    datum = {"MetricName": metric, "Value": 1.0, **more}
    client_of(house, "cloudwatch").put_metric_data(Namespace=namespace, MetricData=[datum])


def make_metrics(house: Running) -> None:
    for number in range(5):
        at = NOW if number % 2 else NOW - timedelta(hours=4)
        dimensions = [{"Name": "Row", "Value": str(number)}]
        put(house, "Listed", f"row-{number}", Timestamp=at, Dimensions=dimensions)
    put(house, "Other", "row-3", Timestamp=NOW)


def make_data(house: Running) -> None:
    for number in range(5):
        put(house, "Data", "m", Timestamp=NOW - number * MINUTE)


def metric_number(row: dict[str, Any]) -> int:
    return int(row["MetricName"].removeprefix("row-"))


def datapoints(answer: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"At": at} for result in answer["MetricDataResults"] for at in result["Timestamps"]]


def data_queries(_: Running) -> dict[str, Any]:
    stat = {"Metric": {"Namespace": "Data", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}
    span = {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW + MINUTE}
    return {"MetricDataQueries": [{"Id": "m", "MetricStat": stat}], **span}


ACTION = "arn:aws:sns:us-east-1:123456789012:topic"


def add_alarm(house: Running, number: int) -> str:
    client_of(house, "cloudwatch").put_metric_alarm(
        AlarmName=f"row-{number}",
        Namespace="n",
        MetricName=f"m-{number % 2}",
        Dimensions=[DIMENSION] if number == 3 else [],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        OKActions=[ACTION] if number == 3 else [],
    )
    if number == 3:
        client_of(house, "cloudwatch").set_alarm_state(AlarmName="row-3", StateValue="OK", StateReason="r")
    return f"row-{number}"


def remove_alarm(house: Running, name: str) -> None:
    client_of(house, "cloudwatch").delete_alarms(AlarmNames=[name])


def make_history(house: Running) -> None:
    for name in ("told", "changed", "told"):
        members = {"Namespace": "n", "MetricName": "m", "Statistic": "Sum", "Period": 60, "EvaluationPeriods": 1}
        threshold = {"Threshold": 1.0, "ComparisonOperator": "LessThanThreshold"}
        house.platform.alarms.put(name, members | threshold, region="us-east-1", tags={})
    client_of(house, "cloudwatch").set_alarm_state(AlarmName="told", StateValue="OK", StateReason="r")
    client_of(house, "cloudwatch").delete_alarms(AlarmNames=["told", "changed"])


def tagged(house: Running) -> str:
    return f"arn:aws:cloudwatch:us-east-1:{house.platform.account}:alarm:row-9"


def make_tagged(house: Running) -> None:
    add_alarm(house, 9)


def add_tag(house: Running, number: int) -> str:
    tags = [{"Key": f"row-{number}", "Value": ""}]
    client_of(house, "cloudwatch").tag_resource(ResourceARN=tagged(house), Tags=tags)
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "cloudwatch").untag_resource(ResourceARN=tagged(house), TagKeys=[key])


def cloudwatch(operation: str, **fields: Any) -> Listing:
    return Listing(service="cloudwatch", operation=operation, **({"refusal": "ValidationError"} | fields))


LISTINGS = [
    cloudwatch(
        "ListMetrics",
        rows=lambda answer: answer["Metrics"],
        name_of=lambda row: f"{row['Namespace']} {row['MetricName']}",
        prepare=make_metrics,
        filters={
            "Namespace": ("Listed", lambda row: row["Namespace"] == "Listed"),
            "MetricName": ("row-3", lambda row: row["MetricName"] == "row-3"),
            "Dimensions": ([DIMENSION], lambda row: DIMENSION in row["Dimensions"]),
            "RecentlyActive": (
                "PT3H",
                lambda row: row["Namespace"] not in ("Listed",) or metric_number(row) % 2 == 1,
            ),
        },
        refused={"OwningAccount": "999999999999", "IncludeLinkedAccounts": True},
        tokens={"NextToken": "NextToken"},
        refusal="InvalidParameterValue",
    ),
    cloudwatch(
        "GetMetricData",
        rows=datapoints,
        name_of=lambda row: row["At"].isoformat(),
        prepare=make_data,
        asked=data_queries,
        not_filters=frozenset({"ScanBy"}),
        refused={"LabelOptions": {"Timezone": "+0900"}},
        size="MaxDatapoints",
        tokens={"NextToken": "NextToken"},
        wrong_sizes=(0, 100_801),
        token_refusal="InvalidNextToken",
    ),
    cloudwatch(
        "DescribeAlarms",
        rows=lambda answer: answer["MetricAlarms"],
        name_of=lambda row: row["AlarmName"],
        add=add_alarm,
        remove=remove_alarm,
        filters={
            "AlarmNames": (["row-3"], lambda row: row["AlarmName"] == "row-3"),
            "AlarmNamePrefix": ("row-3", lambda row: row["AlarmName"] == "row-3"),
            "AlarmTypes": (["CompositeAlarm"], lambda _: False),
            "StateValue": ("OK", lambda row: row["StateValue"] == "OK"),
            "ActionPrefix": ("arn:aws:sns", lambda row: row["OKActions"] == [ACTION]),
        },
        refused={"ChildrenOfAlarmName": "a", "ParentsOfAlarmName": "a"},
        size="MaxRecords",
        tokens={"NextToken": "NextToken"},
        largest=100,
        wrong_sizes=(0, 101),
        token_refusal="InvalidNextToken",
    ),
    cloudwatch(
        "DescribeAlarmsForMetric",
        rows=lambda answer: answer["MetricAlarms"],
        name_of=lambda row: row["AlarmName"],
        add=add_alarm,
        remove=remove_alarm,
        asked=lambda _: {"Namespace": "n", "MetricName": "m-0"},
        filters={
            "Statistic": ("Maximum", lambda _: False),
            "ExtendedStatistic": ("p50", lambda _: False),
            "Period": (300, lambda _: False),
            "Unit": ("Count", lambda _: False),
            "Dimensions": ([DIMENSION], lambda _: False),
        },
    ),
    cloudwatch(
        "DescribeAlarmHistory",
        rows=lambda answer: answer["AlarmHistoryItems"],
        name_of=lambda row: f"{row['Timestamp'].isoformat()} {row['AlarmName']} {row['HistorySummary']}",
        prepare=make_history,
        filters={
            "AlarmName": ("told", lambda row: row["AlarmName"] == "told"),
            "AlarmTypes": (["CompositeAlarm"], lambda _: False),
            "HistoryItemType": ("StateUpdate", lambda row: row["HistoryItemType"] == "StateUpdate"),
            "StartDate": (NOW + timedelta(days=1), lambda _: False),
            "EndDate": (NOW - timedelta(days=1), lambda _: False),
        },
        only_first=frozenset({"AlarmTypes"}),
        not_filters=frozenset({"ScanBy"}),
        refused={"AlarmContributorId": "a"},
        size="MaxRecords",
        tokens={"NextToken": "NextToken"},
        largest=100,
        wrong_sizes=(0, 101),
        token_refusal="InvalidNextToken",
    ),
    cloudwatch(
        "ListTagsForResource",
        rows=lambda answer: answer["Tags"],
        name_of=lambda row: row["Key"],
        prepare=make_tagged,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"ResourceARN": tagged(house)},
    ),
]
