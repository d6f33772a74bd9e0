"""List operations of CloudTrail: events, trails, their tags and public keys."""

import json
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from outcrop.audit.entry import Entry
from tests.support.listings.listing import Listing, client_of
from tests.support.servers import Running

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)
BUCKET = "listed-trails"


def make_events(house: Running) -> None:
    for number in range(5):
        house.platform.audit.record(
            Entry(
                at=NOW - number * HOUR, service="kms", operation="Listed", region="us-east-1", caller="arn:aws:iam::1:user/u",
                user_id="", key_id="", session="", resources=(), source_ip="", user_agent="",
                request_id=str(uuid.uuid4()), status=200, code="", read_only=False, data=False,
            )
        )  # fmt: skip


def event_age(row: dict[str, Any]) -> timedelta:
    at: datetime = row["EventTime"]
    return NOW - at


def make_bucket(house: Running) -> None:
    s3 = client_of(house, "s3")
    service = {"Service": "cloudtrail.amazonaws.com"}
    places = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]
    allowed = {"Effect": "Allow", "Principal": service, "Action": "s3:*", "Resource": places}
    s3.create_bucket(Bucket=BUCKET)
    s3.put_bucket_policy(Bucket=BUCKET, Policy=json.dumps({"Version": "2012-10-17", "Statement": [allowed]}))


def add_trail(house: Running, number: int) -> str:
    region = "us-east-1" if number < 4 else f"eu-west-{number}"  # five in one region is all there may be
    client = house.client("cloudtrail", region_name=region)
    made: str = client.create_trail(Name=f"row-{number}", S3BucketName=BUCKET, IsMultiRegionTrail=True)["TrailARN"]
    return made


def remove_trail(house: Running, arn: str) -> None:
    house.client("cloudtrail", region_name=arn.split(":")[3]).delete_trail(Name=arn)


def make_tagged(house: Running) -> None:
    client_of(house, "cloudtrail").create_trail(Name="tagged", S3BucketName=BUCKET)


def tagged(house: Running) -> str:
    return f"arn:aws:cloudtrail:us-east-1:{house.platform.account}:trail/tagged"


def tag(number: int) -> list[dict[str, str]]:
    return [{"Key": f"row-{number}", "Value": "v"}]


def add_tag(house: Running, number: int) -> str:
    client_of(house, "cloudtrail").add_tags(ResourceId=tagged(house), TagsList=tag(number))
    return f"row-{number}"


def remove_tag(house: Running, key: str) -> None:
    client_of(house, "cloudtrail").remove_tags(ResourceId=tagged(house), TagsList=[{"Key": key}])


def make_key(house: Running) -> None:
    house.platform.trail_keys.current()


def cloudtrail(operation: str, **fields: Any) -> Listing:
    given = {"tokens": {"NextToken": "NextToken"}, "token_refusal": "InvalidTokenException"}
    return Listing(service="cloudtrail", operation=operation, **(given | fields))


LISTINGS = [
    cloudtrail(
        "LookupEvents",
        rows=lambda answer: answer["Events"],
        name_of=lambda row: row["EventId"],
        prepare=make_events,
        asked=lambda _: {"LookupAttributes": [{"AttributeKey": "EventName", "AttributeValue": "Listed"}]},
        filters={
            "StartTime": (NOW - 2 * HOUR, lambda row: event_age(row) <= 2 * HOUR),
            "EndTime": (NOW - 3 * HOUR, lambda row: event_age(row) >= 3 * HOUR),
        },
        refused={"EventCategory": "insight"},
        size="MaxResults",
        largest=50,
        wrong_sizes=(0, 51),
        token_refusal="InvalidNextTokenException",
    ),
    cloudtrail(
        "ListTrails",
        rows=lambda answer: answer["Trails"],
        name_of=lambda row: row["TrailARN"],
        prepare=make_bucket,
        add=add_trail,
        remove=remove_trail,
    ),
    cloudtrail(
        "DescribeTrails",
        rows=lambda answer: answer["trailList"],
        name_of=lambda row: row["TrailARN"],
        prepare=make_bucket,
        add=add_trail,
        remove=remove_trail,
        filters={
            "trailNameList": (["row-3"], lambda row: row["Name"] == "row-3"),
            "includeShadowTrails": (False, lambda row: row["HomeRegion"] == "us-east-1"),
        },
        tokens={},
    ),
    cloudtrail(
        "ListTags",
        rows=lambda answer: answer["ResourceTagList"][0]["TagsList"],
        name_of=lambda row: row["Key"],
        prepare=make_tagged,
        add=add_tag,
        remove=remove_tag,
        asked=lambda house: {"ResourceIdList": [tagged(house)]},
    ),
    cloudtrail(
        "ListPublicKeys",
        rows=lambda answer: answer["PublicKeyList"],
        name_of=lambda row: row["Fingerprint"],
        prepare=make_key,
        most=1,
        filters={
            "StartTime": (NOW + timedelta(days=11 * 365), lambda _: False),
            "EndTime": (NOW - HOUR, lambda _: False),
        },
    ),
]
