"""What a bucket and its objects say of themselves: classes, owners, regions, and settings that hold anyway."""

import base64
import hashlib
import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import httpx
import pytest
from botocore.exceptions import ClientError

from outcrop.api.s3.members import location_of
from tests.support.servers import Running, running_server

NUMBERS = count()
CLASSES = (
    "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE", "GLACIER_IR",
)  # fmt: skip
FOUR = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("states") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: Running) -> Any:
    return server.client("s3", config={"s3": {"addressing_style": "path"}})


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"states-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    return name


def refusal(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


# Storage classes


@pytest.mark.parametrize("name", CLASSES)
def test_a_storage_class_is_kept_and_told_everywhere(s3: Any, bucket: str, name: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"here at once", StorageClass=name)
    assert s3.head_object(**place)["StorageClass"] == name
    found = s3.get_object(**place)
    assert (found["StorageClass"], found["Body"].read()) == (name, b"here at once")
    assert s3.get_object_attributes(**place, ObjectAttributes=["StorageClass"])["StorageClass"] == name
    for listing, member in (
        (s3.list_objects, "Contents"),
        (s3.list_objects_v2, "Contents"),
        (s3.list_object_versions, "Versions"),
    ):
        assert listing(Bucket=bucket)[member][0]["StorageClass"] == name


def test_the_standard_class_is_told_in_listings_only(s3: Any, bucket: str) -> None:
    s3.put_object(Bucket=bucket, Key="k", Body=b"", StorageClass="STANDARD")
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="k")
    assert s3.list_objects_v2(Bucket=bucket)["Contents"][0]["StorageClass"] == "STANDARD"


def test_an_upload_in_parts_has_its_class_from_the_start(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**place, StorageClass="ONEZONE_IA")["UploadId"]
    assert s3.list_multipart_uploads(Bucket=bucket)["Uploads"][0]["StorageClass"] == "ONEZONE_IA"
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
    assert s3.list_parts(**place, UploadId=upload)["StorageClass"] == "ONEZONE_IA"
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    assert s3.head_object(**place)["StorageClass"] == "ONEZONE_IA"


def test_a_copy_has_the_class_it_is_given(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**source, Body=b"x", StorageClass="GLACIER_IR", Metadata={"m": "1"}, ContentType="a/b")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source)
    assert "StorageClass" not in s3.head_object(Bucket=bucket, Key="b")
    s3.copy_object(Bucket=bucket, Key="c", CopySource=source, StorageClass="STANDARD_IA")
    assert s3.head_object(Bucket=bucket, Key="c")["StorageClass"] == "STANDARD_IA"

    s3.copy_object(**source, CopySource=source, StorageClass="STANDARD")
    moved = s3.head_object(**source)
    assert "StorageClass" not in moved
    assert (moved["Metadata"], moved["ContentType"]) == ({"m": "1"}, "a/b")
    assert refusal(s3.copy_object, **source, CopySource=source) == ("InvalidRequest", 400)


@pytest.mark.parametrize("name", ["unknown", "standard", "OUTPOSTS", "SNOW", "EXPRESS_ONEZONE"])
def test_a_class_that_is_none_of_a_bucket_is_refused_by_every_write(s3: Any, bucket: str, name: str) -> None:
    place, invalid = {"Bucket": bucket, "Key": "k"}, ("InvalidStorageClass", 400)
    s3.put_object(**place, Body=b"old")
    assert refusal(s3.put_object, **place, Body=b"new", StorageClass=name) == invalid
    assert refusal(s3.create_multipart_upload, **place, StorageClass=name) == invalid
    assert refusal(s3.copy_object, Bucket=bucket, Key="b", CopySource=place, StorageClass=name) == invalid
    form = s3.generate_presigned_post(
        bucket, "k", Fields={"x-amz-storage-class": name}, Conditions=[{"x-amz-storage-class": name}]
    )
    answer = httpx.post(form["url"], data=form["fields"], files={"file": b"new"})
    assert (answer.status_code, "<Code>InvalidStorageClass</Code>" in answer.text) == (400, True)
    assert s3.get_object(**place)["Body"].read() == b"old"


