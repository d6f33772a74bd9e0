"""Actions that know no resource: which pattern of a policy speaks about them."""

import json
from typing import Any

import pytest

from outcrop.access.needs.actions import needs
from outcrop.access.needs.required_permissions import RequestedOperation
from outcrop.access.policies.documents import parse
from outcrop.access.policies.evaluation import Decision, evaluate
from outcrop.api.operations import OPERATIONS
from tests.unit.access.test_actions_of_every_operation import asked, operations_of

ACCOUNT = "123456789012"
STAR_ALONE = {
    "application-autoscaling": {
        "DescribeScalableTargets", "DescribeScalingActivities", "DescribeScalingPolicies", "DescribeScheduledActions",
    },
    "bedrock": {
        "DeleteModelInvocationLoggingConfiguration", "GetModelInvocationLoggingConfiguration",
        "ListCustomModelDeployments", "ListCustomModels", "ListFoundationModels", "ListModelCustomizationJobs",
        "ListModelInvocationJobs", "ListProvisionedModelThroughputs", "PutModelInvocationLoggingConfiguration",
        "ListGuardrails", "ListImportedModels", "ListModelImportJobs", "ListEvaluationJobs",
    },
    "bedrock-agent": {"CreateKnowledgeBase", "ListKnowledgeBases"},
    "bedrock-agent-runtime": {
        "CreateSession", "ListSessions", "Rerank", "RetrieveAndGenerate", "RetrieveAndGenerateStream",
    },
    "bedrock-runtime": set(),
    "cloudtrail": {"DescribeTrails", "ListPublicKeys", "ListTrails", "LookupEvents"},
    "cloudwatch": {
        "DescribeAlarmsForMetric", "GetMetricData", "GetMetricStatistics", "ListMetrics", "PutMetricData",
    },
    "iam": {
        "CreateAccountAlias", "DeleteAccountAlias", "DeleteAccountPasswordPolicy",
        "GetAccountAuthorizationDetails", "GetAccountPasswordPolicy", "GetAccountSummary", "GetCredentialReport",
        "GetMFADevice", "GetOrganizationsAccessReport", "GetServiceLastAccessedDetails", "GetServiceLastAccessedDetailsWithEntities",
        "DeactivateMFADevice", "DeleteVirtualMFADevice", "ListMFADeviceTags", "TagMFADevice", "UntagMFADevice",
        "ListAccountAliases", "ListOpenIDConnectProviders", "ListPolicies", "ListSAMLProviders",
        "SimulateCustomPolicy",
    },
    "kms": {
        "CreateKey", "Decrypt", "GenerateRandom", "ListAliases", "ListKeys", "ListRetirableGrants", "ReEncrypt",
        "RetireGrant",
    },
    "logs": {
        "AssociateKmsKey", "DescribeLogStreams", "DisassociateKmsKey", "FilterLogEvents", "GetLogEvents", "ListTagsForResource",
        "TagResource", "UntagResource",
    },
    "s3": set(),
    "s3vectors": {
        "CreateIndex", "DeleteIndex", "DeleteVectorBucket", "DeleteVectorBucketPolicy", "DeleteVectors", "GetIndex",
        "GetVectorBucket", "GetVectorBucketPolicy", "GetVectors", "ListIndexes", "ListVectorBuckets", "ListVectors",
        "PutVectorBucketPolicy", "PutVectors", "QueryVectors",
    },
    "sagemaker": {
        "GetSearchSuggestions", "ListEndpointConfigs", "ListEndpoints", "ListHubs", "ListHyperParameterTuningJobs",
        "ListInferenceComponents", "ListModels", "ListPipelineExecutionSteps", "ListPipelines", "ListTrainingJobs",
        "ListTransformJobs", "Search",
    },
    "sagemaker-runtime": set(),
    "sts": {"DecodeAuthorizationMessage", "GetAccessKeyInfo"},
}  # fmt: skip
"""Every operation here that AWS's authorization reference gives no resource type, as long as it is given no name; of
the devices, where the serial number is no ARN. Of logs and of S3 Vectors, those that were given neither name nor ARN, which are refused."""


def needed(service: str, operation: str, **params: object) -> str:
    question = RequestedOperation(
        service=service,
        operation=operation,
        params=params,
        region="eu-west-1",
        account=ACCOUNT,
        find=lambda _kind, _name: None,
        caller_arn=f"arn:aws:iam::{ACCOUNT}:user/jane",
    )
    (need,) = needs(question)
    return need.resource


