"""Users, roles, policies and keys keep IAM's rules, and refuse in IAM's words."""

import json
import re
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from outcrop.access.access import Access
from outcrop.access.names import Kind
from outcrop.access.policies.managed import AWS_MANAGED
from outcrop.clock import MovableClock
from outcrop.errors import ServiceRefusal

TRUST = json.dumps(
    {"Statement": [{"Effect": "Allow", "Principal": {"Service": "bedrock.amazonaws.com"}, "Action": "sts:AssumeRole"}]}
)
READ = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}]}
)
S3_FULL = "arn:aws:iam::aws:policy/AmazonS3FullAccess"


def refusal(action: Callable[[], Any]) -> tuple[str, int, str]:
    with pytest.raises(ServiceRefusal) as refused:
        action()
    return refused.value.code, refused.value.http_status, refused.value.message


def test_a_role_has_an_id_and_an_arn_with_its_path(access: Access) -> None:
    role = access.identities.create_role("Tuning", trust=TRUST, path="/service-role/", tags={"team": "blue"})
    assert re.fullmatch("AROA[A-Z2-7]{17}", role.id)
    assert role.arn == f"arn:aws:iam::{access.account}:role/service-role/Tuning"
    assert access.identities.get(Kind.ROLE, "Tuning") == role
    assert role.tags == {"team": "blue"}


def test_names_that_differ_in_case_only_exclude_each_other(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST)
    assert refusal(lambda: access.identities.create_role("tuning", trust=TRUST)) == (
        "EntityAlreadyExists",
        409,
        "Role with name tuning already exists.",
    )
    access.identities.create_user("tuning")
    assert refusal(lambda: access.identities.create_user("tuning")) == (
        "EntityAlreadyExists",
        409,
        "User with name tuning already exists.",
    )


@pytest.mark.parametrize("name", ["a b", "a/b", "ä", "a*", "日本"])
def test_a_name_outside_the_pattern_is_refused(access: Access, name: str) -> None:
    assert refusal(lambda: access.identities.create_role(name, trust=TRUST)) == (
        "ValidationError",
        400,
        "The specified value for roleName is invalid. It must contain only alphanumeric characters and/or the "
        "following: +=,.@_-",
    )


def test_a_name_of_64_characters_is_the_longest(access: Access) -> None:
    access.identities.create_user("u" * 64)
    code, status, message = refusal(lambda: access.identities.create_user("u" * 65))
    assert (code, status) == ("ValidationError", 400)
    assert message.endswith("Member must have length less than or equal to 64")


@pytest.mark.parametrize("path", ["", "a", "/a", "a/", "/a b/", "/" + "a" * 511 + "/"])
def test_a_path_begins_and_ends_with_a_slash(access: Access, path: str) -> None:
    assert refusal(lambda: access.identities.create_user("jane", path=path))[0] == "ValidationError"


@pytest.mark.parametrize(("kind", "word"), [(Kind.ROLE, "role"), (Kind.USER, "user")])
def test_an_unknown_name_is_no_such_entity(access: Access, kind: Kind, word: str) -> None:
    message = f"The {word} with name nobody cannot be found."
    for action in (
        lambda: access.identities.get(kind, "nobody"),
        lambda: access.identities.delete(kind, "nobody"),
        lambda: access.identities.tag(kind, "nobody", {"a": "b"}),
        lambda: access.attachments.put_inline(kind, "nobody", "p", READ),
        lambda: access.attachments.inline(kind, "nobody"),
        lambda: access.attachments.attach(kind, "nobody", S3_FULL),
        lambda: access.attachments.attached(kind, "nobody"),
    ):
        assert refusal(action) == ("NoSuchEntity", 404, message)


def conflict(sentence: str) -> tuple[str, int, str]:
    return "DeleteConflict", 409, sentence


