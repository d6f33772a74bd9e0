"""S3: settings that every bucket here has in one way. That way may be set and taken back; any other is refused by name.

Programs that describe a bucket in full (Terraform, cleanup scripts) send all of them, so what holds anyway is accepted.
Where S3 tells whether a setting was ever sent, it is remembered and told here too.
"""

from typing import Any

from outcrop.api.door.call import Answer, Answered, Call, Handler
from outcrop.api.s3.members import check_call, owner_of, place_of, version_of
from outcrop.buckets import refusals
from outcrop.buckets.records import ObjectRecord
from outcrop.buckets.versions import told_version
from outcrop.errors import ServiceRefusal
from outcrop.house import House

ACCELERATION, OWNERSHIP = "acceleration", "ownership"
"""Kinds of documents on a bucket."""
_ENFORCED = "BucketOwnerEnforced"
_REMOVED = {"removed": True}


def get_bucket_accelerate_configuration(house: House, call: Call) -> Answered:
    check_call(call)
    return {"Status": house.buckets.setting(call.params["Bucket"], ACCELERATION)}


def put_bucket_accelerate_configuration(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    status = call.params["AccelerateConfiguration"].get("Status")
    if status not in ("Enabled", "Suspended"):
        raise refusals.malformed_xml()
    if status == "Enabled":
        raise refusals.not_built("Transfer acceleration (PutBucketAccelerateConfiguration)", "Leave it Suspended.")
    house.buckets.set_setting(call.params["Bucket"], ACCELERATION, status)
    return {}


def get_bucket_ownership_controls(house: House, call: Call) -> Answered:
    check_call(call)
    if house.buckets.setting(call.params["Bucket"], OWNERSHIP) is not None:
        raise _not_found(call, "OwnershipControlsNotFoundError", "The bucket ownership controls were not found")
    return {"OwnershipControls": {"Rules": [{"ObjectOwnership": _ENFORCED}]}}


def put_bucket_ownership_controls(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    rules = call.params["OwnershipControls"].get("Rules", [])
    if len(rules) != 1:
        raise refusals.malformed_xml("OwnershipControls has one rule.")
    check_ownership(rules[0].get("ObjectOwnership"))
    house.buckets.set_setting(call.params["Bucket"], OWNERSHIP, None)
    return {}


def delete_bucket_ownership_controls(house: House, call: Call) -> Answered:
    """The document goes; the account owns every object as before."""
    check_call(call)
    house.buckets.set_setting(call.params["Bucket"], OWNERSHIP, _REMOVED)
    return {}


def check_ownership(asked: str | None) -> None:
    """Raises NotImplemented for owners by access lists, which are not built."""
    if asked in ("BucketOwnerPreferred", "ObjectWriter"):
        raise refusals.not_built(f"ObjectOwnership {asked}", f"Choose {_ENFORCED}, or leave it out.")
    if asked != _ENFORCED:
        raise refusals.invalid_argument("x-amz-object-ownership", asked, "Invalid x-amz-object-ownership header")


def put_bucket_request_payment(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    payer = call.params["RequestPaymentConfiguration"].get("Payer")
    if payer not in ("BucketOwner", "Requester"):
        raise refusals.malformed_xml()
    if payer == "Requester":
        raise refusals.not_built("Payment by the requester (PutBucketRequestPayment)", "Choose BucketOwner.")
    return {}


def put_bucket_logging(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    if "LoggingEnabled" in call.params["BucketLoggingStatus"]:
        raise refusals.not_built("Logging of requests to a bucket (PutBucketLogging)", "Leave LoggingEnabled out.")
    return {}


def put_bucket_notification_configuration(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    asked = [name for name, value in call.params["NotificationConfiguration"].items() if value is not None]
    if asked:
        raise refusals.not_built(f"Notifications ({', '.join(asked)})", "Send an empty configuration.")
    return {}


def put_bucket_abac(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    status = call.params["AbacStatus"].get("Status")
    if status not in ("Enabled", "Disabled"):
        raise refusals.malformed_xml()
    if status == "Enabled":
        raise refusals.not_built("Access by the tags of buckets (PutBucketAbac)", "Leave it Disabled.")
    return {}


def get_bucket_acl(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    return _owners_alone(call)


def get_object_acl(house: House, call: Call) -> Answered:
    check_call(call)
    record = house.buckets.find(*place_of(call), version_of(call))
    return Answer(_owners_alone(call), headers=_version_header(record))


def put_bucket_acl(house: House, call: Call) -> Answered:
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    _check_owners_alone(call)
    return {}


def put_object_acl(house: House, call: Call) -> Answered:
    check_call(call)
    record = house.buckets.find(*place_of(call), version_of(call))
    _check_owners_alone(call)
    return Answer({}, headers=_version_header(record))


def _version_header(record: ObjectRecord) -> dict[str, str]:
    """The version, which S3 tells here though the service model has no member for it."""
    version = told_version(record)
    return {} if version is None else {"x-amz-version-id": version}


def _owners_alone(call: Call) -> dict[str, Any]:
    owner = owner_of(call)
    return {"Owner": owner, "Grants": [{"Grantee": {**owner, "Type": "CanonicalUser"}, "Permission": "FULL_CONTROL"}]}


def _check_owners_alone(call: Call) -> None:
    """Refuses every list but the one there is; a canned one was looked at by `check_call`."""
    asked, owner = call.params.get("AccessControlPolicy"), owner_of(call)["ID"]
    if asked is None and "ACL" not in call.params:
        text = "Your request was missing a required header: x-amz-acl, or a list in the body."
        raise ServiceRefusal("MissingSecurityHeader", text, http_status=400)
    if asked is None:
        return
    grants = [(each.get("Grantee", {}), each.get("Permission")) for each in asked.get("Grants", [])]
    whole = [permission for grantee, permission in grants if _is_account(grantee, owner)] == ["FULL_CONTROL"]
    if not whole or len(grants) != 1 or asked.get("Owner", {}).get("ID", owner) != owner:
        raise refusals.no_access_lists("Leave AccessControlPolicy out; policies decide.")


def _is_account(grantee: dict[str, Any], owner: str) -> bool:
    by_another_name = grantee.get("URI") or grantee.get("EmailAddress")
    return (
        grantee.get("ID") == owner and grantee.get("Type", "CanonicalUser") == "CanonicalUser" and not by_another_name
    )


def without_lock(house: House, call: Call) -> Answered:
    """Retention and legal holds, of objects in buckets none of which is locked."""
    check_call(call)
    house.buckets.find(*place_of(call), version_of(call))
    raise refusals.invalid_request("Bucket is missing Object Lock Configuration")


def nothing_to_remove(house: House, call: Call) -> Answered:
    """Nothing was set, so nothing is taken away, which S3 acknowledges."""
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    return {}


def remove_none(house: House, call: Call) -> Answered:
    """A configuration by its id: none can be set, so none has it."""
    check_call(call)
    house.buckets.head(call.params["Bucket"])
    raise _not_found(call, "NoSuchConfiguration", "The specified configuration does not exist.", Id=call.params["Id"])


def _not_found(call: Call, code: str, message: str, **members: str) -> ServiceRefusal:
    return ServiceRefusal(code, message, http_status=404, BucketName=call.params["Bucket"], **members)


OPERATIONS: dict[str, Handler] = {
    "GetBucketAccelerateConfiguration": get_bucket_accelerate_configuration,
    "PutBucketAccelerateConfiguration": put_bucket_accelerate_configuration,
    "GetBucketOwnershipControls": get_bucket_ownership_controls,
    "PutBucketOwnershipControls": put_bucket_ownership_controls,
    "DeleteBucketOwnershipControls": delete_bucket_ownership_controls,
    "PutBucketRequestPayment": put_bucket_request_payment,
    "PutBucketLogging": put_bucket_logging,
    "PutBucketNotificationConfiguration": put_bucket_notification_configuration,
    "PutBucketAbac": put_bucket_abac,
    "GetBucketAcl": get_bucket_acl,
    "PutBucketAcl": put_bucket_acl,
    "GetObjectAcl": get_object_acl,
    "PutObjectAcl": put_object_acl,
    **dict.fromkeys(
        ("GetObjectRetention", "PutObjectRetention", "GetObjectLegalHold", "PutObjectLegalHold"), without_lock
    ),
    **dict.fromkeys(
        (
            "DeleteBucketReplication",
            "DeleteBucketWebsite",
        ),
        nothing_to_remove,
    ),
    **dict.fromkeys(
        (
            "DeleteBucketAnalyticsConfiguration",
            "DeleteBucketIntelligentTieringConfiguration",
            "DeleteBucketInventoryConfiguration",
            "DeleteBucketMetricsConfiguration",
        ),
        remove_none,
    ),
}
