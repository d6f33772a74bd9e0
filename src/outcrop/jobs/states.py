"""The states of a phase, which every kind of job shares; the states of jobs themselves belong to their kinds."""

from enum import StrEnum


class PhaseStatus(StrEnum):
    """The state of one phase of a job, in the words of the service model."""

    NOT_STARTED = "NotStarted"
    IN_PROGRESS = "InProgress"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"
