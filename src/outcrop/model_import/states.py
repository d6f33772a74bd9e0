"""States of a model import job, in the words of the service model. There is none for one that is asked to stop."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class ImportJobStatus(StrEnum):
    """The state of a model import job."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


LIFECYCLE = Lifecycle(
    {
        ImportJobStatus.IN_PROGRESS: {ImportJobStatus.COMPLETED, ImportJobStatus.FAILED},
        ImportJobStatus.COMPLETED: set(),
        ImportJobStatus.FAILED: set(),
    }
)
