"""An ingestion job from its record to its end: it scans the source, and indexes what is new or changed.

After a kill it is called again and scans anew: what is in the index with the source's ETags is not even read. Every
document is put whole or not at all, so none is lost, and none stands there twice.
"""

import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from outcrop.data.data import RoleData
from outcrop.errors import Invalid
from outcrop.jobs.running import RunningJob
from outcrop.knowledge.data_sources import chunking_of
from outcrop.knowledge.ingestion import document_files
from outcrop.knowledge.ingestion.digests import FileVersion, change_between, version_of
from outcrop.knowledge.ingestion.fetching_metadata import fetch_metadata
from outcrop.knowledge.ingestion.indexing import INDEXED_STATES, Indexing, WantedDocument
from outcrop.knowledge.ingestion.outcomes import IngestionOutcome, OutcomeKind, Outcomes
from outcrop.knowledge.ingestion.scan import ScannedDocument, count, place_of, scan
from outcrop.knowledge.ingestion.statistics import IngestionStatistics
from outcrop.knowledge.ingestion.vectors import PassageVectors
from outcrop.knowledge.knowledge_bases import id_of
from outcrop.knowledge.metadata_files import ENDING, DocumentAttributes
from outcrop.knowledge.passages import DocumentKey, DocumentRecord, DocumentState
from outcrop.knowledge.rooms import KnowledgeRooms
from outcrop.knowledge.states import IngestionStatus
from outcrop.knowledge.stores.permission import check_may_store_in
from outcrop.store.damage import understood

_NOTE_EVERY_S = 2.0
_MOST_DEATHS = 2
"Workers that may end while they read a document, before it is given up and the others go on."
_REMOVED_TOGETHER = 200


def run(house: KnowledgeRooms, job: RunningJob) -> None:
    """Work on an ingestion job until it has ended. Raises StopRequested, Interrupted, and Refusal to fail."""
    ingestion = _Ingestion(house, job)
    try:
        ingestion.run()
    finally:
        ingestion.close()