def verdict(effect: str, service: str, operation: str, pattern: str, **params: object) -> Decision:
    question = needed(service, operation, **params)
    action = "s3:ListAllMyBuckets" if operation == "ListBuckets" else f"{service}:{operation}"
    everything = {"Effect": "Allow", "Action": "*", "Resource": "*"}
    statement = {"Effect": effect, "Action": f"{service}:*", "Resource": pattern}
    statements = [everything, statement] if effect == "Deny" else [statement]
    policy = parse(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    return evaluate([policy], action=action, resource=question, context={})


@pytest.mark.parametrize("service", list(OPERATIONS))
def test_every_operation_that_knows_no_resource_is_known(service: str) -> None:
    found = {
        operation.name
        for operation in operations_of(service)
        if operation.name in OPERATIONS[service]
        and any(need.resource == "*" for need in needs(asked(service, operation, everything=False)))
    }
    assert found == STAR_ALONE[service] & set(OPERATIONS[service])


COVERS: list[tuple[str, str, str, dict[str, str]]] = [
    ("s3", "ListBuckets", "arn:aws:s3:::*", {}),
    ("s3", "ListBuckets", "arn:aws:s3:*:*:*", {}),
    ("s3", "ListBuckets", "*", {}),
    ("iam", "ListRoles", "arn:aws:iam::*:role/*", {}),
    ("iam", "ListUsers", f"arn:aws:iam::{ACCOUNT}:user/*", {}),
    ("iam", "ListUsers", "arn:aws:iam::*:user/team/*", {"PathPrefix": "/team/"}),
    ("iam", "ListGroups", "arn:aws:iam::*:*", {}),
    ("iam", "ListInstanceProfiles", "arn:aws:iam::*:instance-profile/*", {}),
    ("iam", "ListServerCertificates", "arn:aws:iam::*:server-certificate/*", {}),
    ("iam", "ListVirtualMFADevices", "arn:aws:iam::*:mfa/*", {}),
    ("iam", "ListPolicies", "*", {}),
    ("iam", "GetAccountSummary", "*", {}),
    ("sts", "GetAccessKeyInfo", "*", {}),
    ("bedrock", "ListFoundationModels", "*", {}),
    ("logs", "DescribeLogGroups", "arn:aws:logs:*:*:*", {}),
    ("logs", "DescribeLogGroups", "arn:aws:logs:eu-west-1:*:log-group:*", {}),
    ("cloudwatch", "DescribeAlarms", "arn:aws:cloudwatch:*:*:alarm:*", {}),
    ("cloudwatch", "GetMetricData", "*", {}),
    ("kms", "ListKeys", "*", {}),
]
SPARES: list[tuple[str, str, str, dict[str, Any]]] = [
    ("s3", "ListBuckets", "arn:aws:s3:::books", {}),
    ("s3", "ListBuckets", "arn:aws:s3:::b*", {}),
    ("s3", "ListBuckets", "arn:aws:s3:::*/*", {}),
    ("iam", "ListUsers", "arn:aws:iam::*:role/*", {}),
    ("iam", "ListUsers", "arn:aws:iam::*:user/team/*", {}),
    ("iam", "ListPolicies", "arn:aws:iam::*:policy/*", {}),
    ("iam", "GetAccountSummary", "arn:aws:iam::*:*", {}),
    ("sts", "GetAccessKeyInfo", "arn:aws:iam::*:user/*", {}),
    ("bedrock", "ListFoundationModels", "arn:aws:bedrock:*:*:*", {}),
    ("bedrock", "ListFoundationModels", "arn:aws:bedrock:*::foundation-model/*", {}),
    ("cloudwatch", "GetMetricData", "arn:aws:cloudwatch:*:*:*", {}),
    ("kms", "ListKeys", "arn:aws:kms:*:*:key/*", {}),
]


@pytest.mark.parametrize(("service", "operation", "pattern", "params"), COVERS)
def test_a_pattern_that_speaks_about_it_allows_and_refuses(
    service: str, operation: str, pattern: str, params: dict[str, str]
) -> None:
    assert verdict("Allow", service, operation, pattern, **params) is Decision.ALLOWED
    assert verdict("Deny", service, operation, pattern, **params) is Decision.DENIED_EXPLICITLY


@pytest.mark.parametrize(("service", "operation", "pattern", "params"), SPARES)
def test_a_pattern_that_names_resources_says_nothing_about_it(
    service: str, operation: str, pattern: str, params: dict[str, str]
) -> None:
    assert verdict("Allow", service, operation, pattern, **params) is Decision.DENIED_IMPLICITLY
    assert verdict("Deny", service, operation, pattern, **params) is Decision.ALLOWED
