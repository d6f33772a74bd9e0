"""AWS-managed policies that notebooks attach. Statements for services that do not exist here are left out, so none of
them allows more than the one of its name; some, as ReadOnlyAccess, name fewer actions.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/about-managed-policy-reference.html
"""

import hashlib
import json
from base64 import b32encode
from datetime import UTC, datetime
from typing import Any

from outcrop.access.policies import managed_services
from outcrop.access.policies.managed_services import allow, passed_to
from outcrop.access.records.policies import ManagedPolicy

PREFIX = "arn:aws:iam::aws:policy/"
ADMINISTRATOR = f"{PREFIX}AdministratorAccess"
SAGEMAKER_FULL_ACCESS = f"{PREFIX}AmazonSageMakerFullAccess"


_SAGEMAKER_NAMES = ("SageMaker", "Sagemaker", "sagemaker")
_SAGEMAKER_BUCKETS = [f"arn:aws:s3:::*{name}*" for name in _SAGEMAKER_NAMES]

_STATEMENTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "AdministratorAccess": ("2015-02-06T18:39:46", [allow(["*"])]),
    "IAMFullAccess": ("2015-02-06T18:40:38", [allow(["iam:*"])]),
    "PowerUserAccess": (
        "2015-02-06T18:39:47",
        [
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            allow(["iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"]),
        ],
    ),
    "ReadOnlyAccess": (
        "2015-02-06T18:39:48",
        [
            allow(
                [
                    "application-autoscaling:Describe*",
                    "application-autoscaling:List*",
                    "bedrock:Get*",
                    "bedrock:List*",
                    "cloudtrail:Describe*",
                    "cloudtrail:Get*",
                    "cloudtrail:List*",
                    "cloudtrail:LookupEvents",
                    "cloudwatch:Describe*",
                    "cloudwatch:Get*",
                    "cloudwatch:List*",
                    "iam:Generate*",
                    "iam:Get*",
                    "iam:List*",
                    "iam:Simulate*",
                    "kms:Describe*",
                    "kms:Get*",
                    "kms:List*",
                    "logs:Describe*",
                    "logs:FilterLogEvents",
                    "logs:Get*",
                    "logs:List*",
                    "logs:StartQuery",
                    "logs:StopQuery",
                    "s3:DescribeJob",
                    "s3:Get*",
                    "s3:List*",
                    "sagemaker:BatchGetMetrics",
                    "sagemaker:Describe*",
                    "sagemaker:GetSearchSuggestions",
                    "sagemaker:List*",
                    "sagemaker:Search",
                    "sts:GetAccessKeyInfo",
                    "sts:GetCallerIdentity",
                    "sts:GetSessionToken",
                ],
                Sid="ReadOnlyActions",
            )
        ],
    ),
    "IAMReadOnlyAccess": (
        "2015-02-06T18:40:39",
        [
            allow(
                [
                    "iam:GenerateCredentialReport",
                    "iam:GenerateServiceLastAccessedDetails",
                    "iam:Get*",
                    "iam:List*",
                    "iam:SimulateCustomPolicy",
                    "iam:SimulatePrincipalPolicy",
                ]
            )
        ],
    ),
    "CloudWatchFullAccess": ("2015-02-06T18:40:00", [allow(["cloudwatch:*", "logs:*", "iam:GetRole"])]),
    "CloudWatchReadOnlyAccess": (
        "2015-02-06T18:40:01",
        [
            allow(["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*"]),
            allow(["logs:Get*", "logs:List*", "logs:Describe*", "logs:FilterLogEvents"]),
        ],
    ),
    "CloudWatchLogsReadOnlyAccess": (
        "2015-02-06T18:40:03",
        [allow(["logs:Describe*", "logs:Get*", "logs:List*", "logs:FilterLogEvents"])],
    ),
    "CloudWatchLogsFullAccess": ("2015-02-06T18:40:02", [allow(["logs:*", "cloudwatch:GenerateQuery"])]),
    "AmazonSageMakerReadOnly": (
        "2017-11-29T13:07:09",
        [
            allow(
                [
                    "sagemaker:BatchGetMetrics",
                    "sagemaker:Describe*",
                    "sagemaker:GetSearchSuggestions",
                    "sagemaker:List*",
                    "sagemaker:Search",
                ]
            ),
            allow(["application-autoscaling:Describe*", "cloudwatch:DescribeAlarms"]),
        ],
    ),
    "AmazonS3FullAccess": ("2015-02-06T18:40:58", [allow(["s3:*"])]),
    "AmazonS3ReadOnlyAccess": ("2015-02-06T18:40:59", [allow(["s3:Get*", "s3:List*", "s3:Describe*"])]),
    "AmazonBedrockReadOnly": ("2023-12-06T15:48:19", [allow(["bedrock:Get*", "bedrock:List*"])]),
    "AmazonBedrockFullAccess": (
        "2023-12-06T15:47:17",
        [
            allow(["bedrock:*"], Sid="BedrockAll"),
            allow(["kms:DescribeKey"], "arn:*:kms:*:::*", Sid="DescribeKey"),
            allow(["iam:ListRoles"], Sid="APIsWithAllResourceAccess"),
            allow(
                ["iam:PassRole"],
                ["arn:aws:iam::*:role/*SageMaker*ForBedrock*"],
                Sid="PassRoleToSageMaker",
                Condition=passed_to("sagemaker.amazonaws.com", "bedrock.amazonaws.com"),
            ),
            allow(
                ["iam:PassRole"],
                "arn:aws:iam::*:role/*AmazonBedrock*",
                Sid="PassRoleToBedrock",
                Condition=passed_to("bedrock.amazonaws.com"),
            ),
        ],
    ),
    "AmazonSageMakerFullAccess": (
        "2017-11-29T13:07:59",
        [
            allow(["sagemaker:*"], Sid="AllowAllNonAdminSageMakerActions"),
            allow(
                [
                    "application-autoscaling:DeleteScalingPolicy",
                    "application-autoscaling:DeleteScheduledAction",
                    "application-autoscaling:DeregisterScalableTarget",
                    "application-autoscaling:DescribeScalableTargets",
                    "application-autoscaling:DescribeScalingActivities",
                    "application-autoscaling:DescribeScalingPolicies",
                    "application-autoscaling:DescribeScheduledActions",
                    "application-autoscaling:PutScalingPolicy",
                    "application-autoscaling:PutScheduledAction",
                    "application-autoscaling:RegisterScalableTarget",
                    "cloudwatch:DeleteAlarms",
                    "cloudwatch:DescribeAlarms",
                    "cloudwatch:GetMetricData",
                    "cloudwatch:GetMetricStatistics",
                    "cloudwatch:ListMetrics",
                    "cloudwatch:PutMetricAlarm",
                    "cloudwatch:PutMetricData",
                    "iam:ListRoles",
                    "kms:DescribeKey",
                    "kms:ListAliases",
                    "logs:CreateLogGroup",
                    "logs:CreateLogStream",
                    "logs:Describe*",
                    "logs:GetLogEvents",
                    "logs:PutLogEvents",
                ],
                Sid="AllowAWSServiceActions",
            ),
            allow(
                ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                _SAGEMAKER_BUCKETS,
                Sid="AllowS3ObjectActions",
            ),
            allow(
                ["s3:GetObject"],
                "arn:aws:s3:::*",
                Sid="AllowS3GetObjectWithSageMakerExistingObjectTag",
                Condition={"StringEqualsIgnoreCase": {"s3:ExistingObjectTag/SageMaker": "true"}},
            ),
            allow(
                [
                    "s3:CreateBucket",
                    "s3:GetBucketCors",
                    "s3:GetBucketLocation",
                    "s3:ListAllMyBuckets",
                    "s3:ListBucket",
                    "s3:PutBucketCors",
                ],
                Sid="AllowS3BucketActions",
            ),
            allow(["s3:GetBucketAcl", "s3:PutObjectAcl"], _SAGEMAKER_BUCKETS, Sid="AllowS3BucketACL"),
            allow(
                ["iam:PassRole"],
                "arn:aws:iam::*:role/*",
                Sid="AllowPassRoleToSageMaker",
                Condition=passed_to("sagemaker.amazonaws.com"),
            ),
        ],
    ),
}


_ALL = _STATEMENTS | managed_services.STATEMENTS


def _policy(name: str) -> ManagedPolicy:
    created, statements = _ALL[name]
    arn = f"{PREFIX}{name}"
    folder, _, own = name.rpartition("/")
    return ManagedPolicy(
        arn=arn,
        # The same in every installation, as AWS's own are in every account.
        id="ANPA" + b32encode(hashlib.sha256(arn.encode()).digest())[:17].decode(),
        name=own,
        path=f"/{folder}/" if folder else "/",
        description="",
        document=json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=4),
        tags={},
        created=datetime.fromisoformat(created).replace(tzinfo=UTC),
    )


AWS_MANAGED: dict[str, ManagedPolicy] = {policy.arn: policy for policy in map(_policy, sorted(_ALL))}
"""By ARN."""