def test_a_role_with_policies_is_deleted_only_after_them(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST)
    access.attachments.attach(Kind.ROLE, "Tuning", S3_FULL)
    access.attachments.put_inline(Kind.ROLE, "Tuning", "read", READ)

    def delete() -> None:
        access.identities.delete(Kind.ROLE, "Tuning")

    assert refusal(delete) == conflict(
        f"Cannot delete entity, must detach all policies first. Left of role Tuning: {S3_FULL}."
    )
    access.attachments.detach(Kind.ROLE, "Tuning", S3_FULL)
    assert refusal(delete) == conflict("Cannot delete entity, must delete policies first. Left of role Tuning: read.")
    access.attachments.delete_inline(Kind.ROLE, "Tuning", "read")
    delete()
    assert refusal(delete) == ("NoSuchEntity", 404, "The role with name Tuning cannot be found.")


def test_a_user_is_deleted_only_after_all_that_hangs_on_it(access: Access) -> None:
    access.identities.create_user("jane")
    access.identities.create_group("Readers")
    access.identities.join("Readers", "jane")
    access.attachments.attach(Kind.USER, "jane", S3_FULL)
    access.attachments.put_inline(Kind.USER, "jane", "read", READ)
    keys = [access.credentials.create_key("jane").key_id for _ in range(2)]
    bedrock, _ = access.service_credentials.create("jane", "bedrock.amazonaws.com", age_days=None)
    left = [key.id for key in access.credentials.keys("jane")]

    def delete_keys() -> None:
        for key in keys:
            access.credentials.delete_key("jane", key)

    steps: tuple[tuple[str, list[str], Callable[[], object]], ...] = (
        ("detach all policies", [S3_FULL], lambda: access.attachments.detach(Kind.USER, "jane", S3_FULL)),
        ("delete policies", ["read"], lambda: access.attachments.delete_inline(Kind.USER, "jane", "read")),
        ("delete access keys", left, delete_keys),
        (
            "delete service specific credentials",
            [bedrock.id],
            lambda: access.service_credentials.delete("jane", bedrock.id),
        ),
        ("remove users from group", ["Readers"], lambda: access.identities.leave("Readers", "jane")),
    )
    for first, named, end in steps:
        assert refusal(lambda: access.identities.delete(Kind.USER, "jane")) == conflict(
            f"Cannot delete entity, must {first} first. Left of user jane: {', '.join(named)}."
        )
        end()
    assert [access.secret_for(key) for key in keys] == [None, None]
    access.identities.delete(Kind.USER, "jane")
    assert refusal(lambda: access.identities.get(Kind.USER, "jane"))[0] == "NoSuchEntity"


def test_a_group_is_deleted_only_after_its_members_and_policies(access: Access) -> None:
    access.identities.create_group("Readers")
    access.identities.create_user("jane")
    access.identities.join("Readers", "jane")
    access.attachments.put_inline(Kind.GROUP, "Readers", "read", READ)

    def delete() -> None:
        access.identities.delete(Kind.GROUP, "Readers")

    assert refusal(delete) == conflict("Cannot delete entity, must delete policies first. Left of group Readers: read.")
    access.attachments.delete_inline(Kind.GROUP, "Readers", "read")
    assert refusal(delete) == conflict(
        "Cannot delete entity, must remove users from group first. Left of group Readers: jane."
    )
    access.identities.leave("Readers", "jane")
    delete()


def test_a_user_has_two_access_keys_at_most(access: Access) -> None:
    access.identities.create_user("jane")
    keys = [access.credentials.create_key("jane").key_id for _ in range(2)]
    assert refusal(lambda: access.credentials.create_key("jane")) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for AccessKeysPerUser: 2",
    )
    assert {key.id for key in access.credentials.keys("jane")} == set(keys)


def test_a_key_of_someone_else_is_not_found(access: Access) -> None:
    access.identities.create_user("jane")
    other = access.installation.access_key_id
    assert refusal(lambda: access.credentials.delete_key("jane", other)) == (
        "NoSuchEntity",
        404,
        f"The Access Key with id {other} cannot be found.",
    )


