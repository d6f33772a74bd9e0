"""The permissions that an operation of S3 needs. Many operations share one action, and some need two.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html
"""

from urllib.parse import parse_qsl

from outcrop import arn as arns
from outcrop.access.needs.required_permissions import RequestedOperation, RequiredPermission
from outcrop.access.policies.evaluation import Context
from outcrop.protocol.copy_sources import parse_copy_source

ACTIONS = {
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListDirectoryBuckets": "ListAllMyBuckets",
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "ListParts": "ListMultipartUploadParts",
    "HeadObject": "GetObject",
    "SelectObjectContent": "GetObject",
    "CopyObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycle": "GetLifecycleConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycle": "PutLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeleteBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "DeleteBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "DeleteBucketInventoryConfiguration": "PutInventoryConfiguration",
    "DeleteBucketMetricsConfiguration": "PutMetricsConfiguration",
    "GetBucketAnalyticsConfiguration": "GetAnalyticsConfiguration",
    "GetBucketIntelligentTieringConfiguration": "GetIntelligentTieringConfiguration",
    "GetBucketInventoryConfiguration": "GetInventoryConfiguration",
    "GetBucketMetricsConfiguration": "GetMetricsConfiguration",
    "ListBucketAnalyticsConfigurations": "GetAnalyticsConfiguration",
    "ListBucketIntelligentTieringConfigurations": "GetIntelligentTieringConfiguration",
    "ListBucketInventoryConfigurations": "GetInventoryConfiguration",
    "ListBucketMetricsConfigurations": "GetMetricsConfiguration",
    "PutBucketAnalyticsConfiguration": "PutAnalyticsConfiguration",
    "PutBucketIntelligentTieringConfiguration": "PutIntelligentTieringConfiguration",
    "PutBucketInventoryConfiguration": "PutInventoryConfiguration",
    "PutBucketMetricsConfiguration": "PutMetricsConfiguration",
    "GetBucketReplication": "GetReplicationConfiguration",
    "PutBucketReplication": "PutReplicationConfiguration",
    "DeleteBucketReplication": "PutReplicationConfiguration",
    "GetBucketAccelerateConfiguration": "GetAccelerateConfiguration",
    "PutBucketAccelerateConfiguration": "PutAccelerateConfiguration",
    "GetObjectLockConfiguration": "GetBucketObjectLockConfiguration",
    "PutObjectLockConfiguration": "PutBucketObjectLockConfiguration",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
}
"""Operations whose action has another name than they."""
NULL_VERSION = "null"
_VERSIONED = {
    "GetObject",
    "DeleteObject",
    "GetObjectTagging",
    "PutObjectTagging",
    "DeleteObjectTagging",
    "GetObjectAcl",
    "GetObjectAttributes",
    "PutObjectAcl",
}
_HEADER_KEYS = {
    "ACL": "s3:x-amz-acl",
    "CopySource": "s3:x-amz-copy-source",
    "GrantFullControl": "s3:x-amz-grant-full-control",
    "GrantRead": "s3:x-amz-grant-read",
    "GrantReadACP": "s3:x-amz-grant-read-acp",
    "GrantWrite": "s3:x-amz-grant-write",
    "GrantWriteACP": "s3:x-amz-grant-write-acp",
    "IfMatch": "s3:if-match",
    "IfNoneMatch": "s3:if-none-match",
    "MetadataDirective": "s3:x-amz-metadata-directive",
    "ObjectOwnership": "s3:x-amz-object-ownership",
    "ServerSideEncryption": "s3:x-amz-server-side-encryption",
    "SSEKMSKeyId": "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "SSECustomerAlgorithm": "s3:x-amz-server-side-encryption-customer-algorithm",
    "StorageClass": "s3:x-amz-storage-class",
    "VersionId": "s3:VersionId",
    "WebsiteRedirectLocation": "s3:x-amz-website-redirect-location",
}
TAGGED_OBJECT_ACTIONS = frozenset({
    "s3:GetObject", "s3:GetObjectVersion", "s3:GetObjectAcl", "s3:GetObjectVersionAcl", "s3:PutObjectAcl",
    "s3:PutObjectVersionAcl", "s3:GetObjectTagging", "s3:GetObjectVersionTagging", "s3:PutObjectTagging",
    "s3:PutObjectVersionTagging", "s3:DeleteObjectTagging", "s3:DeleteObjectVersionTagging",
})  # fmt: skip
"""Actions that know s3:ExistingObjectTag/…: not those that put or delete an object.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/tagging-and-policies.html
"""
EVERY_BUCKET = "arn:aws:s3:::*"
"""What the listing of buckets is about: policies of S3's own guide name it so, where other listings know only `*`."""
_LISTING_KEYS = {"Prefix": "s3:prefix", "Delimiter": "s3:delimiter", "MaxKeys": "s3:max-keys"}


