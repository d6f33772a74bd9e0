"""S3: objects, from the first byte in to the last byte out."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any

from anyio import to_thread

from outcrop.api.door.call import (
    Answer,
    Answered,
    Call,
    Handler,
    quick_when,
)
from outcrop.api.s3.encryption import (
    encryption_for_write,
    encryption_members,
    record_for_read,
    with_customer_key,
)
from outcrop.api.s3.members import (
    check_call,
    checksum_members,
    choice_of,
    conditions_of,
    details_of,
    etag_of,
    place_of,
    promise_of,
    source_of,
    version_of,
    written_version,
)
from outcrop.api.s3.paging import limit_of
from outcrop.buckets import checksums, conditions, refusals
from outcrop.buckets.conditions import Conditions, Stretch
from outcrop.buckets.content_records import Piece
from outcrop.buckets.encryption import ObjectEncryption
from outcrop.buckets.names import Place
from outcrop.buckets.records import Details, ObjectRecord
from outcrop.buckets.tagging import OBJECT_TAGS, parse_tags
from outcrop.buckets.version_ids import is_version_id
from outcrop.buckets.versions import Removed, told_version
from outcrop.errors import Denied, ServiceRefusal
from outcrop.house import House

MAX_DELETIONS = 1000

_DIRECTIVES = ("COPY", "REPLACE")
_REDIRECT = "WebsiteRedirectLocation"
_CHANGE_BESIDE_METADATA = ("StorageClass", _REDIRECT, "ServerSideEncryption", "SSECustomerAlgorithm")
_TOLD_OF_UNMODIFIED = ("CacheControl", "Expires")
_DELETION_HEADERS = {
    "IfMatchLastModifiedTime": "x-amz-if-match-last-modified-time",
    "IfMatchSize": "x-amz-if-match-size",
    "LastModifiedTime": "LastModifiedTime",
    "Size": "Size",
}
"""Conditions on a deletion that S3 takes for directory buckets only."""
_OVERRIDES = {
    "ResponseCacheControl": "CacheControl",
    "ResponseContentDisposition": "ContentDisposition",
    "ResponseContentEncoding": "ContentEncoding",
    "ResponseContentLanguage": "ContentLanguage",
    "ResponseContentType": "ContentType",
    "ResponseExpires": "Expires",
}


async def put_object(house: House, call: Call) -> Answered:
    check_call(call)
    assert call.body is not None, "PutObject streams its body"
    place = place_of(call)
    if "ServerSideEncryption" in call.params:  # a key of S3's own may be made, which waits for the disk
        encryption = await to_thread.run_sync(encryption_for_write, house, call, place)
    else:
        encryption = await house.ask(encryption_for_write, house, call, place)
    record = await house.buckets.put(
        place,
        call.body,
        details=replace(details_of(call), encryption=encryption),
        promise=promise_of(call),
        conditions=conditions_of(call.params),
    )
    return {
        "ETag": etag_of(record),
        "VersionId": written_version(record),
        "Expiration": await house.ask(expiration_of, house, record),
        **checksum_members(record.checksum),
        **encryption_members(encryption, with_context=True),
    }


def _is_here(house: House, call: Call) -> bool:
    """A part is looked up among its upload's others, and a mounted bucket is asked over the network."""
    asks_more = "PartNumber" in call.params or "VersionId" in call.params
    return not asks_more and not house.buckets.is_mounted(call.params["Bucket"])


@quick_when(_is_here)
def get_object(house: House, call: Call) -> Answered:
    record = _found(house, call)
    if not _is_wanted(call, record):
        return _not_modified(record)
    stretch = _stretch_asked(house, call, record)
    part = stretch or Stretch(0, record.size)
    record = record_for_read(house, call, record)
    body = {"Body": house.buckets.body(record, part)}
    return _answer(call, record, stretch, _expiration_asked(house, call, record) | body)


