"""States of a batch inference job, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class BatchStatus(StrEnum):
    """The state of a batch inference job."""

    SUBMITTED = "Submitted"
    VALIDATING = "Validating"
    SCHEDULED = "Scheduled"
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    PARTIALLY_COMPLETED = "PartiallyCompleted"
    COMPLETED = "Completed"
    FAILED = "Failed"
    EXPIRED = "Expired"


_ENDS = {
    BatchStatus.STOPPED,
    BatchStatus.PARTIALLY_COMPLETED,
    BatchStatus.COMPLETED,
    BatchStatus.FAILED,
    BatchStatus.EXPIRED,
}
LIFECYCLE = Lifecycle(
    {
        BatchStatus.SUBMITTED: {BatchStatus.VALIDATING, BatchStatus.STOPPING} | _ENDS,
        BatchStatus.VALIDATING: {BatchStatus.SCHEDULED, BatchStatus.STOPPING} | _ENDS,
        BatchStatus.SCHEDULED: {BatchStatus.IN_PROGRESS, BatchStatus.STOPPING} | _ENDS,
        BatchStatus.IN_PROGRESS: {BatchStatus.STOPPING} | _ENDS,
        BatchStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)