def needs(asked: RequestedOperation) -> list[RequiredPermission]:
    """The needs of one operation of S3."""
    if asked.operation == "ListBuckets":
        return [RequiredPermission(action="s3:ListAllMyBuckets", resource=EVERY_BUCKET)]
    bucket, key = str(asked.params.get("Bucket", "")), asked.params.get("Key")
    if asked.operation == "DeleteObjects":
        return _deletions(asked, bucket)
    name = ACTIONS.get(asked.operation, asked.operation)
    name, or_action = _versioned(name, asked.params.get("VersionId"))
    resource = _object(bucket, str(key)) if key is not None else _bucket(bucket)
    context = _listing(asked) | _headers(asked)
    main = RequiredPermission(action=f"s3:{name}", resource=resource, context=context, or_action=or_action)
    return [*_source(asked), main, *_more(asked, resource, main.context)]


def _versioned(name: str, version: str | None) -> tuple[str, str | None]:
    """The action where a version is named. The version `null` is the object itself, so both actions are about it."""
    if not version or name not in _VERSIONED:
        return name, None
    versioned = name.replace("Object", "ObjectVersion", 1)
    return (name, f"s3:{versioned}") if version == NULL_VERSION else (versioned, None)


def _deletions(asked: RequestedOperation, bucket: str) -> list[RequiredPermission]:
    # One for each object, in their order: a refusal is told in the answer, and the others are deleted.
    found = asked.params.get("Delete", {}).get("Objects", [])
    needs_of_each = [_deletion(bucket, each.get("Key", ""), each.get("VersionId")) for each in found]
    return needs_of_each or [RequiredPermission(action="s3:DeleteObject", resource=_object(bucket, ""))]


def _deletion(bucket: str, key: str, version: str | None) -> RequiredPermission:
    name, or_action = _versioned("DeleteObject", version)
    resource = _object(bucket, key)
    return RequiredPermission(action=f"s3:{name}", resource=resource, context=_version(version), or_action=or_action)


def _version(version: str | None) -> dict[str, str]:
    return {"s3:VersionId": version} if version else {}


def _source(asked: RequestedOperation) -> list[RequiredPermission]:
    """The object that a copy reads."""
    header = asked.params.get("CopySource")
    if not isinstance(header, str):
        return []
    source = parse_copy_source(header)
    name, or_action = _versioned("GetObject", source.version)
    resource = _object(source.bucket, source.key)
    context = _version(source.version)
    return [RequiredPermission(action=f"s3:{name}", resource=resource, context=context, or_action=or_action)]


def _more(asked: RequestedOperation, resource: str, context: Context) -> list[RequiredPermission]:
    """The permissions that writing tags or access lists or reading attributes needs beside the object itself."""
    more: list[RequiredPermission] = []
    if asked.operation in ("PutObject", "CopyObject", "CreateMultipartUpload"):
        if asked.params.get("Tagging"):
            more.append(RequiredPermission(action="s3:PutObjectTagging", resource=resource, context=context))
        if asked.params.get("ACL"):
            more.append(RequiredPermission(action="s3:PutObjectAcl", resource=resource, context=context))
    if asked.operation == "GetObjectAttributes":
        name, or_action = _versioned("GetObject", asked.params.get("VersionId"))
        read = RequiredPermission(action=f"s3:{name}", resource=resource, context=context, or_action=or_action)
        more.append(read)
    return more


def _listing(asked: RequestedOperation) -> dict[str, str]:
    if ACTIONS.get(asked.operation) not in ("ListBucket", "ListBucketVersions"):
        return {}
    return {key: str(asked.params[member]) for member, key in _LISTING_KEYS.items() if member in asked.params}


def _headers(asked: RequestedOperation) -> dict[str, str | tuple[str, ...]]:
    """The values of S3's condition keys in a request: what it says of the object beside its bytes."""
    found: dict[str, str | tuple[str, ...]] = {
        key: str(asked.params[member]) for member, key in _HEADER_KEYS.items() if member in asked.params
    }
    tags = _object_tags(asked)
    if asked.operation == "CreateBucket":
        where = (asked.params.get("CreateBucketConfiguration") or {}).get("LocationConstraint")
        found |= {"s3:LocationConstraint": str(where)} if where else {}
    if tags:
        found |= {f"s3:RequestObjectTag/{key}": value for key, value in tags.items()}
        found["s3:RequestObjectTagKeys"] = tuple(tags)
    return found


def _object_tags(asked: RequestedOperation) -> dict[str, str]:
    tagging = asked.params.get("Tagging")
    if isinstance(tagging, str):
        return dict(parse_qsl(tagging, keep_blank_values=True))
    pairs = (tagging or {}).get("TagSet") or () if asked.operation == "PutObjectTagging" else ()
    return {str(pair.get("Key", "")): str(pair.get("Value", "")) for pair in pairs}


def _bucket(bucket: str) -> str:
    return bucket if arns.is_arn(bucket) else f"arn:aws:s3:::{bucket}"


def _object(bucket: str, key: str) -> str:
    return f"{_bucket(bucket)}/{key}"
