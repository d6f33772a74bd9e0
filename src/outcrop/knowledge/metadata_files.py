"""Metadata of documents: files beside them in S3, and attributes that come with a request.

    {"metadataAttributes": {"year": 2024, "rule": "10b-5", "topics": ["fraud"], "draft": false,
                            "issuer": {"value": {"type": "STRING", "stringValue": "SEC"}, "includeForEmbedding": true}}}

https://docs.aws.amazon.com/bedrock/latest/userguide/kb-metadata.html
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from outcrop.errors import Invalid
from outcrop.knowledge.passages import Metadata, MetadataValue

ENDING = ".metadata.json"
MOST_BYTES = 10 * 1024
RESERVED = "x-amz-bedrock-kb-"
_MOST_ATTRIBUTES = 50
_VALUES = {
    "STRING": "stringValue",
    "NUMBER": "numberValue",
    "BOOLEAN": "booleanValue",
    "STRING_LIST": "stringListValue",
}


@dataclass(frozen=True, kw_only=True)
class DocumentAttributes:
    """The attributes of one document."""

    metadata: Metadata = field(default_factory=dict)
    embedded: tuple[str, ...] = ()
    "Keys of those that are embedded with each passage."

    @property
    def embedded_text(self) -> str:
        """The lines that go before a passage when it is embedded."""
        return "".join(f"{key}: {_spoken(self.metadata[key])}\n" for key in self.embedded)


def read_metadata(content: bytes, *, name: str) -> DocumentAttributes:
    """The attributes that a metadata file gives its document. Raises Invalid, naming the file and the attribute."""
    check_size(len(content), name=name)
    try:
        told = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise Invalid(f'{name}: no JSON. Write {{"metadataAttributes": {{…}}}}.') from error
    attributes = told.get("metadataAttributes") if isinstance(told, dict) else None
    if not isinstance(attributes, dict):
        raise Invalid(f'{name}: metadataAttributes is missing, or no object. Write {{"metadataAttributes": {{…}}}}.')
    return _attributes([(key, *_told(key, value, name)) for key, value in attributes.items()], name)


def check_size(size: int, *, name: str) -> None:
    """Raises Invalid for a metadata file that is too large."""
    if size > MOST_BYTES:
        raise Invalid(f"{name}: {size:,} bytes of metadata; at most {MOST_BYTES:,} (10 KB) are read. Shorten it.")


def inline_attributes(attributes: Sequence[Mapping[str, Any]]) -> DocumentAttributes:
    """The attributes of a request's member inlineAttributes. Raises Invalid, naming the attribute."""
    name = "inlineAttributes"
    keys = [attribute["key"] for attribute in attributes]
    for key in keys:
        if keys.count(key) > 1:
            raise Invalid(f"{name}: the key {key!r} is given twice. Give each key once.")
    return _attributes([(each["key"], _typed(each["key"], each["value"], name), False) for each in attributes], name)


def _attributes(told: Sequence[tuple[str, MetadataValue, bool]], name: str) -> DocumentAttributes:
    if len(told) > _MOST_ATTRIBUTES:
        raise Invalid(f"{name}: {len(told)} attributes; at most {_MOST_ATTRIBUTES} are kept. Take some out.")
    for key, _, _ in told:
        if not key.strip() or key.startswith(RESERVED):
            raise Invalid(f"{name}: {key!r}: an empty key, or one of Bedrock's own ({RESERVED}…). Choose another.")
    return DocumentAttributes(
        metadata={key: value for key, value, _ in told}, embedded=tuple(key for key, _, embedded in told if embedded)
    )


def _told(key: str, value: object, name: str) -> tuple[MetadataValue, bool]:
    """A value as files write it, plain or with its type, and whether it is embedded."""
    if isinstance(value, dict):
        inner, embedded = value.get("value"), value.get("includeForEmbedding", False)
        if not isinstance(inner, dict) or not isinstance(embedded, bool):
            raise Invalid(f"{name}: {key}: expected an object with value, and includeForEmbedding true or false.")
        return _typed(key, inner, name), embedded
    return _plain(key, value, name), False


def _typed(key: str, value: Mapping[str, Any], name: str) -> MetadataValue:
    kind = str(value.get("type"))
    member = _VALUES.get(kind)
    if member is None or member not in value:
        raise Invalid(f"{name}: {key}: expected a type of {', '.join(_VALUES)}, and the member that holds its value.")
    plain = _plain(key, value[member], name)
    found = {bool: "BOOLEAN", int: "NUMBER", float: "NUMBER", str: "STRING"}.get(type(plain), "STRING_LIST")
    if found != kind:
        raise Invalid(f"{name}: {key}: {member} holds a {found}, and type says {kind}. Let them agree.")
    return plain


def _plain(key: str, value: object, name: str) -> MetadataValue:
    if isinstance(value, bool | int | str):
        return value
    if isinstance(value, float) and math.isfinite(value):
        return value
    if isinstance(value, list) and value and all(isinstance(each, str) for each in value):
        return tuple(value)
    raise Invalid(f"{name}: {key}: expected a string, a number, true or false, or a list of strings.")


def _spoken(value: MetadataValue) -> str:
    return str(value) if isinstance(value, str | int | float) else ", ".join(value)