@quick_when(_is_here)
def head_object(house: House, call: Call) -> Answered:
    record = _found(house, call)
    with_customer_key(call, record)
    if not _is_wanted(call, record):
        return _not_modified(record)
    house.buckets.check(record)
    return _answer(call, record, _stretch_asked(house, call, record), _expiration_asked(house, call, record))


def delete_object(house: House, call: Call) -> Answered:
    check_call(call)
    conditions_asked = _deletion(call.params.get("IfMatch"), call.params, "IfMatch")
    removed = house.buckets.remove(*place_of(call), conditions_asked, version=version_of(call))
    return {"VersionId": removed.version, "DeleteMarker": removed.is_marker or None}


def delete_objects(house: House, call: Call) -> Answered:
    check_call(call)
    asked = call.params["Delete"]
    entries = asked.get("Objects", [])
    if not 1 <= len(entries) <= MAX_DELETIONS:
        raise refusals.malformed_xml(f"{len(entries)} objects; name 1 to {MAX_DELETIONS}.")
    refusals_by_entry = house.access.refusals(call)
    if None in refusals_by_entry:  # whether the bucket exists is told to those who may delete in it
        house.buckets.head(call.params["Bucket"])
    deleted, errors = [], []
    for entry, denied in zip(entries, refusals_by_entry, strict=True):
        outcome = _denied(denied) if denied else _delete_one(house, call.params["Bucket"], entry)
        named = {"Key": entry["Key"], "VersionId": entry.get("VersionId")}
        if isinstance(outcome, Removed):
            deleted.append({**named, **_told_marker(outcome)})
        else:
            errors.append({**named, **outcome})
    return {"Deleted": [] if asked.get("Quiet") else deleted, "Errors": errors}


def copy_object(house: House, call: Call) -> Answered:
    check_call(call)
    (source, version), target = source_of(call), place_of(call)
    encryption = encryption_for_write(house, call, target)
    details = _copied_details(call, encryption)
    source_key = _source_key(house, call, source, version)
    if source == target and version is None and not _changes(call):
        raise refusals.invalid_request(
            "This copy request is illegal because it is trying to copy an object to itself without changing the "
            "object's metadata, storage class, website redirect location or encryption attributes."
        )
    asked = call.params.get("ChecksumAlgorithm")
    read: list[ObjectRecord] = []

    def take(found: ObjectRecord) -> None:
        """Told of the very object that is read, which may be a newer one than was looked at above."""
        record_for_read(house, call, found, prefix="CopySource")
        read.append(found)

    record = house.buckets.copy(
        source,
        target,
        details=details,
        algorithm=checksums.parse_algorithm(asked) if asked else None,
        source_conditions=conditions_of(call.params, "CopySource"),
        conditions=Conditions(if_match=call.params.get("IfMatch"), if_none_match=call.params.get("IfNoneMatch")),
        version=version,
        read=take,
        source_key=source_key,
    )
    result = {"ETag": etag_of(record), "LastModified": record.modified, **checksum_members(record.checksum)}
    return {
        "CopyObjectResult": result,
        "VersionId": written_version(record),
        "CopySourceVersionId": told_version(read[-1]),
        "Expiration": expiration_of(house, record),
        **encryption_members(encryption, with_context=True),
    }


def get_object_attributes(house: House, call: Call) -> Answered:
    check_call(call)
    record = house.buckets.find(*place_of(call), version_of(call))
    with_customer_key(call, record)
    every: dict[str, Any] = {
        "ETag": record.etag,  # the one place where S3 leaves the quotes out
        "Checksum": checksum_members(record.checksum) or None,
        "ObjectParts": _parts_told(call, house.buckets.pieces(record)),
        "StorageClass": record.details.storage_class,
        "ObjectSize": record.size,
    }
    for name in call.params["ObjectAttributes"]:
        if name not in every:
            raise refusals.invalid_argument("x-amz-object-attributes", name, "Invalid attribute name specified.")
    asked = {name: every[name] for name in call.params["ObjectAttributes"]}
    return {"LastModified": record.modified, "VersionId": told_version(record), **asked}


