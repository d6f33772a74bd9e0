"""The service's own error for what went wrong: its code, status and members. The one place that knows both."""

import math
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from typing import Any

from outcrop.api.openai.rates import rate_headers
from outcrop.errors import (
    Conflict,
    Denied,
    Invalid,
    MachineTrouble,
    ModelFailed,
    NotFound,
    NotReady,
    QuotaExceeded,
    Refusal,
    ServiceRefusal,
    Throttled,
    Unavailable,
    Unreadable,
)
from outcrop.protocol import eventstream, service_model
from outcrop.protocol.routing import UnknownOperation
from outcrop.protocol.shapes import OperationModel, StructureShape
from outcrop.protocol.unbuilt import EC2, OPENAI


@dataclass(frozen=True, kw_only=True)
class Failure:
    code: str
    message: str
    status: int
    members: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


# Codes by preference: the first that the operation declares is taken. An operation of Bedrock that declares no
# ConflictException says ValidationException for the same thing (CreateProvisionedModelThroughput does).
_DECLARED: dict[type[Refusal], tuple[str, ...]] = {
    Invalid: ("ValidationException", "ValidationError"),
    NotFound: ("ResourceNotFoundException", "ResourceNotFound", "NoSuchEntity", "ValidationException"),
    Conflict: ("ConflictException", "ResourceInUse", "EntityAlreadyExists", "DeleteConflict", "ValidationException"),
    QuotaExceeded: ("ServiceQuotaExceededException", "ResourceLimitExceeded", "LimitExceeded", "ValidationException"),
    # Rerank knows no word for an engine that is being started; clients come again for this one by themselves.
    NotReady: ("ModelNotReadyException", "ServiceUnavailableException", "ServiceUnavailable", "ThrottlingException"),
    Throttled: ("ThrottlingException", "Throttling"),
    ModelFailed: (
        "ModelErrorException", "ModelError", "ModelStreamErrorException", "ModelStreamError", "InternalServerException",
    ),
}  # fmt: skip

# Services that say the same thing in words of their own, declared or not; of these, too, the first that is declared.
_OF_SERVICE: dict[str, dict[type[Refusal], tuple[str, ...]]] = {
    "logs": {
        Invalid: ("InvalidParameterException",), Conflict: ("ResourceAlreadyExistsException",),
        NotFound: ("ResourceNotFoundException",), QuotaExceeded: ("LimitExceededException",),
    },
    "cloudwatch": {
        Invalid: ("InvalidParameterValue", "ValidationError"), QuotaExceeded: ("LimitExceeded",),
        NotFound: ("ResourceNotFoundException", "ResourceNotFound"),
    },
    "application-autoscaling": {
        NotFound: ("ResourceNotFoundException", "ObjectNotFoundException"), Conflict: ("ConcurrentUpdateException",),
        QuotaExceeded: ("LimitExceededException",),
    },
    "s3vectors": {NotFound: ("NotFoundException",), Throttled: ("TooManyRequestsException",)},
}  # fmt: skip

# Where nothing is declared (Access denied is understood everywhere, S3 declares next to nothing): rest-json, json,
# query, rest-xml, and OpenAI's form.
_OTHERWISE: dict[type[Refusal], tuple[tuple[str, int], ...]] = {
    Invalid: (
        ("ValidationException", 400), ("ValidationException", 400), ("ValidationError", 400), ("InvalidArgument", 400),
        ("invalid_value", 400),
    ),
    NotFound: (
        ("ResourceNotFoundException", 404), ("ResourceNotFound", 400), ("NoSuchEntity", 404), ("NoSuchKey", 404),
        ("not_found", 404),
    ),
    Conflict: (
        ("ConflictException", 400), ("ConflictException", 400), ("EntityAlreadyExists", 409), ("OperationAborted", 409),
        ("conflict", 409),
    ),
    Denied: (
        ("AccessDeniedException", 403), ("AccessDeniedException", 400), ("AccessDenied", 403), ("AccessDenied", 403),
        ("access_denied", 403),
    ),
    QuotaExceeded: (
        ("ServiceQuotaExceededException", 400), ("ResourceLimitExceeded", 400), ("LimitExceeded", 409),
        ("InvalidRequest", 400),
        ("limit_exceeded", 400),
    ),
    NotReady: (
        ("ModelNotReadyException", 429), ("ServiceUnavailableException", 503), ("ServiceUnavailable", 503),
        ("ServiceUnavailable", 503),
        ("model_not_ready", 503),
    ),
    Throttled: (
        ("ThrottlingException", 429), ("ThrottlingException", 400), ("Throttling", 400), ("SlowDown", 503),
        ("rate_limit_exceeded", 429),
    ),
    ModelFailed: (
        ("ModelErrorException", 424), ("InternalFailure", 500), ("InternalFailure", 500), ("InternalError", 500),
        ("model_error", 500),
    ),
    Unreadable: (
        ("SerializationException", 400), ("SerializationException", 400), ("ValidationError", 400),
        ("MalformedXML", 400),
        ("invalid_body", 400),
    ),
    UnknownOperation: (
        ("UnknownOperationException", 404), ("UnknownOperationException", 400), ("InvalidAction", 400),
        ("MethodNotAllowed", 405),
        ("unknown_url", 404),
    ),
}  # fmt: skip
_INTERNAL = (
    ("InternalServerException", 500), ("InternalFailure", 500), ("ServiceFailure", 500), ("InternalError", 500),
    ("server_error", 500),
)  # fmt: skip
_UNAVAILABLE = (
    ("ServiceUnavailableException", 503), ("ServiceUnavailableException", 503), ("ServiceUnavailable", 503),
    ("ServiceUnavailable", 503), ("server_error", 503),
)  # fmt: skip
_COLUMNS = {"rest-json": 0, "json": 1, service_model.CBOR: 1, "query": 2, EC2: 2, "rest-xml": 3, OPENAI: 4}
_WITH_501 = ("query", EC2, "rest-xml")
_INTERNAL_MESSAGE = "The request could not be completed because of an error inside Outcrop. Its log has the details."


