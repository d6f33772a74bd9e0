"""Redaction: what the record keeps of the members of a request and its answer.

Left out or hidden are bodies and blobs, prompts and documents, what the service model calls sensitive, and whatever is
named as a secret: a password, a session token, an environment variable. Of calls that carry data (invocations,
objects, log events) only what names a resource is kept. Of answers, only those to calls that changed something, and
without policies.
https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from outcrop.audit.entry import LONGEST_TEXT
from outcrop.audit.kinds import is_data_event
from outcrop.protocol import service_model
from outcrop.protocol.shapes import ListShape, MapShape, Shape, StructureShape

HIDDEN = "HIDDEN_DUE_TO_SECURITY_REASONS"
"What CloudTrail says in place of a secret."
LARGEST = 32_768
"Characters of JSON; larger members are left out as a whole, and their size is told."
_WITH_DATA = frozenset({"bedrock-runtime", "bedrock-agent-runtime", "sagemaker-runtime"})
_NAMING = re.compile(
    r"(?:id|identifier|arn|name|names|bucket|namespace|contenttype|partnumber)$|^(?:key|prefix|copysource|delimiter)$",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"passw|secret|passphrase|private_?key|^environment|^plaintext|api_?key$|^user_?data$|"
    r"(?:session|grant|auth\w*|security|access|bearer|identity|hf|hub)_?tokens?$|^tokens?$",
    re.IGNORECASE,
)
_POLICY = re.compile(r"policy(?:document)?$", re.IGNORECASE)
_WINDOW = 8
_LEAST_QUOTED = 4
"Shorter texts say nothing that would have to be hidden, and stand in every sentence."
_OWN_NAMES = {"s3": {"Bucket": "bucketName"}}
"Members that CloudTrail calls otherwise."


def request_parameters(service: str, operation: str, params: Mapping[str, Any]) -> str:
    """The members of a request as JSON, redacted; empty where none may be told."""
    shape = service_model.operation(service, operation).input_shape
    return _text(shape, params, service, operation, answer=False)


def response_elements(service: str, operation: str, members: Mapping[str, Any]) -> str:
    """The members of an answer as JSON, redacted; empty where none may be told."""
    shape = service_model.operation(service, operation).output_shape
    return _text(shape, members, service, operation, answer=True)


def error_message(message: str, service: str, operation: str, params: Mapping[str, Any] | None) -> str:
    """The sentence of an error, or nothing where it might quote what is hidden.

    `params` are None where the request was not understood: then nobody knows what in it is a secret.
    """
    if params is None or _carries_data(service, operation):
        return ""
    shape = service_model.operation(service, operation).input_shape
    if shape is None:
        return message[:LONGEST_TEXT]
    # A sentence may quote a part of a value, or show it escaped: the whole sentence goes where any window is in it.
    windows = {message[place : place + _WINDOW] for place in range(len(message))}
    for text in _hidden_texts(shape, params):
        pieces = (text[place : place + _WINDOW] for place in range(max(1, min(len(text), LARGEST) - _WINDOW + 1)))
        if text in message or any(piece in windows for piece in pieces):
            return ""
    return message[:LONGEST_TEXT]


def _carries_data(service: str, operation: str) -> bool:
    return service in _WITH_DATA or is_data_event(service, operation)


def _text(
    shape: StructureShape | None, members: Mapping[str, Any], service: str, operation: str, *, answer: bool
) -> str:
    if shape is None:
        return ""
    only_names = _carries_data(service, operation)
    names = _OWN_NAMES.get(service, {})
    kept = {
        names.get(name) or _lower(name): _value(name, shape.members[name], value, answer=answer)
        for name, value in members.items()
        if name in shape.members
        and value is not None
        and _is_told(shape.members[name])
        and (not only_names or (_NAMING.search(name) and isinstance(value, str | int)))
    }
    if not kept:
        return ""
    text = json.dumps(kept, separators=(",", ":"))
    if len(text) <= LARGEST:
        return text
    reason = f"They are larger than the {LARGEST // 1024} KiB that are kept."
    return json.dumps({"omitted": True, "originalSize": len(text), "reason": reason})


def _value(name: str, shape: Shape, value: Any, *, answer: bool) -> Any:
    if value is None:
        return None
    if _is_hidden(name, shape) or (answer and _POLICY.search(name) and isinstance(value, str | dict)):
        return HIDDEN
    if isinstance(shape, StructureShape) and not shape.is_document_type and isinstance(value, Mapping):
        return {
            _lower(each): _value(each, shape.members[each], part, answer=answer)
            for each, part in value.items()
            if each in shape.members and part is not None and _is_told(shape.members[each])
        }
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {str(key): _value(str(key), shape.value, part, answer=answer) for key, part in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list | tuple):
        return [_value("", shape.member, part, answer=answer) for part in value]
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%dT%H:%M:%SZ")
    if isinstance(value, str | int | float):
        return value
    return HIDDEN  # documents, and whatever no shape describes


def _is_told(shape: Shape) -> bool:
    """Whether a member is told at all: blobs and streams are bodies."""
    return shape.type_name != "blob" and not shape.serialization.get("eventstream")


def _is_hidden(name: str, shape: Shape) -> bool:
    return bool(shape.metadata.get("sensitive")) or _SECRET.search(name) is not None


def _hidden_texts(shape: Shape, value: Any, *, name: str = "", hidden: bool = False) -> Iterator[str]:
    """The texts of a request that `_value` hides, so that no sentence repeats them."""
    hidden = hidden or _is_hidden(name, shape) or not _is_told(shape)
    hidden = hidden or (isinstance(shape, StructureShape) and shape.is_document_type)
    if isinstance(value, str):
        if hidden and len(value) >= _LEAST_QUOTED:
            yield value
    elif isinstance(value, bytes):
        text = value.decode(errors="replace")
        if len(text) >= _LEAST_QUOTED:
            yield text
    elif isinstance(value, Mapping):
        for key, part in value.items():
            yield from _hidden_texts(_member(shape, str(key)), part, name=str(key), hidden=hidden)
    elif isinstance(value, list | tuple):
        for part in value:
            inner = shape.member if isinstance(shape, ListShape) else shape
            yield from _hidden_texts(inner, part, hidden=hidden)


def _member(shape: Shape, name: str) -> Shape:
    if isinstance(shape, StructureShape):
        return shape.members.get(name, shape)
    return shape.value if isinstance(shape, MapShape) else shape


def _lower(name: str) -> str:
    return name[:1].lower() + name[1:]
