"""The states of a customization job and of its three phases, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class JobStatus(StrEnum):
    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


class PhaseStatus(StrEnum):
    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


class Phase(StrEnum):
    """In the order in which a job goes through them."""

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

ENDED = LIFECYCLE.ended
RUNNING = LIFECYCLE.running

_PHASE_AT_END = {
    JobStatus.STOPPED: PhaseStatus.STOPPED,
    JobStatus.FAILED: PhaseStatus.FAILED,
    JobStatus.COMPLETED: PhaseStatus.COMPLETED,
}


def phase_at_end(status: JobStatus) -> PhaseStatus:
    """What the phase that was running becomes when the job ends like this."""
    return _PHASE_AT_END[status]
