"""Bedrock API keys, sent as `Authorization: Bearer <key>`.

A long-term key is a text that IAM made and that access knows. A short-term key is a presigned request of SigV4 in
base64, made by whoever has credentials (`aws-bedrock-token-generator`): nobody stores it, it is verified like any other
presigned request, and it is good for every operation of Bedrock in its region until it expires.
"""

import base64
import binascii
import re
from urllib.parse import unquote

from outcrop.errors import ServiceRefusal
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.paths import query_pairs

SERVICES = ("bedrock", "bedrock-runtime", "bedrock-agent", "bedrock-agent-runtime")
MAX_LIFETIME_S = 12 * 3600
_SCHEME = "Bearer "
_SHORT_TERM = "bedrock-api-key-"
_HOST = "bedrock.amazonaws.com"
# Added behind the signed query by those who make such keys, so no part of what was signed.
_VERSION = "&Version=1"
_REGION_IN_HOST = re.compile(r"bedrock[a-z-]*\.([a-z]{2}(?:-[a-z]+)+-\d)\.")
_REGION_IN_ARN = re.compile(r"/arn:aws[a-z-]*:bedrock:([a-z]{2}(?:-[a-z]+)+-\d):")


def claims(request: HttpRequest) -> bool:
    """Whether the request brings an API key."""
    return request.headers.get("authorization", "").startswith(_SCHEME)


def token(request: HttpRequest) -> str:
    return request.headers["authorization"].removeprefix(_SCHEME).strip()


def presigned(key: str) -> HttpRequest | None:
    """The request that a short-term key is; None for any other key. Refuses one that cannot be read."""
    if not key.startswith(_SHORT_TERM):
        return None
    try:
        url = base64.b64decode(key.removeprefix(_SHORT_TERM), validate=True).decode("ascii")
    except (binascii.Error, ValueError):
        raise invalid() from None
    host, slash, query = url.removesuffix(_VERSION).partition("/?")
    fields = {unquote(name): unquote(value) for name, value in query_pairs(query)}
    lifetime = fields.get("X-Amz-Expires", "")
    if host != _HOST or not slash or fields.get("Action") != "CallWithBearerToken":
        raise invalid()
    if not (lifetime.isascii() and lifetime.isdecimal()) or len(lifetime) > 9 or int(lifetime) > MAX_LIFETIME_S:
        raise invalid()
    return HttpRequest(method="POST", raw_path="/", raw_query=query, headers={"host": host}, body=b"")


def region_of(request: HttpRequest, *, default: str) -> str:
    """The region that a request with a long-term key speaks to.

    Such a request says so in its host or in an ARN of its path, if at all.
    """
    found = _REGION_IN_HOST.match(request.headers.get("host", ""))
    found = found or _REGION_IN_ARN.search(unquote(request.raw_path))
    return found[1] if found else default


def invalid() -> ServiceRefusal:
    text = "Authentication failed: Please make sure your API Key is valid."
    return ServiceRefusal("AccessDeniedException", text, http_status=403)


def expired() -> ServiceRefusal:
    return ServiceRefusal("AccessDeniedException", "Bearer Token has expired", http_status=403)
