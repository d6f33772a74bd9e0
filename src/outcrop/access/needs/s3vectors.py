"""The permissions that an operation of S3 Vectors needs, on a vector bucket or on an index.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3vectors.html
"""

from typing import Any

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission
from outcrop.access.policies.evaluation import Context

_WITHOUT_POLICY = ("CreateVectorBucket", "ListVectorBuckets")
"No bucket is there whose policy could speak about them."
_TELLING = ("filter", "returnData", "returnMetadata")
"Members with which a query or a listing tells what lies in vectors."


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The needs of one operation of S3 Vectors."""
    resource = _resource(asked)
    return [
        RequiredPermission(
            action=f"s3vectors:{operation}",
            resource=resource,
            context=_encryption(asked),
            policy_of="" if asked.operation in _WITHOUT_POLICY else bucket_of(resource),
        )
        for operation in (asked.operation, *_more(asked))
    ]


def bucket_of(arn: str) -> str:
    """The ARN of the vector bucket that an index lies in, or that this is; empty for what is neither."""
    return arn.partition("/index/")[0] if arns.is_arn(arn) else ""


def _resource(asked: RequestedOperation) -> str:
    params = asked.params
    given = next((params[each] for each in ("indexArn", "vectorBucketArn", "resourceArn") if each in params), None)
    index, bucket = params.get("indexName"), params.get("vectorBucketName")
    if isinstance(given, str):
        return f"{given}/index/{index}" if index and "vectorBucketArn" in params and arns.is_arn(given) else given
    if not isinstance(bucket, str):
        return "*"
    return arns.s3vectors(asked.region, asked.account, bucket, index if isinstance(index, str) else "")


def _more(asked: RequestedOperation) -> list[str]:
    """The further actions that a request is: it tags what it makes, or tells what lies in vectors."""
    if asked.operation in ("CreateVectorBucket", "CreateIndex") and asked.params.get("tags"):
        return ["TagResource"]
    if asked.operation in ("QueryVectors", "ListVectors") and any(asked.params.get(each) for each in _TELLING):
        return ["GetVectors"]
    return []


def _encryption(asked: RequestedOperation) -> Context:
    if asked.operation not in ("CreateVectorBucket", "CreateIndex"):
        return {}
    given: Any = asked.params.get("encryptionConfiguration") or {}
    keys = {"sseType": "s3vectors:sseType", "kmsKeyArn": "s3vectors:kmsKeyArn"}
    return {key: str(given[member]) for member, key in keys.items() if member in given}
