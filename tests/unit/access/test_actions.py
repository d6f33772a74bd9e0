"""Which actions and resources a request needs permission for, as AWS documents."""

from dataclasses import dataclass
from typing import Any

import pytest

from outcrop.access.needs import bedrock as actions_bedrock
from outcrop.access.needs import s3 as actions_s3
from outcrop.access.needs.actions import needs
from outcrop.access.needs.required_permissions import RequestedOperation
from outcrop.protocol import service_model

ACCOUNT = "123456789012"
BEDROCK = f"arn:aws:bedrock:eu-west-1:{ACCOUNT}:"
TITAN = "arn:aws:bedrock:eu-west-1::foundation-model/amazon.titan-text-express-v1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/Tuning"
KNOWN = {
    ("custom-model", "poems"): f"{BEDROCK}custom-model/amazon.titan-text-express-v1/abcdefghijkl",
    ("role", "Tuning"): ROLE,
}


@dataclass(frozen=True)
class Arned:
    """A row, as far as decisions look at one."""

    arn: str


def needed(service: str, operation: str, params: dict[str, Any]) -> list[tuple[str, str]]:
    asked = RequestedOperation(
        service=service,
        operation=operation,
        params=params,
        region="eu-west-1",
        account=ACCOUNT,
        find=lambda kind, name: Arned(KNOWN[kind, name]) if (kind, name) in KNOWN else None,
        caller_arn=f"arn:aws:iam::{ACCOUNT}:user/jane",
    )
    return [(need.action, need.resource) for need in needs(asked)]


