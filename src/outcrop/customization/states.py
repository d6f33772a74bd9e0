"""States and phases of a customization job, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class JobStatus(StrEnum):
    """The state of a customization job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Phase(StrEnum):
    """A phase of a customization job, in the order in which it goes through them."""

    VALIDATION = "validationDetails"
    DATA_PROCESSING = "dataProcessingDetails"
    TRAINING = "trainingDetails"


LIFECYCLE = Lifecycle(
    {
        JobStatus.IN_PROGRESS: {JobStatus.STOPPING, JobStatus.STOPPED, JobStatus.COMPLETED, JobStatus.FAILED},
        JobStatus.STOPPING: {JobStatus.STOPPED, JobStatus.COMPLETED, JobStatus.FAILED},
        JobStatus.STOPPED: set(),
        JobStatus.COMPLETED: set(),
        JobStatus.FAILED: set(),
    }
)
