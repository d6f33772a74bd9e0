"""GET /outcrop/passages?knowledgeBase=ARN&dataSource=ID&document=ID: the passages of a document, as they were cut.

    curl --aws-sigv4 aws:amz:us-east-1:outcrop --user KEY_ID:SECRET -G --data-urlencode knowledgeBase=ARN \\
        --data-urlencode dataSource=ID --data-urlencode document=s3://BUCKET/KEY …/outcrop/passages

Bedrock has no operation for it: Retrieve finds passages by a question alone. They come in the document's order, with
their characters, page and headings. `most` (50, at most 200) and `first` take a part of them; `chunk` takes the part
that holds this chunk. It is shown to whoever may do `outcrop:GetPassages` on the knowledge base.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from outcrop.api.own.operation import OwnCall
from outcrop.errors import Invalid, NotFound
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, StoredPassage

_USUAL, _MOST = 50, 200


class _AskedPassages(NamedTuple):
    """The members of a query."""

    knowledge_base: str
    document: DocumentKey
    chunk: str
    first: int
    most: int


def get_passages(call: OwnCall) -> Any:
    """Raises a refusal for who may not know, Invalid for a query that names no document, NotFound for none there."""
    wanted = call.one("knowledgeBase")
    call.allowed("outcrop:GetPassages", wanted or "*")
    asked = _asked(call)
    index = call.house.knowledge_indexes.of(call.house.knowledge_bases.get(asked.knowledge_base))
    record = index.record(asked.document)
    if record is None:
        raise NotFound(f"document: {asked.document.identifier} is not in this data source.")
    return _told(record, index.passages_of(asked.document), asked)


def _asked(call: OwnCall) -> _AskedPassages:
    missing = [name for name in ("knowledgeBase", "dataSource", "document") if not call.one(name)]
    if missing:
        raise Invalid(f"{', '.join(missing)}: missing. Give knowledgeBase=ARN&dataSource=ID&document=s3://BUCKET/KEY.")
    return _AskedPassages(
        call.one("knowledgeBase"),
        DocumentKey(call.one("dataSource"), call.one("document")),
        call.one("chunk"),
        _number(call, "first", otherwise=0, least=0),
        min(_number(call, "most", otherwise=_USUAL, least=1), _MOST),
    )


def _number(call: OwnCall, name: str, *, otherwise: int, least: int) -> int:
    found = call.number(name, otherwise=otherwise)
    if found < least:
        raise Invalid(f"{name}: {found} is below {least}.")
    return found


def _told(record: DocumentRecord, stored: Sequence[StoredPassage], asked: _AskedPassages) -> dict[str, Any]:
    first = asked.first
    if asked.chunk:
        places = [place for place, each in enumerate(stored) if each.passage.chunk_id == asked.chunk]
        if not places:
            raise NotFound(f"chunk: {asked.chunk} is none of this document's. It was cut anew since, perhaps.")
        first = places[0] - places[0] % asked.most
    return {
        "document": {
            "identifier": record.key.identifier,
            "dataSource": record.key.data_source_id,
            "status": record.state.value,
            "statusReason": record.reason,
            "metadata": dict(record.metadata),
        },
        "numPassages": len(stored),
        "first": first,
        "passages": [_passage(each) for each in stored[first : first + asked.most]],
    }


def _passage(stored: StoredPassage) -> dict[str, Any]:
    passage = stored.passage
    return {
        "chunkId": passage.chunk_id,
        "text": passage.text,
        "start": passage.start,
        "end": passage.end,
        "page": passage.page,
        "headings": list(passage.headings),
        "ruleNumber": passage.rule_number,
        "parent": passage.parent,
        "hasVector": stored.vector is not None,
    }
