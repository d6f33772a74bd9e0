"""Members that many S3 operations share, turned into the values of `outcrop.buckets` and back."""

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import parse_qsl, quote

from outcrop import arn as arns
from outcrop.access.policies.bucket_policy import ANONYMOUS
from outcrop.api.door.call import Call
from outcrop.buckets import checksums, refusals
from outcrop.buckets.checksums import Algorithm, Checksum
from outcrop.buckets.conditions import Conditions
from outcrop.buckets.names import Place
from outcrop.buckets.receiving import Promise
from outcrop.buckets.records import Details, ObjectRecord
from outcrop.buckets.tagging import OBJECT_TAGS, parse_tags
from outcrop.buckets.version_ids import is_version_id
from outcrop.errors import Denied, ServiceRefusal
from outcrop.protocol.copy_sources import parse_copy_source
from outcrop.protocol.virtual_hosts import bucket_in

MAX_METADATA_BYTES = 2048

_KEPT_HEADERS = (
    "CacheControl",
    "ContentDisposition",
    "ContentEncoding",
    "ContentLanguage",
    "Expires",
    "WebsiteRedirectLocation",
)
_GRANTS = ("GrantFullControl", "GrantRead", "GrantReadACP", "GrantWrite", "GrantWriteACP")
_CHECKSUMS = (
    *(f"Checksum{algorithm}" for algorithm in Algorithm),
    "ChecksumMD5", "ChecksumSHA512", "ChecksumXXHASH3", "ChecksumXXHASH64", "ChecksumXXHASH128",
)  # fmt: skip
"""Of an object or a part; those that are not built are refused by `parse_algorithm`."""
_OWNERS_ALONE = {"private", "bucket-owner-full-control"}
_CANNED = {
    *_OWNERS_ALONE,
    *("public-read", "public-read-write", "aws-exec-read", "authenticated-read"),
    *("bucket-owner-read", "log-delivery-write"),
}
_STORAGE_CLASSES = (
    "STANDARD",
    "REDUCED_REDUNDANCY",
    "STANDARD_IA",
    "ONEZONE_IA",
    "INTELLIGENT_TIERING",
    "GLACIER",
    "DEEP_ARCHIVE",
    "GLACIER_IR",
)
"""Those of a general purpose bucket; the others of the service model are for other kinds of buckets and devices."""
_UNBUILT = {
    "ObjectLockMode": "Object lock",
    "ObjectLockRetainUntilDate": "Object lock",
    "ObjectLockLegalHoldStatus": "Object lock",
    "ObjectLockEnabledForBucket": "Object lock",
    "WriteOffsetBytes": "Appending to an object",
}
"""Members that would change what is stored or answered. Passing over one of them would be a false promise."""
_NEVER_BY_STRANGERS = {
    "CreateMultipartUpload": "Anonymous users cannot initiate multipart uploads.  Please authenticate.",
    "CopyObject": "Anonymous users cannot copy objects.  Please authenticate",
}
"Whatever the bucket's policy says, as at Amazon."


def check_call(call: Call) -> None:
    """Raises NotImplemented for members that are not built, AccessDenied for another's bucket, InvalidArgument for an
    id that no version has."""
    params = call.params
    for name, what in _UNBUILT.items():
        if params.get(name):
            raise refusals.not_built(f"{what} ({name})", "Leave it out.")
    _check_access_list(call)
    if call.caller.user_id == ANONYMOUS and call.operation in _NEVER_BY_STRANGERS:
        raise Denied(_NEVER_BY_STRANGERS[call.operation])
    for name in ("ExpectedBucketOwner", "ExpectedSourceBucketOwner"):
        if params.get(name, call.caller.account) != call.caller.account:
            raise ServiceRefusal("AccessDenied", "Access Denied: the bucket has another owner.", http_status=403)
    if params.get("BypassGovernanceRetention") is not None:
        name = "x-amz-bypass-governance-retention"
        raise refusals.invalid_argument(
            name,
            None,
            f"{name} is only applicable to Object Lock enabled buckets.",
        )
    version = params.get("VersionId")
    if version and not is_version_id(version):
        raise refusals.invalid_version_id(version)


