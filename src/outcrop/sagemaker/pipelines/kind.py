"""The kind of job that executes a pipeline: a light one, which creates the jobs of steps and waits."""

from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.sagemaker.pipelines.states import LIFECYCLE, ExecutionStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.hosting.rooms import HostingRooms

MOST_AT_ONCE = 20
"Each is a thread of the light worker that sleeps nearly always. Further ones wait, and none waits for another."


def _run(house: "HostingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.pipelines.run import run  # what it imports, an idle worker has not read

    run(house, job)


KIND: "JobKind[HostingRooms]" = JobKind(
    name="pipeline-execution",
    lifecycle=LIFECYCLE,
    first=ExecutionStatus.EXECUTING,
    stopping=ExecutionStatus.STOPPING,
    stopped=ExecutionStatus.STOPPED,
    completed=ExecutionStatus.SUCCEEDED,
    failed=ExecutionStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    most_at_once=MOST_AT_ONCE,
    ends_stops=True,
)
