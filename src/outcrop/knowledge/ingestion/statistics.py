"""Statistics of an ingestion job, counted as Bedrock counts them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from outcrop.knowledge.ingestion.outcomes import IngestionOutcome, OutcomeKind

MOST_REASONS = 250
"Failures that a job names; ListKnowledgeBaseDocuments names them all."


@dataclass(kw_only=True)
class IngestionStatistics:
    """The counts of one job, and why documents failed."""

    documents_scanned: int = 0
    metadata_scanned: int = 0
    new: int = 0
    modified: int = 0
    metadata_modified: int = 0
    deleted: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def count(self, outcome: IngestionOutcome) -> None:
        """Count a document that did not fail."""
        self.new += outcome.kind is OutcomeKind.NEW
        self.modified += outcome.kind is OutcomeKind.MODIFIED
        self.deleted += outcome.kind is OutcomeKind.DELETED
        self.metadata_modified += outcome.metadata_modified

    def fail(self, identifier: str, reason: str) -> None:
        """Count a document that failed."""
        self.failed += 1
        if len(self.reasons) < MOST_REASONS:
            self.reasons.append(f"{identifier}: {reason}"[:2048])

    def members(self) -> Mapping[str, int]:
        """The member `statistics` of a job."""
        return {
            "numberOfDocumentsScanned": self.documents_scanned,
            "numberOfMetadataDocumentsScanned": self.metadata_scanned,
            "numberOfNewDocumentsIndexed": self.new,
            "numberOfModifiedDocumentsIndexed": self.modified,
            "numberOfMetadataDocumentsModified": self.metadata_modified,
            "numberOfDocumentsDeleted": self.deleted,
            "numberOfDocumentsFailed": self.failed,
        }

    def told_reasons(self) -> list[str]:
        """The reasons, and how many more there are."""
        more = self.failed - len(self.reasons)
        told = [f"{more} more documents failed; ListKnowledgeBaseDocuments names them."] if more else []
        return [*self.reasons, *told]
