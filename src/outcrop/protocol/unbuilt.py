"""Services that Outcrop does not have, answered in their own protocol and under their own name.

A client of Lambda or DynamoDB that is pointed here by AWS_ENDPOINT_URL must hear that this service is not built, not
that some bucket is missing.
"""

import re
from typing import NamedTuple

from outcrop.protocol.http import HttpRequest
from outcrop.protocol.service_model import CBOR, SIGNING_NAMES
from outcrop.protocol.values import query_values

OPENAI = "openai"
"The protocol of OpenAI's clients, as far as errors go; their requests have an entrance of their own."
EC2 = "ec2"
"As query, but for the form of its errors."
_S3_CONTROL = "/v20180820/"
"It signs as S3 does."
_XML = ("cloudfront", "route53", "s3-control", "s3express", "s3-outposts")
_NAME = re.compile(r"[a-z0-9-]{1,64}")
_TARGET = re.compile(r"[A-Za-z0-9_.-]{1,128}")


class Unbuilt(NamedTuple):
    """The service in whose name and protocol to answer, and the sentence."""

    service: str
    protocol: str
    message: str


def unbuilt(request: HttpRequest, scope: str | None) -> Unbuilt | None:
    """None for a request that may be for a service of ours; `scope` is the service in its credential scope."""
    if scope is None:
        return None
    if scope == "s3" and request.raw_path.startswith(_S3_CONTROL) and "x-amz-account-id" in request.headers:
        return Unbuilt("s3-control", "rest-xml", _message("s3-control", f"{request.method} {request.raw_path[:200]}"))
    if scope in SIGNING_NAMES:
        return None
    service = scope if _NAME.fullmatch(scope) else "aws"
    protocol, asked = _spoken(request, service)
    return Unbuilt(service, protocol, _message(service, asked))


def unbuilt_target(target: str) -> Unbuilt:
    """The answer to an X-Amz-Target that no service here has, where nothing else tells which was meant."""
    prefix = target.rpartition(".")[0] if _TARGET.fullmatch(target) else ""
    return Unbuilt("aws", "json", _message(prefix or "The service asked for", target[:128]))


def _message(service: str, asked: str) -> str:
    return f"{service} is not built in Outcrop (asked for {asked}). The documentation lists the services that are."


def _spoken(request: HttpRequest, service: str) -> tuple[str, str]:
    """The protocol of the request, and the operation as it names it."""
    target = request.headers.get("x-amz-target", "")
    if target:
        return "json", target.rpartition(".")[2][:128]
    if request.headers.get("smithy-protocol"):
        return CBOR, f"{request.method} {request.raw_path[:200]}"
    fields = query_values.fields((request.body or b"").decode("utf-8", "replace")) if _is_form(request) else {}
    action = fields.get("Action") or query_values.fields(request.raw_query).get("Action")
    if action is not None or _is_form(request):
        return EC2 if service == "ec2" else "query", (action or "no Action")[:128]
    return "rest-xml" if service in _XML else "rest-json", f"{request.method} {request.raw_path[:200]}"


def _is_form(request: HttpRequest) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
