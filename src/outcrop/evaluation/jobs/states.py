"""States of an evaluation job, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class EvaluationStatus(StrEnum):
    """The state of an evaluation job. A deleted job is gone at once, so that none is ever Deleting on record."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"


DELETING = "Deleting"
"What a client is told of a job that it deletes."
LIFECYCLE = Lifecycle(
    {
        EvaluationStatus.IN_PROGRESS: {
            EvaluationStatus.STOPPING,
            EvaluationStatus.STOPPED,
            EvaluationStatus.COMPLETED,
            EvaluationStatus.FAILED,
        },
        EvaluationStatus.STOPPING: {EvaluationStatus.STOPPED, EvaluationStatus.COMPLETED, EvaluationStatus.FAILED},
        EvaluationStatus.STOPPED: set(),
        EvaluationStatus.COMPLETED: set(),
        EvaluationStatus.FAILED: set(),
    }
)
