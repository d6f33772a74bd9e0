"""Roles that services take on: whom they trust and for what, asked again at each use; who may hand them over."""

import itertools
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from outcrop.access.names import Kind
from outcrop.data.data import Data, RoleData
from outcrop.errors import Invalid
from tests.support.policies import policy, trusting
from tests.support.servers import Running

BEDROCK, BUCKET, REGION = {"Service": "bedrock.amazonaws.com"}, "passed", "us-east-1"
_numbers = itertools.count(1)


@pytest.fixture
def data(server: Running) -> Data:
    platform = server.platform
    if not platform.buckets.exists(BUCKET):
        platform.buckets.create(BUCKET, REGION)
        platform.buckets.put_bytes(BUCKET, "k", b"x")
    return Data(access=platform.access, buckets=platform.buckets)


def arn_of(data: Data, thing: str) -> str:
    return f"arn:aws:bedrock:{REGION}:{data.access.account}:{thing}"


def role(data: Data, trust: str, *, name: str = "") -> str:
    """A new role that may do everything in S3, and trusts as told."""
    name = name or f"passed-{next(_numbers)}"
    made = data.access.identities.create_role(name, trust=trust)
    data.access.attachments.put_inline(Kind.ROLE, name, "data", policy("Allow", "s3:*"))
    return made.arn


def delete(data: Data, name: str) -> None:
    data.access.attachments.delete_inline(Kind.ROLE, name, "data")
    data.access.identities.delete(Kind.ROLE, name)


def takes(data: Data, role_arn: str, *, service: str = BEDROCK["Service"]) -> bool:
    """Whether the service can use the role for a customization job."""
    job = arn_of(data, "model-customization-job/titan.v1:0/abc123")
    try:
        data.under(role_arn, source_arn=job, service=service).find(f"s3://{BUCKET}/k")
    except Invalid as refused:
        if refused.message.startswith("Could not assume provided IAM role. (roleArn: "):
            return False
        raise
    return True


