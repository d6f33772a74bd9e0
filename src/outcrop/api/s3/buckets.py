"""S3: buckets, and the listings of what is in them."""

from functools import cache
from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.s3.members import (
    check_call,
    etag_of,
    owner_of,
    url_encoded,
)
from outcrop.api.s3.paging import (
    limit_of,
    limit_of_buckets,
    read_token,
    write_token,
)
from outcrop.api.s3.states import check_ownership
from outcrop.buckets import listing, refusals
from outcrop.buckets.records import BucketRecord, ObjectRecord
from outcrop.buckets.tagging import NEW_BUCKET_TAGS, parse_tags
from outcrop.errors import ServiceRefusal
from outcrop.house import House
from outcrop.protocol import service_model
from outcrop.settings import DEFAULT_REGION

_OLD_NAMES = {"EU": "eu-west-1"}


def create_bucket(house: House, call: Call) -> Answered:
    check_call(call)
    if call.params.get("ObjectOwnership") is not None:
        check_ownership(call.params["ObjectOwnership"])
    if call.params.get("BucketNamespace", "global") != "global":
        raise refusals.not_built("A namespace of buckets (BucketNamespace)", "Leave it out.")
    asked = call.params.get("CreateBucketConfiguration", {})
    for member in ("Location", "Bucket"):
        if asked.get(member):
            text = f"A directory bucket (CreateBucketConfiguration.{member})"
            raise refusals.not_built(text, "Leave it out, for a general purpose bucket.")
    region = _region_of(asked.get("LocationConstraint") or "", call.region)
    tags = parse_tags(asked.get("Tags", []), NEW_BUCKET_TAGS)
    bucket = house.buckets.create(call.params["Bucket"], region, tags)
    return {"Location": f"/{bucket.name}", "BucketArn": f"arn:aws:s3:::{bucket.name}"}


def _region_of(constraint: str, asked_in: str) -> str:
    """Where a new bucket is. us-east-1 makes buckets of every region; any other makes its own, told by name."""
    region = _OLD_NAMES.get(constraint, constraint)
    if (constraint and region not in {*_regions(), asked_in}) or constraint == DEFAULT_REGION:
        raise ServiceRefusal(
            "InvalidLocationConstraint",
            "The specified location-constraint is not valid",
            http_status=400,
            LocationConstraint=constraint,
        )
    if asked_in not in (region, DEFAULT_REGION):
        text = (
            f"The {constraint or 'unspecified'} location constraint is incompatible for the region specific endpoint "
            "this request was sent to."
        )
        mend = f"Set CreateBucketConfiguration.LocationConstraint to {asked_in}, the region of your client."
        raise ServiceRefusal("IllegalLocationConstraintException", f"{text} {mend}", http_status=400)
    return region or DEFAULT_REGION


@cache
def _regions() -> frozenset[str]:
    shape = service_model.operation("s3", "CreateBucket").input_shape
    assert shape is not None, "CreateBucket takes members"
    return frozenset(shape.structures["CreateBucketConfiguration"].members["LocationConstraint"].enum)


def head_bucket(house: House, call: Call) -> Answered:
    check_call(call)
    return {"BucketRegion": house.buckets.head(call.params["Bucket"]).region}


