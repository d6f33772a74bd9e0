"""Buckets that are kept elsewhere, through the same S3: how a mount goes, and what it cannot keep. What all kinds share: tests/contract/test_buckets.py."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.exceptions import ClientError

from tests.support.servers import Running, running_server

pytest.importorskip("obstore", reason="mounted buckets need obstore")


@pytest.fixture
def here(tmp_path: Path) -> Iterator[Running]:
    with running_server(tmp_path / "here") as running:
        yield running


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
