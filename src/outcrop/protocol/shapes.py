"""The shapes of a service model, read from the JSON that botocore ships. They are what botocore calls Shape, with the
same names.

botocore's own classes do more for clients than a server needs and take a fifth of its start to import; these read the
same files. `tests/protocol/test_shapes.py` compares the two over every shape of every service.

A shape has a name, a type, `serialization` (where and how a value travels: `name`, `location`, `payload`, ...) and
`metadata` (what is asked of it: `required`, `pattern`, `min`, ...). A member carries what its reference adds to the
shape it refers to.
"""

import gzip
import json
from collections.abc import Mapping
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

Model = Mapping[str, Any]

_SERIALIZATION = {
    "locationName", "queryName", "flattened", "location", "payload", "streaming", "timestampFormat", "xmlNamespace",
    "resultWrapper", "xmlAttribute", "eventstream", "event", "eventheader", "eventpayload", "jsonvalue", "hostLabel",
}  # fmt: skip
_METADATA = {
    "required", "min", "max", "pattern", "sensitive", "enum", "idempotencyToken", "error", "exception",
    "endpointdiscoveryid", "retryable", "document", "union", "contextParam", "clientContextParams", "requiresLength",
}  # fmt: skip


class Shape:
    """A value of a simple type: string, integer, long, float, double, boolean, timestamp, blob."""

    def __init__(self, name: str, model: Model, service: "ServiceModel") -> None:
        self.name = name
        self.type_name: str = model["type"]
        self.serialization: dict[str, Any] = {
            "name" if key == "locationName" else key: value for key, value in model.items() if key in _SERIALIZATION
        }
        self.metadata: dict[str, Any] = {key: value for key, value in model.items() if key in _METADATA}
        self.enum: list[str] = self.metadata.get("enum", []) if self.type_name == "string" else []
        self._model = model
        self._service = service

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"


class Placed(NamedTuple):
    """A member by its model's name."""

    name: str
    shape: Shape


class Places(NamedTuple):
    """Members outside of the body, by their wire names; those of headers in lower case."""

    labels: dict[str, Placed]
    keys: dict[str, Placed]
    headers: dict[str, Placed]
    prefixes: dict[str, Placed]


class StructureShape(Shape):
    @cached_property
    def members(self) -> dict[str, Shape]:
        return {name: self._service.referred(member) for name, member in self._model.get("members", {}).items()}

    @cached_property
    def structures(self) -> "dict[str, StructureShape]":
        """The members that are structures: all events of a stream are."""
        return {name: member for name, member in self.members.items() if isinstance(member, StructureShape)}

    @cached_property
    def places(self) -> Places:
        """The members that travel in the path, the query and the headers."""
        found = Places({}, {}, {}, {})
        tables = {"uri": found.labels, "querystring": found.keys, "header": found.headers, "headers": found.prefixes}
        for name, member in self.members.items():
            location, wire_name = member.serialization.get("location"), member.serialization.get("name", name)
            if location in tables:
                key = wire_name.lower() if location.startswith("header") else wire_name
                tables[location][key] = Placed(name, member)
        return found

    @cached_property
    def in_headers(self) -> dict[str, Shape]:
        """The members that travel as headers, or as many headers with a common prefix."""
        return {n: m for n, m in self.members.items() if m.serialization.get("location") in ("header", "headers")}

    @cached_property
    def in_body(self) -> dict[str, Shape]:
        """The members that travel nowhere else."""
        return {name: member for name, member in self.members.items() if "location" not in member.serialization}

    @cached_property
    def is_body_only(self) -> bool:
        """Whether all members travel in the body, which they are."""
        return len(self.in_body) == len(self.members) and "payload" not in self.serialization

    @cached_property
    def status_member(self) -> str | None:
        """The member that is the HTTP status, where one is."""
        return next((n for n, m in self.members.items() if m.serialization.get("location") == "statusCode"), None)

    @cached_property
    def required_members(self) -> list[str]:
        required: list[str] = self.metadata.get("required", [])
        return required

    @cached_property
    def is_document_type(self) -> bool:
        """Any JSON value at all."""
        return bool(self.metadata.get("document"))

    @cached_property
    def error_code(self) -> str:
        """The code of an exception on the wire."""
        return str(self.metadata.get("error", {}).get("code", self.name))


class ListShape(Shape):
    @cached_property
    def member(self) -> Shape:
        return self._service.referred(self._model["member"])


