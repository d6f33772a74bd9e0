"""Copies of passages in a store of the owner's, in the form in which Bedrock writes them there."""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from outcrop.knowledge import reserved
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, Metadata, Passage

_AT_ONCE = 500
"Passages that go to a store together."
_Item = TypeVar("_Item")


@dataclass(frozen=True, kw_only=True)
class CopiedPassage:
    """A passage as a store of the owner's holds it."""

    chunk_id: str
    text: str
    vector: Sequence[float] | None
    reserved: Mapping[str, Any]
    "Attributes that Bedrock gives each passage."
    custom: Mapping[str, Any]
    "The attributes of its document."
    about: str
    "JSON: the source, and the place in it."


class PassageCopy(Protocol):
    """A place that holds copies of passages. To put one twice is to put it once; an unknown one is removed in vain."""

    def put(self, passages: Sequence[CopiedPassage]) -> None: ...

    def remove(self, chunk_ids: Sequence[str]) -> None: ...

    def close(self) -> None: ...


def copied(record: DocumentRecord, passage: Passage, vector: Sequence[float] | None) -> CopiedPassage:
    """The copy of one passage of a document."""
    own = _attributes(record.key, passage)
    return CopiedPassage(
        chunk_id=passage.chunk_id,
        text=passage.text,
        vector=vector,
        reserved=own,
        custom=plain_metadata(record.metadata),
        about=json.dumps(_about(record.key, passage), ensure_ascii=False),
    )


def in_batches(items: Sequence[_Item]) -> Iterator[Sequence[_Item]]:
    """The items in the batches that go to a store together."""
    return (items[first : first + _AT_ONCE] for first in range(0, len(items), _AT_ONCE))


def _attributes(key: DocumentKey, passage: Passage) -> Mapping[str, Any]:
    return plain_metadata(reserved.attributes_of(key, {}, chunk_id=passage.chunk_id, page=passage.page))


def plain_metadata(metadata: Metadata) -> dict[str, Any]:
    """Metadata with its lists as lists."""
    return {key: list(value) if isinstance(value, tuple) else value for key, value in metadata.items()}


def _about(key: DocumentKey, passage: Passage) -> dict[str, Any]:
    about = {"source": key.identifier, "start": passage.start, "end": passage.end, "headings": list(passage.headings)}
    if passage.rule_number is not None:
        about["ruleNumber"] = passage.rule_number
    return about