JOB = "arn:aws:bedrock:us-east-1:ACCOUNT:model-customization-job/titan.v1:0/abc123"
JOBS, IMPORTS = (
    f"arn:aws:bedrock:us-east-1:ACCOUNT:{kind}/*" for kind in ("model-customization-job", "model-import-job")
)


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ({"StringEquals": {"aws:SourceAccount": "ACCOUNT"}, "ArnEquals": {"aws:SourceArn": JOBS}}, True),
        ({"StringEquals": {"aws:SourceAccount": "999999999999"}, "ArnEquals": {"aws:SourceArn": JOBS}}, False),
        ({"StringEquals": {"aws:SourceAccount": "ACCOUNT"}, "ArnEquals": {"aws:SourceArn": IMPORTS}}, False),
        ({"ArnLike": {"aws:SourceArn": [IMPORTS, JOBS]}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:bedrock:*:*:model-customization-job/*"}}, True),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:bedrock:eu-*:*:model-customization-job/*"}}, False),
        ({"ArnLike": {"aws:SourceArn": "arn:aws:bedrock:*"}}, False),  # each of the six parts for itself
        ({"StringLike": {"aws:SourceArn": "arn:aws:bedrock:*"}}, True),
        ({"StringEquals": {"aws:SourceArn": JOB}}, True),
        ({"StringEquals": {"aws:SourceArn": JOBS}}, False),  # a star is a star to StringEquals
        ({"StringEquals": {"aws:SourceArn": JOB.upper()}}, False),
        ({"StringEqualsIgnoreCase": {"AWS:SOURCEARN": JOB.upper()}}, True),
        ({"StringNotEquals": {"aws:SourceArn": JOB}}, False),
        ({"StringNotEquals": {"aws:SourceArn": IMPORTS}}, True),
        ({"StringNotEquals": {"aws:SourceAccount": "ACCOUNT"}}, False),
        ({"ArnNotLike": {"aws:SourceArn": JOBS}}, False),
        ({"ForAnyValue:StringEquals": {"aws:SourceArn": JOB}}, True),
        ({"ForAnyValue:ArnLike": {"aws:SourceArn": IMPORTS}}, False),
        ({"ForAllValues:ArnLike": {"aws:SourceArn": JOBS}}, True),
        ({"ForAllValues:ArnLike": {"aws:SourceArn": IMPORTS}}, False),
        ({"Null": {"aws:SourceArn": "true"}}, False),
        ({"Null": {"aws:SourceArn": "false"}}, True),
        # Nothing is known of an organization here.
        ({"StringEquals": {"aws:SourceOrgID": "o-1"}}, False),
        ({"StringEqualsIfExists": {"aws:SourceOrgID": "o-1"}}, True),
        ({"StringNotEquals": {"aws:SourceOrgID": "o-1"}}, True),
        ({"ForAnyValue:StringLike": {"aws:SourceOrgPaths": "o-1/*"}}, False),
        ({"ForAllValues:StringLike": {"aws:SourceOrgPaths": "o-1/*"}}, True),
        ({"Bool": {"aws:PrincipalIsAWSService": "true"}}, True),
        ({"StringEquals": {"aws:PrincipalServiceName": "sagemaker.amazonaws.com"}}, False),
        ({"DateGreaterThan": {"aws:CurrentTime": "2020-01-01T00:00:00Z"}}, True),
        ({"DateGreaterThan": {"aws:CurrentTime": "2220-01-01T00:00:00Z"}}, False),
        ({"StringEquals": {"sts:ExternalId": "secret"}}, False),
    ],
)
def test_the_conditions_of_a_trust_policy_hold_for_a_service(data: Data, condition: Any, expected: bool) -> None:
    own = json.loads(json.dumps(condition).replace("ACCOUNT", data.access.account))
    assert takes(data, role(data, trusting(BEDROCK, **own))) is expected


@pytest.mark.parametrize(
    ("principal", "expected"),
    [
        ("*", True),
        ({"AWS": "*"}, True),  # the same: reference_policies_elements_principal.html
        ({"AWS": "ACCOUNT"}, False),
        ({"AWS": "arn:aws:iam::ACCOUNT:root"}, False),
        ({"AWS": "arn:aws:iam::ACCOUNT:user/admin"}, False),
        ({"Service": "sagemaker.amazonaws.com"}, False),
        ({"Service": ["sagemaker.amazonaws.com", "bedrock.amazonaws.com"]}, True),
        ({"AWS": "ACCOUNT", "Service": "bedrock.amazonaws.com"}, True),
        ({"Federated": "cognito-identity.amazonaws.com"}, False),
    ],
)
def test_a_service_is_trusted_by_its_name_or_with_everybody(data: Data, principal: Any, expected: bool) -> None:
    own = json.loads(json.dumps(principal).replace("ACCOUNT", data.access.account))
    assert takes(data, role(data, trusting(own))) is expected


def test_everybody_with_a_condition_is_not_everybody(data: Data) -> None:
    other = {"ArnLike": {"aws:SourceArn": arn_of(data, "evaluation-job/*")}}
    assert not takes(data, role(data, trusting("*", **other)))


def test_a_deny_in_the_trust_policy_beats_every_allow(data: Data) -> None:
    document = json.loads(trusting(BEDROCK))
    jobs = arn_of(data, "model-customization-job/*")
    denied = {"Effect": "Deny", "Principal": "*", "Action": "sts:*"}
    document["Statement"].append({**denied, "Condition": {"ArnLike": {"aws:SourceArn": jobs}}})
    assert not takes(data, role(data, json.dumps(document)))


def test_a_role_serves_the_service_that_it_names_and_no_other(data: Data) -> None:
    arn = role(data, trusting({"Service": "sagemaker.amazonaws.com"}))
    assert takes(data, arn, service="sagemaker.amazonaws.com")
    assert not takes(data, arn)


USES: list[Callable[[RoleData], object]] = [
    lambda own: own.find(f"s3://{BUCKET}/k"),
    lambda own: own.read(f"s3://{BUCKET}/k"),
    lambda own: own.list_objects(f"s3://{BUCKET}/"),
    lambda own: own.put(f"s3://{BUCKET}/k", b"x", content_type="text/plain"),
    lambda own: own.check_output(f"s3://{BUCKET}/out"),
    lambda own: own.remove(f"s3://{BUCKET}/gone"),
]


def refusals(own: RoleData) -> set[str]:
    """The messages with which the uses of the role are refused."""
    told = set()
    for use in USES:
        with pytest.raises(Invalid) as refused:
            use(own)
        told.add(refused.value.message)
    return told


def test_a_role_that_was_deleted_or_trusts_no_more_is_refused_at_each_use(data: Data) -> None:
    name = f"passed-{next(_numbers)}"
    arn = role(data, trusting(BEDROCK), name=name)
    own = data.under(arn, source_arn=arn_of(data, "model-customization-job/titan/abc"))
    for use in USES:
        use(own)
    data.access.identities.set_trust(name, trusting({"Service": "lambda.amazonaws.com"}))
    (told,) = refusals(own)
    assert told.startswith(f"Could not assume provided IAM role. (roleArn: bedrock.amazonaws.com cannot assume {arn}.")
    delete(data, name)
    (told,) = refusals(own)
    assert told.startswith(f"Could not assume provided IAM role. (roleArn: there is no role {arn} in account ")


def test_a_role_made_again_under_its_name_has_its_own_trust_and_permissions(data: Data) -> None:
    name = f"passed-{next(_numbers)}"
    arn = role(data, trusting(BEDROCK), name=name)
    own = data.under(arn, source_arn=arn_of(data, "model-customization-job/titan/abc"))
    own.find(f"s3://{BUCKET}/k")
    delete(data, name)
    assert data.access.identities.create_role(name, trust=trusting({"AWS": data.access.account})).arn == arn
    assert next(iter(refusals(own))).startswith("Could not assume provided IAM role. (roleArn: bedrock.amazonaws.com ")
    data.access.identities.set_trust(name, trusting(BEDROCK))
    with pytest.raises(Invalid, match=r"Could not validate GetObject permissions .*does not allow s3:GetObject"):
        own.find(f"s3://{BUCKET}/k")
    data.access.attachments.put_inline(Kind.ROLE, name, "data", policy("Allow", "s3:GetObject"))
    assert own.find(f"s3://{BUCKET}/k").size == 1


def test_a_user_is_no_role_whatever_its_name(data: Data) -> None:
    assert not takes(data, f"arn:aws:iam::{data.access.account}:user/admin")
    assert not takes(data, f"arn:aws:iam::999999999999:role/{next(_numbers)}")


# Who hands a role over


def asked(bedrock: Any, arn: str) -> str:
    """How CreateCustomModel from nowhere is refused: by code, and by what is missing first."""
    source = {"s3DataSource": {"s3Uri": f"s3://{BUCKET}/none"}}
    with pytest.raises(ClientError) as refused:
        bedrock.create_custom_model(modelName="m", roleArn=arn, modelSourceConfig=source)
    error = refused.value.response["Error"]
    return f"{error['Code']}: {error['Message']}"


CREATE = "bedrock:CreateCustomModel"
PASSED = "ValidationException: Could not validate GetObject permissions"
"What is told of an import from nowhere whose role the caller may pass."


def user_policy(iam: Any, user: str, *statements: dict[str, Any]) -> None:
    document = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": CREATE, "Resource": "*"}]}
    document["Statement"] += list(statements)  # type: ignore[operator]
    iam.put_user_policy(UserName=user, PolicyName="only", PolicyDocument=json.dumps(document))


def passing(resource: str, effect: str = "Allow", **condition: Any) -> dict[str, Any]:
    statement = {"Effect": effect, "Action": "iam:PassRole", "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def test_an_import_needs_the_right_to_pass_the_very_role(
    data: Data, iam: Any, user: str, client_of: Callable[..., Any]
) -> None:
    arn = role(data, trusting(BEDROCK))
    other, path = role(data, trusting(BEDROCK)), arn.replace("role/", "role/*/")
    to_bedrock: Any = {"StringEquals": {"iam:PassedToService": "bedrock.amazonaws.com"}}
    bedrock = client_of(user, "bedrock")
    for refused in (
        (),
        (passing(other),),
        (passing(path),),
        (passing(f"{arn}x"),),
        (passing(arn, StringEquals={"iam:PassedToService": "sagemaker.amazonaws.com"}),),
        (passing("*"), passing(arn, "Deny")),
        (passing("*"), passing(arn, "Deny", **to_bedrock)),
    ):
        user_policy(iam, user, *refused)
        assert f"AccessDeniedException: User: arn:aws:iam::{data.access.account}:user/{user} is not" in asked(
            bedrock, arn
        )
    for allowed in (
        (passing(arn),),
        (passing(arn, **to_bedrock),),
        (passing(f"{arn[:-1]}*", StringLike={"iam:PassedToService": "*.amazonaws.com"}),),
        (passing("*"), passing(other, "Deny")),
        (passing("*"), passing(arn, "Deny", StringNotEquals={"iam:PassedToService": "bedrock.amazonaws.com"})),
    ):
        user_policy(iam, user, *allowed)
        assert asked(bedrock, arn).startswith(PASSED)


def test_a_limited_session_passes_no_role_that_its_own_policy_leaves_out(data: Data, server: Running) -> None:
    arn = role(data, trusting(BEDROCK))
    sts = server.client("sts")
    work = data.access.identities.create_role(
        f"work-{next(_numbers)}", trust=trusting({"AWS": sts.get_caller_identity()["Arn"]})
    )
    data.access.attachments.put_inline(Kind.ROLE, work.name, "data", policy("Allow", "*"))

    def bedrock(**limit: str) -> Any:
        given = sts.assume_role(RoleArn=work.arn, RoleSessionName="today", **limit)["Credentials"]
        return server.client(
            "bedrock",
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
        )

    assert asked(bedrock(), arn).startswith(PASSED)
    assert "no session policy allows the iam:PassRole action" in asked(bedrock(Policy=policy("Allow", CREATE)), arn)
    assert asked(bedrock(Policy=policy("Allow", [CREATE, "iam:PassRole"])), arn).startswith(PASSED)