def _check_access_list(call: Call) -> None:
    """Raises AccessControlListNotSupported for a list that lets in anybody but the owner. S3 does so where the owner of
    a bucket owns its objects; of a new bucket it says the same in other words."""
    canned = call.params.get("ACL", "private")
    if canned not in _CANNED:
        text = f"x-amz-acl: {canned} is none of {', '.join(sorted(_CANNED))}."
        raise refusals.invalid_argument("x-amz-acl", canned, text)
    if canned in _OWNERS_ALONE and not any(call.params.get(name) for name in _GRANTS):
        return
    if call.operation == "CreateBucket":
        text = "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting"
        raise ServiceRefusal("InvalidBucketAclWithObjectOwnership", text, http_status=400)
    raise refusals.no_access_lists()


def version_of(call: Call) -> str | None:
    """The version that a request names; None for the object as it is."""
    return call.params.get("VersionId") or None


def choice_of(call: Call, member: str, choices: Collection[str]) -> str | None:
    """The value of a member that has few. Raises InvalidArgument for another one."""
    value = call.params.get(member)
    if value is not None and value not in choices:
        raise refusals.invalid_argument(member, str(value), f"{member}: {value} is none of {', '.join(choices)}.")
    return value


def place_of(call: Call) -> Place:
    return Place(call.params["Bucket"], call.params["Key"])


def source_of(call: Call) -> tuple[Place, str | None]:
    """The source that `x-amz-copy-source` names, and its version: bucket/key, percent-encoded, with or without a slash
    before it."""
    bucket, key, version = parse_copy_source(call.params["CopySource"])
    if version and not is_version_id(version):
        raise refusals.invalid_version_id(version)
    if not bucket or not key or bucket.startswith("arn:"):
        _refuse_source(call.params["CopySource"])
    return Place(bucket, key), version or None


def written_version(record: ObjectRecord) -> str | None:
    """The version that a write made; the version `null` is not told of a write, as at Amazon."""
    return record.version


def details_of(call: Call) -> Details:
    """The details kept beside the bytes of a new object. Raises MetadataTooLarge, InvalidTag, BadRequest."""
    params = call.params
    headers = {name: _header_text(params[name]) for name in _KEPT_HEADERS if params.get(name)}
    encoding = without_chunking(headers.pop("ContentEncoding", ""))
    if encoding:
        headers["ContentEncoding"] = encoding
    redirect = headers.get("WebsiteRedirectLocation", "/")
    if not redirect.startswith(("/", "http://", "https://")):
        raise ServiceRefusal(
            "InvalidRedirectLocation",
            "The website redirect location must have a prefix of 'http://' or 'https://' or '/'.",
            http_status=400,
        )
    metadata = {name.lower(): value for name, value in params.get("Metadata", {}).items()}
    size = sum(len(name.encode()) + len(value.encode()) for name, value in metadata.items())
    if size > MAX_METADATA_BYTES:
        raise ServiceRefusal(
            "MetadataTooLarge",
            "Your metadata headers exceed the maximum allowed metadata size",
            http_status=400,
            Size=size,
            MaxSizeAllowed=MAX_METADATA_BYTES,
        )
    return Details(
        content_type=params.get("ContentType") or Details.content_type,
        headers=headers,
        metadata=metadata,
        tags=_tags_in_header(params.get("Tagging", "")),
        storage_class=_storage_class(params.get("StorageClass") or Details.storage_class),
    )


def _storage_class(name: str) -> str:
    if name not in _STORAGE_CLASSES:
        raise ServiceRefusal(
            "InvalidStorageClass",
            f"The storage class you specified is not valid. Choose one of {', '.join(_STORAGE_CLASSES)}.",
            http_status=400,
            StorageClassRequested=name,
        )
    return name


def _tags_in_header(header: str) -> dict[str, str]:
    pairs = parse_qsl(header, keep_blank_values=True)
    tags = dict(pairs)
    if len(tags) < len(pairs) or any("," in key or "," in value for key, value in pairs):
        raise refusals.invalid_argument(
            "x-amz-tagging",
            header,
            "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag "
            "name duplicates.",
        )
    return parse_tags(({"Key": key, "Value": value} for key, value in pairs), OBJECT_TAGS)


