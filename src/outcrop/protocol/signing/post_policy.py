"""Policies of S3's forms: what a page may upload, signed by somebody who may, and checked against the form's fields.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-HTTPPOSTConstructPolicy.html
"""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from outcrop.errors import ServiceRefusal
from outcrop.protocol.signing import signature
from outcrop.protocol.signing.proof import DECOY, Secret, check_session
from outcrop.protocol.signing.refusals import Case, refusal
from outcrop.protocol.values import json_text, timestamps

# Fields that need no condition: the proof itself, and what a page keeps for its own use.
_UNCONDITIONED = frozenset({"awsaccesskeyid", "signature", "x-amz-signature", "policy", "file"})
_IGNORED = "x-ignore-"
_MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z", re.ASCII)
"ISO 8601 in UTC, the one form that S3 takes."
_V2_REGION = "us-east-1"


@dataclass(frozen=True, kw_only=True)
class SignedPolicy:
    """The signed policy of an upload form: what the form states about its proof."""

    key_id: str
    region: str
    day: str
    "yyyymmdd of the scope; empty with Signature Version 2."
    text: str
    "The policy in base64, which is what was signed."
    signature: str
    session_token: str | None


@dataclass(frozen=True, kw_only=True)
class PostPolicy:
    """The document, once its signature is known to be right."""

    expiration: datetime
    conditions: list[Any]

    def check(self, fields: Mapping[str, str], *, bucket: str, now: datetime) -> range:
        """The sizes that the file may have. Raises AccessDenied where a condition fails, or a field has none."""
        if self.expiration <= now:
            raise _denied("Policy expired.")
        given, named = {**fields, "bucket": bucket}, set[str]()
        sizes = range(0, 5 * 1024**3 + 1)
        for condition in self.conditions:
            kind, name, value = _understood(condition)
            if kind == "content-length-range":
                sizes = range(max(sizes.start, int(name)), min(sizes.stop, int(value) + 1))
                continue
            named.add(name)
            text = given.get(name, "")
            if not (text == value if kind == "eq" else text.startswith(value)):
                raise _denied(f"Policy Condition failed: {json.dumps(condition, ensure_ascii=False)}")
        extra = sorted(name for name in given.keys() - named - _UNCONDITIONED if not name.startswith(_IGNORED))
        if extra:
            raise _denied(f"Extra input fields: {', '.join(extra)}")
        return sizes


def read(fields: Mapping[str, str]) -> SignedPolicy:
    """The signed policy that a form's fields state.

    Raises AccessDenied where there is no policy, InvalidArgument for half a proof.
    """
    if "policy" not in fields:
        raise refusal(Case.MISSING, "rest-xml")
    if "x-amz-signature" not in fields and "awsaccesskeyid" in fields:
        return SignedPolicy(
            key_id=fields["awsaccesskeyid"],
            region=_V2_REGION,
            day="",
            text=fields["policy"],
            signature=_needed(fields, "signature", "Signature"),
            session_token=fields.get("x-amz-security-token"),
        )
    if _needed(fields, "x-amz-algorithm", "X-Amz-Algorithm") != signature.ALGORITHM:
        raise _invalid("X-Amz-Algorithm", f"X-Amz-Algorithm only supports {signature.ALGORITHM}")
    parts = _needed(fields, "x-amz-credential", "X-Amz-Credential").rsplit("/", 4)
    stamp = _needed(fields, "x-amz-date", "X-Amz-Date")
    if len(parts) != 5 or parts[3:] != ["s3", "aws4_request"] or parts[1] != stamp[:8]:
        text = "the Credential is mal-formed; expecting <your-access-key-id>/YYYYMMDD/REGION/s3/aws4_request."
        raise _invalid("X-Amz-Credential", text)
    return SignedPolicy(
        key_id=parts[0],
        region=parts[2],
        day=parts[1],
        text=fields["policy"],
        signature=_needed(fields, "x-amz-signature", "X-Amz-Signature"),
        session_token=fields.get("x-amz-security-token"),
    )


def verify(signed: SignedPolicy, secret: Secret | None, *, now: datetime) -> PostPolicy:
    """The document; refuses unless `secret` signed it and is still valid."""
    given = signed.signature.encode("utf-8", "surrogateescape")
    right = hmac.compare_digest(_signature(signed, secret.secret if secret else DECOY), given)
    if secret is None:
        raise refusal(Case.UNKNOWN_KEY, "rest-xml", AWSAccessKeyId=signed.key_id)
    if not right:
        raise refusal(Case.MISMATCH, "rest-xml", AWSAccessKeyId=signed.key_id, StringToSign=signed.text)
    check_session(signed.session_token, secret, now, "rest-xml")
    return _parse(signed.text)


def _signature(signed: SignedPolicy, secret: str) -> bytes:
    text = signed.text.encode("utf-8", "surrogateescape")
    if not signed.day:
        return base64.b64encode(hmac.digest(secret.encode(), text, "sha1"))
    key = signature.signing_key(secret, signed.day, signed.region, "s3")
    return hmac.digest(key, text, "sha256").hex().encode()


def _parse(text: str) -> PostPolicy:
    try:
        document = json_text.loads(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, RecursionError):
        raise _unreadable("Invalid JSON.") from None
    if not isinstance(document, dict):
        raise _unreadable("Expecting an object.")
    for name in ("expiration", "conditions"):
        if name not in document:
            raise _unreadable(f"Policy missing {name}.")
    expiration, conditions = document["expiration"], document["conditions"]
    try:
        if not isinstance(expiration, str) or not _MOMENT.fullmatch(expiration):
            raise ValueError(expiration)
        moment = timestamps.read(expiration)
    except ValueError:
        raise _unreadable(f"Invalid 'expiration' value: {expiration!r}") from None
    if not isinstance(conditions, list):
        raise _unreadable("Invalid 'conditions' value: must be a List.")
    for condition in conditions:
        _understood(condition)
    return PostPolicy(expiration=moment, conditions=conditions)


def _understood(condition: Any) -> tuple[str, str, str]:
    """Operator, field in lower case, value; of content-length-range the two sizes."""
    if isinstance(condition, dict) and len(condition) == 1:
        ((name, value),) = condition.items()
        if isinstance(value, str):
            return "eq", name.lower(), value
    if isinstance(condition, list) and len(condition) == 3 and isinstance(condition[0], str):
        kind, name, value = condition[0].lower(), condition[1], condition[2]
        if kind in ("eq", "starts-with") and isinstance(name, str) and name.startswith("$") and isinstance(value, str):
            return kind, name[1:].lower(), value
        sizes = [str(each) for each in (name, value) if isinstance(each, int | str) and str(each).isdecimal()]
        if kind == "content-length-range" and len(sizes) == 2 and all(len(each) < 16 for each in sizes):
            return kind, sizes[0], sizes[1]
    raise _unreadable(f"Invalid condition: {json.dumps(condition, ensure_ascii=False)[:200]}")


def _needed(fields: Mapping[str, str], name: str, written: str) -> str:
    if name not in fields:
        text = f"Bucket POST must contain a field named '{written}'."
        raise _invalid(written, f"{text}  If it is specified, please check the order of the fields.")
    return fields[name]


def _invalid(name: str, text: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidArgument", text, http_status=400, ArgumentName=name)


def _unreadable(why: str) -> ServiceRefusal:
    return ServiceRefusal("InvalidPolicyDocument", f"Invalid Policy: {why}", http_status=400)


def _denied(why: str) -> ServiceRefusal:
    return ServiceRefusal("AccessDenied", f"Invalid according to Policy: {why}", http_status=403)
