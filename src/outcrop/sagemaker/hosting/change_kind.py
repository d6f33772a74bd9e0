"""The kind of job that brings an endpoint to what was asked of it: a light one, which mostly waits."""

from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.sagemaker.hosting.states import CHANGES, ChangeStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.hosting.rooms import HostingRooms

MOST_AT_ONCE = 4


def _run(house: "HostingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.hosting.change_run import run

    run(house, job)


def _tidy(house: "HostingRooms", job_arn: str) -> None:
    """Let the endpoint not wait for a change that has failed as no change should."""
    from outcrop.sagemaker.hosting.change_run import give_up

    give_up(house, job_arn)


KIND: "JobKind[HostingRooms]" = JobKind(
    name="endpoint-change",
    lifecycle=CHANGES,
    first=ChangeStatus.IN_PROGRESS,
    stopping=ChangeStatus.STOPPING,
    stopped=ChangeStatus.STOPPED,
    completed=ChangeStatus.COMPLETED,
    failed=ChangeStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
)
