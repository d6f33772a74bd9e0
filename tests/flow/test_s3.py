"""The built-in S3 as clients know it: a real server process, and boto3 as it comes."""

import hashlib
import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from outcrop.settings import Settings
from outcrop.store.store import Store
from tests.support.servers import ServerProcess, server_process

MIB = 1024**2
BUCKET = "books"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("s3") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def settings(running: ServerProcess) -> Settings:
    return running.settings


@pytest.fixture(scope="module")
def server(running: ServerProcess) -> str:
    return running.endpoint


@pytest.fixture(scope="module")
def session(running: ServerProcess) -> boto3.Session:
    keys = running.installation
    return boto3.Session(
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        region_name="us-east-1",
    )


@pytest.fixture(scope="module")
def s3(session: boto3.Session, server: str) -> Iterator[Any]:
    config = Config(signature_version="s3v4", retries={"max_attempts": 1})
    made = session.client("s3", endpoint_url=server, config=config)
    made.create_bucket(Bucket=BUCKET)
    yield made
    made.close()


def refusal(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


# Buckets


def test_buckets_come_and_go(s3: Any) -> None:
    s3.create_bucket(Bucket="in-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})

    assert s3.get_bucket_location(Bucket="in-europe")["LocationConstraint"] == "eu-west-1"
    assert s3.get_bucket_location(Bucket=BUCKET)["LocationConstraint"] is None
    assert s3.head_bucket(Bucket="in-europe")["BucketRegion"] == "eu-west-1"
    assert {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]} >= {BUCKET, "in-europe"}
    assert abs(s3.list_buckets()["Buckets"][0]["CreationDate"] - datetime.now(UTC)) < timedelta(minutes=10)
    assert refusal(
        s3.create_bucket, Bucket="in-europe", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"}
    ) == ("BucketAlreadyOwnedByYou", 409)
    s3.create_bucket(Bucket=BUCKET)  # in us-east-1 that is no error
    s3.delete_bucket(Bucket="in-europe")
    assert refusal(s3.head_bucket, Bucket="in-europe") == ("404", 404)
    assert refusal(s3.list_objects_v2, Bucket="in-europe") == ("NoSuchBucket", 404)
    assert refusal(s3.create_bucket, Bucket="a..b") == ("InvalidBucketName", 400)
    assert "Status" not in s3.get_bucket_versioning(Bucket=BUCKET)


def test_a_bucket_with_an_object_stays(s3: Any) -> None:
    s3.create_bucket(Bucket="not-empty")
    s3.put_object(Bucket="not-empty", Key="a", Body=b"")

    assert refusal(s3.delete_bucket, Bucket="not-empty") == ("BucketNotEmpty", 409)


# Objects


def test_an_object_keeps_what_stands_beside_its_bytes(s3: Any) -> None:
    put = s3.put_object(
        Bucket=BUCKET,
        Key="beside/a b+c/俳句.txt",
        Body="古池や".encode(),
        ContentType="text/plain; charset=utf-8",
        CacheControl="no-store",
        ContentDisposition='attachment; filename="x"',
        ContentEncoding="identity",
        ContentLanguage="ja",
        Expires=datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC),
        Metadata={"Author": "Basho"},
        Tagging="school=shofu&season=spring",
    )
    got = s3.get_object(Bucket=BUCKET, Key="beside/a b+c/俳句.txt", ChecksumMode="ENABLED")

    assert got["Body"].read().decode() == "古池や"
    assert got["ETag"] == put["ETag"]
    assert got["ChecksumCRC32"] == put["ChecksumCRC32"]
    assert got["ContentType"] == "text/plain; charset=utf-8"
    assert (got["CacheControl"], got["ContentLanguage"]) == ("no-store", "ja")
    assert (got["ContentDisposition"], got["ContentEncoding"]) == ('attachment; filename="x"', "identity")
    assert got["Expires"] == datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert got["Metadata"] == {"author": "Basho"}
    assert got["TagCount"] == 2
    assert got["AcceptRanges"] == "bytes"
    assert got["LastModified"].microsecond == 0
    tags = s3.get_object_tagging(Bucket=BUCKET, Key="beside/a b+c/俳句.txt")["TagSet"]
    assert tags == [{"Key": "school", "Value": "shofu"}, {"Key": "season", "Value": "spring"}]


