"""The actions and condition keys that policies of S3's buckets may speak about: a word that is none is refused.

https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""

from functools import cache

from outcrop.access.policies.patterns import fill, matches

OBJECT_ACTIONS = frozenset({
    "AbortMultipartUpload", "BypassGovernanceRetention", "DeleteObject", "DeleteObjectTagging", "DeleteObjectVersion",
    "DeleteObjectVersionTagging", "GetObject", "GetObjectAcl", "GetObjectAttributes", "GetObjectLegalHold",
    "GetObjectRetention", "GetObjectTagging", "GetObjectTorrent", "GetObjectVersion", "GetObjectVersionAcl",
    "GetObjectVersionAttributes", "GetObjectVersionForReplication", "GetObjectVersionTagging",
    "GetObjectVersionTorrent", "InitiateReplication", "ListMultipartUploadParts", "ObjectOwnerOverrideToBucketOwner",
    "PutObject", "PutObjectAcl", "PutObjectLegalHold", "PutObjectRetention", "PutObjectTagging", "PutObjectVersionAcl",
    "PutObjectVersionTagging", "ReplicateDelete", "ReplicateObject", "ReplicateTags", "RestoreObject",
    "UpdateObjectEncryption",
})  # fmt: skip
BUCKET_ACTIONS = frozenset({
    "CreateBucket", "CreateBucketMetadataTableConfiguration", "DeleteBucket", "DeleteBucketMetadataTableConfiguration",
    "DeleteBucketPolicy", "DeleteBucketWebsite", "GetAccelerateConfiguration", "GetAnalyticsConfiguration",
    "GetBucketAbac", "GetBucketAcl", "GetBucketCORS", "GetBucketLocation", "GetBucketLogging",
    "GetBucketMetadataTableConfiguration", "GetBucketNotification", "GetBucketObjectLockConfiguration",
    "GetBucketOwnershipControls", "GetBucketPolicy", "GetBucketPolicyStatus", "GetBucketPublicAccessBlock",
    "GetBucketRequestPayment", "GetBucketTagging", "GetBucketVersioning", "GetBucketWebsite",
    "GetEncryptionConfiguration", "GetIntelligentTieringConfiguration", "GetInventoryConfiguration",
    "GetLifecycleConfiguration", "GetMetricsConfiguration", "GetReplicationConfiguration", "ListBucket",
    "ListBucketMultipartUploads", "ListBucketVersions", "ListTagsForResource", "PutAccelerateConfiguration",
    "PutAnalyticsConfiguration", "PutBucketAbac", "PutBucketAcl", "PutBucketCORS", "PutBucketLogging",
    "PutBucketNotification", "PutBucketObjectLockConfiguration", "PutBucketOwnershipControls", "PutBucketPolicy",
    "PutBucketPublicAccessBlock", "PutBucketRequestPayment", "PutBucketTagging", "PutBucketVersioning",
    "PutBucketWebsite", "PutEncryptionConfiguration", "PutIntelligentTieringConfiguration",
    "PutInventoryConfiguration", "PutLifecycleConfiguration", "PutMetricsConfiguration",
    "PutReplicationConfiguration", "TagResource", "UntagResource",
})  # fmt: skip
_OBJECT, _BUCKET = ({f"s3:{name}".lower() for name in names} for names in (OBJECT_ACTIONS, BUCKET_ACTIONS))
_S3_KEYS = frozenset({
    "s3:accesspointnetworkorigin", "s3:authtype", "s3:dataaccesspointaccount", "s3:dataaccesspointarn", "s3:delimiter",
    "s3:if-match", "s3:if-none-match", "s3:inventoryaccessibleoptionalfields", "s3:locationconstraint", "s3:max-keys",
    "s3:object-lock-legal-hold", "s3:object-lock-mode", "s3:object-lock-remaining-retention-days",
    "s3:object-lock-retain-until-date", "s3:objectcreationoperation", "s3:prefix", "s3:requestobjecttagkeys",
    "s3:resourceaccount", "s3:signatureage", "s3:signatureversion", "s3:tlsversion", "s3:versionid", "s3:x-amz-acl",
    "s3:x-amz-content-sha256", "s3:x-amz-copy-source", "s3:x-amz-grant-full-control", "s3:x-amz-grant-read",
    "s3:x-amz-grant-read-acp", "s3:x-amz-grant-write", "s3:x-amz-grant-write-acp", "s3:x-amz-metadata-directive",
    "s3:x-amz-object-ownership", "s3:x-amz-server-side-encryption", "s3:x-amz-server-side-encryption-aws-kms-key-id",
    "s3:x-amz-server-side-encryption-customer-algorithm", "s3:x-amz-storage-class",
    "s3:x-amz-website-redirect-location",
})  # fmt: skip
_GLOBAL_KEYS = frozenset({
    "aws:assumedroot", "aws:calledvia", "aws:calledviafirst", "aws:calledvialast", "aws:chatbotsourcearn",
    "aws:currenttime", "aws:ec2instancesourceprivateipv4", "aws:ec2instancesourcevpc", "aws:epochtime",
    "aws:federatedprovider", "aws:multifactorauthage", "aws:multifactorauthpresent", "aws:principalaccount",
    "aws:principalarn", "aws:principalisawsservice", "aws:principalorgid", "aws:principalorgpaths",
    "aws:principalservicename", "aws:principalservicenameslist", "aws:principaltype", "aws:referer",
    "aws:requestedregion", "aws:resourceaccount", "aws:resourceorgid", "aws:resourceorgpaths", "aws:securetransport",
    "aws:sourceaccount", "aws:sourcearn", "aws:sourceidentity", "aws:sourceip", "aws:sourceorgid",
    "aws:sourceorgpaths", "aws:sourcevpc", "aws:sourcevpcarn", "aws:sourcevpce", "aws:tagkeys", "aws:tokenissuetime",
    "aws:useragent", "aws:userid", "aws:username", "aws:viaawsservice", "aws:vpceaccount", "aws:vpceorgid",
    "aws:vpceorgpaths", "aws:vpcsourceip",
})  # fmt: skip
_FAMILIES = (
    "aws:principaltag/", "aws:requesttag/", "aws:resourcetag/", "s3:existingobjecttag/", "s3:requestobjecttag/",
    "s3:accesspointtag/", "s3:buckettag/",
)  # fmt: skip
"Keys that go on with the name of a tag."
UNBUILT_KEYS = {
    "s3:tlsversion": "nobody tells the version of TLS here; use aws:SecureTransport",
    "s3:buckettag/": "access by the tags of buckets is not built; name buckets by their ARN",
}
"Keys that have no value here though one would be there at Amazon: a Deny that asks for them would deny nothing."


@cache
def actions_in(pattern: str) -> tuple[bool, bool]:
    """Whether a pattern of a policy covers an action on objects, and one on buckets. Neither: it names no action."""
    filled = fill(pattern.lower(), {}, variables=False)
    assert filled is not None, "without variables nothing can be missing"
    return any(matches(filled, each) for each in _OBJECT), any(matches(filled, each) for each in _BUCKET)


def is_known_key(key: str) -> bool:
    """Whether a condition may ask for this key, in lower case; those of other services have no value in S3."""
    return key in _S3_KEYS or key in _GLOBAL_KEYS or key.startswith(_FAMILIES)


def unbuilt_key(key: str) -> str | None:
    """Why a key cannot be asked for here, or None."""
    families = {name: why for name, why in UNBUILT_KEYS.items() if name.endswith("/")}
    return UNBUILT_KEYS.get(key) or next((why for name, why in families.items() if key.startswith(name)), None)
