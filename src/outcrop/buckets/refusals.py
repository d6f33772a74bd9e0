"""The refusals of S3, in S3's own codes, statuses and first sentences; ours add how to mend it."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from email.utils import format_datetime

from outcrop.errors import ServiceRefusal
from outcrop.store.database import DiskFull


def no_such_bucket(name: str) -> ServiceRefusal:
    return ServiceRefusal("NoSuchBucket", "The specified bucket does not exist", http_status=404, BucketName=name)


def no_such_key(key: str, *, marker: str | None = None) -> ServiceRefusal:
    """`marker`: the version of the delete marker that stands at the key."""
    refusal = ServiceRefusal("NoSuchKey", "The specified key does not exist.", http_status=404, Key=key)
    if marker is not None:
        refusal.headers = {"x-amz-delete-marker": "true", "x-amz-version-id": marker}
    return refusal


def no_such_version(key: str, version: str) -> ServiceRefusal:
    text = "The specified version does not exist."
    return ServiceRefusal("NoSuchVersion", text, http_status=404, Key=key, VersionId=version)


def invalid_version_id(version: str) -> ServiceRefusal:
    return invalid_argument("versionId", version, "Invalid version id specified")


def delete_marker(version: str, made: datetime, method: str = "GET") -> ServiceRefusal:
    """The refusal of anything but a deletion on a delete marker."""
    refusal = ServiceRefusal(
        "MethodNotAllowed",
        "The specified method is not allowed against this resource.",
        http_status=405,
        Method=method,
        ResourceType="DeleteMarker",
    )
    refusal.headers = {
        "Allow": "DELETE",
        "x-amz-delete-marker": "true",
        "x-amz-version-id": version,
        "Last-Modified": format_datetime(made, usegmt=True),
    }
    return refusal


def no_such_upload(upload_id: str) -> ServiceRefusal:
    return ServiceRefusal(
        "NoSuchUpload",
        "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or "
        "completed.",
        http_status=404,
        UploadId=upload_id,
    )


def invalid_bucket_name(name: str, problem: str) -> ServiceRefusal:
    return ServiceRefusal(
        "InvalidBucketName", f"The specified bucket is not valid: {problem}.", http_status=400, BucketName=name
    )


def invalid_key() -> ServiceRefusal:
    return ServiceRefusal("InvalidURI", "Couldn't parse the specified URI: the key is not UTF-8.", http_status=400)


def key_too_long(size: int, most: int) -> ServiceRefusal:
    return ServiceRefusal("KeyTooLongError", "Your key is too long", http_status=400, Size=size, MaxSizeAllowed=most)


def bucket_owned(name: str) -> ServiceRefusal:
    return ServiceRefusal(
        "BucketAlreadyOwnedByYou",
        "Your previous request to create the named bucket succeeded and you already own it.",
        http_status=409,
        BucketName=name,
    )


def bucket_not_empty(name: str, *, keeps_versions: bool = False) -> ServiceRefusal:
    text = "The bucket you tried to delete is not empty"
    if keeps_versions:
        text += ". You must delete all versions in the bucket."
    return ServiceRefusal("BucketNotEmpty", text, http_status=409, BucketName=name)


def provided(name: str) -> ServiceRefusal:
    """The refusal of a change to a bucket that the installation provides."""
    text = f"Access Denied: {name} holds what this installation provides, and is read only. Use a bucket of your own."
    return ServiceRefusal("AccessDenied", text, http_status=403)


def bucket_exists(name: str) -> ServiceRefusal:
    """The refusal of a new bucket whose name is somebody else's."""
    return ServiceRefusal(
        "BucketAlreadyExists",
        "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Select "
        "a different name and try again.",
        http_status=409,
        BucketName=name,
    )


def precondition_failed(condition: str) -> ServiceRefusal:
    return ServiceRefusal(
        "PreconditionFailed",
        "At least one of the pre-conditions you specified did not hold",
        http_status=412,
        Condition=condition,
    )


def not_modified() -> ServiceRefusal:
    return ServiceRefusal("NotModified", "Not Modified", http_status=304)


def invalid_range(asked: str, size: int) -> ServiceRefusal:
    return ServiceRefusal(
        "InvalidRange",
        "The requested range is not satisfiable",
        http_status=416,
        RangeRequested=asked,
        ActualObjectSize=size,
    )


