"""Is this request signed by who it says? Header and presigned query, for every service of the house.

Two halves, so that the caller may look up the secret between them without holding the event loop: `read` tells whose
key it is, `verify` compares. A body that streams is verified as it flows, by `payload`.
"""

import hashlib
import hmac
import re
from datetime import datetime, timedelta

from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing import signature
from outcrop.protocol.signing.proof import (
    DECOY,
    UNSIGNED_PAYLOAD,
    ChunkSeal,
    Secret,
    Verified,
    check_session,
    only_one_mechanism,
)
from outcrop.protocol.signing.refusals import Case, refusal
from outcrop.protocol.signing.signature import Ambiguous, Illegible, Signed

MAX_SKEW = timedelta(minutes=15)
_OF_NOTHING = hashlib.sha256().hexdigest()
_REGION = re.compile(r"[a-z0-9-]{2,32}")


def read(request: HttpRequest, *, protocol: str) -> Signed:
    """The signature that the request states; refuses an unsigned or unreadable one."""
    try:
        signed = signature.read(request)
    except Ambiguous as error:
        raise only_one_mechanism(protocol) from error
    except Illegible as error:
        raise refusal(Case.MALFORMED, protocol, str(error)) from error
    if signed is None:
        raise refusal(Case.MISSING, protocol)
    return signed


def verify(
    signed: Signed,
    secret: Secret | None,
    request: HttpRequest,
    *,
    protocol: str,
    service: str,
    now: datetime,
) -> Verified:
    """Refuses unless `secret` signed this very request for `service` (a signing name), now, and is still valid."""
    payload_hash = _payload_hash(signed, request)
    key = signature.signing_key(secret.secret if secret else DECOY, signed.day, signed.region, signed.service)
    # Calculated before anything is refused: how long an answer takes tells nothing about what was wrong.
    wrong = _compared(signed, request, payload_hash, key)
    if secret is None:
        raise refusal(Case.UNKNOWN_KEY, protocol, AWSAccessKeyId=signed.key_id)
    _check_time(signed, now, protocol)
    if signed.service != service:
        raise refusal(Case.SCOPE, protocol, f"Credential should be scoped to correct service: '{service}'.")
    if not _REGION.fullmatch(signed.region):
        raise refusal(Case.SCOPE, protocol, "Credential should be scoped to a valid region.", Region="us-east-1")
    if wrong is not None:
        text, canonical = wrong
        shown = {"StringToSign": text, "CanonicalRequest": canonical}
        raise refusal(Case.MISMATCH, protocol, AWSAccessKeyId=signed.key_id, **shown)
    check_session(signed.session_token, secret, now, protocol)
    if signed.service == "s3":
        _check_all_signed(signed, request)
    return Verified(region=signed.region, payload_hash=payload_hash, seal=ChunkSeal(signed=signed, key=key))


def _check_time(signed: Signed, now: datetime, protocol: str) -> None:
    stamp = signed.stamp
    earliest, latest = now - MAX_SKEW, now + MAX_SKEW
    if signed.moment > latest:
        text = f"Signature not yet current: {stamp} is still later than {_stamp(latest)} ({_stamp(now)} + 15 min.)"
    elif signed.lifetime_s is not None:
        end = signed.moment + timedelta(seconds=signed.lifetime_s)
        if now <= end:
            return
        raise _expired(signed, now, end, protocol)
    elif signed.moment < earliest:
        text = f"Signature expired: {stamp} is now earlier than {_stamp(earliest)} ({_stamp(now)} - 15 min.)"
    else:
        return
    skew = str(int(MAX_SKEW.total_seconds() * 1000))
    raise refusal(
        Case.CLOCK, protocol, text, RequestTime=stamp, ServerTime=_stamp(now), MaxAllowedSkewMilliseconds=skew
    )


def _stamp(moment: datetime) -> str:
    return moment.strftime(signature.STAMP)


def _expired(signed: Signed, now: datetime, end: datetime, protocol: str) -> ServiceRefusal:
    """A presigned URL whose time is over."""
    server, until = now.strftime(signature.STAMP), end.strftime(signature.STAMP)
    if protocol == "rest-xml":
        return ServiceRefusal(
            "AccessDenied", "Request has expired", http_status=403,
            **{"X-Amz-Expires": str(signed.lifetime_s), "Expires": until, "ServerTime": server},
        )  # fmt: skip
    return refusal(Case.CLOCK, protocol, f"Signature expired: {signed.stamp} is now earlier than {until} ({server})")


def _payload_hash(signed: Signed, request: HttpRequest) -> str:
    if signed.service != "s3":
        # Never the client's word for it: the body is here and is hashed.
        return hashlib.sha256(request.body).hexdigest() if request.body else _OF_NOTHING
    stated = request.headers.get("x-amz-content-sha256")
    if stated is None and signed.lifetime_s is None:
        text = "Missing required header for this request: x-amz-content-sha256"
        raise ServiceRefusal("InvalidRequest", text, http_status=400)
    return stated or signed.payload_hash or UNSIGNED_PAYLOAD


def _compared(signed: Signed, request: HttpRequest, payload_hash: str, key: bytes) -> tuple[str, str] | None:
    """None when the signature is right, else the string that should have been signed and its canonical request."""
    last = ("", "")
    given = signed.signature.encode("utf-8", "surrogateescape")
    for canonical in signature.canonical_requests(signed, request, payload_hash):
        text = signature.string_to_sign(signed, canonical)
        if hmac.compare_digest(signature.sign(key, text).encode(), given):
            return None
        last = (text, canonical)
    return last


def _check_all_signed(signed: Signed, request: HttpRequest) -> None:
    """S3 takes orders from x-amz- headers (copy this, grant that), so each must be under the signature."""
    unsigned = sorted(
        name for name in request.headers.keys() - set(signed.signed_headers)
        # A presigned URL may be used with the hash of a body that was unknown when it was made.
        if name.startswith("x-amz-") and name != "x-amz-content-sha256"
    )  # fmt: skip
    if unsigned:
        text = "There were headers present in the request which were not signed"
        raise ServiceRefusal("AccessDenied", text, http_status=403, HeadersNotSigned=", ".join(unsigned))
