"""The checklist of docs/security.md: requests without a proof, with somebody else's, or with one for something else."""

import inspect
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from botocore.credentials import Credentials

from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import (
    proof,
    signature,
    sigv2,
    sigv4,
)
from outcrop.server import serve
from tests.support import wire
from tests.support.servers import Running, running_server
from tests.support.vault import BUCKET, KEY, SECRET_TEXT

TARGETS = {
    "s3 read": ("GET", f"/{BUCKET}/{KEY}", {}),
    "s3 write": ("PUT", f"/{BUCKET}/planted", {}),
    "s3 delete": ("DELETE", f"/{BUCKET}/{KEY}", {}),
    "s3 listing": ("GET", "/", {}),
    "bedrock": ("GET", "/custom-models", {}),
    "bedrock runtime": ("POST", "/model/amazon.titan-text-lite-v1/invoke", {}),
    "iam": ("POST", "/?Action=CreateUser&UserName=mallory&Version=2010-05-08", {}),
    "sagemaker": ("POST", "/", {"x-amz-target": "SageMaker.ListModels", "content-type": "application/x-amz-json-1.1"}),
}


def state(house: Running) -> tuple[list[str], list[str], int]:
    """The users, object keys and number of buckets that a stranger might have changed."""
    users = [each["UserName"] for each in house.client("iam").list_users()["Users"]]
    s3 = house.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=BUCKET)["Contents"]]
    return users, keys, len(s3.list_buckets()["Buckets"])


@pytest.mark.parametrize("what", TARGETS)
@pytest.mark.parametrize("authorization", [None, "", "Bearer x", "Basic YTpi", "AWS4-HMAC-SHA256 x", "AWS a:b"])
def test_a_request_without_a_proof_changes_nothing_and_learns_nothing(
    house: Running, what: str, authorization: str | None
) -> None:
    before = state(house)
    method, path, headers = TARGETS[what]
    more = {} if authorization is None else {"authorization": authorization}
    answer = httpx.request(method, house.endpoint + path, headers={**headers, **more}, content=b"{}")
    assert 400 <= answer.status_code < 500
    assert SECRET_TEXT not in answer.content
    assert state(house) == before


def get(house: Running, keys: Credentials, path: str = f"/{BUCKET}/{KEY}", service: str = "s3") -> wire.Request:
    return wire.signed(house.endpoint, keys, "GET", path, service=service)


def test_a_request_is_worth_nothing_a_quarter_of_an_hour_later(tmp_path: Path) -> None:
    clock = MovableClock(datetime.now(UTC))
    with running_server(tmp_path / "home", clock=clock) as house:
        installation = house.installation
        recorded = get(house, Credentials(installation.access_key_id, installation.secret_access_key), "/")
        assert wire.send(house.endpoint, recorded).status == 200
        clock.move(timedelta(minutes=16))
        assert wire.send(house.endpoint, recorded).says("RequestTimeTooSkewed")


def test_a_replayed_request_cannot_carry_another_body(house: Running, keys: Credentials) -> None:
    recorded = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/replayed", body=b"mine")
    assert wire.send(house.endpoint, recorded).status == 200
    recorded.body = b"evil"
    assert wire.send(house.endpoint, recorded).says("XAmzContentSHA256Mismatch")
    assert house.client("s3").get_object(Bucket=BUCKET, Key="replayed")["Body"].read() == b"mine"
    house.client("s3").delete_object(Bucket=BUCKET, Key="replayed")


@pytest.mark.parametrize("by", ["ends", "content-length"])
def test_a_truncated_upload_is_not_stored(house: Running, keys: Credentials, by: str) -> None:
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/cut", body=b"whole")
    request.body = b"who"
    if by == "content-length":
        request = request.with_header("Content-Length", "3")
    reply = wire.send(house.endpoint, request, ends=True)
    assert reply.status in (0, 400)
    assert house.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="cut")["KeyCount"] == 0


RETARGETED: dict[str, Callable[[wire.Request], wire.Request]] = {
    "another key": lambda request: replace(request, path=f"/{BUCKET}/other"),
    "another bucket": lambda request: replace(request, path=f"/other/{KEY}"),
    "another method": lambda request: replace(request, method="DELETE"),
    "another query": lambda request: replace(request, path=request.path + "?acl"),
    "another host": lambda request: request.with_header("Host", "s3.example.com"),
    "a bucket in the host": lambda request: request.with_header("Host", "other.localhost"),
    "another region": lambda request: _scope(request, "/us-east-1/", "/eu-west-1/"),
    "another day": lambda request: _scope(request, request.header("x-amz-date")[:8], "20200101"),
    "another key id": lambda request: _scope(request, "Credential=AKIA", "Credential=AKIB"),
}


def _scope(request: wire.Request, old: str, new: str) -> wire.Request:
    return request.with_header("Authorization", request.header("authorization").replace(old, new, 1))


