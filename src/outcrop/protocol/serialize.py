"""Responses in the protocol the client spoke, from the members of an operation's output; and the form of every
error."""

import base64
from collections.abc import Callable, Mapping
from typing import Any

from outcrop.protocol import eventstream, service_model, unbuilt
from outcrop.protocol.http import HttpResponse
from outcrop.protocol.shapes import ListShape, OperationModel, Shape, StructureShape
from outcrop.protocol.values import (
    cbor,
    cbor_values,
    json_values,
    scalars,
    xml_values,
)

XML_HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n'
_CBOR_HEADERS = {"smithy-protocol": "rpc-v2-cbor", "Content-Type": "application/cbor"}
_S3_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
# The service model does not hold the root elements S3 answers with; clients in typed languages look at them.
_S3_ROOTS = {
    "ListBuckets": "ListAllMyBucketsResult",
    "ListObjects": "ListBucketResult",
    "ListObjectsV2": "ListBucketResult",
    "ListObjectVersions": "ListVersionsResult",
    "ListMultipartUploads": "ListMultipartUploadsResult",
    "ListParts": "ListPartsResult",
    "CreateMultipartUpload": "InitiateMultipartUploadResult",
    "CompleteMultipartUpload": "CompleteMultipartUploadResult",
    "DeleteObjects": "DeleteResult",
    "GetObjectAttributes": "GetObjectAttributesResponse",
    "GetObjectTagging": "Tagging",
    "GetBucketTagging": "Tagging",
    "GetBucketVersioning": "VersioningConfiguration",
    "GetBucketAcl": "AccessControlPolicy",
    "GetObjectAcl": "AccessControlPolicy",
}


def serialize(
    operation: OperationModel, output: dict[str, Any], *, protocol: str, request_id: str, status: int | None = None
) -> HttpResponse:
    """The response to a call that succeeded. Event streams are added by the door: see `stream_head`."""
    shape = operation.output_shape
    if protocol == "rest-json" and shape is not None and shape.is_body_only:
        headers = {"x-amzn-RequestId": request_id, "Content-Type": "application/json"}
        body = json_values.dumps(json_values.write(shape, output))
        return HttpResponse(status=status or _status(operation, output), headers=headers, body=body)
    known = shape.members.keys() if shape is not None else set()
    assert output.keys() <= known, f"{operation.name} has no output {sorted(output.keys() - known)}"
    members = {name: value for name, value in output.items() if value is not None}
    if protocol == "query":
        response = _query(operation, members, request_id)
    elif protocol == "json":
        response = _json(operation, members)
    elif protocol == service_model.CBOR:
        response = _cbor(operation, members)
    else:
        response = _rest(operation, members, protocol)
    headers = request_id_headers(protocol, request_id) | response.headers
    return HttpResponse(status=status or _status(operation, members), headers=headers, body=response.body)


def stream_head(operation: OperationModel, output: dict[str, Any], *, request_id: str) -> HttpResponse:
    """Status and headers of a response whose body is a stream of events."""
    assert operation.output_shape is not None, f"{operation.name} has no output"
    headers = request_id_headers("rest-json", request_id) | _headers(operation.output_shape, output)
    headers["Content-Type"] = eventstream.CONTENT_TYPE
    return HttpResponse(status=operation.http.get("responseCode", 200), headers=headers)


def request_id_headers(protocol: str, request_id: str) -> dict[str, str]:
    if protocol == "rest-xml":
        return {"x-amz-request-id": request_id, "x-amz-id-2": host_id(request_id)}
    return {("x-request-id" if protocol == unbuilt.OPENAI else "x-amzn-RequestId"): request_id}


def host_id(request_id: str) -> str:
    """The extended request id, as S3 calls it, made from the request id."""
    return base64.b64encode(f"outcrop/{request_id}".encode()).decode()


def event_stream_shape(operation: OperationModel) -> StructureShape | None:
    """The shape of the events, for operations that answer with a stream of them."""
    return operation.event_stream


def _status(operation: OperationModel, members: dict[str, Any]) -> int:
    stated = operation.output_shape.status_member if operation.output_shape is not None else None
    if stated is not None and stated in members:
        return int(members[stated])
    return int(operation.http.get("responseCode", 200))


def _json(operation: OperationModel, members: dict[str, Any]) -> HttpResponse:
    version = operation.service_model.metadata.get("jsonVersion", "1.1")
    shape = operation.output_shape
    body = json_values.dumps(json_values.write(shape, members)) if shape is not None else b"{}"
    return HttpResponse(status=200, headers={"Content-Type": f"application/x-amz-json-{version}"}, body=body)


