"""AWS-managed policies about the services around this field: containers, search, functions, logs, keys, secrets.

Most of these services do not exist here, so what they allow is nothing; roles that name them can be made all the same.
Statements as AWS publishes them, the long ones with fewer actions.

https://docs.aws.amazon.com/aws-managed-policy/latest/reference/policy-list.html
"""

from typing import Any

Statements = list[dict[str, Any]]


def allow(actions: list[str], resources: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": actions, "Resource": resources, **more}


def passed_to(*services: str) -> dict[str, Any]:
    return {"StringEquals": {"iam:PassedToService": list(services)}}


_ECR_READ = [
    "ecr:GetAuthorizationToken",
    "ecr:BatchCheckLayerAvailability",
    "ecr:GetDownloadUrlForLayer",
    "ecr:GetRepositoryPolicy",
    "ecr:DescribeRepositories",
    "ecr:ListImages",
    "ecr:DescribeImages",
    "ecr:BatchGetImage",
    "ecr:GetLifecyclePolicy",
    "ecr:GetLifecyclePolicyPreview",
    "ecr:ListTagsForResource",
    "ecr:DescribeImageScanFindings",
]
_ECR_WRITE = ["ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage"]
_LOG_WRITE = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"]
_LAMBDA_LOGS = "arn:aws:logs:*:*:log-group:/aws/lambda/*"
_LAMBDA_LOOK = [
    "cloudwatch:ListMetrics",
    "cloudwatch:GetMetricData",
    "kms:ListAliases",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:ListAttachedRolePolicies",
    "iam:ListRolePolicies",
    "iam:ListRoles",
    "logs:DescribeLogGroups",
]
_LAMBDA_LOG_READ = ["logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents"]
_OWN_USER = "arn:aws:iam::*:user/${aws:username}"
_SAGEMAKER_BUCKETS = [f"arn:aws:s3:::*{name}*" for name in ("SageMaker", "Sagemaker", "sagemaker")]

STATEMENTS: dict[str, tuple[str, Statements]] = {
    "AmazonEC2ContainerRegistryFullAccess": (
        "2015-12-21T17:06:48",
        [
            allow(["ecr:*", "cloudtrail:LookupEvents"]),
            allow(
                ["iam:CreateServiceLinkedRole"],
                Condition={"StringEquals": {"iam:AWSServiceName": ["replication.ecr.amazonaws.com"]}},
            ),
        ],
    ),
    "AmazonEC2ContainerRegistryPowerUser": ("2015-12-21T17:05:33", [allow([*_ECR_READ, *_ECR_WRITE])]),
    "AmazonEC2ContainerRegistryPullOnly": (
        "2024-10-04T16:58:49",
        [
            allow(
                [
                    "ecr:GetAuthorizationToken",
                    "ecr:BatchGetImage",
                    "ecr:GetDownloadUrlForLayer",
                    "ecr:BatchImportUpstreamImage",
                ]
            )
        ],
    ),
    "AmazonEC2ContainerRegistryReadOnly": ("2015-12-21T17:04:15", [allow(_ECR_READ)]),
    "AmazonEC2ReadOnlyAccess": (
        "2015-02-06T18:40:17",
        [
            allow(["ec2:Describe*"]),
            allow(["elasticloadbalancing:Describe*"]),
            allow(["cloudwatch:ListMetrics", "cloudwatch:GetMetricStatistics", "cloudwatch:Describe*"]),
            allow(["autoscaling:Describe*"]),
        ],
    ),
    "AmazonOpenSearchServiceFullAccess": ("2021-09-08T05:33:47", [allow(["es:*"])]),
    "AmazonOpenSearchServiceReadOnlyAccess": ("2021-09-08T05:38:13", [allow(["es:Describe*", "es:List*", "es:Get*"])]),
    "AmazonKendraReadOnlyAccess": (
        "2019-12-03T16:13:45",
        [allow(["kendra:Describe*", "kendra:List*", "kendra:Query", "kendra:GetQuerySuggestions"])],
    ),
    "AmazonTextractFullAccess": ("2018-11-28T19:07:42", [allow(["textract:*"])]),
    "ComprehendFullAccess": (
        "2017-11-29T18:08:43",
        [
            allow(
                [
                    "comprehend:*",
                    "s3:ListAllMyBuckets",
                    "s3:ListBucket",
                    "s3:GetBucketLocation",
                    "iam:ListRoles",
                    "iam:GetRole",
                ]
            )
        ],
    ),
    "AmazonDynamoDBFullAccess": (
        "2015-02-06T18:40:11",
        [allow(["dynamodb:*", "dax:*", "iam:GetRole", "iam:ListRoles", "kms:DescribeKey", "kms:ListAliases"])],
    ),
    "AmazonDynamoDBReadOnlyAccess": (
        "2015-02-06T18:40:12",
        [
            allow(
                [
                    "dynamodb:BatchGetItem",
                    "dynamodb:Describe*",
                    "dynamodb:List*",
                    "dynamodb:GetItem",
                    "dynamodb:Query",
                    "dynamodb:Scan",
                    "iam:GetRole",
                    "iam:ListRoles",
                ]
            )
        ],
    ),
    "AmazonSNSFullAccess": ("2015-02-06T18:41:05", [allow(["sns:*"])]),
    "AmazonSQSFullAccess": ("2015-02-06T18:41:07", [allow(["sqs:*"])]),
    "AmazonSSMReadOnlyAccess": ("2015-05-29T17:44:19", [allow(["ssm:Describe*", "ssm:Get*", "ssm:List*"])]),
    "AWSStepFunctionsFullAccess": ("2017-01-11T21:51:32", [allow(["states:*"])]),
    "AWSXRayDaemonWriteAccess": (
        "2018-08-28T23:00:33",
        [
            allow(
                [
                    "xray:PutTraceSegments",
                    "xray:PutTelemetryRecords",
                    "xray:GetSamplingRules",
                    "xray:GetSamplingTargets",
                    "xray:GetSamplingStatisticSummaries",
                ]
            )
        ],
    ),
    "service-role/AWSLambdaBasicExecutionRole": ("2015-04-09T15:03:43", [allow(_LOG_WRITE)]),
    "AWSLambdaExecute": (
        "2015-02-06T18:40:46",
        [allow(["logs:*"], "arn:aws:logs:*:*:*"), allow(["s3:GetObject", "s3:PutObject"], "arn:aws:s3:::*")],
    ),
    "AWSLambda_FullAccess": (
        "2020-11-17T21:14:08",
        [
            allow([*_LAMBDA_LOOK, "kms:DescribeKey", "lambda:*"]),
            allow(["iam:PassRole"], Condition=passed_to("lambda.amazonaws.com")),
            allow(_LAMBDA_LOG_READ, _LAMBDA_LOGS),
        ],
    ),
    "AWSLambda_ReadOnlyAccess": (
        "2020-11-17T21:10:32",
        [allow([*_LAMBDA_LOOK, "lambda:Get*", "lambda:List*"]), allow(_LAMBDA_LOG_READ, _LAMBDA_LOGS)],
    ),
    "AWSCloudTrail_FullAccess": (
        "2020-10-08T23:41:15",
        [
            allow(["s3:CreateBucket", "s3:PutBucketPublicAccessBlock"], ["arn:aws:s3:::aws-cloudtrail-logs*"]),
            allow(["s3:ListAllMyBuckets", "s3:GetBucketLocation", "s3:GetBucketPolicy"]),
            allow(["cloudtrail:*"]),
            allow(["logs:CreateLogGroup"], ["arn:aws:logs:*:*:log-group:aws-cloudtrail-logs*"]),
            allow(["iam:ListRoles", "iam:GetRolePolicy", "iam:GetUser"]),
            allow(["iam:PassRole"], Condition=passed_to("cloudtrail.amazonaws.com")),
            allow(["kms:CreateKey", "kms:CreateAlias", "kms:ListKeys", "kms:ListAliases"]),
        ],
    ),
    "AWSCloudTrail_ReadOnlyAccess": (
        "2022-06-14T17:19:05",
        [allow(["cloudtrail:Get*", "cloudtrail:Describe*", "cloudtrail:List*", "cloudtrail:LookupEvents"])],
    ),
    "AWSKeyManagementServicePowerUser": (
        "2015-02-06T18:40:40",
        [
            allow(
                [
                    "kms:CreateAlias",
                    "kms:CreateKey",
                    "kms:DeleteAlias",
                    "kms:Describe*",
                    "kms:GenerateRandom",
                    "kms:Get*",
                    "kms:List*",
                    "kms:TagResource",
                    "kms:UntagResource",
                    "iam:ListGroups",
                    "iam:ListRoles",
                    "iam:ListUsers",
                ]
            )
        ],
    ),
    "SecretsManagerReadWrite": (
        "2018-04-04T18:05:29",
        [allow(["secretsmanager:*", "kms:DescribeKey", "kms:ListAliases", "kms:ListKeys"], Sid="BasePermissions")],
    ),
    "CloudWatchFullAccessV2": (
        "2023-08-01T11:32:57",
        [allow(["cloudwatch:*", "logs:*", "iam:GetPolicy", "iam:GetPolicyVersion", "iam:GetRole"])],
    ),
    "CloudWatchLogsReadOnlyAccess": (
        "2015-02-06T18:40:03",
        [
            allow(
                [
                    "logs:Describe*",
                    "logs:Get*",
                    "logs:List*",
                    "logs:StartQuery",
                    "logs:StopQuery",
                    "logs:TestMetricFilter",
                    "logs:FilterLogEvents",
                    "logs:StartLiveTail",
                    "logs:StopLiveTail",
                    "cloudwatch:GenerateQuery",
                ]
            )
        ],
    ),
    "CloudWatchAgentServerPolicy": (
        "2018-03-07T01:06:44",
        [
            allow(
                [
                    "cloudwatch:PutMetricData",
                    "ec2:DescribeVolumes",
                    "ec2:DescribeTags",
                    *_LOG_WRITE,
                    "logs:PutRetentionPolicy",
                    "logs:DescribeLogStreams",
                    "logs:DescribeLogGroups",
                ]
            ),
            allow(["ssm:GetParameter"], "arn:aws:ssm:*:*:parameter/AmazonCloudWatch-*"),
        ],
    ),
    "IAMUserChangePassword": (
        "2016-11-15T00:25:16",
        [
            allow(["iam:ChangePassword"], [_OWN_USER, "arn:aws:iam::*:user/*/${aws:username}"]),
            allow(["iam:GetAccountPasswordPolicy"]),
        ],
    ),
    "IAMUserSSHKeys": (
        "2015-07-09T17:08:54",
        [
            allow(
                [
                    "iam:DeleteSSHPublicKey",
                    "iam:GetSSHPublicKey",
                    "iam:ListSSHPublicKeys",
                    "iam:UpdateSSHPublicKey",
                    "iam:UploadSSHPublicKey",
                ],
                _OWN_USER,
            )
        ],
    ),
    "AmazonBedrockLimitedAccess": (
        "2025-06-29T22:22:06",
        [
            allow(
                [
                    "bedrock:Get*",
                    "bedrock:List*",
                    "bedrock:CallWithBearerToken",
                    "bedrock:CreateModelCustomizationJob",
                    "bedrock:CreateProvisionedModelThroughput",
                    "bedrock:DeleteCustomModel",
                    "bedrock:DeleteProvisionedModelThroughput",
                    "bedrock:StopModelCustomizationJob",
                    "bedrock:TagResource",
                    "bedrock:UntagResource",
                ]
            )
        ],
    ),
    "AmazonSageMakerCanvasBedrockAccess": (
        "2024-02-02T18:37:25",
        [
            allow(
                ["s3:GetObject", "s3:PutObject"],
                ["arn:aws:s3:::sagemaker-*/Canvas", "arn:aws:s3:::sagemaker-*/Canvas/*"],
                Sid="S3CanvasAccess",
            ),
            allow(["s3:ListBucket"], ["arn:aws:s3:::sagemaker-*"], Sid="S3BucketAccess"),
        ],
    ),
    "AmazonSageMakerFeatureStoreAccess": (
        "2020-12-01T16:24:05",
        [
            allow(["s3:PutObject", "s3:GetBucketAcl", "s3:PutObjectAcl"], _SAGEMAKER_BUCKETS),
            allow(["s3:GetObject"], [f"{bucket}/metadata/*" for bucket in _SAGEMAKER_BUCKETS]),
        ],
    ),
}
"""By path and name: when it was made, and what it says."""
