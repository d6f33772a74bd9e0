"""S3: encryption of objects, as requests ask for it and answers tell it, and who may use the key.

SSE-S3 is by the key of the installation, SSE-KMS by a key of KMS, SSE-C by a key that comes with each request. Whoever
writes under a key of KMS has to be allowed `kms:GenerateDataKey`, whoever reads `kms:Decrypt`, both through S3.
"""

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from outcrop.api.door.call import Call
from outcrop.api.door.object_keys import DECRYPT, GENERATE_DATA_KEY, check_key
from outcrop.buckets import refusals
from outcrop.buckets.encryption import (
    SSE_S3,
    EncryptionMethod,
    ObjectEncryption,
    customer_key_missing,
)
from outcrop.buckets.names import Place
from outcrop.buckets.records import ObjectRecord, UploadRecord
from outcrop.buckets.settings_records import BLOCKED_ENCRYPTION
from outcrop.errors import ServiceRefusal
from outcrop.house import House

_CUSTOMER = ("SSECustomerAlgorithm", "SSECustomerKey", "SSECustomerKeyMD5")
_KMS_ALONE = ("SSEKMSKeyId", "SSEKMSEncryptionContext")
_ALGORITHM = "AES256"
_CUSTOMER_KEY_BYTES = 32
_UNBUILT = {"aws:kms:dsse": "Ask for aws:kms, which encrypts once.", "aws:fsx": "Ask for aws:kms or AES256."}
_CONTEXT_HEADER = "x-amz-server-side-encryption-context"


def encryption_for_write(house: House, call: Call, place: Place) -> ObjectEncryption | None:
    """The encryption of an object that a request puts. Raises S3's refusals, and Denied for the key of another."""
    encryption = house.buckets.encryption_for(place.bucket, _asked(call))
    if encryption is None:
        return None
    if encryption.method is EncryptionMethod.CUSTOMER:
        if "SSE-C" in (house.buckets.setting(place.bucket, BLOCKED_ENCRYPTION) or ()):
            text = "Access Denied: this bucket takes no encryption with keys of the caller (BlockedEncryptionTypes)."
            raise ServiceRefusal("AccessDenied", text, http_status=403)
        return encryption
    if encryption.method is EncryptionMethod.KMS:
        if "BucketKeyEnabled" in call.params:
            encryption = replace(encryption, has_bucket_key=bool(call.params["BucketKeyEnabled"]))
        check_key(house, call, GENERATE_DATA_KEY, encryption, place)
    return encryption


def encryption_for_part(house: House, call: Call, upload: UploadRecord) -> bytes:
    """The caller's key for a part of an upload that was begun with one; nothing where another key encrypts it."""
    encryption, key = upload.details.encryption, _customer_key(call)
    if encryption is None or encryption.method is not EncryptionMethod.CUSTOMER:
        if key is not None:
            raise _not_applicable()
        check_key(house, call, DECRYPT, encryption, Place(upload.bucket, upload.key))
        return b""
    if key is None:
        raise refusals.invalid_request(
            "The multipart upload initiate requested encryption. Subsequent part requests must include the appropriate "
            "encryption parameters."
        )
    if key.customer_md5 != encryption.customer_md5:
        raise refusals.invalid_request("The provided encryption parameters did not match the ones used originally.")
    return key.customer_key


def check_upload_key(call: Call, upload: UploadRecord) -> None:
    """Raises InvalidRequest for a key of the caller's that is not the one that the upload was begun with."""
    encryption, key = upload.details.encryption, _customer_key(call)
    if key is not None and (encryption is None or key.customer_md5 != encryption.customer_md5):
        raise _not_applicable()


def record_for_read(house: House, call: Call, record: ObjectRecord, *, prefix: str = "") -> ObjectRecord:
    """The record with all that is needed to read its bytes. Raises Denied, and InvalidRequest for a key that is missing
    or too many. `prefix` is CopySource for the source of a copy."""
    encryption = with_customer_key(call, record, prefix=prefix)
    if encryption is None:
        return record
    check_key(house, call, DECRYPT, encryption, Place(record.bucket, record.key))
    return replace(record, details=replace(record.details, encryption=encryption))


def with_customer_key(call: Call, record: ObjectRecord, *, prefix: str = "") -> ObjectEncryption | None:
    """How an object is encrypted, with the key of the caller where it is by one. Raises InvalidRequest."""
    encryption, key = record.details.encryption, _customer_key(call, prefix)
    if encryption is None or encryption.method is not EncryptionMethod.CUSTOMER:
        if key is not None:
            raise _not_applicable()
        return encryption
    if key is None:
        raise customer_key_missing()
    if key.customer_md5 != encryption.customer_md5:
        text = "Access Denied: the object was encrypted with another key."
        raise ServiceRefusal("AccessDenied", text, http_status=403)
    return replace(encryption, customer_key=key.customer_key)


