"""Programs that were not written here, against the built-in S3 as they come: the AWS CLI, pandas, pyarrow, obstore."""

import json
import os
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.config import Config

from tests.support.patience import PATIENCE_S
from tests.support.servers import Running, running_server

MIB = 1024**2
LONG = bytes(range(256)) * (36 * 1024)
"9 MiB: the CLI sends it in parts."


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("home")) as running:
        client = running.client("s3")
        client.create_bucket(Bucket="books")
        client.close()
        yield running


@pytest.fixture
def environment(running: Running, tmp_path: Path) -> dict[str, str]:
    return {
        **os.environ,
        "AWS_ENDPOINT_URL": running.endpoint,
        "AWS_ACCESS_KEY_ID": running.installation.access_key_id,
        "AWS_SECRET_ACCESS_KEY": running.installation.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": str(tmp_path / "none"),
    }


def test_the_aws_cli_encrypts(environment: dict[str, str], running: Running, tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("aws")
    if not command.exists():
        pytest.skip("the AWS CLI is not installed")

    def cp(*arguments: str) -> None:
        done = subprocess.run(
            [sys.executable, str(command), "s3", "cp", *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    key = running.client("kms").create_key()["KeyMetadata"]["Arn"]
    (tmp_path / "long").write_bytes(LONG)
    (tmp_path / "key").write_bytes(bytes(range(32)))
    mine = ["--sse-c", "AES256", "--sse-c-key", "fileb://key"]
    cp("long", "s3://books/kms", "--sse", "aws:kms", "--sse-kms-key-id", key)
    cp("long", "s3://books/own", "--sse", "aws:kms")
    cp("long", "s3://books/s3", "--sse")
    cp("long", "s3://books/c", *mine)
    cp("s3://books/c", "s3://books/copied", "--sse-c-copy-source", "AES256", "--sse-c-copy-source-key", "fileb://key")
    s3 = running.client("s3")
    assert s3.head_object(Bucket="books", Key="kms")["SSEKMSKeyId"] == key
    for name in ("kms", "own", "s3", "copied"):
        cp(f"s3://books/{name}", "back")
        assert (tmp_path / "back").read_bytes() == LONG
    cp("s3://books/c", "back", *mine)
    assert (tmp_path / "back").read_bytes() == LONG


def test_amazons_encryption_client_works_with_keys_of_kms(environment: dict[str, str]) -> None:
    here = Path(__file__).parent
    python = here.parent.parent / "build" / "clients" / "s3-encryption" / "bin" / "python"
    if not python.exists():
        pytest.skip(f"{python} is not there: `make clients-s3-encryption` makes it")
    done = subprocess.run(
        [python, here / "programs" / "s3_encryption_client.py"],
        env=environment, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "read": True, "sealed": True, "stored in clear": False, "another context": "S3EncryptionClientError",
        "disabled": "S3EncryptionClientError",
    }  # fmt: skip


def test_the_aws_cli_works_on_a_bucket(environment: dict[str, str], tmp_path: Path) -> None:
    command = Path(sys.executable).with_name("aws")
    if not command.exists():
        pytest.skip("the AWS CLI is not installed")

    def aws(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, str(command), "s3", *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    (tmp_path / "tree" / "sub").mkdir(parents=True)
    (tmp_path / "tree" / "a.txt").write_text("a")
    (tmp_path / "tree" / "sub" / "long").write_bytes(LONG)
    aws("mb", "s3://cli-bucket")
    aws("sync", "tree", "s3://cli-bucket/tree")
    assert aws("sync", "tree", "s3://cli-bucket/tree") == ""  # nothing changed, so nothing is sent
    aws("cp", "s3://cli-bucket/tree/sub/long", "s3://cli-bucket/copied")
    aws("mv", "s3://cli-bucket/copied", "moved")
    assert (tmp_path / "moved").read_bytes() == LONG
    assert "PRE tree/" in aws("ls", "s3://cli-bucket")
    url = aws("presign", "s3://cli-bucket/tree/a.txt").strip()
    with urllib.request.urlopen(url) as answer:
        assert answer.read() == b"a"
    aws("rm", "--recursive", "s3://cli-bucket/tree")
    assert aws("ls", "s3://cli-bucket") == ""
    aws("rb", "s3://cli-bucket")


PANDAS = """
import pandas as pd
options = {"client_kwargs": {"endpoint_url": __import__("os").environ["AWS_ENDPOINT_URL"]}}
frame = pd.DataFrame({"prompt": ["古池や", "b"], "n": [1, 2]})
frame.to_csv("s3://books/pandas/frame.csv", index=False, storage_options=options)
assert pd.read_csv("s3://books/pandas/frame.csv", storage_options=options).equals(frame)

import s3fs
fs = s3fs.S3FileSystem(**options)
with fs.open("books/fs/long", "wb") as file:
    for _ in range(12):
        file.write(b"x" * 1024**2)
with fs.open("books/fs/long", "rb") as file:
    file.seek(5 * 1024**2)
    assert file.read(3) == b"xxx"
assert fs.size("books/fs/long") == 12 * 1024**2
assert fs.exists("books/fs/long") and not fs.exists("books/fs/none")
assert fs.ls("books/fs") == ["books/fs/long"]
fs.copy("books/fs/long", "books/fs/copy")
fs.rm("books/fs", recursive=True)
assert not fs.exists("books/fs/copy")
"""
PYARROW = """
import os
from urllib.parse import urlsplit
import pyarrow as pa
from pyarrow import fs, parquet
host = urlsplit(os.environ["AWS_ENDPOINT_URL"]).netloc
s3 = fs.S3FileSystem(
    access_key=os.environ["AWS_ACCESS_KEY_ID"], secret_key=os.environ["AWS_SECRET_ACCESS_KEY"],
    endpoint_override=host, scheme="http", region="us-east-1",
)
table = pa.table({"n": list(range(1000)), "text": ["俳句"] * 1000})
parquet.write_table(table, "books/arrow/table.parquet", filesystem=s3)
assert parquet.read_table("books/arrow/table.parquet", filesystem=s3).equals(table)
with s3.open_output_stream("books/arrow/long") as stream:
    for _ in range(11):
        stream.write(b"y" * 1024**2)
assert s3.get_file_info("books/arrow/long").size == 11 * 1024**2
assert {info.base_name for info in s3.get_file_info(fs.FileSelector("books/arrow"))} == {"long", "table.parquet"}
s3.copy_file("books/arrow/long", "books/arrow/copy")
s3.delete_file("books/arrow/long")
assert s3.get_file_info("books/arrow/long").type == fs.FileType.NotFound
s3.delete_dir("books/arrow")
"""
OBSTORE = """
import os
import obstore
from obstore.store import S3Store
store = S3Store("books", endpoint=os.environ["AWS_ENDPOINT_URL"], region="us-east-1", client_options={"allow_http": True})
obstore.put(store, "ob/long", iter([b"z" * 1024**2] * 12), use_multipart=True)
assert obstore.head(store, "ob/long")["size"] == 12 * 1024**2
assert obstore.get_range(store, "ob/long", start=7, end=10).to_bytes() == b"zzz"
obstore.put(store, "ob/short", b"1", attributes={"Content-Type": "text/plain", "author": "Basho"})
assert obstore.get(store, "ob/short").attributes == {"Content-Type": "text/plain", "author": "Basho"}
try:
    obstore.put(store, "ob/short", b"2", mode="create")
except obstore.exceptions.AlreadyExistsError:
    pass
else:
    raise AssertionError("an object was overwritten")
obstore.copy(store, "ob/short", "ob/copy")
assert [entry["path"] for entry in obstore.list(store, "ob").collect()] == ["ob/copy", "ob/long", "ob/short"]
obstore.delete(store, ["ob/copy", "ob/long", "ob/short"])
assert obstore.list(store, "ob").collect() == []
"""


@pytest.mark.parametrize(
    ("needed", "program"),
    [(("s3fs", "pandas"), PANDAS), (("pyarrow",), PYARROW), (("obstore",), OBSTORE)],
    ids=["s3fs with pandas", "pyarrow", "obstore"],
)
def test_a_program_works_on_a_bucket(
    environment: dict[str, str], needed: tuple[str, ...], program: str, tmp_path: Path
) -> None:
    for module in needed:
        pytest.importorskip(module, reason=f"{module} is not installed", exc_type=ImportError)
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=PATIENCE_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def test_a_bucket_may_be_named_by_the_host(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not every system leads all names under localhost to itself, as RFC 6761 asks; browsers and curl do.
    found = socket.getaddrinfo

    def at_home(host: Any, *more: Any, **named: Any) -> Any:
        return found("127.0.0.1" if str(host).endswith("localhost") else host, *more, **named)

    monkeypatch.setattr(socket, "getaddrinfo", at_home)
    endpoint = running.endpoint.replace("127.0.0.1", "localhost")
    virtual = Config(s3={"addressing_style": "virtual"}, retries={"total_max_attempts": 1})
    for base in (endpoint, endpoint.replace("localhost", "s3.localhost")):
        s3 = _client(running, base, virtual)
        s3.put_object(Bucket="books", Key="by/host é", Body=b"host")
        assert s3.get_object(Bucket="books", Key="by/host é")["Body"].read() == b"host"
        assert s3.list_objects_v2(Bucket="books", Prefix="by/")["KeyCount"] == 1
        s3.close()


def _client(running: Running, endpoint: str, config: Config) -> Any:
    import boto3

    return boto3.client(
        "s3",
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=running.installation.access_key_id,
        aws_secret_access_key=running.installation.secret_access_key,
        config=config,
    )


def _ask(url: str, method: str, headers: dict[str, str]) -> tuple[int, dict[str, str]]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method=method, headers=headers)) as answer:
            return answer.status, dict(answer.headers)
    except urllib.error.HTTPError as refused:
        with refused:
            return refused.code, {"Body": refused.read().decode()}


def test_a_page_in_a_browser_asks_first(running: Running) -> None:
    s3 = running.client("s3")
    s3.create_bucket(Bucket="paged")
    s3.put_object(Bucket="paged", Key="k", Body=b"x")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "paged", "Key": "k"})
    origin = {"Origin": "https://app.test"}
    question = {**origin, "Access-Control-Request-Method": "GET"}

    status, told = _ask(f"{running.endpoint}/paged/k", "OPTIONS", question)
    assert status == 403
    assert "CORS is not enabled for this bucket" in told["Body"]

    rule = {
        "AllowedMethods": ["GET"],
        "AllowedOrigins": ["https://*.test"],
        "MaxAgeSeconds": 60,
        "ExposeHeaders": ["ETag"],
    }
    s3.put_bucket_cors(Bucket="paged", CORSConfiguration={"CORSRules": [rule]})
    status, told = _ask(f"{running.endpoint}/paged/k", "OPTIONS", question)
    assert (status, told["access-control-allow-origin"]) == (200, "https://app.test")
    assert (told["access-control-allow-methods"], told["access-control-max-age"]) == ("GET", "60")
    assert _ask(f"{running.endpoint}/paged/k", "OPTIONS", {**question, "Origin": "https://app.evil"})[0] == 403
    assert _ask(f"{running.endpoint}/paged/k", "OPTIONS", {})[0] == 400
    assert _ask(url, "GET", origin)[1]["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" not in _ask(url, "GET", {"Origin": "https://app.evil"})[1]
    s3.close()
