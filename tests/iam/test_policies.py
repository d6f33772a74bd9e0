"""Managed policies, their versions, and simulation, through boto3."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.iam.test_users_and_roles import code_of
from tests.support.policies import policy


@pytest.fixture
def managed(iam: Any, request: pytest.FixtureRequest) -> str:
    name = request.node.name.replace("[", "-").replace("]", "")[:100]
    return str(iam.create_policy(PolicyName=name, PolicyDocument=policy("Allow", "s3:List*"))["Policy"]["Arn"])


def test_a_new_default_version_counts_at_the_next_request(
    iam: Any, managed: str, user: str, client_of: Callable[..., Any]
) -> None:
    s3 = client_of(user, "s3")
    iam.attach_user_policy(UserName=user, PolicyArn=managed)
    s3.list_buckets()
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=policy("Deny", "s3:List*"))
    s3.list_buckets()
    iam.set_default_policy_version(PolicyArn=managed, VersionId="v2")
    assert code_of(s3.list_buckets) == "AccessDenied"
    assert iam.get_policy(PolicyArn=managed)["Policy"]["DefaultVersionId"] == "v2"
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=policy("Allow", "s3:*"), SetAsDefault=True)
    s3.list_buckets()
    document = iam.get_policy_version(PolicyArn=managed, VersionId="v2")["PolicyVersion"]["Document"]
    assert document == json.loads(policy("Deny", "s3:List*"))


def test_five_versions_at_most_and_no_number_twice(iam: Any, managed: str) -> None:
    for _ in range(4):
        iam.create_policy_version(PolicyArn=managed, PolicyDocument=policy("Allow", "s3:*"))
    new = {"PolicyArn": managed, "PolicyDocument": policy("Allow", "s3:*")}
    assert code_of(iam.create_policy_version, **new) == "LimitExceeded"
    iam.delete_policy_version(PolicyArn=managed, VersionId="v5")
    assert iam.create_policy_version(**new)["PolicyVersion"]["VersionId"] == "v6"
    versions = iam.list_policy_versions(PolicyArn=managed, MaxItems=3)
    assert [each["VersionId"] for each in versions["Versions"]] == ["v6", "v4", "v3"]
    rest = iam.list_policy_versions(PolicyArn=managed, Marker=versions["Marker"])["Versions"]
    assert [(each["VersionId"], each["IsDefaultVersion"]) for each in rest] == [("v2", False), ("v1", True)]


def test_the_default_version_stays_and_a_policy_goes_with_its_last_one(iam: Any, managed: str) -> None:
    iam.create_policy_version(PolicyArn=managed, PolicyDocument=policy("Allow", "s3:*"))
    assert code_of(iam.delete_policy_version, PolicyArn=managed, VersionId="v1") == "DeleteConflict"
    assert code_of(iam.delete_policy, PolicyArn=managed) == "DeleteConflict"
    iam.delete_policy_version(PolicyArn=managed, VersionId="v2")
    assert code_of(iam.delete_policy_version, PolicyArn=managed, VersionId="v2") == "NoSuchEntity"
    iam.delete_policy(PolicyArn=managed)
    assert code_of(iam.get_policy, PolicyArn=managed) == "NoSuchEntity"


def test_policies_are_tagged_and_know_who_uses_them(iam: Any, managed: str, user: str) -> None:
    iam.tag_policy(PolicyArn=managed, Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_policy_tags(PolicyArn=managed)["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_policy(PolicyArn=managed, TagKeys=["A"])
    assert iam.list_policy_tags(PolicyArn=managed)["Tags"] == []
    iam.attach_user_policy(UserName=user, PolicyArn=managed)
    entities = iam.list_entities_for_policy(PolicyArn=managed)
    assert [each["UserName"] for each in entities["PolicyUsers"]] == [user]
    assert entities["PolicyRoles"] == entities["PolicyGroups"] == []
    assert iam.list_entities_for_policy(PolicyArn=managed, EntityFilter="Role")["PolicyUsers"] == []
    assert code_of(iam.tag_policy, PolicyArn="arn:aws:iam::aws:policy/ReadOnlyAccess", Tags=[]) == "AccessDenied"


def test_policies_are_listed_by_scope_and_use(iam: Any, managed: str, user: str) -> None:
    def listed(**params: Any) -> list[str]:
        pages = iam.get_paginator("list_policies").paginate(PaginationConfig={"PageSize": 3}, **params)
        return [each["Arn"] for page in pages for each in page["Policies"]]

    assert managed in listed(Scope="Local")
    assert not any(arn.startswith("arn:aws:iam::aws:") for arn in listed(Scope="Local"))
    assert managed not in listed(Scope="AWS")
    assert managed not in listed(OnlyAttached=True)
    iam.attach_user_policy(UserName=user, PolicyArn=managed)
    assert managed in listed(OnlyAttached=True)
    assert managed not in listed(PolicyUsageFilter="PermissionsBoundary")


def test_simulation_says_what_the_door_would(iam: Any, user: str) -> None:
    iam.put_user_policy(
        UserName=user,
        PolicyName="own",
        PolicyDocument=policy("Allow", "s3:GetObject", "arn:aws:s3:::bucket/${aws:username}/*"),
    )
    arn = iam.get_user(UserName=user)["User"]["Arn"]
    found = iam.simulate_principal_policy(
        PolicySourceArn=arn,
        ActionNames=["s3:GetObject", "s3:PutObject"],
        ResourceArns=[f"arn:aws:s3:::bucket/{user}/a"],
    )["EvaluationResults"]
    assert [(each["EvalActionName"], each["EvalDecision"]) for each in found] == [
        ("s3:GetObject", "allowed"),
        ("s3:PutObject", "implicitDeny"),
    ]
    assert [each["SourcePolicyId"] for each in found[0]["MatchedStatements"]] == [f"user_{user}_own"]


def test_a_custom_simulation_names_the_values_it_lacks(iam: Any) -> None:
    condition = {"StringEquals": {"aws:PrincipalTag/team": "blue"}}
    asked = {
        "PolicyInputList": [policy("Allow", "s3:*"), policy("Deny", "s3:PutObject", **condition)],
        "ActionNames": ["s3:PutObject"],
    }
    [lacking] = iam.simulate_custom_policy(**asked)["EvaluationResults"]
    assert (lacking["EvalDecision"], lacking["MissingContextValues"]) == ("allowed", ["aws:principaltag/team"])
    entry = {"ContextKeyName": "aws:PrincipalTag/team", "ContextKeyValues": ["blue"], "ContextKeyType": "string"}
    [denied] = iam.simulate_custom_policy(**asked, ContextEntries=[entry])["EvaluationResults"]
    assert denied["EvalDecision"] == "explicitDeny"
    [limited] = iam.simulate_custom_policy(
        PolicyInputList=[policy("Allow", "s3:*")],
        PermissionsBoundaryPolicyInputList=[policy("Allow", "s3:Get*")],
        ActionNames=["s3:PutObject"],
    )["EvaluationResults"]
    assert limited["EvalDecision"] == "implicitDeny"
    assert limited["PermissionsBoundaryDecisionDetail"] == {"AllowedByPermissionsBoundary": False}


def test_a_policy_that_is_none_is_refused_by_simulation_too(iam: Any) -> None:
    with pytest.raises(ClientError, match="MalformedPolicyDocument"):
        iam.simulate_custom_policy(PolicyInputList=['{"Statement": []}'], ActionNames=["s3:GetObject"])
