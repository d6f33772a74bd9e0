"""AWS Signature Version 2 for S3, in the header (`AWS <key id>:<signature>`) and in a presigned URL.

AWS has long named Version 4 as its successor, but boto3's `generate_presigned_url` still makes this one for an endpoint
of one's own. It covers the method, three standard headers, what begins with x-amz-, the path and the keys of the query
that name a subresource; it knows neither host nor region nor body. Facts: the Amazon S3 Developer Guide, "Signing and
authenticating REST requests", and botocore's `HmacV1Auth`.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from urllib.parse import unquote

from outcrop.errors import ServiceRefusal
from outcrop.protocol import paths, service_model
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.signing.proof import (
    DECOY,
    UNSIGNED_PAYLOAD,
    UNSIGNED_TRAILER,
    Secret,
    Verified,
    check_session,
    only_one_mechanism,
)
from outcrop.protocol.signing.refusals import Case, refusal
from outcrop.protocol.values import timestamps
from outcrop.protocol.virtual_hosts import addressed

REGION = "us-east-1"
"Where a caller speaks to who does not say: this signature has no region."
MAX_SKEW_S = 15 * 60
_SIGNED_KEYS = frozenset({
    "accelerate", "acl", "analytics", "cors", "defaultObjectAcl", "delete", "inventory", "lifecycle", "location",
    "logging", "metrics", "notification", "object-lock", "partNumber", "policy", "replication", "requestPayment",
    "response-cache-control", "response-content-disposition", "response-content-encoding", "response-content-language",
    "response-content-type", "response-expires", "restore", "select", "select-type", "storageClass", "tagging",
    "torrent", "uploadId", "uploads", "versionId", "versioning", "versions", "website",
})  # fmt: skip
_QUERY_NAMES = ("AWSAccessKeyId", "Signature", "Expires")
_FAR = 1 << 40  # seconds; what is later than this is a mistake and no date


@dataclass(frozen=True, kw_only=True)
class SignedV2:
    """The Version 2 signature of a request, as the request states it."""

    key_id: str
    signature: str
    date: str
    "The fourth line of the string to sign: the header's date, or the second at which a presigned URL expires."
    session_token: str | None
    moment: datetime
    "When it was signed; of a presigned URL: when it expires."
    presigned: bool


def claims(request: HttpRequest) -> bool:
    """Whether the request says that it is signed this way."""
    if request.headers.get("authorization", "").startswith("AWS "):
        return True
    return "AWSAccessKeyId=" in request.raw_query and "AWSAccessKeyId" in _query(request)


def read(request: HttpRequest) -> SignedV2:
    """Refuses what cannot be read."""
    authorization = request.headers.get("authorization")
    return _from_header(authorization, request) if authorization is not None else _from_query(request)


def verify(signed: SignedV2, secret: Secret | None, request: HttpRequest, *, now: datetime) -> Verified:
    """Refuses unless `secret` signed this request, it is still valid, and nothing beside the signature gives orders."""
    texts = strings_to_sign(signed, request)
    key = (secret.secret if secret else DECOY).encode()
    expected = [base64.b64encode(hmac.digest(key, _bytes(text), "sha1")) for text in texts]
    right = [hmac.compare_digest(each, _bytes(signed.signature)) for each in expected]
    if secret is None:
        raise refusal(Case.UNKNOWN_KEY, "rest-xml", AWSAccessKeyId=signed.key_id)
    if not any(right):
        raise refusal(Case.MISMATCH, "rest-xml", AWSAccessKeyId=signed.key_id, StringToSign=texts[0])
    _check_time(signed, now)
    check_session(signed.session_token, secret, now, "rest-xml")
    _check_all_signed(request)
    chunked = "aws-chunked" in request.headers.get("content-encoding", "")
    # Without a signature over the body the word for it comes in a header or follows from the encoding.
    word = request.headers.get("x-amz-content-sha256") or (UNSIGNED_TRAILER if chunked else UNSIGNED_PAYLOAD)
    return Verified(region=REGION, payload_hash=word)


def strings_to_sign(signed: SignedV2, request: HttpRequest) -> list[str]:
    """The strings that may have been signed.

    For a bucket alone some sign its path with a slash at the end and some without.
    """
    headers = request.headers
    lines = [request.method, headers.get("content-md5", "").strip(), headers.get("content-type", "").strip()]
    amz = {name: value.strip() for name, value in headers.items() if name.startswith("x-amz-")}
    if signed.presigned:
        # Those that were headers when the URL was made stand in its query.
        queried = {name.lower(): value for name, value in _query(request).items()}
        amz |= {name: value.strip() for name, value in queried.items() if name.startswith("x-amz-")}
        lines.append(signed.date)
    else:
        lines.append("" if "x-amz-date" in headers else signed.date)
    lines += [f"{name}:{amz[name]}" for name in sorted(amz)]
    return ["\n".join([*lines, resource]) for resource in _resources(request)]


def _from_header(authorization: str, request: HttpRequest) -> SignedV2:
    key_id, colon, signature = authorization.removeprefix("AWS ").strip().partition(":")
    if not (key_id and colon and signature) or "," in authorization:
        text = "AWS authorization header is invalid.  Expected AwsAccessKeyId:signature"
        raise ServiceRefusal("InvalidArgument", text, http_status=400, ArgumentName="Authorization")
    if "AWSAccessKeyId" in _query(request):
        raise only_one_mechanism("rest-xml")
    stated = request.headers.get("x-amz-date") or request.headers.get("date") or ""
    try:
        moment = timestamps.read(stated)
    except ValueError:
        text = "AWS authentication requires a valid Date or x-amz-date header"
        raise ServiceRefusal("AccessDenied", text, http_status=403) from None
    token = request.headers.get("x-amz-security-token")
    return SignedV2(
        key_id=key_id, signature=signature, date=stated.strip(), session_token=token, moment=moment, presigned=False
    )


def _from_query(request: HttpRequest) -> SignedV2:
    query, names = _query(request), [unquote(name) for name, _ in paths.query_pairs(request.raw_query)]
    if any(names.count(name) != 1 or not query[name] for name in _QUERY_NAMES):
        text = "Query-string authentication requires the Signature, Expires and AWSAccessKeyId parameters"
        raise ServiceRefusal("AccessDenied", text, http_status=403)
    expires = query["Expires"]
    if not (expires.isascii() and expires.isdecimal()) or int(expires) > _FAR:
        text = f"Invalid date (should be seconds since epoch): {expires}"
        raise ServiceRefusal("AccessDenied", text, http_status=403)
    token = query.get("x-amz-security-token") or request.headers.get("x-amz-security-token")
    # Beyond the year 9999 there is no datetime; nothing expires there that would not expire now.
    moment = datetime.fromtimestamp(min(int(expires), 253_402_300_799), UTC)
    return SignedV2(
        key_id=query["AWSAccessKeyId"], signature=query["Signature"], date=expires, session_token=token,
        moment=moment, presigned=True,
    )  # fmt: skip


def _check_time(signed: SignedV2, now: datetime) -> None:
    if signed.presigned:
        if now <= signed.moment:
            return
        stamps = {"Expires": _iso(signed.moment), "ServerTime": _iso(now)}
        raise ServiceRefusal("AccessDenied", "Request has expired", http_status=403, **stamps)
    if abs((now - signed.moment).total_seconds()) > MAX_SKEW_S:
        raise refusal(
            Case.CLOCK, "rest-xml", RequestTime=signed.date, ServerTime=_iso(now), MaxAllowedSkewMilliseconds="900000"
        )


def _check_all_signed(request: HttpRequest) -> None:
    unsigned = sorted(_unsigned_keys() & _query(request).keys())
    if unsigned:
        text = (
            f"Signature Version 2 does not cover the query's {', '.join(unsigned)}. "
            "Sign with Version 4: Config(signature_version='s3v4')."
        )
        raise ServiceRefusal("AccessDenied", text, http_status=403)


@cache
def _unsigned_keys() -> frozenset[str]:
    """Keys that tell one operation from another and that nobody signs: with them a URL for one thing did another."""
    model = service_model.load("s3")
    targets = (model.operation_model(name).http["requestUri"].partition("?")[2] for name in model.operation_names)
    named = {key for target in targets for key, _ in paths.query_pairs(target)}
    # Both listings need the same permission and tell the same.
    return frozenset(named - _SIGNED_KEYS - {"list-type"})


def _resources(request: HttpRequest) -> list[str]:
    """The path in path style, with the keys of the query that name a subresource or an answer's headers."""
    named = [(unquote(key), value) for key, value in _pairs(request.raw_query) if unquote(key) in _SIGNED_KEYS]
    named.sort(key=lambda pair: pair[0])
    keys = "&".join(key if value is None else f"{key}={unquote(value)}" for key, value in named)
    path = addressed(request).raw_path
    bucket_alone = path.count("/") == 1 and path != "/"
    paths_signed = [path, path + "/"] if bucket_alone else [path]
    return [each + ("?" + keys if keys else "") for each in paths_signed]


def _pairs(raw_query: str) -> list[tuple[str, str | None]]:
    """Keys with their values; None where no equals sign stands, since `?acl` and `?acl=` are signed differently."""
    parts = (part.partition("=") for part in raw_query.split("&") if part)
    return [(key, value if equals else None) for key, equals, value in parts]


def _query(request: HttpRequest) -> dict[str, str]:
    return {unquote(key): unquote(value) for key, value in paths.query_pairs(request.raw_query)}


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _iso(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
