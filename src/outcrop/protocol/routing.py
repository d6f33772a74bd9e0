"""Routing of a request to the service and the operation that it asks for.

The decision, in order: a scope or a path that is no service's of ours ends it; `X-Amz-Target` names an operation of a
json service; `smithy-protocol` says that the path does so for one of RPC v2; a form (or query) with `Action` one of a
query service; else the credential scope names the services whose paths are tried; a bearer token means Bedrock; and
what is left is for S3. Paths are matched as they were sent, percent-encoded: `%2F` inside an id is no separator, and no
slash is ever added or taken away (PrepareAgent and InvokeInlineAgent differ by nothing else).
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any
from urllib.parse import unquote

from outcrop.errors import Refusal
from outcrop.protocol import paths, unbuilt
from outcrop.protocol.compression import plain
from outcrop.protocol.http import HttpRequest
from outcrop.protocol.service_model import CBOR, SIGNING_NAMES, load
from outcrop.protocol.shapes import OperationModel
from outcrop.protocol.signing import sigv2
from outcrop.protocol.values import query_values

_SCOPE = re.compile(r"Credential=[^/,\s]+/[^/,]*/(?P<region>[^/,]*)/(?P<service>[^/,]*)/aws4_request")
_SCOPE_IN_QUERY = re.compile(r"[^/]+/[^/]*/(?P<region>[^/]*)/(?P<service>[^/]*)/aws4_request")

_RPC_V2_PATH = re.compile(r"/service/(?P<service>[^/]+)/operation/(?P<operation>[^/]+)")

_TARGETED = ("sagemaker", "logs", "kms", "cloudwatch", "cloudtrail", "application-autoscaling")
"Services that have a target prefix; asked in this order when no scope says which it is."


_LONGEST_KEPT = 1024


@dataclass(kw_only=True, eq=False)
class Routed:
    service: str
    operation: OperationModel
    protocol: str
    "`rest-json`, `rest-xml`, `json`, `query` or `smithy-rpc-v2-cbor`: of those a service knows, what the client spoke."
    path_parameters: Mapping[str, str]
    "Labels of the path by their wire name, decoded."
    checked: Mapping[str, Any] | None = None
    "The members of a request that is nothing but this line, once they have been read and checked."


class UnknownOperation(Refusal):
    """No operation answers here. `service` and `protocol` say in whose words to say so."""

    def __init__(self, message: str, *, service: str, protocol: str) -> None:
        super().__init__(message)
        self.service = service
        self.protocol = protocol


def route(request: HttpRequest, scope: str | None) -> Routed:
    """The operation asked for; `scope`: see scope_service. Raises UnknownOperation.

    A form must have been read into `request.body`.
    """
    strange = unbuilt.unbuilt(request, scope)
    if strange is not None:
        raise UnknownOperation(strange.message, service=strange.service, protocol=strange.protocol)
    target = request.headers.get("x-amz-target")
    if target:
        return _route_target(target, scope)
    if request.headers.get("smithy-protocol"):
        return _route_rpc_v2(request)
    action = _action(request)
    if action:
        return _route_action(action, scope)
    return _route_path(request, scope)


def scope_service(request: HttpRequest) -> str | None:
    """The service in the credential scope of the header or the presigned query: `bedrock`, `s3`, ..."""
    if sigv2.claims(request):
        return "s3"  # the only one that still knows that signature
    found = _SCOPE.search(request.headers.get("authorization", ""))
    if found is None:
        credential = next((v for k, v in paths.query_pairs(request.raw_query) if k == "X-Amz-Credential"), "")
        found = _SCOPE_IN_QUERY.fullmatch(unquote(credential))
    return found["service"] if found else None


def is_form(request: HttpRequest) -> bool:
    return request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")


def _route_target(target: str, scope: str | None) -> Routed:
    prefix, _, name = target.rpartition(".")
    for service in (*SIGNING_NAMES.get(scope or "", ()), *_TARGETED):
        model = load(service)
        if model.metadata.get("targetPrefix") == prefix:
            return _named(service, name, "json")
    strange = unbuilt.unbuilt_target(target)
    service = SIGNING_NAMES[scope][0] if scope else strange.service
    raise UnknownOperation(strange.message, service=service, protocol="json")


def _route_rpc_v2(request: HttpRequest) -> Routed:
    spoken = request.headers["smithy-protocol"]
    found = _RPC_V2_PATH.fullmatch(request.raw_path)
    if spoken != "rpc-v2-cbor" or found is None or request.method != "POST":
        asked = f"{request.method} {request.raw_path} as {spoken}"
        message = f"Not a request of Smithy's RPC v2: {asked}. Send POST /service/NAME/operation/NAME as rpc-v2-cbor."
        raise UnknownOperation(message, service="cloudwatch", protocol=CBOR)
    for service in _TARGETED:
        metadata = load(service).metadata
        if metadata["targetPrefix"] == found["service"] and CBOR in metadata["protocols"]:
            return _named(service, found["operation"], CBOR)
    message = f"No service that speaks RPC v2 is called {found['service']!r}."
    raise UnknownOperation(message, service="cloudwatch", protocol=CBOR)


def _action(request: HttpRequest) -> dict[str, str] | None:
    """The fields of a query request, or None when it is none. STS also takes them in the URL of a GET."""
    if is_form(request) and request.body is not None:
        fields = query_values.fields(plain(request).decode("utf-8", "replace"))
    elif "Action=" in request.raw_query and request.raw_path == "/":
        fields = query_values.fields(request.raw_query)
    else:
        return None
    return fields if "Action" in fields else None


def _route_action(fields: dict[str, str], scope: str | None) -> Routed:
    candidates = SIGNING_NAMES.get(scope or "", ()) or ("sts", "iam", "cloudwatch")
    for service in candidates:
        model = load(service)
        speaks_query = "query" in model.metadata["protocols"]
        if speaks_query and (scope or fields.get("Version") == model.api_version):
            return _named(service, fields["Action"], "query")
    message = f"Could not find operation {fields['Action']} for version {fields.get('Version')}."
    raise UnknownOperation(message, service=candidates[0] if scope else "aws", protocol="query")


def _named(service: str, name: str, protocol: str) -> Routed:
    try:
        operation = load(service).operation_model(name)
    except KeyError as error:
        message = f"The service {service} has no operation {name!r}."
        raise UnknownOperation(message, service=service, protocol=protocol) from error
    return Routed(service=service, operation=operation, protocol=protocol, path_parameters={})


def _route_path(request: HttpRequest, scope: str | None) -> Routed:
    services = _services(request, scope)
    if "s3" in services or len(request.raw_path) + len(request.raw_query) > _LONGEST_KEPT:
        routed = _matched(services, request)
    else:
        # Only S3 tells operations apart by headers too. Clients poll: the same line comes again and again.
        routed = _matched_line(services, request.method, request.raw_path, request.raw_query)
    if routed is None:
        raise _nothing_there(request, scope)
    return routed


@lru_cache(maxsize=4096)
def _matched_line(services: tuple[str, ...], method: str, raw_path: str, raw_query: str) -> Routed | None:
    return _matched(services, HttpRequest(method=method, raw_path=raw_path, raw_query=raw_query, headers={}))


def _matched(services: tuple[str, ...], request: HttpRequest) -> Routed | None:
    for service in services:
        for template in _candidates(service, request.method, request.raw_path[1:].partition("/")[0]):
            labels = template.match(request)
            if labels is not None and not _belongs_elsewhere(service, labels):
                return Routed(
                    service=service,
                    operation=load(service).operation_model(template.operation),
                    protocol=load(service).metadata["protocols"][0],
                    path_parameters={name: unquote(value) for name, value in labels.items()},
                )
    return None


def _belongs_elsewhere(service: str, labels: dict[str, str]) -> bool:
    """Tags of agents and of their runtime share a path, in which only the ARN tells them apart."""
    tagged = labels.get("resourceArn")
    return service == "bedrock-agent-runtime" and tagged is not None and ":session/" not in unquote(tagged)


def _services(request: HttpRequest, scope: str | None) -> tuple[str, ...]:
    if scope is not None:
        return _with_paths(scope)
    if request.headers.get("authorization", "").startswith("Bearer "):
        return SIGNING_NAMES["bedrock"]
    # Unsigned: paths of Bedrock first, so that a forgotten signature is told in Bedrock's words; S3 takes the rest.
    return ("bedrock-runtime", "bedrock", "s3")


@lru_cache(maxsize=256)
def _with_paths(scope: str) -> tuple[str, ...]:
    return tuple(s for s in SIGNING_NAMES.get(scope, ()) if _has_paths(s))


def _has_paths(service: str) -> bool:
    return str(load(service).metadata["protocols"][0]).startswith("rest-")


def _nothing_there(request: HttpRequest, scope: str | None) -> UnknownOperation:
    asked = f"{request.method} {request.raw_path}"
    service = SIGNING_NAMES[scope or "s3"][0]
    protocol = load(service).metadata["protocols"][0]
    return UnknownOperation(f"No operation of {service} answers {asked}.", service=service, protocol=protocol)


@cache
def templates(service: str) -> tuple[paths.Template, ...]:
    """The service's paths in the order in which they are tried: the more specific before the more general."""
    return tuple(sorted(_templates(service), key=lambda template: template.rank))


@cache
def _by_first_segment(service: str) -> dict[tuple[str, str], tuple[paths.Template, ...]]:
    """The templates by method and by the literal they begin with; "" for those that begin with a label."""
    sorted_out: dict[tuple[str, str], tuple[paths.Template, ...]] = {}
    for template in templates(service):
        key = (template.method, template.first_literal)
        sorted_out[key] = (*sorted_out.get(key, ()), template)
    return sorted_out


def _candidates(service: str, method: str, first: str) -> Iterator[paths.Template]:
    """The path templates that may match, few of a hundred, in their order. A path with a literal there is never after
    one with a label (see `rank`)."""
    found = _by_first_segment(service)
    yield from found.get((method, first), ())
    if first:
        yield from found.get((method, ""), ())


def _templates(service: str) -> Iterator[paths.Template]:
    model = load(service)
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.deprecated and service == "s3":
            continue  # GetBucketLifecycle and its like: each has a successor at the same path.
        yield paths.template(operation, lenient_slash=service == "s3")
