"""S3: whether a bucket keeps the versions of its objects, and the listing of them."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.s3.buckets import check_optional_attributes, object_members
from outcrop.api.s3.members import check_call, owner_of, url_encoded
from outcrop.api.s3.paging import limit_of
from outcrop.buckets import refusals
from outcrop.buckets.settings_records import VERSIONING
from outcrop.buckets.version_listing import VersionRequest
from outcrop.buckets.version_records import VersionRecord
from outcrop.buckets.versions import ENABLED, SUSPENDED
from outcrop.errors import ServiceRefusal
from outcrop.house import House


def get_bucket_versioning(house: House, call: Call) -> Answered:
    check_call(call)
    return {"Status": house.buckets.setting(call.params["Bucket"], VERSIONING)}


def put_bucket_versioning(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    asked = call.params["VersioningConfiguration"]
    status, deletion = asked.get("Status"), asked.get("MFADelete", "Disabled")
    if status is None:
        raise ServiceRefusal(
            "IllegalVersioningConfigurationException", "The Versioning element must be specified", http_status=400
        )
    if status not in (ENABLED, SUSPENDED) or deletion not in ("Enabled", "Disabled"):
        raise refusals.malformed_xml()
    if deletion == "Enabled":
        raise refusals.not_built(
            "MFADelete (PutBucketVersioning)", "There are no second factors here; leave it out, and deny "
            "s3:DeleteObjectVersion in a policy."
        )  # fmt: skip
    if house.buckets.is_mounted(call.params["Bucket"]):
        raise refusals.mounted(call.params["Bucket"], "keep versions with the tools of its own provider")
    house.buckets.set_setting(call.params["Bucket"], VERSIONING, status)
    return {}


def list_object_versions(house: House, call: Call) -> Answered:
    """Versions and delete markers, the newest of each key first."""
    check_call(call)
    check_optional_attributes(call)
    params = call.params
    asked = VersionRequest(
        prefix=params.get("Prefix", ""),
        delimiter=params.get("Delimiter", ""),
        key_marker=params.get("KeyMarker", ""),
        version_marker=params.get("VersionIdMarker", ""),
        max_keys=limit_of(call, "MaxKeys"),
    )
    page = house.buckets.list_versions(params["Bucket"], asked)
    markers = [each for each in page.versions if each.is_marker]
    versions = [each for each in page.versions if not each.is_marker]
    last = page.last if page.is_truncated else None
    return {
        "Name": params["Bucket"],
        "Prefix": url_encoded(call, asked.prefix),
        "Delimiter": url_encoded(call, params.get("Delimiter")),
        "MaxKeys": asked.max_keys,
        "EncodingType": params.get("EncodingType"),
        "IsTruncated": page.is_truncated,
        "Versions": [_version(call, each) for each in versions],
        "DeleteMarkers": [_marker(call, each) for each in markers],
        "CommonPrefixes": [{"Prefix": url_encoded(call, prefix)} for prefix in page.prefixes],
        "KeyMarker": url_encoded(call, asked.key_marker),
        "VersionIdMarker": asked.version_marker,
        "NextKeyMarker": url_encoded(call, last.object.key if isinstance(last, VersionRecord) else last),
        "NextVersionIdMarker": last.version if isinstance(last, VersionRecord) else None,
    }


def _version(call: Call, found: VersionRecord) -> dict[str, Any]:
    members = object_members(call, found.object, owner_of(call))
    return {**members, "VersionId": found.version, "IsLatest": found.is_latest}


def _marker(call: Call, found: VersionRecord) -> dict[str, Any]:
    return {
        "Key": url_encoded(call, found.object.key),
        "LastModified": found.object.modified,
        "Owner": owner_of(call),
        "VersionId": found.version,
        "IsLatest": found.is_latest,
    }


OPERATIONS: dict[str, Handler] = {
    "GetBucketVersioning": get_bucket_versioning,
    "PutBucketVersioning": put_bucket_versioning,
    "ListObjectVersions": list_object_versions,
}
