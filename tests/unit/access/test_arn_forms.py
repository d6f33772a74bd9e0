"""ARNs that people write: what can mean something is taken, what cannot is refused in IAM's words."""

import json
from typing import Any

import pytest

from outcrop.access.access import Access
from outcrop.access.names import Kind
from outcrop.access.policies.documents import PolicyForm
from outcrop.access.policies.new_documents import parse_new, parse_new_managed
from outcrop.errors import ServiceRefusal

ARN_FORM = 'must be in ARN format or "*".'
VENDOR = "Resource vendor must be fully qualified and cannot contain regexes."
ACCOUNT = "123456789012"


def document(resource: Any, **more: Any) -> str:
    statement = {"Effect": "Deny", "Action": "s3:*", "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement], **more})


def malformed(text: str, form: PolicyForm = PolicyForm.IDENTITY) -> str:
    with pytest.raises(ServiceRefusal) as refused:
        parse_new(text, form)
    assert (refused.value.code, refused.value.http_status) == ("MalformedPolicyDocument", 400)
    return refused.value.message


@pytest.mark.parametrize("member", ["Resource", "NotResource"])
@pytest.mark.parametrize(
    ("resource", "problem"),
    [
        ("arn", ARN_FORM),
        ("arn:aws", ARN_FORM),
        ("arn:aws:s3", ARN_FORM),
        ("arn:aws:s3:bucket", ARN_FORM),
        ("arn:aws:s3::bucket", ARN_FORM),
        ("arn:aws:s3:::", ""),
        ("arn:aws-cn:s3:::bucket", 'Partition "aws-cn" is not valid for resource "arn:aws-cn:s3:::bucket".'),
        ("arn:aws-us-gov:s3:::bucket/*", 'Partition "aws-us-gov" is not valid'),
        ("arn:AWS:s3:::bucket", 'Partition "AWS" is not valid'),
        ("arn::s3:::bucket", 'Partition "" is not valid'),
        ("arn:error:s3:::bucket", 'Partition "error" is not valid'),
        ("arn:aws::::bucket", VENDOR),
        ("arn:aws:s*:::bucket", VENDOR),
        ("arn:aws:*:*:*:*", VENDOR),
        ("arn:aws:*", VENDOR),
        ("arn:aws:s3:::bucket", ""),
        ("arn:aws:s3:::*", ""),
        ("arn:aws:s3:*", ""),
        ("arn:aws:bedrock:us-east-1:*", ""),
        ("arn:*:kms:*:::*", ""),
        ("arn:aws:s3:::${aws:username}/*", ""),
        ("arn:aws:bedrock:*:*:custom-model/*", ""),
        ("*", ""),
    ],
)
def test_a_resource_that_can_be_none_is_refused(member: str, resource: str, problem: str) -> None:
    statement = {"Effect": "Deny", "Action": "s3:*", member: ["arn:aws:s3:::other", resource]}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    if problem:
        assert problem in malformed(text)
    else:
        assert parse_new(text).statements


@pytest.mark.parametrize(
    ("principal", "is_one"),
    [
        ("*", True),
        (ACCOUNT, True),
        (f"arn:aws:iam::{ACCOUNT}:root", True),
        (f"arn:aws:iam::{ACCOUNT}:user/team/jane", True),
        (f"arn:aws:iam::{ACCOUNT}:role/Tuning", True),
        (f"arn:aws:sts::{ACCOUNT}:assumed-role/Tuning/session", True),
        ("12345678901", False),
        ("jane", False),
        ("arn:aws:iam::root", False),
        (f"arn:aws:iam:{ACCOUNT}:root", False),
        ("arn:aws:iam::1234:root", False),
        (f"arn:aws-cn:iam::{ACCOUNT}:root", False),
        (f"arn:aws:iam::{ACCOUNT}:role/*", False),
        (f"arn:aws:iam::{ACCOUNT}:user/", False),
        (f"arn:aws:iam::{ACCOUNT}:group/readers", False),
        ("arn:aws:s3:::bucket", False),
    ],
)
def test_a_trust_policy_names_somebody_who_can_be(principal: str, is_one: bool) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": [ACCOUNT, principal]}}
    text = json.dumps({"Version": "2012-10-17", "Statement": statement})
    if is_one:
        assert parse_new(text, PolicyForm.TRUST).statements
    else:
        assert malformed(text, PolicyForm.TRUST).startswith(f'Invalid principal in policy: "AWS":"{principal}".')


@pytest.mark.parametrize("version", [None, "2008-10-17"])
def test_a_managed_policy_says_the_newer_version(version: str | None) -> None:
    text = json.dumps({"Version": version, **json.loads(document("*"))} | {"Version": version})
    if version is None:
        text = json.dumps({"Statement": json.loads(document("*"))["Statement"]})
    with pytest.raises(ServiceRefusal, match="Policy document must be version 2012-10-17 or greater") as refused:
        parse_new_managed(text)
    assert refused.value.code == "MalformedPolicyDocument"
    assert parse_new(text).version == "2008-10-17"  # an inline one may be older


@pytest.mark.parametrize(
    "arn",
    [
        "AdministratorAccess",
        "arn:aws:iam::aws:policy",
        "arn:aws:iam::aws:policy/",
        "arn:aws:iam:aws:policy/AdministratorAccess",
        "arn:aws-cn:iam::aws:policy/AdministratorAccess",
        "arn:aws:iam::1234:policy/mine",
        "arn:aws:iam:us-east-1:aws:policy/AdministratorAccess",
        f"arn:aws:iam::{ACCOUNT}:role/mine",
        "arn:aws:s3:::policy/mine",
    ],
)
def test_what_is_no_policys_arn_is_no_policy(access: Access, arn: str) -> None:
    access.identities.create_user("jane")
    attachments = access.attachments
    for ask in (
        lambda: attachments.get(arn),
        lambda: attachments.attach(Kind.USER, "jane", arn),
        lambda: attachments.detach(Kind.USER, "jane", arn),
        lambda: attachments.check_boundary(arn),
        lambda: attachments.delete(arn),
        lambda: attachments.version(arn, "v1"),
        lambda: attachments.tag(arn, {}),
    ):
        with pytest.raises(ServiceRefusal) as refused:
            ask()
        assert (refused.value.code, refused.value.message) == ("InvalidInput", f"ARN {arn} is not valid.")


def test_an_older_document_on_record_still_counts(access: Access) -> None:
    """A home may hold documents from before the rule; they are judged as they always were."""
    access.identities.create_user("jane")
    jane = access.identities.get(Kind.USER, "jane")
    access.identities.records.policies.put_inline(jane.id, "old", document("arn:aws-cn:s3:::bucket"))
    assert [len(policy.statements) for policy in access.attachments.of(jane)] == [1]