OBJECT = {"Bucket": "b", "Key": "a/k"}


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("PutObject", OBJECT, [("s3:PutObject", "arn:aws:s3:::b/a/k")]),
        ("GetObject", OBJECT, [("s3:GetObject", "arn:aws:s3:::b/a/k")]),
        ("GetObject", {**OBJECT, "VersionId": "1"}, [("s3:GetObjectVersion", "arn:aws:s3:::b/a/k")]),
        ("HeadObject", OBJECT, [("s3:GetObject", "arn:aws:s3:::b/a/k")]),
        ("DeleteObject", OBJECT, [("s3:DeleteObject", "arn:aws:s3:::b/a/k")]),
        ("DeleteObject", {**OBJECT, "VersionId": "1"}, [("s3:DeleteObjectVersion", "arn:aws:s3:::b/a/k")]),
        ("GetObjectTagging", OBJECT, [("s3:GetObjectTagging", "arn:aws:s3:::b/a/k")]),
        ("CreateMultipartUpload", OBJECT, [("s3:PutObject", "arn:aws:s3:::b/a/k")]),
        ("UploadPart", OBJECT, [("s3:PutObject", "arn:aws:s3:::b/a/k")]),
        ("CompleteMultipartUpload", OBJECT, [("s3:PutObject", "arn:aws:s3:::b/a/k")]),
        ("AbortMultipartUpload", OBJECT, [("s3:AbortMultipartUpload", "arn:aws:s3:::b/a/k")]),
        ("ListParts", OBJECT, [("s3:ListMultipartUploadParts", "arn:aws:s3:::b/a/k")]),
        ("ListMultipartUploads", {"Bucket": "b"}, [("s3:ListBucketMultipartUploads", "arn:aws:s3:::b")]),
        ("ListObjects", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("ListObjectsV2", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("HeadBucket", {"Bucket": "b"}, [("s3:ListBucket", "arn:aws:s3:::b")]),
        ("ListBuckets", {}, [("s3:ListAllMyBuckets", "arn:aws:s3:::*")]),
        ("CreateBucket", {"Bucket": "b"}, [("s3:CreateBucket", "arn:aws:s3:::b")]),
        ("DeleteBucket", {"Bucket": "b"}, [("s3:DeleteBucket", "arn:aws:s3:::b")]),
        ("GetBucketLocation", {"Bucket": "b"}, [("s3:GetBucketLocation", "arn:aws:s3:::b")]),
        ("PutBucketEncryption", {"Bucket": "b"}, [("s3:PutEncryptionConfiguration", "arn:aws:s3:::b")]),
        (
            "CopyObject",
            {**OBJECT, "CopySource": "other/my%20file"},
            [("s3:GetObject", "arn:aws:s3:::other/my file"), ("s3:PutObject", "arn:aws:s3:::b/a/k")],
        ),
        (
            "UploadPartCopy",
            {**OBJECT, "CopySource": "/other/k?versionId=7"},
            [("s3:GetObjectVersion", "arn:aws:s3:::other/k"), ("s3:PutObject", "arn:aws:s3:::b/a/k")],
        ),
        (
            "PutObject",
            {**OBJECT, "Tagging": "a=b", "ACL": "private"},
            [
                ("s3:PutObject", "arn:aws:s3:::b/a/k"),
                ("s3:PutObjectTagging", "arn:aws:s3:::b/a/k"),
                ("s3:PutObjectAcl", "arn:aws:s3:::b/a/k"),
            ],
        ),
        (
            "DeleteObjects",
            {"Bucket": "b", "Delete": {"Objects": [{"Key": "x"}, {"Key": "y", "VersionId": "1"}]}},
            [("s3:DeleteObject", "arn:aws:s3:::b/x"), ("s3:DeleteObjectVersion", "arn:aws:s3:::b/y")],
        ),
    ],
)
def test_s3(operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert needed("s3", operation, params) == expected


JOB = {"jobName": "j", "customModelName": "m", "baseModelIdentifier": "amazon.titan-text-express-v1", "roleArn": ROLE}


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("bedrock-runtime", "Converse", {"modelId": "amazon.titan-text-express-v1"}, [("bedrock:InvokeModel", TITAN)]),
        (
            "bedrock-runtime",
            "ConverseStream",
            {"modelId": TITAN},
            [("bedrock:InvokeModelWithResponseStream", TITAN)],
        ),
        (
            "bedrock-runtime",
            "InvokeModel",
            {"modelId": f"{BEDROCK}provisioned-model/abc"},
            [("bedrock:InvokeModel", f"{BEDROCK}provisioned-model/abc")],
        ),
        (
            "bedrock-runtime",
            "InvokeModel",
            {"modelId": "poems"},
            [("bedrock:InvokeModel", KNOWN["custom-model", "poems"])],
        ),
        (
            "bedrock-runtime",
            "InvokeModelWithResponseStream",
            {"modelId": "eu.meta.llama3-v1:0"},
            [
                ("bedrock:InvokeModelWithResponseStream", f"{BEDROCK}inference-profile/eu.meta.llama3-v1:0"),
                (
                    "bedrock:InvokeModelWithResponseStream",
                    "arn:aws:bedrock:eu-west-1::foundation-model/meta.llama3-v1:0",
                ),
            ],
        ),
        (
            "bedrock-runtime",
            "Converse",
            {"modelId": TITAN, "guardrailConfig": {"guardrailIdentifier": "g1"}},
            [("bedrock:InvokeModel", TITAN), ("bedrock:ApplyGuardrail", f"{BEDROCK}guardrail/g1")],
        ),
        ("bedrock-runtime", "CountTokens", {"modelId": TITAN}, [("bedrock:CountTokens", TITAN)]),
        ("bedrock", "ListFoundationModels", {}, [("bedrock:ListFoundationModels", "*")]),
        ("bedrock", "ListCustomModels", {}, [("bedrock:ListCustomModels", "*")]),
        (
            "bedrock",
            "GetFoundationModel",
            {"modelIdentifier": "amazon.titan-text-express-v1"},
            [("bedrock:GetFoundationModel", TITAN)],
        ),
        (
            "bedrock",
            "GetCustomModel",
            {"modelIdentifier": "poems"},
            [("bedrock:GetCustomModel", KNOWN["custom-model", "poems"])],
        ),
        (
            "bedrock",
            "DeleteCustomModel",
            {"modelIdentifier": "unknown"},
            [("bedrock:DeleteCustomModel", f"{BEDROCK}custom-model/unknown")],
        ),
        (
            "bedrock",
            "StopModelCustomizationJob",
            {"jobIdentifier": "j"},
            [("bedrock:StopModelCustomizationJob", f"{BEDROCK}model-customization-job/j")],
        ),
        (
            "bedrock",
            "GetEvaluationJob",
            {"jobIdentifier": f"{BEDROCK}evaluation-job/e"},
            [("bedrock:GetEvaluationJob", f"{BEDROCK}evaluation-job/e")],
        ),
        (
            "bedrock",
            "CreateModelCustomizationJob",
            JOB,
            [
                ("bedrock:CreateModelCustomizationJob", TITAN),
                (
                    "bedrock:CreateModelCustomizationJob",
                    f"{BEDROCK}custom-model/amazon.titan-text-express-v1/*",
                ),
                (
                    "bedrock:CreateModelCustomizationJob",
                    f"{BEDROCK}model-customization-job/amazon.titan-text-express-v1/*",
                ),
                ("iam:PassRole", ROLE),
            ],
        ),
        (
            "bedrock",
            "CreateProvisionedModelThroughput",
            {"modelId": "poems", "provisionedModelName": "p", "modelUnits": 1},
            [("bedrock:CreateProvisionedModelThroughput", KNOWN["custom-model", "poems"])],
        ),
        (
            "bedrock",
            "CreateCustomModelDeployment",
            {"modelArn": f"{BEDROCK}custom-model/x/y", "modelDeploymentName": "d"},
            [("bedrock:CreateCustomModelDeployment", f"{BEDROCK}custom-model/x/y")],
        ),
        (
            "bedrock",
            "UpdateProvisionedModelThroughput",
            {"provisionedModelId": "p", "desiredModelId": f"{BEDROCK}custom-model/x/y"},
            [
                ("bedrock:UpdateProvisionedModelThroughput", f"{BEDROCK}provisioned-model/p"),
                ("bedrock:UpdateProvisionedModelThroughput", f"{BEDROCK}custom-model/x/y"),
            ],
        ),
        (
            "bedrock",
            "TagResource",
            {"resourceARN": f"{BEDROCK}custom-model/x/y", "tags": []},
            [("bedrock:TagResource", f"{BEDROCK}custom-model/x/y")],
        ),
        (
            "bedrock-agent-runtime",
            "Retrieve",
            {"knowledgeBaseId": "ABCDEFGHIJ"},
            [("bedrock:Retrieve", f"{BEDROCK}knowledge-base/ABCDEFGHIJ")],
        ),
        (
            "bedrock-agent-runtime",
            "Rerank",
            {
                "rerankingConfiguration": {
                    "bedrockRerankingConfiguration": {"modelConfiguration": {"modelArn": "amazon.rerank-v1:0"}}
                }
            },
            [
                ("bedrock:Rerank", "*"),
                ("bedrock:InvokeModel", "arn:aws:bedrock:eu-west-1::foundation-model/amazon.rerank-v1:0"),
            ],
        ),
        (
            "bedrock-agent-runtime",
            "InvokeAgent",
            {"agentId": "A", "agentAliasId": "B", "sessionId": "s"},
            [("bedrock:InvokeAgent", f"{BEDROCK}agent-alias/A/B")],
        ),
        (
            "bedrock-agent",
            "AssociateAgentKnowledgeBase",
            {"agentId": "A", "agentVersion": "DRAFT", "knowledgeBaseId": "K"},
            [("bedrock:AssociateAgentKnowledgeBase", f"{BEDROCK}agent/A")],
        ),
        (
            "bedrock-agent-runtime",
            "InvokeFlow",
            {"flowIdentifier": "F", "flowAliasIdentifier": "X"},
            [("bedrock:InvokeFlow", f"{BEDROCK}flow/F/alias/X")],
        ),
    ],
)
def test_bedrock(service: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    assert needed(service, operation, params) == expected


def test_the_role_of_a_job_is_passed_to_bedrock() -> None:
    asked = RequestedOperation(
        service="bedrock",
        operation="CreateModelCustomizationJob",
        params=JOB,
        region="eu-west-1",
        account=ACCOUNT,
        find=lambda _kind, _name: None,
    )
    assert needs(asked)[-1].context == {"iam:PassedToService": "bedrock.amazonaws.com"}


IAM = f"arn:aws:iam::{ACCOUNT}:"


@pytest.mark.parametrize(
    ("service", "operation", "params", "expected"),
    [
        ("iam", "CreateRole", {"RoleName": "R"}, [("iam:CreateRole", f"{IAM}role/R")]),
        ("iam", "CreateRole", {"RoleName": "R", "Path": "/a/"}, [("iam:CreateRole", f"{IAM}role/a/R")]),
        ("iam", "GetRole", {"RoleName": "Tuning"}, [("iam:GetRole", ROLE)]),
        ("iam", "GetRole", {"RoleName": "none"}, [("iam:GetRole", f"{IAM}role/none")]),
        ("iam", "ListRoles", {}, [("iam:ListRoles", f"{IAM}role/")]),
        ("iam", "PutRolePolicy", {"RoleName": "Tuning", "PolicyName": "p"}, [("iam:PutRolePolicy", ROLE)]),
        (
            "iam",
            "AttachRolePolicy",
            {"RoleName": "Tuning", "PolicyArn": f"{IAM}policy/p"},
            [("iam:AttachRolePolicy", ROLE)],
        ),
        ("iam", "GetPolicy", {"PolicyArn": f"{IAM}policy/p"}, [("iam:GetPolicy", f"{IAM}policy/p")]),
        ("iam", "CreatePolicy", {"PolicyName": "p"}, [("iam:CreatePolicy", f"{IAM}policy/p")]),
        ("iam", "ListPolicies", {}, [("iam:ListPolicies", "*")]),
        ("iam", "GetUser", {}, [("iam:GetUser", f"{IAM}user/jane")]),
        ("iam", "CreateAccessKey", {"UserName": "john"}, [("iam:CreateAccessKey", f"{IAM}user/john")]),
        ("sts", "GetCallerIdentity", {}, []),
        ("sts", "GetSessionToken", {}, []),
        ("sts", "AssumeRole", {"RoleArn": ROLE}, [("sts:AssumeRole", ROLE)]),
        (
            "sagemaker",
            "CreateTrainingJob",
            {"TrainingJobName": "t", "RoleArn": ROLE},
            [
                ("sagemaker:CreateTrainingJob", f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:training-job/t"),
                ("iam:PassRole", ROLE),
            ],
        ),
        (
            "sagemaker",
            "CreateHyperParameterTuningJob",
            {
                "HyperParameterTuningJobName": "t",
                "TrainingJobDefinition": {"RoleArn": ROLE},
                "TrainingJobDefinitions": [{"RoleArn": f"{IAM}role/other"}, {"RoleArn": ROLE}, {}],
            },
            [
                (
                    "sagemaker:CreateHyperParameterTuningJob",
                    f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:hyper-parameter-tuning-job/t",
                ),
                ("iam:PassRole", ROLE),
                ("iam:PassRole", f"{IAM}role/other"),
            ],
        ),
        (
            "sagemaker",
            "ListTrainingJobsForHyperParameterTuningJob",
            {"HyperParameterTuningJobName": "t"},
            [
                (
                    "sagemaker:ListTrainingJobsForHyperParameterTuningJob",
                    f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:hyper-parameter-tuning-job/t",
                )
            ],
        ),
        ("sagemaker", "Search", {"Resource": "TrainingJob"}, [("sagemaker:Search", "*")]),
        (
            "sagemaker-runtime",
            "InvokeEndpoint",
            {"EndpointName": "e"},
            [("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:eu-west-1:{ACCOUNT}:endpoint/e")],
        ),
        (
            "logs",
            "DescribeLogGroups",
            {},
            [("logs:DescribeLogGroups", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group::log-stream:")],
        ),
        (
            "logs",
            "FilterLogEvents",
            {"logGroupName": "g"},
            [("logs:FilterLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:g:*")],
        ),
        (
            "logs",
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            [("logs:PutLogEvents", f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:g:log-stream:s")],
        ),
        ("kms", "CreateKey", {}, [("kms:CreateKey", "*")]),
        ("kms", "Encrypt", {"KeyId": "k"}, [("kms:Encrypt", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k")]),
        (
            "kms",
            "CreateAlias",
            {"AliasName": "alias/a", "TargetKeyId": "k"},
            [
                ("kms:CreateAlias", f"arn:aws:kms:eu-west-1:{ACCOUNT}:alias/a"),
                ("kms:CreateAlias", f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/k"),
            ],
        ),
        ("cloudwatch", "PutMetricData", {"Namespace": "n"}, [("cloudwatch:PutMetricData", "*")]),
        (
            "cloudwatch",
            "DeleteAlarms",
            {"AlarmNames": ["a"]},
            [("cloudwatch:DeleteAlarms", f"arn:aws:cloudwatch:eu-west-1:{ACCOUNT}:alarm:a")],
        ),
        (
            "cloudtrail",
            "CreateTrail",
            {"Name": "t"},
            [("cloudtrail:CreateTrail", f"arn:aws:cloudtrail:eu-west-1:{ACCOUNT}:trail/t")],
        ),
        ("cloudtrail", "LookupEvents", {}, [("cloudtrail:LookupEvents", "*")]),
        (
            "application-autoscaling",
            "RegisterScalableTarget",
            {"ServiceNamespace": "sagemaker", "ResourceId": "endpoint/e/variant/v"},
            [
                (
                    "application-autoscaling:RegisterScalableTarget",
                    f"arn:aws:application-autoscaling:eu-west-1:{ACCOUNT}:scalable-target/*",
                )
            ],
        ),
    ],
)
def test_the_other_services(
    service: str, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    assert needed(service, operation, params) == expected


def test_every_operation_and_member_in_the_tables_is_in_the_service_models() -> None:
    """A member that AWS renames, or one spelled wrongly here, would turn a check into a star without a word."""
    bedrock = [service_model.load(name) for name in ("bedrock", "bedrock-runtime")]

    def members(operation: str) -> set[str]:
        shapes = [each.operation_model(operation).input_shape for each in bedrock if operation in each.operation_names]
        assert shapes[0] is not None, f"{operation} takes nothing"
        return set(shapes[0].members)

    for operation, (member, _) in actions_bedrock.MODELS.items():
        assert member in members(operation), operation
    for operation in actions_bedrock.NEW:
        assert members(operation)
    for noun, (member, _kind) in actions_bedrock.THINGS.items():
        verb = "Create" if noun == "GuardrailVersion" else "Get"
        assert member in members(f"{verb}{noun}"), noun
    assert set(actions_s3.ACTIONS) <= set(service_model.load("s3").operation_names)
