"""The kind of job that invokes a model with every record: the worker it needs, and what runs it."""

from typing import TYPE_CHECKING

from outcrop.batch.states import LIFECYCLE, BatchStatus
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.machine.memory_folder import remove_run_folder

if TYPE_CHECKING:
    from outcrop.batch.rooms import BatchRooms
    from outcrop.jobs.running import RunningJob

PRIORITY = -10
"Behind every other light job."
MOST_AT_ONCE = 4
"Each keeps a copy of its data on the disk, and half of a light worker's places are left to jobs of other kinds."


def _run(house: "BatchRooms", job: "RunningJob") -> None:
    from outcrop.batch.run import run  # what it imports, an idle worker has not read

    run(house, job)


def _tidy(house: "BatchRooms", job_arn: str) -> None:
    remove_run_folder(house.settings.home, house.settings.runs, job_arn.rsplit("/", 1)[-1])


KIND: "JobKind[BatchRooms]" = JobKind(
    name="model-invocation-job",
    lifecycle=LIFECYCLE,
    first=BatchStatus.SUBMITTED,
    stopping=BatchStatus.STOPPING,
    stopped=BatchStatus.STOPPED,
    completed=BatchStatus.COMPLETED,
    failed=BatchStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
    ends_stops=True,
)
