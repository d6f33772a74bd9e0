"""Users, roles and policies through a real server and unmodified boto3, as notebooks for Bedrock use them."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.access.installation import Installation
from tests.support.servers import ServerProcess, server_process

Client = Callable[..., Any]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    with server_process(tmp_path_factory.mktemp("iam") / "home") as running:
        yield running


@pytest.fixture(scope="module")
def installation(server: ServerProcess) -> Installation:
    return server.installation


@pytest.fixture(scope="module")
def client(server: ServerProcess) -> Client:
    """A client of a service, for the administrator or for given credentials."""

    def make(service: str, credentials: dict[str, Any] | None = None) -> Any:
        if credentials is None:
            return server.client(service)
        return server.client(
            service,
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials.get("SessionToken"),
        )

    return make


def policy(action: Any, resource: Any = "*", effect: str = "Allow") -> str:
    return json.dumps(
        {"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]}
    )


def trust(principal: Any, **condition: Any) -> str:
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement | condition]})


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, int, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    answer: Any = refused.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Message"]


def test_the_caller_is_the_administrator_of_the_account(client: Client, installation: Installation) -> None:
    identity = client("sts").get_caller_identity()
    assert identity["Account"] == installation.account
    assert identity["Arn"] == f"arn:aws:iam::{installation.account}:user/admin"
    assert identity["UserId"].startswith("AIDA")


def test_the_role_of_a_customization_notebook(client: Client, installation: Installation) -> None:
    iam, account = client("iam"), installation.account
    trusted = json.loads(
        trust(
            {"Service": "bedrock.amazonaws.com"},
            Condition={
                "StringEquals": {"aws:SourceAccount": account},
                "ArnEquals": {"aws:SourceArn": f"arn:aws:bedrock:us-east-1:{account}:model-customization-job/*"},
            },
        )
    )
    reading = json.loads(policy(["s3:GetObject", "s3:ListBucket"], ["arn:aws:s3:::data", "arn:aws:s3:::data/*"]))

    # Given a role and a policy, attached, as the notebook makes them
    role = iam.create_role(
        RoleName="AmazonBedrockCustomizationRole1",
        AssumeRolePolicyDocument=json.dumps(trusted),
        Description="for fine-tuning",
        Tags=[{"Key": "project", "Value": "renga"}],
    )["Role"]
    assert role["Arn"] == f"arn:aws:iam::{account}:role/AmazonBedrockCustomizationRole1"
    made = iam.create_policy(PolicyName="BedrockFineTuning1", PolicyDocument=json.dumps(reading))["Policy"]
    iam.attach_role_policy(RoleName=role["RoleName"], PolicyArn=made["Arn"])

    # Then everything comes back as it was given, documents as dictionaries
    found = iam.get_role(RoleName=role["RoleName"])["Role"]
    assert found["AssumeRolePolicyDocument"] == trusted
    assert found["Description"] == "for fine-tuning"
    assert found["MaxSessionDuration"] == 3600
    assert found["Tags"] == [{"Key": "project", "Value": "renga"}]
    assert abs(found["CreateDate"] - datetime.now(UTC)) < timedelta(minutes=1)
    version = iam.get_policy(PolicyArn=made["Arn"])["Policy"]
    assert (version["DefaultVersionId"], version["AttachmentCount"]) == ("v1", 1)
    document = iam.get_policy_version(PolicyArn=made["Arn"], VersionId="v1")["PolicyVersion"]["Document"]
    assert document == reading
    attached = iam.list_attached_role_policies(RoleName=role["RoleName"])["AttachedPolicies"]
    assert attached == [{"PolicyName": "BedrockFineTuning1", "PolicyArn": made["Arn"]}]

    # And the cleanup at the notebook's end goes in its order only
    assert refusal(iam.delete_role, RoleName=role["RoleName"]) == (
        "DeleteConflict",
        409,
        f"Cannot delete entity, must detach all policies first. Left of role {role['RoleName']}: {made['Arn']}.",
    )
    iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=made["Arn"])
    iam.delete_policy(PolicyArn=made["Arn"])
    iam.delete_role(RoleName=role["RoleName"])
    with pytest.raises(iam.exceptions.NoSuchEntityException):
        iam.get_role(RoleName=role["RoleName"])


def test_a_role_with_an_inline_policy(client: Client) -> None:
    iam = client("iam")
    iam.create_role(RoleName="Inline", AssumeRolePolicyDocument=trust({"Service": "bedrock.amazonaws.com"}))
    document = policy("s3:*", ["arn:aws:s3:::data/a b+c%/*", "arn:aws:s3:::data/é&<>/*"])
    iam.put_role_policy(RoleName="Inline", PolicyName="s3", PolicyDocument=document)
    assert iam.list_role_policies(RoleName="Inline")["PolicyNames"] == ["s3"]
    found = iam.get_role_policy(RoleName="Inline", PolicyName="s3")
    assert (found["RoleName"], found["PolicyName"]) == ("Inline", "s3")
    assert found["PolicyDocument"] == json.loads(document)
    changed = trust({"Service": ["bedrock.amazonaws.com", "sagemaker.amazonaws.com"]})
    iam.update_assume_role_policy(RoleName="Inline", PolicyDocument=changed)
    assert iam.get_role(RoleName="Inline")["Role"]["AssumeRolePolicyDocument"] == json.loads(changed)
    iam.tag_role(RoleName="Inline", Tags=[{"Key": "a", "Value": "b"}])
    assert iam.get_role(RoleName="Inline")["Role"]["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.delete_role_policy(RoleName="Inline", PolicyName="s3")
    iam.delete_role(RoleName="Inline")


def test_a_notebook_that_runs_twice_finds_its_role(client: Client) -> None:
    iam = client("iam")
    given = {"RoleName": "Twice", "AssumeRolePolicyDocument": trust({"Service": "bedrock.amazonaws.com"})}
    iam.create_role(**given)
    with pytest.raises(iam.exceptions.EntityAlreadyExistsException):
        iam.create_role(**given)
    assert refusal(iam.create_role, **given) == ("EntityAlreadyExists", 409, "Role with name Twice already exists.")
    assert iam.get_role(RoleName="Twice")["Role"]["RoleId"].startswith("AROA")


def test_a_malformed_policy_is_refused_with_its_place(client: Client) -> None:
    document = policy("s3:*").replace("Allow", "allow")
    assert refusal(client("iam").create_policy, PolicyName="p", PolicyDocument=document) == (
        "MalformedPolicyDocument",
        400,
        'Syntax errors in policy. Statement[0].Effect: expected "Allow" or "Deny", found "allow".',
    )


def test_listings_page_by_marker(client: Client) -> None:
    iam = client("iam")
    names = [f"page{number}" for number in range(5)]
    for name in names:
        iam.create_user(UserName=name, Path="/pages/")
    pages = list(iam.get_paginator("list_users").paginate(PathPrefix="/pages/", PaginationConfig={"PageSize": 2}))
    assert [[user["UserName"] for user in page["Users"]] for page in pages] == [names[:2], names[2:4], names[4:]]
    for name in names:
        iam.delete_user(UserName=name)
    assert iam.list_users(PathPrefix="/pages/")["Users"] == []


def test_aws_own_policies_are_listed_and_read(client: Client) -> None:
    iam = client("iam")
    arns = {each["Arn"] for each in iam.list_policies(Scope="AWS")["Policies"]}
    assert "arn:aws:iam::aws:policy/AmazonBedrockFullAccess" in arns
    version = iam.get_policy_version(PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess", VersionId="v1")
    assert version["PolicyVersion"]["Document"]["Statement"] == [{"Effect": "Allow", "Action": ["*"], "Resource": "*"}]
    attached = iam.list_policies(Scope="AWS", OnlyAttached=True)["Policies"]
    assert [each["PolicyName"] for each in attached] == ["AdministratorAccess", "AmazonSageMakerFullAccess"]


def test_a_user_may_what_its_policies_say(client: Client, installation: Installation) -> None:
    iam = client("iam")
    user = iam.create_user(UserName="jane")["User"]
    key = iam.create_access_key(UserName="jane")["AccessKey"]
    listed = iam.list_access_keys(UserName="jane")["AccessKeyMetadata"]
    assert [(each["AccessKeyId"], each["Status"]) for each in listed] == [(key["AccessKeyId"], "Active")]

    # A user without policies knows who it is, and is refused in AWS's sentence
    jane = client("iam", key)
    assert client("sts", key).get_caller_identity()["Arn"] == user["Arn"]
    assert refusal(jane.list_roles) == (
        "AccessDenied",
        403,
        f"User: {user['Arn']} is not authorized to perform: iam:ListRoles on resource: "
        f"arn:aws:iam::{installation.account}:role/ because no identity-based policy allows the iam:ListRoles action",
    )

    # A policy takes effect at once, and so does a deny
    iam.put_user_policy(UserName="jane", PolicyName="read", PolicyDocument=policy(["iam:List*", "iam:GetUser"]))
    assert "OutcropServiceRole" in [role["RoleName"] for role in jane.list_roles()["Roles"]]
    assert jane.get_user()["User"]["UserName"] == "jane"
    iam.attach_user_policy(UserName="jane", PolicyArn="arn:aws:iam::aws:policy/IAMFullAccess")
    iam.put_user_policy(UserName="jane", PolicyName="never", PolicyDocument=policy("iam:CreateUser", effect="Deny"))
    assert refusal(jane.create_user, UserName="x")[2].endswith("with an explicit deny in an identity-based policy")
    assert iam.list_user_policies(UserName="jane")["PolicyNames"] == ["never", "read"]

    # Without its key it is unknown
    iam.delete_access_key(UserName="jane", AccessKeyId=key["AccessKeyId"])
    assert refusal(jane.list_roles)[:2] == ("InvalidClientTokenId", 403)


def test_a_role_is_assumed_with_a_session_token(client: Client, installation: Installation) -> None:
    iam, sts = client("iam"), client("sts")
    role = iam.create_role(RoleName="Work", AssumeRolePolicyDocument=trust({"AWS": installation.account}))["Role"]
    iam.put_role_policy(RoleName="Work", PolicyName="p", PolicyDocument=policy("iam:ListUsers"))
    answer = sts.assume_role(RoleArn=role["Arn"], RoleSessionName="today", DurationSeconds=900)
    session = answer["Credentials"]
    assert session["AccessKeyId"].startswith("ASIA")
    assert timedelta(minutes=14) < session["Expiration"] - datetime.now(UTC) <= timedelta(minutes=15)
    arn = f"arn:aws:sts::{installation.account}:assumed-role/Work/today"
    assert answer["AssumedRoleUser"] == {"AssumedRoleId": f"{role['RoleId']}:today", "Arn": arn}

    assert client("sts", session).get_caller_identity()["Arn"] == arn
    working = client("iam", session)
    assert working.list_users()["Users"]
    assert refusal(working.list_roles)[0] == "AccessDenied"

    # The key alone is worth nothing
    assert refusal(client("iam", session | {"SessionToken": None}).list_users)[1] == 403
    assert refusal(client("iam", session | {"SessionToken": "wrong"}).list_users)[1] == 403


def test_a_role_that_trusts_somebody_else_is_not_assumed(client: Client, installation: Installation) -> None:
    assert refusal(client("sts").assume_role, RoleArn=installation.service_role_arn, RoleSessionName="today") == (
        "AccessDenied",
        403,
        f"User: arn:aws:iam::{installation.account}:user/admin is not authorized to perform: sts:AssumeRole "
        f"on resource: {installation.service_role_arn}",
    )


def test_a_session_token_of_a_user(client: Client) -> None:
    session = client("sts").get_session_token(DurationSeconds=900)["Credentials"]
    assert client("sts", session).get_caller_identity()["Arn"].endswith(":user/admin")
    assert refusal(client("iam", session).list_users)[0] == "InvalidClientTokenId"


def test_what_is_not_built_is_refused_rather_than_forgotten(client: Client) -> None:
    assert refusal(
        client("sts").get_session_token, SerialNumber="arn:aws:iam::123456789012:mfa/jane", TokenCode="123456"
    ) == ("ValidationError", 400, "SerialNumber is not built in Outcrop yet. Ask for the session without it.")


def test_every_policy_operation_of_a_user(client: Client) -> None:
    iam = client("iam")
    iam.create_user(UserName="hana", Tags=[{"Key": "team", "Value": "blue"}])
    assert iam.get_user(UserName="hana")["User"]["Tags"] == [{"Key": "team", "Value": "blue"}]
    document = policy("s3:GetObject")
    iam.put_user_policy(UserName="hana", PolicyName="p", PolicyDocument=document)
    assert iam.get_user_policy(UserName="hana", PolicyName="p")["PolicyDocument"] == json.loads(document)
    iam.delete_user_policy(UserName="hana", PolicyName="p")
    assert refusal(iam.get_user_policy, UserName="hana", PolicyName="p") == (
        "NoSuchEntity",
        404,
        "The user policy with name p cannot be found.",
    )
    arn = "arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess"
    iam.attach_user_policy(UserName="hana", PolicyArn=arn)
    attached = iam.list_attached_user_policies(UserName="hana")["AttachedPolicies"]
    assert attached == [{"PolicyName": "AmazonS3ReadOnlyAccess", "PolicyArn": arn}]
    iam.detach_user_policy(UserName="hana", PolicyArn=arn)
    iam.delete_user(UserName="hana")


def test_a_user_reaches_its_own_folder_of_a_bucket_and_no_other(client: Client, installation: Installation) -> None:
    iam, s3 = client("iam"), client("s3")
    s3.create_bucket(Bucket="homes")
    s3.put_object(Bucket="homes", Key="kenji/secret.txt", Body=b"secret")
    iam.create_user(UserName="yuki")
    key = iam.create_access_key(UserName="yuki")["AccessKey"]
    own = json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Effect": "Allow",
                    "Action": ["s3:GetObject", "s3:PutObject"],
                    "Resource": "arn:aws:s3:::homes/${aws:username}/*",
                },
                {
                    "Effect": "Allow",
                    "Action": "s3:ListBucket",
                    "Resource": "arn:aws:s3:::homes",
                    "Condition": {"StringLike": {"s3:prefix": "${aws:username}/*"}},
                },
            ],
        }
    )
    iam.put_user_policy(UserName="yuki", PolicyName="own", PolicyDocument=own)
    mine = client("s3", key)
    mine.put_object(Bucket="homes", Key="yuki/train.jsonl", Body=b"{}")
    assert mine.get_object(Bucket="homes", Key="yuki/train.jsonl")["Body"].read() == b"{}"
    assert mine.list_objects_v2(Bucket="homes", Prefix="yuki/")["KeyCount"] == 1
    assert refusal(mine.get_object, Bucket="homes", Key="kenji/secret.txt") == (
        "AccessDenied",
        403,
        f"User: arn:aws:iam::{installation.account}:user/yuki is not authorized to perform: s3:GetObject on resource: "
        '"arn:aws:s3:::homes/kenji/secret.txt" because no identity-based policy allows the s3:GetObject action',
    )
    for call, params in (
        (mine.list_objects_v2, {}),
        (mine.list_objects_v2, {"Prefix": "kenji/"}),
        (mine.put_object, {"Key": "kenji/x", "Body": b""}),
        (mine.copy_object, {"Key": "yuki/x", "CopySource": "homes/kenji/secret.txt"}),
        (mine.delete_bucket, {}),
    ):
        assert refusal(call, Bucket="homes", **params)[:2] == ("AccessDenied", 403), call
    assert refusal(mine.head_object, Bucket="homes", Key="kenji/secret.txt")[:2] == ("403", 403)
    (kept,) = mine.delete_objects(Bucket="homes", Delete={"Objects": [{"Key": "yuki/train.jsonl"}]})["Errors"]
    assert (kept["Key"], kept["Code"]) == ("yuki/train.jsonl", "AccessDenied")


def test_bedrock_refuses_in_its_own_shape(client: Client, installation: Installation) -> None:
    iam = client("iam")
    iam.create_user(UserName="mei")
    key = iam.create_access_key(UserName="mei")["AccessKey"]
    assert refusal(client("bedrock", key).list_custom_models) == (
        "AccessDeniedException",
        403,
        f"User: arn:aws:iam::{installation.account}:user/mei is not authorized to perform: bedrock:ListCustomModels "
        "because no identity-based policy allows the bedrock:ListCustomModels action",
    )
