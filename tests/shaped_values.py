"""Random values for a shape of a service model, and botocore's own ends of the wire, for tests of the protocol room."""

import io
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, cast
from urllib.parse import urlsplit

from botocore import parsers
from botocore.awsrequest import AWSRequest, HeadersDict, prepare_request_dict
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape
from botocore.serialize import create_serializer
from hypothesis import strategies as st

from outcrop.protocol import service_model
from outcrop.protocol.http import HttpRequest, HttpResponse

ENDPOINT = "http://127.0.0.1:4580"
DEEPEST = 4

_PRINTABLE = st.characters(min_codepoint=0x20, max_codepoint=0x2FFF, exclude_categories=("Cs", "Cc", "Cn", "Co"))
_TEXT = st.text(_PRINTABLE, max_size=8)
_WORD = st.text("abcdefghijklmnopqrstuvwxyz0123456789-", min_size=3, max_size=8)
_HEADER_TEXT = st.text("abcXYZ019 ;:=/+*()\"'", min_size=1, max_size=8).map(str.strip).filter(bool)
_ID = st.one_of(
    st.text(_PRINTABLE, min_size=1, max_size=8),
    st.just("arn:aws:bedrock:us-east-1:123456789012:custom-model-deployment/abc123def456"),
    st.just("anthropic.claude-3-haiku-20240307-v1:0"),
    st.sampled_from(["a/b", "a%2Fb", "..", "+", "a b", "ü/日"]),
)
_MOMENT = st.integers(0, 4_000_000_000).map(lambda s: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=s))
_JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-999, 999), _TEXT),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(_TEXT, inner, max_size=2),
    max_leaves=4,
)


@cache
def service_of_botocore(service: str) -> ServiceModel:
    """The service as boto3 knows it."""
    return ServiceModel(Loader().load_service_model(service, "service-2"), service)


def operation_of_botocore(service: str, name: str) -> OperationModel:
    return service_of_botocore(service).operation_model(name)


def draw_structure(draw: Any, shape: StructureShape, depth: int = 0, *, place: str = "body") -> dict[str, Any]:
    """Required members always, others at random, in a union exactly one."""
    usable = {name: member for name, member in shape.members.items() if _is_drawn(member)}
    if shape.is_tagged_union:
        leaves = [n for n, m in usable.items() if m.type_name not in ("structure", "list", "map")]
        chosen = {draw(st.sampled_from(leaves if depth >= DEEPEST and leaves else list(usable)))}
    else:
        optional = [name for name in usable if name not in shape.required_members]
        # A structure without members vanishes in a form, so one inside of another always has one.
        least = 1 if depth and len(optional) == len(usable) else 0
        most = 3 if depth < DEEPEST else least
        wanted = draw(st.lists(st.sampled_from(optional), min_size=least, max_size=most)) if optional else []
        chosen = {name for name in shape.required_members if name in usable} | set(wanted)
    return {
        name: draw_value(draw, usable[name], depth + 1, place=usable[name].serialization.get("location", place))
        for name in usable
        if name in chosen
    }


def draw_value(draw: Any, shape: Shape, depth: int, *, place: str) -> Any:
    if getattr(shape, "is_document_type", False):
        return draw(st.dictionaries(_TEXT, _JSON, max_size=2))
    if isinstance(shape, StructureShape):
        return draw_structure(draw, shape, depth)
    most = 2 if depth < DEEPEST + 2 else 1
    if isinstance(shape, ListShape):
        # An empty list and an absent one look the same in XML and in forms.
        return [draw_value(draw, shape.member, depth + 1, place=place) for _ in range(draw(st.integers(1, most)))]
    if isinstance(shape, MapShape):
        key = _WORD if place == "headers" else st.text(_PRINTABLE, min_size=1, max_size=5)
        keys = draw(st.lists(key, min_size=1, max_size=most, unique=True))
        return {each: draw_value(draw, shape.value, depth + 1, place=place) for each in keys}
    return draw(_scalar(shape, place))


def _is_drawn(member: Shape) -> bool:
    return not (member.serialization.get("streaming") or member.serialization.get("eventstream"))


def _scalar(shape: Shape, place: str) -> st.SearchStrategy[Any]:
    match shape.type_name:
        case "string" | "character":
            if shape.enum:
                return st.sampled_from(shape.enum)
            if place == "uri":
                return _WORD if shape.name == "BucketName" else _ID
            return _HEADER_TEXT if place in ("header", "headers") else _TEXT
        case "integer" | "long" | "bigint":
            return st.integers(-(2**31), 2**31 - 1)
        case "float" | "double":
            return st.floats(allow_nan=False, allow_infinity=False, width=32)
        case "boolean":
            return st.booleans()
        case "timestamp":
            return _MOMENT
        case "blob":
            return st.binary(min_size=1, max_size=12)
    raise AssertionError(f"no values for a {shape.type_name}")


def request_from_botocore(operation: OperationModel, params: dict[str, Any]) -> HttpRequest:
    """What botocore would send, as the server sees it, with a scope but without a real signature."""
    service = operation.service_model.service_name
    protocol = service_of_botocore(service).resolved_protocol
    written = create_serializer(protocol, include_validation=False).serialize_to_request(params, operation)
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


def read_by_botocore(operation: OperationModel, response: HttpResponse) -> dict[str, Any]:
    """What a boto3 user would get, without ResponseMetadata."""
    protocol = operation.service_model.resolved_protocol
    # As botocore's client does it: a payload of bytes is handed over unread.
    body = io.BytesIO(cast("bytes", response.body)) if operation.has_streaming_output else response.body
    wire = {"status_code": response.status, "headers": HeadersDict(response.headers), "body": body}
    parser = parsers.create_parser(protocol)
    parsed = cast("dict[str, Any]", parser.parse(wire, operation.output_shape))
    parsed.pop("ResponseMetadata", None)
    for name, value in parsed.items():
        if isinstance(value, io.BytesIO):
            parsed[name] = value.read()
    return parsed


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
