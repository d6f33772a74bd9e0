"""List operations of CloudWatch Logs. GetLogEvents is none of them: its tokens never end."""

from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.log_groups.events import LogEvent
from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

START = datetime(2026, 5, 4, tzinfo=UTC)
GROUP, PAGED = "/listed/streams", "/listed/events"


def add_group(house: Running, number: int) -> str:
    client_of(house, "logs").create_log_group(logGroupName=f"row/{number}")
    return f"row/{number}"


def remove_group(house: Running, name: str) -> None:
    client_of(house, "logs").delete_log_group(logGroupName=name)


def make_group(house: Running) -> None:
    house.platform.log_groups.create(GROUP, region="us-east-1")


def add_stream(house: Running, number: int) -> str:
    event = LogEvent(at=START + timedelta(minutes=number), message="line")
    house.platform.log_groups.put(GROUP, f"row-{number}", [event], region="us-east-1")
    return f"row-{number}"


def remove_stream(house: Running, name: str) -> None:
    client_of(house, "logs").delete_log_stream(logGroupName=GROUP, logStreamName=name)


def make_events(house: Running) -> None:
    groups = house.platform.log_groups
    if groups.create(PAGED, region="us-east-1"):
        for number in range(6):
            at = START + timedelta(minutes=number)
            event = LogEvent(at=at, message=f"line {number}")
            groups.put(PAGED, f"stream-{number % 2}", [event], region="us-east-1")


def milliseconds(minutes: int) -> int:
    return round((START + timedelta(minutes=minutes)).timestamp() * 1000)


def tagged(house: Running) -> str:
    return f"arn:aws:logs:us-east-1:{house.platform.account}:log-group:{GROUP}"


def add_tag(house: Running, number: int) -> str:
    client_of(house, "logs").tag_resource(resourceArn=tagged(house), tags={f"row-{number}": ""})
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "logs").untag_resource(resourceArn=tagged(house), tagKeys=[key])


def logs(operation: str, **fields: Any) -> Listing:
    return Listing(service="logs", operation=operation, refusal="InvalidParameterException", **fields)


LISTINGS = [
    logs(
        "DescribeLogGroups",
        rows=lambda answer: answer["logGroups"],
        name_of=lambda row: row["logGroupName"],
        add=add_group,
        remove=remove_group,
        filters={
            "logGroupNamePrefix": ("row/3", lambda row: row["logGroupName"] == "row/3"),
            "logGroupNamePattern": ("w/3", lambda row: row["logGroupName"] == "row/3"),
            "logGroupIdentifiers": (["row/3"], lambda row: row["logGroupName"] == "row/3"),
            "logGroupClass": ("INFREQUENT_ACCESS", lambda _: False),
        },
        only_first=frozenset({"logGroupIdentifiers", "logGroupClass"}),
        refused={"accountIdentifiers": ["999999999999"], "includeLinkedAccounts": True},
        size="limit",
        tokens={"nextToken": "nextToken"},
        largest=50,
        wrong_sizes=(0, 51),
    ),
    logs(
        "DescribeLogStreams",
        rows=lambda answer: answer["logStreams"],
        name_of=lambda row: row["logStreamName"],
        prepare=make_group,
        add=add_stream,
        remove=remove_stream,
        asked=lambda _: {"logGroupName": GROUP},
        filters={"logStreamNamePrefix": ("row-3", lambda row: row["logStreamName"] == "row-3")},
        not_filters=frozenset({"logGroupIdentifier", "orderBy", "descending"}),
        size="limit",
        tokens={"nextToken": "nextToken"},
        largest=50,
        wrong_sizes=(0, 51),
    ),
    logs(
        "FilterLogEvents",
        rows=lambda answer: answer["events"],
        name_of=lambda row: row["eventId"],
        prepare=make_events,
        asked=lambda _: {"logGroupName": PAGED},
        filters={
            "logStreamNames": (["stream-1"], lambda row: row["logStreamName"] == "stream-1"),
            "logStreamNamePrefix": ("stream-1", lambda row: row["logStreamName"] == "stream-1"),
            "startTime": (milliseconds(2), lambda row: row["timestamp"] >= milliseconds(2)),
            "endTime": (milliseconds(2), lambda row: row["timestamp"] <= milliseconds(2)),
            "filterPattern": ('"line 4"', lambda row: row["message"] == "line 4"),
        },
        not_filters=frozenset({"logGroupIdentifier", "interleaved", "unmask"}),
        size="limit",
        tokens={"nextToken": "nextToken"},
        wrong_sizes=(0, 10_001),
    ),
    logs(
        "ListTagsForResource",
        rows=lambda answer: list(answer["tags"]),
        name_of=str,
        prepare=make_group,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"resourceArn": tagged(house)},
    ),
    logs(
        "ListTagsLogGroup",
        rows=lambda answer: list(answer["tags"]),
        name_of=str,
        prepare=make_group,
        add=add_tag,
        remove=remove_tag,
        asked=lambda _: {"logGroupName": GROUP},
    ),
]
