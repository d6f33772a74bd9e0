"""The checklist of docs/security.md: heads and bodies that are too big, too slow, or made to blow up."""

import gzip
import socket
import sys
from collections.abc import Iterator
from urllib.parse import quote, urlsplit

import httpx
import psutil
import pytest
from botocore.credentials import Credentials

from tests.support import wire
from tests.support.patience import PATIENCE_S
from tests.support.servers import Running, running_server
from tests.support.vault import BUCKET, KEY

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE lolz [<!ENTITY a "lollollol">'
    + "".join(f'<!ENTITY {chr(98 + n)} "{f"&{chr(97 + n)};" * 10}">' for n in range(9))
    + "]><Tagging><TagSet><Tag><Key>k</Key><Value>&j;</Value></Tag></TagSet></Tagging>"
).encode()
OUTSIDE = (
    b'<?xml version="1.0"?><!DOCTYPE t [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
    b"<Tagging><TagSet><Tag><Key>k</Key><Value>&x;</Value></Tag></TagSet></Tagging>"
)


def alive(house: Running) -> bool:
    return bool(house.client("sts").get_caller_identity()["Account"])


@pytest.mark.parametrize("size", [9_000, 1_000_000, 8_000_000])
def test_a_huge_header_is_refused(house: Running, size: int) -> None:
    data = b"GET / HTTP/1.1\r\nHost: h\r\nX-Huge: " + b"a" * size + b"\r\n\r\n"
    reply = _sent_in_vain(house, data)
    assert reply.status in (0, 400, 403, 431)
    assert alive(house)


def test_too_many_headers_are_refused(house: Running) -> None:
    many = b"".join(b"X-%d: a\r\n" % number for number in range(20_000))
    assert _sent_in_vain(house, b"GET / HTTP/1.1\r\nHost: h\r\n" + many + b"\r\n").status in (0, 400, 431)
    assert alive(house)


def test_a_huge_target_is_refused(house: Running) -> None:
    assert _sent_in_vain(house, b"GET /" + b"a" * 1_000_000 + b" HTTP/1.1\r\nHost: h\r\n\r\n").status in (
        0,
        400,
        414,
        431,
    )
    assert alive(house)


def _sent_in_vain(house: Running, data: bytes) -> wire.Reply:
    """The server may close while it is still being written to."""
    try:
        return wire.send(house.endpoint, data)
    except (BrokenPipeError, ConnectionResetError):
        return wire.Reply(status=0, head=b"", body=b"")


def test_a_compressed_body_is_never_inflated(house: Running, keys: Credentials) -> None:
    """A megabyte of a thousand megabytes stays a megabyte, as an object and as a request."""
    bomb = gzip.compress(b"0" * 50_000_000)
    headers = {"Content-Encoding": "gzip"}
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/bomb", headers=headers, body=bomb)
    assert wire.send(house.endpoint, request).status == 200
    assert house.client("s3").head_object(Bucket=BUCKET, Key="bomb")["ContentLength"] == len(bomb)
    house.client("s3").delete_object(Bucket=BUCKET, Key="bomb")
    path = "/model-customization-jobs"
    request = wire.signed(house.endpoint, keys, "POST", path, service="bedrock", headers=headers, body=bomb)
    assert wire.send(house.endpoint, request).status == 400


@pytest.mark.parametrize("document", [BOMB, OUTSIDE], ids=["entities in entities", "an entity of a file"])
def test_a_document_with_entities_of_its_own_is_refused(house: Running, keys: Credentials, document: bytes) -> None:
    path = f"/{BUCKET}/{KEY}?tagging"
    memory = psutil.Process().memory_info().rss
    reply = wire.send(house.endpoint, wire.signed(house.endpoint, keys, "PUT", path, body=document))
    assert reply.says("MalformedXML"), reply.body
    assert psutil.Process().memory_info().rss - memory < 100_000_000
    assert b"root:" not in reply.body


@pytest.mark.parametrize("body", [b"[" * 100_000, b'{"a":' * 100_000, b'{"jobName": ' + b"9" * 100_000 + b"}"])
def test_a_deep_or_endless_document_is_refused(house: Running, keys: Credentials, body: bytes) -> None:
    path = "/model-customization-jobs"
    request = wire.signed(house.endpoint, keys, "POST", path, service="bedrock", body=body)
    assert wire.send(house.endpoint, request).status == 400
    assert alive(house)


def test_a_deep_xml_document_is_refused(house: Running, keys: Credentials) -> None:
    body = b"<a>" * 100_000 + b"</a>" * 100_000
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/{KEY}?tagging", body=body)
    assert wire.send(house.endpoint, request).status == 400
    assert alive(house)


def test_a_body_beyond_the_limit_of_its_operation_is_refused_before_it_is_read(
    house: Running, keys: Credentials
) -> None:
    path = "/model-customization-jobs"
    request = wire.signed(house.endpoint, keys, "POST", path, service="bedrock", length=99_999_999_999)
    assert wire.send(house.endpoint, request).status == 413


