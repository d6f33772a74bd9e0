"""The kind of job that runs somebody's training script: a light one, for its worker only watches a sandbox."""

from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.sagemaker.training_states import LIFECYCLE, TrainingStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.rooms import TrainingRooms

SESSION_KEY = "sessionKeyId"
"The member of a job's document with the access key that its script has."
MOST_AT_ONCE = 4
"Half of a light worker's places: other kinds of job go on meanwhile."


def _run(house: "TrainingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.training_run import run  # what it imports, an idle worker has not read

    run(house, job)


def _tidy(house: "TrainingRooms", job_arn: str) -> None:
    """Remove the job's folder, and let the credentials that its script had be unknown."""
    from outcrop.isolation import leftovers
    from outcrop.sagemaker.job_folder import folder_of

    row = house.store.resources.row(job_arn)
    if row is not None and row.is_sound and (key := row.resource().document.get(SESSION_KEY)):
        house.access.credentials.end_session(key)
    folder = folder_of(house.settings, job_arn)
    if folder.exists():
        leftovers.remove(folder)


KIND: "JobKind[TrainingRooms]" = JobKind(
    name="training-job",
    lifecycle=LIFECYCLE,
    first=TrainingStatus.IN_PROGRESS,
    stopping=TrainingStatus.STOPPING,
    stopped=TrainingStatus.STOPPED,
    completed=TrainingStatus.COMPLETED,
    failed=TrainingStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    tidy=_tidy,
    most_at_once=MOST_AT_ONCE,
    ends_stops=True,
)
