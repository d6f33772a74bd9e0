"""The kind of job that tunes hyperparameters: a light one, which creates training jobs and waits for them."""

from typing import TYPE_CHECKING

from outcrop.jobs.kinds import JobKind, WorkerClass
from outcrop.sagemaker.tuning.states import LIFECYCLE, TuningStatus

if TYPE_CHECKING:
    from outcrop.jobs.running import RunningJob
    from outcrop.sagemaker.rooms import TrainingRooms

MOST_AT_ONCE = 20
"Each is a thread of the light worker that sleeps nearly always. Further ones wait, and none waits for another."


def _run(house: "TrainingRooms", job: "RunningJob") -> None:
    from outcrop.sagemaker.tuning.run import run  # it imports Optuna, which an idle worker has not read

    run(house, job)


KIND: "JobKind[TrainingRooms]" = JobKind(
    name="hyper-parameter-tuning-job",
    lifecycle=LIFECYCLE,
    first=TuningStatus.IN_PROGRESS,
    stopping=TuningStatus.STOPPING,
    stopped=TuningStatus.STOPPED,
    completed=TuningStatus.COMPLETED,
    failed=TuningStatus.FAILED,
    worker=WorkerClass.LIGHT,
    run=_run,
    most_at_once=MOST_AT_ONCE,
    ends_stops=True,
)