@pytest.mark.parametrize("name", ["response-content-type", "response-content-disposition", "response-cache-control"])
def test_an_answer_gets_no_header_that_an_attacker_wrote(house: Running, keys: Credentials, name: str) -> None:
    value = quote("x\r\nSet-Cookie: stolen=1\r\n\r\n<script>")
    request = wire.signed(house.endpoint, keys, "GET", f"/{BUCKET}/{KEY}?{name}={value}")
    reply = wire.send(house.endpoint, request)
    assert reply.status == 400
    assert b"set-cookie" not in reply.head


def test_metadata_of_an_object_begins_no_header_of_its_own(house: Running, keys: Credentials) -> None:
    path = f"/{BUCKET}/split"
    s3 = house.client("s3", config={"signature_version": "s3v4"})
    made = s3.generate_presigned_url("put_object", Params={"Bucket": BUCKET, "Key": "split"})
    assert httpx.put(made + "&x-amz-meta-a=" + quote("b\r\nSet-Cookie: c"), content=b"").status_code in (400, 403)
    request = wire.signed(house.endpoint, keys, "PUT", path, headers={"x-amz-meta-a": "b"}, body=b"x")
    bent = request.raw().replace(b"x-amz-meta-a: b", b"x-amz-meta-a: b\rSet-Cookie: c\r")
    assert wire.send(house.endpoint, bent).status in (0, 400, 403)
    assert s3.list_objects_v2(Bucket=BUCKET, Prefix="split")["KeyCount"] == 0


@pytest.fixture(scope="module")
def hasty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A house whose patience is short, so that a test sees its end. It measures no time: it waits for the refusal."""
    with running_server(tmp_path_factory.mktemp("hasty") / "home", pause_s=0.3, head_pause_s=0.5) as running:
        running.client("s3").create_bucket(Bucket=BUCKET)
        yield running


@pytest.mark.parametrize("service", ["s3", "bedrock"])
def test_a_body_that_stops_is_given_up(hasty: Running, service: str) -> None:
    keys = Credentials(hasty.installation.access_key_id, hasty.installation.secret_access_key)
    method, path = ("PUT", f"/{BUCKET}/slow") if service == "s3" else ("POST", "/model-customization-jobs")
    request = wire.signed(hasty.endpoint, keys, method, path, service=service, body=b"x" * 100)
    request.body = b"x" * 10
    reply = wire.send(hasty.endpoint, request)
    assert (reply.status, b"RequestTimeout" in reply.head + reply.body or reply.says("RequestTimeout")) == (400, True)
    assert b"connection: close" in reply.head
    assert hasty.client("s3").list_objects_v2(Bucket=BUCKET)["KeyCount"] == 0


def test_a_refused_request_does_not_wait_for_the_rest_of_its_body(hasty: Running) -> None:
    head = b"PUT /vault/x HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nonly this"
    reply = wire.send(hasty.endpoint, head)
    assert (reply.status, b"connection: close" in reply.head) == (403, True)


def test_a_head_that_never_ends_is_given_up(hasty: Running) -> None:
    address = urlsplit(hasty.endpoint)
    with socket.create_connection((str(address.hostname), int(address.port or 80)), PATIENCE_S) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nX-Slow: ")
        assert wire.receive(connection).status in (0, 408)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel is asked, as Linux can be")
@pytest.mark.parametrize("said", [b"", b"P", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"])
def test_a_connection_that_asks_for_nothing_is_closed(hasty: Running, said: bytes) -> None:
    address = urlsplit(hasty.endpoint)
    with socket.create_connection((str(address.hostname), int(address.port or 80)), PATIENCE_S) as connection:
        connection.sendall(said)
        while wire.more(connection):
            pass  # HTTP/2 greets before it waits


def test_many_idle_connections_leave_room_for_others(house: Running) -> None:
    address = urlsplit(house.endpoint)
    idle = [socket.create_connection((str(address.hostname), int(address.port or 80))) for _ in range(200)]
    try:
        assert alive(house)
    finally:
        for connection in idle:
            connection.close()


def test_no_body_is_read_for_a_key_that_is_unknown(house: Running) -> None:
    """The refusal comes although the body never does."""
    stranger = Credentials("AKIAAAAAAAAAAAAAAAAA", "secret")
    request = wire.signed(house.endpoint, stranger, "POST", "/model/m/invoke", service="bedrock", body=b"{}")
    with_promise = request.with_header("Content-Length", "20000000")
    with_promise.body = b""
    url = urlsplit(house.endpoint)
    with socket.create_connection((url.hostname, url.port), timeout=PATIENCE_S) as connection:
        connection.sendall(with_promise.raw())
        reply = b""
        while b"UnrecognizedClientException" not in reply and (piece := wire.more(connection)):
            reply += piece
    assert reply.startswith(b"HTTP/1.1 403")
    assert b"UnrecognizedClientException" in reply
