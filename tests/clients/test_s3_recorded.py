"""What the real S3 was recorded to answer, asked here: each step by boto3, each difference named and none else.

A `play_…` performs the steps of the recorded test `test_…` and yields each step's name with the answer that came.
`test_the_answers_are_those_recorded`, at the end, runs every play and compares each answer with the recording.
"""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from tests.support.recorded_s3 import ANY, answer, differences, scenarios
from tests.support.servers import running_server

DEVIATIONS: dict[tuple[str, str], list[str]] = {
    ("test_multipart_if_none_match_with_delete", "complete-multipart-after-del"): [
        "Bucket: added",
        "ETag: added",
        "Error: missing",
        "Key: added",
        "Location: added",
        "status: 409 was recorded, not 200",
    ],
    ("test_multipart_if_match_with_put", "complete-multipart-if-match-put-before-restart"): [
        "ChecksumCRC64NVME: missing",
        "ChecksumType: missing",
    ],
    **{
        ("test_s3_bucket_encryption_sse_kms_aws_managed_key", f"{each}-object-encrypted"): ["ETag: missing"]
        for each in ("put", "head", "get")
    },
}
"""By scenario and step; `docs/s3.md` says why."""
NUMBERS = count()
TEN = b"0123456789"
OF_BYTES = ("ETag", "ChecksumAlgorithm", "ChecksumType", "Size")
WRONG_VERSION = "HPniJFCxqTsMuIH9KX8K8wEjNUgmABCD"
OVERDUE, AHEAD = datetime(2020, 1, 1, tzinfo=UTC), timedelta(days=2)

Steps = Iterator[tuple[str, dict[str, Any]]]


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with running_server(tmp_path_factory.mktemp("home")) as running:
        client = running.client("s3", config={"s3": {"addressing_style": "path"}})
        yield client
        client.close()


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"recorded-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


def tag_set(**tags: str) -> dict[str, Any]:
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def play_bucket_tagging_crud(s3: Any, bucket: str) -> Steps:
    yield "get-bucket-tags-empty", answer(s3.get_bucket_tagging, Bucket=bucket)
    yield "put-bucket-tags", answer(s3.put_bucket_tagging, Bucket=bucket, Tagging=tag_set(tag1="tag1", tag2=""))
    yield "get-bucket-tags", answer(s3.get_bucket_tagging, Bucket=bucket)
    yield "put-bucket-tags-overwrite", answer(s3.put_bucket_tagging, Bucket=bucket, Tagging=tag_set(tag3="tag3"))
    yield "get-bucket-tags-overwritten", answer(s3.get_bucket_tagging, Bucket=bucket)
    yield "delete-bucket-tags", answer(s3.delete_bucket_tagging, Bucket=bucket)
    yield "put-bucket-tags-empty", answer(s3.put_bucket_tagging, Bucket=bucket, Tagging=tag_set())


def play_bucket_tagging_exc(s3: Any, bucket: str) -> Steps:
    none = "no-such-bucket-here"
    yield "get-no-bucket-tags", answer(s3.get_bucket_tagging, Bucket=none)
    yield "delete-no-bucket-tags", answer(s3.delete_bucket_tagging, Bucket=none)
    yield "put-no-bucket-tags", answer(s3.put_bucket_tagging, Bucket=none, Tagging=tag_set(a="b"))


def play_tagging_validation(s3: Any, bucket: str) -> Steps:
    s3.put_object(Bucket=bucket, Key="k", Body=b"")

    def put(kind: str, *tags: tuple[str, str]) -> dict[str, Any]:
        listed = {"TagSet": [{"Key": key, "Value": value} for key, value in tags]}
        if kind == "bucket":
            return answer(s3.put_bucket_tagging, Bucket=bucket, Tagging=listed)
        return answer(s3.put_object_tagging, Bucket=bucket, Key="k", Tagging=listed)

    for kind in ("bucket", "object"):
        yield f"put-{kind}-tags-duplicate-keys", put(kind, ("Key1", "Val1"), ("Key1", "Val1"))
        yield f"put-{kind}-tags-invalid-{'field' if kind == 'object' else 'key'}", put(kind, ("Key1,Key2", "Val1"))
        yield f"put-{kind}-tags-aws-prefixed", put(kind, ("aws:prefixed", "Val1"))
    yield "put-bucket-tags-invalid-value", put("bucket", ("Key1", "Val1,Val2"))


