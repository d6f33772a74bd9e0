"""Types of a pipeline's steps, and states of its executions and their steps, in the words of the service model."""

from enum import StrEnum

from outcrop.lifecycle import Lifecycle


class StepType(StrEnum):
    """The types of steps that are built."""

    TRAINING = "Training"
    TUNING = "Tuning"
    TRANSFORM = "Transform"
    MODEL = "Model"
    CONDITION = "Condition"
    FAIL = "Fail"


class ExecutionStatus(StrEnum):
    """The state of a pipeline execution."""

    EXECUTING = "Executing"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"


class StepStatus(StrEnum):
    """The state of one step of a pipeline execution; a step that has not begun has none."""

    STARTING = "Starting"
    EXECUTING = "Executing"
    STOPPED = "Stopped"
    FAILED = "Failed"
    SUCCEEDED = "Succeeded"


_ENDS = {ExecutionStatus.STOPPED, ExecutionStatus.FAILED, ExecutionStatus.SUCCEEDED}
LIFECYCLE = Lifecycle(
    {
        ExecutionStatus.EXECUTING: {ExecutionStatus.STOPPING} | _ENDS,
        ExecutionStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)
