"""S3: objects, from the first byte in to the last byte out."""

from datetime import datetime
from typing import Any

from outcrop.api.call import Answer, Answered, Call, Handler
from outcrop.api.platform import Platform
from outcrop.api.s3_members import (
    STANDARD,
    check_call,
    check_version,
    checksum_members,
    choice_of,
    conditions_of,
    details_of,
    etag_of,
    place_of,
    promise_of,
    source_of,
    tags_of,
)
from outcrop.buckets import checksums, conditions, refusals
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.names import Place
from outcrop.buckets.records import Details, ObjectRecord
from outcrop.errors import Denied, ServiceRefusal

MAX_DELETIONS = 1000

_DIRECTIVES = ("COPY", "REPLACE")
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


async def put_object(platform: Platform, call: Call) -> Answered:
    check_call(call)
    assert call.body is not None, "PutObject streams its body"
    record = await platform.buckets.put(
        place_of(call),
        call.body,
        details=details_of(call),
        promise=promise_of(call),
        conditions=conditions_of(call.params),
    )
    return {"ETag": etag_of(record), **checksum_members(record.checksum)}


def get_object(platform: Platform, call: Call) -> Answered:
    record, stretch = _asked(platform, call)
    part = stretch or Stretch(0, record.size)
    return _answer(call, record, stretch, {"Body": platform.buckets.body(record, part)})


def head_object(platform: Platform, call: Call) -> Answered:
    record, stretch = _asked(platform, call)
    return _answer(call, record, stretch, {})


def delete_object(platform: Platform, call: Call) -> Answered:
    check_call(call)
    platform.buckets.remove(*place_of(call), _deletion(call.params.get("IfMatch"), call.params, "IfMatch"))
    return {}


def delete_objects(platform: Platform, call: Call) -> Answered:
    check_call(call)
    asked = call.params["Delete"]
    entries = asked.get("Objects", [])
    if not 1 <= len(entries) <= MAX_DELETIONS:
        raise refusals.malformed_xml(f"{len(entries)} objects; name 1 to {MAX_DELETIONS}.")
    platform.buckets.head(call.params["Bucket"])
    deleted, errors = [], []
    for entry in entries:
        problem = _delete_one(platform, call.params["Bucket"], entry)
        if problem is None:
            deleted.append({"Key": entry["Key"], "VersionId": entry.get("VersionId")})
        else:
            errors.append({"Key": entry["Key"], "VersionId": entry.get("VersionId"), **problem})
    return {"Deleted": [] if asked.get("Quiet") else deleted, "Errors": errors}


def copy_object(platform: Platform, call: Call) -> Answered:
    check_call(call)
    source, target = source_of(call), place_of(call)
    details = _copied_details(platform, call, source)
    if source == target and details is None:
        raise refusals.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    asked = call.params.get("ChecksumAlgorithm")
    record = platform.buckets.copy(
        source,
        target,
        details=details,
        algorithm=checksums.parse_algorithm(asked) if asked else None,
        source_conditions=conditions_of(call.params, "CopySource"),
        conditions=Conditions(if_match=call.params.get("IfMatch"), if_none_match=call.params.get("IfNoneMatch")),
    )
    result = {"ETag": etag_of(record), "LastModified": record.modified, **checksum_members(record.checksum)}
    return {"CopyObjectResult": result}


def get_object_attributes(platform: Platform, call: Call) -> Answered:
    check_call(call)
    record = platform.buckets.find(*place_of(call))
    _, _, parts = record.etag.partition("-")
    every: dict[str, Any] = {
        "ETag": record.etag,  # the one place where S3 leaves the quotes out
        "Checksum": checksum_members(record.checksum) or None,
        "ObjectParts": {"TotalPartsCount": int(parts)} if parts else None,
        "StorageClass": STANDARD,
        "ObjectSize": record.size,
    }
    for name in call.params["ObjectAttributes"]:
        if name not in every:
            raise refusals.invalid_argument("x-amz-object-attributes", name, "Invalid attribute name specified.")
    asked = {name: every[name] for name in call.params["ObjectAttributes"]}
    return {"LastModified": record.modified, **asked}