def bad_digest(name: str) -> ServiceRefusal:
    return ServiceRefusal(
        "BadDigest", f"The {name} you specified did not match the calculated checksum.", http_status=400
    )


def invalid_digest() -> ServiceRefusal:
    return ServiceRefusal("InvalidDigest", "The Content-MD5 you specified is not valid.", http_status=400)


def payload_mismatch(stated: str, computed: str) -> ServiceRefusal:
    return ServiceRefusal(
        "XAmzContentSHA256Mismatch",
        "The provided 'x-amz-content-sha256' header does not match what was computed.",
        http_status=400,
        ClientComputedContentSHA256=stated,
        S3ComputedContentSHA256=computed,
    )


def invalid_part(number: int) -> ServiceRefusal:
    return ServiceRefusal(
        "InvalidPart",
        "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified "
        "entity tag may not match the part's entity tag.",
        http_status=400,
        PartNumber=number,
    )


def invalid_part_order() -> ServiceRefusal:
    return ServiceRefusal(
        "InvalidPartOrder",
        "The list of parts was not in ascending order. Parts must be ordered by part number.",
        http_status=400,
    )


def entity_too_small(number: int, size: int, least: int) -> ServiceRefusal:
    return ServiceRefusal(
        "EntityTooSmall",
        "Your proposed upload is smaller than the minimum allowed size",
        http_status=400,
        PartNumber=number,
        ProposedSize=size,
        MinSizeAllowed=least,
    )


def entity_too_large(most: int) -> ServiceRefusal:
    return ServiceRefusal(
        "EntityTooLarge",
        "Your proposed upload exceeds the maximum allowed size. Upload it in parts.",
        http_status=400,
        MaxSizeAllowed=most,
    )


def invalid_request(message: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidRequest", message, http_status=400)


def invalid_argument(name: str, value: str | None, message: str) -> ServiceRefusal:
    told = {"ArgumentName": name, "ArgumentValue": value} if value else {"ArgumentName": name}
    return ServiceRefusal("InvalidArgument", message, http_status=400, **told)


def malformed_xml(problem: str = "") -> ServiceRefusal:
    text = "The XML you provided was not well-formed or did not validate against our published schema"
    return ServiceRefusal("MalformedXML", f"{text}: {problem}" if problem else text, http_status=400)


def mounted(bucket: str, instead: str) -> ServiceRefusal:
    return ServiceRefusal(
        "MethodNotAllowed", f"{bucket} is mounted, its objects are kept elsewhere: {instead}.", http_status=405
    )


def no_access_lists(instead: str = "") -> ServiceRefusal:
    """The refusal of an access control list: the owner of a bucket owns its objects, and policies decide."""
    text = "The bucket does not allow ACLs"
    text = f"{text}. {instead}" if instead else text
    return ServiceRefusal("AccessControlListNotSupported", text, http_status=400)


def not_built(what: str, instead: str) -> ServiceRefusal:
    return ServiceRefusal("NotImplemented", f"{what} is not built in Outcrop yet. {instead}", http_status=501)


def header_not_built(header: str, additional: str | None = None) -> ServiceRefusal:
    """The refusal of a header for what S3 itself does not do either."""
    members = {} if additional is None else {"additionalMessage": additional}
    return ServiceRefusal(
        "NotImplemented",
        "A header you provided implies functionality that is not implemented",
        http_status=501,
        Header=header,
        **members,
    )


def conditional_conflict(key: str, condition: str) -> ServiceRefusal:
    return ServiceRefusal(
        "ConditionalRequestConflict",
        "The conditional request cannot succeed due to a conflicting operation against this resource.",
        http_status=409,
        Condition=condition,
        Key=key,
    )


@contextmanager
def full_disk_refused() -> Iterator[None]:
    """Turn a full disk into an answer to the client: 507. Clients would send a 500 or 503 again and again."""
    try:
        yield
    except DiskFull as error:
        raise ServiceRefusal("InsufficientStorage", error.message, http_status=507) from error


@contextmanager
def key_refused() -> Iterator[None]:
    """Turn the refusals of KMS into S3's, which puts KMS before their codes: KMS.DisabledException."""
    try:
        yield
    except ServiceRefusal as refused:
        raise ServiceRefusal(f"KMS.{refused.code}", refused.message, http_status=400) from refused
