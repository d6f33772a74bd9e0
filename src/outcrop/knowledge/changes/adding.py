"""IngestKnowledgeBaseDocuments and DeleteKnowledgeBaseDocuments: documents on record, and a job that works on them.

Contents come first, then the documents' states, then the job: a crash in between leaves documents that are PENDING with
nobody to take them up, which the client, who got no answer, sends again.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

from outcrop import arn as arns
from outcrop.errors import Invalid
from outcrop.knowledge.changes.kind import KIND
from outcrop.knowledge.data_sources import CUSTOM, S3, kind_of
from outcrop.knowledge.ingestion.scan import place_of
from outcrop.knowledge.ingestion.starting import check_available
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.metadata_files import inline_attributes
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.store.resources import Resource


class ChangeAction(StrEnum):
    """The action of a job on its documents."""

    INGEST = "ingest"
    DELETE = "delete"
    REMOVE_SOURCE = "remove-source"


@dataclass(frozen=True, kw_only=True)
class ReceivedDocuments:
    """Documents of a request whose contents lie in the home."""

    job_id: str
    "Of the job that will ingest them."
    folder: Path
    identifiers: Sequence[str]


def receive(house: KnowledgeRooms, source: Resource, documents: Sequence[Mapping[str, Any]]) -> ReceivedDocuments:
    """Check the documents of a request, and keep their contents. Raises Invalid, Conflict, and keeps none then."""
    check_available(source)
    kind = kind_of(source)
    identifiers = [_checked(kind, source, number, document) for number, document in enumerate(documents)]
    _check_different(identifiers)
    job_id = arns.new_agents_id().lower()
    folder = house.settings.runs / job_id
    try:
        for number, document in enumerate(documents):
            _keep(folder, number, document)
    except OSError:  # a full disk is not made fuller
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return ReceivedDocuments(job_id=job_id, folder=folder, identifiers=identifiers)


def add_documents(
    house: KnowledgeRooms, knowledge_base: Resource, source: Resource, received: ReceivedDocuments
) -> None:
    """Let documents be ingested by a job."""
    _note(house, knowledge_base, source, received.identifiers, DocumentState.PENDING)
    _add_job(house, knowledge_base, source, ChangeAction.INGEST, received.identifiers, job_id=received.job_id)


def delete_documents(
    house: KnowledgeRooms, knowledge_base: Resource, source: Resource, identifiers: Sequence[str]
) -> None:
    """Let those of the documents that are there be deleted. Raises Invalid, Conflict."""
    check_available(source)
    _check_different(identifiers)
    index = house.knowledge_indexes.of(knowledge_base)
    known = [each for each in identifiers if index.record(DocumentKey(id_of(source.arn), each)) is not None]
    if known:
        _note(house, knowledge_base, source, known, DocumentState.DELETING)
        _add_job(house, knowledge_base, source, ChangeAction.DELETE, known)


def add_source_removal(house: KnowledgeRooms, knowledge_base: Resource, source: Resource) -> None:
    """Let a job take out everything of a data source, and then forget it."""
    _add_job(house, knowledge_base, source, ChangeAction.REMOVE_SOURCE, [])


def identifier_of(kind: str, given: Mapping[str, Any], *, at: str) -> str:
    """The identifier of a document that a request names, in a source of this type. Raises Invalid."""
    if given["dataSourceType"] != kind:
        raise Invalid(f"{at}.dataSourceType: {given['dataSourceType']}, and the data source is of type {kind}.")
    member = "s3" if kind == S3 else "custom"
    if member not in given:
        raise Invalid(f"{at}.{member}: missing, where dataSourceType is {kind}.")
    return str(given["s3"]["uri"] if kind == S3 else given["custom"]["id"])


def content_file(folder: Path, number: int) -> Path:
    """The file that holds the inline content of a document of a request."""
    return folder / f"{number:03}.content"


def request_file(folder: Path, number: int) -> Path:
    """The file that holds the rest of what a request says about a document."""
    return folder / f"{number:03}.json"


def _checked(kind: str, source: Resource, number: int, document: Mapping[str, Any]) -> str:
    """The identifier of a document that can be ingested. Raises Invalid."""
    at, content = f"documents.{number}", document["content"]
    if content["dataSourceType"] != kind:
        given = content["dataSourceType"]
        raise Invalid(f"{at}.content.dataSourceType: {given}, and the data source is of type {kind}.")
    _check_metadata(document.get("metadata"), at=f"{at}.metadata")
    if kind == CUSTOM:
        return _checked_custom(content.get("custom"), at=f"{at}.content.custom")
    if "s3" not in content:
        raise Invalid(f"{at}.content.s3: missing, where dataSourceType is S3.")
    uri = str(content["s3"]["s3Location"]["uri"])
    place = place_of(source.document["dataSourceConfiguration"])
    if not uri.startswith(place):
        raise Invalid(f"{at}.content.s3: {uri} is not in the data source, whose documents begin with {place}.")
    return uri


def _checked_custom(custom: Mapping[str, Any] | None, *, at: str) -> str:
    if custom is None:
        raise Invalid(f"{at}: missing, where dataSourceType is CUSTOM.")
    if custom["sourceType"] == "S3_LOCATION":
        if "s3Location" not in custom:
            raise Invalid(f"{at}.s3Location: missing, where sourceType is S3_LOCATION.")
    else:
        inline = custom.get("inlineContent", {})
        member = "byteContent" if inline.get("type") == "BYTE" else "textContent"
        if member not in inline:
            raise Invalid(f"{at}.inlineContent.{member}: missing. Give the content of the document.")
    return str(custom["customDocumentIdentifier"]["id"])


def _check_metadata(metadata: Mapping[str, Any] | None, *, at: str) -> None:
    if metadata is None:
        return
    member = "inlineAttributes" if metadata["type"] == "IN_LINE_ATTRIBUTE" else "s3Location"
    if member not in metadata:
        raise Invalid(f"{at}.{member}: missing, where type is {metadata['type']}.")
    if member == "inlineAttributes":
        inline_attributes(metadata[member])


def _check_different(identifiers: Sequence[str]) -> None:
    for identifier in identifiers:
        if identifiers.count(identifier) > 1:
            raise Invalid(f"The document {identifier} is named twice. Name each document once.")


def _keep(folder: Path, number: int, document: Mapping[str, Any]) -> None:
    """Write a document of a request to the disk, its content apart from the rest."""
    folder.mkdir(parents=True, exist_ok=True)
    inline = document["content"].get("custom", {}).get("inlineContent", {})
    data: str | bytes | None = inline.get("byteContent", inline.get("textContent", {})).get("data")
    mime_type = inline.get("byteContent", {}).get("mimeType")
    if data is not None:
        content_file(folder, number).write_bytes(data.encode() if isinstance(data, str) else data)
    custom = document["content"].get("custom", {})
    told = {
        "metadata": document.get("metadata"),
        "mimeType": mime_type,
        "uri": custom.get("s3Location", {}).get("uri"),
        "isInline": data is not None,
    }
    request_file(folder, number).write_text(json.dumps(told))


def _note(
    house: KnowledgeRooms, knowledge_base: Resource, source: Resource, identifiers: Sequence[str], state: DocumentState
) -> None:
    """Let the documents' records be in this state; what is indexed of them stays as it is."""
    index, now = house.knowledge_indexes.of(knowledge_base), house.clock.now().timestamp()
    records = []
    for identifier in identifiers:
        key = DocumentKey(id_of(source.arn), identifier)
        before = index.record(key) or DocumentRecord(key=key, state=state, updated=now)
        records.append(replace(before, state=state, reason=None, updated=now))
    index.note(records)


def _add_job(
    house: KnowledgeRooms,
    knowledge_base: Resource,
    source: Resource,
    action: ChangeAction,
    identifiers: Sequence[str],
    *,
    job_id: str = "",
) -> None:
    job_id = job_id or arns.new_agents_id().lower()
    house.jobs.add(
        KIND,
        job_arn=f"{knowledge_base.arn}/{KIND.name}/{job_id}",
        name=job_id,
        region=knowledge_base.region,
        document={
            "knowledgeBaseArn": knowledge_base.arn,
            "dataSourceArn": source.arn,
            "action": action.value,
            "documents": list(identifiers),
        },
        owner=knowledge_base.arn,  # so that its jobs come in their order
    )