def _parts_told(call: Call, pieces: list[Piece]) -> dict[str, Any] | None:
    """The parts one by one only where they have checksums, as S3 does."""
    if not pieces:
        return None
    if any(piece.checksum is None for piece in pieces):
        return {"TotalPartsCount": len(pieces)}
    most, marker = limit_of(call, "MaxParts"), int(call.params.get("PartNumberMarker", 0))
    behind = [piece for piece in pieces if piece.number > marker]
    page = behind[:most]
    return {
        "TotalPartsCount": len(pieces),
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": most,
        "IsTruncated": len(behind) > most,
        "Parts": [
            {"PartNumber": piece.number, "Size": piece.size, **checksum_members(piece.checksum, with_type=False)}
            for piece in page
        ],
    }


def get_object_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    record = house.buckets.tagged(place_of(call), version_of(call))
    tags = [{"Key": key, "Value": value} for key, value in record.details.tags.items()]
    return {"TagSet": tags, "VersionId": told_version(record)}


def put_object_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    tags = parse_tags(call.params["Tagging"].get("TagSet", []), OBJECT_TAGS)
    record = house.buckets.tag(*place_of(call), tags, version=version_of(call))
    return {"VersionId": told_version(record)}


def delete_object_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    record = house.buckets.tag(*place_of(call), {}, version=version_of(call), method="DELETE")
    return {"VersionId": told_version(record)}


def _found(house: House, call: Call) -> ObjectRecord:
    check_call(call)
    return house.buckets.find(*place_of(call), version_of(call))


def expiration_of(house: House, record: ObjectRecord) -> str | None:
    """When the object expires, as `x-amz-expiration` tells it."""
    expiry = house.buckets.expiry(record)
    return None if expiry is None else expiry.header()


def _expiration_asked(house: House, call: Call, record: ObjectRecord) -> dict[str, Any]:
    """The expiry of the object as it is; what is asked for by its version may be an older one."""
    return {} if version_of(call) is not None else {"Expiration": expiration_of(house, record)}


def _is_wanted(call: Call, record: ObjectRecord) -> bool:
    """False where the client has the object as it is. Raises PreconditionFailed."""
    try:
        conditions.check_read(record, conditions_of(call.params))
    except ServiceRefusal as refusal:
        if refusal.code != "NotModified":
            raise
        return False
    return True


def _not_modified(record: ObjectRecord) -> Answer:
    """The 304 answer with the headers that a cache goes on with: RFC 9110, 15.4.5."""
    kept = {name: value for name, value in _headers(record.details).items() if name in _TOLD_OF_UNMODIFIED}
    told = {"ETag": etag_of(record), "LastModified": record.modified, "VersionId": told_version(record)}
    return Answer({**told, **kept}, status=304)


def _stretch_asked(house: House, call: Call, record: ObjectRecord) -> Stretch | None:
    if call.params.get("PartNumber") is not None:
        return _part_asked(house, call, record)
    return conditions.stretch_of(call.params.get("Range"), record.size)


def _part_asked(house: House, call: Call, record: ObjectRecord) -> Stretch | None:
    """Where the part is; what was put whole is its own first part, and told whole."""
    if call.params.get("Range") is not None:
        raise refusals.invalid_request("Cannot specify both Range header and partNumber query parameter")
    number, pieces = call.params["PartNumber"], house.buckets.pieces(record)
    if not 1 <= number <= max(1, len(pieces)):
        raise ServiceRefusal(
            "InvalidPartNumber",
            "The requested partnumber is not satisfiable",
            http_status=416,
            PartNumberRequested=number,
            ActualPartCount=max(1, len(pieces)),
        )
    if not pieces:
        return Stretch(0, record.size) if record.size else None
    return Stretch(sum(piece.size for piece in pieces[: number - 1]), pieces[number - 1].size)


