"""Users, roles, groups and keys through boto3."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.policies import policy, trusting
from tests.support.servers import Running

BEDROCK = trusting({"Service": "bedrock.amazonaws.com"})


def code_of(call: Callable[..., Any], **params: Any) -> str:
    with pytest.raises(ClientError) as refusal:
        call(**params)
    return str(refusal.value.response["Error"]["Code"])


def test_a_user_renamed_keeps_keys_and_policies(iam: Any, user: str, client_of: Callable[..., Any]) -> None:
    iam.put_user_policy(UserName=user, PolicyName="s3", PolicyDocument=policy("Allow", "s3:ListAllMyBuckets"))
    s3, sts = client_of(user, "s3"), client_of(user, "sts")
    iam.update_user(UserName=user, NewUserName=f"{user}-renamed", NewPath="/team/")
    s3.list_buckets()
    assert sts.get_caller_identity()["Arn"].endswith(f":user/team/{user}-renamed")
    assert code_of(iam.get_user, UserName=user) == "NoSuchEntity"
    iam.create_user(UserName="Taken")
    assert code_of(iam.update_user, UserName=f"{user}-renamed", NewUserName="TAKEN") == "EntityAlreadyExists"


def test_tags_are_put_listed_and_taken_away(iam: Any, user: str) -> None:
    iam.tag_user(UserName=user, Tags=[{"Key": "team", "Value": "blue"}, {"Key": "cost", "Value": "1"}])
    iam.tag_user(UserName=user, Tags=[{"Key": "TEAM", "Value": "red"}])
    assert iam.list_user_tags(UserName=user)["Tags"] == [
        {"Key": "TEAM", "Value": "red"},
        {"Key": "cost", "Value": "1"},
    ]
    iam.untag_user(UserName=user, TagKeys=["team", "absent"])
    assert iam.get_user(UserName=user)["User"]["Tags"] == [{"Key": "cost", "Value": "1"}]
    many = [{"Key": f"k{number}", "Value": ""} for number in range(50)]
    assert code_of(iam.tag_user, UserName=user, Tags=many) == "LimitExceeded"


def test_a_role_is_updated_described_tagged_and_deleted(iam: Any) -> None:
    iam.create_role(RoleName="Changing", AssumeRolePolicyDocument=BEDROCK)
    iam.update_role(RoleName="Changing", MaxSessionDuration=7200)
    assert iam.update_role_description(RoleName="Changing", Description="new")["Role"]["MaxSessionDuration"] == 7200
    iam.tag_role(RoleName="Changing", Tags=[{"Key": "a", "Value": "b"}])
    assert iam.list_role_tags(RoleName="Changing")["Tags"] == [{"Key": "a", "Value": "b"}]
    iam.untag_role(RoleName="Changing", TagKeys=["a"])
    role = iam.get_role(RoleName="Changing")["Role"]
    assert (role["Description"], role.get("Tags", [])) == ("new", [])
    iam.delete_role(RoleName="Changing")
    assert code_of(iam.get_role, RoleName="Changing") == "NoSuchEntity"


def test_an_inactive_key_is_refused_until_it_is_active_again(iam: Any, user: str, server: Running) -> None:
    key = iam.create_access_key(UserName=user)["AccessKey"]
    credentials = {"aws_access_key_id": key["AccessKeyId"], "aws_secret_access_key": key["SecretAccessKey"]}
    sts = server.client("sts", **credentials)
    sts.get_caller_identity()
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Inactive")
    assert code_of(sts.get_caller_identity) == "InvalidClientTokenId"
    assert code_of(server.client("s3", **credentials).list_buckets) == "InvalidAccessKeyId"
    assert [each["Status"] for each in iam.list_access_keys(UserName=user)["AccessKeyMetadata"]] == ["Inactive"]
    iam.update_access_key(UserName=user, AccessKeyId=key["AccessKeyId"], Status="Active")
    sts.get_caller_identity()


def test_the_administrator_keeps_an_active_key(iam: Any, server: Running) -> None:
    only = server.installation.access_key_id
    assert code_of(iam.update_access_key, AccessKeyId=only, Status="Inactive") == "DeleteConflict"


def test_the_last_use_of_a_key_is_told(iam: Any, user: str, client_of: Callable[..., Any]) -> None:
    key_id = iam.create_access_key(UserName=user)["AccessKey"]["AccessKeyId"]
    never = iam.get_access_key_last_used(AccessKeyId=key_id)
    assert (never["UserName"], never["AccessKeyLastUsed"]["ServiceName"]) == (user, "N/A")
    assert "LastUsedDate" not in never["AccessKeyLastUsed"]
    sts = client_of(user, "sts", region_name="eu-west-1")
    sts.get_caller_identity()
    used = iam.get_access_key_last_used(AccessKeyId=sts._request_signer._credentials.access_key)["AccessKeyLastUsed"]
    assert (used["ServiceName"], used["Region"]) == ("sts", "eu-west-1")
    assert "LastUsedDate" in used


def test_a_groups_policies_are_its_members_policies(iam: Any, user: str, client_of: Callable[..., Any]) -> None:
    s3 = client_of(user, "s3")
    iam.create_group(GroupName="Readers")
    iam.put_group_policy(GroupName="Readers", PolicyName="list", PolicyDocument=policy("Allow", "s3:List*"))
    assert code_of(s3.list_buckets) == "AccessDenied"
    iam.add_user_to_group(GroupName="Readers", UserName=user)
    s3.list_buckets()
    assert [each["UserName"] for each in iam.get_group(GroupName="Readers")["Users"]] == [user]
    assert [each["GroupName"] for each in iam.list_groups_for_user(UserName=user)["Groups"]] == ["Readers"]
    assert code_of(iam.delete_group, GroupName="Readers") == "DeleteConflict"
    iam.remove_user_from_group(GroupName="Readers", UserName=user)
    assert code_of(s3.list_buckets) == "AccessDenied"
    iam.delete_group_policy(GroupName="Readers", PolicyName="list")
    iam.update_group(GroupName="Readers", NewGroupName="Gone")
    iam.delete_group(GroupName="Gone")
    assert "Gone" not in [each["GroupName"] for each in iam.list_groups()["Groups"]]


def test_a_permissions_boundary_limits_what_policies_allow(iam: Any, user: str, client_of: Callable[..., Any]) -> None:
    iam.attach_user_policy(UserName=user, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    s3, sts = client_of(user, "s3"), client_of(user, "iam")
    sts.list_users()
    iam.put_user_permissions_boundary(UserName=user, PermissionsBoundary="arn:aws:iam::aws:policy/AmazonS3FullAccess")
    s3.list_buckets()
    with pytest.raises(ClientError, match="because no permissions boundary allows the iam:ListUsers action"):
        sts.list_users()
    boundary = iam.get_user(UserName=user)["User"]["PermissionsBoundary"]
    assert boundary["PermissionsBoundaryArn"] == "arn:aws:iam::aws:policy/AmazonS3FullAccess"
    iam.delete_user_permissions_boundary(UserName=user)
    sts.list_users()


def test_a_role_of_a_service_belongs_to_the_service(iam: Any) -> None:
    role = iam.create_service_linked_role(AWSServiceName="sagemaker.amazonaws.com")["Role"]
    assert role["Path"] == "/aws-service-role/sagemaker.amazonaws.com/"
    assert code_of(iam.delete_role, RoleName=role["RoleName"]) == "UnmodifiableEntity"
    assert code_of(iam.create_service_linked_role, AWSServiceName="sagemaker.amazonaws.com") == "InvalidInput"
    task = iam.delete_service_linked_role(RoleName=role["RoleName"])["DeletionTaskId"]
    assert iam.get_service_linked_role_deletion_status(DeletionTaskId=task)["Status"] == "SUCCEEDED"
    assert code_of(iam.get_role, RoleName=role["RoleName"]) == "NoSuchEntity"


def test_the_account_is_told_as_a_whole(iam: Any, user: str) -> None:
    iam.put_user_policy(UserName=user, PolicyName="s3", PolicyDocument=policy("Allow", "s3:*"))
    details = iam.get_account_authorization_details(Filter=["User"])
    found = next(each for each in details["UserDetailList"] if each["UserName"] == user)
    assert found["UserPolicyList"][0]["PolicyDocument"] == json.loads(policy("Allow", "s3:*"))
    assert details["RoleDetailList"] == details["Policies"] == []
    everything = iam.get_account_authorization_details()
    assert "OutcropServiceRole" in [each["RoleName"] for each in everything["RoleDetailList"]]
    assert iam.get_account_summary()["SummaryMap"]["Users"] == len(iam.list_users()["Users"])


def test_the_account_has_one_alias_at_most(iam: Any) -> None:
    assert iam.list_account_aliases()["AccountAliases"] == []
    iam.create_account_alias(AccountAlias="first")
    iam.create_account_alias(AccountAlias="second")
    assert iam.list_account_aliases()["AccountAliases"] == ["second"]
    iam.delete_account_alias(AccountAlias="second")
    assert code_of(iam.delete_account_alias, AccountAlias="second") == "NoSuchEntity"


def test_pages_stand_when_rows_are_added_and_taken_meanwhile(iam: Any) -> None:
    for name in ("p-1", "p-3", "p-5", "p-7"):
        iam.create_user(UserName=name, Path="/paging/")
    first = iam.list_users(PathPrefix="/paging/", MaxItems=2)
    assert first["IsTruncated"]
    iam.create_user(UserName="p-2", Path="/paging/")
    iam.create_user(UserName="p-6", Path="/paging/")
    iam.delete_user(UserName="p-3")
    second = iam.list_users(PathPrefix="/paging/", Marker=first["Marker"])
    assert [each["UserName"] for each in second["Users"]] == ["p-5", "p-6", "p-7"]