def play_object_tagging_crud(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "k"}
    yield "put-object", answer(s3.put_object, **place, Body=b"test-tagging")
    yield "get-object-tags-empty", answer(s3.get_object_tagging, **place)
    yield "put-object-tags", answer(s3.put_object_tagging, **place, Tagging=tag_set(tag1="tag1", tag2=""))
    yield "get-object-tags", answer(s3.get_object_tagging, **place)
    yield "put-object-tags-overwrite", answer(s3.put_object_tagging, **place, Tagging=tag_set(tag3="tag3"))
    yield "get-object-tags-overwritten", answer(s3.get_object_tagging, **place)
    yield "get-obj-after-tags", answer(s3.get_object, **place)
    yield "delete-object-tags", answer(s3.delete_object_tagging, **place)
    yield "get-object-tags-deleted", answer(s3.get_object_tagging, **place)
    yield "get-obj-after-tags-deleted", answer(s3.get_object, **place)


def play_object_tagging_exc(s3: Any, bucket: str) -> Steps:
    for where, place in (
        ("bucket", {"Bucket": "no-such-bucket", "Key": "k"}),
        ("key", {"Bucket": bucket, "Key": "fake-key"}),
    ):
        yield f"get-no-{where}-tags", answer(s3.get_object_tagging, **place)
        yield f"delete-no-{where}-tags", answer(s3.delete_object_tagging, **place)
        yield f"put-no-{where}-tags", answer(s3.put_object_tagging, **place, Tagging=tag_set(a="b"))
    for step, tags in (("duplicate-tagging", "key1=val1&key1=val2"), ("wrong-format", "key1=val1,key2=val2")):
        yield f"put-obj-{step}", answer(s3.put_object, Bucket=bucket, Key="k", Body=b"", Tagging=tags)


def play_create_bucket_with_tags_us_east_1_idempotency(s3: Any, bucket: str) -> Steps:
    name = f"{bucket}-tagged"

    def create(*tags: tuple[str, str]) -> dict[str, Any]:
        listed = [{"Key": key, "Value": value} for key, value in tags]
        return answer(s3.create_bucket, Bucket=name, CreateBucketConfiguration={"Tags": listed})

    yield "create-bucket-with-tags", create(("tag1", "value1"))
    yield "get-bucket-tags", answer(s3.get_bucket_tagging, Bucket=name)
    yield "create-bucket-different-tags", create(("tag2", "value2"))
    yield "create-bucket-with-no-tags", answer(s3.create_bucket, Bucket=name)
    yield "get-bucket-tags-after-re-create", answer(s3.get_bucket_tagging, Bucket=name)
    yield "create-bucket-with-same-tags", create(("tag1", "value1"))
    yield "create-bucket-with-empty-tags", create()
    yield "get-bucket-tags-after-create-empty", answer(s3.get_bucket_tagging, Bucket=name)


def play_create_bucket_with_tags_exc(s3: Any, bucket: str) -> Steps:
    for step, key, value in (
        ("tags-key-aws-prefix", "aws:test", "value1"),
        ("tags-key-aws-bad-value", "test", "value1,value2"),
        ("tags-key-aws-bad-key", "test,test2", "value1"),
    ):
        configuration = {"Tags": [{"Key": key, "Value": value}]}
        yield step, answer(s3.create_bucket, Bucket=f"{bucket}-bad", CreateBucketConfiguration=configuration)