@pytest.mark.parametrize("what", RETARGETED)
def test_a_signature_for_one_thing_opens_no_other(house: Running, keys: Credentials, what: str) -> None:
    reply = wire.send(house.endpoint, RETARGETED[what](get(house, keys)))
    assert reply.status in (400, 403)
    assert SECRET_TEXT not in reply.body
    assert house.client("s3").head_object(Bucket=BUCKET, Key=KEY)["ContentLength"] == len(SECRET_TEXT)


@pytest.mark.parametrize("service", ["bedrock", "sts", "iam"])
def test_a_signature_for_one_service_opens_no_other(house: Running, keys: Credentials, service: str) -> None:
    reply = wire.send(house.endpoint, get(house, keys, service=service))
    assert 400 <= reply.status < 500
    assert SECRET_TEXT not in reply.body


def test_an_order_in_a_header_that_is_not_signed_is_refused(house: Running, keys: Credentials) -> None:
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/copied", payload="UNSIGNED-PAYLOAD")
    bent = request.with_header("x-amz-copy-source", f"{BUCKET}/{KEY}")
    assert wire.send(house.endpoint, bent).says("AccessDenied")
    assert house.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="copied")["KeyCount"] == 0


@pytest.mark.parametrize("name", ["Authorization", "Host", "X-Amz-Date", "X-Amz-Content-SHA256", "Content-Length"])
def test_a_header_given_twice_is_never_read_in_two_ways(house: Running, keys: Credentials, name: str) -> None:
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/twice", body=b"x")
    other = {"Content-Length": "9", "Host": "elsewhere"}.get(name, request.header(name)[:-1] + "0")
    for order in ([*request.headers, (name, other)], [(name, other), *request.headers]):
        reply = wire.send(house.endpoint, replace(request, headers=order), ends=True)
        assert reply.status in (0, 400, 403), (order, reply)
    assert house.client("s3").list_objects_v2(Bucket=BUCKET, Prefix="twice")["KeyCount"] == 0


def test_a_body_with_two_lengths_does_not_hide_a_second_request(house: Running, keys: Credentials) -> None:
    hidden = (
        wire.signed(house.endpoint, keys, "DELETE", f"/{BUCKET}/{KEY}").raw().replace(b"Signature=", b"Signature=0")
    )
    request = wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/outer", body=b"x").with_header(
        "Transfer-Encoding", "chunked"
    )
    request.body = b"0\r\n\r\n" + hidden
    wire.send(house.endpoint, request)
    assert house.client("s3").head_object(Bucket=BUCKET, Key=KEY)["ContentLength"] == len(SECRET_TEXT)


def test_two_proofs_in_one_request_are_refused(house: Running, keys: Credentials) -> None:
    presigned = house.client("s3", config={"signature_version": "s3v4"}).generate_presigned_url(
        "get_object", Params={"Bucket": BUCKET, "Key": KEY}
    )
    request = get(house, keys)
    answer = httpx.get(presigned, headers={"authorization": request.header("authorization")})
    assert (answer.status_code, "InvalidArgument" in answer.text) == (400, True)


def test_an_unknown_key_is_refused_after_the_work_that_a_wrong_signature_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by counting, not by a clock: the same digests are made whether the key exists or not."""
    secret = Credentials("AK", "secret")
    sent = wire.signed("http://h", secret, "GET", "/b/k")
    headers = {name.lower(): value for name, value in sent.headers}
    request = HttpRequest(method="GET", raw_path="/b/k", raw_query="", headers=headers, body=b"")
    counted: list[str] = []
    made = signature.sign
    monkeypatch.setattr(signature, "sign", lambda key, text: counted.append(text) or made(key, text))  # type: ignore[func-returns-value]
    stated = sigv4.read(request, protocol="rest-xml")
    for known in (None, _Wrong()):
        with pytest.raises(ServiceRefusal):
            sigv4.verify(stated, known, request, protocol="rest-xml", service="s3", now=stated.moment)
    assert len(counted) == 2
    assert counted[0] == counted[1]


class _Wrong:
    secret = "wrong"
    session_token = None
    expires = None


@pytest.mark.parametrize("part", [sigv4.verify, sigv2.verify, proof.check_session])
def test_proofs_are_compared_in_constant_time(part: Callable[..., object]) -> None:
    module = inspect.getsource(inspect.getmodule(part))  # type: ignore[arg-type]
    assert "hmac.compare_digest(" in module
    assert ".signature ==" not in module
    assert ".signature !=" not in module


def test_the_server_listens_to_this_machine_only_unless_told(tmp_path: Path) -> None:
    assert serve._settings(["--home", str(tmp_path)]).host == "127.0.0.1"


def test_secrets_on_disk_are_worth_nothing_without_the_service_key(house: Running) -> None:
    home = house.platform.settings.home
    secret = house.installation.secret_access_key.encode()
    files = [path for path in home.rglob("*") if path.is_file()]
    assert len(files) > 2
    assert all(secret not in path.read_bytes() for path in files)
    assert (home / "keys" / "service.key").stat().st_mode & 0o077 == 0
