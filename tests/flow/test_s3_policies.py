"""Bucket policies over HTTP: users, jobs and strangers, with boto3 and without a signature."""

import json
from collections.abc import Iterator
from itertools import count
from typing import Any

import boto3
import httpx
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.support.policies import policy as identity_policy
from tests.support.policies import trusting
from tests.support.servers import Running, running_server

NUMBERS = count()
PATH_STYLE = {"s3": {"addressing_style": "path"}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("policies") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def s3(server: Running) -> Any:
    return server.client("s3", config=PATH_STYLE)


@pytest.fixture(scope="module")
def stranger(server: Running) -> Any:
    """A client that signs nothing."""
    unsigned = Config(signature_version=UNSIGNED, retries={"total_max_attempts": 1}, **PATH_STYLE)
    return boto3.client("s3", endpoint_url=server.endpoint, region_name="us-east-1", config=unsigned)


@pytest.fixture(scope="module")
def jane(server: Running) -> Any:
    """A user without any policy."""
    iam = server.client("iam")
    iam.create_user(UserName="jane")
    key = iam.create_access_key(UserName="jane")["AccessKey"]
    return server.client(
        "s3",
        config=PATH_STYLE,
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
    )


@pytest.fixture
def bucket(s3: Any) -> str:
    name = f"policies-{next(NUMBERS)}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"hello")
    return name


def refusal(action: Any, **asked: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as refused:
        action(**asked)
    answer = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


def statement(bucket: str, principal: Any = "*", action: Any = "s3:GetObject", **more: Any) -> dict[str, Any]:
    resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
    whole = resources if action == "s3:*" or isinstance(action, list) else resources[1]
    return {"Effect": "Allow", "Principal": principal, "Action": action, "Resource": whole, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def open_to_all(s3: Any, bucket: str, *statements: dict[str, Any]) -> None:
    s3.delete_public_access_block(Bucket=bucket)
    s3.put_bucket_policy(Bucket=bucket, Policy=document(*statements))


DENIED = ("AccessDenied", 403)


def test_a_policy_lets_a_user_in_who_has_none_of_his_own(s3: Any, jane: Any, server: Running, bucket: str) -> None:
    assert refusal(jane.get_object, Bucket=bucket, Key="k") == DENIED
    arn = f"arn:aws:iam::{server.platform.account}:user/jane"
    s3.put_bucket_policy(
        Bucket=bucket, Policy=document(statement(bucket, {"AWS": arn}, ["s3:GetObject", "s3:ListBucket"]))
    )
    assert jane.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
    assert [each["Key"] for each in jane.list_objects_v2(Bucket=bucket)["Contents"]] == ["k"]
    assert refusal(jane.put_object, Bucket=bucket, Key="k", Body=b"") == DENIED
    s3.delete_bucket_policy(Bucket=bucket)
    assert refusal(jane.get_object, Bucket=bucket, Key="k") == DENIED


def test_a_deletion_of_many_tells_what_the_policy_denies(s3: Any, bucket: str) -> None:
    for key in ("kept/a", "b"):
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    kept = {**statement(bucket, "*", "s3:DeleteObject"), "Effect": "Deny", "Resource": f"arn:aws:s3:::{bucket}/kept/*"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(kept))
    answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": "kept/a"}, {"Key": "b"}]})
    assert [each["Key"] for each in answer["Deleted"]] == ["b"]
    assert [(each["Key"], each["Code"]) for each in answer["Errors"]] == [("kept/a", "AccessDenied")]


def test_a_copy_asks_the_policy_of_its_source_too(s3: Any, bucket: str) -> None:
    closed = {**statement(bucket, "*", "s3:GetObject"), "Effect": "Deny"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(closed))
    source = {"Bucket": bucket, "Key": "k"}
    other = f"{bucket}-copy"
    s3.create_bucket(Bucket=other)
    assert refusal(s3.copy_object, Bucket=other, Key="k", CopySource=source) == DENIED
    upload = s3.create_multipart_upload(Bucket=other, Key="k")["UploadId"]
    part = {"Bucket": other, "Key": "k", "UploadId": upload, "PartNumber": 1}
    assert refusal(s3.upload_part_copy, **part, CopySource=source) == DENIED


def test_the_administrator_mends_what_shut_everybody_out(s3: Any, bucket: str) -> None:
    everything = {**statement(bucket, "*", "s3:*"), "Effect": "Deny"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(everything))
    assert refusal(s3.get_object, Bucket=bucket, Key="k") == DENIED
    assert refusal(s3.delete_bucket, Bucket=bucket) == DENIED
    assert s3.get_bucket_policy(Bucket=bucket)["Policy"]
    s3.delete_bucket_policy(Bucket=bucket)
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_a_job_s_role_obeys_the_policy_of_the_bucket(server: Running, s3: Any, bucket: str) -> None:
    from outcrop.errors import Invalid

    service = "bedrock.amazonaws.com"
    iam, name = server.client("iam"), f"worker-{bucket}"
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting({"Service": service}))["Role"]["Arn"]
    own = server.platform.data.under(role, source_arn=f"arn:aws:bedrock:us-east-1:{server.platform.account}:job/1")
    with pytest.raises(Invalid, match="does not allow s3:GetObject"):
        own.find(f"s3://{bucket}/k")
    s3.put_bucket_policy(Bucket=bucket, Policy=document(statement(bucket, {"AWS": role})))
    assert own.read(f"s3://{bucket}/k") == b"hello"
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=identity_policy("Allow", "s3:*"))
    s3.put_bucket_policy(Bucket=bucket, Policy=document({**statement(bucket, {"AWS": role}), "Effect": "Deny"}))
    with pytest.raises(Invalid, match="does not allow s3:GetObject"):
        own.open(f"s3://{bucket}/k")


def test_a_service_in_its_own_name_is_denied_first(server: Running, s3: Any, bucket: str) -> None:
    from outcrop.data.delivery import ServiceDelivery

    delivery = ServiceDelivery(
        access=server.platform.access,
        buckets=server.platform.buckets,
        account=server.platform.account,
        source_arn="",
    )
    assert not delivery.may_put(bucket, "logs/1")
    allowed = statement(bucket, {"Service": "bedrock.amazonaws.com"}, "s3:PutObject")
    s3.put_bucket_policy(Bucket=bucket, Policy=document(allowed))
    assert delivery.may_put(bucket, "logs/1")
    denied = {**statement(bucket, "*", "s3:PutObject"), "Effect": "Deny"}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(allowed, denied))
    assert not delivery.may_put(bucket, "logs/1")