class MapShape(Shape):
    @cached_property
    def key(self) -> Shape:
        return self._service.referred(self._model["key"])

    @cached_property
    def value(self) -> Shape:
        return self._service.referred(self._model["value"])


_CLASSES: dict[str, type[Shape]] = {"structure": StructureShape, "list": ListShape, "map": MapShape}


class OperationModel:
    def __init__(self, name: str, model: Model, service: "ServiceModel") -> None:
        self.name = name
        self.service_model = service
        self.http: Model = model.get("http", {})
        self.deprecated = bool(model.get("deprecated"))
        self._model = model

    @cached_property
    def input_shape(self) -> StructureShape | None:
        return self._structure("input")

    @cached_property
    def output_shape(self) -> StructureShape | None:
        return self._structure("output")

    @cached_property
    def error_shapes(self) -> list[StructureShape]:
        """The errors that the operation declares."""
        shapes = (self.service_model.referred(error) for error in self._model.get("errors", ()))
        return [shape for shape in shapes if isinstance(shape, StructureShape)]

    @cached_property
    def event_stream(self) -> StructureShape | None:
        """The shape of the events, for operations that answer with a stream of them."""
        members = self.output_shape.members.values() if self.output_shape is not None else ()
        streams = (shape for shape in members if shape.serialization.get("eventstream"))
        return next((shape for shape in streams if isinstance(shape, StructureShape)), None)

    def _structure(self, side: str) -> StructureShape | None:
        if side not in self._model:
            return None
        shape = self.service_model.referred(self._model[side])
        assert isinstance(shape, StructureShape), f"{self.name}: its {side} is a {shape.type_name}"
        return shape


class ServiceModel:
    """The model of one service: its metadata, operations and shapes. Each is made once, when it is first asked for."""

    def __init__(self, model: Model) -> None:
        self.metadata: Model = model["metadata"]
        self.api_version: str = self.metadata["apiVersion"]
        self._operations: dict[str, Model] = model["operations"]
        self._shapes: dict[str, Model] = model["shapes"]
        self._made_operations: dict[str, OperationModel] = {}
        self._made_shapes: dict[str, Shape] = {}

    @cached_property
    def shape_names(self) -> list[str]:
        return list(self._shapes)

    @cached_property
    def operation_names(self) -> list[str]:
        return list(self._operations)

    def operation_model(self, name: str) -> OperationModel:
        """Raises KeyError when the service has no such operation."""
        made = self._made_operations.get(name)
        if made is None:
            made = self._made_operations.setdefault(name, OperationModel(name, self._operations[name], self))
        return made

    def shape_for(self, name: str) -> Shape:
        made = self._made_shapes.get(name)
        if made is None:
            made = self._made_shapes.setdefault(name, self._shape(name, self._shapes[name]))
        return made

    def referred(self, reference: Model) -> Shape:
        """The shape that `{"shape": NAME, ...}` refers to, with what the reference adds; documentation adds nothing."""
        name: str = reference["shape"]
        traits = {key: value for key, value in reference.items() if key in _SERIALIZATION or key in _METADATA}
        if not traits:
            return self.shape_for(name)
        return self._shape(name, {**self._shapes[name], **traits})

    @cached_property
    def error_shapes(self) -> list[StructureShape]:
        """Every exception of the service."""
        shapes = (self.shape_for(name) for name, model in self._shapes.items() if model.get("exception"))
        return [shape for shape in shapes if isinstance(shape, StructureShape)]

    def _shape(self, name: str, model: Model) -> Shape:
        return _CLASSES.get(model["type"], Shape)(name, model, self)


def read(service: str) -> ServiceModel:
    """The newest model of a service, by botocore's name of it."""
    newest = max(_data().joinpath(service).iterdir())
    model = json.loads(gzip.decompress((newest / "service-2.json.gz").read_bytes()))
    extras = newest / "service-2.sdk-extras.json"
    if extras.exists():
        _merge(model, json.loads(extras.read_bytes()).get("merge", {}))
    return ServiceModel(model)


def _data() -> Path:
    spec = find_spec("botocore")
    assert spec is not None, "botocore is a dependency"
    return Path(str(spec.origin)).parent / "data"


def _merge(model: dict[str, Any], more: Model) -> None:
    for key, value in more.items():
        if isinstance(value, Mapping) and isinstance(model.get(key), dict):
            _merge(model[key], value)
        else:
            model[key] = value
