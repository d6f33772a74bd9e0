"""The kind of job that makes a custom model: its states and phases, in the words of the service model."""

from enum import StrEnum
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.lifecycle import Lifecycle

if TYPE_CHECKING:
    from outcrop.customization.rooms import Rooms
    from outcrop.jobs.running import RunningJob


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


def _run(house: "Rooms", job: "RunningJob") -> None:
    from outcrop.customization.memory import reserved

    with reserved(house, job):
        job.check()
        from outcrop.customization.run import customize  # torch comes with it

        customize(house, job)


def _tidy(house: "Rooms", job_arn: str) -> None:
    from outcrop.customization.leftovers import remove_leftovers

    remove_leftovers(house, job_arn)


KIND: "JobKind[Rooms]" = JobKind(
    name="model-customization-job",
    lifecycle=LIFECYCLE,
    first=JobStatus.IN_PROGRESS,
    stopping=JobStatus.STOPPING,
    stopped=JobStatus.STOPPED,
    completed=JobStatus.COMPLETED,
    failed=JobStatus.FAILED,
    phases=tuple(Phase),
    worker=WorkerClass.HEAVY,
    run=_run,
    tidy=_tidy,
    gives_up=(
        "Most likely it wanted for memory: shorten the longest records, or choose a smaller base model. The worker's "
        "log has the details."
    ),
)
