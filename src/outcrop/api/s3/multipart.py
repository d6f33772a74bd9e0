"""S3: uploads in parts."""

import re
from dataclasses import replace
from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.s3.encryption import (
    check_upload_key,
    encryption_for_part,
    encryption_for_write,
    encryption_members,
    record_for_read,
)
from outcrop.api.s3.members import (
    check_call,
    checksum_members,
    choice_of,
    conditions_of,
    details_of,
    given_checksum,
    location_of,
    owner_of,
    place_of,
    promise_of,
    quoted,
    source_of,
    url_encoded,
    written_version,
)
from outcrop.api.s3.objects import expiration_of
from outcrop.api.s3.paging import limit_of
from outcrop.buckets import checksums, conditions, refusals
from outcrop.buckets.checksums import ChecksumType
from outcrop.buckets.conditions import Stretch
from outcrop.buckets.listing import group_of
from outcrop.buckets.records import ObjectRecord, PartRecord, UploadRecord
from outcrop.buckets.upload_ids import LAST_UPLOAD_ID, is_upload_id
from outcrop.buckets.uploads import ChosenPart
from outcrop.buckets.versions import told_version
from outcrop.house import House

_COPY_RANGE = re.compile(r"bytes=(\d+)-(\d+)", re.ASCII)


def create_multipart_upload(house: House, call: Call) -> Answered:
    check_call(call)
    algorithm, kind = call.params.get("ChecksumAlgorithm"), choice_of(call, "ChecksumType", list(ChecksumType))
    place = place_of(call)
    encryption = encryption_for_write(house, call, place)
    upload = house.buckets.uploads.begin(
        place,
        details=replace(details_of(call), encryption=encryption),
        algorithm=checksums.parse_algorithm(algorithm) if algorithm else None,
        checksum_type=ChecksumType(kind) if kind else None,
    )
    told = encryption_members(encryption, with_context=True)
    return {"Bucket": upload.bucket, "Key": upload.key, "UploadId": upload.id, **_promised(upload), **told}


async def upload_part(house: House, call: Call) -> Answered:
    check_call(call)
    assert call.body is not None, "UploadPart streams its body"
    place, upload_id = place_of(call), call.params["UploadId"]
    upload, customer_key = await house.ask(_upload_for_part, house, call)
    part = await house.buckets.uploads.put_part(
        place, upload_id, call.params["PartNumber"], call.body, promise_of(call), customer_key=customer_key
    )
    told = encryption_members(upload.details.encryption)
    return {"ETag": quoted(part.etag), **checksum_members(part.checksum, with_type=False), **told}


def _upload_for_part(house: House, call: Call) -> tuple[UploadRecord, bytes]:
    """The upload, and the caller's key where it was begun with one."""
    upload = house.buckets.uploads.find(place_of(call), call.params["UploadId"])
    return upload, encryption_for_part(house, call, upload)


def upload_part_copy(house: House, call: Call) -> Answered:
    check_call(call)
    place, version = source_of(call)
    source = house.buckets.find(*place, version)
    conditions.check_source(source, conditions_of(call.params, "CopySource"), now=house.clock.now())
    source = record_for_read(house, call, source, prefix="CopySource")
    upload, customer_key = _upload_for_part(house, call)
    part = house.buckets.uploads.copy_part(
        place_of(call),
        call.params["UploadId"],
        call.params["PartNumber"],
        source,
        _copied_stretch(call, source),
        customer_key=customer_key,
    )
    checksum = checksum_members(part.checksum, with_type=False)
    result = {"ETag": quoted(part.etag), "LastModified": part.modified, **checksum}
    told = encryption_members(upload.details.encryption)
    return {"CopyPartResult": result, "CopySourceVersionId": told_version(source), **told}


def complete_multipart_upload(house: House, call: Call) -> Answered:
    check_call(call)
    place = place_of(call)
    given, kind = given_checksum(call.params), choice_of(call, "ChecksumType", list(ChecksumType))
    if call.params.get("SSECustomerKey"):
        check_upload_key(call, house.buckets.uploads.find(place, call.params["UploadId"]))
    record = house.buckets.uploads.complete(
        place,
        call.params["UploadId"],
        [_chosen(part) for part in call.params.get("MultipartUpload", {}).get("Parts", [])],
        algorithm=given[0] if given else None,
        checksum=given[1] if given else None,
        checksum_type=ChecksumType(kind) if kind else None,
        size=call.params.get("MpuObjectSize"),
        conditions=conditions_of(call.params),
    )
    told = encryption_members(record.details.encryption)
    return {
        "Location": location_of(call.headers, secure=call.secure, bucket=place.bucket, key=place.key),
        "Bucket": place.bucket,
        "Key": place.key,
        "ETag": quoted(record.etag),
        "VersionId": written_version(record),
        "Expiration": expiration_of(house, record),
        **checksum_members(record.checksum),
        **{name: value for name, value in told.items() if not name.startswith("SSECustomer")},
    }