def test_an_object_without_a_type_is_binary(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="plain", Body=b"x")

    assert s3.head_object(Bucket=BUCKET, Key="plain")["ContentType"] == "binary/octet-stream"


def test_an_empty_object_is_an_object(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="empty")

    got = s3.get_object(Bucket=BUCKET, Key="empty", ChecksumMode="ENABLED")
    assert (got["Body"].read(), got["ContentLength"]) == (b"", 0)
    assert got["ETag"] == '"d41d8cd98f00b204e9800998ecf8427e"'
    assert refusal(s3.get_object, Bucket=BUCKET, Key="empty", Range="bytes=0-") == ("InvalidRange", 416)


def test_what_follows_an_empty_object_on_its_connection_is_an_answer_of_its_own(s3: Any) -> None:
    for body in (b"1", b"2"):
        s3.put_object(Bucket=BUCKET, Key="empty-again", Body=b"")
        assert s3.put_object(Bucket=BUCKET, Key="full", Body=body)["ETag"] == f'"{hashlib.md5(body).hexdigest()}"'


@pytest.mark.parametrize("key", ["a//b", "dots/../a", "trailing/", " space ", "%2F", "q?a=b&c#d", "é/𐀀", "a:b@c"])
def test_a_key_is_taken_as_it_stands(s3: Any, key: str) -> None:
    s3.put_object(Bucket=BUCKET, Key=f"keys/{key}", Body=key.encode())

    assert s3.get_object(Bucket=BUCKET, Key=f"keys/{key}")["Body"].read() == key.encode()
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"keys/{key}")["Contents"]
    assert f"keys/{key}" in [entry["Key"] for entry in listed]


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_every_checksum_that_boto3_sends_is_kept(s3: Any, algorithm: str) -> None:
    put = s3.put_object(Bucket=BUCKET, Key="summed", Body=b"hello", ChecksumAlgorithm=algorithm)

    head = s3.head_object(Bucket=BUCKET, Key="summed", ChecksumMode="ENABLED")
    assert head[f"Checksum{algorithm}"] == put[f"Checksum{algorithm}"]
    assert head["ChecksumType"] == "FULL_OBJECT"
    assert f"Checksum{algorithm}" not in s3.head_object(Bucket=BUCKET, Key="summed")


@pytest.mark.parametrize(("member", "value"), [("ChecksumCRC32C", "mnG7TA=="), ("ChecksumCRC64NVME", "M3eFcAZSQlc=")])
def test_a_checksum_taken_by_the_sender_is_verified(s3: Any, member: str, value: str) -> None:
    assert s3.put_object(Bucket=BUCKET, Key="sent", Body=b"hello", **{member: value})[member] == value
    assert refusal(s3.put_object, Bucket=BUCKET, Key="sent", Body=b"hallo", **{member: value}) == ("BadDigest", 400)


def test_a_wrong_content_md5_is_refused(s3: Any) -> None:
    wrong = "1B2M2Y8AsgTpgAmY7PhCfA=="

    assert refusal(s3.put_object, Bucket=BUCKET, Key="md5", Body=b"x", ContentMD5=wrong) == ("BadDigest", 400)
    assert refusal(s3.put_object, Bucket=BUCKET, Key="md5", Body=b"x", ContentMD5="x") == ("InvalidDigest", 400)
    assert refusal(s3.head_object, Bucket=BUCKET, Key="md5") == ("404", 404)


def test_a_range_gives_its_bytes(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="digits", Body=b"0123456789")

    def part(asked: str) -> tuple[bytes, int, str | None]:
        got = s3.get_object(Bucket=BUCKET, Key="digits", Range=asked)
        return got["Body"].read(), got["ResponseMetadata"]["HTTPStatusCode"], got.get("ContentRange")

    assert part("bytes=2-4") == (b"234", 206, "bytes 2-4/10")
    assert part("bytes=8-") == (b"89", 206, "bytes 8-9/10")
    assert part("bytes=-3") == (b"789", 206, "bytes 7-9/10")
    assert part("bytes=0-1,3-4") == (b"0123456789", 200, None)
    assert refusal(s3.get_object, Bucket=BUCKET, Key="digits", Range="bytes=10-") == ("InvalidRange", 416)