def test_the_administrator_cannot_be_locked_out(access: Access) -> None:
    key = access.installation.access_key_id
    assert refusal(lambda: access.credentials.delete_key("admin", key)) == (
        "DeleteConflict",
        409,
        "The administrator of this installation needs an access key. Create a new one before deleting this.",
    )
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    assert refusal(lambda: access.attachments.detach(Kind.USER, "admin", administrator))[0] == "UnmodifiableEntity"
    assert refusal(lambda: access.identities.delete(Kind.USER, "admin"))[0] == "UnmodifiableEntity"


def test_a_new_key_of_the_administrator_can_replace_the_first(access: Access, clock: MovableClock) -> None:
    clock.move(timedelta(days=90))
    new = access.credentials.create_key("admin")
    access.credentials.delete_key("admin", access.installation.access_key_id)
    assert access.installation.access_key_id == new.key_id
    assert access.installation.secret_access_key == new.secret


def test_inline_policies_are_put_replaced_listed_and_deleted(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST)
    access.attachments.put_inline(Kind.ROLE, "Tuning", "b", READ)
    access.attachments.put_inline(Kind.ROLE, "Tuning", "a", READ)
    changed = READ.replace("GetObject", "PutObject")
    access.attachments.put_inline(Kind.ROLE, "Tuning", "b", changed)
    assert access.attachments.inline(Kind.ROLE, "Tuning") == {"a": READ, "b": changed}
    assert access.attachments.get_inline(Kind.ROLE, "Tuning", "b") == changed
    access.attachments.delete_inline(Kind.ROLE, "Tuning", "b")
    for action in (
        lambda: access.attachments.get_inline(Kind.ROLE, "Tuning", "b"),
        lambda: access.attachments.delete_inline(Kind.ROLE, "Tuning", "b"),
    ):
        assert refusal(action) == ("NoSuchEntity", 404, "The role policy with name b cannot be found.")


def test_inline_policies_of_a_user_share_2048_characters_without_white_space(access: Access) -> None:
    access.identities.create_user("jane")
    resources = [f"arn:aws:s3:::bucket/{number:04}" for number in range(70)]
    long = json.dumps({"Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": resources}]}, indent=8)
    access.attachments.put_inline(Kind.USER, "jane", "one", long)
    assert refusal(lambda: access.attachments.put_inline(Kind.USER, "jane", "two", long)) == (
        "LimitExceeded",
        409,
        "Maximum policy size of 2048 bytes exceeded for user jane",
    )
    access.attachments.put_inline(Kind.USER, "jane", "one", long)


def test_a_managed_policy_is_made_once_and_deleted_when_nobody_has_it(access: Access) -> None:
    policy = access.attachments.create("Read", document=READ, description="reads")
    assert policy.arn == f"arn:aws:iam::{access.account}:policy/Read"
    assert re.fullmatch("ANPA[A-Z2-7]{17}", policy.id)
    assert refusal(lambda: access.attachments.create("read", document=READ)) == (
        "EntityAlreadyExists",
        409,
        "A policy called read already exists. Duplicate names are not allowed.",
    )
    access.identities.create_role("Tuning", trust=TRUST)
    access.attachments.attach(Kind.ROLE, "Tuning", policy.arn)
    access.attachments.attach(Kind.ROLE, "Tuning", policy.arn)
    assert access.attachments.attached(Kind.ROLE, "Tuning") == [policy]
    assert refusal(lambda: access.attachments.delete(policy.arn)) == (
        "DeleteConflict",
        409,
        "Cannot delete a policy attached to entities. Attached to: role Tuning.",
    )
    access.attachments.detach(Kind.ROLE, "Tuning", policy.arn)
    access.identities.create_user("jane", boundary=policy.arn)
    assert refusal(lambda: access.attachments.delete(policy.arn)) == conflict(
        "Cannot delete a policy attached to entities. Attached to: user jane."
    )
    access.identities.set_boundary(Kind.USER, "jane", None)
    access.attachments.delete(policy.arn)
    assert refusal(lambda: access.attachments.get(policy.arn)) == (
        "NoSuchEntity",
        404,
        f"Policy {policy.arn} was not found.",
    )


