"""Every place that objects of a bucket may lie in, through the same S3: kept here, a directory, another server's bucket."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.servers import Running, running_server

pytest.importorskip("obstore", reason="mounted buckets need obstore")
BUCKET = "texts"
LONG = bytes(range(256)) * (24 * 1024)
"6 MiB"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("there")) as running:
        yield running


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("here")) as running:
        yield running


@pytest.fixture(params=["kept here", "directory", "another server"])
def s3(
    request: pytest.FixtureRequest, here: Running, there: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Any]:
    buckets = here.platform.buckets
    if request.param == "kept here":
        buckets.create(BUCKET, "us-east-1")
    elif request.param == "directory":
        buckets.mount(BUCKET, tmp_path.as_uri())
    else:
        there.platform.buckets.create("elsewhere", "us-east-1")
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", there.installation.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", there.installation.secret_access_key)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        buckets.mount(BUCKET, "s3://elsewhere")
    client = here.client("s3")
    yield client
    client.close()
    for entry in list(buckets.under(BUCKET, "")):
        buckets.remove(BUCKET, entry.key)
    if request.param == "kept here":
        buckets.delete(BUCKET)
    else:
        buckets.unmount(BUCKET)
    if request.param == "another server":
        there.platform.buckets.delete("elsewhere")


def test_objects_come_and_go(s3: Any) -> None:
    s3.put_object(Bucket=BUCKET, Key="a/b c.txt", Body=b"0123456789")

    got = s3.get_object(Bucket=BUCKET, Key="a/b c.txt", Range="bytes=2-4")
    assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.head_object(Bucket=BUCKET, Key="a/b c.txt")["ContentLength"] == 10
    s3.copy_object(Bucket=BUCKET, Key="copy", CopySource=f"{BUCKET}/a/b c.txt")
    assert s3.get_object(Bucket=BUCKET, Key="copy")["Body"].read() == b"0123456789"
    s3.delete_object(Bucket=BUCKET, Key="copy")
    s3.delete_object(Bucket=BUCKET, Key="copy")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket=BUCKET, Key="copy")
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"


def test_listings_fold_and_go_on(s3: Any) -> None:
    keys = ["a", "b/1", "b/2", "b/c/3", "b0", "d/1", "é"]
    for key in keys:
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"")

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, PaginationConfig={"PageSize": 2})
    assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == keys
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Delimiter="/", PaginationConfig={"PageSize": 1})
    found = [
        next(iter(entry.values())) if "Prefix" in entry else entry["Key"]
        for page in pages
        for entry in [*page.get("Contents", []), *page.get("CommonPrefixes", [])]
    ]
    assert found == ["a", "b/", "b0", "d/", "é"]
    listed = s3.list_objects_v2(Bucket=BUCKET, Prefix="b/")["Contents"]
    assert [entry["Key"] for entry in listed] == ["b/1", "b/2", "b/c/3"]


def test_an_upload_in_parts_arrives_whole(s3: Any, here: Running) -> None:
    upload = {"Bucket": BUCKET, "Key": "long"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((2, b"the end"), (1, LONG))
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[::-1]})

    assert s3.get_object(Bucket=BUCKET, Key="long")["Body"].read() == LONG + b"the end"
    assert here.platform.buckets.path_of(BUCKET, "long").read_bytes() == LONG + b"the end"
    assert here.platform.buckets.read_bytes(BUCKET, "long") == LONG + b"the end"


def test_conditions_hold(s3: Any) -> None:
    first = s3.put_object(Bucket=BUCKET, Key="k", Body=b"1", IfNoneMatch="*")
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket=BUCKET, Key="k", Body=b"2", **condition)
        assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    s3.put_object(Bucket=BUCKET, Key="k", Body=b"2", IfMatch=first["ETag"])
    assert s3.get_object(Bucket=BUCKET, Key="k")["Body"].read() == b"2"
