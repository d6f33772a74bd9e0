"""Buckets that are kept elsewhere, through the same S3: a directory, and the bucket of another server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.servers import Running, running_server

pytest.importorskip("obstore", reason="mounted buckets need obstore")
MIB = 1024**2
LONG = bytes(range(256)) * (24 * 1024)
"6 MiB"


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("there")) as running:
        running.client("s3").create_bucket(Bucket="elsewhere")
        yield running


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Running]:
    with running_server(tmp_path / "here") as running:
        yield running


@pytest.fixture(params=["directory", "another server"])
def s3(request: pytest.FixtureRequest, here: Running, there: Running, tmp_path: Path, monkeypatch: Any) -> Any:
    if request.param == "directory":
        (tmp_path / "texts").mkdir()
        here.platform.buckets.mount("mounted", f"file://{tmp_path}/texts")
    else:
        monkeypatch.setenv("AWS_ENDPOINT_URL", there.endpoint)
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", there.installation.access_key_id)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", there.installation.secret_access_key)
        monkeypatch.setenv("AWS_REGION", "us-east-1")
        emptied = there.client("s3")
        for entry in emptied.list_objects_v2(Bucket="elsewhere").get("Contents", []):
            emptied.delete_object(Bucket="elsewhere", Key=entry["Key"])
        here.platform.buckets.mount("mounted", "s3://elsewhere")
    client = here.client("s3")
    yield client
    client.close()


def test_objects_come_and_go(s3: Any) -> None:
    s3.put_object(Bucket="mounted", Key="a/b c.txt", Body=b"0123456789")

    got = s3.get_object(Bucket="mounted", Key="a/b c.txt", Range="bytes=2-4")
    assert (got["Body"].read(), got["ContentRange"]) == (b"234", "bytes 2-4/10")
    assert s3.head_object(Bucket="mounted", Key="a/b c.txt")["ContentLength"] == 10
    s3.copy_object(Bucket="mounted", Key="copy", CopySource="mounted/a/b c.txt")
    assert s3.get_object(Bucket="mounted", Key="copy")["Body"].read() == b"0123456789"
    s3.delete_object(Bucket="mounted", Key="copy")
    s3.delete_object(Bucket="mounted", Key="copy")
    with pytest.raises(ClientError) as refused:
        s3.get_object(Bucket="mounted", Key="copy")
    assert refused.value.response["Error"]["Code"] == "NoSuchKey"


def test_listings_fold_and_go_on(s3: Any) -> None:
    keys = ["a", "b/1", "b/2", "b/c/3", "b0", "d/1", "é"]
    for key in keys:
        s3.put_object(Bucket="mounted", Key=key, Body=b"")

    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="mounted", PaginationConfig={"PageSize": 2})
    assert [entry["Key"] for page in pages for entry in page.get("Contents", [])] == keys
    pages = s3.get_paginator("list_objects_v2").paginate(
        Bucket="mounted", Delimiter="/", PaginationConfig={"PageSize": 1}
    )
    found = [
        next(iter(entry.values())) if "Prefix" in entry else entry["Key"]
        for page in pages
        for entry in [*page.get("Contents", []), *page.get("CommonPrefixes", [])]
    ]
    assert found == ["a", "b/", "b0", "d/", "é"]
    listed = s3.list_objects_v2(Bucket="mounted", Prefix="b/")["Contents"]
    assert [entry["Key"] for entry in listed] == ["b/1", "b/2", "b/c/3"]


def test_an_upload_in_parts_arrives_whole(s3: Any, here: Running) -> None:
    upload = {"Bucket": "mounted", "Key": "long"}
    upload["UploadId"] = s3.create_multipart_upload(**upload)["UploadId"]
    parts = [
        {"PartNumber": number, "ETag": s3.upload_part(**upload, PartNumber=number, Body=body)["ETag"]}
        for number, body in ((2, b"the end"), (1, LONG))
    ]
    s3.complete_multipart_upload(**upload, MultipartUpload={"Parts": parts[::-1]})

    assert s3.get_object(Bucket="mounted", Key="long")["Body"].read() == LONG + b"the end"
    assert here.platform.buckets.path_of("mounted", "long").read_bytes() == LONG + b"the end"
    assert here.platform.buckets.read_bytes("mounted", "long") == LONG + b"the end"


def test_conditions_hold(s3: Any) -> None:
    first = s3.put_object(Bucket="mounted", Key="k", Body=b"1", IfNoneMatch="*")
    for condition in ({"IfNoneMatch": "*"}, {"IfMatch": '"other"'}):
        with pytest.raises(ClientError) as refused:
            s3.put_object(Bucket="mounted", Key="k", Body=b"2", **condition)
        assert refused.value.response["Error"]["Code"] == "PreconditionFailed"
    s3.put_object(Bucket="mounted", Key="k", Body=b"2", IfMatch=first["ETag"])
    assert s3.get_object(Bucket="mounted", Key="k")["Body"].read() == b"2"


def test_a_mount_is_taken_away_without_its_objects(here: Running, tmp_path: Path) -> None:
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "train.jsonl").write_bytes(b"{}")
    here.platform.buckets.mount("mounted", f"file://{tmp_path}/texts")
    s3 = here.client("s3")
    assert s3.get_object(Bucket="mounted", Key="train.jsonl")["Body"].read() == b"{}"
    with pytest.raises(ClientError, match="outcrop unmount mounted"):
        s3.delete_bucket(Bucket="mounted")
    with pytest.raises(ClientError, match="metadata"):
        s3.put_object(Bucket="mounted", Key="k", Body=b"", Metadata={"a": "b"})

    here.platform.buckets.unmount("mounted")

    assert s3.list_buckets()["Buckets"] == []
    assert (tmp_path / "texts" / "train.jsonl").read_bytes() == b"{}"
    s3.close()
