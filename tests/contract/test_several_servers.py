"""Two servers before one PostgreSQL database and one home: what is said to one, the other knows."""

import json
from collections.abc import Iterator
from contextlib import ExitStack
from typing import NamedTuple

import pytest
from botocore.exceptions import ClientError

from outcrop.invocation.quotas import Quota, Scope
from outcrop.settings import Settings
from outcrop.store.leadership import Leadership
from outcrop.store.store import Store
from tests.support.patience import eventually
from tests.support.servers import Running, running_server

EVERYTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
NOTHING = {"Version": "2012-10-17", "Statement": [{"Effect": "Deny", "Action": "*", "Resource": "*"}]}


class Pair(NamedTuple):
    """The two servers."""

    one: Running
    other: Running


@pytest.fixture
def pair(in_postgresql: Settings) -> Iterator[Pair]:
    with ExitStack() as stack:
        home, url = in_postgresql.home, in_postgresql.database_url
        yield Pair(*(stack.enter_context(running_server(home, database_url=url)) for _ in range(2)))


def test_an_object_and_an_upload_in_parts_are_of_both(pair: Pair) -> None:
    one, other = pair.one.client("s3"), pair.other.client("s3")
    one.create_bucket(Bucket="books")
    upload = one.create_multipart_upload(Bucket="books", Key="long")["UploadId"]
    part = other.upload_part(Bucket="books", Key="long", UploadId=upload, PartNumber=1, Body=b"to be")
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    one.complete_multipart_upload(Bucket="books", Key="long", UploadId=upload, MultipartUpload=parts)
    assert other.get_object(Bucket="books", Key="long")["Body"].read() == b"to be"
    other.delete_object(Bucket="books", Key="long")
    with pytest.raises(ClientError, match="NoSuchKey"):
        one.get_object(Bucket="books", Key="long")


def test_a_page_token_of_one_continues_at_the_other(pair: Pair) -> None:
    one, other = pair.one.client("s3"), pair.other.client("s3")
    one.create_bucket(Bucket="books")
    for number in range(5):
        (one, other)[number % 2].put_object(Bucket="books", Key=f"{number}", Body=b"")
    keys: list[str] = []
    token: dict[str, str] = {}
    turn = 0
    while True:
        page = (one, other)[turn % 2].list_objects_v2(Bucket="books", MaxKeys=2, **token)
        keys += [each["Key"] for each in page["Contents"]]
        if not page["IsTruncated"]:
            break
        token, turn = {"ContinuationToken": page["NextContinuationToken"]}, turn + 1
    assert keys == ["0", "1", "2", "3", "4"]
    for server, name in zip(pair, ("user-0", "user-1"), strict=True):
        server.client("iam").create_user(UserName=name)
    first = pair.one.client("iam").list_users(MaxItems=2)
    rest = pair.other.client("iam").list_users(MaxItems=2, Marker=first["Marker"])
    assert [each["UserName"] for each in first["Users"] + rest["Users"]] == ["admin", "user-0", "user-1"]


def test_a_client_token_makes_one_thing_whichever_server_is_asked(pair: Pair) -> None:
    asked = {
        "name": "g",
        "blockedInputMessaging": "no",
        "blockedOutputsMessaging": "no",
        "clientRequestToken": "t" * 33,
    }
    words = {"wordPolicyConfig": {"wordsConfig": [{"text": "secret"}]}}
    made = [each.client("bedrock").create_guardrail(**asked, **words)["guardrailArn"] for each in pair]
    assert made[0] == made[1]


def test_a_key_works_at_the_other_at_once_and_a_policy_within_a_second(pair: Pair) -> None:
    iam = pair.one.client("iam")
    iam.create_user(UserName="ada")
    iam.put_user_policy(UserName="ada", PolicyName="all", PolicyDocument=json.dumps(EVERYTHING))
    key = iam.create_access_key(UserName="ada")["AccessKey"]
    hers = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    assert pair.other.client("s3", **hers).list_buckets()["Buckets"] == []
    iam.put_user_policy(UserName="ada", PolicyName="none", PolicyDocument=json.dumps(NOTHING))
    with pytest.raises(ClientError, match="AccessDenied"):
        pair.one.client("s3", **hers).list_buckets()

    def refused() -> bool:
        try:
            pair.other.client("s3", **hers).list_buckets()
        except ClientError as error:
            return bool(error.response["Error"]["Code"] == "AccessDenied")
        return False

    eventually(refused)


def test_a_session_of_one_is_one_of_the_other(pair: Pair) -> None:
    iam = pair.one.client("iam")
    account = {"AWS": f"arn:aws:iam::{pair.one.installation.account}:root"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": account, "Action": "sts:AssumeRole"}],
    }
    role = iam.create_role(RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    session = pair.one.client("sts").assume_role(RoleArn=role, RoleSessionName="visit")["Credentials"]
    told = pair.other.client(
        "sts",
        aws_access_key_id=session["AccessKeyId"],
        aws_secret_access_key=session["SecretAccessKey"],
        aws_session_token=session["SessionToken"],
    ).get_caller_identity()
    assert told["Arn"].endswith("assumed-role/r/visit")


def test_quotas_and_the_invocation_log_are_those_of_both(pair: Pair) -> None:
    one, other = pair.one.platform, pair.other.platform
    assert not other.quotas.current()
    one.quotas.set(Quota(scope=Scope.MODEL, name="m", requests_per_minute=9))
    assert [quota.name for quota in other.quotas.current().values()] == ["m"]
    one.quotas.remove(Scope.MODEL, "m")
    assert not other.quotas.current()
    assert not other.invocation_logs.is_on("us-east-1")
    pair.one.client("s3").create_bucket(Bucket="logs")
    s3 = {"bucketName": "logs", "keyPrefix": ""}
    pair.one.client("bedrock").put_model_invocation_logging_configuration(loggingConfig={"s3Config": s3})
    eventually(lambda: other.invocation_logs.is_on("us-east-1"))


def test_one_server_leads_and_another_takes_its_place(in_postgresql: Settings) -> None:
    stores = [Store.open(in_postgresql) for _ in range(2)]
    now = [0.0]
    one, other = (Leadership(store.engine, lambda: now[0]) for store in stores)
    assert [one.holds(), other.holds()] == [True, False]
    stores[0].close()  # as a server that has ended
    now[0] += 2

    def taken() -> bool:
        now[0] += 2
        return other.holds()

    eventually(taken)
    assert not one.holds()
    for store in stores:
        store.close()
