"""Requests and answers of real Bedrock's runtime, made and read by botocore; it is imported when first needed.

Bodies of InvokeModel pass as they are. What Bedrock refuses becomes an error with its code, status and members.
"""

import json
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, NamedTuple

from botocore import awsrequest, eventstream, loaders, model, parsers, serialize
from botocore.auth import SigV4Auth
from botocore.credentials import Credentials

from outcrop.errors import ModelFailed, OutcropError, ServiceRefusal
from outcrop.invocation.remote import failures
from outcrop.invocation.remote.credentials import AwsKeys, BearerKey, RemoteKey

_SERVICE = "bedrock-runtime"
_SIGNING_NAME = "bedrock"
_CREDENTIALS = frozenset(
    {
        "UnrecognizedClientException", "InvalidSignatureException", "ExpiredTokenException", "ExpiredToken",
        "MissingAuthenticationTokenException", "MissingAuthenticationToken", "IncompleteSignatureException",
        "InvalidClientTokenId", "SignatureDoesNotMatch",
    }
)  # fmt: skip
"Codes that speak of who asks there. Passed on, they would be taken for a word about the caller's own key here."
_NOT_MEMBERS = ("Error", "ResponseMetadata", "message", "Message")


class WireRequest(NamedTuple):
    """A signed request."""

    url: str
    headers: Mapping[str, str]
    body: bytes


def request(operation: str, params: Mapping[str, Any], *, url: str, region: str, key: RemoteKey | None) -> WireRequest:
    """The request for an operation at `url`, with the credentials in its headers."""
    made = serialize.create_serializer("rest-json", include_validation=False).serialize_to_request(
        dict(params), _operation(operation)
    )
    headers = {**made["headers"], "user-agent": "outcrop"}
    signed = awsrequest.AWSRequest(method="POST", url=url + made["url_path"], headers=headers, data=made["body"])
    if isinstance(key, BearerKey):
        signed.headers["Authorization"] = f"Bearer {key.key}"
    elif isinstance(key, AwsKeys):
        credentials = Credentials(key.access_key_id, key.secret_access_key, key.session_token or None)
        SigV4Auth(credentials, _SIGNING_NAME, region).add_auth(signed)
    return WireRequest(signed.url, dict(signed.headers.items()), _bytes(made["body"]))


def answer(operation: str, status: int, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
    """The members of an operation's output."""
    # A bytearray where the body is a blob: botocore would read bytes as text.
    told = {"status_code": status, "headers": awsrequest.HeadersDict(headers), "body": bytearray(body)}
    shape = _operation(operation).output_shape
    payload = shape.serialization.get("payload")
    if payload is None:
        told["body"] = body
    members: dict[str, Any] = parsers.create_parser("rest-json").parse(told, shape)
    members.pop("ResponseMetadata", None)
    return members if payload is None else members | {payload: body}


def head(operation: str, headers: Mapping[str, str]) -> dict[str, Any]:
    """The members of a streaming output that stand in its headers."""
    found = {}
    for name, member in _operation(operation).output_shape.members.items():
        header = member.serialization.get("name", name).lower()
        if member.serialization.get("location") == "header" and header in headers:
            found[name] = headers[header]
    return found


def refusal(
    operation: str, status: int, headers: Mapping[str, str], body: bytes, *, host: str, key: RemoteKey | None
) -> OutcropError:
    """The error that an answer of this status stands for."""
    parser = parsers.create_parser("rest-json")
    told = {"status_code": max(status, 301), "headers": awsrequest.HeadersDict(headers), "body": body}
    try:
        parsed = parser.parse(told, _operation(operation).output_shape)
        code, message = str(parsed["Error"].get("Code") or ""), str(parsed["Error"].get("Message") or "")
        shape = next((each for each in _operation(operation).error_shapes if each.error_code == code), None)
        members = parser.parse(told, shape) if shape is not None else {}
    except (parsers.ResponseParserError, KeyError, AttributeError):
        return ModelFailed(f"{host} answered {status}, in another form than Bedrock's. Is that its address?")
    if not code or code.isdecimal():  # it comes from something before Bedrock
        return failures.refusal(host, status, headers, body, key.secrets if key is not None else ())
    return _refused(code, message, status, members, host=host, key=key)


class EventReader:
    """The events of a stream, taken from its bytes as they come."""

    def __init__(self, operation: str, *, host: str, key: RemoteKey | None) -> None:
        output = _operation(operation).output_shape
        self._shape = output.members[output.event_stream_name or output.serialization["payload"]]
        self._parser = parsers.EventStreamJSONParser()
        self._buffer = eventstream.EventStreamBuffer()
        self._host = host
        self._key = key

    def push(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """The events, one key each, that are whole by now. Raises what a stream's own exception stands for."""
        self._buffer.add_data(piece)
        for message in self._buffer:
            told = message.to_response_dict()
            parsed = self._parser.parse(told, self._shape)
            parsed.pop("ResponseMetadata", None)
            if "Error" in parsed:
                raise self._refused(parsed["Error"], told["body"])
            if parsed:  # an event that botocore's model does not know yet is left out
                yield parsed

    def _refused(self, error: Mapping[str, str], body: bytes) -> OutcropError:
        member = self._shape.members.get(error["Code"])
        if member is None:
            return _refused(error["Code"], error["Message"], 500, {}, host=self._host, key=self._key)
        status = member.metadata.get("error", {}).get("httpStatusCode", 500)
        members = _json_object(body)
        return _refused(member.error_code, error["Message"], status, members, host=self._host, key=self._key)


def _refused(
    code: str, message: str, status: int, members: Mapping[str, Any], *, host: str, key: RemoteKey | None
) -> OutcropError:
    told = failures.hidden(message, key.secrets if key is not None else ())
    if code in _CREDENTIALS:
        return ModelFailed(
            f"{host} does not accept the credentials of this model ({code}). Register it again with valid ones: "
            "`outcrop register`."
        )
    kept = {name: value for name, value in members.items() if name not in _NOT_MEMBERS}
    return ServiceRefusal(code, told, http_status=status, **kept)


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        told = json.loads(body)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _bytes(body: Any) -> bytes:
    return body.encode() if isinstance(body, str) else bytes(body)


def _operation(name: str) -> Any:
    return _service().operation_model(name)


@cache
def _service() -> Any:
    return model.ServiceModel(loaders.Loader().load_service_model(_SERVICE, "service-2"), _SERVICE)
