"""AWS-managed policies that notebooks attach. Statements for services that do not exist here are left out, so none of
them allows more than the one of its name; some, as ReadOnlyAccess, name fewer actions.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/about-managed-policy-reference.html
"""

import hashlib
import json
from base64 import b32encode
from datetime import UTC, datetime
from typing import Any

from outcrop.access.records import ManagedPolicy

PREFIX = "arn:aws:iam::aws:policy/"
ADMINISTRATOR = f"{PREFIX}AdministratorAccess"


def _allow(actions: list[str], resources: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def _passed_to(*services: str) -> dict[str, Any]:
    return {"StringEquals": {"iam:PassedToService": list(services)}}


_SAGEMAKER_NAMES = ("SageMaker", "Sagemaker", "sagemaker")
_SAGEMAKER_BUCKETS = [f"arn:aws:s3:::*{name}*" for name in _SAGEMAKER_NAMES]

_STATEMENTS: dict[str, tuple[str, list[dict[str, Any]]]] = {
    "AdministratorAccess": ("2015-02-06T18:39:46", [_allow(["*"])]),
    "IAMFullAccess": ("2015-02-06T18:40:38", [_allow(["iam:*"])]),
    "PowerUserAccess": (
        "2015-02-06T18:39:47",
        [
            {"Effect": "Allow", "NotAction": ["iam:*", "organizations:*", "account:*"], "Resource": "*"},
            _allow(["iam:CreateServiceLinkedRole", "iam:DeleteServiceLinkedRole", "iam:ListRoles"]),
        ],
    ),
    "ReadOnlyAccess": (
        "2015-02-06T18:39:48",
        [
            _allow(
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
            _allow(
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
    "CloudWatchFullAccess": ("2015-02-06T18:40:00", [_allow(["cloudwatch:*", "logs:*", "iam:GetRole"])]),
    "CloudWatchReadOnlyAccess": (
        "2015-02-06T18:40:01",
        [_allow(["cloudwatch:Describe*", "cloudwatch:Get*", "cloudwatch:List*", "logs:Get*", "logs:Describe*"])],
    ),
    "CloudWatchLogsFullAccess": ("2015-02-06T18:40:02", [_allow(["logs:*", "cloudwatch:GenerateQuery"])]),
    "AmazonSageMakerReadOnly": (
        "2017-11-29T13:07:09",
        [
            _allow(
                [
                    "sagemaker:BatchGetMetrics",
                    "sagemaker:Describe*",
                    "sagemaker:GetSearchSuggestions",
                    "sagemaker:List*",
                    "sagemaker:Search",
                ]
            ),
            _allow(["application-autoscaling:Describe*", "cloudwatch:DescribeAlarms", "logs:DescribeLogStreams"]),
        ],
    ),
    "AmazonS3FullAccess": ("2015-02-06T18:40:58", [_allow(["s3:*"])]),
    "AmazonS3ReadOnlyAccess": ("2015-02-06T18:40:59", [_allow(["s3:Get*", "s3:List*", "s3:Describe*"])]),
    "AmazonBedrockReadOnly": ("2023-12-06T15:48:19", [_allow(["bedrock:Get*", "bedrock:List*"])]),
    "AmazonBedrockFullAccess": (
        "2023-12-06T15:47:17",
        [
            _allow(["bedrock:*"], Sid="BedrockAll"),
            _allow(["kms:DescribeKey"], "arn:*:kms:*:::*", Sid="DescribeKey"),
            _allow(["iam:ListRoles"], Sid="APIsWithAllResourceAccess"),
            _allow(
                ["iam:PassRole"],
                ["arn:aws:iam::*:role/*SageMaker*ForBedrock*"],
                Sid="PassRoleToSageMaker",
                Condition=_passed_to("sagemaker.amazonaws.com", "bedrock.amazonaws.com"),
            ),
            _allow(
                ["iam:PassRole"],
                "arn:aws:iam::*:role/*AmazonBedrock*",
                Sid="PassRoleToBedrock",
                Condition=_passed_to("bedrock.amazonaws.com"),
            ),
        ],
    ),
    "AmazonSageMakerFullAccess": (
        "2017-11-29T13:07:59",
        [
            _allow(["sagemaker:*"], Sid="AllowAllNonAdminSageMakerActions"),
            _allow(
                [
                    "application-autoscaling:*",
                    "cloudwatch:*",
                    "iam:GetRole",
                    "iam:ListRoles",
                    "kms:DescribeKey",
                    "kms:ListAliases",
                    "logs:*",
                ],
                Sid="AllowAWSServiceActions",
            ),
            _allow(
                ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"],
                _SAGEMAKER_BUCKETS,
                Sid="AllowS3ObjectActions",
            ),
            _allow(
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
            _allow(["s3:GetBucketAcl", "s3:PutObjectAcl"], _SAGEMAKER_BUCKETS, Sid="AllowS3BucketACL"),
            _allow(
                ["iam:PassRole"],
                "arn:aws:iam::*:role/*",
                Sid="AllowPassRoleToSageMaker",
                Condition=_passed_to("sagemaker.amazonaws.com"),
            ),
        ],
    ),
}


def _policy(name: str) -> ManagedPolicy:
    created, statements = _STATEMENTS[name]
    arn = f"{PREFIX}{name}"
    return ManagedPolicy(
        arn=arn,
        # The same in every installation, as AWS's own are in every account.
        id="ANPA" + b32encode(hashlib.sha256(arn.encode()).digest())[:17].decode(),
        name=name,
        path="/",
        description="",
        document=json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=4),
        tags={},
        created=datetime.fromisoformat(created).replace(tzinfo=UTC),
    )


AWS_MANAGED: dict[str, ManagedPolicy] = {policy.arn: policy for policy in map(_policy, sorted(_STATEMENTS))}
"""By ARN."""
