"""A job over single documents: ingests or deletes each, or takes out a whole data source.

Jobs of one knowledge base work one after the other, so that the last request about a document has the last word. After
a kill all of a job's documents are gone through again; to put one twice is to put it once.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from outcrop import logs
from outcrop.data.data import RoleData
from outcrop.errors import Invalid, NotFound
from outcrop.jobs.running import RunningJob
from outcrop.knowledge.changes.adding import ChangeAction, content_file, request_file
from outcrop.knowledge.changes.kind import KIND
from outcrop.knowledge.changes.mime_types import suffix_of
from outcrop.knowledge.data_sources import S3, chunking_of, kind_of
from outcrop.knowledge.deleting import forget_source
from outcrop.knowledge.ingestion import document_files
from outcrop.knowledge.ingestion.digests import FileVersion, version_of
from outcrop.knowledge.ingestion.fetching_metadata import fetch_metadata
from outcrop.knowledge.ingestion.indexing import Indexing, WantedDocument
from outcrop.knowledge.ingestion.vectors import PassageVectors
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.metadata_files import ENDING, DocumentAttributes, inline_attributes
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.states import DocumentChangeStatus
from outcrop.knowledge.stores.permission import check_may_store_in
from outcrop.store.damage import understood
from outcrop.store.resources import Resource

_PAUSE_S = 0.2
_PAGE = 200
_WAITING = (
    DocumentState.PENDING,
    DocumentState.STARTING,
    DocumentState.IN_PROGRESS,
    DocumentState.DELETING,
    DocumentState.DELETE_IN_PROGRESS,
)
_log = logging.getLogger("outcrop.worker")


def run(house: KnowledgeRooms, job: RunningJob) -> None:
    """Work on the documents of a job. Raises Interrupted, and Refusal to fail."""
    with understood(job.arn):
        document = job.record.document
        action = ChangeAction(document["action"])
        identifiers: list[str] = document["documents"]
        knowledge_base_arn, source_arn = document["knowledgeBaseArn"], document["dataSourceArn"]
    _wait_for_turn(house, job, knowledge_base_arn)
    try:
        knowledge_base = house.knowledge_bases.get(knowledge_base_arn)
        source = house.knowledge_bases.get_source(source_arn)
    except NotFound:
        return  # deleted meanwhile, and its documents with it
    if action is ChangeAction.INGEST:
        _DocumentIngestion(house, job, knowledge_base, source).run(identifiers)
    elif action is ChangeAction.DELETE:
        _delete(house, knowledge_base, source, identifiers)
    else:
        _remove_source(house, job, knowledge_base, source)


def give_up(house: KnowledgeRooms, job_arn: str) -> None:
    """Note the failure of a job on the documents that wait for it."""
    row = house.store.resources.row(job_arn)
    if row is None or row.status != DocumentChangeStatus.FAILED or not row.is_sound:
        return
    document = row.resource().document
    reason = str(document.get("failureMessage") or "The work on the document broke off.")
    try:
        knowledge_base = house.knowledge_bases.get(document["knowledgeBaseArn"])
        source = house.knowledge_bases.get_source(document["dataSourceArn"])
    except NotFound:
        return
    if document["action"] == ChangeAction.REMOVE_SOURCE:
        house.knowledge_bases.fail_deletion(source.arn, reason)
        return
    index, now = house.knowledge_indexes.of(knowledge_base), house.clock.now().timestamp()
    records = (index.record(DocumentKey(id_of(source.arn), identifier)) for identifier in document["documents"])
    failed = [
        replace(record, state=DocumentState.FAILED, reason=reason, updated=now)
        for record in records
        if record is not None and record.state in _WAITING
    ]
    if failed:
        index.note(failed)


def _wait_for_turn(house: KnowledgeRooms, job: RunningJob, knowledge_base_arn: str) -> None:
    """Wait until no older job of the same knowledge base runs."""
    while True:
        job.check()
        running = [
            each for each in house.jobs.running(KIND) if each.document.get("knowledgeBaseArn") == knowledge_base_arn
        ]
        if not running or running[0].arn == job.arn:
            return
        job.pause(_PAUSE_S)


def _delete(house: KnowledgeRooms, knowledge_base: Resource, source: Resource, identifiers: list[str]) -> None:
    index = house.knowledge_indexes.of(knowledge_base)
    records = (index.record(DocumentKey(id_of(source.arn), identifier)) for identifier in identifiers)
    # One that is PENDING was sent again since, for older jobs are done; the job of that request replaces it.
    gone = [each.key for each in records if each is not None and each.state is not DocumentState.PENDING]
    index.remove(gone)


def _remove_source(house: KnowledgeRooms, job: RunningJob, knowledge_base: Resource, source: Resource) -> None:
    index, num_removed = house.knowledge_indexes.of(knowledge_base), 0
    while page := index.records(id_of(source.arn), most=_PAGE):
        job.check()
        index.remove([record.key for record in page])
        num_removed += len(page)
        job.report(f"{num_removed} documents taken out")
    forget_source(house, source)
    logs.tell(_log, "data source deleted", data_source=source.arn, documents=num_removed)


class _DocumentIngestion:
    """The ingestion of the documents of one request."""

    def __init__(self, house: KnowledgeRooms, job: RunningJob, knowledge_base: Resource, source: Resource) -> None:
        self._house = house
        self._job = job
        self._knowledge_base = knowledge_base
        self._source = source
        self._is_s3 = kind_of(source) == S3
        self._folder = house.settings.runs / job.id
        self._index = house.knowledge_indexes.of(knowledge_base)

    def run(self, identifiers: list[str]) -> None:
        check_may_store_in(self._house, self._knowledge_base)
        vectors = PassageVectors(self._house, self._knowledge_base, self._job)
        indexing = Indexing(self._index, chunking_of(self._source), vectors)
        for number, identifier in enumerate(identifiers):
            self._job.check()
            key = DocumentKey(id_of(self._source.arn), identifier)
            before = self._index.record(key)
            started = before or DocumentRecord(key=key, state=DocumentState.IN_PROGRESS, updated=self._now())
            self._index.note([replace(started, state=DocumentState.IN_PROGRESS, updated=self._now())])
            self._ingest(indexing, number, key, before)
            self._job.report(f"{number + 1} of {len(identifiers)} documents")
        indexing.flush()

    def _now(self) -> float:
        return self._house.clock.now().timestamp()

    def _ingest(self, indexing: Indexing, number: int, key: DocumentKey, before: DocumentRecord | None) -> None:
        told: Mapping[str, Any] = json.loads(request_file(self._folder, number).read_text())
        record = DocumentRecord(key=key, state=DocumentState.INDEXED, updated=self._now())
        wanted = WantedDocument(record=record, before=before, listener=_Silent())
        uri = key.identifier if self._is_s3 else told["uri"]
        name = uri or f"document{suffix_of(told['mimeType'])}"
        if not document_files.is_taken(name):
            indexing.fail(wanted, document_files.not_taken(name), DocumentState.IGNORED)
            return
        file = self._folder / f"{number:03}" / document_files.file_name(name)
        try:
            etag = self._bring(file, number, uri)
            attributes, metadata = self._attributes(told["metadata"], uri)
            version = version_of(file, etag)
            whole = replace(
                record, content_digest=version.digest, metadata_digest=metadata.digest, metadata=attributes.metadata
            )
            indexing.add(replace(wanted, record=whole), file, attributes)
        except Invalid as refused:
            indexing.fail(wanted, refused.message)
        finally:
            file.unlink(missing_ok=True)

    def _bring(self, file: Path, number: int, uri: str | None) -> str:
        """Let the document's content be in `file`; its ETag, of an object. Raises Invalid."""
        if uri is None:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content_file(self._folder, number).read_bytes())
            return ""
        data = self._data()
        found = data.find(uri)
        if (reason := document_files.too_large(found.size)) is not None:
            raise Invalid(reason)
        data.fetch(uri, file)
        return found.etag

    def _attributes(
        self, metadata: Mapping[str, Any] | None, uri: str | None
    ) -> tuple[DocumentAttributes, FileVersion]:
        place = self._folder / "metadata.json"
        if metadata is None:
            if not self._is_s3 or uri is None or not self._has_metadata_file(uri):
                return DocumentAttributes(), FileVersion()
            return fetch_metadata(self._data(), f"{uri}{ENDING}", place)
        if metadata["type"] == "S3_LOCATION":
            return fetch_metadata(self._data(), metadata["s3Location"]["uri"], place)
        return inline_attributes(metadata["inlineAttributes"]), FileVersion()

    def _has_metadata_file(self, uri: str) -> bool:
        wanted = f"{uri}{ENDING}"
        found = next(iter(self._data().list_objects(wanted)), None)
        return found is not None and f"s3://{found.bucket}/{found.key}" == wanted

    def _data(self) -> RoleData:
        role = self._knowledge_base.document["roleArn"]
        return self._house.data.under(role, source_arn=self._knowledge_base.arn)


class _Silent:
    """The listener of a document whose own record tells everything."""

    def reading(self) -> None:
        pass

    def read(self) -> None:
        pass

    def before_put(self) -> None:
        pass

    def indexed(self) -> None:
        pass

    def failed(self, reason: str) -> None:
        pass
