"""States of knowledge bases, data sources and ingestion jobs, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class KnowledgeBaseStatus(StrEnum):
    """The state of a knowledge base. Everything about one is decided at once, so it is ACTIVE from the beginning."""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"
    FAILED = "FAILED"
    DELETE_UNSUCCESSFUL = "DELETE_UNSUCCESSFUL"


class DataSourceStatus(StrEnum):
    """The state of a data source; one that is DELETING waits for its passages to be taken out."""

    AVAILABLE = "AVAILABLE"
    DELETING = "DELETING"
    DELETE_UNSUCCESSFUL = "DELETE_UNSUCCESSFUL"


class IngestionStatus(StrEnum):
    """The state of an ingestion job."""

    STARTING = "STARTING"
    IN_PROGRESS = "IN_PROGRESS"
    COMPLETE = "COMPLETE"
    FAILED = "FAILED"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"


_ENDS = {IngestionStatus.COMPLETE, IngestionStatus.FAILED, IngestionStatus.STOPPED}
INGESTION_LIFECYCLE = Lifecycle(
    {
        IngestionStatus.STARTING: {IngestionStatus.IN_PROGRESS, IngestionStatus.STOPPING} | _ENDS,
        IngestionStatus.IN_PROGRESS: {IngestionStatus.STOPPING} | _ENDS,
        IngestionStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)


class DocumentChangeStatus(StrEnum):
    """The state of a job that changes documents one by one; clients see the documents' own states."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


CHANGE_LIFECYCLE = Lifecycle(
    {
        DocumentChangeStatus.IN_PROGRESS: {DocumentChangeStatus.COMPLETED, DocumentChangeStatus.FAILED},
        DocumentChangeStatus.COMPLETED: set(),
        DocumentChangeStatus.FAILED: set(),
    }
)
