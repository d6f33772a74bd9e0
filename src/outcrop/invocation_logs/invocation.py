"""An invocation as the log is told of it, and Bedrock's record of it.

https://docs.aws.amazon.com/bedrock/latest/userguide/model-invocation-logging.html
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from outcrop.protocol.values import json_text, json_values

LARGEST_BODY_BYTES = 100 * 1024
"Larger bodies lie in objects of their own, and the record names these."
_JSON = "application/json"
_VECTORS = ("embedding", "embeddings", "embeddingsByType")
"Members of an answer that is no text but vectors."


class DataKind(StrEnum):
    """A kind of data that may be left out of the log, as a member of LoggingConfig says."""

    TEXT = "textDataDeliveryEnabled"
    EMBEDDING = "embeddingDataDeliveryEnabled"


@dataclass(frozen=True, kw_only=True)
class Invocation:
    """An invocation that has been answered, refused or broken off; its bodies are as they were sent."""

    at: datetime
    "When it came in."
    region: str
    account: str
    identity_arn: str
    request_id: str
    operation: str
    "`InvokeModel`, `ConverseStream`, …"
    model_id: str
    "As the caller wrote it."
    input_body: bytes
    "The request's body, JSON or not."
    output_body: bytes | Mapping[str, Any] | Sequence[Any] | None = None
    "The answer: JSON, its members, the chunks of a stream in order, as JSON or members; None where there was none."
    input_tokens: int = 0
    output_tokens: int = 0
    metadata: Mapping[str, str] = field(default_factory=dict)
    "The caller's requestMetadata."
    error_code: str = ""
    "The service's code for what went wrong; empty where nothing did."

    @property
    def size_bytes(self) -> int:
        """About as much memory as it holds while it waits to be written."""
        return 1024 + len(self.input_body) + _size(self.output_body)


@dataclass(frozen=True, kw_only=True)
class Bodies:
    """The two bodies of an invocation as JSON; None for one that there was not, or that is left out."""

    input: bytes | None
    output: bytes | None


def bodies_of(invocation: Invocation, kinds: frozenset[DataKind]) -> Bodies:
    """The bodies, without those of kinds that are not wanted."""
    output = _output(invocation.output_body)
    kind = DataKind.EMBEDDING if _holds_vectors(output) else DataKind.TEXT
    if kind not in kinds:
        return Bodies(input=None, output=None)
    asked = json_values.dumps(_value(invocation.input_body)) if invocation.input_body else None
    return Bodies(input=asked, output=None if output is None else json_values.dumps(output))


def record_of(invocation: Invocation, input_body: Mapping[str, Any], output_body: Mapping[str, Any]) -> dict[str, Any]:
    """Bedrock's record. The bodies are given as members: `inputBodyJson`, or where it lies, `inputBodyS3Path`."""
    asked: dict[str, Any] = {"inputContentType": _JSON, **input_body, "inputTokenCount": invocation.input_tokens}
    record: dict[str, Any] = {
        "timestamp": invocation.at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "accountId": invocation.account,
        "identity": {"arn": invocation.identity_arn},
        "region": invocation.region,
        "requestId": invocation.request_id,
        "operation": invocation.operation,
        "modelId": invocation.model_id,
        **({"requestMetadata": dict(invocation.metadata)} if invocation.metadata else {}),
        **({"errorCode": invocation.error_code} if invocation.error_code else {}),
        "input": asked,
    }
    if invocation.output_body is not None:
        record["output"] = {
            "outputContentType": _JSON,
            **output_body,
            "outputTokenCount": invocation.output_tokens,
        }
    return {**record, "schemaType": "ModelInvocationLog", "schemaVersion": "1.0"}


def _output(body: bytes | Mapping[str, Any] | Sequence[Any] | None) -> Any:
    if isinstance(body, Mapping) or body is None:
        return body
    return (
        _value(body)
        if isinstance(body, bytes)
        else [_value(each) if isinstance(each, bytes) else each for each in body]
    )


def _value(body: bytes) -> Any:
    """The JSON of a body; its text, where it is none."""
    try:
        return json_text.loads(body)
    except json_text.NotJson:
        return body.decode("utf-8", "replace")


def _holds_vectors(output: Any) -> bool:
    if not isinstance(output, Mapping):
        return False
    rows = output.get("data")  # as OpenAI has them
    return any(name in output for name in _VECTORS) or (
        isinstance(rows, list) and _holds_vectors(next(iter(rows), None))
    )


def _size(body: Any) -> int:
    if isinstance(body, bytes | str):
        return len(body)
    if isinstance(body, Mapping):
        return sum(32 + len(name) + _size(value) for name, value in body.items())
    if isinstance(body, Sequence):
        return sum(32 + _size(value) for value in body)
    return 16