def play_put_object_if_none_match(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-precondition"}
    yield "put-obj", answer(s3.put_object, **place, Body=b"", IfNoneMatch="*")
    yield "put-obj-if-none-match", answer(s3.put_object, **place, Body=b"", IfNoneMatch="*")
    yield "del-obj", answer(s3.delete_object, **place)
    yield "put-obj-after-del", answer(s3.put_object, **place, Body=b"", IfNoneMatch="*")


def play_put_object_if_none_match_validation(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "k"}
    yield "put-obj", answer(s3.put_object, **place, Body=b"", IfNoneMatch="*")
    yield "put-obj-if-none-match-bad-value", answer(s3.put_object, **place, IfNoneMatch="value")


def play_put_object_if_match(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-precondition"}
    yield "put-obj", (put := answer(s3.put_object, **place, Body=b"test"))
    yield "put-obj-if-match-wrong-etag", answer(s3.put_object, **place, IfMatch="d41d8cd98f00b204e9800998ecf8427e")
    yield "put-obj-overwrite", answer(s3.put_object, **place, IfMatch=put["ETag"])
    yield "del-obj", answer(s3.delete_object, **place)
    yield "put-obj-if-match-key-not-exists", answer(s3.put_object, **place, IfMatch=put["ETag"])
    yield "put-obj-after-del", answer(s3.put_object, **place)


def play_put_object_if_match_validation(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-precondition-validation"}
    yield "put-obj-if-match-star-value", answer(s3.put_object, **place, IfMatch="*")
    yield "put-obj-if-match-bad-value", answer(s3.put_object, **place, IfMatch="abcdef")


def play_put_object_if_match_and_if_none_match_validation(s3: Any, bucket: str) -> Steps:
    put = answer(s3.put_object, Bucket=bucket, Key="k", IfMatch="abcdef", IfNoneMatch="*")
    yield "put-obj-both-precondition", put


def play_multipart_if_none_match_with_delete(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-precondition"}
    yield "put-obj", answer(s3.put_object, **place)
    yield "create-multipart", (begun := answer(s3.create_multipart_upload, **place))
    upload = _with_a_part(s3, place, begun)
    yield "complete-multipart-if-none-match", answer(s3.complete_multipart_upload, **upload, IfNoneMatch="*")
    yield "del-obj", answer(s3.delete_object, **place)
    yield "complete-multipart-after-del", answer(s3.complete_multipart_upload, **upload, IfNoneMatch="*")


def play_multipart_if_match_with_put(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-precondition"}
    yield "put-obj", (before := answer(s3.put_object, **place, Body=b"test"))
    yield "create-multipart", (begun := answer(s3.create_multipart_upload, **place))
    upload = _with_a_part(s3, place, begun)
    yield "put-obj-during", (during := answer(s3.put_object, **place, Body=b"test2"))
    yield (
        "complete-multipart-if-match-put-before",
        answer(s3.complete_multipart_upload, **upload, IfMatch=before["ETag"]),
    )
    yield (
        "complete-multipart-if-match-put-during",
        answer(s3.complete_multipart_upload, **upload, IfMatch=during["ETag"]),
    )
    yield "create-multipart-again", (begun := answer(s3.create_multipart_upload, **place))
    upload = _with_a_part(s3, place, begun)
    completed = answer(s3.complete_multipart_upload, **upload, IfMatch=during["ETag"])
    yield "complete-multipart-if-match-put-before-restart", completed


def _with_a_part(s3: Any, place: dict[str, str], begun: dict[str, Any]) -> dict[str, Any]:
    upload = {**place, "UploadId": begun["UploadId"]}
    part = s3.upload_part(**upload, PartNumber=1, Body=b"test")
    return {**upload, "MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}


def play_copy_object_precondition_write_validation(s3: Any, bucket: str) -> Steps:
    s3.put_object(Bucket=bucket, Key="src", Body=b"x")
    copy = {"Bucket": bucket, "Key": "to", "CopySource": f"{bucket}/src"}
    yield "copy-obj-none-match-etag", answer(s3.copy_object, **copy, IfNoneMatch="abc")
    yield "copy-obj-if-match-star", answer(s3.copy_object, **copy, IfMatch="*")
    yield "copy-obj-both", answer(s3.copy_object, **copy, IfMatch="abc", IfNoneMatch="*")


def play_s3_copy_object_preconditions(s3: Any, bucket: str) -> Steps:
    s3.put_object(Bucket=bucket, Key="src", Body=b"data")
    copy = {"Bucket": bucket, "Key": "to", "CopySource": f"{bucket}/src"}
    yield "head-object", (head := answer(s3.head_object, Bucket=bucket, Key="src"))
    etag, modified = head["ETag"], head["LastModified"]
    yield "copy-precondition-if-match", answer(s3.copy_object, **copy, CopySourceIfMatch='"wrong"')
    yield "copy-precondition-if-unmodified-since", answer(s3.copy_object, **copy, CopySourceIfUnmodifiedSince=OVERDUE)
    yield "copy-precondition-if-none-match", answer(s3.copy_object, **copy, CopySourceIfNoneMatch=etag)
    yield "copy-precondition-if-modified-since", answer(s3.copy_object, **copy, CopySourceIfModifiedSince=modified)
    ahead = datetime.now(UTC) + AHEAD
    yield "copy-ignore-future-modified-since", answer(s3.copy_object, **copy, CopySourceIfModifiedSince=ahead)
    yield "copy-etag-missing-quotes", answer(s3.copy_object, **copy, CopySourceIfNoneMatch=etag.strip('"'))
    yield "copy-success", answer(s3.copy_object, **copy, CopySourceIfMatch=etag)


def play_delete_object(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-delete"}
    yield "put-object", answer(s3.put_object, **place, Body=b"test-delete")
    yield "delete-object", answer(s3.delete_object, **place)
    yield "delete-nonexistent-object", answer(s3.delete_object, **place)
    yield "delete-nonexistent-object-versionid", answer(s3.delete_object, **place, VersionId=WRONG_VERSION)


def play_delete_objects(s3: Any, bucket: str) -> Steps:
    yield "put-object", answer(s3.put_object, Bucket=bucket, Key="test-delete", Body=b"test-delete")
    wrong = {"Objects": [{"Key": "test-delete", "VersionId": WRONG_VERSION}]}
    yield "delete-object-wrong-version-id", answer(s3.delete_objects, Bucket=bucket, Delete=wrong)
    keys = [{"Key": key} for key in ("a-wrong-key", "c-wrong-key", "test-delete")]
    yield "delete-objects", answer(s3.delete_objects, Bucket=bucket, Delete={"Objects": keys})


def play_get_object_with_version_unversioned_bucket(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "k"}
    yield "put-object", answer(s3.put_object, **place, Body=b"test-version")
    yield "get-obj-with-version", answer(s3.get_object, **place, VersionId=WRONG_VERSION)
    yield "get-obj-with-null-version", answer(s3.get_object, **place, VersionId="null")


def play_delete_object_with_no_locking(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "k"}
    yield "delete-object-bypass-no-lock", answer(s3.delete_object, **place, BypassGovernanceRetention=True)
    yield "delete-object-bypass-no-lock-false", answer(s3.delete_object, **place, BypassGovernanceRetention=False)
    many = {"Bucket": bucket, "Delete": {"Objects": [{"Key": "k"}]}, "BypassGovernanceRetention": True}
    yield "delete-objects-bypass-no-lock", answer(s3.delete_objects, **many)


def play_get_object_range(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=TEN)
    for step in scenarios()["test_get_object_range"]:
        asked = step.removeprefix("get-").removesuffix("-checksum")
        if step.startswith("get-") and asked[:1].isdigit() | asked.startswith("-"):
            yield step, answer(s3.get_object, **place, Range=f"bytes={asked}")


def play_upload_part_copy_range(s3: Any, bucket: str) -> Steps:
    yield "put-src-object", answer(s3.put_object, Bucket=bucket, Key="src", Body=TEN)
    place = {"Bucket": bucket, "Key": "test-upload-part-copy"}
    yield "create-multipart", (begun := answer(s3.create_multipart_upload, **place))
    upload = {**place, "UploadId": begun["UploadId"], "CopySource": f"{bucket}/src"}
    for number, asked in ((1, "0-8"), (2, "1-1"), (3, "0-0")):
        copied = answer(s3.upload_part_copy, **upload, PartNumber=number, CopySourceRange=f"bytes={asked}")
        yield f"upload-part-copy-{number}", copied
    yield "list-parts", answer(s3.list_parts, **place, UploadId=begun["UploadId"])
    yield "upload-part-copy-wrong-format", answer(s3.upload_part_copy, **upload, PartNumber=1, CopySourceRange="0-8")
    for step in scenarios()["test_upload_part_copy_range"]:
        if step.startswith("upload-part-copy-range-exc-"):
            asked = f"bytes={step.removeprefix('upload-part-copy-range-exc-')}"
            yield step, answer(s3.upload_part_copy, **upload, PartNumber=1, CopySourceRange=asked)


def play_list_parts_pagination(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-list-part-pagination"}
    upload = {**place, "UploadId": s3.create_multipart_upload(**place)["UploadId"]}
    yield "list-parts-empty", answer(s3.list_parts, **upload)
    for number in (1, 2):
        s3.upload_part(**upload, PartNumber=number, Body=b"data")
    yield "list-parts-all", answer(s3.list_parts, **upload)
    yield "list-parts-1", answer(s3.list_parts, **upload, MaxParts=1)
    yield "list-parts-next", answer(s3.list_parts, **upload, MaxParts=1, PartNumberMarker=1)
    yield "list-parts-wrong-part", answer(s3.list_parts, **upload, MaxParts=1, PartNumberMarker=10)


def play_list_objects_v2_continuation_start_after(s3: Any, bucket: str) -> Steps:
    for number in range(12):
        s3.put_object(Bucket=bucket, Key=f"test_{number}", Body=b"content 123")
    yield "list-objects-v2-max-5", (page := answer(s3.list_objects_v2, Bucket=bucket, MaxKeys=5))
    token = page["NextContinuationToken"]
    yield "list-objects-v2-rest", answer(s3.list_objects_v2, Bucket=bucket, ContinuationToken=token)
    after = answer(s3.list_objects_v2, Bucket=bucket, StartAfter="test_7", MaxKeys=2)
    yield "list-objects-start-after", after
    both = answer(s3.list_objects_v2, Bucket=bucket, StartAfter="test_7", ContinuationToken=token)
    yield "list-objects-start-after-token", both
    yield "exc-continuation-token", answer(s3.list_objects_v2, Bucket=bucket, ContinuationToken="")


def play_list_parts_via_object_attrs_pagination(s3: Any, bucket: str) -> Steps:
    place = {"Bucket": bucket, "Key": "test-object-attrs-pagination"}
    begun = s3.create_multipart_upload(**place, ChecksumAlgorithm="SHA256")
    upload = {**place, "UploadId": begun["UploadId"]}
    body = b"a" * (5 * 1024 * 1024 + 1)
    parts = []
    for number in (1, 2):
        sent = s3.upload_part(**upload, PartNumber=number, Body=body, ChecksumAlgorithm="SHA256")
        parts.append({"PartNumber": number, "ETag": sent["ETag"], "ChecksumSHA256": sent["ChecksumSHA256"]})
    listed = answer(s3.list_parts, **upload)
    assert {part["Size"] for part in listed["Parts"]} == {len(body)}
    yield "complete-mpu", answer(s3.complete_multipart_upload, **upload, MultipartUpload={"Parts": parts})
    for step, asked in (
        ("all", {}),
        ("next", {"MaxParts": 1, "PartNumberMarker": 1}),
        ("wrong-part", {"MaxParts": 1, "PartNumberMarker": 10}),
    ):
        attributes = answer(s3.get_object_attributes, **place, ObjectAttributes=["ObjectParts"], **asked)
        yield f"get-object-attrs-{step}", attributes


def play_bucket_versioning_crud(s3: Any, bucket: str) -> Steps:
    def put(name: str = bucket, **configuration: str) -> dict[str, Any]:
        return answer(s3.put_bucket_versioning, Bucket=name, VersioningConfiguration=configuration)

    none = "no-such-bucket-here"
    yield "get-versioning-before", answer(s3.get_bucket_versioning, Bucket=bucket)
    yield "put-versioning-suspended-before", put(Status="Suspended")
    yield "get-versioning-after-suspended", answer(s3.get_bucket_versioning, Bucket=bucket)
    yield "put-versioning-enabled-lowercase", put(Status="enabled")
    yield "put-versioning-enabled-capitalized", put(Status="Enabled")
    yield "get-versioning-after-enabled", answer(s3.get_bucket_versioning, Bucket=bucket)
    yield "put-versioning-suspended-after", put(Status="Suspended")
    yield "put-versioning-disabled", put(Status="Disabled")
    yield "put-versioning-empty", put()
    yield "put-versioning-no-bucket", put(none, Status="Suspended")
    yield "get-versioning-no-bucket", answer(s3.get_bucket_versioning, Bucket=none)


def keep_versions(s3: Any, bucket: str, status: str = "Enabled") -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": status})


def play_delete_object_versioned(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "test-delete"}
    put = answer(s3.put_object, **place, Body=b"test-delete")
    yield "put-object", put
    marker = answer(s3.delete_object, **place)
    yield "delete-object", marker
    first, second = {"VersionId": put["VersionId"]}, {"VersionId": marker["VersionId"]}
    yield "get-deleted-object", answer(s3.get_object, **place)
    yield "get-object-with-version", answer(s3.get_object, **place, **first, ChecksumMode="ENABLED")
    yield "get-delete-marker", answer(s3.get_object, **place, **second)
    yield "delete-object-2", answer(s3.delete_object, **place)
    yield "list-object-versions", answer(s3.list_object_versions, Bucket=bucket, Prefix="test-delete")
    yield "delete-delete-marker", answer(s3.delete_object, **place, **second)
    yield "delete-object-version", answer(s3.delete_object, **place, **first)
    yield "get-deleted-object-with-version", answer(s3.get_object, **place, **first)
    yield "delete-with-bad-version", answer(s3.delete_object, **place, VersionId=first["VersionId"][:-1])
    yield "delete-wrong-key", answer(s3.delete_object, Bucket=bucket, Key="wrong-key")


def play_delete_versioned_bucket_with_objects(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "k"}
    version = s3.put_object(**place, Body=b"x")["VersionId"]
    marker = s3.delete_object(**place)["VersionId"]
    yield "delete-with-obj-and-delete-marker", answer(s3.delete_bucket, Bucket=bucket)
    yield "delete-obj-by-version", answer(s3.delete_object, **place, VersionId=version)
    yield "delete-with-only-delete-marker", answer(s3.delete_bucket, Bucket=bucket)
    yield "delete-marker-by-version", answer(s3.delete_object, **place, VersionId=marker)
    yield "success-delete-bucket", answer(s3.delete_bucket, Bucket=bucket)


def play_delete_objects_versioned(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    key = "test-delete"

    def delete(*named: tuple[str, str | None]) -> dict[str, Any]:
        objects = [{"Key": name, **({"VersionId": version} if version else {})} for name, version in named]
        answered = answer(s3.delete_objects, Bucket=bucket, Delete={"Objects": objects})
        for rows in ("Deleted", "Errors"):
            if rows in answered:
                answered[rows].sort(key=lambda row: row["Key"])
        return answered

    put = answer(s3.put_object, Bucket=bucket, Key=key, Body=b"test-delete")
    yield "put-object", put
    deleted = delete((key, None), ("wrongkey", None), ("wrongkey-x", None))
    yield "delete-objects-no-version-id", deleted
    yield "delete-objects-marker", delete((key, deleted["Deleted"][0]["DeleteMarkerVersionId"]))
    yield "delete-objects-wrong-version-id", delete((key, WRONG_VERSION), ("wrong-key-2", WRONG_VERSION))
    yield "delete-objects-version-id", delete((key, put["VersionId"]))


def play_put_object_on_suspended_bucket(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "test-version"}
    for number in range(3):
        yield f"put-object-{number}", answer(s3.put_object, **place, Body=f"test-version-{number}".encode())
    yield "list-enabled", answer(s3.list_object_versions, Bucket=bucket)
    keep_versions(s3, bucket, "Suspended")
    yield "list-suspended", answer(s3.list_object_versions, Bucket=bucket)
    yield "put-object-suspended", answer(s3.put_object, **place, Body=b"test-version-suspended")
    yield "list-suspended-after-put", answer(s3.list_object_versions, Bucket=bucket)
    yield "put-object-suspended-overwrite", answer(s3.put_object, **place, Body=b"test-version-suspended")
    yield "list-suspended-after-overwrite", answer(s3.list_object_versions, Bucket=bucket)
    yield "get-object-current", answer(s3.get_object, **place, ChecksumMode="ENABLED")


def play_delete_object_on_suspended_bucket(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "test-delete-suspended"}
    for number in range(2):
        yield f"put-object-{number}", answer(s3.put_object, **place, Body=f"test-version-{number}".encode())
    keep_versions(s3, bucket, "Suspended")
    yield "list-suspended", answer(s3.list_object_versions, Bucket=bucket)
    yield "delete-object-no-version", answer(s3.delete_object, **place)
    yield "list-suspended-delete", answer(s3.list_object_versions, Bucket=bucket)
    yield "put-object-suspended", answer(s3.put_object, **place, Body=b"test-version-suspended-after-delete")
    yield "list-suspended-put", answer(s3.list_object_versions, Bucket=bucket)
    yield "delete-object-no-version-after-put", answer(s3.delete_object, **place)
    yield "list-suspended-after-put", answer(s3.list_object_versions, Bucket=bucket)


def play_object_tagging_versioned(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "k"}
    versions = []
    for number, tag in enumerate(("tagv0", "tagv1")):
        put = answer(s3.put_object, **place, Body=f"test-{number}".encode(), Tagging=f"test_tag={tag}")
        versions.append({"VersionId": put["VersionId"]})
    before = versions[0]
    tags = s3.put_object_tagging
    yield "put-object-tags-current-version", answer(tags, **place, Tagging=tag_set(tag3="tag3"))
    yield "get-object-tags-current-version", answer(s3.get_object_tagging, **place)
    yield "put-object-tags-previous-version", answer(tags, **place, **before, Tagging=tag_set(tag1="tag1"))
    yield "get-object-tags-previous-version-again", answer(s3.get_object_tagging, **place, **before)
    s3.delete_object_tagging(**place)
    yield "get-object-tags-deleted-current", answer(s3.get_object_tagging, **place)
    marker = answer(s3.delete_object, **place)
    yield "put-delete-marker", marker
    of_marker = {"VersionId": marker["VersionId"]}
    for name, asked in (("id", of_marker), ("latest", {})):
        yield f"put-object-tags-delete-marker-{name}", answer(tags, **place, **asked, Tagging=tag_set(a="b"))
        yield f"get-object-tags-delete-marker-{name}", answer(s3.get_object_tagging, **place, **asked)
        yield f"delete-object-tags-delete-marker-{name}", answer(s3.delete_object_tagging, **place, **asked)


def play_put_object_if_match_versioned_bucket(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    place = {"Bucket": bucket, "Key": "test-precondition"}
    put = answer(s3.put_object, **place, Body=b"test")
    yield "put-obj", put
    yield "put-obj-if-none-match-bad-value", answer(s3.put_object, **place, Body=b"", IfMatch="wrong")
    yield "del-obj", answer(s3.delete_object, **place)
    yield "put-obj-after-del-exc", answer(s3.put_object, **place, Body=b"", IfMatch=put["ETag"])


def play_list_objects_versions_markers(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    keys = [f"test_{number}" for number in range(3)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=f"version {key[-1]}".encode()[:9])
    s3.put_object(Bucket=bucket, Key="test_2", Body=b"version 2")
    for key in keys:
        s3.delete_object(Bucket=bucket, Key=key)
    for key in keys[:2]:
        s3.put_object(Bucket=bucket, Key=key, Body=b"version 3")

    def listed(**asked: Any) -> dict[str, Any]:
        return without_bytes(answer(s3.list_object_versions, Bucket=bucket, **asked))

    yield "list-objects-versions-5", listed(MaxKeys=5)
    yield "list-objects-next-key-only", listed(MaxKeys=1, KeyMarker="test_1")
    yield "list-objects-next-key-last", listed(MaxKeys=1, KeyMarker="test_2")
    marker = listed(MaxKeys=5)["NextVersionIdMarker"]
    yield "list-objects-next-version-only", listed(MaxKeys=1, VersionIdMarker=marker)
    yield "list-objects-both-markers", listed(MaxKeys=1, KeyMarker="test_1", VersionIdMarker=marker)
    yield "list-objects-next-key-empty", listed(MaxKeys=1, KeyMarker="")


def play_list_object_versions_pagination_common_prefixes(s3: Any, bucket: str) -> Steps:
    keep_versions(s3, bucket)
    for key in ("aSubfolder/subFile1", "aSubfolder/subFile2", "file1", "file2"):
        s3.put_object(Bucket=bucket, Key=f"folder/{key}", Body=b"content 123"[:11])

    def listed(**asked: Any) -> dict[str, Any]:
        return without_bytes(answer(s3.list_object_versions, Bucket=bucket, **asked))

    folded = {"Prefix": "folder/", "Delimiter": "/", "MaxKeys": 1}
    yield "list-object-versions-all-keys", listed()
    yield "list-object-versions-start", listed(**folded)
    yield "list-object-versions-next-1", listed(**folded, KeyMarker="folder/aSubfolder/")
    yield "list-object-versions-end", listed(**folded, KeyMarker="folder/file1")
    yield "list-object-versions-manual-first-file", listed(**folded, KeyMarker="folder/aSubfolder/subFile1")


def without_bytes(answered: dict[str, Any]) -> dict[str, Any]:
    """The listing without what depends on bytes that no recording holds."""
    for row in answered.get("Versions", ()):
        row |= dict.fromkeys(row.keys() & set(OF_BYTES), ANY)
    return answered


def play_bucket_policy_crud(s3: Any, bucket: str) -> Steps:
    yield "get-bucket-default-policy", answer(s3.get_bucket_policy, Bucket=bucket)
    s3.delete_public_access_block(Bucket=bucket)
    statement = {
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    yield "put-bucket-policy", answer(s3.put_bucket_policy, Bucket=bucket, Policy=policy)
    told = answer(s3.get_bucket_policy, Bucket=bucket)
    yield "get-bucket-policy", {**told, "Policy": json.loads(told["Policy"])}
    yield "delete-bucket-policy", answer(s3.delete_bucket_policy, Bucket=bucket)
    yield "get-bucket-policy-after-delete", answer(s3.get_bucket_policy, Bucket=bucket)
    yield "delete-bucket-policy-after-delete", answer(s3.delete_bucket_policy, Bucket=bucket)


def play_bucket_policy_exc(s3: Any, bucket: str) -> Steps:
    for step, text in (
        ("empty-bucket-policy", ""),
        ("bucket-policy-randomstring", "invalid json"),
        ("bucket-policy-empty-json", "{}"),
    ):
        yield f"put-{step}", answer(s3.put_bucket_policy, Bucket=bucket, Policy=text)


def play_crud_public_access_block(s3: Any, bucket: str) -> Steps:
    yield "get-default-public-access-block", answer(s3.get_public_access_block, Bucket=bucket)
    none = dict.fromkeys(("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"), False)
    yield (
        "put-public-access-block",
        answer(s3.put_public_access_block, Bucket=bucket, PublicAccessBlockConfiguration=none),
    )
    yield "get-public-access-block", answer(s3.get_public_access_block, Bucket=bucket)
    yield "delete-public-access-block", answer(s3.delete_public_access_block, Bucket=bucket)
    yield "get-public-access-block-after-delete", answer(s3.get_public_access_block, Bucket=bucket)
    yield "idempotent-delete-public-access-block", answer(s3.delete_public_access_block, Bucket=bucket)


def play_crud_bucket_ownership_controls(s3: Any, bucket: str) -> Steps:
    yield "default-ownership", answer(s3.get_bucket_ownership_controls, Bucket=bucket)


def play_delete_cors(s3: Any, bucket: str) -> Steps:
    rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
    yield "delete-cors-before-set", answer(s3.delete_bucket_cors, Bucket=bucket)
    yield "put-cors", answer(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=rules)
    yield "get-cors", answer(s3.get_bucket_cors, Bucket=bucket)
    yield "delete-cors", answer(s3.delete_bucket_cors, Bucket=bucket)
    yield "get-cors-deleted", answer(s3.get_bucket_cors, Bucket=bucket)


def play_put_cors_invalid_rules(s3: Any, bucket: str) -> Steps:
    wrong = {"CORSRules": [{"AllowedMethods": ["MYMETHOD"], "AllowedOrigins": ["*"]}]}
    yield "put-cors-exc", answer(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration=wrong)
    yield "put-cors-exc-empty", answer(s3.put_bucket_cors, Bucket=bucket, CORSConfiguration={"CORSRules": []})


def default_encryption(*rules: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"Rules": [{"ApplyServerSideEncryptionByDefault": each, **more} for each in rules]}


def play_s3_default_bucket_encryption_exc(s3: Any, bucket: str) -> Steps:
    put, none = s3.put_bucket_encryption, "no-such-bucket-here"
    aes = default_encryption({"SSEAlgorithm": "AES256"})
    yield "get-bucket-enc-no-bucket", answer(s3.get_bucket_encryption, Bucket=none)
    yield "delete-bucket-enc-no-bucket", answer(s3.delete_bucket_encryption, Bucket=none)
    yield "put-bucket-enc-no-bucket", answer(put, Bucket=none, ServerSideEncryptionConfiguration=aes)
    no_rules = default_encryption()
    yield "put-bucket-encryption-no-rules", answer(put, Bucket=bucket, ServerSideEncryptionConfiguration=no_rules)
    two = default_encryption({"SSEAlgorithm": "AES256"}, {"SSEAlgorithm": "aws:kms"}, BucketKeyEnabled=True)
    yield "put-bucket-encryption-two-rules", answer(put, Bucket=bucket, ServerSideEncryptionConfiguration=two)
    mixed = default_encryption({"SSEAlgorithm": "AES256", "KMSMasterKeyID": "key"}, BucketKeyEnabled=True)
    yield "put-bucket-encryption-kms-with-aes", answer(put, Bucket=bucket, ServerSideEncryptionConfiguration=mixed)


def play_s3_bucket_encryption_sse_s3(s3: Any, bucket: str) -> Steps:
    aes = default_encryption({"SSEAlgorithm": "AES256"})
    yield "put-bucket-enc", answer(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration=aes)
    place = {"Bucket": bucket, "Key": "k"}
    yield "put-object-encrypted", answer(s3.put_object, **place, Body=b"test-encrypted")
    yield "head-object-encrypted", answer(s3.head_object, **place)
    yield "get-object-encrypted", answer(s3.get_object, **place)


def play_s3_bucket_encryption_sse_kms_aws_managed_key(s3: Any, bucket: str) -> Steps:
    kms = default_encryption({"SSEAlgorithm": "aws:kms"}, BucketKeyEnabled=True)
    yield "put-bucket-enc", answer(s3.put_bucket_encryption, Bucket=bucket, ServerSideEncryptionConfiguration=kms)
    yield "get-bucket-enc", answer(s3.get_bucket_encryption, Bucket=bucket)
    place = {"Bucket": bucket, "Key": "k"}
    yield "put-object-encrypted", without_etag(answer(s3.put_object, **place, Body=b"test-encrypted"))
    yield "head-object-encrypted", without_etag(answer(s3.head_object, **place))
    yield "get-object-encrypted", without_etag(answer(s3.get_object, **place))


def without_etag(answered: dict[str, Any]) -> dict[str, Any]:
    """The answer without an entity tag that is no digest of anything, but drawn each time."""
    assert len(answered["ETag"]) == 34
    return {name: value for name, value in answered.items() if name != "ETag"}


Play = Callable[[Any, str], Steps]
PLAYS: list[Play] = [play for name, play in list(globals().items()) if name.startswith("play_")]


@pytest.mark.parametrize("play", PLAYS, ids=lambda play: play.__name__.removeprefix("play_"))
def test_the_answers_are_those_recorded(s3: Any, bucket: str, play: Play) -> None:
    scenario = play.__name__.replace("play_", "test_", 1)
    recorded = scenarios()[scenario]
    found = {step: list(differences(recorded[step], ours)) for step, ours in play(s3, bucket)}
    expected = {step: DEVIATIONS.get((scenario, step), []) for step in found}

    assert found == expected
    assert found, "a play without steps compares nothing"


def test_every_deviation_belongs_to_a_play() -> None:
    assert {scenario for scenario, _ in DEVIATIONS} <= {play.__name__.replace("play_", "test_", 1) for play in PLAYS}


@pytest.mark.parametrize(
    ("ours", "difference"),
    [
        ({"Tags": [{"Key": "a", "Value": "b"}], "ResponseMetadata": {"HTTPStatusCode": 200}}, None),
        ({"Tags": [{"Key": "a", "Value": "c"}], "ResponseMetadata": {"HTTPStatusCode": 200}},
         "Tags[0].Value: 'b' was recorded, not 'c'"),
        ({"Tags": [], "ResponseMetadata": {"HTTPStatusCode": 200}},
         "Tags: [{'Key': 'a', 'Value': 'b'}] was recorded, not []"),
        ({"ResponseMetadata": {"HTTPStatusCode": 200}}, "Tags: missing"),
        ({"Tags": [{"Key": "a", "Value": "b"}], "ResponseMetadata": {"HTTPStatusCode": 204}},
         "status: 200 was recorded, not 204"),
    ],
)  # fmt: skip
def test_an_answer_that_is_not_the_recorded_one_is_told(ours: dict[str, Any], difference: str | None) -> None:
    recorded = {"Tags": [{"Key": "a", "Value": "b"}], "ResponseMetadata": {"HTTPStatusCode": 200}}
    assert list(differences(recorded, ours)) == ([] if difference is None else [difference])
