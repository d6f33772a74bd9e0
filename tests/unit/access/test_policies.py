"""Decisions over policies, written from IAM's documented rules: the table is the specification.

Evaluation logic: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
Elements: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements.html
"""

import json
import time
from typing import Any

import pytest

from outcrop.access.policies.documents import parse
from outcrop.access.policies.evaluation import Context, Decision, evaluate
from outcrop.errors import ServiceRefusal

ALLOWED, DENIED, REFUSED = Decision.ALLOWED, Decision.DENIED_IMPLICITLY, Decision.DENIED_EXPLICITLY
MODEL = "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.titan-text-express-v1:0:8k/abcdefghijkl"
OBJECT = "arn:aws:s3:::bucket/folder/train.jsonl"
INVOKE, GET = "bedrock:InvokeModel", "s3:GetObject"


def statement(
    effect: str, action: Any = "*", resource: Any = "*", condition: Any = None, **more: Any
) -> dict[str, Any]:
    found = {"Effect": effect, "Action": action, "Resource": resource, **more}
    if condition is not None:
        found["Condition"] = condition
    return {name: value for name, value in found.items() if value is not None}


def allow(*given: Any, **more: Any) -> dict[str, Any]:
    return statement("Allow", *given, **more)


def deny(*given: Any, **more: Any) -> dict[str, Any]:
    return statement("Deny", *given, **more)


def decide(
    statements: list[dict[str, Any]], action: str, resource: str, context: Context, version: str = "2012-10-17"
) -> Decision:
    policy = parse(json.dumps({"Version": version, "Statement": statements}))
    return evaluate([policy], action=action, resource=resource, context=context)


