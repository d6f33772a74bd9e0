"""Do we read what botocore writes, does botocore read what we write, and what is refused? For every operation there is.

One test a service, not one an operation: the name of the operation stands in front of what went wrong.
"""

import random
from collections.abc import Callable, Iterator
from functools import cache
from typing import Any
from urllib.parse import parse_qsl

import pytest
from botocore.model import OperationModel as BotocoreOperation
from moto.core.loaders import Loader as MotoLoader
from moto.core.model import OperationModel as MotoOperation
from moto.core.model import ServiceModel as MotoService
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import get_serializer_class
from werkzeug.datastructures import Headers, MultiDict

from outcrop.protocol import service_model, shapes, validate
from outcrop.protocol.http import HttpRequest, HttpResponse
from outcrop.protocol.parse import parse
from outcrop.protocol.routing import Routed, route, scope_service
from outcrop.protocol.serialize import serialize
from outcrop.protocol.values.query_values import fields
from tests.support.broken_values import broken
from tests.support.random_values import Maker
from tests.support.shaped_values import operation_of_botocore, protocol_of, read_by_botocore, request_from_botocore

ROUNDS = 2
SESSION = "arn:aws:bedrock:us-east-1:123456789012:session/0a1b2c3d-0a1b-0a1b-0a1b-0a1b2c3d4e5f"
# CloudWatch speaks three protocols; botocore itself would only ever choose one of them.
SPOKEN = [
    *((service, None) for service in service_model.SERVICES),
    ("cloudwatch", "query"),
    ("cloudwatch", service_model.CBOR),
]
# Each has a successor at the same method and path, which is who answers; one is told by its host name only.
SUPERSEDED = {
    "GetBucketLifecycle", "GetBucketNotification", "PutBucketLifecycle", "PutBucketNotification", "ListDirectoryBuckets",
}  # fmt: skip
every_service = pytest.mark.parametrize(("service", "protocol"), SPOKEN)


def each_operation(service: str, protocol: str | None, salt: str) -> Iterator[tuple[BotocoreOperation, Maker]]:
    for name in service_model.load(service).operation_names:
        if service == "s3" and name in SUPERSEDED:
            continue
        operation = operation_of_botocore(service, name)
        for number in range(ROUNDS):
            loose = number % 2 == 1  # texts beyond ASCII and beyond what a pattern allows must travel, too
            yield operation, Maker(random.Random(f"{service} {protocol} {name} {number} {salt}"), loose=loose)


def collected(cases: Iterator[tuple[BotocoreOperation, Maker]], check: Callable[[Any, Maker], None]) -> None:
    failed = []
    for operation, maker in cases:
        try:
            check(operation, maker)
        except Exception as error:
            failed.append(f"{operation.name}: {type(error).__name__} {str(error)[:600]}")
    assert not failed, "\n".join(failed)


def asked(operation: BotocoreOperation, maker: Maker, protocol: str | None) -> tuple[dict[str, Any], HttpRequest]:
    """Random input, and the request that botocore makes of it."""
    service = operation.service_model.service_name
    params = maker.operation_input(service_model.operation(service, operation.name))
    if service == "bedrock-agent-runtime" and "resourceArn" in params:
        params["resourceArn"] = SESSION  # tells it from bedrock-agent, whose tags have the same path
    if operation.name == "WriteGetObjectResponse":
        params["RequestRoute"] = "route"  # a part of the host's name, beside being a header
    return params, request_from_botocore(operation, params, protocol)


def understood(request: HttpRequest) -> tuple[Routed, dict[str, Any]]:
    routed = route(request, scope_service(request))
    return routed, parse(routed, request)


@every_service
def test_a_request_of_botocore_is_routed_and_read_as_it_was_meant(service: str, protocol: str | None) -> None:
    def check(operation: BotocoreOperation, maker: Maker) -> None:
        if operation.input_shape is None or operation.has_event_stream_input:
            return
        params, request = asked(operation, maker, protocol)
        routed, read = understood(request)
        assert (routed.service, routed.operation.name) == (service, operation.name)
        assert routed.protocol == protocol_of(service, protocol)
        if service_model.streams_in(routed.operation):
            read.pop("ContentLength", None)  # the length of this very request
            params.pop("ContentLength", None)
        assert read == params
        if not maker.loose and routed.operation.input_shape is not None:
            assert validate.violations(routed.operation.input_shape, read) == []

    collected(each_operation(service, protocol, "in"), check)


@every_service
def test_botocore_reads_an_answer_as_it_was_meant(service: str, protocol: str | None) -> None:
    def check(operation: BotocoreOperation, maker: Maker) -> None:
        shape = service_model.operation(service, operation.name).output_shape
        if shape is None or operation.has_event_stream_output or operation.name == "GetBucketLocation":
            return  # botocore's client, not its parser, reads the one answer whose root is its only member
        output, response = answered(operation, shape, maker, protocol)
        assert response.status == output.get("StatusCode", operation.http.get("responseCode", 200))
        read = read_by_botocore(operation, response, protocol_of(service, protocol))
        assert without_absent_payload(shape, output, read) == output

    collected(each_operation(service, protocol, "out"), check)


