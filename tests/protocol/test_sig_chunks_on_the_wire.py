"""Every way of sending a body to S3, over real sockets: by clients as they come, and by hand with one thing wrong."""

import base64
import os
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from botocore.credentials import Credentials

from tests.support import wire
from tests.support.patience import PATIENCE_S
from tests.support.servers import Running, running_server
from tests.support.wire import Request

BUCKET = "parcels"
TEXT = b"hello, chunks"
CRC32 = base64.b64encode(zlib.crc32(TEXT).to_bytes(4, "big")).decode()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("house") / "home") as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


def keys(house: Running) -> Credentials:
    return Credentials(house.installation.access_key_id, house.installation.secret_access_key)


def put(house: Running, payload: str, key: str, **headers: str) -> Request:
    """A signed head of an upload in chunks; its body is still to be written."""
    stated = {"Content-Encoding": "aws-chunked", "X-Amz-Decoded-Content-Length": str(len(TEXT)), **headers}
    path = f"/{BUCKET}/{key}"
    return wire.signed(house.endpoint, keys(house), "PUT", path, headers=stated, payload=payload)


def sent(house: Running, request: Request, body: bytes) -> wire.Reply:
    request = request.with_header("Content-Length", str(len(body)))
    request.body = body
    return wire.send(house.endpoint, request)


def stored(house: Running, key: str) -> bytes | None:
    s3 = house.client("s3")
    if not s3.list_objects_v2(Bucket=BUCKET, Prefix=key)["KeyCount"]:
        return None
    body: bytes = s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    return body


@pytest.mark.parametrize("calculation", ["when_supported", "when_required"])
@pytest.mark.parametrize("checksum", [None, "CRC32", "SHA256", "CRC32C"])
def test_boto3_sends_bodies_in_whichever_way_it_likes(house: Running, calculation: str, checksum: str | None) -> None:
    if checksum == "CRC32C":
        pytest.importorskip("awscrt", reason="boto3 computes CRC32C with awscrt only")
    s3 = house.client("s3", config={"request_checksum_calculation": calculation})
    more = {} if checksum is None else {"ChecksumAlgorithm": checksum}
    s3.put_object(Bucket=BUCKET, Key="boto", Body=TEXT, **more)
    assert stored(house, "boto") == TEXT


