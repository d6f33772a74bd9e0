"""What the door decides about requests that really come in: addresses, tags, prefixes, roles passed on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.iam.test_users_and_roles import code_of
from tests.support.policies import policy, trusting
from tests.support.servers import Running

ClientOf = Callable[..., Any]


def allow(iam: Any, user: str, action: Any, resource: Any = "*", **condition: Any) -> None:
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=policy("Allow", action, resource, **condition))


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": ["127.0.0.1/32"]}}, False),
        ({"Bool": {"aws:SecureTransport": "true"}}, False),
        ({"Bool": {"aws:SecureTransport": "false"}}, True),
        ({"StringLike": {"aws:UserAgent": "*Boto3*"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, False),
        ({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "us-east-1"}}, True),
        ({"StringEquals": {"aws:RequestedRegion": "eu-west-1"}}, False),
        ({"Bool": {"aws:ViaAWSService": "false"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2220-01-01T00:00:00Z"}}, False),
    ],
)
def test_circumstances_of_a_request_count(
    iam: Any, user: str, client_of: ClientOf, condition: Any, expected: bool
) -> None:
    allow(iam, user, "s3:ListAllMyBuckets", **condition)
    s3 = client_of(user, "s3")
    if expected:
        s3.list_buckets()
    else:
        assert code_of(s3.list_buckets) == "AccessDenied"


def test_the_listing_of_buckets_is_about_every_bucket(iam: Any, user: str, client_of: ClientOf) -> None:
    s3 = client_of(user, "s3")
    iam.put_user_policy(UserName=user, PolicyName="one", PolicyDocument=policy("Allow", "s3:*", "arn:aws:s3:::books"))
    assert code_of(s3.list_buckets) == "AccessDenied"
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=policy("Allow", "s3:*", "arn:aws:s3:::*"))
    assert s3.list_buckets()["Owner"]["ID"]
    iam.put_user_policy(UserName=user, PolicyName="all", PolicyDocument=policy("Allow", "*"))
    denied = policy("Deny", "s3:ListAllMyBuckets", "arn:aws:s3:::*")
    iam.put_user_policy(UserName=user, PolicyName="none", PolicyDocument=denied)
    assert code_of(s3.list_buckets) == "AccessDenied"


def test_a_deny_on_reading_what_a_key_is_counts(iam: Any, user: str, client_of: ClientOf) -> None:
    sts = client_of(user, "sts")
    key_id = iam.list_access_keys(UserName=user)["AccessKeyMetadata"][0]["AccessKeyId"]
    assert code_of(sts.get_access_key_info, AccessKeyId=key_id) == "AccessDenied"
    allow(iam, user, "sts:GetAccessKeyInfo")
    assert sts.get_access_key_info(AccessKeyId=key_id)["Account"]


def test_a_proxys_word_about_the_address_is_not_believed(iam: Any, user: str, client_of: ClientOf) -> None:
    allow(iam, user, "s3:ListAllMyBuckets", IpAddress={"aws:SourceIp": "10.0.0.0/8"})
    s3 = client_of(user, "s3")
    s3.meta.events.register(
        "before-sign.s3", lambda request, **_: request.headers.add_header("X-Forwarded-For", "10.1.2.3")
    )
    assert code_of(s3.list_buckets) == "AccessDenied"


def test_a_listing_may_be_limited_to_a_prefix(iam: Any, user: str, client_of: ClientOf, server: Running) -> None:
    server.client("s3").create_bucket(Bucket="homes")
    allow(iam, user, "s3:ListBucket", "arn:aws:s3:::homes", StringLike={"s3:prefix": "${aws:username}/*"})
    s3 = client_of(user, "s3")
    s3.list_objects_v2(Bucket="homes", Prefix=f"{user}/")
    assert code_of(s3.list_objects_v2, Bucket="homes", Prefix="other/") == "AccessDenied"
    assert code_of(s3.list_objects_v2, Bucket="homes") == "AccessDenied"


def test_an_access_list_and_object_tags_are_condition_keys(
    iam: Any, user: str, client_of: ClientOf, server: Running
) -> None:
    server.client("s3").create_bucket(Bucket="tagged")
    tagged = {"StringEquals": {"s3:RequestObjectTag/team": "blue"}}
    allow(iam, user, ["s3:PutObject", "s3:PutObjectTagging"], "arn:aws:s3:::tagged/*", **tagged)
    s3 = client_of(user, "s3")
    s3.put_object(Bucket="tagged", Key="a", Body=b"", Tagging="team=blue")
    assert code_of(s3.put_object, Bucket="tagged", Key="b", Body=b"", Tagging="team=red") == "AccessDenied"
    assert code_of(s3.put_object, Bucket="tagged", Key="c", Body=b"") == "AccessDenied"


def test_tags_of_a_request_and_their_keys_count(iam: Any, user: str, client_of: ClientOf) -> None:
    allow(
        iam,
        user,
        ["iam:CreateUser", "iam:TagUser", "iam:UntagUser"],
        **{"ForAllValues:StringEquals": {"aws:TagKeys": ["team"]}},
    )
    own = client_of(user, "iam")
    own.create_user(UserName=f"{user}-b", Tags=[{"Key": "team", "Value": "x"}])
    assert code_of(own.tag_user, UserName=user, Tags=[{"Key": "cost", "Value": "x"}]) == "AccessDenied"
    assert code_of(own.untag_user, UserName=user, TagKeys=["cost"]) == "AccessDenied"
    own.untag_user(UserName=user, TagKeys=["team"])


def test_a_session_token_without_second_factor_says_so(
    iam: Any, user: str, client_of: ClientOf, server: Running
) -> None:
    allow(iam, user, "s3:ListAllMyBuckets", Bool={"aws:MultiFactorAuthPresent": "false"})
    given = client_of(user, "sts").get_session_token()["Credentials"]
    s3 = server.client(
        "s3",
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretAccessKey"],
        aws_session_token=given["SessionToken"],
    )
    assert s3.list_buckets()["Owner"]["ID"]


def test_a_keys_account_is_told(server: Running, user: str, iam: Any) -> None:
    key_id = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    sts = server.client("sts")
    assert sts.get_access_key_info(AccessKeyId=key_id)["Account"] == server.installation.account
    assert code_of(sts.get_access_key_info, AccessKeyId="AKIAIOSFODNN7EXAMPLE") == "ValidationError"


JOB = {
    "customModelName": "m",
    "baseModelIdentifier": "outcrop.starter-v1",
    "trainingDataConfig": {"s3Uri": "s3://jobs/train.jsonl"},
    "outputDataConfig": {"s3Uri": "s3://jobs/out/"},
    "hyperParameters": {"epochCount": "1"},
}
CREATE = "bedrock:CreateModelCustomizationJob"


@pytest.fixture
def bucket(server: Running) -> None:
    s3 = server.client("s3")
    if "jobs" not in [each["Name"] for each in s3.list_buckets()["Buckets"]]:
        s3.create_bucket(Bucket="jobs")
    s3.put_object(Bucket="jobs", Key="train.jsonl", Body=b'{"prompt": "a", "completion": "b"}\n')


def role_with(iam: Any, name: str, *actions: str, trust: str = "") -> str:
    role = iam.create_role(
        RoleName=name, AssumeRolePolicyDocument=trust or trusting({"Service": "bedrock.amazonaws.com"})
    )["Role"]["Arn"]
    if actions:
        iam.put_role_policy(RoleName=name, PolicyName="data", PolicyDocument=policy("Allow", list(actions)))
    return str(role)


def refused_job(bedrock: Any, role: str) -> str:
    with pytest.raises(ClientError) as refusal:
        bedrock.create_model_customization_job(jobName="j", roleArn=role, **JOB)
    error = refusal.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


def test_who_starts_a_job_must_be_allowed_to_pass_its_role(
    iam: Any, user: str, client_of: ClientOf, bucket: None
) -> None:
    role = role_with(iam, "Passed")
    bedrock = client_of(user, "bedrock")
    allow(iam, user, CREATE)
    assert f"is not authorized to perform: iam:PassRole on resource: {role}" in refused_job(bedrock, role)
    allow(iam, user, [CREATE, "iam:PassRole"], StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"})
    assert refused_job(bedrock, role).startswith("AccessDeniedException: ")
    document = json.loads(policy("Allow", CREATE))
    document["Statement"] += json.loads(
        policy("Allow", "iam:PassRole", role, StringEquals={"iam:PassedToService": "bedrock.amazonaws.com"})
    )["Statement"]
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=json.dumps(document))
    # From here on it is the role that lacks something.
    assert refused_job(bedrock, role).startswith("ValidationException: Could not validate GetObject permissions")


def test_a_job_reads_and_writes_with_its_roles_policies(iam: Any, server: Running, bucket: None) -> None:
    bedrock = server.client("bedrock")
    assert "Could not validate GetObject permissions" in refused_job(bedrock, role_with(iam, "Blind"))
    assert "Could not validate PutObject permissions" in refused_job(bedrock, role_with(iam, "Mute", "s3:GetObject"))


def test_a_job_needs_a_role_that_trusts_bedrock(iam: Any, server: Running, bucket: None) -> None:
    role = role_with(iam, "Stranger", "s3:*", trust=trusting({"Service": "sagemaker.amazonaws.com"}))
    assert f"roleArn: bedrock.amazonaws.com cannot assume {role}." in refused_job(server.client("bedrock"), role)


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:iam::123456789012",
        "arn:aws:iam:123456789012:role/Tuning",
        "arn:aws-cn:iam::123456789012:role/Tuning",
        "arn:aws:iam::1234:role/Tuning",
        "arn:aws:iam::123456789012:user/Tuning",
        "arn:aws:sts::123456789012:role/Tuning",
        "arn:aws:iam::123456789012:role/",
        "role/TuningWithALongName",
    ],
)
def test_what_is_no_roles_arn_cannot_be_assumed(server: Running, arn: str) -> None:
    with pytest.raises(ClientError, match="Request ARN is invalid") as refused:
        server.client("sts").assume_role(RoleArn=arn, RoleSessionName="one")
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert refused.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_role_that_is_not_there_is_denied(server: Running) -> None:
    asked = {"RoleArn": f"arn:aws:iam::{server.installation.account}:role/none", "RoleSessionName": "one"}
    assert code_of(server.client("sts").assume_role, **asked) == "AccessDenied"