# Strangers


def test_a_public_bucket_is_read_without_a_signature(server: Running, s3: Any, stranger: Any, bucket: str) -> None:
    url = f"{server.endpoint}/{bucket}/k"
    assert httpx.get(url).status_code == 403
    open_to_all(s3, bucket, statement(bucket, "*", ["s3:GetObject", "s3:ListBucket"]))
    answer = httpx.get(url)
    assert (answer.status_code, answer.content) == (200, b"hello")
    assert stranger.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"
    assert stranger.head_object(Bucket=bucket, Key="k")["ContentLength"] == 5
    assert stranger.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
    host = server.endpoint.partition("://")[2].replace("127.0.0.1", f"{bucket}.localhost")
    assert httpx.get(f"{server.endpoint}/k", headers={"Host": host}).content == b"hello"
    assert refusal(stranger.get_object, Bucket=bucket, Key="none") == ("NoSuchKey", 404)
    for action, asked in (
        (stranger.put_object, {"Key": "k", "Body": b""}),
        (stranger.delete_object, {"Key": "k"}),
        (stranger.get_bucket_acl, {}),
        (stranger.get_object_tagging, {"Key": "k"}),
        (stranger.delete_bucket, {}),
        (stranger.put_bucket_versioning, {"VersioningConfiguration": {"Status": "Enabled"}}),
    ):
        assert refusal(action, Bucket=bucket, **asked) == DENIED, action
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"RestrictPublicBuckets": True})
    assert httpx.get(url).status_code == 403
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_a_public_policy_is_refused_where_it_is_blocked_and_told_where_not(s3: Any, bucket: str) -> None:
    public = document(statement(bucket))
    with pytest.raises(ClientError, match="BlockPublicPolicy setting in S3 Block Public Access") as refused:
        s3.put_bucket_policy(Bucket=bucket, Policy=public)
    assert refused.value.response["Error"]["Code"] == "AccessDenied"
    open_to_all(s3, bucket, statement(bucket))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": True}
    only_here = {**statement(bucket), "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}}
    s3.put_public_access_block(Bucket=bucket, PublicAccessBlockConfiguration={"BlockPublicPolicy": True})
    s3.put_bucket_policy(Bucket=bucket, Policy=document(only_here))
    assert s3.get_bucket_policy_status(Bucket=bucket)["PolicyStatus"] == {"IsPublic": False}


def test_a_stranger_of_the_right_network_comes_in_and_no_other(server: Running, s3: Any, bucket: str) -> None:
    for network, status in (("127.0.0.0/8", 200), ("198.51.100.0/24", 403)):
        condition = {"IpAddress": {"aws:SourceIp": network}}
        s3.put_bucket_policy(Bucket=bucket, Policy=document({**statement(bucket), "Condition": condition}))
        assert httpx.get(f"{server.endpoint}/{bucket}/k").status_code == status


def test_a_stranger_puts_where_the_policy_says_so_and_owns_nothing(s3: Any, stranger: Any, bucket: str) -> None:
    open_to_all(
        s3, bucket, statement(bucket, "*", ["s3:PutObject", "s3:GetObject", "s3:PutBucketPolicy", "s3:ListBucket"])
    )
    stranger.put_object(Bucket=bucket, Key="drop", Body=b"left here")
    assert s3.get_object(Bucket=bucket, Key="drop")["Body"].read() == b"left here"
    owner = s3.get_bucket_acl(Bucket=bucket)["Owner"]
    assert s3.get_object_acl(Bucket=bucket, Key="drop")["Owner"] == owner
    with pytest.raises(ClientError, match="cannot initiate multipart uploads"):
        stranger.create_multipart_upload(Bucket=bucket, Key="drop")
    with pytest.raises(ClientError, match="cannot copy objects"):
        stranger.copy_object(Bucket=bucket, Key="two", CopySource={"Bucket": bucket, "Key": "k"})
    closed = refusal(stranger.put_bucket_policy, Bucket=bucket, Policy=document(statement(bucket)))
    assert closed == ("MethodNotAllowed", 405)


def test_a_stranger_reaches_no_bucket_that_is_not_there_and_no_other_service(
    server: Running, s3: Any, bucket: str
) -> None:
    open_to_all(s3, bucket, statement(bucket, "*", "s3:*"))
    assert httpx.get(f"{server.endpoint}/no-such-bucket/k").status_code == 403
    assert httpx.get(f"{server.endpoint}/").status_code == 403
    for headers in ({"Authorization": "AWS nonsense"}, {"Authorization": "AWS4-HMAC-SHA256 nonsense"}):
        assert httpx.get(f"{server.endpoint}/{bucket}/k", headers=headers).status_code in (400, 403)
    assert httpx.get(f"{server.endpoint}/{bucket}/k?X-Amz-Signature=0").status_code in (400, 403)
    assert httpx.get(f"{server.endpoint}/{bucket}/k?AWSAccessKeyId=a&Signature=b&Expires=9999999999").status_code == 403
    assert httpx.get(f"{server.endpoint}/foundation-models").status_code == 403


def test_presigned_urls_may_be_denied(s3: Any, bucket: str) -> None:
    url = s3.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": "k"})
    assert httpx.get(url).status_code == 200
    only_headers = {"StringNotEquals": {"s3:authType": "REST-HEADER"}}
    denied = {**statement(bucket, "*", "s3:*"), "Effect": "Deny", "Condition": only_headers}
    s3.put_bucket_policy(Bucket=bucket, Policy=document(denied))
    assert httpx.get(url).status_code == 403
    form = s3.generate_presigned_post(bucket, "k")
    assert httpx.post(form["url"], data=form["fields"], files={"file": b"x"}).status_code == 403
    assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"hello"


def test_signed_chunks_without_a_signature_are_refused(server: Running, s3: Any, bucket: str) -> None:
    open_to_all(s3, bucket, statement(bucket, "*", "s3:PutObject"))
    headers = {"x-amz-content-sha256": "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "x-amz-decoded-content-length": "1"}
    answer = httpx.put(f"{server.endpoint}/{bucket}/new", headers=headers, content=b"1\r\nx\r\n0\r\n\r\n")
    assert answer.status_code in (400, 403)
    assert refusal(s3.head_object, Bucket=bucket, Key="new") == ("404", 404)
    wrong = {"x-amz-content-sha256": "0" * 64}
    assert httpx.put(f"{server.endpoint}/{bucket}/new", headers=wrong, content=b"x").status_code == 400
    assert refusal(s3.head_object, Bucket=bucket, Key="new") == ("404", 404)