def failure(error: Exception, *, service: str, protocol: str, operation: OperationModel | None) -> Failure:
    """How the service says it over HTTP."""
    declared = {shape.error_code for shape in operation.error_shapes} if operation is not None else set()
    if protocol == OPENAI:
        found = _failure(error, protocol, ())
        return replace(found, headers=_headers(error) | rate_headers(getattr(error, "rates", {})))
    found = _failure(error, protocol, declared)
    if isinstance(error, ServiceRefusal):
        return found
    own = next((codes for kind, codes in _OF_SERVICE.get(service, {}).items() if isinstance(error, kind)), ())
    if own:
        found = replace(found, code=next((code for code in own if code in declared), own[-1]), status=400)
    if protocol == "rest-xml" and isinstance(error, UnknownOperation) and service not in service_model.SERVICES:
        return Failure(code="NotImplemented", message=error.message, status=501)
    shape = service_model.error_shapes(service).get(found.code)
    modelled = shape.metadata.get("error", {}).get("httpStatusCode") if shape is not None else None
    return replace(found, status=modelled or found.status, headers=_headers(error))


def frame(error: Exception, stream: StructureShape) -> bytes:
    """How it is said in an event stream whose head has already been sent."""
    declared = {shape.error_code for shape in stream.structures.values() if shape.metadata.get("exception")}
    found = _failure(error, "rest-json", declared)
    member = eventstream.exception_member(stream, found.code)
    if member is None:
        return eventstream.encode_error(found.code, found.message)
    name, shape = member
    members = {key: value for key, value in found.members.items() if key in shape.members}
    return eventstream.encode_exception(name, found.message, **members)


def unbuilt(operation: OperationModel, protocol: str) -> Refusal:
    """An operation that Outcrop does not have; by name, and with a code that clients do not retry."""
    text = f"{operation.name} is not built in Outcrop yet. The documentation lists the operations that are."
    # A program takes IAM's ValidationError for a word about its own values.
    return ServiceRefusal("NotImplemented", text, http_status=501) if protocol in _WITH_501 else Invalid(text)


def too_large(protocol: str, limit: int) -> ServiceRefusal:
    """A body beyond what the operation takes."""
    text = f"The request body is larger than the {limit:,} bytes that this operation takes. Send less."
    if protocol == OPENAI:
        return ServiceRefusal("request_too_large", text, http_status=413)
    code = "MaxMessageLengthExceeded" if protocol == "rest-xml" else "RequestEntityTooLargeException"
    return ServiceRefusal(code, text, http_status=400 if protocol == "rest-xml" else 413)


def is_expected(error: Exception) -> bool:
    """True for what a caller did; the rest is logged with its traceback."""
    return isinstance(error, Refusal)


def _headers(error: Exception) -> dict[str, str]:
    # Whole seconds, rounded up: who comes a moment too early is refused once more (RFC 9110, section 10.2.3).
    return {"Retry-After": str(max(1, math.ceil(error.retry_after_s)))} if isinstance(error, Throttled) else {}


def _failure(error: Exception, protocol: str, declared: Collection[str]) -> Failure:
    if isinstance(error, ServiceRefusal):
        return Failure(
            code=error.code,
            message=error.message,
            status=error.http_status,
            members=error.members,
            headers=error.headers,
        )
    column = _COLUMNS[protocol]
    for kind, answers in _OTHERWISE.items():
        if isinstance(error, kind):
            code, status = answers[column]
            code = next((each for each in _DECLARED.get(kind, ()) if each in declared), code)
            return Failure(code=code, message=error.message, status=status)
    code, status = (_UNAVAILABLE if isinstance(error, Unavailable) else _INTERNAL)[column]
    message = error.message if isinstance(error, MachineTrouble) else _INTERNAL_MESSAGE
    return Failure(code=code, message=message, status=status)
