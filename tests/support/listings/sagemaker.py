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
