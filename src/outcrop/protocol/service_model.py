"""The service models of botocore: the only place where an operation, a member, a pattern or an error is typed.

A model is read when the first request for its service arrives (SageMaker's alone takes a quarter of a second), so this
module also keeps the little one must know before: which services share a signing name.
"""

from collections.abc import Mapping
from functools import cache
from typing import Any

from outcrop.protocol import shapes
from outcrop.protocol.shapes import OperationModel, ServiceModel, Shape, StructureShape

SIGNING_NAMES: dict[str, tuple[str, ...]] = {
    # The four of Bedrock share one scope and one space of paths; no two of their paths meet (but see routing.py).
    "bedrock": ("bedrock-runtime", "bedrock", "bedrock-agent-runtime", "bedrock-agent"),
    "sagemaker": ("sagemaker", "sagemaker-runtime"),
    "s3": ("s3",),
    "s3vectors": ("s3vectors",),
    "sts": ("sts",),
    "iam": ("iam",),
    "kms": ("kms",),
    "cloudtrail": ("cloudtrail",),
    "logs": ("logs",),
    "monitoring": ("cloudwatch",),
    "application-autoscaling": ("application-autoscaling",),
}
"Credential scope -> botocore's names of the services that sign with it."

CBOR = "smithy-rpc-v2-cbor"
"The models' name of Smithy's RPC v2, which CloudWatch speaks beside json and query."

SERVICES: tuple[str, ...] = tuple(service for services in SIGNING_NAMES.values() for service in services)


@cache
def load(service: str) -> ServiceModel:
    return shapes.read(service)


def metadata(service: str) -> Mapping[str, Any]:
    """The metadata in the service's model; empty for a service that is not here."""
    return load(service).metadata if service in SERVICES else {}


@cache
def signing_name(service: str) -> str:
    return next(name for name, services in SIGNING_NAMES.items() if service in services)


def operation(service: str, name: str) -> OperationModel:
    return load(service).operation_model(name)


def is_streaming_blob(shape: Shape) -> bool:
    """True for a payload that flows: S3's bodies, but not the 25 MB blobs of InvokeModel."""
    return shape.type_name == "blob" and bool(shape.serialization.get("streaming"))


def streams_in(model: OperationModel) -> bool:
    """Does the request's body flow into the handler?"""
    shape = model.input_shape
    payload = shape.serialization.get("payload") if shape is not None else None
    return shape is not None and payload is not None and is_streaming_blob(shape.members[payload])


@cache
def error_shapes(service: str) -> dict[str, StructureShape]:
    """Error code on the wire -> its shape, over the whole service; none of a service that is not here."""
    if service not in SERVICES:
        return {}
    return {shape.error_code: shape for shape in load(service).error_shapes}