@pytest.mark.parametrize(
    ("statements", "action", "resource", "expected"),
    [
        # Default deny, explicit deny before every allow
        ([allow()], INVOKE, MODEL, ALLOWED),
        ([deny()], INVOKE, MODEL, REFUSED),
        ([allow(), deny()], INVOKE, MODEL, REFUSED),
        ([deny(), allow()], INVOKE, MODEL, REFUSED),
        ([allow(), deny("s3:*")], INVOKE, MODEL, ALLOWED),
        ([allow("s3:*")], INVOKE, MODEL, DENIED),
        ([deny("s3:*")], INVOKE, MODEL, DENIED),
        ([allow("s3:*"), allow("bedrock:*")], INVOKE, MODEL, ALLOWED),
        # Actions: wildcards, no case, no half names
        ([allow(INVOKE)], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:invokemodel")], INVOKE, MODEL, ALLOWED),
        ([allow("BEDROCK:InvokeModel")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:*")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:Invoke*")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:*Model")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:I*M*l")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:InvokeMode?")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:InvokeModel?")], INVOKE, MODEL, DENIED),
        ([allow("bedrock:InvokeModel*")], INVOKE, MODEL, ALLOWED),
        ([allow("bedrock:InvokeModel*")], "bedrock:InvokeModelWithResponseStream", MODEL, ALLOWED),
        ([allow("bedrock:InvokeModel")], "bedrock:InvokeModelWithResponseStream", MODEL, DENIED),
        ([allow("bedrock:Invoke")], INVOKE, MODEL, DENIED),
        ([allow("s3:Get*")], "bedrock:GetCustomModel", MODEL, DENIED),
        ([allow(["s3:GetObject", "bedrock:InvokeModel"])], INVOKE, MODEL, ALLOWED),
        ([allow(["s3:GetObject", "s3:PutObject"])], INVOKE, MODEL, DENIED),
        # NotAction
        ([allow(None, NotAction="iam:*")], INVOKE, MODEL, ALLOWED),
        ([allow(None, NotAction="iam:*")], "iam:CreateRole", "*", DENIED),
        ([allow(None, NotAction=["iam:*", "bedrock:*"])], INVOKE, MODEL, DENIED),
        ([allow(), deny(None, NotAction="bedrock:*")], INVOKE, MODEL, ALLOWED),
        ([allow(), deny(None, NotAction="bedrock:*")], GET, OBJECT, REFUSED),
        ([allow(None, NotAction="IAM:createrole")], "iam:CreateRole", "*", DENIED),
        # Resources: case counts, wildcards inside a part and at its end
        ([allow(INVOKE, MODEL)], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, MODEL.upper().replace("ARN:AWS", "arn:aws"))], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:123456789012:custom-model/*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:123456789012:custom-model/*/abcdefghijkl")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:123456789012:custom-model/amazon.*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:123456789012:custom-model/meta.*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:*:123456789012:custom-model/*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-*-1:123456789012:custom-model/*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-*-2:123456789012:custom-model/*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-?:123456789012:custom-model/*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:*:*:custom-model/*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:*:999999999999:custom-model/*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-e*t-1x:*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us*n:custom-model/*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us?east-1:123456789012:*")], INVOKE, MODEL, ALLOWED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1?123456789012:*")], INVOKE, MODEL, DENIED),
        ([allow(INVOKE, "arn:aws:bedrock:us-east-1:123456789012:custom-model/????????????")], INVOKE, MODEL, DENIED),
        ([allow(GET, "arn:aws:s3:::bucket/*")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket")], GET, OBJECT, DENIED),
        ([allow(GET, "arn:aws:s3:::bucket*")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::Bucket/*")], GET, OBJECT, DENIED),
        ([allow(GET, "arn:aws:s3:::bucket/*.jsonl")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket/*/train.jsonl")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket/fold?r/*")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::other/*")], GET, OBJECT, DENIED),
        ([allow(GET, "arn:aws:s3:::*")], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket/*")], GET, "arn:aws:s3:::bucket/", ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket/*")], GET, "arn:aws:s3:::bucket/a:b:c", ALLOWED),
        ([allow(GET, ["arn:aws:s3:::other/*", "arn:aws:s3:::bucket/*"])], GET, OBJECT, ALLOWED),
        ([allow(GET, "arn:aws:s3:::bucket/*"), deny(GET, OBJECT)], GET, OBJECT, REFUSED),
        # An action without resources is covered by a star alone
        ([allow("s3:ListAllMyBuckets", "*")], "s3:ListAllMyBuckets", "*", ALLOWED),
        ([allow("s3:ListAllMyBuckets", "arn:aws:s3:::bucket")], "s3:ListAllMyBuckets", "*", DENIED),
        ([allow("bedrock:*", "arn:aws:bedrock:*:*:*")], "bedrock:ListCustomModels", "*", DENIED),
        # NotResource
        ([allow("*", None, NotResource="arn:aws:s3:::bucket/*")], GET, OBJECT, DENIED),
        ([allow("*", None, NotResource="arn:aws:s3:::other/*")], GET, OBJECT, ALLOWED),
        (
            [allow(), deny("s3:*", None, NotResource=["arn:aws:s3:::bucket", "arn:aws:s3:::bucket/*"])],
            GET,
            OBJECT,
            ALLOWED,
        ),
        ([allow(), deny("s3:*", None, NotResource="arn:aws:s3:::other/*")], GET, OBJECT, REFUSED),
        ([allow("sagemaker:*", None, NotResource="arn:aws:sagemaker:*:*:app/*")], "sagemaker:ListModels", "*", ALLOWED),
    ],
)
def test_actions_and_resources(statements: Any, action: str, resource: str, expected: Decision) -> None:
    assert decide(statements, action, resource, {}) is expected


JANE: Context = {
    "aws:username": "jane",
    "aws:PrincipalTag/team": "blue",
    "aws:RequestedRegion": "us-east-1",
    "aws:CurrentTime": "2026-01-15T12:00:00+00:00",
    "aws:EpochTime": "1768478400",
    "aws:SourceIp": "10.1.2.3",
    "aws:PrincipalArn": "arn:aws:iam::123456789012:user/team/jane",
    "aws:TagKeys": ("project", "cost"),
    "aws:MultiFactorAuthPresent": "true",
    "s3:max-keys": "10",
    "s3:prefix": "home/jane/",
    "my:data": "QmluYXJ5",
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        # Strings
        ({"StringEquals": {"aws:username": "jane"}}, True),
        ({"StringEquals": {"aws:username": "Jane"}}, False),
        ({"StringEquals": {"aws:username": ["john", "jane"]}}, True),
        ({"StringEquals": {"aws:username": []}}, False),
        ({"StringEquals": {"AWS:UserName": "jane"}}, True),
        ({"StringEquals": {"aws:username": "ja*"}}, False),
        ({"StringNotEquals": {"aws:username": "john"}}, True),
        ({"StringNotEquals": {"aws:username": ["john", "jane"]}}, False),
        ({"StringEqualsIgnoreCase": {"aws:username": "JANE"}}, True),
        ({"StringNotEqualsIgnoreCase": {"aws:username": "JANE"}}, False),
        ({"StringLike": {"aws:username": "ja*"}}, True),
        ({"StringLike": {"aws:username": "j?ne"}}, True),
        ({"StringLike": {"aws:username": "J*"}}, False),
        ({"StringLike": {"s3:prefix": ["home/*", "public/*"]}}, True),
        ({"StringNotLike": {"aws:username": "jo*"}}, True),
        ({"StringNotLike": {"aws:username": ["jo*", "ja*"]}}, False),
        # Numbers
        ({"NumericEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericEquals": {"s3:max-keys": "10.0"}}, True),
        ({"NumericEquals": {"s3:max-keys": 10}}, True),
        ({"NumericNotEquals": {"s3:max-keys": "10"}}, False),
        ({"NumericLessThan": {"s3:max-keys": "11"}}, True),
        ({"NumericLessThan": {"s3:max-keys": "10"}}, False),
        ({"NumericLessThanEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericGreaterThan": {"s3:max-keys": "9"}}, True),
        ({"NumericGreaterThan": {"s3:max-keys": "100"}}, False),
        ({"NumericGreaterThanEquals": {"s3:max-keys": "10"}}, True),
        ({"NumericLessThan": {"aws:username": "11"}}, False),
        ({"NumericEquals": {"s3:max-keys": "NaN"}}, False),
        # Dates
        ({"DateEquals": {"aws:CurrentTime": "2026-01-15T12:00:00Z"}}, True),
        ({"DateEquals": {"aws:CurrentTime": "2026-01-15T21:00:00+09:00"}}, True),
        ({"DateNotEquals": {"aws:CurrentTime": "2026-01-15T12:00:00Z"}}, False),
        ({"DateLessThan": {"aws:CurrentTime": "2026-02-01T00:00:00Z"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "2026-01-01"}}, False),
        ({"DateLessThanEquals": {"aws:EpochTime": "1768478400"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2026-01-01T00:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "1768478400"}}, False),
        ({"DateGreaterThanEquals": {"aws:CurrentTime": "2026"}}, True),
        ({"DateLessThan": {"aws:CurrentTime": "tomorrow"}}, False),
        # Booleans, bytes
        ({"Bool": {"aws:MultiFactorAuthPresent": "true"}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": True}}, True),
        ({"Bool": {"aws:MultiFactorAuthPresent": "false"}}, False),
        ({"Bool": {"aws:username": "true"}}, False),
        ({"BinaryEquals": {"my:data": "QmluYXJ5"}}, True),
        ({"BinaryEquals": {"my:data": "T3RoZXI="}}, False),
        # Addresses
        ({"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.1.2.3"}}, True),
        ({"IpAddress": {"aws:SourceIp": ["192.168.0.0/16", "10.1.0.0/16"]}}, True),
        ({"IpAddress": {"aws:SourceIp": "10.2.0.0/16"}}, False),
        ({"IpAddress": {"aws:SourceIp": "2001:db8::/32"}}, False),
        ({"NotIpAddress": {"aws:SourceIp": "10.2.0.0/16"}}, True),
        ({"NotIpAddress": {"aws:SourceIp": "10.0.0.0/8"}}, False),
        # ARNs: each of six parts for itself
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/team/jane"}}, True),
        ({"ArnEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*:user/team/*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:iam::*"}}, False),
        ({"ArnLike": {"aws:PrincipalArn": "*"}}, False),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::123456789012:user/team/*"}}, False),
        ({"ArnNotLike": {"aws:PrincipalArn": "arn:aws:iam::*:role/*"}}, True),
        # A key that the request does not have
        ({"StringEquals": {"aws:none": "x"}}, False),
        ({"StringNotEquals": {"aws:none": "x"}}, True),
        ({"StringLike": {"aws:none": "*"}}, False),
        ({"NumericLessThan": {"aws:none": "1"}}, False),
        ({"NotIpAddress": {"aws:none": "10.0.0.0/8"}}, True),
        ({"ArnNotLike": {"aws:none": "arn:aws:iam::*:role/*"}}, True),
        ({"Bool": {"aws:none": "false"}}, False),
        ({"BoolIfExists": {"aws:none": "false"}}, True),
        ({"StringEqualsIfExists": {"aws:none": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:username": "x"}}, False),
        ({"StringNotEqualsIfExists": {"aws:username": "jane"}}, False),
        ({"ArnLikeIfExists": {"aws:none": "arn:aws:iam::*:role/*"}}, True),
        ({"Null": {"aws:none": "true"}}, True),
        ({"Null": {"aws:none": True}}, True),
        ({"Null": {"aws:none": "false"}}, False),
        ({"Null": {"aws:username": "false"}}, True),
        ({"Null": {"aws:username": "true"}}, False),
        # Keys of several values
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["project", "cost", "owner"]}}, True),
        ({"ForAllValues:StringEquals": {"aws:TagKeys": ["project"]}}, False),
        ({"ForAllValues:StringEquals": {"aws:none": ["project"]}}, True),
        ({"ForAllValues:StringLike": {"aws:TagKeys": ["pro*", "c*"]}}, True),
        ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["owner"]}}, True),
        ({"ForAllValues:StringNotEquals": {"aws:TagKeys": ["cost"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["cost"]}}, True),
        ({"ForAnyValue:StringEquals": {"aws:TagKeys": ["owner"]}}, False),
        ({"ForAnyValue:StringEquals": {"aws:none": ["cost"]}}, False),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["cost"]}}, True),
        ({"ForAnyValue:StringNotEquals": {"aws:TagKeys": ["cost", "project"]}}, False),
        ({"ForAnyValue:StringEqualsIfExists": {"aws:none": ["cost"]}}, True),
        # Everything in a condition must hold
        ({"StringEquals": {"aws:username": "jane", "aws:RequestedRegion": "us-east-1"}}, True),
        ({"StringEquals": {"aws:username": "jane", "aws:RequestedRegion": "eu-west-1"}}, False),
        ({"StringEquals": {"aws:username": "jane"}, "NumericLessThan": {"s3:max-keys": "5"}}, False),
        ({"StringEquals": {"aws:username": "jane"}, "NumericLessThan": {"s3:max-keys": "50"}}, True),
        ({}, True),
        # Variables in values
        ({"StringEquals": {"s3:prefix": "home/${aws:username}/"}}, True),
        ({"StringLike": {"s3:prefix": "home/${aws:username}/*"}}, True),
        ({"StringLike": {"s3:prefix": "home/${aws:none}/*"}}, False),
        ({"StringNotLike": {"s3:prefix": "home/${aws:none}/*"}}, True),
        ({"StringLike": {"s3:prefix": "home/${aws:none, 'jane'}/*"}}, True),
        ({"StringEquals": {"aws:PrincipalTag/team": "${aws:principaltag/team}"}}, True),
        ({"StringEquals": {"aws:username": "${*}"}}, False),
        ({"StringEquals": {"aws:username": "${aws:TagKeys}"}}, False),
    ],
)
def test_conditions(condition: Any, holds: bool) -> None:
    """A condition decides alike over an allow and over a deny."""
    assert decide([allow(GET, "*", condition)], GET, OBJECT, JANE) is (ALLOWED if holds else DENIED)
    assert decide([allow(), deny(GET, "*", condition)], GET, OBJECT, JANE) is (REFUSED if holds else ALLOWED)


@pytest.mark.parametrize(
    ("resource", "asked", "context", "expected"),
    [
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/jane/a", JANE, ALLOWED),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/john/a", JANE, DENIED),
        ("arn:aws:s3:::home/${AWS:USERNAME}/*", "arn:aws:s3:::home/jane/a", JANE, ALLOWED),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home//a", {}, DENIED),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/${aws:username}/a", {}, DENIED),
        ("arn:aws:s3:::${aws:PrincipalTag/team}-data/*", "arn:aws:s3:::blue-data/a", JANE, ALLOWED),
        ("arn:aws:s3:::${aws:PrincipalTag/rank, 'none'}/*", "arn:aws:s3:::none/a", JANE, ALLOWED),
        ("arn:aws:s3:::bucket/${*}", "arn:aws:s3:::bucket/*", {}, ALLOWED),
        ("arn:aws:s3:::bucket/${*}", "arn:aws:s3:::bucket/a", {}, DENIED),
        ("arn:aws:s3:::bucket/${?}", "arn:aws:s3:::bucket/a", {}, DENIED),
        ("arn:aws:s3:::bucket/${$}", "arn:aws:s3:::bucket/$", {}, ALLOWED),
        # A star inside a variable's value is a plain star
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/jane/a", {"aws:username": "*"}, DENIED),
        ("arn:aws:s3:::home/${aws:username}/*", "arn:aws:s3:::home/jane/a", {"aws:username": "\ue000"}, DENIED),
    ],
)
def test_variables_in_resources(resource: str, asked: str, context: Context, expected: Decision) -> None:
    assert decide([allow(GET, resource)], GET, asked, context) is expected


def test_variables_are_plain_text_in_the_older_language() -> None:
    old = [allow(GET, "arn:aws:s3:::home/${aws:username}/*")]
    assert decide(old, GET, "arn:aws:s3:::home/jane/a", JANE, "2008-10-17") is DENIED
    assert decide(old, GET, "arn:aws:s3:::home/${aws:username}/a", JANE, "2008-10-17") is ALLOWED


def test_a_not_resource_whose_variable_is_unknown_allows_nothing() -> None:
    assert decide([allow(GET, None, NotResource="arn:aws:s3:::${aws:none}/*")], GET, OBJECT, {}) is DENIED


def test_policies_are_united_and_a_deny_in_one_beats_an_allow_in_another() -> None:
    reads = parse(json.dumps({"Statement": allow("s3:Get*")}))
    writes = parse(json.dumps({"Statement": allow("s3:Put*")}))
    never = parse(json.dumps({"Statement": deny("s3:PutObject")}))
    assert evaluate([reads, writes], action="s3:PutObject", resource=OBJECT, context={}) is ALLOWED
    assert evaluate([reads, writes, never], action="s3:PutObject", resource=OBJECT, context={}) is REFUSED
    assert evaluate([], action="s3:PutObject", resource=OBJECT, context={}) is DENIED


def test_a_pattern_of_many_stars_costs_no_time() -> None:
    pattern, text = "arn:aws:s3:::" + "*a" * 50, "arn:aws:s3:::" + "a" * 1000 + "b"
    began = time.perf_counter()
    assert decide([allow(GET, pattern)], GET, text, {}) is DENIED
    assert time.perf_counter() - began < 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no", "This policy contains invalid Json Expecting value at line 1, column 1"),
        ("[]", "Syntax errors in policy. A policy is a JSON object with Version and Statement."),
        ("{}", "Syntax errors in policy. Statement: missing. Give the policy at least one statement."),
        (
            '{"Statement": [], "Statement": []}',
            "This policy contains invalid Json 'Statement' stands twice in one object",
        ),
        (
            '{"Version": "2012-10-18", "Statement": []}',
            'Policy document must be version 2012-10-17 or greater. Version: found "2012-10-18".',
        ),
        (
            '{"Statements": []}',
            "Syntax errors in policy. the document: 'Statements' is no element here. Known are Id, Statement, Version.",
        ),
        (
            '{"Statement": {"Effect": "allow", "Action": "*", "Resource": "*"}}',
            'Syntax errors in policy. Statement[0].Effect: expected "Allow" or "Deny", found "allow".',
        ),
        (
            '{"Statement": {"Effect": "Allow", "Resource": "*"}}',
            "Policy statement must contain actions. Statement[0]: give it Action or NotAction.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": []  , "Resource": "*"}}',
            "Policy statement must contain actions. Statement[0]: give it Action or NotAction.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*"}}',
            "Policy statement must contain resources. Statement[0]: give it Resource or NotResource.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "NotResource": "*"}}',
            "Syntax errors in policy. Statement[0]: Resource and NotResource exclude each other. Keep one.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "GetObject", "Resource": "*"}}',
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. "
            "Statement[0].Action: found 'GetObject'.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:Get:Object", "Resource": "*"}}',
            "Actions/Condition can contain only one colon. Statement[0].Action: found 's3:Get:Object'.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s 3:Get", "Resource": "*"}}',
            "Vendor s 3 is not valid Statement[0].Action: found 's 3:Get'.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "bucket"}}',
            'Resource bucket must be in ARN format or "*". Statement[0].Resource',
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": 7}}',
            "Syntax errors in policy. Statement[0].Resource: expected a string, found 7.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Principal": "*"}}',
            "Policy document should not specify a principal. Statement[0]: remove Principal.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*", "Conditions": {}}}',
            "Syntax errors in policy. Statement[0]: 'Conditions' is no element here. "
            "Known are Action, Condition, Effect, NotAction, NotResource, Resource, Sid.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEquals": "x"}}}',
            "Syntax errors in policy. Statement[0].Condition: expected {operator: {key: value}}, "
            'found {"StringEquals": "x"}.',
        ),
        (
            '{"Statement": {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"Bool": {"x": true}}}}',
            "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc. "
            "Statement[0].Condition.Bool: found 'x'.",
        ),
        (
            '{"Statement": {"Effect": "Allow", "Sid": "a b", "Action": "*", "Resource": "*"}}',
            'Syntax errors in policy. Statement[0].Sid: "a b" may hold letters and digits only.',
        ),
        (
            '{"Statement": [{"Effect": "Allow", "Sid": "a", "Action": "*", "Resource": "*"},'
            '{"Effect": "Deny", "Sid": "a", "Action": "*", "Resource": "*"}]}',
            "Statement IDs (SID) in a single policy must be unique.",
        ),
    ],
)
def test_what_is_no_policy_is_refused_in_iams_sentence_with_the_place(text: str, message: str) -> None:
    with pytest.raises(ServiceRefusal) as refusal:
        parse(text)
    assert (refusal.value.code, refusal.value.http_status, refusal.value.message) == (
        "MalformedPolicyDocument",
        400,
        message,
    )


@pytest.mark.parametrize("operator", ["StringEqual", "ForSomeValues:StringEquals", "NullIfExists", "IfExists", ""])
def test_an_unknown_condition_operator_is_refused(operator: str) -> None:
    with pytest.raises(ServiceRefusal) as refusal:
        decide([allow("*", "*", {operator: {"aws:username": "x"}})], GET, OBJECT, {})
    assert refusal.value.message.startswith(f"Invalid Condition type : {operator} Statement[0].Condition: known are ")
