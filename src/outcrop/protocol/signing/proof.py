"""Common parts of all proofs of a request: the secret to check against, and what the check leaves."""

import hmac
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol

from outcrop.errors import ServiceRefusal
from outcrop.protocol.signing.refusals import Case, refusal
from outcrop.protocol.signing.signature import Signed

UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
SIGNED_CHUNKS = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
SIGNED_CHUNKS_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
DECOY = "a key that does not exist costs what one costs that does"
"""Stands in for the secret of an unknown key, so that refusing it takes the work of refusing a wrong signature."""


class Secret(Protocol):
    """The secret that a signature is checked against."""

    @property
    def secret(self) -> str: ...
    @property
    def session_token(self) -> str | None: ...
    @property
    def expires(self) -> datetime | None: ...


class ChunkSeal(NamedTuple):
    """The key and request signature that check the signatures of chunks: the request's own begins their chain."""

    signed: Signed
    key: bytes


def known_of_proof(kind: str, version: str, *, age: timedelta | None = None) -> dict[str, str]:
    """The condition keys about how a request of S3 was signed; its age is known of Version 4.

    https://docs.aws.amazon.com/AmazonS3/latest/API/bucket-policy-s3-sigv4-conditions.html
    """
    known = {"s3:authType": kind, "s3:signatureversion": version}
    if age is not None:
        known["s3:signatureAge"] = str(max(0, age // timedelta(milliseconds=1)))
    return known


class Verified(NamedTuple):
    """A request whose headers, path and query are what its sender proved. The body may still be to come."""

    region: str
    "The region the caller speaks to."
    payload_hash: str = UNSIGNED_PAYLOAD
    "What the proof says of the body: its SHA-256, or one of S3's words for bodies that stream."
    seal: ChunkSeal | None = None
    "None where the kind of proof knows no signed chunks."
    known: Mapping[str, str] = {}
    "What policies may ask of the proof: `s3:authType`, `s3:signatureversion`, `s3:signatureAge`."


def check_session(given: str | None, secret: Secret, now: datetime, protocol: str) -> None:
    """Refuses a wrong or missing session token, one that nobody asked for, and a session that is over."""
    if not hmac.compare_digest((secret.session_token or "").encode(), (given or "").encode("utf-8", "surrogateescape")):
        raise refusal(Case.BAD_TOKEN, protocol)
    if secret.expires is not None and secret.expires <= now:
        raise refusal(Case.EXPIRED_SESSION, protocol)


def only_one_mechanism(protocol: str) -> ServiceRefusal:
    """Two proofs in one request: which of them a reader takes must never matter."""
    text = (
        "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, Signature query string parameter "
        "or the Authorization header should be specified"
    )
    if protocol == "rest-xml":
        return ServiceRefusal("InvalidArgument", text, http_status=400)
    return refusal(Case.MALFORMED, protocol, text)
