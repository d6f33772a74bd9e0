"""The door over TLS: our own certificate and given ones, boto3 with the bundle, sandboxes by their socket."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import botocore.exceptions
import pytest
from botocore.config import Config
from cryptography import x509

from outcrop.access.names import Kind
from outcrop.cli import export
from outcrop.cli.listening import answers
from outcrop.cli.supervisor import Supervisor
from outcrop.cli.tls import with_tls
from outcrop.errors import MachineTrouble
from outcrop.keys import door_certificate
from outcrop.settings import Settings, read
from tests.support.servers import Running, free_port, running_server

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    home = tmp_path_factory.mktemp("tls") / "home"
    with running_server(home, settings=with_tls(Settings(home=home, port=free_port()), own=True)) as running:
        yield running


def client(server: Running, service: str, **more: Any) -> Any:
    made = server.installation
    return boto3.client(
        service,
        **{
            "endpoint_url": server.settings.endpoint,
            "region_name": "us-east-1",
            "aws_access_key_id": made.access_key_id,
            "aws_secret_access_key": made.secret_access_key,
            "verify": str(server.settings.tls_ca),
            "config": Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
            **more,
        },
    )


def test_boto3_with_the_bundle_talks_to_every_kind_of_service(server: Running, tmp_path: Path) -> None:
    assert server.settings.endpoint.startswith("https://127.0.0.1:")
    assert client(server, "sts").get_caller_identity()["Account"] == server.platform.account
    assert client(server, "bedrock").list_foundation_models()["modelSummaries"]
    s3, file = client(server, "s3"), tmp_path / "big"
    file.write_bytes(os.urandom(9 << 20))
    s3.create_bucket(Bucket="data")
    s3.upload_file(str(file), "data", "big")  # in parts, each with a checksum behind it
    s3.put_object(Bucket="data", Key="small", Body=b"small")
    s3.download_file("data", "big", str(tmp_path / "back"))
    assert (tmp_path / "back").read_bytes() == file.read_bytes()
    assert s3.get_object(Bucket="data", Key="small")["Body"].read() == b"small"


def test_nobody_else_is_trusted_and_nothing_is_said_in_clear(server: Running) -> None:
    with pytest.raises(botocore.exceptions.SSLError):
        client(server, "sts", verify=True).get_caller_identity()
    plain = server.settings.endpoint.replace("https:", "http:")
    with pytest.raises(botocore.exceptions.HTTPClientError):
        client(server, "sts", endpoint_url=plain).get_caller_identity()


def test_a_policy_that_demands_tls_is_fulfilled(server: Running) -> None:
    access = server.platform.access
    access.identities.create_user("secure")
    statement = {
        "Effect": "Allow",
        "Action": "s3:ListAllMyBuckets",
        "Resource": "*",
        "Condition": {"Bool": {"aws:SecureTransport": "true"}},
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    access.attachments.put_inline(Kind.USER, "secure", "own", document)
    key = access.credentials.create_key("secure")
    theirs = client(server, "s3", aws_access_key_id=key.key_id, aws_secret_access_key=key.secret)
    assert "Buckets" in theirs.list_buckets()


def test_our_own_programs_find_it(server: Running) -> None:
    assert answers(server.settings)
    assert not answers(replace(server.settings, tls_ca=None)), "without the authority it is not trusted"
    values = export.environment(server.settings, server.installation)
    assert values["AWS_CA_BUNDLE"] == str(server.settings.tls_ca)
    program = "import boto3; print(boto3.client('sts').get_caller_identity()['Account'])"
    told = subprocess.run(
        [sys.executable, "-c", program], env={"PATH": os.environ["PATH"], **values}, capture_output=True, timeout=60
    )
    assert told.stdout.decode().strip() == server.platform.account, told.stderr


def test_a_sandbox_finds_it_by_a_socket_of_its_own_user(server: Running) -> None:
    connection = http.client.HTTPConnection("sandbox")
    connection.sock = socket.socket(socket.AF_UNIX)
    connection.sock.connect(str(server.settings.door_socket))
    connection.request("GET", "/health")
    assert connection.getresponse().status == 200
    connection.close()
    assert server.settings.door_socket.parent.stat().st_mode & 0o77 == 0


def test_the_files_are_ours_alone_and_stay_until_they_are_due(tmp_path: Path) -> None:
    made = door_certificate.own(tmp_path, "127.0.0.1", now=NOW)
    assert {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == dict.fromkeys(
        ("tls.pem", "tls.key", "tls-authority.pem", "tls-authority.key"), 0o600
    )
    first, authority = made.certificate.read_bytes(), made.trusted.read_bytes() if made.trusted else b""
    assert not door_certificate.is_due(tmp_path, now=NOW + timedelta(days=300))
    door_certificate.own(tmp_path, "127.0.0.1", now=NOW + timedelta(days=300))
    assert made.certificate.read_bytes() == first
    due = NOW + timedelta(days=340)
    assert door_certificate.is_due(tmp_path, now=due)
    door_certificate.own(tmp_path, "127.0.0.1", now=due)
    assert made.certificate.read_bytes() != first
    assert made.trusted is not None
    assert made.trusted.read_bytes() == authority, "what clients pin stays"
    door_certificate.own(tmp_path, "lab.example", now=due)
    names = x509.load_pem_x509_certificate(made.certificate.read_bytes()).extensions
    told = names.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "lab.example" in told.get_values_for_type(x509.DNSName)


@pytest.mark.parametrize("lost", ["tls.pem", "tls.key", "tls-authority.pem", "tls-authority.key"])
def test_files_that_do_not_belong_together_are_made_anew(tmp_path: Path, lost: str) -> None:
    made = door_certificate.own(tmp_path / "keys", "127.0.0.1", now=NOW)
    other = door_certificate.own(tmp_path / "other", "127.0.0.1", now=NOW)
    (made.key.parent / lost).write_bytes((other.key.parent / lost).read_bytes())  # as after a kill between two files
    door_certificate.own(tmp_path / "keys", "127.0.0.1", now=NOW)
    assert door_certificate.given(*made, "127.0.0.1") == made
    made.certificate.write_bytes(b"no certificate")
    door_certificate.own(tmp_path / "keys", "127.0.0.1", now=NOW)
    assert door_certificate.given(*made, "127.0.0.1") == made


def test_given_files_are_tried_before_anything_starts(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    made = door_certificate.own(one, "lab.example", now=NOW)
    foreign = door_certificate.own(other, "127.0.0.1", now=NOW)
    settings = Settings(home=tmp_path / "home", host="lab.example")

    def refusal(*, cert: Path, key: Path | None = None, ca: Path | None = None) -> str:
        with pytest.raises(MachineTrouble) as refused:
            with_tls(settings, cert=cert, key=key, ca=ca)
        return refused.value.message

    given = with_tls(settings, cert=made.certificate, key=made.key, ca=made.trusted)
    assert (given.endpoint, given.tls_ca) == ("https://lab.example:4580", made.trusted)
    # The chain holds its authority, which is then what clients have to trust.
    assert with_tls(settings, cert=made.certificate, key=made.key).tls_ca == made.certificate
    assert "do not belong together" in refusal(cert=made.certificate, key=foreign.key)
    assert "belong together, and --tls-ca to both" in refusal(cert=made.certificate)
    assert "would not trust it: Hostname mismatch" in refusal(cert=foreign.certificate, key=foreign.key)
    assert "cannot be read" in refusal(cert=tmp_path / "none", key=made.key)
    assert "BEGIN PRIVATE KEY" in refusal(cert=made.certificate, key=made.certificate)
    old = door_certificate.own(tmp_path / "old", "lab.example", now=NOW - timedelta(days=500))
    assert "certificate has expired" in refusal(cert=old.certificate, key=old.key, ca=old.trusted)
    with pytest.raises(MachineTrouble, match="--tls makes a certificate"):
        with_tls(settings, own=True, cert=made.certificate, key=made.key)


class Part:
    """A part of `outcrop up` that remembers what is done to it."""

    def __init__(self) -> None:
        self.done: list[str] = []

    def end(self) -> None:
        self.done.append("end")

    def keep_alive(self) -> None:
        self.done.append("start")


def test_a_certificate_that_is_due_is_renewed_while_everything_runs(tmp_path: Path) -> None:
    made = door_certificate.own(tmp_path / "keys", "127.0.0.1", now=NOW - timedelta(days=380))
    before = made.certificate.read_bytes()
    supervisor: Any = Supervisor(replace(Settings(home=tmp_path), tls=True), console=True)
    server, worker = Part(), Part()
    supervisor._children, supervisor._renews_at = {"server": server, "worker": worker}, 0.0
    supervisor._renew()
    assert made.certificate.read_bytes() != before
    assert (server.done, worker.done) == (["end", "start"], [])
    supervisor._renews_at = 0.0
    supervisor._renew()
    assert server.done == ["end", "start"], "it is not due any more"


def test_settings_come_from_the_environment(tmp_path: Path) -> None:
    told = read({"OUTCROP_TLS_CERT": "/a.pem", "OUTCROP_TLS_KEY": "/a.key", "OUTCROP_HOME": str(tmp_path)})
    assert (told.tls_cert, told.tls_key, told.tls_ca) == (Path("/a.pem"), Path("/a.key"), None)
    assert read({"OUTCROP_TLS": "1", "OUTCROP_HOME": str(tmp_path)}).tls


def test_old_versions_of_the_protocol_are_refused(server: Running) -> None:
    context = ssl.create_default_context(cafile=str(server.settings.tls_ca))
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
    with (
        socket.create_connection((server.settings.host, server.settings.port)) as raw,
        context.wrap_socket(raw, server_hostname="127.0.0.1") as told,
    ):
        assert told.version() in ("TLSv1.2", "TLSv1.3")
        assert told.selected_alpn_protocol() in (None, "http/1.1")
