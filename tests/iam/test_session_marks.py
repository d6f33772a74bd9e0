"""Sessions with tags and a source identity, through boto3: who may set them, what they decide, what goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.iam.test_decisions import allow
from tests.support.policies import policy, trusting
from tests.support.servers import Running

ClientOf = Callable[..., Any]
ASSUME, TAG, NAME = "sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"
BLUE = [{"Key": "team", "Value": "blue"}]


def refusal(call: Callable[..., Any], **params: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refused:
        call(**params)
    error = refused.value.response["Error"]
    return error["Code"], error["Message"]


@pytest.fixture
def account(server: Running) -> str:
    return server.installation.account


@pytest.fixture
def role_of(iam: Any, user: str, account: str) -> Callable[..., str]:
    """A role that trusts whom it is told to do what it is told, with what it may itself."""

    def make(
        name: str,
        *actions: str,
        who: str = "",
        may: str = "",
        tags: list[dict[str, str]] | None = None,
        **condition: Any,
    ) -> str:
        principal = {"AWS": who or f"arn:aws:iam::{account}:user/{user}"}
        made = iam.create_role(
            RoleName=f"{name}-{user}",
            AssumeRolePolicyDocument=trusting(principal, list(actions), **condition),
            Tags=tags or [],
        )
        if may:
            iam.put_role_policy(RoleName=f"{name}-{user}", PolicyName="p", PolicyDocument=may)
        return str(made["Role"]["Arn"])

    return make


@pytest.fixture
def within(server: Running) -> Callable[..., Any]:
    """A client of a service within a session."""

    def make(session: dict[str, Any], service: str) -> Any:
        given = session["Credentials"]
        return server.client(
            service,
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    return make


BY_TEAM = policy("Allow", "s3:ListAllMyBuckets", StringEquals={"aws:PrincipalTag/team": "blue"})


def test_the_tags_of_a_session_stand_before_those_of_its_role(
    user: str, client_of: ClientOf, role_of: Any, within: Any
) -> None:
    role = role_of("tagged", ASSUME, TAG, may=BY_TEAM, tags=[{"Key": "Team", "Value": "red"}])
    sts = client_of(user, "sts")
    plain = sts.assume_role(RoleArn=role, RoleSessionName="one")
    assert refusal(within(plain, "s3").list_buckets)[0] == "AccessDenied"
    blue = sts.assume_role(RoleArn=role, RoleSessionName="one", Tags=BLUE)
    assert within(blue, "s3").list_buckets()["Buckets"] is not None
    # The other session of the same role and name keeps its own.
    assert refusal(within(plain, "s3").list_buckets)[0] == "AccessDenied"


def test_tags_need_a_permission_of_their_own(user: str, client_of: ClientOf, role_of: Any) -> None:
    role, sts = role_of("bare", ASSUME), client_of(user, "sts")
    sts.assume_role(RoleArn=role, RoleSessionName="one")
    code, message = refusal(sts.assume_role, RoleArn=role, RoleSessionName="one", Tags=BLUE)
    assert (code, message.partition("perform: ")[2]) == ("AccessDenied", f"sts:TagSession on resource: {role}")
    code, message = refusal(sts.assume_role, RoleArn=role, RoleSessionName="one", SourceIdentity="jane")
    assert (code, message.partition("perform: ")[2]) == ("AccessDenied", f"sts:SetSourceIdentity on resource: {role}")


def test_where_the_account_is_trusted_the_callers_own_policy_must_allow_tags(
    iam: Any, user: str, account: str, client_of: ClientOf, role_of: Any
) -> None:
    role, sts = role_of("account", ASSUME, TAG, who=account), client_of(user, "sts")
    allow(iam, user, ASSUME, role)
    assert refusal(sts.assume_role, RoleArn=role, RoleSessionName="one", Tags=BLUE)[0] == "AccessDenied"
    allow(iam, user, [ASSUME, TAG], role)
    assert sts.assume_role(RoleArn=role, RoleSessionName="one", Tags=BLUE)["Credentials"]


def test_a_trust_policy_may_say_which_tags(user: str, client_of: ClientOf, role_of: Any) -> None:
    role = role_of(
        "choosy",
        ASSUME,
        TAG,
        StringEquals={"aws:RequestTag/team": ["blue", "green"]},
        **{
            "ForAllValues:StringEquals": {"aws:TagKeys": ["team", "cost"], "sts:TransitiveTagKeys": ["team"]},
        },
    )
    sts = client_of(user, "sts")
    asked = {"RoleArn": role, "RoleSessionName": "one"}
    sts.assume_role(**asked, Tags=BLUE, TransitiveTagKeys=["team"])
    cost = [*BLUE, {"Key": "cost", "Value": "1"}]
    sts.assume_role(**asked, Tags=cost)
    assert refusal(sts.assume_role, **asked)[0] == "AccessDenied"
    assert refusal(sts.assume_role, **asked, Tags=[{"Key": "team", "Value": "red"}])[0] == "AccessDenied"
    assert refusal(sts.assume_role, **asked, Tags=[*BLUE, {"Key": "x", "Value": "1"}])[0] == "AccessDenied"
    assert refusal(sts.assume_role, **asked, Tags=cost, TransitiveTagKeys=["cost"])[0] == "AccessDenied"


def test_transitive_tags_go_on_to_the_next_session_and_others_do_not(
    user: str, account: str, client_of: ClientOf, role_of: Any, within: Any
) -> None:
    onward = json.loads(policy("Allow", [ASSUME, TAG]))
    first = role_of("first", ASSUME, TAG, may=json.dumps(onward))
    by_tags = policy(
        "Allow",
        "s3:ListAllMyBuckets",
        StringEquals={"aws:PrincipalTag/team": "blue"},
        Null={"aws:PrincipalTag/cost": "true"},
    )
    second = role_of("second", ASSUME, TAG, who=account, may=by_tags)
    closed = role_of("closed", ASSUME, who=account)
    begun = client_of(user, "sts").assume_role(
        RoleArn=first,
        RoleSessionName="one",
        Tags=[*BLUE, {"Key": "cost", "Value": "1"}],
        TransitiveTagKeys=["team"],
    )
    sts = within(begun, "sts")
    went_on = sts.assume_role(RoleArn=second, RoleSessionName="two")
    assert within(went_on, "s3").list_buckets()["Buckets"] is not None
    # A role that does not let sessions be tagged takes none that brings tags along.
    code, message = refusal(sts.assume_role, RoleArn=closed, RoleSessionName="two")
    assert (code, message.partition("perform: ")[2]) == ("AccessDenied", f"sts:TagSession on resource: {closed}")
    assert refusal(sts.assume_role, RoleArn=second, RoleSessionName="two", Tags=[{"Key": "TEAM", "Value": "red"}]) == (
        "ValidationError",
        "Tags: team came with the calling session and cannot be set again. Leave it out.",
    )


def test_a_source_identity_stays_through_every_session(
    user: str, account: str, client_of: ClientOf, role_of: Any, within: Any
) -> None:
    by_name = json.loads(policy("Allow", [ASSUME, NAME]))
    by_name["Statement"] += json.loads(
        policy("Allow", "s3:ListAllMyBuckets", StringEquals={"aws:SourceIdentity": "jane"})
    )["Statement"]
    first = role_of("named", ASSUME, NAME, may=json.dumps(by_name), StringLike={"sts:SourceIdentity": "j*"})
    second = role_of("next", ASSUME, NAME, who=account, may=json.dumps(by_name))
    sts = client_of(user, "sts")
    asked = {"RoleArn": first, "RoleSessionName": "one"}
    assert refusal(sts.assume_role, **asked, SourceIdentity="kenji")[0] == "AccessDenied"
    begun = sts.assume_role(**asked, SourceIdentity="jane")
    assert begun["SourceIdentity"] == "jane"
    assert within(begun, "s3").list_buckets()["Buckets"] is not None
    chained = within(begun, "sts")
    went_on = chained.assume_role(RoleArn=second, RoleSessionName="two")
    assert went_on["SourceIdentity"] == "jane"
    assert within(went_on, "s3").list_buckets()["Buckets"] is not None
    assert refusal(chained.assume_role, RoleArn=second, RoleSessionName="two", SourceIdentity="kenji") == (
        "AccessDenied",
        "SourceIdentity: the calling session has 'jane', which cannot be changed.",
    )


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"Tags": [*BLUE, {"Key": "Team", "Value": "x"}]},
         "Tags: team is given twice; keys are compared without case. Keep one."),
        ({"Tags": [{"Key": "aws:team", "Value": "x"}]},
         "Tags: aws:team begins with aws:, which belongs to AWS. Choose another key."),
        ({"Tags": BLUE, "TransitiveTagKeys": ["cost"]},
         "TransitiveTagKeys: cost is not among Tags. Pass the tag, or leave the key out."),
        ({"SerialNumber": "arn:aws:iam::123456789012:mfa/jane", "TokenCode": "123456"},
         "SerialNumber is not built in Outcrop yet. Ask for the session without it."),
    ],
)  # fmt: skip
def test_marks_that_cannot_be_are_refused_by_name(
    user: str, client_of: ClientOf, role_of: Any, asked: dict[str, Any], message: str
) -> None:
    role = role_of("any", ASSUME, TAG)
    assert refusal(client_of(user, "sts").assume_role, RoleArn=role, RoleSessionName="one", **asked) == (
        "ValidationError",
        message,
    )