def test_a_form_may_name_a_class(s3: Any, bucket: str) -> None:
    field = {"x-amz-storage-class": "STANDARD_IA"}
    form = s3.generate_presigned_post(bucket, "k", Fields=field, Conditions=[field])
    assert httpx.post(form["url"], data=form["fields"], files={"file": b"x"}).status_code == 204
    assert s3.head_object(Bucket=bucket, Key="k")["StorageClass"] == "STANDARD_IA"


def test_a_redirection_is_of_one_object_and_has_a_form(s3: Any, bucket: str) -> None:
    source = {"Bucket": bucket, "Key": "a"}
    s3.put_object(**source, Body=b"", WebsiteRedirectLocation="/b", CacheControl="no-store")
    s3.copy_object(Bucket=bucket, Key="b", CopySource=source)
    copied = s3.head_object(Bucket=bucket, Key="b")
    assert ("WebsiteRedirectLocation" in copied, copied["CacheControl"]) == (False, "no-store")
    s3.copy_object(**source, CopySource=source, WebsiteRedirectLocation="https://c/")
    assert s3.head_object(**source)["WebsiteRedirectLocation"] == "https://c/"
    wrong = refusal(s3.put_object, **source, Body=b"", WebsiteRedirectLocation="elsewhere")
    assert wrong == ("InvalidRedirectLocation", 400)


# Encryption and locks


UNBUILT = [
    {"ServerSideEncryption": "aws:kms:dsse"},
    {"ObjectLockMode": "GOVERNANCE"},
    {"ObjectLockRetainUntilDate": "2099-01-01T00:00:00Z"},
    {"ObjectLockLegalHoldStatus": "ON"},
]


@pytest.mark.parametrize("asked", UNBUILT)
def test_what_is_not_encrypted_or_locked_is_not_said_to_be(s3: Any, bucket: str, asked: dict[str, Any]) -> None:
    place, unbuilt = {"Bucket": bucket, "Key": "k"}, ("NotImplemented", 501)
    s3.put_object(**place, Body=b"old")
    assert refusal(s3.put_object, **place, Body=b"", **asked) == unbuilt
    assert refusal(s3.create_multipart_upload, **place, **asked) == unbuilt
    assert refusal(s3.copy_object, Bucket=bucket, Key="b", CopySource=place, **asked) == unbuilt


def test_a_form_is_refused_like_a_put(s3: Any, bucket: str) -> None:
    for name, value in (("x-amz-server-side-encryption", "aws:kms:dsse"), ("x-amz-object-lock-mode", "GOVERNANCE")):
        form = s3.generate_presigned_post(bucket, "k", Fields={name: value}, Conditions=[{name: value}])
        assert httpx.post(form["url"], data=form["fields"], files={"file": b"x"}).status_code == 501
    assert refusal(s3.head_object, Bucket=bucket, Key="k") == ("404", 404)


def test_an_object_of_an_unlocked_bucket_has_no_retention(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"")
    for action, asked in (
        (s3.get_object_retention, {}),
        (s3.put_object_retention, {"Retention": {"Mode": "GOVERNANCE", "RetainUntilDate": "2099-01-01T00:00:00Z"}}),
        (s3.get_object_legal_hold, {}),
        (s3.put_object_legal_hold, {"LegalHold": {"Status": "ON"}}),
    ):
        assert refusal(action, **place, **asked) == ("InvalidRequest", 400)
    assert refusal(s3.get_object_retention, Bucket=bucket, Key="none") == ("NoSuchKey", 404)


# Regions and owners


INCOMPATIBLE, INVALID = ("IllegalLocationConstraintException", 400), ("InvalidLocationConstraint", 400)


@pytest.mark.parametrize(
    ("client_region", "constraint", "expected"),
    [
        ("us-east-1", None, None),
        ("us-east-1", "eu-west-1", "eu-west-1"),
        ("us-east-1", "EU", "eu-west-1"),
        ("us-east-1", "us-east-1", INVALID),
        ("us-east-1", "mars-north-1", INVALID),
        ("us-east-1", "eu_west_1", INVALID),
        ("eu-west-1", "eu-west-1", "eu-west-1"),
        ("eu-west-1", "EU", "eu-west-1"),
        ("eu-west-1", None, INCOMPATIBLE),
        ("eu-west-1", "us-west-2", INCOMPATIBLE),
        ("eu-west-1", "us-east-1", INVALID),
        ("ap-northeast-1", "EU", INCOMPATIBLE),
        ("ap-northeast-1", "mars-north-1", INVALID),
        ("home", "home", "home"),
    ],
)
def test_a_bucket_is_made_where_the_client_speaks(
    server: Running, client_region: str, constraint: str | None, expected: Any
) -> None:
    s3 = server.client("s3", region_name=client_region, config={"s3": {"addressing_style": "path"}})
    asked: dict[str, Any] = {"Bucket": f"region-{next(NUMBERS)}"}
    if constraint is not None:
        asked["CreateBucketConfiguration"] = {"LocationConstraint": constraint}
    if isinstance(expected, tuple):
        assert refusal(s3.create_bucket, **asked) == expected
        assert refusal(s3.head_bucket, Bucket=asked["Bucket"]) == ("404", 404)
    else:
        s3.create_bucket(**asked)
        assert s3.get_bucket_location(Bucket=asked["Bucket"])["LocationConstraint"] == expected