def get_object_tagging(platform: Platform, call: Call) -> Answered:
    check_call(call)
    tags = platform.buckets.find(*place_of(call)).details.tags
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def put_object_tagging(platform: Platform, call: Call) -> Answered:
    check_call(call)
    tags = tags_of((tag["Key"], tag["Value"]) for tag in call.params["Tagging"]["TagSet"])
    platform.buckets.tag(*place_of(call), tags)
    return {}


def delete_object_tagging(platform: Platform, call: Call) -> Answered:
    check_call(call)
    platform.buckets.tag(*place_of(call), {})
    return {}


def _asked(platform: Platform, call: Call) -> tuple[ObjectRecord, Stretch | None]:
    check_call(call)
    record = platform.buckets.find(*place_of(call))
    conditions.check_read(record, conditions_of(call.params))
    return record, conditions.stretch_of(call.params.get("Range"), record.size)


def _answer(call: Call, record: ObjectRecord, stretch: Stretch | None, body: dict[str, Any]) -> Answer:
    members = {
        "AcceptRanges": "bytes",
        "ContentLength": record.size if stretch is None else stretch.length,
        "ContentRange": None if stretch is None else _content_range(stretch, record.size),
        "ETag": etag_of(record),
        "LastModified": record.modified,
        "TagCount": len(record.details.tags) or None,
        "Metadata": record.details.metadata,
        **_headers(record.details),
        **_overrides(call),
    }
    if call.params.get("ChecksumMode") == "ENABLED" and stretch is None:
        members |= checksum_members(record.checksum)
    return Answer({**members, **body}, status=None if stretch is None else 206)


def _headers(details: Details) -> dict[str, Any]:
    headers: dict[str, Any] = {"ContentType": details.content_type, **details.headers}
    if "Expires" in headers:
        headers["Expires"] = datetime.fromisoformat(headers["Expires"])
    return headers


def _overrides(call: Call) -> dict[str, Any]:
    return {member: call.params[name] for name, member in _OVERRIDES.items() if name in call.params}


def _content_range(stretch: Stretch, size: int) -> str:
    return f"bytes {stretch.offset}-{stretch.offset + stretch.length - 1}/{size}"


def _deletion(etag: str | None, params: dict[str, Any], member: str) -> Conditions:
    for name in ("IfMatchLastModifiedTime", "IfMatchSize", "LastModifiedTime", "Size"):
        if params.get(name) is not None:
            raise refusals.not_built(f"Deleting on condition of {name}", f"Name the ETag ({member}) instead.")
    return Conditions(if_match=etag)


def _delete_one(platform: Platform, bucket: str, entry: dict[str, Any]) -> dict[str, str] | None:
    """Code and message of what went wrong, or None."""
    try:
        check_version(entry.get("VersionId"))
        platform.buckets.remove(bucket, entry["Key"], _deletion(entry.get("ETag"), entry, "ETag"))
    except ServiceRefusal as refusal:
        return {"Code": refusal.code, "Message": refusal.message}
    except Denied as denied:
        return {"Code": "AccessDenied", "Message": denied.message}
    return None


def _copied_details(platform: Platform, call: Call, source: Place) -> Details | None:
    """The details of the copy, or None for those of the source."""
    replaces = choice_of(call, "MetadataDirective", _DIRECTIVES) == "REPLACE"
    retags = choice_of(call, "TaggingDirective", _DIRECTIVES) == "REPLACE"
    if not replaces and not retags:
        return None
    given, kept = details_of(call), platform.buckets.find(*source).details
    described = given if replaces else kept
    return Details(
        content_type=described.content_type,
        headers=described.headers,
        metadata=described.metadata,
        tags=given.tags if retags else kept.tags,
    )


OPERATIONS: dict[str, Handler] = {
    "PutObject": put_object,
    "GetObject": get_object,
    "HeadObject": head_object,
    "DeleteObject": delete_object,
    "DeleteObjects": delete_objects,
    "CopyObject": copy_object,
    "GetObjectAttributes": get_object_attributes,
    "GetObjectTagging": get_object_tagging,
    "PutObjectTagging": put_object_tagging,
    "DeleteObjectTagging": delete_object_tagging,
}
