"""The arithmetic of AWS Signature Version 4: what a request states about its signature, and what it should be.

Nothing is refused here but what cannot be read; `sigv4` decides. Facts: the AWS General Reference, "Signing AWS API
requests", and botocore's `auth.py`.
"""

import hashlib
import hmac
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from urllib.parse import quote, unquote, unquote_to_bytes

from outcrop.errors import Refusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.paths import query_pairs
from outcrop.protocol.values import timestamps

ALGORITHM = "AWS4-HMAC-SHA256"
STAMP = "%Y%m%dT%H%M%SZ"
_STAMP = re.compile(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", re.ASCII)
_QUERY_NAMES = tuple(
    f"X-Amz-{name}"
    for name in ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires", "Security-Token")
)
_AUTHORITY = ":authority"
_SECONDS = re.compile(r"\d{1,7}", re.ASCII)
_PART = re.compile(r"(Credential|SignedHeaders|Signature)=([^,\s]*)")


class Illegible(Refusal):
    """The request claims a signature that cannot be read; the message says which part."""


class Ambiguous(Refusal):
    """The request carries two signatures; which of them a reader takes must not matter."""


class Signed(NamedTuple):
    """The signature of a request, as the request states it. A tuple, since one is made for every request."""

    key_id: str
    day: str
    "yyyymmdd of the scope."
    region: str
    service: str
    stamp: str
    "The time of signing as it stands in the string to sign."
    signed_headers: tuple[str, ...]
    signature: str
    session_token: str | None
    lifetime_s: int | None
    "Seconds a presigned URL lives; None for a signature in the header."
    moment: datetime
    "The time of signing."
    payload_hash: str | None = None
    "What a presigned URL says of the body, if anything."

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"


def read(request: HttpRequest) -> Signed | None:
    """The signature in the header or the presigned query; None when the request is not signed. Raises Illegible."""
    authorization = request.headers.get("authorization")
    if authorization is not None and not request.raw_query:
        return _from_header(authorization, request)
    pairs = [(unquote(key), unquote(value)) for key, value in query_pairs(request.raw_query)]
    query = dict(pairs)
    in_query = "X-Amz-Algorithm" in query or "X-Amz-Signature" in query
    if in_query and authorization is not None:
        raise Ambiguous("A request is signed in its header or in its query.")
    if authorization is not None:
        return _from_header(authorization, request)
    if not in_query:
        return None
    for name in _QUERY_NAMES:
        if sum(key == name for key, _ in pairs) > 1:
            raise Illegible(f"{name} must be given once.")
    return _from_query(query)


def _from_header(authorization: str, request: HttpRequest) -> Signed:
    if not authorization.startswith(ALGORITHM + " "):
        raise Illegible(f"The only signing method verified here is {ALGORITHM}.")
    credential, signed_headers, signature = _header_parts(authorization)
    stamp = _header_stamp(request)
    if not (credential and signature and signed_headers and stamp):
        named = {"Credential": credential, "Signature": signature, "SignedHeaders": signed_headers}
        problems = [f"Authorization header requires '{name}' parameter." for name, value in named.items() if not value]
        if not stamp:
            problems.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
        raise Illegible(" ".join(problems))
    return _signed(
        credential=credential,
        stamp=stamp,
        signed_headers=signed_headers,
        signature=signature,
        session_token=request.headers.get("x-amz-security-token"),
        lifetime_s=None,
    )


def _header_parts(authorization: str) -> tuple[str, str, str]:
    """Credential, signed headers and signature; "" for what is not there."""
    found = _PART.findall(authorization)
    parts = dict(found)
    if len(found) != len(parts):
        # Two headers of that name arrive as one; whoever takes the first and whoever takes the last would disagree.
        raise Illegible("The Authorization header must be given once, and each of its parts once.")
    return parts.get("Credential", ""), parts.get("SignedHeaders", ""), parts.get("Signature", "")


def _from_query(query: dict[str, str]) -> Signed:
    wanted = ("Algorithm", "Credential", "Signature", "Date", "SignedHeaders", "Expires")
    lacking = [f"X-Amz-{name}" for name in wanted if not query.get(f"X-Amz-{name}")]
    if lacking:
        raise Illegible(f"AWS query-string parameters must include {', '.join(lacking)}.")
    if query["X-Amz-Algorithm"] != ALGORITHM:
        raise Illegible(f"X-Amz-Algorithm only supports {ALGORITHM}.")
    if not _SECONDS.fullmatch(query["X-Amz-Expires"]) or not 1 <= int(query["X-Amz-Expires"]) <= 604_800:
        raise Illegible("X-Amz-Expires must be between 1 and 604800 seconds.")
    return _signed(
        credential=query["X-Amz-Credential"],
        stamp=query["X-Amz-Date"],
        signed_headers=query["X-Amz-SignedHeaders"],
        signature=query["X-Amz-Signature"],
        session_token=query.get("X-Amz-Security-Token"),
        lifetime_s=int(query["X-Amz-Expires"]),
        payload_hash=query.get("X-Amz-Content-Sha256"),
    )


def _signed(
    *, credential: str, stamp: str, signed_headers: str, signature: str, session_token: str | None,
    lifetime_s: int | None, payload_hash: str | None = None,
) -> Signed:  # fmt: skip
    key_id, day, region, service = _credential(credential)
    moment = _moment(stamp)
    if moment is None:
        raise Illegible(f"X-Amz-Date must be in the ISO8601 Long Format {STAMP!r}, not {stamp!r}.")
    if day != stamp[:8]:
        raise Illegible(f"The date {day!r} in the credential scope is not that of X-Amz-Date, {stamp!r}.")
    return Signed(
        key_id=key_id, day=day, region=region, service=service, stamp=stamp,
        signed_headers=_header_names(signed_headers),
        signature=signature, session_token=session_token, lifetime_s=lifetime_s,
        moment=moment, payload_hash=payload_hash,
    )  # fmt: skip


@lru_cache(maxsize=1024)
def _credential(text: str) -> tuple[str, str, str, str]:
    """Key id, day, region and service."""
    parts = text.rsplit("/", 4)
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise Illegible("Credential must have the form <access key id>/<yyyymmdd>/<region>/<service>/aws4_request.")
    return parts[0], parts[1], parts[2], parts[3]


@lru_cache(maxsize=256)
def _header_names(text: str) -> tuple[str, ...]:
    names = tuple(text.lower().split(";"))
    # Over HTTP/2, as the JavaScript SDK speaks to Bedrock's runtime, the host is called `:authority`.
    if "host" not in names and _AUTHORITY not in names:
        raise Illegible("'host' must be a signed header.")
    return names


@lru_cache(maxsize=256)
def _moment(stamp: str) -> datetime | None:
    found = _STAMP.fullmatch(stamp)
    if found is None:
        return None
    try:
        # A third of the time of strptime, and every request pays it.
        return datetime(*(int(part) for part in found.groups()), tzinfo=UTC)  # type: ignore[misc, arg-type]
    except ValueError:
        return None


def _header_stamp(request: HttpRequest) -> str | None:
    stamp = request.headers.get("x-amz-date")
    if stamp is not None:
        return stamp
    date = request.headers.get("date")
    if date is None:
        return None
    try:
        return date if date.endswith("Z") else timestamps.read(date).strftime(STAMP)
    except ValueError:
        return None


def canonical_requests(signed: Signed, request: HttpRequest, payload_hash: str) -> Iterator[str]:
    """The canonical request; several where signers differ in how they encode a path that names the same thing."""
    headers = "".join(f"{name}:{_header_value(request, name)}\n" for name in signed.signed_headers)
    paths = s3_paths(request.raw_path) if signed.service == "s3" else [_normalized(request.raw_path)]
    query, names = _canonical_query(request.raw_query), ";".join(signed.signed_headers)
    for path in paths:
        yield f"{request.method}\n{path}\n{query}\n{headers}\n{names}\n{payload_hash}"


def string_to_sign(signed: Signed, canonical_request: str) -> str:
    digest = hashlib.sha256(canonical_request.encode("utf-8", "surrogateescape")).hexdigest()
    return f"{ALGORITHM}\n{signed.stamp}\n{signed.scope}\n{digest}"


@lru_cache(maxsize=256)
def signing_key(secret: str, day: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (day, region, service, "aws4_request"):
        key = hmac.digest(key, part.encode("utf-8", "surrogateescape"), "sha256")
    return key


def sign(key: bytes, text: str) -> str:
    code = _with_key(key).copy()
    code.update(text.encode("utf-8", "surrogateescape"))
    return code.hexdigest()


@lru_cache(maxsize=256)
def _with_key(key: bytes) -> hmac.HMAC:
    """An HMAC with the key and no text yet.

    OpenSSL takes longer to find its HMAC and set a key than to use it.
    """
    return hmac.new(key, digestmod="sha256")


def s3_paths(raw_path: str) -> list[str]:
    """S3 signs the path encoded once. boto signs it as sent; others send it less encoded than they sign it."""
    encoded = quote(unquote_to_bytes(raw_path), safe="/~")
    return [raw_path] if encoded == raw_path else [raw_path, encoded]


@lru_cache(maxsize=4096)
def _normalized(raw_path: str) -> str:
    """Every other service signs the path without dot segments and empty segments, encoded once more."""
    kept: list[str] = []
    for segment in raw_path.split("/"):
        if segment == "..":
            del kept[-1:]
        elif segment not in ("", "."):
            kept.append(segment)
    path = "/" + "/".join(kept)
    if kept and raw_path.endswith("/"):
        path += "/"
    return quote(path, safe="/~")


def _canonical_query(raw_query: str) -> str:
    if not raw_query:
        return ""
    encoded = sorted(
        (quote(unquote_to_bytes(key), safe="-_.~"), quote(unquote_to_bytes(value), safe="-_.~"))
        for key, value in query_pairs(raw_query)
        if key != "X-Amz-Signature"
    )
    return "&".join(f"{key}={value}" for key, value in encoded)


def _header_value(request: HttpRequest, name: str) -> str:
    return " ".join(request.headers.get("host" if name == _AUTHORITY else name, "").split())
