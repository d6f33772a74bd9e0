"""Passages as answers of bedrock-agent-runtime tell them: content, location, score and metadata."""

from collections.abc import Mapping
from typing import Any

from outcrop.knowledge.answering.citations import CitedPart
from outcrop.knowledge.passages import Found
from outcrop.knowledge.retrieving import attributes_of


def result_of(found: Found, custom: Mapping[str, bool]) -> dict[str, Any]:
    """A passage as a result of Retrieve. `custom`: of each data source, whether its caller names its documents."""
    return {**reference_of(found, custom), "score": found.score}


def reference_of(found: Found, custom: Mapping[str, bool]) -> dict[str, Any]:
    """A passage as a citation refers to it."""
    key = found.document
    is_custom = custom.get(key.data_source_id, not key.identifier.startswith("s3://"))
    location = (
        {"type": "CUSTOM", "customDocumentLocation": {"id": key.identifier}}
        if is_custom
        else {"type": "S3", "s3Location": {"uri": key.identifier}}
    )
    return {
        "content": {"type": "TEXT", "text": found.text},
        "location": location,
        "metadata": attributes_of(found),
    }


def citation_of(part: CitedPart, passages: tuple[Found, ...], custom: Mapping[str, bool]) -> dict[str, Any]:
    """A part of an answer with the passages that it refers to. The end of its span is the place of its last letter."""
    span = {"start": part.start, "end": part.last}
    return {
        "generatedResponsePart": {"textResponsePart": {"text": part.text, "span": span}},
        "retrievedReferences": [reference_of(passages[number], custom) for number in part.cited],
    }