def _cbor(operation: OperationModel, members: dict[str, Any]) -> HttpResponse:
    shape = operation.output_shape
    body = cbor.dumps(cbor_values.write(shape, members)) if shape is not None else b""
    return HttpResponse(status=200, headers=dict(_CBOR_HEADERS), body=body)


def _query(operation: OperationModel, members: dict[str, Any], request_id: str) -> HttpResponse:
    shape, name = operation.output_shape, operation.name
    result = ""
    if shape is not None:
        wrapper = shape.serialization.get("resultWrapper", f"{name}Result")
        result = f"<{wrapper}>{xml_values.members(shape, members)}</{wrapper}>"
    uri = operation.service_model.metadata["xmlNamespace"]
    metadata = f"<ResponseMetadata><RequestId>{request_id}</RequestId></ResponseMetadata>"
    body = f'<{name}Response xmlns="{uri}">{result}{metadata}</{name}Response>'
    return HttpResponse(status=200, headers={"Content-Type": "text/xml"}, body=body.encode())


def _rest(operation: OperationModel, members: dict[str, Any], protocol: str) -> HttpResponse:
    shape = operation.output_shape
    if shape is None:
        # A JSON client may parse what it gets, an S3 client must not find anything.
        empty = protocol == "rest-json"
        headers = {"Content-Type": "application/json"} if empty else {}
        return HttpResponse(status=200, headers=headers, body=b"{}" if empty else b"")
    headers = _headers(shape, members)
    payload = shape.serialization.get("payload")
    if payload is not None:
        kind, body = _payload(shape.members[payload], members.get(payload), protocol)
    elif protocol == "rest-json":
        located = {name: value for name, value in members.items() if name in shape.in_body}
        kind, body = "application/json", json_values.dumps(json_values.write(shape, located))
    else:
        kind, body = _s3_document(operation, shape, members)
    return HttpResponse(status=200, headers=({"Content-Type": kind} if kind else {}) | headers, body=body)


def _payload(member: Shape, value: Any, protocol: str) -> tuple[str, Any]:
    """Content type and body of the member that is the whole payload."""
    if member.type_name == "blob":
        # S3's objects have the type they were stored with, or none.
        kind = "application/octet-stream" if protocol == "rest-json" else ""
        return kind, b"" if value is None else value
    if value is None:
        return "", b""
    if member.type_name == "string":
        return "text/plain", value.encode("utf-8", "replace")
    if protocol == "rest-json":
        return "application/json", json_values.dumps(json_values.write(member, value))
    root = member.serialization.get("name", member.name)
    attributes = "" if xml_values.namespace(member) else f' xmlns="{_S3_NAMESPACE}"'
    return "application/xml", (XML_HEAD + xml_values.write(member, value, root, attributes)).encode()


def _s3_document(operation: OperationModel, shape: StructureShape, members: dict[str, Any]) -> tuple[str, bytes]:
    if all("location" in member.serialization for member in shape.members.values()):
        return "", b""
    if operation.name == "GetBucketLocation":
        # The one answer whose root is its only member; us-east-1 is the empty one.
        region = xml_values.text(members.get("LocationConstraint", ""))
        root = f'<LocationConstraint xmlns="{_S3_NAMESPACE}">{region}</LocationConstraint>'
        return "application/xml", (XML_HEAD + root).encode()
    name = _S3_ROOTS.get(operation.name, shape.name)
    body = f'{XML_HEAD}<{name} xmlns="{_S3_NAMESPACE}">{xml_values.members(shape, members)}</{name}>'
    return "application/xml", body.encode()


def _headers(shape: StructureShape, members: Mapping[str, Any]) -> dict[str, str]:
    """The members that travel as headers."""
    headers: dict[str, str] = {}
    for name, member in shape.in_headers.items():
        value = members.get(name)
        if value is None:
            continue
        wire_name = member.serialization.get("name", name)
        if member.serialization["location"] == "headers":
            headers |= {f"{wire_name}{key}": str(inner) for key, inner in value.items()}
        else:
            headers[wire_name] = _header(member, value)
    return headers


def _header(member: Shape, value: Any) -> str:
    if member.serialization.get("jsonvalue"):
        return base64.b64encode(json_values.dumps(value)).decode()
    if isinstance(member, ListShape):
        return ",".join(scalars.write(member.member, item, "rfc822") for item in value)
    return scalars.write(member, value, "rfc822")