def test_conditions_decide_reads_and_writes(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "conditional"}
    etag = s3.put_object(**place, Body=b"one", IfNoneMatch="*")["ETag"]

    assert refusal(s3.put_object, **place, Body=b"two", IfNoneMatch="*") == ("PreconditionFailed", 412)
    assert refusal(s3.put_object, **place, Body=b"two", IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refusal(s3.get_object, **place, IfNoneMatch=etag) == ("304", 304)
    assert refusal(s3.get_object, **place, IfMatch='"x"') == ("PreconditionFailed", 412)
    assert refusal(s3.head_object, **place, IfMatch='"x"') == ("412", 412)
    later = datetime.now(UTC) + timedelta(hours=1)
    assert refusal(s3.get_object, **place, IfModifiedSince=later) == ("304", 304)
    assert s3.get_object(**place, IfUnmodifiedSince=later)["Body"].read() == b"one"
    assert s3.put_object(**place, Body=b"two", IfMatch=etag)["ETag"] != etag


def test_what_is_not_there_has_its_code(s3: Any) -> None:
    assert refusal(s3.get_object, Bucket=BUCKET, Key="nothing") == ("NoSuchKey", 404)
    assert refusal(s3.get_object, Bucket="nowhere", Key="nothing") == ("NoSuchBucket", 404)
    assert refusal(s3.put_object, Bucket="nowhere", Key="a", Body=b"x") == ("NoSuchBucket", 404)
    assert refusal(s3.put_object, Bucket=BUCKET, Key="k" * 1025, Body=b"x") == ("KeyTooLongError", 400)
    assert s3.delete_object(Bucket=BUCKET, Key="nothing")["ResponseMetadata"]["HTTPStatusCode"] == 204


@pytest.mark.parametrize("size", [1, 20 * MIB])
def test_an_upload_that_is_refused_at_once_does_not_spoil_the_connection(s3: Any, size: int) -> None:
    for _ in range(2):
        assert refusal(s3.put_object, Bucket="nowhere", Key="a", Body=b"x" * size) == ("NoSuchBucket", 404)
        assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=1)["KeyCount"] == 1


def test_what_is_not_built_says_so(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "unbuilt"}

    assert refusal(s3.put_object, **place, Body=b"", ServerSideEncryption="aws:kms:dsse") == ("NotImplemented", 501)
    assert refusal(s3.put_object, **place, Body=b"", ACL="public-read") == ("AccessControlListNotSupported", 400)
    assert refusal(s3.get_object, **place, VersionId="1") == ("InvalidArgument", 400)


def test_a_copy_keeps_or_replaces_what_stands_beside(s3: Any) -> None:
    source = {"Bucket": BUCKET, "Key": "copy/source é+ .txt"}
    s3.put_object(**source, Body=b"text", ContentType="text/x", Metadata={"a": "1"}, Tagging="t=1")

    copied = s3.copy_object(Bucket=BUCKET, Key="copy/kept", CopySource=source)
    s3.copy_object(
        Bucket=BUCKET, Key="copy/replaced", CopySource=source, MetadataDirective="REPLACE", Metadata={"b": "2"}
    )

    kept = s3.get_object(Bucket=BUCKET, Key="copy/kept")
    assert (kept["Body"].read(), kept["ContentType"], kept["Metadata"]) == (b"text", "text/x", {"a": "1"})
    assert copied["CopyObjectResult"]["ETag"] == kept["ETag"]
    replaced = s3.head_object(Bucket=BUCKET, Key="copy/replaced")
    assert (replaced["ContentType"], replaced["Metadata"]) == ("binary/octet-stream", {"b": "2"})
    assert refusal(s3.copy_object, **source, CopySource=source) == ("InvalidRequest", 400)
    assert refusal(s3.copy_object, Bucket=BUCKET, Key="x", CopySource={"Bucket": BUCKET, "Key": "copy/none"}) == (
        "NoSuchKey",
        404,
    )


