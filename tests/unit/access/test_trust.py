"""Trust policies: who may take on a role."""

import json
from typing import Any

import pytest

from outcrop.access.policies.documents import PolicyForm, parse
from outcrop.access.policies.trust import Principal, Trust, trust
from outcrop.errors import ServiceRefusal

BEDROCK = Principal(service="bedrock.amazonaws.com")
JANE = Principal(arns=("arn:aws:iam::123456789012:user/jane",))
SESSION = Principal(arns=("arn:aws:iam::123456789012:role/work", "arn:aws:sts::123456789012:assumed-role/work/today"))
JOB = "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/titan/abc"


def statement(principal: Any, *, effect: str = "Allow", action: Any = "sts:AssumeRole", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Principal": principal, "Action": action, **more}


def document(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


@pytest.mark.parametrize(
    ("statements", "principal", "expected"),
    [
        ([statement({"Service": "bedrock.amazonaws.com"})], BEDROCK, Trust.NAMED),
        ([statement({"Service": ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"]})], BEDROCK, Trust.NAMED),
        ([statement({"Service": "sagemaker.amazonaws.com"})], BEDROCK, Trust.NONE),
        ([statement({"Service": "bedrock.amazonaws.com"}, action="sts:*")], BEDROCK, Trust.NAMED),
        ([statement({"Service": "bedrock.amazonaws.com"}, action="STS:assumerole")], BEDROCK, Trust.NAMED),
        ([statement({"Service": "bedrock.amazonaws.com"}, action="sts:TagSession")], BEDROCK, Trust.NONE),
        ([statement({"Service": "bedrock.amazonaws.com"}), statement("*", effect="Deny")], BEDROCK, Trust.DENIED),
        ([statement({"AWS": "123456789012"})], BEDROCK, Trust.NONE),
        ([statement("*")], JANE, Trust.NAMED),
        ([statement({"AWS": "*"})], JANE, Trust.NAMED),
        ([statement({"AWS": "arn:aws:iam::123456789012:user/jane"})], JANE, Trust.NAMED),
        ([statement({"AWS": "arn:aws:iam::123456789012:user/john"})], JANE, Trust.NONE),
        ([statement({"AWS": "arn:aws:iam::123456789012:user/*"})], JANE, Trust.NONE),
        ([statement({"AWS": "arn:aws:iam::123456789012:root"})], JANE, Trust.ACCOUNT),
        ([statement({"AWS": "123456789012"})], JANE, Trust.ACCOUNT),
        ([statement({"AWS": "999999999999"})], JANE, Trust.NONE),
        ([statement({"AWS": "123456789012"}), statement({"AWS": JANE.arns[0]})], JANE, Trust.NAMED),
        ([statement({"AWS": SESSION.arns[0]})], SESSION, Trust.NAMED),
        ([statement({"AWS": SESSION.arns[1]})], SESSION, Trust.NAMED),
        ([statement({"AWS": "arn:aws:sts::123456789012:assumed-role/work/other"})], SESSION, Trust.NONE),
        ([statement({"Federated": "cognito-identity.amazonaws.com"})], JANE, Trust.NONE),
    ],
)
def test_who_is_trusted(statements: list[dict[str, Any]], principal: Principal, expected: Trust) -> None:
    assert trust(parse(document(*statements), PolicyForm.TRUST), principal, context={}) is expected


@pytest.mark.parametrize(
    ("context", "expected"),
    [
        ({"aws:SourceAccount": "123456789012", "aws:SourceArn": JOB}, Trust.NAMED),
        ({"aws:SourceAccount": "999999999999", "aws:SourceArn": JOB}, Trust.NONE),
        ({"aws:SourceAccount": "123456789012"}, Trust.NONE),
    ],
)
def test_the_conditions_of_bedrocks_own_example_are_kept(context: dict[str, str], expected: Trust) -> None:
    condition = {
        "StringEquals": {"aws:SourceAccount": "123456789012"},
        "ArnEquals": {"aws:SourceArn": "arn:aws:bedrock:us-east-1:123456789012:model-customization-job/*"},
    }
    policy = document(statement({"Service": "bedrock.amazonaws.com"}, Condition=condition))
    assert trust(parse(policy, PolicyForm.TRUST), BEDROCK, context=context) is expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            document({"Effect": "Allow", "Action": "sts:AssumeRole"}),
            "Missing required field Principal Statement[0]: say who may take on the role.",
        ),
        (
            document(statement("*", Resource="*")),
            "Has prohibited field Resource Statement[0]: a trust policy names no resource; remove it.",
        ),
        (
            document(statement("*", action="s3:GetObject")),
            "AssumeRole policy may only specify STS AssumeRole actions. Statement[0].Action: found 's3:GetObject'.",
        ),
        (
            document(statement("bedrock.amazonaws.com")),
            'Syntax errors in policy. Statement[0].Principal: expected {"Service": …} or {"AWS": …}, '
            'found "bedrock.amazonaws.com".',
        ),
        (
            document(statement({"Services": "bedrock.amazonaws.com"})),
            "Syntax errors in policy. Statement[0].Principal: 'Services' is none of "
            "AWS, Service, Federated, CanonicalUser.",
        ),
    ],
)
def test_what_is_no_trust_policy_is_refused(text: str, message: str) -> None:
    with pytest.raises(ServiceRefusal) as refusal:
        parse(text, PolicyForm.TRUST)
    assert (refusal.value.code, refusal.value.message) == ("MalformedPolicyDocument", message)