def serialize_error(
    protocol: str, *, service: str, code: str, message: str, status: int, members: Mapping[str, Any], request_id: str
) -> HttpResponse:
    """An error in the service's own form. `members` are those of the error's shape, by name."""
    headers = request_id_headers(protocol, request_id)
    if protocol == "rest-xml":
        body = _s3_error(code, message, members, request_id)
        return HttpResponse(status=status, headers=headers | {"Content-Type": "application/xml"}, body=body)
    if protocol == unbuilt.OPENAI:
        body = json_values.dumps({"error": openai_error(code, message, status, members)})
        return HttpResponse(status=status, headers=headers | {"Content-Type": "application/json"}, body=body)
    if protocol == unbuilt.EC2:
        body = _ec2_error(code, message, request_id)
        return HttpResponse(status=status, headers=headers | {"Content-Type": "text/xml"}, body=body)
    if protocol == "query":
        body = _query_error(service, code, message, status, request_id)
        return HttpResponse(status=status, headers=headers | {"Content-Type": "text/xml"}, body=body)
    if protocol in ("json", service_model.CBOR):
        headers |= _query_compatible(service, code, status)
        typed = {"__type": _error_type(service, code), "message": message}
    if protocol == service_model.CBOR:
        body = cbor.dumps(typed | _error_members(service, code, members, cbor_values.write))
        return HttpResponse(status=status, headers=headers | _CBOR_HEADERS, body=body)
    details = _error_members(service, code, members, json_values.write)
    if protocol == "json":
        version = service_model.metadata(service).get("jsonVersion", "1.1")
        headers["Content-Type"] = f"application/x-amz-json-{version}"
        return HttpResponse(status=status, headers=headers, body=json_values.dumps(typed | details))
    headers |= {"Content-Type": "application/json", "x-amzn-ErrorType": code}
    return HttpResponse(status=status, headers=headers, body=json_values.dumps({"message": message} | details))


def openai_error(code: str, message: str, status: int, members: Mapping[str, Any]) -> dict[str, Any]:
    """The value of `error` in a body or event of OpenAI's form; `members` may hold its param and its type."""
    usual = "server_error" if status >= 500 else "rate_limit_error" if status == 429 else "invalid_request_error"
    return {"message": message, "type": members.get("type", usual), "param": members.get("param"), "code": code}


def _query_compatible(service: str, code: str, status: int) -> dict[str, str]:
    """A service that once spoke query only still gives its clients the codes they knew, in a header."""
    if "awsQueryCompatible" not in service_model.metadata(service):
        return {}
    return {"x-amzn-query-error": f"{code};{'Sender' if status < 500 else 'Receiver'}"}


def _error_type(service: str, code: str) -> str:
    """The name of an error's shape, which is mostly its code, too."""
    shape = service_model.error_shapes(service).get(code)
    return code if shape is None or "awsQueryCompatible" not in service_model.metadata(service) else shape.name


def _error_members(
    service: str, code: str, members: Mapping[str, Any], write: Callable[[Shape, Any], Any]
) -> dict[str, Any]:
    shape = service_model.error_shapes(service).get(code)
    if not isinstance(shape, StructureShape):
        return dict(members)
    return dict(write(shape, dict(members)))


def _query_error(service: str, code: str, message: str, status: int, request_id: str) -> bytes:
    uri = service_model.metadata(service).get("xmlNamespace", xml_values.text(f"https://{service}.amazonaws.com/doc/"))
    kind = "Sender" if status < 500 else "Receiver"
    return (
        f'<ErrorResponse xmlns="{uri}"><Error><Type>{kind}</Type><Code>{code}</Code>'
        f"<Message>{xml_values.text(message)}</Message></Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    ).encode()


def _ec2_error(code: str, message: str, request_id: str) -> bytes:
    return (
        f"{XML_HEAD}<Response><Errors><Error><Code>{code}</Code><Message>{xml_values.text(message)}</Message></Error>"
        f"</Errors><RequestID>{request_id}</RequestID></Response>"
    ).encode()


def _s3_error(code: str, message: str, members: Mapping[str, Any], request_id: str) -> bytes:
    extra = "".join(f"<{name}>{xml_values.text(str(value))}</{name}>" for name, value in members.items())
    return (
        f"{XML_HEAD}<Error><Code>{code}</Code><Message>{xml_values.text(message)}</Message>{extra}"
        f"<RequestId>{request_id}</RequestId><HostId>{host_id(request_id)}</HostId></Error>"
    ).encode()
