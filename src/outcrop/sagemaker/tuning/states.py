"""States of a tuning job and of its training jobs' objectives, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class TuningStatus(StrEnum):
    """The state of a hyperparameter tuning job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


class ObjectiveStatus(StrEnum):
    """The state of the objective of one training job."""

    PENDING = "Pending"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


_ENDS = {TuningStatus.STOPPED, TuningStatus.COMPLETED, TuningStatus.FAILED}
LIFECYCLE = Lifecycle(
    {
        TuningStatus.IN_PROGRESS: {TuningStatus.STOPPING} | _ENDS,
        TuningStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)