def abort_multipart_upload(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.uploads.abort(place_of(call), call.params["UploadId"], begun=call.params.get("IfMatchInitiatedTime"))
    return {}


def list_parts(house: House, call: Call) -> Answered:
    check_call(call)
    place = place_of(call)
    upload, parts = house.buckets.uploads.parts(place, call.params["UploadId"])
    check_upload_key(call, upload)
    marker, most = call.params.get("PartNumberMarker", 0), limit_of(call, "MaxParts")
    wanted = [part for part in parts if part.number > marker]
    page = wanted[:most]
    return {
        "Bucket": place.bucket,
        "Key": place.key,
        "UploadId": upload.id,
        "PartNumberMarker": marker,
        "NextPartNumberMarker": page[-1].number if page else 0,
        "MaxParts": most,
        "IsTruncated": len(wanted) > most > 0,
        # An upload that asked for no checksum tells none, though its sender may have sent one with each part.
        "Parts": [_part(part, with_checksum=upload.algorithm is not None) for part in page],
        "Initiator": owner_of(call),
        "Owner": owner_of(call),
        "StorageClass": upload.details.storage_class,
        **_promised(upload),
    }


def list_multipart_uploads(house: House, call: Call) -> Answered:
    check_call(call)
    params = call.params
    most = limit_of(call, "MaxUploads")
    entries = _entries(house.buckets.uploads.of_bucket(params["Bucket"]), params)
    page = entries[:most]
    last = page[-1] if page else None
    return {
        "Bucket": params["Bucket"],
        "Prefix": url_encoded(call, params.get("Prefix")),
        "Delimiter": url_encoded(call, params.get("Delimiter")),
        "KeyMarker": url_encoded(call, params.get("KeyMarker", "")),
        "UploadIdMarker": params.get("UploadIdMarker", ""),
        "NextKeyMarker": "" if last is None else url_encoded(call, _key_of(last)),
        "NextUploadIdMarker": last.id if isinstance(last, UploadRecord) else "",
        "MaxUploads": most,
        "EncodingType": params.get("EncodingType"),
        "IsTruncated": len(entries) > most > 0,
        "Uploads": [_upload(call, entry) for entry in page if isinstance(entry, UploadRecord)],
        "CommonPrefixes": [{"Prefix": url_encoded(call, entry)} for entry in page if isinstance(entry, str)],
    }


def _entries(uploads: list[UploadRecord], params: dict[str, Any]) -> list[UploadRecord | str]:
    """Uploads behind the marker under the prefix, with the groups that the delimiter makes folded into their names."""
    prefix, delimiter = params.get("Prefix", ""), params.get("Delimiter", "")
    entries: list[UploadRecord | str] = []
    marker = _marker(uploads, params.get("KeyMarker", ""), params.get("UploadIdMarker", ""))
    for upload in uploads:
        if (upload.key.encode(), upload.id) <= marker or not upload.key.startswith(prefix):
            continue
        group = group_of(upload.key, prefix, delimiter)
        if group is None:
            entries.append(upload)
        elif group not in entries and not params.get("KeyMarker", "").startswith(group):
            entries.append(group)
    return entries


def _marker(uploads: list[UploadRecord], key: str, upload_id: str) -> tuple[bytes, str]:
    """Key and upload id that the listing goes on behind. Raises InvalidArgument for no id, or that of another key.

    An upload may have ended between two pages, so that its id need not be there.
    """
    if not key:  # then the id of an upload says nothing, to S3 either
        return b"", ""
    if not upload_id:
        return key.encode(), LAST_UPLOAD_ID
    if not is_upload_id(upload_id) or any(upload.id == upload_id and upload.key != key for upload in uploads):
        raise refusals.invalid_argument("upload-id-marker", upload_id, "Invalid uploadId marker")
    return key.encode(), upload_id


def _key_of(entry: UploadRecord | str) -> str:
    return entry if isinstance(entry, str) else entry.key


def _chosen(part: dict[str, Any]) -> ChosenPart:
    if "PartNumber" not in part or "ETag" not in part:
        raise refusals.malformed_xml("a part needs PartNumber and ETag.")
    given = given_checksum(part)
    return ChosenPart(number=part["PartNumber"], etag=part["ETag"], checksum=given[1] if given else None)


def _copied_stretch(call: Call, source: ObjectRecord) -> Stretch:
    asked = call.params.get("CopySourceRange")
    if asked is None:
        return Stretch(0, source.size)
    match = _COPY_RANGE.fullmatch(asked)
    first, last = (int(number) for number in match.groups()) if match else (1, 0)
    if first > last:
        raise refusals.invalid_argument(
            "x-amz-copy-source-range",
            asked,
            "The x-amz-copy-source-range value must be of the form bytes=first-last where first and last are the "
            "zero-based offsets of the first and last bytes to copy",
        )
    if first >= source.size:
        raise refusals.invalid_request("The specified copy range is invalid for the source object size")
    if last >= source.size:
        raise refusals.invalid_argument(
            "x-amz-copy-source-range",
            asked,
            f"Range specified is not valid for source object of size: {source.size}",
        )
    return Stretch(first, last - first + 1)


def _promised(upload: UploadRecord) -> dict[str, str | None]:
    return {"ChecksumAlgorithm": upload.algorithm, "ChecksumType": upload.checksum_type}


def _part(part: PartRecord, *, with_checksum: bool) -> dict[str, Any]:
    return {
        "PartNumber": part.number,
        "LastModified": part.modified,
        "ETag": quoted(part.etag),
        "Size": part.size,
        **checksum_members(part.checksum if with_checksum else None, with_type=False),
    }


def _upload(call: Call, upload: UploadRecord) -> dict[str, Any]:
    return {
        "UploadId": upload.id,
        "Key": url_encoded(call, upload.key),
        "Initiated": upload.created,
        "StorageClass": upload.details.storage_class,
        "Owner": owner_of(call),
        "Initiator": owner_of(call),
        **_promised(upload),
    }


OPERATIONS: dict[str, Handler] = {
    "CreateMultipartUpload": create_multipart_upload,
    "UploadPart": upload_part,
    "UploadPartCopy": upload_part_copy,
    "CompleteMultipartUpload": complete_multipart_upload,
    "AbortMultipartUpload": abort_multipart_upload,
    "ListParts": list_parts,
    "ListMultipartUploads": list_multipart_uploads,
}
