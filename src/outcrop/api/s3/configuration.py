"""S3: what is set on buckets. Tags and rules for browsers can be set; of all else the answer is what S3 says of a
bucket on which nothing was set. Policies, versioning and lifecycles stand in files of their own, settings that a bucket
has without being asked in `states.py`.
"""

from typing import Any

from outcrop.api.door.call import (
    Answer,
    Answered,
    Call,
    Handler,
)
from outcrop.api.s3.members import check_call
from outcrop.api.s3.paging import read_token
from outcrop.buckets import cors
from outcrop.buckets.tagging import BUCKET_TAGS, parse_tags
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_UNSET = {
    "GetBucketReplication": (
        "ReplicationConfigurationNotFoundError",
        "The replication configuration was not found",
    ),
    "GetBucketWebsite": (
        "NoSuchWebsiteConfiguration",
        "The specified bucket does not have a website configuration",
    ),
    "GetObjectLockConfiguration": (
        "ObjectLockConfigurationNotFoundError",
        "Object Lock configuration does not exist for this bucket",
    ),
    "GetBucketAnalyticsConfiguration": ("NoSuchConfiguration", "The specified configuration does not exist."),
    "GetBucketIntelligentTieringConfiguration": (
        "NoSuchConfiguration",
        "The specified configuration does not exist.",
    ),
    "GetBucketInventoryConfiguration": ("NoSuchConfiguration", "The specified configuration does not exist."),
    "GetBucketMetricsConfiguration": ("NoSuchConfiguration", "The specified configuration does not exist."),
}
"""What S3 answers with where nothing is set."""
_ALWAYS: dict[str, dict[str, Any]] = {
    "GetBucketLogging": {},
    "GetBucketNotificationConfiguration": {},
    "GetBucketRequestPayment": {"Payer": "BucketOwner"},
    "GetBucketAbac": {"AbacStatus": {"Status": "Disabled"}},
}
"""What holds of every bucket here."""


def get_bucket_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    tags = house.buckets.tags(call.params["Bucket"])
    if not tags:
        raise _unset(call, "NoSuchTagSet", "The TagSet does not exist")
    return {"TagSet": [{"Key": key, "Value": value} for key, value in tags.items()]}


def put_bucket_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    tags = parse_tags(call.params["Tagging"].get("TagSet", []), BUCKET_TAGS)
    house.buckets.set_tags(call.params["Bucket"], tags or None)
    return Answer({}, status=204)


def delete_bucket_tagging(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.set_tags(call.params["Bucket"], None)
    return {}


def get_bucket_cors(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    rules = house.buckets.cors(call.params["Bucket"])
    if rules is None:
        raise _unset(call, "NoSuchCORSConfiguration", "The CORS configuration does not exist")
    return {"CORSRules": rules}


def put_bucket_cors(house: House, call: Call) -> Answered:
    check_call(call)
    rules = call.params["CORSConfiguration"].get("CORSRules", [])
    cors.check_rules(rules)
    house.buckets.set_cors(call.params["Bucket"], rules)
    return {}


def delete_bucket_cors(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.set_cors(call.params["Bucket"], None)
    return {}


def unset_or_always(house: House, call: Call) -> Answered:
    """The answer for a bucket configuration that cannot be set: an error for an unset one, or a fixed value."""
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    if call.operation in _UNSET:
        raise _unset(call, *_UNSET[call.operation])
    return dict(_ALWAYS[call.operation])


def list_none(house: House, call: Call) -> Answered:
    """Configurations of which none can be set. No page of none goes on, so every token is another query's."""
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    read_token(call)
    return {"IsTruncated": False}


def _unset(call: Call, code: str, message: str) -> ServiceRefusal:
    return ServiceRefusal(code, message, http_status=404, BucketName=call.params["Bucket"])


OPERATIONS: dict[str, Handler] = {
    "GetBucketTagging": get_bucket_tagging,
    "PutBucketTagging": put_bucket_tagging,
    "DeleteBucketTagging": delete_bucket_tagging,
    "GetBucketCors": get_bucket_cors,
    "PutBucketCors": put_bucket_cors,
    "DeleteBucketCors": delete_bucket_cors,
    "ListBucketAnalyticsConfigurations": list_none,
    "ListBucketIntelligentTieringConfigurations": list_none,
    "ListBucketInventoryConfigurations": list_none,
    "ListBucketMetricsConfigurations": list_none,
    **dict.fromkeys([*_UNSET, *_ALWAYS], unset_or_always),
}