def test_the_account_owns_what_is_in_a_bucket(s3: Any) -> None:
    name = f"owned-{next(NUMBERS)}"
    for ownership in ("ObjectWriter", "BucketOwnerPreferred"):
        assert refusal(s3.create_bucket, Bucket=name, ObjectOwnership=ownership) == ("NotImplemented", 501)
    assert refusal(s3.create_bucket, Bucket=name, ObjectOwnership="Nobody") == ("InvalidArgument", 400)
    s3.create_bucket(Bucket=name, ObjectOwnership="BucketOwnerEnforced", ACL="private")


@pytest.mark.parametrize(
    "asked",
    [
        {"CreateBucketConfiguration": {"Bucket": {"Type": "Directory", "DataRedundancy": "SingleAvailabilityZone"}}},
        {"CreateBucketConfiguration": {"Location": {"Type": "AvailabilityZone", "Name": "use1-az1"}}},
        {"BucketNamespace": "account-regional"},
        {"ObjectLockEnabledForBucket": True},
    ],
)
def test_a_bucket_of_another_kind_is_refused(s3: Any, asked: dict[str, Any]) -> None:
    name = f"kind-{next(NUMBERS)}"
    assert refusal(s3.create_bucket, Bucket=name, **asked) == ("NotImplemented", 501)
    assert refusal(s3.head_bucket, Bucket=name) == ("404", 404)


# Settings


def test_a_second_factor_for_deletions_is_refused_by_name(s3: Any, bucket: str) -> None:
    asked = {"Status": "Enabled", "MFADelete": "Enabled"}
    assert refusal(s3.put_bucket_versioning, Bucket=bucket, VersioningConfiguration=asked) == ("NotImplemented", 501)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)


def test_the_four_blocks_are_switched_one_by_one(s3: Any, bucket: str) -> None:
    whole = dict.fromkeys(FOUR, True)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == whole
    for name in FOUR:
        s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={name: True})
        found = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
        assert found == {each: each == name for each in FOUR}
    s3.delete_public_access_block(Bucket=bucket)
    code = ("NoSuchPublicAccessBlockConfiguration", 404)
    assert refusal(s3.get_public_access_block, Bucket=bucket) == code
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration=whole)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"] == whole


def test_ownership_may_be_enforced(s3: Any, bucket: str) -> None:
    enforced = {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]}
    s3.put_bucket_ownership_controls(Bucket=bucket, OwnershipControls=enforced)
    assert s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"] == enforced
    for other in ("ObjectWriter", "BucketOwnerPreferred"):
        controls = {"Rules": [{"ObjectOwnership": other}]}
        refused = refusal(s3.put_bucket_ownership_controls, Bucket=bucket, OwnershipControls=controls)
        assert refused == ("NotImplemented", 501)
    s3.delete_bucket_ownership_controls(Bucket=bucket)
    assert refusal(s3.get_bucket_ownership_controls, Bucket=bucket) == ("OwnershipControlsNotFoundError", 404)


HELD: list[tuple[str, str, Any, Any]] = [
    ("put_bucket_request_payment", "RequestPaymentConfiguration", {"Payer": "BucketOwner"}, {"Payer": "Requester"}),
    ("put_bucket_accelerate_configuration", "AccelerateConfiguration", {"Status": "Suspended"}, {"Status": "Enabled"}),
    ("put_bucket_logging", "BucketLoggingStatus", {}, {"LoggingEnabled": {"TargetBucket": "b", "TargetPrefix": ""}}),
    ("put_bucket_notification_configuration", "NotificationConfiguration", {}, {"EventBridgeConfiguration": {}}),
    ("put_bucket_abac", "AbacStatus", {"Status": "Disabled"}, {"Status": "Enabled"}),
]