def test_objects_are_deleted_together(s3: Any) -> None:
    for number in range(3):
        s3.put_object(Bucket=BUCKET, Key=f"many/{number}", Body=b"x")
    names = [{"Key": f"many/{number}"} for number in (0, 1, 9)]

    answer = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": names})

    assert sorted(entry["Key"] for entry in answer["Deleted"]) == ["many/0", "many/1", "many/9"]
    quiet = s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "many/2"}], "Quiet": True})
    assert "Deleted" not in quiet
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="many/")["KeyCount"] == 0


def test_attributes_and_tags_of_an_object(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "tagged"}
    s3.put_object(**place, Body=b"hello")
    s3.put_object_tagging(**place, Tagging={"TagSet": [{"Key": "a", "Value": "b"}]})

    assert s3.get_object_tagging(**place)["TagSet"] == [{"Key": "a", "Value": "b"}]
    s3.delete_object_tagging(**place)
    assert s3.get_object_tagging(**place)["TagSet"] == []
    attributes = s3.get_object_attributes(**place, ObjectAttributes=["ETag", "ObjectSize", "Checksum"])
    assert attributes["ETag"] == "5d41402abc4b2a76b9719d911017c592"
    assert attributes["ObjectSize"] == 5
    assert attributes["Checksum"]["ChecksumType"] == "FULL_OBJECT"


# Listings


@pytest.fixture(scope="module")
def listed(s3: Any) -> str:
    for key in ("a", "b/1", "b/2", "b/c/3", "d e+f", "é"):
        s3.put_object(Bucket=BUCKET, Key=f"list/{key}", Body=key.encode())
    return "list/"


@pytest.mark.parametrize("operation", ["list_objects", "list_objects_v2", "list_object_versions"])
@pytest.mark.parametrize("size", [1, 2, 3, 1000])
def test_pages_add_up(s3: Any, listed: str, operation: str, size: int) -> None:
    pages = s3.get_paginator(operation).paginate(
        Bucket=BUCKET, Prefix=listed, Delimiter="/", PaginationConfig={"PageSize": size}
    )
    keys: list[str] = []
    prefixes: list[str] = []
    for page in pages:
        entries = page.get("Contents", []) + page.get("Versions", [])
        keys += [entry["Key"] for entry in entries]
        prefixes += [entry["Prefix"] for entry in page.get("CommonPrefixes", [])]
        assert len(entries) + len(page.get("CommonPrefixes", [])) <= size

    assert keys == ["list/a", "list/d e+f", "list/é"]
    assert prefixes == ["list/b/"]


def test_a_listing_says_what_was_asked_and_what_is_there(s3: Any, listed: str) -> None:
    page = s3.list_objects_v2(Bucket=BUCKET, Prefix=listed, StartAfter="list/b/1", MaxKeys=2, FetchOwner=True)

    assert [entry["Key"] for entry in page["Contents"]] == ["list/b/2", "list/b/c/3"]
    assert (page["KeyCount"], page["MaxKeys"], page["IsTruncated"]) == (2, 2, True)
    assert (page["Name"], page["Prefix"], page["StartAfter"]) == (BUCKET, listed, "list/b/1")
    first = page["Contents"][0]
    assert (first["Size"], first["StorageClass"]) == (3, "STANDARD")
    assert first["ETag"] == s3.head_object(Bucket=BUCKET, Key="list/b/2")["ETag"]
    assert len(first["Owner"]["ID"]) == 64
    assert refusal(s3.list_objects_v2, Bucket=BUCKET, ContinuationToken="broken") == ("InvalidArgument", 400)
    assert s3.list_objects_v2(Bucket=BUCKET, MaxKeys=0)["IsTruncated"] is False


# Uploads in parts


def test_a_large_file_goes_up_in_parts_and_comes_down_in_ranges(s3: Any, tmp_path: Path) -> None:
    up, down = tmp_path / "up", tmp_path / "down"
    with up.open("wb") as file:
        for number in range(100):
            file.write(bytes([number]) * MIB)
        file.write(b"the end")

    s3.upload_file(str(up), BUCKET, "large", ExtraArgs={"Metadata": {"a": "1"}, "ContentType": "text/x"})
    head = s3.head_object(Bucket=BUCKET, Key="large")
    s3.download_file(BUCKET, "large", str(down))

    assert head["ContentLength"] == up.stat().st_size
    assert head["ETag"].endswith('-13"')
    assert (head["Metadata"], head["ContentType"]) == ({"a": "1"}, "text/x")
    with up.open("rb") as sent, down.open("rb") as got:
        while block := sent.read(8 * MIB):
            assert got.read(len(block)) == block
        assert got.read() == b""
    s3.copy({"Bucket": BUCKET, "Key": "large"}, BUCKET, "large copied in parts")
    assert s3.head_object(Bucket=BUCKET, Key="large copied in parts")["ContentLength"] == up.stat().st_size
    s3.delete_objects(Bucket=BUCKET, Delete={"Objects": [{"Key": "large"}, {"Key": "large copied in parts"}]})