def answered(
    operation: BotocoreOperation, shape: shapes.StructureShape, maker: Maker, protocol: str | None
) -> tuple[dict[str, Any], HttpResponse]:
    service = operation.service_model.service_name
    output = maker.structure(shape)
    for name, member in shape.members.items():
        if member.serialization.get("location") == "statusCode" and name in output:
            output[name] = 200
    own = service_model.operation(service, operation.name)
    return output, serialize(own, output, protocol=protocol_of(service, protocol), request_id="1234")


def without_absent_payload(
    shape: shapes.StructureShape, output: dict[str, Any], read: dict[str, Any]
) -> dict[str, Any]:
    """botocore makes something of a body that is not there, and of headers that are not: neither was said."""
    payload = shape.serialization.get("payload")
    if "ContentType" not in output and payload is not None:
        read.pop("ContentType", None)  # what bytes are sent as when nobody said
    for name, member in shape.members.items():
        headers = member.serialization.get("location") == "headers" and read.get(name) == {}
        status = member.serialization.get("location") == "statusCode"
        if name not in output and (name == payload or headers or status):
            read.pop(name, None)
    return read


@every_service
def test_what_breaks_one_constraint_is_refused_by_the_member_s_path(service: str, protocol: str | None) -> None:
    refused = 0

    def check(operation: BotocoreOperation, maker: Maker) -> None:
        nonlocal refused
        shape = service_model.operation(service, operation.name).input_shape
        if shape is None:
            return
        for changed, path in broken(shape, maker):
            found = validate.violations(shape, changed)
            assert any(f" at '{path}' failed to satisfy constraint: " in each for each in found), (path, found)
            refused += 1

    collected(each_operation(service, protocol, "bad"), check)
    assert refused


@pytest.mark.parametrize("service", ["bedrock", "bedrock-agent", "sagemaker", "iam", "sts", "kms", "logs", "s3"])
def test_moto_reads_a_request_of_botocore_as_we_do(service: str) -> None:
    def check(operation: BotocoreOperation, maker: Maker) -> None:
        if operation.input_shape is None or service_model.streams_in(service_model.operation(service, operation.name)):
            return
        _, request = asked(operation, maker, None)
        routed, ours = understood(request)
        assert comparable(read_by_moto(operation, routed, request)) == comparable(ours)

    collected(each_operation(service, None, "moto"), check)


@cache
def service_of_moto(service: str) -> MotoService:
    return MotoService(MotoLoader().load_service_model(service, "service-2"), service)


def operation_of_moto(operation: BotocoreOperation) -> MotoOperation:
    return service_of_moto(operation.service_model.service_name).operation_model(operation.name)


def read_by_moto(operation: BotocoreOperation, routed: Routed, request: HttpRequest) -> dict[str, Any]:
    query = MultiDict(list(_pairs(request)))
    form = fields((request.body or b"").decode()) if routed.protocol == "query" else query
    wire = {
        "body": request.body or b"",
        "headers": Headers(list(request.headers.items())),
        "method": request.method,
        "url_params": routed.path_parameters,
        "url_path": request.raw_path,
        "values": form,
    }
    read: dict[str, Any] = PROTOCOL_PARSERS[routed.protocol](operation_of_moto(operation)).parse(wire)
    return read


def _pairs(request: HttpRequest) -> Iterator[tuple[str, str]]:
    yield from parse_qsl(request.raw_query, keep_blank_values=True)


def comparable(value: Any) -> Any:
    """Without the zone of moments, which moto drops, and the empty map it makes of absent headers."""
    if isinstance(value, dict):
        return {key: comparable(inner) for key, inner in value.items() if (key, inner) != ("Metadata", {})}
    if isinstance(value, list):
        return [comparable(inner) for inner in value]
    return value.replace(tzinfo=None) if hasattr(value, "tzinfo") else value


@pytest.mark.parametrize("service", ["bedrock", "bedrock-agent", "sagemaker", "iam", "sts", "kms", "logs"])
def test_botocore_reads_the_same_from_our_answer_as_from_moto_s(service: str) -> None:
    def check(operation: BotocoreOperation, maker: Maker) -> None:
        shape = service_model.operation(service, operation.name).output_shape
        if shape is None or operation.has_event_stream_output:
            return
        output, ours = answered(operation, shape, maker, None)
        protocol = protocol_of(service, None)
        theirs = get_serializer_class(service, protocol)(operation_of_moto(operation)).serialize(output)
        body = theirs["body"]
        wire = HttpResponse(
            status=theirs["status_code"],
            headers={name: str(value) for name, value in theirs["headers"].items()},
            body=body.encode() if isinstance(body, str) else body,
        )
        assert wire.status == ours.status
        assert read_by_botocore(operation, wire, protocol) == read_by_botocore(operation, ours, protocol)

    collected(each_operation(service, None, "moto-out"), check)
