"""How each service family says that a signature will not do: one case, four vocabularies."""

from enum import Enum, auto
from typing import Any

from outcrop.errors import ServiceRefusal
from outcrop.protocol.service_model import CBOR


class Case(Enum):
    MISSING = auto()
    MALFORMED = auto()
    UNKNOWN_KEY = auto()
    BAD_TOKEN = auto()
    MISMATCH = auto()
    EXPIRED_SESSION = auto()
    CLOCK = auto()
    SCOPE = auto()


_INVALID_SIGNATURE = {
    "rest-json": ("InvalidSignatureException", 403),
    "json": ("InvalidSignatureException", 400),
    "query": ("SignatureDoesNotMatch", 403),
}
_UNRECOGNIZED = {
    "rest-json": ("UnrecognizedClientException", 403),
    "json": ("UnrecognizedClientException", 400),
    "query": ("InvalidClientTokenId", 403),
}
_CODES: dict[Case, dict[str, tuple[str, int]]] = {
    Case.MISSING: {
        "rest-json": ("MissingAuthenticationTokenException", 403),
        "json": ("MissingAuthenticationTokenException", 403),
        "query": ("MissingAuthenticationToken", 403),
        "rest-xml": ("AccessDenied", 403),
    },
    Case.MALFORMED: {
        "rest-json": ("IncompleteSignatureException", 403),
        "json": ("IncompleteSignatureException", 400),
        "query": ("IncompleteSignature", 400),
        "rest-xml": ("AuthorizationHeaderMalformed", 400),
    },
    Case.UNKNOWN_KEY: _UNRECOGNIZED | {"rest-xml": ("InvalidAccessKeyId", 403)},
    Case.BAD_TOKEN: _UNRECOGNIZED | {"rest-xml": ("InvalidToken", 400)},
    Case.MISMATCH: _INVALID_SIGNATURE | {"rest-xml": ("SignatureDoesNotMatch", 403)},
    Case.EXPIRED_SESSION: {
        "rest-json": ("ExpiredTokenException", 403),
        "json": ("ExpiredTokenException", 400),
        "query": ("ExpiredToken", 403),
        "rest-xml": ("ExpiredToken", 400),
    },
    Case.CLOCK: _INVALID_SIGNATURE | {"rest-xml": ("RequestTimeTooSkewed", 403)},
    Case.SCOPE: _INVALID_SIGNATURE | {"rest-xml": ("AuthorizationHeaderMalformed", 400)},
}
_TEXTS = {
    Case.MISSING: "Missing Authentication Token",
    Case.UNKNOWN_KEY: "The security token included in the request is invalid.",
    Case.BAD_TOKEN: "The security token included in the request is invalid.",
    Case.MISMATCH: (
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access "
        "Key and signing method. Consult the service documentation for details."
    ),
    Case.EXPIRED_SESSION: "The security token included in the request is expired",
}
_S3_TEXTS = {
    Case.MISSING: "Access Denied",
    Case.UNKNOWN_KEY: "The AWS Access Key Id you provided does not exist in our records.",
    Case.BAD_TOKEN: "The provided token is malformed or otherwise invalid.",
    Case.EXPIRED_SESSION: "The provided token has expired.",
    Case.CLOCK: "The difference between the request time and the current time is too large.",
}


def refusal(case: Case, protocol: str, message: str = "", **members: Any) -> ServiceRefusal:
    """The case in the words of a service that speaks `protocol`; `message` stands where AWS has no fixed sentence."""
    # RPC v2 is the json protocol in other bytes: the same codes.
    code, status = _CODES[case]["json" if protocol == CBOR else protocol]
    fixed = _S3_TEXTS.get(case) if protocol == "rest-xml" else None
    text = fixed or _TEXTS.get(case) or message
    return ServiceRefusal(code, text, http_status=status, **(members if protocol == "rest-xml" else {}))