def _answer(call: Call, record: ObjectRecord, stretch: Stretch | None, body: dict[str, Any]) -> Answer:
    told_class = record.details.storage_class  # S3 says it of every class but its own
    members = {
        "AcceptRanges": "bytes",
        "ContentLength": record.size if stretch is None else stretch.length,
        "ContentRange": None if stretch is None else _content_range(stretch, record.size),
        "ETag": etag_of(record),
        "LastModified": record.modified,
        "VersionId": told_version(record),
        "TagCount": len(record.details.tags) or None,
        "StorageClass": None if told_class == Details.storage_class else told_class,
        "Metadata": record.details.metadata,
        **encryption_members(record.details.encryption),
        **_headers(record.details),
        **_overrides(call),
    }
    parts = record.etag.partition("-")[2]
    if call.params.get("PartNumber") is not None and record.upload_id and parts:
        members["PartsCount"] = int(parts)
    is_whole = stretch is None or stretch.length == record.size
    if call.params.get("ChecksumMode") == "ENABLED" and is_whole:
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
    for name, header in _DELETION_HEADERS.items():
        if params.get(name) is not None:
            raise refusals.header_not_built(header, f"Name the ETag ({member}) instead.")
    return Conditions(if_match=etag)


def _told_marker(removed: Removed) -> dict[str, Any]:
    """A delete marker that a deletion made or removed, as the answer about many tells it."""
    return {"DeleteMarker": True, "DeleteMarkerVersionId": removed.version} if removed.is_marker else {}


def _delete_one(house: House, bucket: str, entry: dict[str, Any]) -> Removed | dict[str, str]:
    """The deletion, or code and message of what went wrong."""
    version = entry.get("VersionId") or None
    try:
        if version is not None and not is_version_id(version):
            raise refusals.no_such_version(entry["Key"], version)
        asked = _deletion(entry.get("ETag"), entry, "ETag")
        return house.buckets.remove(bucket, entry["Key"], asked, version=version)
    except ServiceRefusal as refusal:
        return {"Code": refusal.code, "Message": refusal.message}
    except Denied as denied:
        return _denied(denied)


def _denied(denied: Denied) -> dict[str, str]:
    return {"Code": "AccessDenied", "Message": denied.message}


def _changes(call: Call) -> bool:
    """Whether a copy onto itself would be another object."""
    directives = [choice_of(call, name, _DIRECTIVES) for name in ("MetadataDirective", "TaggingDirective")]
    return "REPLACE" in directives or any(call.params.get(name) for name in _CHANGE_BESIDE_METADATA)


def _source_key(house: House, call: Call, source: Place, version: str | None) -> bytes:
    """The caller's own key of a copy's source; nothing where another key encrypts it. Raises Denied for that."""
    found = record_for_read(house, call, house.buckets.find(*source, version), prefix="CopySource").details.encryption
    return b"" if found is None else found.customer_key


def _copied_details(call: Call, encryption: ObjectEncryption | None) -> Callable[[Details], Details]:
    """The function that makes the details of a copy from those of its source.

    The source's storage class, redirection and encryption never stand beside the copy, as at Amazon.
    """
    replaces = choice_of(call, "MetadataDirective", _DIRECTIVES) == "REPLACE"
    retags = choice_of(call, "TaggingDirective", _DIRECTIVES) == "REPLACE"
    given = details_of(call)

    def copied(kept: Details) -> Details:
        redirect = {name: value for name, value in given.headers.items() if name == _REDIRECT}
        headers = {name: value for name, value in kept.headers.items() if name != _REDIRECT}
        return Details(
            content_type=given.content_type if replaces else kept.content_type,
            headers=given.headers if replaces else headers | redirect,
            metadata=given.metadata if replaces else kept.metadata,
            tags=given.tags if retags else kept.tags,
            storage_class=given.storage_class,
            encryption=encryption,
        )

    return copied


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