@pytest.mark.parametrize(("operation", "member", "held", "other"), HELD)
def test_what_holds_anyway_may_be_set(s3: Any, bucket: str, operation: str, member: str, held: Any, other: Any) -> None:
    action = getattr(s3, operation)
    action(Bucket=bucket, **{member: held})
    assert refusal(action, Bucket=bucket, **{member: other}) == ("NotImplemented", 501)
    assert refusal(action, Bucket="no-such-bucket", **{member: held}) == ("NoSuchBucket", 404)


def test_acceleration_that_was_suspended_is_told(s3: Any, bucket: str) -> None:
    assert "Status" not in s3.get_bucket_accelerate_configuration(Bucket=bucket)
    s3.put_bucket_accelerate_configuration(Bucket=bucket, AccelerateConfiguration={"Status": "Suspended"})
    assert s3.get_bucket_accelerate_configuration(Bucket=bucket)["Status"] == "Suspended"


def test_settings_go_with_their_bucket(s3: Any, bucket: str) -> None:
    s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Suspended"})
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=bucket_policy(bucket))
    s3.delete_bucket(Bucket=bucket)
    s3.create_bucket(Bucket=bucket)
    assert "Status" not in s3.get_bucket_versioning(Bucket=bucket)
    assert s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]["BlockPublicAcls"]
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)


def test_the_owners_own_list_may_be_set(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"")
    for put, get, at in (
        (s3.put_bucket_acl, s3.get_bucket_acl, {"Bucket": bucket}),
        (s3.put_object_acl, s3.get_object_acl, place),
    ):
        told = get(**at)
        policy = {"Owner": told["Owner"], "Grants": told["Grants"]}
        put(**at, AccessControlPolicy=policy)
        put(**at, ACL="private")
        everyone = {"Type": "Group", "URI": "http://acs.amazonaws.com/groups/global/AllUsers"}
        open_to_all = [*told["Grants"], {"Grantee": everyone, "Permission": "READ"}]
        for grants in (open_to_all, [], [{**told["Grants"][0], "Permission": "READ"}]):
            refused = refusal(put, **at, AccessControlPolicy={"Owner": told["Owner"], "Grants": grants})
            assert refused == NO_LISTS
        assert refusal(put, **at, GrantRead="id=1") == NO_LISTS


NO_LISTS = ("AccessControlListNotSupported", 400)
OTHER_LISTS = ["public-read", "public-read-write", "aws-exec-read", "authenticated-read", "bucket-owner-read"]


@pytest.mark.parametrize("canned", OTHER_LISTS)
def test_a_canned_list_that_lets_others_in_is_refused_in_s3s_words(s3: Any, bucket: str, canned: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"")
    assert refusal(s3.put_object, **place, Body=b"", ACL=canned) == NO_LISTS
    assert refusal(s3.copy_object, Bucket=bucket, Key="b", CopySource=place, ACL=canned) == NO_LISTS
    assert refusal(s3.create_multipart_upload, **place, ACL=canned) == NO_LISTS
    assert refusal(s3.put_object_acl, **place, ACL=canned) == NO_LISTS
    assert refusal(s3.put_bucket_acl, Bucket=bucket, ACL=canned) == NO_LISTS
    made = refusal(s3.create_bucket, Bucket=f"{bucket}-new", ACL=canned)
    assert made == ("InvalidBucketAclWithObjectOwnership", 400)
    assert refusal(s3.head_bucket, Bucket=f"{bucket}-new") == ("404", 404)


