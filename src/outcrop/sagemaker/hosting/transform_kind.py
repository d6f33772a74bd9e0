"""The kind of job that has a model answer the records of objects: a light one."""

from enum import StrEnum
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.lifecycle import Lifecycle

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.hosting.rooms import InvokingRooms

MOST_AT_ONCE = 2


class TransformStatus(StrEnum):
    """The state of a transform job."""

    IN_PROGRESS = "InProgress"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    COMPLETED = "Completed"
    FAILED = "Failed"


_ENDS = {TransformStatus.STOPPED, TransformStatus.COMPLETED, TransformStatus.FAILED}
LIFECYCLE = Lifecycle(
    {
        TransformStatus.IN_PROGRESS: {TransformStatus.STOPPING} | _ENDS,
        TransformStatus.STOPPING: _ENDS,
        **{end: set() for end in _ENDS},
    }
)


def _run(house: "InvokingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.hosting.transform_run import run

    run(house, job)


KIND: "JobKind[InvokingRooms]" = JobKind(
    name="transform-job",
    lifecycle=LIFECYCLE,
    first=TransformStatus.IN_PROGRESS,
    stopping=TransformStatus.STOPPING,
    stopped=TransformStatus.STOPPED,
    completed=TransformStatus.COMPLETED,
    failed=TransformStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    most_at_once=MOST_AT_ONCE,
)