def delete_bucket(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.delete(call.params["Bucket"])
    return {}


def get_bucket_location(house: House, call: Call) -> Answered:
    check_call(call)
    region = house.buckets.head(call.params["Bucket"]).region
    return {"LocationConstraint": None if region == DEFAULT_REGION else region}


def list_buckets(house: House, call: Call) -> Answered:
    params = call.params
    prefix, region, most = params.get("Prefix", ""), params.get("BucketRegion"), limit_of_buckets(call)
    after = (read_token(call) or b"").decode()
    wanted = [
        bucket
        for bucket in house.buckets.all()
        if bucket.name.startswith(prefix) and region in (None, bucket.region) and bucket.name > after
    ]
    page = wanted[:most]
    return {
        "Buckets": [_bucket(bucket) for bucket in page],
        "Owner": owner_of(call),
        "Prefix": params.get("Prefix"),
        "ContinuationToken": write_token(call, page[-1].name.encode()) if len(wanted) > most else None,
    }


def list_objects_v2(house: House, call: Call) -> Answered:
    params = call.params
    token, after = params.get("ContinuationToken"), params.get("StartAfter")
    start = read_token(call)
    if start is None:  # a token knows where the page before ended, StartAfter only where the first began
        start = listing.after_key(after) if after else b""
    page = house.buckets.list_objects(params["Bucket"], _asked(call, start))
    owner = owner_of(call) if params.get("FetchOwner") else None
    return {
        **_page(call, page, owner),
        "KeyCount": page.count,
        "ContinuationToken": token,
        "NextContinuationToken": None if page.next_start is None else write_token(call, page.next_start),
        "StartAfter": None if token is not None else url_encoded(call, after),
    }


def list_objects(house: House, call: Call) -> Answered:
    params = call.params
    marker = params.get("Marker", "")
    start = listing.after_marker(marker, params.get("Prefix", ""), params.get("Delimiter", "")) if marker else b""
    page = house.buckets.list_objects(params["Bucket"], _asked(call, start))
    # Only with a delimiter, when the last entry may be a prefix; else clients go on from the last key.
    names_next = page.next_start is not None and params.get("Delimiter")
    return {
        **_page(call, page, owner_of(call)),
        "Marker": url_encoded(call, marker),
        "NextMarker": url_encoded(call, page.last) if names_next else None,
    }


def _asked(call: Call, start: bytes) -> listing.ListingRequest:
    check_call(call)
    check_optional_attributes(call)
    return listing.ListingRequest(
        prefix=call.params.get("Prefix", ""),
        delimiter=call.params.get("Delimiter", ""),
        start=start,
        max_keys=limit_of(call, "MaxKeys"),
    )


def check_optional_attributes(call: Call) -> None:
    """RestoreStatus, the one there is, is told of objects brought back from an archive: never, since none is here."""
    for name in call.params.get("OptionalObjectAttributes", []):
        if name != "RestoreStatus":
            raise refusals.invalid_argument(
                "x-amz-optional-object-attributes", name, f"OptionalObjectAttributes: {name} is none of RestoreStatus."
            )


def _page(call: Call, page: listing.Listing, owner: dict[str, str] | None) -> dict[str, Any]:
    params = call.params
    return {
        "Name": params["Bucket"],
        "Prefix": url_encoded(call, params.get("Prefix", "")),
        "Delimiter": url_encoded(call, params.get("Delimiter")),
        "MaxKeys": limit_of(call, "MaxKeys"),
        "EncodingType": params.get("EncodingType"),
        "IsTruncated": page.next_start is not None,
        "Contents": [object_members(call, record, owner) for record in page.objects],
        "CommonPrefixes": [{"Prefix": url_encoded(call, prefix)} for prefix in page.prefixes],
    }


def object_members(call: Call, record: ObjectRecord, owner: dict[str, str] | None) -> dict[str, Any]:
    """An object as listings tell it."""
    checksum = record.checksum
    return {
        "Key": url_encoded(call, record.key),
        "LastModified": record.modified,
        "ETag": etag_of(record),
        "ChecksumAlgorithm": None if checksum is None else [str(checksum.algorithm)],
        "ChecksumType": None if checksum is None else str(checksum.type),
        "Size": record.size,
        "StorageClass": record.details.storage_class,
        "Owner": owner,
    }


def _bucket(bucket: BucketRecord) -> dict[str, Any]:
    return {
        "Name": bucket.name,
        "CreationDate": bucket.created,
        "BucketRegion": bucket.region,
        "BucketArn": f"arn:aws:s3:::{bucket.name}",
    }


OPERATIONS: dict[str, Handler] = {
    "CreateBucket": create_bucket,
    "HeadBucket": head_bucket,
    "DeleteBucket": delete_bucket,
    "GetBucketLocation": get_bucket_location,
    "ListBuckets": list_buckets,
    "ListObjects": list_objects,
    "ListObjectsV2": list_objects_v2,
}