class _Ingestion:
    """An ingestion job in the hands of a worker."""

    def __init__(self, house: KnowledgeRooms, job: RunningJob) -> None:
        self._house = house
        self._job = job
        self._statistics = IngestionStatistics()
        self._folder = house.settings.runs / job.id
        self._outcomes = Outcomes(self._folder / "outcomes.jsonl")
        with understood(job.arn):
            source_arn = job.record.document["dataSourceArn"]
            self._began = job.record.created.timestamp()
        self._source = house.knowledge_bases.get_source(source_arn)
        self._knowledge_base = house.knowledge_bases.get(self._source.document["knowledgeBaseArn"])
        self._source_id = id_of(source_arn)
        self._index = house.knowledge_indexes.of(self._knowledge_base)
        self._gone: list[DocumentRecord] = []
        self._noted_at = 0.0
        self._num_documents = 0

    def run(self) -> None:
        self._job.check()
        self._job.move(IngestionStatus.IN_PROGRESS)
        try:
            self._bring_up_to_date()
        finally:
            self._note()  # however it ends, what was done is told
        self._job.end(
            IngestionStatus.COMPLETE,
            statistics=self._statistics.members(),
            failureReasons=self._statistics.told_reasons(),
        )

    def close(self) -> None:
        self._outcomes.close()

    def _bring_up_to_date(self) -> None:
        document = self._knowledge_base.document
        data = self._house.data.under(document["roleArn"], source_arn=self._knowledge_base.arn)
        place = place_of(self._source.document["dataSourceConfiguration"])
        counted = count(data, place)
        self._num_documents = counted.documents
        self._statistics.metadata_scanned = len(counted.metadata)
        self._count_earlier_deletions()
        indexing = self._indexing()
        for scanned in scan(data, place, counted.metadata, self._index, self._source_id):
            self._look()
            if not scanned.exists:
                self._take_out(scanned)
                continue
            self._statistics.documents_scanned += 1
            if not self._is_settled(scanned):
                self._index_anew(data, indexing, scanned)
        indexing.flush()
        self._remove_gone()

    def _indexing(self) -> Indexing:
        check_may_store_in(self._house, self._knowledge_base)
        vectors = PassageVectors(self._house, self._knowledge_base, self._job)
        return Indexing(self._index, chunking_of(self._source), vectors)

    def _look(self) -> None:
        """Raises what ends the work: StopRequested, Interrupted."""
        self._job.check()
        self._report()
        if time.monotonic() - self._noted_at >= _NOTE_EVERY_S:
            self._noted_at = time.monotonic()
            self._note()

    def _note(self) -> None:
        self._job.note(statistics=self._statistics.members())
        scanned, failed = self._statistics.documents_scanned, self._statistics.failed
        numbers = {"DocumentsScanned": scanned, "DocumentsFailed": failed, "Documents": self._num_documents}
        self._report(numbers)

    def _report(self, numbers: Mapping[str, float] = {}) -> None:
        # Not by the documents scanned: every worker scans from the beginning, and comes no further by that.
        self._job.report(f"{self._outcomes.num_written} steps", numbers)

    def _is_settled(self, scanned: ScannedDocument) -> bool:
        """Whether nothing is to be done: unchanged, or done by an earlier worker of this job, which is counted."""
        record, earlier = scanned.record, self._outcomes.earlier.get(scanned.uri)
        if record is None:
            return False
        if earlier is not None and earlier.kind is OutcomeKind.FAILED and record.state not in INDEXED_STATES:
            if earlier.versions == scanned.versions:
                self._statistics.fail(scanned.uri, earlier.reason)
                return True
            return False
        content, metadata = FileVersion.read(record.content_digest), FileVersion.read(record.metadata_digest)
        as_scanned = (content.etag, metadata.etag) == (scanned.etag, scanned.metadata_etag)
        if record.state not in INDEXED_STATES or not as_scanned:
            return False
        if earlier is not None and record.updated >= self._began:
            self._statistics.count(earlier)
        return True

    def _index_anew(self, data: RoleData, indexing: Indexing, scanned: ScannedDocument) -> None:
        record = DocumentRecord(
            key=DocumentKey(self._source_id, scanned.uri),
            state=DocumentState.INDEXED,
            updated=self._house.clock.now().timestamp(),
        )
        failed = self._wanted(record, scanned, OutcomeKind.FAILED)
        if not document_files.is_taken(scanned.uri):
            indexing.fail(failed, document_files.not_taken(scanned.uri), DocumentState.IGNORED)
            return
        if (reason := document_files.too_large(scanned.size)) is not None:
            indexing.fail(failed, reason)
            return
        if self._outcomes.num_deaths(scanned.uri) >= _MOST_DEATHS:
            indexing.fail(failed, "The worker ended each time it read this document. Leave it out.")
            return
        file = self._folder / "document" / document_files.file_name(scanned.uri)
        try:
            data.fetch(scanned.uri, file)
            attributes, metadata = self._attributes(data, scanned)
            version = version_of(file, scanned.etag)
            record = replace(record, content_digest=version.digest, metadata_digest=metadata.digest)
            self._put(indexing, replace(record, metadata=attributes.metadata), file, attributes, scanned)
        except Invalid as refused:
            indexing.fail(failed, refused.message)
        finally:
            file.unlink(missing_ok=True)

    def _put(
        self,
        indexing: Indexing,
        record: DocumentRecord,
        file: Path,
        attributes: DocumentAttributes,
        scanned: ScannedDocument,
    ) -> None:
        """Index the document, or only note what is new about it where its passages stay the same."""
        before = scanned.record
        if before is None or not before.content_digest:
            indexing.add(self._wanted(record, scanned, OutcomeKind.NEW), file, attributes)
            return
        change = change_between(before, record)
        if change.passages or before.state not in INDEXED_STATES:
            wanted = self._wanted(record, scanned, OutcomeKind.MODIFIED, metadata_modified=change.metadata)
            indexing.add(wanted, file, attributes)
            return
        kind = OutcomeKind.METADATA if change.metadata else OutcomeKind.UNCHANGED
        listener = self._wanted(record, scanned, kind, metadata_modified=change.metadata).listener
        listener.before_put()
        self._index.note([replace(record, state=before.state, reason=before.reason)])
        listener.indexed()

    def _wanted(
        self, record: DocumentRecord, scanned: ScannedDocument, kind: OutcomeKind, *, metadata_modified: bool = False
    ) -> WantedDocument:
        before, earlier = scanned.record, self._outcomes.earlier.get(scanned.uri)
        if before is not None and before.updated >= self._began and earlier is not None:
            kind = OutcomeKind.NEW if earlier.kind is OutcomeKind.NEW else kind  # it was new when this job began
        outcome = IngestionOutcome(
            identifier=scanned.uri, kind=kind, versions=scanned.versions, metadata_modified=metadata_modified
        )
        listener = _Counting(self._outcomes, self._statistics, outcome)
        return WantedDocument(record=record, before=before, listener=listener)

    def _attributes(self, data: RoleData, scanned: ScannedDocument) -> tuple[DocumentAttributes, FileVersion]:
        """The attributes of a document's metadata file. Raises Invalid for one that is wrong or may not be read."""
        if not scanned.metadata_etag:
            return DocumentAttributes(), FileVersion()
        return fetch_metadata(data, f"{scanned.uri}{ENDING}", self._folder / "metadata.json")

    def _take_out(self, scanned: ScannedDocument) -> None:
        assert scanned.record is not None, "what the source has no more is on record"
        self._gone.append(scanned.record)
        if len(self._gone) >= _REMOVED_TOGETHER:
            self._remove_gone()

    def _remove_gone(self) -> None:
        gone, self._gone = self._gone, []
        # One that never came into the index is forgotten, and not counted.
        outcomes = [
            IngestionOutcome(identifier=record.key.identifier, kind=OutcomeKind.DELETED)
            for record in gone
            if record.content_digest
        ]
        for outcome in outcomes:
            self._outcomes.write(outcome)
        self._index.remove([record.key for record in gone])
        for outcome in outcomes:
            self._statistics.count(outcome)

    def _count_earlier_deletions(self) -> None:
        for earlier in self._outcomes.earlier.values():
            key = DocumentKey(self._source_id, earlier.identifier)
            if earlier.kind is OutcomeKind.DELETED and self._index.record(key) is None:
                self._statistics.count(earlier)


class _Counting:
    """The listener that writes down what became of a document, and counts it."""

    def __init__(self, outcomes: Outcomes, statistics: IngestionStatistics, outcome: IngestionOutcome) -> None:
        self._outcomes = outcomes
        self._statistics = statistics
        self._outcome = outcome

    def reading(self) -> None:
        self._outcomes.write(replace(self._outcome, kind=OutcomeKind.READING))

    def read(self) -> None:
        self._outcomes.write(replace(self._outcome, kind=OutcomeKind.READ))

    def before_put(self) -> None:
        self._outcomes.write(self._outcome)

    def indexed(self) -> None:
        self._statistics.count(self._outcome)

    def failed(self, reason: str) -> None:
        self._outcomes.write(replace(self._outcome, kind=OutcomeKind.FAILED, reason=reason))
        self._statistics.fail(self._outcome.identifier, reason)