def encryption_members(encryption: ObjectEncryption | None, *, with_context: bool = False) -> dict[str, Any]:
    """The members of an answer that tell of the encryption."""
    if encryption is None:
        return {}
    if encryption.method is EncryptionMethod.CUSTOMER:
        return {"SSECustomerAlgorithm": _ALGORITHM, "SSECustomerKeyMD5": encryption.customer_md5}
    told: dict[str, Any] = {"ServerSideEncryption": str(encryption.method)}
    if encryption.method is EncryptionMethod.KMS:
        told["SSEKMSKeyId"] = encryption.key_arn
        told["BucketKeyEnabled"] = True if encryption.has_bucket_key else None
        if with_context and encryption.pairs:
            told["SSEKMSEncryptionContext"] = base64.b64encode(json.dumps(dict(encryption.pairs)).encode()).decode()
    return told


def method_named(name: str) -> EncryptionMethod:
    """The method of x-amz-server-side-encryption. Raises InvalidArgument, NotImplemented."""
    if name in _UNBUILT:
        raise refusals.not_built(f"Server-side encryption ({name})", _UNBUILT[name])
    if name not in (EncryptionMethod.S3, EncryptionMethod.KMS):
        raise refusals.invalid_argument(
            "x-amz-server-side-encryption", name, "The encryption method specified is not supported"
        )
    return EncryptionMethod(name)


def _asked(call: Call) -> ObjectEncryption | None:
    """The encryption that a request names; None where it leaves it to the bucket."""
    params, customer = call.params, _customer_key(call)
    name = params.get("ServerSideEncryption")
    if customer is not None:
        if name or any(params.get(each) for each in _KMS_ALONE):
            raise refusals.invalid_argument(
                "x-amz-server-side-encryption",
                name,
                "Server Side Encryption with Customer provided key is incompatible with the encryption method "
                "specified",
            )
        return customer
    method = method_named(name) if name else None
    if method is not EncryptionMethod.KMS and any(params.get(each) for each in _KMS_ALONE):
        raise refusals.invalid_argument(
            "x-amz-server-side-encryption",
            name,
            "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : "
            "aws:kms",
        )
    if method is None:
        return None
    if method is EncryptionMethod.S3:
        return SSE_S3
    pairs = _pairs(params.get("SSEKMSEncryptionContext"))
    return ObjectEncryption(method=method, key_arn=params.get("SSEKMSKeyId") or "", pairs=pairs)


def _pairs(header: str | None) -> Mapping[str, str]:
    if not header:
        return {}
    try:
        found = json.loads(base64.b64decode(header, validate=True))
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
        raise refusals.invalid_argument(
            _CONTEXT_HEADER,
            header,
            f"The header '{_CONTEXT_HEADER}' shall be Base64-encoded UTF-8 string holding JSON which represents a "
            "string-string map",
        )
    return found


def _customer_key(call: Call, prefix: str = "") -> ObjectEncryption | None:
    """The key of the caller's that a request brings. Raises InvalidArgument for one that is not whole."""
    algorithm, key, md5 = (call.params.get(f"{prefix}{name}") for name in _CUSTOMER)
    if not (algorithm or key or md5):
        return None
    if not (call.secure or call.source_ip in _THIS_MACHINE):
        raise refusals.invalid_request(
            "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure "
            "connection."
        )
    if algorithm is None:
        raise _customer("algorithm", "must provide a valid encryption algorithm.")
    if algorithm != _ALGORITHM:
        text = "The encryption request you specified is not valid. The valid value is AES256."
        raise ServiceRefusal("InvalidEncryptionAlgorithmError", text, http_status=400)
    if not key:
        raise _customer("key", "must provide an appropriate secret key.")
    if not md5:
        raise _customer("key-MD5", "must provide the client calculated MD5 of the secret key.")
    opened, stated = _decoded(key), _decoded(md5)
    if len(opened) != _CUSTOMER_KEY_BYTES:
        text = "The secret key was invalid for the specified algorithm."
        raise refusals.invalid_argument("x-amz-server-side-encryption", None, text)
    if hashlib.md5(opened, usedforsecurity=False).digest() != stated:
        text = "The calculated MD5 hash of the key did not match the hash that was provided."
        raise refusals.invalid_argument("x-amz-server-side-encryption", None, text)
    return ObjectEncryption(method=EncryptionMethod.CUSTOMER, customer_md5=str(md5), customer_key=opened)


_THIS_MACHINE = ("127.0.0.1", "::1", "")
"""Addresses from which a request never left this machine; nothing for one that came by a Unix socket."""


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return b""


def _customer(header: str, rest: str) -> ServiceRefusal:
    return refusals.invalid_argument(
        f"x-amz-server-side-encryption-customer-{header}",
        None,
        f"Requests specifying Server Side Encryption with Customer provided keys {rest}",
    )


def _not_applicable() -> ServiceRefusal:
    return refusals.invalid_request("The encryption parameters are not applicable to this object.")