def test_what_is_no_policy_cannot_be_attached_or_detached(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST)
    unknown = "arn:aws:iam::aws:policy/NoSuchPolicy"
    assert refusal(lambda: access.attachments.attach(Kind.ROLE, "Tuning", unknown)) == (
        "NoSuchEntity",
        404,
        f"Policy {unknown} does not exist or is not attachable.",
    )
    assert refusal(lambda: access.attachments.attach(Kind.ROLE, "Tuning", "NoSuchPolicy-without-arn")) == (
        "InvalidInput",
        400,
        "ARN NoSuchPolicy-without-arn is not valid.",
    )
    assert refusal(lambda: access.attachments.detach(Kind.ROLE, "Tuning", S3_FULL))[0] == "NoSuchEntity"


def test_a_role_has_ten_managed_policies_at_most(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST)
    for number in range(10):
        policy = access.attachments.create(f"p{number}", document=READ)
        access.attachments.attach(Kind.ROLE, "Tuning", policy.arn)
    assert refusal(lambda: access.attachments.attach(Kind.ROLE, "Tuning", S3_FULL)) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for PoliciesPerRole: 10",
    )


@pytest.mark.parametrize(
    "name",
    [
        "AdministratorAccess",
        "AmazonBedrockFullAccess",
        "AmazonBedrockReadOnly",
        "AmazonS3FullAccess",
        "AmazonS3ReadOnlyAccess",
        "AmazonSageMakerFullAccess",
        "IAMFullAccess",
    ],
)
def test_aws_own_policies_can_be_attached_and_not_deleted(access: Access, name: str) -> None:
    arn = f"arn:aws:iam::aws:policy/{name}"
    access.identities.create_user("jane")
    access.attachments.attach(Kind.USER, "jane", arn)
    assert access.attachments.attached(Kind.USER, "jane") == [AWS_MANAGED[arn]]
    assert list(access.attachments.of(access.identities.get(Kind.USER, "jane")))
    assert refusal(lambda: access.attachments.delete(arn))[:2] == ("AccessDenied", 403)


def test_a_trust_policy_has_2048_characters_at_most(access: Access) -> None:
    services = [f"service{number}.amazonaws.com" for number in range(100)]
    long = json.dumps(
        {"Statement": [{"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}]}
    )
    access.identities.create_role("Tuning", trust=TRUST)
    for action in (
        lambda: access.identities.create_role("Other", trust=long),
        lambda: access.identities.set_trust("Tuning", long),
    ):
        assert refusal(action) == ("LimitExceeded", 409, "Cannot exceed quota for ACLSizePerRole: 2048")


def test_tags_are_added_up_to_fifty(access: Access) -> None:
    access.identities.create_role("Tuning", trust=TRUST, tags={"a": "1"})
    access.identities.tag(Kind.ROLE, "Tuning", {"a": "2", "b": "3"})
    assert access.identities.get(Kind.ROLE, "Tuning").tags == {"a": "2", "b": "3"}
    many = {str(number): "" for number in range(49)}
    assert refusal(lambda: access.identities.tag(Kind.ROLE, "Tuning", many)) == (
        "LimitExceeded",
        409,
        "Cannot exceed quota for TagsPerRole: 50",
    )
    assert refusal(lambda: access.identities.tag(Kind.ROLE, "Tuning", {"aws:x": "1"}))[0] == "InvalidInput"


def test_a_trust_policy_is_replaced(access: Access) -> None:
    role = access.identities.create_role("Tuning", trust=TRUST)
    changed = TRUST.replace("bedrock", "sagemaker")
    access.identities.set_trust("Tuning", changed)
    assert access.identities.get(Kind.ROLE, "Tuning") == replace(role, trust=changed)


def test_listings_are_ordered_by_name_and_narrowed_by_path(access: Access) -> None:
    for name, path in (("b", "/x/"), ("a", "/x/y/"), ("c", "/z/")):
        access.identities.create_user(name, path=path)
    users = access.identities.records.identities.all(Kind.USER, path_prefix="/x/")
    assert [user.name for user in users] == ["a", "b"]
