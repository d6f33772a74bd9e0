"""Versions and lifecycles over HTTP, as boto3 sees them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from tests.support.policies import policy
from tests.support.servers import Running, running_server

NUMBERS = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("versions") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: Running) -> Any:
    return server.client("s3", config={"s3": {"addressing_style": "path"}})


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"versions-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def refusal(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def test_training_data_that_was_overwritten_comes_back(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "train.jsonl"}
    good = s3.put_object(**place, Body=b"good", Metadata={"by": "jane"})["VersionId"]
    bad = s3.put_object(**place, Body=b"bad")["VersionId"]
    assert s3.get_object(**place)["VersionId"] == bad
    copied = s3.copy_object(**place, CopySource={**place, "VersionId": good})
    assert copied["CopySourceVersionId"] == good
    back = s3.get_object(**place)
    assert (back["Body"].read(), back["Metadata"], back["VersionId"]) == (b"good", {"by": "jane"}, copied["VersionId"])
    versions = s3.list_object_versions(Bucket=bucket)["Versions"]
    assert [(each["VersionId"], each["IsLatest"]) for each in versions] == [
        (copied["VersionId"], True), (bad, False), (good, False),
    ]  # fmt: skip


def test_a_deleted_object_comes_back_with_its_marker_gone(s3: Any, server: Running, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    first = s3.put_object(**place, Body=b"x")["VersionId"]
    marker = s3.delete_object(**place)["VersionId"]
    for operation, method in (("get_object", "GET"), ("head_object", "HEAD")):
        answer = httpx.request(method, s3.generate_presigned_url(operation, Params=place))
        told = (answer.headers["x-amz-delete-marker"], answer.headers["x-amz-version-id"])
        assert (answer.status_code, *told) == (404, "true", marker)
        answer = httpx.request(method, s3.generate_presigned_url(operation, Params={**place, "VersionId": marker}))
        assert (answer.status_code, answer.headers["allow"]) == (405, "DELETE")
        assert answer.headers["last-modified"]
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    assert s3.head_object(**place, VersionId=first)["VersionId"] == first
    s3.delete_object(**place, VersionId=marker)
    assert s3.get_object(**place)["Body"].read() == b"x"


def test_every_reading_may_name_a_version(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    first = s3.put_object(**place, Body=b"one")["VersionId"]
    s3.put_object(**place, Body=b"two and more")
    of_first = {**place, "VersionId": first}
    assert s3.get_object(**of_first, Range="bytes=1-")["Body"].read() == b"ne"
    assert s3.head_object(**of_first, PartNumber=1)["ContentLength"] == 3
    attributes = s3.get_object_attributes(**of_first, ObjectAttributes=["ObjectSize"])
    assert (attributes["ObjectSize"], attributes["VersionId"]) == (3, first)
    assert s3.get_object_acl(**of_first)["ResponseMetadata"]["HTTPHeaders"]["x-amz-version-id"] == first
    url = s3.generate_presigned_url("get_object", Params=of_first)
    assert httpx.get(url).content == b"one"
    upload = s3.create_multipart_upload(Bucket=bucket, Key="parts")["UploadId"]
    part = {"Bucket": bucket, "Key": "parts", "UploadId": upload}
    copied = s3.upload_part_copy(**part, PartNumber=1, CopySource=of_first)
    assert copied["CopySourceVersionId"] == first
    parts = {"Parts": [{"PartNumber": 1, "ETag": copied["CopyPartResult"]["ETag"]}]}
    made = s3.complete_multipart_upload(**part, MultipartUpload=parts)["VersionId"]
    assert s3.get_object(Bucket=bucket, Key="parts", VersionId=made)["Body"].read() == b"one"
    form = s3.generate_presigned_post(bucket, "form")
    assert httpx.post(form["url"], data=form["fields"], files={"file": b"x"}).headers["x-amz-version-id"]


def test_versions_are_permissions_of_their_own(server: Running, s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    first = s3.put_object(**place, Body=b"one", Tagging="stage=secret")["VersionId"]
    s3.put_object(**place, Body=b"two", Tagging="stage=open")
    iam, name = server.client("iam"), f"reader-{bucket}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    reader = server.client(
        "s3",
        config={"s3": {"addressing_style": "path"}},
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )

    def allow(action: Any, **condition: Any) -> None:
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy("Allow", action, **condition))

    allow("s3:GetObject")
    assert reader.get_object(**place)["Body"].read() == b"two"
    assert refusal(reader.get_object, **place, VersionId=first) == ("AccessDenied", 403)
    allow("s3:GetObjectVersion")
    assert reader.get_object(**place, VersionId=first)["Body"].read() == b"one"
    allow("s3:GetObjectVersion", StringEquals={"s3:ExistingObjectTag/stage": "open"})
    assert refusal(reader.get_object, **place, VersionId=first) == ("AccessDenied", 403)
    allow("s3:DeleteObject")
    assert refusal(reader.delete_object, **place, VersionId=first) == ("AccessDenied", 403)
    assert reader.delete_object(**place)["DeleteMarker"]


def test_a_bucket_is_emptied_as_cleanup_scripts_do(s3: Any, bucket: str) -> None:
    for number in range(5):
        for _ in range(2):
            s3.put_object(Bucket=bucket, Key=f"k{number}", Body=b"x")
        s3.delete_object(Bucket=bucket, Key=f"k{number}")
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=bucket, PaginationConfig={"PageSize": 4})
    found = [each for page in pages for kind in ("Versions", "DeleteMarkers") for each in page.get(kind, [])]
    assert len(found) == 15
    named = [{"Key": each["Key"], "VersionId": each["VersionId"]} for each in found]
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": named})
    assert (len(answer["Deleted"]), "Errors" in answer) == (15, False)
    s3.delete_bucket(Bucket=bucket)


def test_expiry_is_told_with_the_object(s3: Any, server: Running, bucket: str) -> None:
    rules = [
        {"ID": "drafts of a month", "Status": "Enabled", "Filter": {"Prefix": "drafts/"}, "Expiration": {"Days": 30}},
        {"Status": "Enabled", "Filter": {}, "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1}},
        {"ID": "d", "Status": "Enabled", "Prefix": "old/", "Expiration": {"Date": datetime(2030, 1, 1, tzinfo=UTC)}},
    ]
    s3.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": rules})
    told = s3.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert (told["Rules"][0], told["Rules"][2]) == (rules[0], rules[2])
    assert told["Rules"][1]["ID"]
    assert told["TransitionDefaultMinimumObjectSize"] == "all_storage_classes_128K"
    place = {"Bucket": bucket, "Key": "drafts/1"}
    expected = f'expiry-date="{_date(31)}", rule-id="drafts%20of%20a%20month"'
    assert s3.put_object(**place, Body=b"x")["Expiration"] == expected
    assert s3.head_object(**place)["Expiration"] == s3.get_object(**place)["Expiration"] == expected
    assert s3.copy_object(Bucket=bucket, Key="drafts/2", CopySource=place)["Expiration"] == expected
    assert "Expiration" not in s3.put_object(Bucket=bucket, Key="kept", Body=b"x")
    s3.delete_bucket_lifecycle(Bucket=bucket)
    assert "Expiration" not in s3.head_object(**place)
    code = ("NoSuchLifecycleConfiguration", 404)
    assert refusal(s3.get_bucket_lifecycle_configuration, Bucket=bucket) == code


def _date(days: int) -> str:
    day = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=days)
    return day.strftime("%a, %d %b %Y %H:%M:%S GMT")


def test_moves_between_storage_classes_are_refused_by_name(s3: Any, bucket: str) -> None:
    rule = {
        "ID": "r",
        "Status": "Enabled",
        "Filter": {"Prefix": ""},
        "Transitions": [{"Days": 30, "StorageClass": "GLACIER"}],
    }
    asked = {"Bucket": bucket, "LifecycleConfiguration": {"Rules": [rule]}}
    assert refusal(s3.put_bucket_lifecycle_configuration, **asked) == ("NotImplemented", 501)
    assert refusal(s3.put_bucket_lifecycle_configuration, Bucket="no-such-bucket", LifecycleConfiguration={"Rules": [rule]}) == (
        "NoSuchBucket", 404,
    )  # fmt: skip