def test_lists_that_are_the_owners_alone_are_taken(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    for canned in ("private", "bucket-owner-full-control"):
        s3.put_object(**place, Body=b"", ACL=canned)
        s3.put_object_acl(**place, ACL=canned)
    assert refusal(s3.put_object, **place, Body=b"", ACL="nonsense") == ("InvalidArgument", 400)
    assert refusal(s3.create_bucket, Bucket=f"{bucket}-new", GrantRead="id=1") == (
        "InvalidBucketAclWithObjectOwnership", 400,
    )  # fmt: skip


def test_what_nobody_set_may_be_removed_by_cleanup_scripts(s3: Any, bucket: str) -> None:
    for kind in ("policy", "lifecycle", "replication", "website", "encryption", "cors", "tagging"):
        getattr(s3, f"delete_bucket_{kind}")(Bucket=bucket)
        assert refusal(getattr(s3, f"delete_bucket_{kind}"), Bucket="no-such-bucket") == ("NoSuchBucket", 404)
    for kind in ("analytics", "intelligent_tiering", "inventory", "metrics"):
        action = getattr(s3, f"delete_bucket_{kind}_configuration")
        assert refusal(action, Bucket=bucket, Id="1") == ("NoSuchConfiguration", 404)


# Answers


def test_an_unmodified_object_tells_what_a_cache_goes_on_with(s3: Any, server: Running, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    etag = s3.put_object(**place, Body=b"x", CacheControl="max-age=9", Metadata={"a": "1"})["ETag"]
    whole = s3.head_object(**place)["ResponseMetadata"]["HTTPHeaders"]
    for operation, method in (("get_object", "GET"), ("head_object", "HEAD")):
        asked = {**place, "IfNoneMatch": etag}
        url = s3.generate_presigned_url(operation, Params=place)
        for headers in ({"If-None-Match": etag}, {"If-Modified-Since": whole["last-modified"]}):
            answer = httpx.request(method, url, headers=headers)
            assert (answer.status_code, answer.content) == (304, b"")
            told = {name: answer.headers.get(name) for name in ("etag", "last-modified", "cache-control")}
            assert told == {name: whole[name] for name in told}
        with pytest.raises(ClientError) as unmodified:
            getattr(s3, operation)(**asked)
        assert unmodified.value.response["Error"]["Code"] == "304"


def test_a_removal_may_ask_that_something_is_there(s3: Any, bucket: str) -> None:
    place = {"Bucket": bucket, "Key": "k"}
    s3.put_object(**place, Body=b"x")
    assert s3.delete_object(**place, IfMatch="*")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert refusal(s3.delete_object, **place, IfMatch="*") == ("NoSuchKey", 404)
    s3.put_object(**place, Body=b"x")
    named = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "k", "ETag": "*"}]})
    assert [each["Key"] for each in named["Deleted"]] == ["k"]
    assert refusal(s3.put_object, **place, Body=b"x", IfMatch="*") == ("NotImplemented", 501)


def test_a_completed_upload_is_where_the_client_sent_it(server: Running, bucket: str) -> None:
    address = server.endpoint.replace("127.0.0.1", "localhost")
    client = server.client("s3", endpoint_url=address, config={"s3": {"addressing_style": "path"}})
    place = {"Bucket": bucket, "Key": "a/b ü"}
    upload = client.create_multipart_upload(**place)["UploadId"]
    part = client.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = client.complete_multipart_upload(**place, UploadId=upload, MultipartUpload=parts)
    assert done["Location"] == f"{address}/{bucket}/a/b%20%C3%BC"


@pytest.mark.parametrize(
    ("host", "secure", "expected"),
    [
        ("127.0.0.1:4580", False, "http://127.0.0.1:4580/books/a/b%20c"),
        ("books.localhost:4580", False, "http://books.localhost:4580/a/b%20c"),
        ("books.s3.eu-west-1.localhost", True, "https://books.s3.eu-west-1.localhost/a/b%20c"),
        ("storage.example", True, "https://storage.example/books/a/b%20c"),
    ],
)
def test_an_objects_address_is_as_the_client_spells_it(host: str, secure: bool, expected: str) -> None:
    assert location_of({"host": host}, secure=secure, bucket="books", key="a/b c") == expected


def test_a_document_is_held_to_its_digest(s3: Any, bucket: str) -> None:
    tags = {"TagSet": [{"Key": "a", "Value": "b"}]}
    wrong = base64.b64encode(hashlib.md5(b"other").digest()).decode()
    assert refusal(s3.put_bucket_tagging, Bucket=bucket, Tagging=tags, ContentMD5=wrong) == ("BadDigest", 400)
    assert refusal(s3.put_bucket_tagging, Bucket=bucket, Tagging=tags, ContentMD5="?") == ("InvalidDigest", 400)

    def set_header(params: Any, **_: Any) -> None:
        params["headers"]["x-amz-checksum-crc32"] = "AAAAAA=="

    s3.meta.events.register("before-call.s3.DeleteObjects", set_header)
    try:
        s3.put_object(Bucket=bucket, Key="k", Body=b"")
        named = {"Objects": [{"Key": "k"}]}
        assert refusal(s3.delete_objects, Bucket=bucket, Delete=named) == ("BadDigest", 400)
    finally:
        s3.meta.events.unregister("before-call.s3.DeleteObjects", set_header)
    assert s3.delete_objects(Bucket=bucket, Delete=named)["Deleted"] == [{"Key": "k"}]