def test_an_upload_by_hand(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "parts/by hand"}
    upload = s3.create_multipart_upload(**place, ChecksumAlgorithm="CRC32", ChecksumType="FULL_OBJECT")
    place["UploadId"] = upload["UploadId"]
    assert (upload["ChecksumAlgorithm"], upload["ChecksumType"]) == ("CRC32", "FULL_OBJECT")
    parts = {
        number: s3.upload_part(**place, PartNumber=number, Body=body, ChecksumAlgorithm="CRC32")
        for number, body in ((2, b"end"), (1, b"x" * 5 * MIB))
    }

    listed = s3.list_parts(**place)
    assert [(part["PartNumber"], part["Size"]) for part in listed["Parts"]] == [(1, 5 * MIB), (2, 3)]
    assert listed["Parts"][1]["ETag"] == parts[2]["ETag"]
    assert s3.list_parts(**place, MaxParts=1)["IsTruncated"] is True
    uploads = s3.list_multipart_uploads(Bucket=BUCKET, Prefix="parts/")["Uploads"]
    assert [entry["UploadId"] for entry in uploads] == [upload["UploadId"]]
    grouped = s3.list_multipart_uploads(Bucket=BUCKET, Delimiter="/")
    assert grouped["CommonPrefixes"] == [{"Prefix": "parts/"}]

    chosen = [{"PartNumber": number, "ETag": parts[number]["ETag"]} for number in (1, 2)]
    backwards = {"Parts": chosen[::-1]}
    assert refusal(s3.complete_multipart_upload, **place, MultipartUpload=backwards) == ("InvalidPartOrder", 400)
    done = s3.complete_multipart_upload(**place, MultipartUpload={"Parts": chosen})

    assert done["ETag"].endswith('-2"')
    assert done["ChecksumType"] == "FULL_OBJECT"
    got = s3.get_object(Bucket=BUCKET, Key="parts/by hand", ChecksumMode="ENABLED")
    assert got["ChecksumCRC32"] == done["ChecksumCRC32"]
    assert got["Body"].read().endswith(b"xend")  # boto3 verifies the checksum as it reads


def test_an_aborted_upload_is_gone(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "aborted"}
    place["UploadId"] = s3.create_multipart_upload(**place)["UploadId"]
    s3.upload_part(**place, PartNumber=1, Body=b"x")

    s3.abort_multipart_upload(**place)

    assert refusal(s3.upload_part, **place, PartNumber=1, Body=b"x") == ("NoSuchUpload", 404)
    assert refusal(s3.list_parts, **place) == ("NoSuchUpload", 404)
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=BUCKET, Prefix="aborted")


# Signatures in the address


def test_a_presigned_address_needs_no_client(s3: Any) -> None:
    place = {"Bucket": BUCKET, "Key": "presigned/é 1"}
    put = s3.generate_presigned_url("put_object", Params={**place, "ContentType": "text/x"})
    request = urllib.request.Request(put, data=b"hello", method="PUT", headers={"Content-Type": "text/x"})
    urllib.request.urlopen(request).close()

    get = s3.generate_presigned_url("get_object", Params={**place, "ResponseContentType": "text/y"})
    with urllib.request.urlopen(get) as answer:
        assert answer.read() == b"hello"
        assert answer.headers["Content-Type"] == "text/y"

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(get.replace("text%2Fy", "text%2Fz"))
    with refused.value as error:
        assert error.code == 403
        assert b"<Code>SignatureDoesNotMatch</Code>" in error.read()


def test_no_unfinished_file_is_left_behind(settings: Settings) -> None:
    store = Store.open(settings)
    unfinished = list(store.objects.unfinished())
    store.close()

    assert unfinished == []
