"""The kind of job that carries out one asynchronous invocation: a light one, which waits for a model."""

from enum import StrEnum
from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.lifecycle import Lifecycle

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.hosting.rooms import InvokingRooms

MOST_AT_ONCE = 4


class AsyncStatus(StrEnum):
    """The state of an asynchronous invocation, which nobody sees: its result lies in S3."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


LIFECYCLE = Lifecycle(
    {
        AsyncStatus.IN_PROGRESS: {AsyncStatus.COMPLETED, AsyncStatus.FAILED},
        AsyncStatus.COMPLETED: set(),
        AsyncStatus.FAILED: set(),
    }
)


def _run(house: "InvokingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.hosting.async_run import run

    run(house, job)


KIND: "JobKind[InvokingRooms]" = JobKind(
    name="async-invocation",
    lifecycle=LIFECYCLE,
    first=AsyncStatus.IN_PROGRESS,
    stopping=None,
    stopped=AsyncStatus.FAILED,
    completed=AsyncStatus.COMPLETED,
    failed=AsyncStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    most_at_once=MOST_AT_ONCE,
)