def without_chunking(encoding: str) -> str:
    """Content-Encoding without `aws-chunked`, which was true of the transfer only."""
    kept = [part.strip() for part in encoding.split(",") if part.strip().lower() != "aws-chunked"]
    return ", ".join(part for part in kept if part)


def conditions_of(params: Mapping[str, Any], prefix: str = "") -> Conditions:
    """The conditional headers; `prefix` is "CopySource" for those on the source of a copy."""
    return Conditions(
        if_match=params.get(f"{prefix}IfMatch"),
        if_none_match=params.get(f"{prefix}IfNoneMatch"),
        if_modified_since=params.get(f"{prefix}IfModifiedSince"),
        if_unmodified_since=params.get(f"{prefix}IfUnmodifiedSince"),
    )


def promise_of(call: Call) -> Promise:
    """The checksums and size that a sender states of the bytes.

    The checksum may be announced here and come as a trailer.
    """
    given = given_checksum(call.params)
    announced = call.headers.get("x-amz-trailer", "").strip().lower().removeprefix("x-amz-checksum-")
    asked = call.params.get("ChecksumAlgorithm") or announced
    algorithm = given[0] if given else (checksums.parse_algorithm(asked) if asked else None)
    return Promise(
        algorithm=algorithm,
        checksum=given[1] if given else None,
        content_md5=call.params.get("ContentMD5"),
        sha256=call.body_sha256,
        trailers=call.trailers,
        size=_size_of(call),
    )


def _size_of(call: Call) -> int | None:
    stated = call.headers.get("x-amz-decoded-content-length") or call.headers.get("content-length", "")
    return int(stated) if stated.isdecimal() else None


def given_checksum(params: Mapping[str, Any]) -> tuple[Algorithm, str] | None:
    """The one checksum among the members. Raises InvalidRequest for several, or one that is not built."""
    given = [(name.removeprefix("Checksum"), params[name]) for name in _CHECKSUMS if params.get(name) is not None]
    if len(given) > 1:
        raise refusals.invalid_request(
            "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed."
        )
    return (checksums.parse_algorithm(given[0][0]), given[0][1]) if given else None


def checksum_members(checksum: Checksum | None, *, with_type: bool = True) -> dict[str, str]:
    """ChecksumCRC32 or what it is, and ChecksumType."""
    if checksum is None:
        return {}
    value = {f"Checksum{checksum.algorithm}": checksum.value}
    return {**value, "ChecksumType": str(checksum.type)} if with_type else value


def etag_of(record: ObjectRecord) -> str:
    return quoted(record.etag)


def quoted(etag: str) -> str:
    return f'"{etag}"'


def location_of(request_headers: Mapping[str, str], *, secure: bool, bucket: str, key: str) -> str:
    """The URL of an object by the address that a request was sent to."""
    host = request_headers.get("host", "")
    path = quote(key) if bucket_in(host) else f"{bucket}/{quote(key)}"
    return f"{'https' if secure else 'http'}://{host}/{path}"


def owner_of(call: Call) -> dict[str, str]:
    """S3 names an account by 64 hexadecimal digits of its own."""
    return {"ID": arns.canonical_user(call.caller.account)}


def url_encoded(call: Call, text: str | None) -> str | None:
    """`text` as `encoding-type=url` asks: a key may hold what XML cannot."""
    asked = call.params.get("EncodingType")
    if asked not in (None, "url"):
        raise refusals.invalid_argument("encoding-type", asked, "Invalid Encoding Method specified in Request")
    if not text or asked is None:
        return text
    return quote(text, safe="/")


def _header_text(value: str | datetime) -> str:
    return value.isoformat() if isinstance(value, datetime) else value


def _refuse_source(source: str) -> NoReturn:
    raise refusals.invalid_argument(
        "x-amz-copy-source", source, "Copy Source must mention the source bucket and key: sourcebucket/sourcekey"
    )
