"""Documents of a data source: ingest and delete single ones, get and list their states."""

import shutil
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from outcrop.api.door import page_tokens
from outcrop.api.door.call import Answered, Call, Handler
from outcrop.api.knowledge.named import knowledge_base_of, source_of
from outcrop.api.knowledge.once import Create, once
from outcrop.house import House
from outcrop.knowledge.data_sources import S3, kind_of
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.passages import DocumentKey, DocumentRecord
from outcrop.store.resources import Resource

_DEFAULT_RESULTS = 100
_NOT_FOUND = "NOT_FOUND"


def ingest_documents(house: House, call: Call) -> Answered:
    from outcrop.knowledge.changes import adding

    knowledge_base, source = knowledge_base_of(house, call), source_of(house, call)
    received: list[adding.ReceivedDocuments] = []

    def prepare() -> Create:
        assert house.jobs
        assert house.knowledge_indexes.of(knowledge_base)
        documents = adding.receive(house, source, call.params["documents"])
        received.append(documents)

        def add() -> dict[str, Any]:
            adding.add_documents(house, knowledge_base, source, documents)
            return {"identifiers": list(documents.identifiers), "job": documents.job_id}

        return add

    taken: dict[str, Any] = {}
    try:
        taken = once(house, call, prepare)
    finally:
        for documents in received:
            if documents.job_id != taken.get("job"):  # the same request was faster, or this one was refused
                shutil.rmtree(documents.folder)
    return {"documentDetails": _details(house, knowledge_base, source, taken["identifiers"])}


def delete_documents(house: House, call: Call) -> Answered:
    from outcrop.knowledge.changes import adding

    knowledge_base, source = knowledge_base_of(house, call), source_of(house, call)
    identifiers = _identifiers(call, source)

    def prepare() -> Create:
        assert house.jobs
        assert house.knowledge_indexes.of(knowledge_base)

        def delete() -> dict[str, Any]:
            adding.delete_documents(house, knowledge_base, source, identifiers)
            return {}

        return delete

    once(house, call, prepare)
    return {"documentDetails": _details(house, knowledge_base, source, identifiers)}


def get_documents(house: House, call: Call) -> Answered:
    knowledge_base, source = knowledge_base_of(house, call), source_of(house, call)
    return {"documentDetails": _details(house, knowledge_base, source, _identifiers(call, source))}


def list_documents(house: House, call: Call) -> Answered:
    knowledge_base, source = knowledge_base_of(house, call), source_of(house, call)
    most = call.params.get("maxResults", _DEFAULT_RESULTS)
    after = page_tokens.read(call) or ""
    index = house.knowledge_indexes.of(knowledge_base)
    records = index.records(id_of(source.arn), after=after, most=most + 1)
    shown = records[:most]
    token = page_tokens.write(call, shown[-1].key.identifier) if len(records) > most else None
    return {
        "documentDetails": _told(source, ((record.key.identifier, record) for record in shown)),
        "nextToken": token,
    }


def _identifiers(call: Call, source: Resource) -> list[str]:
    from outcrop.knowledge.changes.adding import identifier_of

    kind = kind_of(source)
    return [
        identifier_of(kind, given, at=f"documentIdentifiers.{number}")
        for number, given in enumerate(call.params["documentIdentifiers"])
    ]


def _details(house: House, knowledge_base: Resource, source: Resource, identifiers: list[str]) -> list[dict[str, Any]]:
    index, source_id = house.knowledge_indexes.of(knowledge_base), id_of(source.arn)
    records = (index.record(DocumentKey(source_id, identifier)) for identifier in identifiers)
    return _told(source, zip(identifiers, records, strict=True))


def _told(source: Resource, found: Iterable[tuple[str, DocumentRecord | None]]) -> list[dict[str, Any]]:
    kind, common = kind_of(source), _ids(source)
    return [{**common, **_members(kind, identifier, record)} for identifier, record in found]


def _ids(source: Resource) -> Mapping[str, str]:
    return {"knowledgeBaseId": id_of(source.document["knowledgeBaseArn"]), "dataSourceId": id_of(source.arn)}


def _members(kind: str, identifier: str, record: DocumentRecord | None) -> dict[str, Any]:
    named = {"s3": {"uri": identifier}} if kind == S3 else {"custom": {"id": identifier}}
    told = {"identifier": {"dataSourceType": kind, **named}}
    if record is None:
        return {**told, "status": _NOT_FOUND, "statusReason": "The document is not in the knowledge base."}
    updated = datetime.fromtimestamp(record.updated, UTC)
    return {**told, "status": record.state.value, "statusReason": record.reason, "updatedAt": updated}


OPERATIONS: dict[str, Handler] = {
    "IngestKnowledgeBaseDocuments": ingest_documents,
    "DeleteKnowledgeBaseDocuments": delete_documents,
    "GetKnowledgeBaseDocuments": get_documents,
    "ListKnowledgeBaseDocuments": list_documents,
}
