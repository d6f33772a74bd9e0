"""The kind of job that evaluates models and retrieval: a light one, which asks and waits."""

from typing import TYPE_CHECKING

from outcrop.evaluation.jobs.states import LIFECYCLE, EvaluationStatus
from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.machine.memory_folder import remove_run_folder

if TYPE_CHECKING:
    from outcrop.evaluation.jobs.rooms import EvaluationRooms
    from outcrop.jobs.running import RunningJob

MOST_AT_ONCE = 4
"Each keeps a copy of its data, and half of a light worker's places are left to jobs of other kinds."


def _run(house: "EvaluationRooms", job: "RunningJob") -> None:
    from outcrop.evaluation.jobs.run import run  # what it imports, an idle worker has not read

    run(house, job)


def _tidy(house: "EvaluationRooms", job_arn: str) -> None:
    remove_run_folder(house.settings.home, house.settings.runs, job_arn.rsplit("/", 1)[-1])


KIND: "JobKind[EvaluationRooms]" = JobKind(
    name="evaluation-job",
    lifecycle=LIFECYCLE,
    first=EvaluationStatus.IN_PROGRESS,
    stopping=EvaluationStatus.STOPPING,
    stopped=EvaluationStatus.STOPPED,
    completed=EvaluationStatus.COMPLETED,
    failed=EvaluationStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
)
