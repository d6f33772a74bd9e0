"""S3: the encryption that a bucket gives to objects for which nobody asks another."""

from typing import Any

from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.s3.encryption import method_named
from outcrop.api.s3.members import check_call
from outcrop.buckets import refusals
from outcrop.buckets.encryption import EncryptionMethod
from outcrop.buckets.settings_records import BLOCKED_ENCRYPTION, ENCRYPTION
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_BLOCKABLE = ("SSE-C", "NONE")


def get_bucket_encryption(house: House, call: Call) -> Answered:
    check_call(call)
    bucket = call.params["Bucket"]
    kept: dict[str, Any] | None = house.buckets.setting(bucket, ENCRYPTION)
    blocked: list[str] | None = house.buckets.setting(bucket, BLOCKED_ENCRYPTION)
    if kept is None and not house.settings.seal:
        # S3 itself would say AES256, which is true here only where everything is sealed.
        raise ServiceRefusal(
            "ServerSideEncryptionConfigurationNotFoundError",
            "The server side encryption configuration was not found",
            http_status=404,
            BucketName=bucket,
        )
    kept = kept or {"method": EncryptionMethod.S3, "key": "", "bucketKey": False}
    default = {"SSEAlgorithm": kept["method"], "KMSMasterKeyID": kept["key"] or None}
    rule: dict[str, Any] = {"ApplyServerSideEncryptionByDefault": default, "BucketKeyEnabled": kept["bucketKey"]}
    if blocked:
        rule["BlockedEncryptionTypes"] = {"EncryptionType": blocked}
    return {"ServerSideEncryptionConfiguration": {"Rules": [rule]}}


def put_bucket_encryption(house: House, call: Call) -> Answered:
    check_call(call)
    bucket = call.params["Bucket"]
    house.buckets.head(bucket)
    if house.buckets.is_mounted(bucket):
        raise refusals.mounted(bucket, "set the encryption of the bucket at its own provider")
    rules = call.params["ServerSideEncryptionConfiguration"].get("Rules") or []
    if len(rules) != 1:
        raise refusals.malformed_xml()
    rule = rules[0]
    default = rule.get("ApplyServerSideEncryptionByDefault")
    blocked = (rule.get("BlockedEncryptionTypes") or {}).get("EncryptionType") or []
    if any(each not in _BLOCKABLE for each in blocked):
        raise refusals.malformed_xml("EncryptionType is SSE-C or NONE.")
    if default is None and not blocked and not rule.get("BucketKeyEnabled"):
        raise refusals.malformed_xml("a rule says something.")
    document = {**_default(default or {"SSEAlgorithm": "AES256"}), "bucketKey": bool(rule.get("BucketKeyEnabled"))}
    house.buckets.set_setting(bucket, ENCRYPTION, document)
    house.buckets.set_setting(bucket, BLOCKED_ENCRYPTION, [each for each in blocked if each != "NONE"] or None)
    return {}


def delete_bucket_encryption(house: House, call: Call) -> Answered:
    """Old objects stay as they are; new ones are encrypted where a request asks for it."""
    check_call(call)
    for kind in (ENCRYPTION, BLOCKED_ENCRYPTION):
        house.buckets.set_setting(call.params["Bucket"], kind, None)
    return {}


def _default(asked: dict[str, Any]) -> dict[str, Any]:
    method, key = method_named(asked.get("SSEAlgorithm", "")), asked.get("KMSMasterKeyID") or ""
    if key and method is not EncryptionMethod.KMS:
        raise refusals.invalid_argument(
            "ApplyServerSideEncryptionByDefault",
            None,
            "a KMSMasterKeyID is not applicable if the default sse algorithm is not aws:kms or aws:kms:dsse",
        )
    return {"method": method, "key": key}


OPERATIONS: dict[str, Handler] = {
    "GetBucketEncryption": get_bucket_encryption,
    "PutBucketEncryption": put_bucket_encryption,
    "DeleteBucketEncryption": delete_bucket_encryption,
}
