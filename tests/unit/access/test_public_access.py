"""Which policies are public, by the table of S3's user guide.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

import json
from typing import Any

import pytest

from outcrop.access.policies.bucket_policy import parse_bucket_policy
from outcrop.access.policies.public_access import DELETED, PublicAccessBlock, is_public

ACCOUNT = "123456789012"
FOR_ALL: dict[str, Any] = {"ForAllValues:StringEquals": {"aws:SourceAccount": ACCOUNT}}
FOR_ANY: dict[str, Any] = {"ForAnyValue:StringEquals": {"aws:PrincipalOrgID": "o-1"}}


def policy(principal: Any = "*", effect: str = "Allow", name: str = "Principal", **condition: Any) -> str:
    statement = {"Effect": effect, name: principal, "Action": "s3:GetObject", "Resource": "arn:aws:s3:::b/*"}
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Statement": [statement]})


@pytest.mark.parametrize(
    ("text", "public"),
    [
        (policy(), True),
        (policy({"AWS": "*"}), True),
        (policy({"AWS": ["*", ACCOUNT]}), True),
        (policy(effect="Deny"), False),
        (policy({"AWS": ACCOUNT}), False),
        (policy({"AWS": f"arn:aws:iam::{ACCOUNT}:role/a"}), False),
        (policy({"Service": "cloudtrail.amazonaws.com"}), False),
        (policy({"AWS": f"arn:aws:iam::{ACCOUNT}:user/a"}, name="NotPrincipal"), True),
        (policy(StringEquals={"aws:SourceAccount": ACCOUNT}), False),
        (policy(StringEquals={"aws:PrincipalOrgID": "o-1"}), False),
        (policy(StringLike={"aws:SourceVpc": "vpc-*"}), True),
        (policy(StringLike={"aws:SourceVpc": "vpc-91237329"}), False),
        (policy(StringEquals={"aws:SourceVpce": "${aws:username}"}), True),
        (policy(StringNotEquals={"aws:SourceAccount": ACCOUNT}), True),
        (policy(StringEqualsIfExists={"aws:SourceAccount": ACCOUNT}), True),
        (policy(**FOR_ALL), True),
        (policy(**FOR_ANY), False),
        (policy(StringEquals={"aws:Referer": "https://a/"}), True),
        (policy(StringEquals={"aws:UserAgent": "me"}), True),
        (policy(IpAddress={"aws:SourceIp": "203.0.113.0/24"}), False),
        (policy(IpAddress={"aws:SourceIp": "10.0.0.0/8"}), False),
        (policy(IpAddress={"aws:SourceIp": "0.0.0.0/0"}), True),
        (policy(IpAddress={"aws:SourceIp": ["203.0.113.0/24", "0.0.0.0/1"]}), True),
        (policy(IpAddress={"aws:SourceIp": "2001:db8::/32"}), False),
        (policy(IpAddress={"aws:SourceIp": "2000::/3"}), True),
        (policy(NotIpAddress={"aws:SourceIp": "203.0.113.0/24"}), True),
        (policy(ArnEquals={"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/a"}), False),
        (policy(ArnLike={"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}), True),
        (policy(StringLike={"aws:userid": "AROAEXAMPLEID:*"}), False),
        (policy(StringLike={"aws:userid": "*:*"}), True),
        (policy(Bool={"aws:SecureTransport": "true"}), True),
        (policy(Bool={"aws:SecureTransport": "true"}, StringEquals={"aws:SourceAccount": ACCOUNT}), False),
    ],
)
def test_a_policy_is_public_unless_something_fixed_keeps_it(text: str, public: bool) -> None:
    assert is_public(parse_bucket_policy(text)) is public


def test_one_public_statement_makes_the_policy_public() -> None:
    both = {"Statement": json.loads(policy({"AWS": ACCOUNT}))["Statement"] + json.loads(policy())["Statement"]}
    assert is_public(parse_bucket_policy(json.dumps(both)))


def test_a_new_bucket_blocks_everything_and_a_deleted_block_nothing() -> None:
    assert set(PublicAccessBlock.of(None).members.values()) == {True}
    assert set(PublicAccessBlock.of(DELETED).members.values()) == {False}
    assert PublicAccessBlock.of({"BlockPublicPolicy": True}).members == {
        "BlockPublicAcls": False, "IgnorePublicAcls": False, "BlockPublicPolicy": True, "RestrictPublicBuckets": False,
    }  # fmt: skip
