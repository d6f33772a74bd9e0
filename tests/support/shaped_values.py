"""botocore's own ends of the wire, for tests of the protocol room."""

import io
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from botocore import parsers
from botocore.awsrequest import AWSRequest, HeadersDict, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer

from outcrop.protocol import service_model
from outcrop.protocol.http import HttpRequest, HttpResponse

ENDPOINT = "http://127.0.0.1:4580"


@cache
def service_of_botocore(service: str) -> ServiceModel:
    """The service as boto3 knows it."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operation_of_botocore(service: str, name: str) -> OperationModel:
    return service_of_botocore(service).operation_model(name)


def protocol_of(service: str, wanted: str | None) -> str:
    """The protocol that was asked for, or the one botocore chooses."""
    return wanted or cast("str", service_of_botocore(service).resolved_protocol)


def request_from_botocore(
    operation: OperationModel, params: dict[str, Any], protocol: str | None = None
) -> HttpRequest:
    """What botocore would send, as the server sees it, with a scope but without a real signature."""
    service = operation.service_model.service_name
    written = create_serializer(protocol_of(service, protocol), include_validation=False).serialize_to_request(
        params, operation
    )
    prepare_request_dict(written, ENDPOINT)
    prepared = AWSRequest(
        method=written["method"], url=written["url"], headers=written["headers"], data=written["body"]
    ).prepare()
    scope = f"AKIDEXAMPLE/20260101/us-east-1/{service_model.signing_name(service)}/aws4_request"
    headers = {name.lower(): _text(value) for name, value in prepared.headers.items()}
    headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    url = urlsplit(prepared.url)
    body = prepared.body if isinstance(prepared.body, bytes) else (prepared.body or "").encode()
    return HttpRequest(
        method=prepared.method, raw_path=url.path or "/", raw_query=url.query, headers=headers, body=body
    )


def read_by_botocore(operation: OperationModel, response: HttpResponse, protocol: str | None = None) -> dict[str, Any]:
    """The response as a boto3 user would get it, without ResponseMetadata."""
    # As botocore's client does it: a payload of bytes is handed over unread.
    body = io.BytesIO(cast("bytes", response.body)) if operation.has_streaming_output else response.body
    wire = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": body}
    parser = parsers.create_parser(protocol_of(operation.service_model.service_name, protocol))
    parsed = cast("dict[str, Any]", parser.parse(wire, operation.output_shape))
    parsed.pop("ResponseMetadata", None)
    for name, value in parsed.items():
        if isinstance(value, io.BytesIO):
            parsed[name] = value.read()
    return parsed


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
