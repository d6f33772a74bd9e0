"""List operations of SageMaker."""

from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.store.resources import Resource
from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

START = datetime(2026, 5, 4, tzinfo=UTC)
STATES = ["InProgress", "Completed", "Failed", "Stopped", "Completed"]


def add_job(house: Running, number: int) -> str:
    at = START + timedelta(minutes=number)
    request = {
        "OutputDataConfig": {"S3OutputPath": "s3://b/"},
        "TrainingJobName": f"row-{number}",
    }
    row = Resource(
        arn=place_of(house, f"row-{number}"),
        kind="training-job",
        region="us-east-1",
        name=f"row-{number}",
        status=STATES[number % len(STATES)],
        created=at,
        updated=at,
        document={"request": request, "transitions": []},
    )
    house.platform.store.resources.add(row)
    return f"row-{number}"


def place_of(house: Running, name: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{house.platform.account}:training-job/{name}"


def remove_job(house: Running, name: str) -> None:
    house.platform.store.resources.remove(place_of(house, name))


def tagged(house: Running) -> str:
    return place_of(house, "row-99")


def make_tagged(house: Running) -> None:
    add_job(house, 99)


def add_tag(house: Running, number: int) -> str:
    tags = [{"Key": f"row-{number}", "Value": "v"}]
    client_of(house, "sagemaker").add_tags(ResourceArn=tagged(house), Tags=tags)
    return f"row-{number}"


def remove_tag(house: Running, name: str) -> None:
    client_of(house, "sagemaker").delete_tags(ResourceArn=tagged(house), TagKeys=[name])


def add_hub(house: Running, number: int) -> str:
    return add_row(house, "hub", f"row-{number}", f"hub/row-{number}", number, {"members": {}})


def remove_hub(house: Running, name: str) -> None:
    house.platform.store.resources.remove(arn_of(house, f"hub/{name}"))


def make_shelf(house: Running) -> None:
    add_row(house, "hub", "shelf", "hub/shelf", 50, {"members": {}})


def add_content(house: Running, number: int) -> str:
    return import_content(house, f"row-{number}", "1.0.0", number)


def remove_content(house: Running, name: str) -> None:
    house.platform.store.resources.remove(arn_of(house, f"hub-content/shelf/Model/{name}/1.0.0"))


def add_version(house: Running, number: int) -> str:
    import_content(house, "many", f"{number + 1}.0.0", number)
    return f"{number + 1}.0.0"


def remove_version(house: Running, version: str) -> None:
    house.platform.store.resources.remove(arn_of(house, f"hub-content/shelf/Model/many/{version}"))


def import_content(house: Running, name: str, version: str, number: int) -> str:
    document = {
        "DocumentSchemaVersion": f"{1 + number % 2}.0.0", "HubContentDocument": "{}", "hub": "shelf", "name": name,
        "shelf": "shelf/Model", "kind": "Model", "number": version,
    }  # fmt: skip
    place = f"shelf/Model/{name}/{version}"
    add_row(house, "hub-content", place, f"hub-content/{place}", number, document)
    return name


def add_row(house: Running, kind: str, name: str, place: str, number: int, document: dict[str, Any]) -> str:
    at = START + timedelta(minutes=number)
    row = Resource(
        arn=arn_of(house, place),
        kind=kind,
        region="us-east-1",
        name=name,
        status="InService" if kind == "hub" else "Available",
        created=at,
        updated=at,
        document=document,
    )
    assert house.platform.hubs  # which makes the indexes that its rows are found by
    house.platform.store.resources.add(row)
    return name


def arn_of(house: Running, place: str) -> str:
    return f"arn:aws:sagemaker:us-east-1:{house.platform.account}:{place}"


TIMES: dict[str, Any] = {
    "CreationTimeAfter": (
        START + timedelta(minutes=1),
        lambda row: minute_of(row, "CreationTime") > START + timedelta(minutes=1),
    ),
    "CreationTimeBefore": (
        START + timedelta(minutes=2),
        lambda row: minute_of(row, "CreationTime") < START + timedelta(minutes=2),
    ),
}


def minute_of(row: dict[str, Any], member: str) -> datetime:
    found: datetime = row[member]
    return found


LISTINGS = [
    Listing(
        service="sagemaker",
        operation="ListTrainingJobs",
        rows=lambda answer: answer["TrainingJobSummaries"],
        name_of=lambda row: row["TrainingJobName"],
        add=add_job,
        remove=remove_job,
        filters={
            "NameContains": ("OW-2", lambda row: "ow-2" in row["TrainingJobName"]),
            "StatusEquals": ("Completed", lambda row: row["TrainingJobStatus"] == "Completed"),
            "CreationTimeAfter": (
                START + timedelta(minutes=1),
                lambda row: minute_of(row, "CreationTime") > START + timedelta(minutes=1),
            ),
            "CreationTimeBefore": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "CreationTime") < START + timedelta(minutes=2),
            ),
            "LastModifiedTimeAfter": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "LastModifiedTime") > START + timedelta(minutes=2),
            ),
            "LastModifiedTimeBefore": (
                START + timedelta(minutes=3),
                lambda row: minute_of(row, "LastModifiedTime") < START + timedelta(minutes=3),
            ),
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        refused={"WarmPoolStatusEquals": "Available", "TrainingPlanArnEquals": "arn:aws:sagemaker:us-east-1:1:training-plan/x"},
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListHubs",
        rows=lambda answer: answer["HubSummaries"],
        name_of=lambda row: row["HubName"],
        add=add_hub,
        remove=remove_hub,
        filters={
            "NameContains": ("OW-2", lambda row: "ow-2" in row["HubName"]),
            **TIMES,
            "LastModifiedTimeAfter": (
                START + timedelta(minutes=2),
                lambda row: minute_of(row, "LastModifiedTime") > START + timedelta(minutes=2),
            ),
            "LastModifiedTimeBefore": (
                START + timedelta(minutes=3),
                lambda row: minute_of(row, "LastModifiedTime") < START + timedelta(minutes=3),
            ),
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListHubContents",
        rows=lambda answer: answer["HubContentSummaries"],
        name_of=lambda row: row["HubContentName"],
        prepare=make_shelf,
        add=add_content,
        remove=remove_content,
        asked=lambda _: {"HubName": "shelf", "HubContentType": "Model"},
        filters={
            "NameContains": ("OW-2", lambda row: "ow-2" in row["HubContentName"]),
            "MaxSchemaVersion": ("1.5.0", lambda row: row["DocumentSchemaVersion"] == "1.0.0"),
            **TIMES,
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListHubContentVersions",
        rows=lambda answer: answer["HubContentSummaries"],
        name_of=lambda row: row["HubContentVersion"],
        add=add_version,
        remove=remove_version,
        asked=lambda _: {"HubName": "shelf", "HubContentType": "Model", "HubContentName": "many"},
        filters={
            "MinVersion": ("3.0.0", lambda row: row["HubContentVersion"] >= "3.0.0"),
            "MaxSchemaVersion": ("1.5.0", lambda row: row["DocumentSchemaVersion"] == "1.0.0"),
            **TIMES,
        },
        not_filters=frozenset({"SortBy", "SortOrder"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="CreateHubContentPresignedUrls",
        rows=lambda answer: answer["AuthorizedUrlConfigs"],
        name_of=lambda row: row["LocalPath"],
        most=6,
        asked=lambda _: {
            "HubName": "SageMakerPublicHub",
            "HubContentType": "Model",
            "HubContentName": "outcrop-textgeneration-starter-v1",
        },
        not_filters=frozenset({"AccessConfig", "HubContentVersion"}),
        size="MaxResults",
        largest=100,
        wrong_sizes=(0, 101),
        tokens={"NextToken": "NextToken"},
    ),
    Listing(
        service="sagemaker",
        operation="ListTags",
        rows=lambda answer: answer["Tags"],
        name_of=lambda row: row["Key"],
        prepare=make_tagged,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"ResourceArn": tagged(house)},
        refused={"NextToken": "more"},
        not_filters=frozenset({"MaxResults"}),  # 50 at least, and nothing has more tags
    ),
]  # fmt: skip