CRC = "AAAAAA=="


def test_a_completion_says_nothing_that_is_not_looked_at(s3: Any, bucket: str) -> None:
    place, invalid = {"Bucket": bucket, "Key": "k"}, ("InvalidRequest", 400)

    def begun(**asked: Any) -> dict[str, Any]:
        """The parameters that complete an upload of one part."""
        upload = s3.create_multipart_upload(**place, **asked)["UploadId"]
        part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
        parts = [{"PartNumber": 1, "ETag": part["ETag"]}]
        return {**place, "UploadId": upload, "MultipartUpload": {"Parts": parts}}

    composite = begun(ChecksumAlgorithm="CRC32")
    assert refusal(s3.complete_multipart_upload, **composite, ChecksumType="FULL_OBJECT") == invalid
    assert refusal(s3.complete_multipart_upload, **composite, ChecksumSHA256="A" * 43 + "=") == invalid
    assert refusal(s3.complete_multipart_upload, **composite, ChecksumCRC32=CRC) == ("BadDigest", 400)
    assert s3.complete_multipart_upload(**composite, ChecksumType="COMPOSITE")["ChecksumType"] == "COMPOSITE"
    whole = begun(ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    assert refusal(s3.complete_multipart_upload, **whole, ChecksumType="COMPOSITE") == invalid
    assert refusal(s3.complete_multipart_upload, **whole, MpuObjectSize=2) == invalid
    assert s3.complete_multipart_upload(**whole, MpuObjectSize=1)["ChecksumType"] == "FULL_OBJECT"


def test_a_checksum_that_no_upload_asked_for_is_not_taken_on_trust(server: Running, bucket: str) -> None:
    quiet = {"request_checksum_calculation": "when_required", "s3": {"addressing_style": "path"}}
    s3, place = server.client("s3", config=quiet), {"Bucket": bucket, "Key": "k"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    part = s3.upload_part(**place, UploadId=upload, PartNumber=1, Body=b"x")
    chosen = {"PartNumber": 1, "ETag": part["ETag"]}
    asked = {**place, "UploadId": upload}
    complete = s3.complete_multipart_upload
    whole = {"MultipartUpload": {"Parts": [chosen]}, "ChecksumCRC32": CRC}
    assert refusal(complete, **asked, **whole) == ("InvalidRequest", 400)
    each = {"MultipartUpload": {"Parts": [{**chosen, "ChecksumCRC32": CRC}]}}
    assert refusal(complete, **asked, **each) == ("InvalidPart", 400)
    assert complete(**asked, MultipartUpload={"Parts": [chosen]}, ChecksumType="FULL_OBJECT")["ETag"]


def test_another_owner_is_refused_by_every_operation_on_a_bucket(s3: Any, bucket: str) -> None:
    for operation in (
        "get_bucket_location",
        "head_bucket",
        "list_objects_v2",
        "get_bucket_versioning",
        "get_bucket_acl",
    ):
        code, status = refusal(getattr(s3, operation), Bucket=bucket, ExpectedBucketOwner="123456789012")
        assert (code, status) in (("AccessDenied", 403), ("403", 403)), operation


# Policies


SERVICE = {"Service": "bedrock.amazonaws.com"}


def bucket_policy(bucket: str, **changes: Any) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": SERVICE,
        "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [{**statement, **changes}]})


def test_a_policy_may_let_services_in_and_is_told_as_it_was_put(s3: Any, bucket: str) -> None:
    policy = bucket_policy(bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=policy)
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"] == policy
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(s3.get_bucket_policy, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refusal(s3.get_bucket_policy_status, Bucket=bucket) == ("NoSuchBucketPolicy", 404)
    assert refusal(s3.put_bucket_policy, Bucket="no-such-bucket", Policy=policy) == ("NoSuchBucket", 404)
