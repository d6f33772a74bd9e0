"""The checklist of docs/security.md: names that point outside, and names of what belongs to somebody else."""

import json
from typing import Any

import httpx
import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from tests.support import wire
from tests.support.servers import Running, signed_for_outcrop
from tests.support.vault import BUCKET

TRAVERSING = [
    "../../etc/passwd",
    "..%2F..%2Foutcrop.db",
    "%2e%2e/%2e%2e/keys/service.key",
    "a/../../b",
    "./.",
    "..",
    "%00",
    "a%00.txt",
    "//double//",
    "C:%5Cwindows",
]


@pytest.mark.parametrize("key", TRAVERSING)
def test_a_key_that_climbs_is_a_name_and_no_path(house: Running, keys: Credentials, key: str) -> None:
    home = house.platform.settings.home
    before = sorted(str(path) for path in home.parent.rglob("*") if "objects" not in path.parts)
    put = wire.send(house.endpoint, wire.signed(house.endpoint, keys, "PUT", f"/{BUCKET}/{key}", body=b"climber"))
    got = wire.send(house.endpoint, wire.signed(house.endpoint, keys, "GET", f"/{BUCKET}/{key}"))
    if put.status == 200:
        assert got.body == b"climber"
        wire.send(house.endpoint, wire.signed(house.endpoint, keys, "DELETE", f"/{BUCKET}/{key}"))
    else:
        assert 400 <= put.status < 500
    assert b"root:" not in got.body
    after = sorted(str(path) for path in home.parent.rglob("*") if "objects" not in path.parts)
    assert after == before


@pytest.mark.parametrize("bucket", ["..", "%2e%2e", ".", "..%2Fkeys", "a..b", "A", "%00%00%00", "x" * 64, "-abc"])
def test_a_bucket_with_a_name_that_is_no_name_is_refused(house: Running, keys: Credentials, bucket: str) -> None:
    before = len(house.client("s3").list_buckets()["Buckets"])
    reply = wire.send(house.endpoint, wire.signed(house.endpoint, keys, "PUT", f"/{bucket}"))
    assert 400 <= reply.status < 500
    assert len(house.client("s3").list_buckets()["Buckets"]) == before


@pytest.mark.parametrize("name", ["../x", "a/b", "x\n", "", "<script>"])
def test_a_user_with_a_name_that_is_no_name_is_refused(house: Running, name: str) -> None:
    iam = house.client("iam", config={"parameter_validation": False})
    with pytest.raises(ClientError, match="ValidationError"):
        iam.create_user(UserName=name)


@pytest.fixture
def guest(house: Running) -> Any:
    """A user who may start jobs, and may pass no role."""
    iam = house.client("iam")
    iam.create_user(UserName="guest")
    statement = {"Effect": "Allow", "Action": ["bedrock:*", "s3:*", "sts:AssumeRole"], "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="guest", PolicyName="bedrock", PolicyDocument=document)
    key = iam.create_access_key(UserName="guest")["AccessKey"]
    yield {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    iam.delete_access_key(UserName="guest", AccessKeyId=key["AccessKeyId"])
    iam.delete_user_policy(UserName="guest", PolicyName="bedrock")
    iam.delete_user(UserName="guest")


def job(house: Running, client: Any, role: str) -> None:
    client.create_model_customization_job(
        jobName="deputy",
        customModelName="deputy",
        roleArn=role,
        baseModelIdentifier="amazon.titan-text-lite-v1",
        trainingDataConfig={"s3Uri": f"s3://{BUCKET}/train.jsonl"},
        outputDataConfig={"s3Uri": f"s3://{BUCKET}/out/"},
        hyperParameters={"epochCount": "1"},
    )


def test_a_role_works_only_for_those_who_may_pass_it(house: Running, guest: Any) -> None:
    """The confused deputy: the service may use the role, the one who asks may not."""
    with pytest.raises(ClientError) as raised:
        job(house, house.client("bedrock", **guest), house.installation.service_role_arn)
    assert raised.value.response["Error"]["Code"] == "AccessDeniedException"
    assert "iam:PassRole" in raised.value.response["Error"]["Message"]


def test_a_role_of_another_account_is_no_role_here(house: Running) -> None:
    role = house.installation.service_role_arn.replace(house.installation.account, "999999999999")
    with pytest.raises(ClientError) as raised:
        job(house, house.client("bedrock"), role)
    assert raised.value.response["Error"]["Code"] in ("ValidationException", "AccessDeniedException")
    with pytest.raises(ClientError, match="AccessDenied"):
        house.client("sts").assume_role(RoleArn=role, RoleSessionName="deputy")


def test_a_role_that_trusts_others_is_not_assumed(house: Running, guest: Any) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        house.client("sts", **guest).assume_role(RoleArn=house.installation.service_role_arn, RoleSessionName="deputy")


def test_whether_a_name_exists_is_told_to_those_who_may_know(house: Running, guest: Any) -> None:
    iam = house.client("iam", **guest)
    heard = []
    for name in ("admin", "nobody"):
        with pytest.raises(ClientError) as raised:
            iam.get_user(UserName=name)
        heard.append(raised.value.response["Error"]["Code"])
    assert heard == ["AccessDenied", "AccessDenied"]


def test_health_tells_strangers_whether_all_is_well_and_nothing_else(house: Running) -> None:
    told = httpx.get(f"{house.endpoint}/health")
    assert (told.status_code, told.json()) == (200, {"status": "ok"})
    assert not any(sign.isdigit() for sign in told.headers.get("server", ""))  # no version, of anything


def health(house: Running, key_id: str, secret: str) -> httpx.Response:
    url = f"{house.endpoint}/health"
    return httpx.get(url, headers=signed_for_outcrop(url, key_id, secret))


def test_health_tells_its_details_to_who_may_know_them(house: Running, guest: Any) -> None:
    admin = house.installation
    assert "version" in health(house, admin.access_key_id, admin.secret_access_key).json()
    assert health(house, admin.access_key_id, "wrong").status_code == 403
    assert health(house, "AKIAAAAAAAAAAAAAAAAA", "wrong").status_code == 403
    own = guest["aws_access_key_id"], guest["aws_secret_access_key"]
    refused = health(house, *own)
    assert refused.status_code == 403
    assert "is not authorized to perform: outcrop:GetHealth because" in refused.text
    iam = house.client("iam")
    statement = {"Effect": "Allow", "Action": "outcrop:GetHealth", "Resource": "*"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.put_user_policy(UserName="guest", PolicyName="health", PolicyDocument=document)
    assert "parts" in health(house, *own).json()
    iam.delete_user_policy(UserName="guest", PolicyName="health")