def test_the_aws_cli_uploads_and_downloads(house: Running, tmp_path: Path) -> None:
    there, back = tmp_path / "there", tmp_path / "back"
    there.write_bytes(os.urandom(200_000))
    environment = {
        **os.environ,
        "AWS_ACCESS_KEY_ID": house.installation.access_key_id,
        "AWS_SECRET_ACCESS_KEY": house.installation.secret_access_key,
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    command = [sys.executable, "-m", "awscli", "--endpoint-url", house.endpoint, "s3", "cp"]
    for source, target in ((str(there), f"s3://{BUCKET}/cli"), (f"s3://{BUCKET}/cli", str(back))):
        subprocess.run([*command, source, target], env=environment, check=True, capture_output=True, timeout=PATIENCE_S)
    assert back.read_bytes() == there.read_bytes()


def test_signed_chunks_arrive(house: Running) -> None:
    request = put(house, wire.SIGNED_CHUNKS, "signed")
    assert request.seal is not None
    body = request.seal.chunk(TEXT[:5]) + request.seal.chunk(TEXT[5:]) + request.seal.chunk(b"") + b"\r\n"
    assert sent(house, request, body).status == 200
    assert stored(house, "signed") == TEXT


def test_signed_chunks_with_a_signed_trailer_arrive(house: Running) -> None:
    request = put(house, wire.SIGNED_CHUNKS_TRAILER, "trailed", **{"X-Amz-Trailer": "x-amz-checksum-crc32"})
    assert request.seal is not None
    body = request.seal.chunk(TEXT) + request.seal.chunk(b"") + request.seal.trailer(f"x-amz-checksum-crc32:{CRC32}")
    assert sent(house, request, body).status == 200
    assert stored(house, "trailed") == TEXT


def test_unsigned_chunks_with_a_trailer_arrive_without_the_encoding_of_the_transfer(house: Running) -> None:
    request = put(house, wire.UNSIGNED_TRAILER, "unsigned", **{"X-Amz-Trailer": "x-amz-checksum-crc32"})
    body = b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:%s\r\n\r\n" % (len(TEXT), TEXT, CRC32.encode())
    assert sent(house, request, body).status == 200
    assert stored(house, "unsigned") == TEXT
    assert "ContentEncoding" not in house.client("s3").head_object(Bucket=BUCKET, Key="unsigned")


def _wrong_chunk_signature(request: Request) -> bytes:
    assert request.seal is not None
    first = request.seal.chunk(TEXT)
    return first.replace(b"hello", b"hullo") + request.seal.chunk(b"") + b"\r\n"


def _chunks_in_another_order(request: Request) -> bytes:
    assert request.seal is not None
    first, second = request.seal.chunk(TEXT[:5]), request.seal.chunk(TEXT[5:])
    return second + first + request.seal.chunk(b"") + b"\r\n"


def _without_the_last_chunk(request: Request) -> bytes:
    assert request.seal is not None
    return request.seal.chunk(TEXT)


def _a_last_chunk_nobody_signed(request: Request) -> bytes:
    assert request.seal is not None
    return request.seal.chunk(TEXT) + b"0;chunk-signature=" + b"0" * 64 + b"\r\n\r\n"


def _more_than_was_stated(request: Request) -> bytes:
    assert request.seal is not None
    return request.seal.chunk(TEXT) + request.seal.chunk(b"more") + request.seal.chunk(b"") + b"\r\n"


def _less_than_was_stated(request: Request) -> bytes:
    assert request.seal is not None
    return request.seal.chunk(TEXT[:5]) + request.seal.chunk(b"") + b"\r\n"


@pytest.mark.parametrize(
    ("bend", "code"),
    [
        (_wrong_chunk_signature, "SignatureDoesNotMatch"),
        (_chunks_in_another_order, "SignatureDoesNotMatch"),
        (_without_the_last_chunk, "IncompleteBody"),
        (_a_last_chunk_nobody_signed, "SignatureDoesNotMatch"),
        (_more_than_was_stated, "IncompleteBody"),
        (_less_than_was_stated, "IncompleteBody"),
    ],
)
def test_a_bent_body_is_refused_and_nothing_of_it_stored(house: Running, bend: object, code: str) -> None:
    assert callable(bend)
    request = put(house, wire.SIGNED_CHUNKS, "bent")
    reply = sent(house, request, bend(request))
    assert reply.says(code), reply.body
    assert stored(house, "bent") is None


def test_a_trailer_that_is_no_checksum_of_the_body_is_refused(house: Running) -> None:
    request = put(house, wire.UNSIGNED_TRAILER, "a-wrong-one", **{"X-Amz-Trailer": "x-amz-checksum-crc32"})
    reply = sent(house, request, b"%x\r\n%s\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n" % (len(TEXT), TEXT))
    assert reply.says("BadDigest"), reply.body
    assert stored(house, "a-wrong-one") is None


def test_a_trailer_that_was_promised_must_come(house: Running) -> None:
    request = put(house, wire.UNSIGNED_TRAILER, "none", **{"X-Amz-Trailer": "x-amz-checksum-crc32"})
    reply = sent(house, request, b"%x\r\n%s\r\n0\r\n\r\n" % (len(TEXT), TEXT))
    assert reply.says("MalformedTrailerError"), reply.body
    assert stored(house, "none") is None


def test_a_body_other_than_the_one_signed_is_refused_and_not_stored(house: Running) -> None:
    request = wire.signed(house.endpoint, keys(house), "PUT", f"/{BUCKET}/other", body=b"hello")
    request.body = b"hullo"
    reply = wire.send(house.endpoint, request)
    assert reply.says("XAmzContentSHA256Mismatch"), reply.body
    assert stored(house, "other") is None
