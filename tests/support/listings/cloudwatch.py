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
]
